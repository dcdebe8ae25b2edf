/** Statements of the bank, their entries, the work list and what entries were matched with (migrations/0019_bank.sql). */
import type { Statement } from '../connection.ts'
import type { SqlTransaction } from '../programme/desk.ts'

export interface StoredStatement {
  readonly account: string
  readonly statementId: string
  /** Of its account, from 1 on. */
  readonly number: number
  readonly from: string
  readonly until: string
  readonly opening: number
  readonly closing: number
  readonly entries: number
  readonly credits: number
  readonly debits: number
  readonly fingerprint: string
  readonly importedAt: Date
  readonly importedBy: string
  /** Why it was taken although one before it is missing. */
  readonly note: string | null
}

const STATEMENT_COLUMNS = `
  account, statement_id AS "statementId", number, from_day::text AS "from", until_day::text AS "until", opening::float8, closing::float8, entries,
  credits::float8, debits::float8, fingerprint, imported_at AS "importedAt", imported_by AS "importedBy", note`

const LOCK_ACCOUNT: Statement = {
  name: 'lock_bank_account',
  text: `SELECT pg_advisory_xact_lock(8586, hashtext($1 || ' ' || $2))`,
}
const READ_STATEMENT: Statement = {
  name: 'read_bank_statement',
  text: `SELECT ${STATEMENT_COLUMNS} FROM bank_statement WHERE shard = $1 AND account = $2 AND statement_id = $3`,
}
const LAST_STATEMENT: Statement = {
  name: 'last_bank_statement',
  text: `SELECT ${STATEMENT_COLUMNS} FROM bank_statement WHERE shard = $1 AND account = $2 ORDER BY until_day DESC, number DESC LIMIT 1`,
}
const ADD_STATEMENT: Statement = {
  name: 'add_bank_statement',
  text: `
    INSERT INTO bank_statement (shard, account, statement_id, number, from_day, until_day, opening, closing, entries, credits, debits, fingerprint,
      imported_at, imported_by, note, arrival)
    SELECT $1, $2, $3, coalesce(max(b.number), 0) + 1, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15
    FROM bank_statement b WHERE b.shard = $1 AND b.account = $2
    RETURNING ${STATEMENT_COLUMNS}`,
}
const LIST_STATEMENTS: Statement = {
  name: 'list_bank_statements',
  text: `
    SELECT ${STATEMENT_COLUMNS} FROM bank_statement
    WHERE shard = $1 AND ($2::text IS NULL OR account = $2) AND (account, number) > ($3, $4) ORDER BY account, number LIMIT $5`,
}

/** Until the SQL transaction ends nobody else adds to this account. */
export async function lockBankAccount(tx: SqlTransaction, account: string): Promise<void> {
  await tx.row(LOCK_ACCOUNT, [tx.shard, account])
}

export function readStatement(tx: SqlTransaction, account: string, statementId: string): Promise<StoredStatement | undefined> {
  return tx.row<StoredStatement>(READ_STATEMENT, [tx.shard, account, statementId])
}

/** Of an account that is locked: that of the latest days, and of those the last that was taken. */
export function lastStatement(tx: SqlTransaction, account: string): Promise<StoredStatement | undefined> {
  return tx.row<StoredStatement>(LAST_STATEMENT, [tx.shard, account])
}

export async function addStatement(
  tx: SqlTransaction,
  statement: Omit<StoredStatement, 'number' | 'importedAt'>,
  arrival: number,
): Promise<StoredStatement | undefined> {
  const { account, statementId, from, until, opening, closing, entries, credits, debits } = statement
  const { fingerprint, importedBy, note } = statement
  const at = new Date(tx.nowMs).toISOString()
  const amounts = [opening, closing, entries, credits, debits]
  const values = [tx.shard, account, statementId, from, until, ...amounts, fingerprint, at, importedBy, note, arrival]
  return tx.row<StoredStatement>(ADD_STATEMENT, values)
}

export interface StatementFilter {
  readonly account?: string | undefined
  readonly after: { readonly account: string; readonly number: number }
  readonly limit: number
}

