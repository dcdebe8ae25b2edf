/**
 * Watches the messages that are under way: none waits past its deadline, and while even the quickest take too long nobody else is let in, so that
 * what is answered is answered in time (the idea of CoDel, RFC 8289: a queue is standing where the least delay of an interval is too much).
 *
 * Time is counted in ticks of a timer: setting a clock makes nothing late.
 */
import type { Clock } from './clock.ts'

/** What is watched; all have the same deadline, so that the oldest is the first to be late. */
export interface Watched<T> {
  /** The ledger has it, which keeps the deadline itself as far as it can. */
  readonly isWithLedger: boolean
  /** It came in at this tick. */
  enteredTick: number
  isWatched: boolean
  /** Who came in before and after it, of those that are watched. */
  earlier: T | undefined
  later: T | undefined
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

export class Watch<T extends Watched<T>> {
  readonly #options: WatchOptions<T>
  /**
   * A list through its members, and not a Set: a Set that is added to and deleted from all the time is copied again and again, and V8's discarded copies
   * refer to all that they held, so that what has long left would outlive its collection and be copied into the old space.
   */
  #oldest: T | undefined
  #newest: T | undefined
  #size = 0
  #tick = 0
  #isTicking = false
  #isCrowded = false
  #leastTicks = Number.POSITIVE_INFINITY

  constructor(options: WatchOptions<T>) {
    this.#options = options
  }

  get size(): number {
    return this.#size
  }

  /** All have to wait for too long: one more would only make it worse. */
  get isCrowded(): boolean {
    return this.#isCrowded
  }

  enter(one: T): void {
    one.enteredTick = this.#tick
    one.isWatched = true
    one.earlier = this.#newest
    if (this.#newest === undefined) this.#oldest = one
    else this.#newest.later = one
    this.#newest = one
    this.#size++
    this.#go()
  }

  /** @param served it went the whole way, so that the time it took says how it goes */
  leave(one: T, served: boolean): void {
    if (one.isWatched) this.#remove(one)
    if (served) this.#leastTicks = Math.min(this.#leastTicks, this.#tick - one.enteredTick)
    if (this.#size === 0) this.#isCrowded = false
  }

  /** It refers to nobody afterwards: see `#oldest`. */
  #remove(one: T): void {
    const { earlier, later } = one
    if (earlier === undefined) this.#oldest = later
    else earlier.later = later
    if (later === undefined) this.#newest = earlier
    else later.earlier = earlier
    one.isWatched = false
    one.earlier = undefined
    one.later = undefined
    this.#size--
  }

  #go(): void {
    if (this.#isTicking) return
    this.#isTicking = true
    this.#options.clock.after(TICK_MS, () => {
      this.#isTicking = false
      this.#tick++
      if (this.#tick % INTERVAL_TICKS === 0) this.#endInterval()
      this.#callOverdue()
      if (this.#size > 0) this.#go()
    })
  }

  #endInterval(): void {
    const { delayMaxMs } = this.#options
    this.#isCrowded = Number.isFinite(this.#leastTicks) && this.#leastTicks * TICK_MS > delayMaxMs && this.#size > 0
    this.#leastTicks = Number.POSITIVE_INFINITY
  }

  #callOverdue(): void {
    const deadlineTick = this.#tick - Math.ceil(this.#options.deadlineMs / TICK_MS)
    const overdue: T[] = []
    for (let one = this.#oldest; one !== undefined && one.enteredTick <= deadlineTick; one = one.later) {
      if (!one.isWithLedger || one.enteredTick <= deadlineTick - GRACE_TICKS) overdue.push(one)
    }
    for (const one of overdue) {
      // What was done about one of them may have been the end of another.
      if (!one.isWatched) continue
      this.#remove(one)
      this.#options.overdue(one)
    }
  }
}
