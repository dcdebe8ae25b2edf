/** DE 54, additional amounts, an ...120: up to six balances or part amounts of 20 characters (ISO 8583-1:1987 DE 54). */
import { fault, type Parsed } from './fault.ts'

export interface AdditionalAmount {
  /** As in DE 3: 00 default, 10 savings, 20 cheque and so on; n 2. */
  readonly accountType: string
  /** 01 ledger balance, 02 available balance, 40 cash back and so on; n 2. */
  readonly amountType: string
  /** ISO 4217 numeric, n 3. */
  readonly currency: string
  /** C: a credit balance, D: a debit balance. */
  readonly sign: 'C' | 'D'
  /** Minor units. */
  readonly amount: number
}

export function parseAdditionalAmounts(text: string): Parsed<AdditionalAmount[]> {
  const amounts: AdditionalAmount[] = []
  if (text.length === 0 || text.length % AMOUNT_LENGTH !== 0 || text.length > AMOUNT_LENGTH * AMOUNTS_MAX) {
    return {
      ok: false,
      error: fault('bad-length', '', 0, 'one to six amounts of 20 characters', `${String(text.length)} characters`),
    }
  }
  for (let at = 0; at < text.length; at += AMOUNT_LENGTH) {
    const [, accountType, amountType, currency, sign, amount] = LAYOUT.exec(text.slice(at, at + AMOUNT_LENGTH)) ?? []
    if (
      accountType === undefined ||
      amountType === undefined ||
      currency === undefined ||
      sign === undefined ||
      amount === undefined
    ) {
      const path = String(at / AMOUNT_LENGTH + 1)
      const expected = 'account type n 2, amount type n 2, currency n 3, C or D, amount n 12'
      return { ok: false, error: fault('bad-structure', path, at, expected, 'characters of another form') }
    }
    amounts.push({ accountType, amountType, currency, sign: sign === 'D' ? 'D' : 'C', amount: Number(amount) })
  }
  return { ok: true, value: amounts }
}

/** @throws RangeError where a part does not fit: a mistake of the caller */
export function formatAdditionalAmounts(amounts: readonly AdditionalAmount[]): string {
  if (amounts.length > AMOUNTS_MAX) throw new RangeError(`${String(amounts.length)} additional amounts; six are the most`)
  return amounts.map(formatAmount).join('')
}

const AMOUNT_LENGTH = 20
const AMOUNTS_MAX = 6
const LAYOUT = /^(\d\d)(\d\d)(\d{3})([CD])(\d{12})$/

function formatAmount(item: AdditionalAmount): string {
  const text = item.accountType + item.amountType + item.currency + item.sign + String(item.amount).padStart(12, '0')
  if (!LAYOUT.test(text)) throw new RangeError('not an additional amount')
  return text
}
