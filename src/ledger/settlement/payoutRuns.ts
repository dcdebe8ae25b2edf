/** Runs that pay merchants (migrations/0018_payouts.sql): taken up, looked at, fixed for the bank and posted. */
import { assert } from '../../assert.ts'
import type { Statement } from '../connection.ts'
import type { SqlTransaction } from '../programme/desk.ts'

export interface PayoutRun {
  readonly runId: number
  /** The last business day that it pays. */
  readonly untilDay: string
  /** `posting`: approved, and not all of it is posted yet. */
  readonly state: 'prepared' | 'posting' | 'approved' | 'cancelled'
  readonly preparedBy: string
  readonly preparedAt: Date
  /** Control sums: payouts, and piasters. */
  readonly payouts: number
  readonly amount: number
  /** Of its payouts. */
  readonly posted: number
  /** Merchants that it does not pay. */
  readonly leftOut: number
  readonly proposalId: string | null
  readonly decidedAt: Date | null
  /** pain.001 GrpHdr/MsgId; null until it is approved. */
  readonly messageId: string | null
  readonly executionDay: string | null
  readonly debtorName: string | null
  readonly debtorIban: string | null
  readonly debtorBic: string | null
}

export type LeftReason = 'held' | 'no-bank-account' | 'negative' | 'below-minimum' | 'account-changed'

export interface LeftMerchant {
  readonly acceptorId: string
  readonly amount: number
  readonly reason: LeftReason
}

/** As it is sent to the bank. */
export interface PayoutLine {
  readonly ordinal: number
  readonly acceptorId: string
  readonly untilDay: string
  readonly amount: number
  readonly iban: string
  readonly bic: string | null
  readonly holderName: string
  readonly endToEndId: string | null
  readonly state: string
}

const COLUMNS = `
  id::float8 AS "runId", until_day::text AS "untilDay", state, prepared_by AS "preparedBy", prepared_at AS "preparedAt", payouts,
  posted, amount::float8 AS amount, left_out AS "leftOut", proposal_id AS "proposalId", decided_at AS "decidedAt", message_id AS "messageId",
  execution_day::text AS "executionDay", debtor_name AS "debtorName", debtor_iban AS "debtorIban", debtor_bic AS "debtorBic"`

