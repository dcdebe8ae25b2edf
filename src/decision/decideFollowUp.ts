/**
 * Transactions that follow an earlier one: completion of an authorization, refund, reversal. What was decided before comes in as
 * `context.original`, and goes out as a guard: had it been touched meanwhile, the commit says so and this is decided again.
 */
import {
  bank,
  cashAvailable,
  cashHeld,
  governmentPayee,
  merchantAccount,
  atmCash,
  suspense,
  type Account,
} from '../purse/chart.ts'
import { HEALTH } from '../programmeParameters.ts'
import { purseOfKind } from '../purse/routes.ts'
import { KIND, type FollowUp, type Reversal } from '../transaction/transaction.ts'
import { currencyReason, firstReason, placeReason, terminalReason } from './checks.ts'
import { cashPurseOf, type DecisionContext } from './context.ts'
import { approval, decline, type Approval, type Decision } from './decision.ts'
import { isSubsidised, subsidyGivenBack, subsidyTakenAgain, type GiveBackContext, type WithPurse } from './giveBack.ts'
import { guardOf, type Lending, type OriginalSnapshot } from './original.ts'
import { movementOf, NOTHING_TO_POST, type DayCounter, type Posting, type PurseMovement } from './posting.ts'
import { egp } from './transfers.ts'

/**
 * Above the hold, or after its expiry: the hold first, the rest from what is available as far as it goes, then suspense. What is
 * left of the hold is released: one completion closes an authorization.
 */
export function decideCompletion(transaction: FollowUp, context: DecisionContext): Decision {
  const refusal = placeReason(transaction, context) ?? currencyReason(transaction, context.parameters)
  if (refusal !== undefined) return decline(refusal)
  const original = ownOriginal(transaction, context, [KIND.authorization])
  if (original === undefined) return context.forced ? forcedCompletion(transaction, context) : decline('original_not_found')
  if (original.completed) return decline('original_completed')
  const merchant = merchantAccount(context.terminal.merchant.id)
  const fromHold = Math.min(transaction.amount, original.holdRemaining)
  const released = original.holdRemaining - fromHold
  const { covered, uncovered } = cover(original.purseId, transaction.amount - fromHold, context)
  return approval(transaction.amount, {
    ...NOTHING_TO_POST,
    original: guardOf(original),
    movement: movementFor(original, released - covered, -original.holdRemaining, {
      group: 'spending',
      day: original.day,
      amount: covered - released,
      count: 0,
      amountMax: null,
      countMax: null,
    }),
    transfers: [
      ...egp(cashHeld(original.purseId), merchant, fromHold),
      ...egp(cashAvailable(original.purseId), merchant, covered),
      ...egp(suspense, merchant, uncovered),
      ...egp(cashHeld(original.purseId), cashAvailable(original.purseId), released),
    ],
    fromSuspense: uncovered === 0 ? null : uncovered,
    holdUsed: original.holdRemaining,
  })
}

/** The goods are gone and no hold is known: what is available, then suspense. */
function forcedCompletion(transaction: FollowUp, context: DecisionContext): Decision {
  const { id: cashPurse } = cashPurseOf(context)
  const merchant = merchantAccount(context.terminal.merchant.id)
  const { covered, uncovered } = cover(cashPurse, transaction.amount, context)
  return approval(transaction.amount, {
    ...NOTHING_TO_POST,
    movement: movementOf(cashPurse, null, -covered),
    transfers: [...egp(cashAvailable(cashPurse), merchant, covered), ...egp(suspense, merchant, uncovered)],
    fromSuspense: uncovered === 0 ? null : uncovered,
  })
}

