import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decode, type DecodeError } from '../../src/iso8583/decode.ts'
import type { Message } from '../../src/iso8583/message.ts'
import { messageSpec, type SpecName } from '../../src/iso8583/messageSpec.ts'
import { arbitraryMessage, encoded, PAN, PURCHASE, SPECS } from './samples.ts'

function decoded(name: SpecName, bytes: Buffer): Message {
  const result = decode(messageSpec(name), bytes)
  if (!result.ok) expect.fail(JSON.stringify({ ...result.error, partial: undefined }))
  return result.message
}

function refused(name: SpecName, bytes: Buffer): DecodeError {
  const result = decode(messageSpec(name), bytes)
  if (result.ok) expect.fail('the message was accepted')
  return result.error
}

describe.each(SPECS)('every message of the %s spec', (name) => {
  const spec = messageSpec(name)

  test('decodes to what was encoded', () => {
    fc.assert(
      fc.property(arbitraryMessage(spec), ({ mti, values }) => {
        const message = decoded(name, encoded(name, mti, values))
        expect(message.mti).toBe(mti)
        expect(message.fields()).toEqual(Object.keys(values).map(Number))
        for (const [de, text] of Object.entries(values)) expect(message.text(Number(de))).toBe(text)
      }),
      { numRuns: 150 },
    )
  })

  test('is refused with a typed error when it is cut off anywhere', () => {
    const bytes = encoded(name, '0200', { ...PURCHASE, 90: '0'.repeat(42) })
    for (let length = 0; length < bytes.length; length++) {
      const error = refused(name, bytes.subarray(0, length))
      expect(error.offset).toBeLessThanOrEqual(length)
      expect(error.code).not.toBe('trailing-bytes')
    }
  })

  test('gives a message or a typed error whatever bits are flipped, and never a card number in the error', () => {
    const bytes = encoded(name, '0200', { ...PURCHASE, 54: '0002818C000000001250', 95: `${'0'.repeat(24)}C00000000D00000000` })
    fc.assert(
      fc.property(fc.array(fc.nat({ max: bytes.length * 8 - 1 }), { minLength: 1, maxLength: 4 }), (flips) => {
        const broken = Buffer.from(bytes)
        for (const bit of flips) broken[bit >> 3] = (broken[bit >> 3] ?? 0) ^ (1 << (bit & 7))
        const result = decode(spec, broken)
        const message = result.ok ? result.message : result.error.partial
        for (const de of message?.fields() ?? []) expect(message?.text(de)).toBeTypeOf('string')
        if (!result.ok) expect(JSON.stringify({ ...result.error, partial: undefined })).not.toContain(PAN.slice(6))
      }),
      { numRuns: 500 },
    )
  })

  test('gives a message or a typed error for any bytes at all', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.boolean(), (noise, withMti) => {
        const head = encoded(name, '0800', {}).subarray(0, spec.mti === 'bcd' ? 2 : 4)
        const result = decode(spec, Buffer.concat(withMti ? [head, noise] : [noise]))
        if (!result.ok) expect(result.error.path).not.toBe('')
      }),
      { numRuns: 500 },
    )
  })

  test('is refused with bytes behind its last field', () => {
    const bytes = encoded(name, '0800', { 11: '000001', 70: '301' })
    expect(refused(name, Buffer.concat([bytes, Buffer.from('0')]))).toMatchObject({
      code: 'trailing-bytes',
      offset: bytes.length,
    })
  })

  test('is refused when it announces a third bitmap', () => {
    const bytes = encoded(name, '0800', { 11: '000001', 70: '301' })
    const second = (spec.mti === 'bcd' ? 2 : 4) + (spec.bitmap === 'hex' ? 16 : 8)
    bytes[second] = spec.bitmap === 'hex' ? 0x38 : (bytes[second] ?? 0) | 0x80
    expect(refused(name, bytes)).toMatchObject({ code: 'third-bitmap', path: 'bitmap', offset: second })
  })

  test('shows binary fields as upper-case hex and as bytes, others only as text', () => {
    const message = decoded(name, encoded(name, '0200', PURCHASE))
    expect(message.text(52)).toBe(PURCHASE[52])
    expect(message.bytes(52)).toEqual(Buffer.from(PURCHASE[52], 'hex'))
    expect(message.bytes(55)).toEqual(Buffer.from(PURCHASE[55], 'hex'))
    expect(message.bytes(41)).toBeUndefined()
    expect(message.text(43)).toBeUndefined()
    expect([message.has(41), message.has(43)]).toEqual([true, false])
  })

  test('keeps what decoded before and behind a field with wrong content, so that it can be answered', () => {
    const bytes = encoded(name, '0200', PURCHASE)
    const message = decoded(name, bytes) as Message & { place(de: number): { contentOffset: number } }
    const broken = Buffer.from(bytes)
    broken[message.place(4).contentOffset + 3] = 0xfe
    const error = refused(name, broken)
    expect(error).toMatchObject({ code: 'bad-character', path: 'DE 4', offset: message.place(4).contentOffset + 3 })
    expect(error.found).toBe('byte FE')
    expect(error.partial?.mti).toBe('0200')
    expect(error.partial?.has(4)).toBe(false)
    expect([error.partial?.text(2), error.partial?.text(11), error.partial?.text(41)]).toEqual([PAN, '000001', 'TERM0001'])
  })

  test.each([
    [48, 'LV00', 'DE 48'],
    [54, '0002818X000000001250', 'DE 54.1'],
    [55, '9F2609', 'DE 55.9F26'],
    [95, 'X'.repeat(42), 'DE 95'],
  ])('is refused when DE %i holds %s', (de, content, path) => {
    const field = spec.fields[de]
    if (field === undefined) expect.fail()
    // The sound neighbours of the same length are written, then the content is exchanged.
    const raw = field.coding === 'binary' ? Buffer.from(content, 'hex') : Buffer.from(content, 'latin1')
    const length = raw.length
    const sound: Record<number, string> = {
      46: 'A'.repeat(length),
    }
    const carrier = encoded(name, '0200', field.lengthDigits === 0 ? { 90: '1'.repeat(42) } : sound)
    const at = carrier.length - (field.lengthDigits === 0 ? 0 : length)
    const bitmapAt = spec.mti === 'bcd' ? 2 : 4
    const bytes = field.lengthDigits === 0 ? withField(name, bitmapAt, de, raw) : Buffer.concat([carrier.subarray(0, at), raw])
    if (field.lengthDigits > 0) moveBit(name, bytes, bitmapAt, 46, de)
    expect(refused(name, bytes).path).toBe(path)
  })
})

