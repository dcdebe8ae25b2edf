/**
 * The outbox: programme_event and "authorization", two tables with one sequence of numbers. For one card the order of numbers is that of commits, because
 * a number is taken under the locks of what it concerns. Over all cards numbers become visible out of order: whoever reads up to what is there
 * skips those of SQL transactions that are still running. Hence the frontier: the number up to which nothing more can appear (adr/0019).
 */
import type { CardToken } from '../../card.ts'
import type { Statement } from '../connection.ts'
import type { SqlTransaction } from './desk.ts'

/** @see advanceFrontier */
export interface EventFrontier {
  /** All events up to this number can be seen, or never will be. */
  readonly final: number
  /** The next candidate: it is final when all SQL transactions with an id below `xid` have ended. */
  readonly awaited: { readonly number: number; readonly xid: string } | undefined
}

export const NO_FRONTIER: EventFrontier = { final: 0, awaited: undefined }

const READ_SEQUENCE: Statement = {
  name: 'read_event_number',
  text: 'SELECT CASE WHEN is_called THEN last_value ELSE 0 END::float8 AS number FROM event_number',
}
const TAKE_XID: Statement = { name: 'take_xid', text: 'SELECT pg_current_xact_id()::text AS xid' }
const HAVE_ENDED: Statement = {
  name: 'have_ended',
  text: 'SELECT pg_snapshot_xmin(pg_current_snapshot()) >= $1::text::xid8 AS ended',
}

/**
 * Looks once how far events are final. To be called on a connection without an open SQL transaction: each step is a statement of its own.
 *
 * Whoever has a number up to `number` had an id before it took the number, and the id that is taken here comes after the number was read: so all of them
 * have lower ids. When the lowest id that is still running has passed it, they have all ended, and who reads from then on sees what they wrote. The
 * snapshot's `xmax` would not do in its place: it is one above the highest id that has ended, and higher ones may be running.
 */
export async function advanceFrontier(tx: SqlTransaction, frontier: EventFrontier): Promise<EventFrontier> {
  const looked = await lookedAt(tx, frontier)
  if (looked.awaited !== undefined) return looked
  const number = (await tx.row<{ number: number }>(READ_SEQUENCE, []))?.number ?? 0
  if (number <= looked.final) return looked
  const xid = (await tx.row<{ xid: string }>(TAKE_XID, []))?.xid ?? '0'
  return lookedAt(tx, { final: looked.final, awaited: { number, xid } })
}

async function lookedAt(tx: SqlTransaction, frontier: EventFrontier): Promise<EventFrontier> {
  if (frontier.awaited === undefined) return frontier
  const { number, xid } = frontier.awaited
  const ended = (await tx.row<{ ended: boolean }>(HAVE_ENDED, [xid]))?.ended === true
  return ended ? { final: number, awaited: undefined } : frontier
}

/** The highest number that was ever taken. */
export async function lastEventNumber(tx: SqlTransaction): Promise<number> {
  return (await tx.row<{ number: number }>(READ_SEQUENCE, []))?.number ?? 0
}

/** Which of the outbox: numbers above `after` up to `until`, the lowest `limit` of them. */
export interface EventRange {
  readonly after: number
  readonly until: number
  readonly limit: number
  readonly cardId?: string | undefined
}

export interface ProgrammeEventRow {
  readonly number: number
  readonly at: Date
  readonly kind: string
  readonly cardId: CardToken | null
  readonly personId: number | null
  readonly householdId: number | null
  readonly data: Readonly<Record<string, unknown>>
}

const PROGRAMME_COLUMNS = `number::float8, at, kind, card_token AS "cardId", person_id::float8 AS "personId", household_id::float8 AS "householdId", data`

const READ_PROGRAMME_EVENTS: Statement = {
  name: 'read_programme_events',
  text: `
    SELECT ${PROGRAMME_COLUMNS} FROM programme_event
    WHERE shard = $1 AND number > $2 AND number <= $3 AND ($5::text IS NULL OR card_token = $5) ORDER BY number LIMIT $4`,
}

export function readProgrammeEvents(tx: SqlTransaction, range: EventRange): Promise<ProgrammeEventRow[]> {
  return tx.rows<ProgrammeEventRow>(READ_PROGRAMME_EVENTS, rangeValues(tx, range))
}

