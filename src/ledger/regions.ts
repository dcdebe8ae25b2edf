/**
 * Services that are switched on for a region, as this process knows them: read at the start and again every so often. A service that is not
 * announced for a household's governorate is declined (57).
 */
import type { Clock } from '../clock.ts'
import type { ServiceRegions } from '../decision/context.ts'
import { errorText, type Logger } from '../log.ts'
import type { LedgerConnection, Statement } from './connection.ts'

interface RegionRow {
  readonly service: string
  readonly governorate: number
  readonly active_from: string
}

const READ_REGIONS: Statement = {
  name: 'read_regions',
  text: 'SELECT service, governorate, active_from::text FROM region_service',
}

/** @returns the first day of a service by `service governorate` */
export async function readRegions(connection: LedgerConnection): Promise<Map<string, string>> {
  const { rows } = await connection.run<RegionRow>(READ_REGIONS, [])
  return new Map(rows.map((row) => [`${row.service} ${String(row.governorate)}`, row.active_from]))
}

export interface RegionRegistryOptions {
  readonly freshMs: number
  readonly clock: Clock
  readonly log: Logger
  readonly read: () => Promise<Map<string, string>>
}

/** The least time between two readings, whatever the settings say. */
const FRESH_MIN_MS = 50

export class RegionRegistry implements ServiceRegions {
  readonly #options: RegionRegistryOptions
  #active: ReadonlyMap<string, string> = new Map()
  #cancel: (() => void) | undefined
  #stopped = false

  constructor(options: RegionRegistryOptions) {
    this.#options = options
  }

  isActive(service: string, governorate: number, day: string): boolean {
    const from = this.#active.get(`${service} ${String(governorate)}`)
    return from !== undefined && from <= day
  }

  /** Resolves when they were read once, or could not be. */
  async start(): Promise<void> {
    await this.refresh()
    if (this.#stopped) return
    this.#cancel = this.#options.clock.after(Math.max(FRESH_MIN_MS, this.#options.freshMs), () => {
      void this.start()
    })
  }

  stop(): void {
    this.#stopped = true
    this.#cancel?.()
  }

  /** Reads them now: one of them was changed. */
  async refresh(): Promise<void> {
    try {
      this.#active = await this.#options.read()
    } catch (error) {
      // What was known holds on.
      this.#options.log.warn({ error: errorText(error) }, 'regions cannot be read')
    }
  }
}
