/**
 * A chip card in software: it makes real cryptograms for load generators, `sarf send` and tests, and checks what the issuer answers. It
 * has what a personalised card has: keys of its own and a transaction counter (ATC).
 */
import { findTlv, formatTlv, parseTlv, type Tlv } from '../iso8583/berTlv.ts'
import { iccMasterKeys, DERIVED_KEY_BYTES } from './chipKeys.ts'
import { isScriptAuthentic } from './chipScript.ts'
import {
  applicationCryptogram,
  cryptogramKey,
  cryptogramMethod,
  responseCryptogram1,
  responseCryptogram2,
  type CryptogramMethod,
} from './cryptogram.ts'
import { scheduleKey, type KeySchedule } from './des.ts'
import type { ChipScheme } from './hsm.ts'
import {
  MCHIP_CVN_16,
  MCHIP_CVN_17,
  parseIssuerApplicationData,
  VISA_CVN_10,
  VISA_CVN_18,
  VISA_CVN_22,
} from './issuerApplicationData.ts'
import type { KeyHandle } from './keys.ts'

export interface VirtualChip {
  /** The last ATC that was used. */
  atc(): number
  /** First GENERATE AC: asks for an ARQC. @returns the bytes of DE 55 */
  generate(transaction: ChipTransaction): Buffer
  /**
   * EXTERNAL AUTHENTICATE and scripts, for the cryptogram that was made last.
   *
   * @param answer DE 55 of the answer
   * @returns whether tag 91 is there, and it and all scripts are the issuer's
   */
  acceptResponse(answer: Buffer): boolean
}

export interface Personalisation {
  readonly scheme: ChipScheme
  /** As the schemes call them: Visa 10, 18, 22; M/Chip 16, 17. */
  readonly cvn: 10 | 18 | 22 | 16 | 17
  /** Issuer master keys for application cryptograms (E0), and script integrity (E2) where scripts are to be checked. */
  readonly applicationKey: KeyHandle
  readonly integrityKey?: KeyHandle
  /** Digits. */
  readonly pan: string
  /** Two digits. */
  readonly psn: string
  /** YYMM. */
  readonly expiry: string
  /** Three digits, for tag 57. */
  readonly serviceCode: string
  /** iCVV, three digits, for tag 57. */
  readonly icvv: string
  /** The last one that was used; 0 of a new card. */
  readonly atc?: number
}

export interface ChipTransaction {
  /** Minor units. */
  readonly amount: number
  readonly otherAmount?: number
  /** ISO 3166-1 and ISO 4217 numbers, three digits. */
  readonly country: string
  readonly currency: string
  /** YYMMDD. */
  readonly date: string
  /** The first two digits of DE 3. */
  readonly type: string
  /** 4 bytes. */
  readonly unpredictableNumber: Uint8Array
  /** Tag 95, 5 bytes; nothing found where it is left out. */
  readonly terminalVerificationResults?: Uint8Array
  /** Tag 9F34, 3 bytes. */
  readonly cardholderVerification?: Uint8Array
}

