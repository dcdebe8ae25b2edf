/** A limit on how long a call waits for its answer. */
import type { Clock } from '../clock.ts'

/**
 * @param answer called once: with the value, or with undefined when `waitMs` have passed without one
 * @returns takes the value; what comes too late is dropped
 */
export function withPatience<T>(clock: Clock, waitMs: number, answer: (value: T | undefined) => void): (value: T) => void {
  let answered = false
  const once = (value: T | undefined): void => {
    if (answered) return
    answered = true
    answer(value)
  }
  const cancel = clock.after(waitMs, () => {
    once(undefined)
  })
  return (value) => {
    cancel()
    once(value)
  }
}
