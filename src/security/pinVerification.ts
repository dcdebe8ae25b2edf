/** What a PIN is verified against: the Visa PIN verification value, and the IBM 3624 natural PIN with its offset. */
import { KeyRefused, type KeyHandle } from './keys.ts'
import type { ClearPin } from './pinBlock.ts'

export interface PvvRequest {
  readonly pan: string
  /** Key index, one digit. */
  readonly pvki: string
  readonly pin: ClearPin
}

export const PVV_DIGITS = 4

/**
 * Visa PVV (Visa Payment Technology Standards Manual, PVV method). What is enciphered is the 11 digits of the PAN before the check digit, the key
 * index and the first four digits of the PIN: of a longer PIN the rest is not verified.
 *
 * @param key V2, TDES
 * @returns four digits for each request, one behind the other, a digit a byte
 */
export function visaPvvs(key: KeyHandle, requests: readonly PvvRequest[]): Buffer {
  const parameters = Buffer.alloc(requests.length * BLOCK)
  for (const [index, { pan, pvki, pin }] of requests.entries()) {
    const start = index * BLOCK
    setDigits(parameters, start, pan, pan.length - 1 - PVV_PAN_DIGITS, PVV_PAN_DIGITS)
    const first = start + 5
    parameters[first] = (parameters[first] ?? 0) | (pvki.charCodeAt(0) - ZERO)
    parameters[start + 6] = ((pin[0] ?? 0) << 4) | (pin[1] ?? 0)
    parameters[start + 7] = ((pin[2] ?? 0) << 4) | (pin[3] ?? 0)
  }
  const enciphered = tdes(key).encrypt(parameters)
  parameters.fill(0)
  const pvvs = Buffer.alloc(requests.length * PVV_DIGITS)
  for (let index = 0; index < requests.length; index++) {
    digitsThenLetters(enciphered, index * BLOCK, pvvs, index * PVV_DIGITS, PVV_DIGITS)
  }
  return pvvs
}

/** Hexadecimal digit by digit. It is fixed: who may choose it finds PINs by asking which tables still verify. */
export const DECIMALISATION_TABLE = '0123456789012345'

export const NATURAL_PIN_DIGITS = 16

/**
 * IBM 3624: the PIN that a PAN has by itself under this key.
 *
 * @param key V1, TDES
 * @param validationData 16 hexadecimal digits each: `validationDataOf` a PAN
 * @param table 16 decimal digits
 * @returns 16 digits for each, one behind the other, a digit a byte: the caller's to zero. A PIN of n digits goes with the first n
 */
export function naturalPins(key: KeyHandle, validationData: readonly string[], table = DECIMALISATION_TABLE): Buffer {
  if (!/^\d{16}$/.test(table)) throw new RangeError('a decimalisation table has 16 digits')
  const enciphered = tdes(key).encrypt(Buffer.from(validationData.join(''), 'hex'))
  const pins = Buffer.alloc(validationData.length * NATURAL_PIN_DIGITS)
  for (let at = 0; at < pins.length; at++) pins[at] = table.charCodeAt(nibbleAt(enciphered, at)) - ZERO
  enciphered.fill(0)
  return pins
}

/** The PAN's last 16 digits, F behind a shorter one. */
export function validationDataOf(pan: string): string {
  return pan.slice(-NATURAL_PIN_DIGITS).padEnd(NATURAL_PIN_DIGITS, 'F')
}

/** What is added to the natural PIN to get this one, digit by digit without carry. */
export function offsetOf(pin: ClearPin, natural: Uint8Array): string {
  let offset = ''
  for (const [place, digit] of pin.entries()) offset += String((digit + 10 - (natural[place] ?? 0)) % 10)
  return offset
}

/** The PIN that goes with an offset: as many digits as the offset has. The caller's to zero. */
export function pinOf(offset: string, natural: Uint8Array): ClearPin {
  const pin = Buffer.alloc(offset.length)
  for (let place = 0; place < pin.length; place++) pin[place] = ((natural[place] ?? 0) + offset.charCodeAt(place) - ZERO) % 10
  return pin
}

/**
 * Decimal digits out of an enciphered block as PVV and CVV take them: the decimal ones in order and, where those do not suffice, the letters in
 * order, A as 0 to F as 5.
 */
export function digitsThenLetters(block: Buffer, start: number, into: Buffer, at: number, count: number): void {
  const end = at + count
  for (let nibble = 0; nibble < 2 * BLOCK && at < end; nibble++) {
    const value = nibbleAt(block, 2 * start + nibble)
    if (value <= 9) into[at++] = value
  }
  for (let nibble = 0; nibble < 2 * BLOCK && at < end; nibble++) {
    const value = nibbleAt(block, 2 * start + nibble)
    if (value > 9) into[at++] = value - 10
  }
}

const BLOCK = 8
const ZERO = 48
const PVV_PAN_DIGITS = 11

function nibbleAt(bytes: Uint8Array, nibble: number): number {
  const byte = bytes[nibble >> 1] ?? 0
  return nibble % 2 === 0 ? byte >> 4 : byte & 0x0f
}

/** Digits of `pan` from `from` as nibbles; zeros before a PAN that begins later. */
function setDigits(bytes: Buffer, start: number, pan: string, from: number, count: number): void {
  for (let place = 0; place < count; place++) {
    const digit = from + place < 0 ? 0 : pan.charCodeAt(from + place) - ZERO
    const at = start + (place >> 1)
    bytes[at] = (bytes[at] ?? 0) | (place % 2 === 0 ? digit << 4 : digit)
  }
}

function tdes(key: KeyHandle): KeyHandle {
  if (key.info.algorithm !== 'T') throw new KeyRefused(`key ${key.info.name} verifies no PIN: that takes a TDES key`)
  return key
}
