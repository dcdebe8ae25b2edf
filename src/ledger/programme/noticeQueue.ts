/** The queue of notices, shared by all processes: claimed for a time, then marked with what came of it. None of this is a change of the programme. */
import type { Language, NoticeValue } from '../../noticeTemplates.ts'
import type { Statement } from '../connection.ts'
import type { SqlTransaction } from './desk.ts'

/** A notice that this process is to send now. */
export interface ClaimedNotice {
  readonly id: number
  readonly round: number
  /** Of this round, this one counted. */
  readonly attempts: number
  readonly template: string
  readonly language: Language
  readonly parameters: Readonly<Record<string, NoticeValue>>
  readonly personId: number
  readonly died: boolean
  /** Sealed; null where the recipient has none. */
  readonly mobile: Buffer | null
  readonly keyId: string | null
}

// Whoever is about to claim the same passes by. The claim ends by itself, so that nothing is lost with the process that has it.
const CLAIM: Statement = {
  name: 'claim_notices',
  text: `
    WITH due AS (
      SELECT id FROM notice WHERE next_attempt_at <= $2 AND shard = $1 ORDER BY next_attempt_at, id LIMIT $4 FOR UPDATE SKIP LOCKED
    ), claimed AS (
      UPDATE notice n SET attempts = n.attempts + 1, next_attempt_at = $3 FROM due WHERE n.id = due.id RETURNING n.*
    )
    SELECT n.id::float8 AS id, n.round, n.attempts, n.template, n.language, n.parameters, n.person_id::float8 AS "personId",
      p.died_on IS NOT NULL AS died, s.mobile, s.key_id AS "keyId"
    FROM claimed n LEFT JOIN person p ON p.shard = n.shard AND p.id = n.person_id
      LEFT JOIN person_secret s ON s.shard = n.shard AND s.person_id = n.person_id
    ORDER BY n.id`,
}

/** @param leaseMs for so long nobody else takes them */
export async function claimNotices(tx: SqlTransaction, countMax: number, leaseMs: number): Promise<ClaimedNotice[]> {
  return tx.rows<ClaimedNotice>(CLAIM, [tx.shard, instant(tx.nowMs), instant(tx.nowMs + leaseMs), countMax])
}

const ADD_REFERENCE: Statement = {
  name: 'add_notice_reference',
  text: 'INSERT INTO notice_reference (reference, notice_id) VALUES ($1, $2) ON CONFLICT (reference) DO NOTHING',
}
const MARK_SENT: Statement = {
  name: 'mark_notice_sent',
  text: `
    UPDATE notice SET state = 'sent', provider_reference = $2, sent_at = $3, next_attempt_at = NULL, reason = NULL
    WHERE id = $1 AND state IN ('pending', 'failed')`,
}

/** The provider has taken it. */
export async function markSent(tx: SqlTransaction, id: number, reference: string): Promise<void> {
  await tx.row(ADD_REFERENCE, [reference, id])
  await tx.row(MARK_SENT, [id, reference, instant(tx.nowMs)])
}

const MARK_FAILED: Statement = {
  name: 'mark_notice_failed',
  text: `
    UPDATE notice SET state = CASE WHEN $4::timestamptz IS NULL THEN 'dead' ELSE 'failed' END, next_attempt_at = $4, reason = $3
    WHERE id = $1 AND attempts = $2 AND state IN ('pending', 'failed')`,
}

/** @param againMs when it is tried again; null: never, it is dead. Where another process has claimed it since, its outcome counts. */
export async function markFailed(
  tx: SqlTransaction,
  { id, attempts }: Pick<ClaimedNotice, 'id' | 'attempts'>,
  reason: string,
  againMs: number | null,
): Promise<void> {
  await tx.row(MARK_FAILED, [id, attempts, reason, againMs === null ? null : instant(againMs)])
}

const MARK_UNDELIVERED: Statement = {
  name: 'mark_notice_undelivered',
  text: `
    UPDATE notice SET reason = $4,
      state = CASE WHEN round < $5 THEN 'failed' ELSE 'dead' END,
      next_attempt_at = CASE WHEN round < $5 THEN $6::timestamptz END,
      attempts = CASE WHEN round < $5 THEN 0 ELSE attempts END,
      round = CASE WHEN round < $5 THEN round + 1 ELSE round END
    WHERE shard = $1 AND id = $2 AND state = 'sent' AND provider_reference = $3`,
}

export interface Undelivered {
  readonly id: number
  /** Of the sending that did not arrive: one that was followed by another is of no interest. */
  readonly reference: string
  readonly reason: string
  /** So often it is sent in all. */
  readonly roundsMax: number
  readonly againMs: number
}

/** It did not arrive: sent once more later, or dead. */
export async function markUndelivered(
  tx: SqlTransaction,
  { id, reference, reason, roundsMax, againMs }: Undelivered,
): Promise<void> {
  await tx.row(MARK_UNDELIVERED, [tx.shard, id, reference, reason, roundsMax, instant(againMs)])
}

const FAIL_UNANSWERED: Statement = {
  name: 'fail_unanswered_notices',
  text: `
    UPDATE notice SET reason = 'no-receipt',
      state = CASE WHEN round < $4 THEN 'failed' ELSE 'dead' END,
      next_attempt_at = CASE WHEN round < $4 THEN $5::timestamptz END,
      attempts = CASE WHEN round < $4 THEN 0 ELSE attempts END,
      round = CASE WHEN round < $4 THEN round + 1 ELSE round END
    WHERE id IN (
      SELECT id FROM notice WHERE state = 'sent' AND sent_at < $3 AND shard = $1 AND template = $2
      ORDER BY sent_at LIMIT $6 FOR UPDATE SKIP LOCKED)
    RETURNING id`,
}

/** Of a notice that something waits for no report has come for too long. @returns how many */
export async function failUnanswered(
  tx: SqlTransaction,
  template: string,
  sentBeforeMs: number,
  roundsMax: number,
  chunk: number,
): Promise<number> {
  const rows = await tx.rows(FAIL_UNANSWERED, [tx.shard, template, instant(sentBeforeMs), roundsMax, instant(tx.nowMs), chunk])
  return rows.length
}

const FORGET_TOLD: Statement = {
  name: 'forget_told_notices',
  text: `
    DELETE FROM notice WHERE id IN (
      SELECT id FROM notice WHERE state = 'delivered' AND delivered_at < $1 OR state = 'sent' AND sent_at < $1 LIMIT $2 FOR UPDATE SKIP LOCKED)
    RETURNING id`,
}

/** Forgets what people were told long ago; whoever could not be told stays on the list. @returns how many */
export async function forgetTold(tx: SqlTransaction, beforeMs: number, chunk: number): Promise<number> {
  return (await tx.rows(FORGET_TOLD, [instant(beforeMs), chunk])).length
}

function instant(ms: number): string {
  return new Date(ms).toISOString()
}
