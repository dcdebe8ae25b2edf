/** An entry of the work list is matched by hand: one proposes what it is, another agrees. */
import { done, refused, type Outcome, type SqlTransaction } from '../../ledger/programme/desk.ts'
import {
  addMatchParts,
  lockExpectations,
  unmatchedAtmLoads,
  unmatchedDeposits,
  type MatchPart,
} from '../../ledger/settlement/bankExpectations.ts'
import { addMatches, closeOpenEntry, readEntry, type BankEntry } from '../../ledger/settlement/bankStatements.ts'
import { postBook } from '../../ledger/settlement/book.ts'
import { lockSuspenseItems, recordBookSuspense } from '../../ledger/settlement/suspense.ts'
import type { ProposalKind } from '../../programme/proposals.ts'
import { ACCOUNT_CODE } from '../../purse/chart.ts'
import { takeReceipt } from '../claims.ts'
import type { PayoutBook } from '../payoutBook.ts'
import { claimName } from './expectations.ts'
import { entryKey } from './matchStatement.ts'

/** What an entry is, as somebody says. */
export type MatchAsked = { readonly note: string } & (
  | { readonly to: 'claims'; readonly payer: number; readonly from: string; readonly until: string }
  | { readonly to: 'payout'; readonly reference: string }
  | ({ readonly to: 'deposits'; readonly days: readonly string[] } & HowMuch)
  | ({ readonly to: 'atm-load'; readonly references: readonly string[] } & HowMuch)
  /** Without an item it becomes one. */
  | { readonly to: 'suspense'; readonly itemId?: number }
)

interface HowMuch {
  /** It is a part of the one that is named; the rest is still expected. */
  readonly part?: boolean
  /** What it differs by is an item of suspense. */
  readonly difference?: boolean
}

interface MatchBody {
  readonly entryId: number
  readonly maker: string
  readonly asked: MatchAsked
}

export const NO_SUCH_ENTRY = refused('not-found', 'no-such-entry', 'There is no such entry of a bank statement.')
const ALREADY_MATCHED = refused('conflict', 'already-matched', 'This entry is matched already.')

/** What can be said before anybody agrees. */
export async function checkMatch(tx: SqlTransaction, entryId: number, { to }: MatchAsked): Promise<Outcome<BankEntry>> {
  const entry = await readEntry(tx, entryId)
  if (entry === undefined) return NO_SUCH_ENTRY
  if (entry.matchKind !== null) return ALREADY_MATCHED
  if (entry.openReason === null)
    return refused('conflict', 'being-matched', 'The statement of this entry is being matched; it takes some seconds more.')
  if (to === 'claims' && !entry.credit)
    return refused('invalid', 'not-a-receipt', 'Money went out with this entry; only what came in pays claims.', '/to')
  return done(entry)
}

export function bankMatchKind(payouts: PayoutBook): ProposalKind {
  return {
    kind: 'bank-match',
    permission: 'bank:match',
    single: true,
    execute: (tx, body) => matchEntry(tx, payouts, body as unknown as MatchBody),
  }
}

async function matchEntry(
  tx: SqlTransaction,
  payouts: PayoutBook,
  { entryId, maker, asked }: MatchBody,
): Promise<Outcome<Readonly<Record<string, unknown>>>> {
  const checked = await checkMatch(tx, entryId, asked)
  if (!checked.ok) return checked
  if (!(await closeOpenEntry(tx, entryId))) return ALREADY_MATCHED
  const settled = await settle(tx, payouts, checked.value, maker, asked)
  if (!settled.ok) return settled
  const { kind, what, parts } = settled.value
  const matched = await addMatches(tx, [{ entryId, kind, what, matchedBy: maker }])
  if (!matched.has(entryId)) return refused('conflict', 'already-matched', 'What it is said to be is matched with another entry.')
  if (parts !== undefined) await addMatchParts(tx, entryId, kind === 'atm-loads' ? 'atm-load' : 'deposits', parts)
  await tx.emit({ kind: 'bank.entry_matched', data: { entryId, to: kind, what } })
  return done({ kind, what })
}

