/** DE 95, replacement amounts, an 42: what a partial reversal leaves of the original (ISO 8583-1:1987 DE 95). */
import { fault, type Parsed } from './fault.ts'

export interface Fee {
  readonly sign: 'C' | 'D'
  readonly amount: number
}

export interface ReplacementAmounts {
  /** The final amount in the currency of DE 49, minor units. */
  readonly transactionAmount: number
  /** The final amount in the currency of DE 50, minor units; 0 where not used. */
  readonly settlementAmount: number
  readonly transactionFee: Fee
  readonly settlementFee: Fee
}

export function parseReplacementAmounts(text: string): Parsed<ReplacementAmounts> {
  const [, transactionAmount, settlementAmount, transactionFee, settlementFee] = LAYOUT.exec(text) ?? []
  if (
    transactionAmount === undefined ||
    settlementAmount === undefined ||
    transactionFee === undefined ||
    settlementFee === undefined
  ) {
    const expected = 'two amounts of 12 digits, two fees of C or D and 8 digits'
    return { ok: false, error: fault('bad-structure', '', 0, expected, `${String(text.length)} characters of another form`) }
  }
  return {
    ok: true,
    value: {
      transactionAmount: Number(transactionAmount),
      settlementAmount: Number(settlementAmount),
      transactionFee: fee(transactionFee),
      settlementFee: fee(settlementFee),
    },
  }
}

/** @throws RangeError where an amount does not fit: a mistake of the caller */
export function formatReplacementAmounts(amounts: ReplacementAmounts): string {
  return (
    digits(amounts.transactionAmount, 12) +
    digits(amounts.settlementAmount, 12) +
    amounts.transactionFee.sign +
    digits(amounts.transactionFee.amount, 8) +
    amounts.settlementFee.sign +
    digits(amounts.settlementFee.amount, 8)
  )
}

/** Senders that have no fees often fill them with nine zeros instead of a sign and eight. */
const LAYOUT = /^(\d{12})(\d{12})([CD]\d{8}|0{9})([CD]\d{8}|0{9})$/

function fee(text: string): Fee {
  return { sign: text.startsWith('D') ? 'D' : 'C', amount: Number(text.slice(1)) }
}

function digits(amount: number, length: number): string {
  const text = String(amount)
  if (!/^\d+$/.test(text) || text.length > length) throw new RangeError(`not an amount of ${String(length)} digits: ${text}`)
  return text.padStart(length, '0')
}
