/** What is done in pieces and was cut short half-way, by a process that died or a ledger that could not be reached, is brought to its end: runs that are posted, statements that are matched. */
import type { Config } from '../config.ts'
import type { Desk } from '../ledger/programme/desk.ts'
import { postingRuns } from '../ledger/settlement/payoutRuns.ts'
import { errorText, type Logger } from '../log.ts'
import type { JobDefinition } from '../programme/jobs.ts'
import { matchStatements } from './bank/matchStatement.ts'
import { PAYOUT_BOOK } from './payoutBook.ts'
import { postRun } from './payoutRuns.ts'

export interface UnfinishedParts {
  readonly desk: Desk
  readonly config: Pick<Config, 'settlement'>
  readonly log: Logger
}

export function unfinishedJob(parts: UnfinishedParts): JobDefinition {
  return {
    queue: 'settlement-unfinished',
    cron: '* * * * *',
    run: async (shouldStop) => {
      const { runs, statements } = await finishWhatIsBegun(parts, shouldStop)
      if (runs + statements > 0 && !shouldStop())
        parts.log.info({ count: runs + statements }, 'payout runs and statements that were cut short are done')
    },
  }
}

/** Whoever is at it already takes turns with this. One that fails keeps no other from its end. @throws what the first that failed has thrown, when all others are done */
export async function finishWhatIsBegun(
  { desk, config, log }: UnfinishedParts,
  stopped: () => boolean = () => false,
): Promise<{ readonly runs: number; readonly statements: number }> {
  const runs = await desk.read((tx) => postingRuns(tx))
  const failures: unknown[] = []
  for (const runId of runs)
    try {
      await postRun(desk, runId, stopped)
    } catch (error) {
      log.warn(
        { key: String(runId), error: errorText(error) },
        'a payout run cannot be posted to its end; tried again in a minute',
      )
      failures.push(error)
    }
  let statements = 0
  try {
    statements = await matchStatements(desk, { payouts: PAYOUT_BOOK, limits: config.settlement.bank, log }, { stopped })
  } catch (error) {
    failures.push(error)
  }
  if (failures.length > 0) throw failures[0]
  return { runs: runs.length, statements }
}
