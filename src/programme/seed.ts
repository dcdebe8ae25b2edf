/** Makes a programme of a given size: households with persons, purses and cards, merchants, terminals, regions; openings are posted. */
import { cairoDay, utcDay } from '../clock.ts'
import { bulkLoad, type BulkTable } from '../ledger/bulkLoad.ts'
import { parametersOn, type Programme, type ProgrammeParameters } from '../programmeParameters.ts'
import { monthOf } from '../purse/entitlement.ts'
import { purseNamed } from '../purse/routes.ts'
import type { SecurityParameters } from '../securityParameters.ts'
import { demoPinReferences } from './demoVerification.ts'
import type { DataVault } from '../security/dataVault.ts'
import { demoTerminals, GOOD_UNTIL, GOVERNORATE_WITHOUT_SERVICES, GOVERNORATES } from './demo.ts'
import { demoHousehold } from './demoHousehold.ts'
import { demoPlaces } from './demoPlaces.ts'
import { demoPersonalData } from './demoPersonalData.ts'
import {
  HOUSEHOLD_TABLES,
  householdPurseId,
  householdRowCount,
  personIdOf,
  type NewCard,
  newPurses,
  type NewHousehold,
  type RowContext,
} from './householdRows.ts'

export interface SeedOptions {
  readonly households: number
  readonly lookupKey: Uint8Array
  /** Purses of households are opened for the Cairo month of this instant. */
  readonly nowMs: number
  /** Says which purses there are, and what comes with the month. */
  readonly programme: Programme
  /** Says how PINs of the cards are verified. */
  readonly security: SecurityParameters
  /** Card numbers, national IDs and mobiles are sealed by it; absent: they are not kept. Sealing takes as long as all the rest, and more. */
  readonly vault?: DataVault | undefined
  /** Called with the number of rows written since the last call. */
  readonly onRows?: (count: number) => void
}

/** The cash purse of the head of a household. */
export function purseIdOfHousehold(household: number): number {
  return personIdOf(household, 1)
}

export function rationPurseOf(household: number): number {
  return householdPurseId(household, KIND_OF_PURSE.ration)
}

export function breadPurseOf(household: number): number {
  return householdPurseId(household, KIND_OF_PURSE.bread)
}

export function pointsPurseOf(household: number): number {
  return householdPurseId(household, KIND_OF_PURSE.points)
}

/** As config/programme.json numbers them. */
const KIND_OF_PURSE = { ration: 2, bread: 3, points: 4 } as const

/** @returns false where there are households already: nothing was written @throws pg's DatabaseError; nothing is half done */
export async function seedProgramme(databaseUrl: string, options: SeedOptions): Promise<boolean> {
  const { nowMs, onRows } = options
  const month = monthOf(cairoDay(nowMs))
  const today = utcDay(nowMs)
  return await bulkLoad(databaseUrl, {
    mayLoad: async (count) => (await count('SELECT count(*) FROM household')) === 0,
    // In the first hours of a month in Cairo the other dates are still in the month before.
    partitionsFrom: today < month ? today : month,
    tables: [...registryTables(), ...householdTables(options)],
    ...(onRows === undefined ? {} : { onRows }),
  })
}

/** Rows that `seedProgramme` writes. */
export function seedRows({ households, nowMs, programme, vault }: SeedOptions): number {
  const month = monthOf(cairoDay(nowMs))
  const parameters = parametersOn(programme, month)
  let count = registryTables().reduce((sum, { rows }) => sum + [...rows()].length, 0)
  for (let household = 1; household <= households; household++)
    count += householdRowCount(newHousehold(household, parameters, month), vault !== undefined)
  return count
}

const SERVICES = ['ration', 'bread', 'health']
const SERVICES_FROM = '2026-01-01'

/** Where bread and goods may be handed out while there is no connection. */
const OFFLINE_CLASSES: readonly string[] = ['bakery', 'grocer']

function registryTables(): BulkTable[] {
  const terminals = demoTerminals()
  const merchants = new Map(terminals.map((terminal) => [terminal.merchantId, terminal]))
  const governorates = Array.from({ length: GOVERNORATES }, (_, index) => index + 1)
  return [
    {
      into: 'merchant (id, acceptor_id, name, category, governorate)',
      rows: () =>
        [...merchants.values()].map(({ merchantId, acceptorId, merchantName, category, governorate }) => [
          merchantId,
          acceptorId,
          merchantName,
          category,
          governorate,
        ]),
    },
    {
      into: 'terminal (id, terminal_id, merchant_id, class, state, wallet, offline)',
      rows: () =>
        terminals.map((terminal) => [
          terminal.id,
          terminal.terminalId,
          terminal.merchantId,
          terminal.class,
          terminal.state,
          terminal.wallet ? 't' : 'f',
          OFFLINE_CLASSES.includes(terminal.class) ? 't' : 'f',
        ]),
    },
    {
      into: 'place (id, kind, governorate, name_ar, name_en, address)',
      rows: () =>
        demoPlaces().map(({ placeId, kind, governorate, nameAr, nameEn, address }) => [
          placeId,
          kind,
          governorate,
          nameAr,
          nameEn,
          address,
        ]),
    },
    {
      into: 'region_service (service, governorate, active_from)',
      rows: () =>
        governorates
          .filter((governorate) => governorate !== GOVERNORATE_WITHOUT_SERVICES)
          .flatMap((governorate) => SERVICES.map((service) => [service, governorate, SERVICES_FROM])),
    },
  ]
}

function householdTables({ households, lookupKey, nowMs, programme, security, vault }: SeedOptions): BulkTable[] {
  const month = monthOf(cairoDay(nowMs))
  const context: RowContext = {
    nowMs,
    lookupKey,
    month,
    cash: purseNamed(programme, 'cash'),
    pinReference: demoPinReferences(security),
    vault,
  }
  const parameters = parametersOn(programme, month)
  return HOUSEHOLD_TABLES.map(({ into, rows }) => ({
    into,
    rows: function* () {
      for (let household = 1; household <= households; household++)
        yield* rows(newHousehold(household, parameters, month), context)
    },
  }))
}

function newHousehold(household: number, parameters: ProgrammeParameters, month: string): NewHousehold {
  const demo = demoHousehold(household)
  const cards: NewCard[] = demo.persons.map(({ member, pan, state, expiry }) => ({
    pan,
    role: member === 1 ? 'head' : 'member',
    member,
    state,
    expiry,
  }))
  if (demo.oldPan !== undefined) cards.push({ pan: demo.oldPan, role: 'old', member: null, state: 'ACTIVE', expiry: GOOD_UNTIL })
  const persons = demo.persons.map((person) => ({
    ...person,
    personalData: () => demoPersonalData(household, person.member, person.birthDate),
  }))
  return { ...demo, persons, purses: newPurses(parameters, month, demo), cards }
}
