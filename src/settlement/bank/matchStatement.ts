/**
 * Entries of a statement that is taken are matched with what is expected, in pieces, each a SQL transaction: what does not fit is put on the work list. It may be stopped and called again,
 * at several processes at once: each does the next piece, under the lock of the account. First what is named, for it is certain; then the rest by amount, for which all of the rest is
 * compared; what came back last, for it was paid before, perhaps in this statement and without being named.
 */
import { assert } from '../../assert.ts'
import { errorText } from '../../log.ts'
import type { Desk, SqlTransaction } from '../../ledger/programme/desk.ts'
import { lockExpectations } from '../../ledger/settlement/bankExpectations.ts'
import {
  countEntriesOf,
  endArrival,
  moveArrival,
  nextEntries,
  readArrival,
  restOfEntries,
  unmatchedArrivals,
  type Arrival,
  type StatementName,
} from '../../ledger/settlement/bankArrivals.ts'
import {
  addMatches,
  addOpenEntries,
  lockBankAccount,
  type BankEntry,
  type EntryMatch,
  type OpenEntry,
} from '../../ledger/settlement/bankStatements.ts'
import { takeReceipt } from '../claims.ts'
import type { PayoutBook, PayoutTold } from '../payoutBook.ts'
import { claimOfName, expectationsFor, withNamedReferences, type MatchContext } from './expectations.ts'
import { matchByAmount, matchByReference, UNKNOWN, type Expectation, type Match } from './matching.ts'

/** Events wait for a SQL transaction that writes. What came back is posted one by one. */
const A_TIME = { named: 1000, returned: 50, rest: 1000 }

/** One that fails keeps no other from being matched. @param accounts absent: all @throws what the first that failed has thrown, when all others are done */
export async function matchStatements(
  desk: Pick<Desk, 'read' | 'upkeep'>,
  context: MatchContext,
  { accounts, stopped = () => false }: { readonly accounts?: readonly string[]; readonly stopped?: () => boolean },
): Promise<number> {
  const arrivals = await desk.read((tx) => unmatchedArrivals(tx, accounts))
  const failures: unknown[] = []
  for (const arrival of arrivals)
    try {
      for (let more = true; more && !stopped();) more = await desk.upkeep((tx) => matchNext(tx, context, arrival))
    } catch (error) {
      context.log.warn(
        { key: arrival.statementId, error: errorText(error) },
        'a statement cannot be matched to its end; tried again',
      )
      failures.push(error)
    }
  if (failures.length > 0) throw failures[0]
  return arrivals.length
}

/** @returns whether there is more of this statement */
async function matchNext(tx: SqlTransaction, context: MatchContext, name: StatementName): Promise<boolean> {
  await lockBankAccount(tx, name.account)
  await lockExpectations(tx)
  // What was read before the lock may be old.
  const arrival = await readArrival(tx, name)
  if (arrival === undefined || arrival.phase === 'arriving') return false
  if (arrival.phase === 'rest') return matchRest(tx, context, arrival)
  const entries = await nextEntries(tx, arrival, A_TIME[arrival.phase])
  const last = entries.at(-1)
  if (last === undefined) {
    if (arrival.phase === 'returned') return endOf(tx, arrival)
    await moveArrival(tx, arrival, 'rest', 0)
    return true
  }
  const named = entries.map((entry) => ({ ...entry, ...withNamedReferences(entry) }))
  const { expectations, settled } = await expectationsFor(tx, context, named, false)
  const matches = matchByReference(named, new Set(expectations), settled)
  // What came back is looked at last: nothing more is said of it.
  const told = arrival.phase === 'returned' ? matches.map((match) => match ?? UNKNOWN) : matches
  await takeMatches(tx, context.payouts, named, told, arrival.begunBy)
  await moveArrival(tx, arrival, arrival.phase, last.ordinal)
  return true
}

async function matchRest(tx: SqlTransaction, context: MatchContext, arrival: Arrival): Promise<boolean> {
  const entries = (await restOfEntries(tx, arrival)).map((entry) => ({ ...entry, ...withNamedReferences(entry) }))
  const left = entries.filter(({ openReason }) => openReason === null).length
  if (left > 0) {
    const { expectations } = await expectationsFor(tx, context, entries, true)
    const matches = matchByAmount(entries, expectations)
    // Those that were left open before are rivals, and stay open.
    const undecided = entries.map(({ openReason }, index) => (openReason === null ? index : -1)).filter((index) => index >= 0)
    const now = undecided.slice(0, A_TIME.rest)
    const pick = <T>(list: readonly T[]): T[] => now.flatMap((index) => list[index] ?? [])
    await takeMatches(tx, context.payouts, pick(entries), pick(matches), arrival.begunBy)
    if (left > now.length) return true
  }
  await moveArrival(tx, arrival, 'returned', 0)
  return true
}