const CLOSED_UNTIL: Statement = {
  name: 'read_days_closed_until',
  text: `
    SELECT max(day)::text AS day FROM business_day
    WHERE shard = $1 AND closed_at IS NOT NULL
      AND day < coalesce((SELECT min(day) FROM business_day WHERE shard = $1 AND closed_at IS NULL), 'infinity')`,
}
// A second one waits for the first to commit, and then finds it.
const ADD: Statement = {
  name: 'add_payout_run',
  text: `
    INSERT INTO payout_run (shard, until_day, prepared_by, prepared_at) VALUES ($1, $2, $3, $4)
    ON CONFLICT (shard) WHERE state IN ('prepared', 'posting') DO NOTHING RETURNING id::float8 AS "runId"`,
}
const READ_OPEN: Statement = {
  name: 'read_open_payout_run',
  text: `SELECT ${COLUMNS} FROM payout_run WHERE shard = $1 AND state IN ('prepared', 'posting')`,
}
const FIND_OWED: Statement = { name: 'find_owed', text: 'SELECT find_owed($1, $2, $3, $4, $5)' }
const TAKE_UP: Statement = { name: 'take_up_payouts', text: 'SELECT take_up_payouts($1, $2, $3, $4, $5) AS more' }
const TAKE_UP_PARTS: Statement = { name: 'take_up_parts', text: 'SELECT take_up_parts($1, $2, $3)' }
const NAME_PROPOSAL: Statement = {
  name: 'name_proposal_of_payout_run',
  text: `UPDATE payout_run SET proposal_id = $3 WHERE shard = $1 AND id = $2`,
}
const LOCK: Statement = {
  name: 'lock_payout_run',
  text: `SELECT ${COLUMNS} FROM payout_run WHERE shard = $1 AND id = $2 FOR UPDATE`,
}
const READ: Statement = { name: 'read_payout_run', text: `SELECT ${COLUMNS} FROM payout_run WHERE shard = $1 AND id = $2` }
const LIST: Statement = {
  name: 'list_payout_runs',
  text: `
    SELECT ${COLUMNS} FROM payout_run WHERE shard = $1 AND ($2 = 0 OR id < $2) AND ($3::text IS NULL OR state = $3)
    ORDER BY id DESC LIMIT $4`,
}
const REVISE: Statement = { name: 'revise_payouts', text: 'SELECT revise_payouts($1, $2)' }
const APPROVE: Statement = {
  name: 'approve_payout_run',
  text: `
    UPDATE payout_run SET state = 'posting', decided_at = $3, message_id = $4, execution_day = $5, debtor_name = $6, debtor_iban = $7, debtor_bic = $8,
      approved_by = $9
    WHERE shard = $1 AND id = $2 AND state = 'prepared'`,
}
const POST: Statement = { name: 'post_next_payouts', text: 'SELECT post_next_payouts($1, $2, $3, $4) AS more' }
const POSTING: Statement = {
  name: 'posting_payout_runs',
  text: `SELECT id::float8 AS "runId" FROM payout_run WHERE shard = $1 AND state = 'posting' ORDER BY id`,
}
const GIVE_BACK: Statement = { name: 'give_back_payouts', text: 'SELECT give_back_payouts($1, $2)' }
const CANCEL: Statement = {
  name: 'cancel_payout_run',
  text: `UPDATE payout_run SET state = 'cancelled', decided_at = $3 WHERE shard = $1 AND id = $2 AND state = 'prepared'`,
}
const LINES: Statement = {
  name: 'read_payout_lines',
  text: `
    SELECT p.ordinal, m.acceptor_id AS "acceptorId", p.until_day::text AS "untilDay", p.amount::float8 AS amount, p.iban, p.bic,
      p.holder_name AS "holderName", p.end_to_end_id AS "endToEndId", p.state
    FROM payout p JOIN merchant m ON m.id = p.merchant_id
    WHERE p.shard = $1 AND p.run_id = $2 AND p.ordinal > $3 ORDER BY p.ordinal LIMIT $4`,
}
const LEFT: Statement = {
  name: 'read_left_merchants',
  text: `
    SELECT m.acceptor_id AS "acceptorId", l.amount::float8 AS amount, l.reason
    FROM payout_left l JOIN merchant m ON m.id = l.merchant_id
    WHERE l.shard = $1 AND l.run_id = $2 AND m.acceptor_id > $3 AND ($4::text IS NULL OR l.reason = $4) ORDER BY m.acceptor_id LIMIT $5`,
}

/** A statement takes a second or two: the desk gives it no more than `desk.statementMs`. */
const SHARES = 8
const PAYOUTS_A_TIME = 10_000
/** Events wait for a SQL transaction that posts: it has to be over in a few tenths of a second. */
const POSTED_A_TIME = 1000

type RunRow = PayoutRun & Record<string, unknown>

/** The last day of which it and all before it are closed; undefined where none is. */
export async function closedUntil(tx: SqlTransaction): Promise<string | undefined> {
  return (await tx.row<{ day: string | null }>(CLOSED_UNTIL, [tx.shard]))?.day ?? undefined
}

/** Another SQL transaction that makes one is waited for. @returns its number; undefined where one waits for a decision already */
export async function addPayoutRun(tx: SqlTransaction, untilDay: string, by: string): Promise<number | undefined> {
  return (await tx.row<{ runId: number }>(ADD, [tx.shard, untilDay, by, isoNow(tx)]))?.runId
}

/** That keeps another from being prepared. */
export function readOpenRun(tx: SqlTransaction): Promise<PayoutRun | undefined> {
  return tx.row<RunRow>(READ_OPEN, [tx.shard])
}

/** @param minimum piasters @returns the run with its control sums */
export async function takeUpPayouts(tx: SqlTransaction, runId: number, untilDay: string, minimum: number): Promise<PayoutRun> {
  for (let share = 0; share < SHARES; share++) await tx.row(FIND_OWED, [tx.shard, untilDay, minimum, share, SHARES])
  for (let after = 0, more = true; more; after += PAYOUTS_A_TIME) {
    const row = await tx.row<{ more: boolean }>(TAKE_UP, [tx.shard, runId, untilDay, after, after + PAYOUTS_A_TIME])
    more = row?.more === true
  }
  await tx.row(TAKE_UP_PARTS, [tx.shard, runId, untilDay])
  return present(await readPayoutRun(tx, runId))
}

