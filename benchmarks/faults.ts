/** `npm run -s bench:faults`: what terminals see before, during and after a fault of Redis or Postgres. See --help. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Command, InvalidArgumentError } from 'commander'
import { messageSpec } from '../src/iso8583/messageSpec.ts'
import { startRedis } from '../src/local/redis.ts'
import { Interrupted, listenForStop } from '../src/local/stopRequest.ts'
import { verify } from './support/check.ts'
import { explain } from './support/explain.ts'
import { Load } from './support/load.ts'
import { nextSecond } from './support/moment.ts'
import { startPrivateStack, type PrivateStack, type ServerAddresses } from './support/privateStack.ts'
import type { PrivateServers } from './support/privateServers.ts'
import { startSlowProxy, type SlowProxy } from './support/slowProxy.ts'
import { latencyBars, Timeline, type Slice } from './support/timeline.ts'

const EXIT_FAILED = 1
const EXIT_INTERRUPTED = 130
const LINK = 'atm'
const SLOWER_MS = 200
const POLL_MS = 50

/** What can go wrong, in the order in which it is shown. */
const FAULTS = {
  'redis-absent': 'Redis is down from the start; it comes up after the fault',
  'redis-killed': 'kill -9 of Redis under load, started again after the fault',
  'redis-stopped': 'SIGSTOP of Redis: it takes connections and says nothing',
  'postgres-stopped': 'SIGSTOP of all processes of Postgres',
  'both-slow': `every answer of Redis and Postgres takes ${SLOWER_MS} ms longer`,
} as const
type FaultName = keyof typeof FAULTS
const FAULT_NAMES = Object.keys(FAULTS) as FaultName[]
const PHASES = ['before', 'during', 'after'] as const

interface FaultsOptions {
  readonly faults: readonly FaultName[]
  readonly before: number
  readonly during: number
  readonly after: number
  readonly warmup: number
  readonly rate?: number
  readonly connections: number
  readonly inFlight: number
  readonly cards: number
  readonly profile?: true
  readonly json?: true
}

type PhaseName = (typeof PHASES)[number]

interface FaultReport {
  readonly fault: FaultName
  readonly rate: number | null
  readonly phases: Readonly<Record<PhaseName, Slice>>
  readonly bySecond: readonly Slice[]
  /** CPU time of each part, by phase. */
  readonly cpuSeconds: Readonly<Record<PhaseName, Readonly<Record<string, number>>>>
  /** Until the switch used Redis again after it was back; null where it was never gone. */
  readonly backInRedisMs: number | null
  readonly approvedNotInLedger: number
  readonly inLedgerNotApproved: number
}

const options = readOptions(process.argv.slice(2))
const request = listenForStop()
process.exit(await main())

async function main(): Promise<number> {
  try {
    const reports: FaultReport[] = []
    for (const fault of options.faults) {
      request.throwIfAsked()
      note(`${fault}: ${FAULTS[fault]}`)
      reports.push(await bench(fault))
    }
    process.stdout.write(options.json === true ? `${JSON.stringify(reports)}\n` : chart(reports))
    const isWrong = ({ approvedNotInLedger, inLedgerNotApproved }: FaultReport): boolean =>
      approvedNotInLedger + inLedgerNotApproved > 0
    return reports.some(isWrong) ? EXIT_FAILED : 0
  } catch (error) {
    if (error instanceof Interrupted) return EXIT_INTERRUPTED
    note(explain(error))
    return EXIT_FAILED
  }
}

/** A fault has servers of its own: what one leaves behind is not the next one's. */
async function bench(fault: FaultName): Promise<FaultReport> {
  const proxies: SlowProxy[] = []
  const stack = await startPrivateStack({
    households: options.cards,
    keep: false,
    onStep: (text) => {
      request.throwIfAsked()
      note(text)
    },
    profileDirectory: options.profile === true ? join(process.cwd(), 'profile') : undefined,
    securities: ['none'],
    addresses: (servers) => addressesFor(fault, servers, proxies),
  })
  const ends: (() => Promise<void>)[] = []
  try {
    const { before, during, after, warmup } = options
    const timeline = new Timeline(before + during + after)
    const started = { atMs: Number.POSITIVE_INFINITY }
    const load = new Load({
      ...loadOptions(stack),
      onOutcome: (dueMs, nowMs, code) => {
        if (dueMs >= started.atMs) timeline.add(started.atMs, dueMs, nowMs, code)
      },
    })
    await load.open()
    void request.asked.then(() => load.stop())
    const startedMs = await nextSecond()
    const running = load.run('purchase')
    await sleep(warmup * 1000)
    started.atMs = performance.now()
    const cpu = [allCpu(stack)]
    await sleep(before * 1000)
    cpu.push(allCpu(stack))
    const mend = await begin(fault, stack, proxies, ends)
    await sleep(during * 1000)
    cpu.push(allCpu(stack))
    await mend()
    const mendedMs = performance.now()
    const back = fault === 'postgres-stopped' || fault === 'both-slow' ? undefined : backInRedis(stack, mendedMs)
    await running
    cpu.push(allCpu(stack))
    const backInRedisMs = (await back) ?? null
    await load.close()
    await stack.stopSwitch()
    const { approvedNotInLedger, inLedgerNotApproved } = await verify(stack.databaseUrl, load.journal, startedMs)
    request.throwIfAsked()
    return {
      fault,
      rate: options.rate ?? null,
      phases: {
        before: timeline.slice(0, before),
        during: timeline.slice(before, before + during),
        after: timeline.slice(before + during, before + during + after),
      },
      bySecond: timeline.slices(),
      cpuSeconds: { before: between(cpu, 0), during: between(cpu, 1), after: between(cpu, 2) },
      backInRedisMs,
      approvedNotInLedger,
      inLedgerNotApproved,
    }
  } finally {
    await stack.stop()
    for (const proxy of proxies) proxy.close()
    for (const end of ends) await end()
  }
}

