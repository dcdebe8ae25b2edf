/**
 * Bytes to message. Strict and total: for any bytes it returns a message or a typed error, reads nothing beyond the
 * frame and leaves nothing of it unread. It looks at every byte once and makes no text but that of structured fields.
 */
import { contentText, hexValue, isBcd, wireBytes, wrongByte } from './coding.ts'
import { fault, type Fault } from './fault.ts'
import { isSensitive } from './masking.ts'
import { contentBytes, DecodedMessage, type Message } from './message.ts'
import type { FieldSpec, MessageSpec } from './messageSpec.ts'
import { chipDataFault, DE_CHIP_DATA, isStructured, structureFault } from './structure.ts'

export interface DecodeError extends Fault {
  /**
   * MTI and every field that could be read, those behind the fault too where the fault was one of content and not of
   * length; undefined where there was no MTI. With STAN and terminal in it the message can be answered 30.
   */
  readonly partial: Message | undefined
}

export type Decoded = { readonly ok: true; readonly message: Message } | { readonly ok: false; readonly error: DecodeError }

/** The message keeps `frame`: nobody may write into it afterwards. */
export function decode(spec: MessageSpec, frame: Buffer): Decoded {
  const decoded = decodeForm(spec, frame)
  if (decoded.ok || spec.alternative === undefined) return decoded
  // The standard's bitmap form wins.
  const other = decodeForm(spec.alternative, frame)
  return other.ok || isOtherForm(spec, frame, decoded.error) ? other : decoded
}

/** Beyond the first bitmap: those that a message of the switch's kinds has (DE 70, 90, 95, 128), never what digits of a number look like. */
const SECONDARY_FIELDS_MAX = 4

/**
 * Of two failures: the one of the form with two bitmaps always counts only where what stands behind the first bitmap looks like a second one and
 * makes no sense as a field. Fields that are read from a wrong place on would be answered as if they were others.
 */
function isOtherForm(spec: MessageSpec, frame: Buffer, standard: DecodeError): boolean {
  const start = (spec.mti === 'bcd' ? 2 : 4) + bitmapBytes(spec, [0])
  if (standard.offset < start || standard.offset >= start + bitmapBytes(spec, [0])) return false
  const bits = [0, 0, 0, 0]
  if (spec.alternative === undefined || readBitmap(spec.alternative, frame, spec.mti === 'bcd' ? 2 : 4, bits) !== undefined)
    return false
  return bitCount(bits[2] ?? 0) + bitCount(bits[3] ?? 0) <= SECONDARY_FIELDS_MAX
}

function bitCount(word: number): number {
  let count = 0
  for (let rest = word; rest !== 0; rest &= rest - 1) count++
  return count
}

function decodeForm(spec: MessageSpec, frame: Buffer): Decoded {
  const mtiBytes = spec.mti === 'bcd' ? 2 : 4
  const mti = readMti(spec, frame, mtiBytes)
  if (mti === undefined) {
    const code = frame.length < mtiBytes ? 'truncated' : 'bad-mti'
    return failure(fault(code, 'MTI', 0, 'four digits', byteText(frame, 0, Math.min(mtiBytes, frame.length))), undefined)
  }
  const message = new DecodedMessage(spec, mti, frame)
  const bits = [0, 0, 0, 0]
  const wrong = readBitmap(spec, frame, mtiBytes, bits)
  if (wrong !== undefined) return failure(wrong, message)
  return decodeFields(spec, frame, mtiBytes + bitmapBytes(spec, bits), bits, message)
}

function decodeFields(
  spec: MessageSpec,
  frame: Buffer,
  start: number,
  bits: readonly number[],
  message: DecodedMessage,
): Decoded {
  let first: Fault | undefined
  let at = start
  for (let word = 0; word < 4; word++) {
    // Bits 1 and 65 announce bitmaps and are no fields.
    let rest = (bits[word] ?? 0) & (word % 2 === 0 ? 0x7fffffff : -1)
    while (rest !== 0) {
      const bit = Math.clz32(rest)
      rest &= ~(0x80000000 >>> bit)
      const de = word * 32 + bit + 1
      const field = spec.fields[de]
      if (field === undefined) return failure(first ?? fault('not-a-field', path(de), at, 'a data element', 'none'), message)
      const length = field.lengthDigits === 0 ? field.max : readLength(field, spec.lengths, frame, at)
      const contentAt = at + field.lengthBytes
      if (length <= 0 || length > field.max) return failure(first ?? lengthFault(field, frame, at, length), message)
      const end = contentAt + wireBytes(field, length)
      if (end > frame.length) return failure(first ?? contentMissing(field, frame, contentAt, end), message)
      const wrong = contentFault(field, frame, contentAt, length)
      if (wrong === undefined) message.add(de, contentAt, length)
      else first ??= wrong
      at = end
    }
  }
  if (first === undefined && at < frame.length) {
    first = fault('trailing-bytes', 'message', at, 'the end of the message', `${String(frame.length - at)} more bytes`)
  }
  return first === undefined ? { ok: true, message } : failure(first, message)
}

function failure(error: Fault, partial: Message | undefined): Decoded {
  return { ok: false, error: { ...error, partial } }
}

/** Bytes of the frame for an error, in hexadecimal. Never more than a length or an MTI. */
function byteText(frame: Buffer, at: number, count: number): string {
  return count === 0 ? 'nothing' : `${count === 1 ? 'byte' : 'bytes'} ${frame.toString('hex', at, at + count).toUpperCase()}`
}

function path(de: number): string {
  return `DE ${String(de)}`
}

