import { createHmac } from 'node:crypto'
import { inspect } from 'node:util'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { cardToken } from '../src/card.ts'
import { BIRTH_GOVERNORATES, Mobile, mobileToken, NationalId, nationalIdToken } from '../src/personalData.ts'

const lookupKey = Buffer.from('a key that only this test has, 32 characters')

describe('a national ID', () => {
  it('says when and in which governorate somebody was born', () => {
    expect(NationalId.parse('28005170312345')).toMatchObject({ birthDate: '1980-05-17', birthGovernorate: '03' })
    expect(NationalId.parse('30402298800017')).toMatchObject({ birthDate: '2004-02-29', birthGovernorate: '88' })
  })

  it.each([
    ['thirteen digits', '2800517031234'],
    ['fifteen digits', '280051703123456'],
    ['letters', '2800517031234A'],
    ['a blank', ' 28005170312345'],
    ['a line break behind it', '28005170312345\n'],
    ['digits of another script', '٢٨٠٠٥١٧٠٣١٢٣٤٥'],
    ['the century before', '18005170312345'],
    ['a century to come', '48005170312345'],
    ['a 13th month', '28013170312345'],
    ['a month of zero', '28000170312345'],
    ['the 31st of June', '28006310312345'],
    ['the 29th of February where there is none', '30302290312345'],
    ['a day of zero', '28005000312345'],
    ['a governorate of which there is none', '28005170512345'],
    ['a governorate of zero', '28005170012345'],
  ])('is refused with %s', (_what, digits) => {
    expect(NationalId.parse(digits)).toBeUndefined()
  })

  it('may come from the 27 governorates or from abroad, and from nowhere else', () => {
    const accepted = Array.from({ length: 100 }, (_, code) => String(code).padStart(2, '0')).filter(
      (code) => NationalId.parse(`2800517${code}12345`) !== undefined,
    )
    expect(accepted).toEqual([...BIRTH_GOVERNORATES])
    expect(accepted).toHaveLength(28)
  })

  it('shows nothing but its last digits, however it is printed', () => {
    const id = NationalId.parse('28005170312345')
    const shown = '**********2345'
    expect([String(id), JSON.stringify({ id }), inspect({ id })]).toEqual([shown, `{"id":"${shown}"}`, `{ id: ${shown} }`])
    expect(id?.reveal()).toBe('28005170312345')
  })
})

describe('a mobile number', () => {
  it.each(['01012345678', '+201012345678', '00201012345678'])('is the same written %s', (text) => {
    expect(Mobile.parse(text)?.reveal()).toBe('+201012345678')
  })

  it('is of one of the four networks', () => {
    const accepted = Array.from({ length: 10 }, (_, digit) => `01${String(digit)}`).filter((prefix) =>
      Mobile.parse(`${prefix}12345678`),
    )
    expect(accepted).toEqual(['010', '011', '012', '015'])
  })

  it.each([
    ['a digit too few', '0101234567'],
    ['a digit too many', '010123456789'],
    ['another country', '+211012345678'],
    ['a land line', '0223456789'],
    ['no zero and no country', '1012345678'],
    ['the zero and the country', '+2001012345678'],
    ['blanks', '010 1234 5678'],
    ['a line break behind it', '01012345678\n'],
  ])('is refused with %s', (_what, text) => {
    expect(Mobile.parse(text)).toBeUndefined()
  })

  it('shows nothing but its country and its last digits, however it is printed', () => {
    const mobile = Mobile.parse('01012345678')
    const shown = '+20******5678'
    expect([String(mobile), JSON.stringify({ mobile }), inspect({ mobile })]).toEqual([
      shown,
      `{"mobile":"${shown}"}`,
      `{ mobile: ${shown} }`,
    ])
  })
})

describe('look-up tokens', () => {
  it('are an HMAC of the domain and the value', () => {
    const expected = (text: string): string => createHmac('sha256', lookupKey).update(text).digest('base64url').slice(0, 22)
    expect(nationalIdToken(NationalId.parse('28005170312345')!, lookupKey)).toBe(expected('national-id:28005170312345'))
    expect(mobileToken(Mobile.parse('01012345678')!, lookupKey)).toBe(expected('mobile:+201012345678'))
  })

  it('say nothing of each other: a number that is a card and a national ID has two', () => {
    const number = '28005170312345'
    expect(nationalIdToken(NationalId.parse(number)!, lookupKey)).not.toBe(cardToken(number, lookupKey))
  })

  it('are others under another key, also where keys take turns', () => {
    const other = Buffer.from('another key that only this test has, 32')
    const mobile = Mobile.parse('01012345678')!
    const tokens = [lookupKey, other, lookupKey, other].map((key) => mobileToken(mobile, key))
    expect([tokens[0] === tokens[2], tokens[1] === tokens[3], tokens[0] === tokens[1]]).toEqual([true, true, false])
  })

  it('differ from person to person', () => {
    const serials = fc.uniqueArray(fc.integer({ min: 0, max: 99_999 }), { minLength: 2, maxLength: 50 })
    fc.assert(
      fc.property(serials, (numbers) => {
        const ids = numbers.map((number) => NationalId.parse(`280051703${String(number).padStart(5, '0')}`)!)
        expect(new Set(ids.map((id) => nationalIdToken(id, lookupKey))).size).toBe(numbers.length)
      }),
      { numRuns: 20 },
    )
  })
})
