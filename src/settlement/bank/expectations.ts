/** What the bank's entries are compared with: payouts, claims, deposits, loadings of machines. */
import type { SqlTransaction } from '../../ledger/programme/desk.ts'
import { knownAtmLoads, unmatchedAtmLoads, unmatchedDeposits } from '../../ledger/settlement/bankExpectations.ts'
import { openClaimDays } from '../../ledger/settlement/claims.ts'
import type { Logger } from '../../log.ts'
import { addDays } from '../../programme/calendar.ts'
import { openClaims } from '../claims.ts'
import type { SentPayout } from '../../ledger/settlement/payoutMatches.ts'
import type { PayoutBook } from '../payoutBook.ts'
import type { Expectation } from './matching.ts'
import type { StatementEntry } from './statement.ts'

export interface MatchLimits {
  /** How far dates may lie apart where there is no reference: of payouts, deposits and loadings; of claims. */
  readonly dateDaysMax: number
  readonly claimDaysMax: number
}

/** `CLAIM-1210-20261201`, or with a second day: from the first to that. */
const CLAIM_REFERENCE = /\bCLAIM-(\d{4})-(\d{8})(?:-(\d{8}))?\b/g
const DEPOSIT_REFERENCE = /\bDEPOSIT-\d{8}\b/g
const OURS = /^(CLAIM-\d{4}|DEPOSIT)-\d{8}/

export interface MatchContext {
  readonly payouts: PayoutBook
  readonly limits: MatchLimits
  readonly log: Logger
}

export interface Expected {
  readonly expectations: readonly Expectation[]
  /** References of ours that entries name, of which nothing is expected any more. */
  readonly settled: ReadonlySet<string>
}

export function claimReference(payer: number, day: string): string {
  return `CLAIM-${String(payer)}-${day.replaceAll('-', '')}`
}

/** With what is named in its text too: payers write our references there. */
export function withNamedReferences(entry: StatementEntry): StatementEntry {
  const texts = [...entry.references, entry.text ?? '']
  const named = texts.flatMap((text) => [
    ...[...text.matchAll(CLAIM_REFERENCE)].map(([reference]) => reference),
    ...[...text.matchAll(DEPOSIT_REFERENCE)].map(([reference]) => reference),
  ])
  return named.length === 0 ? entry : { ...entry, references: [...new Set([...entry.references, ...named])] }
}

/** What a matched claim is called: payer, first day, last day. */
export function claimName(payer: number, from: string, until: string): string {
  return `${String(payer)} ${from} ${until}`
}

export function claimOfName(what: string): { payer: number; from: string; until: string } {
  const [payer = '', from = '', until = ''] = what.split(' ')
  return { payer: Number(payer), from, until }
}

/** @param entries with what is named in their texts @param byAmount whether payouts too that no entry names */
export async function expectationsFor(
  tx: SqlTransaction,
  { payouts, limits }: MatchContext,
  entries: readonly StatementEntry[],
  byAmount: boolean,
): Promise<Expected> {
  const [first] = entries
  if (first === undefined) return { expectations: [], settled: new Set() }
  const references = [...new Set(entries.flatMap((entry) => entry.references))]
  const days = entries.flatMap(({ bookedOn, valueOn }) => [bookedOn, valueOn ?? bookedOn])
  const earliest = days.reduce((a, b) => (a < b ? a : b))
  const latest = days.reduce((a, b) => (a > b ? a : b))
  const { dateDaysMax, claimDaysMax } = limits
  const between = { from: addDays(earliest, -dateDaysMax), until: addDays(latest, dateDaysMax) }
  const sent = await expectedPayouts(tx, payouts, entries, byAmount ? between : undefined)
  const expectations = [
    ...sent.flatMap(payoutExpectations(dateDaysMax)),
    ...(await unmatchedAtmLoads(tx, references)).map((load): Expectation => ({
      ...{ kind: 'atm-load', what: load.key, credit: load.amount < 0, amount: Math.abs(load.amount) },
      ...{ references: [load.reference], day: load.day, byAmount: false, daysMax: dateDaysMax },
    })),
    ...(await claimExpectations(tx, references, addDays(earliest, -claimDaysMax), latest, claimDaysMax)),
    ...(await unmatchedDeposits(tx, between.from, between.until)).map(({ day, amount }): Expectation => ({
      ...{ kind: 'deposits', what: day, credit: amount > 0, amount: Math.abs(amount) },
      ...{ references: [`DEPOSIT-${day.replaceAll('-', '')}`], day, byAmount: true, daysMax: dateDaysMax },
    })),
  ]
  const expected = new Set(expectations.flatMap((one) => one.references))
  const ours = [
    ...sent.map(({ endToEndId }) => endToEndId),
    ...(await knownAtmLoads(tx, references)),
    ...references.filter((reference) => OURS.test(reference)),
  ]
  return { expectations, settled: new Set(ours.filter((reference) => !expected.has(reference))) }
}

