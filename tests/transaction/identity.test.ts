import { describe, expect, it } from 'vitest'
import {
  acquirerPart,
  approvalCodeFor,
  bodyFingerprint,
  dateOf,
  isTransmissionTime,
  isWithinRetention,
  retrievalReference,
} from '../../src/transaction/identity.ts'

describe('the year of a date that has none', () => {
  it.each([
    ['1122', '2026-11-22T10:00:00Z', '2026-11-22'],
    ['1231', '2027-01-01T00:00:01Z', '2026-12-31'],
    ['0101', '2026-12-31T23:59:59Z', '2027-01-01'],
    ['0229', '2028-02-28T12:00:00Z', '2028-02-29'],
    ['0229', '2028-03-01T12:00:00Z', '2028-02-29'],
    ['0701', '2026-12-20T12:00:00Z', '2026-07-01'],
    ['0515', '2026-12-20T12:00:00Z', '2027-05-15'],
  ])('%s seen at %s is %s', (monthDay, now, date) => {
    expect(dateOf(monthDay, Date.parse(now))).toBe(date)
  })

  it('is nothing where there is no such day', () => {
    expect(dateOf('0230', Date.parse('2026-11-22T00:00:00Z'))).toBeUndefined()
    expect(dateOf('1301', Date.parse('2026-11-22T00:00:00Z'))).toBeUndefined()
  })
})

it('keys are kept for the retention window, and for a day ahead', () => {
  const now = Date.parse('2026-11-22T23:00:00Z')
  expect(['2026-11-15', '2026-11-22', '2026-11-23'].map((date) => isWithinRetention(date, now, 7))).toEqual([true, true, true])
  expect(['2026-11-14', '2026-11-24'].map((date) => isWithinRetention(date, now, 7))).toEqual([false, false])
})

it('a time is MMDDhhmmss', () => {
  expect(['1122093000', '0101000000', '1231235959'].every(isTransmissionTime)).toBe(true)
  expect(['0000000000', '1322093000', '1132093000', '1122240000', '1122096000', '112209300'].some(isTransmissionTime)).toBe(false)
})

it('a made retrieval reference is year, day of the year, hour and trace number', () => {
  expect(retrievalReference('2026-11-22', '1122093000', '000123')).toBe('632609000123')
  expect(retrievalReference('2028-12-31', '1231235959', '999999')).toBe('836623999999')
})

it('an acquirer is 11 digits, as DE 90 has it; none or zeros is the link', () => {
  expect(acquirerPart('818001', 'pos')).toBe('00000818001')
  expect(acquirerPart(undefined, 'pos')).toBe('pos')
  expect(acquirerPart('00000000000', 'pos')).toBe('pos')
})

it('an approval code is six letters or digits that follow from the key', () => {
  expect(approvalCodeFor('one')).toMatch(/^[0-9A-Z]{6}$/)
  expect(approvalCodeFor('one')).toBe(approvalCodeFor('one'))
  expect(approvalCodeFor('one')).not.toBe(approvalCodeFor('other'))
})

it('a body’s parts cannot be shifted into each other', () => {
  expect(bodyFingerprint(['a', 'b'])).not.toBe(bodyFingerprint(['ab', '']))
  expect(bodyFingerprint(['a', undefined])).toBe(bodyFingerprint(['a', '']))
  const value = BigInt(bodyFingerprint(['a']))
  expect(value >= -(2n ** 63n) && value < 2n ** 63n).toBe(true)
})
