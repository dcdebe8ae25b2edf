/** What messages did that people are told of: cards that they stopped, and transactions of holders who asked to be told. */
import type { Statement } from '../connection.ts'
import type { SqlTransaction } from './desk.ts'

export interface NoticeableEvent {
  readonly number: number
  /** `card.pin_tries_exceeded`; of a transaction null. */
  readonly event: string | null
  readonly token: string
  readonly at: Date
  /** See KIND in src/transaction/transaction.ts; of an event 0. */
  readonly kind: number
  /** Piasters, and what moved in the purse's own unit, where that is another number. */
  readonly approved: number
  readonly quantity: number | null
  readonly unit: string | null
  readonly key: string
}

const BEGIN: Statement = {
  name: 'begin_notice_progress',
  text: 'INSERT INTO notice_progress (shard, until) VALUES ($1, $2) ON CONFLICT (shard) DO NOTHING',
}
const LOCK: Statement = {
  name: 'lock_notice_progress',
  text: 'SELECT until::float8 FROM notice_progress WHERE shard = $1 FOR UPDATE SKIP LOCKED',
}
const ADVANCE: Statement = {
  name: 'advance_notice_progress',
  text: 'UPDATE notice_progress SET until = $2 WHERE shard = $1',
}

/** @returns where telling goes on, locked; undefined where another process is at it. What was before the first call is not told. */
export async function lockNoticeProgress(tx: SqlTransaction, final: number): Promise<number | undefined> {
  await tx.row(BEGIN, [tx.shard, final])
  return (await tx.row<{ until: number }>(LOCK, [tx.shard]))?.until
}

export async function writeNoticeProgress(tx: SqlTransaction, until: number): Promise<void> {
  await tx.row(ADVANCE, [tx.shard, until])
}

// An inquiry and a decline have posted nothing. A hold is told when it is completed.
const READ: Statement = {
  name: 'read_noticeable_events',
  text: `
    SELECT number::float8, kind AS event, card_token AS token, at, 0 AS kind, 0::float8 AS approved, NULL::float8 AS quantity, NULL AS unit, '' AS key
    FROM programme_event WHERE shard = $1 AND number > $2 AND number <= $3 AND kind = ANY ($5::text[]) AND card_token IS NOT NULL
    UNION ALL
    SELECT a.event_number::float8, NULL, a.card_token, a.decided_at, a.kind, a.approved::float8, a.quantity::float8, u.name, a.key
    FROM "authorization" a
      JOIN card c ON c.shard = a.shard AND c.token = a.card_token
      JOIN person r ON r.shard = c.shard AND r.id = c.person_id AND r.transaction_notices
      JOIN purse p ON p.shard = a.shard AND p.id = a.purse_id
      JOIN unit u ON u.number = p.unit
    WHERE a.shard = $1 AND a.event_number > $2 AND a.event_number <= $3 AND a.purse_version IS NOT NULL AND a.kind = ANY ($6::int[])
    ORDER BY 1 LIMIT $4`,
}

export interface NoticeableRange {
  readonly after: number
  readonly until: number
  readonly limit: number
  readonly events: readonly string[]
  readonly kinds: readonly number[]
}

/** The lowest `limit` of a range whose end is final. */
export async function readNoticeableEvents(
  tx: SqlTransaction,
  { after, until, limit, events, kinds }: NoticeableRange,
): Promise<NoticeableEvent[]> {
  return tx.rows<NoticeableEvent & Record<string, unknown>>(READ, [tx.shard, after, until, limit, events, kinds])
}
