import { expect, it } from 'vitest'
import { HouseholdChooser } from '../../../benchmarks/support/householdChooser.ts'
import { randomFrom } from '../../../benchmarks/support/random.ts'
import { FIRST_PLAIN_HOUSEHOLD, GOVERNORATE_WITHOUT_SERVICES } from '../../../src/programme/demo.ts'
import { demoHousehold } from '../../../src/programme/demoHousehold.ts'

const HOUSEHOLDS = 600
const all = Array.from({ length: HOUSEHOLDS - FIRST_PLAIN_HOUSEHOLD + 1 }, (_, index) =>
  demoHousehold(FIRST_PLAIN_HOUSEHOLD + index),
)
const served = all.filter(({ governorate }) => governorate !== GOVERNORATE_WITHOUT_SERVICES)
const byNumber = (a: number, b: number): number => a - b

function choices(
  chooser: HouseholdChooser,
  kind: Parameters<HouseholdChooser['choose']>[0],
  count: number,
  governorate = 0,
): number[] {
  return Array.from({ length: count }, () => chooser.choose(kind, governorate))
}

it('bread goes to every household where it is handed out, each once, before any gets a second turn', () => {
  const chooser = new HouseholdChooser(HOUSEHOLDS, randomFrom(1))
  const first = choices(chooser, 'bread', served.length)
  expect(first.toSorted(byNumber)).toEqual(served.map(({ household }) => household))
  expect(first).not.toEqual(first.toSorted(byNumber))
  expect(chooser.roundsBegunAgain.size).toBe(0)
  expect(chooser.choose('bread', 0)).toBe(first[0])
  expect(chooser.roundsBegunAgain).toEqual(new Map([['bread', 1]]))
})

it('ration goes to households of the governorate of the grocer', () => {
  const chooser = new HouseholdChooser(HOUSEHOLDS, randomFrom(1))
  const there = served.filter(({ governorate }) => governorate === 5).map(({ household }) => household)
  expect(choices(chooser, 'ration', there.length, 5).toSorted(byNumber)).toEqual(there)
  expect(() => chooser.choose('ration', GOVERNORATE_WITHOUT_SERVICES)).toThrow('take more cards')
})

it('points are spent by who has some, and health is asked for who is covered', () => {
  const chooser = new HouseholdChooser(HOUSEHOLDS, randomFrom(1))
  for (const household of choices(chooser, 'points', 300)) expect(demoHousehold(household).points).toBeGreaterThan(0)
  for (const household of choices(chooser, 'eligibility', 300)) expect(demoHousehold(household).persons[0]?.cover).not.toBeNull()
})

it('anybody may buy, and the same seed chooses the same households', () => {
  const bought = choices(new HouseholdChooser(HOUSEHOLDS, randomFrom(4)), 'purchase', 5000)
  expect(new Set(bought)).toEqual(new Set(all.map(({ household }) => household)))
  expect(choices(new HouseholdChooser(HOUSEHOLDS, randomFrom(4)), 'purchase', 5000)).toEqual(bought)
})
