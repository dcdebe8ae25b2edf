/**
 * The programme as data: units, purses, account types, and dated versions of its rules (config/programme.json). What cannot be right is
 * found here, when it is loaded, not when a message needs it.
 */
import Type, { type Static } from 'typebox'
import Value from 'typebox/value'

const closed = { additionalProperties: false }
const count = (minimum: number, maximum: number) => Type.Integer({ minimum, maximum })
const amount = count(0, 999_999_999_999)
const name = Type.String({ pattern: '^[a-z][a-z-]{0,19}$' })
const account = count(1000, 9999)
const governorates = Type.Array(count(1, 99))
const categories = Type.Array(Type.String({ pattern: '^\\d{4}$' }), { minItems: 1 })
const terminalClass = Type.String({ pattern: '^[a-z][a-z0-9-]{0,31}$' })
const day = Type.String({ pattern: '^\\d{4}-\\d{2}-\\d{2}$' })
const issuerNumber = Type.String({ pattern: '^\\d{6,8}$' })
const monthAndDay = Type.String({ pattern: '^\\d{2}-\\d{2}$' })

const UnitSchema = Type.Object(
  {
    name: Type.String({ pattern: '^[A-Z]{2,12}$' }),
    number: count(1, 999),
    /** DE 49 and DE 54: ISO 4217, or 999 where it is no money. */
    currency: Type.String({ pattern: '^\\d{3}$' }),
  },
  closed,
)

const PurseSchema = Type.Object(
  {
    name,
    kind: count(1, 999),
    unit: Type.String(),
    owner: Type.Union([Type.Literal('person'), Type.Literal('household')]),
    /** Account of the chart that holds what can be spent, and what authorizations have set aside. */
    account,
    heldAccount: Type.Optional(account),
  },
  closed,
)

const DailyLimitSchema = Type.Object({ amount, count: count(0, 1_000_000) }, closed)

const TRANSACTIONS = [
  'purchase',
  'authorization',
  'completion',
  'withdrawal',
  'deposit',
  'credit',
  'payment',
  'refund',
  'balance',
  'dispense',
  'eligibility',
  'copay',
  'pinChange',
] as const
export type RoutedTransaction = (typeof TRANSACTIONS)[number]

const RouteSchema = Type.Object(
  {
    transaction: Type.Enum([...TRANSACTIONS]),
    /** The purse that DE 3 names; `health` is cover, without a balance. */
    purse: name,
    terminalClasses: Type.Array(terminalClass, { minItems: 1 }),
    /** Merchant categories (ISO 18245); absent: any. */
    categories: Type.Optional(categories),
  },
  closed,
)

/** Members up to `membersMax` get `amount` each, those above the next tier's. */
const TierSchema = Type.Object({ membersMax: count(1, 99), amount }, closed)

const EntitlementSchema = Type.Object(
  {
    /** Which count of the household. */
    counts: Type.Union([Type.Literal('ration'), Type.Literal('bread')]),
    /** `month`: the tiers are a month's; `day`: a day's, credited for the whole month. */
    each: Type.Union([Type.Literal('month'), Type.Literal('day')]),
    tiers: Type.Array(TierSchema, { minItems: 1 }),
    /** Account that takes what is left at the month's end. */
    closingAccount: account,
    /** What is left becomes units of another purse, `rate` for each. */
    becomes: Type.Optional(Type.Object({ purse: name, rate: count(1, 1_000_000) }, closed)),
  },
  closed,
)

