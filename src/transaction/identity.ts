/**
 * The idempotency key and body of a message.
 *
 * Key: acquirer (DE 32 padded to 11, else the link's name), terminal (DE 41), time (DE 7, or DE 13 + DE 12 as the link says),
 * trace number (DE 11) and message class. The retrieval reference number is not in it: DE 90 must be able to rebuild it.
 */
import { hash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { utcDay } from '../clock.ts'

export interface KeyParts {
  readonly acquirer: string
  readonly terminalId: string
  /** MMDDhhmmss. */
  readonly time: string
  readonly stan: string
  /** Second digit of the MTI. */
  readonly messageClass: string
}

export function idempotencyKey(parts: KeyParts): string {
  return `${parts.acquirer}|${parts.terminalId}|${parts.time}|${parts.stan}|${parts.messageClass}`
}

/** ISO 8583-1:1987 DE 32 is of variable length; in DE 90 it is right justified in 11 digits. */
export function acquirerPart(acquirer: string | undefined, link: string): string {
  return acquirer === undefined || /^0*$/.test(acquirer) ? link : acquirer.padStart(11, '0')
}

/** 64 bits of SHA-256 over the parts that may not change under a key, as PostgreSQL's bigint. */
export function bodyFingerprint(parts: readonly (string | undefined)[]): string {
  const digest = hash('sha256', parts.map((part) => part ?? '').join('\u001f'), 'hex')
  return BigInt.asIntN(64, BigInt('0x' + digest.slice(0, 16))).toString()
}

/**
 * Six letters or digits that follow from the key (CRC-32 in base 36), so that whoever decides it again says the same. A reference, not a
 * secret: it proves nothing (DE 38).
 */
export function approvalCodeFor(key: string): string {
  return (crc32(key) % 36 ** 6).toString(36).toUpperCase().padStart(6, '0')
}

const DAY_MS = 86_400_000

let cachedMonthDay = ''
let cachedToday = ''
let cachedDate: string | undefined

/**
 * The date that `MMDD` most likely means: DE 7 has no year, so the nearest one to now is taken.
 *
 * @returns undefined where there is no such day
 */
export function dateOf(monthDay: string, nowMs: number): string | undefined {
  const today = utcDay(nowMs)
  if (monthDay === cachedMonthDay && today === cachedToday) return cachedDate
  const year = Number(today.slice(0, 4))
  let best: string | undefined
  let bestDistance = Infinity
  for (const candidate of [year - 1, year, year + 1]) {
    const text = `${String(candidate)}-${monthDay.slice(0, 2)}-${monthDay.slice(2, 4)}`
    const instant = Date.parse(text)
    if (Number.isNaN(instant) || utcDay(instant) !== text) continue
    const distance = Math.abs(instant - nowMs)
    if (distance < bestDistance) {
      best = text
      bestDistance = distance
    }
  }
  cachedMonthDay = monthDay
  cachedToday = today
  cachedDate = best
  return best
}

/** A key's date is close enough to now for its partition and its uniqueness to be kept. */
export function isWithinRetention(keyDate: string, nowMs: number, retentionDays: number): boolean {
  const distance = (Date.parse(utcDay(nowMs)) - Date.parse(keyDate)) / DAY_MS
  return distance <= retentionDays && distance >= -FUTURE_DAYS_MAX
}

/** Clocks of terminals run ahead, and days end later in the west. */
const FUTURE_DAYS_MAX = 1

const TIME = /^(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])([01]\d|2[0-3])[0-5]\d[0-5]\d$/

/** MMDDhhmmss of DE 7 (or DE 13 + DE 12). */
export function isTransmissionTime(text: string): boolean {
  return TIME.test(text)
}

/** `yDDDhhSSSSSS`: the customary retrieval reference number, for terminals that send none (DE 37). */
export function retrievalReference(keyDate: string, time: string, stan: string): string {
  const dayOfYear = (Date.parse(keyDate) - Date.parse(`${keyDate.slice(0, 4)}-01-01`)) / DAY_MS + 1
  return keyDate.slice(3, 4) + String(dayOfYear).padStart(3, '0') + time.slice(4, 6) + stan
}
