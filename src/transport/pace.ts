/**
 * How fast a connection is read from (spec/links.md): a token bucket of its own, and one that a link's connections share. A message takes a token of
 * both; where there is none, the connection is told when it is worth asking again, and is not read from until then. Nothing is thrown away.
 *
 *     own bucket empty     a timer of the connection's, for the time that a token takes; or none where nobody is there to be protected (PaceKeepers)
 *     the link's empty     one timer of the link's; tokens go round among those that wait, and first to who sent nothing for a whole round
 *
 * With tokens left there is no timer at all. A clock that is put forward fills the buckets, one that is put back only begins anew.
 */
import type { Clock } from '../clock.ts'
import type { LinkConfig } from '../settings.ts'

export type PaceConfig = NonNullable<LinkConfig['pace']>

const SECOND_MS = 1000

class TokenBucket {
  readonly #perMs: number
  readonly #most: number
  #tokens: number
  #filledMs: number

  constructor(perSecond: number, most: number, nowMs: number) {
    this.#perMs = perSecond / SECOND_MS
    this.#most = most
    this.#tokens = most
    this.#filledMs = nowMs
  }

  /** Tokens at this moment. */
  at(nowMs: number): number {
    if (nowMs !== this.#filledMs) {
      this.#tokens = Math.min(this.#most, this.#tokens + Math.max(0, nowMs - this.#filledMs) * this.#perMs)
      this.#filledMs = nowMs
    }
    return this.#tokens
  }

  get isHalfFull(): boolean {
    return this.#tokens >= this.#most / 2
  }

  /** Takes one, or what there is of it. */
  take(): void {
    this.#tokens = Math.max(0, this.#tokens - 1)
  }

