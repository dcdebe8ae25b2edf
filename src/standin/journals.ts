/**
 * The journals that this process has: its own, which it writes to, and those of slots whose processes are gone, which it drains. A slot is a directory, taken by a
 * lock; a process takes the first that is free, with what an earlier one has left in it.
 */
import type { Clock } from '../clock.ts'
import { errorText, type Logger } from '../log.ts'
import type { Disk, DiskLock } from './disk.ts'
import { Journal, markPosted, type JournalEntry, type JournalLimits } from './journal.ts'
import type { DecisionRecord, StandInRecord } from './record.ts'

export interface JournalsOptions extends JournalLimits {
  readonly disk: Disk
  readonly directory: string
  /** Tells journals of several machines apart in Redis. */
  readonly node: string
  readonly slotsMax: number
  readonly clock: Clock
  readonly log: Logger
}

interface Slot {
  readonly number: number
  readonly journal: Journal
  readonly lock: DiskLock
}

export class Journals {
  readonly #options: JournalsOptions
  readonly #slots = new Map<number, Slot>()
  /** What has yet to be posted, by its idempotency key. */
  readonly #decisions = new Map<string, DecisionRecord>()
  /** Keys of what this process has written itself. */
  readonly #durable = new Set<string>()
  /** Of slots that are not ours and could not be let go: nobody else can take them while this process lives. */
  readonly #kept = new Map<number, DiskLock>()
  #own: Slot | undefined

  constructor(options: JournalsOptions) {
    this.#options = options
  }

