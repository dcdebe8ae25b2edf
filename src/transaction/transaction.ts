/**
 * Typed transactions: one case a row of the programme's table. Past classification nobody reads data elements.
 */
import type { CardToken } from '../card.ts'
import type { MinorUnits } from '../money.ts'
import type { CardProfile } from '../securityParameters.ts'
import type { Credentials } from './credentials.ts'

/** Numbers under which the ledger stores what a row is. Never reused. */
export const KIND = {
  tombstone: 0,
  purchase: 1,
  authorization: 2,
  completion: 3,
  withdrawal: 4,
  deposit: 5,
  credit: 6,
  payment: 7,
  refund: 8,
  balance: 9,
  reversal: 10,
  /** Release of an expired hold: by the switch itself. */
  release: 11,
  /** Refund of a government service payment: taken back from the payee, not from a merchant. */
  paymentRefund: 12,
  /** Goods or points of a household's purse: ration, bread and whatever comes. Which one, the purse says. */
  dispense: 13,
  eligibility: 14,
  copay: 15,
  /** A purse with a cycle is opened for a month: by the switch itself. */
  opening: 16,
  /** Refund of a co-pay: taken back from clinic and fund. */
  copayRefund: 17,
  pinChange: 18,
  /** The fee of a card, by the desk: taken, given back, earned. */
  fee: 19,
  feeBack: 20,
  feeEarned: 21,
  /** An entitlement is put right, by the desk. */
  adjustment: 22,
  /** A dispute, by the desk: money lent to the holder until it is decided, what is given back for good, and what of the loan is taken back. */
  provisionalCredit: 23,
  disputeCredit: 24,
  provisionalEnd: 25,
} as const

/** What makes a message the same message: see `identify` for how keys are made. */
export interface Identity {
  readonly key: string
  /** UTC date of the key's time: `2026-11-22`. */
  readonly keyDate: string
  /** 64-bit fingerprint of what may not change under the key, as a signed decimal. */
  readonly body: string
}

/** What all transactions of a card have in common. */
interface CardTransaction extends Identity {
  readonly mti: number
  readonly cardToken: CardToken
  /** YYMM as the terminal read it. */
  readonly expiry: string | undefined
  readonly terminalId: string
  readonly acceptorId: string | undefined
  readonly amount: MinorUnits
  readonly currency: string
  /** Retrieval reference number: the terminal's, else made from the key. */
  readonly rrn: string
  readonly hasPin: boolean
  /** What is to be verified of card and holder; undefined where the message shows nothing that could be. */
  readonly credentials: Credentials | undefined
  /** How cards of this range are verified. */
  readonly profile: CardProfile | undefined
  /** The purse that the account type of DE 3 means (config/programme.json), or `health`. */
  readonly purse: string
}

export interface Purchase extends CardTransaction {
  readonly kind: 'purchase' | 'authorization'
  /** The terminal can hand out less than was asked for (DE 48 PC). */
  readonly partialAccepted: boolean
}

export interface SimpleTransaction extends CardTransaction {
  readonly kind: 'withdrawal' | 'deposit' | 'credit' | 'payment' | 'balance'
}

/** How a message names an earlier one: by its key (DE 90), or by DE 37 and DE 38. */
export type OriginalReference =
  | { readonly by: 'key'; readonly key: string; readonly keyDate: string }
  | { readonly by: 'reference'; readonly rrn: string; readonly approvalCode: string }

export interface FollowUp extends CardTransaction {
  readonly kind: 'completion' | 'refund'
  readonly original: OriginalReference
}

export interface Reversal extends CardTransaction {
  readonly kind: 'reversal'
  readonly original: OriginalReference & { readonly by: 'key' }
  /** DE 95: what the transaction came to in the end; absent: nothing of it. */
  readonly finalAmount: MinorUnits | undefined
}

/** DE 48 BR: the fingerprint matched, did not match, could not be taken, or the device is at fault. */
export type FingerprintResult = 'M' | 'X' | 'N' | 'F'

/** A line of DE 48 BK. */
export interface BasketLine {
  readonly item: string
  readonly count: number
  readonly amount: number
}

/** Something of a household's entitlement is handed out. */
export interface Dispense extends CardTransaction {
  readonly kind: 'dispense'
  /** Units, where the service counts them (DE 48 LV for loaves); days that they are for (DE 48 DY). */
  readonly units: number | undefined
  readonly days: number
  readonly basket: readonly BasketLine[]
  readonly partialAccepted: boolean
  readonly fingerprint: FingerprintResult | undefined
  /** When an offline approval was given: the terminal's local date (DE 13) and time, hhmmss (DE 12; unknown: after all). */
  readonly localDay: string
  readonly localTime: string
}

export interface Eligibility extends CardTransaction {
  readonly kind: 'eligibility'
  readonly fingerprint: FingerprintResult | undefined
}

/** A clinic's bill, of which the holder pays a part. */
export interface Copay extends CardTransaction {
  readonly kind: 'copay'
  readonly fingerprint: FingerprintResult | undefined
  /** DE 48 SC. */
  readonly serviceClass: string | undefined
}

/** The holder chooses a new PIN. */
export interface PinChange extends CardTransaction {
  readonly kind: 'pinChange'
}

export type Transaction = Purchase | SimpleTransaction | FollowUp | Reversal | Dispense | Eligibility | Copay | PinChange

/** A message that is well formed and that the switch does not do. */
export interface Unsupported {
  readonly kind: 'unsupported'
  readonly terminalId: string
  readonly acceptorId: string | undefined
}

/** An advice tells what has happened already: it is posted, by force if need be (MTI function 2 and 3). */
export function isAdvice(mti: number): boolean {
  const messageFunction = Math.floor(mti / 10) % 10
  return messageFunction === 2
}

/** Goods were handed out offline: they are gone. */
export function isDispenseAdvice(transaction: Transaction): boolean {
  return transaction.kind === 'dispense' && isAdvice(transaction.mti)
}

/** Sent before: MTI position 4 is odd (ISO 8583-1:1987 section 4.1.4, transaction originator and repeats). */
export function isRepeat(mti: number): boolean {
  return mti % 2 === 1
}
