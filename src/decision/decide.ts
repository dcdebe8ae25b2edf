/**
 * All policy of the switch: a transaction and what is known of its card, terminal and original in, a decision out. Pure: no clock, no
 * server. The checks are a ladder of early returns in the order of the programme's rules.
 *
 * Funds and day limits are first taken for granted and handed on as guards, which Redis and Postgres hold. Where a guard fails the
 * transaction is decided again with the purse as it is (`context.purses`), and then the answer is definite.
 */
import { assert, assertNever, InvariantViolation } from '../assert.ts'
import { HEALTH, type ProgrammeParameters } from '../programmeParameters.ts'
import { atmCash, bank, cashAvailable, cashHeld, governmentPayee, merchantAccount, type Account } from '../purse/chart.ts'
import { monthOf } from '../purse/entitlement.ts'
import type { PurseSnapshot } from '../purse/purse.ts'
import { purseOfKind } from '../purse/routes.ts'
import {
  isAdvice,
  type Dispense,
  type FollowUp,
  type Purchase,
  type Reversal,
  type SimpleTransaction,
  type Transaction,
} from '../transaction/transaction.ts'
import { amountReason, currencyReason, placeReason, terminalReason } from './checks.ts'
import { cashPurseOf, purseOfCard, type DecisionContext } from './context.ts'
import { decideDispense, decideDispenseAdvice, decideDrainedDispense } from './decideDispense.ts'
import { decideCompletion, decideRefund, decideReversal } from './decideFollowUp.ts'
import { decideCopay, decideEligibility } from './decideHealth.ts'
import { approval, decline, type Approval, type Decision, type DeclineReason } from './decision.ts'
import { movementOf, NOTHING_TO_POST, type DayCounter } from './posting.ts'
import { closedReason, verificationStep } from './verification.ts'
import { egp } from './transfers.ts'

export function decide(transaction: Transaction, context: DecisionContext): Decision {
  if (context.closed !== undefined) {
    const refusal = terminalReason(transaction, context.terminal) ?? closedReason(transaction, context)
    if (refusal !== undefined) return decline(refusal)
  }
  const unopened = unopenedPurses(transaction, context)
  if (unopened.length > 0) return { kind: 'open', purseIds: unopened }
  switch (transaction.kind) {
    case 'completion':
      return decideCompletion(transaction, context)
    case 'refund':
      return decideRefund(transaction, context)
    case 'reversal':
      return decideReversal(transaction, context)
    default:
      return transaction.kind === 'dispense' && isAdvice(transaction.mti)
        ? decideDispenseAdvice(transaction, context)
        : decideDemand(transaction, context)
  }
}

/** What stand-in has told is posted, once the purses are open for the month. */
export function decideDrained(transaction: Dispense, purseId: number, context: DecisionContext): Decision {
  const unopened = unopenedPurses(transaction, context)
  return unopened.length > 0 ? { kind: 'open', purseIds: unopened } : decideDrainedDispense(transaction, purseId, context)
}

/** Something is asked for here and now: may it be asked of this card at this place, is it the holder who asks, and then the rest. */
function decideDemand(transaction: Exclude<Transaction, FollowUp | Reversal>, context: DecisionContext): Decision {
  const refusal = placeReason(transaction, context)
  if (refusal !== undefined) return decline(refusal)
  const unverified = verificationStep(transaction, context)
  if (unverified !== undefined) return unverified
  switch (transaction.kind) {
    case 'purchase':
    case 'authorization':
      return decidePurchase(transaction, context)
    case 'withdrawal':
    case 'payment':
      return decideDebit(transaction, context)
    case 'deposit':
    case 'credit':
      return decideCredit(transaction, context)
    case 'balance':
      return decideBalance(transaction, context)
    case 'dispense':
      return decideDispense(transaction, context)
    case 'eligibility':
      return decideEligibility(transaction, context)
    case 'copay':
      return decideCopay(transaction, context)
    case 'pinChange':
      return decidePinChange(context)
    default:
      return assertNever(transaction)
  }
}

/** Purses that this transaction may concern and that nobody has opened for this month yet. */
function unopenedPurses(transaction: Transaction, { card, day, parameters }: DecisionContext): number[] {
  if (transaction.kind !== 'reversal' && (transaction.purse === 'cash' || transaction.purse === HEALTH)) return []
  const month = monthOf(day)
  const hasCycle = (kind: number): boolean => parameters.services[purseOfKind(parameters, kind).name]?.entitlement !== undefined
  return card.purses.filter(({ kind, cycle }) => hasCycle(kind) && (cycle === null || cycle < month)).map(({ id }) => id)
}

function decidePurchase(transaction: Purchase, context: DecisionContext): Decision {
  const refusal = amountReason(transaction, context.parameters)
  if (refusal !== undefined) return decline(refusal)
  const shortfall = purseReason(transaction, context, 'spending')
  if (shortfall === undefined) return debit(transaction, context, transaction.amount, false)
  const purse = cashSnapshot(context)
  // Code 10: the terminal hands out what the purse still covers (DE 48 PC).
  if (shortfall === 'insufficient_funds' && transaction.partialAccepted && purse !== undefined && purse.available > 0) {
    return debit(transaction, context, purse.available, true)
  }
  return decline(shortfall)
}

