/**
 * `npm start`: the whole stack on one machine. A private Postgres and Redis under `.sarf/` (or the ones that
 * DATABASE_URL and REDIS_URL name), the demo programme, and the switch in this process, or in worker processes of this one.
 */
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { ConfigError, loadConfig, type Config } from '../config.ts'
import { createLogger } from '../log.ts'
import { startSwitch, type RunningSwitch } from '../main.ts'
import { StartFailed } from '../workers/member.ts'
import { Primary } from '../workers/primary.ts'
import { whyNotListen } from './ports.ts'
import { startPostgres } from './postgres.ts'
import { ensureRedis, startRedis } from './redis.ts'
import { noticesFile, runFile, sentFile, standInFolder, stateFolder } from './running.ts'
import { StartError } from './startError.ts'
import { takeStartLock, type StartLock } from './startLock.ts'
import { Interrupted, listenForStop, type StopRequest } from './stopRequest.ts'
import { welcome } from './welcome.ts'

const HELP = `Usage: npm start [-- --fresh] [--workers N]

Starts a private Postgres and Redis under .sarf/, the demo programme and the switch.

  --fresh   forget what is in .sarf/ and start over
  --workers N
            the switch as N processes that share the ports; SIGUSR2 to this one restarts them one after the other
  --help    this text

DATABASE_URL, REDIS_URL   use these servers instead of private ones
SARF_POSTGRES_BIN         directory with initdb and postgres of an installed PostgreSQL 18,
                          for the private one
SARF_PORT_ATM, SARF_PORT_POS, SARF_PORT_GATEWAY, SARF_PORT_SECURE, SARF_PORT_HTTP
                          other ports than 8583, 8584, 8585, 8586 and 8080
SARF_STATE                another folder than .sarf
`

/** Everything, the switch's drain included, has stopped within 10 s; what has not by then is killed. */
const STOP_MS = 9500
/** How long a stop waits for the step of the start that is under way. */
const INTERRUPT_MS = 3000
/** A server that died is started again, but one that cannot live not in a tight loop. */
const RESTART_MS = 1000

/** Something that was started. */
interface Started {
  stop(): Promise<void>
  kill(): void
}

interface Starting {
  readonly fresh: boolean
  /** As the option says it. */
  readonly workers: string | undefined
  readonly folder: string
  readonly request: StopRequest
  /** Private servers, stopped after the switch. */
  readonly servers: Started[]
  drain?: () => Promise<void>
}

const code = await main()
// Everything that matters has been stopped; a stray timer or socket must not keep the process.
process.exit(code)

async function main(): Promise<number> {
  // A closed terminal or pipe is no reason to die before the drain.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined)
  const request = listenForStop()
  let lock: StartLock | undefined
  const starting: Starting = { fresh: false, workers: undefined, folder: stateFolder(), request, servers: [] }
  let code = 0
  try {
    const options = readOptions()
    if (options.help) {
      process.stdout.write(HELP)
      return 0
    }
    lock = await takeStartLock(starting.folder)
    const started = start(Object.assign(starting, { fresh: options.fresh, workers: options.workers }))
    await Promise.race([started, request.asked.then(() => sleep(INTERRUPT_MS))])
    await request.asked
    process.stderr.write('sarf: stopping\n')
  } catch (error) {
    // Ctrl-C in a terminal reaches a worker that is being started too.
    if (!(error instanceof Interrupted) && !(error instanceof StartFailed && request.isAsked())) {
      process.stderr.write(`sarf: ${explain(error)}\n`)
      code = 1
    }
  }
  lock?.stopping()
  const tidy = await stop(starting)
  lock?.release()
  return tidy ? code : 1
}

async function start(starting: Starting): Promise<void> {
  const { folder, request } = starting
  // With stand-ins for what is not known yet: a wrong setting or a port in use is said before anything takes time.
  const standIns = { DATABASE_URL: 'postgres://127.0.0.1', REDIS_URL: 'redis://:none@127.0.0.1' }
  const wanted = loadConfig({ ...standIns, ...process.env }, starting.workers)
  await checkPorts(wanted)
  const given = { databaseUrl: process.env['DATABASE_URL'], redisUrl: process.env['REDIS_URL'] }
  if (starting.fresh && (given.databaseUrl ?? given.redisUrl) !== undefined) {
    throw new StartError('--fresh empties private servers only; unset DATABASE_URL and REDIS_URL, or empty those yourself')
  }
  rmSync(runFile(folder), { force: true })
  if (starting.fresh)
    for (const file of [sentFile(folder), noticesFile(folder), standInFolder(folder)])
      rmSync(file, { force: true, recursive: true })
  if (given.redisUrl === undefined) ensureRedis()
  request.throwIfAsked()
  const databaseUrl = given.databaseUrl ?? (await privatePostgres(starting))
  request.throwIfAsked()
  const redisUrl = given.redisUrl ?? (await privateRedis(starting))
  request.throwIfAsked()
  const servers = { DATABASE_URL: databaseUrl, REDIS_URL: redisUrl }
  const own = { SARF_NOTICE_FILE: noticesFile(folder), SARF_STANDIN_DIRECTORY: standInFolder(folder, given.databaseUrl) }
  const environment = { ...own, ...process.env, ...servers }
  const config = loadConfig(environment, starting.workers)
  const addresses = await (config.workers.count > 1 ? startWorkers(starting, config, environment) : startOne(starting, config))
  // A stop while the first worker starts ends that start without an error.
  request.throwIfAsked()
  const ports = Object.fromEntries(addresses.map(({ name, port }) => [name, port]))
  const record = { pid: process.pid, databaseUrl, redisUrl, ports }
  writeFileSync(runFile(folder), JSON.stringify(record, undefined, 2) + '\n', { mode: 0o600 })
  process.stdout.write(welcome(config, ports))
}

