/** Disputes as they are kept, and the trace of the messages that they are about. A case changes only while the purses of its posting are locked. */
import { assert } from '../../assert.ts'
import type { Statement } from '../connection.ts'
import type { SqlTransaction } from '../programme/desk.ts'

export const DISPUTE_REASONS = ['atm-did-not-dispense', 'charged-twice', 'goods-not-given', 'not-me'] as const
export type DisputeReason = (typeof DISPUTE_REASONS)[number]
export const DISPUTE_STATES = ['open', 'granted', 'refused', 'withdrawn'] as const
export type DisputeState = (typeof DISPUTE_STATES)[number]

/** Amounts are piasters, days Cairo's. Null: not yet, or nothing of the kind (migrations/0020_disputes.sql). */
export interface Dispute {
  readonly id: number
  readonly cardToken: string
  readonly householdId: number
  readonly personId: number | null
  readonly purseId: number
  readonly secondPurseId: number | null
  readonly originalDate: string
  readonly originalKey: string
  readonly reason: DisputeReason
  readonly claimed: number
  readonly state: DisputeState
  readonly openedBy: string
  readonly openedAt: Date
  readonly note: string | null
  readonly creditDay: string | null
  readonly decideBy: string
  readonly provisional: number | null
  readonly granted: number | null
  readonly takenBack: number | null
  readonly uncovered: number | null
  readonly decidedAt: Date | null
}

type Row = Dispute & Record<string, unknown>

const COLUMNS = `
  id::float8 AS id, card_token AS "cardToken", household_id::float8 AS "householdId", person_id::float8 AS "personId", purse_id::float8 AS "purseId",
  second_purse_id::float8 AS "secondPurseId", original_date::text AS "originalDate", original_key AS "originalKey", reason, claimed::float8 AS claimed, state,
  opened_by AS "openedBy", opened_at AS "openedAt", note, credit_day::text AS "creditDay", decide_by::text AS "decideBy", provisional::float8 AS provisional,
  granted::float8 AS granted, taken_back::float8 AS "takenBack", uncovered::float8 AS uncovered, decided_at AS "decidedAt"`

/** A posting of a purse, found as statements show it; or by the key that the ledger knows it by. */
export interface DisputedPosting {
  readonly key: string
  readonly keyDate: string
  readonly cardToken: string | null
  readonly purseId: number
  readonly secondPurseId: number | null
  readonly terminalId: string | null
  /** Number of the machine in the chart of accounts; null where there is no such terminal any more, or there was none. */
  readonly terminalNumber: number | null
}

const POSTING_COLUMNS = `
  a.key, a.key_date::text AS "keyDate", a.card_token AS "cardToken", a.purse_id::float8 AS "purseId", a.second_purse_id::float8 AS "secondPurseId",
  a.terminal_id AS "terminalId", t.id::float8 AS "terminalNumber"`
const FIND_POSTING: Statement = {
  name: 'find_disputed_posting',
  text: `
    SELECT ${POSTING_COLUMNS} FROM "authorization" a LEFT JOIN terminal t ON t.terminal_id = a.terminal_id
    WHERE a.shard = $1 AND a.purse_id = $2 AND a.purse_version = $3`,
}
const READ_POSTING: Statement = {
  name: 'read_disputed_posting',
  text: `
    SELECT ${POSTING_COLUMNS} FROM "authorization" a LEFT JOIN terminal t ON t.terminal_id = a.terminal_id
    WHERE a.shard = $1 AND a.key_date = $2 AND a.key = $3`,
}
const LOCK_PURSES_BY_ID: Statement = {
  name: 'lock_disputed_purses',
  text: `
    SELECT id::float8 AS id, kind, cycle::text AS cycle, members, gate::float8 AS gate, balance::float8 AS balance
    FROM purse WHERE shard = $1 AND id = ANY ($2::bigint[]) ORDER BY shard, id FOR NO KEY UPDATE`,
}
const INSERT_DISPUTE: Statement = {
  name: 'insert_dispute',
  text: `
    INSERT INTO dispute (shard, card_token, household_id, person_id, purse_id, second_purse_id, original_date, original_key, reason, claimed, opened_by, opened_at,
      note, credit_day, decide_by, evidence)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16::jsonb)
    ON CONFLICT (shard, original_date, original_key) WHERE state <> 'withdrawn' DO NOTHING
    RETURNING ${COLUMNS}`,
}
const READ_DISPUTE: Statement = {
  name: 'read_dispute',
  text: `SELECT ${COLUMNS}, evidence FROM dispute WHERE shard = $1 AND id = $2`,
}
const LIST_DISPUTES: Statement = {
  name: 'list_disputes',
  text: `
    SELECT ${COLUMNS} FROM dispute
    WHERE shard = $1 AND ($2::text IS NULL OR state = $2) AND ($3::date IS NULL OR decide_by <= $3) AND ($4::text IS NULL OR card_token = $4)
      AND ($5::date IS NULL OR (decide_by, id) > ($5, $6))
    ORDER BY decide_by, id LIMIT $7`,
}
const DUE_CREDITS: Statement = {
  name: 'due_provisional_credits',
  text: `
    SELECT id::float8 AS id FROM dispute
    WHERE shard = $1 AND state = 'open' AND provisional IS NULL AND credit_day <= $2 AND id > $3
    ORDER BY id LIMIT $4`,
}
const WRITE_CREDIT: Statement = {
  name: 'write_provisional_credit',
  text: `UPDATE dispute SET provisional = $3, provisional_date = $4 WHERE shard = $1 AND id = $2 RETURNING ${COLUMNS}`,
}
const WRITE_DECISION: Statement = {
  name: 'write_dispute_decision',
  text: `
    UPDATE dispute SET state = $3, granted = $4, taken_back = $5, uncovered = $6, decided_at = $7, decided_date = $8
    WHERE shard = $1 AND id = $2 RETURNING ${COLUMNS}`,
}

