import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { createLedger, type TestLedger } from '../../support/commitItems.ts'
import { rationOf } from '../../support/households.ts'
import {
  before,
  BREAD_PURSE,
  CASH,
  copyOf,
  EMPTY_HOUSEHOLD,
  entitlementBooks,
  HOUSEHOLD,
  LAST_MONTH,
  of,
  opening,
  RATION_PURSE,
  row,
  THIS_MONTH,
} from './entitlementBooks.ts'
import { dispense, giveBack } from './entitlementItems.ts'
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

const FOLLOW_UPS: TamperCase[] = [
  {
    check: 'follow_ups',
    what: 'more goods come back than were handed out',
    sql: () => `UPDATE "authorization" SET approved = 2501 WHERE ${row('ration back')}`,
    wrong: /more is given back/,
  },
  {
    check: 'follow_ups',
    what: 'loaves come back at another price',
    sql: () => `UPDATE "authorization" SET quantity = 6 WHERE ${row('coins back')}`,
    wrong: /not in proportion/,
  },
  {
    check: 'follow_ups',
    what: 'the bakery gives back less than it got',
    sql: () => `UPDATE transfer SET amount = amount - 5 WHERE ${of('coins back')} AND debit_code = 2210`,
    wrong: /something else than it got/,
  },
  {
    check: 'follow_ups',
    what: 'the holder gets another part of a bill back',
    sql: () => `UPDATE "authorization" SET quantity = 40 WHERE ${row('copay back')}`,
    wrong: /not in proportion/,
  },
  {
    check: 'follow_ups',
    what: 'a retail refund follows a co-pay',
    sql: () => `UPDATE "authorization" SET kind = 8 WHERE ${row('copay back')}`,
    wrong: /may not/,
  },
  {
    check: 'follow_ups',
    what: 'a refund of ration follows a purchase',
    sql: () => `UPDATE "authorization" SET original_key = 'buy' WHERE ${row('ration back')}`,
    wrong: /another purse's/,
  },
  {
    check: 'follow_ups',
    what: 'the price of bread goes back to nobody',
    sql: () => `UPDATE "authorization" SET second_purse_id = NULL WHERE ${row('bread back')}`,
    wrong: /another purse's/,
  },
  {
    check: 'follow_ups',
    what: 'suspense gets more units back than it lent',
    sql: () => `UPDATE "authorization" SET from_suspense = 201 WHERE ${row('ration lent back')}`,
    wrong: /to suspense than it lent/,
  },
  {
    check: 'follow_ups',
    what: 'a bill that was reversed is charged again',
    sql: () => `
      UPDATE "authorization" SET kind = 10, original_key = 'copay', original_date = key_date WHERE ${row('buy')};
      UPDATE "authorization" SET event_number = 1000000 WHERE ${row('copay again')}`,
    wrong: /taken back of what was reversed/,
  },
  {
    check: 'follow_ups',
    what: 'another grocer pays the goods back',
    sql: () => `UPDATE transfer SET debit_owner = 2 WHERE ${of('ration back')} AND debit_code = 2200`,
    wrong: /another account than the original went to/,
  },
]

const MONTHS: TamperCase[] = [
  {
    check: 'cycles',
    what: 'a month is missing',
    sql: () => `UPDATE "authorization" SET key_date = key_date - interval '1 month', key = '${opening(before(LAST_MONTH), RATION_PURSE)}'
                WHERE ${row(opening(LAST_MONTH, RATION_PURSE))}`,
    wrong: /not the month after/,
  },
  {
    check: 'cycles',
    what: 'a purse is opened twice for a month',
    sql: () => copyOf(opening(THIS_MONTH, RATION_PURSE), 'opening again', {}),
    wrong: /its key is not that/,
  },
  {
    check: 'cycles',
    what: 'an opening is that of another purse',
    sql: () =>
      `UPDATE "authorization" SET purse_id = ${rationOf(EMPTY_HOUSEHOLD)} WHERE ${row(opening(THIS_MONTH, RATION_PURSE))}`,
    wrong: /its key is not that/,
  },
  {
    check: 'cycles',
    what: 'cash is opened',
    sql: () => copyOf(opening(THIS_MONTH, RATION_PURSE), opening(THIS_MONTH, CASH), { purse_id: String(CASH) }),
    wrong: /cash has no months/,
  },
  {
    check: 'cycles',
    what: 'months were opened the wrong way round',
    sql: () => `UPDATE "authorization" SET purse_version = 90 WHERE ${row(opening(LAST_MONTH, RATION_PURSE))}`,
    wrong: /not opened in their order/,
  },
  {
    check: 'cycles',
    what: 'some of the rest was left',
    sql: () => `UPDATE "authorization" SET available_after = available_after + 1 WHERE ${row(opening(THIS_MONTH, RATION_PURSE))}`,
    wrong: /what was closed is not what was left/,
  },
  {
    check: 'cycles',
    what: 'a rest was never closed',
    sql: () => `UPDATE "authorization" SET purse_version = NULL WHERE ${row(opening(THIS_MONTH, RATION_PURSE))}`,
    wrong: /what was left was not closed/,
  },
  {
    check: 'cycles',
    what: 'loaves become points at a rate of their own',
    sql: () => `UPDATE transfer SET amount = amount * 2 WHERE ${of(opening(THIS_MONTH, BREAD_PURSE))} AND credit_code = 2120`,
    wrong: /another rate/,
  },
  {
    check: 'cycles',
    what: 'loaves become nothing',
    sql: () => `UPDATE "authorization" SET second_version = NULL WHERE ${row(opening(THIS_MONTH, BREAD_PURSE))}`,
    wrong: /another rate/,
  },
  {
    check: 'cycles',
    what: 'loaves expire and become points too',
    sql: () => `UPDATE transfer SET credit_code = 9002 WHERE ${of(opening(THIS_MONTH, BREAD_PURSE))} AND credit_code = 9003`,
    wrong: /became others too/,
  },
  {
    check: 'cycles',
    what: 'points come from no loaves',
    sql: () => `DELETE FROM transfer WHERE ${of(opening(THIS_MONTH, BREAD_PURSE))} AND credit_code = 9003`,
    wrong: /units come from nothing/,
  },
  {
    check: 'cycles',
    what: 'a purse is put back into an earlier month',
    sql: () => `UPDATE purse SET cycle = '${LAST_MONTH}' WHERE id = ${RATION_PURSE}`,
    wrong: /not in the month/,
  },
  {
    check: 'cycles',
    what: 'a day that nobody drew is marked',
    sql: () => `UPDATE purse SET marks = marks | 512 WHERE id = ${BREAD_PURSE}`,
    wrong: /not those that were drawn/,
  },
  {
    check: 'cycles',
    what: 'a day is drawn twice',
    sql: () => copyOf('bread for coins', 'bread twice', { marks: '4' }),
    wrong: /drawn twice/,
  },
  {
    check: 'cycles',
    what: 'a dispense marks a day that its month does not have',
    sql: () => `UPDATE "authorization" SET cycle = '2026-02-01', marks = 1 << 28 WHERE ${row('last bread')}`,
    wrong: /the month does not have/,
  },
  {
    check: 'cycles',
    what: 'a part of a dispense comes back and its day is free',
    sql: () => `UPDATE purse SET marks = marks & ~6 WHERE id = ${BREAD_PURSE}`,
    wrong: /not those that were drawn/,
  },
  {
    check: 'retired_cards',
    what: 'an old card goes on dispensing',
    sql: () => copyOf('last bread', 'old again', { decided_at: 'now()' }),
    wrong: /went on dispensing/,
  },
  {
    check: 'retired_cards',
    what: 'a new card is retired',
    sql: () => `UPDATE card SET retired_at = now() WHERE token = 'token'`,
    wrong: /not an old card/,
  },
  {
    check: 'retired_cards',
    what: 'a retired card is made active again',
    sql: () => `UPDATE card SET state = 'ACTIVE' WHERE token = 'old'`,
    wrong: /active again/,
  },
  {
    check: 'retired_cards',
    what: 'nobody knows when a card was retired',
    sql: () => `UPDATE card SET retired_at = NULL WHERE token = 'old'`,
    wrong: /nobody knows when/,
  },
]

