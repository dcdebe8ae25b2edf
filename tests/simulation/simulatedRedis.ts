/** A Redis that can be asked over a network that fails: links that mend themselves, on the simulated Redis. */
import { redisScript, type OpenRedisLink, type RedisLink, type RedisLinkOptions } from '../../src/decision/redisLink.ts'
import type { FakeRedis } from './fakeRedis.ts'
import type { Random } from './random.ts'
import { PACES, type Traps, type Weather } from './weather.ts'
import type { Life, World } from './world.ts'

export interface RedisParts {
  readonly world: World
  readonly redis: FakeRedis
  readonly weather: Weather
  readonly traps: Traps
  /** Something was set aside or settled: in which Redis, and of which purses. */
  readonly onReserve: (runId: string, purseKeys: readonly string[]) => void
  /** Stand-in has decided: the arguments of its script, and what it answered. */
  readonly onRemember: (args: readonly string[], results: readonly (number | string)[]) => void
}

const RESERVE = redisScript('reserve.lua').sha
const STAND_IN = redisScript('standIn.lua').sha
const JOURNALS = redisScript('standInJournals.lua').sha
const SNAPSHOT_EVERY_MS = 500
const SNAPSHOTS_MAX = 20

export class SimulatedRedis {
  readonly #parts: RedisParts
  readonly #links = new Set<SimulatedLink>()
  readonly #snapshots: { readonly atMs: number; readonly contents: ReturnType<FakeRedis['snapshot']> }[] = []
  /** How often it was another process. */
  runs = 1
  up = true

  constructor(parts: RedisParts) {
    this.#parts = parts
  }

  /** `INFO`, as far as anybody asks. */
  info(): string {
    return `run_id:run${this.runs}\r\nrole:master\r\nmaster_replid:history${this.runs}\r\n`
  }

  linksOf(life: Life): OpenRedisLink {
    return (options) => {
      const link = new SimulatedLink(this, this.#parts, life, options)
      this.#links.add(link)
      return link
    }
  }

  stop(): void {
    this.up = false
    for (const link of this.#links) link.lose()
  }

  /** As another process that holds `contents`, which may be those of some time ago. */
  restart(ageMs: number | undefined): void {
    const { redis, world } = this.#parts
    this.stop()
    const then = ageMs === undefined ? undefined : this.#snapshots.findLast(({ atMs }) => atMs <= world.nowMs - ageMs)
    redis.flush()
    if (then !== undefined) redis.restore(then.contents)
    this.#snapshots.splice(0)
    redis.forgetScripts()
    this.runs++
    this.up = true
  }

  /** Copies are kept of what it held, to come back to. */
  keepCopies(untilMs: number): void {
    const { world, redis } = this.#parts
    world.schedule(SNAPSHOT_EVERY_MS, 'redis copy', () => {
      this.#snapshots.push({ atMs: world.nowMs, contents: redis.snapshot() })
      if (this.#snapshots.length > SNAPSHOTS_MAX) this.#snapshots.shift()
      if (world.nowMs < untilMs) this.keepCopies(untilMs)
    })
  }
}

class SimulatedLink implements RedisLink {
  readonly #server: SimulatedRedis
  readonly #parts: RedisParts
  readonly #life: Life
  readonly #options: RedisLinkOptions
  readonly #random: Random
  readonly #pace: number
  readonly #waiting = new Set<(error: Error) => void>()
  /** Number of the connection: what belongs to an earlier one is not answered. */
  #connection = 0
  #closed = false
  #lastArrivalMs = 0
  #lastReplyMs = 0
  ready = false

  constructor(server: SimulatedRedis, parts: RedisParts, life: Life, options: RedisLinkOptions) {
    this.#server = server
    this.#parts = parts
    this.#life = life
    this.#options = options
    this.#random = parts.world.stream('redis', life.name)
    this.#pace = this.#random.pick(PACES)
  }

  connect(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<undefined>()
    this.#attempt(
      () => resolve(undefined),
      () => reject(new Error('connect ECONNREFUSED')),
    )
    return promise
  }

  async close(): Promise<void> {
    this.#closed = true
    this.ready = false
  }

  reconnect(): void {
    this.lose()
  }

  /** The connection is gone: calls under way are not answered, and it is tried again. */
  lose(): void {
    if (!this.ready) return
    this.ready = false
    this.#connection++
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    const tell = (): void => {
      for (const reject of waiting) reject(new Error('Connection is closed.'))
      this.#options.onClose()
    }
    this.#schedule(this.#random.fraction() * 3, 'redis lost', tell)
    this.#retry()
  }

  mget(keys: readonly string[]): Promise<(string | null)[]> {
    return this.#call('redis mget', (redis) => redis.mget(keys))
  }

  getBuffer(key: string): Promise<Buffer | null> {
    return this.#call('redis get', (redis) => redis.getBuffer(key))
  }

  scanHash(key: string): Promise<{ readonly next: string; readonly entries: Buffer[] }> {
    return this.#call('redis scan', (redis) => redis.scanHash(key))
  }

  load({ sha }: { readonly sha: string }): Promise<void> {
    return this.#call('redis load', (redis) => redis.load(sha))
  }

  evaluate({ sha }: { readonly sha: string }, keys: readonly string[], args: readonly string[]): Promise<unknown> {
    return this.#call('redis script', (redis) => {
      const result = redis.evaluate(sha, keys, args)
      if (result !== -1) this.#judge(sha, keys, args, result)
      return result
    })
  }

