import { inspect } from 'node:util'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { makeKeyBlock, openKeyBlock } from '../../src/security/keyBlock.ts'
import { KeyBlockError, parseHeader, type KeyBlockHeader } from '../../src/security/keyBlockHeader.ts'
import type { KeyHandle, KeyUsage } from '../../src/security/keys.ts'
import { softwareKey } from '../../src/security/softwareKeys.ts'
import vectors from './vectors/keyBlocks.json' with { type: 'json' }

const TDES = Buffer.from('DD7515F2BFC17F85CE48F3CA25CB21F6', 'hex')
const TDES_3 = Buffer.from('DD7515F2BFC17F85CE48F3CA25CB21F60123456789ABCDEF', 'hex')
const AES_128 = Buffer.from('3F419E1CB7079442AA37474C2EFBF8B8', 'hex')
const AES_192 = Buffer.concat([AES_128, AES_128.subarray(0, 8)])
const AES_256 = Buffer.from('88E1AB2A2E3DD38C1FA039A536500CC8A87AB9D62DC92C01058FA79F44657DE6', 'hex')
const KEY = Buffer.from('0123456789ABCDEFFEDCBA9876543210', 'hex')
const HEADER: KeyBlockHeader = {
  version: 'D',
  usage: 'P0',
  algorithm: 'T',
  mode: 'B',
  keyVersion: '00',
  exportability: 'E',
  optionalBlocks: [],
}
/** A KBPK for each version. */
const PROTECTIONS = [
  ['A', TDES],
  ['B', TDES],
  ['B', TDES_3],
  ['C', TDES_3],
  ['D', AES_128],
  ['D', AES_192],
  ['D', AES_256],
] as const

function kbpk(value: Uint8Array, algorithm: 'T' | 'A', usage: KeyUsage = 'K1'): KeyHandle {
  return softwareKey({ name: 'kbpk', usage, algorithm, exportable: false, value })
}

function protectionOf(version: string, value: Uint8Array) {
  return { under: kbpk(value, version === 'D' ? 'A' : 'T'), clear: value }
}

function refusal(open: () => unknown): KeyBlockError {
  try {
    open()
  } catch (error) {
    if (error instanceof KeyBlockError) return error
    throw error
  }
  expect.fail('opened')
}

/** Every block that differs in one bit of one character. */
function bitFlips(block: string): string[] {
  return Array.from(block, (_, at) => at).flatMap((at) =>
    [...Array(8).keys()].map(
      (bit) => block.slice(0, at) + String.fromCharCode(block.charCodeAt(at) ^ (1 << bit)) + block.slice(at + 1),
    ),
  )
}

