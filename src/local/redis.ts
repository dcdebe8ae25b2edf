/**
 * A private Redis (or Valkey, its fork): the server from PATH on 127.0.0.1, with a password and without the system's
 * configuration file.
 *
 *   <directory>/server.json   pid, port and password of the last start
 *   <directory>/redis.log
 *
 * It keeps nothing on disk: a Redis that was started again is another epoch of the hot state, and what it held is
 * loaded from the ledger as it is needed.
 */
import { spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { delimiter, join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { ask, freePort } from './ports.ts'
import { commandLine, endProcess, signalProcess } from './process.ts'
import { StartError } from './startError.ts'

const SERVERS = ['redis-server', 'valkey-server']
const POLL_MS = 20
const READY_MS = 30_000
const STOP_MS = 5000
const ATTEMPTS = 5

export interface RedisOptions {
  readonly directory: string
  /** Absent: any free one. */
  readonly port?: number
  /** Absent: made up for this start. A server that is started again in another's place needs the same. */
  readonly password?: string
}

export interface Redis {
  readonly url: string
  readonly port: number
  readonly password: string
  readonly pid: number
  /** Settles when the server has ended, whoever ended it. */
  readonly ended: Promise<void>
  stop(): Promise<void>
  /** SIGKILL. */
  kill(): void
}

/**
 * Starts a Redis, ending a server that an earlier start left running there.
 *
 * @throws StartError
 */
export async function startRedis(options: RedisOptions): Promise<Redis> {
  const binary = ensureRedis()
  const directory = resolve(options.directory)
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  await endLeftover(directory)
  const password = options.password ?? randomBytes(18).toString('base64url')
  for (let attempt = 1; ; attempt++) {
    const port = options.port ?? (await freePort())
    const started = await launch(binary, directory, port, password)
    if (typeof started !== 'string') return started
    // A free port can be taken under our eyes.
    if (options.port !== undefined || !/in use/i.test(started) || attempt === ATTEMPTS) {
      throw new StartError(`Redis does not start: ${started} (${join(directory, 'redis.log')})`)
    }
  }
}

/**
 * The server's binary. Where it is missing and we are root on Debian or Ubuntu, it is installed.
 *
 * @throws StartError
 */
export function ensureRedis(): string {
  const present = onPath(SERVERS)
  if (present !== undefined) return present
  if (process.getuid?.() === 0 && onPath(['apt-get']) !== undefined) installWithApt()
  const installed = onPath(SERVERS)
  if (installed !== undefined) return installed
  throw new StartError(
    'Redis is missing: install redis-server or valkey-server (Debian, Ubuntu: "sudo apt-get install redis-server"; ' +
      'macOS: "brew install redis"), or set REDIS_URL',
  )
}

function installWithApt(): void {
  process.stderr.write('sarf: installing redis-server (apt-get), once\n')
  // Debian starts a service as soon as it is installed, unless this file says no (/usr/share/doc/init-system-helpers/README.policy-rc.d.gz).
  const policy = '/usr/sbin/policy-rc.d'
  const ours = !existsSync(policy)
  if (ours) writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 })
  try {
    const wait = ['-o', 'DPkg::Lock::Timeout=300']
    apt(['update', ...wait])
    apt(['install', '-y', '--no-install-recommends', ...wait, 'redis-server'])
  } finally {
    if (ours) rmSync(policy, { force: true })
  }
  // Nor at the next boot; where there is no systemd, there is nothing to switch off.
  spawnSync('systemctl', ['disable', 'redis-server'], { stdio: 'ignore' })
}

function apt(args: readonly string[]): void {
  // Its output goes to stderr: stdout belongs to the script that runs.
  spawnSync('apt-get', args, { stdio: ['ignore', 2, 2], env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } })
}

function onPath(names: readonly string[]): string | undefined {
  const folders = (process.env['PATH'] ?? '').split(delimiter)
  return names.flatMap((name) => folders.map((folder) => join(folder, name))).find((file) => existsSync(file))
}

