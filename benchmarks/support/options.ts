/** The command line of the load generator. */
import { availableParallelism } from 'node:os'
import { Command, InvalidArgumentError, Option } from 'commander'
import { SPEC_NAMES, type SpecName } from '../../src/iso8583/messageSpec.ts'
import { FIRST_PLAIN_HOUSEHOLD } from '../../src/programme/demo.ts'
import { MIX_NAMES, MIXES, type MixName } from './mix.ts'
import { SECURITY, SECURITY_NAMES, type SecurityName } from './security.ts'

export interface BenchOptions {
  readonly connections: number
  readonly inFlight: number
  /** Undefined: closed loop. */
  readonly rate: number | undefined
  readonly seconds: number
  readonly warmup: number
  /** One or several, which then take turns. */
  readonly mix: readonly MixName[]
  /** One or several, which then take turns as mixes do; undefined where it was not asked for: none. */
  readonly security: readonly SecurityName[] | undefined
  readonly rounds: number
  readonly spec: SpecName
  readonly cards: number
  readonly seed: number
  readonly workers: number
  readonly target: { readonly host: string; readonly port: number } | undefined
  readonly database: string | undefined
  readonly json: boolean
  readonly profile: boolean
  readonly keep: boolean
  readonly pgbench: boolean
}

const IN_FLIGHT_CLOSED = 16
const IN_FLIGHT_OPEN = 64
const WORKERS_MAX = 64
const CARDS_PRIVATE = 100_000
/** What `npm start` seeds. */
const CARDS_TARGET = 1000

interface RawOptions extends Omit<BenchOptions, 'inFlight' | 'cards' | 'security' | 'workers'> {
  readonly security?: readonly SecurityName[]
  readonly inFlight?: number
  readonly workers?: number
  readonly cards?: number
}

/** Ends the process where --help was asked for or an option is wrong. */
export function readOptions(argv: readonly string[]): BenchOptions {
  const command = new Command('bench')
    .description('Load the switch over TCP, measure it, and check its answers against the ledger.')
    .option('--connections <count>', 'TCP connections, each a terminal', count(1, 10_000), 64)
    .option(
      '--in-flight <count>',
      `messages in flight a connection; closed loop: always so many (default: ${IN_FLIGHT_CLOSED}), open loop: at most so many (default: ${IN_FLIGHT_OPEN})`,
      count(1, 10_000),
    )
    .option('--rate <messages>', 'open loop: so many messages a second, due at even intervals', count(1, 1_000_000))
    .option('--seconds <seconds>', 'measured time', count(1, 86_400), 10)
    .option('--warmup <seconds>', 'load before it, which is checked but not counted', count(0, 3600), 10)
    .option('--mix <names>', 'what is sent, see below; several with commas take turns, for comparison', mixes, ['purchase'])
    .option(
      '--security <names>',
      'what messages show of card and holder, see below; several take turns (default: none)',
      securities,
    )
    .option('--rounds <count>', 'how often each has its turn', count(1, 1000), 1)
    .addOption(new Option('--spec <name>', 'dialect; it also picks the link').choices(SPEC_NAMES).default('ascii'))
    .option('--cards <count>', `households in the programme (default: ${CARDS_PRIVATE}, with --target ${CARDS_TARGET})`, cards)
    .option('--seed <number>', 'of the random choice of cards and amounts', count(0, 2_147_483_647), 1)
    .option('--workers <count>', 'processes of the switch (default: one a core)', count(1, WORKERS_MAX))
    .option('--target <host:port>', 'a switch that runs already, instead of a stack of its own', target)
    .option('--database <url>', 'with --target: its Postgres, for the check against the ledger')
    .option('--json', 'print one JSON object on stdout and nothing else', false)
    .option('--profile', 'write CPU profiles of the processes of the switch (.cpuprofile)', false)
    .option('--keep', "keep the stack's directory", false)
    .option('--pgbench', 'run stock pgbench (TPC-B) on the same Postgres before and after, and print the ratio', false)
    .addHelpText('after', explanations())
  const raw = command.parse(argv, { from: 'user' }).opts<RawOptions>()
  if (raw.target !== undefined && (raw.pgbench || raw.profile || raw.keep)) {
    command.error('error: --pgbench, --profile and --keep are for a stack of its own, not for --target')
  }
  if (raw.target === undefined && raw.database !== undefined) command.error('error: --database is for --target')
  if (raw.target !== undefined && raw.security?.includes('full') === true) {
    command.error(
      'error: --security full is for a stack of its own: counters of chips begin at 1, and a switch has to demand MACs',
    )
  }
  return {
    ...raw,
    security: raw.security,
    rate: raw.rate,
    target: raw.target,
    database: raw.database,
    inFlight: raw.inFlight ?? (raw.rate === undefined ? IN_FLIGHT_CLOSED : IN_FLIGHT_OPEN),
    workers: raw.workers ?? Math.min(WORKERS_MAX, availableParallelism()),
    cards: raw.cards ?? (raw.target === undefined ? CARDS_PRIVATE : CARDS_TARGET),
  }
}

