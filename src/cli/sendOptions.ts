/** The options of `sarf send`: how each is read, and which go with which transaction. */
import { readFileSync } from 'node:fs'
import { totalDigits } from '../transaction/reconciliation.ts'
import { InvalidArgumentError } from 'commander'
import type { SpecName } from '../iso8583/messageSpec.ts'
import { minorUnits, parseAmount, type MinorUnits } from '../money.ts'
import { REFERENCE_PATTERN } from '../transaction/hotCardFile.ts'
import type { Framing } from '../transport/framing.ts'
import type { PinFormat } from '../security/hsm.ts'
import type { ShownOptions } from './cardShown.ts'
import type { ComposeOptions } from './composeMessage.ts'
import type { KeyPurpose } from './terminalKeys.ts'
import type { ClientTls } from '../transport/client.ts'
import { CARD_PRESENT, SHAPES, type SendKind } from './transactionMessage.ts'
import { UsageError } from './usageError.ts'

export const FRAMINGS: readonly Framing[] = ['length2', 'length2-tpdu', 'length4']

export interface SendOptions extends ComposeOptions, ShownOptions {
  /** Undefined: that of the link. */
  readonly spec?: SpecName
  readonly link?: string
  readonly atc?: number
  readonly newPin?: string
  readonly newKey?: KeyPurpose
  readonly framing?: Framing
  readonly host: string
  readonly port?: number
  readonly stan?: string
  readonly timeout: number
  readonly json?: true
  /** PEM, read. */
  readonly ca?: Buffer
  readonly cert?: Buffer
  readonly key?: Buffer
  readonly servername?: string
}

/** @throws UsageError where an option is missing, or is not for this transaction */
export function checkOptions(kind: SendKind, options: SendOptions): void {
  const { amount: wanted, follows } = SHAPES[kind]
  if (options.repeat === true) {
    // A PIN is not kept, so a repeat needs it again.
    if (kind === 'pin-change' && options.newPin === undefined)
      throw new UsageError('pin-change --repeat needs --new-pin once more')
    return
  }
  for (const [option, kinds] of Object.entries(ONLY_FOR)) {
    if (options[option as SpecialOption] !== undefined && !kinds.includes(kind))
      throw new UsageError(`${flag(option)} is for ${kinds.join(', ')} only`)
  }
  for (const [option, example] of NEEDED[kind] ?? []) {
    if (options[option] === undefined)
      throw new UsageError(`${kind} needs ${flag(option)}, for example ${flag(option)} ${example}`)
  }
  if (wanted === 'asked' && options.amount === undefined)
    throw new UsageError(`${kind} needs --amount, for example --amount 12.50`)
  if (wanted === 'zero' && options.amount !== undefined) throw new UsageError(`${kind} has no amount`)
  if (options.plain === true && (options.entry !== undefined || options.pin !== undefined || options.atc !== undefined))
    throw new UsageError('--plain shows nothing of card and holder: it goes without --entry, --pin and --atc')
  if (follows === undefined && (options.original !== undefined || options.last === true)) {
    throw new UsageError(`${kind} has no original; --original and --last are for complete, refund and reversal`)
  }
}

/**
 * @returns undefined for a link that is plain
 * @throws UsageError where something is missing
 */
export function tlsOf({ ca, cert, key, servername }: SendOptions): ClientTls | undefined {
  if ((cert === undefined) !== (key === undefined)) throw new UsageError('--cert and --key go together')
  if (ca === undefined) {
    if (cert !== undefined || servername !== undefined)
      throw new UsageError('TLS needs --ca, who has signed the certificate of the switch')
    return undefined
  }
  return {
    ca,
    ...(cert === undefined || key === undefined ? {} : { cert, key }),
    ...(servername === undefined ? {} : { servername }),
  }
}

/** What only some transactions have a place for. */
type SpecialOption =
  | 'finalAmount'
  | 'loaves'
  | 'days'
  | 'basket'
  | 'fingerprint'
  | 'class'
  | 'purse'
  | 'advice'
  | 'localTime'
  | 'entry'
  | 'pinFormat'
  | 'atc'
  | 'newPin'
  | 'newKey'
  | 'what'
  | 'reference'
  | 'totals'

const ONLY_FOR: Readonly<Record<SpecialOption, readonly SendKind[]>> = {
  finalAmount: ['reversal'],
  loaves: ['bread'],
  days: ['bread'],
  basket: ['ration'],
  fingerprint: ['bread', 'ration', 'points', 'eligibility', 'copay'],
  class: ['copay'],
  purse: ['balance', 'refund', 'reversal'],
  advice: ['bread', 'ration'],
  localTime: ['bread', 'ration'],
  entry: CARD_PRESENT,
  pinFormat: CARD_PRESENT,
  atc: CARD_PRESENT,
  newPin: ['pin-change'],
  newKey: ['key-change'],
  what: ['hotcard'],
  reference: ['hotcard'],
  totals: ['reconcile'],
}

