/**
 * Keys on a PKCS#11 token, as src/security/pkcs11Objects.ts lays them out. They are used in the token and do not leave it, unless they are
 * exportable. What comes out of an operation, a PIN block in the clear too, is in this process all the same: spec/security.md.
 */
import { assert } from '../assert.ts'
import { KeyRefused, type KeyHandle, type KeyInfo, type KeyStore, type KeyUsage, type NewKey } from './keys.ts'
import { cmac, retailMacBy } from './mac.ts'
import { ecbDecrypt, ecbEncrypt, gcmSeal, gcmUnseal, retailMac, sign } from './pkcs11Mechanisms.ts'
import { checkNewKey, createObject, keyObjects, readValue, secondPart, type KeyObject } from './pkcs11Objects.ts'
import { openPkcs11Session, returnCodeOf, type OpenToken, type Pkcs11Options } from './pkcs11Session.ts'

const TDES_BLOCK = 8
const AES_BLOCK = 16
const HMAC_BYTES = 32
const KCV_BYTES = 3
const NONCE_BYTES = 12
/** D0: AES-256. */
const SEALING_KEY_BYTES = 32

/** Measured with SoftHSM and messages of 200 bytes: from here on it is cheaper, with 64 messages twice to three times. */
const SIDE_BY_SIDE_MIN = 16

/** A key as it was read from the token, in the session of this count. */
interface TokenKey {
  readonly info: KeyInfo
  readonly whole: KeyObject
  readonly second: KeyObject | undefined
  readonly session: number
}

/**
 * A handle follows its name: when the key is replaced, by this process or another one, it works with the new key. Its `info` stays as it was
 * found.
 *
 * @throws KeyStoreFailed: what cannot be loaded, opened or logged in to. So does every call when the token fails; the next call opens and logs in again
 */
export function openPkcs11KeyStore(options: Pkcs11Options): KeyStore {
  const session = openPkcs11Session(options)
  const known = new Map<string, TokenKey>()

  /** An object that another process has replaced or removed meanwhile is looked for again. Everything that is done here may be done twice. */
  const run = <T>(operation: string, work: (token: OpenToken) => T): T =>
    session.use(operation, (token) => {
      try {
        return work(token)
      } catch (error) {
        if (!isStale(error, token)) throw error
        known.clear()
        return work(token)
      }
    })

  const withKey: WithKey = (operation, name, usage, work) =>
    run(`${operation} key ${name}`, (token) => work(current(token, name, usage), token))

  const current = (token: OpenToken, name: string, usage: KeyUsage): TokenKey => {
    let key = known.get(name)
    if (key?.session !== token.count) {
      key = readKey(token, name)
      known.set(name, key)
    }
    if (key.info.usage !== usage) throw new KeyRefused(`key ${name} is for ${key.info.usage}, not for ${usage}`)
    return key
  }

  return {
    kind: 'pkcs11',
    list: () =>
      run('list the keys', (token) => {
        known.clear()
        // One search for all: one a key is slow on a token with many.
        const objects = Map.groupBy(keyObjects(token), ({ name }) => name)
        const names = [...objects.keys()].filter((name) => (objects.get(name) ?? []).some(({ part }) => part === 'whole'))
        return names.toSorted().flatMap((name) => {
          try {
            const key = readKey(token, name, objects.get(name))
            known.set(name, key)
            return [key.info]
          } catch (error) {
            // What cannot be used is not listed; `find` says why.
            if (error instanceof KeyRefused) return []
            throw error
          }
        })
      }),
    find: (name, usage) => withKey('find', name, usage, ({ info }) => keyHandle(info, withKey)),
    put: (key) =>
      run(`store key ${key.name}`, (token) => {
        checkNewKey(key)
        putKey(token, key)
        const stored = readKey(token, key.name)
        known.set(key.name, stored)
        return stored.info
      }),
    remove: (name) =>
      run(`remove key ${name}`, (token) => {
        known.delete(name)
        destroyKey(token, keyObjects(token, name))
      }),
    reveal: (name) =>
      run(`read key ${name}`, (token) => {
        const { info, whole } = readKey(token, name)
        if (!info.exportable) throw new KeyRefused(`key ${name} may not leave its store`)
        return readValue(token, whole.handle)
      }),
    close: () => {
      known.clear()
      session.close()
    },
  }
}

