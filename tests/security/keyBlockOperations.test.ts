import { describe, expect, test } from 'vitest'
import { makeKeyBlock, openKeyBlock } from '../../src/security/keyBlock.ts'
import { KeyBlockError, type KeyBlockHeader } from '../../src/security/keyBlockHeader.ts'
import { exportKey, importKey } from '../../src/security/keyBlockOperations.ts'
import { KeyRefused, type KeyStore, type KeyUsage, type NewKey } from '../../src/security/keys.ts'
import { softwareKeyStore } from '../../src/security/softwareKeys.ts'
import vectors from './vectors/keyBlocks.json' with { type: 'json' }

const KEY = Buffer.from('0123456789ABCDEFFEDCBA9876543210', 'hex')
const LONG = Buffer.concat([KEY, Buffer.from('1122334455667788', 'hex')])
const AES = Buffer.from('88E1AB2A2E3DD38C1FA039A536500CC8A87AB9D62DC92C01058FA79F44657DE6', 'hex')
const HEADER: KeyBlockHeader = {
  version: 'D',
  usage: 'P0',
  algorithm: 'T',
  mode: 'B',
  keyVersion: '00',
  exportability: 'E',
  optionalBlocks: [],
}
const USAGES: readonly (readonly [KeyUsage, string, string, Buffer])[] = [
  ['B0', 'T', 'X', KEY],
  ['B0', 'A', 'X', AES],
  ['C0', 'T', 'C', KEY],
  ['D0', 'A', 'B', AES],
  ['E0', 'T', 'X', KEY],
  ['E1', 'T', 'X', KEY],
  ['E2', 'T', 'X', KEY],
  ['K0', 'A', 'B', AES],
  ['K1', 'T', 'B', LONG],
  ['M3', 'T', 'C', KEY],
  ['M6', 'A', 'C', KEY],
  ['M7', 'H', 'C', AES],
  ['P0', 'T', 'B', KEY],
  ['P0', 'A', 'B', AES],
  ['V1', 'T', 'C', KEY],
  ['V2', 'T', 'C', KEY],
]

function key(name: string, usage: KeyUsage, algorithm: NewKey['algorithm'], value: Buffer, exportable = true): NewKey {
  return { name, usage, algorithm, exportable, value }
}

function store(...more: NewKey[]): KeyStore {
  return softwareKeyStore([
    key('kbpk.aes', 'K1', 'A', AES),
    key('kbpk.aes128', 'K1', 'A', KEY),
    key('kbpk.tdes', 'K1', 'T', LONG),
    key('kek.tdes', 'K0', 'T', KEY),
    key('data', 'D0', 'A', AES),
    ...more,
  ])
}

function blockOf(values: Partial<KeyBlockHeader>, value: Uint8Array = KEY): string {
  return makeKeyBlock({ ...HEADER, ...values }, value, store().find('kbpk.aes', 'K1'))
}

function codeOf(work: () => unknown): string {
  try {
    work()
  } catch (error) {
    if (error instanceof KeyBlockError) return error.code
    throw error
  }
  return 'none'
}