/** A message of one fixed field of the secondary bitmap. */
function withField(name: SpecName, bitmapAt: number, de: number, raw: Buffer): Buffer {
  const bits = Buffer.alloc(16)
  for (const bit of [1, de]) bits[(bit - 1) >> 3] = (bits[(bit - 1) >> 3] ?? 0) | (0x80 >> ((bit - 1) & 7))
  const bitmap = messageSpec(name).bitmap === 'hex' ? Buffer.from(bits.toString('hex')) : bits
  return Buffer.concat([encoded(name, '0200', {}).subarray(0, bitmapAt), bitmap, raw])
}

/** Says in the primary bitmap that the field is another one. */
function moveBit(name: SpecName, bytes: Buffer, bitmapAt: number, from: number, to: number): void {
  const isHex = messageSpec(name).bitmap === 'hex'
  const bits = isHex
    ? Buffer.from(bytes.toString('latin1', bitmapAt, bitmapAt + 16), 'hex')
    : Buffer.from(bytes.subarray(bitmapAt, bitmapAt + 8))
  for (const bit of [from, to]) bits[(bit - 1) >> 3] = (bits[(bit - 1) >> 3] ?? 0) ^ (0x80 >> ((bit - 1) & 7))
  bytes.set(isHex ? Buffer.from(bits.toString('hex')) : bits, bitmapAt)
}

describe('wrong lengths and characters', () => {
  test('a PAN longer than 19 digits', () => {
    const error = refused(
      'ascii',
      Buffer.concat([Buffer.from('0200'), Buffer.from('4000000000000000', 'hex'), Buffer.from(`20${'1'.repeat(20)}`)]),
    )
    expect(error).toMatchObject({ code: 'bad-length', path: 'DE 2', offset: 12, found: '20' })
  })

  test('an empty variable field', () => {
    const error = refused(
      'ascii',
      Buffer.concat([Buffer.from('0200'), Buffer.from('4000000000000000', 'hex'), Buffer.from('00')]),
    )
    expect(error).toMatchObject({ code: 'bad-length', path: 'DE 2' })
  })

  test('a wrong digit of a card number is located but not shown', () => {
    const error = refused(
      'ascii',
      Buffer.concat([Buffer.from('0200'), Buffer.from('4000000000000000', 'hex'), Buffer.from('16999999000000001A')]),
    )
    expect(error).toMatchObject({ code: 'bad-character', path: 'DE 2', offset: 29, found: 'another byte' })
  })

  test('an odd number of hexadecimal characters in DE 55', () => {
    const error = refused('hex', Buffer.from('02000000000000000200' + '003' + '5A0'))
    expect(error).toMatchObject({ code: 'bad-length', path: 'DE 55' })
  })

  test('a space inside an an field, which only padding may have', () => {
    const bytes = encoded('ascii', '0210', { 38: 'AB12' })
    expect(decoded('ascii', bytes).text(38)).toBe('AB12  ')
    expect(refused('ascii', Buffer.from(bytes.toString('latin1').replace('AB12  ', ' AB12 '), 'latin1'))).toMatchObject({
      path: 'DE 38',
      offset: 12,
    })
  })

  test('a letter in a BCD length', () => {
    expect(refused('bcd', Buffer.from('020040000000000000001A', 'hex'))).toMatchObject({
      code: 'bad-length',
      path: 'DE 2',
      found: 'byte 1A',
    })
  })
})

