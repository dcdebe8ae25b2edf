/** Cards as the programme sees them: a card with its life, locked for a change or only looked at. */
import type { CardRole, CardState, CardToken } from '../../card.ts'
import type { Statement } from '../connection.ts'
import type { SqlTransaction } from './desk.ts'

export type CardReason = 'new' | 'lost' | 'stolen' | 'damaged' | 'renewal'

/** Days are Cairo's (`2026-11-22`), instants milliseconds since 1970. */
export interface CardLife {
  readonly token: CardToken
  readonly masked: string
  readonly state: CardState
  readonly role: CardRole
  readonly version: number
  /** YYMM. */
  readonly expiry: string
  readonly householdId: number
  readonly personId: number | null
  readonly governorate: number
  readonly pinSet: boolean
  readonly orderId: string | null
  readonly orderedAtMs: number | null
  readonly printedAtMs: number | null
  readonly placeId: string | null
  /** T0. */
  readonly toldAtMs: number | null
  readonly namedPlaceUntil: string | null
  readonly diwanUntil: string | null
  readonly handedOverAtMs: number | null
  readonly handedOverPlace: string | null
  /** The card it takes the place of, and why. */
  readonly replaces: CardToken | null
  readonly reason: CardReason | null
  /** Piasters. */
  readonly fee: number
  readonly feePaid: 'counter' | 'cash' | null
  /** The decision that took the fee, for as long as it is deferred. */
  readonly feeKey: string | null
  readonly requestedAtMs: number | null
  readonly dueDay: string | null
  readonly endedAtMs: number | null
}

const COLUMNS = `
  c.token, c.masked, c.state, c.role, c.version::int, c.expiry, c.household_id::float8 AS "householdId", c.person_id::float8 AS "personId",
  h.governorate, c.pin_reference IS NOT NULL AS "pinSet", l.order_id AS "orderId", l.ordered_at AS "orderedAt", l.printed_at AS "printedAt",
  l.place_id AS "placeId", l.told_at AS "toldAt", l.named_place_until::text AS "namedPlaceUntil", l.diwan_until::text AS "diwanUntil",
  l.handed_over_at AS "handedOverAt", l.handed_over_place AS "handedOverPlace", l.replaces, l.reason, coalesce(l.fee, 0)::float8 AS fee,
  l.fee_paid AS "feePaid", l.fee_key AS "feeKey", l.requested_at AS "requestedAt", l.due_day::text AS "dueDay", l.ended_at AS "endedAt"`

const FROM = `
  FROM card c JOIN household h ON h.shard = c.shard AND h.id = c.household_id LEFT JOIN card_life l ON l.shard = c.shard AND l.token = c.token`

interface Instants {
  readonly orderedAt: Date | null
  readonly printedAt: Date | null
  readonly toldAt: Date | null
  readonly handedOverAt: Date | null
  readonly requestedAt: Date | null
  readonly endedAt: Date | null
}
type CardLifeRow = Omit<CardLife, 'orderedAtMs' | 'printedAtMs' | 'toldAtMs' | 'handedOverAtMs' | 'requestedAtMs' | 'endedAtMs'> &
  Instants

const LOCK_CARD: Statement = { name: 'lock_card', text: 'SELECT household_id FROM lock_card($1, $2)' }
const LOCK_PURSES: Statement = {
  name: 'lock_purses_of_household',
  text: 'SELECT id::float8 FROM purse WHERE shard = $1 AND household_id = $2 ORDER BY shard, id FOR NO KEY UPDATE',
}
const LOCK_CARDS_OF_PERSON: Statement = {
  name: 'lock_cards_of_person',
  text: 'SELECT token FROM card WHERE shard = $1 AND person_id = $2 ORDER BY token FOR NO KEY UPDATE',
}
const READ_CARD_LIFE: Statement = {
  name: 'read_card_life',
  text: `SELECT ${COLUMNS} ${FROM} WHERE c.shard = $1 AND c.token = $2`,
}
const READ_CARDS_OF_PERSON: Statement = {
  name: 'read_cards_of_person',
  text: `SELECT ${COLUMNS} ${FROM} WHERE c.shard = $1 AND c.person_id = $2 ORDER BY l.ordered_at NULLS FIRST, c.token`,
}
const READ_CARDS_OF_HOUSEHOLD: Statement = {
  name: 'read_cards_of_household',
  text: `SELECT ${COLUMNS} ${FROM} WHERE c.shard = $1 AND c.household_id = $2 ORDER BY c.person_id NULLS LAST, l.ordered_at NULLS FIRST, c.token`,
}

