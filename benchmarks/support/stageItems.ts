/** What the stages that talk to a server have in common. */
import { ACQUIRER } from '../../src/cli/transactionMessage.ts'
import { utcDay } from '../../src/clock.ts'

export const BATCH_SIZES = [1, 16, 64, 256] as const

const STANS = 1_000_000

/** The key of the n-th message, of the length and form that keys have (src/transaction/identity.ts). */
export function stageKey(n: number): { key: string; keyDate: string } {
  const terminal = String(Math.floor(n / STANS) + 1).padStart(5, '0')
  const stan = String(n % STANS).padStart(6, '0')
  return { key: `${ACQUIRER.padStart(11, '0')}|POS${terminal}|0101000000|${stan}|2`, keyDate: utcDay(Date.now()) }
}
