/** What every key store promises (src/security/keys.ts), kept by each. */
import { createCipheriv, createDecipheriv, createHmac, randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { InvariantViolation } from '../../src/assert.ts'
import { KeyRefused, type KeyAlgorithm, type KeyStore, type KeyUsage, type NewKey } from '../../src/security/keys.ts'
import { keyStoresUnderTest } from '../support/keyStores.ts'

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex')

const key = (name: string, usage: KeyUsage, algorithm: KeyAlgorithm, value: Uint8Array, exportable = false): NewKey => ({
  name,
  usage,
  algorithm,
  exportable,
  value,
})

const ECB: [string, KeyAlgorithm, number, number][] = [
  ['des-ede', 'T', 16, 8],
  ['des-ede3', 'T', 24, 8],
  ['aes-128-ecb', 'A', 16, 16],
  ['aes-192-ecb', 'A', 24, 16],
  ['aes-256-ecb', 'A', 32, 16],
]

/** NIST SP 800-38B, examples of 2005-05 (D.1 AES-128, D.5 two-key TDEA): the first bytes of one message. */
const SP800_38B_MESSAGE = hex(
  '6bc1bee22e409f96e93d7e117393172a ae2d8a571e03ac9c9eb76fac45af8e51 30c81c46a35ce411e5fbc1191a0a52ef f69f2445df4f9b17ad2b417be66c3710',
)
const SP800_38B: [KeyAlgorithm, string, number, string][] = [
  ['A', '2b7e151628aed2a6abf7158809cf4f3c', 0, 'bb1d6929e95937287fa37d129b756746'],
  ['A', '2b7e151628aed2a6abf7158809cf4f3c', 16, '070a16b46b4d4144f79bdd9dd04a287c'],
  ['A', '2b7e151628aed2a6abf7158809cf4f3c', 40, 'dfa66747de9ae63030ca32611497c827'],
  ['A', '2b7e151628aed2a6abf7158809cf4f3c', 64, '51f0bebf7e3b9d92fc49741779363cfe'],
  ['T', '4cf15134a2850dd58a3d10ba80570d38', 0, 'bd2ebf9a3ba00361'],
  ['T', '4cf15134a2850dd58a3d10ba80570d38', 8, '4ff2ab813c53ce83'],
  ['T', '4cf15134a2850dd58a3d10ba80570d38', 20, '62dd1b471902bd4e'],
  ['T', '4cf15134a2850dd58a3d10ba80570d38', 32, '31b1e431dabc4eb8'],
]

/** ISO/IEC 9797-1:1999 annex B: algorithm 3 with padding method 1. */
const ISO9797_KEY = hex('0123456789abcdef fedcba9876543210')
const ISO9797: [string, string][] = [
  ['Now is the time for all ', 'a1c72e74ea3fa9b6'],
  ['Now is the time for it', '2e2b1428cc78254f'],
]

/** X9.24-1:2009 annex A. */
const DUKPT_KEY = hex('0123456789abcdef fedcba9876543210')

describe.each(keyStoresUnderTest())('%s key store', (_name, open) => {
  let store: KeyStore

  beforeEach(() => {
    store = open()
  })

  afterEach(() => store.close())

  const stored = (...of: Parameters<typeof key>) => {
    store.put(key(...of))
    return store.find(of[0], of[1])
  }

  it.each(ECB)('enciphers and deciphers any number of blocks as %s does', (cipher, algorithm, bytes, blockBytes) => {
    const value = randomBytes(bytes)
    const handle = stored('kek.one', 'K0', algorithm, value)
    const blocks = fc.integer({ min: 0, max: 40 }).map((count) => randomBytes(count * blockBytes))
    fc.assert(
      fc.property(blocks, (clear) => {
        const enciphered = handle.encrypt(clear)
        expect(enciphered).toEqual(createCipheriv(cipher, value, null).setAutoPadding(false).update(clear))
        expect(handle.decrypt(enciphered)).toEqual(clear)
        expect(handle.decrypt(clear)).toEqual(createDecipheriv(cipher, value, null).setAutoPadding(false).update(clear))
      }),
      { numRuns: 20 },
    )
  })

  it.each(ECB)('takes more blocks than a token takes at once: %s', (cipher, algorithm, bytes, blockBytes) => {
    const value = randomBytes(bytes)
    const handle = stored('kek.one', 'K0', algorithm, value)
    const clear = randomBytes(5001 * blockBytes)
    const enciphered = handle.encrypt(clear)
    expect(enciphered.equals(createCipheriv(cipher, value, null).update(clear))).toBe(true)
    expect(handle.decrypt(enciphered).equals(clear)).toBe(true)
  })

  it('gives results that later calls leave alone', () => {
    const handle = stored('kek.one', 'K0', 'A', randomBytes(16))
    const first = handle.encrypt(Buffer.alloc(16))
    const copy = Buffer.from(first)
    handle.encrypt(Buffer.alloc(16, 1))
    expect(first).toEqual(copy)
  })

  it.each(SP800_38B)('CMAC %s of SP 800-38B with key %s, %i bytes', (algorithm, value, bytes, mac) => {
    const handle = stored('mac.link', 'M6', algorithm, hex(value))
    expect(handle.mac(SP800_38B_MESSAGE.subarray(0, bytes)).toString('hex')).toBe(mac)
  })

  it.each(ISO9797)('retail MAC of ISO 9797-1: %s', (data, mac) => {
    expect(stored('mac.link', 'M3', 'T', ISO9797_KEY).mac(Buffer.from(data)).toString('hex')).toBe(mac)
  })

  it('retail MAC of any length is its definition: DES in CBC, then the last block through the whole key', () => {
    const value = randomBytes(16)
    const handle = stored('mac.link', 'M3', 'T', value)
    const half = value.subarray(0, 8)
    const last = createDecipheriv('des-ede', Buffer.concat([value.subarray(8), value.subarray(8)]), null).setAutoPadding(false)
    const lengths = fc.oneof(fc.integer({ min: 0, max: 400 }), fc.constantFrom(16_384, 16_392, 40_001))
    fc.assert(
      fc.property(lengths, (bytes) => {
        const data = randomBytes(bytes)
        const padded = Buffer.alloc(Math.max(1, Math.ceil(bytes / 8)) * 8)
        data.copy(padded)
        const chained = createCipheriv('des-ede-cbc', Buffer.concat([half, half]), Buffer.alloc(8)).update(padded)
        // Decipher under K2 and encipher under K1 what CBC under K1 left.
        const single = createCipheriv('des-ede', Buffer.concat([half, half]), null).setAutoPadding(false)
        expect(handle.mac(data)).toEqual(single.update(last.update(chained.subarray(-8))))
      }),
      { numRuns: 30 },
    )
  })

  it('HMAC-SHA256 of any length', () => {
    const value = randomBytes(32)
    const handle = stored('pan.index', 'M7', 'H', value)
    for (const bytes of [0, 1, 16, 64, 65, 16_384, 40_000]) {
      const data = randomBytes(bytes)
      expect(handle.mac(data)).toEqual(createHmac('sha256', value).update(data).digest())
    }
  })

  it('single DES under the first half of a C0 key', () => {
    const value = randomBytes(16)
    const half = value.subarray(0, 8)
    const handle = stored('cvk', 'C0', 'T', value)
    const blocks = randomBytes(8 * 33)
    const single = createCipheriv('des-ede', Buffer.concat([half, half]), null).setAutoPadding(false)
    expect(handle.encryptFirstHalf(blocks)).toEqual(single.update(blocks))
    expect(handle.encrypt(blocks)).toEqual(createCipheriv('des-ede', value, null).update(blocks))
  })

  /** X9.24-1:2009 A.4: the initial key of this base key and KSN FFFF9876543210E00000. */
  it('the initial key of DUKPT under a B0 key and its variant', () => {
    const handle = stored('bdk', 'B0', 'T', DUKPT_KEY)
    const ksn = hex('FFFF9876543210E0')
    expect(handle.encrypt(ksn).toString('hex')).toBe('6ac292faa1315b4d')
    expect(handle.encryptVariant(ksn).toString('hex')).toBe('858ab3a3d7d5933a')
    const value = Buffer.from(DUKPT_KEY.map((byte, at) => byte ^ (at % 8 < 4 ? 0xc0 : 0)))
    const blocks = randomBytes(8 * 33)
    expect(handle.encryptVariant(blocks)).toEqual(createCipheriv('des-ede', value, null).update(blocks))
  })

  it.each<[KeyUsage, KeyAlgorithm, number]>([
    ['P0', 'T', 16],
    ['M3', 'T', 16],
    ['B0', 'T', 24],
    ['B0', 'A', 16],
    ['C0', 'T', 16],
  ])('no half of a key alone, and no variant, where nothing needs it: %s %s %i', (usage, algorithm, bytes) => {
    const handle = stored('key', usage, algorithm, randomBytes(bytes))
    const block = Buffer.alloc(16)
    if (usage !== 'C0') expect(() => handle.encryptFirstHalf(block)).toThrow(new KeyRefused('key key is not used by halves'))
    expect(() => handle.encryptVariant(block)).toThrow(new KeyRefused('key key has no variant'))
  })

  it.each<[KeyUsage, KeyAlgorithm, number]>([
    ['M3', 'T', 16],
    ['M6', 'T', 16],
    ['M6', 'T', 24],
    ['M6', 'A', 16],
    ['M6', 'A', 32],
    ['M7', 'H', 32],
  ])('MACs of many messages are those of each: %s %s %i', (usage, algorithm, bytes) => {
    const handle = stored('mac.link', usage, algorithm, randomBytes(bytes))
    const batches = fc.array(fc.integer({ min: 0, max: 90 }), { maxLength: 40 })
    fc.assert(
      fc.property(batches, (lengths) => {
        const batch = lengths.map((length) => randomBytes(length))
        expect(handle.macs(batch)).toEqual(batch.map((data) => handle.mac(data)))
      }),
      { numRuns: 12 },
    )
  })

  it('half a block is our mistake, and spoils no later call', () => {
    const cvk = stored('cvk', 'C0', 'T', randomBytes(16))
    const bdk = stored('bdk', 'B0', 'T', randomBytes(16))
    const aes = stored('zpk', 'P0', 'A', randomBytes(16))
    const calls: ((blocks: Uint8Array) => Buffer)[] = [
      (blocks) => cvk.encrypt(blocks),
      (blocks) => cvk.decrypt(blocks),
      (blocks) => cvk.encryptFirstHalf(blocks),
      (blocks) => bdk.encryptVariant(blocks),
      (blocks) => aes.encrypt(blocks),
      (blocks) => aes.decrypt(blocks),
    ]
    for (const call of calls) {
      const before = call(Buffer.alloc(16))
      expect(() => call(Buffer.alloc(12))).toThrow(InvariantViolation)
      expect(call(Buffer.alloc(16))).toEqual(before)
    }
  })

  it('seals as AES-256-GCM, and opens what fits', () => {
    const value = randomBytes(32)
    const handle = stored('pan.data', 'D0', 'A', value)
    const lengths = fc.tuple(fc.integer({ min: 0, max: 100 }), fc.integer({ min: 0, max: 40 }))
    fc.assert(
      fc.property(lengths, ([bytes, associatedBytes]) => {
        const [nonce, data, associated] = [randomBytes(12), randomBytes(bytes), randomBytes(associatedBytes)]
        const sealed = handle.seal(nonce, data, associated)
        const cipher = createCipheriv('aes-256-gcm', value, nonce).setAAD(associated)
        expect(sealed).toEqual(Buffer.concat([cipher.update(data), cipher.final(), cipher.getAuthTag()]))
        expect(handle.unseal(nonce, sealed, associated)).toEqual(data)
      }),
      { numRuns: 30 },
    )
  })

  it('opens nothing that was changed, moved or cut, and goes on', () => {
    const handle = stored('pan.data', 'D0', 'A', randomBytes(32))
    const [nonce, data, row] = [randomBytes(12), randomBytes(16), Buffer.from('row 1')]
    const sealed = handle.seal(nonce, data, row)
    for (let at = 0; at < sealed.length; at++) {
      const changed = Buffer.from(sealed)
      changed[at] = changed[at]! ^ 1
      expect(handle.unseal(nonce, changed, row)).toBeUndefined()
      expect(handle.unseal(nonce, sealed.subarray(0, at), row)).toBeUndefined()
    }
    expect(handle.unseal(nonce, sealed, Buffer.from('row 2'))).toBeUndefined()
    expect(handle.unseal(randomBytes(12), sealed, row)).toBeUndefined()
    expect(handle.unseal(nonce, sealed, row)).toEqual(data)
  })

  /** X9.24-1:2017 annex A. */
  it('gives the check value of each algorithm', () => {
    expect(store.put(key('t', 'K0', 'T', ISO9797_KEY)).kcv).toBe('08D7B4')
    const aes = randomBytes(32)
    const zero = stored('a', 'K1', 'A', aes)
    expect(zero.info.kcv).toBe(zero.mac(Buffer.alloc(16)).subarray(0, 3).toString('hex').toUpperCase())
    const value = randomBytes(32)
    const digest = createHmac('sha256', value).digest('hex')
    expect(store.put(key('h', 'M7', 'H', value)).kcv).toBe(digest.slice(0, 6).toUpperCase())
  })

  it('lists what it was given, and says the same of a key everywhere', () => {
    const keys = [
      key('zpk.atm', 'P0', 'T', randomBytes(16), true),
      key('cvk.9818', 'C0', 'T', randomBytes(16)),
      key('bdk-2', 'B0', 'A', randomBytes(24)),
      key('pan.index', 'M7', 'H', randomBytes(32)),
    ]
    for (const each of keys) {
      const info = store.put(each)
      const { name, usage, algorithm, exportable, value } = each
      expect(info).toEqual({ name, usage, algorithm, exportable, bytes: value.length, kcv: info.kcv })
      expect(info.kcv).toMatch(/^[0-9A-F]{6}$/)
      expect(store.find(name, usage).info).toEqual(info)
      expect(store.list()).toContainEqual(info)
    }
    expect(store.list().map(({ name }) => name)).toHaveLength(keys.length)
  })

  it('refuses a key for another purpose, and names both', () => {
    store.put(key('zpk.atm', 'P0', 'T', randomBytes(16)))
    expect(() => store.find('zpk.atm', 'K0')).toThrow(new KeyRefused('key zpk.atm is for P0, not for K0'))
  })

  it('refuses a key that is not there', () => {
    expect(() => store.find('zpk.atm', 'P0')).toThrow(new KeyRefused('there is no key zpk.atm'))
    expect(() => store.reveal('zpk.atm')).toThrow(new KeyRefused('there is no key zpk.atm'))
    store.remove('zpk.atm')
  })

  it.each<[KeyAlgorithm, number]>([
    ['T', 8],
    ['T', 17],
    ['T', 32],
    ['A', 0],
    ['A', 8],
    ['A', 33],
    ['H', 16],
    ['H', 64],
  ])('refuses a key of %s with %i bytes and keeps none', (algorithm, bytes) => {
    expect(() => store.put(key('odd', 'K0', algorithm, randomBytes(bytes)))).toThrow(KeyRefused)
    expect(store.list()).toEqual([])
  })

  it('replaces a key by one of the same usage, and by no other', () => {
    const next = randomBytes(16)
    stored('mac.link', 'M3', 'T', randomBytes(16))
    const info = store.put(key('mac.link', 'M3', 'T', next, true))
    expect(store.list()).toEqual([info])
    expect(store.reveal('mac.link')).toEqual(next)
    const data = randomBytes(30)
    const expected = stored('mac.other', 'M3', 'T', next).mac(data)
    expect(store.find('mac.link', 'M3').mac(data)).toEqual(expected)
    expect(() => store.put(key('mac.link', 'M6', 'T', randomBytes(16)))).toThrow(
      new KeyRefused('key mac.link is there already, for M3'),
    )
    expect(store.find('mac.link', 'M3').mac(data)).toEqual(expected)
  })

  it.each<[KeyUsage, KeyAlgorithm, number]>([
    ['P0', 'T', 16],
    ['K0', 'T', 24],
    ['C0', 'T', 16],
    ['D0', 'A', 32],
    ['M7', 'H', 32],
  ])('reveals a key of %s %s %i if it is exportable, and only then', (usage, algorithm, bytes) => {
    const value = randomBytes(bytes)
    store.put(key('out', usage, algorithm, value, true))
    store.put(key('in', usage, algorithm, value, false))
    expect(store.reveal('out')).toEqual(value)
    expect(() => store.reveal('in')).toThrow(new KeyRefused('key in may not leave its store'))
    expect(store.find('in', usage).info.kcv).toBe(store.find('out', usage).info.kcv)
  })

  it('keeps nothing of the buffer it was given', () => {
    const value = randomBytes(16)
    const copy = Buffer.from(value)
    store.put(key('zpk.atm', 'P0', 'T', value, true))
    value.fill(0)
    store.reveal('zpk.atm').fill(0)
    expect(store.reveal('zpk.atm')).toEqual(copy)
    expect(store.find('zpk.atm', 'P0').encrypt(Buffer.alloc(8))).toEqual(
      createCipheriv('des-ede', copy, null).update(Buffer.alloc(8)),
    )
  })

  it('removes a key, after which another may have its name', () => {
    store.put(key('cvk.9818', 'C0', 'T', randomBytes(16)))
    store.remove('cvk.9818')
    expect(store.list()).toEqual([])
    expect(() => store.find('cvk.9818', 'C0')).toThrow(KeyRefused)
    expect(store.put(key('cvk.9818', 'P0', 'A', randomBytes(16))).usage).toBe('P0')
  })

  it('an HMAC key enciphers nothing', () => {
    const handle = stored('pan.index', 'M7', 'H', randomBytes(32))
    expect(() => handle.encrypt(Buffer.alloc(16))).toThrow(KeyRefused)
    expect(() => handle.decrypt(Buffer.alloc(16))).toThrow(KeyRefused)
  })
})
