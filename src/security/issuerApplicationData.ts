/**
 * Issuer application data, tag 9F10: which key and which method a card's cryptogram was made with, and what the card says of itself. Its
 * layout is the scheme's: VIS 1.6 appendix (Visa), M/Chip Advance card application specification (M/Chip).
 */
import type { ChipScheme } from './hsm.ts'

/** As bytes of the IAD: Visa CVN 10 is 0A, 18 is 12, 22 is 22 (format 2 counts in hexadecimal); M/Chip 16 is 10, 17 is 11. */
export const VISA_CVN_10 = 0x0a
export const VISA_CVN_18 = 0x12
export const VISA_CVN_22 = 0x22
export const MCHIP_CVN_16 = 0x10
export const MCHIP_CVN_17 = 0x11

export interface IssuerApplicationData {
  /** Cryptogram version number, the byte. */
  readonly cvn: number
  readonly keyDerivationIndex: number
  /** Card verification results: Visa 4 bytes with their length in front (5 in format 2), M/Chip 6. A view. */
  readonly cvr: Buffer
  /** M/Chip: 8 bytes, or 16 of M/Chip Advance; empty for Visa. A view. */
  readonly counters: Buffer
}

/** @returns undefined where the bytes are none of the scheme's */
export function parseIssuerApplicationData(scheme: ChipScheme, bytes: Buffer): IssuerApplicationData | undefined {
  return scheme === 'visa' ? parseVisa(bytes) : parseMchip(bytes)
}

const NONE = Buffer.alloc(0)
const VISA_FORMAT_2_BYTES = 32
const VISA_DISCRETIONARY_BYTES = 6

/** Formats 0, 1, 3: length 06, KDI, CVN, CVR, then what the issuer likes. Format 2: length 1F, CVN, KDI, CVR, filled up to 32 bytes. */
function parseVisa(bytes: Buffer): IssuerApplicationData | undefined {
  if (bytes.length === VISA_FORMAT_2_BYTES && bytes[0] === VISA_FORMAT_2_BYTES - 1) {
    return { cvn: bytes[1] ?? 0, keyDerivationIndex: bytes[2] ?? 0, cvr: bytes.subarray(3, 8), counters: NONE }
  }
  if (bytes[0] !== VISA_DISCRETIONARY_BYTES || bytes.length <= VISA_DISCRETIONARY_BYTES) return undefined
  return { cvn: bytes[2] ?? 0, keyDerivationIndex: bytes[1] ?? 0, cvr: bytes.subarray(3, 7), counters: NONE }
}

/** Bytes of the whole to those of the counters. 20 and 28 end in the ATC of the last online transaction. */
const MCHIP_COUNTERS: Readonly<Record<number, number>> = { 18: 8, 20: 8, 26: 16, 28: 16 }
const MCHIP_COUNTERS_AT = 10

/** KDI, CVN, CVR, data authentication code or ICC dynamic number (2 bytes), counters. */
function parseMchip(bytes: Buffer): IssuerApplicationData | undefined {
  const counterBytes = MCHIP_COUNTERS[bytes.length]
  if (counterBytes === undefined) return undefined
  return {
    cvn: bytes[1] ?? 0,
    keyDerivationIndex: bytes[0] ?? 0,
    cvr: bytes.subarray(2, 8),
    counters: bytes.subarray(MCHIP_COUNTERS_AT, MCHIP_COUNTERS_AT + counterBytes),
  }
}