function explanations(): string {
  return `
Mixes:
${MIX_NAMES.map((name) => `  ${name.padEnd(11)} ${MIXES[name].explanation}`).join('\n')}

Security:
${SECURITY_NAMES.map((name) => `  ${name.padEnd(11)} ${SECURITY[name].explanation}`).join('\n')}
  With full all messages but those that follow others are made before the clock starts, MACs included. Where they have all been
  sent before the time is over, the measured time ends there, which is said. MAC and cryptogram of one answer in a hundred are checked;
  one that does not fit is an error. Several securities are switches side by side on the same Postgres and Redis.

Figures:
  A message belongs to the measured time by when it was due: in a closed loop when it was sent, in an open loop when the rate
  asked for it, sent or not. sent = approved + declined + errors. An error is a message without an answer; it counts in the
  latency with the time that was waited, and keeps its place in flight. tps and approvedTps are of the answers that came
  within the measured time.
  verified.approvedNotInLedger   approvals the client saw that the ledger does not hold exactly so: key, code, purse, amount
                                 and a transfer of it
  verified.inLedgerNotApproved   approvals in the ledger, of these terminals and since the start, that the client saw
                                 answered otherwise or did not ask for
  Both are over all runs, warm-up included; null where the ledger cannot be read.
  A repeat counts like any message, but not in approvedTps: it approves nothing new. Its answer must be the first one, byte for
  byte, else it is an error too.
  Several mixes, securities or rounds: a run each, the order turned round from round to round, and what the mean rates of each are
  of the first one's.

Exit codes: 0; 1 if a verified count is not 0, a repeat had another answer or nothing was approved; 130 interrupted.`
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

function securities(value: string): SecurityName[] {
  const names = value.split(',').map((name) => {
    const known = SECURITY_NAMES.find((candidate) => candidate === name)
    if (known === undefined) throw new InvalidArgumentError(`There are ${SECURITY_NAMES.join(', ')}.`)
    return known
  })
  return [...new Set(names)]
}

function mixes(value: string): MixName[] {
  return value.split(',').map((name) => {
    const known = MIX_NAMES.find((candidate) => candidate === name)
    if (known === undefined) throw new InvalidArgumentError(`There are ${MIX_NAMES.join(', ')}.`)
    return known
  })
}

function cards(value: string): number {
  return count(FIRST_PLAIN_HOUSEHOLD, 100_000_000)(value)
}

function target(value: string): { host: string; port: number } {
  const [, host, port] = /^(.+):(\d{1,5})$/.exec(value) ?? []
  if (host === undefined || Number(port) > 65535) throw new InvalidArgumentError('Host and port: 127.0.0.1:8583.')
  return { host: host.replace(/^\[(.*)\]$/, '$1'), port: Number(port) }
}
