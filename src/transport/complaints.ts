/** What peers do wrong, written once a minute for an address and a cause: who is hostile does it over and over, and a full log hides the rest. */
import type { Logger } from './logger.ts'

const EVERY_MS = 60_000
/** Addresses and causes that are remembered; beyond them all is forgotten, and written again. */
const REMEMBERED_MAX = 1000

interface Heard {
  readonly atMs: number
  /** Since it was written. */
  count: number
}

export class Complaints {
  readonly #log: Logger
  readonly #monotonicMs: () => number
  readonly #heard = new Map<string, Heard>()

  constructor(log: Logger, monotonicMs: () => number) {
    this.#log = log
    this.#monotonicMs = monotonicMs
  }

  /** @param fields with `count` where there were more since the last line */
  warn(address: string, reason: string, fields: object, message: string): void {
    const [now, name] = [this.#monotonicMs(), `${address} ${reason}`]
    const heard = this.#heard.get(name)
    if (heard !== undefined && now - heard.atMs < EVERY_MS) {
      heard.count++
      this.#log.debug({ ...fields, reason }, message)
      return
    }
    if (this.#heard.size >= REMEMBERED_MAX) this.#heard.clear()
    this.#heard.set(name, { atMs: now, count: 0 })
    this.#log.warn({ ...fields, reason, ...(heard === undefined || heard.count === 0 ? {} : { count: heard.count }) }, message)
  }
}
