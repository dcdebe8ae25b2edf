/** Rows of cards that are ordered, many at a time. */
import type { CardRole, CardState, CardToken } from '../../card.ts'
import type { Statement } from '../connection.ts'
import type { CardReason } from './cards.ts'
import type { SqlTransaction } from './desk.ts'

export interface NewCardRow {
  readonly token: CardToken
  readonly masked: string
  readonly personId: number
  readonly householdId: number
  readonly role: CardRole
  /** YYMM. */
  readonly expiry: string
  readonly keyId: string
  readonly sealedPan: Buffer
  readonly placeId: string
  readonly orderId: string | null
  readonly reason: CardReason
  readonly replaces: CardToken | null
  /** Piasters. */
  readonly fee: number
  readonly feePaid: 'counter' | 'cash' | null
  readonly dueDay: string | null
}

const INSERT_CARDS: Statement = {
  name: 'insert_cards',
  text: `
    INSERT INTO card (shard, token, masked, household_id, person_id, role, state, expiry)
    SELECT $1, n.token, n.masked, n.household_id, n.person_id, n.role, 'ORDERED', n.expiry
    FROM unnest($2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::text[], $7::text[]) AS n(token, masked, household_id, person_id, role, expiry)
    ON CONFLICT (shard, token) DO NOTHING RETURNING token`,
}
const INSERT_CARD_SECRETS: Statement = {
  name: 'insert_card_secrets',
  text: `
    INSERT INTO card_secret (shard, token, key_id, pan)
    SELECT $1, n.token, n.key_id, n.pan FROM unnest($2::text[], $3::text[], $4::bytea[]) AS n(token, key_id, pan)`,
}
const INSERT_LIVES: Statement = {
  name: 'insert_card_lives',
  text: `
    INSERT INTO card_life (shard, token, ordered_at, requested_at, place_id, order_id, reason, replaces, fee, fee_paid, due_day, next_day)
    SELECT $1, n.token, $2, $2, n.place_id, n.order_id, n.reason, n.replaces, n.fee, n.fee_paid, n.due_day, n.due_day + 1
    FROM unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bigint[], $9::text[], $10::date[])
      AS n(token, place_id, order_id, reason, replaces, fee, fee_paid, due_day)`,
}

/** Each with its sealed number and the beginning of its life. @returns tokens of those that are there now; the others' numbers are somebody's already */
export async function insertCards(tx: SqlTransaction, cards: readonly NewCardRow[]): Promise<Set<CardToken>> {
  const rows = await tx.rows<{ token: CardToken }>(INSERT_CARDS, [
    tx.shard,
    cards.map(({ token }) => token),
    cards.map(({ masked }) => masked),
    cards.map(({ householdId }) => householdId),
    cards.map(({ personId }) => personId),
    cards.map(({ role }) => role),
    cards.map(({ expiry }) => expiry),
  ])
  const tokens = new Set(rows.map(({ token }) => token))
  const added = cards.filter(({ token }) => tokens.has(token))
  await tx.row(INSERT_CARD_SECRETS, [
    tx.shard,
    added.map(({ token }) => token),
    added.map(({ keyId }) => keyId),
    added.map(({ sealedPan }) => sealedPan),
  ])
  await tx.row(INSERT_LIVES, [
    tx.shard,
    new Date(tx.nowMs).toISOString(),
    added.map(({ token }) => token),
    added.map(({ placeId }) => placeId),
    added.map(({ orderId }) => orderId),
    added.map(({ reason }) => reason),
    added.map(({ replaces }) => replaces),
    added.map(({ fee }) => fee),
    added.map(({ feePaid }) => feePaid),
    added.map(({ dueDay }) => dueDay),
  ])
  return tokens
}

export interface CardHolder {
  readonly personId: number
  readonly householdId: number
  readonly governorate: number
  readonly head: boolean
  readonly birthDate: string
  readonly died: boolean
  /** Has left the programme. */
  readonly left: boolean
}

// Two who order a card for the same person wait for each other, so that the second sees the first one's. In a statement of its own: what is read with it would be of
// before the wait.
const LOCK_HOLDERS: Statement = {
  name: 'lock_card_holders',
  text: 'SELECT id FROM person WHERE shard = $1 AND id = ANY ($2::bigint[]) ORDER BY id FOR NO KEY UPDATE',
}
const READ_HOLDERS: Statement = {
  name: 'read_card_holders',
  text: `
    SELECT p.id::float8 AS "personId", p.household_id::float8 AS "householdId", h.governorate, p.head, p.birth_date::text AS "birthDate",
      p.died_on IS NOT NULL AS died, p.left_on IS NOT NULL AS left
    FROM person p JOIN household h ON h.shard = p.shard AND h.id = p.household_id
    WHERE p.shard = $1 AND p.id = ANY ($2::bigint[])`,
}

/** By id; those that are not there are absent. The rows are locked against another order and a change of whom they belong to. */
export async function lockHolders(tx: SqlTransaction, personIds: readonly number[]): Promise<Map<number, CardHolder>> {
  await tx.rows(LOCK_HOLDERS, [tx.shard, personIds])
  const rows = await tx.rows<CardHolder>(READ_HOLDERS, [tx.shard, personIds])
  return new Map(rows.map((row) => [row.personId, row]))
}

const READ_CARDS_OF_PERSONS: Statement = {
  name: 'read_cards_of_persons',
  text: `
    SELECT person_id::float8 AS "personId", token, state FROM card
    WHERE shard = $1 AND person_id = ANY ($2::bigint[]) AND state <> ALL ($3::text[])`,
}

export interface CardOfPerson {
  readonly personId: number
  readonly token: CardToken
  readonly state: CardState
}

/** Cards of these persons that are in none of these states. */
export async function readCardsOfPersons(
  tx: SqlTransaction,
  personIds: readonly number[],
  except: readonly CardState[],
): Promise<CardOfPerson[]> {
  return tx.rows<CardOfPerson & Record<string, unknown>>(READ_CARDS_OF_PERSONS, [tx.shard, personIds, except])
}
