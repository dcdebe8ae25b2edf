import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { TestLedger } from '../../support/commitItems.ts'
import { pointsOf } from '../../support/households.ts'
import {
  BREAD_PURSE,
  CASH,
  EMPTY_HOUSEHOLD,
  entitlementBooks,
  of,
  opening,
  POINTS_PURSE,
  RATION_PURSE,
  row,
  THIS_MONTH,
} from './entitlementBooks.ts'
import { complaints, tamperingWith, type TamperCase, type Tampering } from './tampering.ts'

let ledger: TestLedger
let books: Tampering

beforeAll(async () => {
  ledger = await entitlementBooks()
  books = await tamperingWith(ledger)
})

afterEach(async () => {
  await books.restore()
})

it('proves months, dispenses, co-pays and what gives them back, and tells the units that are owed', async () => {
  const report = await books.prove()
  expect(report.checks.filter((check) => !check.ok)).toEqual([])
  const looked = Object.fromEntries(report.checks.map((check) => [check.name, check.checked]))
  // Twelve openings, and six purses that have a month.
  expect(looked).toMatchObject({ debits_equal_credits: 4, cycles: 18, retired_cards: 1, purse_balances: 12 })
  const rows = await ledger.sql<{ postings: number; transfers: number }>(
    'SELECT (SELECT count(*)::int FROM purse_posting WHERE leg = 1) AS postings, (SELECT count(*)::int FROM transfer) AS transfers',
  )
  expect(looked).toMatchObject({ postings: rows[0]?.postings, purse_pays_its_own: rows[0]?.transfers })
  const suspense = report.checks.find((check) => check.name === 'suspense')?.examples
  expect(suspense).toContainEqual({ unit: 2, lent: 900, come_back: 200, open: 700 })
  expect(suspense).toContainEqual({ unit: 4, lent: 6, come_back: 0, open: 6 })
})

const BALANCES: TamperCase[] = [
  {
    check: 'debits_equal_credits',
    what: 'loaves are made from nothing',
    sql: () => `UPDATE purse SET balance = balance + 5 WHERE id = ${BREAD_PURSE}`,
    wrong: /hold something else/,
  },
  {
    check: 'debits_equal_credits',
    what: 'an entitlement is redeemed in another unit',
    sql: () => `UPDATE transfer SET unit = 3 WHERE ${of('ration')} AND unit = 2`,
    wrong: /hold something else/,
  },
  {
    check: 'purse_balances',
    what: 'points go from one household to another',
    sql: () => `UPDATE purse SET balance = balance + CASE WHEN id = ${POINTS_PURSE} THEN -7 ELSE 7 END
                WHERE id IN (${POINTS_PURSE}, ${pointsOf(EMPTY_HOUSEHOLD)})`,
    wrong: /the balance is not the sum/,
  },
  {
    check: 'purse_balances',
    what: 'a purse is counted in the unit of another kind',
    sql: () => `UPDATE purse SET unit = 2 WHERE id = ${pointsOf(EMPTY_HOUSEHOLD)}`,
    wrong: /not that of its kind/,
  },
  {
    check: 'purse_versions',
    what: 'the second leg of a decision is gone',
    sql: () => `UPDATE "authorization" SET second_version = NULL WHERE ${row('bread again')}`,
    wrong: /missing or left over/,
  },
  {
    check: 'balance_history',
    what: 'an answer told another balance of the second purse',
    sql: () => `UPDATE "authorization" SET second_available_after = second_available_after + 1 WHERE ${row('bread again')}`,
    wrong: /the balance after the posting/,
  },
  {
    check: 'balance_history',
    what: 'the points that loaves became are not those that were told',
    sql: () => `UPDATE "authorization" SET second_available_after = 1 WHERE ${row(opening(THIS_MONTH, BREAD_PURSE))}`,
    wrong: /the balance after the posting/,
  },
]

