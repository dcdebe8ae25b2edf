/** Message to bytes. Refuses what decode would refuse, so that whatever leaves the switch can be read. */
import { assert } from '../assert.ts'
import { wireBytes, writeText } from './coding.ts'
import { fault, type Fault } from './fault.ts'
import { FieldContent } from './message.ts'
import type { FieldSpec, MessageSpec } from './messageSpec.ts'
import { chipDataFault, DE_CHIP_DATA, isStructured, structureFault } from './structure.ts'

/** Text as Message.text gives it; a binary field takes bytes or hexadecimal text. */
export type FieldValue = string | Uint8Array
/** Sparse, indexed by data element number. What is carried on (Message.carried) comes from a message of the same dialect. */
export type FieldValues = (FieldValue | FieldContent | undefined)[]

export type EncodeError = Fault
export type Encoded = { readonly ok: true; readonly bytes: Buffer } | { readonly ok: false; readonly error: EncodeError }

/**
 * Lenient in one way only: a shorter value of a fixed n or x+n field gets zeros on the left, of a fixed an, ans or ns
 * field spaces on the right. The bytes are the caller's own.
 */
export function encode(spec: MessageSpec, mti: string, fields: FieldValues): Encoded {
  if (!/^\d{4}$/.test(mti))
    return { ok: false, error: fault('bad-mti', 'MTI', 0, 'four digits', `${String(mti.length)} characters`) }
  const into = scratch(spec.bytesMax)
  const mtiBytes = writeMti(spec, mti, into)
  const isDouble = spec.bitmapForm === 'double'
  const secondary = isDouble || hasSecondary(fields)
  const bits = [secondary && !isDouble ? 1 << 31 : 0, 0, 0, 0]
  const bitmapBytes = (secondary ? 16 : 8) * (spec.bitmap === 'hex' ? 2 : 1)
  let at = mtiBytes + bitmapBytes
  for (let de = 0; de < fields.length; de++) {
    const value = fields[de]
    if (value === undefined) continue
    const field = de === 1 || de === 65 ? undefined : spec.fields[de]
    if (field === undefined)
      return { ok: false, error: fault('not-a-field', path(de), 0, 'DE 2 to 64 or 66 to 128', 'no field of its own') }
    const end = writeField(spec, field, value, into, at)
    if (typeof end !== 'number') return { ok: false, error: end }
    const word = (de - 1) >> 5
    bits[word] = (bits[word] ?? 0) | (1 << (31 - ((de - 1) & 31)))
    at = end
  }
  writeBitmap(spec, bits, secondary ? 4 : 2, into, mtiBytes)
  const bytes = Buffer.allocUnsafe(at)
  into.copy(bytes, 0, 0, at)
  return { ok: true, bytes }
}

let scratchBuffer = Buffer.alloc(0)

/** One buffer for all messages: encode runs to its end before anybody else can call it. */
function scratch(bytes: number): Buffer {
  if (scratchBuffer.length < bytes) scratchBuffer = Buffer.alloc(bytes)
  return scratchBuffer
}

function path(de: number): string {
  return `DE ${String(de)}`
}

/** Whether there are fields for a second bitmap. */
export function hasSecondary(fields: FieldValues): boolean {
  for (let de = 66; de < fields.length; de++) {
    if (fields[de] !== undefined) return true
  }
  return false
}

function writeMti(spec: MessageSpec, mti: string, into: Buffer): number {
  if (spec.mti === 'ascii') {
    for (let i = 0; i < 4; i++) into[i] = mti.charCodeAt(i)
    return 4
  }
  into[0] = (((mti.charCodeAt(0) & 15) << 4) | (mti.charCodeAt(1) & 15)) & 0xff
  into[1] = (((mti.charCodeAt(2) & 15) << 4) | (mti.charCodeAt(3) & 15)) & 0xff
  return 2
}

function writeBitmap(spec: MessageSpec, bits: readonly number[], words: number, into: Buffer, at: number): void {
  let next = at
  for (let word = 0; word < words; word++) {
    const value = bits[word] ?? 0
    for (let shift = 28; shift >= 0; shift -= 4) {
      const nibble = (value >>> shift) & 15
      if (spec.bitmap === 'hex') into[next++] = nibble < 10 ? 0x30 + nibble : 0x37 + nibble
      else if (shift % 8 === 0) into[next++] = (value >>> shift) & 0xff
    }
  }
}

