/** What clocks look for: cards on which something is due, cards of a month, old answers; and how far they have come. */
import type { CardRole, CardState } from '../../card.ts'
import type { Statement } from '../connection.ts'
import type { SqlTransaction } from './desk.ts'

const DUE_CARDS: Statement = {
  name: 'due_cards',
  text: `
    SELECT token, next_day::text AS day FROM card_life
    WHERE next_day <= $2::date AND shard = $1 AND (next_day, token) > ($3::date, $4)
    ORDER BY next_day, token LIMIT $5`,
}

export interface DueCard {
  readonly day: string
  readonly token: string
}

/** Cards that a clock has to look at by a day, after the one given. */
export async function dueCards(tx: SqlTransaction, day: string, after: DueCard | undefined, chunk: number): Promise<DueCard[]> {
  return tx.rows<DueCard>(DUE_CARDS, [tx.shard, day, after?.day ?? '-infinity', after?.token ?? '', chunk])
}

export interface ClockDays {
  readonly nextDay: string | null
  /** When the holder was last reminded. */
  readonly remindedAt: Date | null
  /** A card has been ordered in its place, and that order has not come to nothing. */
  readonly succeeded: boolean
}

const CLOCK_DAYS: Statement = {
  name: 'clock_days',
  text: `
    SELECT l.next_day::text AS "nextDay", l.reminded_at AS "remindedAt", EXISTS (
      SELECT FROM card_life s JOIN card k ON k.shard = s.shard AND k.token = s.token
      WHERE s.shard = $1 AND s.replaces = $2 AND k.state NOT IN ('CANCELLED', 'DESTROYED')) AS succeeded
    FROM (SELECT) AS one LEFT JOIN card_life l ON l.shard = $1 AND l.token = $2`,
}

/** To be called when the card is locked. */
export async function readClockDays(tx: SqlTransaction, token: string): Promise<ClockDays> {
  return (await tx.row<ClockDays>(CLOCK_DAYS, [tx.shard, token])) ?? { nextDay: null, remindedAt: null, succeeded: false }
}

export interface CardOfMonth {
  /** YYMM. */
  readonly expiry: string
  readonly token: string
  readonly state: CardState
  readonly role: CardRole
}

// By the index card_expiry alone; what is not wanted is left out by the caller, so that a page takes the same time whatever the cards are.
const CARDS_OF_MONTHS: Statement = {
  name: 'cards_of_months',
  text: `
    SELECT expiry, token, state, role FROM card
    WHERE shard = $1 AND (expiry, token) > ($2, $3) AND expiry <= $4
    ORDER BY expiry, token LIMIT $5`,
}

/** Cards whose last month is after `months.after` and not after `months.to`, in order, from behind the card given. */
export async function cardsOfMonths(
  tx: SqlTransaction,
  months: { readonly after: string; readonly to: string },
  behind: Pick<CardOfMonth, 'expiry' | 'token'> | undefined,
  chunk: number,
): Promise<CardOfMonth[]> {
  // The number after a month's may be none of a month (2613): it is only compared.
  const from = behind ?? { expiry: String(Number(months.after) + 1).padStart(months.after.length, '0'), token: '' }
  return tx.rows<CardOfMonth>(CARDS_OF_MONTHS, [tx.shard, from.expiry, from.token, months.to, chunk])
}

const READ_MARK: Statement = { name: 'read_clock_mark', text: 'SELECT month FROM clock_mark WHERE shard = $1 AND name = $2' }
const SET_MARK: Statement = {
  name: 'set_clock_mark',
  text: `
    INSERT INTO clock_mark (shard, name, month) VALUES ($1, $2, $3)
    ON CONFLICT (name, shard) DO UPDATE SET month = greatest(clock_mark.month, EXCLUDED.month)`,
}

/** The last month, YYMM, that a clock is done with; `0000` where there is none. */
export async function readClockMark(tx: SqlTransaction, name: string): Promise<string> {
  return (await tx.row<{ month: string }>(READ_MARK, [tx.shard, name]))?.month ?? '0000'
}

export async function setClockMark(tx: SqlTransaction, name: string, month: string): Promise<void> {
  await tx.row(SET_MARK, [tx.shard, name, month])
}

const FORGET_REQUESTS: Statement = {
  name: 'forget_api_requests',
  text: `
    DELETE FROM api_request WHERE (actor, key) IN (
      SELECT actor, key FROM api_request WHERE at < $1 ORDER BY at LIMIT $2 FOR UPDATE SKIP LOCKED)
    RETURNING key`,
}

/** Forgets what keys were answered that nobody repeats any more. @returns how many */
export async function forgetRequests(tx: SqlTransaction, beforeMs: number, chunk: number): Promise<number> {
  return (await tx.rows(FORGET_REQUESTS, [new Date(beforeMs).toISOString(), chunk])).length
}

const NAME_OF_PLACE: Statement = {
  name: 'name_of_place',
  text: 'SELECT name_ar AS ar, name_en AS en FROM place WHERE id = $1',
}
const NAME_OF_DIWAN: Statement = {
  name: 'name_of_diwan',
  text: `SELECT name_ar AS ar, name_en AS en FROM place WHERE governorate = $1 AND kind = 'diwan'`,
}

export interface PlaceName {
  readonly ar: string
  readonly en: string
}

export async function nameOfPlace(tx: SqlTransaction, placeId: string): Promise<PlaceName | undefined> {
  return tx.row<PlaceName & Record<string, string>>(NAME_OF_PLACE, [placeId])
}

/** undefined where the governorate's Diwan is not on the list of places. */
export async function nameOfDiwan(tx: SqlTransaction, governorate: number): Promise<PlaceName | undefined> {
  return tx.row<PlaceName & Record<string, string>>(NAME_OF_DIWAN, [governorate])
}
