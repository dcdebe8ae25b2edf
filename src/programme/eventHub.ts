/**
 * What a process knows of events: how far they are final, and the last of them while somebody listens. One reading of the outbox serves all streams
 * that are up with it; who is behind reads pages of its own, so that nobody's slowness costs memory here.
 */
import type { Clock } from '../clock.ts'
import type { Config } from '../config.ts'
import type { Desk } from '../ledger/programme/desk.ts'
import { advanceFrontier, NO_FRONTIER, type EventFrontier } from '../ledger/programme/eventFeed.ts'
import { errorText, type Logger } from '../log.ts'
import { isOfInterest, readEvents, wantsAuthorizations, type EventPage, type Interest, type ToldEvent } from './toldEvents.ts'

export interface EventHubOptions {
  readonly desk: Pick<Desk, 'read'>
  readonly settings: Pick<Config['events'], 'pollMs' | 'pageMax' | 'recentMax'>
  readonly clock: Clock
  readonly log: Logger
}

/** Somebody who wants to hear of what is new. */
interface Listener {
  readonly interest: Interest
  readonly onNews: () => void
}

const EVERYTHING: Interest = {}

export class EventHub {
  readonly #options: EventHubOptions
  readonly #listeners = new Set<Listener>()
  #frontier: EventFrontier = NO_FRONTIER
  /** All events of the tables that are read, of numbers above `after` up to `until`; undefined while nobody listens. */
  #recent: { readonly withAuthorizations: boolean; after: number; until: number; events: ToldEvent[] } | undefined
  #waitingSince: number | undefined
  #polling: Promise<void> = Promise.resolve()
  #cancel: (() => void) | undefined
  #stopped = false
  #down = false

  constructor(options: EventHubOptions) {
    this.#options = options
  }

  /** The number up to which events can be told. */
  get final(): number {
    return this.#frontier.final
  }

  get stopped(): boolean {
    return this.#stopped
  }

  /** For how long there have been events that cannot be told, because a SQL transaction before them is still running. */
  get lagSeconds(): number {
    return this.#waitingSince === undefined ? 0 : (performance.now() - this.#waitingSince) / 1000
  }

  /** Resolves when it was looked once, or could not be. */
  async start(): Promise<void> {
    this.#polling = this.#poll()
    await this.#polling
    if (this.#stopped) return
    this.#cancel = this.#options.clock.after(this.#options.settings.pollMs, () => {
      void this.start()
    })
  }

  /** Whoever listens hears of it. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#cancel?.()
    for (const { onNews } of this.#listeners) onNews()
    await this.#polling
  }

  /** @param onNews is called when there may be more to read, and at the end @returns what ends it */
  listen(interest: Interest, onNews: () => void): () => void {
    const listener = { interest, onNews }
    this.#listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
      if (this.#listeners.size === 0) this.#recent = undefined
    }
  }

  /** The next events of interest above a number, as far as they are final. @throws what `Desk.read` throws */
  async read(after: number, interest: Interest): Promise<EventPage> {
    const { pageMax } = this.#options.settings
    const recent = this.#recent
    if (recent !== undefined && after >= recent.after && (recent.withAuthorizations || !wantsAuthorizations(interest)))
      return pageOf(recent, after, interest, pageMax)
    const until = this.final
    if (after >= until) return { events: [], until: after }
    return this.#options.desk.read((tx) => readEvents(tx, { after, until, limit: pageMax }, interest))
  }

  async #poll(): Promise<void> {
    try {
      const before = this.#frontier
      this.#frontier = await this.#options.desk.read((tx) => advanceFrontier(tx, before))
      if (this.#frontier.awaited === undefined) this.#waitingSince = undefined
      else if (this.#frontier.awaited.number !== before.awaited?.number) this.#waitingSince = performance.now()
      if (this.#listeners.size > 0) await this.#readRecent()
      if (this.#down) this.#options.log.info({ stage: 'events' }, 'events can be read again')
      this.#down = false
      if (this.final > before.final) for (const { onNews } of this.#listeners) onNews()
    } catch (error) {
      if (!this.#down && !this.#stopped)
        this.#options.log.warn({ stage: 'events', error: errorText(error) }, 'events cannot be read; tried again')
      this.#down = true
    }
  }

  async #readRecent(): Promise<void> {
    const { pageMax, recentMax } = this.#options.settings
    const withAuthorizations = [...this.#listeners].some(({ interest }) => wantsAuthorizations(interest))
    let recent = this.#recent
    if (recent === undefined || (withAuthorizations && !recent.withAuthorizations)) {
      recent = this.#recent = { withAuthorizations, after: this.final, until: this.final, events: [] }
    }
    while (recent.until < this.final && !this.#stopped) {
      const after = recent.until
      const range = { after, until: this.final, limit: pageMax }
      const { withAuthorizations: all } = recent
      const page = await this.#options.desk.read((tx) => readEvents(tx, range, EVERYTHING, all))
      recent.events.push(...page.events)
      recent.until = page.until
      if (recent.events.length > recentMax) {
        const dropped = recent.events.splice(0, recent.events.length - recentMax)
        recent.after = dropped.at(-1)?.id ?? recent.after
      }
    }
  }
}

function pageOf(
  recent: { readonly until: number; readonly events: readonly ToldEvent[] },
  after: number,
  interest: Interest,
  pageMax: number,
): EventPage {
  const events: ToldEvent[] = []
  for (let at = firstAbove(recent.events, after); at < recent.events.length; at++) {
    const event = recent.events[at]
    if (event === undefined || !isOfInterest(interest, event)) continue
    events.push(event)
    if (events.length === pageMax) return { events, until: event.id }
  }
  return { events, until: Math.max(after, recent.until) }
}

/** Index of the first event with a higher number: they are in order. */
function firstAbove(events: readonly ToldEvent[], after: number): number {
  let low = 0
  let high = events.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((events[middle]?.id ?? Infinity) > after) high = middle
    else low = middle + 1
  }
  return low
}
