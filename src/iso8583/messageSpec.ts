/**
 * The three dialects of ISO 8583:1987 as data: `spec/iso8583-1987-*.json` says of each data element its name, its
 * format in the standard's own notation (`n 6`, `n ..19` for LLVAR, `ans ...999` for LLLVAR) and how it is coded on the
 * wire. A wrong file fails when it is loaded and the error names the field; no message ever meets a wrong spec.
 */
import { readFileSync } from 'node:fs'

export type SpecName = 'ascii' | 'bcd' | 'hex'
export const SPEC_NAMES: readonly SpecName[] = ['ascii', 'bcd', 'hex']

/** ISO 8583-1:1987 section 4.2: numeric, alphabetic, special, track, binary; `x+n` is a C or D and an amount. */
export type FieldType = 'n' | 'x+n' | 'an' | 'ans' | 'ns' | 'z' | 'b'

/** One character a byte, two digits a byte, bytes as they are, or bytes as two hexadecimal characters each. */
export type Coding = 'ascii' | 'bcd' | 'binary' | 'hex'

/**
 * `expanding`: eight bytes, and eight more where bit 1 is set, as the standard has it. `double`: always sixteen bytes
 * with bit 1 clear, as moov-io/iso8583 packs its Spec87ASCII since the length of its bitmap field (16) is honoured.
 */
export type BitmapForm = 'expanding' | 'double'

export interface FieldSpec {
  readonly de: number
  readonly name: string
  readonly type: FieldType
  /** The format as the spec file writes it. */
  readonly format: string
  readonly note: string | undefined
  readonly coding: Coding
  /** Digits of the length in front of the content: 0 (fixed), 2 (LLVAR) or 3 (LLLVAR). */
  readonly lengthDigits: number
  /** Bytes that these digits take. */
  readonly lengthBytes: number
  /** Length of the content, or the longest of a variable one: digits, characters, or bytes of a binary field. */
  readonly max: number
  /** On which side an odd number of BCD digits gets its zero nibble. */
  readonly oddDigits: 'left' | 'right'
}

export interface MessageSpec {
  readonly name: SpecName
  readonly title: string
  readonly mti: 'ascii' | 'bcd'
  readonly lengths: 'ascii' | 'bcd'
  readonly bitmap: 'binary' | 'hex'
  readonly bitmapForm: BitmapForm
  /** By data element number; 0 is not used. */
  readonly fields: readonly (FieldSpec | undefined)[]
  /** The same dialect with its other bitmap form: tried where a message does not decode with this one. */
  readonly alternative: MessageSpec | undefined
  /** The longest message that this spec can write. */
  readonly bytesMax: number
}

/** A spec file that cannot be used. */
export class MessageSpecError extends Error {
  override readonly name = 'MessageSpecError'
}

/** The last data element. */
export const FIELD_MAX = 128
const loaded = new Map<SpecName, MessageSpec>()

/** @throws MessageSpecError where the file is missing or wrong */
export function messageSpec(name: SpecName): MessageSpec {
  const known = loaded.get(name)
  if (known !== undefined) return known
  const file = new URL(`../../spec/iso8583-1987-${name}.json`, import.meta.url)
  const spec = parseMessageSpec(JSON.parse(readFileSync(file, 'utf8')))
  if (spec.name !== name) throw new MessageSpecError(`spec ${name}: the file is named ${spec.name} inside`)
  loaded.set(name, spec)
  return spec
}

/** Checks a spec file's content. @throws MessageSpecError that names the spec and the field */
export function parseMessageSpec(value: unknown): MessageSpec {
  const file = record(value, 'spec')
  const name = oneOf(file['name'], SPEC_NAMES, 'spec: name')
  const at = `spec ${name}`
  const coding = record(file['coding'], `${at}: coding`)
  const odd = file['oddDigits'] === undefined ? undefined : record(file['oddDigits'], `${at}: oddDigits`)
  const dialect: Dialect = {
    at,
    lengths: oneOf(file['lengths'], ['ascii', 'bcd'], `${at}: lengths`),
    digits: oneOf(coding['digits'], ['ascii', 'bcd'], `${at}: coding.digits`),
    binary: oneOf(coding['binary'], ['binary', 'hex'], `${at}: coding.binary`),
    oddFixed: oneOf(odd?.['fixed'] ?? 'left', ['left', 'right'], `${at}: oddDigits.fixed`),
    oddVariable: oneOf(odd?.['variable'] ?? 'right', ['left', 'right'], `${at}: oddDigits.variable`),
  }
  const fields = parseFields(record(file['fields'], `${at}: fields`), dialect)
  const [form, ...others] = forms(file['bitmapForms'], at)
  const spec = {
    name,
    title: text(file['title'], `${at}: title`),
    mti: oneOf(file['mti'], ['ascii', 'bcd'], `${at}: mti`),
    lengths: dialect.lengths,
    bitmap: oneOf(file['bitmap'], ['binary', 'hex'], `${at}: bitmap`),
    fields,
    bytesMax: 4 + 32 + fields.reduce((sum, field) => sum + (field === undefined ? 0 : longest(field)), 0),
  }
  const alternative = others[0] === undefined ? undefined : { ...spec, bitmapForm: others[0], alternative: undefined }
  return { ...spec, bitmapForm: form, alternative }
}