async function startOne(starting: Starting, config: Config): Promise<RunningSwitch['addresses']> {
  const running = await startSwitch(config)
  starting.drain = () => running.drain()
  return running.addresses
}

async function startWorkers(
  starting: Starting,
  config: Config,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<RunningSwitch['addresses']> {
  const program = fileURLToPath(new URL('../main.ts', import.meta.url))
  const primary = new Primary({ program, config, environment, log: createLogger(config.logLevel) })
  starting.drain = () => primary.drain()
  process.on('SIGUSR2', () => void primary.restart())
  await primary.start()
  // The servers run on: what is wrong can be mended, and everything started again.
  void primary.failed.then((error) => process.stderr.write(`sarf: ${error.message}; stop with Ctrl-C\n`))
  return primary.addresses
}

async function privatePostgres({ folder, fresh, servers, request }: Starting): Promise<string> {
  const directory = join(folder, 'postgres')
  const first = await startPostgres({ directory, fresh })
  let current = first
  servers.push({
    stop: () => current.stop(),
    kill: () => {
      current.kill()
    },
  })
  keepRunning('Postgres', first.ended, request, async () => {
    current = await startPostgres({ directory, port: first.port })
    return current
  })
  return first.url
}

async function privateRedis({ folder, servers, request }: Starting): Promise<string> {
  const directory = join(folder, 'redis')
  const first = await startRedis({ directory })
  let current = first
  servers.push({
    stop: () => current.stop(),
    kill: () => {
      current.kill()
    },
  })
  keepRunning('Redis', first.ended, request, async () => {
    current = await startRedis({ directory, port: first.port, password: first.password })
    return current
  })
  return first.url
}

/** Starts a server again when it ends without being asked, on the same port: the switch finds it there by itself. */
function keepRunning(
  name: string,
  ended: Promise<void>,
  request: StopRequest,
  again: () => Promise<{ ended: Promise<void> }>,
): void {
  void ended
    .then(() => sleep(RESTART_MS))
    .then(async () => {
      if (request.isAsked()) return
      process.stderr.write(`sarf: ${name} ended; starting it again\n`)
      const next = await again().catch((error: unknown) => {
        process.stderr.write(`sarf: ${explain(error)}\n`)
        return { ended: Promise.resolve() }
      })
      keepRunning(name, next.ended, request, again)
    })
}

async function checkPorts(config: Config): Promise<void> {
  const http = { name: 'http', port: config.http.port }
  for (const { name, port } of [...config.links, http]) {
    const why = port === 0 ? undefined : await whyNotListen(config.host, port)
    if (why === undefined) continue
    const setting = `SARF_PORT_${name.toUpperCase().replaceAll('-', '_')}`
    if (why === 'EADDRINUSE') throw new StartError(`port ${String(port)} is in use; stop what listens there, or set ${setting}`)
    throw new StartError(`cannot listen on ${config.host}:${String(port)} (${why}); set ${setting} or SARF_HOST`)
  }
}

/** First the switch, which still needs both servers to commit what is in flight. False where something had to be killed. */
async function stop(starting: Starting): Promise<boolean> {
  const late = sleep(STOP_MS, false, { ref: false })
  rmSync(runFile(starting.folder), { force: true })
  const orderly = async (): Promise<boolean> => {
    await starting.drain?.()
    await Promise.all(starting.servers.map((server) => server.stop()))
    return true
  }
  const tidy = await Promise.race([late, orderly()]).catch((error: unknown) => {
    process.stderr.write(`sarf: ${explain(error)}\n`)
    return false
  })
  if (!tidy) for (const server of starting.servers) server.kill()
  return tidy
}

function readOptions(): { fresh: boolean; workers: string | undefined; help: boolean } {
  try {
    const { values } = parseArgs({
      options: { fresh: { type: 'boolean' }, workers: { type: 'string' }, help: { type: 'boolean', short: 'h' } },
    })
    return { fresh: values.fresh ?? false, workers: values.workers, help: values.help ?? false }
  } catch (error) {
    throw new StartError(`${error instanceof Error ? error.message : String(error)}; "npm start -- --help" lists the options`)
  }
}

/** One line for what a person can mend; the whole stack for what only we can. */
function explain(error: unknown): string {
  if (error instanceof StartError || error instanceof ConfigError || error instanceof StartFailed) return error.message
  if (!(error instanceof Error)) return String(error)
  const code = (error as NodeJS.ErrnoException).code
  return code === undefined ? (error.stack ?? error.message) : error.message
}
