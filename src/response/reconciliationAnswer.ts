/** The answer to 0500 and 0520: 0510 and 0530. */
import { encode, type Encoded, type FieldValues } from '../iso8583/encode.ts'
import type { Message } from '../iso8583/message.ts'
import { responseMti } from '../iso8583/mti.ts'
import { makeRoomForMac } from '../security/messageMac.ts'
import { FIRST_TOTAL, totalDigits, type ShiftTotals } from '../transaction/reconciliation.ts'
import { APPROVED, RECONCILE_ERROR } from './responseCodes.ts'

export interface ReconciliationResult {
  readonly responseCode: string
  /** How the switch sees the shift; undefined where none was closed. */
  readonly ours: ShiftTotals | undefined
}

const ECHOED = [7, 11, 12, 13, 15, 24, 32, 33, 41, 42, 50] as const

/** ISO 8583-1:1987 DE 66. */
const IN_BALANCE = '1'
const OUT_OF_BALANCE = '2'
const ERROR = '3'

/** Where the totals differ (95) ours are in the answer, so that the difference can be looked for. */
export function reconciliationAnswerTo(
  message: Message,
  { responseCode, ours }: ReconciliationResult,
  authenticated = false,
): Encoded {
  const fields: FieldValues = []
  for (const number of ECHOED) fields[number] = message.carried(number)
  fields[39] = responseCode
  fields[66] = responseCode === APPROVED ? IN_BALANCE : responseCode === RECONCILE_ERROR ? OUT_OF_BALANCE : ERROR
  if (ours !== undefined && responseCode === RECONCILE_ERROR) {
    for (const [index, total] of ours.entries()) {
      const de = FIRST_TOTAL + index
      fields[de] = String(total).padStart(totalDigits(de), '0')
    }
    fields[97] = netText(ours)
  }
  if (authenticated) makeRoomForMac(fields)
  return encode(message.spec, responseMti(message.mti), fields)
}

/** DE 97 of totals: what cards were debited (88, and 87 given back of credits) less what they were credited (86, and 89). */
export function netOfTotals(totals: ShiftTotals): number {
  const of = (de: number): number => totals[de - FIRST_TOTAL] ?? 0
  return of(88) + of(87) - of(86) - of(89)
}

function netText(totals: ShiftTotals): string {
  const net = netOfTotals(totals)
  return (net < 0 ? 'C' : 'D') + String(Math.abs(net)).padStart(16, '0')
}