  #judge(sha: string, keys: readonly string[], args: readonly string[], result: unknown): void {
    const { onReserve, onRemember, traps } = this.#parts
    const run = `run${this.#server.runs}`
    if (sha === RESERVE) {
      onReserve(run, keys.slice(3))
      traps.reached(this.#life.name, 'reserved')
    } else if (sha === STAND_IN) {
      onReserve(
        run,
        keys.slice(8).filter((_, index) => index % 2 === 0),
      )
      onRemember(args, result as (number | string)[])
      traps.reached(this.#life.name, 'remembered')
    } else if (sha === JOURNALS && args[2] !== '[]') traps.reached(this.#life.name, 'left')
  }

  info(): Promise<string> {
    return this.#call('redis info', () => this.#server.info())
  }

  #schedule(delayMs: number, label: string, run: () => void): void {
    this.#parts.world.schedule(delayMs, label, run, this.#life)
  }

  #attempt(connected: () => void, refused: () => void): void {
    this.#schedule(0.5 + this.#random.fraction() * 2, 'redis connect', () => {
      if (this.#closed || this.ready) return
      if (!this.#server.up) {
        refused()
        this.#retry()
        return
      }
      this.ready = true
      connected()
      this.#options.onReady()
    })
  }

  #retry(): void {
    this.#schedule(this.#options.reconnectMs, 'redis retry', () => {
      if (!this.#closed && !this.ready) this.#attempt(nothing, nothing)
    })
  }

  /** One connection: calls arrive, and are answered, in the order in which they were made. */
  #call<T>(label: string, carryOut: (redis: FakeRedis) => T): Promise<T> {
    const { world, redis, weather } = this.#parts
    const { promise, resolve, reject } = Promise.withResolvers<T>()
    if (!this.ready) {
      reject(new Error("Stream isn't writeable and enableOfflineQueue options is false"))
      return promise
    }
    const random = this.#random
    const connection = this.#connection
    const { runs } = this.#server
    const fate = weather.fate(this.#life.name, world.nowMs, random)
    const arrives = random.chance(0.5)
    const arrivesAt = Math.max(
      this.#lastArrivalMs,
      world.nowMs + 0.05 + random.fraction() * (fate === 'slow' ? 4_000 : this.#pace),
    )
    const replyMs = 0.05 + random.fraction() * this.#pace
    this.#lastArrivalMs = arrivesAt
    this.#waiting.add(reject)
    if (fate !== 'well') world.note(() => `${this.#life.name}: ${label} will meet: ${fate}`)
    const cancel = world.schedule(
      this.#options.callMs,
      'redis deadline',
      () => {
        this.#waiting.delete(reject)
        reject(new Error('Command timed out'))
      },
      this.#life,
    )
    const answer = (finish: () => void): void => {
      const at = Math.max(this.#lastReplyMs, world.nowMs + replyMs)
      this.#lastReplyMs = at
      this.#schedule(at - world.nowMs, 'redis reply', () => {
        if (this.#connection !== connection) return
        cancel()
        this.#waiting.delete(reject)
        finish()
      })
    }
    const arrive = (): void => {
      // What was under way to a server that is gone does not reach the one in its place.
      if (!this.#server.up || this.#server.runs !== runs) return
      if ((!this.#life.alive && !arrives) || (this.#connection !== connection && !arrives)) return
      if (fate === 'lostCall') {
        this.lose()
        return
      }
      let result: T
      try {
        if (fate === 'doubled') carryOut(redis)
        result = carryOut(redis)
      } catch (error) {
        answer(() => reject(error instanceof Error ? error : new Error(String(error))))
        return
      }
      if (fate === 'lostReply') this.lose()
      else answer(() => resolve(result))
    }
    // On the server's side of the wire: it belongs to nobody who could die.
    world.schedule(arrivesAt - world.nowMs, label, arrive)
    promise.then(cancel, cancel)
    return promise
  }
}

function nothing(): void {
  // Tried again by itself.
}
