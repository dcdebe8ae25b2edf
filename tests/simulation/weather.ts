/** What goes wrong, how often and for how long: drawn for each call while a storm lasts, and calm otherwise. */
import type { Random } from './random.ts'

/** What may become of a call. Each is a chance; what is left is that all goes well. */
export interface Storm {
  /** The connection is cut before the call arrives. */
  readonly lostCall?: number
  /** It took effect, and the connection is cut before the answer is back. */
  readonly lostReply?: number
  /** It arrives long after whoever called has given up. */
  readonly slow?: number
  /** It is delivered twice; the answer is that of one or the other. */
  readonly doubled?: number
  /** The server says that it was chosen to end a deadlock (40P01). */
  readonly deadlock?: number
  /** The server cannot write: disk full (53100) or read only (25006). */
  readonly cannotWrite?: number
  /** The server ends the session, with or without having committed (57P01). */
  readonly killed?: number
  /** The disk says that it could not do it, and has done any part of it. */
  readonly ioError?: number
}

export type Fate = keyof Storm | 'well'

/** Networks between a process and a server are not all alike: milliseconds a way. */
export const PACES: readonly number[] = [1, 1, 1, 4, 15]

/** Storms over one kind of call, each over all processes or one. */
export class Weather {
  #storms: { readonly storm: Storm; readonly process: string | undefined; readonly untilMs: number }[] = []

  begin(storm: Storm, untilMs: number, process?: string): void {
    this.#storms.push({ storm, process, untilMs })
  }

  calm(): void {
    this.#storms = []
  }

  fate(process: string, nowMs: number, random: Random): Fate {
    if (this.#storms.length === 0) return 'well'
    this.#storms = this.#storms.filter(({ untilMs }) => untilMs > nowMs)
    for (const { storm, process: only } of this.#storms) {
      if (only !== undefined && only !== process) continue
      let left = random.fraction()
      for (const [fate, chance] of Object.entries(storm) as [keyof Storm, number][]) {
        left -= chance
        if (left < 0) return fate
      }
    }
    return 'well'
  }
}

/**
 * Moments at which a crash shows most: money is set aside and not committed, a commit is on its way, a commit is durable and nobody knows; in stand-in: Redis has
 * decided, the journal is written and not synchronised, it is durable and nobody was told, Redis knows that a journal is empty whose files are there.
 */
export type TrapPoint = 'reserved' | 'sent' | 'committed' | 'remembered' | 'written' | 'durable' | 'left'

interface Trap {
  readonly process: string
  readonly point: TrapPoint
  /** What was sent arrives so much later. */
  readonly lateMs: number
  readonly spring: () => void
}

/** Each waits for the next such moment of a process, once. */
export class Traps {
  #armed: Trap[] = []

  arm(trap: Trap): void {
    this.#armed.push(trap)
  }

  disarm(): void {
    this.#armed = []
  }

  /** @returns what was sprung */
  reached(life: string, point: TrapPoint): Trap | undefined {
    if (this.#armed.length === 0) return undefined
    const trap = this.#armed.find((armed) => armed.point === point && life.startsWith(`${armed.process}.`))
    if (trap === undefined) return undefined
    this.#armed = this.#armed.filter((armed) => armed !== trap)
    trap.spring()
    return trap
  }
}
