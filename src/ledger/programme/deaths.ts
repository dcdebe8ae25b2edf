/** Rows of persons and households that a death changes. */
import type { Statement } from '../connection.ts'
import type { SqlTransaction } from './desk.ts'
import { raiseGates } from './households.ts'

export interface MemberRow {
  readonly personId: number
  readonly householdId: number
  readonly birthDate: string
  readonly head: boolean
  readonly diedOn: string | null
  readonly leftOn: string | null
}

const MEMBER = `
  SELECT id::float8 AS "personId", household_id::float8 AS "householdId", birth_date::text AS "birthDate", head, died_on::text AS "diedOn",
    left_on::text AS "leftOn"
  FROM person`
const READ_MEMBER: Statement = { name: 'read_member', text: `${MEMBER} WHERE shard = $1 AND id = $2` }
const READ_MEMBERS: Statement = {
  name: 'read_living_members',
  text: `${MEMBER} WHERE shard = $1 AND household_id = $2 ORDER BY id`,
}

export async function readMember(tx: SqlTransaction, personId: number): Promise<MemberRow | undefined> {
  return tx.row<MemberRow>(READ_MEMBER, [tx.shard, personId])
}

export async function readMembers(tx: SqlTransaction, householdId: number): Promise<MemberRow[]> {
  return tx.rows<MemberRow>(READ_MEMBERS, [tx.shard, householdId])
}

// A change of the counts holds from the next month on (open_purses).
const COUNT_ONE_LESS: Statement = {
  name: 'count_one_member_less',
  text: `
    UPDATE household SET version = version + 1,
      ration_members = GREATEST(ration_members - $3::integer, 0), bread_members = GREATEST(bread_members - $4::integer, 0)
    WHERE shard = $1 AND id = $2`,
}
// Together with `head`: the person's purses have their gates raised by it (raise_gates).
const RECORD_DEATH: Statement = {
  name: 'record_death',
  text: 'UPDATE person SET died_on = $3, head = false, version = version + 1 WHERE shard = $1 AND id = $2',
}
const MAKE_HEAD: Statement = {
  name: 'make_head',
  text: 'UPDATE person SET head = true, version = version + 1 WHERE shard = $1 AND id = $2',
}
const MAKE_HEADS_CARDS: Statement = {
  name: 'make_heads_cards',
  text: `
    UPDATE card SET role = 'head', version = version + 1 WHERE shard = $1 AND person_id = $2 AND role = 'member' AND state <> ALL ($3::text[])
    RETURNING token`,
}
export async function recordDeath(tx: SqlTransaction, personId: number, diedOn: string): Promise<void> {
  await tx.row(RECORD_DEATH, [tx.shard, personId, diedOn])
}

/** The household has one member less on the lists that are named. */
export async function countOneLess(
  tx: SqlTransaction,
  householdId: number,
  lists: { readonly ration: boolean; readonly bread: boolean },
): Promise<void> {
  await tx.row(COUNT_ONE_LESS, [tx.shard, householdId, Number(lists.ration), Number(lists.bread)])
}

/** The person is head from now on, and the person's cards that have not ended carry the household's purses too. Its purses are locked. */
export async function makeHead(
  tx: SqlTransaction,
  householdId: number,
  personId: number,
  ended: readonly string[],
): Promise<void> {
  await tx.row(MAKE_HEAD, [tx.shard, personId])
  const cards = await tx.rows<{ token: string }>(MAKE_HEADS_CARDS, [tx.shard, personId, ended])
  await raiseGates(tx, [householdId])
  for (const { token } of cards) tx.changedCards.add(token)
}