type Cpu = Readonly<Record<string, number>>

/** Redis is another process when it was started again. */
function allCpu(stack: PrivateStack): Cpu {
  const { user, system } = process.cpuUsage()
  return { generator: (user + system) / 1_000_000, ...stack.cpu() }
}

function between(cpu: readonly Cpu[], phase: number): Cpu {
  const [from = {}, to = {}] = [cpu[phase], cpu[phase + 1]]
  return Object.fromEntries(Object.entries(to).map(([name, seconds]) => [name, Math.max(0, seconds - (from[name] ?? 0))]))
}

async function addressesFor(
  fault: FaultName,
  { postgres, redis }: PrivateServers,
  proxies: SlowProxy[],
): Promise<ServerAddresses> {
  if (fault === 'redis-absent') {
    await redis.stop()
    return { databaseUrl: postgres.url, redisUrl: redis.url, redisAbsent: true }
  }
  if (fault !== 'both-slow') return { databaseUrl: postgres.url, redisUrl: redis.url }
  const [database, hot] = [await startSlowProxy(postgres.url), await startSlowProxy(redis.url)]
  proxies.push(database, hot)
  return { databaseUrl: database.url, redisUrl: hot.url }
}

/** @returns what ends the fault */
async function begin(
  fault: FaultName,
  { servers: { directory, postgres, redis } }: PrivateStack,
  proxies: readonly SlowProxy[],
  ends: (() => Promise<void>)[],
): Promise<() => Promise<void>> {
  const restart = async (): Promise<void> => {
    const { port, password } = redis
    const restarted = await startRedis({ directory: join(directory, 'redis'), port, password })
    ends.push(() => restarted.stop())
  }
  const stop = (pids: () => readonly number[]): (() => Promise<void>) => {
    signal(pids(), 'SIGSTOP')
    return () => {
      signal(pids(), 'SIGCONT')
      return Promise.resolve()
    }
  }
  switch (fault) {
    case 'redis-absent':
      return restart
    case 'redis-killed':
      redis.kill()
      await redis.ended
      return restart
    case 'redis-stopped':
      return stop(() => [redis.pid])
    case 'postgres-stopped':
      return stop(() => [postgres.pid, ...childrenOf(postgres.pid)])
    case 'both-slow':
      for (const proxy of proxies) proxy.delay(SLOWER_MS)
      return () => {
        for (const proxy of proxies) proxy.delay(0)
        return Promise.resolve()
      }
  }
}

function signal(pids: readonly number[], name: 'SIGSTOP' | 'SIGCONT'): void {
  for (const pid of pids) {
    try {
      process.kill(pid, name)
    } catch {
      // It has ended meanwhile.
    }
  }
}

/** From Linux's /proc (proc_pid_stat(5)): field 4 is the parent. */
function childrenOf(parent: number): number[] {
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name)) return []
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'latin1')
      return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) === parent ? [Number(name)] : []
    } catch {
      return []
    }
  })
}

/** Milliseconds until the switch says that it uses Redis. */
async function backInRedis(stack: PrivateStack, mendedMs: number): Promise<number> {
  const address = `http://127.0.0.1:${String(stack.portsOf('none')['http'])}/readyz`
  for (;;) {
    request.throwIfAsked()
    const ready = (await (await fetch(address)).json()) as { parts?: { redis?: { up?: boolean } } }
    if (ready.parts?.redis?.up === true) return Math.round(performance.now() - mendedMs)
    await sleep(POLL_MS)
  }
}

