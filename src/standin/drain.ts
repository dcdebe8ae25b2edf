/**
 * Brings into the ledger what the journals hold, as soon as it can be reached: stops first, then decisions, oldest first. What cannot be brought in yet stays and is
 * tried again; doing it twice is harmless, since the ledger knows the key.
 *
 *   holding --(all posted, nothing being written)--> Redis is told --> files removed --> empty --(a record, or a file of a process that is gone)--> holding
 *
 * Redis is told before the files go: whoever dies in between leaves files that are drained again, not a shard that stays in stand-in with nothing to drain.
 */
import type { Clock } from '../clock.ts'
import { errorText, type Logger } from '../log.ts'
import type { JournalEntry } from './journal.ts'
import type { Journals } from './journals.ts'
import type { DecisionRecord, StopRecord } from './record.ts'

/** `failed`: it cannot be posted as it is; undefined: nobody knows yet, or the ledger cannot be reached. */
export type Posted = 'posted' | 'skipped' | 'failed' | undefined

export interface DrainParts {
  readonly journals: Journals
  readonly everyMs: number
  readonly batchMax: number
  readonly clock: Clock
  readonly log: Logger
  readonly ledgerAvailable: () => boolean
  readonly post: (record: DecisionRecord) => Promise<Posted>
  readonly stop: (record: StopRecord) => Promise<Posted>
  /** Tells Redis which journals hold something. @returns whether it was told */
  readonly hold: (names: readonly string[]) => Promise<boolean>
  /**
   * Tells Redis that they hold nothing any more; not while something is on its way to be written.
   *
   * @returns how many others hold something; undefined: it was not told
   */
  readonly leave: (names: readonly string[]) => Promise<number | undefined>
}

/** Slots of processes that are gone are looked for, and what failed is tried again, once in so many rounds. */
const SELDOM = 20

export class Drain {
  readonly #parts: DrainParts
  readonly #failed = new Set<JournalEntry>()
  #cancel: (() => void) | undefined
  #running: Promise<void> = Promise.resolve()
  #stopped = false
  #rounds = 0
  /** Redis may still name one of ours that holds nothing. */
  #named = true
  /** Redis has named others when it was last told. */
  #othersHold = false
  #drained = 0

  constructor(parts: DrainParts) {
    this.#parts = parts
  }

  /** Records posted, or found posted, since the start. */
  get drained(): number {
    return this.#drained
  }

  /** Records that the ledger does not take. */
  get failed(): number {
    return this.#failed.size
  }

  /** Something is being written: Redis names the journal. */
  written(): void {
    this.#named = true
  }

  start(): void {
    if (this.#stopped) return
    this.#cancel = this.#parts.clock.after(this.#parts.everyMs, () => {
      this.#running = this.round().then(() => {
        this.start()
      })
    })
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#cancel?.()
    await this.#running
    // Nobody else will say that a journal without files holds nothing.
    const { journals, leave } = this.#parts
    if (this.#named && journals.undrained === 0) await leave(journals.names)
  }

  /** One round. Does not reject. */
  async round(): Promise<void> {
    const { journals, log, ledgerAvailable, hold } = this.#parts
    try {
      if (this.#rounds++ % SELDOM === 0) {
        this.#failed.clear()
        // What a process that has died had on its way to Redis may arrive after all of it was drained, and its slot was let go.
        await journals.adopt(this.#othersHold)
        this.#named = true
      }
      if (journals.undrained > 0) {
        this.#named = true
        await hold(journals.names)
      }
      if (!ledgerAvailable()) return
      if (journals.undrained > 0) {
        const before = this.#drained
        await this.#post(this.#waiting('stop'))
        await this.#post(this.#waiting('decision'))
        if (this.#drained > before) log.info({ count: this.#drained - before }, 'the journal of stand-in was drained')
      }
      await this.#tidy()
    } catch (error) {
      log.error({ error: errorText(error) }, 'the journal of stand-in cannot be drained; it is tried again')
    }
  }

  #waiting(type: 'stop' | 'decision'): JournalEntry[] {
    return [...this.#parts.journals.entries()].filter((entry) => entry.record.type === type && !this.#failed.has(entry))
  }

  /** One that cannot be posted now does not hold up the others. */
  async #post(entries: readonly JournalEntry[]): Promise<void> {
    const { batchMax, journals, post, stop, ledgerAvailable } = this.#parts
    for (let from = 0; from < entries.length; from += batchMax) {
      if (this.#stopped || !ledgerAvailable()) return
      const batch = entries.slice(from, from + batchMax)
      const outcomes = await Promise.all(batch.map(({ record }) => (record.type === 'stop' ? stop(record) : post(record))))
      for (const [index, entry] of batch.entries()) {
        if (outcomes[index] === 'failed') this.#failed.add(entry)
        else if (outcomes[index] !== undefined) {
          journals.markPosted(entry)
          this.#drained++
        }
      }
    }
  }

  async #tidy(): Promise<void> {
    const { journals, leave } = this.#parts
    if (journals.undrained > 0) {
      await journals.tidy(false)
    } else if (this.#named) {
      // Whoever begins to write while Redis is told sets it again.
      this.#named = false
      const others = await leave(journals.names)
      this.#othersHold = (others ?? 0) > 0
      if (others === undefined || !(await journals.tidy(true))) this.#named = true
    }
  }
}
