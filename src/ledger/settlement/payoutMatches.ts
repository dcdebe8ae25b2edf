/** Payouts (migrations/0018_payouts.sql) as the bank's statements name them. A statement names as many as a run has: they are looked up and confirmed all at once. */
import type { Statement } from '../connection.ts'
import type { SqlTransaction } from '../programme/desk.ts'

/** That was sent to the bank. */
export interface SentPayout {
  readonly endToEndId: string
  readonly amount: number
  /** Of its run: the day for which it was sent. */
  readonly executionDay: string
  readonly state: 'paid' | 'executed' | 'returned'
}

const COLUMNS = `p.end_to_end_id AS "endToEndId", p.amount::float8, r.execution_day::text AS "executionDay", p.state`
const FROM = 'FROM payout p JOIN payout_run r ON r.shard = p.shard AND r.id = p.run_id'

const BY_REFERENCE: Statement = {
  name: 'sent_payouts_by_reference',
  text: `
    SELECT ${COLUMNS} ${FROM} WHERE p.shard = $1 AND p.end_to_end_id = ANY ($2::text[]) AND p.state IN ('paid', 'executed', 'returned') ORDER BY p.end_to_end_id`,
}
const BY_AMOUNT: Statement = {
  name: 'sent_payouts_by_amount',
  text: `
    SELECT ${COLUMNS} ${FROM}
    WHERE p.shard = $1 AND p.amount = ANY ($2::bigint[]) AND p.state = 'paid' AND r.state = 'approved' AND r.execution_day BETWEEN $3 AND $4
    ORDER BY p.end_to_end_id`,
}
// Rows are locked in the order of their ids, as whoever else confirms does.
const CONFIRM: Statement = {
  name: 'confirm_payouts',
  text: `
    WITH told AS (
      SELECT t.id, t.day FROM unnest($2::text[], $3::date[]) AS t(id, day)
    ), locked AS (
      SELECT p.end_to_end_id AS id FROM payout p WHERE p.shard = $1 AND p.end_to_end_id IN (SELECT id FROM told) AND p.state = 'paid'
      ORDER BY p.end_to_end_id FOR NO KEY UPDATE
    ), executed AS (
      UPDATE payout p SET state = 'executed', executed_on = t.day FROM locked l JOIN told t ON t.id = l.id
      WHERE p.shard = $1 AND p.end_to_end_id = l.id AND p.state = 'paid'
      RETURNING p.end_to_end_id, p.merchant_id, p.amount
    )
    SELECT e.end_to_end_id AS "endToEndId", m.acceptor_id AS "acceptorId", e.amount::float8 FROM executed e JOIN merchant m ON m.id = e.merchant_id`,
}

export function sentPayouts(tx: SqlTransaction, endToEndIds: readonly string[]): Promise<SentPayout[]> {
  return tx.rows<SentPayout & Record<string, unknown>>(BY_REFERENCE, [tx.shard, endToEndIds])
}

/** Those that wait for the bank, of runs of which it can have the file. */
export function sentPayoutsOf(
  tx: SqlTransaction,
  amounts: readonly number[],
  { from, until }: { readonly from: string; readonly until: string },
): Promise<SentPayout[]> {
  return tx.rows<SentPayout & Record<string, unknown>>(BY_AMOUNT, [tx.shard, amounts, from, until])
}

export interface ConfirmedPayout {
  readonly endToEndId: string
  readonly acceptorId: string
  readonly amount: number
}

/** @returns those that are executed now: neither before nor returned */
export function confirmPayouts(
  tx: SqlTransaction,
  told: readonly { readonly reference: string; readonly valueOn: string }[],
): Promise<ConfirmedPayout[]> {
  const values = [told.map(({ reference }) => reference), told.map(({ valueOn }) => valueOn)]
  return tx.rows<ConfirmedPayout & Record<string, unknown>>(CONFIRM, [tx.shard, ...values])
}
