/** Payouts as the bank's statements meet them: what was sent to the bank is confirmed by a debit, and may come back. */
import type { SqlTransaction } from '../ledger/programme/desk.ts'
import { confirmPayouts, sentPayouts, sentPayoutsOf, type SentPayout } from '../ledger/settlement/payoutMatches.ts'
import { formatAmount } from '../money.ts'
import { returnPayout } from './payouts.ts'

/** What a statement says of a payout. */
export interface PayoutTold {
  /** Its end-to-end reference. */
  readonly reference: string
  readonly amount: number
  readonly valueOn: string
  readonly madeBy: string
  /** Why it came back; null where it did not say. */
  readonly reason: string | null
}

export interface PayoutBook {
  named(tx: SqlTransaction, references: readonly string[]): Promise<readonly SentPayout[]>
  /** Those that wait for the bank, sent for days in between. */
  ofAmounts(
    tx: SqlTransaction,
    amounts: readonly number[],
    days: { readonly from: string; readonly until: string },
  ): Promise<readonly SentPayout[]>
  /** Of the amount that was sent. @returns the references of those that are executed now */
  confirm(tx: SqlTransaction, told: readonly PayoutTold[]): Promise<ReadonlySet<string>>
  /** Posts them back. @returns the references of those that are returned now */
  takeBack(tx: SqlTransaction, told: readonly PayoutTold[]): Promise<ReadonlySet<string>>
}

/** ISO 20022 ExternalReturnReason1Code: not specified by the bank. */
const NO_REASON = 'MS03'

export const PAYOUT_BOOK: PayoutBook = {
  named: sentPayouts,
  ofAmounts: sentPayoutsOf,
  async confirm(tx, told) {
    const confirmed = await confirmPayouts(tx, told)
    await tx.emitAll(
      confirmed.map(({ endToEndId, acceptorId, amount }) => ({
        kind: 'payout.executed',
        data: { endToEndId, acceptorId, amount: formatAmount(amount) },
      })),
    )
    return new Set(confirmed.map(({ endToEndId }) => endToEndId))
  },
  async takeBack(tx, told) {
    const returned = new Set<string>()
    for (const { reference, amount, valueOn, madeBy, reason } of told) {
      const back = { endToEndId: reference, reason: reason ?? NO_REASON, valueDate: valueOn, amount, madeBy }
      const outcome = await returnPayout(tx, back)
      if (outcome.ok) returned.add(reference)
    }
    return returned
  },
}
