/**
 * National IDs and mobile numbers of the demo programme's persons: made up, of the right form, the same wherever they are made. No range is set
 * aside for examples, so that one may be somebody's: nothing is ever sent to these mobiles.
 */
import { assert } from '../assert.ts'
import { BIRTH_GOVERNORATES, Mobile, NationalId, type PersonalData } from '../personalData.ts'

const GOVERNORATES_OF_BIRTH = BIRTH_GOVERNORATES.length - 1
const MEMBERS_MAX = 9
/** Serial and last digit of a national ID. */
const NUMBERS = 100_000
/** So many households have national IDs that differ behind the date of birth: 299,997. */
export const HOUSEHOLDS_A_TURN = Math.floor(NUMBERS / MEMBERS_MAX) * GOVERNORATES_OF_BIRTH

/** Children have none. */
const MOBILE_FROM_BIRTH_BEFORE = '2010'
const MOBILE_PREFIX = '0159'
const MOBILES = 10_000_000

/**
 * @param birthDate `1980-05-17`; those of a person and of the same member so many households (HOUSEHOLDS_A_TURN) later must differ, then
 * nobody shares a national ID
 */
export function demoPersonalData(household: number, member: number, birthDate: string): PersonalData {
  const place = household % HOUSEHOLDS_A_TURN
  const governorate = BIRTH_GOVERNORATES[place % GOVERNORATES_OF_BIRTH] ?? ''
  const number = Math.floor(place / GOVERNORATES_OF_BIRTH) * MEMBERS_MAX + member - 1
  const century = birthDate < '2000' ? '2' : '3'
  const digits = century + birthDate.slice(2).replaceAll('-', '') + governorate + String(number).padStart(5, '0')
  const nationalId = NationalId.parse(digits)
  assert(nationalId !== undefined, 'a demo person has a national ID')
  return { nationalId, mobile: birthDate < MOBILE_FROM_BIRTH_BEFORE ? demoMobile(household, member) : null }
}

function demoMobile(household: number, member: number): Mobile {
  const mobile = Mobile.parse(MOBILE_PREFIX + String((household * MEMBERS_MAX + member) % MOBILES).padStart(7, '0'))
  assert(mobile !== undefined, 'a demo person has a mobile')
  return mobile
}
