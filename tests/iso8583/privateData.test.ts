import { describe, expect, test } from 'vitest'
import { formatPrivateData, parsePrivateData, privateDatum } from '../../src/iso8583/privateData.ts'

function refusal(text: string) {
  const parsed = parsePrivateData(text)
  if (parsed.ok) expect.fail('accepted')
  return parsed.error
}

describe('private data', () => {
  test('keeps the order and unknown tags, and formats back to the same text', () => {
    const text = 'LV00210ZZ003abcPC0011BK02204*2*1500;rice*1*2000;ZZ000'
    const parsed = parsePrivateData(text)
    if (!parsed.ok) expect.fail(JSON.stringify(parsed.error))
    expect(parsed.value.map(({ tag }) => tag)).toEqual(['LV', 'ZZ', 'PC', 'BK', 'ZZ'])
    expect(privateDatum(parsed.value, 'LV')).toBe('10')
    expect(privateDatum(parsed.value, 'SC')).toBeUndefined()
    expect(formatPrivateData(parsed.value)).toBe(text)
  })

  test.each([
    ['LV0', 'truncated', '', 0],
    ['PC0011LV', 'truncated', '', 6],
    ['LV00', 'truncated', '', 0],
    ['LV0051', 'truncated', 'LV', 5],
    ['L 0011', 'bad-structure', '', 0],
    ['LV0x11', 'bad-length', 'LV', 2],
    ['LV001x', 'bad-value', 'LV', 5],
    ['DY003999', 'bad-value', 'DY', 5],
    ['BR001Q', 'bad-value', 'BR', 5],
    ['BK003a*1', 'bad-value', 'BK', 5],
    ['PC0011PC0011', 'duplicate-tag', 'PC', 6],
  ])('%s is refused: %s at %s', (text, code, path, offset) => {
    expect(refusal(text)).toMatchObject({ code, path, offset })
  })

  test('a tag of another length is a mistake of the caller', () => {
    expect(() => formatPrivateData([{ tag: 'TRY', value: '3' }])).toThrow(RangeError)
  })
})
