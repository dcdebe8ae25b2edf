/** Bank accounts as they are written: IBAN (ISO 13616-1), BIC (ISO 9362) and the holder's name, which has to fit a payment message. */

declare const ibanBrand: unique symbol

/** Without blanks, upper case, with check digits that are right. Only `parseIban` makes one. */
export type Iban = string & { readonly [ibanBrand]: true }

export interface BankAccount {
  readonly iban: Iban
  readonly bic: string | null
  readonly holderName: string
}

/** What a country's IBANs look like behind its check digits; all others are judged by their check digits only. */
const NATIONAL: Readonly<Record<string, RegExp>> = {
  // Bank, branch and account: 29 characters in all.
  EG: /^\d{25}$/,
}
const IBAN = /^[A-Z]{2}\d{2}[A-Z0-9]{11,30}$/
const BIC = /^[A-Z0-9]{4}[A-Z]{2}[A-Z0-9]{2}([A-Z0-9]{3})?$/

/** Reads an IBAN in groups of four or without blanks; undefined if it is not one. */
export function parseIban(text: string): Iban | undefined {
  const iban = text.replaceAll(' ', '').toUpperCase()
  if (!IBAN.test(iban) || NATIONAL[iban.slice(0, 2)]?.test(iban.slice(4)) === false) return undefined
  // ISO 13616-1: they are 02 to 98; 00, 01 and 99 would come to the same remainder as others.
  const check = Number(iban.slice(2, 4))
  return check >= 2 && check <= 98 && remainder(iban) === 1 ? (iban as Iban) : undefined
}

export function isBic(text: string): boolean {
  return BIC.test(text)
}

/** Country, bank and the last four characters: enough to recognize one's own. */
export function maskIban(iban: string): string {
  return `${iban.slice(0, 8)}${'*'.repeat(Math.max(0, iban.length - 12))}${iban.slice(-4)}`
}

/** ISO/IEC 7064 MOD 97-10: the first four characters behind the others, a letter as two digits from 10 on. */
function remainder(iban: string): number {
  let rest = 0
  for (const character of iban.slice(4) + iban.slice(0, 4)) {
    const value = Number.parseInt(character, 36)
    rest = (rest * (value > 9 ? 100 : 10) + value) % 97
  }
  return rest
}
