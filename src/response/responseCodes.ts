/**
 * The response codes (ISO 8583-1:1987 DE 39) that the switch gives, and the reasons they stand for. spec/response-codes.md is this list
 * for people; a test holds the two equal.
 */
import type { DeclineReason } from '../decision/decision.ts'

export const APPROVED = '00'
export const PARTIALLY_APPROVED = '10'

/** Reason by reason, in the order of the checks. */
export const CODE_OF_REASON: Readonly<Record<DeclineReason, string>> = {
  format_error: '30',
  terminal_unknown: '03',
  merchant_unknown: '03',
  merchant_suspended: '03',
  terminal_suspended: '58',
  unsupported: '12',
  stale: '12',
  other_body: '94',
  card_unknown: '14',
  card_lost: '41',
  card_stolen: '43',
  card_blocked: '62',
  card_expired: '54',
  card_closed: '46',
  card_not_active: '78',
  pin_tries_exceeded: '75',
  terminal_class: '58',
  merchant_category: '58',
  payee_unknown: '03',
  amount_invalid: '13',
  currency: '13',
  note_size: '13',
  transaction_amount: '61',
  original_not_found: '25',
  original_completed: '25',
  balance_ceiling: '61',
  day_amount: '61',
  day_count: '65',
  refund_exceeds_original: '64',
  insufficient_funds: '51',
  reversed_before: '12',
  void: '91',
  cannot_decide: '91',
  fault: '96',
}

/** What a code means, in the standard's words (ISO 8583-1:1987 table 7; 46, 78 are common use). */
export const MEANING_OF_CODE: Readonly<Record<string, string>> = {
  '00': 'Approved',
  '03': 'Invalid merchant',
  '10': 'Approved for partial amount',
  '12': 'Invalid transaction',
  '13': 'Invalid amount',
  '14': 'Invalid card number',
  '25': 'Unable to locate record on file',
  '30': 'Format error',
  '41': 'Lost card',
  '43': 'Stolen card',
  '46': 'Closed account',
  '51': 'Not sufficient funds',
  '54': 'Expired card',
  '58': 'Transaction not permitted to terminal',
  '61': 'Exceeds withdrawal amount limit',
  '62': 'Restricted card',
  '64': 'Original amount incorrect',
  '65': 'Exceeds withdrawal frequency limit',
  '75': 'Allowable number of PIN tries exceeded',
  '78': 'Card not active',
  '91': 'Issuer or switch is inoperative',
  '94': 'Duplicate transmission',
  '96': 'System malfunction',
}