/** @param version the purse's after the posting, as statements show it */
export function findPosting(tx: SqlTransaction, purseId: number, version: number): Promise<DisputedPosting | undefined> {
  return tx.row<DisputedPosting & Record<string, unknown>>(FIND_POSTING, [tx.shard, purseId, version])
}

export async function postingOf(tx: SqlTransaction, { originalDate, originalKey }: Dispute): Promise<DisputedPosting> {
  const posting = await tx.row<DisputedPosting & Record<string, unknown>>(READ_POSTING, [tx.shard, originalDate, originalKey])
  assert(posting !== undefined, 'the ledger is append only')
  return posting
}

export interface LockedPurse {
  readonly id: number
  readonly kind: number
  readonly cycle: string | null
  readonly members: number
  readonly gate: number
  readonly balance: number
}

/** In the order of every lock of purses. */
export function lockPostingPurses(
  tx: SqlTransaction,
  { purseId, secondPurseId }: Pick<DisputedPosting, 'purseId' | 'secondPurseId'>,
): Promise<LockedPurse[]> {
  const ids = secondPurseId === null ? [purseId] : [purseId, secondPurseId]
  return tx.rows<LockedPurse & Record<string, unknown>>(LOCK_PURSES_BY_ID, [tx.shard, ids])
}

export type NewDispute = Omit<
  Dispute,
  'id' | 'state' | 'openedAt' | 'provisional' | 'granted' | 'takenBack' | 'uncovered' | 'decidedAt'
> & { readonly evidence: readonly TraceLine[] }

/** @returns undefined where the posting has a case already */
export function insertDispute(tx: SqlTransaction, dispute: NewDispute): Promise<Dispute | undefined> {
  return tx.row<Row>(INSERT_DISPUTE, [
    tx.shard,
    dispute.cardToken,
    dispute.householdId,
    dispute.personId,
    dispute.purseId,
    dispute.secondPurseId,
    dispute.originalDate,
    dispute.originalKey,
    dispute.reason,
    dispute.claimed,
    dispute.openedBy,
    new Date(tx.nowMs).toISOString(),
    dispute.note,
    dispute.creditDay,
    dispute.decideBy,
    JSON.stringify(dispute.evidence),
  ])
}

export function readDispute(
  tx: SqlTransaction,
  id: number,
): Promise<(Dispute & { readonly evidence: readonly TraceLine[] }) | undefined> {
  return tx.row<Row & { evidence: TraceLine[] }>(READ_DISPUTE, [tx.shard, id])
}

export interface DisputeFilter {
  readonly state?: DisputeState | undefined
  /** Those that have to be decided by that day or before. */
  readonly dueBy?: string | undefined
  readonly cardToken?: string | undefined
  /** The last one of the page before. */
  readonly after?: { readonly decideBy: string; readonly id: number } | undefined
  readonly limit: number
}

/** What has to be decided first comes first. */
export function listDisputes(tx: SqlTransaction, filter: DisputeFilter): Promise<Dispute[]> {
  const { state = null, dueBy = null, cardToken = null, after, limit } = filter
  return tx.rows<Row>(LIST_DISPUTES, [tx.shard, state, dueBy, cardToken, after?.decideBy ?? null, after?.id ?? null, limit])
}

/** Ids of open cases whose provisional credit is due on a Cairo day. */
export async function dueCredits(tx: SqlTransaction, day: string, after: number, limit: number): Promise<number[]> {
  return (await tx.rows<{ id: number }>(DUE_CREDITS, [tx.shard, day, after, limit])).map(({ id }) => id)
}

