/** Persons, with what is sealed of them. */
import type { Cover } from '../../card.ts'
import type { LookupToken } from '../../personalData.ts'
import type { Statement } from '../connection.ts'
import type { SqlTransaction } from './desk.ts'

export type Language = 'ar' | 'en'

export interface Person {
  readonly personId: number
  readonly householdId: number
  readonly head: boolean
  readonly birthDate: string
  readonly cover: Cover | null
  readonly version: number
  /** Cairo days; null: alive, and in the programme. */
  readonly diedOn: string | null
  readonly leftOn: string | null
  readonly language: Language
  readonly transactionNotices: boolean
  /** Null: nothing is kept of this person but the row. */
  readonly sealed: SealedPerson | null
}

export interface SealedPerson {
  readonly keyId: string
  readonly nationalId: Buffer
  readonly mobile: Buffer | null
  readonly mobileToken: LookupToken | null
}

interface PersonRow extends Omit<Person, 'cover' | 'sealed'> {
  readonly coverClass: string | null
  readonly coverFrom: string
  readonly coverUntil: string
  readonly keyId: string | null
  readonly nationalId: Buffer
  readonly mobile: Buffer | null
  readonly mobileToken: LookupToken | null
}

const SELECT = `
  SELECT p.id::float8 AS "personId", p.household_id::float8 AS "householdId", p.head, p.birth_date::text AS "birthDate", p.cover_class AS "coverClass",
    p.cover_from::text AS "coverFrom", p.cover_until::text AS "coverUntil", p.version::int, p.died_on::text AS "diedOn", p.left_on::text AS "leftOn",
    p.language, p.transaction_notices AS "transactionNotices", s.key_id AS "keyId", s.national_id AS "nationalId", s.mobile, s.mobile_token AS "mobileToken"
  FROM person p LEFT JOIN person_secret s ON s.shard = p.shard AND s.person_id = p.id`

const READ_PERSON: Statement = { name: 'read_person', text: `${SELECT} WHERE p.shard = $1 AND p.id = $2` }
const LOCK_PERSON: Statement = {
  name: 'lock_person',
  text: 'SELECT id FROM person WHERE shard = $1 AND id = $2 FOR NO KEY UPDATE',
}
const READ_MEMBERS: Statement = {
  name: 'read_members',
  text: `${SELECT} WHERE p.shard = $1 AND p.household_id = $2 AND p.left_on IS NULL ORDER BY p.head DESC, p.id`,
}
const FIND_PERSON: Statement = {
  name: 'find_person',
  text: 'SELECT person_id::float8 AS id FROM person_secret WHERE shard = $1 AND national_id_token = $2',
}
const NEXT_PERSON: Statement = {
  name: 'next_person',
  text: 'SELECT coalesce(max(id), $2)::float8 AS last FROM person WHERE shard = $1 AND id > $2 AND id <= $3',
}

export async function readPerson(tx: SqlTransaction, personId: number): Promise<Person | undefined> {
  const row = await tx.row<PersonRow>(READ_PERSON, [tx.shard, personId])
  return row === undefined ? undefined : personOf(row)
}

/** Locked, then read: after the household, its purses and cards, where those are locked too. */
export async function lockPerson(tx: SqlTransaction, personId: number): Promise<Person | undefined> {
  await tx.row(LOCK_PERSON, [tx.shard, personId])
  return readPerson(tx, personId)
}

/** Those of a household who have not left, the head first. */
export async function readMembers(tx: SqlTransaction, householdId: number): Promise<Person[]> {
  return (await tx.rows<PersonRow>(READ_MEMBERS, [tx.shard, householdId])).map(personOf)
}

export async function findPersonId(tx: SqlTransaction, token: LookupToken): Promise<number | undefined> {
  return (await tx.row<{ id: number }>(FIND_PERSON, [tx.shard, token]))?.id
}

/** The highest id of a person between two. @returns `after` where there is none */
export async function lastPersonId(tx: SqlTransaction, after: number, upTo: number): Promise<number> {
  return (await tx.row<{ last: number }>(NEXT_PERSON, [tx.shard, after, upTo]))?.last ?? after
}

function personOf(row: PersonRow): Person {
  const { coverClass, coverFrom, coverUntil, keyId, nationalId, mobile, mobileToken, ...same } = row
  return {
    ...same,
    cover: coverClass === null ? null : { class: coverClass, from: coverFrom, until: coverUntil },
    sealed: keyId === null ? null : { keyId, nationalId, mobile, mobileToken },
  }
}

