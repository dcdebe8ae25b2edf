/**
 * What is counted at every message, in variables, and told to the registry when somebody asks: prom-client looks up labels and buckets by their text,
 * at every observation, which takes longer than all else there is to measure.
 */
import { Counter, Histogram, type CounterConfiguration, type HistogramConfiguration } from 'prom-client'

export interface Tally {
  count: number
}

export class TalliedCounter {
  readonly #series = new Map<string, Tally & { readonly labels: readonly string[] }>()

  constructor(configuration: CounterConfiguration<string>) {
    const series = this.#series
    new Counter({
      ...configuration,
      collect() {
        for (const tally of series.values()) {
          if (tally.count > 0) this.labels(...tally.labels).inc(tally.count)
          tally.count = 0
        }
      },
    })
  }

  /** @returns what is counted since the registry was asked last, to be raised */
  labels(...labels: readonly string[]): Tally {
    const name = labels.join(' ')
    let tally = this.#series.get(name)
    if (tally === undefined) this.#series.set(name, (tally = { labels, count: 0 }))
    return tally
  }
}

/** With one label. */
export class TalliedHistogram extends Histogram {
  readonly #configuration: HistogramConfiguration<string>
  readonly #bounds: readonly number[]
  readonly #series = new Map<string, Series>()

  constructor(configuration: HistogramConfiguration<string>, bounds: readonly number[]) {
    super({ ...configuration, buckets: [...bounds] })
    this.#configuration = configuration
    this.#bounds = bounds
  }

  series(label: string): Series {
    let series = this.#series.get(label)
    if (series === undefined) this.#series.set(label, (series = new Series(this.#bounds)))
    return series
  }

  /** What a registry asks for its text, and `get` for everybody else. */
  getForPromString(): Promise<object> {
    const { name, help, labelNames: [labelName = ''] = [] } = this.#configuration
    const values = [...this.#series].flatMap(([label, series]) => series.values(name, { [labelName]: label }))
    return Promise.resolve({ name, help, type: 'histogram', aggregator: 'sum', values })
  }
}

interface Value {
  readonly labels: Readonly<Record<string, string | number>>
  /** Labels that all of a series have. */
  readonly sharedLabels: Readonly<Record<string, string>>
  readonly value: number
  readonly metricName: string
}

export class Series {
  readonly #bounds: readonly number[]
  /** By bucket; behind them what is above all bounds. */
  readonly #counts: Float64Array
  #sum = 0

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds
    this.#counts = new Float64Array(bounds.length + 1)
  }

  observe(value: number): void {
    let bucket = 0
    while (value > (this.#bounds[bucket] ?? Infinity)) bucket++
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1
    this.#sum += value
  }

  /** Buckets count what is below them too. Nothing where nothing was observed. */
  values(name: string, sharedLabels: Readonly<Record<string, string>>): Value[] {
    let count = 0
    const values = Array.from(this.#counts, (ofBucket, bucket): Value => {
      count += ofBucket
      const labels = { le: this.#bounds[bucket] ?? '+Inf' }
      return { labels, sharedLabels, value: count, metricName: `${name}_bucket` }
    })
    if (count === 0) return []
    values.push({ labels: {}, sharedLabels, value: this.#sum, metricName: `${name}_sum` })
    values.push({ labels: {}, sharedLabels, value: count, metricName: `${name}_count` })
    return values
  }
}
