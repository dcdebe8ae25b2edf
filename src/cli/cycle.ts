/** `sarf cycle open`: opens the households' purses for a month now, as the job of the 1st does. */
import { SingleBar } from 'cli-progress'
import { Command, InvalidArgumentError } from 'commander'
import { cairoDay, systemClock } from '../clock.ts'
import { ConfigError } from '../config.ts'
import { LedgerConnection } from '../ledger/connection.ts'
import { readProgrammeVersions } from '../ledger/programme/versions.ts'
import { programmeOfAll } from '../ledger/programmeRegistry.ts'
import { openAll, type OpenAllResult } from '../ledger/cycles.ts'
import { silentLogger } from '../log.ts'
import { monthOf } from '../purse/entitlement.ts'
import { NoStackError, serversOf, type GivenServers } from './servers.ts'
import { UsageError } from './usageError.ts'

/** Exit codes: 0 all are open, 1 some could not be opened, 2 the command was used wrongly, 3 no connection. */
export function cycleCommand(): Command {
  const command = new Command('cycle').description('The months of the purses of ration and bread.')
  const open = command
    .command('open')
    .description(
      'Open every purse that is behind for the month: close what is left of the month before, issue the entitlement. Safe to run again.',
    )
    .option('--month <YYYY-MM>', 'up to which month, the present one (in Cairo) at most, which is the default', month)
    .option('--database <url>', 'where (default: DATABASE_URL, else that of the running stack)')
    .option('--json', 'print one JSON object')
    .addHelpText('after', '\nExit codes: 0 all are open, 1 some could not be opened, 2 wrong usage, 3 no connection.')
  // Set on this one too: a wrong option of it would exit 1 otherwise.
  open.exitOverride()
  open.action(async (options: OpenOptions) => {
    try {
      const { text, result } = await run(options)
      open.configureOutput().writeOut?.(text)
      process.exitCode = result.behind === 0 ? EXIT_OPEN : EXIT_BEHIND
    } catch (error) {
      if (error instanceof ConfigError || error instanceof UsageError)
        open.error(`error: ${error.message}`, { exitCode: EXIT_USAGE })
      if (!(error instanceof NoConnection || error instanceof NoStackError)) throw error
      open.error(`error: ${error.message}`, { exitCode: EXIT_NO_CONNECTION })
    }
  })
  return command
}

const EXIT_OPEN = 0
const EXIT_BEHIND = 1
const EXIT_USAGE = 2
const EXIT_NO_CONNECTION = 3
const SHARD = 0
const RECONNECT_MS = 1000

interface OpenOptions extends GivenServers {
  readonly month?: string
  readonly json?: true
}

/** There is no ledger to work on, or it went away. What had been done by then is done. */
class NoConnection extends Error {
  override readonly name = 'NoConnection'
}

async function run({ month: given, json, ...servers }: OpenOptions): Promise<{ text: string; result: OpenAllResult }> {
  const { databaseUrl, config } = serversOf(servers)
  const present = monthOf(cairoDay(systemClock.now()))
  const day = given ?? present
  // It would close the present month while it still has days.
  if (day > present) throw new UsageError(`${day.slice(0, 7)} has not begun in Cairo`)
  const startedAt = performance.now()
  const { chunk, statementMs } = config.jobs
  const connection = new LedgerConnection({
    url: databaseUrl,
    statementMs,
    reconnectMs: RECONNECT_MS,
    clock: systemClock,
    log: silentLogger,
    name: 'cycle',
  })
  // Where nobody watches it is silent: cli-progress writes to a terminal only.
  const bar = new SingleBar({
    format: 'opening [{bar}] {percentage}%, {opened} opened, {eta} s left',
    stream: process.stderr,
    clearOnComplete: true,
  })
  try {
    await connection.open()
    if (!connection.up) throw new NoConnection('cannot connect to the database')
    bar.start(1, 0, { opened: 0 })
    const result = await openAll(connection, SHARD, {
      now: () => systemClock.now(),
      day,
      programme: programmeOfAll(config.programme, await readProgrammeVersions(connection)),
      chunk,
      onProgress: ({ opened, looked, lastId }) => {
        bar.setTotal(lastId)
        bar.update(looked, { opened })
      },
    })
    return { result, text: reportText(day.slice(0, 7), result, performance.now() - startedAt, json === true) }
  } catch (error) {
    // The connection says so where it was lost on the way.
    if (error instanceof Error && /^(NotConnected|OutcomeUnknown)$/.test(error.name))
      throw new NoConnection(`the database does not answer any more; run it again: ${error.message}`)
    throw error
  } finally {
    bar.stop()
    await connection.close()
  }
}

function reportText(name: string, { opened, behind }: OpenAllResult, elapsedMs: number, json: boolean): string {
  if (json) return `${JSON.stringify({ month: name, opened, behind, elapsedMs: Math.round(elapsedMs) })}\n`
  const missing = behind === 0 ? '' : `; ${behind.toLocaleString('en-US')} purses could not be opened`
  return `${opened.toLocaleString('en-US')} openings up to ${name} in ${(elapsedMs / 1000).toFixed(1)} s${missing}\n`
}

function month(value: string): string {
  if (!/^20\d\d-(0[1-9]|1[0-2])$/.test(value)) throw new InvalidArgumentError('A month as 2026-12.')
  return `${value}-01`
}
