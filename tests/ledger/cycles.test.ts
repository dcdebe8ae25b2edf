import { Client } from 'pg'
import { describe, expect, it } from 'vitest'
import { cairoDay } from '../../src/clock.ts'
import type { LedgerConnection } from '../../src/ledger/connection.ts'
import { openAll, openPurses, type OpenAllOptions, type OpenAllResult } from '../../src/ledger/cycles.ts'
import type { Programme } from '../../src/programmeParameters.ts'
import { createLedger, type TestLedger } from '../support/commitItems.ts'
import { addHousehold, breadOf, pointsOf, PROGRAMME, purseRow, rationOf, wrongPurses } from '../support/households.ts'

const NOVEMBER = '2026-11-01'
const DECEMBER = '2026-12-01'

interface Situation {
  readonly ledger: TestLedger
  readonly connection: LedgerConnection
  readonly all: (day: string, options?: Partial<OpenAllOptions>) => Promise<OpenAllResult>
  readonly some: (day: string, purseIds: readonly number[], programme?: Programme) => Promise<number>
}

/** A ledger with households 1 to `count`, all of the same size. */
async function households(count: number, members = { ration: 5, bread: 4 }): Promise<Situation> {
  const ledger = await createLedger()
  const connection = await ledger.connect()
  for (let household = 1; household <= count; household++) await addHousehold(ledger, household, members)
  const noon = (day: string): number => Date.parse(`${day}T12:00:00Z`)
  return {
    ledger,
    connection,
    all: (day, options = {}) =>
      openAll(connection, 0, { now: () => noon(day), day, programme: PROGRAMME, chunk: 1000, ...options }),
    some: (day, purseIds, programme = PROGRAMME) => openPurses(connection, 0, { nowMs: noon(day), day, programme, purseIds }),
  }
}

/** Loaves or goods that were handed out, posted as a dispense is. */
async function spend(ledger: Pick<TestLedger, 'sql'>, purseId: number, amount: number): Promise<void> {
  await ledger.sql(
    `WITH moved AS (
       UPDATE purse SET balance = balance - $2, version = version + 1, marks = 5, items = '{1,2}' WHERE id = $1 RETURNING *
     ), written AS (
       INSERT INTO "authorization" (purse_id, purse_version, requested, approved, available_after, held_after, decided_at, key_date, shard, mti, kind,
         key, response_code)
       SELECT id, version, $2, $2, balance, 0, now(), cycle, 0, 200, 13, 'spent|' || id || '|' || version, '00' FROM moved
     )
     INSERT INTO transfer (purse_id, purse_version, debit_owner, credit_owner, amount, key_date, shard, ordinal, debit_code, credit_code, unit)
     SELECT m.id, m.version, m.id, 0, $2, m.cycle, 0, 1, k.account, 9001, k.unit FROM moved m JOIN purse_kind k ON k.kind = m.kind`,
    [purseId, amount],
  )
}

async function transfersOf(ledger: TestLedger, purseId: number, version: number): Promise<string[]> {
  const rows = await ledger.sql<{ text: string }>(
    `SELECT concat_ws(' ', debit_code, debit_owner, credit_code, credit_owner, amount, unit) AS text FROM transfer
     WHERE purse_id = $1 AND purse_version = $2 ORDER BY ordinal`,
    [purseId, version],
  )
  return rows.map((row) => row.text)
}

async function openingsOf(ledger: TestLedger, purseId: number): Promise<string[]> {
  const rows = await ledger.sql<{ key: string }>(
    'SELECT key FROM "authorization" WHERE kind = 16 AND purse_id = $1 ORDER BY key',
    [purseId],
  )
  return rows.map((row) => row.key)
}

