/**
 * All policy of the switch: a transaction and what is known of its card, terminal and original in, a decision out. Pure: no clock, no
 * server. The checks are a ladder of early returns in the order of the programme's rules.
 *
 * Funds and day limits are first taken for granted and handed on as guards, which Redis and Postgres hold. Where a guard fails the
 * transaction is decided again with the purse as it is (`context.purse`), and then the answer is definite.
 */
import { assertNever, InvariantViolation } from '../assert.ts'
import type { ProgrammeParameters } from '../config.ts'
import { atmCash, bank, cashAvailable, cashHeld, governmentPayee, merchantAccount, type Account } from '../purse/chart.ts'
import type { Purchase, SimpleTransaction, Transaction } from '../transaction/transaction.ts'
import { currencyReason, firstReason, placeReason } from './checks.ts'
import type { DecisionContext } from './context.ts'
import { decideCompletion, decideRefund, decideReversal } from './decideFollowUp.ts'
import { decline, type Approval, type Decision, type DeclineReason } from './decision.ts'
import { NOTHING_TO_POST, type DayCounter } from './posting.ts'
import { egp } from './transfers.ts'

export function decide(transaction: Transaction, context: DecisionContext): Decision {
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
    case 'completion':
      return decideCompletion(transaction, context)
    case 'refund':
      return decideRefund(transaction, context)
    case 'reversal':
      return decideReversal(transaction, context)
    default:
      return assertNever(transaction)
  }
}

function decidePurchase(transaction: Purchase, context: DecisionContext): Decision {
  const refusal = firstReason(transaction, context)
  if (refusal !== undefined) return decline(refusal)
  const shortfall = purseReason(transaction, context, 'spending')
  if (shortfall === undefined) return debit(transaction, context, transaction.amount, false)
  const { purse } = context
  // Code 10: the terminal hands out what the purse still covers (DE 48 PC).
  if (shortfall === 'insufficient_funds' && transaction.partialAccepted && purse !== undefined && purse.available > 0) {
    return debit(transaction, context, purse.available, true)
  }
  return decline(shortfall)
}

function decideDebit(transaction: SimpleTransaction, context: DecisionContext): Decision {
  const refusal = firstReason(transaction, context)
  if (refusal !== undefined) return decline(refusal)
  const shortfall = purseReason(transaction, context, limitGroup(transaction.kind))
  return shortfall === undefined ? debit(transaction, context, transaction.amount, false) : decline(shortfall)
}

function decideCredit(transaction: SimpleTransaction, context: DecisionContext): Decision {
  const refusal = firstReason(transaction, context)
  if (refusal !== undefined) return decline(refusal)
  const { balanceCeiling } = context.parameters
  if (transaction.amount > balanceCeiling) return decline('balance_ceiling')
  if (context.purse !== undefined && context.purse.available + transaction.amount > balanceCeiling)
    return decline('balance_ceiling')
  return {
    kind: 'approve',
    approved: transaction.amount,
    partial: false,
    posting: {
      ...NOTHING_TO_POST,
      movement: {
        purseId: context.card.cashPurse,
        gate: context.card.gate,
        delta: transaction.amount,
        heldDelta: 0,
        balanceMax: balanceCeiling,
        counter: null,
      },
      transfers: egp(bank, cashAvailable(context.card.cashPurse), transaction.amount),
    },
  }
}

/** Nothing is posted; the balances come from the purse's row, under its lock. */
function decideBalance(transaction: SimpleTransaction, context: DecisionContext): Decision {
  const refusal = placeReason(transaction, context) ?? currencyReason(transaction, context.parameters)
  if (refusal !== undefined) return decline(refusal)
  const { cashPurse, gate } = context.card
  const movement = { purseId: cashPurse, gate, delta: 0, heldDelta: 0, balanceMax: null, counter: null }
  return { kind: 'approve', approved: 0, partial: false, posting: { ...NOTHING_TO_POST, movement } }
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
  const { purse, parameters } = context
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

function debit(transaction: Purchase | SimpleTransaction, context: DecisionContext, amount: number, partial: boolean): Approval {
  const { card, parameters } = context
  const held = transaction.kind === 'authorization'
  return {
    kind: 'approve',
    approved: amount,
    partial,
    posting: {
      ...NOTHING_TO_POST,
      movement: {
        purseId: card.cashPurse,
        gate: card.gate,
        delta: -amount,
        heldDelta: held ? amount : 0,
        balanceMax: null,
        counter: dayCounter(limitGroup(transaction.kind), context.day, amount, parameters),
      },
      transfers: egp(cashAvailable(card.cashPurse), contraAccount(transaction.kind, context), amount),
      holdExpiresAt: held ? holdEnd(context) : null,
    },
  }
}

/** Where the money of a debit goes. */
function contraAccount(kind: 'purchase' | 'authorization' | SimpleTransaction['kind'], context: DecisionContext): Account {
  const { terminal, card } = context
  switch (kind) {
    case 'authorization':
      return cashHeld(card.cashPurse)
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
