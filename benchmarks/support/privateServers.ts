/**
 * Postgres and Redis of one run alone, as `npm start` runs them (every commit is on disk before it is answered), with a programme of
 * the wanted size, in a directory that is removed afterwards.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadConfig, type Config } from '../../src/config.ts'
import { migrate } from '../../src/ledger/migrate.ts'
import { startPostgres, type Postgres } from '../../src/local/postgres.ts'
import { startRedis, type Redis } from '../../src/local/redis.ts'
import { seedProgramme } from '../../src/programme/seed.ts'

export interface PrivateServersOptions {
  readonly households: number
  readonly keep: boolean
  readonly onStep: (text: string) => void
}

export interface PrivateServers {
  readonly directory: string
  readonly postgres: Postgres
  readonly redis: Redis
  /** The settings that a switch on these servers has: the defaults of config/. */
  readonly config: Config
  stop(): Promise<void>
}

/** What the person's own shell has set up for another switch is none of this one's business. */
const FOREIGN = /^(DATABASE_URL|REDIS_URL|NODE_ENV|NODE_OPTIONS|SARF_.*)$/

/** The environment of this process without what belongs to another switch, and with `own`. */
export function cleanEnvironment(own: Readonly<Record<string, string>>): Record<string, string | undefined> {
  return { ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !FOREIGN.test(name))), ...own }
}

/** @throws StartError; nothing is left running or lying about then */
export async function startPrivateServers(options: PrivateServersOptions): Promise<PrivateServers> {
  const { households, keep, onStep } = options
  const directory = mkdtempSync(join(tmpdir(), 'sarf-bench-'))
  const stopping: (() => Promise<void>)[] = []
  const stop = async (): Promise<void> => {
    await Promise.all(stopping.map((stopOne) => stopOne()))
    if (!keep) rmSync(directory, { recursive: true, force: true })
  }
  try {
    onStep('starting Postgres and Redis')
    const { postgres, redis } = await startBoth(directory, stopping)
    onStep(postgres.build)
    const config = loadConfig(cleanEnvironment({ DATABASE_URL: postgres.url, REDIS_URL: redis.url }))
    onStep(`seeding ${String(households)} households`)
    await migrate(postgres.url)
    await seedProgramme(postgres.url, {
      households,
      lookupKey: config.lookupKey,
      nowMs: Date.now(),
      programme: config.programme,
      security: config.security,
    })
    return { directory, postgres, redis, config, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

async function startBoth(directory: string, stopping: (() => Promise<void>)[]): Promise<{ postgres: Postgres; redis: Redis }> {
  const [postgres, redis] = await Promise.allSettled([
    startPostgres({ directory: join(directory, 'postgres') }),
    startRedis({ directory: join(directory, 'redis') }),
  ])
  for (const server of [postgres, redis]) if (server.status === 'fulfilled') stopping.push(() => server.value.stop())
  if (postgres.status === 'rejected') throw postgres.reason
  if (redis.status === 'rejected') throw redis.reason
  return { postgres: postgres.value, redis: redis.value }
}
