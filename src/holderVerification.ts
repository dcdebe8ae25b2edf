/** Verify cardholder: chip, card value and PIN of the messages of a batch. */
import { assert } from './assert.ts'
import type { Config } from './config.ts'
import type { HotState } from './decision/hotState.ts'
import { verifyHolders } from './decision/verifyHolder.ts'
import type { LinkKeys } from './linkKeys.ts'
import { hasTriesLeft, holderCheckOf, type Passage } from './passage.ts'
import type { Hsm } from './security/hsm.ts'

export interface VerificationParts {
  readonly config: Pick<Config, 'security'>
  readonly hotState: HotState
  readonly hsm: Hsm
  readonly linkKeys: LinkKeys
}

/**
 * Notes in each passage what was found.
 *
 * @returns those of whose cards another process verifies PINs: what comes of them, the ledger will know, and they are looked at again
 * @throws what the HSM throws where it cannot be reached
 */
export async function verifyPassages(parts: VerificationParts, batch: readonly Passage[]): Promise<ReadonlySet<Passage>> {
  const { hsm, hotState, config, linkKeys } = parts
  const keysOf = (base: string): readonly string[] => linkKeys.namesOf(base)
  const refreshKeys = (): Promise<boolean> => linkKeys.missed()
  const verdicts = await verifyHolders(
    { hsm, hotState, keysOf, refreshKeys, security: config.security },
    batch.map(holderCheckOf),
  )
  const later = new Set<Passage>()
  for (const [index, passage] of batch.entries()) {
    const verdict = verdicts[index]
    assert(verdict !== undefined, 'each message has a verdict')
    if (verdict.verified.full === 'pin' && hasTriesLeft(passage)) {
      later.add(passage)
    } else {
      passage.verified = verdict.verified
      passage.counted = verdict.counted
      passage.failures = verdict.failures
    }
  }
  return later
}
