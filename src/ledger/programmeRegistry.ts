/**
 * The programme as this process knows it: the file's versions and those that were stored, read at the start and again every so often. Whoever asks for
 * `versions` gets those of the moment.
 */
import type { Clock } from '../clock.ts'
import { ConfigError } from '../config.ts'
import { errorText, type Logger } from '../log.ts'
import { programmeWith, type Programme, type ProgrammeParameters } from '../programmeParameters.ts'
import type { StoredVersion } from './programme/versions.ts'

export interface ProgrammeRegistryOptions {
  /** config/programme.json, without what was stored. */
  readonly file: Programme
  readonly freshMs: number
  readonly clock: Clock
  readonly log: Logger
  readonly read: () => Promise<StoredVersion[]>
}

/** The least time between two readings, whatever the settings say. */
const FRESH_MIN_MS = 50

export class ProgrammeRegistry implements Programme {
  readonly units: Programme['units']
  readonly purses: Programme['purses']
  readonly accountTypes: Programme['accountTypes']
  readonly #options: ProgrammeRegistryOptions
  #versions: readonly ProgrammeParameters[]
  /** Of the last version that was read. */
  #number = 0
  #cancel: (() => void) | undefined
  #stopped = false

  constructor(options: ProgrammeRegistryOptions) {
    const { file } = options
    this.#options = options
    this.units = file.units
    this.purses = file.purses
    this.accountTypes = file.accountTypes
    this.#versions = file.versions
  }

  get versions(): readonly ProgrammeParameters[] {
    return this.#versions
  }

  /**
   * Resolves when they were read once.
   *
   * @throws ConfigError where what was stored does not go with the file; what `read` throws
   */
  async start(): Promise<void> {
    await this.#read()
    this.#again()
  }

  stop(): void {
    this.#stopped = true
    this.#cancel?.()
  }

  #again(): void {
    if (this.#stopped) return
    this.#cancel = this.#options.clock.after(Math.max(FRESH_MIN_MS, this.#options.freshMs), () => {
      void this.#refresh()
    })
  }

  async #refresh(): Promise<void> {
    try {
      await this.#read()
    } catch (error) {
      // What was known holds on.
      this.#options.log.warn({ error: errorText(error) }, 'versions of the programme cannot be read')
    }
    this.#again()
  }

  async #read(): Promise<void> {
    const { file, log, read } = this.#options
    const stored = await read()
    const number = stored.at(-1)?.number ?? 0
    // The same objects for the same versions: something may be kept by them.
    if (number === this.#number) return
    this.#versions = programmeOfAll(file, stored).versions
    this.#number = number
    log.info({ count: this.#versions.length }, 'the programme has versions that were stored')
  }
}

/**
 * The programme of the file with what was stored.
 *
 * @throws ConfigError where the two do not go together: after a release whose rules have other names, for one
 */
export function programmeOfAll(file: Programme, stored: readonly StoredVersion[]): Programme {
  const programme = programmeWith(
    file,
    holding(stored).map(({ parameters }) => parameters),
  )
  if (typeof programme === 'string')
    throw new ConfigError(`the versions of the programme that were stored do not go with config/programme.json: ${programme}`)
  return programme
}

/** Of those with the same first day the last. */
export function holding(stored: readonly StoredVersion[]): StoredVersion[] {
  return [...new Map(stored.map((version) => [version.validFrom, version])).values()]
}