describe('a purse that was never opened', () => {
  it('gets the entitlement of its household for the month, and its gate is raised', async () => {
    const { ledger, all } = await households(2)
    expect(await all(DECEMBER)).toEqual({ opened: 4, behind: 0, stopped: false })
    // Five members: four at 50 EGP and one at 25. Four at 5 loaves, 31 days.
    const opened = { version: 1, gate: 2, cycle: DECEMBER, marks: 0, items: null }
    expect(await purseRow(ledger, rationOf(2))).toEqual({ ...opened, balance: 22_500, members: 5 })
    expect(await purseRow(ledger, breadOf(2))).toEqual({ ...opened, balance: 4 * 5 * 31, members: 4 })
    expect(await purseRow(ledger, pointsOf(2))).toMatchObject({ balance: 0, version: 0, gate: 1, cycle: null })
    expect(await transfersOf(ledger, rationOf(2), 1)).toEqual([`9000 0 2100 ${rationOf(2)} 22500 2`])
    expect(await transfersOf(ledger, breadOf(2), 1)).toEqual([`9000 0 2110 ${breadOf(2)} 620 4`])
    const [row] = await ledger.sql(
      `SELECT key, key_date::text, cycle::text, mti, response_code, requested::int, approved::int, available_after::int, held_after::int, second_purse_id
       FROM "authorization" WHERE purse_id = $1`,
      [rationOf(2)],
    )
    expect(row).toEqual({
      key: `opening|2026-12|${String(rationOf(2))}`,
      key_date: DECEMBER,
      cycle: DECEMBER,
      mti: 0,
      response_code: '00',
      requested: 22_500,
      approved: 22_500,
      available_after: 22_500,
      held_after: 0,
      second_purse_id: null,
    })
    expect(await wrongPurses(ledger)).toEqual([])
  })

  it('is not opened for months that are over', async () => {
    const { ledger, some } = await households(1)
    expect(await some('2026-12-31', [rationOf(1), breadOf(1), pointsOf(1), 101])).toBe(2)
    expect(await openingsOf(ledger, breadOf(1))).toEqual([`opening|2026-12|${String(breadOf(1))}`])
  })

  it('has an opening without a posting where the household has no members', async () => {
    const { ledger, all } = await households(1, { ration: 0, bread: 0 })
    expect((await all(DECEMBER)).opened).toBe(2)
    expect(await purseRow(ledger, breadOf(1))).toMatchObject({ balance: 0, version: 0, gate: 2, cycle: DECEMBER, members: 0 })
    const rows = await ledger.sql(
      'SELECT purse_version, approved::int, available_after::int FROM "authorization" WHERE kind = 16',
    )
    expect(rows).toEqual(Array(2).fill({ purse_version: null, approved: 0, available_after: 0 }))
    expect(await ledger.sql('SELECT FROM transfer')).toEqual([])
    // Its next month needs no version either, and members may come.
    await ledger.sql('UPDATE household SET bread_members = 1')
    await all('2027-01-01')
    expect(await purseRow(ledger, breadOf(1))).toMatchObject({ balance: 155, version: 1, gate: 3, members: 1 })
    expect(await wrongPurses(ledger)).toEqual([])
  })

  it('gets what the last count gives where there are more members than the tiers have', async () => {
    const { ledger, all } = await households(1, { ration: 500, bread: 0 })
    await all(DECEMBER)
    expect(await purseRow(ledger, rationOf(1))).toMatchObject({ balance: 4 * 5000 + 95 * 2500, members: 500 })
  })
})

