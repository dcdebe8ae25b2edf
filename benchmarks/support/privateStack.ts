/**
 * A stack of its own for one run: private servers, and the switch with its default settings and a filled Redis as a process of its own on free
 * ports. Where it is measured how much more it costs to demand more, there is a switch for each, side by side on the same servers, so that both meet
 * the same tables.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Settings } from '../../src/settings.ts'
import { freePort } from '../../src/local/ports.ts'
import { StartError } from '../../src/local/startError.ts'
import { cpuSeconds } from './cpuTime.ts'
import { programmeOf, settingsOf, type ProgrammeFile, type SecurityName } from './security.ts'
import { cleanEnvironment, startPrivateServers, type PrivateServers, type PrivateServersOptions } from './privateServers.ts'

export interface PrivateStackOptions extends PrivateServersOptions {
  /** The switch writes a CPU profile there when it ends. */
  readonly profileDirectory: string | undefined
  /** Each once. */
  readonly securities: readonly SecurityName[]
  /** Processes of each switch; absent: 1. */
  readonly workers?: number
  /** Of the switch, from those of config/sarf.json; absent: those, each read from as fast as it sends. */
  readonly links?: (shipped: Settings['links']) => Settings['links']
  /** Absent: a switch keeps business days by itself. */
  readonly daysEveryMs?: number
  /** Called before a switch is started, with the servers; where it is to find them, if not where they are. */
  readonly addresses?: (servers: PrivateServers) => Promise<ServerAddresses>
}

export interface ServerAddresses {
  readonly databaseUrl: string
  readonly redisUrl: string
  /** Nothing is there: the switch is not waited for until it has filled it. */
  readonly redisAbsent?: true
}

export interface PrivateStack {
  readonly directory: string
  readonly servers: PrivateServers
  readonly databaseUrl: string
  /** Of the switch that demands so much, by the link's name, and `http`. @throws RangeError where it was not started */
  portsOf(security: SecurityName): Readonly<Record<string, number>>
  /** Of the first switch, or of its primary process. */
  readonly switchPid: number | undefined
  /** CPU seconds so far, by part; empty where the system does not say. */
  cpu(): Readonly<Record<string, number>>
  /** Drains every switch; what it had under way is committed or given up then. */
  stopSwitch(): Promise<void>
  stop(): Promise<void>
}

const READY_MS = 300_000
const POLL_MS = 20
/** The switch promises to drain within 10 s. */
const DRAIN_MS = 15_000

/** @throws StartError; nothing is left running or lying about then */
export async function startPrivateStack(options: PrivateStackOptions): Promise<PrivateStack> {
  const servers = await startPrivateServers(options)
  try {
    const { postgres, redis, directory } = servers
    const addresses = (await options.addresses?.(servers)) ?? { databaseUrl: postgres.url, redisUrl: redis.url }
    const switches = new Map<SecurityName, OwnSwitch>()
    const endAll = async (): Promise<void> => {
      await Promise.all([...switches.values()].map(({ child }) => end(child)))
    }
    try {
      for (const security of options.securities) {
        options.onStep(`starting the switch${options.securities.length === 1 ? '' : ` for security ${security}`}`)
        switches.set(security, await startSwitch(servers, addresses, options, security))
      }
    } catch (error) {
      await endAll()
      throw error
    }
    const pids = Object.fromEntries(
      [...switches].map(([security, { child }]) => [switches.size === 1 ? 'switch' : `switch ${security}`, child.pid]),
    )
    return {
      directory,
      servers,
      databaseUrl: postgres.url,
      portsOf: (security) => {
        const own = switches.get(security)
        if (own === undefined) throw new RangeError(`no switch for security ${security}`)
        return own.ports
      },
      switchPid: Object.values(pids)[0],
      cpu: () => cpuSeconds({ ...pids, Postgres: postgres.pid, Redis: redis.pid }),
      stopSwitch: endAll,
      async stop() {
        await endAll()
        await servers.stop()
      },
    }
  } catch (error) {
    await servers.stop()
    throw error
  }
}

interface OwnSwitch {
  readonly child: ChildProcess
  readonly ports: Readonly<Record<string, number>>
}

