/**
 * `npm run -s bench:cycle`: how long the opening of a month takes, for households that all have a rest of ration to expire and of bread to
 * become points. See --help.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Command, InvalidArgumentError } from 'commander'
import { cairoDay, systemClock } from '../src/clock.ts'
import { loadConfig } from '../src/config.ts'
import { bulkLoad, type BulkTable, type CopyRow } from '../src/ledger/bulkLoad.ts'
import { LedgerConnection } from '../src/ledger/connection.ts'
import { CHUNK_MAX, openAll } from '../src/ledger/cycles.ts'
import { migrate } from '../src/ledger/migrate.ts'
import { startPostgres } from '../src/local/postgres.ts'
import { Interrupted, listenForStop } from '../src/local/stopRequest.ts'
import { createLogger } from '../src/log.ts'
import { openingPacer } from '../src/programme/openingPacer.ts'
import { monthOf } from '../src/purse/entitlement.ts'
import { explain } from './support/explain.ts'

const SHARD = 0
/** Above those of any seed, so that a ledger with a programme in it can be used too. */
const FIRST_HOUSEHOLD = 900_000_001
const STATEMENT_MS = 600_000
const RECONNECT_MS = 1000
const EXIT_FAILED = 1
const EXIT_INTERRUPTED = 130

interface CycleOptions {
  readonly households: number
  readonly chunk: number
  readonly busy: number
  readonly database?: string
  readonly json?: true
}

interface CycleReport {
  readonly households: number
  readonly chunk: number
  readonly busyPercent: number
  readonly opened: number
  readonly seconds: number
  readonly householdsPerSecond: number
  readonly chunkMs: { readonly p50: number; readonly p99: number; readonly max: number }
  /** A second run, which finds nothing to do. */
  readonly againSeconds: number
}

const options = readOptions(process.argv.slice(2))
const request = listenForStop()
process.exit(await main())

async function main(): Promise<number> {
  try {
    const report = options.database === undefined ? await benchPrivate() : await bench(options.database)
    process.stdout.write(options.json === true ? `${JSON.stringify(report)}\n` : reportText(report))
    return report.opened === 2 * options.households ? 0 : EXIT_FAILED
  } catch (error) {
    if (error instanceof Interrupted) return EXIT_INTERRUPTED
    note(explain(error))
    return EXIT_FAILED
  }
}

/** A Postgres as `npm start` runs it: every commit is on disk before it is answered. */
async function benchPrivate(): Promise<CycleReport> {
  const directory = mkdtempSync(join(tmpdir(), 'sarf-bench-'))
  const postgres = await startPostgres({ directory: join(directory, 'postgres') })
  try {
    note(postgres.build)
    await migrate(postgres.url)
    return await bench(postgres.url)
  } finally {
    await postgres.stop()
    rmSync(directory, { recursive: true, force: true })
  }
}

async function bench(databaseUrl: string): Promise<CycleReport> {
  const day = cairoDay(systemClock.now())
  note(`loading ${String(options.households)} households`)
  await bulkLoad(databaseUrl, { mayLoad: () => Promise.resolve(true), partitionsFrom: day, tables: tables(day) })
  request.throwIfAsked()
  const connection = new LedgerConnection({
    url: databaseUrl,
    statementMs: STATEMENT_MS,
    reconnectMs: RECONNECT_MS,
    clock: systemClock,
    log: createLogger('warn'),
    name: 'bench cycle',
  })
  await connection.open()
  try {
    note(`opening ${monthOf(day)}`)
    const first = await timedRun(connection, day, options.busy)
    const again = await timedRun(connection, day, 100)
    return {
      households: options.households,
      chunk: options.chunk,
      busyPercent: options.busy,
      opened: first.opened,
      seconds: rounded(first.seconds),
      householdsPerSecond: Math.round(options.households / first.seconds),
      chunkMs: first.chunkMs,
      againSeconds: rounded(again.seconds),
    }
  } finally {
    await connection.close()
  }
}

