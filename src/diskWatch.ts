/**
 * How much room the disks have that the switch writes to. Looked at every so often and remembered: a network disk that hangs must not hang whoever asks
 * for measurements, nor be asked again before it has answered.
 */
import { statfs } from 'node:fs/promises'
import type { Clock } from './clock.ts'
import { errorText, type Logger } from './log.ts'

export interface DiskWatchOptions {
  /** Paths by the name that measurements give them. */
  readonly directories: Readonly<Record<string, string>>
  readonly everyMs: number
  readonly clock: Clock
  readonly log: Logger
}

export interface DiskRoom {
  /** What a process without root's rights may still write. */
  readonly freeBytes: number
  readonly sizeBytes: number
}

export class DiskWatch {
  readonly #options: DiskWatchOptions
  readonly #room = new Map<string, DiskRoom>()
  readonly #asked = new Set<string>()
  #cancel: (() => void) | undefined

  constructor(options: DiskWatchOptions) {
    this.#options = options
  }

  start(): void {
    const { directories, everyMs, clock } = this.#options
    const look = (): void => {
      for (const [name, path] of Object.entries(directories)) void this.#look(name, path)
      this.#cancel = clock.after(everyMs, look)
    }
    look()
  }

  stop(): void {
    this.#cancel?.()
  }

  /** What was seen last, by name; NaN where it cannot be looked at. */
  get room(): ReadonlyMap<string, DiskRoom> {
    return this.#room
  }

  async #look(name: string, path: string): Promise<void> {
    if (this.#asked.has(name)) return
    this.#asked.add(name)
    try {
      const { bavail, blocks, bsize } = await statfs(path)
      this.#room.set(name, { freeBytes: bavail * bsize, sizeBytes: blocks * bsize })
    } catch (error) {
      this.#room.set(name, { freeBytes: NaN, sizeBytes: NaN })
      this.#options.log.warn({ reason: name, error: errorText(error) }, 'cannot see how much room a disk has')
    } finally {
      this.#asked.delete(name)
    }
  }
}
