/** A terminal or an acquirer closes its shift: 0500, or 0520 as an advice (ISO 8583-1:1987 DE 66, 74 to 89, 97). */
import type { Message } from '../iso8583/message.ts'
import { acquirerPart, bodyFingerprint, dateOf, idempotencyKey, isTransmissionTime } from './identity.ts'

/** Numbers and amounts of DE 74 to 89, in that order. */
export type ShiftTotals = readonly number[]

export interface Reconciliation {
  readonly acquirer: string
  /** Undefined: all terminals of the acquirer. */
  readonly terminalId: string | undefined
  readonly acceptorId: string | undefined
  readonly key: string
  readonly keyDate: string
  readonly body: string
  /** As the sender counts; what it leaves out is none. */
  readonly theirs: ShiftTotals
  /** DE 97 in piasters, above zero where cards were debited more than credited; undefined where it was left out. */
  readonly net: number | undefined
}

export type ReadReconciliation =
  | { readonly kind: 'reconciliation'; readonly reconciliation: Reconciliation }
  | { readonly kind: 'reject'; readonly path: string; readonly expected: string }

export const FIRST_TOTAL = 74
export const TOTALS = 16

/** How long a total is: numbers have ten digits, fees twelve, amounts sixteen. */
export function totalDigits(de: number): number {
  return de <= 81 ? 10 : de <= 85 ? 12 : 16
}

/** Also what is in the net amount has to be a number that JavaScript counts exactly. */
const AMOUNT_MAX = Number.MAX_SAFE_INTEGER

export function readReconciliation(
  message: Message,
  context: { readonly link: { readonly name: string; readonly keyTime: 'transmission' | 'local' }; readonly nowMs: number },
): ReadReconciliation {
  const { link, nowMs } = context
  const stan = message.text(11)
  if (stan === undefined) return reject(11, 'the systems trace audit number')
  const time = link.keyTime === 'transmission' ? message.text(7) : (message.text(13) ?? '') + (message.text(12) ?? '')
  const keyDate = time !== undefined && isTransmissionTime(time) ? dateOf(time.slice(0, 4), nowMs) : undefined
  if (time === undefined || keyDate === undefined) return reject(link.keyTime === 'transmission' ? 7 : 13, 'a date and time')
  const theirs = Array.from({ length: TOTALS }, (_, index) => Number(message.text(FIRST_TOTAL + index) ?? '0'))
  const tooMuch = theirs.findIndex((total) => total > AMOUNT_MAX)
  if (tooMuch >= 0) return reject(FIRST_TOTAL + tooMuch, 'a number that is not absurd')
  const net = netOf(message.text(97))
  if (net === null) return reject(97, 'C or D and 16 digits')
  const terminalId = message.text(41)?.trimEnd()
  const acquirer = acquirerPart(message.text(32), link.name)
  return {
    kind: 'reconciliation',
    reconciliation: {
      acquirer,
      terminalId: terminalId === '' ? undefined : terminalId,
      acceptorId: message.text(42)?.trimEnd(),
      key: idempotencyKey({ acquirer, terminalId: terminalId ?? '', time, stan, messageClass: message.mti.charAt(1) }),
      keyDate,
      body: bodyFingerprint([terminalId, ...theirs.map(String), message.text(97), message.text(50)]),
      theirs,
      net,
    },
  }
}

/** @returns null where it is none */
function netOf(text: string | undefined): number | undefined | null {
  if (text === undefined) return undefined
  const [, sign, digits = ''] = /^([CD])(\d{16})$/.exec(text) ?? []
  const amount = Number(digits)
  if (sign === undefined || amount > AMOUNT_MAX) return null
  return sign === 'D' ? amount : -amount
}

function reject(de: number, expected: string): ReadReconciliation {
  return { kind: 'reject', path: `DE ${String(de)}`, expected }
}
