/**
 * The keys of the demo programme: made from their names, so that every development switch, load generator and test has the same. Known to
 * everybody, so refused in production, where a token holds keys that nobody knows (spec/security.md).
 */
import { createHash } from 'node:crypto'
import { withOddParity } from './keyComponents.ts'
import type { KeyAlgorithm, KeyUsage, NewKey } from './keys.ts'

type Row = readonly [name: string, usage: KeyUsage, algorithm: KeyAlgorithm, bytes: 16 | 24 | 32]

const ROWS: readonly Row[] = [
  ['imk-ac.9818', 'E0', 'T', 16],
  ['imk-smi.9818', 'E2', 'T', 16],
  ['imk-ac.981805', 'E0', 'T', 16],
  ['imk-smi.981805', 'E2', 'T', 16],
  ['pvk.9818', 'V2', 'T', 16],
  ['pvk.981805', 'V1', 'T', 16],
  ['cvk.9818', 'C0', 'T', 16],
  ['data.1', 'D0', 'A', 32],
  ['bdk.tdes', 'B0', 'T', 16],
  ['bdk.aes', 'B0', 'A', 32],
  ...['atm', 'pos', 'gateway', 'secure', 'http'].flatMap((link): Row[] => [
    [`zpk.${link}`, 'P0', 'T', 16],
    [`zpk-aes.${link}`, 'P0', 'A', 16],
    [`mac-retail.${link}`, 'M3', 'T', 16],
    [`mac.${link}`, 'M6', 'A', 16],
    [`transport.${link}`, 'K1', 'A', 32],
  ]),
]

/** Keys of one kind have one value on all links, so that a virtual terminal need not know which it will speak to. */
export function developmentKeys(): NewKey[] {
  return ROWS.map(([name, usage, algorithm, bytes]) => ({
    name,
    usage,
    algorithm,
    exportable: usage !== 'K1',
    value: developmentKey(LINK_KEY.exec(name)?.[1] ?? name, algorithm, bytes),
  }))
}

const LINK_KEY = /^(zpk|zpk-aes|mac|mac-retail|transport)\./

function developmentKey(name: string, algorithm: KeyAlgorithm, bytes: number): Buffer {
  const value = createHash('sha256').update(`sarf development key ${name}`).digest().subarray(0, bytes)
  return algorithm === 'T' ? withOddParity(value) : value
}
