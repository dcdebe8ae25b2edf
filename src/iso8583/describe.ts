/**
 * A message for people: every bit of the bitmap, every field with its offset, name and meaning, the objects inside DE 55,
 * 48, 54, 90 and 95; of a broken message how far it got and why it stopped.
 */
import { parseAdditionalAmounts } from './additionalAmounts.ts'
import { parseTlv, type Tlv } from './berTlv.ts'
import { hexValue } from './coding.ts'
import { decode } from './decode.ts'
import { emvTagName } from './emvTags.ts'
import type { Fault } from './fault.ts'
import { maskField, maskPrivateDatum, maskTlv } from './masking.ts'
import { accountTypeMeaning, amountMeaning, amountTypeMeaning, fieldMeaning, mtiMeaning } from './meaning.ts'
import { DecodedMessage, type Message } from './message.ts'
import type { FieldSpec, MessageSpec } from './messageSpec.ts'
import { parseOriginalData } from './originalData.ts'
import { parsePrivateData } from './privateData.ts'
import { parseReplacementAmounts } from './replacementAmounts.ts'

export interface DescribeOptions {
  /** Card data masked; without it nothing is held back. */
  readonly mask: boolean
}

export interface Description {
  readonly ok: boolean
  readonly spec: string
  readonly title: string
  /** Length of the message. */
  readonly bytes: number
  readonly mti: DescribedPart | undefined
  /** One entry a byte of the bitmaps. */
  readonly bitmap: readonly BitmapByte[]
  readonly fields: readonly DescribedField[]
  /** Why it stopped, where it did. */
  readonly error: Fault | undefined
}

export interface BitmapByte {
  readonly offset: number
  readonly hex: string
  readonly bits: string
  /** Data elements whose bits are set. */
  readonly fields: readonly number[]
}

export interface DescribedPart {
  readonly name: string
  readonly value: string
  readonly meaning: string
}

export interface DescribedField extends DescribedPart {
  readonly de: number
  /** First byte in the message, length prefix included. */
  readonly offset: number
  /** Bytes on the wire, length prefix included. */
  readonly length: number
  readonly format: string
  /** What is inside a structured field. */
  readonly parts: readonly DescribedPart[]
}

/** The annotated text, lines separated by line feeds. */
export function describe(spec: MessageSpec, bytes: Buffer, options: DescribeOptions): string {
  return describeText(inspect(spec, bytes, options))
}

/** The same as data. */
export function inspect(spec: MessageSpec, bytes: Buffer, options: DescribeOptions): Description {
  const decoded = decode(spec, bytes)
  const message = decoded.ok ? decoded.message : decoded.error.partial
  const used = message?.spec ?? spec
  return {
    ok: decoded.ok,
    spec: spec.name,
    title: spec.title,
    bytes: bytes.length,
    mti: message && { name: 'Message type', value: message.mti, meaning: mtiMeaning(message.mti) },
    bitmap: message === undefined ? [] : bitmapRows(used, bytes),
    fields: message === undefined ? [] : describeFields(message, options),
    error: decoded.ok ? undefined : withoutPartial(decoded.error),
  }
}

/** The fields of a message that is already decoded. */
export function describeFields(message: Message, options: DescribeOptions): DescribedField[] {
  const currency = message.text(49)
  return message.fields().flatMap((de) => {
    const field = message.spec.fields[de]
    const text = message.text(de)
    if (field === undefined || text === undefined) return []
    const place = message instanceof DecodedMessage ? message.place(de) : undefined
    return [
      {
        de,
        name: field.name,
        format: field.format,
        offset: place?.offset ?? 0,
        length: place === undefined ? 0 : place.end - place.offset,
        value: options.mask ? maskField(field, text) : text,
        meaning: fieldMeaning(de, text, currency),
        parts: describeParts(field, message, text, options),
      },
    ]
  })
}

/** One line a field: for listings that show request and answer. */
export function fieldLine(field: DescribedField): string {
  const value = field.meaning === '' ? field.value : `${field.value}  (${field.meaning})`
  return `DE ${String(field.de).padEnd(3)} ${field.format.padEnd(11)} ${field.name.padEnd(NAME_WIDTH)} ${value}`
}

const NAME_WIDTH = 44

function describeText(description: Description): string {
  const lines = [`${description.title} (${description.spec}), ${String(description.bytes)} bytes`, '']
  if (description.mti !== undefined) lines.push(row(0, `MTI    ${description.mti.value}  ${description.mti.meaning}`))
  for (const { offset, hex, bits, fields } of description.bitmap) {
    const names = fields.map((de) => (de === 1 ? 'secondary bitmap' : String(de))).join(', ')
    lines.push(row(offset, `bitmap ${hex} ${bits}  ${names}`.trimEnd()))
  }
  for (const field of description.fields) {
    lines.push(row(field.offset, fieldLine(field)))
    for (const part of field.parts) {
      const meaning = part.meaning === '' ? '' : `  (${part.meaning})`
      lines.push(`${' '.repeat(OFFSET_WIDTH + 9)}${part.name.padEnd(NAME_WIDTH + 9)} ${part.value}${meaning}`)
    }
  }
  lines.push('', description.error === undefined ? 'valid' : explain(description.error))
  return lines.join('\n') + '\n'
}