type WithKey = <T>(operation: string, name: string, usage: KeyUsage, work: (key: TokenKey, token: OpenToken) => T) => T

function keyHandle(info: KeyInfo, withKey: WithKey): KeyHandle {
  const { name, usage } = info
  const run = <T>(operation: string, work: (key: TokenKey, token: OpenToken) => T): T =>
    withKey(`${operation} with`, name, usage, work)
  return {
    info,
    encrypt: (blocks) => run('encrypt', (key, token) => ecbEncrypt(token, ecb(key, token, blocks), key.whole.handle, blocks)),
    decrypt: (blocks) => run('decrypt', (key, token) => ecbDecrypt(token, ecb(key, token, blocks), key.whole.handle, blocks)),
    encryptFirstHalf: (blocks) =>
      run('encrypt', ({ second }, token) => {
        // M3 has a first half too, for its own MACs only.
        if (second?.part !== 'first half' || usage !== 'C0') throw new KeyRefused(`key ${name} is not used by halves`)
        return tdesEncrypt(token, second, blocks)
      }),
    encryptVariant: (blocks) =>
      run('encrypt', ({ second }, token) => {
        if (second?.part !== 'variant') throw new KeyRefused(`key ${name} has no variant`)
        return tdesEncrypt(token, second, blocks)
      }),
    mac: (data) => run('make a MAC', (key, token) => macOf(key, token, data)),
    macs: (batch) => run('make MACs', (key, token) => macsOf(key, token, batch)),
    seal: (nonce, data, associated) =>
      run('seal', (key, token) => gcmSeal(token, sealingKey(key, nonce), nonce, data, associated)),
    unseal: (nonce, sealed, associated) =>
      run('unseal', (key, token) => gcmUnseal(token, sealingKey(key, nonce), nonce, sealed, associated)),
  }
}

/** The mechanism. Wrong lengths are found here, because the token's own refusal costs the session. */
function ecb({ info }: TokenKey, { names }: OpenToken, blocks: Uint8Array): number {
  if (info.algorithm === 'H') throw new KeyRefused('an HMAC key enciphers nothing')
  assertWhole(blocks, info.algorithm === 'A' ? AES_BLOCK : TDES_BLOCK)
  return info.algorithm === 'A' ? names.CKM_AES_ECB : names.CKM_DES3_ECB
}

function tdesEncrypt(token: OpenToken, { handle }: KeyObject, blocks: Uint8Array): Buffer {
  assertWhole(blocks, TDES_BLOCK)
  return ecbEncrypt(token, token.names.CKM_DES3_ECB, handle, blocks)
}

function macOf({ info, whole, second }: TokenKey, token: OpenToken, data: Uint8Array): Buffer {
  if (info.usage === 'M3' && second !== undefined) return retailMac(token, second.handle, whole.handle, data)
  return signed(token, whole, data)
}

/** Of many, an operation a column of blocks instead of one or two a message. */
function macsOf(key: TokenKey, token: OpenToken, batch: readonly Uint8Array[]): Buffer[] {
  const { info, whole, second } = key
  if (batch.length < SIDE_BY_SIDE_MIN || info.algorithm === 'H') return batch.map((data) => macOf(key, token, data))
  const encrypt = (blocks: Uint8Array): Buffer => ecbEncrypt(token, ecb(key, token, blocks), whole.handle, blocks)
  if (info.usage !== 'M3' || second === undefined)
    return cmac(encrypt, info.algorithm === 'A' ? AES_BLOCK : TDES_BLOCK).batch(batch)
  return retailMacBy((blocks) => tdesEncrypt(token, second, blocks), encrypt).batch(batch)
}

