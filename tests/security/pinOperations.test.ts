import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { EncipheredPin, PinCheck, PinFormat, PinKey, PinReference } from '../../src/security/hsm.ts'
import type { KeyStore } from '../../src/security/keys.ts'
import { buildPinBlock, decipherPinBlocks, encipherPinBlocks, openPinBlock } from '../../src/security/pinBlock.ts'
import { pinOperations } from '../../src/security/pinOperations.ts'
import { softwareKeyStore } from '../../src/security/softwareKeys.ts'
import { digits, hex, newKey } from './clearKeys.ts'
import aes from './vectors/dukptAes.json' with { type: 'json' }
import tdes from './vectors/dukptTdes.json' with { type: 'json' }
import vectors from './vectors/pin.json' with { type: 'json' }

const PAN = '1122334455667788'
const ZPK_T = newKey('zpk.t', 'P0', 'T', '0123456789ABCDEF1032547698BADCFE')
const ZPK_A = newKey('zpk.a', 'P0', 'A', '00112233445566778899AABBCCDDEEFF')
const keys = softwareKeyStore([
  ZPK_T,
  newKey('zpk.other', 'P0', 'T', 'FEDCBA98765432100123456789ABCDEF'),
  ZPK_A,
  newKey('pvk', 'V2', 'T', '0123456789ABCDEFFEDCBA9876543210'),
  newKey('pvk.ibm', 'V1', 'T', '0123456789ABCDEFFEDCBA9876543210'),
  newKey('bdk.t', 'B0', 'T', tdes.bdk),
  newKey('bdk.a', 'B0', 'A', aes.dukpt_aes128.bdk),
])
const pins = pinOperations(keys, 16)

const zone = (key: string): PinKey => ({ by: 'zone', key })
const zoneOf = (format: PinFormat): string => (format === 4 ? 'zpk.a' : 'zpk.t')

function enciphered(pin: string, pan = PAN, format: PinFormat = 0, key = zoneOf(format)): EncipheredPin {
  const block = encipherPinBlocks(format, keys.find(key, 'P0'), buildPinBlock(format, digits(pin), pan), [pan])
  return { block, format, under: zone(key), pan }
}

const PVV: PinReference = { method: 'pvv', key: 'pvk', pvki: '1', pvv: '8523' }

