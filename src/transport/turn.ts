/** Something with output that waits for the end of the turn. */
export interface Flushable {
  flush(): void
}

/**
 * Collects what has something to write and lets each write once, after all callbacks of this turn of the event loop
 * have run: the check phase follows the poll phase in which the answers of a whole batch became ready.
 */
export class Turn {
  #waiting = new Set<Flushable>()
  #spare = new Set<Flushable>()

  add(flushable: Flushable): void {
    if (this.#waiting.size === 0) setImmediate(this.#run)
    this.#waiting.add(flushable)
  }

  readonly #run = (): void => {
    const ready = this.#waiting
    this.#waiting = this.#spare
    this.#spare = ready
    for (const flushable of ready) flushable.flush()
    ready.clear()
  }
}
