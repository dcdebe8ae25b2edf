/** What of the ledger the bank is to confirm: deposits of a day, cash that was fetched for machines. */
import type { Statement } from '../connection.ts'
import type { SqlTransaction } from '../programme/desk.ts'

/** Of a business day that is closed: what came in less what went back, piasters; not 0. */
export interface DayDeposits {
  readonly day: string
  readonly amount: number
}

// 1000 against purses and fees: postings of messages and of counters.
const DEPOSITS: Statement = {
  name: 'unmatched_deposits',
  text: `
    SELECT f.day::text, sum(CASE WHEN f.debit_code = 1000 THEN f.amount ELSE -f.amount END)::float8 AS amount
    FROM day_flow f JOIN business_day d ON d.shard = f.shard AND d.day = f.day AND d.closed_at IS NOT NULL
    WHERE f.shard = $1 AND f.day >= $2 AND f.day <= $3
      AND (f.debit_code = 1000 AND f.credit_code IN (2000, 2300) OR f.credit_code = 1000 AND f.debit_code IN (2000, 2300))
      AND NOT EXISTS (SELECT FROM bank_match m WHERE m.shard = f.shard AND m.kind = 'deposits' AND m.what = f.day::text)
    GROUP BY f.day HAVING sum(CASE WHEN f.debit_code = 1000 THEN f.amount ELSE -f.amount END) <> 0 ORDER BY f.day`,
}

export function unmatchedDeposits(tx: SqlTransaction, from: string, until: string): Promise<DayDeposits[]> {
  return tx.rows<DayDeposits>(DEPOSITS, [tx.shard, from, until])
}

/** Cash that was loaded into a machine, or taken out of it. */
export interface AtmLoad {
  readonly key: string
  readonly reference: string
  readonly day: string
  /** More than 0: it was taken from the bank. */
  readonly amount: number
}

const LOADS: Statement = {
  name: 'unmatched_atm_loads',
  text: `
    SELECT b.key, b.reference, coalesce(b.value_date, b.at::date)::text AS day,
      sum(CASE WHEN t.credit_code = 1000 THEN t.amount ELSE -t.amount END)::float8 AS amount
    FROM book_entry b JOIN book_transfer t ON t.shard = b.shard AND t.key = b.key
    WHERE b.shard = $1 AND b.kind = 'atm-load' AND b.reference = ANY ($2::text[])
      AND NOT EXISTS (SELECT FROM bank_match m WHERE m.shard = b.shard AND m.kind = 'atm-load' AND m.what = b.key)
    GROUP BY 1, 2, 3`,
}

export function unmatchedAtmLoads(tx: SqlTransaction, references: readonly string[]): Promise<AtmLoad[]> {
  return tx.rows<AtmLoad>(LOADS, [tx.shard, references])
}
