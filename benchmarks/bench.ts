/** `npm run -s bench`: the load generator. See --help. */
import { join } from 'node:path'
import { tmpdir } from 'node:os'
import { loadConfig } from '../src/config.ts'
import type { LinkConfig } from '../src/settings.ts'
import { messageSpec } from '../src/iso8583/messageSpec.ts'
import { StartError } from '../src/local/startError.ts'
import { Interrupted, listenForStop, type StopRequest } from '../src/local/stopRequest.ts'
import { verify, type Verification } from './support/check.ts'
import { explain } from './support/explain.ts'
import { liveLine } from './support/liveLine.ts'
import { Load } from './support/load.ts'
import type { Measurement } from './support/measurement.ts'
import { nextSecond } from './support/moment.ts'
import { readOptions, type BenchOptions } from './support/options.ts'
import { runPgbench } from './support/pgbench.ts'
import { startPrivateStack, type PrivateStack } from './support/privateStack.ts'
import type { MixName } from './support/mix.ts'
import type { SecurityName } from './support/security.ts'
import { comparisonOf, comparisonText, reportOf, reportText, type BenchReport } from './support/report.ts'

const EXIT_FAILED = 1
const EXIT_INTERRUPTED = 130

const options = readOptions(process.argv.slice(2))
const request = listenForStop()
process.exit(await main())

async function main(): Promise<number> {
  try {
    const { reports, repeatsDifferent } =
      options.target === undefined ? await benchPrivate(options) : await benchTarget(options, options.target)
    process.stdout.write(textOf(reports, options.json))
    const isWrong = ({ approved, verified }: BenchReport): boolean =>
      approved === 0 || (verified.approvedNotInLedger ?? 0) + (verified.inLedgerNotApproved ?? 0) > 0
    return repeatsDifferent > 0 || reports.some(isWrong) ? EXIT_FAILED : 0
  } catch (error) {
    if (error instanceof Interrupted) return EXIT_INTERRUPTED
    note(explain(error))
    return EXIT_FAILED
  }
}

/** One run is an object of its own, as it was before there were several. */
function textOf(reports: readonly BenchReport[], json: boolean): string {
  const [only] = reports
  if (reports.length === 1 && only !== undefined) return json ? `${JSON.stringify(only)}\n` : reportText(only)
  const comparison = comparisonOf(reports)
  return json ? `${JSON.stringify(comparison)}\n` : comparisonText(comparison)
}

interface Outcome {
  readonly reports: readonly BenchReport[]
  readonly repeatsDifferent: number
}

async function benchPrivate(options: BenchOptions): Promise<Outcome> {
  const profileDirectory = options.profile ? join(tmpdir(), `sarf-profile-${String(process.pid)}`) : undefined
  const stack = await startPrivateStack({
    households: options.cards,
    keep: options.keep,
    onStep: (text) => {
      request.throwIfAsked()
      note(text)
    },
    profileDirectory,
    securities: securitiesOf(options),
    workers: options.workers,
  })
  try {
    const before = options.pgbench ? await pgbench(stack, request) : undefined
    const link = linkOf(options)
    const ports = Object.fromEntries(securitiesOf(options).map((security) => [security, stack.portsOf(security)[link.name] ?? 0]))
    const load = new Load({ ...loadOptions(options, link), host: '127.0.0.1', port: 0, ports })
    const { startedMs, runs } = await runAll(load, options, stack)
    await stack.stopSwitch()
    const outcome = outcomeOf(options, runs, await check(stack.databaseUrl, load, startedMs))
    if (before !== undefined) {
      const after = await pgbench(stack, request)
      for (const report of outcome.reports) compare(report, before, after)
    }
    return outcome
  } finally {
    await stack.stop()
    if (profileDirectory !== undefined) note(`CPU profiles of the switch: ${profileDirectory}`)
    if (options.keep) note(`kept: ${stack.directory}`)
  }
}

async function benchTarget(options: BenchOptions, target: { host: string; port: number }): Promise<Outcome> {
  const load = new Load({ ...loadOptions(options, linkOf(options)), ...target })
  const { startedMs, runs } = await runAll(load, options, undefined)
  const verification = options.database === undefined ? undefined : await check(options.database, load, startedMs)
  if (verification === undefined) note('not verified against the ledger: --database is not given')
  return outcomeOf(options, runs, verification)
}

interface Turn {
  readonly mix: MixName
  readonly security: SecurityName
}

interface Run extends Turn {
  readonly measurement: Measurement
}

function outcomeOf(options: BenchOptions, runs: readonly Run[], verification: Verification | undefined): Outcome {
  const repeatsDifferent = runs.reduce((sum, { measurement }) => sum + measurement.repeatsDifferent, 0)
  if (repeatsDifferent > 0) note(`repeats that had another answer than the first time: ${String(repeatsDifferent)}`)
  return {
    reports: runs.map(({ mix, security, measurement }) => {
      const named = { mix, security: options.security === undefined ? undefined : security }
      return reportOf(options, named, measurement, verification)
    }),
    repeatsDifferent,
  }
}

