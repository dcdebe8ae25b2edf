/** What is in purses, and what was posted on one: read from the ledger, never from Redis. */
import type { Statement } from '../connection.ts'
import type { SqlTransaction } from './desk.ts'

export interface PurseBalance {
  readonly purseId: number
  readonly kind: number
  readonly personId: number | null
  readonly householdId: number
  /** Whole units. */
  readonly available: number
  readonly held: number
  /** First day of the month that it was last opened for. */
  readonly cycle: string | null
}

const COLUMNS = `
  id::float8 AS "purseId", kind, person_id::float8 AS "personId", household_id::float8 AS "householdId", balance::float8 AS available,
  held::float8 AS held, cycle::text`

const READ_PERSON_PURSES: Statement = {
  name: 'read_person_purses',
  text: `SELECT ${COLUMNS} FROM purse WHERE shard = $1 AND household_id = $2 AND person_id = $3 ORDER BY kind`,
}
const READ_HOUSEHOLD_PURSES: Statement = {
  name: 'read_household_purses',
  text: `SELECT ${COLUMNS} FROM purse WHERE shard = $1 AND household_id = $2 AND person_id IS NULL ORDER BY kind`,
}

/** Purses of a person, who is in that household. */
export async function readPersonPurses(tx: SqlTransaction, householdId: number, personId: number): Promise<PurseBalance[]> {
  return tx.rows<PurseBalance & Record<string, unknown>>(READ_PERSON_PURSES, [tx.shard, householdId, personId])
}

/** Those that are the household's own. */
export async function readHouseholdPurses(tx: SqlTransaction, householdId: number): Promise<PurseBalance[]> {
  return tx.rows<PurseBalance & Record<string, unknown>>(READ_HOUSEHOLD_PURSES, [tx.shard, householdId])
}

export interface PostedLine {
  /** The purse's after it: lines are in this order. */
  readonly version: number
  readonly at: Date
  readonly kind: number
  readonly terminalId: string | null
  readonly merchantName: string | null
  /** What can be spent changed by this; whole units. */
  readonly moved: number
  readonly available: number
  readonly rrn: string | null
  readonly responseCode: string
}

// Only first legs have an index. A second leg is on a purse of the same household, or of one in which the person was before. What moved is told by the posting
// before, whenever that was: versions have no gaps.
const READ_POSTINGS: Statement = {
  name: 'read_purse_postings',
  text: `
    WITH first_purse AS (
      SELECT p.id FROM purse p
      WHERE p.shard = $1 AND p.household_id IN (
        SELECT household_id FROM purse WHERE shard = $1 AND id = $2
        UNION SELECT m.from_household FROM person_move m JOIN purse o ON o.shard = m.shard AND o.person_id = m.person_id WHERE o.shard = $1 AND o.id = $2
      )
    ), posting AS (
      SELECT a.purse_version AS version, a.decided_at, a.kind, a.terminal_id, a.merchant_id, a.available_after, a.rrn, a.response_code
      FROM "authorization" a WHERE a.shard = $1 AND a.purse_id = $2 AND a.purse_version IS NOT NULL
      UNION ALL
      SELECT a.second_version, a.decided_at, a.kind, a.terminal_id, a.merchant_id, a.second_available_after, a.rrn, a.response_code
      FROM first_purse f CROSS JOIN LATERAL (
        SELECT * FROM "authorization" WHERE shard = $1 AND purse_id = f.id AND second_purse_id = $2 AND second_version IS NOT NULL
        -- Purse by purse, by the index, whatever the planner takes the number of purses for.
        OFFSET 0
      ) a
    ), line AS (
      SELECT *, available_after - lag(available_after, 1, 0::bigint) OVER (ORDER BY version) AS moved FROM posting
    )
    SELECT l.version::float8 AS version, l.decided_at AS at, l.kind, l.terminal_id AS "terminalId", m.name AS "merchantName", l.moved::float8 AS moved,
      l.available_after::float8 AS available, l.rrn, l.response_code AS "responseCode"
    FROM (SELECT * FROM line WHERE version > $3 AND decided_at >= $4 AND decided_at < $5 ORDER BY version LIMIT $6) l
      LEFT JOIN merchant m ON m.id = l.merchant_id
    ORDER BY l.version`,
}

export interface PostingsAsked {
  readonly purseId: number
  /** Instants, milliseconds since 1970: from the first, before the second. */
  readonly fromMs: number
  readonly untilMs: number
  /** Version of the last line of the page before; 0 at the beginning. */
  readonly after: number
  readonly limit: number
}

export async function readPostings(
  tx: SqlTransaction,
  { purseId, fromMs, untilMs, after, limit }: PostingsAsked,
): Promise<PostedLine[]> {
  const period = [new Date(fromMs).toISOString(), new Date(untilMs).toISOString()]
  return tx.rows<PostedLine & Record<string, unknown>>(READ_POSTINGS, [tx.shard, purseId, after, ...period, limit])
}
