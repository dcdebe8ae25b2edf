import { describe, expect, test } from 'vitest'
import { cardVerificationValues } from '../../src/security/cardValue.ts'
import { cardValueOperations, type IccMasterKey } from '../../src/security/cardValueOperations.ts'
import type { CardValue, CardValueCheck } from '../../src/security/hsm.ts'
import { KeyRefused } from '../../src/security/keys.ts'
import { softwareKeyStore } from '../../src/security/softwareKeys.ts'
import { handleOf, hex, newKey } from './clearKeys.ts'
import vectors from './vectors/cardValue.json' with { type: 'json' }

const PAN = '2222222222222222'
const keys = softwareKeyStore([
  newKey('cvk', 'C0', 'T', '99999999999999998888888888888888'),
  newKey('imk-ac', 'E0', 'T', '12345678123456781234567812345678'),
])
const values = cardValueOperations(keys, iccMasterKeyA)

/** EMV Book 2 A1.4.1, without the parity that DES does not look at. */
function iccMasterKeyA(...[issuerMasterKey, pan, psn]: Parameters<IccMasterKey>): Buffer {
  const left = hex(`${pan}${psn}`.slice(-16).padStart(16, '0'))
  return issuerMasterKey.encrypt(Buffer.concat([left, left.map((byte) => byte ^ 0xff)]))
}

const stripes = vectors.card_verification.filter((vector) => vector.cvk !== undefined)
const dynamic = vectors.card_verification.filter((vector) => vector.imk_ac !== undefined)

describe('public vectors', () => {
  test.each(stripes)('$name $cvv', ({ cvk, pan, expiry, service_code, cvv }) => {
    const made = cardVerificationValues(handleOf('C0', 'T', cvk), [{ pan, expiry, serviceCode: service_code }])
    expect(made.join('')).toBe(cvv)
  })

  test.each(dynamic)('$name $dcvv', ({ pan, psn, atc, expiry, service_code, dcvv }) => {
    const value: CardValue = { kind: 'dcvv', key: 'imk-ac', expiry, serviceCode: service_code, psn, atc }
    expect(values.cardValues([{ pan, value }])).toEqual([{ kind: 'made', digits: dcvv }])
    expect(values.verifyCardValues([{ pan, value, given: dcvv }])).toEqual(['valid'])
  })

  test('there is one of each', () => {
    expect([stripes.length, dynamic.length]).toEqual([2, 1])
  })
})

const cvv: CardValue = { kind: 'cvv', key: 'cvk', expiry: '3333', serviceCode: '111' }

test('iCVV is the CVV with service code 999, CVV2 that with 000', () => {
  const of = (value: CardValue): unknown => values.cardValues([{ pan: PAN, value }])[0]
  const icvv = of({ kind: 'icvv', key: 'cvk', expiry: '3333' })
  const cvv2 = of({ kind: 'cvv2', key: 'cvk', expiry: '3333' })
  expect(icvv).toEqual(of({ ...cvv, serviceCode: '999' }))
  expect(cvv2).toEqual(of({ ...cvv, serviceCode: '000' }))
  expect(icvv).not.toEqual(cvv2)
})

test('a batch has the values of each card, in order', () => {
  const batch = Array.from({ length: 50 }, (_, index) => ({ pan: `40000000000${String(index).padStart(5, '0')}`, value: cvv }))
  const made = values.cardValues(batch)
  expect(made).toEqual(batch.flatMap((request) => values.cardValues([request])))
  expect(new Set(made.map((each) => (each.kind === 'made' ? each.digits : ''))).size).toBeGreaterThan(30)
})

test('each item of a batch has its own verdict, in order', () => {
  const check = (changes: Partial<CardValueCheck> = {}): CardValueCheck => ({ pan: PAN, value: cvv, given: '361', ...changes })
  const dcvv: CardValue = { kind: 'dcvv', key: 'imk-ac', expiry: '1310', serviceCode: '226', psn: '00', atc: '3210' }
  const pan = '1234567890123456'
  expect(
    values.verifyCardValues([
      check(),
      check({ given: '362' }),
      check({ given: '' }),
      check({ given: '36' }),
      check({ given: '3610' }),
      check({ pan: '2222222222222223' }),
      check({ value: { ...cvv, expiry: '3334' } }),
      check({ value: { ...cvv, serviceCode: '112' } }),
      check({ value: { ...cvv, key: 'none' } }),
      check({ value: { ...cvv, key: 'imk-ac' } }),
      check({ value: { ...cvv, expiry: '333' } }),
      check({ value: { ...cvv, serviceCode: '' } }),
      check({ pan: '' }),
      check({ pan, value: dcvv, given: '422' }),
      check({ pan, value: { ...dcvv, atc: '3211' }, given: '422' }),
      check({ pan, value: { ...dcvv, atc: '' }, given: '422' }),
      check({ pan, value: { ...dcvv, psn: '0' }, given: '422' }),
      check({ pan, value: { ...dcvv, key: 'cvk' }, given: '422' }),
      check(),
    ]),
  ).toEqual([
    ...['valid', 'invalid', 'invalid', 'invalid', 'invalid', 'invalid', 'invalid', 'invalid'],
    ...['refused', 'refused', 'refused', 'refused', 'refused'],
    ...['valid', 'invalid', 'refused', 'refused', 'refused', 'valid'],
  ])
})

test('a key of another usage or of triple length is not used by halves', () => {
  const card = { pan: PAN, expiry: '3333', serviceCode: '111' }
  expect(() => cardVerificationValues(handleOf('D0', 'T', '00'.repeat(16)), [card])).toThrow(KeyRefused)
  expect(() => cardVerificationValues(handleOf('C0', 'T', '00'.repeat(24)), [card])).toThrow(KeyRefused)
})
