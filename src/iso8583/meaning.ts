/** What a field's value says in words, for people who read a message. Empty where there is nothing to add. */
import { formatAmount } from '../money.ts'
import { parseMti } from './mti.ts'

/** `0201`: financial request, acquirer-repeat, ISO 8583:1987. */
export function mtiMeaning(text: string): string {
  const mti = parseMti(text)
  if (mti === undefined) return 'no message type of the 1987 edition'
  const version = VERSIONS[mti.version] ?? `version ${String(mti.version)}`
  return `${mti.messageClass} ${mti.messageFunction}, ${mti.origin}, ${version}`
}

/** @param text the unmasked text of the field */
export function fieldMeaning(de: number, text: string, currency: string | undefined): string {
  switch (de) {
    case 3:
      return processingCodeMeaning(text)
    case 4:
      return amountMeaning(Number(text), currency)
    case 7:
      return `${month(text)} ${time(text.slice(4))} UTC`
    case 12:
      return time(text)
    case 13:
    case 15:
    case 16:
    case 17:
      return month(text)
    case 22:
      return `${ENTRY_MODES[text.slice(0, 2)] ?? 'entry mode of the network'}, ${PIN_ENTRY[text.slice(2)] ?? 'PIN entry of the network'}`
    case 25:
      return POS_CONDITIONS[text] ?? ''
    case 49:
    case 50:
    case 51:
      return CURRENCIES[text] ?? ''
    case 70:
      return NETWORK_MANAGEMENT[text] ?? ''
    default:
      return ''
  }
}

/** Minor units in words where the currency has two decimals, as all but a few have; else nothing. */
export function amountMeaning(amount: number, currency: string | undefined): string {
  const name = currency === undefined ? undefined : CURRENCIES[currency]
  return name === undefined ? '' : `${formatAmount(amount)} ${name}`
}

export function accountTypeMeaning(type: string): string {
  return ACCOUNT_TYPES[type] ?? `account type ${type}`
}

export function amountTypeMeaning(type: string): string {
  return AMOUNT_TYPES[type] ?? `amount type ${type}`
}

const VERSIONS: readonly (string | undefined)[] = ['ISO 8583:1987', 'ISO 8583:1993', 'ISO 8583:2003']

/** ISO 8583-1:1987 annex A, and 26, 31, 50 as in common use. */
const TRANSACTION_TYPES: Readonly<Record<string, string>> = {
  '00': 'goods and services',
  '01': 'cash withdrawal',
  '02': 'adjustment',
  '09': 'goods and services with cash back',
  '20': 'return of goods',
  '21': 'deposit',
  '22': 'credit adjustment',
  '26': 'incoming credit',
  '30': 'available funds inquiry',
  '31': 'balance inquiry',
  '40': 'cardholder account transfer',
  '50': 'payment',
}

const ACCOUNT_TYPES: Readonly<Record<string, string>> = {
  '00': 'default account',
  '10': 'savings account',
  '20': 'cheque account',
  '30': 'credit account',
  '94': 'health cover',
  '95': 'points',
  '97': 'bread',
  '98': 'ration',
}

const AMOUNT_TYPES: Readonly<Record<string, string>> = {
  '01': 'ledger balance',
  '02': 'available balance',
  '03': 'amount owing',
  '20': 'remaining this cycle',
  '40': 'cash back',
}

const ENTRY_MODES: Readonly<Record<string, string>> = {
  '00': 'PAN entry unknown',
  '01': 'PAN keyed',
  '02': 'magnetic stripe',
  '03': 'bar code',
  '04': 'optical',
  '05': 'chip',
  '07': 'contactless chip',
  '80': 'magnetic stripe after chip failed',
  '90': 'whole magnetic stripe',
  '91': 'contactless magnetic stripe',
  '95': 'chip, data possibly unreliable',
}

const PIN_ENTRY: Readonly<Record<string, string>> = {
  '0': 'PIN entry unknown',
  '1': 'PIN can be entered',
  '2': 'no PIN entry',
}

const POS_CONDITIONS: Readonly<Record<string, string>> = {
  '00': 'normal presentment',
  '01': 'cardholder not present',
  '02': 'unattended, card can be kept',
  '05': 'cardholder present, card not present',
  '06': 'preauthorized request',
  '08': 'mail or telephone order',
}

/** Only those whose minor unit is a hundredth. */
const CURRENCIES: Readonly<Record<string, string>> = {
  '818': 'EGP',
  '840': 'USD',
  '978': 'EUR',
  '826': 'GBP',
  '682': 'SAR',
  '784': 'AED',
}

const NETWORK_MANAGEMENT: Readonly<Record<string, string>> = {
  '001': 'sign on',
  '002': 'sign off',
  '161': 'key change',
  '301': 'echo test',
}

function processingCodeMeaning(text: string): string {
  const type = TRANSACTION_TYPES[text.slice(0, 2)] ?? `transaction type ${text.slice(0, 2)}`
  return `${type}, from ${accountTypeMeaning(text.slice(2, 4))}, to ${accountTypeMeaning(text.slice(4, 6))}`
}

function month(text: string): string {
  return `${text.slice(0, 2)}-${text.slice(2, 4)}`
}

function time(text: string): string {
  return `${text.slice(0, 2)}:${text.slice(2, 4)}:${text.slice(4, 6)}`
}