describe('verifying', () => {
  test.each(vectors.pvv.filter(({ pan }) => pan.length === 16))(
    'PVV $pvv takes PIN $pin in every format',
    ({ pvk, pvki, pin, pan, pvv }) => {
      const store = softwareKeyStore([newKey('v', 'V2', 'T', pvk), ZPK_T, ZPK_A])
      const check = (given: string, format: PinFormat): PinCheck => ({
        ...enciphered(given, pan, format),
        reference: { method: 'pvv', key: 'v', pvki, pvv },
      })
      const wrong = pin === '0000' ? '0001' : '0000'
      expect(
        pinOperations(store, 1).verifyPins([
          check(pin, 0),
          check(wrong, 3),
          check(pin, 3),
          check(wrong, 4),
          check(pin, 4),
          check(wrong, 0),
        ]),
      ).toEqual(['valid', 'invalid', 'valid', 'invalid', 'valid', 'invalid'])
    },
  )

  test('an IBM 3624 offset takes the PIN of its length and no other', () => {
    const reference = (pin: string): PinReference => {
      const [outcome] = pins.pinReferences([{ ...enciphered(pin), method: 'ibm3624', key: 'pvk.ibm', pvki: '' }])
      if (outcome?.kind !== 'made') expect.fail('no reference')
      return outcome.reference
    }
    const check = (given: string, right: string): PinCheck => ({ ...enciphered(given), reference: reference(right) })
    expect(
      pins.verifyPins([
        check('1234', '1234'),
        check('1235', '1234'),
        check('12345', '1234'),
        check('1234', '12345'),
        check('123456789012', '123456789012'),
        check('123456789013', '123456789012'),
      ]),
    ).toEqual(['valid', 'invalid', 'invalid', 'invalid', 'valid', 'invalid'])
  })

  test('a reference that was made of a PIN takes that PIN, and only it among IBM offsets', () => {
    const anyPin = fc.stringMatching(/^\d{4,12}$/)
    fc.assert(
      fc.property(
        anyPin,
        anyPin,
        fc.constantFrom<PinFormat>(0, 3, 4),
        fc.constantFrom('pvv', 'ibm3624'),
        (pin, other, format, method) => {
          const key = method === 'pvv' ? 'pvk' : 'pvk.ibm'
          const [made] = pins.pinReferences([{ ...enciphered(pin, PAN, format), method, key, pvki: '3' }])
          if (made?.kind !== 'made') expect.fail('no reference')
          const [right, wrong] = pins.verifyPins([
            { ...enciphered(pin, PAN, format), reference: made.reference },
            { ...enciphered(other, PAN, format), reference: made.reference },
          ])
          expect(right).toBe('valid')
          if (method === 'ibm3624') expect(wrong).toBe(pin === other ? 'valid' : 'invalid')
        },
      ),
    )
  })

  test.each(tdes.rows)('a PIN under the TDES DUKPT key of $ksn', ({ ksn, enc_pinblock }) => {
    const pin: EncipheredPin = {
      block: hex(enc_pinblock),
      format: 0,
      under: { by: 'dukpt', key: 'bdk.t', ksn: hex(ksn) },
      pan: tdes.pan,
    }
    expect(clearPinOf(pin)).toBe(tdes.pin)
  })

  test.each(aes.dukpt_aes128.rows.filter((row) => row.enc_pinblock_fmt4 !== undefined))(
    'a PIN under the AES DUKPT key of $ksn',
    (row) => {
      const under: PinKey = { by: 'dukpt', key: 'bdk.a', ksn: hex(row.ksn) }
      const { pin, pan } = aes.dukpt_aes128
      expect(clearPinOf({ block: hex(row.enc_pinblock_fmt4), format: 4, under, pan })).toBe(pin)
    },
  )

  test('each item of a batch has its own verdict, in order', () => {
    const right = enciphered('4524')
    const [first] = tdes.rows
    const dukpt: EncipheredPin = {
      block: hex(first?.enc_pinblock ?? ''),
      format: 0,
      under: { by: 'dukpt', key: 'bdk.t', ksn: hex(first?.ksn ?? '') },
      pan: tdes.pan,
    }
    const ksnOf = (ksn: string, key = 'bdk.t'): PinKey => ({ by: 'dukpt', key, ksn: hex(ksn) })
    const verdicts = pins.verifyPins([
      { ...right, reference: PVV },
      { ...right, under: zone('zpk.none'), reference: PVV },
      { ...right, under: zone('pvk'), reference: PVV },
      { ...right, under: zone('zpk.a'), reference: PVV },
      { ...right, reference: { ...PVV, key: 'pvk.ibm' } },
      { ...right, reference: { ...PVV, key: 'pvk.none' } },
      { ...right, reference: { ...PVV, pvv: '852' } },
      { ...right, reference: { ...PVV, pvv: '852A' } },
      { ...right, reference: { ...PVV, pvki: '' } },
      { ...right, reference: { method: 'ibm3624', key: 'pvk.ibm', offset: '123' } },
      { ...right, reference: { method: 'ibm3624', key: 'pvk.ibm', offset: '1234567890123' } },
      { ...right, block: right.block.subarray(0, 7), reference: PVV },
      { ...right, under: zone('zpk.other'), reference: PVV },
      { ...right, format: 3, reference: PVV },
      { ...right, pan: '1122334455007788', reference: PVV },
      { ...right, pan: '', reference: PVV },
      { ...dukpt, reference: PVV },
      { ...dukpt, under: ksnOf('FFFF9876543210E00000'), reference: PVV },
      { ...dukpt, under: ksnOf('FFFF9876543210E00003'), reference: PVV },
      { ...dukpt, under: ksnOf('00'), reference: PVV },
      { ...dukpt, under: ksnOf('FFFF9876543210E00001', 'zpk.t'), reference: PVV },
      { ...dukpt, under: ksnOf('123456789012345600000001', 'bdk.a'), reference: PVV },
      { ...enciphered('4525'), reference: PVV },
      { ...right, reference: PVV },
    ])
    expect(verdicts).toEqual([
      ...['valid', 'refused', 'refused', 'refused', 'refused', 'refused', 'refused', 'refused', 'refused', 'refused', 'refused'],
      ...['broken', 'broken', 'broken', 'broken', 'broken', 'invalid', 'broken', 'broken', 'broken', 'refused', 'refused'],
      ...['invalid', 'valid'],
    ])
    expect(pins.verifyPins([])).toEqual([])
  })

  test('a batch leaves the blocks as they came', () => {
    const check: PinCheck = { ...enciphered('4524'), reference: PVV }
    const before = Buffer.from(check.block)
    pins.verifyPins([check, check])
    expect(check.block).toEqual(before)
  })

  test('a store that fails is no verdict', () => {
    const failing: KeyStore = {
      ...keys,
      find: () => {
        throw new Error('the token is gone')
      },
    }
    expect(() => pinOperations(failing, 1).verifyPins([{ ...enciphered('4524'), reference: PVV }])).toThrow('the token is gone')
  })
})