async function timedRun(connection: LedgerConnection, day: string, busyPercent: number) {
  const { programme } = loadConfig({ DATABASE_URL: 'postgres://127.0.0.1', REDIS_URL: 'redis://127.0.0.1' })
  const startedAt = performance.now()
  const pause = openingPacer(systemClock, busyPercent)
  const chunks: number[] = []
  let sinceAt = startedAt
  const { opened } = await openAll(connection, SHARD, {
    now: () => systemClock.now(),
    day,
    programme,
    chunk: options.chunk,
    shouldStop: () => request.isAsked(),
    pause: async () => {
      chunks.push(performance.now() - sinceAt)
      await pause()
      sinceAt = performance.now()
    },
  })
  request.throwIfAsked()
  const seconds = (performance.now() - startedAt) / 1000
  chunks.sort((a, b) => a - b)
  const at = (share: number): number => rounded(chunks[Math.min(chunks.length - 1, Math.floor(chunks.length * share))] ?? 0)
  return { opened, seconds, chunkMs: { p50: at(0.5), p99: at(0.99), max: at(1) } }
}

/** Purses as the month before left them, without their history: nobody audits this ledger. */
function tables(day: string): BulkTable[] {
  const before = monthOf(new Date(Date.parse(monthOf(day)) - 1).toISOString().slice(0, 10))
  const each = (rows: (household: number, members: number) => CopyRow[]): (() => Iterable<CopyRow>) =>
    function* () {
      for (let n = 0; n < options.households; n++) yield* rows(FIRST_HOUSEHOLD + n, 1 + (n % 8))
    }
  return [
    {
      into: 'household (shard, id, governorate, ration_members, bread_members)',
      rows: each((household, members) => [[SHARD, household, 3, members, members]]),
    },
    {
      into: 'purse (shard, id, kind, unit, household_id, person_id, balance, version, cycle, members, marks)',
      rows: each((household, members) => [
        [SHARD, household * 100 + 1, 1, 1, household, household * 100 + 1, 0, 0, null, 0, 0],
        [SHARD, household * 100 + 92, 2, 2, household, null, members * 1000, 4, before, members, 0],
        [SHARD, household * 100 + 93, 3, 4, household, null, members * 30, 9, before, members, 1023],
        [SHARD, household * 100 + 94, 4, 3, household, null, 0, 0, null, 0, 0],
      ]),
    },
  ]
}

function reportText(report: CycleReport): string {
  const { chunkMs: ms } = report
  return [
    `a month opened for ${report.households.toLocaleString('en-US')} households in ${String(report.seconds)} s: ${report.householdsPerSecond.toLocaleString('en-US')} households/s`,
    `  openings   ${report.opened.toLocaleString('en-US')}, at most ${String(report.chunk)} a chunk, busy ${String(report.busyPercent)} % of the time`,
    `  a chunk    p50 ${String(ms.p50)} ms, p99 ${String(ms.p99)}, max ${String(ms.max)}`,
    `  run again  ${String(report.againSeconds)} s`,
    '',
  ].join('\n')
}

function rounded(value: number): number {
  return Math.round(value * 10) / 10
}

/** Ends the process where --help was asked for or an option is wrong. */
function readOptions(argv: readonly string[]): CycleOptions {
  return new Command('bench:cycle')
    .description('Open a month for many households and measure it.')
    .option('--households <count>', 'how many', count(1, 30_000_000), 1_000_000)
    .option('--chunk <purses>', 'purses a SQL transaction', count(1, CHUNK_MAX), CHUNK_MAX)
    .option('--busy <percent>', 'share of the time it works; it pauses for the rest', count(1, 100), 100)
    .option('--database <url>', 'a migrated ledger that it adds the households to, instead of a Postgres of its own')
    .option('--json', 'print one JSON object on stdout and nothing else')
    .addHelpText('after', '\nExit codes: 0; 1 if not every purse was opened; 130 interrupted.')
    .parse(argv, { from: 'user' })
    .opts<CycleOptions>()
}

function count(least: number, most: number): (value: string) => number {
  return (value) => {
    const number = Number(value)
    if (!/^\d+$/.test(value) || number < least || number > most)
      throw new InvalidArgumentError(`A whole number from ${String(least)} to ${String(most)}.`)
    return number
  }
}

/** On stderr: stdout belongs to the report. */
function note(text: string): void {
  process.stderr.write(`bench:cycle: ${text}\n`)
}
