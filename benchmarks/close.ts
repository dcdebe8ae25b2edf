/** `npm run -s bench:close`: how long the end of a business day takes while authorizations go on, and what they notice of it. See --help. */
import { setTimeout as sleep } from 'node:timers/promises'
import { Command, InvalidArgumentError } from 'commander'
import { Client } from 'pg'
import { cairoDay, systemClock } from '../src/clock.ts'
import { messageSpec } from '../src/iso8583/messageSpec.ts'
import { Desk } from '../src/ledger/programme/desk.ts'
import { Interrupted, listenForStop } from '../src/local/stopRequest.ts'
import { createLogger } from '../src/log.ts'
import { addDays } from '../src/programme/calendar.ts'
import { BusinessDays } from '../src/settlement/businessDays.ts'
import { verify } from './support/check.ts'
import { explain } from './support/explain.ts'
import { Load } from './support/load.ts'
import { nextSecond } from './support/moment.ts'
import { startPrivateStack, type PrivateStack } from './support/privateStack.ts'
import { Timeline, type Slice } from './support/timeline.ts'

const HOUSEHOLDS = 100_000
const FIRST_MERCHANT = 1_000_001
const LOADED_AT_A_TIME = 250_000
const STATEMENT_MS = 600_000
const POLL_MS = 50
const EXIT_FAILED = 1
const EXIT_INTERRUPTED = 130
/** Three of bread and one of ration, with two transfers each (the units, and what treasury pays); one of cash. */
const TRANSFERS_OF_FIVE_EVENTS = 9

interface CloseOptions {
  readonly transfers: number
  readonly merchants: number
  readonly rate: number
  readonly before: number
  readonly after: number
  readonly json?: true
}

interface CloseReport {
  readonly transfers: number
  readonly outlets: number
  readonly seconds: number
  readonly rate: number
  readonly before: Slice
  readonly during: Slice
  readonly after: Slice
  readonly approvedNotInLedger: number
  readonly inLedgerNotApproved: number
}

const options = readOptions(process.argv.slice(2))
const request = listenForStop()
process.exit(await main())

async function main(): Promise<number> {
  try {
    const report = await bench()
    process.stdout.write(options.json === true ? `${JSON.stringify(report)}\n` : reportText(report))
    const { approvedNotInLedger, inLedgerNotApproved, outlets } = report
    return approvedNotInLedger + inLedgerNotApproved > 0 || outlets === 0 ? EXIT_FAILED : 0
  } catch (error) {
    if (error instanceof Interrupted) return EXIT_INTERRUPTED
    note(explain(error))
    return EXIT_FAILED
  }
}

async function bench(): Promise<CloseReport> {
  const stack = await startPrivateStack({
    households: HOUSEHOLDS,
    keep: false,
    onStep: note,
    profileDirectory: undefined,
    securities: ['none'],
    // Nothing of the day is added up before its end: the worst case.
    daysEveryMs: 3_600_000,
  })
  const { config } = stack.servers
  const log = createLogger('warn')
  const desk = new Desk({
    url: stack.databaseUrl,
    shard: 0,
    connections: 2,
    statementMs: STATEMENT_MS,
    clock: systemClock,
    log,
  })
  try {
    const transfers = await loadDay(stack)
    const days = new BusinessDays({ config, desk, clock: systemClock, log })
    return await underLoad(stack, transfers, async () => {
      const startedAt = performance.now()
      while (!(await days.run())) request.throwIfAsked()
      return (performance.now() - startedAt) / 1000
    })
  } finally {
    await desk.close()
    await stack.stop()
  }
}

