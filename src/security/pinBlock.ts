/**
 * PIN blocks of ISO 9564-1:2017: formats 0 and 3 (9.3.2, 9.3.5), 8 bytes under TDES with the PAN mixed into the clear block, and format 4 (9.4),
 * 16 bytes under AES with the PAN mixed in between two encipherments. Opening is strict: what is not exactly a block of this format and PAN is none.
 */
import { randomBytes } from 'node:crypto'
import type { PinFormat } from './hsm.ts'
import { KeyRefused, type KeyHandle } from './keys.ts'

/** One digit a byte, 0 to 9. Whoever has one zeroes it after use. */
export type ClearPin = Uint8Array

const PIN_DIGITS_MIN = 4
export const PIN_DIGITS_MAX = 12
/** What `buildPinBlock` asks of its source of randomness for one block, at most. */
export const PIN_BLOCK_RANDOM_BYTES_MAX = 14

/**
 * The clear block of a PIN; of format 4 the plain text PIN field.
 *
 * @param pan 8 to 19 digits
 * @param random where the filler of format 3 and the tail of format 4 come from
 * @throws RangeError for a PIN or a PAN that is none: a mistake of the caller. It says nothing of the PIN
 */
export function buildPinBlock(
  format: PinFormat,
  pin: ClearPin,
  pan: string,
  random: (bytes: number) => Uint8Array = randomBytes,
): Buffer {
  if (pin.length < PIN_DIGITS_MIN || pin.length > PIN_DIGITS_MAX || pin.some((digit) => digit > 9)) {
    throw new RangeError('not a PIN of 4 to 12 digits')
  }
  if (!isPan(pan)) throw new RangeError('not a PAN of 8 to 19 digits')
  const block = Buffer.alloc(pinBlockBytes(format))
  const filler = format === 3 ? random(DIGIT_PLACES) : undefined
  block[0] = (format << 4) | pin.length
  for (let place = 0; place < DIGIT_PLACES; place++) {
    const value = pin[place] ?? fillerOf(format, filler?.[place] ?? 0)
    const nibble = format === 4 ? value : value ^ panNibble(pan, place)
    const at = 1 + (place >> 1)
    block[at] = (block[at] ?? 0) | (place % 2 === 0 ? nibble << 4 : nibble)
  }
  if (format === 4) block.set(random(TAIL_BYTES), PIN_FIELD_BYTES)
  return block
}

/**
 * The PIN of a clear block.
 *
 * @param into the memory that the digits are written to, 12 bytes: the caller's to zero, also where no PIN came out
 * @returns a view of `into`; undefined where this is no block of this format and PAN
 */
export function openPinBlock(format: PinFormat, block: Uint8Array, pan: string, into: Uint8Array): ClearPin | undefined {
  if (block.length !== pinBlockBytes(format) || !isPan(pan)) return undefined
  const control = block[0] ?? 0
  const digits = control & 0x0f
  if (control >> 4 !== format || digits < PIN_DIGITS_MIN || digits > PIN_DIGITS_MAX) return undefined
  for (let place = 0; place < DIGIT_PLACES; place++) {
    const byte = block[1 + (place >> 1)] ?? 0
    const nibble = place % 2 === 0 ? byte >> 4 : byte & 0x0f
    const value = format === 4 ? nibble : nibble ^ panNibble(pan, place)
    if (place >= digits) {
      if (!isFiller(format, value)) return undefined
    } else {
      if (value > 9) return undefined
      into[place] = value
    }
  }
  return into.subarray(0, digits)
}

/** Of the clear block and of the enciphered one. */
export function pinBlockBytes(format: PinFormat): 8 | 16 {
  return format === 4 ? 16 : 8
}

/**
 * @param blocks clear blocks, one behind the other
 * @param pans of each block, in order
 * @throws KeyRefused where the key is of the algorithm of another format
 */
export function encipherPinBlocks(format: PinFormat, key: KeyHandle, blocks: Uint8Array, pans: readonly string[]): Buffer {
  demandAlgorithm(format, key)
  if (format !== 4) return key.encrypt(blocks)
  const between = key.encrypt(blocks)
  mixPans(between, pans)
  return key.encrypt(between)
}

/** The reverse. The result is the caller's to zero. */
export function decipherPinBlocks(format: PinFormat, key: KeyHandle, blocks: Uint8Array, pans: readonly string[]): Buffer {
  demandAlgorithm(format, key)
  if (format !== 4) return key.decrypt(blocks)
  const between = key.decrypt(blocks)
  mixPans(between, pans)
  return key.decrypt(between)
}

/** ISO 9564-1:2017 9.4.2.3: how many digits more than 12, the digits from the left (12 at least, zeros before a shorter PAN), zeros. */
export function panField(pan: string): Buffer {
  const digits = pan.padStart(PAN_DIGITS_BEFORE_COUNTED, '0')
  return Buffer.from(`${String(digits.length - PAN_DIGITS_BEFORE_COUNTED)}${digits}`.padEnd(2 * FORMAT_4_BYTES, '0'), 'hex')
}

const DIGIT_PLACES = 14
const PIN_FIELD_BYTES = 8
const TAIL_BYTES = 8
const FORMAT_4_BYTES = 16
const PAN_DIGITS_BEFORE_COUNTED = 12
const ZERO = 48

function isPan(pan: string): boolean {
  return /^\d{8,19}$/.test(pan)
}

/** Of the PAN field of formats 0 and 3: the 12 digits before the check digit, beneath the third digit place and what follows. */
function panNibble(pan: string, place: number): number {
  const at = pan.length - 15 + place
  return place < 2 || at < 0 ? 0 : pan.charCodeAt(at) - ZERO
}

function fillerOf(format: PinFormat, random: number): number {
  switch (format) {
    case 0:
      return 0xf
    case 3:
      // A to F. That 256 is no multiple of six gives four of them a 65th chance more: a filler is no key.
      return 0xa + (random % 6)
    case 4:
      return 0xa
  }
}

function isFiller(format: PinFormat, value: number): boolean {
  return format === 3 ? value >= 0xa : value === fillerOf(format, 0)
}

function demandAlgorithm(format: PinFormat, key: KeyHandle): void {
  const algorithm = format === 4 ? 'A' : 'T'
  if (key.info.algorithm !== algorithm) {
    throw new KeyRefused(
      `key ${key.info.name} enciphers no PIN block of format ${String(format)}: that takes an ${algorithm} key`,
    )
  }
}

function mixPans(blocks: Buffer, pans: readonly string[]): void {
  for (const [index, pan] of pans.entries()) {
    if (!isPan(pan)) continue
    const start = index * FORMAT_4_BYTES
    for (const [at, byte] of panField(pan).entries()) blocks[start + at] = (blocks[start + at] ?? 0) ^ byte
  }
}
