import { describe, expect, test } from 'vitest'
import { aesCounter, aesInitialKey, aesInitialKeyId, aesTransactionKeys, aesWorkingKey } from '../../src/security/dukptAes.ts'
import { KeyRefused } from '../../src/security/keys.ts'
import { buildPinBlock, encipherPinBlocks } from '../../src/security/pinBlock.ts'
import { digits, handleOf, hex } from './clearKeys.ts'
import vectors from './vectors/dukptAes.json' with { type: 'json' }

interface Row {
  readonly ksn: string
  readonly txn_key: string
  readonly pin_key?: string
  readonly mac_gen_key?: string
  readonly data_enc_key?: string
  readonly enc_pinblock_fmt4?: string
}

describe.each([
  ['AES-128', vectors.dukpt_aes128],
  ['AES-256', vectors.dukpt_aes256],
])('%s', (_name, { bdk, ikid, ik, pin, pan, pin_field, rows }) => {
  const base = handleOf('B0', 'A', bdk)

  test('initial key', () => {
    expect(aesInitialKey(base, hex(ikid))).toEqual(hex(ik))
    for (const { ksn } of rows) expect(aesInitialKey(base, hex(ksn))).toEqual(hex(ik))
  })

  test.each<Row>(rows)('keys of KSN $ksn', ({ ksn, txn_key, pin_key, mac_gen_key, data_enc_key, enc_pinblock_fmt4 }) => {
    const key = aesTransactionKeys(hex(ik), hex(ksn))(aesCounter(hex(ksn)) ?? 0)
    expect(key).toEqual(hex(txn_key))
    if (pin_key !== undefined) expect(aesWorkingKey(key, 'pin', hex(ksn))).toEqual(hex(pin_key))
    if (pin_key !== undefined && enc_pinblock_fmt4 !== undefined) {
      expect(encipherPinBlocks(4, handleOf('P0', 'A', pin_key), hex(pin_field), [pan])).toEqual(hex(enc_pinblock_fmt4))
    }
    if (mac_gen_key !== undefined) expect(aesWorkingKey(key, 'mac-generation', hex(ksn))).toEqual(hex(mac_gen_key))
    if (data_enc_key !== undefined) expect(aesWorkingKey(key, 'data-encryption', hex(ksn))).toEqual(hex(data_enc_key))
  })

  test('PIN field', () => {
    expect(buildPinBlock(4, digits(pin), pan, () => hex(pin_field).subarray(8))).toEqual(hex(pin_field))
  })

  test('keys do not depend on the order in which counters come', () => {
    const keys = aesTransactionKeys(hex(ik), hex(`${ikid}00000001`))
    for (const { ksn, txn_key } of [...rows, ...[...rows].reverse()]) {
      expect(keys(aesCounter(hex(ksn)) ?? 0)).toEqual(hex(txn_key))
    }
  })
})

test('MACs of request and response', () => {
  const { ik, cmac } = vectors.dukpt_aes128
  const key = aesTransactionKeys(hex(ik), hex(cmac.ksn))(aesCounter(hex(cmac.ksn)) ?? 0)
  const mac = (purpose: 'mac-generation' | 'mac-verification'): Buffer =>
    handleOf('M6', 'A', aesWorkingKey(key, purpose, hex(cmac.ksn)).toString('hex')).mac(Buffer.from(cmac.data_ascii))
  expect(mac('mac-generation')).toEqual(hex(cmac.cmac_request))
  expect(mac('mac-verification')).toEqual(hex(cmac.cmac_response))
})

test('an AES-192 base key gives keys of its own length, all of them different', () => {
  const base = handleOf('B0', 'A', '000102030405060708090A0B0C0D0E0F1011121314151617')
  const ksn = hex('123456789012345600000003')
  const initial = aesInitialKey(base, ksn)
  const key = aesTransactionKeys(initial, ksn)(3)
  const keys = [
    initial,
    key,
    ...(['pin', 'mac-generation', 'mac-verification', 'data-encryption', 'data-decryption'] as const).map((purpose) =>
      aesWorkingKey(key, purpose, ksn),
    ),
  ]
  expect(keys.map(({ length }) => length)).toEqual(keys.map(() => 24))
  expect(new Set(keys.map((each) => each.toString('hex'))).size).toBe(keys.length)
  // X9.24-3:2017 6.3.2: two blocks, of which the second is cut; algorithm 3, 192 bits.
  expect(initial).toEqual(
    base.encrypt(hex('01018001000300C01234567890123456' + '01028001000300C01234567890123456')).subarray(0, 24),
  )
})

test('the counter is 32 bits with one to sixteen set; the rest names the terminal', () => {
  expect(aesCounter(hex('123456789012345600000001'))).toBe(1)
  expect(aesCounter(hex('1234567890123456FFFF0000'))).toBe(0xffff0000)
  expect(aesCounter(hex('123456789012345680000001'))).toBe(0x80000001)
  expect(aesCounter(hex('1234567890123456FFFF0001'))).toBeUndefined()
  expect(aesCounter(hex('123456789012345600000000'))).toBeUndefined()
  expect(aesCounter(hex('1234567890123456000000'))).toBeUndefined()
  expect(aesCounter(hex('12345678901234560000000100'))).toBeUndefined()
  expect(aesInitialKeyId(hex('1234567890123456FFFF0000'))).toBe('1234567890123456')
})

test('a counter with the highest bit set has its key, before and after a small one', () => {
  const { ik } = vectors.dukpt_aes128
  const keys = aesTransactionKeys(hex(ik), hex('123456789012345680000001'))
  const alone = keys(0x80000001)
  keys(1)
  expect(keys(0x80000001)).toEqual(alone)
  expect(keys(0x80000000)).not.toEqual(alone)
  expect(keys(0x80000001)).toEqual(alone)
})

test('a TDES base key is refused', () => {
  expect(() => aesInitialKey(handleOf('B0', 'T', '00'.repeat(16)), hex('123456789012345600000001'))).toThrow(KeyRefused)
})