/** A day as the national mix leaves it: transfers without the decisions that they belong to, which closing does not read. @returns how many there are */
async function loadDay({ databaseUrl }: PrivateStack): Promise<number> {
  const client = new Client({ connectionString: databaseUrl, application_name: 'bench close' })
  await client.connect()
  try {
    const day = addDays(cairoDay(systemClock.now()), -1)
    // The first day began when the switch was started: it becomes yesterday, so that its cut-off has passed.
    while ((await client.query('UPDATE business_day SET day = $1 WHERE until IS NULL', [day])).rowCount === 0)
      await sleep(POLL_MS)
    await client.query('ALTER TABLE event_mark DISABLE TRIGGER append_only')
    await client.query(`UPDATE event_mark SET at = at - interval '1 day'`)
    await client.query('ALTER TABLE event_mark ENABLE TRIGGER append_only')
    await client.query(
      `INSERT INTO merchant (id, acceptor_id, name, category, governorate)
       SELECT $1::bigint + n, 'BENCH' || n, 'Outlet ' || n, CASE WHEN n % 7 < 3 THEN '5462' ELSE '5411' END, 1 + n % 27 FROM generate_series(0, $2::bigint - 1) AS n`,
      [FIRST_MERCHANT, options.merchants],
    )
    const events = Math.floor((options.transfers * 5) / TRANSFERS_OF_FIVE_EVENTS)
    let transfers = 0
    for (let from = 0; from < events; from += LOADED_AT_A_TIME) {
      request.throwIfAsked()
      note(`transfers: ${transfers.toLocaleString('en-US')} of ${options.transfers.toLocaleString('en-US')}`)
      const { rowCount } = await client.query(
        `INSERT INTO transfer (purse_id, purse_version, event_number, debit_owner, credit_owner, amount, key_date, shard, ordinal, debit_code, credit_code, unit)
         SELECT e.purse, 1, e.number, CASE WHEN t.debit_code < 2000 THEN 0 ELSE e.purse END, CASE WHEN t.credit_code = 9001 THEN 0 ELSE e.outlet END,
           t.amount, $1, 0, t.ordinal, t.debit_code, t.credit_code, t.unit
         FROM (
           SELECT n, nextval('event_number') AS number, 1 + n % 1000000 AS purse, $2::bigint + (hashint8(n) & 2147483647) % $3::bigint AS outlet
           FROM generate_series($4::bigint, $5::bigint - 1) AS n
         ) e
           JOIN (VALUES
             (0, 1, 2110, 9001, 4, 10), (0, 2, 1210, 2210, 1, 1050), (1, 1, 2110, 9001, 4, 5), (1, 2, 1210, 2210, 1, 525),
             (2, 1, 2110, 9001, 4, 15), (2, 2, 1210, 2210, 1, 1575), (3, 1, 2100, 9001, 2, 4800), (3, 2, 1200, 2200, 1, 4800), (4, 1, 2000, 2220, 1, 7000)
           ) AS t (kind, ordinal, debit_code, credit_code, unit, amount) ON t.kind = e.n % 5`,
        [day, FIRST_MERCHANT, options.merchants, from, Math.min(events, from + LOADED_AT_A_TIME)],
      )
      transfers += rowCount ?? 0
    }
    // The cut looks for the last decision before it.
    await client.query(
      `INSERT INTO "authorization" (requested, approved, decided_at, key_date, shard, mti, kind, key, response_code, event_number)
       VALUES (0, 0, now() - interval '1 day', $1, 0, 0, 9, 'bench|last', '00', nextval('event_number'))`,
      [day],
    )
    note('vacuum')
    await client.query('VACUUM (ANALYZE) transfer')
    await client.query('CHECKPOINT')
    return transfers
  } finally {
    await client.end()
  }
}

