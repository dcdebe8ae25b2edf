/**
 * The end of a card's last month, and the reminder before it. Both go through all cards of a month in chunks, once: how far they have come is marked when a
 * month is whole, so that a run which was interrupted begins that month again, and finds done what was done.
 */
import { lockCard, writeCardLife } from '../../ledger/programme/cards.ts'
import { cardsOfMonths, readClockDays, readClockMark, setClockMark, type CardOfMonth } from '../../ledger/programme/clocks.ts'
import { cairoDay } from '../../clock.ts'
import { done, type Desk, type Outcome, type SqlTransaction } from '../../ledger/programme/desk.ts'
import type { CardRules } from '../../programmeParameters.ts'
import { addDays, addMonths } from '../calendar.ts'
import { IN_HAND, statesFor } from '../cardLife.ts'
import { changeCard } from '../changeCard.ts'
import { addRenewalReminder } from '../notices/cardNotices.ts'
import type { ClockWork } from './collectionClock.ts'

export interface MonthlyClock {
  /** Under which it remembers how far it has come. */
  readonly mark: string
  /** The last month, YYMM, that is due on a day. */
  readonly monthDue: (day: string, rules: CardRules) => string
  readonly wants: (card: CardOfMonth) => boolean
  readonly look: (tx: SqlTransaction, token: string, day: string, rules: CardRules) => Promise<Outcome<ClockWork>>
}

/** `2612`: the month of a day. */
function monthOf(day: string): string {
  return day.slice(2, 4) + day.slice(5, 7)
}

export function lastDayOf(expiry: string): string {
  return addDays(addMonths(`20${expiry.slice(0, 2)}-${expiry.slice(2)}-01`, 1), -1)
}

/** On the day after the last day of its month. */
export const EXPIRY: MonthlyClock = {
  mark: 'expiry',
  monthDue: (day) => monthOf(addMonths(day, -1)),
  wants: ({ state }) => IN_HAND.includes(state),
  async look(tx, token, day) {
    const card = await lockCard(tx, token)
    if (card === undefined || !IN_HAND.includes(card.state) || card.expiry >= monthOf(day)) return done({ done: [] })
    const changed = await changeCard(tx, { token, event: 'expired', life: { next_day: null } })
    return changed.ok ? done({ done: ['expired'] }) : changed
  },
}

/** Cards that may be renewed. An old ration card is not: the new one takes its place. */
const RENEWABLE = statesFor('renewed').filter((state) => IN_HAND.includes(state))

/** From `renewal.monthsBefore` months before the last day on, until then. */
export const RENEWAL_REMINDER: MonthlyClock = {
  mark: 'renewal-reminder',
  monthDue(day, rules) {
    const month = monthOf(addMonths(day, rules.renewal.monthsBefore))
    // 30 November is a month before 31 December; 28 February before 28 March, and the 31st has no day of its own there.
    return firstReminder(month, rules) <= day ? month : monthOf(addMonths(day, rules.renewal.monthsBefore - 1))
  },
  wants: ({ state, role }) => role !== 'old' && RENEWABLE.includes(state),
  async look(tx, token, day, rules) {
    const card = await lockCard(tx, token)
    if (card === undefined || !RENEWABLE.includes(card.state)) return done({ done: [] })
    const lastDay = lastDayOf(card.expiry)
    const days = await readClockDays(tx, token)
    const first = firstReminder(card.expiry, rules)
    const isReminded = days.remindedAt !== null && cairoDay(days.remindedAt.getTime()) >= first
    if (isReminded || days.succeeded || day < first || day > lastDay) return done({ done: [] })
    await writeCardLife(tx, token, { reminded_at: new Date(tx.nowMs).toISOString() })
    await addRenewalReminder(tx, card, lastDay)
    return done({ done: ['renewal_reminder'] })
  },
}

function firstReminder(expiry: string, { renewal }: CardRules): string {
  return addMonths(lastDayOf(expiry), -renewal.monthsBefore)
}

export interface MonthlyRun {
  readonly desk: Desk
  readonly day: string
  readonly rules: CardRules
  readonly chunk: number
  readonly shouldStop: () => boolean
  /** Looks at one card, on record. @returns false where it could not be done */
  readonly each: (token: string, look: (tx: SqlTransaction) => Promise<Outcome<ClockWork>>) => Promise<boolean>
}

/** Goes through the months that are due and not done with. */
export async function runMonthly(clock: MonthlyClock, { desk, day, rules, chunk, shouldStop, each }: MonthlyRun): Promise<void> {
  const to = clock.monthDue(day, rules)
  const after = await desk.read((tx) => readClockMark(tx, clock.mark))
  if (after >= to) return
  let behind: CardOfMonth | undefined
  let isWhole = true
  for (;;) {
    const page = await desk.read((tx) => cardsOfMonths(tx, { after, to }, behind, chunk))
    for (const card of page.filter(clock.wants)) {
      if (shouldStop()) return
      const isDone = await each(card.token, (tx) => clock.look(tx, card.token, day, rules))
      isWhole &&= isDone
    }
    behind = page.at(-1)
    if (page.length < chunk) break
  }
  if (isWhole) await desk.upkeep((tx) => setClockMark(tx, clock.mark, to))
}