  /** Until there is one; whole milliseconds, so that a timer is never early. */
  get waitMs(): number {
    return Math.max(1, Math.ceil((1 - this.#tokens) / this.#perMs))
  }
}

/** For so long after its last message who keeps to its pace is protected. */
const PROTECTED_MS = 2000
/** How exactly that is kept. */
const NOTED_MS = 200

/**
 * Who keeps to its pace, over all links of a process: whose bucket was half full at its last message, until it is found empty. While there is nobody, a
 * connection beyond its pace harms nobody either, and need not wait. One that was closed counts still: many terminals connect for each transaction.
 */
export class PaceKeepers {
  /** Longest ago first. */
  readonly #sentMs = new Map<symbol, number>()

  sent(who: symbol, nowMs: number): void {
    const sentMs = this.#sentMs.get(who)
    if (sentMs !== undefined && Math.abs(nowMs - sentMs) < NOTED_MS) return
    this.#sentMs.delete(who)
    this.areThere(nowMs)
    this.#sentMs.set(who, nowMs)
  }

  left(who: symbol): void {
    this.#sentMs.delete(who)
  }

  areThere(nowMs: number): boolean {
    for (const [who, sentMs] of this.#sentMs) {
      if (Math.abs(nowMs - sentMs) <= PROTECTED_MS) return true
      this.#sentMs.delete(who)
    }
    return false
  }
}

/** The bucket that all connections of a link share. */
export class LinkPace {
  readonly #bucket: TokenBucket
  readonly #clock: Clock
  /** Who sent nothing for a whole round of those that wait, and who did; each in the order of coming. */
  readonly #rested = new Set<Pace>()
  readonly #waiting = new Set<Pace>()
  #taken = 0
  /** Tokens that went to those that had rested while others waited. */
  #takenBefore = 0
  #turn: Pace | undefined
  #cancel: (() => void) | undefined

  constructor({ messagesPerSecondMax, messagesBurstMax }: NonNullable<PaceConfig['link']>, clock: Clock) {
    this.#bucket = new TokenBucket(messagesPerSecondMax, messagesBurstMax, clock.now())
    this.#clock = clock
  }

  /** @returns the number of the token; undefined where `who` has to wait, and is called when it is its turn */
  take(who: Pace, nowMs: number): number | undefined {
    const rested = this.#taken - who.tookOfLink > this.#waiting.size + this.#rested.size
    const isFirst = this.#rested.size === 0 && (rested ? !this.#areOthersDue : this.#waiting.size === 0)
    if ((this.#turn === who || isFirst) && this.#bucket.at(nowMs) >= 1) {
      if (this.#turn !== who) this.#note(rested)
      this.#turn = undefined
      this.#bucket.take()
      return ++this.#taken
    }
    ;(rested ? this.#rested : this.#waiting).add(who)
    this.#cancel ??= this.#clock.after(this.#bucket.waitMs, this.#goRound)
    return undefined
  }

  /** It no longer waits. */
  leave(who: Pace): void {
    this.#rested.delete(who)
    this.#waiting.delete(who)
    if (this.#rested.size + this.#waiting.size > 0) return
    this.#cancel?.()
    this.#cancel = undefined
  }

  /** However many come that have rested, every fourth token is for one that has not: else those might wait for ever. */
  get #areOthersDue(): boolean {
    return this.#waiting.size > 0 && this.#takenBefore >= 3
  }

  #note(rested: boolean): void {
    this.#takenBefore = rested && this.#waiting.size > 0 ? this.#takenBefore + 1 : 0
  }

  readonly #goRound = (): void => {
    this.#cancel = undefined
    // Time goes on while messages are handed out: what it brings is for the next round, or this one might never end.
    for (let tokens = Math.floor(this.#bucket.at(this.#clock.now())); tokens > 0; tokens--) {
      const isOfRested = this.#rested.size > 0 && !this.#areOthersDue
      const [next] = isOfRested ? this.#rested : this.#waiting
      if (next === undefined) break
      this.#note(isOfRested)
      this.leave(next)
      this.#turn = next
      next.goOn()
      this.#turn = undefined
    }
    if (this.#rested.size + this.#waiting.size > 0) this.#cancel ??= this.#clock.after(this.#bucket.waitMs, this.#goRound)
  }
}

/** What all connections of a link share of it. */
export interface PaceContext {
  readonly config: PaceConfig | undefined
  readonly link: LinkPace | undefined
  readonly keepers: PaceKeepers
  readonly clock: Clock
}

export class Pace {
  /** Number of the link's token that it took last. */
  tookOfLink = -Infinity
  readonly #context: PaceContext
  readonly #onToken: () => void
  readonly #own: TokenBucket | undefined
  /** What it is known by to the keepers, who may remember it for longer than there is a connection. */
  readonly #name = Symbol('pace')
  #cancel: (() => void) | undefined
  #waits = false

  /** @param onToken called when it is worth asking again */
  constructor(context: PaceContext, onToken: () => void) {
    const { config, clock } = context
    this.#context = context
    this.#onToken = onToken
    if (config?.connection !== undefined)
      this.#own = new TokenBucket(config.connection.messagesPerSecondMax, config.connection.messagesBurstMax, clock.now())
  }

  /** Whether a message may be handed out. */
  take(): boolean {
    if (this.#waits) return false
    const { link, clock } = this.#context
    const nowMs = clock.now()
    if (!this.#hasOwn(nowMs)) return false
    if (link !== undefined) {
      const number = link.take(this, nowMs)
      if (number === undefined) {
        this.#waits = true
        return false
      }
      this.tookOfLink = number
    }
    this.#own?.take()
    return true
  }

  readonly goOn = (): void => {
    this.#cancel = undefined
    this.#waits = false
    this.#onToken()
  }

  /** It is not called any more. */
  stop(): void {
    this.#cancel?.()
    this.#cancel = undefined
    this.#context.link?.leave(this)
  }

  #hasOwn(nowMs: number): boolean {
    const { config, keepers, clock } = this.#context
    const own = this.#own
    if (own === undefined || own.at(nowMs) >= 1) {
      if (own === undefined || own.isHalfFull) keepers.sent(this.#name, nowMs)
      return true
    }
    keepers.left(this.#name)
    if (config?.connection?.held !== 'always' && !keepers.areThere(nowMs)) return true
    this.#waits = true
    this.#cancel = clock.after(own.waitMs, this.goOn)
    return false
  }
}
