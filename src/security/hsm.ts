/**
 * The HSM port: the operations of a payment HSM in their usual vocabulary. Each takes a batch, because one call for all messages of a turn costs
 * a fraction of one each, and gives a value an item, in order: one bad item never fails the others. Where the key itself is not
 * there or is for another purpose the item's verdict is `refused`, a fault of ours or of the set-up, never the cardholder's.
 *
 * PANs, PINs and keys come in and go nowhere: nothing here logs, and errors name keys and fields, never values.
 */
import type { KeyInfo } from './keys.ts'

export interface Hsm {
  readonly kind: 'software' | 'pkcs11'
  keys(): readonly KeyInfo[]

  /** Verify PIN data. */
  verifyPins(batch: readonly PinCheck[]): Promise<readonly PinVerdict[]>
  /** Generate PIN data: the reference value under which the PIN in the block will be verified. */
  pinReferences(batch: readonly PinReferenceRequest[]): Promise<readonly PinReferenceOutcome[]>
  /** Translate PIN data: to another key, and to another format of the same PAN. */
  translatePins(batch: readonly PinTranslation[]): Promise<readonly PinTranslationOutcome[]>

  /** Verify auth request cryptogram. */
  verifyCryptograms(batch: readonly CryptogramCheck[]): Promise<readonly CryptogramVerdict[]>
  /** Generate auth response cryptogram: the value of tag 91. */
  responseCryptograms(batch: readonly ResponseCryptogramRequest[]): Promise<readonly Buffer[]>
  /** Issuer script commands with their secure messaging MAC: the value of a tag 86. */
  scriptCommands(batch: readonly ScriptRequest[]): Promise<readonly ScriptOutcome[]>

  /** Verify card validation data: CVV, iCVV, CVV2, dCVV. */
  verifyCardValues(batch: readonly CardValueCheck[]): Promise<readonly Verdict[]>
  cardValues(batch: readonly CardValueRequest[]): Promise<readonly CardValueOutcome[]>

  verifyMacs(batch: readonly MacCheck[]): Promise<readonly Verdict[]>
  macs(batch: readonly MacRequest[]): Promise<readonly MacOutcome[]>

  /** Encipher and decipher stored data (PAN, national ID, mobile). The nonce is made here and comes first. */
  seal(key: string, batch: readonly SealRequest[]): Promise<readonly Buffer[]>
  unseal(key: string, batch: readonly SealRequest[]): Promise<readonly (Buffer | undefined)[]>

  /** Import a key from a TR-31 key block that `under` protects. @throws KeyRefused, KeyBlockError */
  importKey(block: string, under: string, name: string): Promise<KeyInfo>
  /** Export as a TR-31 key block. @throws KeyRefused */
  exportKey(name: string, under: string): Promise<string>
  /** Forgets a key that was imported. One that is not there is forgotten already. */
  removeKey(name: string): Promise<void>
  close(): Promise<void>
}

/** `refused`: the HSM could not do it, because of the key or of what is in our books (a PVV that is none, an expiry that is none). */
export type Verdict = 'valid' | 'invalid' | 'refused'

/** A PIN block is enciphered under a zone or terminal PIN key, or under one that DUKPT derives from a base key for each transaction. */
export type PinKey =
  | { readonly by: 'zone'; readonly key: string }
  | {
      readonly by: 'dukpt'
      readonly key: string
      /** 10 bytes with a TDES base key (X9.24-1:2009), 12 with AES (X9.24-3:2017). */
      readonly ksn: Buffer
    }

/** ISO 9564-1 formats. */
export type PinFormat = 0 | 3 | 4

export interface EncipheredPin {
  readonly block: Buffer
  readonly format: PinFormat
  readonly under: PinKey
  /** Digits. */
  readonly pan: string
}

/** What a PIN is verified against. */
export type PinReference =
  | { readonly method: 'pvv'; readonly key: string; readonly pvki: string; readonly pvv: string }
  | {
      readonly method: 'ibm3624'
      readonly key: string
      /** 4 to 12 digits. The decimalisation table is fixed: 0123456789012345. */
      readonly offset: string
    }

export interface PinCheck extends EncipheredPin {
  readonly reference: PinReference
}

/** `broken`: no PIN block of this format and PAN came out (86): a wrong key or a block that was moved to another PAN. */
export type PinVerdict = Verdict | 'broken'

export interface PinReferenceRequest extends EncipheredPin {
  readonly method: 'pvv' | 'ibm3624'
  readonly key: string
  /** Key index of a PVV. */
  readonly pvki: string
}

export type PinReferenceOutcome =
  { readonly kind: 'made'; readonly reference: PinReference } | { readonly kind: 'broken' | 'refused' }