const ACCOUNTS: TamperCase[] = [
  {
    check: 'transfer_accounts',
    what: 'the treasury pays in loaves',
    sql: () => `UPDATE transfer SET unit = 4 WHERE ${of('bread for coins')} AND debit_code = 1210`,
    wrong: /money in another unit/,
  },
  {
    check: 'transfer_accounts',
    what: 'an entitlement is issued in pounds',
    sql: () =>
      `UPDATE transfer SET unit = 1, credit_code = 9001, credit_owner = 0 WHERE ${of(opening(THIS_MONTH, RATION_PURSE))} AND debit_code = 9000`,
    wrong: /entitlements in EGP/,
  },
  {
    check: 'transfer_accounts',
    what: 'the account of another kind of purse is debited',
    sql: () => `UPDATE transfer SET debit_code = 2110 WHERE ${of('ration')} AND debit_code = 2100`,
    wrong: /no such debit account/,
  },
  {
    check: 'transfer_accounts',
    what: 'a leg takes from the other leg’s purse',
    sql: () => `UPDATE transfer SET purse_id = ${BREAD_PURSE} WHERE ${of('bread again')} AND debit_code = 2000`,
    wrong: /no such debit account/,
  },
  {
    check: 'transfer_accounts',
    what: 'the treasury has an owner',
    sql: () => `UPDATE transfer SET debit_owner = 5 WHERE ${of('ration')} AND debit_code = 1200`,
    wrong: /no such debit account/,
  },
  {
    check: 'purse_pays_its_own',
    what: 'cash pays for rationed goods',
    sql: () => `UPDATE transfer SET debit_code = 2000, debit_owner = ${CASH} WHERE ${of('ration')} AND debit_code = 2100`,
    wrong: /another purse than its own/,
  },
  {
    check: 'purse_pays_its_own',
    what: 'a purchase is credited to a bakery',
    sql: () => `UPDATE transfer SET credit_code = 2210 WHERE ${of('buy')}`,
    wrong: /cash pays for something/,
  },
  {
    check: 'purse_pays_its_own',
    what: 'points pay a shop',
    sql: () => `UPDATE transfer SET credit_code = 2220, credit_owner = 1 WHERE ${of('points')} AND debit_code = 2120`,
    wrong: /an entitlement pays for something/,
  },
  {
    check: 'purse_pays_its_own',
    what: 'a dispense lets an entitlement lapse',
    sql: () => `UPDATE transfer SET credit_code = 9002 WHERE ${of('ration')} AND credit_code = 9001`,
    wrong: /lapses before/,
  },
  {
    check: 'purse_pays_its_own',
    what: 'a retail purchase draws on an entitlement',
    sql: () => `UPDATE "authorization" SET kind = 1 WHERE ${row('ration')}`,
    wrong: /may not move an entitlement/,
  },
  {
    check: 'purse_pays_its_own',
    what: 'a dispense draws on cash',
    sql: () => `UPDATE "authorization" SET kind = 13 WHERE ${row('buy')}`,
    wrong: /cash in the place of an entitlement/,
  },
  {
    check: 'purse_pays_its_own',
    what: 'the loaves of one household become points of another',
    sql: () => `UPDATE purse SET household_id = 999 WHERE id = ${POINTS_PURSE}`,
    wrong: /units of another household/,
  },
  {
    check: 'purse_pays_its_own',
    what: 'a bakery is paid for rationed goods',
    sql: () => `UPDATE transfer SET credit_code = 2210 WHERE ${of('ration')} AND credit_code = 2200`,
    wrong: /the outlet is another service's/,
  },
  {
    check: 'purse_pays_its_own',
    what: 'another bakery is paid than the one that handed out',
    sql: () => `UPDATE transfer SET credit_owner = 2 WHERE ${of('bread for coins')} AND credit_code = 2210`,
    wrong: /another outlet than the terminal's/,
  },
  {
    check: 'purse_pays_its_own',
    what: 'the price of bread is paid by another person',
    sql: () => `UPDATE purse SET person_id = 7 WHERE id = ${CASH}`,
    wrong: /another person/,
  },
]