/** Every mix with every security in each round, forwards and backwards in turn, so that what changes meanwhile meets all of them. */
async function runAll(
  load: Load,
  options: BenchOptions,
  stack: PrivateStack | undefined,
): Promise<{ startedMs: number; runs: readonly Run[] }> {
  request.throwIfAsked()
  await load.open()
  void request.asked.then(() => load.stop())
  note(`${String(options.warmup)} s warm-up, then ${String(options.seconds)} s`)
  const startedMs = stack === undefined ? await nextSecond() : Date.now()
  const runs: Run[] = []
  const turns = options.mix.flatMap((mix) => securitiesOf(options).map((security): Turn => ({ mix, security })))
  for (let round = 0; round < options.rounds; round++) {
    for (const turn of round % 2 === 0 ? turns : turns.toReversed()) {
      if (turns.length * options.rounds > 1) note(`mix ${turn.mix}, security ${turn.security}`)
      runs.push({ ...turn, measurement: await run(load, turn, stack) })
    }
  }
  await load.close()
  if (load.answersChecked > 0)
    note(`MAC and cryptogram of ${String(load.answersChecked)} answers checked, ${String(load.answersWrong)} wrong`)
  if (load.connectionsLost > 0) note(`connections lost: ${String(load.connectionsLost)}`)
  for (const [what, rounds] of load.roundsBegunAgain)
    note(`${what}: all households were asked for ${String(rounds)} times and some again; expect declines, or take more cards`)
  return { startedMs, runs }
}

async function run(load: Load, { mix, security }: Turn, stack: PrivateStack | undefined): Promise<Measurement> {
  await load.prepare(mix, security)
  const startedMs = performance.now()
  const own = process.cpuUsage()
  const before = stack?.cpu() ?? {}
  const stopLive = process.stderr.isTTY ? liveLine(load) : undefined
  const measurement = await load.run(mix, security)
  stopLive?.()
  const seconds = (performance.now() - startedMs) / 1000
  const { user, system } = process.cpuUsage(own)
  const after = stack?.cpu() ?? {}
  const parts = Object.entries(after).map(([name, value]): [string, number] => [name, value - (before[name] ?? 0)])
  const shares = [['generator', (user + system) / 1_000_000] as const, ...parts]
  const each = (value: number): string =>
    measurement.answersInAll === 0 ? '' : ` (${((value * 1_000_000) / measurement.answersInAll).toFixed(0)} us a message)`
  note(
    `CPU in ${seconds.toFixed(1)} s: ${shares.map(([name, value]) => `${name} ${value.toFixed(1)} s${each(value)}`).join(', ')}`,
  )
  request.throwIfAsked()
  if (load.ranOut)
    note(`all messages that were made before have been sent: the measured time ends after ${measurement.seconds.toFixed(1)} s`)
  const early = measurement.errorsInAll - measurement.errors
  if (early > 0) note(`errors in the warm-up, not counted: ${String(early)}`)
  return measurement
}

async function check(databaseUrl: string, load: Load, startedMs: number): Promise<Verification> {
  const startedAt = performance.now()
  const verification = await verify(databaseUrl, load.journal, startedMs)
  note(`ledger read and compared in ${((performance.now() - startedAt) / 1000).toFixed(1)} s`)
  if (verification.unanswered > 0) note(`approved in the ledger, answer never received: ${String(verification.unanswered)}`)
  return verification
}

async function pgbench(stack: PrivateStack, request: StopRequest): Promise<number> {
  request.throwIfAsked()
  note('pgbench TPC-B, 10 s')
  const tps = await runPgbench(stack.databaseUrl)
  note(`pgbench: ${tps.toFixed(0)} transactions/s`)
  return tps
}

function compare(report: BenchReport, before: number, after: number): void {
  const mean = (before + after) / 2
  note(
    `${report.mix}: ${report.approvedTps.toFixed(0)} approved/s are ${(report.approvedTps / mean).toFixed(2)} times pgbench's ${mean.toFixed(0)} ` +
      `(before ${before.toFixed(0)}, after ${after.toFixed(0)})`,
  )
}

function loadOptions(options: BenchOptions, link: LinkConfig) {
  return {
    framing: link.framing,
    spec: messageSpec(options.spec),
    connections: options.connections,
    inFlight: options.inFlight,
    rate: options.rate,
    seconds: options.seconds,
    warmupSeconds: options.warmup,
    mixes: options.mix,
    households: options.cards,
    seed: options.seed,
    securities: securitiesOf(options),
    onPrepared: preparedNote(),
  }
}

function securitiesOf({ security = ['none'] }: BenchOptions): readonly SecurityName[] {
  return security
}

/** Says so every tenth of the way. */
function preparedNote(): (done: number, all: number) => void {
  let said = 0
  return (done, all) => {
    const tenth = Math.floor((done * 10) / all)
    if (tenth !== said && done < all) note(`messages made: ${String(done)} of ${String(all)}`)
    said = tenth
  }
}

/** The first link of the configuration that speaks the dialect. */
function linkOf(options: BenchOptions): LinkConfig {
  const { links } = loadConfig({ DATABASE_URL: 'postgres://127.0.0.1', REDIS_URL: 'redis://127.0.0.1' })
  const link = links.find((candidate) => candidate.spec === options.spec)
  if (link === undefined) throw new StartError(`no link of config/sarf.json speaks ${options.spec}`)
  return link
}

/** On stderr: stdout belongs to the report. */
function note(text: string): void {
  process.stderr.write(`bench: ${text}\n`)
}
