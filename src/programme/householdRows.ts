/**
 * A household as rows of the ledger: persons, purses, cards, and what the purses open with as ordinary postings, so that the auditor's checks
 * hold from the first row on.
 */
import { cardToken, maskPan, type CardRole, type CardState, type Cover } from '../card.ts'
import { utcDay } from '../clock.ts'
import type { CopyRow } from '../ledger/bulkLoad.ts'
import type { ProgrammeParameters, PurseDefinition } from '../programmeParameters.ts'
import { ACCOUNT_CODE } from '../purse/chart.ts'
import { mobileToken, nationalIdToken, type PersonalData } from '../personalData.ts'
import { entitlementOf } from '../purse/entitlement.ts'
import type { DataVault } from '../security/dataVault.ts'
import { KIND } from '../transaction/transaction.ts'

export interface NewPerson {
  /** 1 is the head. */
  readonly member: number
  readonly birthDate: string
  readonly cover: Cover | null
  /** The person's cash purse opens with this, piasters. */
  readonly balance: number
  /** Asked for where it is written: most tables do without. Absent: nothing of the person is kept but the row. */
  readonly personalData?: () => PersonalData
}

/** A purse of the household. */
export interface NewPurse {
  readonly definition: PurseDefinition
  /** Units it opens with. */
  readonly balance: number
  /**
   * First day of the month it is open for, and the members it is counted by; null: a purse without cycle. The opening of a cycle is a
   * decision even where nothing comes with it.
   */
  readonly cycle: { readonly month: string; readonly members: number } | null
}

export interface NewCard {
  readonly pan: string
  readonly role: CardRole
  /** Whose it is; null for an old card. */
  readonly member: number | null
  readonly state: CardState
  readonly expiry: string
}

export interface NewHousehold {
  readonly household: number
  readonly governorate: number
  readonly rationMembers: number
  readonly breadMembers: number
  readonly persons: readonly NewPerson[]
  readonly purses: readonly NewPurse[]
  readonly cards: readonly NewCard[]
}

export interface RowContext {
  readonly nowMs: number
  readonly lookupKey: Uint8Array
  readonly cash: PurseDefinition
  /** What a card's PIN is verified against; null: it has none. */
  readonly pinReference: (pan: string) => string | null
  /** First day of the month in which purses without a cycle open. */
  readonly month: string
  /** Absent: card numbers, national IDs and mobiles are not kept. */
  readonly vault?: DataVault | undefined
}

const SHARD = 0
const NUMBERS_EACH = 100
const HOUSEHOLD_PURSES = 90
/** A household may have so many persons, those who have moved on among them. */
export const MEMBERS_MAX = HOUSEHOLD_PURSES - 1

/** The id of a person; also that of the person's cash purse. */
export function personIdOf(household: number, member: number): number {
  return household * NUMBERS_EACH + member
}

/** The id of a purse of the household, by its kind. @throws RangeError for a kind above 9: there is no room for it */
export function householdPurseId(household: number, kind: number): number {
  if (kind >= NUMBERS_EACH - HOUSEHOLD_PURSES) throw new RangeError(`a household has no room for a purse of kind ${String(kind)}`)
  return household * NUMBERS_EACH + HOUSEHOLD_PURSES + kind
}

/** The purses of a household as a month opens them: entitlements by its counts, points as given. */
export function newPurses(
  { services, purses }: Pick<ProgrammeParameters, 'services' | 'purses'>,
  month: string,
  { rationMembers, breadMembers, points }: Pick<NewHousehold, 'rationMembers' | 'breadMembers'> & { readonly points: number },
): NewPurse[] {
  return purses
    .filter((definition) => definition.owner === 'household')
    .map((definition) => {
      const entitlement = services[definition.name]?.entitlement
      if (entitlement === undefined) return { definition, balance: definition.name === 'points' ? points : 0, cycle: null }
      const members = entitlement.counts === 'ration' ? rationMembers : breadMembers
      return { definition, balance: entitlementOf(entitlement, members, month), cycle: { month, members } }
    })
}

export interface HouseholdTable {
  /** Table and columns: `purse (shard, id)`. */
  readonly into: string
  readonly rows: (household: NewHousehold, context: RowContext) => CopyRow[]
}

