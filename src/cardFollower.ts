/**
 * Makes this process's Redis follow what the programme changes, whichever process did it: a change is told to Redis right after its commit, and here once
 * more, so that a process that died in between and a Redis that was away are made up for. Nothing depends on it but speed: what Redis is not told,
 * the gates of the purses find.
 *
 * It does not wait for the order of events to be final (adr/0019), so that a SQL transaction that stays open holds up nothing: it reads all that it has not
 * seen, and forgets what it has seen when it is final.
 */
import type { Clock } from './clock.ts'
import type { Config } from './config.ts'
import type { HotState } from './decision/hotState.ts'
import type { Ledger } from './ledger/ledger.ts'
import type { Desk } from './ledger/programme/desk.ts'
import { cardsConcerned, numberBeforeLast, readUnseenEvents, type ProgrammeEventRow } from './ledger/programme/eventFeed.ts'
import { errorText, type Logger } from './log.ts'

export interface CardFollowerOptions {
  readonly desk: Pick<Desk, 'read'>
  readonly ledger: Pick<Ledger, 'cards'>
  readonly hotState: Pick<HotState, 'epoch' | 'put'>
  readonly settings: Pick<Config['events'], 'pollMs' | 'pageMax' | 'lookBackMax'> & Pick<Config['redis'], 'batchMax'>
  /** Up to which number events are final. */
  readonly final: () => number
  /** What else this process knows and has to know anew, by what the kinds of events that change it begin with: `service.`. */
  readonly others: readonly { readonly kinds: string; readonly refresh: () => Promise<void> }[]
  readonly clock: Clock
  readonly log: Logger
}

/** A card that was only ordered is in no hand, and orders come by the hundred thousand: it is read when it is first used. */
const NOT_FOLLOWED = ['card.ordered']

export class CardFollower {
  readonly #options: CardFollowerOptions
  /** All events up to this number were followed, and of those above it these. */
  #after: number | undefined
  #seen = new Set<number>()
  #upToDateAt = performance.now()
  #following: Promise<void> = Promise.resolve()
  #cancel: (() => void) | undefined
  #stopped = false
  #down = false

  constructor(options: CardFollowerOptions) {
    this.#options = options
  }

  /** How long ago it had followed all that there was. */
  get lagSeconds(): number {
    return (performance.now() - this.#upToDateAt) / 1000
  }

  start(): void {
    if (this.#stopped) return
    this.#following = this.#followAll().finally(() => {
      if (!this.#stopped) this.#cancel = this.#options.clock.after(this.#options.settings.pollMs, () => this.start())
    })
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#cancel?.()
    await this.#following
  }

  async #followAll(): Promise<void> {
    const { desk, settings, final, log } = this.#options
    try {
      // Whoever was here before may have died before Redis was told.
      const after = (this.#after ??= await desk.read((tx) => numberBeforeLast(tx, settings.lookBackMax)))
      // Before the reading, which therefore sees all up to it.
      const seenAll = final()
      for (let full = true; full && !this.#stopped;) {
        const range = { after, seen: [...this.#seen], limit: settings.pageMax }
        const events = await desk.read((tx) => readUnseenEvents(tx, range))
        if (events.length > 0 && !(await this.#follow(events))) return
        for (const { number } of events) this.#seen.add(number)
        full = events.length === settings.pageMax
        if (full) continue
        this.#after = Math.max(after, seenAll)
        for (const number of this.#seen) if (number <= this.#after) this.#seen.delete(number)
        this.#upToDateAt = performance.now()
      }
      this.#down = false
    } catch (error) {
      if (!this.#down && !this.#stopped)
        log.warn({ stage: 'card follower', error: errorText(error) }, 'Redis does not follow the programme; tried again')
      this.#down = true
    }
  }

  /** @returns false where Redis is away: they are followed when it is back */
  async #follow(events: readonly ProgrammeEventRow[]): Promise<boolean> {
    const { desk, ledger, hotState, settings, others } = this.#options
    for (const { kinds, refresh } of others) if (events.some(({ kind }) => kind.startsWith(kinds))) await refresh()
    const followed = events.filter(({ kind }) => !NOT_FOLLOWED.includes(kind))
    if (followed.length === 0) return true
    if (hotState.epoch === undefined) return false
    const tokens = await desk.read((tx) => cardsConcerned(tx, followed))
    for (let from = 0; from < tokens.length; from += settings.batchMax)
      await tellCards(ledger, hotState, tokens.slice(from, from + settings.batchMax))
    return true
  }
}

/** Redis learns of cards as the ledger has them. Does nothing while it is down. @throws HotStateUnavailable, and what the ledger throws */
export async function tellCards(
  ledger: Pick<Ledger, 'cards'>,
  hotState: Pick<HotState, 'epoch' | 'put'>,
  tokens: readonly string[],
): Promise<void> {
  const epoch = hotState.epoch
  if (epoch === undefined) return
  const loaded = [...(await ledger.cards(tokens)).values()]
  await hotState.put(
    epoch,
    loaded.map(({ card }) => card),
    loaded.flatMap(({ purses }) => purses),
  )
}
