/** The time fields of messages, made once a second and not once a message. */
import { setTimeout as sleep } from 'node:timers/promises'
import { CASH_ACCOUNT, transactionMessage } from '../../src/cli/transactionMessage.ts'
import { minorUnits } from '../../src/money.ts'

export interface Moment {
  /** DE 7 as a number: MMDDhhmmss in UTC. */
  readonly transmission: number
  /** DE 12, hhmmss in Cairo. */
  readonly localTime: number
  /** DE 13, MMDD in Cairo. */
  readonly localDate: number
  /** First 6 digits of DE 37; the trace number follows. */
  readonly reference: number
}

export class MomentSource {
  #current: Moment | undefined
  #untilMs = 0

  /** Never earlier than the last one: the time is part of a message's key. */
  at(nowMs: number): Moment {
    if (this.#current !== undefined && nowMs < this.#untilMs) return this.#current
    this.#untilMs = nowMs - (nowMs % 1000) + 1000
    this.#current = momentOf(nowMs)
    return this.#current
  }
}

/**
 * Waits for the next whole second. Keys hold the time to the second, so a run on a switch that others have used begins with a second of
 * its own and shares no key with them.
 *
 * @returns its time
 */
export async function nextSecond(): Promise<number> {
  const secondMs = (Math.floor(Date.now() / 1000) + 1) * 1000
  // A timer may be a little early.
  while (Date.now() < secondMs) await sleep(Math.max(1, secondMs - Date.now()))
  return secondMs
}

function momentOf(nowMs: number): Moment {
  const { fields } = transactionMessage('purchase', {
    nowMs,
    stan: '000000',
    pan: '',
    terminalId: '',
    acceptorId: '',
    merchantCategory: '',
    amount: minorUnits(0),
    accountType: CASH_ACCOUNT,
    privateData: [],
    advice: false,
    localTime: undefined,
    rrn: undefined,
    approvalCode: undefined,
    original: undefined,
    finalAmount: undefined,
  })
  return {
    transmission: Number(fields[7]),
    localTime: Number(fields[12]),
    localDate: Number(fields[13]),
    reference: Number(fields[37]?.slice(0, 6)),
  }
}
