/** Business days in the ledger (migrations/0017_business_day.sql): marks of event numbers, cuts, what a day has moved, and its end. */
import type { Statement } from '../connection.ts'
import type { SqlTransaction } from '../programme/desk.ts'

const MAKE_PROGRESS: Statement = {
  name: 'make_day_progress',
  text: 'INSERT INTO day_progress (shard, until) VALUES ($1, 0) ON CONFLICT DO NOTHING',
}
const LOCK_PROGRESS: Statement = {
  name: 'lock_day_progress',
  text: 'SELECT until::float8 FROM day_progress WHERE shard = $1 FOR UPDATE',
}
const READ_LAST_MARK: Statement = {
  name: 'last_event_mark',
  text: 'SELECT at, number::float8 FROM event_mark WHERE shard = $1 ORDER BY at DESC LIMIT 1',
}
const ADD_MARK: Statement = { name: 'add_event_mark', text: 'INSERT INTO event_mark (shard, at, number) VALUES ($1, $2, $3)' }
const READ_OPEN_DAY: Statement = {
  name: 'open_business_day',
  text: 'SELECT day::text, after::float8 FROM business_day WHERE shard = $1 AND until IS NULL',
}
const OPEN_DAY: Statement = {
  name: 'add_business_day',
  text: 'INSERT INTO business_day (shard, day, after) VALUES ($1, $2::date, $3)',
}
const CUT_DAY: Statement = {
  name: 'cut_business_day',
  text: 'UPDATE business_day SET until = $3, cut_at = $4 WHERE shard = $1 AND day = $2::date AND until IS NULL',
}
const NUMBER_BEFORE: Statement = {
  name: 'event_number_before',
  text: 'SELECT event_number_before($1, $2)::float8 AS number',
}
const ADD_UP: Statement = { name: 'add_up_days', text: 'SELECT add_up_days($1, $2, $3)::float8 AS until' }
const CLOSE: Statement = { name: 'close_day', text: 'SELECT close_day($1, $2::date, $3, $4) AS outcome' }
const UNCLOSED: Statement = {
  name: 'unclosed_business_days',
  text: `
    SELECT day::text FROM business_day
    WHERE shard = $1 AND until IS NOT NULL AND closed_at IS NULL ORDER BY day LIMIT $2`,
}

/** Event numbers a statement: some seconds. The more there are, the more often an outlet is among them, and is written once. */
const NUMBERS_A_TIME = 500_000

/** Who marks, cuts or closes comes one after the other. To be called first in the SQL transaction. */
export async function lockDays(tx: SqlTransaction): Promise<void> {
  await tx.row(MAKE_PROGRESS, [tx.shard])
  await tx.row(LOCK_PROGRESS, [tx.shard])
}

/** Everything up to `number` is final, and was the highest at an instant. */
export interface EventMark {
  readonly atMs: number
  readonly number: number
}

export async function readLastMark(tx: SqlTransaction): Promise<EventMark | undefined> {
  const row = await tx.row<{ at: Date; number: number }>(READ_LAST_MARK, [tx.shard])
  return row === undefined ? undefined : { atMs: row.at.getTime(), number: row.number }
}

/**
 * Notes how far events are final. The days are locked. Clocks of processes differ: a mark is always after the one before it, and one that knows less is not noted.
 *
 * @returns the last mark, this one or another's
 */
export async function markEvents(tx: SqlTransaction, { atMs, number }: EventMark): Promise<EventMark> {
  const last = await readLastMark(tx)
  if (last !== undefined && number < last.number) return last
  const mark = { atMs: Math.max(atMs, (last?.atMs ?? Number.NEGATIVE_INFINITY) + 1), number }
  await tx.row(ADD_MARK, [tx.shard, new Date(mark.atMs).toISOString(), number])
  return mark
}

/** The day that is open; undefined: there never was one. */
export async function readOpenDay(tx: SqlTransaction): Promise<{ readonly day: string; readonly after: number } | undefined> {
  return tx.row<{ day: string; after: number }>(READ_OPEN_DAY, [tx.shard])
}

/** @param after the last event number of the day before */
export async function openDay(tx: SqlTransaction, day: string, after: number): Promise<void> {
  await tx.row(OPEN_DAY, [tx.shard, day, after])
}

/** Fixes the numbers of the day that is open. @param cutMs its cut-off, milliseconds since 1970 */
export async function cutDay(tx: SqlTransaction, day: string, until: number, cutMs: number): Promise<void> {
  await tx.row(CUT_DAY, [tx.shard, day, until, new Date(cutMs).toISOString()])
}

