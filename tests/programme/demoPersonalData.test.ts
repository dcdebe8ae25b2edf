import { describe, expect, it } from 'vitest'
import { demoHousehold } from '../../src/programme/demoHousehold.ts'
import { demoPersonalData, HOUSEHOLDS_A_TURN } from '../../src/programme/demoPersonalData.ts'

function idsOf(household: number): string[] {
  return demoHousehold(household).persons.map(({ member, birthDate }) =>
    demoPersonalData(household, member, birthDate).nationalId.reveal(),
  )
}

describe("the demo programme's personal data", () => {
  it('say the date of birth, and are the same whoever asks', () => {
    for (let household = 1; household <= 500; household++) {
      for (const { member, birthDate } of demoHousehold(household).persons) {
        const data = demoPersonalData(household, member, birthDate)
        expect(data.nationalId.birthDate).toBe(birthDate)
        expect(demoPersonalData(household, member, birthDate)).toEqual(data)
        expect(data.mobile === null).toBe(birthDate >= '2010')
      }
    }
  })

  it('give each person a national ID of their own', () => {
    const ids = Array.from({ length: 20_000 }, (_, index) => idsOf(index + 1)).flat()
    expect(new Set(ids).size).toBe(ids.length)
  })

  // 30,000,000 is the most that the seed makes.
  it.each([1, 7, 1234, HOUSEHOLDS_A_TURN - 1])('give others to the households that come turns after household %i', (first) => {
    const ids = Array.from({ length: 101 }, (_, turn) => idsOf(first + turn * HOUSEHOLDS_A_TURN)).flat()
    expect(new Set(ids).size).toBe(ids.length)
  })
})
