/** One stage alone, measured several times; the median and how far the rounds lie apart. */
export type StageName = 'decode' | 'encode' | 'reserve' | 'commit'

export interface StageMeasure<Stage extends string = StageName> {
  readonly stage: Stage
  /** Dialect, or items in a batch. */
  readonly variant: string
  /** Does the stage's work for about `forMs`. @returns how many items it did */
  run(forMs: number): Promise<number>
}

export interface StageResult<Stage extends string = StageName> {
  readonly stage: Stage
  readonly variant: string
  /** Items a second. */
  readonly median: number
  readonly least: number
  readonly most: number
  readonly rounds: number
}

/** Round by round over all stages, so that what else the machine does meanwhile meets them all alike. */
export async function measureStages<Stage extends string>(
  measures: readonly StageMeasure<Stage>[],
  options: { readonly rounds: number; readonly forMs: number; readonly onRound?: (round: number) => void },
): Promise<StageResult<Stage>[]> {
  const rates = measures.map((): number[] => [])
  // The first round is for the just-in-time compiler and the servers' caches.
  for (let round = 0; round <= options.rounds; round++) {
    options.onRound?.(round)
    for (const [index, measure] of measures.entries()) {
      const startedMs = performance.now()
      const items = await measure.run(options.forMs)
      if (round > 0) rates[index]?.push((items * 1000) / (performance.now() - startedMs))
    }
  }
  return measures.map(({ stage, variant }, index) => ({ stage, variant, ...summary(rates[index] ?? []) }))
}

function summary(rates: readonly number[]): Pick<StageResult, 'median' | 'least' | 'most' | 'rounds'> {
  const sorted = rates.toSorted((a, b) => a - b).map(Math.round)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? 0
  const median = sorted.length % 2 === 1 ? upper : Math.round(((sorted[middle - 1] ?? 0) + upper) / 2)
  return { median, least: sorted[0] ?? 0, most: sorted.at(-1) ?? 0, rounds: sorted.length }
}