/** The offset behind the field, or why it cannot be written. */
function writeField(
  spec: MessageSpec,
  field: FieldSpec,
  value: FieldValue | FieldContent,
  into: Buffer,
  at: number,
): number | Fault {
  if (value instanceof FieldContent) return writeContent(spec, field, value, into, at)
  const text = typeof value === 'string' ? value : field.type === 'b' ? undefined : latin1(value)
  if (text === undefined) return writeBytes(spec, field, value as Uint8Array, into, at)
  if (field.type === 'b' && text.length % 2 === 1) {
    return fault('bad-length', path(field.de), 0, 'an even number of hexadecimal characters', `${String(text.length)} characters`)
  }
  const padded = field.lengthDigits === 0 ? pad(field, text) : text
  const length = field.type === 'b' ? padded.length >> 1 : padded.length
  if (!fits(field, length) || text.length === 0) return wrongLength(field, text.length)
  const contentAt = writeLength(spec, field, length, into, at)
  const end = writeText(field, padded, into, contentAt)
  if (end < 0) return fault('bad-character', path(field.de), 0, `${field.format} in ${field.coding}`, 'another character')
  return structure(field, padded, into, contentAt, end) ?? end
}

/** What decode has checked needs no other look. */
function writeContent(
  spec: MessageSpec,
  field: FieldSpec,
  { frame, start, length }: FieldContent,
  into: Buffer,
  at: number,
): number {
  const contentAt = writeLength(spec, field, length, into, at)
  const bytes = wireBytes(field, length)
  for (let i = 0; i < bytes; i++) into[contentAt + i] = frame[start + i] ?? 0
  return contentAt + bytes
}

function writeBytes(spec: MessageSpec, field: FieldSpec, bytes: Uint8Array, into: Buffer, at: number): number | Fault {
  if (!fits(field, bytes.length)) return wrongLength(field, bytes.length)
  const contentAt = writeLength(spec, field, bytes.length, into, at)
  if (field.coding === 'binary') into.set(bytes, contentAt)
  else into.write(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex').toUpperCase(), contentAt, 'latin1')
  const end = contentAt + wireBytes(field, bytes.length)
  return structure(field, undefined, into, contentAt, end, bytes) ?? end
}

function fits(field: FieldSpec, length: number): boolean {
  return field.lengthDigits === 0 ? length === field.max : length > 0 && length <= field.max
}

function wrongLength(field: FieldSpec, length: number): Fault {
  return fault(
    'bad-length',
    path(field.de),
    0,
    field.format,
    `${String(length)} ${field.type === 'b' ? 'bytes or characters' : 'characters'}`,
  )
}

function pad(field: FieldSpec, text: string): string {
  if (text.length >= field.max) return text
  switch (field.type) {
    case 'n':
      return text.padStart(field.max, '0')
    case 'x+n':
      return text.slice(0, 1) + text.slice(1).padStart(field.max - 1, '0')
    case 'an':
    case 'ans':
    case 'ns':
      return text.padEnd(field.max, ' ')
    case 'z':
    case 'b':
      return text
  }
}

function writeLength(spec: MessageSpec, field: FieldSpec, length: number, into: Buffer, at: number): number {
  if (field.lengthBytes === 0) return at
  let rest = field.coding === 'hex' ? length * 2 : length
  for (let i = at + field.lengthBytes - 1; i >= at; i--) {
    if (spec.lengths === 'bcd') {
      const pair = rest % 100
      into[i] = (Math.trunc(pair / 10) << 4) | (pair % 10)
      rest = Math.trunc(rest / 100)
    } else {
      into[i] = 0x30 + (rest % 10)
      rest = Math.trunc(rest / 10)
    }
  }
  assert(rest === 0, 'a length fits its digits')
  return at + field.lengthBytes
}

function structure(
  field: FieldSpec,
  text: string | undefined,
  into: Buffer,
  contentAt: number,
  end: number,
  bytes?: Uint8Array,
): Fault | undefined {
  if (!isStructured(field.de)) return undefined
  const inside =
    field.de === DE_CHIP_DATA && field.type === 'b'
      ? chipDataFault(bytes ?? (field.coding === 'hex' ? Buffer.from(text ?? '', 'hex') : into.subarray(contentAt, end)))
      : structureFault(field.de, text ?? '')
  if (inside === undefined) return undefined
  return { ...inside, path: inside.path === '' ? path(field.de) : `${path(field.de)}.${inside.path}` }
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1')
}
