/**
 * What identifies a person outside the programme: the national ID and the mobile number. Like a card number they live only between the wire
 * and the place where they are enciphered; what is stored beside is a token to find them by.
 */
import { createHmac, createSecretKey, type KeyObject } from 'node:crypto'

declare const lookupTokenBrand: unique symbol

/** Keyed hash of a national ID or of a mobile number: 22 characters of base64url. */
export type LookupToken = string & { readonly [lookupTokenBrand]: true }

const TOKEN_CHARACTERS = 22
const LAST_SHOWN = 4

/**
 * Codes of the governorates of birth, and 88 for those born abroad: Egypt's law 143 of 1994 on civil status brought the number; the list is as
 * "Egyptian National Identity Card" (en.wikipedia.org) and the civil registry's own explanations of the number have it.
 */
export const BIRTH_GOVERNORATES: readonly string[] = [
  ...['01', '02', '03', '04'],
  ...['11', '12', '13', '14', '15', '16', '17', '18', '19'],
  ...['21', '22', '23', '24', '25', '26', '27', '28', '29'],
  ...['31', '32', '33', '34', '35'],
  '88',
]

/** Century of birth (2: 19.., 3: 20..), YYMMDD, governorate of birth, four digits of serial, one more digit. */
const NATIONAL_ID = /^([23])(\d\d)(\d\d)(\d\d)(\d\d)\d{4}\d$/
const CENTURY: Readonly<Record<string, string>> = { 2: '19', 3: '20' }

/** The 14 digits of a citizen. Prints masked wherever it is turned into a string or JSON: the first ones are the date of birth. */
export class NationalId {
  /** `1980-05-17` */
  readonly birthDate: string
  /** One of BIRTH_GOVERNORATES; not where the person lives. */
  readonly birthGovernorate: string
  readonly #digits: string

  private constructor(digits: string, birthDate: string, birthGovernorate: string) {
    this.#digits = digits
    this.birthDate = birthDate
    this.birthGovernorate = birthGovernorate
  }

  /**
   * @returns undefined where `digits` is no national ID. The last digit is the registry's check of the others; how it is computed has never been
   * published, so it is not checked. Nor is it whether the date of birth has come already.
   */
  static parse(digits: string): NationalId | undefined {
    const [, century = '', year = '', month = '', day = '', governorate = ''] = NATIONAL_ID.exec(digits) ?? []
    const birthDate = `${CENTURY[century] ?? ''}${year}-${month}-${day}`
    return isDate(birthDate) && BIRTH_GOVERNORATES.includes(governorate)
      ? new NationalId(digits, birthDate, governorate)
      : undefined
  }

  /** The digits themselves: to encipher them and for the look-up token only. */
  reveal(): string {
    return this.#digits
  }

  toString(): string {
    return masked(this.#digits, 0)
  }

  toJSON(): string {
    return masked(this.#digits, 0)
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return masked(this.#digits, 0)
  }
}

/** Egypt's national numbering plan (ITU-T E.164, country code 20): 10, 11, 12 and 15 are mobile, each with eight digits. */
const MOBILE = /^(?:\+20|0020|0)(1[0125]\d{8})$/
const COUNTRY = '+20'

/** An Egyptian mobile number. Prints masked. */
export class Mobile {
  readonly #number: string

  private constructor(number: string) {
    this.#number = number
  }

  /** As it is dialled at home (01012345678) or from abroad (+201012345678, 00201012345678); undefined where it is no such number. */
  static parse(text: string): Mobile | undefined {
    const [, subscriber] = MOBILE.exec(text) ?? []
    return subscriber === undefined ? undefined : new Mobile(COUNTRY + subscriber)
  }

  /** `+201012345678`: to encipher it, for the look-up token and for whoever delivers a message. */
  reveal(): string {
    return this.#number
  }

  toString(): string {
    return masked(this.#number, COUNTRY.length)
  }

  toJSON(): string {
    return masked(this.#number, COUNTRY.length)
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return masked(this.#number, COUNTRY.length)
  }
}

/** What is kept of a person, enciphered. */
export interface PersonalData {
  readonly nationalId: NationalId
  readonly mobile: Mobile | null
}

/** The token under which a person is found by national ID. @param lookupKey secret, the one of card tokens; see `token` */
export function nationalIdToken(nationalId: NationalId, lookupKey: Uint8Array): LookupToken {
  return token('national-id', nationalId.reveal(), lookupKey)
}

/** The token under which persons are found by mobile number: a family may share one. */
export function mobileToken(mobile: Mobile, lookupKey: Uint8Array): LookupToken {
  return token('mobile', mobile.reveal(), lookupKey)
}

let secret: { readonly lookupKey: Uint8Array; readonly key: KeyObject } | undefined

/**
 * HMAC-SHA256 (RFC 2104) of the domain, a colon and the value. A card token is the HMAC of digits alone (`cardToken`), so that under one key
 * no two domains can have the same input, and a number that is both somebody's ID and a card gives two tokens that say nothing of each other.
 */
function token(domain: 'national-id' | 'mobile', value: string, lookupKey: Uint8Array): LookupToken {
  // A key object is made once: to set up a key from its bytes costs several times what the hash does.
  if (secret?.lookupKey !== lookupKey) secret = { lookupKey, key: createSecretKey(lookupKey) }
  const digest = createHmac('sha256', secret.key).update(`${domain}:${value}`).digest('base64url')
  return digest.slice(0, TOKEN_CHARACTERS) as LookupToken
}

function masked(text: string, shownFirst: number): string {
  return text.slice(0, shownFirst) + '*'.repeat(text.length - shownFirst - LAST_SHOWN) + text.slice(-LAST_SHOWN)
}

/** Date.parse takes the 31st of February for the 3rd of March. */
function isDate(text: string): boolean {
  const instant = Date.parse(text)
  return !Number.isNaN(instant) && new Date(instant).toISOString().slice(0, 10) === text
}
