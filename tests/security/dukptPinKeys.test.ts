import { expect, test } from 'vitest'
import { dukptPinKeys } from '../../src/security/dukptPinKeys.ts'
import type { KeyHandle } from '../../src/security/keys.ts'
import { handleOf, hex } from './clearKeys.ts'
import aes from './vectors/dukptAes.json' with { type: 'json' }
import tdes from './vectors/dukptTdes.json' with { type: 'json' }

/** Counts how often the base key is used. */
function counted(handle: KeyHandle): { readonly base: KeyHandle; uses: number } {
  const count = {
    uses: 0,
    base: {
      ...handle,
      encrypt: (blocks: Uint8Array) => {
        count.uses++
        return handle.encrypt(blocks)
      },
    },
  }
  return count
}

const ksn = (terminal: number, counter: number): Buffer =>
  hex(`FFFF98765432${terminal.toString(16).padStart(2, '0')}E${counter.toString(16).padStart(5, '0')}`)

test('the base key is asked once a terminal', () => {
  const keys = dukptPinKeys(10)
  const count = counted(handleOf('B0', 'T', tdes.bdk))
  for (const row of tdes.rows) keys(count.base, hex(row.ksn))
  expect(count.uses).toBe(1)
  keys(count.base, ksn(0x11, 1))
  expect(count.uses).toBe(2)

  const other = counted(handleOf('B0', 'A', aes.dukpt_aes256.bdk))
  for (const row of aes.dukpt_aes256.rows) {
    const key = keys(other.base, hex(row.ksn))
    if ('pin_key' in row) expect(key?.info.kcv).toBe(handleOf('P0', 'A', row.pin_key).info.kcv)
  }
  expect(other.uses).toBe(1)
})

test('remembers no more terminals than it may, those longest that spoke last', () => {
  const keys = dukptPinKeys(2)
  const count = counted(handleOf('B0', 'T', tdes.bdk))
  for (const terminal of [1, 2, 1, 3]) keys(count.base, ksn(terminal, 1))
  expect(count.uses).toBe(3)
  keys(count.base, ksn(1, 2))
  expect(count.uses).toBe(3)
  keys(count.base, ksn(2, 2))
  expect(count.uses).toBe(4)
})

test('a base key that was replaced under its name gives other keys', () => {
  const keys = dukptPinKeys(10)
  const before = keys(handleOf('B0', 'T', tdes.bdk), ksn(1, 1))
  const after = keys(handleOf('B0', 'T', '00'.repeat(16)), ksn(1, 1))
  expect(after?.info.kcv).not.toBe(before?.info.kcv)
})

test('a KSN that is none gives no key', () => {
  const keys = dukptPinKeys(10)
  const base = handleOf('B0', 'T', tdes.bdk)
  expect(keys(base, ksn(1, 0))).toBeUndefined()
  expect(keys(base, hex('123456789012345600000001'))).toBeUndefined()
  expect(keys(handleOf('B0', 'A', aes.dukpt_aes128.bdk), ksn(1, 1))).toBeUndefined()
})