export function listStatements(tx: SqlTransaction, { account, after, limit }: StatementFilter): Promise<StoredStatement[]> {
  return tx.rows<StoredStatement>(LIST_STATEMENTS, [tx.shard, account ?? null, after.account, after.number, limit])
}

/** Money came in (credit) or went out, of our account. */
export interface StatementEntry {
  readonly credit: boolean
  /** More than 0. */
  readonly amount: number
  readonly bookedOn: string
  readonly valueOn: string | null
  /** What the parties call it, the end-to-end reference first. */
  readonly references: readonly string[]
  /** What the bank calls it. */
  readonly bankReference: string | null
  readonly counterparty: string | null
  readonly text: string | null
  /** A payment that came back, and why: a code of ISO 20022, or `reversal`. */
  readonly returnReason: string | null
}

export interface BankEntry extends StatementEntry {
  readonly entryId: number
  readonly account: string
  readonly statementId: string
  readonly ordinal: number
  /** Null: it is matched, or will be looked at in a moment. */
  readonly openReason: string | null
  readonly openSince: Date | null
  readonly matchKind: string | null
  readonly matchedWith: string | null
  readonly matchedAt: Date | null
  readonly matchedBy: string | null
}

export const ENTRY_COLUMNS = `
  e.id::float8 AS "entryId", e.account, e.statement_id AS "statementId", e.ordinal, e.credit, e.amount::float8, e.booked_on::text AS "bookedOn",
  e.value_on::text AS "valueOn", e.refs AS "references", e.bank_reference AS "bankReference", e.counterparty, e.text, e.return_reason AS "returnReason",
  o.reason AS "openReason", o.since AS "openSince", m.kind AS "matchKind", m.what AS "matchedWith", m.matched_at AS "matchedAt", m.matched_by AS "matchedBy"`

/** Entries of a statement that is still arriving are not there. */
export const TAKEN = `
  JOIN bank_statement s ON s.shard = e.shard AND s.account = e.account AND s.statement_id = e.statement_id AND s.arrival = e.arrival`

const ADD_OPEN: Statement = {
  name: 'add_open_bank_entries',
  text: `INSERT INTO bank_open (shard, entry_id, reason, since) SELECT $1, e.id, e.reason, $2 FROM unnest($3::bigint[], $4::text[]) AS e(id, reason)`,
}
const ADD_MATCHES: Statement = {
  name: 'add_bank_matches',
  text: `
    INSERT INTO bank_match (shard, entry_id, kind, what, matched_at, matched_by)
    SELECT $1, m.id, m.kind, m.what, $2, m.matched_by FROM unnest($3::bigint[], $4::text[], $5::text[], $6::text[]) AS m(id, kind, what, matched_by)
    ON CONFLICT DO NOTHING RETURNING entry_id::float8 AS "entryId"`,
}
const CLOSE_OPEN: Statement = {
  name: 'close_open_bank_entry',
  text: 'DELETE FROM bank_open WHERE shard = $1 AND entry_id = $2 RETURNING entry_id',
}
const READ_ENTRY: Statement = {
  name: 'read_bank_entry',
  text: `
    SELECT ${ENTRY_COLUMNS} FROM bank_entry e ${TAKEN} LEFT JOIN bank_open o ON o.shard = e.shard AND o.entry_id = e.id
      LEFT JOIN bank_match m ON m.shard = e.shard AND m.entry_id = e.id
    WHERE e.shard = $1 AND e.id = $2`,
}
const LIST_OPEN: Statement = {
  name: 'list_open_bank_entries',
  text: `
    SELECT ${ENTRY_COLUMNS} FROM bank_open o JOIN bank_entry e ON e.shard = o.shard AND e.id = o.entry_id
      LEFT JOIN bank_match m ON false
    WHERE o.shard = $1 AND o.entry_id > $2 AND ($3::text IS NULL OR e.account = $3) ORDER BY o.entry_id LIMIT $4`,
}
const LIST_ENTRIES: Statement = {
  name: 'list_bank_entries',
  text: `
    SELECT ${ENTRY_COLUMNS} FROM bank_entry e ${TAKEN} LEFT JOIN bank_open o ON o.shard = e.shard AND o.entry_id = e.id
      LEFT JOIN bank_match m ON m.shard = e.shard AND m.entry_id = e.id
    WHERE e.shard = $1 AND e.id > $2 AND ($3::text IS NULL OR e.account = $3) AND ($5::text IS NULL OR e.statement_id = $5)
      AND (NOT $6::boolean OR m.entry_id IS NOT NULL)
    ORDER BY e.id LIMIT $4`,
}

