import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { programmeOf, type EntitlementRules, type Programme } from '../../src/programmeParameters.ts'
import { dayAllowance, daysInMonth, entitlementOf, monthOf, nextMonth } from '../../src/purse/entitlement.ts'

const programme = programmeOf(
  JSON.parse(readFileSync(new URL('../../config/programme.json', import.meta.url), 'utf8')),
) as Programme
const { ration, bread } = programme.versions[0]!.services
const rationRules = ration!.entitlement!
const breadRules = bread!.entitlement!

describe('a month', () => {
  it.each([
    ['2026-12-05', '2026-12-01', '2027-01-01', 31],
    ['2026-01-01', '2026-01-01', '2026-02-01', 31],
    ['2026-09-30', '2026-09-01', '2026-10-01', 30],
    ['2026-02-28', '2026-02-01', '2026-03-01', 28],
    ['2028-02-29', '2028-02-01', '2028-03-01', 29],
    // Centuries are leap years only every fourth time.
    ['2100-02-01', '2100-02-01', '2100-03-01', 28],
  ])('of %s is %s, is followed by %s and has %i days', (day, month, next, days) => {
    expect([monthOf(day), nextMonth(day), daysInMonth(day)]).toEqual([month, next, days])
  })
})

describe('an entitlement by the month', () => {
  // Of the programme's rules: 50 EGP a member, 25 from the 5th.
  it.each([
    [0, 0],
    [1, 50_00],
    [4, 200_00],
    [5, 225_00],
    [9, 325_00],
  ])('is for %i members %i piasters, whatever the month', (members, piasters) => {
    expect(entitlementOf(rationRules, members, '2026-02-01')).toBe(piasters)
    expect(entitlementOf(rationRules, members, '2026-12-01')).toBe(piasters)
  })

  it('has no daily part', () => {
    expect(dayAllowance(rationRules, 4)).toBe(0)
  })
})

describe('an entitlement by the day', () => {
  // Of the programme's rules: 5 loaves a member and day.
  it.each([
    [0, 0, 0, 0],
    [1, 5, 140, 155],
    [4, 20, 560, 620],
    [9, 45, 1260, 1395],
  ])('is for %i members %i loaves a day, %i in a February and %i in a December', (members, day, february, december) => {
    expect(dayAllowance(breadRules, members)).toBe(day)
    expect(entitlementOf(breadRules, members, '2026-02-01')).toBe(february)
    expect(entitlementOf(breadRules, members, '2026-12-01')).toBe(december)
  })

  it('has one day more in a leap year', () => {
    expect(entitlementOf(breadRules, 4, '2028-02-01')).toBe(20 * 29)
  })
})

it('gives nothing to members above the last tier', () => {
  const rules: EntitlementRules = {
    counts: 'ration',
    each: 'month',
    closingAccount: 9002,
    tiers: [
      { membersMax: 2, amount: 10 },
      { membersMax: 3, amount: 5 },
    ],
  }
  expect([1, 2, 3, 4, 50].map((members) => entitlementOf(rules, members, '2026-12-01'))).toEqual([10, 20, 25, 25, 25])
})
