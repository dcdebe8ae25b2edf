import { createCipheriv } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import {
  tdesCounter,
  tdesInitialKey,
  tdesInitialKeyId,
  tdesTransactionKeys,
  tdesVariantKey,
} from '../../src/security/dukptTdes.ts'
import { KeyRefused } from '../../src/security/keys.ts'
import { buildPinBlock, encipherPinBlocks } from '../../src/security/pinBlock.ts'
import { digits, handleOf, hex } from './clearKeys.ts'
import vectors from './vectors/dukptTdes.json' with { type: 'json' }

const base = handleOf('B0', 'T', vectors.bdk)

function transactionKey(ksn: string): Buffer {
  return tdesTransactionKeys(hex(vectors.ik), hex(ksn))(tdesCounter(hex(ksn)) ?? 0)
}

test('the initial key needs the base key only to encipher, and any KSN of the terminal', () => {
  expect(tdesInitialKey(base, hex(vectors.iksn))).toEqual(hex(vectors.ik))
  for (const { ksn } of vectors.rows) expect(tdesInitialKey(base, hex(ksn))).toEqual(hex(vectors.ik))
})

test('the clear PIN block of the vectors', () => {
  expect(buildPinBlock(0, digits(vectors.pin), vectors.pan)).toEqual(hex(vectors.clear_pinblock_fmt0))
})

describe.each(vectors.rows)('KSN $ksn', ({ ksn, txn_key, enc_pinblock, mac_req4, mac_rsp4, enc_data_req }) => {
  const data = Buffer.from(vectors.txn_data_ascii)

  test('transaction key', () => {
    expect(transactionKey(ksn)).toEqual(hex(txn_key))
  })

  test('PIN', () => {
    const key = handleOf('P0', 'T', tdesVariantKey(hex(txn_key), 'pin').toString('hex'))
    expect(encipherPinBlocks(0, key, hex(vectors.clear_pinblock_fmt0), [vectors.pan])).toEqual(hex(enc_pinblock))
  })

  test('MAC of request and response', () => {
    const mac = (variant: 'mac-request' | 'mac-response'): Buffer =>
      handleOf('M3', 'T', tdesVariantKey(hex(txn_key), variant).toString('hex'))
        .mac(data)
        .subarray(0, 4)
    expect(mac('mac-request')).toEqual(hex(mac_req4))
    expect(mac('mac-response')).toEqual(hex(mac_rsp4))
  })

  test('data of a request', () => {
    const cbc = createCipheriv('des-ede-cbc', tdesVariantKey(hex(txn_key), 'data-request'), Buffer.alloc(8)).setAutoPadding(false)
    expect(cbc.update(Buffer.concat([data, Buffer.alloc(7)]))).toEqual(hex(enc_data_req))
  })
})

test('keys do not depend on the order in which counters come', () => {
  const rows = [...vectors.rows, ...[...vectors.rows].reverse(), ...vectors.rows.filter((_, index) => index % 3 === 0)]
  const keys = tdesTransactionKeys(hex(vectors.ik), hex(vectors.iksn))
  for (const { ksn, txn_key } of rows) expect(keys(tdesCounter(hex(ksn)) ?? 0)).toEqual(hex(txn_key))
})

test('a key that was handed out stays when the next is made', () => {
  const keys = tdesTransactionKeys(hex(vectors.ik), hex(vectors.iksn))
  const [first, second] = vectors.rows
  const key = keys(tdesCounter(hex(first?.ksn ?? '')) ?? 0)
  keys(tdesCounter(hex(second?.ksn ?? '')) ?? 0)
  expect(key).toEqual(hex(first?.txn_key ?? ''))
})

test('the counter is 21 bits with one to ten set; the rest names the terminal', () => {
  expect(tdesCounter(hex('FFFF9876543210E00001'))).toBe(1)
  expect(tdesCounter(hex('FFFF9876543210F00000'))).toBe(0x100000)
  expect(tdesCounter(hex('FFFF9876543210E003FF'))).toBe(0x3ff)
  expect(tdesCounter(hex('FFFF9876543210E007FF'))).toBeUndefined()
  expect(tdesCounter(hex('FFFF9876543210E00000'))).toBeUndefined()
  expect(tdesCounter(hex('FFFF9876543210E001'))).toBeUndefined()
  expect(tdesCounter(hex('FFFF9876543210E0000100'))).toBeUndefined()
  expect(tdesInitialKeyId(hex('FFFF9876543210F12345'))).toBe('ffff9876543210e00000')
})

test('another base key is refused', () => {
  expect(() => tdesInitialKey(handleOf('B0', 'A', '00'.repeat(16)), hex(vectors.iksn))).toThrow(KeyRefused)
  expect(() => tdesInitialKey(handleOf('B0', 'T', '00'.repeat(24)), hex(vectors.iksn))).toThrow(KeyRefused)
  expect(() => tdesInitialKey(handleOf('P0', 'T', vectors.bdk), hex(vectors.iksn))).toThrow(KeyRefused)
})
