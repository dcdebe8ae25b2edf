/** An entry of the work list is matched by hand: one proposes what it is, another agrees. */
import { done, refused, type Outcome, type SqlTransaction } from '../../ledger/programme/desk.ts'
import { unmatchedAtmLoads, unmatchedDeposits } from '../../ledger/settlement/bankExpectations.ts'
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
  | { readonly to: 'deposits'; readonly day: string }
  | { readonly to: 'atm-load'; readonly reference: string }
  /** Without an item it becomes one. */
  | { readonly to: 'suspense'; readonly itemId?: number }
)

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
  const { kind, what } = settled.value
  const matched = await addMatches(tx, [{ entryId, kind, what, matchedBy: maker }])
  if (!matched.has(entryId)) return refused('conflict', 'already-matched', 'What it is said to be is matched with another entry.')
  await tx.emit({ kind: 'bank.entry_matched', data: { entryId, to: kind, what } })
  return done({ kind, what })
}

async function settle(
  tx: SqlTransaction,
  payouts: PayoutBook,
  entry: BankEntry,
  maker: string,
  asked: MatchAsked,
): Promise<Outcome<{ kind: string; what: string }>> {
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
      // It was posted back by hand; a second entry about it finds it matched.
      if (credit && payout.state === 'returned') return withRest(tx, entry, maker, payout.amount, asked.note, settled)
      const told = { reference, amount: payout.amount, valueOn: receivedOn, madeBy: maker, reason: entry.returnReason }
      const moved = await (credit ? payouts.takeBack(tx, [told]) : payouts.confirm(tx, [told]))
      if (!moved.has(reference))
        return refused(
          'conflict',
          'payout-not-expected',
          'The payout is in no state in which the bank pays it, or sends it back.',
          '/reference',
        )
      return withRest(tx, entry, maker, credit ? payout.amount : -payout.amount, asked.note, settled)
    }
    case 'deposits': {
      const [deposits] = await unmatchedDeposits(tx, asked.day, asked.day)
      return deposits === undefined || deposits.amount > 0 !== credit
        ? refused(
            'conflict',
            'other-deposits',
            'That business day has no deposits in this direction that are unmatched, or is not closed yet.',
            '/day',
          )
        : withRest(tx, entry, maker, deposits.amount, asked.note, { kind: 'deposits', what: asked.day })
    }
    case 'atm-load': {
      const load = (await unmatchedAtmLoads(tx, [asked.reference])).find((one) => one.amount === -signed(entry))
      return load === undefined
        ? refused(
            'conflict',
            'no-such-load',
            'No loading of a machine with this reference and amount is unmatched.',
            '/reference',
          )
        : done({ kind: 'atm-load', what: load.key })
    }
    case 'suspense':
      return toSuspense(tx, entry, maker, asked)
  }
}

/** What the ledger expected is on the bank's account already; what the entry has beyond it, or less, is an item of suspense. */
async function withRest(
  tx: SqlTransaction,
  entry: BankEntry,
  maker: string,
  expected: number,
  note: string,
  settled: { readonly kind: string; readonly what: string },
): Promise<Outcome<{ kind: string; what: string }>> {
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
