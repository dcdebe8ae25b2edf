/**
 * The journal in one directory (a slot): several files, of which one is written to.
 *
 *   file:  created --(head written, file and directory synchronised)--> active --(full, failed, or all of it posted)--> closed --(all of it posted)--> removed
 *
 * Whatever waits goes out in one write and one synchronisation, while the next gathers. A record is told to be durable only after that. Where writing or synchronising
 * fails, the file is given up for good: a second synchronisation that succeeds proves nothing of what the first has lost. A file of an earlier process is never
 * written to. What is in a file is drained in the order in which it was written; a file that was damaged is set aside then, not removed.
 */
import type { Clock } from '../clock.ts'
import { errorText, type Logger } from '../log.ts'
import type { Disk, DiskFile } from './disk.ts'
import { encodeRecord, fileStart, readJournal, RECORD_BYTES_MAX } from './journalFile.ts'
import type { StandInRecord } from './record.ts'

export interface JournalLimits {
  readonly fileBytesMax: number
  /** Files of a slot, those that wait to be drained included. */
  readonly filesMax: number
  /** Records that are written and synchronised at once. */
  readonly batchMax: number
  /** How long nothing is written after a file could not be made. */
  readonly reopenMs: number
}

export interface JournalOptions extends JournalLimits {
  readonly disk: Disk
  readonly directory: string
  /** The name under which Redis knows it. */
  readonly name: string
  readonly clock: Clock
  readonly log: Logger
}

/** A record that is durable and not yet posted. */
export interface JournalEntry {
  readonly record: StandInRecord
  readonly file: JournalFile
  posted: boolean
}

interface JournalFile {
  readonly path: string
  readonly entries: JournalEntry[]
  readonly damaged: boolean
  bytes: number
  open: number
}

/** Nothing was written: the journal is full, or its directory takes no file. */
export class JournalClosed extends Error {
  override readonly name = 'JournalClosed'
}

/** It may have been written, or a part of it: nobody may be told that it was not. */
export class JournalUncertain extends Error {
  override readonly name = 'JournalUncertain'
}

interface ActiveFile {
  readonly file: JournalFile
  readonly handle: DiskFile
}

const JOURNAL_FILE = /^(\d{6})\.journal$/

interface Waiting {
  readonly record: StandInRecord
  readonly bytes: Buffer
  readonly resolve: (entry: JournalEntry) => void
  readonly reject: (error: Error) => void
}

export function markPosted(entry: JournalEntry): void {
  if (entry.posted) return
  entry.posted = true
  entry.file.open--
}

export class Journal {
  readonly #options: JournalOptions
  readonly #files: JournalFile[] = []
  /** Its own name, and those in its files' heads, also of files that are gone: Redis is told of all of them in the end. */
  readonly #names: Set<string>
  #active: ActiveFile | undefined
  #waiting: Waiting[] = []
  #writing: Promise<void> | undefined
  #lastNumber = 0
  /** After a file could not be made, for a while; ends it. */
  #reopen: (() => void) | undefined
  #failures = 0

  /** Reads what an earlier process has left. @throws what the disk throws */
  static async open(options: JournalOptions): Promise<Journal> {
    const journal = new Journal(options)
    await journal.#readFiles()
    return journal
  }

  private constructor(options: JournalOptions) {
    this.#options = options
    this.#names = new Set([options.name])
  }

