/** `npm run -s bench:hostile`: what honest terminals notice of peers that mean no good. See --help. */
import { fork } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Command, InvalidArgumentError } from 'commander'
import { messageSpec } from '../src/iso8583/messageSpec.ts'
import type { Settings } from '../src/settings.ts'
import { Interrupted, listenForStop } from '../src/local/stopRequest.ts'
import { verify } from './support/check.ts'
import { explain } from './support/explain.ts'
import type { HostileCounts, HostilePlan } from './support/hostilePeers.ts'
import { Load } from './support/load.ts'
import { nextSecond } from './support/moment.ts'
import { startPrivateStack, type PrivateStack } from './support/privateStack.ts'
import { percentileMs } from './support/report.ts'

const HOUSEHOLDS = 20_000
const HONEST = 100
const SETTLE_MS = 1000
const EXIT_FAILED = 1
const EXIT_INTERRUPTED = 130
/** The link of the honest ones, with its pace as shipped and one of all its connections together; and one that is read from as fast as it sends. */
const [PACED, UNPACED] = ['atm', 'unpaced']
const LINK_PACE = { messagesPerSecondMax: 1500, messagesBurstMax: 300 }

interface TurnPlan extends Omit<HostilePlan, 'port' | 'households'> {
  readonly link: string
}

const none = { link: PACED, idle: 0, slow: 0, floods: 0, broken: 0 }
/** Who is there besides the honest terminals, turn by turn. */
const TURNS: Readonly<Record<string, TurnPlan | undefined>> = {
  'nobody else': undefined,
  '1,000 idle, 200 slow': { ...none, idle: 1000, slow: 200 },
  '40 broken, again and again': { ...none, broken: 40 },
  '8 floods of purchases, no pace': { ...none, link: UNPACED, floods: 8 },
  '8 floods of purchases': { ...none, floods: 8 },
  '200 floods, no pace': { ...none, link: UNPACED, floods: 200 },
  '200 floods': { ...none, floods: 200 },
  'all of them, no pace': { link: UNPACED, idle: 1000, slow: 200, floods: 8, broken: 40 },
  'all of them': { link: PACED, idle: 1000, slow: 200, floods: 8, broken: 40 },
  'nobody else, afterwards': undefined,
}

interface HostileOptions {
  readonly rate: number
  readonly seconds: number
  readonly workers: number
  readonly json: boolean
}

interface TurnResult {
  readonly turn: string
  readonly answered: number
  readonly errors: number
  readonly p50: number
  readonly p99: number
  readonly max: number
  readonly cutOff: number
  readonly floodAnswers: number
  readonly switchMegabytes: number | null
}

const options = readOptions(process.argv.slice(2))
const request = listenForStop()
process.exit(await main())

async function main(): Promise<number> {
  try {
    const { results, wrong } = await measure()
    process.stdout.write(options.json ? `${JSON.stringify(results)}\n` : table(results))
    if (wrong > 0) note(`answers that differ from the ledger: ${String(wrong)}`)
    return wrong > 0 || results.some(({ errors }) => errors > 0) ? EXIT_FAILED : 0
  } catch (error) {
    if (error instanceof Interrupted) return EXIT_INTERRUPTED
    note(explain(error))
    return EXIT_FAILED
  }
}

async function measure(): Promise<{ readonly results: readonly TurnResult[]; readonly wrong: number }> {
  const stack = await startPrivateStack({
    households: HOUSEHOLDS,
    keep: false,
    onStep: note,
    profileDirectory: undefined,
    securities: ['none'],
    workers: options.workers,
    links: hostileLinks,
  })
  try {
    const port = stack.portsOf('none')[PACED] ?? 0
    const load = new Load({
      host: '127.0.0.1',
      port,
      framing: 'length2',
      spec: messageSpec('ascii'),
      connections: HONEST,
      inFlight: 4,
      rate: options.rate,
      seconds: options.seconds,
      warmupSeconds: 2,
      mixes: ['purchase'],
      households: HOUSEHOLDS,
      seed: 1,
    })
    await load.open()
    const startedMs = await nextSecond()
    const results: TurnResult[] = []
    for (const [turn, peers] of Object.entries(TURNS)) {
      request.throwIfAsked()
      note(turn)
      results.push(await runTurn(load, stack, turn, peers))
    }
    await load.close()
    await stack.stopSwitch()
    const { approvedNotInLedger, inLedgerNotApproved } = await verify(stack.databaseUrl, load.journal, startedMs)
    return { results, wrong: approvedNotInLedger + inLedgerNotApproved }
  } finally {
    await stack.stop()
  }
}

