/**
 * A stage of the way of a message: gathers what becomes ready in one turn of the event loop and does it in one call. While as many calls
 * as are allowed are under way the next batch grows, so a busy switch works in large batches without any timer.
 */
import type { Clock } from './clock.ts'

export interface StageOptions<T> {
  readonly clock: Pick<Clock, 'soon'>
  readonly batchMax: number
  readonly callsInFlightMax: number
  /** Does the work of a batch, failures included: it must not reject. */
  readonly run: (batch: T[]) => Promise<void>
  readonly onBatch?: (size: number, elapsedMs: number) => void
}

export class Stage<T> {
  readonly #options: StageOptions<T>
  #waiting: T[] = []
  #callsInFlight = 0
  #scheduled = false
  #wakeIdle: (() => void)[] = []

  constructor(options: StageOptions<T>) {
    this.#options = options
  }

  get size(): number {
    return this.#waiting.length
  }

  /** Resolves when nothing waits and no call is under way. */
  async idle(): Promise<void> {
    if (this.#waiting.length === 0 && this.#callsInFlight === 0) return
    const { promise, resolve } = Promise.withResolvers<undefined>()
    this.#wakeIdle.push(() => {
      resolve(undefined)
    })
    await promise
  }

  push(item: T): void {
    this.#waiting.push(item)
    this.#schedule()
  }

  #schedule(): void {
    if (this.#scheduled || this.#callsInFlight >= this.#options.callsInFlightMax) return
    this.#scheduled = true
    this.#options.clock.soon(() => {
      this.#scheduled = false
      while (this.#waiting.length > 0 && this.#callsInFlight < this.#options.callsInFlightMax) void this.#call()
    })
  }

  async #call(): Promise<void> {
    const { batchMax, run, onBatch } = this.#options
    const batch = this.#waiting.length <= batchMax ? this.#waiting : this.#waiting.slice(0, batchMax)
    this.#waiting = batch === this.#waiting ? [] : this.#waiting.slice(batchMax)
    this.#callsInFlight++
    const startedMs = performance.now()
    try {
      await run(batch)
    } finally {
      this.#callsInFlight--
      onBatch?.(batch.length, performance.now() - startedMs)
      if (this.#waiting.length > 0) this.#schedule()
      else if (this.#callsInFlight === 0) for (const wake of this.#wakeIdle.splice(0)) wake()
    }
  }
}
