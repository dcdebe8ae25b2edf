import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  commonSessionKey,
  iccMasterKey,
  iccMasterKeys,
  mchipSessionKey,
  sessionKey,
  visaMessagingKey,
  type CardOfKey,
} from '../../src/security/chipKeys.ts'
import { encryptTriple, scheduleKey } from '../../src/security/des.ts'
import { softwareKey } from '../../src/security/softwareKeys.ts'
import vectors from './vectors/chip.json' with { type: 'json' }

const IMK = '0123456789ABCDEFFEDCBA9876543210'

function imkOf(hex: string) {
  return softwareKey({ name: 'imk-ac', usage: 'E0', algorithm: 'T', exportable: false, value: Buffer.from(hex, 'hex') })
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex').toUpperCase()
}

function kcv(key: Uint8Array): string {
  return hex(encryptTriple(scheduleKey(key), Buffer.alloc(8)))
}

describe('ICC master keys', () => {
  test.each(vectors.masterKeys)('$name ($source)', ({ imk, pan, psn, option, iccMk, kcv: check = '' }) => {
    const key = iccMasterKey(imkOf(imk), pan, psn, option as 'A' | 'B')
    expect(hex(key)).toBe(iccMk)
    expect(kcv(key).startsWith(check)).toBe(true)
  })

  test.each(vectors.cryptograms)('$name: the card key ($source)', ({ imkAc, imkKcv, pan, psn, option, ...computed }) => {
    const imk = imkOf(imkAc)
    if (imkKcv !== undefined) expect(imk.info.kcv).toBe(imkKcv)
    const key = iccMasterKey(imk, pan, psn, option as 'A' | 'B')
    if (computed.iccMkAcKcv !== undefined) expect(kcv(key).startsWith(computed.iccMkAcKcv)).toBe(true)
    if (computed.computedIccMkAc !== undefined) expect(hex(key)).toBe(computed.computedIccMkAc)
  })

  test('the options agree for a PAN of up to 16 digits, and differ for longer ones', () => {
    const imk = imkOf(IMK)
    for (let digits = 12; digits <= 19; digits++) {
      const pan = '9876543210123456789'.slice(0, digits)
      const same = iccMasterKey(imk, pan, '01', 'A').equals(iccMasterKey(imk, pan, '01', 'B'))
      expect(same).toBe(digits <= 16)
    }
  })

  test('option B takes letters of the digest where it has fewer than 16 digits', () => {
    // The SHA-1 of its PAN and sequence number has 13 digits only.
    const key = iccMasterKey(imkOf(IMK), SPARSE.pan, SPARSE.psn, 'B')
    const data = Buffer.from(SPARSE.digits, 'hex')
    const blocks = Buffer.concat([data, data.map((byte) => byte ^ 0xff)])
    expect(kcv(key)).toBe(kcv(imkOf(IMK).encrypt(blocks)))
  })

  test('a batch has the same keys as one card at a time, in order, for one call of the key', () => {
    const real = imkOf(IMK)
    let calls = 0
    const imk = {
      ...real,
      encrypt: (blocks: Uint8Array) => {
        calls += 1
        return real.encrypt(blocks)
      },
    }
    const digits = fc.integer({ min: 12, max: 19 }).chain((length) => fc.stringMatching(new RegExp(`^\\d{${String(length)}}$`)))
    const card = fc.record({
      pan: digits,
      psn: fc.constantFrom('00', '01', '99'),
      option: fc.constantFrom('A' as const, 'B' as const),
    })
    fc.assert(
      fc.property(fc.array(card, { maxLength: 8 }), (cards: CardOfKey[]) => {
        calls = 0
        const batch = iccMasterKeys(imk, cards)
        expect(calls).toBe(1)
        expect(batch).toEqual(Buffer.concat(cards.map(({ pan, psn, option }) => iccMasterKey(real, pan, psn, option))))
      }),
    )
  })
})

describe('session keys', () => {
  test(`the common session key (${vectors.commonSessionKey.source})`, () => {
    const { masterKey, r, sessionKey: expected } = vectors.commonSessionKey
    const schedule = scheduleKey(Buffer.from(masterKey, 'hex'))
    expect(hex(sessionKey(schedule, Buffer.from(r, 'hex')))).toBe(expected)
    expect(hex(commonSessionKey(schedule, Buffer.from(r, 'hex').subarray(0, 2)))).toBe(expected)
  })

  test.each(vectors.cryptograms.filter(({ skAcKcv }) => skAcKcv !== undefined))('$name: by ATC ($source)', (vector) => {
    const master = scheduleKey(iccMasterKey(imkOf(vector.imkAc), vector.pan, vector.psn, 'A'))
    const key = commonSessionKey(master, Buffer.from(vector.sessionR!, 'hex').subarray(0, 2))
    expect(hex(key)).toBe(vector.computedSkAc)
    expect(kcv(key).startsWith(vector.skAcKcv!)).toBe(true)
  })

  test(`the M/Chip session key by ATC and unpredictable number (${vectors.interac.source})`, () => {
    const { imkAc, imkSmi, pan, psn, atc, un, arqc, skAcKcv, skSmiKcv } = vectors.interac
    const master = scheduleKey(iccMasterKey(imkOf(imkAc), pan, psn, 'A'))
    const key = mchipSessionKey(master, Buffer.from(atc, 'hex'), Buffer.from(un, 'hex'))
    expect(kcv(key).startsWith(skAcKcv)).toBe(true)
    const messaging = scheduleKey(iccMasterKey(imkOf(imkSmi), pan, psn, 'A'))
    expect(kcv(sessionKey(messaging, Buffer.from(arqc, 'hex'))).startsWith(skSmiKcv)).toBe(true)
  })

  test(`Visa's messaging key (${vectors.visaMessagingKey.source})`, () => {
    const { masterKey, atc, sessionKey: expected } = vectors.visaMessagingKey
    expect(hex(visaMessagingKey(Buffer.from(masterKey, 'hex'), Buffer.from(atc, 'hex')))).toBe(expected)
  })

  test('every derived key has odd parity', () => {
    const isOdd = (key: Buffer) => key.every((byte) => byte.toString(2).replaceAll('0', '').length % 2 === 1)
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 8, maxLength: 8 }), fc.stringMatching(/^\d{16}$/), (r, pan) => {
        const master = iccMasterKey(imkOf(IMK), pan, '00', 'A')
        expect(isOdd(master)).toBe(true)
        expect(isOdd(sessionKey(scheduleKey(master), r))).toBe(true)
        expect(isOdd(visaMessagingKey(master, r.subarray(0, 2)))).toBe(true)
      }),
    )
  })
})

/** Found by trying PANs: see the test that uses it. */
const SPARSE = { pan: '12345678901243271', psn: '00', digits: '0590384940635520' }
