/** One line on a terminal that says how a run is going, written over every second. */
import type { Load } from './load.ts'
import { percentileMs } from './report.ts'

const EVERY_MS = 1000

/** @returns what ends it and clears the line */
export function liveLine(load: Load): () => void {
  const startedMs = performance.now()
  let before = 0
  const timer = setInterval(() => {
    const { answersInAll, errorsInAll, latency } = load.measurement
    const seconds = Math.round((performance.now() - startedMs) / 1000)
    const rate = Math.round(((answersInAll - before) * 1000) / EVERY_MS)
    before = answersInAll
    const p99 = latency.totalCount === 0 ? 'warming up' : `p99 ${String(percentileMs(latency, 99))} ms`
    write(
      `${String(seconds)} s  ${String(rate)} answers/s  ${String(load.outstanding)} in flight  ${p99}  ${String(errorsInAll)} errors`,
    )
  }, EVERY_MS)
  return () => {
    clearInterval(timer)
    write('')
  }
}

/** ECMA-48: carriage return, then erase to the end of the line. */
function write(text: string): void {
  process.stderr.write(`\r\u001b[K${text}`)
}
