/** Business days: every transfer belongs to one; they are cut, added up and closed by whoever comes, once. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { systemClock, type Clock } from '../../src/clock.ts'
import { audit } from '../../src/ledger/audit.ts'
import { Desk } from '../../src/ledger/programme/desk.ts'
import { addReceipt } from '../../src/ledger/settlement/claims.ts'
import { eventNumberBefore } from '../../src/ledger/settlement/days.ts'
import { postBook, type BookEntry } from '../../src/ledger/settlement/book.ts'
import { silentLogger } from '../../src/log.ts'
import { BusinessDays } from '../../src/settlement/businessDays.ts'
import { businessDayAt, cutOffOf } from '../../src/settlement/cutOff.ts'
import {
  amount,
  at,
  originalOf,
  startTestSwitch,
  type TestCard,
  type TestHousehold,
  type TestLink,
  type TestSwitch,
} from '../support/switch.ts'
import { expectCleanBooks } from '../authorize/books.ts'
import { bread, ration } from '../authorize/subsidies.ts'

const OFFICER = { name: 'officer', roles: ['settlement-officer'] }
let running: TestSwitch
let desk: Desk
let days: BusinessDays
let pos: TestLink

beforeAll(async () => {
  running = await startTestSwitch({
    at: '2026-11-10T09:00:00Z',
    // Days are looked at when a test says so.
    configure: (config) => ({
      ...config,
      settlement: { ...config.settlement, days: { ...config.settlement.days, everyMs: 3_600_000 } },
    }),
  })
  desk = new Desk({ ...running.config.desk, url: running.databaseUrl, shard: 0, clock: running.clock, log: silentLogger })
  days = new BusinessDays({ config: running.config, desk, clock: running.clock, log: silentLogger })
  pos = await running.connect('pos')
})

afterAll(async () => {
  await desk.close()
})

describe('the cut-off', () => {
  it.each([
    ['2026-11-27', '00:00', '2026-11-27T22:00:00.000Z'],
    ['2026-11-27', '23:30', '2026-11-27T21:30:00.000Z'],
    // The hour that comes twice: the first time.
    ['2024-10-31', '23:30', '2024-10-31T20:30:00.000Z'],
    ['2024-10-31', '00:00', '2024-10-31T22:00:00.000Z'],
    // 30 April 2027 has no 00:00 to 00:59.
    ['2027-04-29', '00:00', '2027-04-29T22:00:00.000Z'],
    ['2027-04-30', '00:30', '2027-04-29T22:00:00.000Z'],
    ['2027-04-30', '12:00', '2027-04-30T09:00:00.000Z'],
  ])('of %s at %s is %s', (day, cutOff, instant) => {
    expect(new Date(cutOffOf(day, cutOff)).toISOString()).toBe(instant)
    expect(businessDayAt(Date.parse(instant) - 1, cutOff)).toBe(day)
    expect(businessDayAt(Date.parse(instant), cutOff) > day).toBe(true)
  })
})

describe('days of bread, ration and cash', () => {
  let household: TestHousehold
  let card: TestCard
  let bought: Awaited<ReturnType<TestLink['exchange']>>

  it('a day is open until its cut-off', async () => {
    household = await running.openHousehold()
    card = await running.openCard()
    expect((await pos.ask('0200', bread(household.head.pan, 5))).text(39)).toBe('00')
    expect((await pos.ask('0200', ration(household.head.pan, ['OIL*1*1250']))).text(39)).toBe('00')
    bought = await pos.exchange('0200', { ...at('pos'), 2: card.pan, 4: amount(2000) })
    expect(bought.answer.text(39)).toBe('00')
    expect(await days.run()).toBe(true)
    expect(await stateOf('2026-11-10')).toBe('open')
    expect(await days.close(OFFICER, '2026-11-10')).toMatchObject({ ok: false, refusal: { name: 'day-not-over' } })
  })

  it('what is decided after the cut-off belongs to the next day, however late the cut is made', async () => {
    running.clock.moveTo('2026-11-10T22:00:01Z')
    await pos.ask('0400', { ...at('pos'), 2: card.pan, 4: amount(2000), 90: originalOf(bought.sent) })
    running.clock.moveTo('2026-11-11T03:00:00Z')
    await pos.ask('0200', { ...at('pos'), 2: card.pan, 4: amount(700) })
    expect(await days.run()).toBe(true)
    expect(await stateOf('2026-11-10')).toBe('closed')
    expect(await stateOf('2026-11-11')).toBe('open')
    expect(await flowsOf('2026-11-10')).toEqual([
      '1200 -> 2200 EGP 1250 of grocer, for ration',
      '1210 -> 2210 EGP 525 of bakery, for bread',
      '2000 -> 2220 EGP 2000 of pos',
      '2100 -> 9001 RATION 1250 of grocer',
      '2110 -> 9001 LOAF 5 of bakery',
    ])
    expect(await flowsOf('2026-11-11')).toEqual(['2000 -> 2220 EGP 700 of pos', '2220 -> 2000 EGP 2000 of pos'])
  })

  it('outlets are owed what they have earned, and treasury owes it for each governorate', async () => {
    expect(await positionsOf('2026-11-10')).toEqual(['grocer 2200 1250', 'bakery 2210 525', 'pos 2220 2000'])
    expect(
      await running.sql(
        'SELECT payer_code AS payer, service, units::int, amount::int FROM claim WHERE day = $1 ORDER BY payer_code',
        ['2026-11-10'],
      ),
    ).toEqual([
      { payer: 1200, service: 2, units: 1250, amount: 1250 },
      { payer: 1210, service: 3, units: 5, amount: 525 },
    ])
  })

  it('two officers who close one day at once close it once, and each is told so', async () => {
    running.clock.moveTo('2026-11-11T22:30:00Z')
    const other = new BusinessDays({ config: running.config, desk, clock: running.clock, log: silentLogger })
    const both = await Promise.all([days.close(OFFICER, '2026-11-11'), other.close({ ...OFFICER, name: 'other' }, '2026-11-11')])
    expect(both.map((outcome) => outcome.ok && outcome.value.day)).toEqual(['2026-11-11', '2026-11-11'])
    const rows = await running.sql(
      `SELECT actor FROM audit_record WHERE action = 'day.close' AND subject = 'business-day 2026-11-11' AND outcome = 'done'`,
    )
    expect(rows).toHaveLength(1)
    expect(await positionsOf('2026-11-11')).toEqual(['pos 2220 -1300'])
  })

  it('days on which nothing happened, or nobody was there to close them, are closed in their order', async () => {
    running.clock.moveTo('2026-11-15T08:00:00Z')
    await pos.ask('0200', { ...at('pos'), 2: card.pan, 4: amount(100) })
    expect(await days.run()).toBe(true)
    expect(
      await running.sql(
        `SELECT day::text, closed_at IS NOT NULL AS closed, until - after AS numbers FROM business_day ORDER BY day DESC LIMIT 4`,
      ),
    ).toEqual([
      { day: '2026-11-15', closed: false, numbers: null },
      { day: '2026-11-14', closed: true, numbers: '0' },
      { day: '2026-11-13', closed: true, numbers: '0' },
      // The event that tells of the closing of the day before; two closed it at once, and one of them took a number for nothing.
      { day: '2026-11-12', closed: true, numbers: expect.stringMatching(/^[12]$/) as string },
    ])
    const [total] = await running.sql(`SELECT balance::int FROM day_total WHERE day = '2026-11-14' AND code = 2220`)
    expect(total).toEqual({ balance: -700 })
  })

  it('postings that move no purse are of the day on which they are posted, once each', async () => {
    const { id } = (
      await running.sql<{ id: string }>(`SELECT id FROM merchant m WHERE acceptor_id = $1`, [at('pos')[42]])
    )[0] ?? { id: '0' }
    const entry: BookEntry = {
      ...{ key: 'receipt|1', kind: 'receipt', valueDate: '2026-11-13', reference: 'TREASURY 1', madeBy: 'officer', note: null },
      transfers: [{ debitCode: 1000, debitOwner: 0, creditCode: 1210, creditOwner: 0, amount: 525 }],
    }
    const returned: BookEntry = {
      ...{ ...entry, key: 'return|1', kind: 'correction' },
      transfers: [{ debitCode: 1000, debitOwner: 0, creditCode: 2220, creditOwner: Number(id), amount: 90 }],
    }
    expect([...(await desk.upkeep((tx) => postBook(tx, [entry, returned])))]).toEqual(['receipt|1', 'return|1'])
    expect([...(await desk.upkeep((tx) => postBook(tx, [entry])))]).toEqual([])
    const payment = { day: '2026-11-10', payer: 1210, service: 3, governorate: 3, amount: 525 }
    const receipt = { key: entry.key, payer: 1210, amount: 525, receivedOn: '2026-11-13', payments: [payment] }
    await desk.upkeep((tx) => addReceipt(tx, receipt))
    const purse = {
      ...entry,
      key: 'wrong|1',
      transfers: [{ debitCode: 1000, debitOwner: 0, creditCode: 2000, creditOwner: 5, amount: 1 }],
    }
    await expect(desk.upkeep((tx) => postBook(tx, [purse]))).rejects.toThrow(/check/)
    running.clock.moveTo('2026-11-15T23:00:00Z')
    expect(await days.run()).toBe(true)
    expect(await flowsOf('2026-11-15')).toEqual([
      '1000 -> 1210 EGP 525',
      '1000 -> 2220 EGP 90 of pos',
      '2000 -> 2220 EGP 100 of pos',
    ])
    // What treasury pays settles a claim; it is none.
    expect(await running.sql(`SELECT amount FROM claim WHERE day = '2026-11-15'`)).toEqual([])
    expect(await positionsOf('2026-11-15')).toEqual(['pos 2220 190'])
  })

  it('an instant has one event number, whenever it is asked', async () => {
    const instant = Date.parse('2026-11-11T01:00:00Z')
    const before = await desk.read((tx) => eventNumberBefore(tx, instant))
    const [reversal] = await running.sql<{ number: string }>(`SELECT event_number AS number FROM "authorization" WHERE kind = 10`)
    expect(before).toBe(Number(reversal?.number))
    expect(await desk.read((tx) => eventNumberBefore(tx, Date.parse('2026-11-16T09:00:00Z')))).toBeUndefined()
  })

  it('a cut-off that is made earlier while a day is running does not take back what is added up', async () => {
    running.clock.moveTo('2026-11-16T13:00:00Z')
    await pos.ask('0200', { ...at('pos'), 2: card.pan, 4: amount(300) })
    expect(await days.run()).toBe(true)
    const { settlement } = running.config
    const earlier = { settlement: { ...settlement, days: { ...settlement.days, cutOff: '12:00' } } }
    running.clock.moveTo('2026-11-16T13:00:10Z')
    expect(await new BusinessDays({ config: earlier, desk, clock: running.clock, log: silentLogger }).run()).toBe(true)
    expect(await positionsOf('2026-11-16')).toEqual(['pos 2220 300'])
    await expectCleanBooks(running)
  })

  it('no day is cut by a clock that is ahead of that of the ledger', async () => {
    const { settlement } = running.config
    const strict = { settlement: { ...settlement, days: { ...settlement.days, clockAheadMaxMs: 60_000 } } }
    const ahead: Clock = { ...systemClock, now: () => Date.now() + 3_600_000 }
    const marks = await running.sql('SELECT count(*) FROM event_mark')
    expect(await new BusinessDays({ config: strict, desk, clock: ahead, log: silentLogger }).run()).toBe(false)
    expect(await running.sql('SELECT count(*) FROM event_mark')).toEqual(marks)
  })

  it('after more than a year many days are cut in several looks, and what came is in the last', async () => {
    running.clock.moveTo('2028-02-01T09:00:00Z')
    await running.sql(`SELECT ensure_partitions('2028-02-01', 1)`)
    const late = await running.openCard()
    expect((await pos.ask('0200', { ...at('pos'), 2: late.pan, 4: amount(400) })).text(39)).toBe('00')
    expect(await days.run()).toBe(false)
    expect(await days.run()).toBe(true)
    running.clock.moveTo('2028-02-01T23:00:00Z')
    expect(await days.run()).toBe(true)
    expect(await positionsOf('2028-02-01')).toEqual(['pos 2220 400'])
  })

  it('the auditor proves that each transfer was settled once, and sees where one was not', async () => {
    await expectCleanBooks(running)
    const unguarded = async (table: string, change: string): Promise<void> => {
      await running.sql(`ALTER TABLE ${table} DISABLE TRIGGER append_only`)
      await running.sql(change)
      await running.sql(`ALTER TABLE ${table} ENABLE TRIGGER append_only`)
    }
    await unguarded(
      'outlet_position',
      `UPDATE outlet_position SET credits = credits + 1 WHERE day = '2026-11-10' AND code = 2210`,
    )
    await unguarded('day_total', `DELETE FROM day_total WHERE day = '2026-11-13' AND code = 2220`)
    await unguarded(
      'day_total',
      `UPDATE day_total SET debits = debits + 1, credits = credits + 1 WHERE day = '2026-11-11' AND code = 2220`,
    )
    await unguarded('claim', `UPDATE claim SET units = 10 * units WHERE day = '2026-11-10' AND payer_code = 1210`)
    await running.sql(`UPDATE business_day SET after = after + 1 WHERE day = '2026-11-15'`)
    await running.sql(`ALTER TABLE transfer DISABLE TRIGGER append_only`)
    const [month] = await running.sql<{ name: string }>(
      `SELECT tableoid::regclass::text AS name FROM transfer WHERE debit_code = 1220 OR debit_code = 2110 LIMIT 1`,
    )
    await unguarded(month?.name ?? '', `UPDATE transfer SET event_number = event_number + 1 WHERE debit_code = 2110`)
    const { databaseUrl, clock, config } = running
    const report = await audit({ databaseUrl, clock, programme: config.programme, holdGraceMs: 60_000, reservationAgeMs: 60_000 })
    const wrong = report.checks
      .filter((check) => !check.ok)
      .map(({ name, examples }) => [name, ...new Set(examples.map((row) => row['wrong']))])
    // Whether the number that was changed is in another day by that depends on what came beside it.
    const certain = wrong.map((found) => found.filter((text) => text !== 'not what the ledger has moved'))
    expect(certain).toEqual([
      ['append_only', 'its append-only trigger is switched off'],
      ['event_numbers', 'not the event number of its decision'],
      [
        'business_days',
        'debits and credits differ',
        'its balances do not go on from those of the day before',
        'its numbers do not begin where those of the day before end',
      ],
      ['day_flows', 'the books are not what it has moved', 'not the units that were sold on behalf of the payer'],
      ['outlet_positions', 'not what the outlet has earned'],
    ])
  })
})

async function stateOf(day: string): Promise<string> {
  const [row] = await running.sql<{ state: string }>(
    `SELECT CASE WHEN closed_at IS NOT NULL THEN 'closed' WHEN until IS NOT NULL THEN 'cut' ELSE 'open' END AS state FROM business_day WHERE day = $1`,
    [day],
  )
  return row?.state ?? 'none'
}

/** Without the opening balances of the programme and its cards. */
async function flowsOf(day: string): Promise<string[]> {
  const rows = await running.sql<{ text: string }>(
    `SELECT concat(debit_code, ' -> ', credit_code, ' ', u.name, ' ', amount, ' of ' || t.terminal_id, ', for ' || k.name) AS text
     FROM day_flow f JOIN unit u ON u.number = f.unit LEFT JOIN purse_kind k ON k.kind = f.service
       LEFT JOIN terminal t ON t.merchant_id = f.merchant_id AND t.terminal_id = ANY ($2)
     WHERE day = $1 AND NOT (debit_code IN (1000, 9000) AND credit_code IN (2000, 2100, 2110, 2120))
     ORDER BY f.unit, debit_code, credit_code`,
    [day, ['bakery', 'grocer', 'pos'].map((place) => at(place)[41])],
  )
  return rows.map(({ text }) => named(text))
}

async function positionsOf(day: string): Promise<string[]> {
  const rows = await running.sql<{ text: string }>(
    `SELECT concat_ws(' ', t.terminal_id, code, net) AS text FROM outlet_position p JOIN terminal t ON t.merchant_id = p.merchant_id AND t.terminal_id = ANY ($2)
     WHERE day = $1 ORDER BY code`,
    [day, ['bakery', 'grocer', 'pos'].map((place) => at(place)[41])],
  )
  return rows.map(({ text }) => named(text))
}

/** Terminals by their places. */
function named(text: string): string {
  return ['bakery', 'grocer', 'pos'].reduce((said, place) => said.replace(at(place)[41] ?? '', place), text)
}