/** @throws RangeError for a CVN that the scheme does not have; KeyRefused where a key may not be used */
export function virtualChip(card: Personalisation): VirtualChip {
  const application = applicationOf(card)
  const method = cryptogramMethod(card.scheme, application.cvn)
  if (method === undefined) throw new RangeError(`${card.scheme} has no CVN ${String(card.cvn)}`)
  const iad = parseIssuerApplicationData(card.scheme, application.iad)
  if (iad === undefined) throw new RangeError(`${card.scheme} has no CVN ${String(card.cvn)}`)
  const owner = { pan: card.pan, psn: card.psn, option: method.masterKey }
  const masterKey = scheduleKey(iccMasterKeys(card.applicationKey, [owner]))
  const integrityKey = card.integrityKey && iccMasterKeys(card.integrityKey, [owner]).subarray(0, DERIVED_KEY_BYTES)
  const template = templateOf(card, application)
  let atc = card.atc ?? 0
  let last: Exchange | undefined

  return {
    atc: () => atc,
    generate: (transaction) => {
      atc += 1
      const { field, places } = template
      const bytes = Buffer.from(field)
      bytes.writeUInt16BE(atc, places.atc)
      writeDigits(bytes, places.amount, 12, transaction.amount)
      writeDigits(bytes, places.otherAmount, 12, transaction.otherAmount ?? 0)
      writeDigits(bytes, places.country, 4, Number(transaction.country))
      writeDigits(bytes, places.currency, 4, Number(transaction.currency))
      writeDigits(bytes, places.date, 6, Number(transaction.date))
      writeDigits(bytes, places.type, 2, Number(transaction.type))
      bytes.set(transaction.unpredictableNumber, places.unpredictableNumber)
      if (transaction.terminalVerificationResults) bytes.set(transaction.terminalVerificationResults, places.tvr)
      if (transaction.cardholderVerification) bytes.set(transaction.cardholderVerification, places.cardholderVerification)

      const counter = bytes.subarray(places.atc, places.atc + 2)
      const session = cryptogramKey(method, masterKey, counter, transaction.unpredictableNumber)
      const key = session === undefined ? masterKey : scheduleKey(session)
      const data = transactionData(bytes, template)
      const cryptogram = applicationCryptogram(method, key, data, application.iad, iad)
      bytes.set(cryptogram, places.cryptogram)
      last = { key: method.arpc === 2 ? key : masterKey, atc: Buffer.from(counter), cryptogram }
      return bytes
    },
    acceptResponse: (answer) => {
      const parsed = parseTlv(answer)
      if (!parsed.ok || last === undefined) return false
      const data = findTlv(parsed.value, '91')?.value
      if (data === undefined || !isFromIssuer(method, last, data)) return false
      const { atc: counter, cryptogram } = last
      return scriptsOf(parsed.value).every(
        (apdu) => integrityKey !== undefined && isScriptAuthentic(card.scheme, integrityKey, apdu, counter, cryptogram),
      )
    },
  }
}

/** The cryptogram that waits for its answer. */
interface Exchange {
  readonly key: KeySchedule
  readonly atc: Buffer
  readonly cryptogram: Buffer
}

interface Application {
  /** The byte. */
  readonly cvn: number
  readonly iad: Buffer
  readonly dedicatedFileName: Buffer
}

const KEY_DERIVATION_INDEX = 1
/** CVR of an ARQC without anything to tell. */
const VISA_CVR = '03A00000'
const VISA_CVR_FORMAT_2 = 'A000000000'
const MCHIP_CVR = 'A00000000000'

function applicationOf({ scheme, cvn }: Personalisation): Application {
  const byte = { 10: VISA_CVN_10, 18: VISA_CVN_18, 22: VISA_CVN_22, 16: MCHIP_CVN_16, 17: MCHIP_CVN_17 }[cvn]
  const [kdi, version] = [hexByte(KEY_DERIVATION_INDEX), hexByte(byte)]
  const iad =
    scheme === 'mchip'
      ? `${kdi}${version}${MCHIP_CVR}0000${'00'.repeat(7)}FF`
      : cvn === 22
        ? `1F${version}${kdi}${VISA_CVR_FORMAT_2}`.padEnd(64, '0')
        : `06${kdi}${version}${VISA_CVR}`
  const name = scheme === 'mchip' ? 'A0000000041010' : 'A0000000031010'
  return { cvn: byte, iad: Buffer.from(iad, 'hex'), dedicatedFileName: Buffer.from(name, 'hex') }
}

function hexByte(byte: number): string {
  return byte.toString(16).padStart(2, '0')
}

interface Template {
  /** DE 55 with zeros where a transaction writes. */
  readonly field: Buffer
  /** Where the values are. */
  readonly places: Readonly<Record<keyof typeof TAGS, number>>
  /** Offset and length of what goes into the cryptogram, in its order. */
  readonly signed: readonly (readonly [at: number, length: number])[]
}

