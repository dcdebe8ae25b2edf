import { Client } from 'pg'
import { PgBoss } from 'pg-boss'
import { afterAll, describe, expect, it } from 'vitest'
import { cairoDay, systemClock, type Clock } from '../../src/clock.ts'
import { silentLogger } from '../../src/log.ts'
import { startJobs, type Jobs } from '../../src/programme/jobs.ts'
import { OPENING_QUEUE, openingJob } from '../../src/programme/openingJob.ts'
import { monthOf } from '../../src/purse/entitlement.ts'
import { createLedger, type TestLedger } from '../support/commitItems.ts'
import { addHousehold, breadOf, PROGRAMME, purseRow, rationOf, wrongPurses } from '../support/households.ts'

const NOVEMBER_NOON = Date.parse('2026-11-15T10:00:00Z')
const DECEMBER_BEGINS = Date.parse('2026-11-30T22:00:00Z')

const stops: Jobs[] = []
afterAll(async () => {
  await Promise.all(stops.map((jobs) => jobs.stop()))
})

async function start(ledger: TestLedger, nowMs: number, chunk = 1000): Promise<Jobs> {
  const clock: Clock = { ...systemClock, now: () => nowMs }
  const cardClocks = { everyMinutes: 10, chunk: 500, requestKeepDays: 30 }
  const limits = { enabled: true, busyPercent: 100, statementMs: 10_000, retries: 20, retryDelayS: 1, heartbeatS: 10, cardClocks }
  const config = { databaseUrl: ledger.url, programme: PROGRAMME, jobs: { ...limits, chunk } }
  const jobs = await startJobs({ config, log: silentLogger, jobs: [openingJob({ config, shard: 0, clock, log: silentLogger })] })
  stops.push(jobs)
  return jobs
}

async function openedFor(ledger: TestLedger, month: string): Promise<number> {
  const rows = await ledger.sql<{ n: number }>('SELECT count(*)::int AS n FROM purse WHERE cycle = $1', [month])
  return rows[0]!.n
}

const patience = { timeout: 40_000, interval: 50 }

describe('the jobs', () => {
  it('open at the start the month that is behind, and the next one when it has come', async () => {
    const ledger = await createLedger()
    await addHousehold(ledger, 1, { ration: 5, bread: 4 })
    const november = await start(ledger, NOVEMBER_NOON)
    await expect.poll(() => openedFor(ledger, '2026-11-01'), patience).toBe(2)
    await november.stop()
    const tooEarly = await start(ledger, DECEMBER_BEGINS - 1)
    const done = `SELECT count(*)::int AS n FROM jobs.job WHERE name = $1 AND state = 'completed'`
    await expect.poll(() => ledger.sql(done, [OPENING_QUEUE]), patience).toEqual([{ n: 2 }])
    await tooEarly.stop()
    expect(await openedFor(ledger, '2026-12-01')).toBe(0)
    await start(ledger, DECEMBER_BEGINS)
    await expect.poll(() => openedFor(ledger, '2026-12-01'), patience).toBe(2)
    expect(await purseRow(ledger, breadOf(1))).toMatchObject({ balance: 620, version: 2 })
    expect(await wrongPurses(ledger)).toEqual([])
  })

  it('are due at the first instant of each month in Cairo', async () => {
    const ledger = await createLedger()
    await start(ledger, NOVEMBER_NOON)
    const [row] = await ledger.sql<{ cron: string; timezone: string }>(
      'SELECT cron, timezone FROM jobs.schedule WHERE name = $1',
      [OPENING_QUEUE],
    )
    const from = new Date('2024-01-01T00:00:00Z')
    const due = new PgBoss(ledger.url).previewSchedule(row!.cron, { tz: row!.timezone, from, count: 60 }).map(Number)
    expect(new Set(due.map((at) => monthOf(cairoDay(at)))).size).toBe(60)
    for (const at of due) expect(monthOf(cairoDay(at - 1)) < monthOf(cairoDay(at))).toBe(true)
  })

  it('credit once where several processes start at once', async () => {
    const ledger = await createLedger()
    for (let household = 1; household <= 20; household++) await addHousehold(ledger, household, { ration: 1, bread: 1 })
    await Promise.all([1, 2, 3].map(() => start(ledger, DECEMBER_BEGINS, 3)))
    await expect.poll(() => openedFor(ledger, '2026-12-01'), patience).toBe(40)
    expect(await wrongPurses(ledger)).toEqual([])
  })

  it('are tried again where they fail', async () => {
    const ledger = await createLedger()
    await addHousehold(ledger, 1, { ration: 1, bread: 1 })
    await ledger.sql('ALTER FUNCTION open_purses RENAME TO out_of_order')
    await start(ledger, DECEMBER_BEGINS)
    const failed = `SELECT count(*)::int AS n FROM jobs.job WHERE name = $1 AND state = 'retry'`
    await expect.poll(() => ledger.sql(failed, [OPENING_QUEUE]), patience).toEqual([{ n: 1 }])
    await ledger.sql('ALTER FUNCTION out_of_order RENAME TO open_purses')
    await expect.poll(() => openedFor(ledger, '2026-12-01'), patience).toBe(2)
  })

  it('stop after the chunk that is under way, and go on with the next start', async () => {
    const ledger = await createLedger()
    for (let household = 1; household <= 5; household++) await addHousehold(ledger, household, { ration: 1, bread: 1 })
    const blocker = new Client({ connectionString: ledger.url })
    await blocker.connect()
    await blocker.query('BEGIN')
    await blocker.query('SELECT FROM purse WHERE id = $1 FOR UPDATE', [rationOf(2)])
    const first = await start(ledger, DECEMBER_BEGINS, 1)
    const waiting = `SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`
    await expect.poll(() => ledger.sql(waiting), patience).toEqual([{ n: 1 }])
    const stopped = first.stop()
    await blocker.query('ROLLBACK')
    await blocker.end()
    await stopped
    expect(await openedFor(ledger, '2026-12-01')).toBe(2)
    await start(ledger, DECEMBER_BEGINS, 1)
    await expect.poll(() => openedFor(ledger, '2026-12-01'), patience).toBe(10)
    expect(await wrongPurses(ledger)).toEqual([])
  })

  it('take up what a process left that died in the middle of it', async () => {
    const ledger = await createLedger()
    const first = await start(ledger, DECEMBER_BEGINS)
    const done = `SELECT count(*)::int AS n FROM jobs.job WHERE name = $1 AND state = 'completed'`
    await expect.poll(() => ledger.sql(done, [OPENING_QUEUE]), patience).toEqual([{ n: 1 }])
    await first.stop()
    await addHousehold(ledger, 1, { ration: 1, bread: 1 })
    // What the dead leave: a run that is active for ever, while one only may be.
    await ledger.sql(
      `UPDATE jobs.job SET state = 'active', started_on = now() - interval '1 minute', heartbeat_on = now() - interval '1 minute', completed_on = NULL
       WHERE name = $1`,
      [OPENING_QUEUE],
    )
    await start(ledger, DECEMBER_BEGINS)
    await expect.poll(() => openedFor(ledger, '2026-12-01'), patience).toBe(2)
  })

  it('leave nothing running where their schema cannot be made', async () => {
    const url = new URL((await createLedger()).url)
    url.pathname = '/nowhere'
    await expect(start({ url: url.href } as TestLedger, DECEMBER_BEGINS)).rejects.toThrow('does not exist')
  })
})
