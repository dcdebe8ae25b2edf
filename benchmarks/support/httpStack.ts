/**
 * A stack of its own for a run over HTTP: Postgres and Redis as `npm start` runs them, a programme of the wanted size, and the switch as
 * `npm start` starts it, in a process of its own; on free ports, in a directory that is removed.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { loadConfig } from '../../src/config.ts'
import { migrate } from '../../src/ledger/migrate.ts'
import { startPostgres } from '../../src/local/postgres.ts'
import { startRedis } from '../../src/local/redis.ts'
import { runningStack } from '../../src/local/running.ts'
import { StartError } from '../../src/local/startError.ts'
import { seedProgramme } from '../../src/programme/seed.ts'

export interface HttpStack {
  readonly url: string
  readonly databaseUrl: string
  /** Drains the switch: afterwards the ledger holds all that it will hold. */
  stopSwitch(): Promise<void>
  stop(): Promise<void>
}

const START = fileURLToPath(new URL('../../src/local/start.ts', import.meta.url))
const READY_MS = 60_000
const POLL_MS = 20
/** What the person's own shell has set up for another switch is none of this one's business. */
const FOREIGN = /^(DATABASE_URL|REDIS_URL|NODE_ENV|NODE_OPTIONS|SARF_.*)$/

/** @throws StartError; nothing is left running or lying about then */
export async function startHttpStack(households: number, onStep: (text: string) => void): Promise<HttpStack> {
  const directory = mkdtempSync(join(tmpdir(), 'sarf-bench-http-'))
  const stopping: (() => Promise<void>)[] = []
  const stop = async (): Promise<void> => {
    for (const part of stopping.splice(0).toReversed()) await part()
    rmSync(directory, { recursive: true, force: true })
  }
  try {
    onStep('starting Postgres and Redis')
    const postgres = await startPostgres({ directory: join(directory, 'postgres') })
    stopping.push(() => postgres.stop())
    onStep(postgres.build)
    const redis = await startRedis({ directory: join(directory, 'redis') })
    stopping.push(() => redis.stop())
    const servers = { DATABASE_URL: postgres.url, REDIS_URL: redis.url }
    onStep(`seeding ${String(households)} households`)
    await migrate(postgres.url)
    const { lookupKey, links, programme, security } = loadConfig(servers)
    await seedProgramme(postgres.url, { households, lookupKey, nowMs: Date.now(), programme, security })
    onStep('starting the switch')
    const child = startSwitch({
      ...servers,
      ...anyPorts([...links.map((link) => link.name), 'http']),
      SARF_STATE: directory,
      SARF_LOG_LEVEL: 'warn',
    })
    const stopSwitch = (): Promise<void> => end(child)
    stopping.push(stopSwitch)
    const url = `http://127.0.0.1:${String(await httpPort(child, directory))}`
    return { url, databaseUrl: postgres.url, stopSwitch, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

function anyPorts(names: readonly string[]): Record<string, string> {
  return Object.fromEntries(names.map((name): [string, string] => [`SARF_PORT_${name.toUpperCase().replaceAll('-', '_')}`, '0']))
}

function startSwitch(own: Readonly<Record<string, string>>): ChildProcess {
  const kept = Object.entries(process.env).filter(([name]) => !FOREIGN.test(name))
  return spawn(process.execPath, ['--use-largepages=silent', START], {
    env: { ...Object.fromEntries(kept), ...own },
    stdio: ['ignore', 'ignore', 'inherit'],
    // Ctrl-C in a terminal reaches the generator, which ends the switch in its own time.
    detached: true,
  })
}

async function httpPort(child: ChildProcess, directory: string): Promise<number> {
  for (let waited = 0; waited < READY_MS && child.exitCode === null && child.signalCode === null; waited += POLL_MS) {
    const port = runningStack(directory)?.ports['http']
    if (port !== undefined) return port
    await sleep(POLL_MS)
  }
  throw new StartError('the switch does not start')
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill('SIGTERM')
  await ended
}
