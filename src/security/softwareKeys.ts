/** Keys in this process's memory: for development and tests. Whoever can read the process has them, so production refuses this store. */
import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  type Cipheriv,
  type Decipheriv,
  type KeyObject,
} from 'node:crypto'
import { assert } from '../assert.ts'
import { KeyRefused, type KeyAlgorithm, type KeyHandle, type KeyStore, type NewKey } from './keys.ts'
import { cbcChain, cmac, retailMac, type Ecb, type MacFunction } from './mac.ts'

const TDES_BLOCK = 8
const AES_BLOCK = 16
const KCV_BYTES = 3
const TAG_BYTES = 16

export function softwareKeyStore(keys: readonly NewKey[] = []): KeyStore {
  const handles = new Map<string, { readonly handle: KeyHandle; readonly key: NewKey }>()
  const store: KeyStore = {
    kind: 'software',
    list: () => [...handles.values()].map(({ handle }) => handle.info),
    find: (name, usage) => {
      const known = handles.get(name)
      if (known === undefined) throw new KeyRefused(`there is no key ${name}`)
      if (known.key.usage !== usage) throw new KeyRefused(`key ${name} is for ${known.key.usage}, not for ${usage}`)
      return known.handle
    },
    put: (key) => {
      const before = handles.get(key.name)?.key
      if (before !== undefined && before.usage !== key.usage) {
        throw new KeyRefused(`key ${key.name} is there already, for ${before.usage}`)
      }
      const handle = softwareKey(key)
      handles.set(key.name, { handle, key: { ...key, value: Buffer.from(key.value) } })
      return handle.info
    },
    remove: (name) => {
      handles.delete(name)
    },
    reveal: (name) => {
      const known = handles.get(name)
      if (known === undefined) throw new KeyRefused(`there is no key ${name}`)
      if (!known.key.exportable) throw new KeyRefused(`key ${name} may not leave its store`)
      return Buffer.from(known.key.value)
    },
    close: () => {
      for (const { key } of handles.values()) key.value.fill(0)
      handles.clear()
    },
  }
  for (const key of keys) store.put(key)
  return store
}

/** One key in memory: for those that are derived, and those of `softwareKeyStore`. @throws KeyRefused for a length that the algorithm does not have */
export function softwareKey(key: NewKey): KeyHandle {
  const value = Buffer.from(key.value)
  const { name, usage, algorithm, exportable } = key
  if (!LENGTHS[algorithm].includes(value.length)) {
    throw new KeyRefused(`key ${name} has ${String(value.length)} bytes; ${algorithm} has ${LENGTHS[algorithm].join(', ')}`)
  }
  let encipher: Cipheriv | undefined
  let decipher: Decipheriv | undefined
  let firstHalf: Cipheriv | undefined
  let variant: Cipheriv | undefined
  let macFunction: MacFunction | undefined
  let kcv: string | undefined
  // From the key's bytes each cipher object would take four times as long.
  let secret: KeyObject | undefined
  const gcm = (): KeyObject => (secret ??= createSecretKey(gcmKey(key, value)))
  const encrypt = (blocks: Uint8Array): Buffer => whole(algorithm, (encipher ??= ecbEncipher(key, value)), blocks)
  const mac = (): MacFunction => (macFunction ??= macOf(key, value, encrypt))
  return {
    info: {
      name,
      usage,
      algorithm,
      bytes: value.length,
      // Of a derived key nobody asks.
      get kcv() {
        return (kcv ??= kcvOf(algorithm, value, encrypt))
      },
      exportable,
    },
    encrypt,
    decrypt: (blocks) => whole(algorithm, (decipher ??= ecbDecipher(key, value)), blocks),
    encryptFirstHalf: (blocks) => {
      if (usage !== 'C0' || !isDoubleLength(algorithm, value)) throw new KeyRefused(`key ${name} is not used by halves`)
      return whole(algorithm, (firstHalf ??= ecbEncipher(key, firstHalfTwice(value))), blocks)
    },
    encryptVariant: (blocks) => {
      if (usage !== 'B0' || !isDoubleLength(algorithm, value)) throw new KeyRefused(`key ${name} has no variant`)
      return whole(algorithm, (variant ??= ecbEncipher(key, initialKeyVariant(value))), blocks)
    },
    mac: (data) => mac()(data),
    macs: (batch) => mac().batch(batch),
    seal: (nonce, data, associated) => {
      const cipher = createCipheriv(GCM, gcm(), nonce).setAAD(associated)
      return Buffer.concat([cipher.update(data), cipher.final(), cipher.getAuthTag()])
    },
    unseal: (nonce, sealed, associated) => {
      if (sealed.length < TAG_BYTES) return undefined
      const body = sealed.subarray(0, sealed.length - TAG_BYTES)
      const opening = createDecipheriv(GCM, gcm(), nonce, { authTagLength: TAG_BYTES }).setAAD(associated)
      opening.setAuthTag(sealed.subarray(sealed.length - TAG_BYTES))
      try {
        return Buffer.concat([opening.update(body), opening.final()])
      } catch {
        return undefined
      }
    },
  }
}

