import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { findTlv, formatTlv, parseTlv, visitTlv, type Tlv, type TlvInput } from '../../src/iso8583/berTlv.ts'

function parsed(hex: string): Tlv[] {
  const result = parseTlv(Buffer.from(hex, 'hex'))
  if (!result.ok) expect.fail(JSON.stringify(result.error))
  return result.value
}

function refusal(hex: string) {
  const result = parseTlv(Buffer.from(hex, 'hex'))
  if (result.ok) expect.fail('accepted')
  return result.error
}

describe('BER-TLV', () => {
  test('keeps the order, nests constructed objects and finds tags at any depth', () => {
    const objects = parsed('9F270180' + '7107' + '9F180412345678' + '8A023030')
    expect(objects.map(({ tag, offset }) => [tag, offset])).toEqual([
      ['9F27', 0],
      ['71', 4],
      ['8A', 13],
    ])
    expect(findTlv(objects, '9F18')?.value.toString('hex')).toBe('12345678')
    expect(findTlv(objects, '9F18')?.offset).toBe(6)
    expect(findTlv(objects, '9F26')).toBeUndefined()
  })

  test('a visit shows the primitive objects with their places, in order and in depth', () => {
    const bytes = Buffer.from('9F270180' + '7107' + '9F180412345678' + 'DFAE0300' + '8A023030', 'hex')
    const seen: unknown[] = []
    const error = visitTlv(bytes, (tag, valueAt, length) => {
      seen.push([tag, bytes.toString('hex', valueAt, valueAt + length)])
    })
    expect(error).toBeUndefined()
    expect(seen).toEqual([
      [0x9f27, '80'],
      [0x9f18, '12345678'],
      [0, ''],
      [0x8a, '3030'],
    ])
    expect(visitTlv(bytes.subarray(0, -1), () => {})).toEqual(refusal(bytes.toString('hex').slice(0, -2)))
  })

  test('an object may be empty, issuer scripts may repeat', () => {
    expect(parsed('5000' + '7200' + '7200').map(({ tag }) => tag)).toEqual(['50', '72', '72'])
  })

  test('formats what it parses', () => {
    const value = fc.uint8Array({ maxLength: 400 })
    const primitive = fc.record({ tag: fc.constantFrom('50', '9F5B', 'DF8101'), value })
    const { object } = fc.letrec<{ object: TlvInput }>((tie) => ({
      object: fc.oneof(
        { maxDepth: 2 },
        primitive,
        fc.record({ tag: fc.constantFrom('70', 'BF0C'), children: fc.array(tie('object'), { maxLength: 3 }) }),
      ),
    }))
    fc.assert(
      fc.property(fc.array(object, { maxLength: 4 }), (objects) => {
        const bytes = formatTlv(objects)
        const result = parseTlv(bytes)
        if (!result.ok) expect.fail(JSON.stringify(result.error))
        expect(formatTlv(result.value.map(input))).toEqual(bytes)
      }),
    )
  })

  test.each([
    ['a tag that goes on beyond the end', '9F', 'truncated', '', 0],
    ['no length', '9F26', 'truncated', '9F26', 2],
    ['a length that goes on beyond the end', '5081', 'truncated', '50', 1],
    ['a value that is too short', '9F26081122', 'truncated', '9F26', 3],
    ['a value beyond its template', '70039F270180', 'truncated', '70.9F27', 5],
    ['an indefinite length', '7080500131', 'indefinite-length', '70', 1],
    ['a length in two bytes that fits in one', '50817F', 'over-long-length', '50', 1],
    ['a length in three bytes that fits in two', '508200FF', 'over-long-length', '50', 1],
    ['a length in four bytes', '5083000001', 'over-long-length', '50', 1],
    ['padding', '00', 'bad-structure', '', 0],
    ['a tag in a longer form than it needs', '9F8026', 'bad-structure', '', 0],
    ['a tag of five bytes', '9F8181818101', 'bad-structure', '', 0],
    ['a critical tag twice', '9F270180' + '9F270180', 'duplicate-tag', '9F27', 4],
    ['a critical tag hidden in a template', '9F270180' + '70049F270140', 'duplicate-tag', '70.9F27', 6],
    ['a template on the deepest level', '7008700670047002' + '7000', 'too-deep', '70.70.70.70', 6],
  ])('%s is refused', (_, hex, code, path, offset) => {
    expect(refusal(hex)).toMatchObject({ code, path, offset })
  })

  test('any bytes give objects or a typed error', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
        const result = parseTlv(Buffer.from(bytes))
        if (!result.ok) expect(result.error.offset).toBeLessThanOrEqual(bytes.length)
      }),
      { numRuns: 1000 },
    )
  })

  test('a tag of the other kind is a mistake of the caller', () => {
    expect(() => formatTlv([{ tag: '70', value: Buffer.alloc(1) }])).toThrow(RangeError)
    expect(() => formatTlv([{ tag: '50', children: [] }])).toThrow(RangeError)
    expect(() => formatTlv([{ tag: '9F', value: Buffer.alloc(1) }])).toThrow(RangeError)
  })
})

function input(object: Tlv): TlvInput {
  return object.children === undefined
    ? { tag: object.tag, value: object.value }
    : { tag: object.tag, children: object.children.map(input) }
}