function signed(token: OpenToken, { algorithm, handle }: KeyObject, data: Uint8Array): Buffer {
  const { names } = token
  switch (algorithm) {
    case 'T':
      return sign(token, names.CKM_DES3_CMAC, handle, data, TDES_BLOCK)
    case 'A':
      return sign(token, names.CKM_AES_CMAC, handle, data, AES_BLOCK)
    case 'H':
      return sign(token, names.CKM_SHA256_HMAC, handle, data, HMAC_BYTES)
  }
}

function sealingKey({ info, whole }: TokenKey, nonce: Uint8Array): KeyObject['handle'] {
  if (info.usage !== 'D0' || info.algorithm !== 'A' || info.bytes !== SEALING_KEY_BYTES) {
    throw new KeyRefused(`key ${info.name} seals nothing: it is not an AES-256 key for D0`)
  }
  assert(nonce.length === NONCE_BYTES, 'a nonce of GCM has 12 bytes')
  return whole.handle
}

function assertWhole(blocks: Uint8Array, blockBytes: number): void {
  assert(blocks.length % blockBytes === 0, `blocks of ${String(blockBytes)} bytes`)
}

/** The key's newest version. @param objects all of this key. @throws KeyRefused where there is none, or it is not whole */
function readKey(token: OpenToken, name: string, objects = keyObjects(token, name)): TokenKey {
  const wholes = objects.filter(({ part }) => part === 'whole')
  const version = newestVersion(wholes)
  const [whole, ...others] = wholes.filter((object) => object.version === version)
  if (whole === undefined) throw new KeyRefused(`there is no key ${name}`)
  if (others.length > 0) throw new KeyRefused(`key ${name} is on the token twice: remove it and store it again`)
  const { usage, algorithm, bytes, exportable } = whole
  const part = secondPart(whole)
  const second = objects.find((object) => object.part === part && object.version === version && object.usage === usage)
  if (part !== undefined && second === undefined) {
    throw new KeyRefused(`key ${name} lacks its ${part} on the token: store it again`)
  }
  const info = { name, usage, algorithm, bytes, kcv: kcvOf(token, whole), exportable }
  return { info, whole, second, session: token.count }
}

/** First the new objects, then away with the old: wherever this is cut short, there is a whole key, and the next `put` or `remove` tidies up. */
function putKey(token: OpenToken, key: NewKey): void {
  const before = keyObjects(token, key.name)
  const other = before.find((object) => object.part === 'whole' && object.usage !== key.usage)
  if (other !== undefined) throw new KeyRefused(`key ${key.name} is there already, for ${other.usage}`)
  const version = newestVersion(before) + 1
  const part = secondPart({ ...key, bytes: key.value.length })
  if (part !== undefined) createObject(token, key, version, part)
  createObject(token, key, version, 'whole')
  destroyKey(token, before)
}

/** The whole key goes first: a first half or variant alone is no key. */
function destroyKey({ library, handle }: OpenToken, objects: readonly KeyObject[]): void {
  const wholesFirst = objects.toSorted((a, b) => Number(a.part !== 'whole') - Number(b.part !== 'whole'))
  for (const object of wholesFirst) library.C_DestroyObject(handle, object.handle)
}

function newestVersion(objects: readonly KeyObject[]): number {
  return Math.max(0, ...objects.map(({ version }) => version))
}

/** X9.24-1:2017 annex A. CKA_CHECK_VALUE is another one for AES, and not every token has it. */
function kcvOf(token: OpenToken, whole: KeyObject): string {
  const check =
    whole.algorithm === 'T'
      ? ecbEncrypt(token, token.names.CKM_DES3_ECB, whole.handle, Buffer.alloc(TDES_BLOCK))
      : signed(token, whole, Buffer.alloc(whole.algorithm === 'A' ? AES_BLOCK : 0))
  return check.subarray(0, KCV_BYTES).toString('hex').toUpperCase()
}

function isStale(error: unknown, { names }: OpenToken): boolean {
  const code = returnCodeOf(error)?.value
  return code === names.CKR_KEY_HANDLE_INVALID || code === names.CKR_OBJECT_HANDLE_INVALID
}
