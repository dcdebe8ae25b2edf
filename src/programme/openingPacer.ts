/** Leaves the servers to the authorizations between two chunks of the opening. */
import type { Clock } from '../clock.ts'

/** @returns what waits so long that the time between two calls was worked in for `busyPercent` of it */
export function openingPacer(clock: Clock, busyPercent: number): () => Promise<void> {
  let sinceMs = clock.now()
  return async () => {
    const pauseMs = Math.max(0, ((clock.now() - sinceMs) * (100 - busyPercent)) / busyPercent)
    if (pauseMs >= 1) {
      const { promise, resolve } = Promise.withResolvers<undefined>()
      clock.after(pauseMs, () => {
        resolve(undefined)
      })
      await promise
    }
    sinceMs = clock.now()
  }
}
