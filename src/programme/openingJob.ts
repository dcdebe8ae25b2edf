/**
 * On the 1st of each month at 00:00 in Cairo every household's purses are opened (src/ledger/cycles.ts). Opening is safe to repeat, and what the job has not
 * reached is opened at its first use.
 */
import { cairoDay, type Clock } from '../clock.ts'
import type { Config } from '../config.ts'
import { LedgerConnection } from '../ledger/connection.ts'
import { openAll } from '../ledger/cycles.ts'
import type { Logger } from '../log.ts'
import { monthOf } from '../purse/entitlement.ts'
import type { JobDefinition } from './jobs.ts'
import { openingPacer } from './openingPacer.ts'

export interface OpeningParts {
  readonly config: Pick<Config, 'databaseUrl' | 'programme' | 'jobs'>
  readonly shard: number
  readonly clock: Clock
  readonly log: Logger
}

export const OPENING_QUEUE = 'open-purses'
/** Summer time never begins or ends on a 1st, so that every 1st has a 00:00. */
const FIRST_OF_MONTH = '0 0 1 * *'
const RECONNECT_MS = 1000

export function openingJob(parts: OpeningParts): JobDefinition {
  return { queue: OPENING_QUEUE, cron: FIRST_OF_MONTH, run: (shouldStop) => openMonth(parts, shouldStop) }
}

/** On a connection of its own, so that authorizations do not wait behind it. @throws where it could not be brought to its end: the job is tried again */
async function openMonth({ config, shard, clock, log }: OpeningParts, shouldStop: () => boolean): Promise<void> {
  const { chunk, busyPercent, statementMs } = config.jobs
  const connection = new LedgerConnection({
    url: config.databaseUrl,
    statementMs,
    reconnectMs: RECONNECT_MS,
    clock,
    log,
    name: 'opening',
  })
  const startedMs = clock.now()
  const day = cairoDay(startedMs)
  try {
    await connection.open()
    const result = await openAll(connection, shard, {
      now: () => clock.now(),
      day,
      programme: config.programme,
      chunk,
      shouldStop,
      pause: openingPacer(clock, busyPercent),
    })
    const fields = { reason: monthOf(day), elapsedMs: clock.now() - startedMs }
    if (result.opened > 0) log.info({ ...fields, count: result.opened }, 'purses opened for the month')
    if (result.behind > 0) log.error({ ...fields, count: result.behind }, 'purses cannot be opened for the month')
    if (result.stopped) throw new Error('the opening was stopped half-way; it goes on with the next run')
  } finally {
    await connection.close()
  }
}
