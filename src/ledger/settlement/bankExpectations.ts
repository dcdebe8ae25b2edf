/** What of the ledger the bank is to confirm: deposits of a day, cash that was fetched for machines. */
import type { Statement } from '../connection.ts'
import type { SqlTransaction } from '../programme/desk.ts'

/** Of a business day that is closed: what came in less what went back and what is matched of it, piasters; not 0. */
export interface DayDeposits {
  readonly day: string
  readonly amount: number
}

// 1000 against purses and fees: postings of messages and of counters.
const DEPOSITS: Statement = {
  name: 'unmatched_deposits',
  text: `
    SELECT d.day, (d.amount - sign(d.amount) * coalesce(p.matched, 0))::float8 AS amount
    FROM (
      SELECT f.shard, f.day::text AS day, sum(CASE WHEN f.debit_code = 1000 THEN f.amount ELSE -f.amount END) AS amount
      FROM day_flow f JOIN business_day d ON d.shard = f.shard AND d.day = f.day AND d.closed_at IS NOT NULL
      WHERE f.shard = $1 AND f.day >= $2 AND f.day <= $3
        AND (f.debit_code = 1000 AND f.credit_code IN (2000, 2300) OR f.credit_code = 1000 AND f.debit_code IN (2000, 2300))
        AND NOT EXISTS (SELECT FROM bank_match m WHERE m.shard = f.shard AND m.kind = 'deposits' AND m.what = f.day::text)
      GROUP BY f.shard, f.day
    ) d
      LEFT JOIN LATERAL (
        SELECT sum(amount) AS matched FROM bank_match_part WHERE shard = d.shard AND kind = 'deposits' AND what = d.day
      ) p ON true
    WHERE abs(d.amount) > coalesce(p.matched, 0) ORDER BY d.day`,
}

export function unmatchedDeposits(tx: SqlTransaction, from: string, until: string): Promise<DayDeposits[]> {
  return tx.rows<DayDeposits>(DEPOSITS, [tx.shard, from, until])
}

/** Cash that was loaded into a machine, or taken out of it. */
export interface AtmLoad {
  readonly key: string
  readonly reference: string
  readonly day: string
  /** More than 0: it was taken from the bank. Less what is matched of it. */
  readonly amount: number
}

const LOADS: Statement = {
  name: 'unmatched_atm_loads',
  text: `
    SELECT l.key, l.reference, l.day, (l.amount - sign(l.amount) * coalesce(p.matched, 0))::float8 AS amount
    FROM (
      SELECT b.shard, b.key, b.reference, coalesce(b.value_date, b.at::date)::text AS day,
        sum(CASE WHEN t.credit_code = 1000 THEN t.amount ELSE -t.amount END) AS amount
      FROM book_entry b JOIN book_transfer t ON t.shard = b.shard AND t.key = b.key
      WHERE b.shard = $1 AND b.kind = 'atm-load' AND b.reference = ANY ($2::text[])
        AND NOT EXISTS (SELECT FROM bank_match m WHERE m.shard = b.shard AND m.kind = 'atm-load' AND m.what = b.key)
      GROUP BY 1, 2, 3, 4
    ) l
      LEFT JOIN LATERAL (
        SELECT sum(amount) AS matched FROM bank_match_part WHERE shard = l.shard AND kind = 'atm-load' AND what = l.key
      ) p ON true
    WHERE abs(l.amount) > coalesce(p.matched, 0) ORDER BY l.key`,
}

const KNOWN_LOADS: Statement = {
  name: 'known_atm_load_references',
  text: `SELECT DISTINCT b.reference FROM book_entry b WHERE b.shard = $1 AND b.kind = 'atm-load' AND b.reference = ANY ($2::text[])`,
}
const LOCK: Statement = { name: 'lock_bank_expectations', text: 'SELECT pg_advisory_xact_lock(8589, 1)' }
const ADD_PARTS: Statement = {
  name: 'add_bank_match_parts',
  text: `
    INSERT INTO bank_match_part (shard, entry_id, kind, what, amount)
    SELECT $1, $2, $3, p.what, p.amount FROM unnest($4::text[], $5::bigint[]) AS p(what, amount)`,
}

/** Until the SQL transaction ends nobody else matches deposits or loadings, so that no more is matched of one than it came to. */
export async function lockExpectations(tx: SqlTransaction): Promise<void> {
  await tx.row(LOCK, [])
}

/** What an entry that is matched is of. */
export interface MatchPart {
  readonly what: string
  /** Piasters, more than 0. */
  readonly amount: number
}

export async function addMatchParts(
  tx: SqlTransaction,
  entryId: number,
  kind: 'deposits' | 'atm-load',
  parts: readonly MatchPart[],
): Promise<void> {
  const values = [parts.map(({ what }) => what), parts.map(({ amount }) => amount)]
  await tx.row(ADD_PARTS, [tx.shard, entryId, kind, ...values])
}

export function unmatchedAtmLoads(tx: SqlTransaction, references: readonly string[]): Promise<AtmLoad[]> {
  return tx.rows<AtmLoad>(LOADS, [tx.shard, references])
}

/** Of these references those that a loading has, matched or not. */
export async function knownAtmLoads(tx: SqlTransaction, references: readonly string[]): Promise<string[]> {
  return (await tx.rows<{ reference: string }>(KNOWN_LOADS, [tx.shard, references])).map(({ reference }) => reference)
}
