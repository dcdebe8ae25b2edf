/**
 * Which entry of a statement is which of the payments that are expected: by what both call it, else by amount and date where only one of each fits. Pure. What does
 * not fit for certain stays for people (spec/bank.md).
 */
import type { StatementEntry } from './statement.ts'

export interface Expectation {
  readonly kind: 'payout' | 'payout-return' | 'claims' | 'deposits' | 'atm-load'
  /** Unique among those of its kind. */
  readonly what: string
  readonly credit: boolean
  readonly amount: number
  /** What the payment calls it. */
  readonly references: readonly string[]
  /** The day it was made, or is due from. */
  readonly day: string
  /** It may be paid in part, if it is named. */
  readonly partly?: true
  /** Also by amount and date, without being named. */
  readonly byAmount: boolean
  /** How far the dates may lie apart then. */
  readonly daysMax: number
}

/** Why an entry stays open. */
export type OpenReason = 'unknown' | 'amount-differs' | 'several-fit' | 'not-expected'

export type Match =
  | { readonly expectation: Expectation; readonly by: 'reference' | 'amount' }
  | { readonly expectation: null; readonly reason: OpenReason }

/**
 * The match of each entry, in their order.
 *
 * @param settled references of what is not expected any more: who names it means it, and nothing else that comes to the amount
 */
export function matchEntries(
  entries: readonly StatementEntry[],
  expectations: readonly Expectation[],
  settled: ReadonlySet<string> = new Set(),
): readonly Match[] {
  const left = new Set(expectations)
  const named = matchByReference(entries, left, settled)
  const rest = entries.filter((_entry, index) => named[index] === undefined)
  const byAmount = matchByAmount(rest, [...left])
  let next = 0
  return named.map((match) => match ?? byAmount[next++] ?? UNKNOWN)
}

/** @param left what is expected; what was found is taken away @returns undefined for an entry that names nothing */
export function matchByReference(
  entries: readonly StatementEntry[],
  left: Set<Expectation>,
  settled: ReadonlySet<string>,
): readonly (Match | undefined)[] {
  const byReference = groupBy([...left], ({ references }) => references)
  return entries.map((entry) => referenced(entry, byReference, left, settled))
}

/** Of entries that name nothing: all of a statement, for they are each other's rivals. */
export function matchByAmount(entries: readonly StatementEntry[], expectations: readonly Expectation[]): readonly Match[] {
  const dated = expectations
    .filter((expectation) => expectation.byAmount)
    .map((expectation) => ({ expectation, atMs: Date.parse(expectation.day) }))
  const byAmount = groupBy(dated, ({ expectation: { credit, amount } }) => [amountKey(credit, amount)])
  const alike = new Map<string, Alike>()
  const alikeOf = entries.map((entry): Alike | undefined => {
    const { credit, amount, bookedOn, valueOn, returnReason } = entry
    if (returnReason !== null) return undefined
    const key = [amountKey(credit, amount), bookedOn, valueOn ?? bookedOn].join(' ')
    const known = alike.get(key)
    const daysMs = known?.daysMs ?? [Date.parse(bookedOn), Date.parse(valueOn ?? bookedOn)]
    const one: Alike = known ?? { amount: amountKey(credit, amount), daysMs, count: 0 }
    one.count++
    alike.set(key, one)
    return one
  })
  const rivals = groupBy([...alike.values()], ({ amount }) => [amount])
  const matches = new Map(
    [...alike.values()].map((one) => [one, amountMatch(one, byAmount.get(one.amount) ?? [], rivals.get(one.amount) ?? [])]),
  )
  return alikeOf.map((one) => (one === undefined ? UNKNOWN : (matches.get(one) ?? UNKNOWN)))
}

/** Entries of one amount and the same days: what is said of one is said of all. A bank's statement has thousands of equal fees, and each by itself would be compared with each. */
interface Alike {
  readonly amount: string
  readonly daysMs: readonly number[]
  count: number
}

interface Dated {
  readonly expectation: Expectation
  readonly atMs: number
}

/** @param expected of this amount @param rivals of this amount, with itself */
function amountMatch(entry: Alike, expected: readonly Dated[], rivals: readonly Alike[]): Match {
  let only: Dated | undefined
  for (const one of expected) {
    if (!isNear(one, entry)) continue
    if (only !== undefined) return SEVERAL_FIT
    only = one
  }
  if (only === undefined) return UNKNOWN
  let near = 0
  for (const rival of rivals) {
    if (isNear(only, rival)) near += rival.count
    if (near > 1) return SEVERAL_FIT
  }
  return { expectation: only.expectation, by: 'amount' }
}

export const UNKNOWN: Match = { expectation: null, reason: 'unknown' }
const SEVERAL_FIT: Match = { expectation: null, reason: 'several-fit' }
const NOT_EXPECTED: Match = { expectation: null, reason: 'not-expected' }

/** @returns undefined where the entry names nothing that is expected */
function referenced(
  entry: StatementEntry,
  byReference: ReadonlyMap<string, readonly Expectation[]>,
  left: Set<Expectation>,
  settled: ReadonlySet<string>,
): Match | undefined {
  const known = entry.references.flatMap((reference) => byReference.get(reference) ?? [])
  const named = known.filter(
    ({ kind, credit }) => credit === entry.credit && (kind === 'payout-return') === (entry.returnReason !== null),
  )
  if (named.length === 0)
    return known.length > 0 || entry.references.some((reference) => settled.has(reference)) ? NOT_EXPECTED : undefined
  for (const expectation of named) {
    const { partly, amount } = expectation
    if (!left.has(expectation) || (partly === true ? entry.amount > amount : entry.amount !== amount)) continue
    // What is paid in part may be paid again.
    if (partly !== true || entry.amount === amount) left.delete(expectation)
    return { expectation, by: 'reference' }
  }
  // What another entry has taken is matched already.
  return named.every((one) => !left.has(one)) ? NOT_EXPECTED : { expectation: null, reason: 'amount-differs' }
}

function amountKey(credit: boolean, amount: number): string {
  return `${credit ? '+' : '-'}${String(amount)}`
}

const DAY_MS = 86_400_000

function isNear({ expectation, atMs }: Dated, { daysMs }: Alike): boolean {
  return daysMs.some((dayMs) => Math.abs(dayMs - atMs) <= expectation.daysMax * DAY_MS)
}

function groupBy<T>(items: readonly T[], keysOf: (item: T) => readonly string[]): Map<string, T[]> {
  const groups = new Map<string, T[]>()
  for (const item of items)
    for (const key of new Set(keysOf(item))) {
      const group = groups.get(key)
      if (group === undefined) groups.set(key, [item])
      else group.push(item)
    }
  return groups
}
