/**
 * The auditor: proves the ledger from its tables alone. Each check is one statement in `audit/`, which gives a row for each thing it looked at and
 * says what is wrong with it. All of them read the same snapshot, so that a switch at work does not disturb them; only the comparison
 * with Redis comes after it.
 */
import { readFileSync } from 'node:fs'
import { Client } from 'pg'
import { cairoDay, type Clock } from '../clock.ts'
import { EXAMPLES_MAX, type AuditCheck } from './audit/check.ts'
import { compareHotState } from './audit/hotState.ts'
import type { Programme } from '../programmeParameters.ts'
import { sqlState } from './connection.ts'

export interface AuditOptions {
  readonly databaseUrl: string
  /** Absent: Redis is not compared. */
  readonly redisUrl?: string | undefined
  /** How long after its end a hold may still be open. */
  readonly holdGraceMs: number
  /** A reservation that is older should have been swept. */
  readonly reservationAgeMs: number
  /** Whose caps stand-in had to keep; absent: they are not looked at. */
  readonly programme?: Programme | undefined
  readonly clock: Clock
  /** Called as soon as a check is done. */
  readonly onCheck?: (check: AuditCheck) => void
}

export interface AuditReport {
  readonly ok: boolean
  readonly checks: readonly AuditCheck[]
  readonly elapsedMs: number
}

/** The database cannot be reached, or holds no ledger. The message is one line for people. */
export class CannotAudit extends Error {
  override readonly name = 'CannotAudit'
}

interface Check {
  readonly name: string
  readonly sql: string
  readonly parameters?: (options: AuditOptions) => unknown[]
  /** Nothing to prove: its rows are what it tells. */
  readonly informs?: true
}

const CHECKS: readonly Check[] = [
  { name: 'append_only', sql: read('appendOnly') },
  { name: 'debits_equal_credits', sql: read('trialBalance') },
  { name: 'transfer_accounts', sql: read('transferAccounts') },
  { name: 'purse_balances', sql: read('purseBalances') },
  { name: 'purse_versions', sql: read('purseVersions') },
  { name: 'balance_history', sql: read('balanceHistory') },
  { name: 'one_decision_a_key', sql: read('keys') },
  { name: 'decisions', sql: read('decisions') },
  { name: 'postings', sql: read('postings') },
  { name: 'purse_pays_its_own', sql: read('pursePaysItsOwn') },
  { name: 'follow_ups', sql: read('followUps') },
  {
    name: 'holds',
    sql: read('holds'),
    parameters: ({ clock, holdGraceMs }) => [new Date(clock.now() - holdGraceMs).toISOString()],
  },
  { name: 'held_by_holds', sql: read('heldByHolds') },
  { name: 'day_counters', sql: read('dayCounters') },
  { name: 'cycles', sql: read('cycles') },
  { name: 'retired_cards', sql: read('retiredCards') },
  { name: 'stand_in', sql: read('standIn'), parameters: ({ programme }) => [JSON.stringify(capsOf(programme))] },
  { name: 'terminal_totals', sql: read('terminalTotals') },
  { name: 'shifts', sql: read('shifts') },
  { name: 'business_days', sql: read('businessDays') },
  { name: 'day_flows', sql: read('dayFlows') },
  { name: 'outlet_positions', sql: read('outletPositions') },
  { name: 'payouts', sql: read('payouts') },
  { name: 'card_lives', sql: read('cardLives') },
  { name: 'audit_trail', sql: read('auditTrail') },
  { name: 'disputes', sql: read('disputes') },
  {
    name: 'overdue_disputes',
    sql: read('overdueDisputes'),
    parameters: ({ clock }) => [cairoDay(clock.now())],
    informs: true,
  },
  { name: 'suspense', sql: read('suspense'), informs: true },
]

