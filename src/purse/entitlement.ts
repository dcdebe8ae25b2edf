/**
 * What a household may draw in a month, from its count of members. Days and months are Cairo dates as text: `2026-12-05`, and a month is its
 * first day, `2026-12-01`, so that they compare as text.
 */
import type { EntitlementRules } from '../programmeParameters.ts'

/** The month of a day: `2026-12-05` is in `2026-12-01`. */
export function monthOf(day: string): string {
  return `${day.slice(0, 8)}01`
}

/** The month after the one that a day is in: `2026-12-05` is followed by `2027-01-01`. */
export function nextMonth(day: string): string {
  const year = Number(day.slice(0, 4))
  const month = Number(day.slice(5, 7))
  return month === 12
    ? `${String(year + 1).padStart(4, '0')}-01-01`
    : `${day.slice(0, 4)}-${String(month + 1).padStart(2, '0')}-01`
}

/** How many days the month of a day has. Dates have no summer time: only when a day begins does. */
export function daysInMonth(day: string): number {
  return new Date(Date.UTC(Number(day.slice(0, 4)), Number(day.slice(5, 7)), 0)).getUTCDate()
}

/**
 * @param from a day of the month: what is entitled by days is so from that day on
 * @returns what a household of so many members gets for a month, in the units of the purse
 */
export function entitlementOf(rules: EntitlementRules, members: number, from: string): number {
  const each = allowanceOf(rules, members)
  return rules.each === 'day' ? each * (daysInMonth(from) - Number(from.slice(8)) + 1) : each
}

/** @returns what a household of so many members gets for one day, in the units of the purse; 0 where the purse is not entitled by days */
export function dayAllowance(rules: EntitlementRules, members: number): number {
  return rules.each === 'day' ? allowanceOf(rules, members) : 0
}

/** Each tier pays for its members: with 50 up to the 4th and 25 up to the 99th, five members get 4 x 50 + 25. */
function allowanceOf({ tiers }: EntitlementRules, members: number): number {
  let counted = 0
  let sum = 0
  for (const { membersMax, amount } of tiers) {
    const upTo = Math.max(counted, Math.min(members, membersMax))
    sum += (upTo - counted) * amount
    counted = upTo
  }
  return sum
}
