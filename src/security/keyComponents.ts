/**
 * Keys that nobody knows whole: made of components, one a person, each as long as the key and combined by XOR (ANSI X9.24-1:2017 7.5.1; PCI
 * PIN Security 3.1, requirement 6). Whoever has all components but one knows nothing of the key.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto'
import { KeyRefused, type KeyAlgorithm } from './keys.ts'
import { softwareKey } from './softwareKeys.ts'

/**
 * A random key, or component of one: no weak one, and of odd parity with TDES.
 *
 * @param random for tests
 */
export function randomKey(algorithm: KeyAlgorithm, bytes: number, random: (bytes: number) => Buffer = randomBytes): Buffer {
  for (;;) {
    const drawn = random(bytes)
    const value = algorithm === 'T' ? withOddParity(drawn) : Buffer.from(drawn)
    drawn.fill(0)
    if (weaknessOf(algorithm, value) === undefined) return value
    value.fill(0)
  }
}

/**
 * The key. With TDES its parity is made odd, which changes no result and no check value; that of each component must be odd already, because
 * every other device makes it so, and half of all slips of the pen show there.
 *
 * @param components two or more
 * @returns the caller's to zero
 * @throws KeyRefused where a component or the key is none that anybody should use. It says nothing of their values
 */
export function combineComponents(algorithm: KeyAlgorithm, components: readonly Uint8Array[]): Buffer {
  const [first, ...others] = components
  if (first === undefined || others.length === 0) throw new KeyRefused('a key has two components or more')
  for (const [index, component] of components.entries()) {
    checkComponent(algorithm, first.length, component)
    if (components.slice(0, index).some((before) => timingSafeEqual(before, component))) {
      throw new KeyRefused('two components are the same: each is made by itself')
    }
  }
  const combined = Buffer.from(first)
  for (const component of others) {
    for (let at = 0; at < combined.length; at++) combined[at] = (combined[at] ?? 0) ^ (component[at] ?? 0)
  }
  const key = algorithm === 'T' ? withOddParity(combined) : Buffer.from(combined)
  combined.fill(0)
  const weakness = weaknessOf(algorithm, key)
  if (weakness === undefined) return key
  key.fill(0)
  throw new KeyRefused(`the key that these components make is not used: ${weakness}`)
}

/** @param bytes of the key. @throws KeyRefused */
export function checkComponent(algorithm: KeyAlgorithm, bytes: number, component: Uint8Array): void {
  if (component.length !== bytes) {
    throw new KeyRefused(`the component has ${String(component.length)} bytes, not ${String(bytes)}`)
  }
  if (algorithm === 'T' && !component.every((byte) => oddParity(byte) === byte)) {
    throw new KeyRefused('the component is not of odd parity, as every component for TDES is: look for a wrong digit')
  }
  if (component.every((byte) => (algorithm === 'T' ? byte >> 1 : byte) === 0)) {
    throw new KeyRefused('the component is zero: whoever has the other one would know the key')
  }
}

/** The check value of a key or component, 6 hexadecimal digits: that of `KeyInfo`. */
export function checkValueOf(algorithm: KeyAlgorithm, value: Uint8Array): string {
  return softwareKey({ name: 'component', usage: algorithm === 'H' ? 'M7' : 'K0', algorithm, exportable: false, value }).info.kcv
}

/** FIPS 46-3: each byte of a DES key has an odd number of ones. */
export function withOddParity(key: Uint8Array): Buffer {
  return Buffer.from(key.map(oddParity))
}

function oddParity(byte: number): number {
  let ones = 0
  for (let rest = byte >> 1; rest !== 0; rest >>= 1) ones += rest & 1
  return (byte & 0xfe) | (ones % 2 === 0 ? 1 : 0)
}

const DES_KEY_BYTES = 8

/** NIST SP 800-67r2 3.3.2: weak and semi-weak keys of DES. */
const WEAK_DES_KEYS: ReadonlySet<string> = new Set([
  ...['0101010101010101', 'FEFEFEFEFEFEFEFE', 'E0E0E0E0F1F1F1F1', '1F1F1F1F0E0E0E0E', '01FE01FE01FE01FE', 'FE01FE01FE01FE01'],
  ...['1FE01FE00EF10EF1', 'E01FE01FF10EF10E', '01E001E001F101F1', 'E001E001F101F101', '1FFE1FFE0EFE0EFE', 'FE1FFE1FFE0EFE0E'],
  ...['011F011F010E010E', '1F011F010E010E01', 'E0FEE0FEF1FEF1FE', 'FEE0FEE0FEF1FEF1'],
])

/** What is wrong with a key; undefined where nothing is. */
function weaknessOf(algorithm: KeyAlgorithm, key: Buffer): string | undefined {
  if (algorithm !== 'T') return key.every((byte) => byte === key[0]) ? 'all its bytes are the same' : undefined
  const parts: Buffer[] = []
  for (let at = 0; at < key.length; at += DES_KEY_BYTES) parts.push(key.subarray(at, at + DES_KEY_BYTES))
  if (parts.some((part) => WEAK_DES_KEYS.has(part.toString('hex').toUpperCase()))) return 'a part of it is a weak key of DES'
  const same = parts.some((part, index) => parts.slice(0, index).some((before) => timingSafeEqual(before, part)))
  return same ? 'two parts of it are the same, which makes it a shorter key' : undefined
}
