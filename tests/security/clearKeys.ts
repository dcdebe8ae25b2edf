/** Keys of known value, for tests of what is done with them. */
import type { KeyAlgorithm, KeyHandle, KeyUsage, NewKey } from '../../src/security/keys.ts'
import { softwareKey } from '../../src/security/softwareKeys.ts'

export function hex(digits: string): Buffer {
  return Buffer.from(digits, 'hex')
}

export function newKey(name: string, usage: KeyUsage, algorithm: KeyAlgorithm, value: string): NewKey {
  return { name, usage, algorithm, exportable: false, value: hex(value) }
}

export function handleOf(usage: KeyUsage, algorithm: KeyAlgorithm, value: string): KeyHandle {
  return softwareKey(newKey('key', usage, algorithm, value))
}

/** A digit a byte. */
export function digits(text: string): Buffer {
  return Buffer.from(Array.from(text, Number))
}
