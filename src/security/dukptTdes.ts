/**
 * DUKPT with TDES: ANSI X9.24-1:2009 annex A. A terminal got an initial key, made of the base key and the first 59 bits of its key serial
 * number (KSN, 10 bytes), and makes of it a key for each value of the 21-bit counter that ends the KSN.
 */
import { createCipheriv } from 'node:crypto'
import { dukptPath, type CounterKeys } from './dukptPath.ts'
import { KeyRefused, type KeyHandle } from './keys.ts'

export const TDES_KSN_BYTES = 10

/**
 * A.6. @param base B0, TDES of double length
 * @throws KeyRefused with another kind of key
 */
export function tdesInitialKey(base: KeyHandle, ksn: Uint8Array): Buffer {
  if (base.info.algorithm !== 'T' || base.info.bytes !== KEY_BYTES) {
    throw new KeyRefused(`key ${base.info.name} is no TDES base key of double length`)
  }
  const left = Buffer.from(withCounter(ksn, 0).subarray(0, BLOCK))
  return Buffer.concat([base.encrypt(left), base.encryptVariant(left)])
}

/** Keys of the transactions of the terminal with this initial key, by counter (`tdesCounter`). @param ksn any of the terminal's */
export function tdesTransactionKeys(initialKey: Uint8Array, ksn: Uint8Array): CounterKeys {
  const own = Buffer.from(ksn)
  return dukptPath(initialKey, (key, counter) => nextKey(key, withCounter(own, counter).subarray(TDES_KSN_BYTES - BLOCK)))
}

/** The counter of a KSN; undefined where this is no KSN of a transaction: a terminal skips counters with more than ten bits set (A.3). */
export function tdesCounter(ksn: Uint8Array): number | undefined {
  if (ksn.length !== TDES_KSN_BYTES) return undefined
  const counter = (((ksn[7] ?? 0) << 16) | ((ksn[8] ?? 0) << 8) | (ksn[9] ?? 0)) & COUNTER_MASK
  let bits = 0
  for (let rest = counter; rest !== 0; rest &= rest - 1) bits++
  return bits === 0 || bits > COUNTER_BITS_SET_MAX ? undefined : counter
}

/** What tells the terminals under a base key apart: the KSN without its counter, in hexadecimal. */
export function tdesInitialKeyId(ksn: Uint8Array): string {
  return withCounter(ksn, 0).toString('hex')
}

export type TdesVariant = 'pin' | 'mac-request' | 'mac-response' | 'data-request'

/** A.4.1: the key for one purpose of a transaction, 16 bytes. The one for data is enciphered under itself. */
export function tdesVariantKey(transactionKey: Uint8Array, variant: TdesVariant): Buffer {
  const key = xor(transactionKey, VARIANT_MASKS[variant])
  if (variant !== 'data-request') return key
  return createCipheriv('des-ede', key, null).setAutoPadding(false).update(key)
}

const BLOCK = 8
const KEY_BYTES = 16
const COUNTER_MASK = 0x1fffff
const COUNTER_BITS_SET_MAX = 10

const LEFT_KEY_MASK = Buffer.from('C0C0C0C000000000C0C0C0C000000000', 'hex')

const VARIANT_MASKS: Readonly<Record<TdesVariant, Buffer>> = {
  pin: Buffer.from('00000000000000FF00000000000000FF', 'hex'),
  'mac-request': Buffer.from('000000000000FF00000000000000FF00', 'hex'),
  'mac-response': Buffer.from('00000000FF00000000000000FF000000', 'hex'),
  'data-request': Buffer.from('0000000000FF00000000000000FF0000', 'hex'),
}

/** A.2, the non-reversible key generation process. @param register the last 8 bytes of the KSN */
function nextKey(key: Buffer, register: Buffer): Buffer {
  const masked = xor(key, LEFT_KEY_MASK)
  return Buffer.concat([halfOf(masked, register), halfOf(key, register)])
}

function halfOf(key: Buffer, register: Buffer): Buffer {
  const left = key.subarray(0, BLOCK)
  const right = key.subarray(BLOCK)
  // Single DES is triple DES with one key three times.
  const cipher = createCipheriv('des-ede', Buffer.concat([left, left]), null).setAutoPadding(false)
  return xor(cipher.update(xor(register, right)), right)
}

function withCounter(ksn: Uint8Array, counter: number): Buffer {
  const result = Buffer.from(ksn)
  result[7] = ((result[7] ?? 0) & 0xe0) | (counter >> 16)
  result[8] = (counter >> 8) & 0xff
  result[9] = counter & 0xff
  return result
}

function xor(bytes: Uint8Array, mask: Uint8Array): Buffer {
  const result = Buffer.from(bytes)
  for (let i = 0; i < result.length; i++) result[i] = (result[i] ?? 0) ^ (mask[i] ?? 0)
  return result
}
