/** What a token does with one of its keys: each function is one operation of PKCS#11, cut into pieces where the data are long. */
import { randomBytes } from 'node:crypto'
import type { Handle, Mechanism } from 'pkcs11js'
import { returnCodeOf, type OpenToken } from './pkcs11Session.ts'

/** Tokens have a longest input, and few say which; 16 KiB is within those of the usual ones. Whole blocks of every cipher. */
const PIECE_BYTES = 16_384
const DES_BLOCK = 8
const NONCE_BYTES = 12
const TAG_BYTES = 16
/** PKCS#11 3.0. */
const CKR_AEAD_DECRYPT_FAILED = 0x42

export function ecbEncrypt(token: OpenToken, mechanism: number, key: Handle, blocks: Uint8Array): Buffer {
  const { library, handle } = token
  return inPieces(blocks, (piece, output) => {
    library.C_EncryptInit(handle, { mechanism }, key)
    library.C_Encrypt(handle, piece, output)
  })
}

export function ecbDecrypt(token: OpenToken, mechanism: number, key: Handle, blocks: Uint8Array): Buffer {
  const { library, handle } = token
  return inPieces(blocks, (piece, output) => {
    library.C_DecryptInit(handle, { mechanism }, key)
    library.C_Decrypt(handle, piece, output)
  })
}

/** CMAC and HMAC. @param bytes of the result */
export function sign(token: OpenToken, mechanism: number, key: Handle, data: Uint8Array, bytes: number): Buffer {
  const { library, handle } = token
  library.C_SignInit(handle, { mechanism }, key)
  if (data.length > 0 && data.length <= PIECE_BYTES) return library.C_Sign(handle, bufferOf(data), Buffer.alloc(bytes))
  // pkcs11js has a null pointer for no data, which C_Sign and C_Encrypt refuse.
  for (const piece of piecesOf(data)) library.C_SignUpdate(handle, piece)
  return library.C_SignFinal(handle, Buffer.alloc(bytes))
}

/**
 * Retail MAC, ISO 9797-1 algorithm 3 with padding method 1, in two operations: tokens have neither this (SoftHSM: no CKM_DES3_X919_MAC) nor
 * single DES, but triple DES with one key twice is single DES.
 *
 * @param firstHalf the key K1 K1, @param whole the key K1 K2
 */
export function retailMac(token: OpenToken, firstHalf: Handle, whole: Handle, data: Uint8Array): Buffer {
  const padded = Buffer.alloc(Math.max(1, Math.ceil(data.length / DES_BLOCK)) * DES_BLOCK)
  padded.set(data)
  const last = padded.subarray(padded.length - DES_BLOCK)
  const chained = cbcResidue(token, firstHalf, padded.subarray(0, padded.length - DES_BLOCK))
  for (let i = 0; i < DES_BLOCK; i++) last[i] = (last[i] ?? 0) ^ (chained[i] ?? 0)
  return ecbEncrypt(token, token.names.CKM_DES3_ECB, whole, last)
}

function cbcResidue({ library, handle, names }: OpenToken, key: Handle, blocks: Buffer): Buffer {
  let chained: Buffer = Buffer.alloc(DES_BLOCK)
  for (const piece of piecesOf(blocks)) {
    library.C_EncryptInit(handle, { mechanism: names.CKM_DES3_CBC, parameter: chained }, key)
    chained = library.C_Encrypt(handle, piece, Buffer.alloc(piece.length)).subarray(piece.length - DES_BLOCK)
  }
  return chained
}

/** AES-GCM, in one piece: what is sealed is short. @returns cipher text and tag */
export function gcmSeal(token: OpenToken, key: Handle, nonce: Uint8Array, data: Uint8Array, associated: Uint8Array): Buffer {
  const { library, handle } = token
  library.C_EncryptInit(handle, gcm(token, nonce, associated), key)
  const output = Buffer.alloc(data.length + TAG_BYTES)
  return data.length === 0 ? library.C_EncryptFinal(handle, output) : library.C_Encrypt(handle, bufferOf(data), output)
}

/** @returns undefined where the tag does not fit */
export function gcmUnseal(
  token: OpenToken,
  key: Handle,
  nonce: Uint8Array,
  sealed: Uint8Array,
  associated: Uint8Array,
): Buffer | undefined {
  const { library, handle, names } = token
  if (sealed.length < TAG_BYTES) return undefined
  library.C_DecryptInit(handle, gcm(token, nonce, associated), key)
  try {
    // Some tokens ask for room for the tag too.
    return library.C_Decrypt(handle, bufferOf(sealed), Buffer.alloc(sealed.length))
  } catch (error) {
    const code = returnCodeOf(error)?.value
    switch (code) {
      case CKR_AEAD_DECRYPT_FAILED:
      case names.CKR_ENCRYPTED_DATA_INVALID:
      case names.CKR_ENCRYPTED_DATA_LEN_RANGE:
        return undefined
      case names.CKR_GENERAL_ERROR:
      case names.CKR_FUNCTION_FAILED:
        // So SoftHSM 2.6 says it, and so a token says that it is broken: one that still works with this key has judged the tag.
        gcmSeal(token, key, randomBytes(NONCE_BYTES), randomBytes(1), associated)
        return undefined
      default:
        throw error
    }
  }
}

function gcm({ names }: OpenToken, nonce: Uint8Array, associated: Uint8Array): Mechanism {
  const parameter = {
    type: names.CK_PARAMS_AES_GCM,
    iv: bufferOf(nonce),
    ivBits: nonce.length * 8,
    aad: bufferOf(associated),
    tagBits: TAG_BYTES * 8,
  }
  return { mechanism: names.CKM_AES_GCM, parameter }
}

function inPieces(blocks: Uint8Array, work: (piece: Buffer, output: Buffer) => void): Buffer {
  const output = Buffer.alloc(blocks.length)
  let start = 0
  for (const piece of piecesOf(blocks)) {
    work(piece, output.subarray(start, start + piece.length))
    start += piece.length
  }
  return output
}

function* piecesOf(data: Uint8Array): Generator<Buffer> {
  for (let start = 0; start < data.length; start += PIECE_BYTES) yield bufferOf(data.subarray(start, start + PIECE_BYTES))
}

/** A view, not a copy. */
function bufferOf(data: Uint8Array): Buffer {
  return Buffer.from(data.buffer, data.byteOffset, data.length)
}
