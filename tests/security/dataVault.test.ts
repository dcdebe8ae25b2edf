import { createDecipheriv } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { DataUnreadable, dataVault, type SealedPlace } from '../../src/security/dataVault.ts'
import { KeyRefused, type NewKey } from '../../src/security/keys.ts'
import { softwareKeyStore } from '../../src/security/softwareKeys.ts'

const dataKey = (number: number): NewKey => ({
  name: `data.${String(number)}`,
  usage: 'D0',
  algorithm: 'A',
  exportable: false,
  value: Buffer.alloc(32, number),
})
const keys = softwareKeyStore([dataKey(1), dataKey(2)])
const PAN = '9818010000000015'
const place: SealedPlace = { field: 'pan', shard: 0, owner: 'abcdefghijklmnopqrstuv' }

describe('the data vault', () => {
  it('opens what it sealed, under the key that is stored beside it', () => {
    const vault = dataVault(keys, 'data.1')
    fc.assert(
      fc.property(
        fc.stringMatching(/^[0-9+]{0,40}$/),
        (text) => vault.unseal(vault.keyId, place, vault.seal(place, text)) === text,
      ),
    )
  })

  it('writes AES-256-GCM: nonce, cipher text, tag, bound to the place', () => {
    const sealed = dataVault(keys, 'data.1').seal(place, PAN)
    expect(sealed).toHaveLength(12 + PAN.length + 16)
    const opening = createDecipheriv('aes-256-gcm', Buffer.alloc(32, 1), sealed.subarray(0, 12))
      .setAAD(Buffer.from('sarf data 1|pan|0|abcdefghijklmnopqrstuv'))
      .setAuthTag(sealed.subarray(-16))
    expect(opening.update(sealed.subarray(12, -16), undefined, 'latin1') + opening.final('latin1')).toBe(PAN)
  })

  it('never uses a nonce twice', () => {
    const vault = dataVault(keys, 'data.1')
    const sealed = Array.from({ length: 5000 }, () => vault.seal(place, PAN))
    expect(new Set(sealed.map((value) => value.toString('latin1', 0, 12))).size).toBe(5000)
  })

  it.each<[string, Partial<SealedPlace>]>([
    ['another owner', { owner: 'abcdefghijklmnopqrstuw' }],
    ['another shard', { shard: 1 }],
    ['another field', { field: 'national-id' }],
  ])('does not open a value that was moved to %s', (_what, other) => {
    const vault = dataVault(keys, 'data.1')
    const sealed = vault.seal(place, PAN)
    expect(() => vault.unseal('data.1', { ...place, ...other }, sealed)).toThrow(DataUnreadable)
  })

  it('does not open a value of which any bit was changed, or that was cut short anywhere', () => {
    const vault = dataVault(keys, 'data.1')
    const sealed = vault.seal(place, PAN)
    for (let bit = 0; bit < sealed.length * 8; bit++) {
      const changed = Buffer.from(sealed)
      changed[bit >> 3]! ^= 1 << (bit & 7)
      expect(() => vault.unseal('data.1', place, changed)).toThrow(DataUnreadable)
    }
    for (let length = 0; length < sealed.length; length++)
      expect(() => vault.unseal('data.1', place, sealed.subarray(0, length))).toThrow(DataUnreadable)
  })

  it('reads values of older keys, and seals them again with its own', () => {
    const sealed = dataVault(keys, 'data.1').seal(place, PAN)
    const vault = dataVault(keys, 'data.2')
    expect(vault.unseal('data.1', place, sealed)).toBe(PAN)
    expect(() => vault.unseal('data.2', place, sealed)).toThrow(DataUnreadable)
    const again = vault.reseal('data.1', place, sealed)
    expect(vault.unseal('data.2', place, again)).toBe(PAN)
    expect(() => vault.unseal('data.1', place, again)).toThrow(DataUnreadable)
  })

  it('says where something does not open, and not what it was', () => {
    const vault = dataVault(keys, 'data.1')
    const wrong = { ...place, shard: 1 }
    expect(() => vault.unseal('data.1', wrong, vault.seal(place, PAN))).toThrow(
      'pan of abcdefghijklmnopqrstuv in shard 1 does not open with data.1',
    )
  })

  it('takes no key but a data key of AES-256 that is there', () => {
    const store = softwareKeyStore([
      dataKey(1),
      { ...dataKey(7), value: Buffer.alloc(16) },
      { ...dataKey(8), usage: 'K0' },
      { ...dataKey(9), name: 'other.9' },
    ])
    for (const name of ['data.2', 'data.7', 'data.8', 'other.9', 'data.0', 'data.01', 'data.1 ', 'data.', ''])
      expect(() => dataVault(store, name)).toThrow(KeyRefused)
    const vault = dataVault(store, 'data.1')
    const sealed = vault.seal(place, PAN)
    // What a row names may have been written by somebody else.
    for (const name of ['data.2', 'data.8', 'other.9']) expect(() => vault.unseal(name, place, sealed)).toThrow(KeyRefused)
  })
})
