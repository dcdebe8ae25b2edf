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
}

export type Fate = keyof Storm | 'well'

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