/** Locks it, with the household's purses, before it is read; undefined where there is no such card. */
export async function lockCard(tx: SqlTransaction, token: string): Promise<CardLife | undefined> {
  const locked = await tx.row(LOCK_CARD, [tx.shard, token])
  return locked === undefined ? undefined : readCardLife(tx, token)
}

/**
 * Locks all cards of a person: the household's purses, then the cards by token, as a decision's commit locks them. For whoever changes more than one.
 *
 * @returns them as they are under the lock
 */
export async function lockCardsOfPerson(tx: SqlTransaction, householdId: number, personId: number): Promise<CardLife[]> {
  await lockPurses(tx, householdId)
  await tx.rows(LOCK_CARDS_OF_PERSON, [tx.shard, personId])
  return readCardsOfPerson(tx, personId)
}

/** The purses of a household, before any card of it. */
export async function lockPurses(tx: SqlTransaction, householdId: number): Promise<void> {
  await tx.rows(LOCK_PURSES, [tx.shard, householdId])
}

/** As it is at the moment, not locked. */
export async function readCardLife(tx: SqlTransaction, token: string): Promise<CardLife | undefined> {
  const row = await tx.row<CardLifeRow>(READ_CARD_LIFE, [tx.shard, token])
  return row === undefined ? undefined : cardLife(row)
}

export async function readCardsOfPerson(tx: SqlTransaction, personId: number): Promise<CardLife[]> {
  return (await tx.rows<CardLifeRow>(READ_CARDS_OF_PERSON, [tx.shard, personId])).map(cardLife)
}

export async function readCardsOfHousehold(tx: SqlTransaction, householdId: number): Promise<CardLife[]> {
  return (await tx.rows<CardLifeRow>(READ_CARDS_OF_HOUSEHOLD, [tx.shard, householdId])).map(cardLife)
}

function cardLife(row: CardLifeRow): CardLife {
  const { orderedAt, printedAt, toldAt, handedOverAt, requestedAt, endedAt, ...same } = row
  const instant = (at: Date | null): number | null => at?.getTime() ?? null
  return {
    ...same,
    orderedAtMs: instant(orderedAt),
    printedAtMs: instant(printedAt),
    toldAtMs: instant(toldAt),
    handedOverAtMs: instant(handedOverAt),
    requestedAtMs: instant(requestedAt),
    endedAtMs: instant(endedAt),
  }
}

const CHANGE_STATE: Statement = {
  name: 'change_card_state',
  text: `
    UPDATE card SET state = $3, version = version + 1,
      pin_reference = coalesce($4, pin_reference),
      pin_tries = CASE WHEN $5::boolean THEN 0 ELSE pin_tries END,
      fingerprint_mismatches = CASE WHEN $6::boolean THEN 0 ELSE fingerprint_mismatches END,
      issuer_script = coalesce($7, issuer_script),
      retired_at = CASE WHEN $3 = 'RETIRED' THEN $8::timestamptz ELSE retired_at END
    WHERE shard = $1 AND token = $2
    RETURNING version::int`,
}
const RAISE_GATES: Statement = { name: 'raise_card_gates', text: 'SELECT raise_card_gates($1, $2)' }

