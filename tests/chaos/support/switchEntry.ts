/**
 * The switch as the chaos run starts it: `src/main.ts` with a clock that can be stepped, by messages from the process that started it. Production
 * has no such door.
 */
import { systemClock, type Clock } from '../../../src/clock.ts'
import { loadConfig } from '../../../src/config.ts'
import { startSwitch } from '../../../src/main.ts'

/** To the switch: how far its clock is to be from the machine's. */
export interface StepClock {
  readonly offsetMs: number
}

/** From the switch: it listens. */
export const LISTENING = 'listening'

let offsetMs = 0
const clock: Clock = { ...systemClock, now: () => systemClock.now() + offsetMs }

if (import.meta.main) {
  process.on('message', (message: StepClock) => {
    offsetMs = message.offsetMs
  })
  // Whoever started it is gone: nobody would end it.
  process.on('disconnect', () => process.exit(1))
  try {
    await startSwitch(loadConfig(), { clock })
  } catch (error) {
    process.stderr.write(`sarf: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`)
    process.exit(1)
  }
  process.send?.(LISTENING)
}