/** Starts the server and waits until it answers; otherwise the reason it gave in its log. */
async function launch(binary: string, directory: string, port: number, password: string): Promise<Redis | string> {
  const logFile = join(directory, 'redis.log')
  const log = openSync(logFile, 'a')
  const logStart = readFileSync(logFile).length
  // The configuration comes by stdin ("-"): a password among the arguments would show in every process list.
  const child = spawn(binary, ['-'], { cwd: directory, stdio: ['pipe', log, log], detached: true })
  closeSync(log)
  const ended = new Promise<void>((done) => {
    child.once('exit', () => {
      done()
    })
    child.once('error', () => {
      done()
    })
  })
  child.stdin?.on('error', () => undefined)
  child.stdin?.end(configuration(directory, port, password))
  const pid = child.pid
  if (pid === undefined) return `cannot run ${binary}`
  writeFileSync(join(directory, 'server.json'), JSON.stringify({ pid, port, password }), { mode: 0o600 })
  for (let waited = 0; waited < READY_MS; waited += POLL_MS) {
    if (child.exitCode !== null || child.signalCode !== null)
      return reasonIn(readFileSync(logFile).subarray(logStart).toString('utf8'))
    if (await answers(port, password)) return server(pid, port, password, ended)
    await sleep(POLL_MS)
  }
  signalProcess(pid, 'SIGKILL')
  return `not ready after ${String(READY_MS / 1000)} s`
}

function server(pid: number, port: number, password: string, ended: Promise<void>): Redis {
  return {
    url: `redis://:${password}@127.0.0.1:${String(port)}`,
    port,
    password,
    pid,
    ended,
    async stop() {
      signalProcess(pid, 'SIGTERM')
      const patience = new AbortController()
      const late = sleep(STOP_MS, 'late', { signal: patience.signal }).catch(() => 'ended')
      // Redis is never the truth: what a killed one forgets is loaded from the ledger again.
      if ((await Promise.race([ended, late])) === 'late') signalProcess(pid, 'SIGKILL')
      patience.abort()
      await ended
    },
    kill() {
      signalProcess(pid, 'SIGKILL')
    },
  }
}

function configuration(directory: string, port: number, password: string): string {
  return [
    'bind 127.0.0.1',
    `port ${String(port)}`,
    `requirepass ${password}`,
    `dir ${JSON.stringify(directory)}`,
    'daemonize no',
    'save ""',
    'appendonly no',
    'maxmemory-policy noeviction',
    '',
  ].join('\n')
}

/** Loading and wrong passwords are errors in RESP, `-`; a server that is ready answers the second command with PONG. */
async function answers(port: number, password: string): Promise<boolean> {
  const answer = await ask(port, `AUTH ${password}\r\nPING\r\n`, (text) => text.split('\r\n').length > 2, 1000)
  return answer?.startsWith('+OK\r\n+PONG') ?? false
}

function reasonIn(log: string): string {
  const lines = log.trim().split('\n')
  const reason = lines.find((line) => /Could not create|error|fatal|in use|Bad file/i.test(line)) ?? lines.at(-1) ?? ''
  return reason.replace(/^.*? [#*] /, '')
}

interface ServerRecord {
  readonly pid: number
  readonly port: number
}

async function endLeftover(directory: string): Promise<void> {
  const record = serverRecord(join(directory, 'server.json'))
  if (record === undefined) return
  // The server writes its address into its command line: "redis-server 127.0.0.1:6379".
  const command = commandLine(record.pid)
  if (command === undefined || !/(redis|valkey)/.test(command) || !command.includes(`:${String(record.port)}`)) return
  if (!(await endProcess(record.pid, ['SIGTERM', 'SIGKILL'], STOP_MS))) {
    throw new StartError(`an earlier Redis (process ${String(record.pid)}) does not end; end it by hand`)
  }
}

function serverRecord(file: string): ServerRecord | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as ServerRecord
  } catch {
    return undefined
  }
}
