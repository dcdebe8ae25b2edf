/** Notices as changes and people see them: put into the outbox, looked at, sent again, reported delivered. The queue is in noticeQueue.ts. */
import type { Language, NoticeParameters, NoticeValue, TemplateName } from '../../noticeTemplates.ts'
import type { Statement } from '../connection.ts'
import type { SqlTransaction } from './desk.ts'

export type NoticeState = 'pending' | 'sent' | 'delivered' | 'failed' | 'dead'

/** `holder`: whose card it is, or the head where the holder has no mobile. `head`: the head of household, or the holder where there is none. */
export type NoticeRecipient = 'holder' | 'head'

export interface NewNotice<Name extends TemplateName> {
  readonly template: Name
  readonly to: NoticeRecipient
  readonly householdId: number
  readonly personId: number | null
  readonly cardToken: string | null
  /** No name, and no number of a card, of an ID or of a mobile; a card by its last four digits. */
  readonly parameters: NoticeParameters<Name>
  /** A second notice with the same is none. */
  readonly once?: string
}

const ADD_NOTICE: Statement = {
  name: 'add_notice',
  text: `
    INSERT INTO notice (at, shard, person_id, card_token, template, language, parameters, once_key, state, next_attempt_at, reason)
    SELECT $1::timestamptz, $2, r.id, $6, $7, coalesce(r.language, 'ar'), $8, $9,
      CASE WHEN r.id IS NULL THEN 'dead' ELSE 'pending' END, CASE WHEN r.id IS NULL THEN NULL ELSE $1::timestamptz END,
      CASE WHEN r.id IS NULL THEN 'no-recipient' END
    FROM (SELECT) AS one LEFT JOIN LATERAL (
      SELECT p.id, p.language
      FROM person p LEFT JOIN person_secret s ON s.shard = p.shard AND s.person_id = p.id
      WHERE p.shard = $2 AND p.household_id = $3 AND p.died_on IS NULL AND (p.head OR p.id = $4)
      ORDER BY (p.id = $4 AND $5 = 'holder' AND s.mobile IS NOT NULL) DESC, p.head DESC LIMIT 1) AS r ON true
    ON CONFLICT (once_key) DO NOTHING
    RETURNING id::float8 AS id`,
}

/**
 * Puts a notice into the outbox, in the SQL transaction of what it tells of: it is sent if and only if that is committed. Where there is nobody to
 * tell it is dead at once, for the hotline to see.
 *
 * @returns its id; undefined where it was there already (`once`)
 */
export async function addNotice<Name extends TemplateName>(
  tx: SqlTransaction,
  { template, to, householdId, personId, cardToken, parameters, once }: NewNotice<Name>,
): Promise<number | undefined> {
  const row = await tx.row<{ id: number }>(ADD_NOTICE, [
    new Date(tx.nowMs).toISOString(),
    tx.shard,
    householdId,
    personId,
    to,
    cardToken,
    template,
    JSON.stringify(parameters),
    once ?? null,
  ])
  return row?.id
}

export interface Notice {
  readonly id: number
  readonly at: Date
  readonly personId: number | null
  readonly cardToken: string | null
  /** The card's number, masked. */
  readonly masked: string | null
  readonly template: string
  readonly language: Language
  readonly parameters: Readonly<Record<string, NoticeValue>>
  readonly state: NoticeState
  readonly attempts: number
  readonly nextAttemptAt: Date | null
  readonly sentAt: Date | null
  readonly deliveredAt: Date | null
  readonly reason: string | null
}

const COLUMNS = `
  n.id::float8 AS id, n.at, n.person_id::float8 AS "personId", n.card_token AS "cardToken", c.masked, n.template, n.language, n.parameters, n.state,
  n.attempts, n.next_attempt_at AS "nextAttemptAt", n.sent_at AS "sentAt", n.delivered_at AS "deliveredAt", n.reason`
const FROM = 'FROM notice n LEFT JOIN card c ON c.shard = n.shard AND c.token = n.card_token'

