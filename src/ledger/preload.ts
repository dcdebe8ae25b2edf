/**
 * Fills an empty Redis, so that the first use of each card after a new epoch need not wait for the ledger. Nothing depends on it: what is not
 * there yet is loaded when it is needed. Before the switch listens it hurries; while it serves, pages are small and each is followed by
 * a pause as long as it took, so that messages hardly wait behind it.
 */
import type { Clock } from '../clock.ts'
import type { HotState } from '../decision/hotState.ts'
import { errorText, type Logger } from '../log.ts'
import type { Ledger } from './ledger.ts'

export interface PreloadParts {
  readonly ledger: Ledger
  readonly hotState: HotState
  readonly clock: Clock
  readonly log: Logger
  readonly cardsMax: number
  /** Nobody is being served yet. */
  readonly hurry: () => boolean
}

/** Households. */
const LARGE_PAGE = 200
const SMALL_PAGE = 20
const PAUSE_MAX_MS = 1000

/** Ends when all or `cardsMax` cards are there, or as soon as Redis is down or has another epoch. Does not reject. */
export async function preload({ ledger, hotState, clock, log, cardsMax, hurry }: PreloadParts): Promise<void> {
  const { epoch } = hotState
  let after = 0
  let count = 0
  try {
    while (epoch !== undefined && hotState.epoch === epoch && count < cardsMax) {
      const startedMs = clock.now()
      const { cards, last } = await ledger.cardPage(after, hurry() ? LARGE_PAGE : SMALL_PAGE)
      if (last === undefined) break
      // The household's purses come with each card that carries them.
      const purses = new Map(cards.flatMap((one) => one.purses.map((purse) => [purse.purseId, purse])))
      await hotState.put(
        epoch,
        cards.map(({ card }) => card),
        [...purses.values()],
      )
      after = last
      count += cards.length
      // A clock may be set meanwhile.
      if (!hurry()) await pause(clock, Math.min(PAUSE_MAX_MS, Math.max(0, clock.now() - startedMs)))
    }
    log.info({ count }, 'cards are in Redis')
  } catch (error) {
    log.info({ count, error: errorText(error) }, 'loading cards into Redis ended early')
  }
}

async function pause(clock: Clock, forMs: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<undefined>()
  clock.after(forMs, () => {
    resolve(undefined)
  })
  await promise
}
