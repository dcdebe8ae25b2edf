/** Every few minutes, and whenever a switch starts, holders whose cases wait get the money that suspense lends them. May run late, twice at once or be cut short. */
import { cairoDay, type Clock } from '../clock.ts'
import type { Config } from '../config.ts'
import { done, type Desk } from '../ledger/programme/desk.ts'
import { dueCredits } from '../ledger/settlement/disputes.ts'
import { errorText, type Logger } from '../log.ts'
import type { JobDefinition } from '../programme/jobs.ts'
import { giveProvisionalCredit } from './disputes.ts'

export interface DisputeJobParts {
  readonly desk: Desk
  readonly config: Pick<Config, 'disputes'>
  readonly clock: Clock
  readonly log: Logger
}

const ACTOR = { name: 'clock', roles: [] }

export function disputeJob(parts: DisputeJobParts): JobDefinition {
  return {
    queue: 'dispute-credits',
    cron: `*/${String(parts.config.disputes.everyMinutes)} * * * *`,
    run: async (shouldStop) => {
      const { credited, failed } = await lendWhatIsDue(parts, shouldStop)
      if (credited + failed > 0) parts.log.info({ count: credited }, 'money was lent to holders whose disputes wait')
    },
  }
}

/** Each case is a SQL transaction of its own. @throws where the ledger cannot be reached */
export async function lendWhatIsDue(
  { desk, config, clock, log }: DisputeJobParts,
  shouldStop: () => boolean = () => false,
): Promise<{ readonly credited: number; readonly failed: number }> {
  const day = cairoDay(clock.now())
  const { chunk } = config.disputes
  let credited = 0
  let failed = 0
  for (let after = 0; ;) {
    const last = after
    const due = await desk.read((tx) => dueCredits(tx, day, last, chunk))
    for (const id of due) {
      if (shouldStop()) return { credited, failed }
      try {
        const outcome = await desk.run({
          actor: ACTOR,
          action: 'dispute.credit',
          subject: `dispute ${String(id)}`,
          work: async (tx) => done((await giveProvisionalCredit(tx, id)) ?? null),
          audit: (dispute) => (dispute === null ? 'nothing' : { detail: { amount: dispute.provisional } }),
        })
        if (outcome.ok && outcome.value !== null) credited++
      } catch (error) {
        // One case must not keep the others waiting.
        failed++
        log.error({ key: String(id), error: errorText(error) }, 'a dispute cannot be credited; tried again with the next run')
      }
    }
    after = due.at(-1) ?? after
    if (due.length < chunk) return { credited, failed }
  }
}
