/**
 * Reading the books: a few connections of their own, so that nobody who exports a year keeps a clerk waiting. What is read lies up to an event number that is
 * final (migrations/0017_business_day.sql): the same rows whenever it is asked again, so that long answers are read in pieces, each a statement with a snapshot of
 * its own, and nothing old has to be kept for them.
 */
import { Pool, type PoolClient } from 'pg'
import { to as copyTo } from 'pg-copy-streams'
import type { Clock } from '../../clock.ts'
import { errorText, type Logger } from '../../log.ts'
import { KIND } from '../../transaction/transaction.ts'
import { NotConnected, type Statement } from '../connection.ts'
import { SqlTransaction } from '../programme/desk.ts'

export interface BooksOptions {
  readonly url: string
  readonly shard: number
  /** Answers that are read at once. */
  readonly readersMax: number
  readonly statementMs: number
  readonly clock: Clock
  readonly log: Logger
}

/** So many read already. */
export class BooksBusy extends Error {
  override readonly name = 'BooksBusy'
}

export class Books {
  readonly #options: BooksOptions
  readonly #pool: Pool
  #reading = 0

  constructor(options: BooksOptions) {
    const { url, readersMax, statementMs, log } = options
    this.#options = options
    this.#pool = new Pool({
      connectionString: url,
      max: readersMax,
      application_name: 'sarf books',
      connectionTimeoutMillis: statementMs,
      options: `-c TimeZone=UTC -c DateStyle=ISO -c jit=off -c default_transaction_read_only=on -c statement_timeout=${String(statementMs)}`,
    })
    this.#pool.on('error', (error) => {
      log.warn({ error: errorText(error) }, 'a connection of the books was lost')
    })
    this.#pool.on('connect', (client) => {
      client.on('error', () => undefined)
    })
  }

  /** Who reads now. */
  get reading(): number {
    return this.#reading
  }

  /** @throws BooksBusy: nobody waits for an export to end; NotConnected */
  async open(): Promise<BookReader> {
    const { readersMax, shard, clock } = this.#options
    if (this.#reading >= readersMax) throw new BooksBusy('all readers of the books are busy')
    this.#reading++
    try {
      const client = await this.#pool.connect()
      return new BookReader(client, new SqlTransaction(client, shard, clock.now()), () => {
        this.#reading--
      })
    } catch (error) {
      this.#reading--
      throw new NotConnected(`the books cannot be read: ${errorText(error)}`, { cause: error })
    }
  }

  async close(): Promise<void> {
    await this.#pool.end()
  }
}

/** Somebody who reads. To be closed. */
export class BookReader {
  readonly tx: SqlTransaction
  readonly #client: PoolClient
  readonly #onClose: () => void
  #isOpen = true

  constructor(client: PoolClient, tx: SqlTransaction, onClose: () => void) {
    this.#client = client
    this.tx = tx
    this.#onClose = onClose
  }

  /** Rows as CSV, as they come: Postgres is not read from faster than they are taken. Who stops taking ends the connection. */
  async *csv(select: string): AsyncGenerator<Buffer, void, undefined> {
    const stream = this.#client.query(copyTo(`COPY (${select}) TO STDOUT WITH (FORMAT csv)`))
    let isWhole = false
    try {
      for await (const bytes of stream) yield bytes as Buffer
      isWhole = true
    } finally {
      if (!isWhole) this.close(true)
    }
  }

  /** @param broken in the middle of something: the connection ends too */
  close(broken = false): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    this.#client.release(broken)
    this.#onClose()
  }
}

/** Event numbers above the first, up to the second. */
export interface NumberRange {
  readonly after: number
  readonly until: number
}

const LAST_MARK: Statement = {
  name: 'books_are_final_until',
  text: 'SELECT number::float8 AS number FROM event_mark WHERE shard = $1 ORDER BY at DESC LIMIT 1',
}

/** The event number up to which the books are final; 0 before the first look at business days. */
export async function finalUntil(tx: SqlTransaction): Promise<number> {
  return (await tx.row<{ number: number }>(LAST_MARK, [tx.shard]))?.number ?? 0
}

export interface LedgerDay extends NumberRange {
  readonly day: string
  readonly isOpen: boolean
}

const DAYS: Statement = {
  name: 'books_of_days',
  text: `
    SELECT day::text AS day, after::float8 AS after, until::float8 AS until FROM business_day
    WHERE shard = $1 AND day BETWEEN $2::date AND $3::date ORDER BY day`,
}

/** Business days with their numbers; of the one that is open as far as they are final. */
export async function ledgerDays(tx: SqlTransaction, from: string, to: string): Promise<LedgerDay[]> {
  const final = await finalUntil(tx)
  const rows = await tx.rows<{ day: string; after: number; until: number | null }>(DAYS, [tx.shard, from, to])
  return rows.map(({ day, after, until }) => ({ day, after, until: until ?? Math.max(after, final), isOpen: until === null }))
}

export interface AccountBalance {
  readonly code: number
  readonly unit: number
  /** Debits less credits. */
  readonly balance: number
}

