/**
 * Stops asking a dependency that does not answer, so that nobody waits for it in vain, and finds out by itself when it does again.
 *
 *   closed --(`failuresMax` failures in a row)--> open --(`retryMs`)--> half-open --(the one call that is let through succeeds)--> closed
 *                                                  ^-----------------------(it fails)-----+
 *
 * Time comes from timers alone: setting a clock neither opens nor closes it.
 */
import type { Clock } from './clock.ts'

export type BreakerState = 'closed' | 'half-open' | 'open'

/** In this order as a metric: the higher, the worse. */
export const BREAKER_STATES: readonly BreakerState[] = ['closed', 'half-open', 'open']

export interface BreakerOptions {
  readonly failuresMax: number
  readonly retryMs: number
  readonly clock: Pick<Clock, 'after'>
  /** Called whenever the state changes. */
  readonly onChange?: (state: BreakerState) => void
}

/** It is not asked, because it has not answered: nothing was done. */
export class NotAsked extends Error {
  override readonly name = 'NotAsked'
}

export class Breaker {
  readonly #options: BreakerOptions
  #state: BreakerState = 'closed'
  #failures = 0
  #isProbed = false
  #cancelRetry: (() => void) | undefined

  constructor(options: BreakerOptions) {
    this.#options = options
  }

  get state(): BreakerState {
    return this.#state
  }

  /** Whether a call may be made now. Whoever is let through tells how it went. */
  admits(): boolean {
    if (this.#state === 'closed') return true
    if (this.#state === 'open' || this.#isProbed) return false
    this.#isProbed = true
    return true
  }

  succeeded(): void {
    this.#failures = 0
    if (this.#state !== 'closed') this.#become('closed')
  }

  failed(): void {
    this.#failures++
    if (this.#state === 'open') return
    if (this.#state === 'closed' && this.#failures < this.#options.failuresMax) return
    this.#become('open')
    this.#cancelRetry = this.#options.clock.after(this.#options.retryMs, () => {
      this.#become('half-open')
    })
  }

  /** No more timers. */
  stop(): void {
    this.#cancelRetry?.()
  }

  #become(state: BreakerState): void {
    this.#cancelRetry?.()
    this.#isProbed = false
    this.#state = state
    this.#options.onChange?.(state)
  }
}
