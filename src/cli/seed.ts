/** `sarf seed`: makes a programme of a given size in an empty database. */
import { SingleBar } from 'cli-progress'
import { Command, InvalidArgumentError } from 'commander'
import { ConfigError } from '../config.ts'
import { registerChart } from '../ledger/chart.ts'
import { migrate } from '../ledger/migrate.ts'
import { seedProgramme, seedRows } from '../programme/seed.ts'
import { NoStackError, serversOf, type GivenServers } from './servers.ts'
import { UsageError } from './usageError.ts'

/** Exit codes: 0 made, 1 the database has a programme already, 2 the command was used wrongly, 3 no connection. */
export function seedCommand(): Command {
  const command = new Command('seed')
    .description(
      'Make a programme: households with members, cards and purses, merchants, terminals, regions, opening balances. Deterministic.',
    )
    .requiredOption('--households <number>', `how many, 1 to ${HOUSEHOLDS_MAX.toLocaleString('en-US')}`, households)
    .option('--database <url>', 'where (default: DATABASE_URL, else that of the running stack); it must have no households')
    .addHelpText('after', '\nExit codes: 0 made, 1 there are households already, 2 wrong usage, 3 no connection.')
  command.action(async (options: SeedCommandOptions) => {
    try {
      const line = await seed(options)
      const output = command.configureOutput()
      if (line !== undefined) {
        output.writeOut?.(`${line}\n`)
        return
      }
      // Not by command.error: commander's own errors carry this code too, and mean wrong usage.
      output.writeErr?.(`error: ${FULL}\n`)
      process.exitCode = EXIT_FULL
    } catch (error) {
      if (error instanceof ConfigError || error instanceof UsageError)
        command.error(`error: ${error.message}`, { exitCode: EXIT_USAGE })
      const reason = error instanceof NoStackError ? error.message : connectionReason(error)
      if (reason === undefined) throw error
      command.error(`error: ${reason}`, { exitCode: EXIT_NO_CONNECTION })
    }
  })
  return command
}

const FULL = 'this database has households already; name an empty one with --database, or start over with npm start -- --fresh'
const EXIT_FULL = 1
const EXIT_USAGE = 2
const EXIT_NO_CONNECTION = 3
/** Some more than a country's; the demo card numbers would reach further. */
const HOUSEHOLDS_MAX = 30_000_000

interface SeedCommandOptions extends GivenServers {
  readonly households: number
}

/** @returns the line to print; undefined where there are households already */
async function seed({ households, ...given }: SeedCommandOptions): Promise<string | undefined> {
  const { databaseUrl, config } = serversOf(given)
  const startedMs = performance.now()
  await migrate(databaseUrl)
  await registerChart(databaseUrl, config.programme)
  // Where nobody watches it is silent: cli-progress writes to a terminal only.
  const bar = new SingleBar({
    format: 'seeding [{bar}] {percentage}% {value}/{total} rows, {eta} s left',
    stream: process.stderr,
    clearOnComplete: true,
  })
  const { lookupKey, programme, security } = config
  const onRows = (count: number): void => bar.increment(count)
  const seeding = { households, lookupKey, nowMs: Date.now(), programme, security, onRows }
  bar.start(seedRows(seeding), 0)
  try {
    if (!(await seedProgramme(databaseUrl, seeding))) return undefined
  } finally {
    bar.stop()
  }
  return `${households.toLocaleString('en-US')} households seeded in ${((performance.now() - startedMs) / 1000).toFixed(1)} s`
}

/** What the driver says where it found nobody to talk to; undefined for an error of another kind. */
function connectionReason(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return undefined
  // Node.js: ECONNREFUSED, ENOTFOUND and the like. PostgreSQL manual, appendix A: 28 who are you, 3D000 no such database, 57P03 starting up.
  if (!/^(E[A-Z]+|28...|3D000|57P03)$/.test(error.code)) return undefined
  return `cannot connect to the database: ${error.message === '' ? error.code : error.message}`
}

function households(value: string): number {
  const number = Number(value)
  if (!/^\d+$/.test(value) || number < 1 || number > HOUSEHOLDS_MAX) {
    throw new InvalidArgumentError(`A whole number from 1 to ${HOUSEHOLDS_MAX.toLocaleString('en-US')}.`)
  }
  return number
}