  /** Takes a slot. Where none can be had nothing can be written; the log says why. */
  async open(): Promise<void> {
    const { disk, directory, slotsMax, log } = this.#options
    for (let number = 1; number <= slotsMax && this.#own === undefined; number++) {
      const name = slotName(number)
      try {
        await disk.makeDirectory(`${directory}/${name}`)
      } catch (error) {
        log.error({ path: name, error: errorText(error) }, 'there is no journal of stand-in; stand-in is off in this process')
        return
      }
      try {
        this.#own = await this.#take(number)
      } catch (error) {
        // Another one may do.
        log.error({ path: name, error: errorText(error) }, 'a journal of stand-in cannot be used')
      }
    }
    if (this.#own === undefined) log.error({ count: slotsMax }, 'no journal of stand-in is free; stand-in is off in this process')
    await this.adopt()
  }

  /**
   * Takes slots that hold something, or were not given back, and whose processes are gone: Redis may name one that has no file yet. `all` takes those too that
   * nobody has and that hold nothing. Does not reject.
   *
   * @returns whether there was one
   */
  async adopt(all = false): Promise<boolean> {
    const { disk, directory, log } = this.#options
    let found = false
    const names = await disk.list(directory).catch((error: unknown) => {
      log.error({ error: errorText(error) }, 'journals of stand-in cannot be looked for')
      return []
    })
    for (const name of names) {
      const number = Number(SLOT.exec(name)?.[1] ?? 0)
      if (number === 0 || this.#slots.has(number)) continue
      try {
        const files = await disk.list(`${directory}/${name}`)
        const isLeft = all || files.some((file) => file.endsWith('.journal') || file.startsWith('lock.'))
        if (!isLeft || (await this.#take(number)) === undefined) continue
        found = true
        log.info({ path: name }, 'a journal of stand-in was taken over')
      } catch (error) {
        log.error({ path: name, error: errorText(error) }, 'a journal of stand-in cannot be taken over')
      }
    }
    return found
  }

  /** A record can be written now. */
  get ready(): boolean {
    return this.#own?.journal.ready === true
  }

  get full(): boolean {
    return this.#own?.journal.full === true
  }

  /** The name of the one that is written to. */
  get name(): string {
    return this.#nameOf(this.#own?.number ?? 0)
  }

  /** Names of all of them, and of their files. */
  get names(): readonly string[] {
    return [...new Set(this.#journals().flatMap(({ names }) => names))]
  }

  get undrained(): number {
    return this.#journals().reduce((sum, { undrained }) => sum + undrained, 0)
  }

  get bytes(): number {
    return this.#journals().reduce((sum, { bytes }) => sum + bytes, 0)
  }

  get damagedFiles(): number {
    return this.#journals().reduce((sum, { damagedFiles }) => sum + damagedFiles, 0)
  }

  get failures(): number {
    return this.#journals().reduce((sum, { failures }) => sum + failures, 0)
  }

  /** When the oldest record that is not posted was decided; undefined where there is none. */
  get oldestMs(): number | undefined {
    let oldest: number | undefined
    for (const journal of this.#journals()) {
      const first = journal.entries().next()
      if (first.done !== true) oldest = Math.min(oldest ?? Infinity, first.value.record.atMs)
    }
    return oldest
  }

  /** Nothing is being written. */
  get quiet(): boolean {
    return this.#own?.journal.quiet !== false
  }

  *entries(): Generator<JournalEntry> {
    for (const journal of this.#journals()) yield* journal.entries()
  }

  /** @throws JournalClosed, JournalUncertain */
  async append(record: StandInRecord): Promise<JournalEntry> {
    if (this.#own === undefined) throw new RangeError('there is no journal to write to')
    const entry = await this.#own.journal.append(record)
    this.#index(record)
    if (record.type === 'decision') this.#durable.add(record.transaction.key)
    return entry
  }

  /** What a journal that was taken over holds may be in the machine's memory only: its process may have died before it was durable. */
  isDurable(key: string): boolean {
    return this.#durable.has(key)
  }

  /** What is here under a key and has yet to be posted. */
  find(key: string): DecisionRecord | undefined {
    return this.#decisions.get(key)
  }

  markPosted(entry: JournalEntry): void {
    markPosted(entry)
    if (entry.record.type !== 'decision') return
    const { key } = entry.record.transaction
    this.#decisions.delete(key)
    this.#durable.delete(key)
  }

  /** Removes what is drained; `all`, once Redis was told, lets go of slots too. Does not reject. @returns whether all of it could be done */
  async tidy(all: boolean): Promise<boolean> {
    try {
      for (const slot of this.#slots.values()) {
        await slot.journal.tidy(all)
        // Not before Redis was told: nobody else would say that this one holds nothing.
        if (!all || slot === this.#own || slot.journal.bytes > 0) continue
        this.#slots.delete(slot.number)
        await this.#release(slot.number, slot.lock)
      }
      return true
    } catch (error) {
      this.#options.log.error({ error: errorText(error) }, 'drained journals cannot be removed; it is tried again')
      return false
    }
  }

  async close(): Promise<void> {
    for (const { journal, lock } of this.#slots.values()) {
      await journal.close()
      await lock.release().catch(() => undefined)
    }
    for (const lock of this.#kept.values()) await lock.release().catch(() => undefined)
    this.#slots.clear()
    this.#kept.clear()
    this.#decisions.clear()
    this.#durable.clear()
    this.#own = undefined
  }

  #journals(): Journal[] {
    return [...this.#slots.values()].map(({ journal }) => journal)
  }

  #index(record: StandInRecord): void {
    if (record.type === 'decision') this.#decisions.set(record.transaction.key, record)
  }

  #nameOf(number: number): string {
    return `${this.#options.node}/${slotName(number)}`
  }

  async #take(number: number): Promise<Slot | undefined> {
    const directory = `${this.#options.directory}/${slotName(number)}`
    const lock = this.#kept.get(number) ?? (await this.#options.disk.lock(directory))
    this.#kept.delete(number)
    if (lock === undefined) return undefined
    try {
      const journal = await Journal.open({ ...this.#options, directory, name: this.#nameOf(number) })
      const slot = { number, journal, lock }
      this.#slots.set(number, slot)
      for (const { record } of journal.entries()) this.#index(record)
      return slot
    } catch (error) {
      await this.#release(number, lock)
      throw error
    }
  }

  /** Where that fails the lock stays, and is used when the slot is looked at again: what is in it would be drained by nobody. */
  async #release(number: number, lock: DiskLock): Promise<void> {
    try {
      await lock.release()
    } catch (error) {
      this.#kept.set(number, lock)
      this.#options.log.warn({ path: slotName(number), error: errorText(error) }, 'a journal of stand-in cannot be let go yet')
    }
  }
}

const SLOT = /^slot-(\d{3})$/

function slotName(number: number): string {
  return `slot-${String(number).padStart(3, '0')}`
}
