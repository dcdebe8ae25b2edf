/** A stack of its own for one run: private servers, and the switch with its default settings and a filled Redis as a process of its own on free ports. */
import { spawn, type ChildProcess } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { freePort } from '../../src/local/ports.ts'
import { StartError } from '../../src/local/startError.ts'
import { cpuSeconds } from './cpuTime.ts'
import { cleanEnvironment, startPrivateServers, type PrivateServers, type PrivateServersOptions } from './privateServers.ts'

export interface PrivateStackOptions extends PrivateServersOptions {
  /** The switch writes a CPU profile there when it ends. */
  readonly profileDirectory: string | undefined
}

export interface PrivateStack {
  readonly directory: string
  readonly databaseUrl: string
  /** By the link's name. */
  readonly ports: Readonly<Record<string, number>>
  /** CPU seconds so far, by part; empty where the system does not say. */
  cpu(): Readonly<Record<string, number>>
  /** Drains the switch; what it had under way is committed or given up then. */
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
    options.onStep('starting the switch')
    const { postgres, redis, directory, config } = servers
    const ports: Record<string, number> = {}
    for (const { name } of config.links) ports[name] = await freePort()
    const child = await startSwitch(servers, options.profileDirectory, ports)
    return {
      directory,
      databaseUrl: postgres.url,
      ports,
      cpu: () => cpuSeconds({ switch: child.pid, Postgres: postgres.pid, Redis: redis.pid }),
      stopSwitch: () => end(child),
      async stop() {
        await end(child)
        await servers.stop()
      },
    }
  } catch (error) {
    await servers.stop()
    throw error
  }
}

async function startSwitch(
  { directory, postgres, redis }: PrivateServers,
  profileDirectory: string | undefined,
  ports: Readonly<Record<string, number>>,
): Promise<ChildProcess> {
  const settings = Object.entries({ ...ports, http: await freePort() }).map(([name, port]): [string, string] => [
    portSetting(name),
    String(port),
  ])
  const profiling = profileDirectory === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileDirectory}`]
  if (profileDirectory !== undefined) mkdirSync(profileDirectory, { recursive: true })
  const logFile = join(directory, 'switch.log')
  const log = openSync(logFile, 'a')
  const child = spawn(process.execPath, [...profiling, fileURLToPath(new URL('../../src/main.ts', import.meta.url))], {
    env: cleanEnvironment({
      ...Object.fromEntries(settings),
      DATABASE_URL: postgres.url,
      REDIS_URL: redis.url,
      SARF_CONFIG: settingsWithFilledRedis(directory),
      SARF_LOG_LEVEL: 'warn',
    }),
    stdio: ['ignore', 'ignore', log],
    // Ctrl-C in a terminal reaches the generator, which ends the switch in its own time.
    detached: true,
  })
  closeSync(log)
  for (let waited = 0; waited < READY_MS; waited += POLL_MS) {
    if (hasEnded(child)) throw new StartError(`the switch does not start: ${lastLine(logFile)}`)
    if ((await Promise.all(Object.values(ports).map(listens))).every(Boolean)) return child
    await sleep(POLL_MS)
  }
  await end(child)
  throw new StartError(`the switch does not listen after ${String(READY_MS / 1000)} s: ${lastLine(logFile)}`)
}

/**
 * The default settings, but for one: the switch listens when Redis holds every card. What is measured is a switch at work, not one that was started
 * a moment ago.
 */
function settingsWithFilledRedis(directory: string): string {
  const settings = JSON.parse(readFileSync(new URL('../../config/sarf.json', import.meta.url), 'utf8')) as {
    readonly redis: Readonly<Record<string, number>>
  }
  const file = join(directory, 'sarf.json')
  writeFileSync(file, JSON.stringify({ ...settings, redis: { ...settings.redis, preloadMs: READY_MS } }))
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
