/** Keys in this process's memory: for development and tests. Whoever can read the process has them, so production refuses this store. */
import { createCipheriv, createDecipheriv, createHmac, createSecretKey, type Cipheriv, type Decipheriv } from 'node:crypto'
import { KeyRefused, type KeyAlgorithm, type KeyHandle, type KeyStore, type KeyUsage, type NewKey } from './keys.ts'
import { cmac, retailMac } from './mac.ts'

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
  const lengths: Readonly<Record<KeyAlgorithm, readonly number[]>> = { T: [16, 24], A: [16, 24, 32], H: [32] }
  if (!lengths[key.algorithm].includes(value.length)) {
    throw new KeyRefused(
      `key ${key.name} has ${String(value.length)} bytes; ${key.algorithm} has ${lengths[key.algorithm].join(', ')}`,
    )
  }
  let encipher: Cipheriv | undefined
  let decipher: Decipheriv | undefined
  const encrypt = (blocks: Uint8Array): Buffer => {
    encipher ??= createCipheriv(ecbOf(key.algorithm, value), value, null).setAutoPadding(false)
    return encipher.update(blocks)
  }
  const decrypt = (blocks: Uint8Array): Buffer => {
    decipher ??= createDecipheriv(ecbOf(key.algorithm, value), value, null).setAutoPadding(false)
    return decipher.update(blocks)
  }
  const mac = macOf(key.usage, key.algorithm, value, encrypt)
  // From the key's bytes each cipher object would take four times as long.
  const secret = createSecretKey(value)
  const { name, usage, algorithm, exportable } = key
  return {
    info: { name, usage, algorithm, bytes: value.length, kcv: kcvOf(algorithm, value, encrypt), exportable },
    encrypt,
    decrypt,
    mac,
    seal: (nonce, data, associated) => {
      const cipher = createCipheriv('aes-256-gcm', secret, nonce).setAAD(associated)
      return Buffer.concat([cipher.update(data), cipher.final(), cipher.getAuthTag()])
    },
    unseal: (nonce, sealed, associated) => {
      if (sealed.length < TAG_BYTES) return undefined
      const body = sealed.subarray(0, sealed.length - TAG_BYTES)
      const opening = createDecipheriv('aes-256-gcm', secret, nonce).setAAD(associated)
      opening.setAuthTag(sealed.subarray(sealed.length - TAG_BYTES))
      try {
        return Buffer.concat([opening.update(body), opening.final()])
      } catch {
        return undefined
      }
    },
  }
}

function ecbOf(algorithm: KeyAlgorithm, value: Uint8Array): string {
  if (algorithm === 'A') return `aes-${String(value.length * 8)}-ecb`
  if (algorithm === 'T') return value.length === 16 ? 'des-ede' : 'des-ede3'
  throw new KeyRefused('an HMAC key enciphers nothing')
}

function macOf(
  usage: KeyUsage,
  algorithm: KeyAlgorithm,
  value: Buffer,
  encrypt: (blocks: Uint8Array) => Buffer,
): KeyHandle['mac'] {
  if (algorithm === 'H') {
    const secret = createSecretKey(value)
    return (data) => createHmac('sha256', secret).update(data).digest()
  }
  if (usage === 'M3') return retailMac(value)
  return cmac(encrypt, algorithm === 'A' ? AES_BLOCK : TDES_BLOCK)
}

/** X9.24-1:2017 annex A. */
function kcvOf(algorithm: KeyAlgorithm, value: Buffer, encrypt: (blocks: Uint8Array) => Buffer): string {
  const check =
    algorithm === 'T'
      ? encrypt(Buffer.alloc(TDES_BLOCK))
      : algorithm === 'A'
        ? cmac(encrypt, AES_BLOCK)(Buffer.alloc(AES_BLOCK))
        : createHmac('sha256', value).digest()
  return check.subarray(0, KCV_BYTES).toString('hex').toUpperCase()
}