export interface NewPersonRow {
  readonly personId: number
  readonly householdId: number
  readonly birthDate: string
  readonly head: boolean
  readonly language: Language
  readonly sealed: SealedPerson
  readonly nationalIdToken: LookupToken
}

const INSERT_SECRET: Statement = {
  name: 'insert_person_secret',
  text: `
    INSERT INTO person_secret (shard, person_id, key_id, national_id, mobile, national_id_token, mobile_token) VALUES ($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT (shard, national_id_token) DO NOTHING RETURNING person_id`,
}
const INSERT_PERSON: Statement = {
  name: 'insert_person',
  text: 'INSERT INTO person (shard, id, household_id, birth_date, head, language) VALUES ($1, $2, $3, $4::date, $5, $6)',
}

/** @returns false where somebody has this national ID already; of two at once one is told so */
export async function insertPerson(tx: SqlTransaction, person: NewPersonRow): Promise<boolean> {
  const { personId, householdId, birthDate, head, language, sealed, nationalIdToken } = person
  const { keyId, nationalId, mobile, mobileToken } = sealed
  const secret = [tx.shard, personId, keyId, nationalId, mobile, nationalIdToken, mobileToken]
  if ((await tx.row(INSERT_SECRET, secret)) === undefined) return false
  await tx.row(INSERT_PERSON, [tx.shard, personId, householdId, birthDate, head, language])
  return true
}

const WRITE_SECRET: Statement = {
  name: 'write_person_secret',
  text: 'UPDATE person_secret SET key_id = $3, national_id = $4, mobile = $5, mobile_token = $6 WHERE shard = $1 AND person_id = $2',
}
const WRITE_PREFERENCES: Statement = {
  name: 'write_person_preferences',
  text: `
    UPDATE person SET language = coalesce($3, language), transaction_notices = coalesce($4, transaction_notices), version = version + 1
    WHERE shard = $1 AND id = $2`,
}
const WRITE_COVER: Statement = {
  name: 'write_person_cover',
  text: `
    UPDATE person SET cover_class = $3, cover_from = $4::date, cover_until = $5::date, version = version + 1 WHERE shard = $1 AND id = $2`,
}
// The trigger on these columns raises the gates of the person's purses.
const WRITE_MEMBERSHIP: Statement = {
  name: 'write_person_membership',
  text: `
    UPDATE person SET household_id = $3, head = $4, left_on = $5::date, version = version + 1 WHERE shard = $1 AND id = $2`,
}
const ADD_MOVE: Statement = {
  name: 'add_person_move',
  text: 'INSERT INTO person_move (shard, person_id, moved_at, from_household, to_household) VALUES ($1, $2, clock_timestamp(), $3, $4)',
}

/** Both values, sealed with one key. */
export async function writePersonSecret(tx: SqlTransaction, personId: number, sealed: SealedPerson): Promise<void> {
  const { keyId, nationalId, mobile, mobileToken } = sealed
  await tx.row(WRITE_SECRET, [tx.shard, personId, keyId, nationalId, mobile, mobileToken])
}

/** What is undefined stays. The version goes up in any case. */
export async function writePreferences(
  tx: SqlTransaction,
  personId: number,
  {
    language,
    transactionNotices,
  }: { readonly language?: Language | undefined; readonly transactionNotices?: boolean | undefined },
): Promise<void> {
  await tx.row(WRITE_PREFERENCES, [tx.shard, personId, language ?? null, transactionNotices ?? null])
}

export async function writeCover(tx: SqlTransaction, personId: number, cover: Cover | null): Promise<void> {
  await tx.row(WRITE_COVER, [tx.shard, personId, cover?.class ?? null, cover?.from ?? null, cover?.until ?? null])
}

export interface Membership {
  readonly householdId: number
  readonly head: boolean
  readonly leftOn: string | null
}

export async function writeMembership(
  tx: SqlTransaction,
  personId: number,
  { householdId, head, leftOn }: Membership,
): Promise<void> {
  await tx.row(WRITE_MEMBERSHIP, [tx.shard, personId, householdId, head, leftOn])
}

/** @param to null: out of the programme */
export async function addMove(tx: SqlTransaction, personId: number, from: number, to: number | null): Promise<void> {
  await tx.row(ADD_MOVE, [tx.shard, personId, from, to])
}
