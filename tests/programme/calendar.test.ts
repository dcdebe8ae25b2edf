import { describe, expect, it } from 'vitest'
import {
  addBusinessDays,
  addDays,
  addMonths,
  ageOn,
  businessDaysBetween,
  isBusinessDay,
  startOfDay,
} from '../../src/programme/calendar.ts'

describe('months', () => {
  it.each([
    ['2026-01-31', 1, '2026-02-28'],
    ['2028-01-31', 1, '2028-02-29'],
    ['2026-11-26', 1, '2026-12-26'],
    ['2026-12-31', 2, '2027-02-28'],
    ['2026-11-26', 36, '2029-11-26'],
    ['2026-03-31', -1, '2026-02-28'],
  ])('%s and %d months are %s', (day, months, expected) => {
    expect(addMonths(day, months)).toBe(expected)
  })
})

describe('business days', () => {
  it('are Sunday to Thursday', () => {
    expect(['2026-11-22', '2026-11-26', '2026-11-27', '2026-11-28'].map((day) => isBusinessDay(day, []))).toEqual([
      true,
      true,
      false,
      false,
    ])
  })

  it('leave out holidays; the day of the request does not count', () => {
    expect(addBusinessDays('2026-11-26', 10, [])).toBe('2026-12-10')
    expect(addBusinessDays('2026-11-26', 10, ['2026-12-01'])).toBe('2026-12-13')
    expect(businessDaysBetween('2026-11-26', '2026-12-13', ['2026-12-01'])).toBe(10)
    expect(businessDaysBetween('2026-11-26', '2026-11-28', [])).toBe(0)
    expect(addDays('2026-12-31', 1)).toBe('2027-01-01')
  })
})

describe('age', () => {
  it.each([
    ['2010-11-27', '2026-11-26', 15],
    ['2010-11-26', '2026-11-26', 16],
    ['2009-11-25', '2026-11-26', 17],
    ['2008-02-29', '2025-02-28', 16],
    ['2008-02-29', '2025-03-01', 17],
  ])('of one born %s is on %s %d', (birthDate, day, age) => {
    expect(ageOn(birthDate, day)).toBe(age)
  })
})

describe('a day of Cairo', () => {
  it.each([
    ['2026-11-26', '2026-11-25T22:00:00.000Z'],
    ['2026-07-01', '2026-06-30T21:00:00.000Z'],
    // Summer time begins: there is no 00:00.
    ['2027-04-30', '2027-04-29T22:00:00.000Z'],
    ['2024-11-01', '2024-10-31T22:00:00.000Z'],
  ])('%s begins at %s', (day, instant) => {
    expect(new Date(startOfDay(day)).toISOString()).toBe(instant)
  })
})
