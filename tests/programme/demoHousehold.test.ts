import { describe, expect, it } from 'vitest'
import { demoHousehold, demoSize } from '../../src/programme/demoHousehold.ts'

const HOUSEHOLDS = Array.from({ length: 10_000 }, (_, index) => demoHousehold(index + 1))
const persons = HOUSEHOLDS.flatMap((household) => household.persons)

describe('demo households', () => {
  it('have 1 to 9 members, 4.1 on average', () => {
    const sizes = HOUSEHOLDS.map(({ persons }) => persons.length)
    expect([Math.min(...sizes), Math.max(...sizes)]).toEqual([1, 9])
    expect(sizes.reduce((sum, size) => sum + size, 0) / sizes.length).toBeCloseTo(4.1, 1)
  })

  it('are the same whoever asks, and as large as is said without making them', () => {
    for (const household of HOUSEHOLDS.slice(0, 200)) {
      expect(demoHousehold(household.household)).toEqual(household)
      expect(demoSize(household.household)).toBe(household.persons.length)
    }
  })

  it('count ration and bread apart: nobody more than live there, at least one, and not the same everywhere', () => {
    for (const { household, rationMembers, breadMembers, persons } of HOUSEHOLDS) {
      const counts = [rationMembers, breadMembers]
      expect([household, Math.min(...counts) >= 1, Math.max(...counts) <= persons.length]).toEqual([household, true, true])
    }
    expect(HOUSEHOLDS.some(({ rationMembers, breadMembers }) => rationMembers < breadMembers)).toBe(true)
    expect(HOUSEHOLDS.some(({ rationMembers, breadMembers }) => rationMembers > breadMembers)).toBe(true)
  })

  it('are headed by a grown-up, and have children', () => {
    for (const { persons } of HOUSEHOLDS) expect(persons[0]?.birthDate.slice(0, 4) ?? '').toMatch(/^19[5-9]\d$/)
    for (const { birthDate } of persons) expect(new Date(birthDate).toISOString().slice(0, 10)).toBe(birthDate)
    const children = persons.filter(({ birthDate }) => birthDate > '2010-12-01').length / persons.length
    expect(children).toBeGreaterThan(0.15)
    expect(children).toBeLessThan(0.5)
  })

  it('begin in the pilot governorate and are everywhere from the 21st on', () => {
    expect(HOUSEHOLDS.slice(0, 20).map(({ governorate }) => governorate)).toEqual(Array.from({ length: 20 }, () => 3))
    expect(new Set(HOUSEHOLDS.slice(20).map(({ governorate }) => governorate)).size).toBe(27)
    // Among the demo cards: the one for which nothing is announced.
    expect(demoHousehold(26).governorate).toBe(27)
  })

  it('have health cover, but not all: some are exempt, some have none, of one it has ended', () => {
    const classes = persons.map(({ cover }) => cover?.class ?? 'none')
    const share = (of: string): number => classes.filter((value) => value === of).length / classes.length
    expect([share('STANDARD') > 0.85, share('EXEMPT') > 0.03, share('none') > 0.03]).toEqual([true, true, true])
    expect(demoHousehold(1).persons[0]?.cover).toEqual({ class: 'STANDARD', from: '2026-01-01', until: '2030-12-31' })
    expect(demoHousehold(2).persons[0]?.cover).toMatchObject({ class: 'EXEMPT' })
    expect(demoHousehold(19).persons[0]?.cover).toMatchObject({ until: '2026-03-31' })
  })

  it('have an old ration card here and there', () => {
    expect(HOUSEHOLDS.filter(({ oldPan }) => oldPan !== undefined).map(({ household }) => household)).toEqual([
      4,
      5,
      10,
      20,
      ...Array.from({ length: 100 }, (_, index) => (index + 1) * 100),
    ])
  })
})