export async function nameProposal(tx: SqlTransaction, runId: number, proposalId: string): Promise<void> {
  await tx.row(NAME_PROPOSAL, [tx.shard, runId, proposalId])
}

const LOCK_APPROVALS: Statement = { name: 'lock_payout_approvals', text: 'SELECT pg_advisory_xact_lock(8585, 1)' }
const AWAIT_APPROVALS: Statement = { name: 'await_payout_approvals', text: 'SELECT pg_advisory_xact_lock_shared(8585, 1)' }

/** Until the end of the SQL transaction nobody is held, and no bank account comes into force: whoever does that waits, or was seen. */
export async function lockApprovals(tx: SqlTransaction): Promise<void> {
  await tx.row(LOCK_APPROVALS, [])
}

/** Waits for a run that is being approved, so that what is changed after it was paid is not said to have had effect on it. */
export async function awaitApprovals(tx: SqlTransaction): Promise<void> {
  await tx.row(AWAIT_APPROVALS, [])
}

export function lockPayoutRun(tx: SqlTransaction, runId: number): Promise<PayoutRun | undefined> {
  return tx.row<RunRow>(LOCK, [tx.shard, runId])
}

export function readPayoutRun(tx: SqlTransaction, runId: number): Promise<PayoutRun | undefined> {
  return tx.row<RunRow>(READ, [tx.shard, runId])
}

/** The latest first. @param before 0: from the latest on */
export function listPayoutRuns(
  tx: SqlTransaction,
  before: number,
  countMax: number,
  state: PayoutRun['state'] | undefined,
): Promise<PayoutRun[]> {
  return tx.rows<RunRow>(LIST, [tx.shard, before, state ?? null, countMax])
}

/** Takes out whoever was held or has another account since. @returns the run with what is left of it */
export async function revisePayouts(tx: SqlTransaction, runId: number): Promise<PayoutRun> {
  await tx.row(REVISE, [tx.shard, runId])
  return present(await readPayoutRun(tx, runId))
}

export interface BankMessage {
  readonly messageId: string
  readonly executionDay: string
  readonly debtor: { readonly name: string; readonly iban: string; readonly bic: string | null }
}

/** Fixes what the bank gets of a run that is locked and prepared. It is to be posted then. */
export async function approveRun(tx: SqlTransaction, runId: number, message: BankMessage, by: string): Promise<void> {
  const { messageId, executionDay, debtor } = message
  await tx.row(APPROVE, [tx.shard, runId, isoNow(tx), messageId, executionDay, debtor.name, debtor.iban, debtor.bic, by])
}

/** The next payouts of a run that is posting, if it is. Locks the run. @returns whether there are more */
export async function postNextPayouts(tx: SqlTransaction, runId: number): Promise<boolean> {
  return (await tx.row<{ more: boolean }>(POST, [tx.shard, runId, isoNow(tx), POSTED_A_TIME]))?.more === true
}

/** Runs that are approved and not all posted. */
export async function postingRuns(tx: SqlTransaction): Promise<number[]> {
  return (await tx.rows<{ runId: number }>(POSTING, [tx.shard])).map(({ runId }) => runId)
}

/** Gives the days of a run that is locked and prepared back. */
export async function cancelPayoutRun(tx: SqlTransaction, runId: number): Promise<void> {
  await tx.row(GIVE_BACK, [tx.shard, runId])
  await tx.row(CANCEL, [tx.shard, runId, isoNow(tx)])
}

/** In the order of the file, those after `after`. */
export function payoutLines(tx: SqlTransaction, runId: number, after: number, countMax: number): Promise<PayoutLine[]> {
  return tx.rows<PayoutLine & Record<string, unknown>>(LINES, [tx.shard, runId, after, countMax])
}

/** By DE 42. */
export function leftMerchants(
  tx: SqlTransaction,
  runId: number,
  after: string,
  countMax: number,
  reason: LeftReason | undefined,
): Promise<LeftMerchant[]> {
  return tx.rows<LeftMerchant & Record<string, unknown>>(LEFT, [tx.shard, runId, after, reason ?? null, countMax])
}

function present(run: PayoutRun | undefined): PayoutRun {
  assert(run !== undefined, 'a run does not go away')
  return run
}

function isoNow(tx: SqlTransaction): string {
  return new Date(tx.nowMs).toISOString()
}
