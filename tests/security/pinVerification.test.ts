import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { KeyRefused } from '../../src/security/keys.ts'
import {
  DECIMALISATION_TABLE,
  digitsThenLetters,
  naturalPins,
  offsetOf,
  pinOf,
  validationDataOf,
  visaPvvs,
} from '../../src/security/pinVerification.ts'
import { digits, handleOf, hex } from './clearKeys.ts'
import vectors from './vectors/pin.json' with { type: 'json' }

describe('Visa PVV', () => {
  test.each(vectors.pvv)('$pvv of $pin', ({ pvk, pvki, pin, pan, pvv }) => {
    expect(visaPvvs(handleOf('V2', 'T', pvk), [{ pan, pvki, pin: digits(pin) }]).join('')).toBe(pvv)
  })

  test('of many is that of each', () => {
    const key = handleOf('V2', 'T', '0123456789ABCDEFFEDCBA9876543210')
    const requests = Array.from({ length: 100 }, (_, index) => ({
      pan: `4000000000${String(index).padStart(6, '0')}`,
      pvki: String(index % 7),
      pin: digits(String(1000 + index * 37)),
    }))
    const alone = requests.map((request) => visaPvvs(key, [request]).join(''))
    expect(visaPvvs(key, requests).join('')).toBe(alone.join(''))
    expect(new Set(alone).size).toBeGreaterThan(90)
  })

  test('takes the first four digits of a longer PIN', () => {
    const key = handleOf('V2', 'T', '0123456789ABCDEFFEDCBA9876543210')
    const request = { pan: '1122334455667788', pvki: '1' }
    expect(visaPvvs(key, [{ ...request, pin: digits('452499') }])).toEqual(visaPvvs(key, [{ ...request, pin: digits('4524') }]))
  })

  test('is not made with an AES key', () => {
    expect(() => visaPvvs(handleOf('V2', 'A', '00'.repeat(16)), [])).toThrow(KeyRefused)
  })
})

describe('decimalisation by two passes', () => {
  test.each([
    ['0123456789ABCDEF', '0123'],
    ['ABCDEF9876543210', '9876'],
    ['FA1B2CDEFFFFFFFF', '1250'],
    ['ABCDEFABCDEFABCD', '0123'],
    ['FFFFFFFFFFFFFFF7', '7555'],
  ])('%s gives %s', (block, expected) => {
    const into = Buffer.alloc(4, 0xff)
    digitsThenLetters(hex(block), 0, into, 0, 4)
    expect(into.join('')).toBe(expected)
  })
})

describe('IBM 3624', () => {
  test.each(vectors.ibm3624)(
    'PIN $pin has offset $offset',
    ({ pvk, decimalisation, validation_data, natural_pin, pin, offset }) => {
      const natural = naturalPins(handleOf('V1', 'T', pvk), [validation_data], decimalisation)
      expect(natural.subarray(0, 4).join('')).toBe(natural_pin)
      expect(offsetOf(digits(pin), natural)).toBe(offset)
      expect(pinOf(offset, natural).join('')).toBe(pin)
    },
  )

  test('an offset and its PIN belong together, of any length', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^\d{4,12}$/), fc.stringMatching(/^\d{16}$/), (pin, natural) => {
        const offset = offsetOf(digits(pin), digits(natural))
        expect(offset).toMatch(/^\d{4,12}$/)
        expect(pinOf(offset, digits(natural)).join('')).toBe(pin)
      }),
    )
  })

  test('has the usual table where none is given', () => {
    const key = handleOf('V1', 'T', '0123456789ABCDEFFEDCBA9876543210')
    const data = ['1122334455667788', '4000000000000002']
    expect(naturalPins(key, data)).toEqual(naturalPins(key, data, DECIMALISATION_TABLE))
    const enciphered = key.encrypt(hex(data.join(''))).toString('hex')
    expect(naturalPins(key, data).join('')).toBe(
      Array.from(enciphered, (digit) => DECIMALISATION_TABLE[Number.parseInt(digit, 16)]).join(''),
    )
  })

  test('refuses a table that is none and a key that is not TDES', () => {
    const key = handleOf('V1', 'T', '0123456789ABCDEFFEDCBA9876543210')
    for (const table of ['', '012345678901234', '012345678901234F']) expect(() => naturalPins(key, [], table)).toThrow(RangeError)
    expect(() => naturalPins(handleOf('V1', 'A', '00'.repeat(16)), [])).toThrow(KeyRefused)
  })

  test('validation data are the last 16 digits of the PAN, F behind fewer', () => {
    expect(validationDataOf('1122334455667788')).toBe('1122334455667788')
    expect(validationDataOf('6219861012345678901')).toBe('9861012345678901')
    expect(validationDataOf('1234567890123')).toBe('1234567890123FFF')
  })
})
