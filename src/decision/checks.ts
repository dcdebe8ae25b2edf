/** Checks that need nothing but the transaction, its card and its place, in the order of the programme's rules. */
import { HEALTH, type ProgrammeParameters } from '../programmeParameters.ts'
import { routeProblem } from '../purse/routes.ts'
import type { Terminal } from '../transaction/terminal.ts'
import { isDispenseAdvice, type Transaction, type Unsupported } from '../transaction/transaction.ts'
import { cardReason } from './cardChecks.ts'
import { purseOfCard, type DecisionContext } from './context.ts'
import type { DeclineReason } from './decision.ts'

/** Card, place, amount: everything that can be said without the purse. */
export function firstReason(transaction: Transaction, context: DecisionContext): DeclineReason | undefined {
  return placeReason(transaction, context) ?? amountReason(transaction, context.parameters)
}

/** Terminal, card, service, place: in this order. An advice of an offline approval tells of what has happened, whatever the card is by now. */
export function placeReason(transaction: Transaction, context: DecisionContext): DeclineReason | undefined {
  const { terminal, card, parameters } = context
  const ofTerminal = terminalReason(transaction, terminal)
  if (ofTerminal !== undefined) return ofTerminal
  const ofCard = cardReason(card, transaction, context)
  if (ofCard !== undefined) return ofCard
  if (transaction.kind === 'reversal') return undefined
  const ofService = serviceReason(transaction, context)
  if (ofService !== undefined) return ofService
  const problem = routeProblem(parameters, transaction.kind, transaction.purse, terminal)
  if (problem === 'merchant_category' && transaction.kind === 'payment') return 'payee_unknown'
  return problem ?? governorateReason(transaction, context)
}

/** What the card carries, and what is switched on where its household lives. */
function serviceReason(transaction: Transaction, context: DecisionContext): DeclineReason | undefined {
  const { card, parameters, regions, day } = context
  const { purse, kind } = transaction
  const isHealth = purse === HEALTH
  if (purseOfCard(card, parameters, isHealth ? 'cash' : purse) === undefined) return 'card_role'
  const rules = parameters.services[purse]
  if (rules?.roles.includes(card.role) === false) return 'card_role'
  if (isDispenseAdvice(transaction)) return undefined
  // Bread and goods keep flowing on old cards, whatever is announced for new ones.
  if (card.role === 'old') return undefined
  if ((isHealth || rules !== undefined) && !regions.isActive(rules?.announcedWith ?? purse, card.governorate, day))
    return 'service_inactive'
  if (kind !== 'eligibility' && kind !== 'copay') return undefined
  const { cover } = card
  return cover !== null && cover.from <= day && day <= cover.until ? undefined : 'not_covered'
}

/** Some services are for the household's own governorate; in a season outlets of some governorates serve guests too. */
function governorateReason(transaction: Transaction, context: DecisionContext): DeclineReason | undefined {
  const { card, parameters, terminal, day } = context
  const rule = parameters.services[transaction.purse]?.ownGovernorate
  const { governorate } = terminal.merchant
  if (rule === undefined || transaction.kind !== 'dispense' || isDispenseAdvice(transaction)) return undefined
  if (governorate === 0 || governorate === card.governorate) return undefined
  const today = day.slice(5)
  const isGuest = rule.exceptions.some(
    ({ from, until, governorates }) => governorates.includes(governorate) && isInSeason(today, from, until),
  )
  return isGuest ? undefined : 'governorate'
}

/** Days of the year, MM-DD; a season may begin in one year and end in the next. */
function isInSeason(today: string, from: string, until: string): boolean {
  return from <= until ? from <= today && today <= until : from <= today || today <= until
}

/** What the registry says of the terminal and its merchant. A reversal sets right what has happened already, wherever it comes from. */
export function terminalReason(transaction: Transaction | Unsupported, terminal: Terminal): DeclineReason | undefined {
  const { merchant } = terminal
  if (transaction.acceptorId !== undefined && transaction.acceptorId !== merchant.acceptorId) return 'merchant_unknown'
  if (transaction.kind === 'reversal') return undefined
  if (merchant.state !== 'ACTIVE') return 'merchant_suspended'
  return terminal.state === 'ACTIVE' ? undefined : 'terminal_suspended'
}

/** Amount: 13, 61. */
export function amountReason(transaction: Transaction, parameters: ProgrammeParameters): DeclineReason | undefined {
  if (transaction.amount === 0) return 'amount_invalid'
  const currency = currencyReason(transaction, parameters)
  if (currency !== undefined) return currency
  if (transaction.kind === 'withdrawal' && transaction.amount % parameters.noteSize !== 0) return 'note_size'
  return transaction.amount > parameters.transactionAmountMax ? 'transaction_amount' : undefined
}

export function currencyReason(transaction: Transaction, parameters: ProgrammeParameters): DeclineReason | undefined {
  return transaction.currency === parameters.currency ? undefined : 'currency'
}
