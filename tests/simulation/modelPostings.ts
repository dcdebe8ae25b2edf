/** What an approval must do to the books, by the rules of the programme, as the model knows them. */
import type { AuthorizationRow } from './fakeTables.ts'
import { terminalOf } from './frames.ts'
import { isApproval, isSettled, type Known } from './known.ts'
import type { Group, ModelPurse } from './modelPurses.ts'
import { RULES } from './programme.ts'

export interface Move {
  readonly purseId: number
  readonly delta: number
  readonly held: number
  /** What the decision says of it. */
  readonly balanceAfter: number | null
  readonly version: number | null
}

export interface ModelPosting {
  readonly moves: readonly Move[]
  readonly counter?: { readonly group: Group; readonly amount: number; readonly count: number; readonly day?: string }
}

type Purses = (id: number) => ModelPurse

const NOTHING: ModelPosting = { moves: [] }

/** @returns what is posted, or what is wrong with it */
export function postingOf(known: Known, row: AuthorizationRow, purses: Purses): ModelPosting | string {
  const { kind, planned } = known
  const { approved } = row
  switch (kind) {
    case 'balance':
      return row.purseVersion === null ? NOTHING : 'was an inquiry, and something was posted'
    case 'purchase':
    case 'authorization':
    case 'withdrawal': {
      if (!isAmount(known, row)) return `asked for ${planned.amount}, and ${approved} was approved`
      const held = kind === 'authorization' ? approved : 0
      known.hold = held
      const group = kind === 'withdrawal' ? 'withdrawal' : 'spending'
      return { moves: [moveOf(row, -approved, held)], counter: { group, amount: approved, count: 1 } }
    }
    case 'deposit':
    case 'credit':
      return approved === planned.amount ? { moves: [moveOf(row, approved)] } : 'credited another amount'
    case 'ration': {
      const lent = row.fromSuspense ?? 0
      if (approved !== planned.amount) return 'drew another amount'
      const wrong = lent === 0 ? undefined : lendingOf(known, row, purses, planned.amount, 0)
      return wrong ?? { moves: [moveOf(row, lent - approved)] }
    }
    case 'points':
      return approved === planned.amount ? { moves: [moveOf(row, -approved)] } : 'drew another amount'
    case 'bread':
    case 'breadAdvice':
      return breadPosting(known, row, purses)
    case 'completion':
      return completionPosting(known, row, purses)
    case 'refund':
      return refundPosting(known, row, purses)
    case 'reversal':
      return reversalPosting(known, row, purses)
  }
}

function isAmount({ kind, planned }: Known, { approved, responseCode }: AuthorizationRow): boolean {
  if (responseCode === '00') return approved === planned.amount
  return kind === 'purchase' && planned.partialAccepted && approved > 0 && approved < planned.amount
}

function moveOf(row: AuthorizationRow, delta: number, held = 0): Move {
  return { purseId: row.purseId ?? 0, delta, held, balanceAfter: row.availableAfter, version: row.purseVersion }
}

/** No day is drawn twice; what an advice drew beyond what was there is owed by suspense. */
function breadPosting(known: Known, row: AuthorizationRow, purses: Purses): ModelPosting | string {
  const { kind, planned } = known
  const purse = purses(row.purseId ?? 0)
  const lent = row.fromSuspense ?? 0
  if (row.approved !== planned.loaves * RULES.loafPrice || row.quantity !== planned.loaves) return 'gave other loaves'
  const drained = row.stoodInAt !== null
  if (lent !== 0 && kind !== 'breadAdvice' && !drained) return 'gave loaves that nobody has'
  const asked = drained ? marksOn(known, row) : 0
  const wrong = lent === 0 || !drained ? undefined : lendingOf(known, row, purses, planned.loaves, asked)
  if (wrong !== undefined) return wrong
  const marks = row.marks ?? 0
  if ((purse.marks & marks) !== 0) return 'drew a day that was drawn before'
  if (drained && (marks & ~asked) !== 0) return 'drew another day than that on which it was told'
  if (kind === 'bread' && !drained && countOf(marks) !== planned.days) return `drew ${countOf(marks)} days`
  purse.marks |= marks
  const wallet = kind === 'bread' && terminalOf(planned.terminalId).wallet
  const second = { purseId: row.secondPurseId ?? 0, delta: -row.approved, held: 0 }
  return {
    moves: [
      moveOf(row, lent - planned.loaves),
      ...(wallet ? [{ ...second, balanceAfter: row.secondAvailableAfter, version: row.secondVersion }] : []),
    ],
  }
}

