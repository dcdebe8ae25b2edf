import { expect, test } from 'vitest'
import { macOperations } from '../../src/security/macOperations.ts'
import { softwareKeyStore } from '../../src/security/softwareKeys.ts'
import { hex, newKey } from './clearKeys.ts'

const keys = softwareKeyStore([
  newKey('mak.retail', 'M3', 'T', '0123456789ABCDEFFEDCBA9876543210'),
  newKey('mak.aes', 'M6', 'A', '2B7E151628AED2A6ABF7158809CF4F3C'),
  newKey('mak.triple', 'M3', 'T', '0123456789ABCDEF23456789ABCDEF01456789ABCDEF0123'),
  newKey('zpk', 'P0', 'T', '0123456789ABCDEFFEDCBA9876543210'),
])
const macs = macOperations(keys)

// ISO 9797-1:2011 B.4, and RFC 4493 example 2.
const retail = { key: 'mak.retail', data: Buffer.from('Now is the time for all ') }
const aes = { key: 'mak.aes', data: hex('6BC1BEE22E409F96E93D7E117393172A') }
const RETAIL = 'A1C72E74EA3FA9B6'
const AES = '070A16B46B4D4144F79BDD9DD04A287C'

test('makes whole MACs, by the usage of the key, each item in order', () => {
  const batch = [
    aes,
    retail,
    { ...retail, key: 'none' },
    { ...retail, key: 'zpk' },
    { ...retail, key: 'mak.triple' },
    retail,
    aes,
  ]
  const expected = [
    { kind: 'made', mac: hex(AES) },
    { kind: 'made', mac: hex(RETAIL) },
    ...['none', 'zpk', 'mak.triple'].map(() => ({ kind: 'refused' })),
    { kind: 'made', mac: hex(RETAIL) },
    { kind: 'made', mac: hex(AES) },
  ]
  expect(macs.macs(batch)).toEqual(expected)
  expect(macs.macs(batch)).toEqual(expected)
  expect(macs.macs([])).toEqual([])
})

test('verifies what came, eight bytes or the whole MAC', () => {
  expect(
    macs.verifyMacs([
      { ...retail, given: hex(RETAIL) },
      { ...aes, given: hex(AES) },
      { ...aes, given: hex(AES).subarray(0, 8) },
      { ...aes, given: hex(RETAIL) },
      { ...retail, data: Buffer.from('Now is the time for all!'), given: hex(RETAIL) },
      { ...retail, key: 'none', given: hex(RETAIL) },
      { ...retail, given: hex(RETAIL) },
    ]),
  ).toEqual(['valid', 'valid', 'valid', 'invalid', 'invalid', 'refused', 'valid'])
})

test('a MAC with any bit changed is invalid', () => {
  for (let bit = 0; bit < 64; bit++) {
    const given = hex(RETAIL)
    given[bit >> 3] = (given[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    expect(macs.verifyMacs([{ ...retail, given }])).toEqual(['invalid'])
  }
})

test('fewer than eight bytes, or more than the MAC has, are invalid', () => {
  for (const length of [0, 1, 4, 7]) {
    expect(macs.verifyMacs([{ ...retail, given: hex(RETAIL).subarray(0, length) }])).toEqual(['invalid'])
  }
  expect(macs.verifyMacs([{ ...retail, given: hex(`${RETAIL}00`) }])).toEqual(['invalid'])
  expect(macs.verifyMacs([{ ...aes, given: hex(`${AES}00`) }])).toEqual(['invalid'])
})

test('follows a key that is replaced by one of the other usage', () => {
  const store = softwareKeyStore([newKey('mak', 'M3', 'T', '0123456789ABCDEFFEDCBA9876543210')])
  const operations = macOperations(store)
  for (const [usage, algorithm, value, request, expected] of [
    ['M3', 'T', '0123456789ABCDEFFEDCBA9876543210', retail, RETAIL],
    ['M6', 'A', '2B7E151628AED2A6ABF7158809CF4F3C', aes, AES],
    ['M3', 'T', '0123456789ABCDEFFEDCBA9876543210', retail, RETAIL],
  ] as const) {
    store.remove('mak')
    store.put(newKey('mak', usage, algorithm, value))
    expect(operations.macs([{ key: 'mak', data: request.data }])).toEqual([{ kind: 'made', mac: hex(expected) }])
  }
})