async function underLoad(stack: PrivateStack, transfers: number, close: () => Promise<number>): Promise<CloseReport> {
  const { rate, before, after } = options
  const link = stack.servers.config.links.find(({ name }) => name === 'atm')
  if (link === undefined) throw new RangeError('config/sarf.json has no link atm')
  const lasts = 600
  const timeline = new Timeline(before + lasts + after)
  const started = { atMs: Number.POSITIVE_INFINITY }
  const load = new Load({
    host: '127.0.0.1',
    port: stack.portsOf('none')['atm'] ?? 0,
    framing: link.framing,
    spec: messageSpec(link.spec),
    connections: 100,
    inFlight: 16,
    rate,
    seconds: before + lasts + after,
    warmupSeconds: 3,
    mixes: ['national'],
    households: HOUSEHOLDS,
    seed: 1,
    onOutcome: (dueMs, nowMs, code) => {
      if (dueMs >= started.atMs) timeline.add(started.atMs, dueMs, nowMs, code)
    },
  })
  await load.open()
  void request.asked.then(() => load.stop())
  const startedMs = await nextSecond()
  const running = load.run('national')
  await sleep(3000)
  started.atMs = performance.now()
  note('authorizations alone')
  await sleep(before * 1000)
  note('the day is closed')
  const fromSecond = Math.floor((performance.now() - started.atMs) / 1000)
  const seconds = await close()
  const untilSecond = Math.ceil((performance.now() - started.atMs) / 1000)
  note('authorizations alone, afterwards')
  await sleep(after * 1000)
  load.stop()
  await running
  await load.close()
  await stack.stopSwitch()
  const { approvedNotInLedger, inLedgerNotApproved } = await verify(stack.databaseUrl, load.journal, startedMs)
  request.throwIfAsked()
  return {
    transfers,
    outlets: await countOutlets(stack),
    seconds: Math.round(seconds * 10) / 10,
    rate,
    before: timeline.slice(0, fromSecond),
    during: timeline.slice(fromSecond, untilSecond),
    after: timeline.slice(untilSecond, untilSecond + after),
    approvedNotInLedger,
    inLedgerNotApproved,
  }
}

async function countOutlets({ databaseUrl }: PrivateStack): Promise<number> {
  const client = new Client({ connectionString: databaseUrl, application_name: 'bench close' })
  await client.connect()
  try {
    const { rows } = await client.query<{ outlets: number }>(
      `SELECT count(DISTINCT p.merchant_id)::int AS outlets FROM outlet_position p JOIN business_day d USING (shard, day) WHERE d.closed_at IS NOT NULL`,
    )
    return rows[0]?.outlets ?? 0
  } finally {
    await client.end()
  }
}

function reportText(report: CloseReport): string {
  const { transfers, outlets, seconds, rate } = report
  const rows = (['before', 'during', 'after'] as const).map((phase) => {
    const { approved, refused, declined, unanswered, p50, p99, max, seconds: lasted } = report[phase]
    const cells = [phase, lasted, Math.round(approved / Math.max(1, lasted)), refused, declined, unanswered, p50, p99, max]
    return `| ${cells.map(String).join(' | ')} |`
  })
  return [
    `a business day of ${transfers.toLocaleString('en-US')} transfers of ${outlets.toLocaleString('en-US')} outlets was added up and closed in ${String(seconds)} s, at ${String(rate)} messages/s of the national mix`,
    '',
    '| close | seconds | approved/s | 91 | other declines | unanswered | p50 ms | p99 ms | longest ms |',
    '|---|---|---|---|---|---|---|---|---|',
    ...rows,
    '',
    `${String(report.approvedNotInLedger)} approved and not in the ledger, ${String(report.inLedgerNotApproved)} in the ledger and not approved`,
    '',
  ].join('\n')
}

function readOptions(argv: readonly string[]): CloseOptions {
  return new Command('bench:close')
    .description('Close a large business day under load and show what terminals see before, during and after.')
    .option('--transfers <count>', 'transfers of the day', count(1000, 100_000_000), 5_000_000)
    .option('--merchants <count>', 'outlets among which they are spread', count(1, 1_000_000), 70_000)
    .option('--rate <messages>', 'messages a second meanwhile, an open loop', count(1, 100_000), 1000)
    .option('--before <seconds>', 'before the close', count(1, 3600), 20)
    .option('--after <seconds>', 'after it', count(1, 3600), 10)
    .option('--json', 'print one JSON object on stdout and nothing else')
    .addHelpText(
      'after',
      `
Nothing of the day is added up before its end, which is the worst case: a switch adds up as transfers come.

Exit codes: 0; 1 if an approval is missing in the ledger, or one is there that was answered otherwise, or no day was closed; 130 interrupted.`,
    )
    .parse(argv, { from: 'user' })
    .opts<CloseOptions>()
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
  process.stderr.write(`bench: ${text}\n`)
}