/** A purse of goods that an outlet hands out and the treasury pays for. */
const ServiceSchema = Type.Object(
  {
    /** Roles of card that may draw on it. */
    roles: Type.Array(Type.Enum(['head', 'member', 'old']), { minItems: 1 }),
    payerAccount: account,
    outletAccount: account,
    /** Code 10 where the terminal accepts it. */
    partial: Type.Boolean(),
    /** Outlets may approve offline and advise (0220). */
    advices: Type.Boolean(),
    /** The service with which it is switched on in a region; absent: by itself. */
    announcedWith: Type.Optional(name),
    /** Its first posted use with the head's card retires the household's old card. */
    retiresOldCard: Type.Boolean(),
    /** The holder's PIN is asked for, at whatever terminal. */
    pin: Type.Boolean(),
    /** Governorates in which the holder's fingerprint is asked for. */
    fingerprintGovernorates: governorates,
    /** It is handed out in the household's governorate only; during a season also to guests of some. */
    ownGovernorate: Type.Optional(
      Type.Object(
        { exceptions: Type.Array(Type.Object({ from: monthAndDay, until: monthAndDay, governorates }, closed)) },
        closed,
      ),
    ),
    entitlement: Type.Optional(EntitlementSchema),
    /** Units are counted in a datum of DE 48 and sold at a price; the treasury adds what they cost above it. In piasters. */
    goods: Type.Optional(Type.Object({ tag: Type.String({ pattern: '^[A-Z]{2}$' }), price: amount, cost: amount }, closed)),
    /** A day's entitlement is drawn once; a datum of DE 48 says how many days, today the first. */
    days: Type.Optional(
      Type.Object(
        {
          tag: Type.String({ pattern: '^[A-Z]{2}$' }),
          advance: Type.Array(Type.Object({ membersMax: count(1, 99), days: count(1, 31) }, closed), { minItems: 1 }),
        },
        closed,
      ),
    ),
    /** It goes on while the ledger cannot be reached, up to so much a household and Cairo day: piasters, or days where it is drawn by days. */
    standIn: Type.Optional(
      Type.Union([Type.Object({ amountMax: count(1, 1_000_000) }, closed), Type.Object({ daysMax: count(1, 31) }, closed)]),
    ),
    /** Items that may be in the basket (DE 48 BK), how many a member and month; `position` is where the purse counts them. */
    basket: Type.Optional(
      Type.Record(
        Type.String({ pattern: '^[A-Z0-9]{1,12}$' }),
        Type.Object({ position: count(0, 99), perMember: count(1, 10_000) }, closed),
      ),
    ),
  },
  closed,
)

const HealthSchema = Type.Object(
  {
    fundAccount: account,
    clinicAccount: account,
    /** The most that one bill may come to, piasters. */
    billMax: count(1, 1_000_000_000),
    /** The holder's part of a bill by class of service (DE 48 SC): per cent, at most so many piasters. */
    classes: Type.Record(
      Type.String({ pattern: '^[A-Z0-9]{1,8}$' }),
      Type.Object({ percent: Type.String({ pattern: '^\\d{1,3}(\\.\\d{1,4})?$' }), max: amount }, closed),
    ),
    /** Classes of cover that pay nothing: chronic and tumour cases. */
    exemptCovers: Type.Array(Type.String({ pattern: '^[A-Za-z0-9_-]{1,20}$' })),
  },
  closed,
)

const CardRulesSchema = Type.Object(
  {
    /** What the numbers of new cards begin with. */
    issuerNumbers: Type.Object({ head: issuerNumber, member: issuerNumber }, closed),
    /** Good to the end of the month so many months after it was ordered. */
    validMonths: count(1, 120),
    /** How long it lies at the named place, and then at the Diwan, from the receipt of the notice on. */
    namedPlaceMonths: count(1, 24),
    diwanMonths: count(1, 24),
    /** The head is reminded so many days before the end of each. */
    remindDaysBefore: count(1, 27),
    /** Whoever is older collects in person; the head collects for the others. */
    collectAboveAge: count(0, 99),
    /** Piasters; a fee of 0 is none. Printed within so many business days of the paid request. */
    replacement: Type.Object({ fee: amount, businessDays: count(1, 366) }, closed),
    /** It may be asked for, and the holder is reminded, so many months before the card expires. */
    renewal: Type.Object({ fee: amount, businessDays: count(1, 366), monthsBefore: count(1, 24) }, closed),
    /** No business days beside Friday and Saturday. */
    holidays: Type.Array(day),
    /** Wrong identities within a time after which a clerk may not try on for a time. */
    lockout: Type.Object({ failuresMax: count(1, 1000), withinMinutes: count(1, 1440), minutes: count(1, 10_080) }, closed),
  },
  closed,
)

