/** Suspense (2900), item by item (migrations/0019_bank.sql). */
import type { Statement } from '../connection.ts'
import type { SqlTransaction } from '../programme/desk.ts'

export interface SuspenseItem {
  readonly itemId: number
  /** Of its first posting: `decision-13`, a kind of book entry. */
  readonly kind: string
  readonly openedAt: Date
  readonly acceptorId: string | null
  readonly merchantId: number
  /** The other account of its first posting. */
  readonly account: number
  /** Piasters. */
  readonly lent: number
  readonly comeBack: number
  /** More than 0: it is owed to us; less: we owe it. */
  readonly open: number
  /** Who sees to it: `settlement`, the office, until somebody is named. */
  readonly owner: string
  readonly version: number
}

export interface SuspensePosting {
  readonly at: Date
  readonly way: string
  readonly lent: number
  readonly comeBack: number
  readonly eventNumber: number | null
  readonly madeBy: string | null
  readonly note: string | null
}

const COLUMNS = `
  i.id::float8 AS "itemId", i.kind, i.opened_at AS "openedAt", m.acceptor_id AS "acceptorId", i.merchant_id::float8 AS "merchantId", i.account,
  i.lent::float8, i.come_back::float8 AS "comeBack", i.open::float8, i.owner, i.version::float8`
const FROM = 'FROM suspense_item i LEFT JOIN merchant m ON m.id = i.merchant_id'

const ADD_UP: Statement = { name: 'add_up_suspense', text: 'SELECT add_up_suspense($1, $2, $3)::float8 AS until' }
const RECORD_BOOK: Statement = {
  name: 'record_book_suspense',
  text: 'SELECT record_book_suspense($1, $2, $3)::float8 AS "itemId"',
}
const RECORD_MATCH: Statement = {
  name: 'record_suspense_match',
  text: `SELECT record_suspense($1, $2, NULL, $3, $4, NULL, 'match', NULL, NULL, $5, $6, $7, $8)`,
}
const READ: Statement = { name: 'read_suspense_item', text: `SELECT ${COLUMNS} ${FROM} WHERE i.shard = $1 AND i.id = $2` }
const LOCK: Statement = {
  name: 'lock_suspense_items',
  text: `
    SELECT ${COLUMNS} ${FROM} WHERE i.shard = $1 AND i.id = ANY ($2::bigint[]) ORDER BY i.id FOR UPDATE OF i`,
}
const ASSIGN: Statement = {
  name: 'assign_suspense_item',
  text: `UPDATE suspense_item SET owner = coalesce($3, 'settlement'), version = version + 1 WHERE shard = $1 AND id = $2`,
}
const POSTINGS: Statement = {
  name: 'read_suspense_postings',
  text: `
    SELECT at, way, lent::float8, come_back::float8 AS "comeBack", event_number::float8 AS "eventNumber", made_by AS "madeBy", note
    FROM suspense_posting WHERE shard = $1 AND item_id = $2 ORDER BY at, posting_key LIMIT 200`,
}
const LIST: Statement = {
  name: 'list_suspense_items',
  text: `
    SELECT ${COLUMNS} ${FROM}
    WHERE i.shard = $1 AND (NOT $2::boolean OR i.lent <> i.come_back) AND (NOT $3::boolean OR i.lent = i.come_back)
      AND ($4::timestamptz IS NULL OR i.opened_at <= $4) AND ($5::text IS NULL OR i.owner = $5)
      AND (i.opened_at, i.id) > ($6::timestamptz, $7::bigint)
    ORDER BY i.opened_at, i.id LIMIT $8`,
}

/** Event numbers a statement. */
const NUMBERS_A_TIME = 50_000

/** Makes items of everything up to an event number that is final. To be called without an open SQL transaction: each chunk is one of its own. */
export async function addUpSuspense(tx: SqlTransaction, until: number, stopped = (): boolean => false): Promise<void> {
  for (let reached = -1; reached < until && !stopped();) {
    const row = await tx.row<{ until: number }>(ADD_UP, [tx.shard, until, NUMBERS_A_TIME])
    reached = row?.until ?? until
  }
}

/** Of a book entry that was posted in this SQL transaction. @param itemId that it belongs to; null: it is one of its own */
export async function recordBookSuspense(tx: SqlTransaction, key: string, itemId: number | null): Promise<number | null> {
  return (await tx.row<{ itemId: number | null }>(RECORD_BOOK, [tx.shard, key, itemId]))?.itemId ?? null
}

export interface SuspenseMatch {
  readonly key: string
  readonly itemId: number
  readonly lent: number
  readonly comeBack: number
  readonly madeBy: string
  readonly note: string | null
}

/** Moves an item without a posting; the item on the other side is moved by as much the other way. */
export async function recordSuspenseMatch(tx: SqlTransaction, match: SuspenseMatch): Promise<void> {
  const { key, itemId, lent, comeBack, madeBy, note } = match
  await tx.row(RECORD_MATCH, [tx.shard, key, new Date(tx.nowMs).toISOString(), itemId, lent, comeBack, madeBy, note])
}

export function readSuspenseItem(tx: SqlTransaction, itemId: number): Promise<SuspenseItem | undefined> {
  return tx.row<SuspenseItem>(READ, [tx.shard, itemId])
}

/** By id; those that there are. */
export async function lockSuspenseItems(tx: SqlTransaction, itemIds: readonly number[]): Promise<Map<number, SuspenseItem>> {
  const items = await tx.rows<SuspenseItem>(LOCK, [tx.shard, itemIds])
  return new Map(items.map((item) => [item.itemId, item]))
}

export function readSuspensePostings(tx: SqlTransaction, itemId: number): Promise<SuspensePosting[]> {
  return tx.rows<SuspensePosting>(POSTINGS, [tx.shard, itemId])
}

/** Of an item that is locked. @param owner null: the office's again */
export async function assignSuspenseItem(tx: SqlTransaction, itemId: number, owner: string | null): Promise<void> {
  await tx.row(ASSIGN, [tx.shard, itemId, owner])
}

export interface SuspenseFilter {
  readonly state?: 'open' | 'resolved' | undefined
  readonly openedUntilMs?: number | undefined
  readonly owner?: string | undefined
  /** The last one of the page before. */
  readonly after?: { readonly openedAtMs: number; readonly itemId: number } | undefined
  readonly limit: number
}

/** The oldest first. */
export function listSuspenseItems(tx: SqlTransaction, filter: SuspenseFilter): Promise<SuspenseItem[]> {
  const { state, openedUntilMs, owner = null, after, limit } = filter
  return tx.rows<SuspenseItem>(LIST, [
    tx.shard,
    state === 'open',
    state === 'resolved',
    openedUntilMs === undefined ? null : new Date(openedUntilMs).toISOString(),
    owner,
    new Date(after?.openedAtMs ?? 0).toISOString(),
    after?.itemId ?? 0,
    limit,
  ])
}