const READ_NOTICES: Statement = {
  name: 'read_notices',
  text: `
    SELECT ${COLUMNS} ${FROM}
    WHERE n.shard = $1 AND ($2::text IS NULL OR n.state = $2) AND ($3::bigint IS NULL OR n.person_id = $3) AND ($4::bigint IS NULL OR n.id < $4)
    ORDER BY n.id DESC LIMIT $5`,
}

export interface NoticeFilter {
  readonly state?: NoticeState | undefined
  readonly personId?: number | undefined
  /** Older than this one only. */
  readonly before?: number | undefined
  readonly limit: number
}

/** Newest first. */
export async function readNotices(tx: SqlTransaction, { state, personId, before, limit }: NoticeFilter): Promise<Notice[]> {
  return tx.rows<Notice>(READ_NOTICES, [tx.shard, state ?? null, personId ?? null, before ?? null, limit])
}

const READ_NOTICE: Statement = { name: 'read_notice', text: `SELECT ${COLUMNS} ${FROM} WHERE n.shard = $1 AND n.id = $2` }

export async function readNotice(tx: SqlTransaction, id: number): Promise<Notice | undefined> {
  return tx.row<Notice>(READ_NOTICE, [tx.shard, id])
}

const REVIVE_NOTICE: Statement = {
  name: 'revive_notice',
  text: `
    UPDATE notice n SET state = 'pending', round = round + 1, attempts = 0, next_attempt_at = $3, reason = NULL, person_id = r.person_id
    FROM (
      SELECT d.id, CASE WHEN d.template = ANY ($4::text[]) THEN h.id ELSE coalesce(d.person_id, h.id) END AS person_id
      FROM notice d
        LEFT JOIN card c ON c.shard = d.shard AND c.token = d.card_token
        LEFT JOIN person h ON h.shard = c.shard AND h.household_id = c.household_id AND h.head AND h.died_on IS NULL
      WHERE d.shard = $1 AND d.id = $2
    ) r
    WHERE n.shard = $1 AND n.id = r.id AND n.state = 'dead' AND r.person_id IS NOT NULL
    RETURNING n.id`,
}

/**
 * @param toTheHead templates that go to whoever is the head now: the one of before may have died
 * @returns false where it is not dead, or nobody's
 */
export async function reviveNotice(tx: SqlTransaction, id: number, toTheHead: readonly string[]): Promise<boolean> {
  return (await tx.row(REVIVE_NOTICE, [tx.shard, id, new Date(tx.nowMs).toISOString(), toTheHead])) !== undefined
}

const NOTICE_OF_REFERENCE: Statement = {
  name: 'notice_of_reference',
  text: `SELECT ${COLUMNS} ${FROM} JOIN notice_reference f ON f.notice_id = n.id WHERE n.shard = $1 AND f.reference = $2`,
}

/** The notice that a provider gave this reference, also where it was sent again since. */
export async function noticeOfReference(tx: SqlTransaction, reference: string): Promise<Notice | undefined> {
  return tx.row<Notice>(NOTICE_OF_REFERENCE, [tx.shard, reference])
}

const MARK_DELIVERED: Statement = {
  name: 'mark_notice_delivered',
  text: `
    UPDATE notice SET state = 'delivered', delivered_at = $3, next_attempt_at = NULL, reason = NULL
    WHERE shard = $1 AND id = $2 AND state <> 'delivered'
    RETURNING id`,
}

/** Whatever was thought of it: who has it has it. @returns false where that was known */
export async function markDelivered(tx: SqlTransaction, id: number, atMs: number): Promise<boolean> {
  return (await tx.row(MARK_DELIVERED, [tx.shard, id, new Date(atMs).toISOString()])) !== undefined
}

const WANTS_TRANSACTION_NOTICES: Statement = {
  name: 'wants_transaction_notices',
  text: 'SELECT transaction_notices AS wants FROM person WHERE shard = $1 AND id = $2',
}

/** Whether the person asked for a message after each transaction. */
export async function wantsTransactionNotices(tx: SqlTransaction, personId: number): Promise<boolean> {
  return (await tx.row<{ wants: boolean }>(WANTS_TRANSACTION_NOTICES, [tx.shard, personId]))?.wants ?? false
}
