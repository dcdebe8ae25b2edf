import { describe, expect, test } from 'vitest'
import { formatOriginalData, parseOriginalData } from '../../src/iso8583/originalData.ts'

describe('original data elements', () => {
  const original = {
    mti: '0200',
    stan: '000123',
    transmissionTime: '1122150322',
    acquirerId: '00000123456',
    forwarderId: '00000000000',
  }
  const text = '0200' + '000123' + '1122150322' + '00000123456' + '00000000000'

  test('are five numbers side by side', () => {
    expect(parseOriginalData(text)).toEqual({ ok: true, value: original })
  })

  test('are written with zeros on the left', () => {
    expect(formatOriginalData({ ...original, stan: '123', acquirerId: '123456', forwarderId: '' })).toBe(text)
  })

  test.each(['', text.slice(1), text + '0', text.replace('0200', '02 0')])('%j are none', (wrong) => {
    expect(parseOriginalData(wrong)).toMatchObject({ ok: false, error: { code: 'bad-structure' } })
  })

  test('a part that is too long is a mistake of the caller', () => {
    expect(() => formatOriginalData({ ...original, stan: '1234567' })).toThrow(RangeError)
  })
})
