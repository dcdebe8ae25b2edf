/**
 * Keys of chip cards: the ICC master key that an issuer master key gives each card, and the session keys of one transaction.
 * EMV Book 2 A1.3 and A1.4. All are double length DES keys with odd parity.
 */
import { hash } from 'node:crypto'
import { DES_BLOCK, encryptTriple, type KeySchedule } from './des.ts'
import type { KeyHandle } from './keys.ts'

export const DERIVED_KEY_BYTES = 2 * DES_BLOCK

/** EMV Book 2 A1.4.1 and A1.4.2. They differ for a PAN of more than 16 digits only. */
export type MasterKeyOption = 'A' | 'B'

export interface CardOfKey {
  /** Digits, 12 to 19. */
  readonly pan: string
  /** PAN sequence number, two digits; 00 where the card has none. */
  readonly psn: string
  readonly option: MasterKeyOption
}

/**
 * The ICC master key of one card.
 *
 * @returns 16 bytes
 * @throws KeyRefused where the key store will not use `imk`
 */
export function iccMasterKey(imk: KeyHandle, pan: string, psn: string, option: MasterKeyOption): Buffer {
  return iccMasterKeys(imk, [{ pan, psn, option }])
}

/**
 * The ICC master keys of many cards, 16 bytes each, one behind the other: one call of the key, wherever it lives. There is no cache of them:
 * a card's share of a batch costs less than looking its key up would, and a key that is not kept cannot be taken.
 *
 * @throws KeyRefused where the key store will not use `imk`
 */
export function iccMasterKeys(imk: KeyHandle, cards: readonly CardOfKey[]): Buffer {
  const blocks = Buffer.allocUnsafe(cards.length * DERIVED_KEY_BYTES)
  for (const [index, card] of cards.entries()) writeDerivationData(blocks, index * DERIVED_KEY_BYTES, card)
  return oddParity(imk.encrypt(blocks))
}

/** Common session key (A1.3.1): the diversification value `r`, 8 bytes, with F0 and then 0F as its third byte. @returns 16 bytes */
export function sessionKey(masterKey: KeySchedule, r: Uint8Array): Buffer {
  diversification.set(r, 0)
  diversification.set(r, DES_BLOCK)
  diversification[2] = 0xf0
  diversification[DES_BLOCK + 2] = 0x0f
  return oddParity(encryptTriple(masterKey, diversification))
}

/** Session key for cryptograms by ATC alone: Visa CVN 18 and 22 (A1.3.1). */
export function commonSessionKey(masterKey: KeySchedule, atc: Uint8Array): Buffer {
  value.fill(0)
  value.set(atc, 0)
  return sessionKey(masterKey, value)
}

/** M/Chip session key derivation: by ATC and unpredictable number. */
export function mchipSessionKey(masterKey: KeySchedule, atc: Uint8Array, unpredictableNumber: Uint8Array): Buffer {
  value.fill(0)
  value.set(atc, 0)
  value.set(unpredictableNumber, 4)
  return sessionKey(masterKey, value)
}

/** Visa's key for secure messaging: the master key's last two bytes of each half XOR the ATC, in the second half its complement. */
export function visaMessagingKey(masterKey: Uint8Array, atc: Uint8Array): Buffer {
  const key = Buffer.from(masterKey.subarray(0, DERIVED_KEY_BYTES))
  for (let i = 0; i < 2; i++) {
    const byte = atc[i] ?? 0
    key[6 + i] = (key[6 + i] ?? 0) ^ byte
    key[14 + i] = (key[14 + i] ?? 0) ^ byte ^ 0xff
  }
  return oddParity(key)
}

const value = Buffer.alloc(DES_BLOCK)
const diversification = Buffer.alloc(DERIVED_KEY_BYTES)

const NIBBLE_DIGITS = 16

/** Y and its complement: what is enciphered to the left and the right half of the key. */
function writeDerivationData(blocks: Buffer, at: number, { pan, psn, option }: CardOfKey): void {
  const digits = option === 'B' && pan.length > NIBBLE_DIGITS ? hashedDigits(pan + psn) : pan + psn
  const from = digits.length - NIBBLE_DIGITS
  for (let i = 0; i < DES_BLOCK; i++) {
    const byte = (digit(digits, from + 2 * i) << 4) | digit(digits, from + 2 * i + 1)
    blocks[at + i] = byte
    blocks[at + DES_BLOCK + i] = byte ^ 0xff
  }
}

/** Digits before the first are zeros: option A pads a short PAN on the left. */
function digit(digits: string, at: number): number {
  return at < 0 ? 0 : digits.charCodeAt(at) - 48
}

/** A1.4.2: the first 16 digits of the SHA-1 of PAN and sequence number; where it has fewer, its letters A to F as 0 to 5 follow. */
function hashedDigits(panAndPsn: string): string {
  const even = panAndPsn.length % 2 === 0 ? panAndPsn : `0${panAndPsn}`
  const hex = hash('sha1', Buffer.from(even, 'hex'), 'hex')
  const digits = hex.replace(/[a-f]/g, '')
  const letters = hex.replace(/\d/g, '').replace(/[a-f]/g, (letter) => String(letter.charCodeAt(0) - 97))
  return (digits + letters).slice(0, NIBBLE_DIGITS)
}

/** The last bit of each byte such that it has an odd number of them. In place. */
function oddParity(key: Buffer): Buffer {
  for (let i = 0; i < key.length; i++) key[i] = ODD[key[i] ?? 0] ?? 0
  return key
}

const ODD = Uint8Array.from({ length: 256 }, (_, byte) => {
  let bits = 0
  for (let left = byte >> 1; left > 0; left >>= 1) bits ^= left & 1
  return (byte & 0xfe) | (bits ^ 1)
})
