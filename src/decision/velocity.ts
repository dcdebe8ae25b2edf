/**
 * How often somebody may fail before nothing is said any more (59): a card, a terminal, a range of card numbers. A door that is closed is closed
 * to every number alike, whether anybody has it or not, else whoever searches for cards would go on learning which are there.
 */
import type { SecurityParameters } from '../securityParameters.ts'
import { isAdvice, type Transaction } from '../transaction/transaction.ts'
import type { AttemptCounter } from './hotState.ts'

/** `bin` is closed to whoever shows neither a right chip nor a right PIN. */
export type ClosedDoor = 'terminal' | 'bin'
export type VelocityScope = 'card' | ClosedDoor

export interface VelocityCounter<Scope extends VelocityScope> extends AttemptCounter {
  readonly scope: Scope
  /** Failures it has room for. */
  readonly ceiling: number
}
type DoorCounter = VelocityCounter<ClosedDoor>

export function velocityCounter<Scope extends VelocityScope>(
  scope: Scope,
  id: string,
  { velocity }: Velocity,
): VelocityCounter<Scope> {
  const { failuresMax, windowMs } = velocity[scope]
  return { scope, name: `${scope}:${id}`, lifetimeMs: windowMs, ceiling: failuresMax }
}

/** What a card number that nobody has counts against, and whose doors are looked at before a card is. The terminal's comes first. */
export function doorsOf({ terminalId, profile }: Transaction, security: Velocity): DoorCounter[] {
  const ofTerminal = velocityCounter('terminal', terminalId, security)
  return profile === undefined ? [ofTerminal] : [ofTerminal, velocityCounter('bin', profile.prefix, security)]
}

/** @param counts what counters have counted, by name */
export function closedDoor(doors: readonly DoorCounter[], counts: ReadonlyMap<string, number>): ClosedDoor | undefined {
  return doors.find(({ name, ceiling }) => (counts.get(name) ?? 0) >= ceiling)?.scope
}

/** What has happened already is told of, wherever that is: reversals and advices pass. So does money that comes in: it needs no holder. */
export function passesClosedDoors({ kind, mti }: Transaction): boolean {
  return kind === 'reversal' || kind === 'credit' || kind === 'deposit' || isAdvice(mti)
}

type Velocity = Pick<SecurityParameters, 'velocity'>
