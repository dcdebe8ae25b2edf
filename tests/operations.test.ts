/** What spec/operations.md promises to whoever is woken: each alarm is of something that is measured, and has its page. */
import { readFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { GroupMetrics } from '../src/workers/groupMetrics.ts'
import { temporaryDirectory } from './support/stack.ts'
import { startTestSwitch, until, type TestSwitch } from './support/switch.ts'

interface AlarmFile {
  readonly groups: readonly { readonly rules: readonly Alarm[] }[]
}

interface Alarm {
  readonly alert: string
  readonly expr: string
  readonly for: string
  readonly labels: { readonly severity: string }
  readonly annotations: { readonly summary: string; readonly page: string }
}

const read = (file: string): string => readFileSync(new URL(`../${file}`, import.meta.url), 'utf8')
const alarms = (JSON.parse(read('config/alarms.json')) as AlarmFile).groups.flatMap(({ rules }) => rules)
const document = read('spec/operations.md')

/** What a primary process measures besides. */
const group = new GroupMetrics(() => ({ wanted: 2, listening: 2 }))
let running: TestSwitch
let disk: string
beforeAll(async () => {
  disk = join(temporaryDirectory(), 'journal')
  await mkdir(disk)
  running = await startTestSwitch({
    configure: (config) => ({
      ...config,
      standIn: { ...config.standIn, directory: disk },
      watch: { everyMs: 100, directories: { gone: join(disk, 'gone') } },
    }),
  })
})

async function metrics(): Promise<string> {
  return await (await fetch(`http://127.0.0.1:${running.portOf('http')}/metrics`)).text()
}

/** The value of a measurement; NaN where it is not known. */
async function valueOf(name: string): Promise<number> {
  const line = (await metrics()).split('\n').find((candidate) => candidate.startsWith(`${name} `))
  return Number(line?.slice(name.length))
}

describe('the alarms', () => {
  it.each(alarms.map((alarm) => [alarm.alert, alarm] as const))('%s is of what a switch measures', async (_, alarm) => {
    const names = [...alarm.expr.matchAll(/\bsarf_[a-z_]+/g)].map(([name]) => name)
    expect(names.length).toBeGreaterThan(0)
    const measured = (await metrics()) + (await group.text())
    for (const name of names) expect(measured).toContain(`# TYPE ${name} `)
    expect(alarm.for).toMatch(/^\d+[smh]$/)
    expect(['critical', 'warning']).toContain(alarm.labels.severity)
    expect(alarm.annotations.summary).not.toBe('')
  })

  it('each have a page that says what it means, what to look at, what to do and when it is over; no page is of anything else', () => {
    const pages = document.slice(document.indexOf('\n## The alarms')).split('\n### ').slice(1)
    expect(pages.map((page) => page.split('\n')[0])).toEqual(alarms.map(({ alert }) => alert))
    for (const page of pages) {
      for (const part of ['**Means:**', '**Look at:**', '**Do:**', '**Over:**']) expect(page).toContain(part)
    }
    for (const { alert, annotations } of alarms) expect(annotations.page).toBe(`spec/operations.md#${alert.toLowerCase()}`)
  })
})

describe('the measurements', () => {
  it('tell the room of a directory that is watched, and nothing of one that is not there', async () => {
    await until(async () => (await valueOf('sarf_disk_free_bytes{directory="journal"}')) > 0)
    const size = await valueOf('sarf_disk_size_bytes{directory="journal"}')
    expect(await valueOf('sarf_disk_free_bytes{directory="journal"}')).toBeLessThanOrEqual(size)
    expect(await valueOf('sarf_disk_free_bytes{directory="gone"}')).toBeNaN()
  })

  it('tell the state of the Postgres server, and that it cannot be told while the server is away', async () => {
    await until(async () => (await valueOf('sarf_postgres_database_bytes')) > 1_000_000)
    expect(await valueOf('sarf_postgres_wal_bytes')).toBeGreaterThan(0)
    expect(await valueOf('sarf_postgres_unfrozen_transactions')).toBeGreaterThan(0)
    expect(await valueOf('sarf_postgres_archiving')).toBe(0)
    expect(await valueOf('sarf_postgres_archive_failing')).toBe(0)
    expect(await valueOf('sarf_notices_late_seconds')).toBe(0)
    const name = new URL(running.databaseUrl).pathname.slice(1)
    const end = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND application_name = 'sarf watch'`
    expect(await running.sql(end, [name])).toHaveLength(1)
    await until(async () => Number.isNaN(await valueOf('sarf_postgres_database_bytes')))
    await until(async () => (await valueOf('sarf_postgres_database_bytes')) > 1_000_000)
  })

  it('tell for how many bank days a payout has waited for the word of the bank', async () => {
    const measured = (): Promise<number> => valueOf('sarf_payouts_unconfirmed_bank_days')
    await until(async () => (await measured()) === 0)
    // Its merchant and the account are of no concern here.
    await running.sql(`
      DO $$ BEGIN
        SET LOCAL session_replication_role = replica;
        INSERT INTO payout_run (shard, id, until_day, state, prepared_by, prepared_at, decided_at, message_id, execution_day, debtor_name, debtor_iban, payouts, posted)
          OVERRIDING SYSTEM VALUE VALUES (0, 1, '2025-01-01', 'approved', 'x', now(), now(), 'M', '2025-01-01', 'x', 'x', 1, 1);
        INSERT INTO payout (shard, merchant_id, until_day, run_id, ordinal, amount, account_version, iban, holder_name, state, end_to_end_id, event_number)
          VALUES (0, 1, '2025-01-01', 1, 1, 1, 1, 'x', 'x', 'paid', 'M-1', 1);
      END $$`)
    await until(async () => (await measured()) > 200)
    await running.sql(`UPDATE payout SET state = 'executed', executed_on = '2025-01-02'`)
    await until(async () => (await measured()) === 0)
  })

  it('tell how long a SQL transaction has been open', async () => {
    const open = running.sql(`SELECT pg_sleep(0.5)`)
    await until(async () => (await valueOf('sarf_postgres_oldest_transaction_seconds')) > 0.1)
    await open
  })

  it('tell how full the queues are', async () => {
    expect(await valueOf('sarf_queue_share')).toBe(0)
    expect(await valueOf('sarf_ledger_wait_seconds')).toBe(0)
  })
})