export interface OpenEntry {
  readonly entryId: number
  readonly reason: string
}

/** Puts entries on the work list. */
export async function addOpenEntries(tx: SqlTransaction, entries: readonly OpenEntry[]): Promise<void> {
  const values = [entries.map(({ entryId }) => entryId), entries.map(({ reason }) => reason)]
  await tx.rows(ADD_OPEN, [tx.shard, new Date(tx.nowMs).toISOString(), ...values])
}

export interface EntryMatch {
  readonly entryId: number
  readonly kind: string
  readonly what: string
  readonly matchedBy: string
}

/** @returns the entries that are matched now: one that was before, and one whose `what` another entry has taken, is not */
export async function addMatches(tx: SqlTransaction, matches: readonly EntryMatch[]): Promise<ReadonlySet<number>> {
  if (matches.length === 0) return new Set()
  const rows = await tx.rows<{ entryId: number }>(ADD_MATCHES, [
    tx.shard,
    new Date(tx.nowMs).toISOString(),
    matches.map(({ entryId }) => entryId),
    matches.map(({ kind }) => kind),
    matches.map(({ what }) => what),
    matches.map(({ matchedBy }) => matchedBy),
  ])
  return new Set(rows.map(({ entryId }) => entryId))
}

/** Takes an entry off the work list. @returns false where it is not on it: somebody else has matched it */
export async function closeOpenEntry(tx: SqlTransaction, entryId: number): Promise<boolean> {
  return (await tx.row(CLOSE_OPEN, [tx.shard, entryId])) !== undefined
}

export function readEntry(tx: SqlTransaction, entryId: number): Promise<BankEntry | undefined> {
  return tx.row<BankEntry>(READ_ENTRY, [tx.shard, entryId])
}

export interface EntryFilter {
  readonly state?: 'open' | 'matched' | undefined
  readonly account?: string | undefined
  readonly statementId?: string | undefined
  /** Id of the last one of the page before. */
  readonly after: number
  readonly limit: number
}

/** The oldest first. */
export function listEntries(tx: SqlTransaction, filter: EntryFilter): Promise<BankEntry[]> {
  const { state, account = null, statementId = null, after, limit } = filter
  if (state === 'open' && statementId === null) return tx.rows<BankEntry>(LIST_OPEN, [tx.shard, after, account, limit])
  return tx.rows<BankEntry>(LIST_ENTRIES, [tx.shard, after, account, limit, statementId, state === 'matched'])
}

const KNOWS_ENTRIES: Statement = {
  name: 'bank_entries_known',
  text: `
    SELECT EXISTS (
      SELECT FROM unnest($3::text[], $4::date[], $5::boolean[], $6::bigint[]) AS n(bank_reference, booked_on, credit, amount)
        JOIN bank_entry e ON e.shard = $1 AND e.account = $2 AND e.bank_reference = n.bank_reference AND e.booked_on = n.booked_on
          AND e.credit = n.credit AND e.amount = n.amount ${TAKEN}) AS known`,
}

/** Whether the bank's own references say that an entry was taken before, with another statement. */
export async function knowsEntries(
  tx: SqlTransaction,
  { account, entries }: { readonly account: string; readonly entries: readonly StatementEntry[] },
): Promise<boolean> {
  const named = entries.filter(({ bankReference }) => bankReference !== null)
  const row = await tx.row<{ known: boolean }>(KNOWS_ENTRIES, [
    tx.shard,
    account,
    named.map(({ bankReference }) => bankReference),
    named.map(({ bookedOn }) => bookedOn),
    named.map(({ credit }) => credit),
    named.map(({ amount }) => amount),
  ])
  return row?.known === true
}
