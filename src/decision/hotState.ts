/**
 * The hot state of cards and purses in Redis. It is never the truth: a wrong, stale or lost Redis can cost a second look, nothing more.
 *
 *   down --(connected, scripts loaded, epoch agreed with the ledger)--> up --(connection lost, no answers, or a script met another epoch)--> down
 *
 * Each (re)connection, of Redis or of the ledger, compares Redis's run id and replication id and the ledger's own history with those that were stored for
 * the epoch; a difference, or an epoch that Redis does not know, moves the epoch on. All that Redis holds of an older epoch is as good as absent: reservations are
 * dropped, cards and purses are loaded again when they are needed.
 *
 * Keys, all in the shard's slot: {s}:epoch, {s}:reservations (hash), {s}:card:<token> (epoch:version:json), {s}:purse:<id> (packed, see
 * reserve.lua), {s}:count:<name> (attempts within a time, see raise.lua), {s}:pins:<token> (countedPins.ts), {s}:standin and what begins with it (standInState.ts). Nothing of it has to survive a restart of Redis: that is another epoch in any case.
 */
import { Breaker, type BreakerState } from '../breaker.ts'
import type { CardSnapshot } from '../card.ts'
import type { Clock } from '../clock.ts'
import { errorText, type Logger } from '../log.ts'
import { agreedEpoch, type EpochStore } from './agreedEpoch.ts'
import { HotStateUnavailable, hotPurse, openReservations, type OpenReservation } from './hotRecords.ts'
import { PURSE_FOUND, RESERVE_OUTCOMES, type PurseFound, type ReserveOutcome } from './hotOutcomes.ts'
import type { CountedPin } from './countedPins.ts'
import { openRedisLink, redisScript, type OpenRedisLink, type RedisLink, type RedisScript } from './redisLink.ts'
import { STAND_IN_FLAG, STAND_IN_KEYS } from './standInKeys.ts'
import { UntoldPurses } from './untoldPurses.ts'

export { HotStateUnavailable }

export interface HotStateOptions {
  readonly url: string
  readonly shard: number
  readonly callMs: number
  readonly reconnectMs: number
  readonly epochs: EpochStore
  readonly clock: Clock
  readonly log: Logger
  /** Opens after calls that failed one after the other: then Redis is down until it answers again. Absent: only a lost connection is down. */
  readonly breaker?: { readonly failuresMax: number; readonly retryMs: number }
  /** Absent: a connection to Redis. */
  readonly openLink?: OpenRedisLink
  /** Called when Redis is up with an epoch that it has just been told: it holds nothing yet. */
  readonly onNewEpoch?: () => void
}

/** A purse's committed state, as it goes into Redis. */
export interface CommittedPurse {
  readonly purseId: number
  readonly version: number
  readonly balance: number
  readonly gate: number
  readonly day: string
  readonly spentAmount: number
  readonly spentCount: number
  readonly withdrawnAmount: number
  readonly withdrawnCount: number
  readonly marks: number
  /** Drawn items of a goods list; Redis does not keep them. */
  readonly items?: readonly number[]
}

export interface Reservation {
  readonly key: string
  readonly keyDate: string
  readonly body: string
  readonly purseId: number
  readonly debit: number
  readonly gate: number | null
  /** Bits of the days that are drawn. */
  readonly setMarks: number
  /** Refused while the shard is in stand-in. */
  readonly unlessStandIn?: boolean
  readonly counter: {
    readonly group: 'spending' | 'withdrawal'
    readonly day: string
    readonly amount: number
    readonly count: number
    readonly amountMax: number | null
    readonly countMax: number | null
  } | null
}

/** The end of a reservation, where there is one; `state` tells what a commit made of the purse, absent where it came to nothing. */
export interface Settlement {
  readonly key: string
  readonly purseId: number
  readonly state: CommittedPurse | undefined
  /** Of a purse of which no more is known: how a commit changed its balance, and the version it has since. */
  readonly moved?: { readonly version: number; readonly delta: number }
}

/** A counter of attempts, by its name, and how long it lives from its first count on. */
export interface AttemptCounter {
  readonly name: string
  readonly lifetimeMs: number
}

/** One attempt is counted by each of its counters, if all have room. */
export type Attempt = readonly (AttemptCounter & { readonly ceiling: number })[]

const RESERVE = redisScript('reserve.lua')
const PUT = redisScript('put.lua')
const EPOCH = redisScript('epoch.lua')
const RAISE = redisScript('raise.lua')
/** Reservations read in one round trip. */
const SCAN_PAGE = 500
const NO_CEILING = 999_999_999_999_999