export function decideRefund(transaction: FollowUp, context: DecisionContext): Decision {
  const refusal = firstReason(transaction, context)
  if (refusal !== undefined) return decline(refusal)
  const original = ownOriginal(transaction, context, REFUNDABLE)
  if (original === undefined) return decline('original_not_found')
  if (transaction.amount > original.approved - original.givenBack) return decline('refund_exceeds_original')
  // Of what two purses paid nothing is given back twice, also where a refund was reversed and cash could not be taken again.
  if (original.secondPurseId !== null && original.linked > 0) return decline('refund_exceeds_original')
  // A refund names the purse in DE 3; what belongs to another is not found there.
  const purse = context.card.purses.find(({ id }) => id === original.purseId)
  const named = transaction.purse === HEALTH ? 'cash' : transaction.purse
  const isHealth = original.kind === KIND.copay
  if (
    purse === undefined ||
    purseOfKind(context.parameters, purse.kind).name !== named ||
    isHealth !== (transaction.purse === HEALTH)
  )
    return decline('original_not_found')
  const posting = isSubsidised(original, context)
    ? subsidyGivenBack(original, transaction.amount, context)
    : giveBack(original, transaction.amount, context, null)
  if (posting === undefined || posting.movement === null) return decline('price')
  // A refund, unlike a reversal, depends on the card's state: the commit has to see that it still holds.
  return approval(transaction.amount, { ...posting, movement: { ...posting.movement, gate: purse.gate } })
}

/** Idempotent: what was given back already is not given back again, however many messages ask for it. */
export function decideReversal(transaction: Reversal, context: DecisionContext): Decision {
  const refusal = terminalReason(transaction, context.terminal)
  if (refusal !== undefined) return decline(refusal)
  const { original } = context
  if (original === undefined) return { kind: 'remember' }
  if (original.kind === KIND.tombstone) return approval(0, NOTHING_TO_POST)
  if (original.cardToken !== transaction.cardToken) return decline('original_not_found')
  if (!isApproved(original) || !hasPurse(original) || original.approved === 0) return approval(0, NOTHING_TO_POST)
  const final = transaction.finalAmount ?? 0
  const amount = Math.max(0, original.approved - final - original.givenBack)
  if (original.kind === KIND.authorization) return releaseHold(original, Math.min(amount, original.holdRemaining))
  if (original.kind === KIND.reversal || original.kind === KIND.release) return decline('original_not_found')
  const takesBack = original.kind === KIND.refund || original.kind === KIND.paymentRefund || original.kind === KIND.copayRefund
  // All that was not spent is the holder's since; what the refund gave back was a part of that.
  if (original.refunded?.settled === true) return approval(0, NOTHING_TO_POST)
  if (isSubsidised(original, context)) {
    const posting = takesBack ? subsidyTakenAgain(original, amount, context) : subsidyGivenBack(original, amount, context)
    return posting === undefined ? decline('price') : approval(amount, posting)
  }
  const wasCredit = original.kind === KIND.deposit || original.kind === KIND.credit
  if (takesBack || wasCredit) return approval(amount, takeBack(original, amount, context))
  // A completion's amount was counted on the day of its authorization, which is not known here.
  const counter = original.kind === KIND.completion ? null : counterOf(original, amount)
  return approval(amount, giveBack(original, amount, context, counter))
}

/** Money goes back to the purse; what suspense had lent comes first. */
export function giveBack(original: WithPurse, amount: number, context: GiveBackContext, counter: DayCounter | null): Posting {
  const contra = contraOf(original, context)
  const toSuspense = Math.min(amount, original.fromSuspense - original.givenBackToSuspense)
  const toPurse = amount - toSuspense
  return {
    ...NOTHING_TO_POST,
    original: guardOf(original),
    movement: movementFor(original, toPurse, 0, counter),
    transfers: [...egp(contra, suspense, toSuspense), ...egp(contra, cashAvailable(original.purseId), toPurse)],
    fromSuspense: toSuspense === 0 ? null : toSuspense,
  }
}

/**
 * A credit is undone: from what is available as far as it goes, the rest from suspense. Of a refund that suspense had a part in, the purse
 * gives back no more than it got, and what it has of a dispute's loan that nothing stands for any more.
 */
function takeBack(original: WithPurse, amount: number, context: DecisionContext): Posting {
  const contra = contraOf(original, context)
  const purseGot = original.approved - original.fromSuspense
  const purseGaveBack = original.givenBack - original.givenBackToSuspense
  const own = Math.min(amount, purseGot - purseGaveBack)
  const { covered } = cover(original.purseId, own + loanExposed(original, amount, amount - own), context)
  const uncovered = amount - covered
  return {
    ...NOTHING_TO_POST,
    original: guardOf(original),
    movement: movementFor(original, -covered, 0, null),
    transfers: [...egp(cashAvailable(original.purseId), contra, covered), ...egp(suspense, contra, uncovered)],
    fromSuspense: uncovered === 0 ? null : uncovered,
  }
}

