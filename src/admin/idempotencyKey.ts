/**
 * The Idempotency-Key of a request (draft-ietf-httpapi-idempotency-key-header-07). Keys are unique within the partition of their date, so
 * the date must follow from the key itself, whenever it is sent again.
 */
import { Pan } from '../card.ts'
import { utcDay } from '../clock.ts'

export interface IdempotencyKey {
  /** Goes into the ledger's key. */
  readonly text: string
  /** UTC date that the key carries: `2026-11-22`. */
  readonly date: string
}

/** What a caller is told where a key is missing or is none. */
export const KEY_EXPECTED =
  'a UUIDv7, or the UTC date and 1 to 48 characters of A-Z a-z 0-9 . _ -, for example ' +
  '019aab2c-5e00-7a4b-9c1d-2f3e4a5b6c7d or 20261122-order-1001'

export const KEY_WITHOUT_CARD = 'a key without a card number in it: keys are stored as they are'

/** Digits of the key that may be the number of one of the programme's cards. */
export function holdsCardNumber(text: string, profiles: readonly { readonly prefix: string }[]): boolean {
  for (const { 0: run } of text.matchAll(/\d{12,}/g)) {
    for (let from = 0; from <= run.length - PAN_DIGITS_MIN; from++) {
      if (!profiles.some(({ prefix }) => run.startsWith(prefix, from))) continue
      for (let digits = PAN_DIGITS_MIN; digits <= Math.min(PAN_DIGITS_MAX, run.length - from); digits++) {
        if (Pan.parse(run.slice(from, from + digits)) !== undefined) return true
      }
    }
  }
  return false
}

const PAN_DIGITS_MIN = 12
const PAN_DIGITS_MAX = 19

/** @returns undefined where `header` is no key. The draft's quotes (a string of RFC 8941) may be there or not. */
export function parseIdempotencyKey(header: string): IdempotencyKey | undefined {
  const text = /^"(.*)"$/.exec(header)?.[1] ?? header
  const date = UUID_V7.test(text) ? dateOfUuid(text) : dateOfPrefix(text)
  return date === undefined ? undefined : { text: UUID_V7.test(text) ? text.toLowerCase() : text, date }
}

/** RFC 9562 section 5.7: 48 bits of Unix time in milliseconds, version 7, variant 10. */
const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i
const DATED = /^(\d{4})(\d{2})(\d{2})-[A-Za-z0-9._-]{1,48}$/
/** What a date of the ledger can be written as: four digits of the year. */
const INSTANT_MAX = Date.parse('9999-12-31T23:59:59.999Z')

function dateOfUuid(text: string): string | undefined {
  const instant = Number.parseInt(text.slice(0, 8) + text.slice(9, 13), 16)
  return instant > INSTANT_MAX ? undefined : utcDay(instant)
}

function dateOfPrefix(text: string): string | undefined {
  const [, year = '', month = '', day = ''] = DATED.exec(text) ?? []
  const date = `${year}-${month}-${day}`
  const instant = Date.parse(date)
  // Date.parse takes the 31st of February for the 3rd of March. There is no year 0 in the ledger.
  return Number.isNaN(instant) || utcDay(instant) !== date || year === '0000' ? undefined : date
}
