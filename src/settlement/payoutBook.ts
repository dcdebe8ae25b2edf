/** Payouts as the bank's statements meet them: what was sent to the bank is confirmed by a debit, and may come back. */
import type { SqlTransaction } from '../ledger/programme/desk.ts'

/** One that was sent to the bank. */
export interface ExpectedPayout {
  /** Its end-to-end reference. */
  readonly reference: string
  readonly amount: number
  /** The day for which it was sent. */
  readonly day: string
  /** Executed: a statement has confirmed it. Both may still come back. */
  readonly state: 'paid' | 'executed'
}

/** What a statement says of a payout. */
export interface PayoutTold {
  readonly reference: string
  /** Of the statement's entry: unique for ever. */
  readonly entryKey: string
  readonly valueOn: string
  readonly madeBy: string
  /** Why it came back; null where it did not say. */
  readonly reason: string | null
}

export interface PayoutBook {
  /** Those with one of the references, and of those that are not executed yet the ones of one of the amounts. */
  find(
    tx: SqlTransaction,
    asked: { readonly references: readonly string[]; readonly amounts: readonly number[] },
  ): Promise<readonly ExpectedPayout[]>
  /** @returns the references of those that are executed now */
  confirm(tx: SqlTransaction, told: readonly PayoutTold[]): Promise<ReadonlySet<string>>
  /** Posts them back. @returns the references of those that are returned now */
  takeBack(tx: SqlTransaction, told: readonly PayoutTold[]): Promise<ReadonlySet<string>>
}

/** Where nothing is paid out: an entry that names a payout stays on the work list. */
export const NO_PAYOUTS: PayoutBook = {
  find: () => Promise.resolve([]),
  confirm: () => Promise.resolve(new Set()),
  takeBack: () => Promise.resolve(new Set()),
}
