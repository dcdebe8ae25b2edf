/**
 * The card number and what stands for it. A `Pan` lives only between the wire and the token; everything that is
 * stored, cached or logged uses the `CardToken` or the masked number.
 */
import { hash } from 'node:crypto'

/** ISO 8583-1:1987 DE 2. */
const PAN_DIGITS_MAX = 19

declare const cardTokenBrand: unique symbol

/** Keyed hash of a PAN: 22 characters of base64url, see `cardToken`. */
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

const BLOCK_BYTES = 64
const DIGEST_BYTES = 32
const TOKEN_CHARACTERS = 22

interface Pads {
  readonly lookupKey: Uint8Array
  readonly inner: Buffer
  readonly outer: Buffer
}

let pads: Pads | undefined

/**
 * The token under which a card is looked up: HMAC-SHA256 (RFC 2104) of the PAN, the first 22 characters of its base64url. Written out,
 * because each message needs one and `createHmac` takes several times as long as the two digests that it consists of.
 *
 * @param lookupKey secret, at most 64 bytes: PANs are few enough to guess without it
 */
export function cardToken(pan: string, lookupKey: Uint8Array): CardToken {
  if (pads?.lookupKey !== lookupKey) pads = padsOf(lookupKey)
  const { inner, outer } = pads
  const length = BLOCK_BYTES + inner.write(pan.slice(0, PAN_DIGITS_MAX), BLOCK_BYTES, 'latin1')
  outer.write(hash('sha256', inner.subarray(0, length), 'binary'), BLOCK_BYTES, 'latin1')
  return hash('sha256', outer, 'base64url').slice(0, TOKEN_CHARACTERS) as CardToken
}

function padsOf(lookupKey: Uint8Array): Pads {
  if (lookupKey.length > BLOCK_BYTES) throw new RangeError(`the look-up key has at most ${String(BLOCK_BYTES)} bytes`)
  const inner = Buffer.alloc(BLOCK_BYTES + PAN_DIGITS_MAX, 0x36)
  const outer = Buffer.alloc(BLOCK_BYTES + DIGEST_BYTES, 0x5c)
  for (const [index, byte] of lookupKey.entries()) {
    inner[index] = byte ^ 0x36
    outer[index] = byte ^ 0x5c
  }
  return { lookupKey, inner, outer }
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

/** What a card carries: `head` everything of its person and the household, `member` the person's, `old` the household's purses only. */
export type CardRole = 'head' | 'member' | 'old'

/** A purse that a card may draw on, as far as it stays the same from one posting to the next. */
export interface PurseReference {
  readonly kind: number
  readonly id: number
  readonly gate: number
  /** First day of the month it was last opened for, null where it has no cycle; and the members it was opened with. */
  readonly cycle: string | null
  readonly members: number
}

/** Health cover, with its first and last day. */
export interface Cover {
  readonly class: string
  readonly from: string
  readonly until: string
}

/** What the issuer may tell a chip to do (EMV Book 3 6.5). */
export type IssuerScript = 'PIN_BLOCK' | 'PIN_UNBLOCK' | 'APPLICATION_BLOCK' | 'APPLICATION_UNBLOCK' | 'CARD_BLOCK'

/** What a decision knows of a card: its row, its household and person, and the gates of its purses, all of one instant. */
export interface CardSnapshot {
  readonly token: CardToken
  readonly masked: string
  readonly state: CardState
  /** YYMM as in ISO 8583-1:1987 DE 14: good to the end of that month. */
  readonly expiry: string
  readonly version: number
  readonly role: CardRole
  readonly governorate: number
  readonly purses: readonly PurseReference[]
  readonly cover: Cover | null
  /** Wrong fingerprints in a row. */
  readonly mismatches: number
  /** PAN sequence number of the chip's application, two digits. */
  readonly psn: string
  /** What the PIN is verified against (PVV or offset); null: no PIN was ever set. Wrong PINs in a row. */
  readonly pinReference: string | null
  readonly pinTries: number
  /** The highest transaction counter that came with a right cryptogram, and which of the 63 up to it did (bit 0 is the highest), a decimal. */
  readonly atcMax: number
  readonly atcSeen: string
  /** A command that the chip is to get with its next answer. */
  readonly issuerScript: IssuerScript | null
  /** The household's old ration card that the head's card has yet to retire, and all household purses it draws on. */
  readonly oldCard: CardToken | null
  /** When an old card was retired, milliseconds since 1970. */
  readonly retiredAtMs: number | null
}