const NEEDED: Partial<Record<SendKind, readonly (readonly [option: SpecialOption, example: string])[]>> = {
  bread: [['loaves', '20']],
  ration: [['basket', '"OIL*1*3000;SUGAR*2*2400" (item, how many, piasters)']],
  copay: [['class', 'LAB']],
  'pin-change': [['newPin', '2468']],
}

function flag(option: string): string {
  return `--${option.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`
}

export function amount(value: string): MinorUnits {
  const parsed = parseAmount(value)
  if (parsed === undefined) throw new InvalidArgumentError('An amount is written as 12.50 or 12.')
  return minorUnits(parsed)
}

export function digits(what: string, least: number, most: number): (value: string) => string {
  return (value) => {
    if (!/^\d+$/.test(value) || value.length < least || value.length > most) {
      throw new InvalidArgumentError(`This is not ${what}: ${least} to ${most} digits.`)
    }
    return least === 1 ? value.padStart(most, '0') : value
  }
}

export function text(what: string, most: number): (value: string) => string {
  return (value) => {
    if (value.length === 0 || value.length > most) throw new InvalidArgumentError(`This is not ${what}: 1 to ${most} characters.`)
    return value
  }
}

export function port(value: string): number {
  const number = Number(value)
  if (!/^\d+$/.test(value) || number < 1 || number > 65_535) throw new InvalidArgumentError('A port is a number from 1 to 65535.')
  return number
}

export function seconds(value: string): number {
  const number = Number(value)
  if (!(number > 0 && number <= 3600)) throw new InvalidArgumentError('A time from 0.001 to 3600 seconds.')
  return number
}

export function reference(value: string): string {
  if (!new RegExp(REFERENCE_PATTERN).test(value))
    throw new InvalidArgumentError('1 to 64 letters, digits, / _ and -, no number of 11 digits or more.')
  return value
}

/** @returns YYMM, as DE 14 has it */
export function expires(value: string): string {
  const [, month, year] = /^(0[1-9]|1[0-2])\/(\d\d)$/.exec(value) ?? []
  if (month === undefined || year === undefined) throw new InvalidArgumentError('Month and year as on the card: 11/29.')
  return year + month
}

export function originalReference(value: string): { stan: string; transmissionTime: string } {
  const [, stan, transmissionTime] = /^(\d{1,6}),(\d{10})$/.exec(value) ?? []
  if (stan === undefined || transmissionTime === undefined) {
    throw new InvalidArgumentError('The original is its trace number and transmission time, MMDDhhmmss: 000123,1122151200.')
  }
  return { stan: stan.padStart(6, '0'), transmissionTime }
}

export function whole(what: string, least: number, most: number): (value: string) => number {
  return (value) => {
    const number = Number(value)
    if (!/^\d+$/.test(value) || number < least || number > most) {
      throw new InvalidArgumentError(`A whole number of ${what} from ${String(least)} to ${String(most)}.`)
    }
    return number
  }
}

const TOTAL = /^(7[4-9]|8[0-9])=(\d{1,16})$/
const NET = /^97=([CD])(\d{1,16})$/

/** @returns data elements 74 to 89 and 97 by number, as long as each is */
export function totals(value: string): Record<number, string> {
  const given: Record<number, string> = {}
  for (const part of value.split(',')) {
    const [, de, digits = ''] = TOTAL.exec(part) ?? []
    const [, sign, net = ''] = NET.exec(part) ?? []
    if (sign !== undefined) given[97] = sign + net.padStart(16, '0')
    else if (de !== undefined && digits.length <= totalDigits(Number(de)))
      given[Number(de)] = digits.padStart(totalDigits(Number(de)), '0')
    else throw new InvalidArgumentError('Totals are data elements 74 to 89 and 97, amounts in piasters: 76=3,88=2250,97=D2250.')
  }
  return given
}

/** @returns lines as DE 48 BK has them, each ended by a semicolon */
export function basket(value: string): string {
  const lines = value.replace(/;$/, '').split(';')
  if (!lines.every((line) => /^[A-Z0-9]+\*\d{1,4}\*\d{1,12}$/.test(line))) {
    throw new InvalidArgumentError('A basket has lines of item, how many and piasters: "OIL*1*3000;SUGAR*2*2400".')
  }
  return `${lines.join(';')};`
}

export function pem(value: string): Buffer {
  try {
    return readFileSync(value)
  } catch (error) {
    throw new InvalidArgumentError(`It cannot be read: ${error instanceof Error ? error.message : String(error)}.`)
  }
}

export function localTime(value: string): string {
  if (!/^\d{10}$/.test(value)) throw new InvalidArgumentError('A time is MMDDhhmmss: 1122151200.')
  return value
}

export function pinFormat(value: string): PinFormat {
  const format = PIN_FORMATS.find((known) => String(known) === value)
  if (format === undefined) throw new InvalidArgumentError('ISO 9564-1 formats that are sent online are 0, 3 and 4.')
  return format
}

const PIN_FORMATS: readonly PinFormat[] = [0, 3, 4]
