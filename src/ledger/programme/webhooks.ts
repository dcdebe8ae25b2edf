/** Webhooks: whom events are sent to, how far they have taken them, and what they were not told. */
import type { Statement } from '../connection.ts'
import type { SqlTransaction } from './desk.ts'

export type WebhookState = 'active' | 'paused'

export interface Webhook {
  readonly id: string
  readonly url: string
  readonly kinds: readonly string[]
  readonly state: WebhookState
  readonly version: number
  readonly madeBy: string
  readonly madeAt: Date
  readonly toldUntil: number
  readonly attempts: number
  readonly nextAt: Date | null
  readonly lastFailure: string | null
  readonly lastToldAt: Date | null
  readonly deadLetters: number
}

const COLUMNS = `
  w.id, w.url, w.kinds, w.state, w.version::float8, w.made_by AS "madeBy", w.made_at AS "madeAt", w.told_until::float8 AS "toldUntil", w.attempts,
  w.next_at AS "nextAt", w.last_failure AS "lastFailure", w.last_told_at AS "lastToldAt",
  (SELECT count(*) FROM webhook_dead_letter d WHERE d.shard = w.shard AND d.webhook_id = w.id)::float8 AS "deadLetters"`

const READ_ONE: Statement = { name: 'read_webhook', text: `SELECT ${COLUMNS} FROM webhook w WHERE w.shard = $1 AND w.id = $2` }
const LOCK: Statement = { name: 'lock_webhook', text: 'SELECT id FROM webhook WHERE shard = $1 AND id = $2 FOR UPDATE' }
const READ_PAGE: Statement = {
  name: 'read_webhook_page',
  text: `SELECT ${COLUMNS} FROM webhook w WHERE w.shard = $1 AND w.id > $2 ORDER BY w.id LIMIT $3`,
}
const COUNT: Statement = { name: 'count_webhooks', text: 'SELECT count(*)::int AS count FROM webhook WHERE shard = $1' }
// Two that are made at once may not both be the last one.
const LOCK_TABLE: Statement = { name: 'lock_webhooks', text: 'LOCK TABLE webhook IN SHARE ROW EXCLUSIVE MODE' }
const INSERT: Statement = {
  name: 'insert_webhook',
  text: `
    INSERT INTO webhook (shard, id, url, kinds, key_id, secret, made_by, made_at, told_until) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
}
const DELETE: Statement = { name: 'delete_webhook', text: 'DELETE FROM webhook WHERE shard = $1 AND id = $2' }
const SET_STATE: Statement = {
  name: 'set_webhook_state',
  // Whoever starts it again wants it tried at once, and anew.
  text: `UPDATE webhook SET state = $3, version = version + 1, attempts = 0, next_at = NULL WHERE shard = $1 AND id = $2`,
}
const REPLAY: Statement = {
  name: 'replay_webhook',
  text: `
    WITH forgotten AS (DELETE FROM webhook_dead_letter WHERE shard = $1 AND webhook_id = $2 AND number > $3)
    UPDATE webhook SET told_until = $3, version = version + 1, attempts = 0, trying_until = NULL, next_at = NULL WHERE shard = $1 AND id = $2`,
}
const DEAD_LETTERS: Statement = {
  name: 'read_dead_letters',
  text: `
    SELECT number::float8 AS "eventId", kind, given_up_at AS "givenUpAt", attempts, failure FROM webhook_dead_letter
    WHERE shard = $1 AND webhook_id = $2 AND number > $3 ORDER BY number LIMIT $4`,
}

export function readWebhook(tx: SqlTransaction, id: string): Promise<Webhook | undefined> {
  return tx.row<Webhook>(READ_ONE, [tx.shard, id])
}

/** Locks it before it is read. */
export async function lockWebhook(tx: SqlTransaction, id: string): Promise<Webhook | undefined> {
  return (await tx.row(LOCK, [tx.shard, id])) === undefined ? undefined : readWebhook(tx, id)
}

export function readWebhookPage(tx: SqlTransaction, after: string, limit: number): Promise<Webhook[]> {
  return tx.rows<Webhook>(READ_PAGE, [tx.shard, after, limit])
}

export interface NewWebhook extends Pick<Webhook, 'id' | 'url' | 'kinds' | 'madeBy' | 'toldUntil'> {
  readonly keyId: string
  readonly sealedSecret: Buffer
}

/** @returns false where there are `max` already */
export async function insertWebhook(tx: SqlTransaction, webhook: NewWebhook, max: number): Promise<boolean> {
  await tx.row(LOCK_TABLE, [])
  const { count } = (await tx.row<{ count: number }>(COUNT, [tx.shard])) ?? { count: 0 }
  if (count >= max) return false
  const { id, url, kinds, keyId, sealedSecret, madeBy, toldUntil } = webhook
  const madeAt = new Date(tx.nowMs).toISOString()
  await tx.row(INSERT, [tx.shard, id, url, kinds, keyId, sealedSecret, madeBy, madeAt, toldUntil])
  return true
}

export async function deleteWebhook(tx: SqlTransaction, id: string): Promise<void> {
  await tx.row(DELETE, [tx.shard, id])
}

export async function setWebhookState(tx: SqlTransaction, id: string, state: WebhookState): Promise<void> {
  await tx.row(SET_STATE, [tx.shard, id, state])
}

/** Everything after a number is told again. */
export async function replayWebhook(tx: SqlTransaction, id: string, after: number): Promise<void> {
  await tx.row(REPLAY, [tx.shard, id, after])
}

export interface DeadLetter {
  readonly eventId: number
  readonly kind: string
  readonly givenUpAt: Date
  readonly attempts: number
  readonly failure: string
}

export function readDeadLetters(tx: SqlTransaction, id: string, after: number, limit: number): Promise<DeadLetter[]> {
  return tx.rows<DeadLetter>(DEAD_LETTERS, [tx.shard, id, after, limit])
}