export interface PinTranslation extends EncipheredPin {
  readonly to: { readonly format: PinFormat; readonly key: string }
}

export type PinTranslationOutcome = { readonly kind: 'made'; readonly block: Buffer } | { readonly kind: 'broken' | 'refused' }

/** How the application of a card makes its cryptograms: Visa CVN 10, 18, 22; M/Chip 16, 17 (hexadecimal 0x10 and 0x11 in the IAD). */
export type ChipScheme = 'visa' | 'mchip'

export interface CryptogramCheck {
  readonly scheme: ChipScheme
  /** Issuer master key for application cryptograms (E0). */
  readonly key: string
  /** Digits; PAN sequence number, two digits (DE 23, tag 5F34). */
  readonly pan: string
  readonly psn: string
  readonly chip: ChipData
}

/** The values of DE 55 that a cryptogram is made of, as bytes. */
export interface ChipData {
  /** 9F26, 8 bytes; 9F27, 1 byte. */
  readonly cryptogram: Buffer
  readonly cryptogramInformation: number
  /** 9F10 issuer application data, whole. */
  readonly issuerApplicationData: Buffer
  /** 9F36, 2 bytes. */
  readonly atc: Buffer
  /** 9F37, 4 bytes. */
  readonly unpredictableNumber: Buffer
  /** Values of 9F02 9F03 9F1A 95 5F2A 9A 9C 9F37 82 9F36, one behind the other. */
  readonly transactionData: Buffer
}

/** What was derived while a cryptogram was verified, for the answer to it. Opaque; prints as nothing. */
export interface ChipSession {
  readonly brand: 'ChipSession'
}

export type CryptogramVerdict =
  | { readonly kind: 'valid'; readonly session: ChipSession }
  /** `unsupported`: a CVN that this scheme does not have. */
  | { readonly kind: 'invalid' | 'unsupported' | 'refused' }

export interface ResponseCryptogramRequest {
  readonly session: ChipSession
  /** DE 39 of the answer, for Visa CVN 10. The others have a code of their own, or the card status update, by `approved`. */
  readonly responseCode: string
  readonly approved: boolean
}

export interface ScriptRequest {
  readonly scheme: ChipScheme
  /** Issuer master key for secure messaging integrity (E2). */
  readonly key: string
  readonly pan: string
  readonly psn: string
  /** Of the cryptogram that the answer belongs to. */
  readonly atc: Buffer
  readonly cryptogram: Buffer
  /** 9F10. Only a PAN of more than 16 digits needs it: its CVN says how the card's keys were derived. */
  readonly issuerApplicationData?: Buffer
  readonly command: 'PIN_BLOCK' | 'PIN_UNBLOCK' | 'APPLICATION_BLOCK' | 'APPLICATION_UNBLOCK' | 'CARD_BLOCK'
}

export type ScriptOutcome = { readonly kind: 'made'; readonly apdu: Buffer } | { readonly kind: 'refused' }

/** CVV: magnetic stripe. iCVV: track 2 equivalent data of a chip. CVV2: printed. dCVV: contactless in magnetic stripe mode. */
export type CardValue =
  | { readonly kind: 'cvv'; readonly key: string; readonly expiry: string; readonly serviceCode: string }
  | { readonly kind: 'icvv'; readonly key: string; readonly expiry: string }
  | { readonly kind: 'cvv2'; readonly key: string; readonly expiry: string }
  | {
      readonly kind: 'dcvv'
      /** Issuer master key (E0). */
      readonly key: string
      readonly expiry: string
      readonly serviceCode: string
      readonly psn: string
      /** Four digits, as on the track. */
      readonly atc: string
    }

export interface CardValueRequest {
  readonly pan: string
  readonly value: CardValue
}

export interface CardValueCheck extends CardValueRequest {
  /** Three digits. */
  readonly given: string
}

export type CardValueOutcome = { readonly kind: 'made'; readonly digits: string } | { readonly kind: 'refused' }

export interface MacRequest {
  /** M3 or M6: says which algorithm. */
  readonly key: string
  readonly data: Uint8Array
}

export interface MacCheck extends MacRequest {
  /** As it came: 8 bytes of DE 64 or 128; only as many are compared, and fewer than 8 are invalid. */
  readonly given: Uint8Array
}

/** The MAC is whole: 8 bytes, or 16 with AES, of which DE 64 and 128 take the first 8. */
export type MacOutcome = { readonly kind: 'made'; readonly mac: Buffer } | { readonly kind: 'refused' }

export interface SealRequest {
  readonly data: Uint8Array
  /** Bound to the cipher text: the row it belongs to. */
  readonly associated: Uint8Array
}