  /** Names under which Redis may know it: its own, and those of files that came from elsewhere. */
  get names(): readonly string[] {
    return [...this.#names]
  }

  get directory(): string {
    return this.#options.directory
  }

  /** Something can be written now. */
  get ready(): boolean {
    return this.#reopen === undefined && !this.full
  }

  get full(): boolean {
    const room = this.#active !== undefined && this.#active.file.bytes < this.#options.fileBytesMax
    return !room && this.#files.length >= this.#options.filesMax
  }

  /** Records that are durable and not posted. */
  get undrained(): number {
    return this.#files.reduce((sum, { open }) => sum + open, 0)
  }

  get bytes(): number {
    return this.#files.reduce((sum, { bytes }) => sum + bytes, 0)
  }

  get damagedFiles(): number {
    return this.#files.filter(({ damaged }) => damaged).length
  }

  /** Writes and synchronisations that failed since the start. */
  get failures(): number {
    return this.#failures
  }

  /** Nothing is being written. */
  get quiet(): boolean {
    return this.#writing === undefined && this.#waiting.length === 0
  }

  /** In the order in which they were written. */
  *entries(): Generator<JournalEntry> {
    for (const { entries, open } of this.#files) if (open > 0) for (const entry of entries) if (!entry.posted) yield entry
  }

  /** @returns when it is durable @throws JournalClosed, JournalUncertain */
  async append(record: StandInRecord): Promise<JournalEntry> {
    const bytes = encodeRecord(record)
    if (bytes.length > RECORD_BYTES_MAX) throw new JournalClosed(`a record of ${String(bytes.length)} bytes`)
    if (!this.ready) throw new JournalClosed(this.full ? 'the journal is full' : 'the journal takes no files')
    const { promise, resolve, reject } = Promise.withResolvers<JournalEntry>()
    this.#waiting.push({ record, bytes, resolve, reject })
    this.#writing ??= this.#write()
    return await promise
  }

  /** Removes files of which all is posted; the active one only where `all` is asked for and nothing is being written. */
  async tidy(all: boolean): Promise<void> {
    const { disk, directory } = this.#options
    if (all && this.quiet && this.#active?.file.open === 0) {
      // Who begins to write meanwhile takes another.
      const { handle } = this.#active
      this.#active = undefined
      await handle.close().catch(() => undefined)
    }
    const done = this.#files.filter((file) => file.open === 0 && file !== this.#active?.file)
    for (const file of done) {
      if (file.damaged) await disk.rename(file.path, `${file.path}.damaged`)
      else await disk.remove(file.path)
      this.#files.splice(this.#files.indexOf(file), 1)
    }
    if (done.length > 0) await disk.syncDirectory(directory)
  }

  async close(): Promise<void> {
    await this.#writing
    this.#reopen?.()
    await this.#active?.handle.close().catch(() => undefined)
    this.#active = undefined
  }

  /** All that waits, batch by batch. */
  async #write(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, this.#options.batchMax)
      const active = await this.#fileToWrite()
      if (active === undefined) {
        for (const { reject } of batch) reject(new JournalClosed('the journal takes no records'))
        continue
      }
      const { file, handle } = active
      try {
        const bytes = Buffer.concat(batch.map((one) => one.bytes))
        file.bytes += bytes.length
        await handle.append(bytes)
        await handle.sync()
      } catch (error) {
        this.#giveUp(error)
        for (const { reject } of batch) reject(new JournalUncertain(errorText(error), { cause: error }))
        continue
      }
      for (const { record, resolve } of batch) {
        const entry: JournalEntry = { record, file, posted: false }
        file.entries.push(entry)
        file.open++
        resolve(entry)
      }
    }
    this.#writing = undefined
  }

  /** The active file, or a new one where it is full. @returns undefined where there is none to be had */
  async #fileToWrite(): Promise<ActiveFile | undefined> {
    const { disk, directory, name, fileBytesMax, filesMax, clock, log, reopenMs } = this.#options
    if (this.#active !== undefined && this.#active.file.bytes < fileBytesMax) return this.#active
    await this.#active?.handle.close().catch(() => undefined)
    this.#active = undefined
    if (this.#files.length >= filesMax || this.#reopen !== undefined) return undefined
    const path = `${directory}/${String(++this.#lastNumber).padStart(6, '0')}.journal`
    let handle: DiskFile | undefined
    try {
      handle = await disk.create(path)
      const start = fileStart({ type: 'head', journal: name, createdMs: clock.now() })
      await handle.append(start)
      await handle.sync()
      await disk.syncDirectory(directory)
      const file: JournalFile = { path, entries: [], damaged: false, bytes: start.length, open: 0 }
      this.#files.push(file)
      return (this.#active = { file, handle })
    } catch (error) {
      this.#failures++
      // By a timer: the wall clock may be set back by hours meanwhile.
      this.#reopen = clock.after(reopenMs, () => {
        this.#reopen = undefined
      })
      // Nothing was told that is in it.
      await handle?.close().catch(() => undefined)
      if (handle !== undefined)
        await disk.remove(path).catch(() => {
          // Removed with those that are drained.
          this.#files.push({ path, entries: [], damaged: false, bytes: 0, open: 0 })
        })
      log.error({ error: errorText(error) }, 'the journal of stand-in takes no files; stand-in is off until it does')
      return undefined
    }
  }

  #giveUp(error: unknown): void {
    this.#failures++
    this.#options.log.error({ error: errorText(error) }, 'the journal of stand-in cannot be written; the file is given up')
    void this.#active?.handle.close().catch(() => undefined)
    this.#active = undefined
  }

  async #readFiles(): Promise<void> {
    const { disk, directory, log } = this.#options
    for (const found of await disk.list(directory)) {
      const number = Number(JOURNAL_FILE.exec(found)?.[1] ?? NaN)
      if (Number.isNaN(number)) continue
      this.#lastNumber = Math.max(this.#lastNumber, number)
      const path = `${directory}/${found}`
      const bytes = await disk.read(path)
      const { head, records, tornBytes, damagedBytes } = readJournal(bytes)
      if (tornBytes > 0)
        log.warn({ count: tornBytes, path }, 'a journal ends in the middle of a record, which nobody was told of')
      if (damagedBytes > 0)
        log.error({ count: damagedBytes, path }, 'a journal is damaged; what is good is posted, and the file is kept beside')
      const file: JournalFile = {
        ...{ path, entries: [], damaged: damagedBytes > 0, bytes: bytes.length, open: 0 },
      }
      if (head !== undefined) this.#names.add(head.journal)
      for (const record of records) file.entries.push({ record, file, posted: false })
      file.open = file.entries.length
      this.#files.push(file)
    }
  }
}