// What was added up when the last day before was closed, and what came since.
const BALANCES: Statement = {
  name: 'trial_balance',
  text: `
    WITH base AS (
      SELECT day, until FROM business_day WHERE shard = $1 AND closed_at IS NOT NULL AND until <= $2 ORDER BY day DESC LIMIT 1
    ), since AS MATERIALIZED (
      SELECT debit_code, credit_code, unit, sum(amount) AS amount FROM general_ledger
      WHERE shard = $1 AND event_number > coalesce((SELECT until FROM base), 0) AND event_number <= $2 GROUP BY debit_code, credit_code, unit
    )
    SELECT code::int AS code, unit::int AS unit, sum(amount)::float8 AS balance
    FROM (
      SELECT t.code, t.unit, t.balance AS amount FROM day_total t JOIN base b ON b.day = t.day WHERE t.shard = $1
      UNION ALL SELECT debit_code, unit, amount FROM since
      UNION ALL SELECT credit_code, unit, -amount FROM since
    ) moved
    GROUP BY code, unit ORDER BY unit, code`,
}

/** All accounts of the chart after an event number, by code; their owners together. */
export function balancesAt(tx: SqlTransaction, until: number): Promise<AccountBalance[]> {
  return tx.rows<AccountBalance & Record<string, unknown>>(BALANCES, [tx.shard, until])
}

export interface LedgerAccount {
  readonly code: number
  readonly owner: number
  readonly unit: number
}

const ACCOUNT = '(debit_code = $2 AND debit_owner = $3 OR credit_code = $2 AND credit_owner = $3) AND unit = $4'
const SIGNED = 'CASE WHEN debit_code = $2 AND debit_owner = $3 THEN amount ELSE -amount END'

// Of days that are closed what was added up: the account of an outlet or a machine as its own, the programme's as the chart's. Payouts are no part of what an
// outlet earned on a day.
const OPENING: Statement = {
  name: 'account_balance_at',
  text: `
    WITH base AS (
      SELECT day, until FROM business_day WHERE shard = $1 AND closed_at IS NOT NULL AND until <= $5 ORDER BY day DESC LIMIT 1
    )
    SELECT (
      CASE
        WHEN $2 BETWEEN 2200 AND 2299 THEN coalesce(-(
          SELECT sum(p.net) FROM outlet_position p, base b WHERE p.shard = $1 AND p.merchant_id = $3 AND p.code = $2 AND p.day <= b.day), 0) + coalesce((
          SELECT sum(t.amount) FROM book_transfer t, base b
          WHERE t.shard = $1 AND t.debit_code = $2 AND t.debit_owner = $3 AND t.credit_code = 1000 AND t.debit_code BETWEEN 2200 AND 2299 AND t.event_number <= b.until), 0)
        WHEN $2 = 1010 THEN coalesce((
          SELECT sum(CASE WHEN f.debit_code = 1010 THEN f.amount ELSE -f.amount END) FROM day_flow f, base b
          WHERE f.shard = $1 AND f.terminal_id = $3 AND f.terminal_id <> 0 AND f.day <= b.day), 0)
        ELSE coalesce((SELECT t.balance FROM day_total t JOIN base b ON b.day = t.day WHERE t.shard = $1 AND t.code = $2 AND t.unit = $4), 0)
      END
      + coalesce((
        SELECT sum(${SIGNED}) FROM general_ledger
        WHERE shard = $1 AND event_number > coalesce((SELECT until FROM base), 0) AND event_number <= $5 AND ${ACCOUNT}), 0)
    )::float8 AS balance`,
}

/** Debits less credits of one account up to an event number. */
export async function accountBalanceAt(tx: SqlTransaction, { code, owner, unit }: LedgerAccount, until: number): Promise<number> {
  return (await tx.row<{ balance: number }>(OPENING, [tx.shard, code, owner, unit, until]))?.balance ?? 0
}

const KIND_NAMES = Object.entries(KIND)
  .map(([name, number]) => `(${String(number)}, '${name}')`)
  .join(', ')

/**
 * Each transfer of a range with what is known of its decision or entry. Openings of purses are told to nobody: their decisions have no number. Of decisions of the desk about disputes and
 * adjustments the key is the reference; other keys name cards.
 */
function transfersOf(shard: string, after: string, until: string, condition = 'true'): string {
  return `
    SELECT t.event_number, t.ordinal, t.key_date AS own_date, coalesce(k.name, 'opening') AS kind, t.debit_code, t.debit_owner, t.credit_code, t.credit_owner, t.unit, t.amount,
      coalesce(a.rrn, CASE WHEN a.kind IN (22, 23, 24, 25) THEN a.key END) AS reference, a.terminal_id AS terminal, m.acceptor_id AS merchant
    FROM transfer t
      LEFT JOIN "authorization" a ON a.shard = t.shard AND a.event_number = t.event_number AND a.event_number > ${after} AND a.event_number <= ${until}
      LEFT JOIN (VALUES ${KIND_NAMES}) AS k (number, name) ON k.number = a.kind
      LEFT JOIN merchant m ON m.id = a.merchant_id
    WHERE t.shard = ${shard} AND t.event_number > ${after} AND t.event_number <= ${until} AND ${condition}
    UNION ALL
    SELECT t.event_number, t.ordinal, e.value_date, e.kind, t.debit_code, t.debit_owner, t.credit_code, t.credit_owner, t.unit, t.amount,
      t.key, d.terminal_id, m.acceptor_id
    FROM book_transfer t
      JOIN book_entry e ON e.shard = t.shard AND e.key = t.key
      LEFT JOIN terminal d ON d.id = CASE WHEN t.debit_code = 1010 THEN t.debit_owner WHEN t.credit_code = 1010 THEN t.credit_owner END
      LEFT JOIN merchant m ON m.id = CASE WHEN t.debit_code BETWEEN 2200 AND 2299 THEN t.debit_owner WHEN t.credit_code BETWEEN 2200 AND 2299 THEN t.credit_owner END
    WHERE t.shard = ${shard} AND t.event_number > ${after} AND t.event_number <= ${until} AND ${condition}`
}