describe('importing a key', () => {
  test.each(USAGES)(
    'usage %s, algorithm %s, mode %s: it is there afterwards, for its purpose',
    (usage, algorithm, mode, value) => {
      const keys = store()
      const info = importKey(keys, blockOf({ usage, algorithm, mode }, value), 'kbpk.aes', 'new')
      expect(info).toMatchObject({ name: 'new', usage, algorithm, bytes: value.length, exportable: true })
      expect(info.kcv).toMatch(/^[0-9A-F]{6}$/)
      expect(keys.find('new', usage).info).toEqual(info)
      expect(keys.reveal('new')).toEqual(value)
      expect(importKey(keys, blockOf({ usage, algorithm, mode: 'N' }, value), 'kbpk.aes', 'new')).toEqual(info)
    },
  )

  test('the check value is the one that the other party knows', () => {
    const { kbpk, block, kcv } = vectors.blocks.find(({ block: text }) => text.startsWith('D0112B0TN00N'))!
    const keys = softwareKeyStore([key('kbpk', 'K1', 'A', Buffer.from(kbpk, 'hex'))])
    expect(importKey(keys, block, 'kbpk', 'bdk')).toMatchObject({ usage: 'B0', kcv, exportable: false })
    expect(() => keys.reveal('bdk')).toThrow(KeyRefused)
  })

  test('what the switch has no use for is refused, and not kept', () => {
    const keys = store()
    const unsupported: [Partial<KeyBlockHeader>, Buffer?][] = [
      [{ usage: 'B1', mode: 'X' }],
      [{ usage: 'S0', algorithm: 'R', mode: 'S' }],
      [{ algorithm: 'R' }],
      [{ usage: 'V2', algorithm: 'A', mode: 'C' }],
      [{ usage: 'M7', algorithm: 'T', mode: 'C' }],
      [{ mode: 'D' }],
      [{ mode: 'E' }],
      [{ mode: 'C' }],
      [{ usage: 'V2', mode: 'V' }],
      [{ usage: 'M3', mode: 'G' }],
    ]
    for (const [header, value] of unsupported) {
      expect(codeOf(() => importKey(keys, blockOf(header, value), 'kbpk.aes', 'new'))).toBe('unsupported')
    }
    expect(codeOf(() => importKey(keys, blockOf({}, KEY.subarray(0, 8)), 'kbpk.aes', 'new'))).toBe('malformed')
    expect(codeOf(() => importKey(keys, blockOf({ algorithm: 'A' }, KEY.subarray(0, 8)), 'kbpk.aes', 'new'))).toBe('malformed')
    expect(keys.list().map(({ name }) => name)).not.toContain('new')
  })

  test('under a key that is not there, for another purpose, or another one it is refused', () => {
    const keys = store()
    const block = blockOf({})
    expect(() => importKey(keys, block, 'none', 'new')).toThrow(KeyRefused)
    expect(() => importKey(keys, block, 'data', 'new')).toThrow(KeyRefused)
    expect(codeOf(() => importKey(keys, block, 'kbpk.tdes', 'new'))).toBe('wrong-protection-key')
    expect(codeOf(() => importKey(keys, block, 'kbpk.aes128', 'new'))).toBe('not-authentic')
  })

  test('a name that a key of another usage has is not taken over', () => {
    const keys = store()
    expect(() => importKey(keys, blockOf({}), 'kbpk.aes', 'data')).toThrow(KeyRefused)
    expect(keys.find('data', 'D0').info.bytes).toBe(32)
  })
})

describe('exporting a key', () => {
  test.each(USAGES)('usage %s, algorithm %s: another store takes it under the same name', (usage, algorithm, mode, value) => {
    const keys = store(key('mine', usage, algorithm as NewKey['algorithm'], value))
    const block = exportKey(keys, 'mine', 'kbpk.aes')
    expect(openKeyBlock(block, keys.find('kbpk.aes', 'K1')).header).toMatchObject({ version: 'D', usage, algorithm, mode })
    const other = store()
    expect(importKey(other, block, 'kbpk.aes', 'mine')).toEqual(keys.find('mine', usage).info)
    expect(other.reveal('mine')).toEqual(value)
  })

  test('under a TDES key it is of version B', () => {
    const keys = store(key('zpk', 'P0', 'T', KEY))
    for (const under of ['kbpk.tdes', 'kek.tdes']) {
      const block = exportKey(keys, 'zpk', under)
      expect(block.startsWith('B')).toBe(true)
      expect(importKey(store(), block, under, 'zpk').kcv).toBe(keys.find('zpk', 'P0').info.kcv)
    }
  })

  test('not under a weaker key', () => {
    const keys = store(key('zpk', 'P0', 'A', AES), key('long', 'P0', 'T', LONG))
    expect(() => exportKey(keys, 'zpk', 'kbpk.tdes')).toThrow(KeyRefused)
    expect(() => exportKey(keys, 'zpk', 'kbpk.aes128')).toThrow(KeyRefused)
    expect(() => exportKey(keys, 'long', 'kek.tdes')).toThrow(KeyRefused)
    expect(exportKey(keys, 'long', 'kbpk.tdes')).toMatch(/^B/)
  })

  test('not where it may not leave, is not there, or the other is for another purpose', () => {
    const keys = store(key('zpk', 'P0', 'T', KEY, false), key('free', 'P0', 'T', KEY))
    expect(() => exportKey(keys, 'zpk', 'kbpk.aes')).toThrow(KeyRefused)
    expect(() => exportKey(keys, 'none', 'kbpk.aes')).toThrow(KeyRefused)
    expect(() => exportKey(keys, 'free', 'data')).toThrow(KeyRefused)
    expect(() => exportKey(keys, 'free', 'none')).toThrow(KeyRefused)
  })
})
