import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { checkComponent, checkValueOf, combineComponents, randomKey, withOddParity } from '../../src/security/keyComponents.ts'
import { KeyRefused, type KeyAlgorithm } from '../../src/security/keys.ts'
import { softwareKey } from '../../src/security/softwareKeys.ts'
import { hex } from './clearKeys.ts'

const SHAPES: [KeyAlgorithm, number][] = [
  ['T', 16],
  ['T', 24],
  ['A', 16],
  ['A', 24],
  ['A', 32],
  ['H', 32],
]

const xor = (a: Uint8Array, b: Uint8Array): Buffer => Buffer.from(a.map((byte, at) => byte ^ (b[at] ?? 0)))
const isOdd = (bytes: Uint8Array): boolean => bytes.every((byte) => byte.toString(2).replaceAll('0', '').length % 2 === 1)

describe('components', () => {
  test.each(SHAPES)(
    '%s %i: a key is made of all of its components, in any order, and leaves them as they were',
    (algorithm, bytes) => {
      fc.assert(
        fc.property(fc.integer({ min: 2, max: 5 }), (count) => {
          const components = Array.from({ length: count }, () => randomKey(algorithm, bytes))
          const before = components.map((component) => Buffer.from(component))
          const key = combineComponents(algorithm, components)
          const all = components.reduce((sum, component) => xor(sum, component))
          expect(key).toEqual(algorithm === 'T' ? withOddParity(all) : all)
          expect(components).toEqual(before)
          expect(combineComponents(algorithm, components.toReversed())).toEqual(key)
        }),
        { numRuns: 20 },
      )
    },
  )

  test('of TDES have odd parity, and so has the key', () => {
    const components = [randomKey('T', 16), randomKey('T', 16)]
    expect(components.every(isOdd)).toBe(true)
    expect(isOdd(xor(components[0]!, components[1]!))).toBe(false)
    expect(isOdd(combineComponents('T', components))).toBe(true)
  })

  test('with one wrong bit are refused with TDES, whichever it is', () => {
    for (let bit = 0; bit < 128; bit++) {
      const component = randomKey('T', 16)
      component[bit >> 3]! ^= 1 << (bit & 7)
      expect(() => checkComponent('T', 16, component)).toThrow(/odd parity/)
    }
  })

  test.each<[string, KeyAlgorithm, Buffer[]]>([
    ['only one', 'A', [randomBytes(16)]],
    ['none', 'A', []],
    ['of another length', 'A', [randomBytes(16), randomBytes(24)]],
    ['the same twice', 'A', [hex('01'.repeat(16)), hex('02'.repeat(16)), hex('01'.repeat(16))]],
    ['a zero one', 'A', [randomBytes(16), Buffer.alloc(16)]],
    ['a zero one but for parity', 'T', [randomKey('T', 16), Buffer.alloc(16, 1)]],
    ['that make zero', 'A', [hex('01'.repeat(16)), hex('02'.repeat(16)), hex('03'.repeat(16))]],
    ['that make equal halves', 'T', [hex('0123456789ABCDEFFEDCBA9876543210'), hex('0202040407070808FDFDFBFBF8F8F7F7')]],
  ])('%s are refused, and the error does not show them', (_what, algorithm, components) => {
    const combine = (): Buffer => combineComponents(algorithm, components)
    expect(combine).toThrow(KeyRefused)
    expect(combine).not.toThrow(/[\dA-F]{4}/i)
  })

  test('that make a weak or semi-weak key of DES are refused', () => {
    const component = randomKey('T', 16)
    for (const weak of ['0101010101010101', 'FEFEFEFEFEFEFEFE', 'E0E0E0E0F1F1F1F1', '01FE01FE01FE01FE', 'FEE0FEE0FEF1FEF1']) {
      const other = withOddParity(xor(component, hex(`${weak}0123456789ABCDEF`)))
      expect(() => combineComponents('T', [component, other])).toThrow(/is not used: a part of it is a weak key/)
    }
  })

  test('of triple length whose key is a shorter one are refused', () => {
    const component = randomKey('T', 24)
    const [a, b] = [hex('0123456789ABCDEF'), hex('FEDCBA9876543210')]
    for (const parts of [
      [a, b, a],
      [a, a, b],
      [b, a, a],
    ]) {
      const other = withOddParity(xor(component, Buffer.concat(parts)))
      expect(() => combineComponents('T', [component, other])).toThrow(/two parts of it are the same/)
    }
  })
})

test('a random key is drawn again where it is weak', () => {
  const drawn = [Buffer.alloc(16), Buffer.alloc(16, 0xfe), hex('0123456789ABCDEFFEDCBA9876543210')]
  expect(randomKey('T', 16, () => drawn.shift()!)).toEqual(hex('0123456789ABCDEFFEDCBA9876543210'))
  const same = [Buffer.alloc(32), hex('01'.repeat(31) + '02')]
  expect(randomKey('A', 32, () => same.shift()!)).toEqual(hex('01'.repeat(31) + '02'))
})

test.each(SHAPES)('%s %i: the check value is that of a key', (algorithm, bytes) => {
  const value = randomKey(algorithm, bytes)
  const key = softwareKey({ name: 'k', usage: 'M7', algorithm, exportable: false, value })
  expect(checkValueOf(algorithm, value)).toBe(key.info.kcv)
})

test('parity changes no check value', () => {
  const value = randomBytes(16)
  expect(checkValueOf('T', withOddParity(value))).toBe(checkValueOf('T', value))
})
