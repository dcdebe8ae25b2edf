/**
 * Application cryptograms and the issuer's answers to them, by scheme and cryptogram version number (CVN).
 *
 * | CVN | ICC master key | session key | MAC input ends in | padding | ARPC |
 * |---|---|---|---|---|---|
 * | Visa 10 | option A | none | CVR | zeros | method 1 |
 * | Visa 18, 22 | option B | by ATC | the whole IAD | 80 and zeros | method 2 |
 * | M/Chip 16 | option A | by ATC and UN | CVR | 80 and zeros | method 1, master key |
 * | M/Chip 17 | option A | by ATC and UN | CVR and counters | 80 and zeros | method 1, master key |
 */
import { commonSessionKey, mchipSessionKey, type MasterKeyOption } from './chipKeys.ts'
import { DES_BLOCK, encryptTriple, macTriple, type KeySchedule } from './des.ts'
import type { ChipScheme } from './hsm.ts'
import {
  MCHIP_CVN_16,
  MCHIP_CVN_17,
  VISA_CVN_10,
  VISA_CVN_18,
  VISA_CVN_22,
  type IssuerApplicationData,
} from './issuerApplicationData.ts'

export interface CryptogramMethod {
  readonly masterKey: MasterKeyOption
  /** `none`: cryptograms are made with the master key itself. */
  readonly session: 'none' | 'atc' | 'atc-un'
  readonly input: 'cvr' | 'cvr-counters' | 'iad'
  readonly padding: MacPadding
  /** Method 2 is under the session key, method 1 under the master key. */
  readonly arpc: 1 | 2
}

/** ISO/IEC 9797-1 padding methods: 1 zeros, none where the last block is whole; 2 a byte 80 always, and zeros. */
export type MacPadding = 1 | 2

/** @returns undefined for a CVN that the scheme does not have, or that is not supported here */
export function cryptogramMethod(scheme: ChipScheme, cvn: number): CryptogramMethod | undefined {
  return METHODS[scheme].get(cvn)
}

/** The key that a cryptogram is made with; undefined where it is the master key itself. */
export function cryptogramKey(
  method: CryptogramMethod,
  masterKey: KeySchedule,
  atc: Uint8Array,
  unpredictableNumber: Uint8Array,
): Buffer | undefined {
  if (method.session === 'none') return undefined
  return method.session === 'atc' ? commonSessionKey(masterKey, atc) : mchipSessionKey(masterKey, atc, unpredictableNumber)
}

/**
 * ARQC, TC or AAC (EMV Book 2 8.1).
 *
 * @param transactionData values of 9F02 9F03 9F1A 95 5F2A 9A 9C 9F37 82 9F36, one behind the other
 * @returns 8 bytes
 */
export function applicationCryptogram(
  method: CryptogramMethod,
  key: KeySchedule,
  transactionData: Buffer,
  issuerApplicationData: Buffer,
  { cvr, counters }: IssuerApplicationData,
): Buffer {
  switch (method.input) {
    case 'iad':
      return paddedMac(key, method.padding, transactionData, issuerApplicationData)
    case 'cvr':
      return paddedMac(key, method.padding, transactionData, cvr)
    case 'cvr-counters':
      return paddedMac(key, method.padding, transactionData, cvr, counters)
  }
}

/** The MAC of EMV (Book 2 A1.2.1) over the parts, one behind the other, of at most 255 bytes together. @returns 8 bytes */
export function paddedMac(key: KeySchedule, padding: MacPadding, ...parts: readonly Uint8Array[]): Buffer {
  let length = 0
  for (const part of parts) {
    if (length + part.length >= padded.length) throw new RangeError('too much data for the MAC of a chip card')
    padded.set(part, length)
    length += part.length
  }
  if (padding === 2) padded[length++] = 0x80
  while (length % DES_BLOCK !== 0) padded[length++] = 0
  return macTriple(key, padded, length)
}

/** ARPC method 1 (EMV Book 2 8.2.1): the cryptogram XOR the two bytes of the response code, enciphered. @returns 8 bytes */
export function responseCryptogram1(key: KeySchedule, cryptogram: Uint8Array, responseCode: Uint8Array): Buffer {
  const block = Buffer.from(cryptogram.subarray(0, DES_BLOCK))
  for (let i = 0; i < 2; i++) block[i] = (block[i] ?? 0) ^ (responseCode[i] ?? 0)
  return encryptTriple(key, block)
}

/** ARPC method 2 (EMV Book 2 8.2.2): the left half of the MAC over cryptogram and card status update. @returns 4 bytes */
export function responseCryptogram2(key: KeySchedule, cryptogram: Uint8Array, cardStatusUpdate: Uint8Array): Buffer {
  return paddedMac(key, 2, cryptogram, cardStatusUpdate).subarray(0, 4)
}

/**
 * Card status update (EMV Book 3 C10), 4 bytes: byte 2 bit 8 `Issuer Approves Online Transaction`, the only one that the switch
 * sets. It leaves PIN try and offline counters of the card alone: those are changed by script.
 */
export function cardStatusUpdate(approved: boolean): Buffer {
  return Buffer.from(approved ? [0, 0x80, 0, 0] : [0, 0, 0, 0])
}

/**
 * The response code of ARPC method 1, 2 bytes. Visa takes the code of DE 39 as tag 8A has it. M/Chip has a code of its own: byte 2
 * bit 5 `Approve online transaction`, and nothing of counters and PIN tries is updated.
 */
export function arpcResponseCode(scheme: ChipScheme, responseCode: string, approved: boolean): Buffer {
  return scheme === 'visa' ? Buffer.from(responseCode.slice(0, 2), 'latin1') : Buffer.from([0, approved ? 0x10 : 0])
}

const PADDED_BYTES_MAX = 256
const padded = Buffer.alloc(PADDED_BYTES_MAX)

const VISA_18: CryptogramMethod = { masterKey: 'B', session: 'atc', input: 'iad', padding: 2, arpc: 2 }
const MCHIP_16: CryptogramMethod = { masterKey: 'A', session: 'atc-un', input: 'cvr', padding: 2, arpc: 1 }
const METHODS: Readonly<Record<ChipScheme, ReadonlyMap<number, CryptogramMethod>>> = {
  visa: new Map<number, CryptogramMethod>([
    [VISA_CVN_10, { masterKey: 'A', session: 'none', input: 'cvr', padding: 1, arpc: 1 }],
    [VISA_CVN_18, VISA_18],
    [VISA_CVN_22, VISA_18],
  ]),
  mchip: new Map<number, CryptogramMethod>([
    [MCHIP_CVN_16, MCHIP_16],
    [MCHIP_CVN_17, { ...MCHIP_16, input: 'cvr-counters' }],
  ]),
}