const DECISIONS: TamperCase[] = [
  {
    check: 'decisions',
    what: 'a purchase moves a second purse',
    sql: () => `UPDATE "authorization" SET second_purse_id = ${POINTS_PURSE}, second_version = 9 WHERE ${row('buy')}`,
    wrong: /a second purse moved/,
  },
  {
    check: 'decisions',
    what: 'a partial dispense is of the whole',
    sql: () => `UPDATE "authorization" SET requested = approved WHERE ${row('ration partial')}`,
    wrong: /not a partial approval/,
  },
  {
    check: 'decisions',
    what: 'a kind is not known',
    sql: () => `UPDATE "authorization" SET kind = 99 WHERE ${row('copay')}`,
    wrong: /no such kind/,
  },
  {
    check: 'postings',
    what: 'fewer loaves are redeemed than were handed out',
    sql: () => `UPDATE transfer SET amount = amount - 1 WHERE ${of('bread for coins')} AND credit_code = 9001`,
    wrong: /the units do not come to/,
  },
  {
    check: 'postings',
    what: 'the treasury pays more than rationed goods are worth',
    sql: () => `UPDATE transfer SET amount = amount * 2 WHERE ${of('ration')} AND debit_code = 1200`,
    wrong: /the money is not what the units are worth/,
  },
  {
    check: 'postings',
    what: 'the treasury pays a piaster too much for bread',
    sql: () => `UPDATE transfer SET amount = amount + 1 WHERE ${of('bread for coins')} AND debit_code = 1210`,
    wrong: /the money is not what the units are worth/,
  },
  {
    check: 'postings',
    what: 'suspense lends at another price than the treasury pays',
    sql: () => `UPDATE transfer SET amount = amount + 4 WHERE ${of('bread lent')} AND debit_code = 2900`,
    wrong: /the money is not what the units are worth/,
  },
  {
    check: 'postings',
    what: 'suspense lends rationed goods without the decision saying so',
    sql: () => `UPDATE "authorization" SET from_suspense = NULL WHERE ${row('ration owed')}`,
    wrong: /the units do not come to/,
  },
  {
    check: 'postings',
    what: 'rationed goods have a quantity',
    sql: () => `UPDATE "authorization" SET quantity = 2500 WHERE ${row('ration')}`,
    wrong: /units that are money/,
  },
  {
    check: 'postings',
    what: 'what comes back after its month stays',
    sql: () => `DELETE FROM transfer WHERE ${of('last ration back')} AND credit_code = 9002`,
    wrong: /what lapses is not what came back/,
  },
  {
    check: 'postings',
    what: 'the price of bread is not what was approved',
    sql: () => `UPDATE transfer SET amount = amount - 20 WHERE ${of('bread again')} AND debit_code = 2000`,
    wrong: /the price paid/,
  },
  {
    check: 'postings',
    what: 'the price of bread was never paid',
    sql: () => `DELETE FROM transfer WHERE ${of('bread again')} AND debit_code = 2000`,
    wrong: /second purse's transfers are not there/,
  },
  {
    check: 'postings',
    what: 'a bakery gets the points',
    sql: () => `UPDATE transfer SET credit_code = 2210 WHERE ${of('points')} AND credit_code = 2200`,
    wrong: /do not fit the kind/,
  },
  {
    check: 'postings',
    what: 'two outlets share one dispense',
    sql: () => `INSERT INTO transfer SELECT purse_id, purse_version, event_number, debit_owner, 2, 1, key_date, shard, 9, debit_code, credit_code, unit
                FROM transfer WHERE ${of('ration')} AND credit_code = 2200`,
    wrong: /more than one outlet/,
  },
  {
    check: 'postings',
    what: 'a reversal gives and takes at once',
    sql: () => `INSERT INTO transfer SELECT purse_id, purse_version, event_number, credit_owner, debit_owner, 1, key_date, shard, 9, credit_code, debit_code, unit
                FROM transfer WHERE ${of('ration lent back')} AND credit_code = 1200`,
    wrong: /gives back and takes at once/,
  },
  {
    check: 'postings',
    what: 'the holder pays more of a bill than was decided',
    sql: () => `UPDATE transfer SET amount = amount + CASE debit_code WHEN 2000 THEN 5 ELSE -5 END WHERE ${of('copay')}`,
    wrong: /the holder's part/,
  },
  {
    check: 'postings',
    what: 'a month brings less than was decided',
    sql: () => `UPDATE transfer SET amount = amount - 1 WHERE ${of(opening(THIS_MONTH, RATION_PURSE))} AND debit_code = 9000`,
    wrong: /what was issued/,
  },
]

describe('finds out when', () => {
  it.each([...BALANCES, ...ACCOUNTS, ...DECISIONS])('$what ($check)', async ({ check, sql, wrong }) => {
    await books.tamper(sql())
    const report = await books.prove()
    expect(report.ok).toBe(false)
    expect(complaints(report, check)).toContainEqual(expect.stringMatching(wrong))
  })
})