function loadOptions(stack: PrivateStack) {
  const { connections, inFlight, rate, before, during, after, warmup, cards } = options
  const link = stack.servers.config.links.find(({ name }) => name === LINK)
  if (link === undefined) throw new RangeError(`config/sarf.json has no link ${LINK}`)
  return {
    host: '127.0.0.1',
    port: stack.portsOf('none')[LINK] ?? 0,
    framing: link.framing,
    spec: messageSpec(link.spec),
    connections,
    inFlight,
    rate,
    seconds: before + during + after,
    warmupSeconds: warmup,
    mixes: ['purchase' as const],
    households: cards,
    seed: 1,
  }
}

function chart(reports: readonly FaultReport[]): string {
  const { before, during, after, rate } = options
  const load = rate === undefined ? 'closed loop' : `open loop, ${String(rate)} messages/s`
  const rows = reports.flatMap(({ fault, phases, cpuSeconds, backInRedisMs }) =>
    PHASES.map((phase) => {
      const slice = phases[phase]
      const aSecond = (count: number): string => String(Math.round(count / Math.max(1, slice.seconds)))
      const back = phase === 'after' && backInRedisMs !== null ? `${String(backInRedisMs)} ms` : ''
      const { approved, refused, declined, unanswered, p50, p99, max } = slice
      const seconds = Object.values(cpuSeconds[phase]).reduce((sum, part) => sum + part, 0)
      const cpu = approved === 0 ? '' : `${String(Math.round((seconds * 1_000_000) / approved))} us`
      const first = phase === 'before' ? fault : ''
      const cells = [first, phase, aSecond(approved), refused, declined, unanswered, p50, p99, max, cpu, back]
      return `| ${cells.map(String).join(' | ')} |`
    }),
  )
  const width = Math.max(...reports.map(({ fault }) => fault.length))
  const bars = reports.map(({ fault, bySecond }) => {
    const text = latencyBars(bySecond)
    const [one, two] = [text.slice(0, before), text.slice(before, before + during)]
    return `${fault.padEnd(width)}  ${one} | ${two} | ${text.slice(before + during)}`
  })
  return [
    `${load}, ${String(options.connections)} connections; ${String(before)} s before, ${String(during)} s fault, ${String(after)} s after`,
    '',
    '| Fault | | approved/s | 91 | other declines | unanswered | p50 ms | p99 ms | longest ms | CPU of all parts, an approval | Redis used again after |',
    '|---|---|---|---|---|---|---|---|---|---|---|',
    ...rows,
    '',
    'p99 of what was answered, second by second: ▁ up to 5 ms, each step twice as much, █ more than 320 ms; . nothing was answered',
    '',
    '```',
    ...bars,
    '```',
    '',
  ].join('\n')
}

function readOptions(argv: readonly string[]): FaultsOptions {
  const command = new Command('bench:faults')
    .description('Break Redis or Postgres under load and show what terminals see before, during and after.')
    .option('--faults <names>', 'which, with commas, see below', faults, FAULT_NAMES)
    .option('--before <seconds>', 'before the fault', count(1, 3600), 5)
    .option('--during <seconds>', 'how long it lasts', count(1, 3600), 10)
    .option('--after <seconds>', 'after it', count(1, 3600), 10)
    .option('--warmup <seconds>', 'load before all that, which is not shown', count(0, 3600), 3)
    .option('--rate <messages>', 'open loop: so many messages a second; absent: closed loop', count(1, 1_000_000))
    .option('--connections <count>', 'TCP connections, each a terminal', count(1, 10_000), 64)
    .option('--in-flight <count>', 'messages in flight a connection (open loop: at most)', count(1, 10_000))
    .option('--cards <count>', 'households in the programme', count(1000, 100_000_000), 20_000)
    .option('--profile', 'write a CPU profile of the switch into profile/ (.cpuprofile)')
    .option('--json', 'print one JSON array on stdout and nothing else')
    .addHelpText(
      'after',
      `
Faults:
${FAULT_NAMES.map((name) => `  ${name.padEnd(17)} ${FAULTS[name]}`).join('\n')}

An answer counts for the second in which it came, with the time since its message was due; a message that is never answered for the
second in which it was due. In a closed loop an unanswered message keeps its place in flight.

Exit codes: 0; 1 if an approval is missing in the ledger, or one is there that was answered otherwise; 130 interrupted.`,
    )
  const raw = command.parse(argv, { from: 'user' }).opts<Omit<FaultsOptions, 'inFlight'> & { readonly inFlight?: number }>()
  return { ...raw, inFlight: raw.inFlight ?? (raw.rate === undefined ? 4 : 64) }
}

function faults(value: string): FaultName[] {
  return value.split(',').map((name) => {
    const known = FAULT_NAMES.find((candidate) => candidate === name)
    if (known === undefined) throw new InvalidArgumentError(`There are ${FAULT_NAMES.join(', ')}.`)
    return known
  })
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
  process.stderr.write(`bench: ${text}\n`)
}
