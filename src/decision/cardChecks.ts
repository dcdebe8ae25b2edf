/** What a card's state and date allow (domain: card states, order of checks). */
import { assertNever } from '../assert.ts'
import type { CardSnapshot } from '../card.ts'
import { isDispenseAdvice, type Transaction } from '../transaction/transaction.ts'
import type { DecisionContext } from './context.ts'
import type { DeclineReason } from './decision.ts'

/** @returns undefined where the card may be used for this transaction */
export function cardReason(
  card: CardSnapshot,
  transaction: Transaction,
  { day, parameters }: Pick<DecisionContext, 'day' | 'parameters'>,
): DeclineReason | undefined {
  // Reversals, completions and advices tell of what has happened already, whatever became of the card since.
  if (transaction.kind === 'reversal' || transaction.kind === 'completion' || isDispenseAdvice(transaction)) return undefined
  const keepsCash = parameters.fingerprint.suspensionKeepsCash && transaction.purse === 'cash'
  const byState = card.state === 'SUSPENDED_BIOMETRIC' && keepsCash ? undefined : stateReason(card, transaction)
  // Expiry stands between the blocked states and the closed and the not yet active ones: 41 43 62 54 46 78.
  if (byState !== undefined && byState !== 'card_closed' && byState !== 'card_not_active') return byState
  if (isExpired(card.expiry, day)) return 'card_expired'
  if (transaction.expiry !== undefined && transaction.expiry !== card.expiry) return 'card_expired'
  return byState
}

function stateReason(card: CardSnapshot, transaction: Transaction): DeclineReason | undefined {
  switch (card.state) {
    case 'ACTIVE':
      return undefined
    case 'LOST':
      return 'card_lost'
    case 'STOLEN':
      return 'card_stolen'
    case 'DAMAGED':
    case 'SUSPENDED_BIOMETRIC':
    case 'PIN_LOST':
    case 'REPLACED':
    case 'RETIRED':
      return 'card_blocked'
    case 'EXPIRED':
      return 'card_expired'
    case 'DESTROYED':
    case 'CANCELLED':
    case 'CLOSED':
      return 'card_closed'
    case 'ORDERED':
    case 'AWAITING_COLLECTION':
    case 'AWAITING_COLLECTION_DIWAN':
      // Salaries and pensions arrive before the first use of the card.
      return transaction.kind === 'credit' ? undefined : 'card_not_active'
    case 'PIN_BLOCKED':
      return transaction.hasPin ? 'pin_tries_exceeded' : undefined
    default:
      return assertNever(card.state)
  }
}

/** Good to the last day of the month that is embossed on it (YYMM). */
function isExpired(expiry: string, day: string): boolean {
  return `20${expiry.slice(0, 2)}-${expiry.slice(2)}` < day.slice(0, 7)
}
