/** Days as the programme counts them: local dates in Africa/Cairo, `2026-11-22`. Arithmetic on dates knows no hours, so that summer time cannot shift it. */
import { cairoDay } from '../clock.ts'

const DAY_MS = 86_400_000
const HOUR_MS = 3_600_000

function utcMs(day: string): number {
  return Date.parse(`${day}T00:00:00Z`)
}

function dayOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10)
}

export function addDays(day: string, days: number): string {
  return dayOf(utcMs(day) + days * DAY_MS)
}

/** The same day so many months later, or the last day of that month where it has no such day. */
export function addMonths(day: string, months: number): string {
  const [year = 0, month = 1, date = 1] = day.split('-').map(Number)
  const first = new Date(Date.UTC(year, month - 1 + months, 1))
  const last = new Date(Date.UTC(first.getUTCFullYear(), first.getUTCMonth() + 1, 0)).getUTCDate()
  return dayOf(Date.UTC(first.getUTCFullYear(), first.getUTCMonth(), Math.min(date, last)))
}

/** Friday and Saturday. */
const WEEKEND: readonly number[] = [5, 6]

/** Sunday to Thursday, and no holiday. */
export function isBusinessDay(day: string, holidays: readonly string[]): boolean {
  return !WEEKEND.includes(new Date(utcMs(day)).getUTCDay()) && !holidays.includes(day)
}

/** The so-manieth business day after a day, which does not count itself. */
export function addBusinessDays(day: string, count: number, holidays: readonly string[]): string {
  let at = day
  for (let left = count; left > 0;) {
    at = addDays(at, 1)
    if (isBusinessDay(at, holidays)) left--
  }
  return at
}

/** How many business days there are after a day, up to another. */
export function businessDaysBetween(day: string, until: string, holidays: readonly string[]): number {
  let count = 0
  for (let at = addDays(day, 1); at <= until; at = addDays(at, 1)) if (isBusinessDay(at, holidays)) count++
  return count
}

/** Whole years from a birth date to a day; whoever was born on 29 February is a year older on 1 March. */
export function ageOn(birthDate: string, day: string): number {
  const years = Number(day.slice(0, 4)) - Number(birthDate.slice(0, 4))
  return day.slice(5) < birthDate.slice(5) ? years - 1 : years
}

/** The first instant of a Cairo day. It is 00:00 but for the day on which summer time begins, which has none. */
export function startOfDay(day: string): number {
  // Cairo is two or three hours ahead: from an hour that is surely the day before, on.
  let at = utcMs(day) - 4 * HOUR_MS
  while (cairoDay(at) < day) at += HOUR_MS / 2
  return at
}
