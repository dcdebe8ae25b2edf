/** Holds on merchants (migrations/0018_payouts.sql): who has one that is not lifted is paid nothing. */
import { assert } from '../../assert.ts'
import type { Statement } from '../connection.ts'
import type { SqlTransaction } from '../programme/desk.ts'

/** `returned`: a payout came back because of the account; another account lifts it. */
export type HoldCause = 'officer' | 'returned'

export interface MerchantHold {
  readonly holdId: number
  readonly cause: HoldCause
  readonly reason: string
  readonly placedBy: string
  readonly placedAt: Date
  readonly liftedBy: string | null
  readonly liftedAt: Date | null
  readonly liftedReason: string | null
}

const COLUMNS = `
  id::float8 AS "holdId", cause, reason, placed_by AS "placedBy", placed_at AS "placedAt", lifted_by AS "liftedBy", lifted_at AS "liftedAt",
  lifted_reason AS "liftedReason"`

const ADD: Statement = {
  name: 'add_merchant_hold',
  text: `INSERT INTO merchant_hold (merchant_id, cause, reason, placed_by, placed_at) VALUES ($1, $2, $3, $4, $5) RETURNING ${COLUMNS}`,
}
const LIST: Statement = {
  name: 'list_merchant_holds',
  text: `SELECT ${COLUMNS} FROM merchant_hold WHERE merchant_id = $1 AND id > $2 ORDER BY id LIMIT $3`,
}
const LIFT: Statement = {
  name: 'lift_merchant_hold',
  text: `
    UPDATE merchant_hold SET lifted_by = $3, lifted_at = $4, lifted_reason = $5
    WHERE merchant_id = $1 AND id = $2 AND lifted_at IS NULL RETURNING ${COLUMNS}`,
}
const READ: Statement = {
  name: 'read_merchant_hold',
  text: `SELECT ${COLUMNS} FROM merchant_hold WHERE merchant_id = $1 AND id = $2`,
}
const LIFT_RETURNED: Statement = {
  name: 'lift_holds_of_returned_payouts',
  text: `
    UPDATE merchant_hold SET lifted_by = $2, lifted_at = $3, lifted_reason = 'another bank account is in force'
    WHERE merchant_id = $1 AND cause = 'returned' AND lifted_at IS NULL RETURNING id::float8 AS "holdId"`,
}

type Row = MerchantHold & Record<string, unknown>

/** Of a merchant that is locked. */
export async function addHold(
  tx: SqlTransaction,
  merchantId: string,
  { cause, reason, placedBy }: Pick<MerchantHold, 'cause' | 'reason' | 'placedBy'>,
): Promise<MerchantHold> {
  const hold = await tx.row<Row>(ADD, [merchantId, cause, reason, placedBy, new Date(tx.nowMs).toISOString()])
  assert(hold !== undefined, 'a hold that is placed is there')
  return hold
}

/** In the order in which they were placed. */
export function listHolds(tx: SqlTransaction, merchantId: string, after: number, countMax: number): Promise<MerchantHold[]> {
  return tx.rows<Row>(LIST, [merchantId, after, countMax])
}

export function readHold(tx: SqlTransaction, merchantId: string, holdId: number): Promise<MerchantHold | undefined> {
  return tx.row<Row>(READ, [merchantId, holdId])
}

/** @returns undefined where it is lifted already, or not there */
export function liftHold(
  tx: SqlTransaction,
  merchantId: string,
  holdId: number,
  { by, reason }: { readonly by: string; readonly reason: string },
): Promise<MerchantHold | undefined> {
  return tx.row<Row>(LIFT, [merchantId, holdId, by, new Date(tx.nowMs).toISOString(), reason])
}

/** @returns those that were lifted */
export async function liftHoldsOfReturnedPayouts(tx: SqlTransaction, merchantId: string, by: string): Promise<number[]> {
  const rows = await tx.rows<{ holdId: number }>(LIFT_RETURNED, [merchantId, by, new Date(tx.nowMs).toISOString()])
  return rows.map(({ holdId }) => holdId)
}
