/** Keys into and out of a key store, as key blocks under one of its keys. */
import { makeKeyBlock, openKeyBlock } from './keyBlock.ts'
import { KeyBlockError } from './keyBlockHeader.ts'
import { KeyRefused, type KeyAlgorithm, type KeyHandle, type KeyInfo, type KeyStore, type KeyUsage } from './keys.ts'

/**
 * Takes the key of a block over under `name`. Blocks of versions B and D only: A and C would need the value of `under`.
 *
 * The store keeps no mode of use. So a block that allows less than the switch does with keys of its usage (verify only, decrypt only) is
 * refused rather than overruled.
 *
 * @throws KeyBlockError, KeyRefused
 */
export function importKey(keys: KeyStore, block: string, under: string, name: string): KeyInfo {
  const { header, reveal } = openKeyBlock(block, protectionKey(keys, under))
  const { usage, algorithm, mode, exportability } = header
  if (!isUsage(usage)) throw new KeyBlockError('unsupported', `the switch has no keys of usage ${usage}`)
  const terms = TERMS[usage]
  if (!isAlgorithm(algorithm) || !terms.algorithms.includes(algorithm)) {
    throw new KeyBlockError('unsupported', `a key of usage ${usage} is not of algorithm ${algorithm}`)
  }
  if (mode !== terms.mode && mode !== UNRESTRICTED) {
    throw new KeyBlockError('unsupported', `a key of usage ${usage} is used in mode ${terms.mode}, the block allows ${mode}`)
  }
  const value = reveal()
  if (!LENGTHS[algorithm].includes(value.length)) {
    throw new KeyBlockError('malformed', `a key of algorithm ${algorithm} does not have ${String(value.length)} bytes`)
  }
  const info = keys.put({ name, usage, algorithm, exportable: exportability !== 'N', value })
  value.fill(0)
  return info
}

/**
 * The block of a key that may leave its store: version D under an AES key, B under a TDES key. A key goes out under one that is at least
 * as strong (X9.24-1:2017 7.5), so no AES key under a TDES key, and no AES key under a shorter one.
 *
 * @throws KeyRefused
 */
export function exportKey(keys: KeyStore, name: string, under: string): string {
  const info = keys.list().find((known) => known.name === name)
  if (info === undefined) throw new KeyRefused(`there is no key ${name}`)
  const protection = protectionKey(keys, under)
  if (strength(info) > strength(protection.info)) throw new KeyRefused(`key ${under} is weaker than key ${name}`)
  const value = keys.reveal(name)
  const { usage, algorithm } = info
  const { mode } = TERMS[usage]
  const version = protection.info.algorithm === 'A' ? 'D' : 'B'
  const header = { version, usage, algorithm, mode, keyVersion: '00', exportability: 'E', optionalBlocks: [] } as const
  const block = makeKeyBlock(header, value, protection)
  value.fill(0)
  return block
}

/** What a key of this usage may be. */
export function algorithmsOf(usage: KeyUsage): readonly KeyAlgorithm[] {
  return TERMS[usage].algorithms
}

interface Terms {
  readonly algorithms: readonly KeyAlgorithm[]
  /** What the switch does with it, in the letters of X9.143 table 4. */
  readonly mode: 'B' | 'C' | 'X'
}

const TERMS: Readonly<Record<KeyUsage, Terms>> = {
  B0: { algorithms: ['T', 'A'], mode: 'X' },
  C0: { algorithms: ['T'], mode: 'C' },
  D0: { algorithms: ['A', 'T'], mode: 'B' },
  E0: { algorithms: ['T'], mode: 'X' },
  E1: { algorithms: ['T'], mode: 'X' },
  E2: { algorithms: ['T'], mode: 'X' },
  K0: { algorithms: ['T', 'A'], mode: 'B' },
  K1: { algorithms: ['T', 'A'], mode: 'B' },
  M3: { algorithms: ['T'], mode: 'C' },
  M6: { algorithms: ['T', 'A'], mode: 'C' },
  M7: { algorithms: ['H'], mode: 'C' },
  P0: { algorithms: ['T', 'A'], mode: 'B' },
  V1: { algorithms: ['T'], mode: 'C' },
  V2: { algorithms: ['T'], mode: 'C' },
}
const UNRESTRICTED = 'N'
const LENGTHS: Readonly<Record<KeyAlgorithm, readonly number[]>> = { T: [16, 24], A: [16, 24, 32], H: [32] }

export function isUsage(text: string): text is KeyUsage {
  return Object.hasOwn(TERMS, text)
}

function isAlgorithm(text: string): text is KeyAlgorithm {
  return Object.hasOwn(LENGTHS, text)
}

/** Usage K1 protects key blocks, K0 keys in general. */
function protectionKey(keys: KeyStore, name: string): KeyHandle {
  const usage = keys.list().find((known) => known.name === name)?.usage
  return keys.find(name, usage === 'K0' ? 'K0' : 'K1')
}

/** Bits of security (NIST SP 800-57-1 table 2); TDES with two keys counts 80. An HMAC key counts as its bytes do. */
function strength({ algorithm, bytes }: KeyInfo): number {
  if (algorithm === 'T') return bytes === 16 ? 80 : 112
  return bytes * 8
}
