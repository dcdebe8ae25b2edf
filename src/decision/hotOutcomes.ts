/** What the scripts of the hot state answer, by number. */

export type ReserveOutcome =
  'reserved' | 'kept' | 'other_body' | 'absent' | 'gate' | 'balance' | 'day_amount' | 'day_count' | 'marks' | 'stand_in'

export const RESERVE_OUTCOMES: readonly ReserveOutcome[] = [
  'reserved',
  'kept',
  'other_body',
  'absent',
  'gate',
  'balance',
  'day_amount',
  'day_count',
  'marks',
  'stand_in',
]

/** How Redis held a purse that it was told the ledger's state of. `differs`: of the same version, and yet not the same; no race does that. */
export type PurseFound = 'absent' | 'same' | 'behind' | 'ahead' | 'gate' | 'differs'

export const PURSE_FOUND: readonly PurseFound[] = ['absent', 'same', 'behind', 'ahead', 'gate', 'differs']
