/**
 * Messages from templates: each kind of message of each terminal is encoded once, by the switch's own codec, which also says where the
 * fields lie; what differs from message to message is then written in place. So the generator costs a small part of what the
 * switch does for the same message.
 */
import { ACQUIRER, CARD_PRESENT, SHAPES, transactionMessage, type Original } from '../../src/cli/transactionMessage.ts'
import { decode } from '../../src/iso8583/decode.ts'
import { encode } from '../../src/iso8583/encode.ts'
import { DecodedMessage } from '../../src/iso8583/message.ts'
import type { MessageSpec } from '../../src/iso8583/messageSpec.ts'
import type { PrivateDatum } from '../../src/iso8583/privateData.ts'
import { minorUnits } from '../../src/money.ts'
import { demoPan, type DemoTerminal } from '../../src/programme/demo.ts'
import { makeRoomForMac } from '../../src/security/messageMac.ts'
import { writeDigits, type DigitsPlace } from './digits.ts'
import { KIND_TRAITS, type MessageKind } from './messageKinds.ts'
import type { Moment } from './moment.ts'
import { programmeRules } from './programmeRules.ts'

export interface MessageValues {
  readonly household: number
  readonly amount: number
  /** Of a message about bread. */
  readonly loaves: number
  readonly stan: number
  readonly moment: Moment
  /** What DE 90 names, for messages that follow another one. */
  readonly original: { readonly stan: number; readonly transmission: number } | undefined
  /** DE 52, where the template has one. */
  readonly pinBlock?: Uint8Array | undefined
  /** DE 55, as long as the template's. */
  readonly chipData?: Buffer | undefined
}

/** What the messages of a template show beside the card number. */
export interface Showing {
  readonly pin: boolean
  /** Chip data of the length that all of them have. */
  readonly chipData: Buffer | undefined
  /** Room for one. */
  readonly mac: boolean
}

export const NOTHING_SHOWN: Showing = { pin: false, chipData: undefined, mac: false }

/** The holder is there with the card. */
export function showsCard(kind: MessageKind): boolean {
  return CARD_PRESENT.includes(KIND_TRAITS[kind].send)
}

const PAN_DIGITS = 16

/** Card numbers of the demo programme as they go onto the wire. */
export class PanTable {
  readonly bytesEach: number
  readonly #bytes: Uint8Array

  constructor(spec: MessageSpec, households: number) {
    const bcd = spec.fields[2]?.coding === 'bcd'
    this.bytesEach = bcd ? PAN_DIGITS / 2 : PAN_DIGITS
    this.#bytes = new Uint8Array((households + 1) * this.bytesEach)
    for (let household = 1; household <= households; household++) {
      this.#bytes.set(Buffer.from(demoPan(household), bcd ? 'hex' : 'latin1'), household * this.bytesEach)
    }
  }

  write(household: number, into: Uint8Array, at: number): void {
    const from = household * this.bytesEach
    for (let i = 0; i < this.bytesEach; i++) into[at + i] = this.#bytes[from + i] ?? 0
  }
}

export class MessageTemplate {
  readonly #bytes: Buffer
  readonly #pans: PanTable
  readonly #panAt: number
  readonly #amount: DigitsPlace
  readonly #transmission: DigitsPlace
  readonly #stan: DigitsPlace
  readonly #localTime: DigitsPlace
  readonly #localDate: DigitsPlace
  readonly #reference: DigitsPlace
  readonly #referenceStan: DigitsPlace
  readonly #loaves: DigitsPlace | undefined
  readonly #basketAmount: DigitsPlace | undefined
  readonly #originalStan: DigitsPlace | undefined
  readonly #originalTransmission: DigitsPlace | undefined
  readonly #pinBlock: BytesPlace | undefined
  readonly #chipData: BytesPlace | undefined