/** Tags whose value a transaction brings. */
const TAGS = {
  amount: '9F02',
  otherAmount: '9F03',
  country: '9F1A',
  tvr: '95',
  currency: '5F2A',
  date: '9A',
  type: '9C',
  unpredictableNumber: '9F37',
  interchangeProfile: '82',
  atc: '9F36',
  cryptogram: '9F26',
  cardholderVerification: '9F34',
} as const
const SIGNED = 10
const SIGNED_BYTES = 33
/** CDA, cardholder verification and terminal risk management, issuer authentication by GENERATE AC. */
const INTERCHANGE_PROFILE = '3900'
const ARQC = '80'

function templateOf({ pan, psn, expiry, serviceCode, icvv }: Personalisation, { iad, dedicatedFileName }: Application): Template {
  const track2 = `${pan}D${expiry}${serviceCode}${'0'.repeat(5)}${icvv}`
  const hex = (tag: string, text: string) => ({ tag, value: Buffer.from(text, 'hex') })
  const zeros = (tag: string, bytes: number) => ({ tag, value: Buffer.alloc(bytes) })
  const field = formatTlv([
    zeros(TAGS.cryptogram, 8),
    hex('9F27', ARQC),
    { tag: '9F10', value: iad },
    zeros(TAGS.unpredictableNumber, 4),
    zeros(TAGS.atc, 2),
    zeros(TAGS.tvr, 5),
    zeros(TAGS.date, 3),
    zeros(TAGS.type, 1),
    zeros(TAGS.amount, 6),
    zeros(TAGS.currency, 2),
    hex(TAGS.interchangeProfile, INTERCHANGE_PROFILE),
    zeros(TAGS.country, 2),
    zeros(TAGS.otherAmount, 6),
    zeros(TAGS.cardholderVerification, 3),
    { tag: '84', value: dedicatedFileName },
    hex('5F34', psn),
    hex('57', track2.length % 2 === 0 ? track2 : `${track2}F`),
  ])
  const parsed = parseTlv(field)
  if (!parsed.ok) throw new RangeError('not the data of a card')
  const values = Object.values(TAGS).map((tag) => findTlv(parsed.value, tag)?.value ?? Buffer.alloc(0))
  const offsets = values.map((value) => value.byteOffset - field.byteOffset)
  const places = Object.fromEntries(Object.keys(TAGS).map((name, index) => [name, offsets[index] ?? 0])) as Template['places']
  return { field, places, signed: values.slice(0, SIGNED).map((value, index) => [offsets[index] ?? 0, value.length]) }
}

function transactionData(bytes: Buffer, { signed }: Template): Buffer {
  const data = Buffer.allocUnsafe(SIGNED_BYTES)
  let length = 0
  for (const [at, size] of signed) length += bytes.copy(data, length, at, at + size)
  return data
}

/** Right-justified BCD. */
function writeDigits(bytes: Buffer, at: number, digits: number, number: number): void {
  let rest = number
  for (let i = digits / 2 - 1; i >= 0; i--) {
    const pair = rest % 100
    bytes[at + i] = (Math.floor(pair / 10) << 4) | (pair % 10)
    rest = Math.floor(rest / 100)
  }
}

function isFromIssuer(method: CryptogramMethod, { key, cryptogram }: Exchange, data: Buffer): boolean {
  if (method.arpc === 1) {
    return data.length === 10 && responseCryptogram1(key, cryptogram, data.subarray(8)).equals(data.subarray(0, 8))
  }
  return data.length === 8 && responseCryptogram2(key, cryptogram, data.subarray(4)).equals(data.subarray(0, 4))
}

function scriptsOf(objects: readonly Tlv[]): readonly Buffer[] {
  return objects
    .filter(({ tag }) => tag === '71' || tag === '72')
    .flatMap(({ children = [] }) => children.filter(({ tag }) => tag === '86').map(({ value }) => value))
}
