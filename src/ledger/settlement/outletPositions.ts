/** What an outlet has earned, day by day, and what made it: closed days only (migrations/0017_business_day.sql, 0018_payouts.sql). */
import type { Statement } from '../connection.ts'
import type { SqlTransaction } from '../programme/desk.ts'

/** Money of a day, or units that were handed out on it. */
export interface PositionLine {
  readonly day: string
  readonly unit: string
  readonly unitNumber: number
  /** Whole minor units: earned or handed out; given back or otherwise taken off. */
  readonly credits: number
  readonly debits: number
  /** The payout that this money is in; null: it is still open. */
  readonly payoutState: string | null
  readonly endToEndId: string | null
}

export interface PaidOutlet {
  readonly merchantId: string
  readonly acceptorId: string
  readonly name: string
  readonly category: string
  readonly governorate: number
}

/** All that moved on a day between two accounts of the chart on behalf of an outlet. */
export interface OutletFlow {
  readonly debitCode: number
  readonly creditCode: number
  readonly unit: number
  readonly unitName: string
  /** Kind of the purse, where treasury or fund pays. */
  readonly service: number
  readonly transfers: number
  readonly amount: number
}

const READ_OUTLET: Statement = {
  name: 'read_outlet',
  text: `SELECT id::text AS "merchantId", acceptor_id AS "acceptorId", name, category, governorate FROM merchant WHERE acceptor_id = $1`,
}
const POSITIONS: Statement = {
  name: 'read_outlet_positions',
  text: `
    SELECT s.day::text, u.name AS unit, s.unit AS "unitNumber", s.credits::float8, s.debits::float8,
      p.state AS "payoutState", p.end_to_end_id AS "endToEndId"
    FROM (
      SELECT o.day, 1 AS unit, sum(o.credits) AS credits, sum(o.debits) AS debits
      FROM outlet_position o WHERE o.shard = $1 AND o.merchant_id = $2 AND o.day BETWEEN $3::date AND $4::date GROUP BY o.day
      UNION ALL
      SELECT d.day, f.unit, coalesce(sum(f.amount) FILTER (WHERE f.credit_code = 9001), 0), coalesce(sum(f.amount) FILTER (WHERE f.debit_code = 9001), 0)
      FROM business_day d JOIN day_flow f ON f.shard = d.shard AND f.day = d.day AND f.merchant_id = $2 AND f.unit <> 1
      WHERE d.shard = $1 AND d.closed_at IS NOT NULL AND d.day BETWEEN $3::date AND $4::date
      GROUP BY d.day, f.unit
    ) s
      JOIN unit u ON u.number = s.unit
      LEFT JOIN LATERAL (
        SELECT q.state, q.end_to_end_id, q.after_day FROM payout q
        WHERE q.shard = $1 AND q.merchant_id = $2 AND q.until_day >= s.day ORDER BY q.until_day LIMIT 1
      ) p ON s.unit = 1 AND (p.after_day IS NULL OR p.after_day < s.day)
    WHERE (s.day, s.unit) > ($5::date, $6::int)
    ORDER BY s.day, s.unit LIMIT $7`,
}
const FLOWS: Statement = {
  name: 'read_outlet_flows',
  text: `
    SELECT f.debit_code AS "debitCode", f.credit_code AS "creditCode", f.unit, u.name AS "unitName", f.service,
      sum(f.transfers)::float8 AS transfers, sum(f.amount)::float8 AS amount
    FROM day_flow f JOIN unit u ON u.number = f.unit
    WHERE f.shard = $1 AND f.merchant_id = $2 AND f.day = $3::date
    GROUP BY 1, 2, 3, 4, 5 ORDER BY 3, 1, 2, 5`,
}
// What was earned before, less what was paid out before.
const OPENING: Statement = {
  name: 'read_opening_of_outlet',
  text: `
    SELECT (
      (SELECT coalesce(sum(o.net), 0) FROM outlet_position o WHERE o.shard = $1 AND o.merchant_id = $2 AND o.day < d.day)
      - (SELECT coalesce(sum(p.amount), 0) FROM payout p WHERE p.shard = $1 AND p.merchant_id = $2 AND p.event_number <= d.after)
    )::float8 AS opening
    FROM business_day d WHERE d.shard = $1 AND d.day = $3::date AND d.closed_at IS NOT NULL`,
}
const PAID: Statement = {
  name: 'read_payouts_of_day',
  text: `
    SELECT p.end_to_end_id AS "endToEndId", p.amount::float8 AS amount, p.until_day::text AS "untilDay"
    FROM payout p JOIN business_day d ON d.shard = p.shard AND p.event_number > d.after AND p.event_number <= d.until
    WHERE p.shard = $1 AND p.merchant_id = $2 AND d.day = $3::date ORDER BY p.until_day`,
}

export function readOutlet(tx: SqlTransaction, acceptorId: string): Promise<PaidOutlet | undefined> {
  return tx.row<PaidOutlet & Record<string, unknown>>(READ_OUTLET, [acceptorId])
}

export interface PositionsAsked {
  readonly from: string
  readonly until: string
  /** The last one of the page before. */
  readonly after: { readonly day: string; readonly unitNumber: number } | undefined
  readonly limit: number
}

/** By day and unit. */
export function outletPositions(tx: SqlTransaction, merchantId: string, asked: PositionsAsked): Promise<PositionLine[]> {
  const { from, until, after, limit } = asked
  const values = [tx.shard, merchantId, from, until, after?.day ?? '-infinity', after?.unitNumber ?? 0, limit]
  return tx.rows<PositionLine & Record<string, unknown>>(POSITIONS, values)
}

export function outletFlows(tx: SqlTransaction, merchantId: string, day: string): Promise<OutletFlow[]> {
  return tx.rows<OutletFlow & Record<string, unknown>>(FLOWS, [tx.shard, merchantId, day])
}

/** What the outlet was owed when a closed day began, piasters; undefined where the day is not closed. */
export async function openingOf(tx: SqlTransaction, merchantId: string, day: string): Promise<number | undefined> {
  return (await tx.row<{ opening: number }>(OPENING, [tx.shard, merchantId, day]))?.opening
}

export interface PaidOnDay {
  readonly endToEndId: string
  readonly amount: number
  readonly untilDay: string
}

/** Payouts that were posted on a day. */
export function paidOn(tx: SqlTransaction, merchantId: string, day: string): Promise<PaidOnDay[]> {
  return tx.rows<PaidOnDay & Record<string, unknown>>(PAID, [tx.shard, merchantId, day])
}
