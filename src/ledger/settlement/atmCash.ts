/** Cash in the post's machines: what the ledger says is in each (1010), and what was counted (migrations/0019_bank.sql). */
import type { Statement } from '../connection.ts'
import type { SqlTransaction } from '../programme/desk.ts'

export interface AtmPosition {
  readonly terminalId: string
  /** Owner of its account 1010. */
  readonly number: number
  readonly state: string
  readonly acceptorId: string
  /** Piasters: what was loaded less what was handed out. */
  readonly position: number
  readonly countedAt: Date | null
  readonly counted: number | null
  readonly difference: number | null
}

// What was added up by days, and what has come since: one statement, one snapshot.
const SELECT = `
  SELECT t.terminal_id AS "terminalId", t.id::float8 AS number, t.state, m.acceptor_id AS "acceptorId",
    (coalesce(f.position, 0) + coalesce(s.position, 0))::float8 AS position,
    c.at AS "countedAt", c.counted::float8 AS counted, c.difference::float8 AS difference
  FROM terminal t JOIN merchant m ON m.id = t.merchant_id
    LEFT JOIN (
      SELECT terminal_id, sum(CASE WHEN debit_code = 1010 THEN amount ELSE -amount END) AS position FROM day_flow
      WHERE shard = $1 AND 1010 IN (debit_code, credit_code) AND ($2::bigint IS NULL OR terminal_id = $2) GROUP BY terminal_id
    ) f ON f.terminal_id = t.id
    LEFT JOIN (
      SELECT CASE WHEN debit_code = 1010 THEN debit_owner ELSE credit_owner END AS terminal_id,
        sum(CASE WHEN debit_code = 1010 THEN amount ELSE -amount END) AS position
      FROM general_ledger
      WHERE shard = $1 AND 1010 IN (debit_code, credit_code) AND event_number > coalesce((SELECT until FROM day_progress WHERE shard = $1), 0)
        AND ($2::bigint IS NULL OR $2 IN (debit_owner, credit_owner))
      GROUP BY 1
    ) s ON s.terminal_id = t.id
    LEFT JOIN LATERAL (
      SELECT at, counted, difference FROM atm_count WHERE shard = $1 AND terminal_id = t.id ORDER BY at DESC LIMIT 1
    ) c ON true`

const READ: Statement = { name: 'read_atm', text: `${SELECT} WHERE t.class = 'atm' AND t.id = $2` }
const LIST: Statement = {
  name: 'list_atms',
  text: `${SELECT} WHERE t.class = 'atm' AND t.terminal_id > $3 ORDER BY t.terminal_id LIMIT $4`,
}
const LOCK_CASH: Statement = { name: 'lock_atm_cash', text: 'SELECT pg_advisory_xact_lock(8588, hashtext($1))' }
const FIND: Statement = { name: 'find_atm', text: 'SELECT id::float8 AS number, class FROM terminal WHERE terminal_id = $1' }
const ADD_COUNT: Statement = {
  name: 'add_atm_count',
  text: `
    INSERT INTO atm_count (shard, key, terminal_id, at, position, counted, made_by, note) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
    ON CONFLICT (shard, key) DO NOTHING RETURNING key`,
}

export interface AtmTerminal {
  readonly number: number
  readonly class: string
}

/** Loadings and counts of a machine come one after the other. */
export async function lockAtm(tx: SqlTransaction, terminalId: string): Promise<AtmTerminal | undefined> {
  await tx.row(LOCK_CASH, [terminalId])
  return tx.row<AtmTerminal>(FIND, [terminalId])
}

export function findAtm(tx: SqlTransaction, terminalId: string): Promise<AtmTerminal | undefined> {
  return tx.row<AtmTerminal>(FIND, [terminalId])
}

export function readAtm(tx: SqlTransaction, number: number): Promise<AtmPosition | undefined> {
  return tx.row<AtmPosition>(READ, [tx.shard, number])
}

/** By DE 41, those after `after`. */
export function listAtms(tx: SqlTransaction, after: string, limit: number): Promise<AtmPosition[]> {
  return tx.rows<AtmPosition>(LIST, [tx.shard, null, after, limit])
}

export interface AtmCount {
  readonly key: string
  readonly number: number
  readonly position: number
  readonly counted: number
  readonly madeBy: string
  readonly note: string | null
}

/** @returns false where its key is there already */
export async function addAtmCount(
  tx: SqlTransaction,
  { key, number, position, counted, madeBy, note }: AtmCount,
): Promise<boolean> {
  const values = [tx.shard, key, number, new Date(tx.nowMs).toISOString(), position, counted, madeBy, note]
  return (await tx.row(ADD_COUNT, values)) !== undefined
}