describe('opening a key block', () => {
  test.each(vectors.blocks)('$name', ({ kbpk: value, block, key, kcv }) => {
    const { under, clear } = protectionOf(block.slice(0, 1), Buffer.from(value, 'hex'))
    const { header, reveal } = openKeyBlock(block, under, clear)
    expect(reveal().toString('hex').toUpperCase()).toBe(key)
    expect(block.startsWith(`${header.version}${String(block.length).padStart(4, '0')}${header.usage}${header.algorithm}`)).toBe(
      true,
    )
    const algorithm = header.algorithm === 'T' ? 'T' : 'A'
    expect(softwareKey({ name: 'k', usage: 'P0', algorithm, exportable: false, value: reveal() }).info.kcv).toBe(kcv)
  })

  test('the header says what the key is, optional blocks and all', () => {
    const { kbpk: value = '', block = '' } = vectors.blocks.find(({ name }) => name.startsWith('TR-31:2018 A.7.3.2')) ?? {}
    expect(openKeyBlock(block, kbpk(Buffer.from(value, 'hex'), 'T')).header).toEqual({
      version: 'B',
      usage: 'B0',
      algorithm: 'T',
      mode: 'X',
      keyVersion: '12',
      exportability: 'S',
      optionalBlocks: [{ id: 'KS', data: '00604B120F9292800000' }],
    })
  })

  test.each(vectors.blocks)('$name: no bit of it may change', ({ kbpk: value, block }) => {
    const { under, clear } = protectionOf(block.slice(0, 1), Buffer.from(value, 'hex'))
    const flips = bitFlips(block)
    expect(flips).toHaveLength(block.length * 8)
    for (const flipped of flips) expect(refusal(() => openKeyBlock(flipped, under, clear))).toBeInstanceOf(KeyBlockError)
  })

  test.each(vectors.blocks)('$name: cut off, or longer, it is refused', ({ kbpk: value, block }) => {
    const { under, clear } = protectionOf(block.slice(0, 1), Buffer.from(value, 'hex'))
    for (let length = 0; length < block.length; length++) {
      expect(refusal(() => openKeyBlock(block.slice(0, length), under, clear)).code).toBe('malformed')
      // Also where it says so itself.
      const honest = block.slice(0, 1) + String(length).padStart(4, '0') + block.slice(5, length)
      if (length >= 5) refusal(() => openKeyBlock(honest, under, clear))
    }
    expect(refusal(() => openKeyBlock(block + '0', under, clear)).code).toBe('malformed')
  })

  test.each(PROTECTIONS)('version %s under another key is not authentic', (version, value) => {
    const { under, clear } = protectionOf(version, value)
    const block = makeKeyBlock({ ...HEADER, version }, KEY, under, { clear })
    for (let at = 0; at < value.length; at++) {
      const other = Buffer.from(value)
      // Bit 2: bit 1 is parity, which a TDES key has no use for.
      other[at]! ^= 2
      const wrong = protectionOf(version, other)
      expect(refusal(() => openKeyBlock(block, wrong.under, wrong.clear)).code).toBe('not-authentic')
    }
  })

  test('only a key for that purpose and of that algorithm protects blocks', () => {
    const block = makeKeyBlock(HEADER, KEY, kbpk(AES_256, 'A'))
    expect(refusal(() => openKeyBlock(block, kbpk(AES_256, 'A', 'D0'))).code).toBe('wrong-protection-key')
    expect(refusal(() => openKeyBlock(block, kbpk(TDES, 'T'))).code).toBe('wrong-protection-key')
    expect(refusal(() => makeKeyBlock({ ...HEADER, version: 'B' }, KEY, kbpk(AES_256, 'A'))).code).toBe('wrong-protection-key')
    expect(openKeyBlock(block, kbpk(AES_256, 'A', 'K0')).reveal()).toEqual(KEY)
  })

  test('versions A and C need the value of their key', () => {
    for (const version of ['A', 'C'] as const) {
      const block = makeKeyBlock({ ...HEADER, version }, KEY, kbpk(TDES, 'T'), { clear: TDES })
      expect(refusal(() => openKeyBlock(block, kbpk(TDES, 'T'))).code).toBe('unsupported')
      expect(refusal(() => makeKeyBlock({ ...HEADER, version }, KEY, kbpk(TDES, 'T'))).code).toBe('unsupported')
    }
  })

  test('a payload that says it has no key is refused although the MAC fits', () => {
    const under = kbpk(AES_256, 'A')
    const block = makeKeyBlock(HEADER, Buffer.alloc(0), under, { paddedTo: 16 })
    expect(refusal(() => openKeyBlock(block, under)).code).toBe('malformed')
  })

  test('neither errors nor blocks print keys', () => {
    const under = kbpk(AES_256, 'A')
    const block = makeKeyBlock(HEADER, KEY, under)
    const opened = openKeyBlock(block, under)
    const texts = [inspect(opened, { depth: 9, showHidden: true }), JSON.stringify(opened)]
    for (const flipped of bitFlips(block).filter((_, index) => index % 7 === 0)) {
      const error = refusal(() => openKeyBlock(flipped, under))
      texts.push(inspect(error, { depth: 9, showHidden: true }).replace(/\n +at .*/g, ''))
    }
    for (const text of texts) {
      expect(text).not.toMatch(/0123456789ABCDEF/i)
      expect(text).not.toContain(block.slice(16, 32))
      expect(text).not.toMatch(/01, ?35|<Buffer/)
    }
  })
})

