import { describe, expect, test } from 'vitest'
import { parseIssuerApplicationData } from '../../src/security/issuerApplicationData.ts'
import vectors from './vectors/chip.json' with { type: 'json' }

function parsed(scheme: 'visa' | 'mchip', hex: string) {
  const iad = parseIssuerApplicationData(scheme, Buffer.from(hex, 'hex'))
  return iad && { ...iad, cvr: iad.cvr.toString('hex').toUpperCase(), counters: iad.counters.toString('hex').toUpperCase() }
}

const { cvn10, cvn18, cvn22, mchip16 } = vectors.dataBuilders

describe('issuer application data', () => {
  test(`Visa formats 0, 1 and 3 have the key index before the CVN (${vectors.dataBuilders.source})`, () => {
    expect(parsed('visa', cvn10.iad)).toEqual({ cvn: 0x0a, keyDerivationIndex: 1, cvr: '03000000', counters: '' })
    expect(parsed('visa', cvn18.iad)).toEqual({ cvn: 0x12, keyDerivationIndex: 1, cvr: '03000000', counters: '' })
  })

  test('data of the issuer may follow', () => {
    expect(parsed('visa', '06011203A0B8000401020304')).toEqual({
      cvn: 0x12,
      keyDerivationIndex: 1,
      cvr: '03A0B800',
      counters: '',
    })
  })

  test('Visa format 2 has the CVN first, and five bytes of results', () => {
    expect(parsed('visa', cvn22.iad)).toEqual({ cvn: 0x22, keyDerivationIndex: 1, cvr: '0300000000', counters: '' })
  })

  test('M/Chip has results of six bytes, a code of two, and counters', () => {
    const expected = { cvn: 0x10, keyDerivationIndex: 1, cvr: '608003220000', counters: '00000000000000FF' }
    expect(parsed('mchip', mchip16.iad)).toEqual(expected)
    expect(parsed('mchip', mchip16.iad + '001B')).toEqual(expected)
    const advance = { ...expected, counters: '00000000000000FF1122334455667788' }
    expect(parsed('mchip', mchip16.iad + '1122334455667788')).toEqual(advance)
    expect(parsed('mchip', mchip16.iad + '1122334455667788001B')).toEqual(advance)
  })

  test('every other length is none of M/Chip', () => {
    const whole = Buffer.from(mchip16.iad.padEnd(64, '0'), 'hex')
    const lengths = [...whole.keys()].filter((length) => parseIssuerApplicationData('mchip', whole.subarray(0, length)))
    expect(lengths).toEqual([18, 20, 26, 28])
  })

  test('what is cut off, or has another length byte, is none of Visa', () => {
    const whole = Buffer.from(cvn18.iad, 'hex')
    for (let length = 0; length < whole.length; length++) {
      expect(parseIssuerApplicationData('visa', whole.subarray(0, length))).toBeUndefined()
    }
    expect(parsed('visa', '07011203A0B80000')).toBeUndefined()
    expect(parsed('visa', cvn22.iad.slice(0, -2))).toBeUndefined()
    expect(parsed('visa', mchip16.iad)).toBeUndefined()
  })
})