/** What a change of state does to the card's row besides. */
export interface CardRowChange {
  /** What a new PIN is verified against. */
  readonly pinReference?: string
  readonly resetPinTries?: boolean
  readonly resetMismatches?: boolean
  /** What the chip is told with its next answer. */
  readonly issuerScript?: 'PIN_UNBLOCK' | 'APPLICATION_BLOCK' | 'CARD_BLOCK'
}

/** Writes the state of a locked card and raises the gates of its purses. @returns the card's new version */
export async function writeCardState(
  tx: SqlTransaction,
  token: string,
  state: CardState,
  change: CardRowChange,
): Promise<number> {
  const { pinReference, resetPinTries = false, resetMismatches = false, issuerScript } = change
  const row = await tx.row<{ version: number }>(CHANGE_STATE, [
    tx.shard,
    token,
    state,
    pinReference ?? null,
    resetPinTries,
    resetMismatches,
    issuerScript ?? null,
    new Date(tx.nowMs).toISOString(),
  ])
  await tx.row(RAISE_GATES, [tx.shard, token])
  tx.changedCards.add(token)
  return row?.version ?? 0
}

/** Columns of card_life that a change may set. */
export interface LifeChange {
  readonly order_id?: string
  readonly ordered_at?: string
  readonly printed_at?: string
  readonly place_id?: string
  readonly told_at?: string
  readonly named_place_until?: string
  readonly diwan_until?: string
  readonly handed_over_at?: string
  readonly handed_over_place?: string
  readonly fingerprint_reference?: string
  readonly replaces?: string
  readonly reason?: CardReason
  readonly fee?: number
  readonly fee_paid?: 'counter' | 'cash' | null
  readonly fee_key?: string | null
  readonly requested_at?: string
  readonly due_day?: string | null
  readonly ended_at?: string
  readonly reminded_at?: string
  readonly next_day?: string | null
}

/** Sets columns of a card's life, which begins with it where there is none yet. */
export async function writeCardLife(tx: SqlTransaction, token: string, change: LifeChange): Promise<void> {
  if (Object.keys(change).length === 0) return
  await tx.row(BEGIN_LIFE, [tx.shard, token])
  await tx.row(WRITE_LIFE, [tx.shard, token, JSON.stringify(change)])
}

const BEGIN_LIFE: Statement = {
  name: 'begin_card_life',
  text: 'INSERT INTO card_life (shard, token) VALUES ($1, $2) ON CONFLICT (shard, token) DO NOTHING',
}

const LIFE_COLUMNS = [
  ...['order_id', 'ordered_at', 'printed_at', 'place_id', 'told_at', 'named_place_until', 'diwan_until', 'handed_over_at'],
  ...[
    'handed_over_place',
    'fingerprint_reference',
    'replaces',
    'reason',
    'fee',
    'fee_paid',
    'fee_key',
    'requested_at',
    'due_day',
  ],
  ...['ended_at', 'reminded_at', 'next_day'],
].join(', ')

// What the JSON does not name stays as it is.
const WRITE_LIFE: Statement = {
  name: 'write_card_life',
  text: `
    UPDATE card_life l SET (${LIFE_COLUMNS}) = (SELECT ${LIFE_COLUMNS} FROM jsonb_populate_record(l, $3::jsonb) AS changed)
    WHERE l.shard = $1 AND l.token = $2`,
}

const READ_SEALED_PAN: Statement = {
  name: 'read_sealed_pan',
  text: `
    SELECT s.key_id AS "keyId", s.pan, c.psn FROM card_secret s JOIN card c ON c.shard = s.shard AND c.token = s.token
    WHERE s.shard = $1 AND s.token = $2`,
}

/** The card's number as it is kept, with the sequence number of its chip's application; undefined where it is not. */
export async function readSealedPan(
  tx: SqlTransaction,
  token: string,
): Promise<{ readonly keyId: string; readonly pan: Buffer; readonly psn: string } | undefined> {
  return tx.row<{ keyId: string; pan: Buffer; psn: string }>(READ_SEALED_PAN, [tx.shard, token])
}
