/** Which servers a command works on: those it was given, those of the environment, or the stack that `npm start` runs here. */
import { loadConfig, type Config } from '../config.ts'
import { runningStack } from '../local/running.ts'
import { UsageError } from './usageError.ts'

export interface GivenServers {
  readonly database?: string
  readonly redis?: string
}

export interface Servers {
  readonly databaseUrl: string
  /** Absent where a database was given without its Redis: some other Redis would say nothing about it. */
  readonly redisUrl: string | undefined
  readonly config: Config
}

/** Nothing was given and nothing runs. The message is the one line that says what to do. */
export class NoStackError extends Error {
  override readonly name = 'NoStackError'
}

/** @throws UsageError, NoStackError, ConfigError */
export function serversOf(given: GivenServers): Servers {
  checkUrl('--database', given.database, /^postgres(ql)?:$/, 'postgres://')
  checkUrl('--redis', given.redis, /^rediss?:$/, 'redis://')
  const { databaseUrl, redisUrl } = urlsOf(given)
  // A stand-in where there is none to ask, of a form that production takes too.
  const environment = { ...process.env, DATABASE_URL: databaseUrl, REDIS_URL: redisUrl ?? 'redis://:none@127.0.0.1' }
  return { databaseUrl, redisUrl, config: loadConfig(environment) }
}

function urlsOf({ database, redis }: GivenServers): { databaseUrl: string; redisUrl: string | undefined } {
  if (database !== undefined) return { databaseUrl: database, redisUrl: redis }
  const { DATABASE_URL: databaseUrl, REDIS_URL: redisUrl } = process.env
  if (databaseUrl !== undefined) return { databaseUrl, redisUrl: redis ?? redisUrl }
  const stack = runningStack()
  if (stack === undefined)
    throw new NoStackError('no switch runs here: start it with npm start, or name its database with --database')
  return { databaseUrl: stack.databaseUrl, redisUrl: redis ?? stack.redisUrl }
}

function checkUrl(option: string, value: string | undefined, scheme: RegExp, example: string): void {
  if (value === undefined || scheme.test(URL.parse(value)?.protocol ?? '')) return
  throw new UsageError(`${option} must be a URL that begins with ${example}`)
}
