/** The day in Cairo, as the model knows it. */

const cairo = new Intl.DateTimeFormat('en-CA', { timeZone: 'Africa/Cairo', year: 'numeric', month: '2-digit', day: '2-digit' })
const days = new Map<number, string>()

export function cairoDay(ms: number): string {
  const minute = Math.floor(ms / 60_000)
  const known = days.get(minute)
  if (known !== undefined) return known
  const day = cairo.format(ms)
  days.set(minute, day)
  return day
}
