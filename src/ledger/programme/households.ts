/** Households with their counts, and what of purses and cards follows who lives there. */
import type { CardRole } from '../../card.ts'
import { assert } from '../../assert.ts'
import type { Statement } from '../connection.ts'
import type { SqlTransaction } from './desk.ts'

export interface Household {
  readonly householdId: number
  readonly governorate: number
  readonly rationMembers: number
  readonly breadMembers: number
  readonly version: number
}

const COLUMNS = `id::float8 AS "householdId", governorate, ration_members AS "rationMembers", bread_members AS "breadMembers", version::int`

const READ_HOUSEHOLD: Statement = {
  name: 'read_household',
  text: `SELECT ${COLUMNS} FROM household WHERE shard = $1 AND id = $2`,
}
const LOCK_HOUSEHOLDS: Statement = {
  name: 'lock_households',
  text: `SELECT ${COLUMNS} FROM household WHERE shard = $1 AND id = ANY ($2::bigint[]) ORDER BY id FOR NO KEY UPDATE`,
}
const LOCK_PURSES: Statement = {
  name: 'lock_household_purses',
  text: 'SELECT id FROM purse WHERE shard = $1 AND household_id = ANY ($2::bigint[]) ORDER BY shard, id FOR NO KEY UPDATE',
}
const LOCK_CARDS: Statement = {
  name: 'lock_household_cards',
  text: 'SELECT token FROM card WHERE shard = $1 AND household_id = ANY ($2::bigint[]) ORDER BY token FOR NO KEY UPDATE',
}

export async function readHousehold(tx: SqlTransaction, householdId: number): Promise<Household | undefined> {
  return tx.row<Household>(READ_HOUSEHOLD, [tx.shard, householdId])
}

/** In the order of their ids; those that are not there are left out. */
export async function lockHouseholds(tx: SqlTransaction, householdIds: readonly number[]): Promise<Household[]> {
  return tx.rows<Household>(LOCK_HOUSEHOLDS, [tx.shard, householdIds])
}

/** Locks all purses and then all cards of households that are locked. @returns the cards' tokens */
export async function lockPursesAndCards(tx: SqlTransaction, householdIds: readonly number[]): Promise<string[]> {
  await tx.rows(LOCK_PURSES, [tx.shard, householdIds])
  return (await tx.rows<{ token: string }>(LOCK_CARDS, [tx.shard, householdIds])).map(({ token }) => token)
}

const NEXT_HOUSEHOLD: Statement = { name: 'next_household', text: `SELECT nextval('household_number')::float8 AS id` }
const INSERT_HOUSEHOLD: Statement = {
  name: 'insert_household',
  text: 'INSERT INTO household (shard, id, governorate, ration_members, bread_members) VALUES ($1, $2, $3, $4, $5)',
}
const WRITE_HOUSEHOLD: Statement = {
  name: 'write_household',
  text: `
    UPDATE household SET ration_members = $3, bread_members = $4, version = version + 1 WHERE shard = $1 AND id = $2 RETURNING ${COLUMNS}`,
}
// The trigger on this column raises the gates of the household's purses, whether it changes or not.
const WRITE_GOVERNORATE: Statement = {
  name: 'write_household_governorate',
  text: 'UPDATE household SET governorate = $3 WHERE shard = $1 AND id = $2',
}

export async function nextHouseholdId(tx: SqlTransaction): Promise<number> {
  const row = await tx.row<{ id: number }>(NEXT_HOUSEHOLD, [])
  assert(row !== undefined, 'a sequence has a next number')
  return row.id
}

export async function insertHousehold(tx: SqlTransaction, household: Omit<Household, 'version'>): Promise<void> {
  const { householdId, governorate, rationMembers, breadMembers } = household
  await tx.row(INSERT_HOUSEHOLD, [tx.shard, householdId, governorate, rationMembers, breadMembers])
}

/** Counts hold from the next cycle on. */
export async function writeCounts(
  tx: SqlTransaction,
  { householdId, rationMembers, breadMembers }: Pick<Household, 'householdId' | 'rationMembers' | 'breadMembers'>,
): Promise<void> {
  await tx.row(WRITE_HOUSEHOLD, [tx.shard, householdId, rationMembers, breadMembers])
}

export async function writeGovernorate(tx: SqlTransaction, householdId: number, governorate: number): Promise<void> {
  await tx.row(WRITE_GOVERNORATE, [tx.shard, householdId, governorate])
}

export interface NewPurseRow {
  readonly id: number
  readonly kind: number
  readonly unit: number
  readonly householdId: number
  readonly personId: number | null
}

// Of a month none is opened yet: the first use does that, or the job of the month.
const INSERT_PURSES: Statement = {
  name: 'insert_purses',
  text: `
    INSERT INTO purse (shard, id, kind, unit, household_id, person_id)
    SELECT $1, n.id, n.kind, n.unit, n.household_id, n.person_id
    FROM unnest($2::bigint[], $3::smallint[], $4::smallint[], $5::bigint[], $6::bigint[]) AS n(id, kind, unit, household_id, person_id)`,
}
const MOVE_PURSES: Statement = {
  name: 'move_purses',
  text: 'UPDATE purse SET household_id = $4 WHERE shard = $1 AND person_id = $2 AND household_id = $3',
}
const RAISE_ALL_GATES: Statement = {
  name: 'raise_household_gates',
  text: 'UPDATE purse SET gate = gate + 1 WHERE shard = $1 AND household_id = ANY ($2::bigint[])',
}
const MOVE_CARDS: Statement = {
  name: 'move_cards',
  text: 'UPDATE card SET household_id = $3, role = $4, version = version + 1 WHERE shard = $1 AND person_id = $2',
}

export async function insertPurses(tx: SqlTransaction, purses: readonly NewPurseRow[]): Promise<void> {
  await tx.row(INSERT_PURSES, [
    tx.shard,
    purses.map(({ id }) => id),
    purses.map(({ kind }) => kind),
    purses.map(({ unit }) => unit),
    purses.map(({ householdId }) => householdId),
    purses.map(({ personId }) => personId),
  ])
}

/** A person's purses and cards go with the person. Purses and cards are locked; the gates are raised by `raiseGates`. */
export async function movePursesAndCards(
  tx: SqlTransaction,
  {
    personId,
    from,
    to,
    role,
  }: { readonly personId: number; readonly from: number; readonly to: number; readonly role: CardRole },
): Promise<void> {
  if (from !== to) await tx.row(MOVE_PURSES, [tx.shard, personId, from, to])
  await tx.row(MOVE_CARDS, [tx.shard, personId, to, role])
}

/** Whatever was decided before about any purse of these households is looked at again. */
export async function raiseGates(tx: SqlTransaction, householdIds: readonly number[]): Promise<void> {
  await tx.row(RAISE_ALL_GATES, [tx.shard, householdIds])
}
