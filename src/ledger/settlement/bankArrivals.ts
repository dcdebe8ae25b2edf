/** Statements that are being taken and matched, in pieces (migrations/0021_bank_pieces.sql). A statement is locked by its account (lockBankAccount). */
import type { Statement } from '../connection.ts'
import type { SqlTransaction } from '../programme/desk.ts'
import { ENTRY_COLUMNS, TAKEN, type BankEntry, type StatementEntry } from './bankStatements.ts'

export interface StatementName {
  readonly account: string
  readonly statementId: string
}

export type ArrivalPhase = 'arriving' | 'named' | 'rest' | 'returned'

export interface Arrival extends StatementName {
  readonly fingerprint: string
  /** Of several files of this name that were not taken. */
  readonly arrival: number
  readonly phase: ArrivalPhase
  /** While it is arriving: so many entries are put down. Then: the last entry that was looked at. */
  readonly reached: number
  readonly begunBy: string
}

const COLUMNS = `a.account, a.statement_id AS "statementId", a.fingerprint, a.arrival, a.phase, a.reached, a.begun_by AS "begunBy"`

const BEGIN: Statement = {
  name: 'begin_bank_arrival',
  text: `
    INSERT INTO bank_arrival (shard, account, statement_id, fingerprint, begun_at, begun_by) VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (shard, account, statement_id) DO UPDATE SET
      fingerprint = EXCLUDED.fingerprint, arrival = bank_arrival.arrival + 1, reached = 0, begun_at = EXCLUDED.begun_at, begun_by = EXCLUDED.begun_by
    WHERE bank_arrival.phase = 'arriving' AND bank_arrival.fingerprint <> EXCLUDED.fingerprint`,
}
const READ: Statement = {
  name: 'read_bank_arrival',
  text: `SELECT ${COLUMNS} FROM bank_arrival a WHERE a.shard = $1 AND a.account = $2 AND a.statement_id = $3`,
}
const MOVE: Statement = {
  name: 'move_bank_arrival',
  text: 'UPDATE bank_arrival SET phase = $4, reached = $5 WHERE shard = $1 AND account = $2 AND statement_id = $3',
}
const END: Statement = {
  name: 'end_bank_arrival',
  text: 'DELETE FROM bank_arrival WHERE shard = $1 AND account = $2 AND statement_id = $3',
}
const UNMATCHED: Statement = {
  name: 'list_bank_arrivals',
  text: `
    SELECT ${COLUMNS} FROM bank_arrival a JOIN bank_statement s ON s.shard = a.shard AND s.account = a.account AND s.statement_id = a.statement_id
    WHERE a.shard = $1 AND a.phase <> 'arriving' AND ($2::text[] IS NULL OR a.account = ANY ($2)) ORDER BY s.account, s.number`,
}
// Of `named` all are looked at that have not come back, of `returned` those that have.
const NEXT: Statement = {
  name: 'next_bank_entries',
  text: `
    SELECT ${ENTRY_COLUMNS} FROM bank_entry e ${TAKEN} LEFT JOIN bank_open o ON false LEFT JOIN bank_match m ON false
    WHERE e.shard = $1 AND e.account = $2 AND e.statement_id = $3 AND e.ordinal > $4 AND (e.return_reason IS NOT NULL) = $5
    ORDER BY e.ordinal LIMIT $6`,
}
// What came back is looked at after them. Those too that were left open because several fit: they are rivals still.
const REST: Statement = {
  name: 'rest_of_bank_entries',
  text: `
    SELECT ${ENTRY_COLUMNS} FROM bank_entry e ${TAKEN} LEFT JOIN bank_open o ON o.shard = e.shard AND o.entry_id = e.id LEFT JOIN bank_match m ON false
    WHERE e.shard = $1 AND e.account = $2 AND e.statement_id = $3 AND e.return_reason IS NULL AND (o.entry_id IS NULL OR o.reason = 'several-fit')
      AND NOT EXISTS (SELECT FROM bank_match x WHERE x.shard = e.shard AND x.entry_id = e.id)
    ORDER BY e.ordinal`,
}
const COUNT: Statement = {
  name: 'count_bank_entries',
  text: `
    SELECT count(m.entry_id)::float8 AS matched, count(o.entry_id)::float8 AS open
    FROM bank_entry e ${TAKEN} LEFT JOIN bank_open o ON o.shard = e.shard AND o.entry_id = e.id
      LEFT JOIN bank_match m ON m.shard = e.shard AND m.entry_id = e.id
    WHERE e.shard = $1 AND e.account = $2 AND e.statement_id = $3`,
}
const ADD_ENTRIES: Statement = {
  name: 'add_bank_entries',
  text: `
    WITH told AS (
      SELECT * FROM jsonb_to_recordset($4::jsonb) AS e(ordinal integer, credit boolean, amount bigint, "bookedOn" date, "valueOn" date, "references" text[],
        "bankReference" text, counterparty text, text text, "returnReason" text)
    )
    INSERT INTO bank_entry (shard, id, account, statement_id, arrival, ordinal, credit, amount, booked_on, value_on, refs, bank_reference, counterparty, text, return_reason)
    SELECT $1, nextval('bank_entry_number'), $2, $3, $5, ordinal, credit, amount, "bookedOn", "valueOn", "references", "bankReference", counterparty, text, "returnReason"
    FROM told ORDER BY ordinal`,
}

