/**
 * The households of the demo programme, each made from its number alone: who lives there, who is on which list, who is covered. Sizes are
 * spread as those of the census of 2017 are, 4.1 on average.
 */
import type { CardState, Cover } from '../card.ts'
import {
  demoCard,
  demoMemberPan,
  demoOldPan,
  GOOD_UNTIL,
  GOVERNORATES,
  PILOT_GOVERNORATE,
  FIRST_PLAIN_HOUSEHOLD,
  SECOND_MEMBER_BALANCE,
} from './demo.ts'
import { HOUSEHOLDS_A_TURN } from './demoPersonalData.ts'

export interface DemoPerson {
  /** 1 is the head. */
  readonly member: number
  readonly birthDate: string
  readonly cover: Cover | null
  readonly pan: string
  readonly expiry: string
  readonly state: CardState
  /** Opening balance of the cash purse, piasters. */
  readonly balance: number
}

export interface DemoHousehold {
  readonly household: number
  readonly governorate: number
  readonly rationMembers: number
  readonly breadMembers: number
  /** The head first. */
  readonly persons: readonly DemoPerson[]
  /** Number of the old ration card; undefined where the household has none any more. */
  readonly oldPan: string | undefined
  /** Bread points it begins with. */
  readonly points: number
}

/** @param household 1 to 99,999,999 */
export function demoHousehold(household: number): DemoHousehold {
  const size = demoSize(household)
  // Newborns are not on the ration list yet; here and there somebody does without subsidised bread.
  const newborn = hasNewborn(household, size)
  const withoutBread = size > 1 && household % 10 === 7
  return {
    household,
    governorate: household < FIRST_PLAIN_HOUSEHOLD ? PILOT_GOVERNORATE : (household % GOVERNORATES) + 1,
    rationMembers: size - Number(newborn),
    breadMembers: size - Number(withoutBread),
    persons: Array.from({ length: size }, (_, index) => person(household, index + 1, size)),
    oldPan:
      household % (household < FIRST_PLAIN_HOUSEHOLD ? 10 : 100) === 0 || OLD_CARDS.includes(household)
        ? demoOldPan(household)
        : undefined,
    points: household % 3 === 1 ? 1500 + (household % 100) * 10 : 0,
  }
}

/** How many persons live in a household: 1 to 9. */
export function demoSize(household: number): number {
  const shown = SHOWN_SIZES[household]
  if (shown !== undefined) return shown
  const percentile = scattered(household, 0) % 100
  return SIZE_PERCENTILES.findIndex((below) => percentile < below) + 1
}

/** The first households are as their notes say, whatever chance would make of them. */
const SHOWN_SIZES: Readonly<Record<number, number>> = { 1: 4, 2: 2, 3: 6, 4: 5, 5: 3 }
const OLD_CARDS: readonly number[] = [4, 5]

/** Of 100 households so many have at most 1, 2, ... 9 members. */
const SIZE_PERCENTILES = [7, 19, 36, 60, 81, 92, 97, 99, 100]

const NEWBORN_EACH = 4

function hasNewborn(household: number, size: number): boolean {
  return size > 2 && household % NEWBORN_EACH === 3
}

function person(household: number, member: number, size: number): DemoPerson {
  const { state, expiry, balance } = demoCard(household)
  const own = {
    member,
    birthDate: birthDate(household, member, size),
    cover: cover(household, member),
    pan: demoMemberPan(household, member),
  }
  if (member === 1) return { ...own, expiry, state, balance }
  const second = member === 2 && household < FIRST_PLAIN_HOUSEHOLD
  return { ...own, expiry: GOOD_UNTIL, state: 'ACTIVE', balance: second ? SECOND_MEMBER_BALANCE : 0 }
}

/**
 * Heads were born from 1950 to 1994, second members up to three years later, children when the head was 22 to 41, newborns in 2026. Households that
 * are a whole number of turns apart have the same digits behind the dates in their national IDs: there days and months go on from one to the next.
 */
function birthDate(household: number, member: number, size: number): string {
  const turn = Math.floor(household / HOUSEHOLDS_A_TURN)
  const chance = scattered(household - turn * HOUSEHOLDS_A_TURN, member) + turn
  if (member === size && hasNewborn(household, size)) return dateOf(NEWBORN_YEAR, chance, 6)
  const headYear = 1950 + (scattered(household, HEAD_YEAR) % 45)
  const years = scattered(household, YEARS + member)
  if (member === 1) return dateOf(headYear, chance, 12)
  if (member === 2) return dateOf(headYear + (years % 4), chance, 12)
  return dateOf(Math.min(NEWBORN_YEAR - 1, headYear + 22 + (years % 20)), chance, 12)
}

const NEWBORN_YEAR = 2026
const HEAD_YEAR = 10
const YEARS = 10

/** A day of one of the first so many months: 28 a month, so that `chance` and the next 28 * months - 1 numbers are days of their own. */
function dateOf(year: number, chance: number, months: number): string {
  return new Date(Date.UTC(year, chance % months, (Math.floor(chance / months) % 28) + 1)).toISOString().slice(0, 10)
}

const COVER_FROM = '2026-01-01'
const COVER_UNTIL = '2030-12-31'
const ENDED_COVER_HOUSEHOLD = 19

/** Every 20th person has no health cover, every 15th is exempt from paying a part. */
function cover(household: number, member: number): Cover | null {
  const turn = household * 7 + member
  if (turn % 20 === 0) return null
  const until = household === ENDED_COVER_HOUSEHOLD ? '2026-03-31' : COVER_UNTIL
  return { class: turn % 15 === 0 ? 'EXEMPT' : 'STANDARD', from: COVER_FROM, until }
}

/** A number of 32 bits that looks like chance and is the same everywhere: the finalizer of MurmurHash3. */
function scattered(household: number, salt: number): number {
  let hash = Math.imul(household, 0x9e3779b1) ^ Math.imul(salt + 1, 0x85ebca77)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
