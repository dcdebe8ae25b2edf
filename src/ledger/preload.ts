/**
 * Fills an empty Redis in the background, so that the first use of each card after a new epoch need not wait for the ledger. Nothing depends
 * on it: what is not there yet is loaded when it is needed. Page by page, one at a time, until everything or `cardsMax` cards are there.
 */
import type { HotState } from '../decision/hotState.ts'
import { errorText, type Logger } from '../log.ts'
import type { Ledger } from './ledger.ts'

export interface PreloadParts {
  readonly ledger: Ledger
  readonly hotState: HotState
  readonly log: Logger
  readonly pageMax: number
  readonly cardsMax: number
}

/** Ends when done, or as soon as Redis is down or has another epoch. Does not reject. */
export async function preload({ ledger, hotState, log, pageMax, cardsMax }: PreloadParts): Promise<void> {
  const { epoch } = hotState
  let after = ''
  let count = 0
  try {
    while (epoch !== undefined && hotState.epoch === epoch && count < cardsMax) {
      const page = [...(await ledger.cardPage(after, Math.min(pageMax, cardsMax - count))).values()]
      const last = page.at(-1)
      if (last === undefined) break
      await hotState.put(
        epoch,
        page.map(({ card }) => card),
        page.map(({ purse }) => purse),
      )
      after = last.card.token
      count += page.length
    }
    log.info({ count }, 'cards are in Redis')
  } catch (error) {
    log.info({ count, error: errorText(error) }, 'loading cards into Redis ended early')
  }
}
