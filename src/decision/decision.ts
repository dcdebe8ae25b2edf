/** Outcomes of `decide`. A decline is a value with a reason; src/response says which code each reason is answered with. */
import type { Posting } from './posting.ts'

/** Why a transaction is declined, in the order in which the checks are made (domain: order of checks). */
export const DECLINE_REASONS = [
  'format_error',
  'mac',
  'terminal_unknown',
  'terminal_not_bound',
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
  'card_role',
  'service_inactive',
  'not_covered',
  'terminal_class',
  'merchant_category',
  'payee_unknown',
  'governorate',
  'velocity_card',
  'velocity_terminal',
  'velocity_bin',
  'cryptogram',
  'chip_mismatch',
  'chip_required',
  'atc',
  'card_value',
  'pin_required',
  'pin_wrong',
  'pin_block',
  'no_fingerprint_reader',
  'fingerprint_mismatch',
  'fingerprint_not_captured',
  'fingerprint_suspended',
  'amount_invalid',
  'currency',
  'note_size',
  'price',
  'basket',
  'transaction_amount',
  'original_not_found',
  'original_completed',
  'balance_ceiling',
  'item_ceiling',
  'days_ahead',
  'month_end',
  'day_allowance',
  'stand_in_cap',
  'day_amount',
  'day_count',
  'day_drawn',
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
  /** What is committed with it: a wrong fingerprint is counted. */
  readonly posting: Posting | undefined
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

/** A purse has not been opened for this month yet: that comes first, then the transaction is decided. */
export interface Open {
  readonly kind: 'open'
  readonly purseIds: readonly number[]
}

/** The message shows a chip, a PIN or a card value: that is verified first, then the transaction is decided. */
export interface Verify {
  readonly kind: 'verify'
}

export type Decision = Approval | Decline | Remember | Open | Verify

export function decline(reason: DeclineReason, posting?: Posting): Decline {
  return { kind: 'decline', reason, posting }
}

export function approval(approved: number, posting: Posting, partial = false): Approval {
  return { kind: 'approve', approved, partial, posting }
}
