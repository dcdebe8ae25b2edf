/** When a business day ends: at a time of day in Cairo, by configuration. */
import { cairoStamp } from '../clock.ts'
import { addDays, startOfDay } from '../programme/calendar.ts'

const MINUTE_MS = 60_000

/**
 * The instant at which a business day is over. With `00:00` that is the start of the next day, so that business day and date are the same; with any other
 * time it is the first instant of that date that is not before it: of the hour that comes twice in autumn the first, of the one that is missing in
 * spring the end. Cairo changes its clocks at midnight, so that the hours of a day follow from its first one.
 *
 * @param cutOff `HH:MM`, local time
 */
export function cutOffOf(day: string, cutOff: string): number {
  if (cutOff === '00:00') return startOfDay(addDays(day, 1))
  const start = startOfDay(day)
  const startStamp = cairoStamp(start)
  const startMinute = minuteOf(startStamp.slice(11, 13), startStamp.slice(13, 15))
  return start + Math.max(0, minuteOf(cutOff.slice(0, 2), cutOff.slice(3)) - startMinute) * MINUTE_MS
}

function minuteOf(hours: string, minutes: string): number {
  return Number(hours) * 60 + Number(minutes)
}

/** The business day to which an instant belongs. */
export function businessDayAt(instantMs: number, cutOff: string): string {
  const date = cairoStamp(instantMs).slice(0, 10)
  return instantMs < cutOffOf(date, cutOff) ? date : addDays(date, 1)
}
