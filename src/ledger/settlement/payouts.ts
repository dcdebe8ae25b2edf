/** What was paid to a merchant, and what has become of it (migrations/0018_payouts.sql). */
import type { Statement } from '../connection.ts'
import type { SqlTransaction } from '../programme/desk.ts'

export type PayoutState = 'paid' | 'executed' | 'returned'

export interface PayoutRow {
  readonly endToEndId: string
  readonly runId: number
  readonly merchantId: string
  readonly acceptorId: string
  /** Null: from the merchant's first day on. */
  readonly afterDay: string | null
  readonly untilDay: string
  readonly amount: number
  readonly iban: string
  readonly holderName: string
  readonly state: PayoutState
  readonly executedOn: string | null
  readonly returnedOn: string | null
  readonly returnReason: string | null
}

/** What left through the bank of one account of the merchant. */
export interface PaidPart {
  readonly code: number
  readonly paid: number
}

const COLUMNS = `
  p.end_to_end_id AS "endToEndId", p.run_id::float8 AS "runId", p.merchant_id::text AS "merchantId", m.acceptor_id AS "acceptorId",
  p.after_day::text AS "afterDay", p.until_day::text AS "untilDay", p.amount::float8 AS amount, p.iban, p.holder_name AS "holderName", p.state,
  p.executed_on::text AS "executedOn", p.returned_on::text AS "returnedOn", p.return_reason AS "returnReason"`
const FROM = 'FROM payout p JOIN merchant m ON m.id = p.merchant_id'

const READ: Statement = { name: 'read_payout', text: `SELECT ${COLUMNS} ${FROM} WHERE p.shard = $1 AND p.end_to_end_id = $2` }
// The merchant first, as whoever changes how it is paid does.
const LOCK_MERCHANT: Statement = {
  name: 'lock_merchant_of_payout',
  text: `
    SELECT m.id FROM merchant m WHERE m.id = (SELECT p.merchant_id FROM payout p WHERE p.shard = $1 AND p.end_to_end_id = $2)
    FOR NO KEY UPDATE`,
}
const LOCK: Statement = {
  name: 'lock_payout',
  text: `SELECT ${COLUMNS} ${FROM} WHERE p.shard = $1 AND p.end_to_end_id = $2 FOR UPDATE OF p`,
}
const PARTS: Statement = {
  name: 'read_paid_parts',
  text: `
    SELECT k.code, k.paid::float8 AS paid FROM payout_part k
    WHERE k.shard = $1 AND k.merchant_id = $2 AND k.until_day = $3 AND k.paid > 0 ORDER BY k.code`,
}
const EXECUTED: Statement = {
  name: 'confirm_payout',
  text: `UPDATE payout SET state = 'executed', executed_on = $3 WHERE shard = $1 AND end_to_end_id = $2 AND state = 'paid'`,
}
const RETURNED: Statement = {
  name: 'return_payout',
  text: `
    UPDATE payout p SET state = 'returned', returned_on = $3, return_reason = $4, returned_event = b.event_number
    FROM book_entry b WHERE p.shard = $1 AND p.end_to_end_id = $2 AND p.state <> 'returned' AND b.shard = $1 AND b.key = $5`,
}
const LIST: Statement = {
  name: 'list_payouts_of_merchant',
  text: `
    SELECT ${COLUMNS} ${FROM} WHERE p.shard = $1 AND p.merchant_id = $2 AND p.state <> 'prepared' AND ($3::date IS NULL OR p.until_day < $3)
    ORDER BY p.until_day DESC LIMIT $4`,
}

type Row = PayoutRow & Record<string, unknown>

export function readPayout(tx: SqlTransaction, endToEndId: string): Promise<PayoutRow | undefined> {
  return tx.row<Row>(READ, [tx.shard, endToEndId])
}

/** Locks its merchant and then it. */
export async function lockPayout(tx: SqlTransaction, endToEndId: string): Promise<PayoutRow | undefined> {
  await tx.row(LOCK_MERCHANT, [tx.shard, endToEndId])
  return tx.row<Row>(LOCK, [tx.shard, endToEndId])
}

/** By the code of the account; they come to the payout's amount. */
export function paidParts(tx: SqlTransaction, { merchantId, untilDay }: PayoutRow): Promise<PaidPart[]> {
  return tx.rows<PaidPart & Record<string, unknown>>(PARTS, [tx.shard, merchantId, untilDay])
}

/** Of one that is locked and paid. */
export async function markExecuted(tx: SqlTransaction, endToEndId: string, day: string): Promise<void> {
  await tx.row(EXECUTED, [tx.shard, endToEndId, day])
}

/** Of one that is locked and not returned yet. @param bookKey of the posting that took it back */
export async function markReturned(
  tx: SqlTransaction,
  endToEndId: string,
  { day, reason, bookKey }: { readonly day: string; readonly reason: string; readonly bookKey: string },
): Promise<void> {
  await tx.row(RETURNED, [tx.shard, endToEndId, day, reason, bookKey])
}

/** The latest first. @param before a last day of a payout; absent: from the latest on */
export function listPayouts(
  tx: SqlTransaction,
  merchantId: string,
  before: string | undefined,
  countMax: number,
): Promise<PayoutRow[]> {
  return tx.rows<Row>(LIST, [tx.shard, merchantId, before ?? null, countMax])
}