/** One version of the rules. */
export const VersionSchema = Type.Object(
  {
    /** First Cairo day on which these parameters hold. */
    validFrom: day,
    currency: Type.String({ pattern: '^\\d{3}$' }),
    /** A withdrawal is a multiple of this many piasters. */
    noteSize: count(1, 1_000_000),
    /** The most a cash purse may hold. */
    balanceCeiling: amount,
    dailyLimits: Type.Object({ spending: DailyLimitSchema, withdrawal: DailyLimitSchema }, closed),
    transactionAmountMax: amount,
    holdDays: Type.Object(
      { default: count(1, 366), byMerchantCategory: Type.Record(Type.String({ pattern: '^\\d{4}$' }), count(1, 366)) },
      closed,
    ),
    /** One more mismatch in a row suspends the card; the suspension may leave the cash purse usable. */
    fingerprint: Type.Object({ mismatchesMax: count(1, 99), suspensionKeepsCash: Type.Boolean() }, closed),
    /** Classes of terminals at which every debit and inquiry asks for the PIN, and for the cryptogram of a chip. */
    pin: Type.Object({ terminalClasses: Type.Array(terminalClass) }, closed),
    chip: Type.Object({ terminalClasses: Type.Array(terminalClass) }, closed),
    cards: CardRulesSchema,
    /** By purse. */
    services: Type.Record(name, ServiceSchema),
    health: HealthSchema,
    /** Where a transaction may draw on a purse; what is not listed is not allowed. */
    routes: Type.Array(RouteSchema, { minItems: 1 }),
  },
  closed,
)

export const ProgrammeSchema = Type.Object(
  {
    units: Type.Array(UnitSchema, { minItems: 1 }),
    purses: Type.Array(PurseSchema, { minItems: 1 }),
    /** DE 3, positions 3 to 6: the purse an account type means. A link may have its own. */
    accountTypes: Type.Record(Type.String({ pattern: '^\\d{2}$' }), name),
    versions: Type.Array(VersionSchema, { minItems: 1 }),
  },
  closed,
)

export type UnitDefinition = Static<typeof UnitSchema>
type ProgrammeFile = Static<typeof ProgrammeSchema>
export type ServiceRules = Static<typeof ServiceSchema>
export type EntitlementRules = Static<typeof EntitlementSchema>
export type CardRules = Static<typeof CardRulesSchema>
export type HealthRules = Static<typeof HealthSchema>
export type Route = Static<typeof RouteSchema>
export type AccountTypes = Readonly<Record<string, string>>

export interface PurseDefinition {
  readonly name: string
  readonly kind: number
  readonly unit: UnitDefinition
  readonly owner: 'person' | 'household'
  readonly account: number
  readonly heldAccount: number | undefined
}

/** The rules of one version, with the purses they speak of. */
export interface ProgrammeParameters extends Static<typeof VersionSchema> {
  readonly purses: readonly PurseDefinition[]
}

export interface Programme {
  readonly units: readonly UnitDefinition[]
  readonly purses: readonly PurseDefinition[]
  readonly accountTypes: AccountTypes
  /** Oldest first. */
  readonly versions: readonly ProgrammeParameters[]
}

const CASH_ONLY: readonly RoutedTransaction[] = [
  'purchase',
  'authorization',
  'completion',
  'withdrawal',
  'deposit',
  'credit',
  'payment',
]

/** Cover of a person: no purse, but an account type may mean it and a route may lead to it. */
export const HEALTH = 'health'

/** @returns the programme, or in one line what is wrong with the file */
export function programmeOf(value: unknown): Programme | string {
  if (!Value.Check(ProgrammeSchema, value)) {
    const first = Value.Errors(ProgrammeSchema, value)[0]
    return `${first?.instancePath ?? '/'} ${first?.message ?? 'is not valid'}`
  }
  const wrong = wrongNames(value) ?? wrongVersions(value)
  if (wrong !== undefined) return wrong
  const purses = value.purses.flatMap(({ heldAccount, ...purse }) =>
    value.units.filter(({ name: unit }) => unit === purse.unit).map((unit) => ({ ...purse, unit, heldAccount })),
  )
  const versions = value.versions
    .toSorted((a, b) => (a.validFrom < b.validFrom ? -1 : 1))
    .map((version) => ({ ...version, purses }))
  return { units: value.units, purses, accountTypes: value.accountTypes, versions }
}

/** The programme with more versions. @returns in one line what is wrong with them, as `programmeOf` does */
export function programmeWith(programme: Programme, versions: readonly unknown[]): Programme | string {
  const { units, accountTypes } = programme
  const purses = programme.purses.map(({ unit, heldAccount, ...purse }) => ({
    ...purse,
    unit: unit.name,
    ...(heldAccount === undefined ? {} : { heldAccount }),
  }))
  const own = programme.versions.map(({ purses: _, ...version }) => version)
  return programmeOf({ units, purses, accountTypes, versions: [...own, ...versions] })
}