function readMti(spec: MessageSpec, frame: Buffer, mtiBytes: number): string | undefined {
  if (frame.length < mtiBytes) return undefined
  for (let i = 0; i < mtiBytes; i++) {
    const byte = frame[i] ?? 0
    if (mtiBytes === 2 ? !isBcd(byte) : byte < 0x30 || byte > 0x39) return undefined
  }
  return spec.mti === 'bcd' ? frame.toString('hex', 0, 2) : frame.toString('latin1', 0, 4)
}

/** Wire bytes of all bitmaps. */
function bitmapBytes(spec: MessageSpec, bits: readonly number[]): number {
  const one = spec.bitmap === 'hex' ? 16 : 8
  return spec.bitmapForm === 'double' || (bits[0] ?? 0) < 0 ? one * 2 : one
}

/** Fills `bits` with four words of 32, the lowest data element in the highest bit. */
function readBitmap(spec: MessageSpec, frame: Buffer, at: number, bits: number[]): Fault | undefined {
  const wordBytes = spec.bitmap === 'hex' ? 8 : 4
  for (let word = 0; word < 4; word++) {
    if (word === 2 && spec.bitmapForm === 'expanding' && (bits[0] ?? 0) >= 0) break
    const start = at + word * wordBytes
    if (start + wordBytes > frame.length) {
      return fault('truncated', 'bitmap', start, `${String(wordBytes)} bytes`, `${String(frame.length - start)} bytes`)
    }
    const wrong = spec.bitmap === 'hex' ? readHexWord(frame, start, word, bits) : readWord(frame, start, word, bits)
    if (wrong >= 0) return fault('bad-bitmap', 'bitmap', wrong, 'hexadecimal characters', byteText(frame, wrong, 1))
  }
  if (spec.bitmapForm === 'double' && (bits[0] ?? 0) < 0) {
    return fault('bad-bitmap', 'bitmap', at, 'bit 1 clear, both bitmaps being always there', 'bit 1 set')
  }
  if ((bits[2] ?? 0) < 0) {
    return fault('third-bitmap', 'bitmap', at + 2 * wordBytes, 'bit 65 clear: no third bitmap', 'bit 65 set')
  }
  return undefined
}

function readWord(frame: Buffer, start: number, word: number, bits: number[]): number {
  bits[word] =
    ((frame[start] ?? 0) << 24) | ((frame[start + 1] ?? 0) << 16) | ((frame[start + 2] ?? 0) << 8) | (frame[start + 3] ?? 0)
  return -1
}

function readHexWord(frame: Buffer, start: number, word: number, bits: number[]): number {
  let value = 0
  for (let i = start; i < start + 8; i++) {
    const nibble = hexValue(frame[i] ?? 0)
    if (nibble > 15) return i
    value = (value << 4) | nibble
  }
  bits[word] = value
  return -1
}

const TRUNCATED = -1
const NOT_A_NUMBER = -2
const ODD = -3

/** Content length of a variable field in digits, characters or bytes; negative where there is none to read. */
function readLength(field: FieldSpec, lengths: 'ascii' | 'bcd', frame: Buffer, at: number): number {
  if (at + field.lengthBytes > frame.length) return TRUNCATED
  let length = 0
  for (let i = at; i < at + field.lengthBytes; i++) {
    const byte = frame[i] ?? 0
    if (lengths === 'bcd') {
      if (!isBcd(byte)) return NOT_A_NUMBER
      length = length * 100 + (byte >> 4) * 10 + (byte & 15)
    } else {
      if (byte < 0x30 || byte > 0x39) return NOT_A_NUMBER
      length = length * 10 + byte - 0x30
    }
  }
  if (field.coding !== 'hex') return length
  return length % 2 === 0 ? length / 2 : ODD
}

function lengthFault(field: FieldSpec, frame: Buffer, at: number, length: number): Fault {
  const expected = `a length of ${String(field.lengthDigits)} digits, 1 to ${String(field.coding === 'hex' ? field.max * 2 : field.max)}`
  switch (length) {
    case TRUNCATED:
      return fault('truncated', path(field.de), at, expected, `${String(frame.length - at)} bytes`)
    case NOT_A_NUMBER:
      return fault('bad-length', path(field.de), at, expected, byteText(frame, at, field.lengthBytes))
    case ODD:
      return fault('bad-length', path(field.de), at, 'an even number of hexadecimal characters', 'an odd one')
    default:
      return fault('bad-length', path(field.de), at, expected, String(field.coding === 'hex' ? length * 2 : length))
  }
}

function contentMissing(field: FieldSpec, frame: Buffer, at: number, end: number): Fault {
  return fault('truncated', path(field.de), at, `${String(end - at)} bytes`, `${String(Math.max(0, frame.length - at))} bytes`)
}

function contentFault(field: FieldSpec, frame: Buffer, at: number, length: number): Fault | undefined {
  const wrong = wrongByte(field, frame, at, length)
  if (wrong >= 0) {
    const found = isSensitive(field.de) ? 'another byte' : byteText(frame, wrong, 1)
    return fault('bad-character', path(field.de), wrong, `${field.format} in ${field.coding}`, found)
  }
  if (!isStructured(field.de)) return undefined
  const inside =
    field.de === DE_CHIP_DATA && field.type === 'b'
      ? chipDataFault(contentBytes(field, frame, at, length))
      : structureFault(field.de, contentText(field, frame, at, length))
  if (inside === undefined) return undefined
  return {
    ...inside,
    path: inside.path === '' ? path(field.de) : `${path(field.de)}.${inside.path}`,
    offset: at + (field.coding === 'hex' ? inside.offset * 2 : inside.offset),
  }
}