/** The days that stand-in has given bread of. */
function marksOn({ planned, stood }: Known, row: AuthorizationRow): number {
  const first = Number((stood?.day ?? row.decidedAt).slice(8, 10)) - 1
  let marks = 0
  for (let bit = first; bit < first + planned.days; bit++) marks |= 1 << bit
  return marks
}

/** Suspense lends what stand-in has given and the entitlement does not cover any more. @returns what is wrong with that */
function lendingOf(
  { stood, firstArrivalMs }: Known,
  row: AuthorizationRow,
  purses: Purses,
  units: number,
  marks: number,
): string | undefined {
  if (row.stoodInAt === null) return 'gave what nobody has'
  const purse = purses(row.purseId ?? 0)
  const lapsed = purse.cycle?.slice(0, 7) !== stood?.day.slice(0, 7)
  const isCovered = purse.least(firstArrivalMs) >= units && (purse.marks & marks) === 0
  return isCovered && !lapsed ? 'was lent what the purse had' : undefined
}

function countOf(marks: number): number {
  let count = 0
  for (let rest = marks; rest !== 0; rest &= rest - 1) count++
  return count
}

/** The hold first, then what is available, then suspense; what is left of the hold is free again. */
function completionPosting(known: Known, row: AuthorizationRow, purses: Purses): ModelPosting | string {
  const { original, planned } = known
  const { approved } = row
  if (approved !== planned.amount) return 'completed another amount'
  const lent = row.fromSuspense ?? 0
  const open = original?.key === row.originalKey ? original : undefined
  if (open?.completed === true) return 'completed what is complete'
  if (open === undefined && row.key === known.key) return 'completed nothing'
  const hold = open?.hold ?? 0
  const fromHold = Math.min(approved, hold)
  const covered = approved - fromHold - lent
  if (covered < 0) return 'was lent more than it took'
  if (lent > 0 && covered < Math.min(purses(row.purseId ?? 0).least(known.firstArrivalMs), approved - fromHold))
    return 'was lent what the purse had'
  const released = hold - fromHold
  if (open === undefined) return { moves: [moveOf(row, -covered)] }
  open.completed = true
  open.linked++
  open.hold = 0
  const counter = { group: 'spending', amount: covered - released, count: 0, day: dayOf(open) } as const
  return { moves: [moveOf(row, released - covered, -hold)], counter }
}

function refundPosting(known: Known, row: AuthorizationRow, purses: Purses): ModelPosting | string {
  const { original, planned } = known
  const paid = original?.forced ?? original?.row
  if (original === undefined || paid === undefined || !isApproval(paid.responseCode)) return 'gave back what was not paid'
  if (row.approved !== planned.amount) return 'gave back another amount'
  if (row.approved > paid.approved - original.givenBack) return 'gave back more than was paid'
  known.linkedAt = original.linked + 1
  return giveBack(original, paid, row, purses)
}

/** All of what is left of the original goes back, or what the original had given is taken again. */
function reversalPosting(known: Known, row: AuthorizationRow, purses: Purses): ModelPosting | string {
  const { original } = known
  const paid = original?.forced ?? original?.row
  if (original === undefined || paid === undefined || !isApproval(paid.responseCode))
    return row.approved === 0 && row.purseVersion === null ? NOTHING : 'reversed what was not approved'
  if (original.kind === 'authorization') {
    const left = original.hold
    if (row.approved !== left) return `released ${row.approved} of ${left}`
    if (left === 0) return linkNothing(original, row)
    original.hold = 0
    original.givenBack += left
    original.linked++
    const inFull = left === paid.approved
    const counter = { group: 'spending', amount: -left, count: inFull ? -1 : 0, day: dayOf(original) } as const
    return { moves: [moveOf(row, left, -left)], counter }
  }
  if (isSettled(original)) return row.approved === 0 && row.purseVersion === null ? NOTHING : 'charged again what was reversed'
  const left = paid.approved - original.givenBack
  if (row.approved !== left) return `gave back ${row.approved} of ${left}`
  if (left === 0) return linkNothing(original, row)
  if (['refund', 'deposit', 'credit'].includes(original.kind)) return takeBack(known, original, paid, row, purses)
  original.reversedAt = original.linked + 1
  return giveBack(original, paid, row, purses)
}