/**
 * Of what a refund had brought suspense: what the holder has had of a dispute's loan instead, where that was decided and left the loan, since the refund stood
 * for it. While the case is open suspense lends it again.
 */
function loanExposed({ refunded }: WithPurse, amount: number, toSuspense: number): number {
  if (refunded === null || refunded.caseOpen) return 0
  const after = {
    fromSuspense: refunded.fromSuspense,
    givenBack: refunded.givenBack - amount,
    givenBackToSuspense: refunded.givenBackToSuspense - toSuspense,
  }
  const exposed = owedOfProvisional(after, refunded.provisional) - owedOfProvisional(refunded, refunded.provisional)
  return Math.max(0, Math.min(toSuspense, exposed))
}

/**
 * What the holder has of the loan of disputes beyond what was given back by now: without any loan suspense would be owed what it lent for the original
 * itself, less what came back.
 *
 * @param provisional part of the original's `fromSuspense` that disputes have lent
 */
export function owedOfProvisional({ fromSuspense, givenBack, givenBackToSuspense }: Lending, provisional: number): number {
  const owed = fromSuspense - givenBackToSuspense
  const withoutLoan = Math.max(0, fromSuspense - provisional - givenBack)
  return Math.max(0, Math.min(owed - withoutLoan, provisional))
}

function releaseHold(original: WithPurse, amount: number): Approval {
  return approval(amount, {
    ...NOTHING_TO_POST,
    original: guardOf(original),
    movement: movementFor(original, amount, -amount, counterOf(original, amount)),
    transfers: egp(cashHeld(original.purseId), cashAvailable(original.purseId), amount),
    holdUsed: amount,
  })
}

/** How much of an amount the purse covers: all of it, until a guard has failed and the purse is known. */
function cover(purseId: number, amount: number, context: DecisionContext): { covered: number; uncovered: number } {
  const known = context.purses?.get(purseId)
  const covered = known === undefined ? amount : Math.max(0, Math.min(amount, known.available))
  return { covered, uncovered: amount - covered }
}

export function hasPurse(original: OriginalSnapshot): original is WithPurse {
  return original.purseId !== null && original.purseKind !== null
}

/** Kinds of decision that can be refunded. */
export const REFUNDABLE: readonly number[] = [KIND.purchase, KIND.completion, KIND.payment, KIND.dispense, KIND.copay]

/** The original, where it is an approval of the right kind on this card at this merchant. */
function ownOriginal(transaction: FollowUp, context: DecisionContext, kinds: readonly number[]): WithPurse | undefined {
  const { original, terminal } = context
  if (original === undefined || !isApproved(original) || !hasPurse(original) || !kinds.includes(original.kind)) return undefined
  return original.cardToken === transaction.cardToken && original.merchantId === terminal.merchant.id ? original : undefined
}

export function isApproved(original: OriginalSnapshot): boolean {
  return original.responseCode === '00' || original.responseCode === '10'
}

/** The account on the other side of the original's. */
function contraOf(original: OriginalSnapshot, context: GiveBackContext): Account {
  const merchantId = original.merchantId ?? context.terminal.merchant.id
  switch (original.kind) {
    case KIND.withdrawal:
      return atmCash(context.terminal.id)
    case KIND.deposit:
    case KIND.credit:
      return bank
    case KIND.payment:
    case KIND.paymentRefund:
      return governmentPayee(merchantId)
    default:
      return merchantAccount(merchantId)
  }
}

/** Given back in full, the transaction no longer counts towards the day's number either. */
export function counterOf(original: OriginalSnapshot, amount: number): DayCounter {
  const inFull = amount > 0 && amount === original.approved - original.givenBack
  return {
    group: original.kind === KIND.withdrawal ? 'withdrawal' : 'spending',
    day: original.day,
    amount: -amount,
    count: inFull ? -1 : 0,
    amountMax: null,
    countMax: null,
  }
}

/** Any gate: a stopped card's money still has to be right. */
function movementFor(original: WithPurse, delta: number, heldDelta: number, counter: DayCounter | null): PurseMovement {
  return { ...movementOf(original.purseId, null, delta), heldDelta, counter }
}