function hostileLinks(shipped: Settings['links']): Settings['links'] {
  const honest = shipped.find(({ name }) => name === PACED)
  if (honest === undefined) throw new RangeError(`config/sarf.json has no link ${PACED}`)
  const { pace, ...bare } = honest
  return [
    { ...bare, pace: { ...pace, link: LINK_PACE } },
    { ...bare, name: UNPACED },
  ]
}

async function runTurn(load: Load, stack: PrivateStack, turn: string, turnPlan: TurnPlan | undefined): Promise<TurnResult> {
  const program = fileURLToPath(new URL('support/hostilePeers.ts', import.meta.url))
  const port = turnPlan === undefined ? undefined : stack.portsOf('none')[turnPlan.link]
  const plan: HostilePlan | undefined =
    turnPlan === undefined || port === undefined ? undefined : { ...turnPlan, port, households: HOUSEHOLDS }
  const peers = plan === undefined ? undefined : fork(program, [JSON.stringify(plan)], { stdio: 'inherit' })
  let counts: HostileCounts = { opened: 0, cutOff: 0, messages: 0, answers: 0 }
  peers?.on('message', (said: HostileCounts) => (counts = said))
  if (peers !== undefined) await sleep(SETTLE_MS)
  await load.prepare('purchase')
  const measurement = await load.run('purchase')
  const switchMegabytes = megabytesOf(stack.switchPid)
  peers?.disconnect()
  if (peers !== undefined) await sleep(SETTLE_MS)
  return {
    turn,
    answered: measurement.approved + measurement.declined,
    errors: measurement.errors,
    p50: percentileMs(measurement.latency, 50),
    p99: percentileMs(measurement.latency, 99),
    max: percentileMs(measurement.latency, 100),
    cutOff: counts.cutOff,
    floodAnswers: counts.answers,
    switchMegabytes,
  }
}

/** Resident memory; null where the system does not say. */
function megabytesOf(pid: number | undefined): number | null {
  try {
    const kilobytes = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${String(pid)}/status`, 'utf8'))?.[1]
    return kilobytes === undefined ? null : Math.round(Number(kilobytes) / 1024)
  } catch {
    return null
  }
}

function table(results: readonly TurnResult[]): string {
  const rows = results.map(
    (row) =>
      `| ${row.turn} | ${String(row.answered)} | ${String(row.errors)} | ${String(row.p50)} ms | ${String(row.p99)} ms | ${String(row.max)} ms | ` +
      `${String(row.cutOff)} | ${String(row.floodAnswers)} | ${row.switchMegabytes === null ? '?' : `${String(row.switchMegabytes)} MB`} |`,
  )
  const heads = ['besides', 'answered', 'errors', 'p50', 'p99', 'max', 'cut off', 'answers to floods', 'memory of the switch']
  return [`| ${heads.join(' | ')} |`, `|${'---|'.repeat(heads.length)}`, ...rows, ''].join('\n')
}

function readOptions(argv: readonly string[]): HostileOptions {
  return new Command('bench:hostile')
    .description(
      `${String(HONEST)} honest terminals buy at an even rate while others are idle, write slowly, send noise or flood the switch, and what they notice of it.`,
    )
    .option('--rate <messages>', 'of all honest terminals, a second', count(100_000), 500)
    .option('--seconds <seconds>', 'measured time of each turn', count(3600), 8)
    .option('--workers <count>', 'processes of the switch', count(64), 1)
    .option('--json', 'print one JSON array on stdout and nothing else', false)
    .parse(argv, { from: 'user' })
    .opts<HostileOptions>()
}

function count(most: number): (value: string) => number {
  return (value) => {
    const number = Number(value)
    if (!/^\d+$/.test(value) || number < 1 || number > most)
      throw new InvalidArgumentError(`A whole number from 1 to ${String(most)}.`)
    return number
  }
}

/** On stderr: stdout belongs to the table. */
function note(text: string): void {
  process.stderr.write(`bench: ${text}\n`)
}