/** A decision of a message, as far as others are told. */
export interface AuthorizationEventRow {
  readonly number: number
  readonly at: Date
  /** See KIND in src/transaction/transaction.ts. */
  readonly kind: number
  readonly mti: number
  readonly cardId: CardToken | null
  readonly personId: number | null
  readonly householdId: number | null
  /** Piasters. */
  readonly requested: number
  readonly approved: number
  /** What moved in the purse's unit, where that is another number. */
  readonly quantity: number | null
  readonly unit: string | null
  readonly purse: string | null
  readonly posted: boolean
  readonly responseCode: string
  readonly reason: string | null
  readonly approvalCode: string | null
  readonly terminalId: string | null
  readonly merchantId: string | null
  readonly rrn: string | null
}

// The lowest numbers are found first, over all partitions in order, and only then looked up what they name.
const READ_AUTHORIZATIONS: Statement = {
  name: 'read_authorization_events',
  text: `
    SELECT a.event_number::float8 AS number, a.decided_at AS at, a.kind, a.mti, a.card_token AS "cardId", c.person_id::float8 AS "personId",
      c.household_id::float8 AS "householdId", a.requested::float8, a.approved::float8, a.quantity::float8, u.name AS unit, k.name AS purse,
      a.purse_version IS NOT NULL AS posted, a.response_code AS "responseCode", a.reason, a.approval_code AS "approvalCode",
      a.terminal_id AS "terminalId", m.acceptor_id AS "merchantId", a.rrn
    FROM (
      SELECT * FROM "authorization"
      WHERE shard = $1 AND event_number > $2 AND event_number <= $3 AND ($5::text IS NULL OR card_token = $5) ORDER BY event_number LIMIT $4
    ) a
      LEFT JOIN card c ON c.shard = a.shard AND c.token = a.card_token
      LEFT JOIN purse p ON p.shard = a.shard AND p.id = a.purse_id
      LEFT JOIN purse_kind k ON k.kind = p.kind
      LEFT JOIN unit u ON u.number = k.unit
      LEFT JOIN merchant m ON m.id = a.merchant_id
    ORDER BY a.event_number`,
}

export function readAuthorizationEvents(tx: SqlTransaction, range: EventRange): Promise<AuthorizationEventRow[]> {
  return tx.rows<AuthorizationEventRow>(READ_AUTHORIZATIONS, rangeValues(tx, range))
}

function rangeValues(tx: SqlTransaction, { after, until, limit, cardId }: EventRange): unknown[] {
  return [tx.shard, after, until, limit, cardId ?? null]
}

const READ_UNSEEN: Statement = {
  name: 'read_unseen_programme_events',
  text: `
    SELECT ${PROGRAMME_COLUMNS} FROM programme_event
    WHERE shard = $1 AND number > $2 AND number <> ALL ($3::bigint[]) ORDER BY number LIMIT $4`,
}

/** What can be seen, final or not, less what was seen: for who need not know the order, but must not wait. */
export function readUnseenEvents(
  tx: SqlTransaction,
  { after, seen, limit }: { readonly after: number; readonly seen: readonly number[]; readonly limit: number },
): Promise<ProgrammeEventRow[]> {
  return tx.rows<ProgrammeEventRow>(READ_UNSEEN, [tx.shard, after, seen, limit])
}

const NUMBER_BEFORE_LAST: Statement = {
  name: 'event_number_before_last',
  text: 'SELECT number::float8 FROM programme_event ORDER BY number DESC OFFSET $1 LIMIT 1',
}

/** The number of the programme's event before the last `count`; 0 where there are no more than that. */
export async function numberBeforeLast(tx: SqlTransaction, count: number): Promise<number> {
  return (await tx.row<{ number: number }>(NUMBER_BEFORE_LAST, [count]))?.number ?? 0
}

const CARDS_CONCERNED: Statement = {
  name: 'cards_concerned',
  text: `
    SELECT unnest($2::text[]) AS token
    UNION SELECT token FROM card WHERE shard = $1 AND person_id = ANY ($3::bigint[])
    UNION SELECT token FROM card WHERE shard = $1 AND household_id = ANY ($4::bigint[])`,
}

/** The cards whose decisions an event may concern: an event of a card that one, others all of the person and the household. */
export async function cardsConcerned(tx: SqlTransaction, events: readonly ProgrammeEventRow[]): Promise<CardToken[]> {
  const wide = events.filter(({ cardId }) => cardId === null)
  const present = <T>(values: readonly (T | null)[]): T[] => values.filter((value) => value !== null)
  const rows = await tx.rows<{ token: CardToken }>(CARDS_CONCERNED, [
    tx.shard,
    present(events.map(({ cardId }) => cardId)),
    present(wide.map(({ personId }) => personId)),
    present(wide.map(({ householdId }) => householdId)),
  ])
  return rows.map(({ token }) => token)
}