/** In the order in which they have to be filled. */
export const HOUSEHOLD_TABLES: readonly HouseholdTable[] = [
  {
    into: 'household (shard, id, governorate, ration_members, bread_members)',
    rows: ({ household, governorate, rationMembers, breadMembers }) => [
      [SHARD, household, governorate, rationMembers, breadMembers],
    ],
  },
  {
    into: 'person (shard, id, household_id, birth_date, head, cover_class, cover_from, cover_until)',
    rows: ({ household, persons }) =>
      persons.map(({ member, birthDate, cover }) => [
        SHARD,
        personIdOf(household, member),
        household,
        birthDate,
        member === 1 ? 't' : 'f',
        cover?.class ?? null,
        cover?.from ?? null,
        cover?.until ?? null,
      ]),
  },
  {
    into: 'purse (shard, id, kind, unit, household_id, balance, version, person_id, cycle, members)',
    rows: (household, context) =>
      openedPurses(household, context).map(({ id, definition, balance, personId, cycle }) => [
        SHARD,
        id,
        definition.kind,
        definition.unit.number,
        household.household,
        balance,
        versionOf(balance),
        personId,
        cycle?.month ?? null,
        cycle?.members ?? 0,
      ]),
  },
  {
    into: 'card (shard, token, masked, household_id, role, person_id, state, expiry, pin_reference)',
    rows: ({ household, cards }, { lookupKey, pinReference }) =>
      cards.map(({ pan, role, member, state, expiry }) => [
        SHARD,
        cardToken(pan, lookupKey),
        maskPan(pan),
        household,
        role,
        member === null ? null : personIdOf(household, member),
        state,
        expiry,
        pinReference(pan),
      ]),
  },
  {
    into: 'card_secret (shard, token, key_id, pan)',
    rows: ({ cards }, { lookupKey, vault }) =>
      vault === undefined
        ? []
        : cards.map(({ pan }) => {
            const token = cardToken(pan, lookupKey)
            return [SHARD, token, vault.keyId, bytea(vault.seal({ field: 'pan', shard: SHARD, owner: token }, pan))]
          }),
  },
  {
    into: 'person_secret (shard, person_id, key_id, national_id, mobile, national_id_token, mobile_token)',
    rows: ({ household, persons }, { lookupKey, vault }) =>
      vault === undefined
        ? []
        : persons.flatMap(({ member, personalData }) =>
            personalData === undefined ? [] : [personSecret(personIdOf(household, member), personalData(), vault, lookupKey)],
          ),
  },
  {
    into:
      '"authorization" (purse_id, purse_version, requested, approved, available_after, held_after, decided_at, key_date, shard, mti, ' +
      'kind, key, response_code, cycle)',
    rows: (household, context) =>
      openedPurses(household, context)
        .filter(({ balance, cycle }) => balance > 0 || cycle !== null)
        .map(({ id, balance, cycle, opening: { kind, key, keyDate } }) => [
          id,
          balance > 0 ? versionOf(balance) : null,
          balance,
          balance,
          balance,
          0,
          new Date(context.nowMs).toISOString(),
          keyDate,
          SHARD,
          0,
          kind,
          key,
          '00',
          cycle?.month ?? null,
        ]),
  },
  {
    into: 'transfer (purse_id, purse_version, debit_owner, credit_owner, amount, key_date, shard, ordinal, debit_code, credit_code, unit)',
    rows: (household, context) =>
      openedPurses(household, context)
        .filter(({ balance }) => balance > 0)
        .map(({ id, balance, definition, opening }) => [
          id,
          versionOf(balance),
          0,
          id,
          balance,
          opening.keyDate,
          SHARD,
          1,
          opening.from,
          definition.account,
          definition.unit.number,
        ]),
  },
]

function personSecret(id: number, { nationalId, mobile }: PersonalData, vault: DataVault, lookupKey: Uint8Array): CopyRow {
  const place = { shard: SHARD, owner: id }
  return [
    SHARD,
    id,
    vault.keyId,
    bytea(vault.seal({ ...place, field: 'national-id' }, nationalId.reveal())),
    mobile === null ? null : bytea(vault.seal({ ...place, field: 'mobile' }, mobile.reveal())),
    nationalIdToken(nationalId, lookupKey),
    mobile === null ? null : mobileToken(mobile, lookupKey),
  ]
}

/** PostgreSQL manual, 8.4.1: bytea's hex format. */
function bytea(bytes: Buffer): string {
  return `\\x${bytes.toString('hex')}`
}

/** How many rows all tables together have of a household. @param sealed whether there is a vault */
export function householdRowCount({ persons, purses, cards }: NewHousehold, sealed: boolean): number {
  const transfers = [...persons, ...purses].filter(({ balance }) => balance > 0).length
  const emptyOpenings = purses.filter(({ balance, cycle }) => balance === 0 && cycle !== null).length
  const secrets = sealed ? cards.length + persons.filter(({ personalData }) => personalData !== undefined).length : 0
  return 1 + 2 * persons.length + purses.length + cards.length + secrets + 2 * transfers + emptyOpenings
}

function versionOf(balance: number): number {
  return balance > 0 ? 1 : 0
}

interface OpenedPurse {
  readonly id: number
  readonly definition: PurseDefinition
  readonly personId: number | null
  readonly balance: number
  readonly cycle: NewPurse['cycle']
  /** The posting it opens with: the account it comes from and the decision's key. */
  readonly opening: { readonly kind: number; readonly key: string; readonly keyDate: string; readonly from: number }
}

/** Cash comes from the bank at once; entitlements are issued for a month, as migrations/0004_open_purses.sql does it. */
function openedPurses({ household, persons, purses }: NewHousehold, { nowMs, cash, month }: RowContext): OpenedPurse[] {
  const ofPersons = persons.map(({ member, balance }) => {
    const id = personIdOf(household, member)
    const opening = { kind: KIND.credit, key: `opening|${String(id)}`, keyDate: utcDay(nowMs), from: ACCOUNT_CODE.bank }
    return { id, definition: cash, personId: id, balance, cycle: null, opening }
  })
  const ofHousehold = purses.map(({ definition, balance, cycle }) => {
    const id = householdPurseId(household, definition.kind)
    const opened = cycle?.month ?? month
    const key = `opening|${opened.slice(0, 7)}|${String(id)}`
    const opening = { kind: KIND.opening, key, keyDate: opened, from: ACCOUNT_CODE.entitlementsIssued }
    return { id, definition, personId: null, balance, cycle, opening }
  })
  return [...ofPersons, ...ofHousehold]
}
