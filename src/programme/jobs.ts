/**
 * Work that no message asks for, as jobs in the switch's own database: on the 1st of each month at 00:00 in Cairo every household's purses are
 * opened (src/ledger/cycles.ts). pg-boss sees to it that one process of several does it, that it is done again where a run failed or its
 * process died, and that it is looked at once more whenever a switch starts, so that a 1st on which everything was down is made up for.
 *
 * Nothing here has to happen exactly once or in time: opening is safe to repeat, and what a job has not reached is opened at its first use.
 */
import { PgBoss } from 'pg-boss'
import { cairoDay, type Clock } from '../clock.ts'
import type { Config } from '../config.ts'
import { LedgerConnection } from '../ledger/connection.ts'
import { openAll } from '../ledger/cycles.ts'
import { errorText, type Logger } from '../log.ts'
import { monthOf } from '../purse/entitlement.ts'
import { openingPacer } from './openingPacer.ts'

export interface JobsOptions {
  readonly config: Pick<Config, 'databaseUrl' | 'programme' | 'jobs'>
  readonly shard: number
  readonly clock: Clock
  readonly log: Logger
}

export interface Jobs {
  /** Resolves when a run that is under way has ended its chunk; the rest is done by the next run, of this process or another. */
  stop(): Promise<void>
}

const SCHEMA = 'jobs'
export const OPENING_QUEUE = 'open-purses'
/** Summer time never begins or ends on a 1st, so that every 1st has a 00:00. */
const FIRST_OF_MONTH = '0 0 1 * *'
const TIME_ZONE = 'Africa/Cairo'
/** One for the library's own work and one to tell it that a job is alive. */
const CONNECTIONS = 2
const POLL_S = 2
/** The most that pg-boss takes. What is cut off is taken up again. */
const RUN_S = 86_400 - 1
const STOP_MS = 5000
const RECONNECT_MS = 1000

/** @throws what the database says where the schema of the jobs cannot be made; nothing is left running then */
export async function startJobs({ config, shard, clock, log }: JobsOptions): Promise<Jobs> {
  const { retries, retryDelayS, heartbeatS } = config.jobs
  const boss = new PgBoss({
    connectionString: config.databaseUrl,
    application_name: 'sarf jobs',
    schema: SCHEMA,
    max: CONNECTIONS,
    registerInstance: false,
    superviseIntervalSeconds: heartbeatS,
    monitorIntervalSeconds: heartbeatS,
  })
  boss.on('error', (error) => {
    log.warn({ error: errorText(error) }, 'jobs cannot be looked after; tried again')
  })
  let stopping = false
  try {
    await boss.start()
    const limits = {
      retryLimit: retries,
      retryDelay: retryDelayS,
      retryBackoff: true,
      heartbeatSeconds: heartbeatS,
      expireInSeconds: RUN_S,
    }
    // One runs and one waits, whichever process asked: what waits begins after what runs has ended, so that no third would find more to do.
    await boss.createQueue(OPENING_QUEUE, { policy: 'stately', ...limits })
    await boss.updateQueue(OPENING_QUEUE, limits)
    await boss.schedule(OPENING_QUEUE, FIRST_OF_MONTH, null, { tz: TIME_ZONE })
    await boss.work(OPENING_QUEUE, { pollingIntervalSeconds: POLL_S }, async ([job]) => {
      const shouldStop = (): boolean => stopping || job?.signal.aborted === true
      await openMonth({ config, shard, clock, log }, shouldStop)
    })
    await boss.send(OPENING_QUEUE)
  } catch (error) {
    await boss.stop({ graceful: false }).catch(() => undefined)
    throw error
  }
  return {
    async stop() {
      stopping = true
      await boss.stop({ graceful: true, timeout: STOP_MS })
    },
  }
}

/** On a connection of its own, so that authorizations do not wait behind it. @throws where it could not be brought to its end: the job is tried again */
async function openMonth({ config, shard, clock, log }: JobsOptions, shouldStop: () => boolean): Promise<void> {
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
