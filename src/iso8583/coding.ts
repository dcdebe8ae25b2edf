/**
 * Field content on the wire: how many bytes it takes, whether each of them may be there, and its text. Tables by byte
 * value instead of comparisons, because every byte of every message passes through here.
 */
import { assert } from '../assert.ts'
import type { FieldSpec, FieldType } from './messageSpec.ts'

/** Bytes that `length` digits, characters or (binary) bytes take on the wire. */
export function wireBytes(field: FieldSpec, length: number): number {
  switch (field.coding) {
    case 'ascii':
    case 'binary':
      return length
    case 'hex':
      return length * 2
    case 'bcd':
      // The sign of an x+n is a whole byte; its digits are even in number.
      return field.type === 'x+n' ? 1 + ((length - 1) >> 1) : (length + 1) >> 1
  }
}

/** The first byte of the content that may not be there, as an offset of `frame`; -1 where all may. */
export function wrongByte(field: FieldSpec, frame: Uint8Array, start: number, length: number): number {
  switch (field.coding) {
    case 'binary':
      return -1
    case 'hex':
      return outside(HEX_DIGITS, frame, start, start + length * 2)
    case 'bcd':
      return wrongBcd(field, frame, start, length)
    case 'ascii':
      if (field.type === 'x+n') {
        return isSign(frame[start]) ? outside(CHARACTERS['x+n'], frame, start + 1, start + length) : start
      }
      return outside(CHARACTERS[field.type], frame, start, start + withoutPadding(field, frame, start, length))
  }
}

/** The text of a content that `wrongByte` found right: digits, characters as received, upper-case hexadecimal for binary. */
export function contentText(field: FieldSpec, frame: Buffer, start: number, length: number): string {
  switch (field.coding) {
    case 'ascii':
      return frame.toString('latin1', start, start + length)
    case 'binary':
      return frame.toString('hex', start, start + length).toUpperCase()
    case 'hex':
      return frame.toString('latin1', start, start + length * 2).toUpperCase()
    case 'bcd': {
      if (field.type === 'x+n')
        return String.fromCharCode(frame[start] ?? 0) + frame.toString('hex', start + 1, start + 1 + ((length - 1) >> 1))
      let digits = frame.toString('hex', start, start + ((length + 1) >> 1))
      if (length % 2 === 1) digits = field.oddDigits === 'left' ? digits.slice(1) : digits.slice(0, -1)
      return field.type === 'z' ? digits.replaceAll('d', '=') : digits
    }
  }
}

/**
 * Writes a text as the content of a field and returns the offset behind it; -1 where a character may not be there.
 * `text` has the field's length already.
 */
export function writeText(field: FieldSpec, text: string, into: Uint8Array, at: number): number {
  switch (field.coding) {
    case 'ascii':
      for (let i = 0; i < text.length; i++) {
        const character = text.charCodeAt(i)
        if (character > 255) return -1
        into[at + i] = character
      }
      return wrongByte(field, into, at, text.length) < 0 ? at + text.length : -1
    case 'hex':
      for (let i = 0; i < text.length; i++) into[at + i] = upperHex(text.charCodeAt(i))
      return outside(HEX_DIGITS, into, at, at + text.length) < 0 ? at + text.length : -1
    case 'binary':
      for (let i = 0; i < text.length; i += 2) {
        const high = hexValue(text.charCodeAt(i))
        const low = hexValue(text.charCodeAt(i + 1))
        if (high > 15 || low > 15) return -1
        into[at + (i >> 1)] = (high << 4) | low
      }
      return at + (text.length >> 1)
    case 'bcd':
      return writeBcd(field, text, into, at)
  }
}

/** Value of a hexadecimal character code, 255 for any other. */
export function hexValue(character: number): number {
  return HEX_VALUES[character] ?? 255
}

/** Whether a byte is two decimal digits. */
export function isBcd(byte: number): boolean {
  return BCD_BYTES[byte] === 1
}