interface Settled {
  readonly kind: string
  readonly what: string
  /** It is several, or a part of one. */
  readonly parts?: readonly MatchPart[]
}

async function settle(
  tx: SqlTransaction,
  payouts: PayoutBook,
  entry: BankEntry,
  maker: string,
  asked: MatchAsked,
): Promise<Outcome<Settled>> {
  const key = entryKey(entry)
  const { amount, credit } = entry
  const receivedOn = entry.valueOn ?? entry.bookedOn
  switch (asked.to) {
    case 'claims': {
      const { payer, from, until, note } = asked
      const reference = entry.references[0] ?? null
      const taken = await takeReceipt(tx, { key, payer, from, until, amount, receivedOn, reference, madeBy: maker, note })
      return taken.ok ? done({ kind: 'claims', what: claimName(payer, from, until) }) : taken
    }
    case 'payout': {
      const { reference } = asked
      const [payout] = await payouts.named(tx, [reference])
      // Of what comes back the bank may keep a fee.
      if (payout === undefined || (credit ? amount > payout.amount : amount !== payout.amount))
        return refused(
          'conflict',
          'no-such-payout',
          'No payout of this amount that was sent to the bank has this reference.',
          '/reference',
        )
      const settled = { kind: credit ? 'payout-return' : 'payout', what: reference }
      const expected = credit ? payout.amount : -payout.amount
      // It was posted back before this entry about it, and what the bank paid is posted too; a second entry of the same sort finds it matched.
      if (payout.state === 'returned') return withRest(tx, entry, maker, expected, asked.note, settled)
      const told = { reference, amount: payout.amount, valueOn: receivedOn, madeBy: maker, reason: entry.returnReason }
      const moved = await (credit ? payouts.takeBack(tx, [told]) : payouts.confirm(tx, [told]))
      if (!moved.has(reference))
        return refused(
          'conflict',
          'payout-not-expected',
          'The payout is in no state in which the bank pays it, or sends it back.',
          '/reference',
        )
      return withRest(tx, entry, maker, expected, asked.note, settled)
    }
    case 'deposits': {
      await lockExpectations(tx)
      const { days } = asked
      const open = (await unmatchedDeposits(tx, days.toSorted()[0] ?? '', days.toSorted().at(-1) ?? '')).filter(({ day }) =>
        days.includes(day),
      )
      if (open.length !== new Set(days).size || open.some((one) => one.amount > 0 !== credit))
        return refused(
          'conflict',
          'other-deposits',
          'A business day that is named has no deposits in this direction that are unmatched, or is not closed yet.',
          '/day',
        )
      const several = open.map((one) => ({ what: one.day, amount: Math.abs(one.amount) }))
      // Of one day what it differs by has always gone to suspense.
      const how = open.length === 1 && asked.part !== true ? { ...asked, difference: true } : asked
      return settleTogether(tx, entry, maker, how, several)
    }
    case 'atm-load': {
      await lockExpectations(tx)
      const open = (await unmatchedAtmLoads(tx, asked.references)).filter((one) => one.amount > 0 !== credit)
      const named = new Set(open.map(({ reference }) => reference))
      if (open.length === 0 || asked.references.some((reference) => !named.has(reference)))
        return refused(
          'conflict',
          'no-such-load',
          'No loading of a machine in this direction with a reference that is named is unmatched.',
          '/reference',
        )
      const several = open.map((one) => ({ what: one.key, amount: Math.abs(one.amount) }))
      // Of several machines that have the same reference one may be meant.
      const only = asked.references.length === 1 ? several.find((one) => one.amount === amount) : undefined
      return settleTogether(tx, entry, maker, asked, only === undefined ? several : [only])
    }
    case 'suspense':
      return toSuspense(tx, entry, maker, asked)
  }
}

