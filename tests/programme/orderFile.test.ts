import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { headerOf, linesOf, rowOf, type OrderLine } from '../../src/programme/orderFile.ts'

const BYTES_MAX = 64

/** As text; one that is too long as its length. */
async function linesIn(chunks: readonly Uint8Array[]): Promise<string[]> {
  async function* bytes(): AsyncGenerator<Uint8Array> {
    yield* chunks
  }
  const lines: string[] = []
  for await (const line of linesOf(bytes(), BYTES_MAX))
    lines.push(line.tooLong ? 'too long' : Buffer.from(line.bytes).toString('utf8'))
  return lines
}

const line = (text: string): OrderLine => ({ bytes: Buffer.from(text), tooLong: false })

describe('lines', () => {
  it.each([
    ['nothing', '', []],
    ['a line without an end', 'a', ['a']],
    ['both ends', 'a\nb\r\nc', ['a', 'b', 'c']],
    ['empty lines in the middle, none at the end', 'a\n\n\r\nb\n\n\n', ['a', '', '', 'b']],
    ['a line of the longest that there may be', `${'x'.repeat(64)}\r\nb`, ['x'.repeat(64), 'b']],
    ['one that is longer', `${'x'.repeat(65)}\nb`, ['too long', 'b']],
    ['one that is far longer at the end', 'x'.repeat(1000), ['too long']],
  ])('of %s', async (_what, text, lines) => {
    expect(await linesIn([Buffer.from(text)])).toEqual(lines)
  })

  it('are the same wherever the bytes are cut', async () => {
    const text = fc
      .array(fc.oneof(fc.constantFrom('a', '\n', '\r', 'ع', 'x'.repeat(40)), fc.string({ maxLength: 3 })), { maxLength: 30 })
      .map((parts) => Buffer.from(parts.join('')))
    await fc.assert(
      fc.asyncProperty(text, fc.array(fc.nat(200), { maxLength: 6 }), async (bytes, cuts) => {
        const ends = [...cuts.filter((cut) => cut <= bytes.length), bytes.length].toSorted((a, b) => a - b)
        const chunks = ends.map((end, index) => bytes.subarray(index === 0 ? 0 : ends[index - 1], end))
        expect(await linesIn(chunks)).toEqual(await linesIn([bytes]))
      }),
    )
  })
})

describe('a row', () => {
  const header = headerOf(line('\ufeff"Place_ID" , national_id'))

  it('is read by the columns that the first line names, in their order', () => {
    if (!header.ok) throw new Error(header.refusal.detail)
    expect(header.value).toEqual({ delimiter: ',', columns: ['place_id', 'national_id'] })
    expect(rowOf(line(' "post-03-1",28005170300015 '), header.value)).toEqual({
      ok: true,
      value: { placeId: 'post-03-1', nationalId: '28005170300015', mobile: '' },
    })
  })

  it.each([
    ['an open quote', '"post-03-1,28005170300015', 'broken-row'],
    ['a quote in the middle', 'post"03-1,28005170300015', 'broken-row'],
    ['a column more', 'post-03-1,28005170300015,', 'broken-row'],
    ['a column less', 'post-03-1', 'broken-row'],
    ['a carriage return within', 'post-03-1\r28005170300015,1', 'broken-row'],
    ['blanks', '  ', 'empty-row'],
  ])('with %s is refused', (_what, text, name) => {
    if (!header.ok) throw new Error(header.refusal.detail)
    expect(rowOf(line(text), header.value)).toMatchObject({ ok: false, refusal: { name } })
  })

  it('that is not UTF-8 is refused', () => {
    if (!header.ok) throw new Error(header.refusal.detail)
    expect(rowOf({ bytes: Buffer.from([0xd9, 0x2c, 0x31]), tooLong: false }, header.value)).toMatchObject({
      refusal: { name: 'not-utf-8' },
    })
  })

  it.each([
    '[]',
    '1',
    '"x"',
    '{',
    '{"national_id":"1"}',
    '{"national_id":"1","place_id":null}',
    '{"__proto__":{},"national_id":"1","place_id":"p"}',
  ])('of JSON that is %s is refused', (text) => {
    expect(rowOf(line(text), undefined)).toMatchObject({ refusal: { name: 'broken-row' } })
  })
})