export const LEDGER_COLUMNS = [
  ...['event_number', 'business_day', 'own_date', 'kind', 'debit_account', 'debit_owner', 'credit_account', 'credit_owner'],
  ...['unit', 'amount', 'reference', 'terminal', 'merchant'],
]

/**
 * The transfers of a range in their order, with the columns of LEDGER_COLUMNS. Amounts of units in `counted` are whole, all others have two decimals.
 *
 * @param day a date: COPY takes no parameters
 */
export function ledgerSelect(shard: number, day: string, { after, until }: NumberRange, counted: readonly number[]): string {
  const whole = counted.length === 0 ? 'false' : `g.unit IN (${counted.map(wholeNumber).join(', ')})`
  if (!/^\d{4}-\d{2}-\d{2}$/.test(day)) throw new RangeError('not a date')
  return `
    SELECT g.event_number, '${day}', g.own_date, ${harmless('g.kind')}, g.debit_code, g.debit_owner, g.credit_code, g.credit_owner, u.name,
      CASE WHEN ${whole} THEN g.amount::text ELSE (g.amount / 100)::text || '.' || lpad((g.amount % 100)::text, 2, '0') END,
      ${harmless('g.reference')}, ${harmless('g.terminal')}, ${harmless('g.merchant')}
    FROM (${transfersOf(wholeNumber(shard), wholeNumber(after), wholeNumber(until))}) g JOIN unit u ON u.number = g.unit
    ORDER BY g.event_number, g.ordinal`
}

/** What a spreadsheet would take for a formula begins with an apostrophe instead. A line is a line. */
function harmless(column: string): string {
  return `CASE WHEN ${column} ~ '^[-=+@]' THEN '''' ELSE '' END || translate(${column}, E'\\t\\r\\n', '   ')`
}

function wholeNumber(value: number): string {
  if (!Number.isSafeInteger(value)) throw new RangeError('not a whole number')
  return String(value)
}

export interface UnitSum {
  readonly unit: string
  readonly transfers: number
  /** Whole minor units. */
  readonly amount: number
}

const SUMS: Statement = {
  name: 'sums_of_transfers',
  text: `
    SELECT u.name AS unit, count(*)::float8 AS transfers, sum(g.amount)::float8 AS amount
    FROM general_ledger g JOIN unit u ON u.number = g.unit
    WHERE g.shard = $1 AND g.event_number > $2 AND g.event_number <= $3 GROUP BY u.name`,
}

/** What the transfers of a range come to. */
export function sumsOf(tx: SqlTransaction, { after, until }: NumberRange): Promise<UnitSum[]> {
  return tx.rows<UnitSum & Record<string, unknown>>(SUMS, [tx.shard, after, until])
}

export interface AccountLine {
  readonly number: number
  readonly ownDate: string | null
  readonly kind: string
  /** Above zero: the account was debited. */
  readonly moved: number
  readonly otherCode: number
  readonly otherOwner: number
  readonly reference: string | null
  readonly terminal: string | null
  readonly merchant: string | null
}

const ACCOUNT_LINES: Statement = {
  name: 'account_lines',
  text: `
    SELECT event_number::float8 AS number, own_date::text AS "ownDate", kind, (${SIGNED})::float8 AS moved,
      CASE WHEN debit_code = $2 AND debit_owner = $3 THEN credit_code ELSE debit_code END::int AS "otherCode",
      CASE WHEN debit_code = $2 AND debit_owner = $3 THEN credit_owner ELSE debit_owner END::float8 AS "otherOwner", reference, terminal, merchant
    FROM (${transfersOf('$1', '$5', '$6', `(t.debit_code = $2 AND t.debit_owner = $3 OR t.credit_code = $2 AND t.credit_owner = $3) AND t.unit = $4`)}) g
    ORDER BY event_number, ordinal`,
}

/** What has moved an account in a range, in its order. */
export function accountLines(
  tx: SqlTransaction,
  { code, owner, unit }: LedgerAccount,
  range: NumberRange,
): Promise<AccountLine[]> {
  const values = [tx.shard, code, owner, unit, range.after, range.until]
  return tx.rows<AccountLine & Record<string, unknown>>(ACCOUNT_LINES, values)
}
