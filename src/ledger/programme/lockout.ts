/** Who gave something wrong too often may not try on for a time. What is counted outlives the refusal of what was tried. */
import type { Statement } from '../connection.ts'
import type { SqlTransaction } from './desk.ts'

export interface LockoutRules {
  readonly failuresMax: number
  readonly withinMinutes: number
  readonly minutes: number
}

const MINUTE_MS = 60_000

// One at a time for each actor and purpose, to the end of the SQL transaction: so that however many come at once none of them is looked at before the
// others have been counted.
const LOCK: Statement = { name: 'lock_attempts', text: `SELECT pg_advisory_xact_lock(hashtextextended($1 || '|' || $2, 15999))` }
const READ: Statement = { name: 'read_lockout', text: 'SELECT until FROM lockout WHERE actor = $1 AND purpose = $2' }

// Failures that are longer ago than `within` are forgotten, and with a lockout the count starts anew.
const COUNT: Statement = {
  name: 'count_failure',
  text: `
    INSERT INTO lockout AS l (actor, purpose, failures, since, until)
    VALUES ($1, $2, 1, $3, CASE WHEN $5::integer <= 1 THEN $6::timestamptz END)
    ON CONFLICT (actor, purpose) DO UPDATE SET
      failures = CASE WHEN l.since <= $4::timestamptz OR l.until IS NOT NULL THEN 1 ELSE l.failures + 1 END,
      since = CASE WHEN l.since <= $4::timestamptz OR l.until IS NOT NULL THEN $3 ELSE l.since END,
      until = CASE WHEN CASE WHEN l.since <= $4::timestamptz OR l.until IS NOT NULL THEN 1 ELSE l.failures + 1 END >= $5 THEN $6::timestamptz END`,
}

/** Waits for the same actor's other attempts. @returns when the actor may try again, milliseconds since 1970; undefined: now */
export async function lockedUntil(tx: SqlTransaction, actor: string, purpose: string): Promise<number | undefined> {
  await tx.row(LOCK, [purpose, actor])
  const until = (await tx.row<{ until: Date | null }>(READ, [actor, purpose]))?.until?.getTime()
  return until !== undefined && until > tx.nowMs ? until : undefined
}

export async function countFailure(tx: SqlTransaction, actor: string, purpose: string, rules: LockoutRules): Promise<void> {
  const at = (shiftMinutes: number): string => new Date(tx.nowMs + shiftMinutes * MINUTE_MS).toISOString()
  await tx.row(COUNT, [actor, purpose, at(0), at(-rules.withinMinutes), rules.failuresMax, at(rules.minutes)])
}
