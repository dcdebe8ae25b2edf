import fc from 'fast-check'
import { expect, test } from 'vitest'
import { dataOperations } from '../../src/security/dataOperations.ts'
import { KeyRefused } from '../../src/security/keys.ts'
import { softwareKeyStore } from '../../src/security/softwareKeys.ts'
import { hex, newKey } from './clearKeys.ts'

const keys = softwareKeyStore([
  newKey('dek', 'D0', 'A', '00'.repeat(32)),
  newKey('dek.other', 'D0', 'A', '01'.repeat(32)),
  newKey('dek.short', 'D0', 'A', '00'.repeat(16)),
  newKey('dek.tdes', 'D0', 'T', '00'.repeat(16)),
  newKey('zpk', 'P0', 'A', '00'.repeat(32)),
])
const data = dataOperations(keys)

test('is AES-256-GCM with the nonce in front', () => {
  // McGrew and Viega, The Galois/Counter Mode of Operation, test case 14: key, nonce and block are zero.
  const zero = dataOperations(keys, (bytes) => bytes.fill(0))
  expect(zero.seal('dek', [{ data: Buffer.alloc(16), associated: Buffer.alloc(0) }])).toEqual([
    hex(`${'00'.repeat(12)}CEA7403D4D606B6E074EC5D3BAF39D18D0D1C8A799996BF0265B98B5D48AB919`),
  ])
})

test('gives back what was sealed for the same row', () => {
  const bytes = fc.uint8Array({ maxLength: 60 })
  fc.assert(
    fc.property(fc.array(fc.record({ data: bytes, associated: bytes }), { maxLength: 5 }), (batch) => {
      const sealed = data.seal('dek', batch)
      expect(
        data.unseal(
          'dek',
          batch.map(({ associated }, index) => ({ data: sealed[index] ?? Buffer.alloc(0), associated })),
        ),
      ).toEqual(batch.map((item) => Buffer.from(item.data)))
    }),
  )
})

test('no nonce comes twice, in a batch or after', () => {
  const item = { data: Buffer.from('4000000000000002'), associated: Buffer.from('row 1') }
  const sealed = [
    ...data.seal(
      'dek',
      Array.from({ length: 100 }, () => item),
    ),
    ...data.seal('dek', [item]),
  ]
  expect(new Set(sealed.map((each) => each.subarray(0, 12).toString('hex'))).size).toBe(101)
})

test('what was moved, changed, cut or sealed under another key does not open; its neighbours do', () => {
  const associated = Buffer.from('row 1')
  const [sealed = Buffer.alloc(0)] = data.seal('dek', [{ data: Buffer.from('secret'), associated }])
  const [foreign = Buffer.alloc(0)] = data.seal('dek.other', [{ data: Buffer.from('secret'), associated }])
  const opened = (bytes: Uint8Array, row = associated): Buffer | undefined =>
    data.unseal('dek', [{ data: bytes, associated: row }])[0]
  expect(opened(sealed)).toEqual(Buffer.from('secret'))
  expect(opened(sealed, Buffer.from('row 2'))).toBeUndefined()
  expect(opened(foreign)).toBeUndefined()
  for (let length = 0; length < sealed.length; length++) expect(opened(sealed.subarray(0, length))).toBeUndefined()
  for (let at = 0; at < sealed.length; at++) {
    const changed = Buffer.from(sealed)
    changed[at] = (changed[at] ?? 0) ^ 1
    expect(opened(changed)).toBeUndefined()
  }
  expect(
    data.unseal('dek', [
      { data: foreign, associated },
      { data: sealed, associated },
    ]),
  ).toEqual([undefined, Buffer.from('secret')])
})

test('a key for another purpose, of another length, or none, is refused', () => {
  const item = { data: Buffer.alloc(40), associated: Buffer.alloc(0) }
  for (const name of ['none', 'zpk', 'dek.short', 'dek.tdes']) {
    expect(() => data.seal(name, [item])).toThrow(KeyRefused)
    expect(() => data.unseal(name, [item])).toThrow(KeyRefused)
  }
})
