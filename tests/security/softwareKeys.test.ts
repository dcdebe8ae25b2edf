import { describe, expect, test } from 'vitest'
import { KeyRefused } from '../../src/security/keys.ts'
import { softwareKey, softwareKeyStore } from '../../src/security/softwareKeys.ts'
import { handleOf, hex, newKey } from './clearKeys.ts'

const DOUBLE = '0123456789ABCDEFFEDCBA9876543210'

describe('a key', () => {
  test.each([
    // jPOS, JCESecurityModuleTest; openemv/tr31, tr31_decrypt_test.c (TR-31:2018 A.7.4).
    ['TDES', 'T', '12345678123456781234567812345678', '6FB1C8'],
    ['AES', 'A', '3F419E1CB7079442AA37474C2EFBF8B8', '08793E'],
  ] as const)('has a check value: %s', (_name, algorithm, value, kcv) => {
    const { info } = handleOf('P0', algorithm, value)
    expect(info.kcv).toBe(kcv)
    expect({ ...info }.kcv).toBe(kcv)
  })

  test('deciphers what it enciphers, and no call knows of another', () => {
    for (const [algorithm, value] of [
      ['T', DOUBLE],
      ['T', `${DOUBLE}0011223344556677`],
      ['A', DOUBLE],
      ['A', `${DOUBLE}0011223344556677`],
      ['A', DOUBLE + DOUBLE],
    ] as const) {
      const handle = handleOf('D0', algorithm, value)
      const blocks = Buffer.from('sixteen bytes...and another such')
      const once = handle.encrypt(blocks)
      expect(handle.encrypt(blocks)).toEqual(once)
      expect(handle.decrypt(once)).toEqual(blocks)
    }
  })

  test('of a length that its algorithm does not have is refused, and the error does not show it', () => {
    for (const [algorithm, bytes] of [
      ['T', 8],
      ['T', 32],
      ['A', 8],
      ['A', 17],
      ['H', 16],
    ] as const) {
      const put = (): unknown => softwareKey(newKey('k', 'D0', algorithm, 'AB'.repeat(bytes)))
      expect(put).toThrow(KeyRefused)
      expect(put).toThrow(/^key k has \d+ bytes; [TAH] has [\d, ]+$/)
    }
  })

  test('for HMAC enciphers nothing', () => {
    expect(() => handleOf('M7', 'H', '00'.repeat(32)).encrypt(Buffer.alloc(8))).toThrow(KeyRefused)
    expect(() => handleOf('M7', 'H', '00'.repeat(32)).decrypt(Buffer.alloc(8))).toThrow(KeyRefused)
  })

  test('is not that of the buffer it was made of', () => {
    const value = hex(DOUBLE)
    const handle = softwareKey({ name: 'k', usage: 'D0', algorithm: 'T', exportable: false, value })
    value.fill(0)
    expect(handle.encrypt(Buffer.alloc(8))).toEqual(handleOf('D0', 'T', DOUBLE).encrypt(Buffer.alloc(8)))
  })

  test('of card verification has a first half: single DES', () => {
    // The plain text and key of FIPS PUB 81 table B1: single DES of "Now is t" under 0123456789ABCDEF.
    const half = handleOf('C0', 'T', DOUBLE).encryptFirstHalf(Buffer.from('Now is t'))
    expect(half).toEqual(hex('3FA40E8A984D4815'))
    expect(() => handleOf('P0', 'T', DOUBLE).encryptFirstHalf(Buffer.alloc(8))).toThrow(KeyRefused)
    expect(() => handleOf('C0', 'A', DOUBLE).encryptFirstHalf(Buffer.alloc(16))).toThrow(KeyRefused)
  })

  test('of base derivation has a variant', () => {
    const variant = handleOf('B0', 'T', DOUBLE).encryptVariant(Buffer.alloc(8))
    expect(variant).toEqual(handleOf('P0', 'T', 'C1E385A789ABCDEF3E1C7A5876543210').encrypt(Buffer.alloc(8)))
    expect(() => handleOf('P0', 'T', DOUBLE).encryptVariant(Buffer.alloc(8))).toThrow(KeyRefused)
    expect(() => handleOf('B0', 'A', DOUBLE).encryptVariant(Buffer.alloc(16))).toThrow(KeyRefused)
  })
})

describe('a store', () => {
  test('finds a key for its purpose only', () => {
    const store = softwareKeyStore([newKey('zpk', 'P0', 'T', DOUBLE)])
    expect(store.find('zpk', 'P0').info).toMatchObject({ name: 'zpk', usage: 'P0', algorithm: 'T', bytes: 16, exportable: false })
    expect(() => store.find('zpk', 'D0')).toThrow(new KeyRefused('key zpk is for P0, not for D0'))
    expect(() => store.find('none', 'P0')).toThrow(new KeyRefused('there is no key none'))
    store.remove('zpk')
    expect(() => store.find('zpk', 'P0')).toThrow(KeyRefused)
  })

  test('replaces a key by one for the same purpose, and no other', () => {
    const store = softwareKeyStore([newKey('zpk', 'P0', 'T', DOUBLE)])
    store.put(newKey('zpk', 'P0', 'A', DOUBLE))
    expect(store.find('zpk', 'P0').info.algorithm).toBe('A')
    expect(() => store.put(newKey('zpk', 'D0', 'A', DOUBLE))).toThrow(KeyRefused)
    expect(store.list().map(({ usage }) => usage)).toEqual(['P0'])
  })

  test('reveals what may leave, and nothing after it is closed', () => {
    const store = softwareKeyStore([newKey('zpk', 'P0', 'T', DOUBLE), { ...newKey('out', 'P0', 'T', DOUBLE), exportable: true }])
    expect(store.reveal('out')).toEqual(hex(DOUBLE))
    expect(() => store.reveal('zpk')).toThrow(new KeyRefused('key zpk may not leave its store'))
    expect(() => store.reveal('none')).toThrow(KeyRefused)
    store.close()
    expect(store.list()).toEqual([])
    expect(() => store.reveal('out')).toThrow(KeyRefused)
  })
})
