/**
 * What is counted: messages that were due within the measured time. Each ends approved, declined or as an error. Rates are of the
 * answers that came within the measured time, whenever their messages were due, so that answers to a backlog do not flatter.
 */
import { build, type Histogram } from 'hdr-histogram-js'

/** Microseconds. */
const LATENCY_MAX_US = 120_000_000
const SIGNIFICANT_DIGITS = 3
const APPROVALS: ReadonlySet<string> = new Set(['00', '10'])

export function isApproval(responseCode: string): boolean {
  return APPROVALS.has(responseCode)
}

export class Measurement {
  readonly startMs: number
  #endMs: number
  sent = 0
  approved = 0
  declined = 0
  /** Messages within the measured time that were never answered or never sent, and answers that nobody asked for. */
  errors = 0
  /** Over the whole run, warm-up included. */
  errorsInAll = 0
  answersInAll = 0
  answersInTime = 0
  approvalsInTime = 0
  /** Repeats whose answer was another than that of the first time; over the whole run, warm-up included. Each is an error too. */
  repeatsDifferent = 0
  readonly responseCodes = new Map<string, number>()
  readonly latency: Histogram = build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: LATENCY_MAX_US,
    numberOfSignificantValueDigits: SIGNIFICANT_DIGITS,
  })

  constructor(startMs: number, endMs: number) {
    this.startMs = startMs
    this.#endMs = endMs
  }

  get seconds(): number {
    return (this.#endMs - this.startMs) / 1000
  }

  get endMs(): number {
    return this.#endMs
  }

  /** The measured time is over earlier than was thought: there is nothing left to send. */
  endAt(nowMs: number): void {
    this.#endMs = Math.max(this.startMs, Math.min(this.#endMs, nowMs))
  }

  due(dueMs: number): void {
    if (this.#counts(dueMs)) this.sent++
  }

  answered(dueMs: number, nowMs: number, responseCode: string): void {
    if (this.#counts(nowMs) && isApproval(responseCode)) this.approvalsInTime++
    this.#answered(dueMs, nowMs, responseCode)
  }

  /** A repeat counts like any message, but approves nothing new. */
  repeatAnswered(dueMs: number, nowMs: number, responseCode: string, isSame: boolean): void {
    this.#answered(dueMs, nowMs, responseCode)
    if (isSame) return
    this.repeatsDifferent++
    this.unexpected()
  }

  #answered(dueMs: number, nowMs: number, responseCode: string): void {
    this.answersInAll++
    if (this.#counts(nowMs)) this.answersInTime++
    if (!this.#counts(dueMs)) return
    if (isApproval(responseCode)) this.approved++
    else this.declined++
    this.responseCodes.set(responseCode, (this.responseCodes.get(responseCode) ?? 0) + 1)
    this.#record(nowMs - dueMs)
  }

  /** Given up: it counts with the time that was waited, so that a stalled server cannot hide. */
  lost(dueMs: number, nowMs: number): void {
    this.errorsInAll++
    if (!this.#counts(dueMs)) return
    this.errors++
    this.#record(nowMs - dueMs)
  }

  unexpected(): void {
    this.errorsInAll++
    this.errors++
  }

  #counts(atMs: number): boolean {
    return atMs >= this.startMs && atMs < this.endMs
  }

  #record(elapsedMs: number): void {
    this.latency.recordValue(Math.min(LATENCY_MAX_US, Math.max(1, Math.round(elapsedMs * 1000))))
  }
}