export class HotState {
  /** Told by the upkeep, as soon as Redis is there again. */
  readonly untold = new UntoldPurses()
  /** Counts of wrong PINs that it was not told yet; void in another epoch. */
  readonly untoldPins: CountedPin[] = []
  readonly #options: HotStateOptions
  readonly #redis: RedisLink
  readonly #breaker: Breaker
  #epoch: number | undefined
  #agreement: Promise<void> | undefined
  /** How often the connection was lost. */
  #connections = 0
  #closed = false

  constructor(options: HotStateOptions) {
    this.#options = options
    const { url, callMs, reconnectMs, clock, openLink = openRedisLink } = options
    const { failuresMax, retryMs } = options.breaker ?? { failuresMax: Number.POSITIVE_INFINITY, retryMs: reconnectMs }
    this.#breaker = new Breaker({ failuresMax, retryMs, clock, onChange: (state) => this.#changed(state) })
    this.#redis = openLink({
      url,
      callMs,
      reconnectMs,
      onReady: () => {
        void this.#agree()
      },
      onClose: () => {
        this.#connections++
        this.#down('connection closed')
      },
      onError: (error) => {
        options.log.debug({ error }, 'redis')
      },
    })
  }

  get up(): boolean {
    return this.#epoch !== undefined
  }

  get closed(): boolean {
    return this.#closed
  }

  get epoch(): number | undefined {
    return this.#epoch
  }

  get breakerState(): BreakerState {
    return this.#breaker.state
  }

  /** Connects and agrees on the epoch; where Redis cannot be reached it keeps trying in the background. */
  async open(): Promise<void> {
    await this.#redis.connect().catch((error: unknown) => {
      this.#options.log.warn({ error: errorText(error) }, 'cannot connect to Redis')
    })
    if (this.#redis.ready) await this.#agree()
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#epoch = undefined
    this.#breaker.stop()
    await this.#redis.close()
  }

  /**
   * Cards, and what counters of attempts stand at, in one call.
   *
   * @returns a card a token, undefined where Redis has none of this epoch; the counts of the counters that have any, by name; and whether the
   *   shard is in stand-in
   */
  async cards(
    tokens: readonly string[],
    counters: readonly string[] = [],
  ): Promise<{ cards: (CardSnapshot | undefined)[]; counts: ReadonlyMap<string, number>; standIn: boolean }> {
    const epoch = this.#currentEpoch()
    const keys = [...tokens.map((token) => this.#key(`card:${token}`)), ...counters.map((name) => this.#key(`count:${name}`))]
    keys.push(this.#key(STAND_IN_FLAG))
    const records = await this.#guarded(this.#redis.mget(keys))
    const prefix = `${String(epoch)}:`
    const cards = records.slice(0, tokens.length).map((record) => {
      if (record?.startsWith(prefix) !== true) return undefined
      return JSON.parse(record.slice(record.indexOf(':', prefix.length) + 1)) as CardSnapshot
    })
    const counts = new Map<string, number>()
    for (const [index, name] of counters.entries()) {
      const record = records[tokens.length + index]
      if (typeof record === 'string') counts.set(name, Number(record))
    }
    return { cards, counts, standIn: records.at(-1) === String(epoch) }
  }

  /**
   * Takes over what was read from the ledger.
   *
   * @param epoch the epoch as it was before the ledger was read
   * @returns how Redis held each purse before
   */
  async put(epoch: number, cards: readonly CardSnapshot[], purses: readonly CommittedPurse[]): Promise<PurseFound[]> {
    const keys = [
      this.#key('epoch'),
      ...cards.map((card) => this.#key(`card:${card.token}`)),
      ...purses.map((purse) => this.#key(`purse:${String(purse.purseId)}`)),
    ]
    const records = cards.map((card) => `${String(epoch)}:${String(card.version)}:${JSON.stringify(card)}`)
    const reply = await this.#run(PUT, keys, [String(epoch), JSON.stringify(purses.map(stateList)), ...records])
    return (reply as number[]).map((code) => PURSE_FOUND[code] ?? 'absent')
  }

  /** Settles and reserves in one atomic step. @returns an outcome a reservation */
  async reserve(settlements: readonly Settlement[], reservations: readonly Reservation[]): Promise<ReserveOutcome[]> {
    const epoch = this.#currentEpoch()
    const nowMs = this.#options.clock.now()
    const keys = [this.#key('epoch'), this.#key('reservations'), this.#key(STAND_IN_FLAG)]
    for (const { purseId } of settlements) keys.push(this.#key(`purse:${String(purseId)}`))
    for (const { purseId } of reservations) keys.push(this.#key(`purse:${String(purseId)}`))
    const settled = settlements.map(({ key, purseId, state, moved }) =>
      state !== undefined
        ? [key, purseId, ...stateList(state)]
        : moved !== undefined
          ? [key, purseId, moved.version, moved.delta]
          : [key, purseId],
    )
    const reserved = reservations.map((reservation) => reservationList(reservation, nowMs))
    const args = [String(epoch), JSON.stringify(settled), JSON.stringify(reserved)]
    const reply = await this.#run(RESERVE, keys, args)
    return (reply as number[]).map((code) => RESERVE_OUTCOMES[code] ?? 'absent')
  }

  /**
   * Counts attempts before they are made, in one atomic step, and takes back those that turned out well.
   *
   * @returns a number an attempt: 0 it is counted; else the position, from 1, of the counter that was full: nothing was counted
   */
  async raise(returned: readonly AttemptCounter[], attempts: readonly Attempt[]): Promise<number[]> {
    const epoch = this.#currentEpoch()
    const positions = new Map<string, number>()
    const lifetimes: number[] = []
    const at = ({ name, lifetimeMs }: AttemptCounter): number => {
      const known = positions.get(name)
      if (known !== undefined) return known
      lifetimes.push(lifetimeMs)
      positions.set(name, lifetimes.length)
      return lifetimes.length
    }
    const back = new Map<number, number>()
    for (const counter of returned) back.set(at(counter), (back.get(at(counter)) ?? 0) + 1)
    const asked = attempts.map((attempt) => attempt.map((counter) => [at(counter), 1, counter.ceiling]))
    const keys = [this.#key('epoch'), ...[...positions.keys()].map((name) => this.#key(`count:${name}`))]
    const args = [String(epoch), JSON.stringify(lifetimes), JSON.stringify([...back]), JSON.stringify(asked)]
    return (await this.#run(RAISE, keys, args)) as number[]
  }

  /** Reservations made before `beforeMs` that nobody settled. */
  async unsettled(beforeMs: number, countMax: number): Promise<OpenReservation[]> {
    this.#currentEpoch()
    const found: OpenReservation[] = []
    let cursor = '0'
    do {
      const { next, entries } = await this.#guarded(this.#redis.scanHash(this.#key('reservations'), cursor, SCAN_PAGE))
      cursor = next
      found.push(...openReservations(entries).filter((reservation) => reservation.madeMs < beforeMs))
    } while (cursor !== '0' && found.length < countMax)
    return found.slice(0, countMax)
  }

  /** The purse as Redis holds it, for the auditor and for tests. */
  async purse(purseId: number): Promise<{ version: number; balance: number; reserved: number } | undefined> {
    const epoch = this.#currentEpoch()
    const record = await this.#guarded(this.#redis.getBuffer(this.#key(`purse:${String(purseId)}`)))
    const purse = record === null ? undefined : hotPurse(record)
    return purse?.epoch === epoch
      ? { version: purse.version, balance: purse.balance, reserved: purse.reserved[0] ?? 0 }
      : undefined
  }

  /** Runs the script of a part beside this one; the epoch is its first key and its first argument. @throws HotStateUnavailable */
  async run(script: RedisScript, names: readonly string[], args: readonly string[]): Promise<unknown> {
    const keys = ['epoch', ...names].map((name) => this.#key(name))
    return await this.#run(script, keys, [String(this.#currentEpoch()), ...args])
  }

  #key(name: string): string {
    return `{${String(this.#options.shard)}}:${name}`
  }

  #currentEpoch(): number {
    if (this.#epoch === undefined) throw new HotStateUnavailable('Redis is not connected')
    return this.#epoch
  }

  async #run(script: RedisScript, keys: readonly string[], args: readonly string[]): Promise<unknown> {
    const evaluate = (): Promise<unknown> => this.#redis.evaluate(script, keys, args)
    const reply = await this.#guarded(
      evaluate().catch(async (error: unknown) => {
        if (!errorText(error).includes('NOSCRIPT')) throw error
        await this.#redis.load(script)
        return await evaluate()
      }),
    )
    if (reply !== -1) return reply
    this.#down('another epoch')
    void this.#agree()
    throw new HotStateUnavailable('Redis has another epoch')
  }

  async #guarded<T>(call: Promise<T>): Promise<T> {
    try {
      const value = await call
      this.#breaker.succeeded()
      return value
    } catch (error) {
      const text = errorText(error)
      this.#breaker.failed()
      // It became a replica, or is one no more but of another: what it holds may be somebody else's, and is compared anew.
      if (/^(READONLY|MASTERDOWN|LOADING)\b/.test(text)) {
        this.#down(text)
        this.#agreeLater()
      }
      throw new HotStateUnavailable(text, { cause: error })
    }
  }

  /** An open breaker takes another connection: what was sent on the old one may never arrive, or all at once. */
  #changed(state: BreakerState): void {
    if (this.#closed) return
    if (state === 'open') {
      this.#down('it does not answer')
      this.#redis.reconnect()
    } else if (state === 'half-open' && this.#redis.ready) void this.#agree()
  }

  #down(reason: string): void {
    if (this.#epoch === undefined) return
    this.#epoch = undefined
    this.#options.log.warn({ reason }, 'hot state is down')
  }

  /**
   * The ledger was connected again, and may be another one: restored, or what a standby goes on with. Until it has said so Redis stays in use: whatever it
   * wrongly allows meanwhile, the ledger refuses.
   */
  async recheck(): Promise<void> {
    const before = this.#epoch
    if (before === undefined) return
    try {
      const { epoch } = await agreedEpoch(this.#redis, this.#key('epoch'), this.#options)
      if (epoch === before || this.#epoch !== before) return
      this.#down('another history of the ledger')
      await this.#agree()
    } catch (error) {
      this.#options.log.warn(
        { error: errorText(error) },
        'cannot ask the ledger whether the epoch still holds; asked again when it is back',
      )
    }
  }

  /** What was agreed on is of the Redis of that connection: behind the next one may be another. */
  #assertStill(connection: number): void {
    if (this.#connections !== connection)
      throw new Error('the connection was lost meanwhile; what is behind it now is asked anew')
  }

  /** One agreement at a time: whoever asks meanwhile waits for it. */
  async #agree(): Promise<void> {
    if (this.#closed || this.#epoch !== undefined) return
    // Where it is open, the breaker says when to try.
    if (this.#agreement === undefined && !this.#breaker.admits()) return
    this.#agreement ??= this.#agreeOnce().finally(() => {
      this.#agreement = undefined
    })
    await this.#agreement
  }

  /** Agrees with the ledger on the epoch of the Redis that is connected now; tries again until it succeeds or the connection goes. */
  async #agreeOnce(): Promise<void> {
    try {
      const { shard, log } = this.#options
      const connection = this.#connections
      for (const script of [RESERVE, PUT, EPOCH, RAISE]) await this.#guarded(this.#redis.load(script))
      const asked = {
        info: () => this.#guarded(this.#redis.info()),
        mget: (names: readonly string[]) => this.#guarded(this.#redis.mget(names)),
      }
      const { epoch, known } = await agreedEpoch(asked, this.#key('epoch'), this.#options)
      this.#assertStill(connection)
      const keys = ['epoch', 'reservations', STAND_IN_FLAG, ...Object.values(STAND_IN_KEYS)].map((name) => this.#key(name))
      const holds = await this.#guarded(this.#redis.evaluate(EPOCH, keys, [String(epoch)]))
      if (holds !== epoch) throw new Error(`Redis has epoch ${String(holds)}, the ledger ${String(epoch)}`)
      this.#assertStill(connection)
      this.#epoch = epoch
      log.info({ shard, epoch }, 'hot state is up')
      if (known !== epoch) {
        this.untold.clear()
        this.untoldPins.length = 0
        this.#options.onNewEpoch?.()
      }
    } catch (error) {
      this.#options.log.warn({ error: errorText(error) }, 'cannot agree on the epoch of Redis')
      this.#agreeLater()
    }
  }

  #agreeLater(): void {
    this.#options.clock.after(this.#options.reconnectMs, () => {
      if (this.#redis.ready) void this.#agree()
    })
  }
}

/** yyyymmdd. */
export function dayNumber(day: string): number {
  return Number(day.slice(0, 4) + day.slice(5, 7) + day.slice(8, 10))
}

/** The committed state of a purse as reserve.lua and put.lua take it. */
function stateList(purse: CommittedPurse): number[] {
  const { version, gate, balance, day, spentAmount, spentCount, withdrawnAmount, withdrawnCount, marks } = purse
  return [version, gate, balance, dayNumber(day), spentAmount, spentCount, withdrawnAmount, withdrawnCount, marks]
}

const COUNTER_GROUP = { spending: 1, withdrawal: 2 } as const

function reservationList(reservation: Reservation, nowMs: number): (number | string)[] {
  const { key, debit, gate, setMarks, counter, body, keyDate, purseId, unlessStandIn } = reservation
  const limits =
    counter === null
      ? [0, 0, 0, 0, 0, 0]
      : [
          COUNTER_GROUP[counter.group],
          counter.amount,
          counter.count,
          counter.amountMax ?? NO_CEILING,
          counter.countMax ?? NO_CEILING,
          dayNumber(counter.day),
        ]
  return [key, debit, gate ?? 0, ...limits, setMarks, nowMs, dayNumber(keyDate), purseId, body, unlessStandIn === true ? 1 : 0]
}