/** All of it is matched, or on the work list. */
async function endOf(tx: SqlTransaction, arrival: Arrival): Promise<false> {
  const { account, statementId } = arrival
  const counts = await countEntriesOf(tx, arrival)
  await endArrival(tx, arrival)
  await tx.emit({
    kind: 'bank.statement_imported',
    data: { account, statementId, entries: counts.matched + counts.open, ...counts },
  })
  return false
}

/** The key of an entry's posting, whatever it is posted to. */
export function entryKey({ account, statementId, ordinal }: { account: string; statementId: string; ordinal: number }): string {
  return `bank|${account}|${statementId}|${String(ordinal)}`
}

/** @param matches of each entry; undefined: nothing is said of it yet */
async function takeMatches(
  tx: SqlTransaction,
  payouts: PayoutBook,
  entries: readonly BankEntry[],
  matches: readonly (Match | undefined)[],
  madeBy: string,
): Promise<void> {
  const open: OpenEntry[] = []
  const found: Found[] = []
  for (const [index, match] of matches.entries()) {
    const entry = entries[index]
    assert(entry !== undefined, 'every match has its entry')
    const { entryId, bookedOn, valueOn, amount, returnReason } = entry
    if (match === undefined) continue
    if (match.expectation === null) open.push({ entryId, reason: match.reason })
    else {
      const told = { key: entryKey(entry), amount, valueOn: valueOn ?? bookedOn, returnReason, madeBy }
      found.push({ entryId, ...told, expectation: match.expectation, by: match.by })
    }
  }
  const settled = await settle(tx, payouts, found)
  for (const { entryId } of found) if (!settled.has(entryId)) open.push({ entryId, reason: 'amount-differs' })
  const told = found.flatMap(({ entryId, expectation, by }): EntryMatch[] =>
    settled.has(entryId) ? [{ entryId, kind: expectation.kind, what: expectation.what, matchedBy: by }] : [],
  )
  const matched = await addMatches(tx, told)
  // Somebody else has matched a day's deposits, or a loading, at the same time.
  for (const { entryId } of told) if (!matched.has(entryId)) open.push({ entryId, reason: 'not-expected' })
  if (open.length > 0) await addOpenEntries(tx, open)
}

interface Found {
  readonly entryId: number
  readonly key: string
  readonly amount: number
  readonly valueOn: string
  readonly returnReason: string | null
  readonly madeBy: string
  readonly expectation: Expectation
  readonly by: 'reference' | 'amount'
}

/** Posts what follows. @returns the entries for which that could be done */
async function settle(tx: SqlTransaction, payouts: PayoutBook, found: readonly Found[]): Promise<ReadonlySet<number>> {
  const of = (kind: Expectation['kind']): readonly Found[] => found.filter(({ expectation }) => expectation.kind === kind)
  const told = ({ amount, valueOn, madeBy, returnReason, expectation }: Found): PayoutTold => ({
    ...{ reference: expectation.what, amount, valueOn, madeBy, reason: returnReason },
  })
  const paid = of('payout')
  const back = of('payout-return')
  // One that is paid and comes back in the same statement is paid first.
  const confirmed = paid.length === 0 ? new Set() : await payouts.confirm(tx, paid.map(told))
  const returned = back.length === 0 ? new Set() : await payouts.takeBack(tx, back.map(told))
  const settled = new Set([...of('deposits'), ...of('atm-load')].map(({ entryId }) => entryId))
  for (const { entryId, expectation } of paid) if (confirmed.has(expectation.what)) settled.add(entryId)
  for (const { entryId, expectation } of back) if (returned.has(expectation.what)) settled.add(entryId)
  const byPayer = [...of('claims')].sort((a, b) => (a.expectation.what < b.expectation.what ? -1 : 1))
  for (const { entryId, key, amount, valueOn, madeBy, expectation } of byPayer) {
    const receipt = { key, ...claimOfName(expectation.what), amount, receivedOn: valueOn, madeBy, note: null }
    const taken = await takeReceipt(tx, { ...receipt, reference: expectation.references[0] ?? null })
    if (taken.ok) settled.add(entryId)
  }
  return settled
}
