/**
 * What becomes of a payout that the bank was told of.
 *
 *   paid --(the bank has executed it)--> executed --(it comes back)--> returned
 *   paid --(it comes back)--> returned
 *
 * Paid is posted: 22xx / 1000. What comes back is posted the other way, once, and is a position of the business day that is open then: the next run pays it again.
 */
import { done, refused, type Actor, type Outcome, type SqlTransaction } from '../ledger/programme/desk.ts'
import type { Proposal } from '../ledger/programme/proposals.ts'
import { postBook } from '../ledger/settlement/book.ts'
import { readPayoutRun } from '../ledger/settlement/payoutRuns.ts'
import { lockPayout, markExecuted, markReturned, paidParts, readPayout, type PayoutRow } from '../ledger/settlement/payouts.ts'
import { formatAmount } from '../money.ts'
import { ACCOUNT_CODE } from '../purse/chart.ts'
import { propose, type ProposalKind } from '../programme/proposals.ts'
import { holdMerchant } from './merchantHolds.ts'

export const NO_SUCH_PAYOUT = refused('not-found', 'no-such-payout', 'No payout was sent to the bank under this EndToEndId.')

/** ISO 20022 ExternalReturnReason1Code where another try would fail too: account wrong, closed, blocked, of somebody else; bank unknown; holder dead. */
const ACCOUNT_IS_WRONG: readonly string[] = ['AC01', 'AC03', 'AC04', 'AC06', 'BE01', 'BE04', 'BE05', 'BE06', 'MD07', 'RC01']

export interface ReturnedPayout {
  readonly endToEndId: string
  /** ISO 20022 ExternalReturnReason1Code. */
  readonly reason: string
  /** When the bank has booked it. */
  readonly valueDate: string
  /** Piasters that came back; absent: all that was paid. */
  readonly amount?: number
  /** Who says so; absent: the bank, in a statement. */
  readonly madeBy?: string
}

/** What has come of it. */
export interface PayoutReturned {
  readonly payout: PayoutRow
  /** Its merchant is held until it has another bank account. */
  readonly held: boolean
}

/** Takes back what the bank returns, once, split by accounts as it was paid. Locks the merchant and the payout. */
export async function returnPayout(tx: SqlTransaction, returned: ReturnedPayout): Promise<Outcome<PayoutReturned>> {
  const { endToEndId, reason, valueDate, amount, madeBy = 'bank' } = returned
  const payout = await lockPayout(tx, endToEndId)
  if (payout === undefined) return NO_SUCH_PAYOUT
  if (payout.state === 'returned') return alreadyReturned(payout)
  const wrong = wrongAmount(payout, amount)
  if (wrong !== undefined) return wrong
  const bookKey = `payout-return|${endToEndId}`
  const debit = { debitCode: ACCOUNT_CODE.bank, debitOwner: 0 }
  const transfers = (await paidParts(tx, payout)).map(({ code, paid }) => ({
    ...debit,
    creditCode: code,
    creditOwner: Number(payout.merchantId),
    amount: paid,
  }))
  await postBook(tx, [{ key: bookKey, kind: 'payout-return', valueDate, reference: endToEndId, madeBy, note: reason, transfers }])
  await markReturned(tx, endToEndId, { day: valueDate, reason, bookKey })
  const held = ACCOUNT_IS_WRONG.includes(reason)
  const { acceptorId } = payout
  if (held) {
    const hold = await holdMerchant(tx, acceptorId, {
      cause: 'returned',
      reason: `payout ${endToEndId} came back: ${reason}`,
      by: madeBy,
    })
    if (!hold.ok) return hold
  }
  await tx.emit({ kind: 'payout.returned', data: { endToEndId, acceptorId, amount: formatAmount(payout.amount), reason, held } })
  return done({ payout: { ...payout, state: 'returned', returnedOn: valueDate, returnReason: reason }, held })
}