function decideDebit(transaction: SimpleTransaction, context: DecisionContext): Decision {
  const refusal = amountReason(transaction, context.parameters)
  if (refusal !== undefined) return decline(refusal)
  const shortfall = purseReason(transaction, context, limitGroup(transaction.kind))
  return shortfall === undefined ? debit(transaction, context, transaction.amount, false) : decline(shortfall)
}

function decideCredit(transaction: SimpleTransaction, context: DecisionContext): Decision {
  const refusal = amountReason(transaction, context.parameters)
  if (refusal !== undefined) return decline(refusal)
  const { balanceCeiling } = context.parameters
  if (transaction.amount > balanceCeiling) return decline('balance_ceiling')
  const known = cashSnapshot(context)
  if (known !== undefined && known.available + transaction.amount > balanceCeiling) return decline('balance_ceiling')
  const { id, gate } = cashPurseOf(context)
  return approval(transaction.amount, {
    ...NOTHING_TO_POST,
    movement: { ...movementOf(id, gate, transaction.amount), balanceMax: balanceCeiling },
    transfers: egp(bank, cashAvailable(id), transaction.amount),
  })
}

/** Nothing is posted; the balances come from the purse's row, under its lock. */
function decideBalance(transaction: SimpleTransaction, context: DecisionContext): Decision {
  const refusal = currencyReason(transaction, context.parameters)
  if (refusal !== undefined) return decline(refusal)
  const purse = purseOfCard(context.card, context.parameters, transaction.purse)
  assert(purse !== undefined, 'a card without the purse was declined')
  return approval(0, { ...NOTHING_TO_POST, movement: movementOf(purse.id, purse.gate, 0) })
}

/** The new PIN's reference value is stored with the decision; no money moves. */
function decidePinChange(context: DecisionContext): Decision {
  const { newPin } = context.verified ?? {}
  if (newPin === undefined || newPin === 'broken') return decline('pin_block')
  const { id, gate } = cashPurseOf(context)
  return approval(0, { ...NOTHING_TO_POST, movement: movementOf(id, gate, 0) })
}

function limitGroup(kind: Transaction['kind']): 'spending' | 'withdrawal' {
  return kind === 'withdrawal' ? 'withdrawal' : 'spending'
}

/** What the purse itself says, where it is known; limits before funds. */
function purseReason(
  transaction: Transaction,
  context: DecisionContext,
  group: 'spending' | 'withdrawal',
): DeclineReason | undefined {
  const { parameters } = context
  const purse = cashSnapshot(context)
  const limit = parameters.dailyLimits[group]
  if (transaction.amount > limit.amount) return 'day_amount'
  if (purse === undefined) return undefined
  const sameDay = purse.day >= context.day
  const amount = sameDay ? (group === 'spending' ? purse.spentAmount : purse.withdrawnAmount) : 0
  const count = sameDay ? (group === 'spending' ? purse.spentCount : purse.withdrawnCount) : 0
  if (amount + transaction.amount > limit.amount) return 'day_amount'
  if (count + 1 > limit.count) return 'day_count'
  return purse.available < transaction.amount ? 'insufficient_funds' : undefined
}

function cashSnapshot(context: DecisionContext): PurseSnapshot | undefined {
  return context.purses?.get(cashPurseOf(context).id)
}

function debit(transaction: Purchase | SimpleTransaction, context: DecisionContext, amount: number, partial: boolean): Approval {
  const { id, gate } = cashPurseOf(context)
  const held = transaction.kind === 'authorization'
  const posting = {
    ...NOTHING_TO_POST,
    movement: {
      ...movementOf(id, gate, -amount),
      heldDelta: held ? amount : 0,
      counter: dayCounter(limitGroup(transaction.kind), context.day, amount, context.parameters),
    },
    transfers: egp(cashAvailable(id), contraAccount(transaction.kind, context), amount),
    holdExpiresAt: held ? holdEnd(context) : null,
  }
  return approval(amount, posting, partial)
}

/** Where the money of a debit goes. */
function contraAccount(kind: 'purchase' | 'authorization' | SimpleTransaction['kind'], context: DecisionContext): Account {
  const { terminal } = context
  switch (kind) {
    case 'authorization':
      return cashHeld(cashPurseOf(context).id)
    case 'withdrawal':
      return atmCash(terminal.id)
    case 'payment':
      return governmentPayee(terminal.merchant.id)
    case 'purchase':
      return merchantAccount(terminal.merchant.id)
    case 'deposit':
    case 'credit':
    case 'balance':
      throw new InvariantViolation(`a ${kind} is no debit`)
    default:
      return assertNever(kind)
  }
}

function dayCounter(group: 'spending' | 'withdrawal', day: string, amount: number, parameters: ProgrammeParameters): DayCounter {
  const limit = parameters.dailyLimits[group]
  return { group, day, amount, count: 1, amountMax: limit.amount, countMax: limit.count }
}

const DAY_MS = 86_400_000

function holdEnd(context: DecisionContext): string {
  const { holdDays } = context.parameters
  const days = holdDays.byMerchantCategory[context.terminal.merchant.category] ?? holdDays.default
  return new Date(context.nowMs + days * DAY_MS).toISOString()
}