/** Leaves the same one alone that has begun; another one of its name begins anew. */
export async function beginArrival(tx: SqlTransaction, name: StatementName, fingerprint: string, by: string): Promise<void> {
  await tx.row(BEGIN, [tx.shard, name.account, name.statementId, fingerprint, new Date(tx.nowMs).toISOString(), by])
}

export function readArrival(tx: SqlTransaction, { account, statementId }: StatementName): Promise<Arrival | undefined> {
  return tx.row<Arrival & Record<string, unknown>>(READ, [tx.shard, account, statementId])
}

export async function moveArrival(
  tx: SqlTransaction,
  arrival: StatementName,
  phase: ArrivalPhase,
  reached: number,
): Promise<void> {
  await tx.row(MOVE, [tx.shard, arrival.account, arrival.statementId, phase, reached])
}

export async function endArrival(tx: SqlTransaction, { account, statementId }: StatementName): Promise<void> {
  await tx.row(END, [tx.shard, account, statementId])
}

/** Statements that are taken and not all matched, as they came. @param accounts absent: all */
export function unmatchedArrivals(tx: SqlTransaction, accounts?: readonly string[]): Promise<Arrival[]> {
  return tx.rows<Arrival & Record<string, unknown>>(UNMATCHED, [tx.shard, accounts ?? null])
}

export function nextEntries(tx: SqlTransaction, arrival: Arrival, count: number): Promise<BankEntry[]> {
  const { account, statementId, reached, phase } = arrival
  return tx.rows<BankEntry>(NEXT, [tx.shard, account, statementId, reached, phase === 'returned', count])
}

export function restOfEntries(tx: SqlTransaction, { account, statementId }: StatementName): Promise<BankEntry[]> {
  return tx.rows<BankEntry>(REST, [tx.shard, account, statementId])
}

/** Those of which nothing is said yet are neither. */
export async function countEntriesOf(
  tx: SqlTransaction,
  { account, statementId }: StatementName,
): Promise<{ readonly matched: number; readonly open: number }> {
  const row = await tx.row<{ matched: number; open: number }>(COUNT, [tx.shard, account, statementId])
  return row ?? { matched: 0, open: 0 }
}

/** The next of an arrival. */
export async function addEntries(
  tx: SqlTransaction,
  { account, statementId, arrival, reached }: Arrival,
  entries: readonly StatementEntry[],
): Promise<void> {
  const told = JSON.stringify(entries.map((entry, index) => ({ ...entry, ordinal: reached + index + 1 })))
  await tx.row(ADD_ENTRIES, [tx.shard, account, statementId, told, arrival])
}
