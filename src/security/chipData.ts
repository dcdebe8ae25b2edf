/**
 * DE 55 as the switch needs it: of a request the values that the cryptogram and the cross-checks with other data elements rest on, in
 * one pass over the bytes; of an answer the issuer's data for the card. Tags are those of EMV Book 3 annex A.
 */
import { inspect } from 'node:util'
import { formatTlv, visitTlv, type TlvInput } from '../iso8583/berTlv.ts'
import { fault, type Fault, type Parsed } from '../iso8583/fault.ts'
import type { ChipData } from './hsm.ts'

export interface ChipField {
  /** For the cryptogram. */
  readonly chip: ChipData
  /** 9F02, in minor units. */
  readonly amount: number
  /** 5F2A: ISO 4217, three digits. */
  readonly currency: string
  /** 57, or else 5A. */
  readonly card: ChipCard | undefined
  /** 5F34, two digits. */
  readonly psn: string | undefined
}

/** What a chip says of its card. It prints as nothing: see `reveal`. */
export class ChipCard {
  readonly #data: ChipCardData

  constructor(data: ChipCardData) {
    this.#data = data
  }

  /** The data themselves: for comparisons with DE 2, 23 and 35, and for the card verification value. */
  reveal(): ChipCardData {
    return this.#data
  }

  toString(): string {
    return 'ChipCard'
  }

  toJSON(): string {
    return 'ChipCard'
  }

  [inspect.custom](): string {
    return 'ChipCard'
  }
}

export interface ChipCardData {
  /** Digits. */
  readonly pan: string
  /** Tag 57 as the text of DE 35: PAN, D, YYMM, service code, discretionary data; undefined where 5A alone is there. */
  readonly track2: string | undefined
}

/**
 * Reads DE 55 of a request. Beyond what `berTlv.ts` demands: every tag that a cryptogram needs is there, values have the lengths of
 * EMV Book 3 annex A, numbers are numbers. Values are views of `bytes`, except the transaction data.
 */
export function readChipData(bytes: Buffer): Parsed<ChipField> {
  places.fill(ABSENT)
  const error = visitTlv(bytes, notePlace) ?? formFault(bytes)
  if (error !== undefined) return { ok: false, error }
  const ofTrack2 = has(TAG.track2)
  const card = ofTrack2 ? cardOfTrack2(hex(bytes, TAG.track2)) : has(TAG.pan) ? cardOfPan(hex(bytes, TAG.pan)) : undefined
  if (card === 'none') return { ok: false, error: badCard(ofTrack2 ? TAG.track2 : TAG.pan) }
  return {
    ok: true,
    value: {
      chip: {
        cryptogram: required(bytes, TAG.cryptogram),
        cryptogramInformation: required(bytes, TAG.cryptogramInformation)[0] ?? 0,
        issuerApplicationData: required(bytes, TAG.issuerApplicationData),
        atc: required(bytes, TAG.atc),
        unpredictableNumber: required(bytes, TAG.unpredictableNumber),
        transactionData: transactionData(bytes),
      },
      amount: digits(bytes, TAG.amount),
      currency: hex(bytes, TAG.currency).slice(1),
      card,
      psn: has(TAG.psn) ? hex(bytes, TAG.psn) : undefined,
    },
  }
}

export interface ChipAnswer {
  /** Tag 91: see `responseCryptograms`. */
  readonly issuerAuthenticationData?: Uint8Array
  /** DE 39, for tag 8A; terminals that make it from DE 39 do without. */
  readonly responseCode?: string
  readonly scripts?: readonly ChipScript[]
}

export interface ChipScript {
  /** Before or after the second GENERATE AC: templates 71 and 72 (EMV Book 3 10.10). */
  readonly when: 'before' | 'after'
  /** 9F18, 4 bytes. */
  readonly identifier: Uint8Array
  /** Tags 86: see `scriptCommands`. */
  readonly commands: readonly Uint8Array[]
}

/** DE 55 of an answer. Empty where there is nothing to tell the card. */
export function writeChipAnswer({ issuerAuthenticationData, responseCode, scripts = [] }: ChipAnswer): Buffer {
  const objects: TlvInput[] = []
  if (issuerAuthenticationData !== undefined) objects.push({ tag: '91', value: issuerAuthenticationData })
  if (responseCode !== undefined) objects.push({ tag: '8A', value: Buffer.from(responseCode, 'latin1') })
  for (const { when, identifier, commands } of scripts) {
    objects.push({
      tag: when === 'before' ? '71' : '72',
      children: [{ tag: '9F18', value: identifier }, ...commands.map((command) => ({ tag: '86', value: command }))],
    })
  }
  return formatTlv(objects)
}

/** Number of each tag that is read in the list of places. */
const TAG = {
  amount: 0,
  currency: 4,
  unpredictableNumber: 7,
  atc: 9,
  cryptogram: 10,
  cryptogramInformation: 11,
  issuerApplicationData: 12,
  track2: 13,
  pan: 14,
  psn: 15,
} as const

interface TagForm {
  readonly tag: number
  readonly min: number
  readonly max: number
  readonly isRequired: boolean
  /** n: digits only. nn: a country or currency, three digits in two bytes. */
  readonly format: 'b' | 'n' | 'nn'
}

