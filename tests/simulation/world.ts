/**
 * The simulated world: one queue of events on a virtual clock. Whatever waits in the switch (timers, the end of a turn, Redis, Postgres, the
 * network) is an event whose delay is drawn from the seed; between two events only promises that are resolved already go on. So a seed is a
 * history, and the same seed is the same history.
 */
import type { Clock } from '../../src/clock.ts'
import { Random, seedOf } from './random.ts'

/** Who an event belongs to: it does not happen once its owner is dead, and happens late where its owner stands still. */
export interface Life {
  readonly name: string
  alive: boolean
  pausedUntilMs: number
  /** How far its clock is off. */
  skewMs: number
}

interface Event {
  atMs: number
  sequence: number
  readonly label: string
  readonly owner: Life | undefined
  readonly run: () => void
  cancelled: boolean
}

export class World {
  readonly seed: number
  nowMs: number
  /** Events that have happened. */
  steps = 0
  /** A digest of all that has happened, in its order. */
  digest = 0x811c9dc5
  /** Set once something was found wrong: nothing happens after that. */
  failure: string | undefined
  readonly #queue: Event[] = []
  readonly #recorded: string[] | undefined
  #sequence = 0

  constructor(seed: number, startMs: number, recorded?: string[]) {
    this.seed = seed
    this.nowMs = startMs
    this.#recorded = recorded
  }

  /** Draws of one part, which no other part's draws move. */
  stream(...name: readonly (string | number)[]): Random {
    return new Random(seedOf(this.seed, ...name))
  }

  schedule(delayMs: number, label: string, run: () => void, owner?: Life): () => void {
    const event: Event = {
      atMs: this.nowMs + Math.max(0, delayMs),
      sequence: this.#sequence++,
      label,
      owner,
      run,
      cancelled: false,
    }
    this.#push(event)
    return () => {
      event.cancelled = true
    }
  }

  /** For whoever reads the history. */
  note(text: () => string): void {
    if (this.#recorded === undefined) return
    const at = new Date(this.nowMs).toISOString().slice(11, 23)
    this.#recorded.push(`${at}  ${text()}`)
  }

  fail(text: string): void {
    if (this.failure !== undefined) return
    this.failure = text
    this.note(() => `WRONG: ${text}`)
  }

  /** Lets events happen until `done` says so, `untilMs` has come, or something is wrong. */
  async run(untilMs: number, done: () => boolean = () => false): Promise<void> {
    for (;;) {
      const event = this.#queue[0]
      if (event === undefined || event.atMs > untilMs || this.failure !== undefined || done()) break
      this.#pop()
      if (event.cancelled || event.owner?.alive === false) continue
      if (event.owner !== undefined && event.owner.pausedUntilMs > event.atMs) {
        // The same event: whoever scheduled it may take it back until it happens.
        event.atMs = event.owner.pausedUntilMs
        event.sequence = this.#sequence++
        this.#push(event)
        continue
      }
      this.nowMs = event.atMs
      this.steps++
      this.#digestEvent(event)
      event.run()
      await settled()
    }
    if (this.failure === undefined && this.nowMs < untilMs && !done()) this.nowMs = untilMs
  }

  #digestEvent({ label, owner, atMs }: Event): void {
    let hash = this.digest
    const mix = (value: number): void => {
      hash = Math.imul(hash ^ value, 0x01000193)
    }
    mix(Math.floor((atMs % 1_000_000_000) * 1000) | 0)
    for (let i = 0; i < label.length; i++) mix(label.charCodeAt(i))
    mix(owner?.name.length ?? 0)
    this.digest = hash >>> 0
  }

  // A binary heap by time, then by the order in which events were scheduled.
  #push(event: Event): void {
    const queue = this.#queue
    let at = queue.length
    queue.push(event)
    while (at > 0) {
      const parent = (at - 1) >> 1
      const above = queue[parent]
      if (above === undefined || !isBefore(event, above)) break
      queue[at] = above
      at = parent
    }
    queue[at] = event
  }

  #pop(): void {
    const queue = this.#queue
    const last = queue.pop()
    if (last === undefined || queue.length === 0) return
    let at = 0
    for (;;) {
      const left = 2 * at + 1
      let next = left
      const [one, other] = [queue[left], queue[left + 1]]
      if (one === undefined) break
      let child = one
      if (other !== undefined && isBefore(other, one)) {
        child = other
        next = left + 1
      }
      if (!isBefore(child, last)) break
      queue[at] = child
      at = next
    }
    queue[at] = last
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.sequence < b.sequence)
}

/** Resolves when every promise that can go on has gone on: none of the switch's code waits for anything but its ports. */
function settled(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve)
  })
}

/** The clock of one process: it may be off, but its timers run at the right pace. */
export function clockOf(world: World, life: Life): Clock {
  const random = world.stream('clock', life.name)
  return {
    now: () => Math.floor(world.nowMs + life.skewMs),
    after: (delayMs, run) => world.schedule(delayMs + random.fraction(), 'timer', run, life),
    soon: (run) => void world.schedule(random.fraction() * 0.1, 'soon', run, life),
  }
}
