/**
 * Keeps the business days: marks how far events are final, cuts a day when its cut-off has passed, adds up what was moved, closes what is cut and added up.
 * Every switch does it, now and then, and whoever comes second finds it done; so it may run late, twice and be cut short anywhere.
 */
import { elapsed, type Clock } from '../clock.ts'
import type { Config } from '../config.ts'
import { done, refused, type Actor, type Desk, type Outcome, type SqlTransaction } from '../ledger/programme/desk.ts'
import { advanceFrontier, lastEventNumber, NO_FRONTIER } from '../ledger/programme/eventFeed.ts'
import {
  addUpDays,
  closeDay,
  cutDay,
  eventNumberBefore,
  lockDays,
  markEvents,
  openDay,
  readBusinessDay,
  readLastMark,
  readOpenDay,
  unclosedDays,
  type BusinessDay,
  type EventMark,
} from '../ledger/settlement/days.ts'
import { errorText, type Logger } from '../log.ts'
import { addDays } from '../programme/calendar.ts'
import { businessDayAt, cutOffOf } from './cutOff.ts'

export interface BusinessDaysParts {
  readonly config: Pick<Config, 'settlement'>
  /** One of its own: closing a day takes longer than anybody at a desk would wait. */
  readonly desk: Desk
  readonly clock: Clock
  readonly log: Logger
}

const LOOK_EVERY_MS = 10
const ACTOR: Actor = { name: 'clock', roles: [] }
/** After a clock that was wrong by years, days are cut in several runs. */
const CUTS_A_RUN = 400
const DAYS_A_RUN = 400

export class BusinessDays {
  readonly #parts: BusinessDaysParts
  #cancel: (() => void) | undefined
  #running: Promise<unknown> = Promise.resolve()
  #stopped = false
  #lookedMs: number

  constructor(parts: BusinessDaysParts) {
    this.#parts = parts
    this.#lookedMs = parts.clock.now()
  }

  /** Since somebody has last done all that was due. */
  get lagSeconds(): number {
    return Math.max(0, this.#parts.clock.now() - this.#lookedMs) / 1000
  }

  /** Looks at once, so that a new ledger has its first day from the beginning. */
  start(): void {
    this.#runAfter(0)
  }

  #runAfter(delayMs: number): void {
    const { clock, log, config } = this.#parts
    this.#cancel = clock.after(delayMs, () => {
      this.#running = this.#runIfNobodyDid()
        .catch((error: unknown) => {
          log.warn({ error: errorText(error) }, 'business days cannot be kept; tried again')
        })
        .finally(() => {
          if (!this.#stopped) this.#runAfter(config.settlement.days.everyMs)
        })
    })
  }

  /** Resolves when what is under way has ended its statement; the rest is done by the next run, of this process or another. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#cancel?.()
    await this.#running
  }

  /** Of many processes one looks at the days each time. */
  async #runIfNobodyDid(): Promise<void> {
    const { desk, clock, config } = this.#parts
    const last = await desk.read(readLastMark)
    if (last !== undefined && Math.abs(clock.now() - last.atMs) < config.settlement.days.everyMs / 2) this.#lookedMs = last.atMs
    else await this.run()
  }

  /**
   * Everything that is due now.
   *
   * @returns false where something that began before has not ended within the time there is, or it was stopped: run it again
   * @throws NotConnected, OutcomeUnknown, or pg's DatabaseError; what was done before stays done
   */
  async run(actor: Actor = ACTOR): Promise<boolean> {
    const { desk } = this.#parts
    const final = await desk.read((tx) => this.#finalNow(tx))
    if (final === undefined) return false
    const mark = await desk.upkeep((tx) => this.#markAndCut(tx, final))
    // Not beyond the mark: where the next cut-off lies is known up to there.
    const whole = await desk.read((tx) => addUpDays(tx, mark.number, () => this.#stopped))
    if (!whole) return false
    const due = await desk.read((tx) => unclosedDays(tx, DAYS_A_RUN))
    for (const day of due) {
      if (this.#stopped) return false
      const outcome = await this.#closeBy(actor, day)
      if (!outcome.ok) return false
    }
    this.#lookedMs = mark.atMs
    return true
  }

  /** Closes a day for somebody who asks. Of a day that is closed already nothing is done, and that is said as well. */
  async close(actor: Actor, day: string): Promise<Outcome<BusinessDay>> {
    const { desk, config } = this.#parts
    const known = await desk.read((tx) => readBusinessDay(tx, day))
    if (known !== undefined && known.closedAt !== null) return done(known)
    const nowMs = this.#parts.clock.now()
    if (nowMs < cutOffOf(day, config.settlement.days.cutOff))
      return refused('conflict', 'day-not-over', 'The cut-off of this business day has not passed yet. Close it then.')
    if (!(await this.run(actor)))
      return refused(
        'conflict',
        'day-not-final',
        'Something that began before has not ended yet. Nothing was closed; ask again in some seconds.',
      )
    return this.#closeBy(actor, day)
  }

  async #closeBy(actor: Actor, day: string): Promise<Outcome<BusinessDay>> {
    let closed = false
    return this.#parts.desk.run({
      actor,
      action: 'day.close',
      subject: `business-day ${day}`,
      audit: () => (closed ? {} : 'nothing'),
      work: async (tx) => {
        const outcome = await closeDay(tx, day, actor.name)
        closed = outcome === 'closed'
        if (closed) await tx.emit({ kind: 'day.closed', data: { day } })
        const known = await readBusinessDay(tx, day)
        if (known !== undefined && known.closedAt !== null) return done(known)
        return known === undefined
          ? refused('not-found', 'no-such-business-day', 'There is no such business day.')
          : refused('conflict', 'day-not-final', 'An earlier day, or this one, is not added up yet. Ask again in some seconds.')
      },
    })
  }

  /** How far events are final, at least up to the number that was the highest when it began; undefined: not within the time there is. */
  async #finalNow(tx: SqlTransaction): Promise<EventMark | undefined> {
    const { clock, config } = this.#parts
    const wanted = await lastEventNumber(tx)
    // After the number was read: whatever has it, or a lower one, was decided before.
    const atMs = clock.now()
    const untilMs = atMs + config.settlement.patienceMs
    let frontier = await advanceFrontier(tx, NO_FRONTIER)
    while (frontier.final < wanted && clock.now() < untilMs && !this.#stopped) {
      await elapsed(clock, LOOK_EVERY_MS)
      frontier = await advanceFrontier(tx, frontier)
    }
    return frontier.final >= wanted ? { number: wanted, atMs } : undefined
  }

  async #markAndCut(tx: SqlTransaction, final: EventMark): Promise<EventMark> {
    const { cutOff } = this.#parts.config.settlement.days
    await lockDays(tx)
    const mark = await markEvents(tx, final)
    let open = await readOpenDay(tx)
    if (open === undefined) {
      open = { day: businessDayAt(mark.atMs, cutOff), after: 0 }
      await openDay(tx, open.day, 0)
    }
    for (let cuts = 0; cuts < CUTS_A_RUN; cuts++) {
      const cutMs = cutOffOf(open.day, cutOff)
      if (mark.atMs < cutMs) break
      const until: number = Math.max(open.after, (await eventNumberBefore(tx, cutMs)) ?? open.after)
      await cutDay(tx, open.day, until, cutMs)
      open = { day: addDays(open.day, 1), after: until }
      await openDay(tx, open.day, until)
    }
    return mark
  }
}