/** It says that there is nothing left, under the original's lock. */
function linkNothing(original: Known, row: AuthorizationRow): ModelPosting | string {
  if (row.originalKey !== null) original.reversedAt = ++original.linked
  return row.purseVersion === null ? NOTHING : 'had nothing to reverse, and something was posted'
}

function giveBack(original: Known, paid: AuthorizationRow, row: AuthorizationRow, purses: Purses): ModelPosting | string {
  const { kind } = original
  const bread = kind === 'bread' || kind === 'breadAdvice'
  const price = bread ? RULES.loafPrice : 1
  const units = row.approved / price
  const lent = Math.min(units, (paid.fromSuspense ?? 0) - original.givenBackToSuspense)
  if ((row.fromSuspense ?? 0) !== lent) return `gave suspense ${row.fromSuspense ?? 0} of ${lent}`
  const inFull = row.approved === paid.approved - original.givenBack
  // Its days are free again where all of it comes back at once.
  if (bread) purses(row.purseId ?? 0).marks &= ~(row.marks ?? 0)
  original.givenBack += row.approved
  original.givenBackToSuspense += lent
  original.linked++
  const second = paid.secondVersion === null ? [] : [secondMove(row, row.approved)]
  const wasLate = bread || kind === 'ration' ? paid.cycle !== row.cycle : false
  const moves = [moveOf(row, wasLate && kind === 'ration' ? 0 : units - lent), ...second]
  if (row.kind === REFUND || kind === 'completion' || kind === 'points' || kind === 'ration' || bread) return { moves }
  const group = kind === 'withdrawal' ? 'withdrawal' : 'spending'
  return { moves, counter: { group, amount: -row.approved, count: inFull ? -1 : 0, day: dayOf(original) } }
}

/** A refund, deposit or credit is undone: from what is there as far as it goes, the rest from suspense. */
function takeBack(
  known: Known,
  original: Known,
  paid: AuthorizationRow,
  row: AuthorizationRow,
  purses: Purses,
): ModelPosting | string {
  const root = original.original
  const price = root?.kind === 'bread' ? RULES.loafPrice : 1
  const units = row.approved / price
  const lent = row.fromSuspense ?? 0
  const covered = units - lent
  if (covered < 0) return 'took less than nothing'
  const purse = purses(row.purseId ?? 0)
  const couldPay = price === 1 && root?.kind !== 'ration' && root?.kind !== 'points'
  const got = paid.approved - (paid.fromSuspense ?? 0)
  if (couldPay && lent > 0 && covered < Math.min(purse.least(known.firstArrivalMs), got, units))
    return 'was lent what the purse had'
  if (root?.kind === 'bread') purse.marks |= row.marks ?? 0
  original.givenBack += row.approved
  original.linked++
  if (root !== undefined) {
    root.givenBack -= row.approved
    root.givenBackToSuspense -= Math.min(paid.fromSuspense ?? 0, lent)
  }
  const second = row.secondVersion === null ? [] : [secondMove(row, secondDelta(row, purses))]
  return { moves: [moveOf(row, -covered), ...second] }
}

const REFUND = 8

/** How far cash could be taken again is told by what is left of it. */
function secondDelta(row: AuthorizationRow, purses: Purses): number {
  return (row.secondAvailableAfter ?? 0) - purses(row.secondPurseId ?? 0).balance
}

function secondMove(row: AuthorizationRow, delta: number): Move {
  return { purseId: row.secondPurseId ?? 0, delta, held: 0, balanceAfter: row.secondAvailableAfter, version: row.secondVersion }
}

function dayOf(original: Known): string {
  return new Date(original.row?.decidedAt ?? '1970-01-01T00:00:00Z').toISOString().slice(0, 10)
}