describe('a month that is over', () => {
  it('takes what is left of the ration, and the days and goods drawn start anew', async () => {
    const { ledger, all } = await households(1)
    await all(NOVEMBER)
    await spend(ledger, rationOf(1), 20_000)
    await all(DECEMBER)
    expect(await purseRow(ledger, rationOf(1))).toMatchObject({ balance: 22_500, version: 3, gate: 3, marks: 0, items: null })
    expect(await transfersOf(ledger, rationOf(1), 3)).toEqual([
      `2100 ${rationOf(1)} 9002 0 2500 2`,
      `9000 0 2100 ${rationOf(1)} 22500 2`,
    ])
    expect(await wrongPurses(ledger)).toEqual([])
  })

  it('turns loaves that are left into points, whose gate stays', async () => {
    const { ledger, all } = await households(1)
    await all(NOVEMBER)
    await spend(ledger, breadOf(1), 588)
    await all(DECEMBER)
    expect(await purseRow(ledger, breadOf(1))).toMatchObject({ balance: 620, version: 3 })
    expect(await purseRow(ledger, pointsOf(1))).toMatchObject({ balance: 120, version: 1, gate: 1 })
    expect(await transfersOf(ledger, breadOf(1), 3)).toEqual([
      `2110 ${breadOf(1)} 9003 0 12 4`,
      `9000 0 2110 ${breadOf(1)} 620 4`,
    ])
    expect(await transfersOf(ledger, pointsOf(1), 1)).toEqual([`9000 0 2120 ${pointsOf(1)} 120 3`])
    const [opening] = await ledger.sql(
      `SELECT purse_version::int, second_purse_id::int, second_version::int, second_available_after::int FROM "authorization" WHERE key = $1`,
      [`opening|2026-12|${String(breadOf(1))}`],
    )
    expect(opening).toEqual({ purse_version: 3, second_purse_id: pointsOf(1), second_version: 1, second_available_after: 120 })
    await all('2027-01-01')
    // All of December's loaves.
    expect(await purseRow(ledger, pointsOf(1))).toMatchObject({ balance: 120 + 6200, version: 2 })
    expect(await wrongPurses(ledger)).toEqual([])
  })

  it('leaves the points alone where no loaf is left', async () => {
    const { ledger, all } = await households(1)
    await all(NOVEMBER)
    await spend(ledger, breadOf(1), 600)
    await all(DECEMBER)
    expect(await purseRow(ledger, pointsOf(1))).toMatchObject({ balance: 0, version: 0 })
    expect(await wrongPurses(ledger)).toEqual([])
  })

  it('has as many days as the calendar says: a February', async () => {
    const { ledger, all } = await households(1, { ration: 1, bread: 1 })
    await all('2028-02-01')
    expect(await purseRow(ledger, breadOf(1))).toMatchObject({ balance: 5 * 29, cycle: '2028-02-01' })
    await all('2028-03-01')
    expect(await purseRow(ledger, breadOf(1))).toMatchObject({ balance: 5 * 31 })
    expect(await purseRow(ledger, pointsOf(1))).toMatchObject({ balance: 5 * 29 * 10 })
  })

  it('is opened from the present day on where the purse is new', async () => {
    const { ledger, all } = await households(1, { ration: 1, bread: 1 })
    await all('2026-11-29')
    expect(await purseRow(ledger, breadOf(1))).toMatchObject({ balance: 5 * 2, cycle: NOVEMBER })
    await all(DECEMBER)
    expect(await purseRow(ledger, pointsOf(1))).toMatchObject({ balance: 5 * 2 * 10 })
  })

  it('counts members anew', async () => {
    const { ledger, all } = await households(1)
    await all(NOVEMBER)
    await ledger.sql('UPDATE household SET ration_members = 2')
    await all('2026-11-30')
    expect(await purseRow(ledger, rationOf(1))).toMatchObject({ balance: 22_500, members: 5 })
    await all(DECEMBER)
    expect(await purseRow(ledger, rationOf(1))).toMatchObject({ balance: 10_000, members: 2 })
  })

  it.each([
    ['in winter', '2026-11-30T21:59:59.999Z', '2026-11-30T22:00:00Z'],
    ['in summer time', '2027-05-31T20:59:59.999Z', '2027-05-31T21:00:00Z'],
    ['after an hour that comes twice', '2024-10-31T21:59:59.999Z', '2024-10-31T22:00:00Z'],
  ])('ends at midnight in Cairo %s, not a second before', async (_, last, first) => {
    const { ledger, all } = await households(1)
    const run = (at: string) => all(cairoDay(Date.parse(at)), { now: () => Date.parse(at) })
    await run(last)
    const before = await purseRow(ledger, rationOf(1))
    expect(before.cycle).toBe(`${last.slice(0, 7)}-01`)
    expect((await run(last)).opened).toBe(0)
    expect((await run(first)).opened).toBe(2)
    expect((await purseRow(ledger, rationOf(1))).cycle! > before.cycle!).toBe(true)
    const rows = await ledger.sql<{ at: Date }>(`SELECT decided_at AS at FROM "authorization" ORDER BY decided_at DESC LIMIT 1`)
    expect(rows[0]!.at).toEqual(new Date(first))
  })
})

describe('rules that change', () => {
  it('hold from the first day of the month that they are valid on; a rest goes by those of its own month', async () => {
    const { ledger, some } = await households(1)
    const [old] = PROGRAMME.versions
    const changed = structuredClone(old!)
    changed.services['bread']!.entitlement!.tiers[0]!.amount = 3
    changed.services['bread']!.entitlement!.becomes!.rate = 7
    const programme = { ...PROGRAMME, versions: [old!, { ...changed, validFrom: '2026-12-15' }] }
    await some('2026-11-01', [breadOf(1)], programme)
    // Valid from the middle of December: that month is still by the old ones.
    await some('2026-12-20', [breadOf(1)], programme)
    expect(await purseRow(ledger, breadOf(1))).toMatchObject({ balance: 620 })
    await some('2027-01-01', [breadOf(1)], programme)
    expect(await purseRow(ledger, breadOf(1))).toMatchObject({ balance: 4 * 3 * 31 })
    expect(await purseRow(ledger, pointsOf(1))).toMatchObject({ balance: 6000 + 6200 })
    await some('2027-02-01', [breadOf(1)], programme)
    expect(await purseRow(ledger, pointsOf(1))).toMatchObject({ balance: 6000 + 6200 + 4 * 3 * 31 * 7 })
    expect(await wrongPurses(ledger)).toEqual([])
  })

  it('close the rest of a service that pauses, and issue nothing until it comes back', async () => {
    const { ledger, some } = await households(1)
    const [rules] = PROGRAMME.versions
    const paused = structuredClone(rules!)
    delete paused.services['ration']!.entitlement
    const programme = {
      ...PROGRAMME,
      versions: [rules!, { ...paused, validFrom: '2026-12-01' }, { ...rules!, validFrom: '2027-02-01' }],
    }
    await some('2026-11-20', [rationOf(1)], programme)
    expect(await some('2026-12-20', [rationOf(1)], programme)).toBe(0)
    expect(await some('2027-02-01', [rationOf(1)], programme)).toBe(3)
    expect(await purseRow(ledger, rationOf(1))).toMatchObject({ balance: 22_500, cycle: '2027-02-01', version: 3 })
    expect(await transfersOf(ledger, rationOf(1), 2)).toEqual([`2100 ${rationOf(1)} 9002 0 22500 2`])
    expect(await wrongPurses(ledger)).toEqual([])
  })
})