/** @throws CannotAudit, or pg's DatabaseError where a check itself failed */
export async function audit(options: AuditOptions): Promise<AuditReport> {
  const startedMs = performance.now()
  const checks: AuditCheck[] = []
  const done = (check: AuditCheck): void => {
    checks.push(check)
    options.onCheck?.(check)
  }
  const client = await connect(options.databaseUrl)
  try {
    await openSnapshot(client)
    for (const check of CHECKS) done(await prove(client, check, options))
    // The comparison with Redis reads what is there now.
    await client.query('COMMIT')
    done(await compareHotState(client, options))
  } catch (error) {
    // Undefined table: somebody else's database, or one that was never migrated.
    if (sqlState(error) === '42P01')
      throw new CannotAudit('this database holds no ledger; has the switch ever run with it?', { cause: error })
    throw error
  } finally {
    await client.end().catch(() => undefined)
  }
  return { ok: checks.every((check) => check.ok), checks, elapsedMs: Math.round(performance.now() - startedMs) }
}

async function connect(databaseUrl: string): Promise<Client> {
  const client = new Client({
    connectionString: databaseUrl,
    application_name: 'sarf audit',
    connectionTimeoutMillis: CONNECT_MS,
  })
  // A connection that breaks also rejects the statement under way; without a listener it would end the process.
  client.on('error', () => undefined)
  try {
    await client.connect()
    return client
  } catch (error) {
    await client.end().catch(() => undefined)
    throw new CannotAudit(`cannot connect to the database: ${reasonOf(error)}`, { cause: error })
  }
}

const CONNECT_MS = 5000

/** A host with several addresses fails with one error for each of them, and no message. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.message === '' && 'code' in error ? String(error.code) : error.message
}

/** One snapshot for all checks. Hash tables in memory and parallel scans are what makes them fast; the settings end with the snapshot. */
async function openSnapshot(client: Client): Promise<void> {
  await client.query(`
    BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
    SET LOCAL work_mem = '256MB';
    SET LOCAL jit = off;
    SET LOCAL statement_timeout = 0;
    SET LOCAL enable_partitionwise_join = on;
    SET LOCAL enable_partitionwise_aggregate = on;
    SET LOCAL TimeZone = 'UTC'`)
}

async function prove(client: Client, check: Check, options: AuditOptions): Promise<AuditCheck> {
  const { name, sql, informs } = check
  const parameters = check.parameters?.(options) ?? []
  const { rows } = await client.query<{ checked: string; failures: string }>(
    `SELECT count(*) AS checked, count(wrong) AS failures FROM (\n${sql}) looked`,
    parameters,
  )
  const checked = Number(rows[0]?.checked)
  const failures = Number(rows[0]?.failures)
  const tell = failures > 0 || informs === true
  const examples = tell ? await examplesOf(client, sql, parameters, informs === true) : []
  return { name, ok: failures === 0, checked, failures, examples }
}

/** A second run of the check, in the same snapshot; only paid for where something is wrong. */
async function examplesOf(client: Client, sql: string, parameters: unknown[], all: boolean): Promise<Record<string, unknown>[]> {
  const { rows } = await client.query<{ example: Record<string, unknown> }>(
    `SELECT jsonb_strip_nulls(to_jsonb(looked)) AS example FROM (\n${sql}) looked ${all ? '' : 'WHERE wrong IS NOT NULL'} LIMIT ${EXAMPLES_MAX}`,
    parameters,
  )
  return rows.map((row) => row.example)
}

/** By kind of purse; of several versions the widest. */
function capsOf(programme: Programme | undefined): { kind: number; amount_max?: number; days_max?: number }[] {
  return (programme?.purses ?? []).flatMap(({ name, kind }) => {
    const rules = programme?.versions.flatMap(({ services }) => services[name]?.standIn ?? []) ?? []
    if (rules.length === 0) return []
    const widest = (values: readonly number[]): number => Math.max(0, ...values)
    return 'daysMax' in (rules[0] ?? {})
      ? { kind, days_max: widest(rules.map((rule) => ('daysMax' in rule ? rule.daysMax : 0))) }
      : { kind, amount_max: widest(rules.map((rule) => ('amountMax' in rule ? rule.amountMax : 0))) }
  })
}

function read(name: string): string {
  return readFileSync(new URL(`audit/${name}.sql`, import.meta.url), 'utf8')
}
