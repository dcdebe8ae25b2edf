/**
 * Keys by name, and what may be done with one. A key stays where it lives: the software key store holds it in this process, a PKCS#11 token
 * in the token. Payment operations (src/security/*Operations.ts) are written once, over these handles.
 */

/**
 * What a key is for: the usages of ANSI X9.143 (TR-31), table 2. A key that is asked for under another usage is refused.
 *
 * B0 base derivation key (DUKPT) · C0 card verification · D0 data encryption · E0 chip application cryptograms · E1 script confidentiality ·
 * E2 script integrity · K0 key encryption · K1 key block protection · M3 retail MAC (ISO 9797-1 algorithm 3) · M6 CMAC ·
 * M7 HMAC · P0 PIN encryption · V1 PIN verification IBM 3624 · V2 PIN verification Visa PVV
 */
export type KeyUsage = 'B0' | 'C0' | 'D0' | 'E0' | 'E1' | 'E2' | 'K0' | 'K1' | 'M3' | 'M6' | 'M7' | 'P0' | 'V1' | 'V2'

/** X9.143 table 3: T triple DES (double or triple length), A AES, H HMAC-SHA256. */
export type KeyAlgorithm = 'T' | 'A' | 'H'

export interface KeyInfo {
  /** Lower-case letters, digits, dot and hyphen: `zpk.atm`, `imk-ac.9818`. Unique in its store. */
  readonly name: string
  readonly usage: KeyUsage
  readonly algorithm: KeyAlgorithm
  readonly bytes: number
  /** Key check value, 6 hexadecimal digits: TDES encrypts a zero block, AES is the CMAC of one (X9.24-1 annex A), HMAC that of no data. */
  readonly kcv: string
  /** May leave its store in a key block. */
  readonly exportable: boolean
}

/** One key. Whole blocks only, no padding, no state between calls. Results are fresh buffers that the caller may keep. */
export interface KeyHandle {
  readonly info: KeyInfo
  /** ECB of any number of whole blocks (TDES 8, AES 16 bytes): many messages under one key are one call. */
  encrypt(blocks: Uint8Array): Buffer
  decrypt(blocks: Uint8Array): Buffer
  /**
   * C0 of double length: ECB of single DES under its first half, with which a card verification value begins. A token keeps that half as a
   * key of its own, made when the key is put. @throws KeyRefused with any other key: a half alone is easy to find
   */
  encryptFirstHalf(blocks: Uint8Array): Buffer
  /**
   * B0 of double length: ECB of TDES under the key XOR C0C0C0C0 00000000 C0C0C0C0 00000000, which makes the right half of an initial key
   * (X9.24-1:2009 A.6). A token keeps that variant as a key of its own, made when the key is put. @throws KeyRefused with any other key
   */
  encryptVariant(blocks: Uint8Array): Buffer
  /** M3: retail MAC with padding method 1, 8 bytes. M6: CMAC, 8 (TDES) or 16 (AES) bytes. M7: HMAC-SHA256, 32 bytes. */
  mac(data: Uint8Array): Buffer
  /** The same of many messages, in order: cheaper than one by one. */
  macs(batch: readonly Uint8Array[]): Buffer[]
  /** D0 with AES: AES-256-GCM, `nonce` 12 bytes. @returns cipher text and then the 16 bytes of the tag */
  seal(nonce: Uint8Array, data: Uint8Array, associated: Uint8Array): Buffer
  /** The reverse. @returns undefined where the tag does not fit */
  unseal(nonce: Uint8Array, sealed: Uint8Array, associated: Uint8Array): Buffer | undefined
}

/** Where keys live. */
export interface KeyStore {
  readonly kind: 'software' | 'pkcs11'
  list(): readonly KeyInfo[]
  /** @throws KeyRefused where there is no such key, or it is for another purpose */
  find(name: string, usage: KeyUsage): KeyHandle
  /** Takes over a clear key: for key blocks that were opened, and for ceremonies. @throws KeyRefused where the name is taken by a key of another kind */
  put(key: NewKey): KeyInfo
  remove(name: string): void
  /** The key itself, to wrap it in a key block. @throws KeyRefused where it may not leave */
  reveal(name: string): Buffer
  close(): void
}

export interface NewKey {
  readonly name: string
  readonly usage: KeyUsage
  readonly algorithm: KeyAlgorithm
  readonly exportable: boolean
  readonly value: Uint8Array
}

/** The store will not do this with this key. The message names the key and the purpose, never its value. */
export class KeyRefused extends Error {
  override readonly name = 'KeyRefused'
}

/** The store could not do it: a device that is gone, a session that is lost. The message names the operation and what the device said. */
export class KeyStoreFailed extends Error {
  override readonly name = 'KeyStoreFailed'
}