describe('making references', () => {
  test('has an outcome for each item', () => {
    const pin = enciphered('4524')
    const pvv = { method: 'pvv', key: 'pvk', pvki: '1' } as const
    expect(
      pins.pinReferences([
        { ...pin, ...pvv },
        { ...pin, ...pvv, pvki: '12' },
        { ...pin, ...pvv, key: 'zpk.t' },
        { ...pin, ...pvv, block: Buffer.alloc(8) },
        { ...pin, ...pvv, method: 'ibm3624', key: 'pvk.ibm' },
      ]),
    ).toEqual([
      { kind: 'made', reference: PVV },
      { kind: 'refused' },
      { kind: 'refused' },
      { kind: 'broken' },
      // The vectors' natural PIN 4524 is by the table that begins with 1: by the usual one it is 3413.
      { kind: 'made', reference: { method: 'ibm3624', key: 'pvk.ibm', offset: '1111' } },
    ])
  })
})

describe('translating', () => {
  test('keeps the PIN, from every format to every format', () => {
    const anyFormat = fc.constantFrom<PinFormat>(0, 3, 4)
    fc.assert(
      fc.property(
        fc.stringMatching(/^\d{4,12}$/),
        fc.stringMatching(/^\d{13,19}$/),
        anyFormat,
        anyFormat,
        (pin, pan, from, to) => {
          const key = to === 4 ? 'zpk.a' : 'zpk.other'
          const [outcome] = pins.translatePins([{ ...enciphered(pin, pan, from), to: { format: to, key } }])
          if (outcome?.kind !== 'made') expect.fail('not translated')
          const clear = decipherPinBlocks(to, keys.find(key, 'P0'), outcome.block, [pan])
          expect(openPinBlock(to, clear, pan, Buffer.alloc(12))?.join('')).toBe(pin)
        },
      ),
    )
  })

  test('gives no block of another PAN: what comes out opens for the PAN that it came with, or nothing comes out', () => {
    const pin = enciphered('4524')
    const other = '1122334455007788'
    expect(pins.translatePins([{ ...pin, pan: other, to: { format: 0, key: 'zpk.other' } }])).toEqual([{ kind: 'broken' }])
    const [outcome] = pins.translatePins([{ ...pin, to: { format: 4, key: 'zpk.a' } }])
    if (outcome?.kind !== 'made') expect.fail('not translated')
    const clear = decipherPinBlocks(4, keys.find('zpk.a', 'P0'), outcome.block, [other])
    expect(openPinBlock(4, clear, other, Buffer.alloc(12))).toBeUndefined()
  })

  test('has an outcome for each item', () => {
    const pin = enciphered('4524')
    const outcomes = pins.translatePins([
      { ...pin, to: { format: 0, key: 'zpk.none' } },
      { ...pin, to: { format: 0, key: 'pvk' } },
      { ...pin, to: { format: 4, key: 'zpk.t' } },
      { ...pin, to: { format: 0, key: 'zpk.a' } },
      { ...pin, under: zone('zpk.other'), to: { format: 0, key: 'zpk.t' } },
      { ...pin, to: { format: 0, key: 'zpk.other' } },
    ])
    expect(outcomes.map(({ kind }) => kind)).toEqual(['refused', 'refused', 'refused', 'refused', 'broken', 'made'])
  })
})

/** Translates to a zone key whose value the test knows. */
function clearPinOf(pin: EncipheredPin): string | undefined {
  const [outcome] = pins.translatePins([{ ...pin, to: { format: 0, key: 'zpk.t' } }])
  if (outcome?.kind !== 'made') return outcome?.kind
  const clear = decipherPinBlocks(0, keys.find('zpk.t', 'P0'), outcome.block, [pin.pan])
  return openPinBlock(0, clear, pin.pan, Buffer.alloc(12))?.join('')
}
