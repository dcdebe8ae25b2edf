/**
 * Watches the messages that are under way: none waits past its deadline, and while even the quickest take too long nobody else is let in, so that
 * what is answered is answered in time (the idea of CoDel, RFC 8289: a queue is standing where the least delay of an interval is too much).
 *
 * Time is counted in ticks of a timer: setting a clock makes nothing late.
 */
import type { Clock } from './clock.ts'

/** What is watched; all have the same deadline, so that the oldest is the first to be late. */
export interface Watched {
  /** The ledger has it, which keeps the deadline itself as far as it can. */
  readonly isWithLedger: boolean
  /** It came in at this tick. */
  enteredTick: number
}

export interface WatchOptions<T> {
  readonly clock: Pick<Clock, 'after'>
  readonly deadlineMs: number
  /** Above this the quickest are too slow. */
  readonly delayMaxMs: number
  /** Called once a message; it leaves then. */
  readonly overdue: (late: T) => void
}

const TICK_MS = 100
/** Group commit gives up by the same deadline what it has not sent; its word comes first. */
const GRACE_TICKS = 3
/** An interval: longer than a slow batch takes, so that there are answers in it. */
const INTERVAL_TICKS = 5

export class Watch<T extends Watched> {
  readonly #options: WatchOptions<T>
  readonly #underWay = new Set<T>()
  #tick = 0
  #isTicking = false
  #isCrowded = false
  #leastTicks = Number.POSITIVE_INFINITY

  constructor(options: WatchOptions<T>) {
    this.#options = options
  }

  get size(): number {
    return this.#underWay.size
  }

  /** All have to wait for too long: one more would only make it worse. */
  get isCrowded(): boolean {
    return this.#isCrowded
  }

  enter(one: T): void {
    one.enteredTick = this.#tick
    this.#underWay.add(one)
    this.#go()
  }

  /** @param served it went the whole way, so that the time it took says how it goes */
  leave(one: T, served: boolean): void {
    this.#underWay.delete(one)
    if (served) this.#leastTicks = Math.min(this.#leastTicks, this.#tick - one.enteredTick)
    if (this.#underWay.size === 0) this.#isCrowded = false
  }

  #go(): void {
    if (this.#isTicking) return
    this.#isTicking = true
    this.#options.clock.after(TICK_MS, () => {
      this.#isTicking = false
      this.#tick++
      if (this.#tick % INTERVAL_TICKS === 0) this.#endInterval()
      this.#callOverdue()
      if (this.#underWay.size > 0) this.#go()
    })
  }

  #endInterval(): void {
    const { delayMaxMs } = this.#options
    this.#isCrowded = Number.isFinite(this.#leastTicks) && this.#leastTicks * TICK_MS > delayMaxMs && this.#underWay.size > 0
    this.#leastTicks = Number.POSITIVE_INFINITY
  }

  #callOverdue(): void {
    const deadlineTick = this.#tick - Math.ceil(this.#options.deadlineMs / TICK_MS)
    for (const one of this.#underWay) {
      if (one.enteredTick > deadlineTick) return
      if (one.isWithLedger && one.enteredTick > deadlineTick - GRACE_TICKS) continue
      this.#underWay.delete(one)
      this.#options.overdue(one)
    }
  }
}