/** By number. The first ten are the transaction data of the cryptogram, in its order (EMV Book 2 8.1.1; VIS and M/Chip alike). */
const FORMS: readonly TagForm[] = [
  { tag: 0x9f02, min: 6, max: 6, isRequired: true, format: 'n' },
  { tag: 0x9f03, min: 6, max: 6, isRequired: true, format: 'n' },
  { tag: 0x9f1a, min: 2, max: 2, isRequired: true, format: 'nn' },
  { tag: 0x95, min: 5, max: 5, isRequired: true, format: 'b' },
  { tag: 0x5f2a, min: 2, max: 2, isRequired: true, format: 'nn' },
  { tag: 0x9a, min: 3, max: 3, isRequired: true, format: 'n' },
  { tag: 0x9c, min: 1, max: 1, isRequired: true, format: 'n' },
  { tag: 0x9f37, min: 4, max: 4, isRequired: true, format: 'b' },
  { tag: 0x82, min: 2, max: 2, isRequired: true, format: 'b' },
  { tag: 0x9f36, min: 2, max: 2, isRequired: true, format: 'b' },
  { tag: 0x9f26, min: 8, max: 8, isRequired: true, format: 'b' },
  { tag: 0x9f27, min: 1, max: 1, isRequired: true, format: 'b' },
  { tag: 0x9f10, min: 1, max: 32, isRequired: true, format: 'b' },
  { tag: 0x57, min: 1, max: 19, isRequired: false, format: 'b' },
  { tag: 0x5a, min: 1, max: 10, isRequired: false, format: 'b' },
  { tag: 0x5f34, min: 1, max: 1, isRequired: false, format: 'n' },
  { tag: 0x84, min: 5, max: 16, isRequired: false, format: 'b' },
  { tag: 0x9f34, min: 3, max: 3, isRequired: false, format: 'b' },
]
const TRANSACTION_TAGS = 10
const TRANSACTION_DATA_BYTES = FORMS.slice(0, TRANSACTION_TAGS).reduce((sum, { max }) => sum + max, 0)
const NUMBER_OF_TAG: ReadonlyMap<number, number> = new Map(FORMS.map(({ tag }, number) => [tag, number]))

/** Offset and length of each tag's value in the field that is being read. Reading one runs to its end, so one list is enough. */
const places = new Int32Array(2 * FORMS.length)
const ABSENT = -1

function notePlace(tag: number, valueAt: number, length: number): void {
  const number = NUMBER_OF_TAG.get(tag)
  if (number === undefined) return
  places[2 * number] = valueAt
  places[2 * number + 1] = length
}

function has(number: number): boolean {
  return places[2 * number] !== ABSENT
}

/** `formFault` has seen that it is there. */
function required(bytes: Buffer, number: number): Buffer {
  const at = places[2 * number] ?? 0
  return bytes.subarray(at, at + (places[2 * number + 1] ?? 0))
}

function hex(bytes: Buffer, number: number): string {
  const at = places[2 * number] ?? 0
  return bytes.toString('hex', at, at + (places[2 * number + 1] ?? 0))
}

/** Two digits a byte. */
function digits(bytes: Buffer, number: number): number {
  const at = places[2 * number] ?? 0
  let result = 0
  for (let i = at; i < at + (places[2 * number + 1] ?? 0); i++) {
    const byte = bytes[i] ?? 0
    result = result * 100 + (byte >> 4) * 10 + (byte & 0x0f)
  }
  return result
}

function transactionData(bytes: Buffer): Buffer {
  const data = Buffer.allocUnsafe(TRANSACTION_DATA_BYTES)
  let length = 0
  for (let number = 0; number < TRANSACTION_TAGS; number++) {
    const at = places[2 * number] ?? 0
    for (let i = 0; i < (places[2 * number + 1] ?? 0); i++) data[length++] = bytes[at + i] ?? 0
  }
  return data
}

function formFault(bytes: Buffer): Fault | undefined {
  for (let number = 0; number < FORMS.length; number++) {
    const form = FORMS[number]
    if (form === undefined) continue
    const at = places[2 * number] ?? ABSENT
    const length = places[2 * number + 1] ?? 0
    if (at === ABSENT) {
      if (form.isRequired) return fault('bad-structure', tagName(form), 0, `${tagName(form)} for the cryptogram`, 'none')
    } else if (length < form.min || length > form.max) {
      const expected = form.min === form.max ? String(form.min) : `${String(form.min)} to ${String(form.max)}`
      return fault('bad-length', tagName(form), at, `${expected} bytes`, `${String(length)} bytes`)
    } else if (form.format !== 'b' && !isNumber(bytes, at, length, form.format)) {
      return fault('bad-value', tagName(form), at, form.format === 'n' ? 'digits' : '0 and three digits', 'something else')
    }
  }
  return undefined
}

function isNumber(bytes: Buffer, at: number, length: number, format: 'n' | 'nn'): boolean {
  for (let i = at; i < at + length; i++) {
    const byte = bytes[i] ?? 0
    if (byte > 0x99 || (byte & 0x0f) > 9) return false
  }
  return format === 'n' || (bytes[at] ?? 0) < 0x10
}

function tagName({ tag }: TagForm): string {
  return tag.toString(16).toUpperCase()
}

/** ISO/IEC 7813 as tag 57 has it: D separates, an F fills up the last byte. */
const TRACK_2 = /^(\d{12,19})d(\d{7}\d*)f?$/
const PAN = /^(\d{12,19})f?$/

function cardOfTrack2(text: string): ChipCard | 'none' {
  const match = TRACK_2.exec(text)
  if (match === null) return 'none'
  const [, pan = '', rest = ''] = match
  return new ChipCard({ pan, track2: `${pan}D${rest}` })
}

function cardOfPan(text: string): ChipCard | 'none' {
  const pan = PAN.exec(text)?.[1]
  return pan === undefined ? 'none' : new ChipCard({ pan, track2: undefined })
}

function badCard(number: number): Fault {
  const form = FORMS[number]
  const name = form === undefined ? '' : tagName(form)
  return fault(
    'bad-value',
    name,
    places[2 * number] ?? 0,
    number === TAG.pan ? 'a PAN' : 'a PAN, D and track 2',
    'something else',
  )
}
