/** A connection to Redis that mends itself, as the hot state uses it: a port, so that the same code also runs on a simulated Redis. */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { Redis } from 'ioredis'
import { errorText } from '../log.ts'

/** A script by its source, and the name that Redis knows it by once it was loaded. */
export interface RedisScript {
  readonly source: string
  readonly sha: string
}

export interface RedisLink {
  /** Connected, and the server has loaded what it holds. */
  readonly ready: boolean
  /** The first attempt; whatever comes of it, the link goes on trying. @throws where there is no server yet */
  connect(): Promise<void>
  close(): Promise<void>
  /** Ends the connection and makes another; what was not answered fails. */
  reconnect(): void
  mget(keys: readonly string[]): Promise<(string | null)[]>
  getBuffer(key: string): Promise<Buffer | null>
  /** A page of a hash: where the next begins ('0': nowhere), then fields and values by turns. */
  scanHash(key: string, cursor: string, count: number): Promise<{ readonly next: string; readonly entries: Buffer[] }>
  load(script: RedisScript): Promise<void>
  /** @throws with NOSCRIPT in its text where the server has not loaded it */
  evaluate(script: RedisScript, keys: readonly string[], args: readonly string[]): Promise<unknown>
  info(): Promise<string>
}

export interface RedisLinkOptions {
  readonly url: string
  /** How long a call or an attempt to connect may take. */
  readonly callMs: number
  readonly reconnectMs: number
  readonly onReady: () => void
  readonly onClose: () => void
  readonly onError: (text: string) => void
}

export type OpenRedisLink = (options: RedisLinkOptions) => RedisLink

export const openRedisLink: OpenRedisLink = ({ url, callMs, reconnectMs, onReady, onClose, onError }) => {
  const redis = new Redis(url, {
    lazyConnect: true,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    enableReadyCheck: true,
    commandTimeout: callMs,
    connectTimeout: callMs,
    // One that does not answer does not say goodbye either.
    disconnectTimeout: callMs,
    retryStrategy: () => reconnectMs,
  })
  redis.on('ready', onReady)
  redis.on('close', onClose)
  redis.on('error', (error: Error) => {
    onError(errorText(error))
  })
  return {
    get ready() {
      return redis.status === 'ready'
    },
    connect: () => redis.connect(),
    close: async () => {
      await redis.quit().catch(() => {
        redis.disconnect()
      })
    },
    reconnect: () => {
      redis.disconnect(true)
    },
    mget: (keys) => redis.mget([...keys]),
    getBuffer: (key) => redis.getBuffer(key),
    scanHash: async (key, cursor, count) => {
      const [next, entries] = await redis.hscanBuffer(key, cursor, 'COUNT', count)
      return { next: next.toString(), entries }
    },
    load: async ({ source }) => {
      await redis.script('LOAD', source)
    },
    evaluate: ({ sha }, keys, args) => redis.evalsha(sha, keys.length, ...keys, ...args),
    info: () => redis.info(),
  }
}

/** @param file beside this one */
export function redisScript(file: string): RedisScript {
  const source = readFileSync(new URL(file, import.meta.url), 'utf8')
  return { source, sha: createHash('sha1').update(source).digest('hex') }
}
