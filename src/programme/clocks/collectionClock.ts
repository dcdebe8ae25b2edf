/**
 * What time does to a card that waits: to be printed by the day it was promised for, and to be collected. One card at a time, under its lock: how often and how
 * late it is looked at makes no difference but that nobody is reminded of a day that is over.
 */
import { cairoDay } from '../../clock.ts'
import { lockCard, writeCardLife, type CardLife } from '../../ledger/programme/cards.ts'
import { readClockDays, type ClockDays } from '../../ledger/programme/clocks.ts'
import { done, type Outcome, type SqlTransaction } from '../../ledger/programme/desk.ts'
import type { CardRules } from '../../programmeParameters.ts'
import { addDays } from '../calendar.ts'
import type { CardEvent } from '../cardLife.ts'
import { changeCard } from '../changeCard.ts'
import { addCollectionReminder, addDiwanNotice, addReplacementNotice } from '../notices/cardNotices.ts'

/** The first day on which a card that is kept until a day is looked at: to remind of it. */
export function firstLookAt(until: string, remindDaysBefore: number): string {
  return addDays(until, -remindDaysBefore)
}

/** What was done to the card, for the audit trail. */
export interface ClockWork {
  readonly done: readonly string[]
}

/** Does what is due by a day to a card whose `next_day` has come. */
export async function lookAtCard(tx: SqlTransaction, token: string, day: string, rules: CardRules): Promise<Outcome<ClockWork>> {
  const works: string[] = []
  // Each event leads to a state in which another may be due, where the clock is late.
  for (;;) {
    const card = await lockCard(tx, token)
    if (card === undefined) return done({ done: works })
    const days = await readClockDays(tx, token)
    // Another process was here, or somebody has changed the card since it was found.
    if (days.nextDay === null || days.nextDay > day) return done({ done: works })
    const step = stepOf(card, days, day, rules)
    if (step.work !== undefined) works.push(step.work)
    const ended = await step.take(tx, card)
    if (ended?.ok === false) return ended
    if (step.event === undefined) return done({ done: works })
  }
}

interface Step {
  /** As the audit trail names it; undefined where the card is only looked at again later, or never. */
  readonly work?: string
  /** Absent: nothing more is due. */
  readonly event?: CardEvent
  readonly take: (tx: SqlTransaction, card: CardLife) => Promise<Outcome<unknown> | undefined>
}

function stepOf(card: CardLife, days: ClockDays, day: string, rules: CardRules): Step {
  const { state, namedPlaceUntil, diwanUntil, dueDay, printedAtMs } = card
  if (state === 'ORDERED' && dueDay !== null && printedAtMs === null) return dueStep(dueDay, day)
  if (state === 'AWAITING_COLLECTION' && namedPlaceUntil !== null) {
    if (day <= namedPlaceUntil) return reminderStep(namedPlaceUntil, days, day, rules)
    // Where the Diwan's month is over too, only the end is told.
    const isOver = diwanUntil !== null && day > diwanUntil
    const nextDay = diwanUntil === null ? null : isOver ? day : laterOf(firstLookAt(diwanUntil, rules.remindDaysBefore), day)
    return eventStep('collection_month_passed', { next_day: nextDay }, isOver)
  }
  if (state === 'AWAITING_COLLECTION_DIWAN' && diwanUntil !== null)
    return day <= diwanUntil ? reminderStep(diwanUntil, days, day, rules) : eventStep('diwan_month_passed', {}, false)
  return lookAgain(null)
}

function eventStep(event: CardEvent, life: { next_day?: string | null }, silent: boolean): Step {
  return {
    work: event,
    event,
    take: (tx, { token }) => changeCard(tx, { token, event, life, ...(silent ? { notice: false } : {}) }),
  }
}

function dueStep(dueDay: string, day: string): Step {
  if (day <= dueDay) return lookAgain(addDays(dueDay, 1))
  return {
    work: 'replacement_overdue',
    async take(tx, card) {
      await writeCardLife(tx, card.token, { next_day: null })
      const { token: cardToken, personId, householdId } = card
      await tx.emit({ kind: 'card.replacement_overdue', cardToken, personId, householdId, data: { dueDay } })
      await addReplacementNotice(tx, card, 'replacement-overdue', dueDay)
      return undefined
    },
  }
}

function reminderStep(until: string, { remindedAt }: ClockDays, day: string, { remindDaysBefore }: CardRules): Step {
  const first = firstLookAt(until, remindDaysBefore)
  if (day < first) return lookAgain(first)
  if (remindedAt !== null && cairoDay(remindedAt.getTime()) >= first) return lookAgain(addDays(until, 1))
  return {
    work: 'reminder',
    async take(tx, card) {
      await writeCardLife(tx, card.token, { reminded_at: new Date(tx.nowMs).toISOString(), next_day: addDays(until, 1) })
      if (card.state === 'AWAITING_COLLECTION') await addCollectionReminder(tx, card)
      else await addDiwanNotice(tx, card, 'last-reminder')
      return undefined
    },
  }
}

function lookAgain(nextDay: string | null): Step {
  return {
    async take(tx, { token }) {
      await writeCardLife(tx, token, { next_day: nextDay })
      return undefined
    },
  }
}

function laterOf(a: string, b: string): string {
  return a > b ? a : b
}
