/**
 * Work that no message asks for, as jobs in the switch's own database. pg-boss sees to it that one process of several does it, that it is done again where a
 * run failed or its process died, and that it is looked at once more whenever a switch starts, so that a time at which everything was down is made up for.
 *
 * Nothing here has to happen exactly once or in time: a job has to be safe to repeat.
 */
import type { Config } from '../config.ts'
import { errorText, type Logger } from '../log.ts'

export interface JobDefinition {
  readonly queue: string
  /** When it is due, in Cairo's local time. */
  readonly cron: string
  /** Ends soon after `shouldStop` says so. @throws: it is tried again */
  readonly run: (shouldStop: () => boolean) => Promise<void>
}

export interface JobsOptions {
  readonly config: Pick<Config, 'databaseUrl' | 'jobs'>
  readonly log: Logger
  readonly jobs: readonly JobDefinition[]
}

export interface Jobs {
  /** Resolves when a run that is under way has ended its chunk; the rest is done by the next run, of this process or another. */
  stop(): Promise<void>
}

const SCHEMA = 'jobs'
const TIME_ZONE = 'Africa/Cairo'
/** One for the library's own work and one to tell it that a job is alive. */
const CONNECTIONS = 2
const POLL_S = 2
/** The most that pg-boss takes. What is cut off is taken up again. */
const RUN_S = 86_400 - 1
const STOP_MS = 5000

/** @throws what the database says where the schema of the jobs cannot be made; nothing is left running then */
export async function startJobs({ config, log, jobs }: JobsOptions): Promise<Jobs> {
  const { retries, retryDelayS, heartbeatS } = config.jobs
  // Loaded here, because a switch that leaves the jobs to another one does without it.
  const { PgBoss } = await import('pg-boss')
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
  const limits = {
    retryLimit: retries,
    retryDelay: retryDelayS,
    retryBackoff: true,
    heartbeatSeconds: heartbeatS,
    expireInSeconds: RUN_S,
  }
  try {
    await boss.start()
    for (const { queue, cron, run } of jobs) {
      // One runs and one waits, whichever process asked: what waits begins after what runs has ended, so that no third would find more to do.
      await boss.createQueue(queue, { policy: 'stately', ...limits })
      await boss.updateQueue(queue, limits)
      await boss.schedule(queue, cron, null, { tz: TIME_ZONE })
      await boss.work(queue, { pollingIntervalSeconds: POLL_S }, ([job]) => run(() => stopping || job?.signal.aborted === true))
      await boss.send(queue)
    }
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