describe('finds out when', () => {
  it.each([...FOLLOW_UPS, ...MONTHS])('$what ($check)', async ({ check, sql, wrong }) => {
    await books.tamper(sql())
    const report = await books.prove()
    expect(report.ok).toBe(false)
    expect(complaints(report, check)).toContainEqual(expect.stringMatching(wrong))
  })
})

it('an advice of what an old card handed out before it was retired may come late', async () => {
  await books.tamper(copyOf('last bread', 'old advice', { decided_at: 'now()', mti: '220', marks: 'NULL' }))
  expect(complaints(await books.prove(), 'retired_cards')).toEqual([])
})

describe('a service that came later', () => {
  /** Its purse is of a kind of its own; payer and outlet have accounts of their own in their ranges. */
  const FUEL = { account: 2130, unit: 5, payer: 1230, outlet: 2240, each: 3, price: 2 }
  const LATER = HOUSEHOLD * 100 + 95

  it('is proved by the same rules, without a change', async () => {
    const later = await createLedger()
    await later.sql(`INSERT INTO unit (number, name) VALUES (5, 'LITRE')`)
    await later.sql(`INSERT INTO purse_kind (kind, name, unit, account) VALUES (5, 'fuel', 5, 2130)`)
    await later.sql(
      `INSERT INTO purse (shard, id, kind, unit, household_id, cycle, balance, version) VALUES (0, ${LATER}, 5, 5, ${HOUSEHOLD}, '${THIS_MONTH}', 90, 1)`,
    )
    await later.sql(
      `INSERT INTO "authorization" (purse_id, purse_version, requested, approved, available_after, held_after, decided_at, key_date, shard, mti, kind,
         key, response_code, cycle)
       VALUES (${LATER}, 1, 90, 90, 90, 0, now(), '${THIS_MONTH}', 0, 0, 16, '${opening(THIS_MONTH, LATER)}', '00', '${THIS_MONTH}')`,
    )
    await later.sql(
      `INSERT INTO transfer (purse_id, purse_version, debit_owner, credit_owner, amount, key_date, shard, ordinal, debit_code, credit_code, unit)
       VALUES (${LATER}, 1, 0, ${LATER}, 90, '${THIS_MONTH}', 0, 1, 9000, 2130, 5)`,
    )
    const drawn = dispense(LATER, FUEL, { units: 10, lent: 4 }, { key: 'fuel', mti: 220 })
    for (const item of [drawn, giveBack(drawn, FUEL, { units: 5, toSuspense: 4 }, { key: 'fuel back' })])
      expect(await later.commit([item])).toEqual([0])
    const tampering = await tamperingWith(later)
    expect((await tampering.prove()).checks.filter((check) => !check.ok)).toEqual([])

    await tampering.tamper(`UPDATE transfer SET credit_code = 2210 WHERE credit_code = 2240`)
    expect(complaints(await tampering.prove(), 'purse_pays_its_own')).toEqual(["the outlet is another service's"])
    await tampering.restore()
    await tampering.tamper(`UPDATE transfer SET amount = amount + 1 WHERE debit_code = 1230`)
    expect(complaints(await tampering.prove(), 'postings')).toEqual(['the money is not what the units are worth'])
  })
})
