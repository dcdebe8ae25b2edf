/** What became of messages second by second, around a fault: for one chart of before, during and after. */
import { isApproval } from './measurement.ts'

/** A second, or a phase of several. Latencies are of what was answered, whatever with; milliseconds. */
export interface Slice {
  readonly seconds: number
  readonly approved: number
  /** Answered 91: nothing was decided. */
  readonly refused: number
  /** Answered otherwise. */
  readonly declined: number
  /** Due then and never answered. */
  readonly unanswered: number
  readonly p50: number
  readonly p99: number
  readonly max: number
}

export class Timeline {
  readonly #seconds: Second[]

  /** @param seconds as many as are looked at; what comes later counts for the last */
  constructor(seconds: number) {
    this.#seconds = Array.from({ length: seconds }, () => ({
      approved: 0,
      refused: 0,
      declined: 0,
      unanswered: 0,
      latencies: [],
    }))
  }

  /** An answer counts for the second in which it came, the lack of one for that in which its message was due. */
  add(startMs: number, dueMs: number, nowMs: number, responseCode: string | undefined): void {
    const atMs = (responseCode === undefined ? dueMs : nowMs) - startMs
    const second = this.#seconds[Math.min(this.#seconds.length - 1, Math.max(0, Math.floor(atMs / 1000)))]
    if (second === undefined) return
    if (responseCode === undefined) {
      second.unanswered++
      return
    }
    if (isApproval(responseCode)) second.approved++
    else if (responseCode === CANNOT_DECIDE) second.refused++
    else second.declined++
    second.latencies.push(nowMs - dueMs)
  }

  slice(from: number, to: number): Slice {
    const seconds = this.#seconds.slice(from, to)
    const sum = (count: 'approved' | 'refused' | 'declined' | 'unanswered'): number =>
      seconds.reduce((all, second) => all + second[count], 0)
    const sorted = Float64Array.from(seconds.flatMap((second) => second.latencies)).sort()
    const at = (share: number): number => rounded(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0)
    return {
      seconds: seconds.length,
      approved: sum('approved'),
      refused: sum('refused'),
      declined: sum('declined'),
      unanswered: sum('unanswered'),
      p50: at(0.5),
      p99: at(0.99),
      max: at(1),
    }
  }

  /** Each second by itself. */
  slices(): Slice[] {
    return this.#seconds.map((_, index) => this.slice(index, index + 1))
  }
}

const CANNOT_DECIDE = '91'

interface Second {
  approved: number
  refused: number
  declined: number
  unanswered: number
  readonly latencies: number[]
}

const BARS = '▁▂▃▄▅▆▇█'
/** The height of a bar is the logarithm of the latency: 5 ms and less, then twice as much each. */
const LOWEST_MS = 5

/** A character a second: the higher, the slower; a dot where nothing was answered. */
export function latencyBars(slices: readonly Slice[]): string {
  return slices
    .map(({ p99, approved, refused, declined }) => {
      if (approved + refused + declined === 0) return '.'
      const step = Math.ceil(Math.log2(Math.max(1, p99 / LOWEST_MS)))
      return BARS[Math.min(BARS.length - 1, step)] ?? '.'
    })
    .join('')
}

function rounded(value: number): number {
  return Math.round(value * 10) / 10
}
