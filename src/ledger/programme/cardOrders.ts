/** Bulk orders and what became of their rows. */
import type { CardToken } from '../../card.ts'
import type { LookupToken } from '../../personalData.ts'
import type { Statement } from '../connection.ts'
import type { SqlTransaction } from './desk.ts'

export interface BulkOrder {
  readonly orderId: string
  readonly begunAt: Date
  readonly completedAt: Date | null
  readonly rows: number
  readonly accepted: number
  readonly refused: number
  /** Over all rows that are done. */
  readonly rowHash: Buffer
}

const COLUMNS = `
  id AS "orderId", begun_at AS "begunAt", completed_at AS "completedAt", row_count AS "rows", accepted, refused, row_hash AS "rowHash"`

const READ_ORDER: Statement = { name: 'read_card_order', text: `SELECT ${COLUMNS} FROM card_order WHERE id = $1` }
const BEGIN_ORDER: Statement = {
  name: 'begin_card_order',
  text: `
    INSERT INTO card_order (id, actor, begun_at, row_hash) VALUES ($1, $2, $3, $4) ON CONFLICT (id) DO NOTHING`,
}
// Of two that send the same file at once one finds that the rows before its chunk are not the last ones any more.
const LOCK_ORDER: Statement = {
  name: 'lock_card_order',
  text: `SELECT ${COLUMNS} FROM card_order WHERE id = $1 FOR NO KEY UPDATE`,
}
const ADVANCE_ORDER: Statement = {
  name: 'advance_card_order',
  text: `
    UPDATE card_order SET row_count = row_count + $2 + $3, accepted = accepted + $2, refused = refused + $3, row_hash = $4 WHERE id = $1`,
}
const COMPLETE_ORDER: Statement = {
  name: 'complete_card_order',
  text: `UPDATE card_order SET completed_at = $2 WHERE id = $1 AND completed_at IS NULL`,
}

export async function readBulkOrder(tx: SqlTransaction, orderId: string): Promise<BulkOrder | undefined> {
  return tx.row<BulkOrder & Record<string, unknown>>(READ_ORDER, [orderId])
}

/** Nothing happens where it has begun already. */
export async function beginBulkOrder(tx: SqlTransaction, orderId: string, actor: string, rowHash: Buffer): Promise<void> {
  await tx.row(BEGIN_ORDER, [orderId, actor, new Date(tx.nowMs).toISOString(), rowHash])
}

export async function lockBulkOrder(tx: SqlTransaction, orderId: string): Promise<BulkOrder | undefined> {
  return tx.row<BulkOrder & Record<string, unknown>>(LOCK_ORDER, [orderId])
}

export async function completeBulkOrder(tx: SqlTransaction, orderId: string): Promise<void> {
  await tx.row(COMPLETE_ORDER, [orderId, new Date(tx.nowMs).toISOString()])
}

export interface BulkRow {
  /** From 1 on; a header is none. */
  readonly row: number
  readonly cardId: CardToken | null
  /** Null where it was accepted. */
  readonly reason: string | null
  readonly field: string | null
  readonly detail: string | null
}

const ADD_ROWS: Statement = {
  name: 'add_card_order_rows',
  text: `
    INSERT INTO card_order_row (order_id, row_number, card_token, reason, field, detail)
    SELECT $1, n.row_number, n.card_token, n.reason, n.field, n.detail
    FROM unnest($2::integer[], $3::text[], $4::text[], $5::text[], $6::text[]) AS n(row_number, card_token, reason, field, detail)`,
}

/** The rows that follow on those which are done. The order is locked. */
export async function addBulkRows(tx: SqlTransaction, orderId: string, rows: readonly BulkRow[], rowHash: Buffer): Promise<void> {
  await tx.row(ADD_ROWS, [
    orderId,
    rows.map(({ row }) => row),
    rows.map(({ cardId }) => cardId),
    rows.map(({ reason }) => reason),
    rows.map(({ field }) => field),
    rows.map(({ detail }) => detail),
  ])
  const accepted = rows.filter(({ cardId }) => cardId !== null).length
  await tx.row(ADVANCE_ORDER, [orderId, accepted, rows.length - accepted, rowHash])
}

const READ_ROWS: Statement = {
  name: 'read_card_order_rows',
  text: `
    SELECT row_number AS "row", card_token AS "cardId", reason, field, detail FROM card_order_row
    WHERE order_id = $1 AND row_number > $2 AND ($3::boolean IS NULL OR (reason IS NOT NULL) = $3) ORDER BY row_number LIMIT $4`,
}
const READ_REFUSED_ROWS: Statement = {
  name: 'read_refused_card_order_rows',
  text: `
    SELECT row_number AS "row", card_token AS "cardId", reason, field, detail FROM card_order_row
    WHERE order_id = $1 AND row_number > $2 AND reason IS NOT NULL ORDER BY row_number LIMIT $3`,
}

export async function readBulkRows(
  tx: SqlTransaction,
  orderId: string,
  {
    after,
    outcome,
    limit,
  }: { readonly after: number; readonly outcome: 'accepted' | 'refused' | undefined; readonly limit: number },
): Promise<BulkRow[]> {
  return outcome === 'refused'
    ? tx.rows<BulkRow & Record<string, unknown>>(READ_REFUSED_ROWS, [orderId, after, limit])
    : tx.rows<BulkRow & Record<string, unknown>>(READ_ROWS, [orderId, after, outcome === undefined ? null : false, limit])
}

const FIND_PERSONS: Statement = {
  name: 'find_persons',
  text: `
    SELECT national_id_token AS token, person_id::float8 AS "personId", mobile_token AS "mobileToken"
    FROM person_secret WHERE shard = $1 AND national_id_token = ANY ($2::text[])`,
}
const KNOWN_PLACES: Statement = { name: 'known_places', text: 'SELECT id FROM place WHERE id = ANY ($1::text[])' }

export interface FoundPerson {
  readonly token: LookupToken
  readonly personId: number
  readonly mobileToken: LookupToken | null
}

export async function findPersons(tx: SqlTransaction, tokens: readonly LookupToken[]): Promise<Map<LookupToken, FoundPerson>> {
  const rows = await tx.rows<FoundPerson & Record<string, unknown>>(FIND_PERSONS, [tx.shard, tokens])
  return new Map(rows.map((row) => [row.token, row]))
}

/** Those of the ids that are places. */
export async function knownPlaces(tx: SqlTransaction, placeIds: readonly string[]): Promise<Set<string>> {
  return new Set((await tx.rows<{ id: string }>(KNOWN_PLACES, [placeIds])).map(({ id }) => id))
}
