import { describe, expect, test } from 'vitest'
import { formatAdditionalAmounts, parseAdditionalAmounts } from '../../src/iso8583/additionalAmounts.ts'

describe('additional amounts', () => {
  const ledger = { accountType: '00', amountType: '01', currency: '818', sign: 'C', amount: 100000 } as const
  const available = { accountType: '00', amountType: '02', currency: '818', sign: 'D', amount: 1250 } as const
  const text = '0001818C000000100000' + '0002818D000000001250'

  test('are up to six amounts of 20 characters', () => {
    expect(parseAdditionalAmounts(text)).toEqual({ ok: true, value: [ledger, available] })
    expect(formatAdditionalAmounts([ledger, available])).toBe(text)
  })

  test.each(['', text.slice(1), text.slice(0, 20).repeat(7)])('%j is of no possible length', (wrong) => {
    expect(parseAdditionalAmounts(wrong)).toMatchObject({ ok: false, error: { code: 'bad-length' } })
  })

  test('the amount that is wrong is named', () => {
    const wrong = text.replace('D', 'X')
    expect(parseAdditionalAmounts(wrong)).toMatchObject({ ok: false, error: { code: 'bad-structure', path: '2', offset: 20 } })
  })

  test('a part that does not fit is a mistake of the caller', () => {
    expect(() => formatAdditionalAmounts([{ ...ledger, amount: -1 }])).toThrow(RangeError)
    expect(() => formatAdditionalAmounts(Array.from({ length: 7 }, () => ledger))).toThrow(RangeError)
  })
})
