/** DE 90, original data elements, n 42: which message a reversal or a completion speaks of (ISO 8583-1:1987 DE 90). */
import { fault, type Parsed } from './fault.ts'

export interface OriginalData {
  /** n 4 */
  readonly mti: string
  /** DE 11 of the original, n 6. */
  readonly stan: string
  /** DE 7 of the original, MMDDhhmmss; zeros where the sender does not know it. */
  readonly transmissionTime: string
  /** DE 32 of the original with zeros on the left, n 11. */
  readonly acquirerId: string
  /** DE 33 of the original with zeros on the left, n 11; zeros where there was none. */
  readonly forwarderId: string
}

export function parseOriginalData(text: string): Parsed<OriginalData> {
  if (!/^\d{42}$/.test(text)) {
    return { ok: false, error: fault('bad-structure', '', 0, '42 digits', `${String(text.length)} characters`) }
  }
  return {
    ok: true,
    value: {
      mti: text.slice(0, 4),
      stan: text.slice(4, 10),
      transmissionTime: text.slice(10, 20),
      acquirerId: text.slice(20, 31),
      forwarderId: text.slice(31, 42),
    },
  }
}

/** Shorter parts get zeros on the left. @throws RangeError where a part is no number or too long: a mistake of the caller */
export function formatOriginalData(original: OriginalData): string {
  return (
    part(original.mti, 4) +
    part(original.stan, 6) +
    part(original.transmissionTime, 10) +
    part(original.acquirerId, 11) +
    part(original.forwarderId, 11)
  )
}

function part(digits: string, length: number): string {
  if (!/^\d*$/.test(digits) || digits.length > length) throw new RangeError(`not up to ${String(length)} digits: ${digits}`)
  return digits.padStart(length, '0')
}
