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
  /** Another one has begun since. */
  readonly isSuperseded: () => boolean
}

/** Households. */
const LARGE_PAGE = 200
const SMALL_PAGE = 20
const PAUSE_MAX_MS = 1000

const RETRY_MS = 200

/**
 * Ends when all or `cardsMax` cards are there, or another one has begun. Where Redis or the ledger is out of reach meanwhile it goes on from there: a
 * process that was killed may not have told Redis of its last commits, and nobody else will. Does not reject.
 */
export async function preload(parts: PreloadParts): Promise<void> {
  const { hotState, clock, log, cardsMax, isSuperseded } = parts
  let epoch: number | undefined
  let after = 0
  let count = 0
  while (count < cardsMax && !isSuperseded() && !hotState.closed) {
    if (hotState.epoch === undefined) {
      await pause(clock, RETRY_MS)
      continue
    }
    epoch ??= hotState.epoch
    // Whoever moved it on fills it.
    if (hotState.epoch !== epoch) return
    const startedMs = clock.now()
    try {
      const page = await loadPage(parts, epoch, after)
      if (page === undefined) break
      after = page.last
      count += page.count
      // A clock may be set meanwhile.
      if (!parts.hurry()) await pause(clock, Math.min(PAUSE_MAX_MS, Math.max(0, clock.now() - startedMs)))
    } catch (error) {
      log.info({ count, error: errorText(error) }, 'loading cards into Redis goes on a little later')
      await pause(clock, RETRY_MS)
    }
  }
  log.info({ count }, 'cards are in Redis')
}

async function loadPage(
  { ledger, hotState, hurry }: PreloadParts,
  epoch: number,
  after: number,
): Promise<{ readonly last: number; readonly count: number } | undefined> {
  const { cards, last } = await ledger.cardPage(after, hurry() ? LARGE_PAGE : SMALL_PAGE)
  if (last === undefined) return undefined
  // The household's purses come with each card that carries them.
  const purses = new Map(cards.flatMap((one) => one.purses.map((purse) => [purse.purseId, purse])))
  await hotState.put(
    epoch,
    cards.map(({ card }) => card),
    [...purses.values()],
  )
  return { last, count: cards.length }
}

async function pause(clock: Clock, forMs: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<undefined>()
  clock.after(forMs, () => {
    resolve(undefined)
  })
  await promise
}
