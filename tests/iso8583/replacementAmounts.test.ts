import { describe, expect, test } from 'vitest'
import { formatReplacementAmounts, parseReplacementAmounts } from '../../src/iso8583/replacementAmounts.ts'

describe('replacement amounts', () => {
  const amounts = {
    transactionAmount: 1250,
    settlementAmount: 0,
    transactionFee: { sign: 'D', amount: 25 },
    settlementFee: { sign: 'C', amount: 0 },
  } as const
  const text = '000000001250' + '000000000000' + 'D00000025' + 'C00000000'

  test('are two amounts and two fees with their signs', () => {
    expect(parseReplacementAmounts(text)).toEqual({ ok: true, value: amounts })
    expect(formatReplacementAmounts(amounts)).toBe(text)
  })

  test('may have fees that are all zeros, as senders without fees fill them', () => {
    expect(parseReplacementAmounts('000000001250'.padEnd(42, '0'))).toMatchObject({
      ok: true,
      value: { transactionAmount: 1250, transactionFee: { sign: 'C', amount: 0 } },
    })
  })

  test.each(['', text.slice(1), text.replace('D', '1'), text.replace('C', 'X'), '00000000125 '.padEnd(42, '0')])(
    '%j are none',
    (wrong) => {
      expect(parseReplacementAmounts(wrong)).toMatchObject({ ok: false, error: { code: 'bad-structure' } })
    },
  )

  test('an amount that does not fit is a mistake of the caller', () => {
    expect(() => formatReplacementAmounts({ ...amounts, transactionAmount: 1e12 })).toThrow(RangeError)
    expect(() => formatReplacementAmounts({ ...amounts, transactionAmount: 0.5 })).toThrow(RangeError)
  })
})