interface Dialect {
  readonly at: string
  readonly lengths: 'ascii' | 'bcd'
  readonly digits: 'ascii' | 'bcd'
  readonly binary: 'binary' | 'hex'
  readonly oddFixed: 'left' | 'right'
  readonly oddVariable: 'left' | 'right'
}

function parseFields(entries: Readonly<Record<string, unknown>>, dialect: Dialect): (FieldSpec | undefined)[] {
  const fields: (FieldSpec | undefined)[] = [undefined]
  for (let de = 1; de <= FIELD_MAX; de++) {
    const at = `${dialect.at}: DE ${String(de)}`
    if (entries[de] === undefined) throw new MessageSpecError(`${at} is missing`)
    fields.push(parseField(de, record(entries[de], at), dialect, at))
  }
  const extra = Object.keys(entries).find((key) => fields[Number(key)]?.de !== Number(key) || key !== String(Number(key)))
  if (extra !== undefined) throw new MessageSpecError(`${dialect.at}: there is no DE ${extra}`)
  return fields
}

const FORMAT = /^(n|x\+n|an|ans|ns|z|b) (\.{0,3})(\d{1,3})$/
const FIELD_KEYS = new Set(['name', 'format', 'coding', 'note'])

function parseField(de: number, entry: Readonly<Record<string, unknown>>, dialect: Dialect, at: string): FieldSpec {
  const unknown = Object.keys(entry).find((key) => !FIELD_KEYS.has(key))
  if (unknown !== undefined) throw new MessageSpecError(`${at}: unknown property ${unknown}`)
  const format = text(entry['format'], `${at}: format`)
  const [, typeText, dots = '', size = ''] = FORMAT.exec(format) ?? []
  if (typeText === undefined || dots.length === 1)
    throw new MessageSpecError(`${at}: format "${format}" is none of the standard's`)
  const type = typeText as FieldType
  const standard = type === 'b' ? dialect.binary : type === 'n' || type === 'x+n' || type === 'z' ? dialect.digits : 'ascii'
  const coding = oneOf<Coding>(entry['coding'] ?? standard, codingsOf(type), `${at}: coding`)
  const lengthDigits = dots.length
  // The sign of an x+n is a character of its own in front of the digits the format counts.
  const max = Number(size) + (type === 'x+n' ? 1 : 0)
  const counted = coding === 'hex' ? max * 2 : max
  if (max === 0) throw new MessageSpecError(`${at}: a length of 0`)
  if (lengthDigits > 0 && counted >= 10 ** lengthDigits) {
    throw new MessageSpecError(`${at}: ${String(counted)} does not fit a length of ${String(lengthDigits)} digits`)
  }
  if (type === 'x+n' && (lengthDigits > 0 || max % 2 === 0))
    throw new MessageSpecError(`${at}: x+n needs a fixed, even number of digits`)
  if ((de === 1 || de === 65) && format !== 'b 8') throw new MessageSpecError(`${at}: a bitmap is b 8`)
  return {
    de,
    name: text(entry['name'], `${at}: name`),
    type,
    format,
    note: entry['note'] === undefined ? undefined : text(entry['note'], `${at}: note`),
    coding,
    lengthDigits,
    lengthBytes: dialect.lengths === 'bcd' ? (lengthDigits + 1) >> 1 : lengthDigits,
    max,
    oddDigits: lengthDigits === 0 ? dialect.oddFixed : dialect.oddVariable,
  }
}

function codingsOf(type: FieldType): readonly Coding[] {
  switch (type) {
    case 'n':
    case 'x+n':
    case 'z':
      return ['ascii', 'bcd']
    case 'b':
      return ['binary', 'hex']
    case 'an':
    case 'ans':
    case 'ns':
      return ['ascii']
  }
}

function longest(field: FieldSpec): number {
  return field.lengthBytes + (field.coding === 'hex' ? field.max * 2 : field.max)
}

function forms(value: unknown, at: string): [BitmapForm, ...BitmapForm[]] {
  if (!Array.isArray(value) || value.length > 2) throw new MessageSpecError(`${at}: bitmapForms must be a list of one or two`)
  const [first, ...others] = value.map((form) => oneOf<BitmapForm>(form, ['expanding', 'double'], `${at}: bitmapForms`))
  if (first === undefined) throw new MessageSpecError(`${at}: bitmapForms is empty`)
  return [first, ...others]
}

function record(value: unknown, at: string): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new MessageSpecError(`${at} must be an object`)
  return value as Readonly<Record<string, unknown>>
}

function text(value: unknown, at: string): string {
  if (typeof value !== 'string' || value === '') throw new MessageSpecError(`${at} must be a text`)
  return value
}

function oneOf<T extends string>(value: unknown, choices: readonly T[], at: string): T {
  const choice = choices.find((candidate) => candidate === value)
  if (choice === undefined) throw new MessageSpecError(`${at} must be one of ${choices.join(', ')}, not ${JSON.stringify(value)}`)
  return choice
}