  constructor(spec: MessageSpec, pans: PanTable, kind: MessageKind, terminal: DemoTerminal, showing = NOTHING_SHOWN) {
    this.#bytes = sample(spec, kind, terminal, showing)
    this.#pans = pans
    const place = digitPlaces(spec, this.#bytes)
    this.#panAt = place(2, 0, PAN_DIGITS).at
    this.#amount = place(4, 0, 12)
    this.#transmission = place(7, 0, 10)
    this.#stan = place(11, 0, 6)
    this.#localTime = place(12, 0, 6)
    this.#localDate = place(13, 0, 4)
    this.#reference = place(37, 0, 6)
    this.#referenceStan = place(37, 6, 6)
    this.#loaves = kind === 'bread' ? place(48, DATUM_HEADER, LOAVES_DIGITS) : undefined
    this.#basketAmount = kind === 'ration' ? place(48, DATUM_HEADER + BASKET_ITEM.length, BASKET_DIGITS) : undefined
    const follows = KIND_TRAITS[kind].follows !== undefined
    // ISO 8583-1:1987 DE 90: MTI n 4, STAN n 6, time n 10, acquirer n 11, forwarder n 11.
    this.#originalStan = follows ? place(90, 4, 6) : undefined
    this.#originalTransmission = follows ? place(90, 10, 10) : undefined
    const bytesPlace = (de: number): BytesPlace => ({ at: place(de, 0, 0).at, hex: spec.fields[de]?.coding === 'hex' })
    this.#pinBlock = showing.pin && showsCard(kind) ? bytesPlace(52) : undefined
    this.#chipData = showing.chipData === undefined ? undefined : bytesPlace(55)
  }

  /** A message of its own memory. */
  message(values: MessageValues): Buffer {
    const bytes = Buffer.allocUnsafe(this.#bytes.length)
    bytes.set(this.#bytes)
    const { moment, original } = values
    this.#pans.write(values.household, bytes, this.#panAt)
    writeDigits(bytes, this.#amount, values.amount)
    if (this.#loaves !== undefined) writeDigits(bytes, this.#loaves, values.loaves)
    if (this.#basketAmount !== undefined) writeDigits(bytes, this.#basketAmount, values.amount)
    writeDigits(bytes, this.#transmission, moment.transmission)
    writeDigits(bytes, this.#stan, values.stan)
    writeDigits(bytes, this.#localTime, moment.localTime)
    writeDigits(bytes, this.#localDate, moment.localDate)
    writeDigits(bytes, this.#reference, moment.reference)
    writeDigits(bytes, this.#referenceStan, values.stan)
    if (original !== undefined && this.#originalStan !== undefined && this.#originalTransmission !== undefined) {
      writeDigits(bytes, this.#originalStan, original.stan)
      writeDigits(bytes, this.#originalTransmission, original.transmission)
    }
    if (this.#pinBlock !== undefined && values.pinBlock !== undefined) writeBytes(bytes, this.#pinBlock, values.pinBlock)
    if (this.#chipData !== undefined && values.chipData !== undefined) writeBytes(bytes, this.#chipData, values.chipData)
    return bytes
  }
}

interface BytesPlace {
  readonly at: number
  /** Two hexadecimal characters a byte. */
  readonly hex: boolean
}

function writeBytes(into: Buffer, { at, hex }: BytesPlace, bytes: Uint8Array): void {
  if (hex) into.write(Buffer.from(bytes).toString('hex').toUpperCase(), at, 'latin1')
  else into.set(bytes, at)
}

/** The same message once more: the last digit of its MTI is odd (ISO 8583-1:1987 4.1.4). Of its own memory. */
export function repeatOf(spec: MessageSpec, bytes: Buffer): Buffer {
  const repeat = Buffer.from(bytes)
  const lastDigitAt = spec.mti === 'bcd' ? 1 : 3
  repeat[lastDigitAt] = (repeat[lastDigitAt] ?? 0) | 1
  return repeat
}

/** Tag and length of a datum of DE 48. */
const DATUM_HEADER = 5
const LOAVES_DIGITS = 2
/** One item, once: the amount of the message follows. */
const BASKET_ITEM = 'SUGAR*1*'
const BASKET_DIGITS = 4

/** With zeros where the digits of a message go. */
export function samplePrivateData(kind: MessageKind): PrivateDatum[] {
  const { loavesTag, daysTag } = programmeRules()
  switch (kind) {
    case 'bread':
      return [
        { tag: loavesTag, value: '0'.repeat(LOAVES_DIGITS) },
        { tag: daysTag, value: '1' },
      ]
    case 'ration':
      return [{ tag: 'BK', value: `${BASKET_ITEM}${'0'.repeat(BASKET_DIGITS)};` }]
    case 'eligibility':
      return [{ tag: 'BR', value: 'M' }]
    default:
      return []
  }
}

/** Account type of DE 3. */
export function accountTypeOf(kind: MessageKind): string {
  return programmeRules().accountType(SHAPES[KIND_TRAITS[kind].send].purse ?? 'cash')
}

function sample(spec: MessageSpec, kind: MessageKind, terminal: DemoTerminal, { pin, chipData, mac }: Showing): Buffer {
  const { send, follows } = KIND_TRAITS[kind]
  const { mti, fields } = transactionMessage(send, {
    nowMs: Date.now(),
    stan: '000000',
    pan: demoPan(1),
    terminalId: terminal.terminalId,
    acceptorId: terminal.acceptorId,
    merchantCategory: terminal.category,
    amount: minorUnits(0),
    accountType: accountTypeOf(kind),
    privateData: samplePrivateData(kind),
    advice: false,
    localTime: undefined,
    rrn: undefined,
    approvalCode: undefined,
    original: follows === undefined ? undefined : sampleOriginal(follows),
    finalAmount: undefined,
  })
  if (pin && showsCard(kind)) fields[52] = '0'.repeat(PIN_BLOCK_DIGITS)
  if (chipData !== undefined) {
    fields[22] = CHIP_ENTRY
    fields[23] = '000'
    fields[55] = chipData.toString('hex').toUpperCase()
  }
  if (mac) makeRoomForMac(fields)
  const encoded = encode(spec, mti, fields)
  if (!encoded.ok) throw new Error(`a ${kind} cannot be written: ${encoded.error.path} expected ${encoded.error.expected}`)
  return encoded.bytes
}

const PIN_BLOCK_DIGITS = 16
/** DE 22: the chip was read, and the terminal can take a PIN. */
const CHIP_ENTRY = '051'

/** What DE 90 and DE 3 of a message that follows another one say of that, with zeros where the digits of a message go. */
function sampleOriginal(kind: MessageKind): Original {
  const { mti, transactionType = '' } = SHAPES[KIND_TRAITS[kind].send]
  return {
    mti,
    processingCode: `${transactionType}${accountTypeOf(kind)}00`,
    stan: '000000',
    transmissionTime: '0101000000',
    acquirerId: ACQUIRER,
  }
}

function digitPlaces(spec: MessageSpec, bytes: Buffer): (de: number, from: number, count: number) => DigitsPlace {
  const decoded = decode(spec, bytes)
  if (!decoded.ok || !(decoded.message instanceof DecodedMessage)) throw new Error('decode reads what encode wrote')
  const { message } = decoded
  return (de, from, count) => {
    const content = message.place(de)?.contentOffset
    if (content === undefined) throw new Error(`a template has DE ${String(de)}`)
    const bcd = spec.fields[de]?.coding === 'bcd'
    return { at: content + (bcd ? from >> 1 : from), count, bcd }
  }
}
