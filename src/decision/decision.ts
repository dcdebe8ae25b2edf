/** Outcomes of `decide`. A decline is a value with a reason; src/response says which code each reason is answered with. */
import type { Posting } from './posting.ts'

/** Why a transaction is declined, in the order in which the checks are made (domain: order of checks). */
export const DECLINE_REASONS = [
  'format_error',
  'terminal_unknown',
  'merchant_unknown',
  'merchant_suspended',
  'terminal_suspended',
  'unsupported',
  'stale',
  'other_body',
  'card_unknown',
  'card_lost',
  'card_stolen',
  'card_blocked',
  'card_expired',
  'card_closed',
  'card_not_active',
  'pin_tries_exceeded',
  'terminal_class',
  'merchant_category',
  'payee_unknown',
  'amount_invalid',
  'currency',
  'note_size',
  'transaction_amount',
  'original_not_found',
  'original_completed',
  'balance_ceiling',
  'day_amount',
  'day_count',
  'refund_exceeds_original',
  'insufficient_funds',
  'reversed_before',
  'void',
  'cannot_decide',
  'fault',
] as const
export type DeclineReason = (typeof DECLINE_REASONS)[number]

export interface Decline {
  readonly kind: 'decline'
  readonly reason: DeclineReason
}

export interface Approval {
  readonly kind: 'approve'
  readonly approved: number
  readonly partial: boolean
  readonly posting: Posting
}

/** A reversal whose original was never seen: its key is taken by a tombstone, so that the late original is refused; then the answer is 00. */
export interface Remember {
  readonly kind: 'remember'
}

export type Decision = Approval | Decline | Remember

export function decline(reason: DeclineReason): Decline {
  return { kind: 'decline', reason }
}