describe('making a key block', () => {
  const keyBytes = fc.constantFrom(16, 24, 32).chain((length) => fc.uint8Array({ minLength: length, maxLength: length }))
  const data = fc.stringMatching(/^[ -~]{0,40}$/)
  const optionalBlocks = fc.array(fc.record({ id: fc.constantFrom('KS', 'KC', 'KP', 'TS', '10'), data }), { maxLength: 4 })
  const header = fc.record({
    usage: fc.constantFrom('P0', 'B0', 'D0', 'K1', 'M3', '10'),
    algorithm: fc.constantFrom('T', 'A', 'H', 'R'),
    mode: fc.constantFrom('B', 'C', 'D', 'E', 'G', 'N', 'S', 'T', 'V', 'X', 'Y'),
    keyVersion: fc.constantFrom('00', '12', 'c1', 'ZZ'),
    exportability: fc.constantFrom('E' as const, 'N' as const, 'S' as const),
    optionalBlocks,
  })

  test.each(PROTECTIONS)('version %s opens to what was put in, however it was padded', (version, value) => {
    const { under, clear } = protectionOf(version, value)
    fc.assert(
      fc.property(header, keyBytes, fc.integer({ min: 0, max: 100 }), (fields, key, paddedTo) => {
        const made = makeKeyBlock({ version, ...fields }, key, under, { clear, paddedTo })
        const opened = openKeyBlock(made, under, clear)
        expect(opened.reveal()).toEqual(Buffer.from(key))
        const { optionalBlocks: blocks, ...rest } = opened.header
        expect({ ...rest, optionalBlocks: blocks.filter(({ id }) => id !== 'PB') }).toEqual({ version, ...fields })
        expect(blocks.slice(0, fields.optionalBlocks.length)).toEqual(fields.optionalBlocks)
        // What was opened can be made again: its padding block fits.
        const again = makeKeyBlock(opened.header, key, under, { clear, paddedTo })
        expect(again.slice(0, 16)).toBe(made.slice(0, 16))
        expect(openKeyBlock(again, under, clear).header).toEqual(opened.header)
      }),
    )
  })

  test('padding hides how long the key is', () => {
    const under = kbpk(AES_256, 'A')
    const length = (bytes: number) => makeKeyBlock(HEADER, Buffer.alloc(bytes, 1), under, { paddedTo: 32 }).length
    expect(length(16)).toBe(length(32))
    expect(makeKeyBlock(HEADER, KEY, under).length).toBeLessThan(length(16))
  })

  test('two blocks of one key differ by their padding; with the same they are the same', () => {
    const under = kbpk(AES_256, 'A')
    expect(makeKeyBlock(HEADER, KEY, under)).not.toBe(makeKeyBlock(HEADER, KEY, under))
    const random = (bytes: number) => Buffer.alloc(bytes, 7)
    expect(makeKeyBlock(HEADER, KEY, under, { random })).toBe(makeKeyBlock(HEADER, KEY, under, { random }))
  })

  test('a long optional block has a long length', () => {
    const under = kbpk(AES_256, 'A')
    for (const characters of [251, 252, 300, 5000]) {
      const long = { ...HEADER, optionalBlocks: [{ id: 'CT', data: 'x'.repeat(characters) }] }
      expect(openKeyBlock(makeKeyBlock(long, KEY, under), under).header.optionalBlocks[0]).toEqual(long.optionalBlocks[0])
    }
  })

  test('values that no header has are a mistake', () => {
    const under = kbpk(AES_256, 'A')
    const wrong: Partial<KeyBlockHeader>[] = [
      { usage: 'P' },
      { usage: 'p0' },
      { algorithm: 'TT' },
      { mode: '' },
      { keyVersion: '1' },
      { optionalBlocks: [{ id: 'K', data: '' }] },
      { optionalBlocks: [{ id: 'KS', data: 'é' }] },
      { optionalBlocks: [{ id: 'CT', data: 'x'.repeat(10_000) }] },
      { optionalBlocks: Array.from({ length: 100 }, () => ({ id: 'TS', data: '' })) },
    ]
    for (const values of wrong) expect(() => makeKeyBlock({ ...HEADER, ...values }, KEY, under)).toThrow(RangeError)
  })
})

describe('the header of a key block', () => {
  const head = 'B0080P0TE00E0000'
  const block = head + '0'.repeat(64)

  test.each([
    ['an unknown version', 'E' + block.slice(1), 'unsupported'],
    ['a length that it does not have', block.replace('0080', '0088'), 'malformed'],
    ['a length that is no number', block.replace('0080', '00x0'), 'malformed'],
    ['lower-case usage', block.replace('P0', 'p0'), 'malformed'],
    ['an unknown exportability', block.slice(0, 11) + 'X' + block.slice(12), 'malformed'],
    ['a reserved character', block.slice(0, 15) + '1' + block.slice(16), 'malformed'],
    ['more optional blocks than there are', block.slice(0, 12) + '99' + block.slice(14), 'malformed'],
    ['an optional block that is longer than the rest', withOptional('KSFF'), 'malformed'],
    ['an optional block shorter than its own header', withOptional('KS03'), 'malformed'],
    ['an optional block of a long length that is short', withOptional('KS0002000A'), 'malformed'],
    ['an optional block whose long length has no bytes', withOptional('KS0000'), 'malformed'],
    ['an optional block that leaves half a cipher block', withOptional('KS0500'), 'malformed'],
    ['an optional block without name', withOptional('--08----'), 'malformed'],
  ])('with %s is refused', (_, text, code) => {
    expect(refusal(() => parseHeader(text)).code).toBe(code)
  })

  test('where it is right the payload begins behind its optional blocks', () => {
    expect(parseHeader(block).payloadAt).toBe(16)
    expect(parseHeader(withOptional('KS080123'))).toMatchObject({
      payloadAt: 24,
      header: { optionalBlocks: [{ id: 'KS', data: '0123' }] },
    })
  })

  function withOptional(text: string): string {
    return head.slice(0, 12) + '01' + head.slice(14) + text + '0'.repeat(64 - text.length)
  }
})