async function startSwitch(
  { directory }: PrivateServers,
  { databaseUrl, redisUrl, redisAbsent }: ServerAddresses,
  { profileDirectory, workers = 1, daysEveryMs, links = unpaced }: PrivateStackOptions,
  security: SecurityName,
): Promise<OwnSwitch> {
  const shipped = settingsOf(security, readConfig('sarf.json') as Settings)
  const own = { ...shipped, links: links(shipped.links) }
  const ports: Record<string, number> = {}
  for (const name of [...own.links.map((link) => link.name), 'http']) ports[name] = await freePort()
  const settings = Object.entries(ports).map(([name, port]): [string, string] => [portSetting(name), String(port)])
  const profiling = profileDirectory === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileDirectory}`]
  if (profileDirectory !== undefined) mkdirSync(profileDirectory, { recursive: true })
  const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url))
  const logFile = join(directory, `switch-${security}.log`)
  const log = openSync(logFile, 'a')
  const child = spawn(process.execPath, ['--use-largepages=silent', ...profiling, main, '--workers', String(workers)], {
    env: cleanEnvironment({
      ...Object.fromEntries(settings),
      DATABASE_URL: databaseUrl,
      REDIS_URL: redisUrl,
      SARF_CONFIG: settingsWithFilledRedis(directory, security, own, daysEveryMs),
      SARF_PROGRAMME: programmeFile(directory, security),
      SARF_LOG_LEVEL: 'warn',
    }),
    stdio: ['ignore', 'ignore', log],
    // Ctrl-C in a terminal reaches the generator, which ends the switch in its own time.
    detached: true,
  })
  closeSync(log)
  for (let waited = 0; waited < READY_MS; waited += POLL_MS) {
    if (hasEnded(child)) throw new StartError(`the switch does not start: ${lastLine(logFile)}`)
    if (
      (await Promise.all(Object.values(ports).map(listens))).every(Boolean) &&
      (redisAbsent === true || (await isComplete(ports['http'] ?? 0)))
    )
      return { child, ports }
    await sleep(POLL_MS)
  }
  await end(child)
  throw new StartError(`the switch does not listen after ${String(READY_MS / 1000)} s: ${lastLine(logFile)}`)
}

/** A generator's connection stands for very many terminals. */
function unpaced(links: Settings['links']): Settings['links'] {
  return links.map(({ pace: _, ...link }) => link)
}

/**
 * The settings given, but for what the switch demands, and for one: it listens when Redis holds every card. What is measured is a switch at
 * work, not one that was started a moment ago.
 */
function settingsWithFilledRedis(
  directory: string,
  security: SecurityName,
  settings: Settings,
  daysEveryMs: number | undefined,
): string {
  const { settlement } = settings
  const days = { ...settlement.days, everyMs: daysEveryMs ?? settlement.days.everyMs }
  return write(directory, `sarf-${security}.json`, {
    ...settings,
    redis: { ...settings.redis, preloadMs: READY_MS },
    settlement: { ...settlement, days },
  })
}

function programmeFile(directory: string, security: SecurityName): string {
  return write(directory, `programme-${security}.json`, programmeOf(security, readConfig('programme.json') as ProgrammeFile))
}

function readConfig(name: string): unknown {
  return JSON.parse(readFileSync(new URL(`../../config/${name}`, import.meta.url), 'utf8'))
}

function write(directory: string, name: string, content: object): string {
  const file = join(directory, name)
  writeFileSync(file, JSON.stringify(content))
  return file
}

function portSetting(link: string): string {
  return `SARF_PORT_${link.toUpperCase().replaceAll('-', '_')}`
}

function lastLine(file: string): string {
  return readFileSync(file, 'utf8').trim().split('\n').at(-1) ?? ''
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port })
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}

/** Whether nothing of it is still being started: with several workers the first listens before the others. */
async function isComplete(httpPort: number): Promise<boolean> {
  try {
    const answer = await fetch(`http://127.0.0.1:${String(httpPort)}/readyz`)
    return !((await answer.json()) as { readonly degraded: boolean }).degraded
  } catch {
    return false
  }
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null
}

async function end(child: ChildProcess): Promise<void> {
  if (hasEnded(child)) return
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), DRAIN_MS)
  await ended
  clearTimeout(timer)
}