describe('BCD of an odd length', () => {
  test('has its zero nibble on the left of a fixed field and on the right of a variable one', () => {
    const bytes = encoded('bcd', '0200', { 22: '051', 32: '12345' })
    expect(bytes.subarray(10).toString('hex')).toBe('0051' + '05123450')
  })

  test('may be padded with F on the right, as other senders do', () => {
    expect(decoded('bcd', Buffer.from('0200000000010000000005' + '12345F', 'hex')).text(32)).toBe('12345')
  })

  test('is refused with anything else in the padding', () => {
    expect(refused('bcd', Buffer.from('0200000000010000000005' + '123457', 'hex'))).toMatchObject({ path: 'DE 32', offset: 13 })
    expect(refused('bcd', Buffer.from('02000000040000000000' + '1051', 'hex'))).toMatchObject({ path: 'DE 22', offset: 10 })
  })

  test('carries the separator of track 2 as nibble D', () => {
    const bytes = encoded('bcd', '0200', { 35: '12345=28121' })
    expect(bytes.subarray(10).toString('hex')).toBe('11' + '12345d281210')
    expect(decoded('bcd', bytes).text(35)).toBe('12345=28121')
  })
})

describe('the hex spec and a sender that always writes both bitmaps', () => {
  // What moov-io/iso8583 v0.24.0 packs with its stock Spec87ASCII.
  const purchase = '020070200000008000000000000000000000169999990000000014000000000000001250000001TERM0001'
  const reversal = '040020000000000000000000004000000000000001020000000100000000000000000000000000000000'

  test('reads its purchase', () => {
    const message = decoded('hex', Buffer.from(purchase))
    expect(message.fields()).toEqual([2, 3, 4, 11, 41])
    expect([message.text(2), message.text(4), message.text(41)]).toEqual([PAN, '000000001250', 'TERM0001'])
  })

  test('reads a field of its second half although bit 1 is clear', () => {
    expect(decoded('hex', Buffer.from(reversal)).text(90)).toBe('020000000100000000000000000000000000000000')
  })

  test('answers in the same form when encoded with the spec of the message', () => {
    const { spec } = decoded('hex', Buffer.from(purchase))
    expect(encoded(spec, '0210', { 39: '00', 41: 'TERM0001' }).toString('latin1')).toBe(
      '02100000000002800000000000000000000000TERM0001',
    )
  })

  test('reads the expanding form of other senders first', () => {
    const message = decoded('hex', encoded('hex', '0200', PURCHASE))
    expect(message.spec.bitmapForm).toBe('expanding')
  })

  test('tells the error of its own form', () => {
    expect(refused('hex', Buffer.from(purchase.replace('1250000001', '125X000001')))).toMatchObject({
      path: 'DE 4',
      code: 'bad-character',
    })
  })

  test('is not taken for one where a message of the other form is cut off or broken: no field is read from a wrong place', () => {
    const values: Record<number, string> = { ...PURCHASE, 43: 'SHOP CAIRO EG'.padEnd(40) }
    const bytes = encoded('hex', '0200', values)
    const partials = Array.from({ length: bytes.length - 1 }, (_, at) => {
      const broken = Buffer.from(bytes)
      broken[at] = 'v'.charCodeAt(0)
      return [bytes.subarray(0, at), broken].map((frame) => decode(messageSpec('hex'), frame))
    }).flat()
    const read = partials.flatMap((result) => (result.ok || result.error.partial === undefined ? [] : [result.error.partial]))
    for (const partial of read.filter(({ mti }) => mti === '0200'))
      for (const de of [2, 11, 41]) if (partial.has(de)) expect(partial.text(de)).toBe(values[de])
    expect(read.filter((partial) => partial.has(41)).length).toBeGreaterThan(20)
  })

  test('is answered as what it is where it is broken', () => {
    const bytes = encoded({ ...messageSpec('hex'), bitmapForm: 'double' }, '0200', PURCHASE)
    const { partial } = refused('hex', bytes.subarray(0, bytes.length - 1))
    expect([partial?.text(2), partial?.text(11), partial?.text(41)]).toEqual([PAN, PURCHASE[11], PURCHASE[41]])
  })
})