const CHARACTERS: Readonly<Record<FieldType, Uint8Array>> = {
  n: characterTable(/[0-9]/),
  an: characterTable(/[A-Za-z0-9]/),
  ans: characterTable(/[ -~]/),
  ns: characterTable(/[ -@[-`{-~]/),
  // ISO/IEC 7811-2 table of tracks 2 and 3 (0 to 9 and six more), and the D that stands for "=" in text.
  z: characterTable(/[0-?D]/),
  // The amount behind the sign.
  'x+n': characterTable(/[0-9]/),
  // Any byte; its hexadecimal form has a table of its own.
  b: new Uint8Array(256).fill(1),
}
const HEX_DIGITS = characterTable(/[0-9A-Fa-f]/)
const HEX_VALUES = Uint8Array.from({ length: 256 }, (_, code) =>
  HEX_DIGITS[code] === 1 ? parseInt(String.fromCharCode(code), 16) : 255,
)
const BCD_BYTES = Uint8Array.from({ length: 256 }, (_, byte) => (byte >> 4 < 10 && (byte & 15) < 10 ? 1 : 0))
/** Nibbles of a BCD track: digits and D, the separator. */
const TRACK_NIBBLES = Uint8Array.from({ length: 16 }, (_, nibble) => (nibble < 10 || nibble === 13 ? 1 : 0))

const SPACE = 0x20
const CREDIT = 0x43
const DEBIT = 0x44

function characterTable(characters: RegExp): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, code) => (code < 128 && characters.test(String.fromCharCode(code)) ? 1 : 0))
}

function outside(table: Uint8Array, frame: Uint8Array, start: number, end: number): number {
  for (let i = start; i < end; i++) {
    if (table[frame[i] ?? 0] === 0) return i
  }
  return -1
}

/** A shorter value of a fixed an field is padded with spaces on the right; nowhere else may an an field hold one. */
function withoutPadding(field: FieldSpec, frame: Uint8Array, start: number, length: number): number {
  if (field.type !== 'an' || field.lengthDigits > 0) return length
  let end = length
  while (end > 0 && frame[start + end - 1] === SPACE) end--
  return end
}

function isSign(byte: number | undefined): boolean {
  return byte === CREDIT || byte === DEBIT
}

function wrongBcd(field: FieldSpec, frame: Uint8Array, start: number, length: number): number {
  if (field.type === 'x+n') {
    return isSign(frame[start]) ? outside(BCD_BYTES, frame, start + 1, start + 1 + ((length - 1) >> 1)) : start
  }
  let first = start
  let end = start + ((length + 1) >> 1)
  if (length % 2 === 1) {
    if (field.oddDigits === 'left') {
      if ((frame[first] ?? 0) > 9) return first
      first++
    } else {
      // The dialect pads with 0; F is common too and cannot be mistaken for a digit.
      end--
      const last = frame[end] ?? 0
      const pad = last & 15
      if ((pad !== 0 && pad !== 15) || !isNibble(field, last >> 4)) return end
    }
  }
  if (field.type === 'n') return outside(BCD_BYTES, frame, first, end)
  for (let i = first; i < end; i++) {
    const byte = frame[i] ?? 0
    if (!isNibble(field, byte >> 4) || !isNibble(field, byte & 15)) return i
  }
  return -1
}

function isNibble(field: FieldSpec, nibble: number): boolean {
  return field.type === 'z' ? TRACK_NIBBLES[nibble] === 1 : nibble < 10
}

function writeBcd(field: FieldSpec, text: string, into: Uint8Array, at: number): number {
  let next = at
  let i = 0
  if (field.type === 'x+n') {
    if (!isSign(text.charCodeAt(0))) return -1
    into[next++] = text.charCodeAt(0)
    i = 1
  } else if (text.length % 2 === 1 && field.oddDigits === 'left') {
    const nibble = nibbleOf(field, text.charCodeAt(0))
    if (nibble > 15) return -1
    into[next++] = nibble
    i = 1
  }
  for (; i < text.length; i += 2) {
    const high = nibbleOf(field, text.charCodeAt(i))
    const low = i + 1 < text.length ? nibbleOf(field, text.charCodeAt(i + 1)) : 0
    if (high > 15 || low > 15) return -1
    into[next++] = (high << 4) | low
  }
  assert(next === at + wireBytes(field, text.length), 'BCD content has the length it was given')
  return next
}

function nibbleOf(field: FieldSpec, character: number): number {
  const digit = character - 0x30
  if (digit >= 0 && digit < 10) return digit
  return field.type === 'z' && (character === 0x3d || character === 0x44) ? 13 : 255
}

function upperHex(character: number): number {
  return character >= 0x61 && character <= 0x66 ? character - 32 : character < 128 ? character : 0
}
