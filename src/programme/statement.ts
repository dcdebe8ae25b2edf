/** Balances and statements as people read them: amounts in major units, loaves whole, days in Cairo. */
import { cairoDay } from '../clock.ts'
import { done, refused, type Outcome, type SqlTransaction } from '../ledger/programme/desk.ts'
import { readHousehold } from '../ledger/programme/households.ts'
import { readPerson } from '../ledger/programme/persons.ts'
import {
  readHouseholdPurses,
  readPersonPurses,
  readPostings,
  type PostedLine,
  type PurseBalance,
} from '../ledger/programme/statements.ts'
import { formatAmount } from '../money.ts'
import type { Programme, PurseDefinition, UnitDefinition } from '../programmeParameters.ts'
import { monthOf } from '../purse/entitlement.ts'
import { KIND } from '../transaction/transaction.ts'
import { addDays, startOfDay } from './calendar.ts'
import { NO_SUCH_HOUSEHOLD, NO_SUCH_PERSON } from './members.ts'

/** Whose purses are asked for. */
export type PurseOwner = { readonly personId: number } | { readonly householdId: number }

export interface Balance {
  readonly purse: string
  readonly unit: string
  readonly available: string
  readonly held: string
  /** `2026-12`, the month that it was last opened for; null: none, or never. */
  readonly month: string | null
  /** It has months and the present one is not opened yet: that happens at the next use. */
  readonly due: boolean
}

/** ISO 4217 has no code for what is no money: it is counted in whole units. */
const NO_CURRENCY = '999'

export function formatUnits(units: number, { currency }: Pick<UnitDefinition, 'currency'>): string {
  return currency === NO_CURRENCY ? String(units) : formatAmount(units)
}

export async function balancesOf(tx: SqlTransaction, programme: Programme, owner: PurseOwner): Promise<Outcome<Balance[]>> {
  const purses = await pursesOf(tx, owner)
  if (!purses.ok) return purses
  const month = monthOf(cairoDay(tx.nowMs))
  return done(
    purses.value.flatMap(({ kind, available, held, cycle }) => {
      const definition = programme.purses.find((known) => known.kind === kind)
      if (definition === undefined) return []
      const { name: purse, unit } = definition
      return {
        purse,
        unit: unit.name,
        available: formatUnits(available, unit),
        held: formatUnits(held, unit),
        month: cycle?.slice(0, 7) ?? null,
        due: hasMonths(programme, definition) && (cycle === null || cycle < month),
      }
    }),
  )
}

/** Whether a purse is credited month by month. */
export function hasMonths({ versions }: Pick<Programme, 'versions'>, { name }: PurseDefinition): boolean {
  return versions.some(({ services }) => services[name]?.entitlement !== undefined)
}

async function pursesOf(tx: SqlTransaction, owner: PurseOwner): Promise<Outcome<PurseBalance[]>> {
  if ('householdId' in owner) {
    const household = await readHousehold(tx, owner.householdId)
    return household === undefined ? NO_SUCH_HOUSEHOLD : done(await readHouseholdPurses(tx, owner.householdId))
  }
  const person = await readPerson(tx, owner.personId)
  return person === undefined ? NO_SUCH_PERSON : done(await readPersonPurses(tx, person.householdId, owner.personId))
}

export interface StatementAsked {
  readonly owner: PurseOwner
  /** By name; absent: the owner's only one. */
  readonly purse: string | undefined
  /** First and last Cairo day; absent: from the first of this month, until today. */
  readonly from: string | undefined
  readonly to: string | undefined
}

/** A purse and a period that can be asked for. */
export interface StatementOf {
  readonly purseId: number
  readonly purse: PurseDefinition
  readonly fromMs: number
  readonly untilMs: number
}

export async function statementOf(
  tx: SqlTransaction,
  programme: Programme,
  { owner, purse: name, from, to }: StatementAsked,
): Promise<Outcome<StatementOf>> {
  const purses = await pursesOf(tx, owner)
  if (!purses.ok) return purses
  const known = purses.value.flatMap(({ purseId, kind }) => {
    const purse = programme.purses.find((definition) => definition.kind === kind)
    return purse === undefined ? [] : [{ purseId, purse }]
  })
  const found = name === undefined && known.length === 1 ? known[0] : known.find(({ purse }) => purse.name === name)
  if (found === undefined)
    return refused(
      'invalid',
      'no-such-purse',
      `There are these purses: ${known.map(({ purse }) => purse.name).join(', ')}.`,
      'purse',
    )
  const today = cairoDay(tx.nowMs)
  const last = to ?? today
  const first = from ?? monthOf(last)
  if (last < first) return refused('invalid', 'days-in-order', 'The last day of a period is not before its first.', 'to')
  return done({ ...found, fromMs: startOfDay(first), untilMs: startOfDay(addDays(last, 1)) })
}

/** One posting. */
export interface StatementLine {
  readonly version: number
  readonly at: string
  readonly kind: string
  readonly terminalId: string | null
  readonly merchantName: string | null
  /** Signed: what can be spent changed by this. */
  readonly amount: string
  readonly available: string
  readonly rrn: string | null
  readonly responseCode: string
}

const KIND_NAMES = new Map<number, string>(Object.entries(KIND).map(([name, number]) => [number, name]))

/** @param after version of the last line before; 0 at the beginning */
export async function statementLines(
  tx: SqlTransaction,
  { purseId, purse, fromMs, untilMs }: StatementOf,
  { after, limit }: { readonly after: number; readonly limit: number },
): Promise<StatementLine[]> {
  const lines = await readPostings(tx, { purseId, fromMs, untilMs, after, limit })
  return lines.map((line) => lineOf(line, purse))
}

function lineOf({ at, kind, moved, available, ...same }: PostedLine, { unit }: PurseDefinition): StatementLine {
  return {
    ...same,
    at: new Date(at).toISOString(),
    kind: KIND_NAMES.get(kind) ?? 'other',
    amount: formatUnits(moved, unit),
    available: formatUnits(available, unit),
  }
}