/** @returns what an account type table of a link or of the programme says of a purse that there is not */
export function wrongAccountTypes(types: AccountTypes, purses: readonly { readonly name: string }[]): string | undefined {
  for (const [type, purse] of Object.entries(types))
    if (purse !== HEALTH && !purses.some((known) => known.name === purse))
      return `account type ${type} means "${purse}", which is no purse`
  return undefined
}

function wrongNames({ units, purses, accountTypes }: ProgrammeFile): string | undefined {
  const double =
    firstDouble(units.map((unit) => unit.name)) ??
    firstDouble(units.map((unit) => unit.number)) ??
    firstDouble(purses.map((purse) => purse.name)) ??
    firstDouble(purses.map((purse) => purse.kind)) ??
    firstDouble(purses.flatMap(({ account: available, heldAccount }) => [available, heldAccount ?? -available]))
  if (double !== undefined) return `/units or /purses: ${String(double)} is there twice`
  for (const purse of purses)
    if (!units.some((unit) => unit.name === purse.unit))
      return `/purses: ${purse.name} is counted in ${purse.unit}, which is no unit`
  if (!purses.some((purse) => purse.name === 'cash')) return '/purses: there is no cash purse'
  return wrongAccountTypes(accountTypes, purses)
}

function wrongVersions({ versions, purses }: ProgrammeFile): string | undefined {
  const isPurse = (candidate: string): boolean => purses.some((purse) => purse.name === candidate)
  const doubleDate = firstDouble(versions.map((version) => version.validFrom))
  if (doubleDate !== undefined) return `/versions: two are valid from ${doubleDate}`
  const noDay = versions.flatMap(({ validFrom, cards }) => [validFrom, ...cards.holidays]).find((text) => !isDay(text))
  if (noDay !== undefined) return `/versions: ${noDay} is no day`
  for (const { validFrom, routes, services } of versions) {
    const where = `/versions from ${validFrom}:`
    const double = firstDouble(routes.map((route) => `${route.transaction} of ${route.purse}`))
    if (double !== undefined) return `${where} ${double} has two routes`
    for (const { transaction, purse } of routes) {
      if (purse !== HEALTH && !isPurse(purse)) return `${where} a route leads to "${purse}", which is no purse`
      if (transaction === 'dispense' && services[purse] === undefined) return `${where} ${purse} is dispensed, but is no service`
      if (CASH_ONLY.includes(transaction) && purse !== 'cash')
        return `${where} a ${transaction} is of the cash purse, not of ${purse}`
      if ((transaction === 'eligibility' || transaction === 'copay') && purse !== HEALTH)
        return `${where} ${transaction} is of ${HEALTH}, not of ${purse}`
    }
    for (const [purse, { entitlement, goods, days, basket, announcedWith, standIn }] of Object.entries(services)) {
      if (!isPurse(purse)) return `${where} service ${purse} has no purse`
      if (announcedWith !== undefined && services[announcedWith] === undefined)
        return `${where} ${purse} is announced with ${announcedWith}, which is no service`
      if (entitlement?.becomes !== undefined && !isPurse(entitlement.becomes.purse))
        return `${where} ${purse} becomes ${entitlement.becomes.purse}, which is no purse`
      if (goods !== undefined && goods.cost < goods.price) return `${where} ${purse} costs less than its price`
      if (days !== undefined && entitlement?.each !== 'day')
        return `${where} ${purse} is drawn by days, but is not entitled by days`
      if (standIn !== undefined && 'daysMax' in standIn !== (days !== undefined))
        return `${where} stand-in of ${purse} is bounded by ${days === undefined ? 'amountMax, because it is not' : 'daysMax, because it is'} drawn by days`
      const position = firstDouble(Object.values(basket ?? {}).map((item) => item.position))
      if (position !== undefined) return `${where} two items of ${purse} have position ${String(position)}`
    }
  }
  return undefined
}

function isDay(text: string): boolean {
  const instant = Date.parse(text)
  return !Number.isNaN(instant) && new Date(instant).toISOString().startsWith(text)
}

function firstDouble<T>(values: readonly T[]): T | undefined {
  return values.find((value, index) => values.indexOf(value) !== index)
}

/** The parameters that hold on a Cairo day: the latest that have begun. */
export function parametersOn({ versions }: Pick<Programme, 'versions'>, on: string): ProgrammeParameters {
  const parameters = versions.findLast((version) => version.validFrom <= on) ?? versions[0]
  if (parameters === undefined) throw new RangeError('the programme has no parameters')
  return parameters
}
