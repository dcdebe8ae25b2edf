/**
 * DUKPT with AES: ANSI X9.24-3:2017. A terminal got an initial key, made of the base key and its initial key id (8 bytes), and makes of it a key
 * for each value of a 32-bit counter. Id and counter are the key serial number (KSN, 12 bytes). All keys have the base key's length.
 */
import { createCipheriv } from 'node:crypto'
import { dukptPath, type CounterKeys } from './dukptPath.ts'
import { KeyRefused, type KeyHandle } from './keys.ts'

export const AES_KSN_BYTES = 12

/** 6.3.3. @param base B0, AES @throws KeyRefused with another kind of key */
export function aesInitialKey(base: KeyHandle, ksn: Uint8Array): Buffer {
  if (base.info.algorithm !== 'A') throw new KeyRefused(`key ${base.info.name} is no AES base key`)
  return derive((blocks) => base.encrypt(blocks), base.info.bytes, USAGE.initialKey, ksn.subarray(0, ID_BYTES))
}

/** Keys of the transactions of the terminal with this initial key, by counter (`aesCounter`). @param ksn any of the terminal's */
export function aesTransactionKeys(initialKey: Uint8Array, ksn: Uint8Array): CounterKeys {
  const own = Buffer.from(ksn)
  return dukptPath(initialKey, (key, counter) => deriveLocally(key, USAGE.keyDerivation, own, counter))
}

/** The counter of a KSN; undefined where this is no KSN of a transaction: a terminal skips counters with more than 16 bits set (6.3.6). */
export function aesCounter(ksn: Uint8Array): number | undefined {
  if (ksn.length !== AES_KSN_BYTES) return undefined
  const counter = Buffer.from(ksn).readUInt32BE(ID_BYTES)
  let bits = 0
  for (let rest = counter; rest !== 0; rest &= rest - 1) bits++
  return bits === 0 || bits > COUNTER_BITS_SET_MAX ? undefined : counter
}

/** What tells the terminals under a base key apart: the initial key id in hexadecimal. */
export function aesInitialKeyId(ksn: Uint8Array): string {
  return Buffer.from(ksn.subarray(0, ID_BYTES)).toString('hex')
}

export type AesPurpose = 'pin' | 'mac-generation' | 'mac-verification' | 'data-encryption' | 'data-decryption'

/** 6.3.5: the key for one purpose of a transaction. Generation and verification, encryption and decryption are the terminal's. */
export function aesWorkingKey(transactionKey: Uint8Array, purpose: AesPurpose, ksn: Uint8Array): Buffer {
  return deriveLocally(transactionKey, USAGE[purpose], ksn, aesCounter(ksn) ?? 0)
}

const ID_BYTES = 8
const COUNTER_BITS_SET_MAX = 16
const BLOCK = 16

/** Table 4. */
const USAGE = {
  pin: 0x1000,
  'mac-generation': 0x2000,
  'mac-verification': 0x2001,
  'data-encryption': 0x3000,
  'data-decryption': 0x3001,
  keyDerivation: 0x8000,
  initialKey: 0x8001,
} as const

/** Table 5, by key length. */
const ALGORITHM: Readonly<Record<number, number>> = { 16: 2, 24: 3, 32: 4 }

function deriveLocally(key: Uint8Array, usage: number, ksn: Uint8Array, counter: number): Buffer {
  const context = Buffer.alloc(8)
  context.set(ksn.subarray(ID_BYTES - 4, ID_BYTES))
  context.writeUInt32BE(counter, 4)
  const cipher = createCipheriv(`aes-${String(key.length * 8)}-ecb`, key, null).setAutoPadding(false)
  return derive((blocks) => cipher.update(blocks), key.length, usage, context)
}

/** 6.3.2: as many derivation blocks as the key is long, each with its number, enciphered and cut. */
function derive(encrypt: (blocks: Uint8Array) => Buffer, keyBytes: number, usage: number, context: Uint8Array): Buffer {
  const blocks = Buffer.alloc(Math.ceil(keyBytes / BLOCK) * BLOCK)
  for (let start = 0; start < blocks.length; start += BLOCK) {
    blocks[start] = 1
    blocks[start + 1] = start / BLOCK + 1
    blocks.writeUInt16BE(usage, start + 2)
    blocks.writeUInt16BE(ALGORITHM[keyBytes] ?? 0, start + 4)
    blocks.writeUInt16BE(keyBytes * 8, start + 6)
    blocks.set(context, start + 8)
  }
  return encrypt(blocks).subarray(0, keyBytes)
}
