/**
 * A key is loaded into the HSM that the switch works with: one person proposes the key block (TR-31), another agrees. The block is enciphered under a key that
 * the HSM has already, so that neither of them, nor whoever reads the proposal, knows the key. Components of first keys are loaded at the token itself
 * (`sarf keys`, spec/security.md).
 */
import { done, refused, type Outcome } from '../ledger/programme/desk.ts'
import type { Hsm } from '../security/hsm.ts'
import { KeyBlockError } from '../security/keyBlockHeader.ts'
import { KeyRefused, type KeyInfo } from '../security/keys.ts'
import type { ProposalKind } from './proposals.ts'

export interface KeyToLoad {
  readonly name: string
  /** The key that the block is enciphered with. */
  readonly under: string
  /** ANSI X9.143 (TR-31), versions B and D. */
  readonly block: string
}

type Keys = Pick<Hsm, 'keys' | 'importKey'>

/** No key is overwritten: what is loaded anew has a name of its own. An HSM takes part in no SQL transaction: where the commit fails afterwards, the key is there. */
export function keyLoading(hsm: Keys): ProposalKind {
  return {
    kind: 'key-load',
    permission: 'key:load',
    single: true,
    execute: async (_tx, body) => {
      const { name, under, block } = body as Readonly<Record<string, unknown>> & KeyToLoad
      const possible = checkKey(hsm, { name, under })
      if (!possible.ok) return possible
      try {
        const { usage, algorithm, bytes, kcv } = await hsm.importKey(block, under, name)
        return done({ name, usage, algorithm, bytes, kcv })
      } catch (error) {
        if (!(error instanceof KeyRefused || error instanceof KeyBlockError)) throw error
        return refused('invalid', 'key-refused', `The HSM does not take it: ${error.message}.`, '/block')
      }
    },
  }
}

/** Refuses a name that there is, and a key to decipher with that there is not. */
export function checkKey(hsm: Pick<Keys, 'keys'>, { name, under }: Pick<KeyToLoad, 'name' | 'under'>): Outcome<null> {
  const has = (wanted: string): boolean => hsm.keys().some((key: KeyInfo) => key.name === wanted)
  if (has(name)) return refused('conflict', 'key-exists', 'There is a key of this name; no key is overwritten.', '/name')
  return has(under) ? done(null) : refused('invalid', 'no-such-key', 'There is no key of this name to decipher with.', '/under')
}
