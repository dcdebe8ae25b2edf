/** Every few minutes, and whenever a switch starts, what time does to cards is done: see clocks/cardClocks.ts. */
import type { Clock } from '../clock.ts'
import { runCardClocks, type CardClockParts } from './clocks/cardClocks.ts'
import type { JobDefinition } from './jobs.ts'

export const CARD_CLOCK_QUEUE = 'card-clocks'

export function cardClockJob({ clock, ...parts }: Omit<CardClockParts, 'shouldStop'> & { readonly clock: Clock }): JobDefinition {
  const { config, log } = parts
  return {
    queue: CARD_CLOCK_QUEUE,
    cron: `*/${String(config.jobs.cardClocks.everyMinutes)} * * * *`,
    async run(shouldStop) {
      const startedMs = clock.now()
      const { cards, failed } = await runCardClocks({ ...parts, shouldStop }, startedMs)
      if (cards + failed > 0) log.info({ count: cards, elapsedMs: clock.now() - startedMs }, 'cards were changed by their clocks')
    },
  }
}
