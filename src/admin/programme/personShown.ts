/** Persons and households as the API shows them: national ID and mobile masked, age instead of date of birth. */
import Type, { type Static } from 'typebox'
import { cairoDay } from '../../clock.ts'
import { done, type Outcome, type SqlTransaction } from '../../ledger/programme/desk.ts'
import { readHousehold } from '../../ledger/programme/households.ts'
import { readMembers, readPerson, type Person } from '../../ledger/programme/persons.ts'
import { ageOn } from '../../programme/calendar.ts'
import { GOVERNORATE_MAX } from '../../programme/governorates.ts'
import { NO_SUCH_HOUSEHOLD, NO_SUCH_PERSON } from '../../programme/members.ts'
import { openPerson } from '../../programme/sealPerson.ts'
import type { DataVault } from '../../security/dataVault.ts'

const closed = { additionalProperties: false }

/** A number in a path. */
const NumberText = Type.String({ pattern: '^[1-9]\\d{0,14}$', description: 'a number', examples: ['100000001'] })
export const PersonParams = Type.Object({ personId: NumberText }, closed)
export const HouseholdParams = Type.Object({ householdId: NumberText }, closed)

export const GovernorateSchema = Type.Integer({
  minimum: 1,
  maximum: GOVERNORATE_MAX,
  description: `a governorate, 1 to ${String(GOVERNORATE_MAX)} in the order of the codes in national IDs; 3 is Port Said`,
})
export const DaySchema = Type.String({
  format: 'date',
  pattern: '^(19|20|21)\\d\\d-',
  description: 'a date, YYYY-MM-DD, as it is in Cairo',
  examples: ['2026-12-01'],
})
export const LanguageSchema = Type.Enum(['ar', 'en'], { description: 'ar or en' })
/** What it may be is told by what is wrong with it: src/programme/identity.ts. */
export const NationalIdSchema = Type.String({
  maxLength: 64,
  description: 'a national ID, 14 digits (Arabic ones too)',
  examples: ['28005170300015'],
})
export const MobileSchema = Type.String({
  maxLength: 64,
  description: 'an Egyptian mobile: 01012345678 or +201012345678',
  examples: ['01012345678'],
})

export const CoverSchema = Type.Object(
  {
    class: Type.String({
      pattern: '^[A-Z][A-Z0-9]{0,11}$',
      description: 'a class of cover: capital letters and digits, 1 to 12',
    }),
    from: DaySchema,
    until: DaySchema,
  },
  { ...closed, examples: [{ class: 'STANDARD', from: '2026-12-01', until: '2027-11-30' }] },
)

const DayOrNull = Type.Union([Type.String(), Type.Null()], { description: 'a date in Cairo' })

export const PersonSchema = Type.Object(
  {
    personId: Type.Integer(),
    householdId: Type.Integer({ description: 'the last one, where the person has left' }),
    head: Type.Boolean(),
    nationalId: Type.Union([Type.String(), Type.Null()], { description: 'masked; null where none is kept' }),
    mobile: Type.Union([Type.String(), Type.Null()], { description: 'masked; null where there is none' }),
    age: Type.Integer({ description: 'in whole years' }),
    language: LanguageSchema,
    transactionNotices: Type.Boolean({ description: 'a message after each transaction' }),
    cover: Type.Union([Type.Object({ class: Type.String(), from: Type.String(), until: Type.String() }, closed), Type.Null()]),
    diedOn: DayOrNull,
    leftOn: DayOrNull,
    version: Type.Integer(),
  },
  {
    ...closed,
    examples: [
      {
        personId: 10000000101,
        householdId: 100000001,
        head: true,
        nationalId: '**********0015',
        mobile: '+20******5678',
        age: 46,
        language: 'ar',
        transactionNotices: false,
        cover: { class: 'STANDARD', from: '2026-12-01', until: '2027-11-30' },
        diedOn: null,
        leftOn: null,
        version: 1,
      },
    ],
  },
)

export const HouseholdSchema = Type.Object(
  {
    householdId: Type.Integer(),
    governorate: Type.Integer(),
    rationMembers: Type.Integer({ description: 'counted from the next cycle on' }),
    breadMembers: Type.Integer({ description: 'counted from the next cycle on' }),
    version: Type.Integer(),
    members: Type.Array(PersonSchema, { description: 'the head first' }),
  },
  closed,
)

export function shownPerson(person: Person, { vault, shard, nowMs }: Shown): Static<typeof PersonSchema> {
  const { personId, householdId, head, birthDate, language, transactionNotices, cover, diedOn, leftOn, version, sealed } = person
  // They print masked.
  const opened = sealed === null ? undefined : openPerson(vault, { shard, personId }, sealed)
  return {
    personId,
    householdId,
    head,
    nationalId: opened?.nationalId.toJSON() ?? null,
    mobile: opened?.mobile?.toJSON() ?? null,
    age: ageOn(birthDate, diedOn ?? cairoDay(nowMs)),
    language,
    transactionNotices,
    cover,
    diedOn,
    leftOn,
    version,
  }
}

interface Shown {
  readonly vault: DataVault
  readonly shard: number
  readonly nowMs: number
}

export async function personAnswer(
  tx: SqlTransaction,
  vault: DataVault,
  personId: number,
): Promise<Outcome<Static<typeof PersonSchema>>> {
  const person = await readPerson(tx, personId)
  return person === undefined ? NO_SUCH_PERSON : done(shownPerson(person, { vault, shard: tx.shard, nowMs: tx.nowMs }))
}

export async function householdAnswer(
  tx: SqlTransaction,
  vault: DataVault,
  householdId: number,
): Promise<Outcome<Static<typeof HouseholdSchema>>> {
  const household = await readHousehold(tx, householdId)
  if (household === undefined) return NO_SUCH_HOUSEHOLD
  const members = await readMembers(tx, householdId)
  return done({
    ...household,
    members: members.map((member) => shownPerson(member, { vault, shard: tx.shard, nowMs: tx.nowMs })),
  })
}