/** An entry that is one of what is expected, or several of it, or a part of one: never more, but by a difference that is said. @param open what is left of each, in the entry's direction */
async function settleTogether(
  tx: SqlTransaction,
  entry: BankEntry,
  maker: string,
  asked: Extract<MatchAsked, { to: 'deposits' | 'atm-load' }>,
  open: readonly MatchPart[],
): Promise<Outcome<Settled>> {
  const { part = false, difference = false, note } = asked
  const expected = open.reduce((sum, one) => sum + one.amount, 0)
  const kind = asked.to === 'deposits' ? 'deposit-days' : 'atm-loads'
  const [only] = open
  if (part) {
    if (only === undefined || open.length > 1)
      return refused('invalid', 'part-of-several', 'An entry is a part of one: name that alone.', '/part')
    if (entry.amount >= expected)
      return refused('conflict', 'more-than-expected', 'It is no part: what is left of it is not more than the entry.', '/part')
    return done({ kind, what: only.what, parts: [{ what: only.what, amount: entry.amount }] })
  }
  if (entry.amount !== expected && !difference)
    return refused(
      'conflict',
      entry.amount > expected ? 'more-than-expected' : 'amount-differs',
      'What is named does not come to the amount of the entry. Name all of it, say that it is a part, or that the difference goes to suspense.',
    )
  const settled =
    open.length === 1 && only !== undefined
      ? { kind: asked.to, what: only.what }
      : {
          kind,
          what: open
            .map(({ what }) => what)
            .join(', ')
            .slice(0, NAMES_MAX),
          parts: open,
        }
  return withRest(tx, entry, maker, entry.credit ? expected : -expected, note, settled)
}

const NAMES_MAX = 500

/** What the ledger expected is on the bank's account already; what the entry has beyond it, or less, is an item of suspense. */
async function withRest(
  tx: SqlTransaction,
  entry: BankEntry,
  maker: string,
  expected: number,
  note: string,
  settled: Settled,
): Promise<Outcome<Settled>> {
  const rest = signed(entry) - expected
  if (rest === 0) return done(settled)
  const posted = await postSuspense(tx, entry, { credit: rest > 0, amount: Math.abs(rest), maker, note })
  if (!posted) return ALREADY_MATCHED
  await recordBookSuspense(tx, entryKey(entry), null)
  return done(settled)
}

async function postSuspense(
  tx: SqlTransaction,
  entry: BankEntry,
  {
    credit,
    amount,
    maker,
    note,
  }: { readonly credit: boolean; readonly amount: number; readonly maker: string; readonly note: string },
): Promise<boolean> {
  const key = entryKey(entry)
  const { bank, suspense } = ACCOUNT_CODE
  const [debitCode, creditCode] = credit ? [bank, suspense] : [suspense, bank]
  const transfers = [{ debitCode, debitOwner: 0, creditCode, creditOwner: 0, amount }]
  const reference = entry.references[0] ?? entry.bankReference
  const valueDate = entry.valueOn ?? entry.bookedOn
  return (await postBook(tx, [{ key, kind: 'bank-suspense', valueDate, reference, madeBy: maker, note, transfers }])).has(key)
}

function signed({ credit, amount }: BankEntry): number {
  return credit ? amount : -amount
}

async function toSuspense(
  tx: SqlTransaction,
  entry: BankEntry,
  maker: string,
  { itemId, note }: Extract<MatchAsked, { to: 'suspense' }>,
): Promise<Outcome<{ kind: string; what: string }>> {
  const { amount, credit } = entry
  if (itemId !== undefined) {
    const item = (await lockSuspenseItems(tx, [itemId])).get(itemId)
    // What came in settles what is owed to us, what went out what we owed.
    if (item === undefined || amount > (credit ? item.open : -item.open))
      return refused(
        'conflict',
        'item-does-not-fit',
        'There is no item of suspense with so much open on the other side.',
        '/itemId',
      )
  }
  if (!(await postSuspense(tx, entry, { credit, amount, maker, note }))) return ALREADY_MATCHED
  const item = await recordBookSuspense(tx, entryKey(entry), itemId ?? null)
  return done({ kind: 'suspense', what: String(item) })
}
