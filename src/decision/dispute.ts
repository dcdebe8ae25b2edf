/**
 * What disputes do to the books: pure, like all that is decided. A dispute follows the transaction that it is about, as a refund does, and what it gives
 * back counts as given back.
 *
 *   provisional credit   2900 / 2000: suspense lends it to the holder. What the outlet gives back afterwards (a refund, a reversal, the credit for good) goes
 *                        to suspense first, exactly as where suspense had lent a part of the original itself
 *   credit               the original's transfers the other way: from the outlet, or the machine that kept the notes
 *   end of the loan      2000 / 2900: what suspense is still owed is taken back, as far as the purse goes
 */
import { cashAvailable, suspense } from '../purse/chart.ts'
import { KIND } from '../transaction/transaction.ts'
import { counterOf, giveBack, hasPurse, isApproved, REFUNDABLE } from './decideFollowUp.ts'
import { isSubsidised, subsidyGivenBack, type GiveBackContext, type WithPurse } from './giveBack.ts'
import { guardOf, type OriginalSnapshot } from './original.ts'
import { movementOf, NOTHING_TO_POST, type Posting } from './posting.ts'
import { egp } from './transfers.ts'

/** Kinds of decision that a holder may dispute. */
const DISPUTABLE: readonly number[] = [...REFUNDABLE, KIND.withdrawal]
/** Those of which the holder's own money, and nothing else, was taken: money is lent only for these. */
const OF_CASH: readonly number[] = [KIND.purchase, KIND.completion, KIND.payment, KIND.withdrawal]

/** It is an approval of a kind that can be disputed. */
export function isDisputable(original: OriginalSnapshot): original is WithPurse {
  return isApproved(original) && hasPurse(original) && DISPUTABLE.includes(original.kind) && original.approved > 0
}

/**
 * Piasters that can still be claimed. Of what two purses paid nothing is given back in parts: see decideRefund.
 *
 * @param kept what the holder kept of refunds that were reversed, in the purse's own unit: it is not given back again
 */
export function leftToGiveBack(original: WithPurse, kept: number): number {
  const goods = original.kind === KIND.dispense
  if (goods && original.secondPurseId !== null && original.linked > 0) return 0
  // Of goods and of bills what the holder kept is another quantity than what is claimed.
  if ((goods || original.kind === KIND.copay) && kept > 0) return 0
  return Math.max(0, original.approved - original.givenBack - kept)
}

/** @returns undefined where the amount is no whole number of units */
export function disputeCredit(original: WithPurse, amount: number, context: GiveBackContext): Posting | undefined {
  if (isSubsidised(original, context)) return subsidyGivenBack(original, amount, context)
  // A completion's amount was counted on the day of its authorization, which is not known here.
  const counter = original.kind === KIND.completion ? null : counterOf(original, amount)
  return giveBack(original, amount, context, counter)
}

/** What suspense lends for a claim: what a credit of that amount would bring the purse now. 0: nothing. */
export function provisionalAmount(original: WithPurse, kept: number, claimed: number): number {
  if (!OF_CASH.includes(original.kind)) return 0
  const owed = original.fromSuspense - original.givenBackToSuspense
  return Math.max(0, Math.min(claimed, leftToGiveBack(original, kept)) - owed)
}

export function provisionalCredit(original: WithPurse, amount: number): Posting {
  return {
    ...NOTHING_TO_POST,
    original: guardOf(original),
    movement: movementOf(original.purseId, null, amount),
    transfers: egp(suspense, cashAvailable(original.purseId), amount),
  }
}

export function provisionalEnd(original: WithPurse, amount: number): Posting {
  return {
    ...NOTHING_TO_POST,
    original: guardOf(original),
    movement: movementOf(original.purseId, null, -amount),
    transfers: egp(cashAvailable(original.purseId), suspense, amount),
  }
}
