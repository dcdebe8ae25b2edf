import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { KeyHandle } from '../../src/security/keys.ts'
import { cmac } from '../../src/security/mac.ts'
import { handleOf, hex } from './clearKeys.ts'
import vectors from './vectors/mac.json' with { type: 'json' }

/** ISO 9797-1 padding for methods 2 and 3; method 1 is the function's own. */
function padded(data: Buffer, method: number): Buffer {
  if (method === 2) return Buffer.concat([data, Buffer.of(0x80)])
  if (method === 1) return data
  const bits = Buffer.alloc(8)
  bits.writeUInt32BE(data.length * 8, 4)
  return Buffer.concat([bits, data])
}

describe('retail MAC', () => {
  test.each(vectors.retail_iso9797_alg3)(
    '$data_ascii under $key, padding $pad',
    ({ key, data_ascii, pad, mac4, mac8, computed_mac8 }) => {
      const mac = handleOf('M3', 'T', key).mac(padded(Buffer.from(data_ascii), pad))
      expect(mac).toEqual(hex(mac8 ?? computed_mac8))
      if (mac4 !== undefined) expect(mac.subarray(0, 4)).toEqual(hex(mac4))
    },
  )
})

describe('CBC MAC, chained with the key itself', () => {
  test.each(vectors.cbc_mac_tdes_alg1)('$data_ascii, padding $pad', ({ key, data_ascii, pad, mac8 }) => {
    const handle = handleOf('D0', 'T', key)
    const data = padded(Buffer.from(data_ascii), pad)
    let chained = Buffer.alloc(8)
    for (let at = 0; at < data.length; at += 8) {
      for (let i = 0; i < 8; i++) chained[i] = (chained[i] ?? 0) ^ (data[at + i] ?? 0)
      chained = Buffer.from(handle.encrypt(chained))
    }
    expect(chained).toEqual(hex(mac8))
  })
})

describe('CMAC', () => {
  test.each(vectors.aes128_cmac)('AES-128 of $data', ({ key, data, cmac: expected }) => {
    expect(handleOf('M6', 'A', key).mac(hex(data))).toEqual(hex(expected))
  })

  test.each(vectors.tdes_cmac)('TDES of $data under $key', ({ key, data, cmac: expected }) => {
    expect(handleOf('M6', 'T', key).mac(hex(data))).toEqual(hex(expected))
  })

  test('chains with ECB where there is no CBC', () => {
    for (const { key, data, cmac: expected } of vectors.aes128_cmac) {
      const handle = handleOf('M6', 'A', key)
      expect(cmac((blocks) => handle.encrypt(blocks), 16)(hex(data))).toEqual(hex(expected))
    }
  })
})

describe.each<[string, KeyHandle]>([
  ['retail MAC', handleOf('M3', 'T', '0123456789ABCDEFFEDCBA9876543210')],
  ['CMAC with AES', handleOf('M6', 'A', '2B7E151628AED2A6ABF7158809CF4F3C')],
  ['CMAC with TDES', handleOf('M6', 'T', '0123456789ABCDEF23456789ABCDEF01456789ABCDEF0123')],
  ['HMAC', handleOf('M7', 'H', '0B'.repeat(32))],
])('%s', (_name, handle) => {
  test('of a batch is that of each message, whatever their number and lengths', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 70, size: 'max' }), { maxLength: 40, size: 'max' }), (messages) => {
        expect(handle.macs(messages)).toEqual(messages.map((message) => handle.mac(message)))
      }),
    )
  })

  test('does not depend on what was authenticated before', () => {
    const message = Buffer.from('0200 and so on')
    const first = Buffer.from(handle.mac(message))
    handle.mac(Buffer.from('something else, of more than one block'))
    expect(handle.mac(message)).toEqual(first)
  })

  test('leaves the messages as they are, and its results alone later', () => {
    const messages = Array.from({ length: 13 }, (_, index) => Buffer.alloc(32, index))
    const before = messages.map((message) => Buffer.from(message))
    const macs = handle.macs(messages)
    const copies = macs.map((mac) => Buffer.from(mac))
    handle.macs([...messages].reverse())
    const [one] = messages
    handle.mac(one ?? Buffer.alloc(0))
    expect(messages).toEqual(before)
    expect(macs).toEqual(copies)
  })

  test('changes with every byte and with the length', () => {
    const message = Buffer.from('0123456789abcdef0123456789abcdef0')
    const seen = new Set([handle.mac(message).toString('hex')])
    for (let at = 0; at < message.length; at++) {
      const changed = Buffer.from(message)
      changed[at] = (changed[at] ?? 0) ^ 1
      seen.add(handle.mac(changed).toString('hex'))
    }
    seen.add(handle.mac(message.subarray(0, 32)).toString('hex'))
    expect(seen.size).toBe(message.length + 2)
  })
})
