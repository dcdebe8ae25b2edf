/**
 * All that time does to cards and notices, in one run. It may run late, twice at once or be interrupted anywhere: each card is a SQL transaction of its
 * own, with its state, notice, event and audit record, and what is done is found done.
 */
import { cairoDay } from '../../clock.ts'
import type { Config } from '../../config.ts'
import { announceChunk } from '../../ledger/programme/announcements.ts'
import { dueCards, forgetRequests, type DueCard } from '../../ledger/programme/clocks.ts'
import type { Desk, Outcome, SqlTransaction } from '../../ledger/programme/desk.ts'
import { failUnanswered, forgetTold } from '../../ledger/programme/noticeQueue.ts'
import { errorText, type Logger } from '../../log.ts'
import { parametersOn } from '../../programmeParameters.ts'
import { lookAtCard, type ClockWork } from './collectionClock.ts'
import { EXPIRY, RENEWAL_REMINDER, runMonthly } from './expiryClock.ts'

export interface CardClockParts {
  readonly desk: Desk
  readonly config: Pick<Config, 'programme' | 'jobs' | 'notices'>
  readonly log: Logger
  /** Asked between two cards: what is left is done by the next run. */
  readonly shouldStop?: () => boolean
}

export interface CardClockRun {
  /** Cards on which something was done. */
  readonly cards: number
  /** Cards that could not be looked at; the next run tries again. */
  readonly failed: number
}

const ACTOR = { name: 'clock', roles: [] }
const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

/** @param nowMs says which Cairo day it is @throws where the ledger cannot be reached */
export async function runCardClocks(parts: CardClockParts, nowMs: number): Promise<CardClockRun> {
  const { desk, config, log, shouldStop = () => false } = parts
  const day = cairoDay(nowMs)
  const rules = parametersOn(config.programme, day).cards
  const { chunk } = config.jobs.cardClocks
  let cards = 0
  let failed = 0
  const each = async (token: string, look: (tx: SqlTransaction) => Promise<Outcome<ClockWork>>): Promise<boolean> => {
    try {
      const outcome = await desk.run({
        actor: ACTOR,
        action: 'card.clock',
        subject: `card ${token}`,
        work: look,
        audit: ({ done: works }) => (works.length === 0 ? 'nothing' : { detail: { done: works } }),
      })
      if (outcome.ok && outcome.value.done.length > 0) cards++
      if (!outcome.ok) failed++
      return outcome.ok
    } catch (error) {
      // One card must not keep the others from their day.
      failed++
      log.error({ key: token, error: errorText(error) }, 'a clock cannot look at a card; tried again with the next run')
      return false
    }
  }
  let after: DueCard | undefined
  do {
    const page: readonly DueCard[] = await desk.read((tx) => dueCards(tx, day, after, chunk))
    for (const { token } of page) {
      if (shouldStop()) return { cards, failed }
      await each(token, (tx) => lookAtCard(tx, token, day, rules))
    }
    after = page.length < chunk ? undefined : page.at(-1)
  } while (after !== undefined)
  for (const clock of [EXPIRY, RENEWAL_REMINDER]) await runMonthly(clock, { desk, day, rules, chunk, shouldStop, each })
  await tidy(parts, day, nowMs, shouldStop)
  return { cards, failed }
}

/** Announcements, notices that nobody reported on, and what nobody needs any more. */
async function tidy({ desk, config }: CardClockParts, day: string, nowMs: number, shouldStop: () => boolean): Promise<void> {
  const { chunk, requestKeepDays } = config.jobs.cardClocks
  const { unansweredHours, roundsMax, keepDays } = config.notices
  const whole = async (work: (tx: SqlTransaction) => Promise<boolean>): Promise<void> => {
    while (!shouldStop() && (await desk.upkeep(work)));
  }
  await whole((tx) => announceChunk(tx, day, chunk))
  const sentBeforeMs = nowMs - unansweredHours * HOUR_MS
  // Only this one has something waiting for its receipt.
  await whole(async (tx) => (await failUnanswered(tx, 'collection', sentBeforeMs, roundsMax, chunk)) === chunk)
  await whole(async (tx) => (await forgetTold(tx, nowMs - keepDays * DAY_MS, chunk)) === chunk)
  await whole(async (tx) => (await forgetRequests(tx, nowMs - requestKeepDays * DAY_MS, chunk)) === chunk)
}