/** @param postedOn date of the posting's key; null: there was nothing to lend */
export async function writeCredit(tx: SqlTransaction, id: number, amount: number, postedOn: string | null): Promise<Dispute> {
  const dispute = await tx.row<Row>(WRITE_CREDIT, [tx.shard, id, amount, postedOn])
  assert(dispute !== undefined, 'a case does not go away')
  return dispute
}

export interface DisputeOutcome {
  readonly state: Exclude<DisputeState, 'open'>
  readonly granted: number | null
  readonly takenBack: number
  readonly uncovered: number
  /** Date of the postings' keys. */
  readonly postedOn: string
}

export async function writeOutcome(tx: SqlTransaction, id: number, outcome: DisputeOutcome): Promise<Dispute> {
  const { state, granted, takenBack, uncovered, postedOn } = outcome
  const at = new Date(tx.nowMs).toISOString()
  const dispute = await tx.row<Row>(WRITE_DECISION, [tx.shard, id, state, granted, takenBack, uncovered, at, postedOn])
  assert(dispute !== undefined, 'a case does not go away')
  return dispute
}

/** One decision of the trace. No card number, and nothing that its holder typed. */
export interface TraceLine {
  /** `original`: what is disputed; `follows`: refunds, reversals and what disputes gave; `near`: others of the purse at the same merchant within a day. */
  readonly role: 'original' | 'follows' | 'near'
  readonly key: string
  readonly at: string
  readonly mti: number
  readonly kind: number
  readonly requested: number
  readonly approved: number
  readonly responseCode: string
  readonly reason: string | null
  readonly approvalCode: string | null
  readonly terminalId: string | null
  readonly terminalClass: string | null
  readonly acceptorId: string | null
  readonly merchantName: string | null
  readonly rrn: string | null
  /** Told in stand-in, while the ledger could not be reached. */
  readonly stoodInAt: string | null
}

// All of it by the index on purses. A refund's reversal follows the refund.
const READ_TRACE: Statement = {
  name: 'read_dispute_trace',
  text: `
    WITH original AS (
      SELECT * FROM "authorization" WHERE shard = $1 AND key_date = $2 AND key = $3
    ), follows AS (
      SELECT a.* FROM original o JOIN "authorization" a ON a.shard = o.shard AND a.purse_id = o.purse_id AND a.original_date = o.key_date AND a.original_key = o.key
    ), line AS (
      SELECT 'original' AS role, o.* FROM original o
      UNION ALL SELECT 'follows', f.* FROM follows f
      UNION ALL SELECT 'follows', r.* FROM follows f JOIN "authorization" r ON r.shard = f.shard AND r.purse_id = f.purse_id AND r.original_date = f.key_date AND r.original_key = f.key
      UNION ALL SELECT 'near', n.* FROM (
        SELECT n.* FROM original o JOIN "authorization" n ON n.shard = o.shard AND n.purse_id = o.purse_id AND n.merchant_id = o.merchant_id
        WHERE n.key_date BETWEEN o.key_date - 2 AND o.key_date + 2 AND n.decided_at BETWEEN o.decided_at - interval '1 day' AND o.decided_at + interval '1 day'
          AND n.terminal_id IS NOT NULL AND n.key <> o.key AND n.original_key IS DISTINCT FROM o.key
        ORDER BY abs(extract(epoch FROM n.decided_at - o.decided_at)) LIMIT 20
      ) n
    )
    SELECT l.role, l.key, l.decided_at AS at, l.mti, l.kind, l.requested::float8 AS requested, l.approved::float8 AS approved, l.response_code AS "responseCode", l.reason,
      l.approval_code AS "approvalCode", l.terminal_id AS "terminalId", t.class AS "terminalClass", m.acceptor_id AS "acceptorId", m.name AS "merchantName", l.rrn,
      l.stood_in_at AS "stoodInAt"
    FROM line l LEFT JOIN terminal t ON t.terminal_id = l.terminal_id LEFT JOIN merchant m ON m.id = l.merchant_id
    ORDER BY array_position(ARRAY['original', 'follows', 'near'], l.role), l.decided_at, l.event_number`,
}

export async function readTrace(
  tx: SqlTransaction,
  { key, keyDate }: { readonly key: string; readonly keyDate: string },
): Promise<TraceLine[]> {
  type TraceRow = Omit<TraceLine, 'at' | 'stoodInAt'> & { readonly at: Date; readonly stoodInAt: Date | null }
  const rows = await tx.rows<TraceRow & Record<string, unknown>>(READ_TRACE, [tx.shard, keyDate, key])
  return rows.map((row) => ({ ...row, at: row.at.toISOString(), stoodInAt: row.stoodInAt?.toISOString() ?? null }))
}