/** Those that are named; and where an entry names none, those that come to its amount. */
async function expectedPayouts(
  tx: SqlTransaction,
  payouts: PayoutBook,
  entries: readonly StatementEntry[],
  days: { readonly from: string; readonly until: string } | undefined,
): Promise<SentPayout[]> {
  const named = await payouts.named(tx, [...new Set(entries.flatMap(({ references }) => references))])
  if (days === undefined) return [...named]
  const known = new Set(named.map(({ endToEndId }) => endToEndId))
  const unnamed = entries.filter(({ credit, references }) => !credit && !references.some((reference) => known.has(reference)))
  if (unnamed.length === 0) return [...named]
  const fitting = await payouts.ofAmounts(tx, [...new Set(unnamed.map(({ amount }) => amount))], days)
  return [...named, ...fitting.filter(({ endToEndId }) => !known.has(endToEndId))]
}

function payoutExpectations(daysMax: number): (payout: SentPayout) => Expectation[] {
  return ({ endToEndId, amount, executionDay, state }) => {
    const payout = { what: endToEndId, amount, references: [endToEndId], day: executionDay, daysMax } as const
    const back: Expectation = { ...payout, kind: 'payout-return', credit: true, byAmount: false }
    if (state === 'returned') return []
    return state === 'executed' ? [back] : [{ ...payout, kind: 'payout', credit: false, byAmount: true }, back]
  }
}

/** Days by themselves, and ranges of days that are named. */
async function claimExpectations(
  tx: SqlTransaction,
  references: readonly string[],
  from: string,
  until: string,
  daysMax: number,
): Promise<Expectation[]> {
  const claims = { kind: 'claims', credit: true, partly: true, daysMax } as const
  const found = (await openClaimDays(tx, from, until)).map(({ payer, day, open }): Expectation => ({
    ...claims,
    ...{ what: claimName(payer, day, day), amount: open, references: [claimReference(payer, day)], day, byAmount: true },
  }))
  const known = new Set(found.flatMap((one) => one.references))
  for (const reference of references) {
    const range = known.has(reference) ? undefined : rangeOf(reference)
    if (range === undefined) continue
    const open = (await openClaims(tx, range)).reduce((sum, { amount, paid }) => sum + amount - paid, 0)
    if (open <= 0) continue
    const what = claimName(range.payer, range.from, range.until)
    found.push({ ...claims, what, amount: open, references: [reference], day: range.until, byAmount: false })
  }
  return found
}

function rangeOf(reference: string): { payer: number; from: string; until: string } | undefined {
  const [whole, payer, first = '', last = first] = new RegExp(CLAIM_REFERENCE.source).exec(reference) ?? []
  if (whole !== reference) return undefined
  const [from, until] = [first, last].map((digits) => `${digits.slice(0, 4)}-${digits.slice(4, 6)}-${digits.slice(6)}`)
  const isDay = (day = ''): boolean => !Number.isNaN(Date.parse(day)) && new Date(day).toISOString().startsWith(day)
  return from !== undefined && until !== undefined && isDay(from) && isDay(until) && from <= until
    ? { payer: Number(payer), from, until }
    : undefined
}
