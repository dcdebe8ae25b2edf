/** Time as the switch sees it: handed in, so that tests and simulations can set it. */
export interface Clock {
  /** Milliseconds since 1970-01-01T00:00:00Z. */
  now(): number
  /** Calls `run` once after `delayMs`; the function returned takes that back. */
  after(delayMs: number, run: () => void): () => void
  /** Calls `run` once after everything that is ready in this turn of the event loop. */
  soon(run: () => void): void
}

export const systemClock: Clock = {
  now: () => Date.now(),
  after(delayMs, run) {
    const timer = setTimeout(run, delayMs)
    return () => {
      clearTimeout(timer)
    }
  },
  // After the poll phase: by then every socket that was readable in this turn has delivered its messages.
  soon(run) {
    setImmediate(run)
  },
}

/** Resolves after so many milliseconds. */
export function elapsed(clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => {
    clock.after(ms, resolve)
  })
}

const cairoDate = new Intl.DateTimeFormat('en-CA', {
  timeZone: 'Africa/Cairo',
  year: 'numeric',
  month: '2-digit',
  day: '2-digit',
})

const MINUTE_MS = 60_000
let cachedMinute = -1
let cachedDay = ''

/**
 * The local date in Africa/Cairo (`2026-11-22`), where a programme's day starts at the first instant of its
 * date, summer time or not. Offsets change on whole minutes, so one answer a minute is enough.
 */
export function cairoDay(nowMs: number): string {
  const minute = Math.floor(nowMs / MINUTE_MS)
  if (minute !== cachedMinute) {
    cachedDay = cairoDate.format(nowMs)
    cachedMinute = minute
  }
  return cachedDay
}

const cairoDateTime = new Intl.DateTimeFormat('en-CA', {
  timeZone: 'Africa/Cairo',
  year: 'numeric',
  month: '2-digit',
  day: '2-digit',
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  hourCycle: 'h23',
})

/** Local date and time in Africa/Cairo, `2026-11-22 093000`: compares as text, but for the hour that comes twice in autumn. */
export function cairoStamp(nowMs: number): string {
  const parts = new Map(cairoDateTime.formatToParts(nowMs).map(({ type, value }) => [type, value]))
  const of = (type: Intl.DateTimeFormatPartTypes): string => parts.get(type) ?? ''
  return `${of('year')}-${of('month')}-${of('day')} ${of('hour')}${of('minute')}${of('second')}`
}

const DAY_MS = 86_400_000
let cachedUtcDay = NaN
let cachedUtcText = ''

/** The UTC date of an instant (`2026-11-22`). */
export function utcDay(nowMs: number): string {
  const day = Math.floor(nowMs / DAY_MS)
  if (day !== cachedUtcDay) {
    cachedUtcText = new Date(nowMs).toISOString().slice(0, 10)
    cachedUtcDay = day
  }
  return cachedUtcText
}
