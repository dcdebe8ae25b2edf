/** Households with a month behind them, in which everything that can happen to an entitlement has happened; and what changes a row of it. */
import { expect } from 'vitest'
import { cairoDay } from '../../../src/clock.ts'
import type { CommitItem } from '../../../src/ledger/commitItem.ts'
import { openPurses } from '../../../src/ledger/cycles.ts'
import { monthOf } from '../../../src/purse/entitlement.ts'
import { authorization, createLedger, credit, purchase, type TestLedger } from '../../support/commitItems.ts'
import { addHousehold, breadOf, pointsOf, PROGRAMME, rationOf } from '../../support/households.ts'
import {
  BREAD,
  copay,
  copayAgain,
  copayBack,
  dispense,
  giveBack,
  KIND_ELIGIBILITY,
  KIND_REVERSAL,
  POINTS,
  RATION,
  takeAgain,
} from './entitlementItems.ts'

export const HOUSEHOLD = 500
/** Nobody of it is on the lists for ration and bread. */
export const EMPTY_HOUSEHOLD = 501
export const RATION_PURSE = rationOf(HOUSEHOLD)
export const BREAD_PURSE = breadOf(HOUSEHOLD)
export const POINTS_PURSE = pointsOf(HOUSEHOLD)
export const CASH = HOUSEHOLD * 100 + 1
/** Nobody used anything here. */
export const QUIET_HOUSEHOLD = 502
export const THIS_MONTH = monthOf(cairoDay(Date.now()))
export const LAST_MONTH = before(THIS_MONTH)
export async function entitlementBooks(): Promise<TestLedger> {
  const ledger = await createLedger()
  await addHousehold(ledger, HOUSEHOLD, { ration: 4, bread: 4 })
  await addHousehold(ledger, EMPTY_HOUSEHOLD, { ration: 0, bread: 0 })
  await addHousehold(ledger, QUIET_HOUSEHOLD, { ration: 0, bread: 2 })
  await ledger.sql(
    `INSERT INTO card (shard, token, masked, household_id, role, person_id, state, expiry)
     VALUES (0, 'token', '', ${HOUSEHOLD}, 'head', ${CASH}, 'ACTIVE', '2912'), (0, 'old', '', ${HOUSEHOLD}, 'old', NULL, 'ACTIVE', '2912')`,
  )
  const connection = await ledger.connect()
  const open = (day: string): Promise<number> =>
    openPurses(connection, 0, {
      nowMs: Date.now(),
      day,
      programme: PROGRAMME,
      purseIds: [HOUSEHOLD, EMPTY_HOUSEHOLD, QUIET_HOUSEHOLD].flatMap((household) => [rationOf(household), breadOf(household)]),
    })
  const commit = async (items: readonly CommitItem[]): Promise<void> => {
    for (const item of items) expect(await ledger.commit([item]), item.key).toEqual([0])
  }

  expect(await open(LAST_MONTH)).toBe(6)
  const earlierGoods = dispense(RATION_PURSE, RATION, { units: 3000 }, { key: 'last ration' })
  const earlierLoaves = dispense(BREAD_PURSE, BREAD, { units: 10, marks: 1 }, { key: 'last bread', cardToken: 'old' })
  await commit([credit(CASH, 100_000, { movement: { gate: null } }), earlierGoods, earlierLoaves])
  expect(await open(THIS_MONTH)).toBe(6)

  const goods = dispense(RATION_PURSE, RATION, { units: 2500 }, { key: 'ration' })
  const lent = dispense(RATION_PURSE, RATION, { units: 500, lent: 200 }, { key: 'ration lent', mti: 220 })
  const loaves = dispense(BREAD_PURSE, BREAD, { units: 20, marks: 1, wallet: CASH }, { key: 'bread' })
  const paidInCoins = dispense(BREAD_PURSE, BREAD, { units: 30, marks: 6 }, { key: 'bread for coins' })
  const wallet = dispense(BREAD_PURSE, BREAD, { units: 10, marks: 16, wallet: CASH }, { key: 'wallet' })
  const walletBack = giveBack(wallet, BREAD, { units: 5 }, { key: 'wallet back' })
  const clinic = copay(CASH, 1000, 100, { key: 'copay' })
  const clinicBack = copayBack(clinic, 305, 31, { key: 'copay back' })
  await commit([
    goods,
    giveBack(goods, RATION, { units: 500 }, { key: 'ration back' }),
    dispense(RATION_PURSE, RATION, { units: 700, lent: 700 }, { key: 'ration owed', mti: 220 }),
    lent,
    giveBack(lent, RATION, { units: 500, toSuspense: 200 }, { key: 'ration lent back', kind: KIND_REVERSAL }),
    giveBack(earlierGoods, RATION, { units: 3000, lapses: true }, { key: 'last ration back', kind: KIND_REVERSAL }),
    dispense(RATION_PURSE, RATION, { units: 400 }, { key: 'ration partial', requested: 900, responseCode: '10' }),
    // What cash holds back does not move with its second leg.
    authorization(CASH, 300, 3_600_000, { key: 'held', movement: { gate: null, delta: -300, heldDelta: 300 } }),
    loaves,
    giveBack(loaves, BREAD, { units: 20, frees: 1 }, { key: 'bread back', kind: KIND_REVERSAL }),
    dispense(BREAD_PURSE, BREAD, { units: 20, marks: 1, wallet: CASH }, { key: 'bread again' }),
    paidInCoins,
    giveBack(paidInCoins, BREAD, { units: 5 }, { key: 'coins back' }),
    dispense(BREAD_PURSE, BREAD, { units: 10, lent: 4, marks: 8 }, { key: 'bread lent', mti: 220 }),
    giveBack(earlierLoaves, BREAD, { units: 10 }, { key: 'last bread back', kind: KIND_REVERSAL }),
    wallet,
    walletBack,
    takeAgain(walletBack, BREAD, { units: 5, lent: 2, priceLent: 30 }, { key: 'wallet again' }),
    dispense(POINTS_PURSE, POINTS, { units: 150 }, { key: 'points' }),
    purchase(CASH, 0, { key: 'eligible', kind: KIND_ELIGIBILITY, transfers: [], movement: { gate: null, delta: 0 } }),
    clinic,
    clinicBack,
    copayAgain(clinicBack, 305, 31, 11, { key: 'copay again' }),
    purchase(CASH, 700, { key: 'buy', movement: { gate: null, delta: -700 } }),
  ])
  await ledger.sql(
    `UPDATE card SET state = 'RETIRED', retired_at = (SELECT decided_at FROM "authorization" WHERE key = 'ration') WHERE token = 'old'`,
  )
  return ledger
}

/** The month before. */
export function before(month: string): string {
  return monthOf(new Date(Date.parse(month) - 1).toISOString().slice(0, 10))
}

/** The transfers of a decision, those of its second purse too. */
export const of = (key: string): string =>
  `(purse_id, purse_version) IN (SELECT purse_id, purse_version FROM "authorization" WHERE key = '${key}'
     UNION ALL SELECT second_purse_id, second_version FROM "authorization" WHERE key = '${key}')`
export const row = (key: string): string => `key = '${key}'`
export const opening = (month: string, purse: number): string => `opening|${month.slice(0, 7)}|${String(purse)}`

/** `INSERT` of a row like that of a key, with some columns changed. */
export function copyOf(key: string, newKey: string, changes: Readonly<Record<string, string>>): string {
  const columns = [
    'kind',
    'mti',
    'response_code',
    'purse_id',
    'card_token',
    'cycle',
    'marks',
    'requested',
    'approved',
    'decided_at',
    'shard',
    'key_date',
  ]
  const values = columns.map((column) => changes[column] ?? column)
  return `INSERT INTO "authorization" (key, ${columns.join(', ')}) SELECT '${newKey}', ${values.join(', ')} FROM "authorization" WHERE key = '${key}'`
}
