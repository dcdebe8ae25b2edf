/** What was found when chip, PIN and card value of a message were verified (src/decision/verifyHolder.ts). */
import type { ChipSession } from '../security/hsm.ts'

export interface Verified {
  /** A counter of failures that was full, so that nothing was verified at all. */
  readonly full: 'pin' | 'card' | 'terminal' | 'bin' | undefined
  /** `mismatch`: the cryptogram is of another amount, currency or card than the message. */
  readonly chip: 'absent' | 'valid' | 'invalid' | 'mismatch'
  /** Transaction counter of a valid cryptogram. */
  readonly atc: number | undefined
  readonly pin: 'absent' | 'valid' | 'wrong' | 'broken' | 'unverifiable'
  /** What the PIN was verified against. */
  readonly reference: string | null
  readonly cardValue: 'absent' | 'valid' | 'invalid'
  /** Of a valid cryptogram: for the one of the answer. */
  readonly session: ChipSession | undefined
  /** What a new PIN will be verified against. */
  readonly newPin: { readonly reference: string } | 'broken' | undefined
  /** The HSM could not, for want of a key: a fault of ours. */
  readonly fault: boolean
}

export const NOTHING_VERIFIED: Verified = {
  full: undefined,
  chip: 'absent',
  atc: undefined,
  pin: 'absent',
  reference: null,
  cardValue: 'absent',
  session: undefined,
  newPin: undefined,
  fault: false,
}
