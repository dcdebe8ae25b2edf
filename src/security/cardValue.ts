/**
 * Card verification values (Visa Payment Technology Standards Manual, CVV; Mastercard's CVC is the same): three digits that only the issuer
 * can make of a card's PAN, expiry and service code.
 */
import type { KeyHandle } from './keys.ts'
import { digitsThenLetters } from './pinVerification.ts'

export interface CardValueData {
  /** Digits, at most 19. */
  readonly pan: string
  /** Four digits, in the order in which the issuer writes them: YYMM on the track, MMYY printed. */
  readonly expiry: string
  /** Three digits. */
  readonly serviceCode: string
}

export const CARD_VALUE_DIGITS = 3

/** Service codes that tell the values of one card apart: what was read from a chip does not pass for a stripe, nor what is printed. */
export const ICVV_SERVICE_CODE = '999'
export const CVV2_SERVICE_CODE = '000'

/**
 * @param key TDES of double length that may be used by its first half
 * @returns three digits for each, one behind the other, a digit a byte
 */
export function cardVerificationValues(key: KeyHandle, cards: readonly CardValueData[]): Buffer {
  const first = Buffer.alloc(cards.length * BLOCK)
  const second = Buffer.alloc(cards.length * BLOCK)
  for (const [index, { pan, expiry, serviceCode }] of cards.entries()) {
    const digits = `${pan}${expiry}${serviceCode}`.padEnd(4 * BLOCK, '0')
    first.write(digits.slice(0, 2 * BLOCK), index * BLOCK, 'hex')
    second.write(digits.slice(2 * BLOCK), index * BLOCK, 'hex')
  }
  const mixed = key.encryptFirstHalf(first)
  for (let i = 0; i < mixed.length; i++) mixed[i] = (mixed[i] ?? 0) ^ (second[i] ?? 0)
  const enciphered = key.encrypt(mixed)
  const values = Buffer.alloc(cards.length * CARD_VALUE_DIGITS)
  for (let index = 0; index < cards.length; index++) {
    digitsThenLetters(enciphered, index * BLOCK, values, index * CARD_VALUE_DIGITS, CARD_VALUE_DIGITS)
  }
  return values
}

/** PAN of a dynamic CVV: the four digits of the transaction counter instead of its first four. */
export function panWithCounter(pan: string, atc: string): string {
  return atc + pan.slice(atc.length)
}

const BLOCK = 8
