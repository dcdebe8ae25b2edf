/** Checks that need nothing but the transaction, its card and its place, in the order of the programme's rules. */
import type { ProgrammeParameters } from '../config.ts'
import type { Terminal } from '../transaction/terminal.ts'
import type { Transaction, Unsupported } from '../transaction/transaction.ts'
import { cardReason } from './cardChecks.ts'
import type { DecisionContext } from './context.ts'
import type { DeclineReason } from './decision.ts'

/** Card, place, amount: everything that can be said without the purse. */
export function firstReason(transaction: Transaction, context: DecisionContext): DeclineReason | undefined {
  return placeReason(transaction, context) ?? amountReason(transaction, context.parameters)
}

export function placeReason(transaction: Transaction, context: DecisionContext): DeclineReason | undefined {
  const { terminal, parameters, card, day } = context
  const ofTerminal = terminalReason(transaction, terminal)
  if (ofTerminal !== undefined) return ofTerminal
  const ofCard = cardReason(card, transaction, day)
  if (ofCard !== undefined) return ofCard
  if (transaction.kind === 'reversal') return undefined
  if (!parameters.terminalClasses[transaction.kind].includes(terminal.class)) return 'terminal_class'
  const { category } = terminal.merchant
  if (transaction.kind === 'withdrawal' && !parameters.merchantCategories.withdrawal.includes(category))
    return 'merchant_category'
  if (transaction.kind === 'payment' && !parameters.merchantCategories.payment.includes(category)) return 'payee_unknown'
  return undefined
}

/** What the registry says of the terminal and its merchant. A reversal sets right what has happened already, wherever it comes from. */
export function terminalReason(transaction: Transaction | Unsupported, terminal: Terminal): DeclineReason | undefined {
  const { merchant } = terminal
  if (transaction.acceptorId !== undefined && transaction.acceptorId !== merchant.acceptorId) return 'merchant_unknown'
  if (transaction.kind === 'reversal') return undefined
  if (merchant.state !== 'ACTIVE') return 'merchant_suspended'
  return terminal.state === 'ACTIVE' ? undefined : 'terminal_suspended'
}

function amountReason(transaction: Transaction, parameters: ProgrammeParameters): DeclineReason | undefined {
  if (transaction.amount === 0) return 'amount_invalid'
  const currency = currencyReason(transaction, parameters)
  if (currency !== undefined) return currency
  if (transaction.kind === 'withdrawal' && transaction.amount % parameters.noteSize !== 0) return 'note_size'
  return transaction.amount > parameters.transactionAmountMax ? 'transaction_amount' : undefined
}

export function currencyReason(transaction: Transaction, parameters: ProgrammeParameters): DeclineReason | undefined {
  return transaction.currency === parameters.currency ? undefined : 'currency'
}
