/** Totals of terminals, and the shifts that are cut from them (migrations/0014_reconciliation.sql). */
import type { Reconciliation } from '../../transaction/reconciliation.ts'
import type { Statement } from '../connection.ts'
import type { SqlTransaction } from '../programme/desk.ts'

const ADD_UP: Statement = { name: 'add_up_terminals', text: 'SELECT add_up_terminals($1, $2, $3) AS until' }
const CLOSE_SHIFT: Statement = {
  name: 'close_shift',
  text: `
    SELECT ours::text[] AS ours, response_code AS "responseCode", shift::float8 AS shift, other_body AS "otherBody"
    FROM close_shift($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
}

/** Event numbers a statement: some hundred milliseconds. */
const NUMBERS_A_TIME = 50_000

/** Adds up the ledger to an event number that is final. To be called without an open SQL transaction: each chunk is one of its own. */
export async function addUpTerminals(tx: SqlTransaction, until: number): Promise<void> {
  for (let reached = -1; reached < until;) {
    const row = await tx.row<{ until: string }>(ADD_UP, [tx.shard, until, NUMBERS_A_TIME])
    reached = Number(row?.until ?? until)
  }
}

export interface ClosedShift {
  readonly ours: readonly number[]
  readonly responseCode: '00' | '95'
  readonly shift: number
  /** The key came before with another body: nothing was closed. */
  readonly otherBody: boolean
}

/** Closes a shift, or gives what its message was answered before. */
export async function closeShift(
  tx: SqlTransaction,
  { acquirer, terminalId, keyDate, key, body, theirs, net }: Reconciliation,
): Promise<ClosedShift | undefined> {
  const row = await tx.row<Omit<ClosedShift, 'ours'> & { ours: string[] }>(CLOSE_SHIFT, [
    tx.shard,
    new Date(tx.nowMs).toISOString(),
    acquirer,
    terminalId ?? '',
    keyDate,
    key,
    body,
    theirs,
    net ?? null,
  ])
  return row === undefined ? undefined : { ...row, ours: row.ours.map(Number) }
}
