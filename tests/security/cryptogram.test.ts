import { describe, expect, test } from 'vitest'
import { iccMasterKey, sessionKey } from '../../src/security/chipKeys.ts'
import {
  applicationCryptogram,
  arpcResponseCode,
  cardStatusUpdate,
  cryptogramKey,
  cryptogramMethod,
  paddedMac,
  responseCryptogram1,
  responseCryptogram2,
  type MacPadding,
} from '../../src/security/cryptogram.ts'
import { scheduleKey } from '../../src/security/des.ts'
import { parseIssuerApplicationData } from '../../src/security/issuerApplicationData.ts'
import { softwareKey } from '../../src/security/softwareKeys.ts'
import vectors from './vectors/chip.json' with { type: 'json' }

function bytes(text: string): Buffer {
  return Buffer.from(text, 'hex')
}

function hex(value: Uint8Array): string {
  return Buffer.from(value).toString('hex').toUpperCase()
}

function masterKey(imk: string, pan: string, psn: string, option: string) {
  const key = softwareKey({ name: 'imk-ac', usage: 'E0', algorithm: 'T', exportable: false, value: bytes(imk) })
  return scheduleKey(iccMasterKey(key, pan, psn, option as 'A' | 'B'))
}

const TRANSACTION_DATA_BYTES = 33

describe('application cryptograms', () => {
  test(`under a session key (${vectors.cryptogram.source})`, () => {
    const { key, data, cryptogram } = vectors.cryptogram
    expect(hex(paddedMac(scheduleKey(bytes(key)), 2, bytes(data)))).toBe(cryptogram)
  })

  test.each(vectors.cryptograms)('$name ($source)', (vector) => {
    const master = masterKey(vector.imkAc, vector.pan, vector.psn, vector.option)
    const session = vector.sessionR === undefined ? master : scheduleKey(sessionKey(master, bytes(vector.sessionR)))
    const arqc = paddedMac(session, vector.padding as MacPadding, bytes(vector.macInput))
    expect(hex(arqc)).toBe(vector.arqc)
    for (const { method, code, arpc } of vector.arpc) {
      // jPOS makes both with the session key, M/Chip makes method 1 with the master key.
      const key = vector.scheme === 'mchip' ? master : session
      const made = method === 1 ? responseCryptogram1(key, arqc, bytes(code)) : responseCryptogram2(key, arqc, bytes(code))
      expect(hex(made)).toBe(arpc)
    }
  })

  test(vectors.interac.source, () => {
    const { imkAc, pan, psn, atc, un, macInput, arqc, arc, arpc } = vectors.interac
    const method = cryptogramMethod('mchip', 0x10)!
    const session = scheduleKey(cryptogramKey(method, masterKey(imkAc, pan, psn, 'A'), bytes(atc), bytes(un))!)
    expect(hex(paddedMac(session, 2, bytes(macInput)))).toBe(arqc)
    expect(hex(responseCryptogram1(session, bytes(arqc), bytes(arc)))).toBe(arpc)
  })

  test.each([
    { scheme: 'visa' as const, ...vectors.dataBuilders.cvn10 },
    { scheme: 'visa' as const, ...vectors.dataBuilders.cvn18 },
    { scheme: 'visa' as const, ...vectors.dataBuilders.cvn22 },
    { scheme: 'mchip' as const, ...vectors.dataBuilders.mchip16 },
  ])(`$scheme with $iad is made of the data that its CVN says (${vectors.dataBuilders.source})`, ({ scheme, iad, built }) => {
    const key = scheduleKey(bytes(vectors.cryptogram.key))
    const parsed = parseIssuerApplicationData(scheme, bytes(iad))!
    const method = cryptogramMethod(scheme, parsed.cvn)!
    const data = bytes(built).subarray(0, TRANSACTION_DATA_BYTES)
    const expected = paddedMac(key, method.padding, bytes(built))
    expect(hex(applicationCryptogram(method, key, data, bytes(iad), parsed))).toBe(hex(expected))
  })

  test('padding: method 1 adds nothing to whole blocks, method 2 always something', () => {
    const key = scheduleKey(bytes(vectors.cryptogram.key))
    const mac = (padding: MacPadding, text: string) => hex(paddedMac(key, padding, bytes(text)))
    expect(mac(1, '0011223344556677')).not.toBe(mac(2, '0011223344556677'))
    expect(mac(2, '0011223344556677')).toBe(mac(1, '00112233445566778000000000000000'))
    expect(mac(1, '001122')).toBe(mac(1, '0011220000000000'))
    expect(mac(2, '001122')).toBe(mac(1, '0011228000000000'))
  })

  test('parts are one behind the other; more than a card could sign is a mistake', () => {
    const key = scheduleKey(bytes(vectors.cryptogram.key))
    expect(paddedMac(key, 2, bytes('00112233'), bytes('44'))).toEqual(paddedMac(key, 2, bytes('0011223344')))
    expect(() => paddedMac(key, 2, Buffer.alloc(200), Buffer.alloc(56))).toThrow(RangeError)
    expect(paddedMac(key, 2, Buffer.alloc(200), Buffer.alloc(55))).toEqual(paddedMac(key, 2, Buffer.alloc(255)))
  })

  test('a scheme has its own versions only', () => {
    const known = (scheme: 'visa' | 'mchip') => [...Array(256).keys()].filter((cvn) => cryptogramMethod(scheme, cvn))
    expect(known('visa')).toEqual([0x0a, 0x12, 0x22])
    expect(known('mchip')).toEqual([0x10, 0x11])
  })
})

describe('what the answer tells the card', () => {
  test('method 1: Visa has the response code itself, M/Chip its own', () => {
    expect(hex(arpcResponseCode('visa', '00', true))).toBe('3030')
    expect(hex(arpcResponseCode('visa', '51', false))).toBe('3531')
    expect(hex(arpcResponseCode('mchip', '00', true))).toBe('0010')
    expect(hex(arpcResponseCode('mchip', '51', false))).toBe('0000')
  })

  test('method 2: the card status update approves with bit 8 of byte 2', () => {
    expect(hex(cardStatusUpdate(true))).toBe('00800000')
    expect(hex(cardStatusUpdate(false))).toBe('00000000')
  })
})
