/** `npm run -s bench:http`: purchases over HTTP, as ISO 8583 messages and as JSON, checked against the ledger afterwards. See --help. */
import { Command, InvalidArgumentError } from 'commander'
import { Interrupted, listenForStop } from '../src/local/stopRequest.ts'
import { StartError } from '../src/local/startError.ts'
import { driveRoute, verifyJournal, type Journal, type RouteFigures } from './support/httpLoad.ts'
import { isoRoute, jsonRoute } from './support/httpRoutes.ts'
import { startHttpStack } from './support/httpStack.ts'

interface Options {
  readonly seconds: number
  readonly connections: number
  readonly pipelining: number
  readonly households: number
  readonly target?: string
  readonly database?: string
  readonly json: boolean
}

interface Report {
  readonly routes: readonly RouteFigures[]
  /** Null where the ledger cannot be read. */
  readonly verified: { readonly approvedNotInLedger: number | null; readonly inLedgerNotApproved: number | null }
}

const EXIT_FAILED = 1
const EXIT_INTERRUPTED = 130

const options = readOptions()
const request = listenForStop()
process.exit(await main())

async function main(): Promise<number> {
  try {
    const report = options.target === undefined ? await benchPrivate() : await benchTarget(options.target)
    process.stdout.write(options.json ? `${JSON.stringify(report)}\n` : table(report))
    const { approvedNotInLedger, inLedgerNotApproved } = report.verified
    const wrong = (approvedNotInLedger ?? 0) + (inLedgerNotApproved ?? 0)
    return wrong === 0 && report.routes.every((route) => route.approved > 0) ? 0 : EXIT_FAILED
  } catch (error) {
    if (error instanceof Interrupted) return EXIT_INTERRUPTED
    note(error instanceof StartError ? error.message : error instanceof Error ? (error.stack ?? error.message) : String(error))
    return EXIT_FAILED
  }
}

async function benchPrivate(): Promise<Report> {
  const stack = await startHttpStack(options.households, (text) => {
    request.throwIfAsked()
    note(text)
  })
  try {
    return await bench(stack.url, stack.databaseUrl, () => stack.stopSwitch())
  } finally {
    await stack.stop()
  }
}

async function benchTarget(url: string): Promise<Report> {
  if (options.database === undefined) note('not verified against the ledger: --database is not given')
  return await bench(url, options.database, () => Promise.resolve())
}

async function bench(url: string, databaseUrl: string | undefined, settle: () => Promise<void>): Promise<Report> {
  const startedMs = Date.now()
  const journal: Journal = new Map()
  const routes: RouteFigures[] = []
  for (const route of [isoRoute, jsonRoute(startedMs.toString(36))]) {
    request.throwIfAsked()
    note(`${route.name}, ${String(options.seconds)} s`)
    routes.push(await driveRoute(route, { ...options, url }, journal))
  }
  await settle()
  if (databaseUrl === undefined) return { routes, verified: { approvedNotInLedger: null, inLedgerNotApproved: null } }
  const { unanswered, ...verified } = await verifyJournal(databaseUrl, journal, startedMs)
  if (unanswered > 0) note(`approved in the ledger, in flight when the time was over: ${String(unanswered)}`)
  return { routes, verified }
}

function table({ routes, verified }: Report): string {
  const { approvedNotInLedger, inLedgerNotApproved } = verified
  const lines = routes.flatMap(({ route, seconds, connections, latencyMs: ms, responseCodes, ...figures }) => [
    `${route}, ${String(connections)} connections with ${String(options.pipelining)} in flight, ${String(seconds)} s`,
    `  requests   ${String(figures.sent)} sent: ${String(figures.approved)} approved, ${String(figures.declined)} declined, ${String(figures.errors)} errors`,
    `  codes      ${Object.entries(responseCodes)
      .map(([code, count]) => `${code}: ${String(count)}`)
      .join(', ')}`,
    `  rate       ${String(figures.tps)} answers/s, ${String(figures.approvedTps)} approved/s`,
    `  latency    p50 ${String(ms.p50)} ms, p90 ${String(ms.p90)}, p99 ${String(ms.p99)}, p99.9 ${String(ms.p999)}, max ${String(ms.max)}`,
  ])
  const check =
    approvedNotInLedger === null
      ? 'not verified: the ledger cannot be read from here; give --database'
      : `verified: ${String(approvedNotInLedger)} approved and not in the ledger, ${String(inLedgerNotApproved)} in the ledger and not approved`
  return [...lines, check, ''].join('\n')
}

function readOptions(): Options {
  return new Command('bench:http')
    .description('Load POST /iso8583 and then POST /v1/authorizations with purchases, and check the answers against the ledger.')
    .option('--seconds <seconds>', 'measured time, for each route', count(1, 86_400), 10)
    .option('--connections <count>', 'HTTP connections', count(1, 10_000), 64)
    .option('--pipelining <count>', 'requests in flight on a connection', count(1, 1000), 1)
    .option(
      '--households <count>',
      'households in the programme; with --target at most as many as it has',
      count(100, 100_000_000),
      20_000,
    )
    .option('--target <url>', 'a switch that runs already, instead of a stack of its own: http://127.0.0.1:8080')
    .option('--database <url>', 'with --target: its Postgres, for the check against the ledger')
    .option('--json', 'print one JSON object on stdout and nothing else', false)
    .addHelpText(
      'after',
      `
A closed loop: a connection sends its next request when an answer came. An error is an answer that is no decision (a status other
than 200), a connection that broke, or no answer within 10 s.

Exit codes: 0; 1 if the ledger and the answers disagree or nothing was approved; 130 interrupted.`,
    )
    .parse()
    .opts<Options>()
}

function count(least: number, most: number): (value: string) => number {
  return (value) => {
    const number = Number(value)
    if (!/^\d+$/.test(value) || number < least || number > most) {
      throw new InvalidArgumentError(`A whole number from ${String(least)} to ${String(most)}.`)
    }
    return number
  }
}

/** On stderr: stdout belongs to the report. */
function note(text: string): void {
  process.stderr.write(`bench:http: ${text}\n`)
}
