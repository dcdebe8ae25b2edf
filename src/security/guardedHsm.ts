/**
 * The HSM behind a breaker: where calls fail or take too long, messages are not held up by it any more. A call of ours may block the whole process
 * (a PKCS#11 library that waits for its network); what took too long counts as failed even where it came to an end.
 */
import { NotAsked, type Breaker } from '../breaker.ts'
import type { Clock } from '../clock.ts'
import type { Hsm } from './hsm.ts'

export interface HsmGuard {
  readonly breaker: Breaker
  readonly clock: Clock
  readonly callMs: number
}

/** Operations that messages wait for are guarded; keys and stored data are an operator's or a command's. */
export function guardedHsm(hsm: Hsm, guard: HsmGuard): Hsm {
  return {
    ...hsm,
    verifyPins: (batch) => guarded(guard, () => hsm.verifyPins(batch)),
    pinReferences: (batch) => guarded(guard, () => hsm.pinReferences(batch)),
    verifyCryptograms: (batch) => guarded(guard, () => hsm.verifyCryptograms(batch)),
    responseCryptograms: (batch) => guarded(guard, () => hsm.responseCryptograms(batch)),
    scriptCommands: (batch) => guarded(guard, () => hsm.scriptCommands(batch)),
    verifyCardValues: (batch) => guarded(guard, () => hsm.verifyCardValues(batch)),
    verifyMacs: (batch) => guarded(guard, () => hsm.verifyMacs(batch)),
    macs: (batch) => guarded(guard, () => hsm.macs(batch)),
  }
}

/** @throws NotAsked, or what the call throws */
async function guarded<T>({ breaker, clock, callMs }: HsmGuard, call: () => Promise<T>): Promise<T> {
  if (!breaker.admits()) throw new NotAsked('the HSM is not asked: it has failed too often')
  const { promise: overdue, reject } = Promise.withResolvers<never>()
  const startedMs = clock.now()
  const cancel = clock.after(callMs, () => {
    reject(new NotAsked(`no answer of the HSM within ${String(callMs)} ms`))
  })
  try {
    const value = await Promise.race([call(), overdue])
    if (clock.now() - startedMs > callMs) breaker.failed()
    else breaker.succeeded()
    return value
  } catch (error) {
    breaker.failed()
    throw error
  } finally {
    cancel()
  }
}