/** The highest event number of what was decided before an instant: the same whenever it is asked. Undefined: not known yet, ask again after the next mark. */
export async function eventNumberBefore(tx: SqlTransaction, instantMs: number): Promise<number | undefined> {
  const row = await tx.row<{ number: number | null }>(NUMBER_BEFORE, [tx.shard, new Date(instantMs).toISOString()])
  return row?.number ?? undefined
}

/** Adds up what is final. To be called without an open SQL transaction: each chunk is one of its own. @returns false where it was stopped half-way */
export async function addUpDays(tx: SqlTransaction, until: number, shouldStop: () => boolean): Promise<boolean> {
  for (let reached = -1; ;) {
    const row = await tx.row<{ until: number | null }>(ADD_UP, [tx.shard, until, NUMBERS_A_TIME])
    const now = row?.until ?? until
    if (now >= until || now === reached) return true
    if (shouldStop()) return false
    reached = now
  }
}

/** Days that were cut and not closed yet, the oldest first. */
export async function unclosedDays(tx: SqlTransaction, limit: number): Promise<string[]> {
  return (await tx.rows<{ day: string }>(UNCLOSED, [tx.shard, limit])).map(({ day }) => day)
}

/** What became of an attempt to close a day; undefined: there is no such day. */
export type CloseOutcome = 'closed' | 'closed before' | 'open' | 'not added up' | 'day before'

export async function closeDay(tx: SqlTransaction, day: string, by: string): Promise<CloseOutcome | undefined> {
  const row = await tx.row<{ outcome: CloseOutcome | null }>(CLOSE, [tx.shard, day, new Date(tx.nowMs).toISOString(), by])
  return row?.outcome ?? undefined
}

export interface BusinessDay {
  readonly day: string
  /** Event numbers above the first up to the second; null: it is open. */
  readonly after: number
  readonly until: number | null
  readonly cutAt: Date | null
  readonly closedAt: Date | null
  readonly closedBy: string | null
}

const COLUMNS = `
  day::text, after::float8, until::float8, cut_at AS "cutAt", closed_at AS "closedAt", closed_by AS "closedBy"`
const READ_DAY: Statement = {
  name: 'read_business_day',
  text: `SELECT ${COLUMNS} FROM business_day WHERE shard = $1 AND day = $2::date`,
}
const LIST_DAYS: Statement = {
  name: 'list_business_days',
  text: `
    SELECT ${COLUMNS} FROM business_day
    WHERE shard = $1 AND day < $2::date ORDER BY day DESC LIMIT $3`,
}

export async function readBusinessDay(tx: SqlTransaction, day: string): Promise<BusinessDay | undefined> {
  return tx.row<BusinessDay & Record<string, unknown>>(READ_DAY, [tx.shard, day])
}

/** The latest first. @param before leaves out this day and later ones; undefined: none */
export async function listBusinessDays(tx: SqlTransaction, before: string | undefined, limit: number): Promise<BusinessDay[]> {
  return tx.rows<BusinessDay & Record<string, unknown>>(LIST_DAYS, [tx.shard, before ?? 'infinity', limit])
}

export interface DayTotal {
  readonly code: number
  /** Number of the unit. */
  readonly unit: number
  /** Of the day. */
  readonly debits: number
  readonly credits: number
  /** Debits less credits, of all days up to it. */
  readonly balance: number
}

const READ_TOTALS: Statement = {
  name: 'read_day_totals',
  text: `
    SELECT code, unit, debits::float8, credits::float8, balance::float8
    FROM day_total WHERE shard = $1 AND day = $2::date ORDER BY unit, code`,
}

/** The books at the end of a closed day. */
export async function readDayTotals(tx: SqlTransaction, day: string): Promise<DayTotal[]> {
  return tx.rows<DayTotal & Record<string, unknown>>(READ_TOTALS, [tx.shard, day])
}

export interface DaySummary {
  readonly outlets: number
  /** Piasters: what the outlets have earned; what treasury and fund owe for it. */
  readonly earned: number
  readonly claimed: number
}

const READ_SUMMARY: Statement = {
  name: 'read_day_summary',
  text: `
    SELECT (SELECT count(DISTINCT merchant_id) FROM outlet_position WHERE shard = $1 AND day = $2::date)::float8 AS outlets,
      (SELECT coalesce(sum(net), 0) FROM outlet_position WHERE shard = $1 AND day = $2::date)::float8 AS earned,
      (SELECT coalesce(sum(amount), 0) FROM claim WHERE shard = $1 AND day = $2::date)::float8 AS claimed`,
}

export async function readDaySummary(tx: SqlTransaction, day: string): Promise<DaySummary> {
  return (
    (await tx.row<DaySummary & Record<string, unknown>>(READ_SUMMARY, [tx.shard, day])) ?? { outlets: 0, earned: 0, claimed: 0 }
  )
}