describe('opening', () => {
  it('credits nobody twice when it runs twice', async () => {
    const { ledger, all } = await households(3)
    expect((await all(DECEMBER)).opened).toBe(6)
    expect(await all(DECEMBER)).toEqual({ opened: 0, behind: 0, stopped: false })
    expect((await all('2026-12-31')).opened).toBe(0)
    expect(await purseRow(ledger, rationOf(3))).toMatchObject({ balance: 22_500, version: 1, gate: 2 })
  })

  it('credits nobody twice when several run at once', async () => {
    const { ledger } = await households(40)
    const connections = await Promise.all([1, 2, 3].map(() => ledger.connect()))
    const nowMs = Date.parse(DECEMBER)
    const context = { now: () => nowMs, nowMs, day: DECEMBER, programme: PROGRAMME }
    const everyPurse = Array.from({ length: 40 }, (_, index) => [breadOf(index + 1), rationOf(index + 1)]).flat()
    const counts = await Promise.all([
      openAll(connections[0]!, 0, { ...context, chunk: 7 }),
      openAll(connections[1]!, 0, { ...context, chunk: 5 }),
      openPurses(connections[2]!, 0, { ...context, purseIds: everyPurse.toReversed() }),
    ])
    expect(counts[0].opened + counts[1].opened + counts[2]).toBe(80)
    expect([counts[0].behind, counts[1].behind]).toEqual([0, 0])
    expect(await ledger.sql('SELECT count(*)::int AS n FROM "authorization"')).toEqual([{ n: 80 }])
    expect(await wrongPurses(ledger)).toEqual([])
  })

  it('goes on where it was stopped half-way', async () => {
    const { ledger, all } = await households(5)
    let chunks = 0
    const first = await all(DECEMBER, { chunk: 2, shouldStop: () => chunks === 2, onProgress: () => (chunks += 1) })
    expect(first).toEqual({ opened: 4, behind: 0, stopped: true })
    expect(await all(DECEMBER, { chunk: 2 })).toEqual({ opened: 6, behind: 0, stopped: false })
    expect(await wrongPurses(ledger)).toEqual([])
  })

  it('leaves a whole chunk undone where it fails, and nothing else', async () => {
    const { ledger, all } = await households(4)
    await ledger.sql(`
      CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'disk on fire'; END $$;
      CREATE TRIGGER fail BEFORE UPDATE ON purse FOR EACH ROW WHEN (OLD.id = ${String(rationOf(4))}) EXECUTE FUNCTION fail()`)
    await expect(all(DECEMBER, { chunk: 2 })).rejects.toThrow('disk on fire')
    expect(await ledger.sql(`SELECT id::int FROM purse WHERE cycle IS NOT NULL ORDER BY id`)).toEqual(
      [1, 2].map((household) => ({ id: rationOf(household) })),
    )
    await ledger.sql('DROP TRIGGER fail ON purse')
    expect((await all(DECEMBER, { chunk: 2 })).opened).toBe(6)
    expect(await wrongPurses(ledger)).toEqual([])
  })

  it('makes up for every month when it runs late, the oldest first', async () => {
    const { ledger, all } = await households(1)
    await all('2026-09-01')
    await spend(ledger, rationOf(1), 500)
    expect((await all('2026-12-02')).opened).toBe(6)
    const months = ['09', '10', '11', '12']
    expect(await openingsOf(ledger, rationOf(1))).toEqual(months.map((month) => `opening|2026-${month}|${String(rationOf(1))}`))
    expect(await purseRow(ledger, rationOf(1))).toMatchObject({ balance: 22_500, version: 5, gate: 5, cycle: DECEMBER })
    expect(await transfersOf(ledger, rationOf(1), 3)).toContain(`2100 ${rationOf(1)} 9002 0 22000 2`)
    // Loaves of September, October and November.
    expect(await purseRow(ledger, pointsOf(1))).toMatchObject({ balance: 20 * 91 * 10, version: 3 })
    expect(await wrongPurses(ledger)).toEqual([])
  })

  it('opens at its first use a purse whose chunk has not come, and the job passes it by', async () => {
    const { ledger, all, some } = await households(2)
    await all(NOVEMBER)
    expect(await some(DECEMBER, [breadOf(2)])).toBe(1)
    expect(await some(DECEMBER, [breadOf(2)])).toBe(0)
    expect(await purseRow(ledger, pointsOf(2))).toMatchObject({ balance: 6000, version: 1 })
    expect((await all(DECEMBER)).opened).toBe(3)
    expect(await purseRow(ledger, pointsOf(2))).toMatchObject({ balance: 6000, version: 1 })
    expect(await wrongPurses(ledger)).toEqual([])
  })

  it('closes what is left after a purchase that it had to wait for', async () => {
    const { ledger, all } = await households(1)
    await all(NOVEMBER)
    const buyer = new Client({ connectionString: ledger.url })
    await buyer.connect()
    await buyer.query('BEGIN')
    await spend({ sql: async (text, values) => (await buyer.query<never>(text, values)).rows }, breadOf(1), 590)
    const opening = all(DECEMBER)
    const waiting = `SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`
    await expect.poll(() => ledger.sql(waiting)).toEqual([{ n: 1 }])
    await buyer.query('COMMIT')
    await buyer.end()
    expect((await opening).opened).toBe(2)
    expect(await purseRow(ledger, pointsOf(1))).toMatchObject({ balance: 100 })
    expect(await wrongPurses(ledger)).toEqual([])
  })

  it('leaves no month out, whoever calls it', async () => {
    const { ledger, all } = await households(1)
    await all(NOVEMBER)
    const january = `SELECT open_purses(0::smallint, now(), '2027-01-01', 2::smallint, $1, 'ration', '{0,1}', 2100::smallint, 9002::smallint,
      NULL, NULL, NULL, 2::smallint, NULL) AS opened`
    expect(await ledger.sql(january, [[rationOf(1)]])).toEqual([{ opened: 0 }])
  })

  it('never goes back to a month before', async () => {
    const { ledger, all } = await households(1)
    await all(DECEMBER)
    expect((await all(NOVEMBER)).opened).toBe(0)
    expect(await purseRow(ledger, breadOf(1))).toMatchObject({ cycle: DECEMBER, balance: 620 })
  })

  it('leaves behind, and reports, loaves for which there is no purse of points, until there is one', async () => {
    const { ledger, all } = await households(2)
    await all(NOVEMBER)
    await ledger.sql('DELETE FROM purse WHERE id = $1', [pointsOf(1)])
    expect(await all(DECEMBER)).toEqual({ opened: 3, behind: 1, stopped: false })
    expect(await purseRow(ledger, breadOf(1))).toMatchObject({ cycle: NOVEMBER, balance: 600, version: 1 })
    await ledger.sql('INSERT INTO purse (shard, id, kind, unit, household_id) VALUES (0, $1, 4, 3, 1)', [pointsOf(1)])
    expect(await all(DECEMBER)).toEqual({ opened: 1, behind: 0, stopped: false })
    expect(await purseRow(ledger, pointsOf(1))).toMatchObject({ balance: 6000 })
    expect(await wrongPurses(ledger)).toEqual([])
  })

  it('is refused a second time for the same purse and month, even if the purse forgot the first', async () => {
    const { ledger, all } = await households(1)
    await all(DECEMBER)
    await ledger.sql('UPDATE purse SET cycle = NULL WHERE id = $1', [rationOf(1)])
    expect(await all(DECEMBER)).toEqual({ opened: 0, behind: 1, stopped: false })
    expect(await purseRow(ledger, rationOf(1))).toMatchObject({ balance: 22_500, version: 1 })
  })

  it('makes the month in the ledger where it is missing', async () => {
    const { ledger, all } = await households(1)
    expect((await all('2033-05-01')).opened).toBe(2)
    expect(await ledger.sql(`SELECT to_regclass('transfer_203305')::text AS name`)).toEqual([{ name: 'transfer_203305' }])
  })

  it('takes chunks of 1 to 1,000 purses', async () => {
    const { all } = await households(0)
    for (const chunk of [0, 1001, 1.5]) await expect(all(DECEMBER, { chunk })).rejects.toThrow(RangeError)
    expect(await all(DECEMBER)).toEqual({ opened: 0, behind: 0, stopped: false })
  })
})
