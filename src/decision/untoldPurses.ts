/**
 * Purses that a commit has moved while Redis could not be told. Where the connection was lost and Redis itself was not, it comes back with the same
 * epoch and their old state: it would stay behind until they move again. A process that dies with some of them fills Redis at its next start.
 */
export class UntoldPurses {
  readonly #ids = new Set<number>()
  #call: (() => void) | undefined
  #called = false

  /** Calls `call` once when there are some, until `wait` is called. */
  onFirst(call: () => void): void {
    this.#call = call
  }

  /** The next one that is added is told of again. */
  wait(): void {
    this.#called = false
  }

  get size(): number {
    return this.#ids.size
  }

  add(purseId: number): void {
    // Above this many the rest is corrected when it moves again, or by a guard.
    if (this.#ids.size < UNTOLD_MAX) this.#ids.add(purseId)
    if (this.#called) return
    this.#called = true
    this.#call?.()
  }

  take(countMax: number): number[] {
    const taken: number[] = []
    for (const id of this.#ids) {
      if (taken.length === countMax) break
      taken.push(id)
      this.#ids.delete(id)
    }
    return taken
  }

  /** Redis holds nothing any more that could be old. */
  clear(): void {
    this.#ids.clear()
  }
}

const UNTOLD_MAX = 1_000_000