/** A cipher object keeps what is no whole block for its next call, which would be of another message. */
function whole(algorithm: KeyAlgorithm, cipher: Cipheriv | Decipheriv, blocks: Uint8Array): Buffer {
  const blockBytes = algorithm === 'A' ? AES_BLOCK : TDES_BLOCK
  assert(blocks.length % blockBytes === 0, `blocks of ${String(blockBytes)} bytes`)
  return cipher.update(blocks)
}

const LENGTHS: Readonly<Record<KeyAlgorithm, readonly number[]>> = { T: [16, 24], A: [16, 24, 32], H: [32] }
const GCM = 'aes-256-gcm'
const GCM_KEY_BYTES = 32

function ecbEncipher(key: NewKey, value: Buffer): Cipheriv {
  return createCipheriv(cipherOf(key, value, 'ecb'), value, null).setAutoPadding(false)
}

function ecbDecipher(key: NewKey, value: Buffer): Decipheriv {
  return createDecipheriv(cipherOf(key, value, 'ecb'), value, null).setAutoPadding(false)
}

function cipherOf(key: NewKey, value: Buffer, mode: 'ecb' | 'cbc'): string {
  if (key.algorithm === 'A') return `aes-${String(value.length * 8)}-${mode}`
  if (key.algorithm === 'H') throw new KeyRefused(`key ${key.name} is for HMAC, it enciphers nothing`)
  return `${value.length === DOUBLE_LENGTH ? 'des-ede' : 'des-ede3'}${mode === 'cbc' ? '-cbc' : ''}`
}

const DOUBLE_LENGTH = 16

function isDoubleLength(algorithm: KeyAlgorithm, value: Buffer): boolean {
  return algorithm === 'T' && value.length === DOUBLE_LENGTH
}

/** Single DES is triple DES with one key three times. */
function firstHalfTwice(value: Buffer): Buffer {
  const half = value.subarray(0, value.length / 2)
  return Buffer.concat([half, half])
}

function initialKeyVariant(value: Buffer): Buffer {
  const mask = Buffer.from('C0C0C0C000000000C0C0C0C000000000', 'hex')
  return Buffer.from(value.map((byte, index) => byte ^ (mask[index] ?? 0)))
}

function gcmKey(key: NewKey, value: Buffer): Buffer {
  if (key.usage !== 'D0' || key.algorithm !== 'A' || value.length !== GCM_KEY_BYTES) {
    throw new KeyRefused(`key ${key.name} seals nothing: that takes AES-256 for data`)
  }
  return value
}

function macOf(key: NewKey, value: Buffer, encrypt: Ecb): MacFunction {
  if (key.algorithm === 'H') {
    const secret = createSecretKey(value)
    const hmac = (data: Uint8Array): Buffer => createHmac('sha256', secret).update(data).digest()
    return Object.assign(hmac, { batch: (messages: readonly Uint8Array[]) => messages.map(hmac) })
  }
  if (key.usage === 'M3') {
    if (!isDoubleLength(key.algorithm, value)) throw new KeyRefused(`key ${key.name}: a retail MAC takes TDES of double length`)
    return retailMac(value)
  }
  return cmac(encrypt, key.algorithm === 'A' ? AES_BLOCK : TDES_BLOCK, cbcChain(cipherOf(key, value, 'cbc'), value))
}

/** X9.24-1:2017 annex A. */
function kcvOf(algorithm: KeyAlgorithm, value: Buffer, encrypt: Ecb): string {
  const check =
    algorithm === 'T'
      ? encrypt(Buffer.alloc(TDES_BLOCK))
      : algorithm === 'A'
        ? cmac(encrypt, AES_BLOCK)(Buffer.alloc(AES_BLOCK))
        : createHmac('sha256', value).digest()
  return check.subarray(0, KCV_BYTES).toString('hex').toUpperCase()
}
