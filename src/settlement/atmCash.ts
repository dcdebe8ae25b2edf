/** Cash of the post's machines is loaded, taken out and counted; what is there too much or too little goes to suspense. */
import { assert } from '../assert.ts'
import { done, refused, type Actor, type Outcome, type SqlTransaction } from '../ledger/programme/desk.ts'
import { addAtmCount, findAtm, lockAtm, readAtm, type AtmPosition } from '../ledger/settlement/atmCash.ts'
import { postBook, type BookTransfer } from '../ledger/settlement/book.ts'
import { recordBookSuspense } from '../ledger/settlement/suspense.ts'
import { ACCOUNT_CODE } from '../purse/chart.ts'

export const NO_SUCH_ATM = refused('not-found', 'no-such-atm', 'There is no such machine: no terminal of class atm has this id.')
const POSTED_BEFORE = refused(
  'conflict',
  'reference-used',
  'This machine has a record with this reference already.',
  '/reference',
)

const { bank, atmCash, suspense } = ACCOUNT_CODE

export interface Loading {
  /** Of the transport of the cash: unique for the machine, and what the bank's statement may name. */
  readonly reference: string
  /** Piasters. */
  readonly amount: number
  /** Into the machine, or out of it. */
  readonly direction: 'in' | 'out'
  readonly day: string | null
  readonly note: string | null
}

export async function loadAtm(
  tx: SqlTransaction,
  actor: Actor,
  terminalId: string,
  loading: Loading,
): Promise<Outcome<AtmPosition>> {
  const { reference, amount, direction, day, note } = loading
  const number = await lockedAtm(tx, terminalId)
  if (!number.ok) return number
  const machine = { code: atmCash, owner: number.value }
  const transfers = [direction === 'in' ? transferOf(machine, BANK, amount) : transferOf(BANK, machine, amount)]
  const key = `atm-load|${terminalId}|${reference}`
  const posted = await postBook(tx, [{ key, kind: 'atm-load', valueDate: day, reference, madeBy: actor.name, note, transfers }])
  if (!posted.has(key)) return POSTED_BEFORE
  await tx.emit({ kind: 'atm.loaded', data: { terminalId, reference, direction } })
  return positionOf(tx, number.value)
}

export interface Counting {
  readonly reference: string
  /** Piasters that were found. */
  readonly counted: number
  readonly note: string | null
}

export interface Counted {
  readonly position: AtmPosition
  /** Of suspense; null where the count was right. */
  readonly itemId: number | null
  readonly difference: number
}

/** Compares with what the ledger says now: whoever counts has taken the machine out of service. Afterwards the ledger says what was counted. */
export async function countAtm(
  tx: SqlTransaction,
  actor: Actor,
  terminalId: string,
  counting: Counting,
): Promise<Outcome<Counted>> {
  const { reference, counted, note } = counting
  const number = await lockedAtm(tx, terminalId)
  if (!number.ok) return number
  const before = await positionOf(tx, number.value)
  if (!before.ok) return before
  const { position } = before.value
  const difference = counted - position
  const key = `atm-count|${terminalId}|${reference}`
  if (!(await addAtmCount(tx, { key, number: number.value, position, counted, madeBy: actor.name, note }))) return POSTED_BEFORE
  let itemId: number | null = null
  if (difference !== 0) {
    const machine = { code: atmCash, owner: number.value }
    const transfers = [difference < 0 ? transferOf(SUSPENSE, machine, -difference) : transferOf(machine, SUSPENSE, difference)]
    await postBook(tx, [{ key, kind: 'atm-count', valueDate: null, reference, madeBy: actor.name, note, transfers }])
    itemId = await recordBookSuspense(tx, key, null)
  }
  await tx.emit({ kind: 'atm.counted', data: { terminalId, reference, right: difference === 0 } })
  const after = await positionOf(tx, number.value)
  return after.ok ? done({ position: after.value, itemId, difference }) : after
}

interface Side {
  readonly code: number
  readonly owner: number
}

const BANK: Side = { code: bank, owner: 0 }
const SUSPENSE: Side = { code: suspense, owner: 0 }

function transferOf(debit: Side, credit: Side, amount: number): BookTransfer {
  return { debitCode: debit.code, debitOwner: debit.owner, creditCode: credit.code, creditOwner: credit.owner, amount }
}

async function lockedAtm(tx: SqlTransaction, terminalId: string): Promise<Outcome<number>> {
  const terminal = await lockAtm(tx, terminalId)
  return terminal?.class === 'atm' ? done(terminal.number) : NO_SUCH_ATM
}

export async function atmPosition(tx: SqlTransaction, terminalId: string): Promise<Outcome<AtmPosition>> {
  const terminal = await findAtm(tx, terminalId)
  return terminal?.class === 'atm' ? positionOf(tx, terminal.number) : NO_SUCH_ATM
}

async function positionOf(tx: SqlTransaction, number: number): Promise<Outcome<AtmPosition>> {
  const position = await readAtm(tx, number)
  assert(position !== undefined, 'a machine that is there has a position')
  return done(position)
}