const OFFSET_WIDTH = 5

function row(offset: number, text: string): string {
  return `${String(offset).padStart(OFFSET_WIDTH)}  ${text}`
}

function explain(error: Fault): string {
  return `broken at byte ${String(error.offset)}, ${error.path}: ${error.code}; expected ${error.expected}, found ${error.found}`
}

function withoutPartial(error: Fault): Fault {
  return { code: error.code, path: error.path, offset: error.offset, expected: error.expected, found: error.found }
}

function bitmapRows(spec: MessageSpec, bytes: Buffer): BitmapByte[] {
  const start = spec.mti === 'bcd' ? 2 : 4
  const width = spec.bitmap === 'hex' ? 2 : 1
  const rows: BitmapByte[] = []
  let count = spec.bitmapForm === 'double' ? 16 : 8
  for (let i = 0; i < count; i++) {
    const offset = start + i * width
    if (offset + width > bytes.length) break
    const value = width === 2 ? hexByte(bytes, offset) : (bytes[offset] ?? 0)
    if (value === undefined) break
    if (i === 0 && value >= 0x80 && spec.bitmapForm === 'expanding') count = 16
    const bits = value.toString(2).padStart(8, '0')
    const fields = Array.from(bits).flatMap((bit, index) => (bit === '1' ? [i * 8 + index + 1] : []))
    rows.push({ offset, hex: value.toString(16).toUpperCase().padStart(2, '0'), bits, fields })
  }
  return rows
}

/** The byte that two hexadecimal characters write; undefined where one of them is none, as decode has it. */
function hexByte(bytes: Buffer, offset: number): number | undefined {
  const high = hexValue(bytes[offset] ?? 0)
  const low = hexValue(bytes[offset + 1] ?? 0)
  return high > 15 || low > 15 ? undefined : (high << 4) | low
}

function describeParts(field: FieldSpec, message: Message, text: string, options: DescribeOptions): DescribedPart[] {
  switch (field.de) {
    case 48: {
      const parsed = parsePrivateData(text)
      if (!parsed.ok) return []
      return parsed.value.map(({ tag, value }) =>
        part(`${tag} ${PRIVATE_TAGS[tag] ?? ''}`, options.mask ? maskPrivateDatum(tag, value) : value),
      )
    }
    case 54: {
      const parsed = parseAdditionalAmounts(text)
      if (!parsed.ok) return []
      return parsed.value.map((amount) => {
        const name = `${amountTypeMeaning(amount.amountType)}, ${accountTypeMeaning(amount.accountType)}`
        return part(
          name,
          `${amount.sign} ${String(amount.amount)} ${amount.currency}`,
          amountMeaning(amount.amount, amount.currency),
        )
      })
    }
    case 55: {
      const parsed = parseTlv(message.bytes(55) ?? Buffer.alloc(0))
      return parsed.ok ? describeTlv(parsed.value, 0, options) : []
    }
    case 90: {
      const parsed = parseOriginalData(text)
      return parsed.ok
        ? Object.entries(parsed.value).map(([name, value]) => part(ORIGINAL_PARTS[name] ?? name, String(value)))
        : []
    }
    case 95: {
      const parsed = parseReplacementAmounts(text)
      return parsed.ok
        ? [
            part('transaction amount', String(parsed.value.transactionAmount)),
            part('settlement amount', String(parsed.value.settlementAmount)),
          ]
        : []
    }
    default:
      return []
  }
}

function describeTlv(objects: readonly Tlv[], depth: number, options: DescribeOptions): DescribedPart[] {
  return objects.flatMap(({ tag, value, children }) => {
    const name = `${'  '.repeat(depth)}${tag} ${emvTagName(tag) ?? ''}`
    if (children !== undefined) return [part(name, `${String(value.length)} bytes`), ...describeTlv(children, depth + 1, options)]
    const hex = value.toString('hex').toUpperCase()
    return [part(name, options.mask ? maskTlv(tag, hex) : hex)]
  })
}

function part(name: string, value: string, meaning = ''): DescribedPart {
  return { name: name.trimEnd(), value, meaning }
}

const ORIGINAL_PARTS: Readonly<Record<string, string>> = {
  mti: "original's MTI",
  stan: "original's STAN",
  transmissionTime: "original's transmission time",
  acquirerId: "original's acquirer",
  forwarderId: "original's forwarder",
}

const PRIVATE_TAGS: Readonly<Record<string, string>> = {
  LV: 'loaves',
  DY: 'days drawn',
  BK: 'basket',
  BR: 'fingerprint result',
  BM: 'fingerprint modality',
  SC: 'health service class',
  PC: 'partial approval accepted',
  TR: 'tries left',
  CV: 'cover class and valid-to date',
  RM: 'reason',
  HR: 'why the card is hot',
  RF: 'number of the report',
}
