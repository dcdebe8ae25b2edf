/** Cards and households that one test alone uses, written as the seed writes the demo programme's. */
import type { Pool } from 'pg'
import { cardToken, luhnCheckDigit, type CardRole, type CardState, type Cover } from '../../src/card.ts'
import { cairoDay, type Clock } from '../../src/clock.ts'
import type { Config } from '../../src/config.ts'
import { parametersOn } from '../../src/programmeParameters.ts'
import {
  HOUSEHOLD_TABLES,
  newPurses,
  personIdOf,
  type NewCard,
  type NewHousehold,
  type NewPerson,
} from '../../src/programme/householdRows.ts'
import { demoPinReferences } from '../../src/programme/demoVerification.ts'
import { breadPurseOf, pointsPurseOf, rationPurseOf } from '../../src/programme/seed.ts'
import type { PersonalData } from '../../src/personalData.ts'
import { monthOf } from '../../src/purse/entitlement.ts'
import { purseNamed } from '../../src/purse/routes.ts'
import type { DataVault } from '../../src/security/dataVault.ts'

export interface TestCard {
  readonly pan: string
  /** The cash purse of the person; of an old card the household's ration purse. */
  readonly purseId: number
  readonly token: string
}

export interface TestHousehold {
  readonly household: number
  readonly head: TestCard
  /** The card of the second person. */
  readonly member: TestCard
  /** Only where one was asked for. */
  readonly old?: TestCard
  /** Ids; `cash` is the head's. */
  readonly purses: Readonly<Record<'cash' | 'ration' | 'bread' | 'points', number>>
}

export interface CardOptions {
  /** Piasters. */
  readonly balance?: number
  readonly state?: CardState
  readonly expiry?: string
  /** First six digits of its number: what config/security.json goes by. */
  readonly iin?: string
}

export interface HouseholdOptions {
  /** How many are on the lists for ration and bread (4), unless the next two say otherwise. */
  readonly members?: number
  readonly rationMembers?: number
  readonly breadMembers?: number
  readonly governorate?: number
  /** What the purses hold, in units of each; absent: the month's entitlement, and no points. */
  readonly ration?: number
  readonly loaves?: number
  readonly points?: number
  /** What the head and the second person have each (100,000), piasters. */
  readonly cash?: number
  readonly oldCard?: boolean
  /** Health cover of both; absent: STANDARD; null: none. */
  readonly cover?: Cover | null
  /** A day of the month that ration and bread are opened for; absent: this month. */
  readonly cycle?: string
  /** The head's and the second person's, kept where the place has a vault. */
  readonly personalData?: PersonalData
  readonly memberData?: PersonalData
  /** The second person's. */
  readonly memberBirthDate?: string
}

export interface HouseholdPlace {
  readonly sql: Pool
  readonly config: Config
  readonly clock: Clock
  readonly vault?: DataVault | undefined
}

const FIRST_OWN_HOUSEHOLD = 500_001
const GOOD_UNTIL = '2912'
const BIRTH_DATES = ['1980-05-17', '1984-11-02']
const STANDARD_COVER: Cover = { class: 'STANDARD', from: '2024-01-01', until: '2035-12-31' }
const IIN: Readonly<Record<CardRole, string>> = { head: '981802', member: '981803', old: '981809' }

let households = FIRST_OWN_HOUSEHOLD

/** A head of household whose household has no purses. */
export async function openCard(place: HouseholdPlace, options: CardOptions = {}): Promise<TestCard> {
  const { balance = 100_000, state = 'ACTIVE', expiry = GOOD_UNTIL, iin = IIN.head } = options
  const household = households++
  const card = newCard(household, 'head', 1, { state, expiry, iin })
  await write(place, monthOf(cairoDay(place.clock.now())), {
    household,
    governorate: 1,
    rationMembers: 1,
    breadMembers: 1,
    persons: [newPerson(1, balance, STANDARD_COVER)],
    purses: [],
    cards: [card],
  })
  return testCard(place, household, card)
}

export async function openHousehold(place: HouseholdPlace, options: HouseholdOptions = {}): Promise<TestHousehold> {
  const { members = 4, cash = 100_000, cover = STANDARD_COVER, governorate = 3, points = 0 } = options
  const { rationMembers = members, breadMembers = members, oldCard = false, personalData, memberData } = options
  const { clock, config } = place
  const household = households++
  const month = monthOf(options.cycle ?? cairoDay(clock.now()))
  const asked: Readonly<Record<string, number | undefined>> = { ration: options.ration, bread: options.loaves }
  const purses = newPurses(parametersOn(config.programme, month), month, { rationMembers, breadMembers, points })
  const head = newCard(household, 'head', 1)
  const member = newCard(household, 'member', 2)
  const old = oldCard ? newCard(household, 'old', null) : undefined
  await write(place, month, {
    household,
    governorate,
    rationMembers,
    breadMembers,
    persons: [
      newPerson(1, cash, cover, personalData),
      { ...newPerson(2, cash, cover, memberData), birthDate: options.memberBirthDate ?? BIRTH_DATES[1] ?? '' },
    ],
    purses: purses.map((purse) => ({ ...purse, balance: asked[purse.definition.name] ?? purse.balance })),
    cards: [head, member, ...(old === undefined ? [] : [old])],
  })
  return {
    household,
    head: testCard(place, household, head),
    member: testCard(place, household, member),
    ...(old === undefined ? {} : { old: testCard(place, household, old) }),
    purses: {
      cash: personIdOf(household, 1),
      ration: rationPurseOf(household),
      bread: breadPurseOf(household),
      points: pointsPurseOf(household),
    },
  }
}

function newPerson(member: number, balance: number, cover: Cover | null, personalData?: PersonalData): NewPerson {
  const person = { member, birthDate: BIRTH_DATES[member - 1] ?? '2015-01-31', cover, balance }
  return personalData === undefined ? person : { ...person, personalData: () => personalData }
}

function newCard(
  household: number,
  role: CardRole,
  member: number | null,
  { state = 'ACTIVE', expiry = GOOD_UNTIL, iin = IIN[role] }: Pick<CardOptions, 'state' | 'expiry' | 'iin'> = {},
): NewCard {
  const payload = iin + String(household).padStart(9, '0')
  return { pan: payload + luhnCheckDigit(payload), role, member, state, expiry }
}

function testCard({ config }: HouseholdPlace, household: number, { pan, member }: NewCard): TestCard {
  const purseId = member === null ? rationPurseOf(household) : personIdOf(household, member)
  return { pan, purseId, token: cardToken(pan, config.lookupKey) }
}

/** All of it in one SQL transaction. */
async function write({ sql, config, clock, vault }: HouseholdPlace, month: string, household: NewHousehold): Promise<void> {
  const { lookupKey, programme, security } = config
  const pinReference = demoPinReferences(security)
  const context = { nowMs: clock.now(), lookupKey, cash: purseNamed(programme, 'cash'), month, pinReference, vault }
  const client = await sql.connect()
  try {
    await client.query('BEGIN')
    // Of a month that is long past the switch has no partitions.
    if (household.purses.length > 0) await client.query('SELECT ensure_partitions($1::date, 1)', [month])
    for (const { into, rows } of HOUSEHOLD_TABLES)
      for (const row of rows(household, context))
        await client.query(`INSERT INTO ${into} VALUES (${row.map((_, index) => `$${String(index + 1)}`).join(', ')})`, [...row])
    await client.query('COMMIT')
    client.release()
  } catch (error) {
    client.release(true)
    throw error
  }
}