/** For what no statement of the bank brings: one says so, another agrees, for the next run pays it again. */
export const PAYOUT_RETURN: ProposalKind = {
  kind: 'payout-return',
  permission: 'payout:approve',
  single: true,
  execute: async (tx, body) => {
    const told = body as unknown as Required<ReturnedPayout>
    const allowed = await returnableByHand(tx, told)
    if (!allowed.ok) return allowed
    const returned = await returnPayout(tx, told)
    return returned.ok ? done({ state: 'returned', merchantHeld: returned.value.held }) : returned
  },
}

/** What can be seen at once is refused at once. */
export async function proposeReturn(
  tx: SqlTransaction,
  maker: Actor,
  told: Required<ReturnedPayout>,
): Promise<Outcome<Proposal>> {
  const allowed = await returnableByHand(tx, told)
  if (!allowed.ok) return allowed
  return propose(tx, PAYOUT_RETURN, maker, { subject: `payout ${told.endToEndId}`, body: { ...told } })
}

async function returnableByHand(
  tx: SqlTransaction,
  { endToEndId, amount }: Required<ReturnedPayout>,
): Promise<Outcome<undefined>> {
  const payout = await lockPayout(tx, endToEndId)
  if (payout === undefined) return NO_SUCH_PAYOUT
  if (payout.state === 'returned') return alreadyReturned(payout)
  if (payout.state === 'executed')
    return refused(
      'conflict',
      'already-executed',
      'The bank has executed this payout: it comes back with an entry of a statement, and is matched with that.',
    )
  // Its file is still to come, with this payout in it.
  if ((await readPayoutRun(tx, payout.runId))?.state !== 'approved')
    return refused(
      'conflict',
      'payout-run-posting',
      'The run of this payout is being posted, and the bank does not have it yet: nothing can have come back. It takes some seconds more.',
    )
  return wrongAmount(payout, amount) ?? done(undefined)
}

function alreadyReturned({ returnedOn }: PayoutRow): Outcome<never> {
  return refused(
    'conflict',
    'already-returned',
    `This payout came back on ${returnedOn ?? 'a day before'} already; nothing was posted.`,
  )
}

export interface ExecutedPayout {
  readonly endToEndId: string
  /** Piasters. */
  readonly amount: number
  readonly valueDate: string
}

/** The bank has executed it: told once. Locks the merchant and the payout. */
export async function confirmPayout(tx: SqlTransaction, executed: ExecutedPayout): Promise<Outcome<PayoutRow>> {
  const { endToEndId, amount, valueDate } = executed
  const payout = await lockPayout(tx, endToEndId)
  if (payout === undefined) return NO_SUCH_PAYOUT
  if (payout.state === 'returned')
    return refused(
      'conflict',
      'payout-returned',
      `This payout came back on ${payout.returnedOn ?? 'a day before'}; the bank cannot execute it now.`,
    )
  if (payout.state === 'executed')
    return refused(
      'conflict',
      'already-executed',
      `The bank executed this payout on ${payout.executedOn ?? 'a day before'} already; a second time would be a payment too many.`,
    )
  const wrong = wrongAmount(payout, amount)
  if (wrong !== undefined) return wrong
  await markExecuted(tx, endToEndId, valueDate)
  await tx.emit({ kind: 'payout.executed', data: { endToEndId, acceptorId: payout.acceptorId, amount: formatAmount(amount) } })
  return done({ ...payout, state: 'executed', executedOn: valueDate })
}

function wrongAmount({ amount }: PayoutRow, told: number | undefined): Outcome<never> | undefined {
  if (told === undefined || told === amount) return undefined
  return refused(
    'conflict',
    'amount-differs',
    `${formatAmount(amount)} was paid: another amount is not what this payout came to. Nothing was posted.`,
    '/amount',
  )
}

export async function payoutOf(tx: SqlTransaction, endToEndId: string): Promise<Outcome<PayoutRow>> {
  const payout = await readPayout(tx, endToEndId)
  return payout === undefined ? NO_SUCH_PAYOUT : done(payout)
}
