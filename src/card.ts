/**
 * The card number and what stands for it. A `Pan` lives only between the wire and the token; everything that is
 * stored, cached or logged uses the `CardToken` or the masked number.
 */
import { createHmac } from 'node:crypto'

declare const cardTokenBrand: unique symbol

/** HMAC-SHA256 of the PAN under the look-up key, first 16 bytes, base64url: 22 characters. */
export type CardToken = string & { readonly [cardTokenBrand]: true }

/** First six and last four digits; what may be shown (PCI DSS 4.0 req. 3.4.1). */
export function maskPan(pan: string): string {
  if (pan.length < 13) return '*'.repeat(pan.length)
  return pan.slice(0, 6) + '*'.repeat(pan.length - 10) + pan.slice(-4)
}

/** A primary account number. Prints masked wherever it is turned into a string or JSON. */
export class Pan {
  readonly #digits: string

  private constructor(digits: string) {
    this.#digits = digits
  }

  /** ISO/IEC 7812-1: 12 to 19 digits, the last a Luhn check digit; undefined where `digits` is no PAN. */
  static parse(digits: string): Pan | undefined {
    return /^\d{12,19}$/.test(digits) && luhnCheckDigit(digits.slice(0, -1)) === digits.at(-1) ? new Pan(digits) : undefined
  }

  /** The digits themselves: for the wire and the look-up token only. */
  reveal(): string {
    return this.#digits
  }

  toString(): string {
    return maskPan(this.#digits)
  }

  toJSON(): string {
    return maskPan(this.#digits)
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return maskPan(this.#digits)
  }
}

/** ISO/IEC 7812-1 annex B: the check digit for `payload`. */
export function luhnCheckDigit(payload: string): string {
  let sum = 0
  for (let i = 0; i < payload.length; i++) {
    const digit = payload.charCodeAt(payload.length - 1 - i) - 48
    const doubled = i % 2 === 0 ? digit * 2 : digit
    sum += doubled > 9 ? doubled - 9 : doubled
  }
  return String((10 - (sum % 10)) % 10)
}

/** The token under which a card is looked up. `lookupKey` is secret: PANs are few enough to guess without it. */
export function cardToken(pan: string, lookupKey: Uint8Array): CardToken {
  return createHmac('sha256', lookupKey).update(pan).digest().subarray(0, 16).toString('base64url') as CardToken
}

/** domain: card states. */
export type CardState =
  | 'ORDERED'
  | 'AWAITING_COLLECTION'
  | 'AWAITING_COLLECTION_DIWAN'
  | 'ACTIVE'
  | 'SUSPENDED_BIOMETRIC'
  | 'PIN_BLOCKED'
  | 'PIN_LOST'
  | 'LOST'
  | 'STOLEN'
  | 'DAMAGED'
  | 'REPLACED'
  | 'EXPIRED'
  | 'DESTROYED'
  | 'CANCELLED'
  | 'CLOSED'
  | 'RETIRED'

/** What a decision knows of a card: a copy of its row, and the gate of its cash purse at the same instant. */
export interface CardSnapshot {
  readonly token: CardToken
  readonly masked: string
  readonly state: CardState
  /** YYMM as in ISO 8583-1:1987 DE 14: good to the end of that month. */
  readonly expiry: string
  readonly version: number
  readonly cashPurse: number
  readonly gate: number
}
