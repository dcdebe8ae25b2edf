/**
 * What all workers measure, as one. Counters and histograms of a worker that has ended stay in the sums, as far as they were last told: else each
 * restart would make the sums fall, which Prometheus takes for a restart of everything.
 */
import { AggregatorRegistry, Counter, Gauge, Registry } from 'prom-client'
import type { GroupState, Measured } from './messages.ts'

export class GroupMetrics {
  readonly #own = new Registry()
  readonly #last = new Map<number, { readonly slot: number; readonly measured: Measured }>()
  #ended: Promise<Measured> = Promise.resolve([])
  readonly #starts = new Counter({
    name: 'sarf_worker_starts_total',
    help: 'Workers started, by why: first, died, rolling',
    labelNames: ['why'],
    registers: [this.#own],
  })
  readonly #failures = new Counter({
    name: 'sarf_worker_starts_failed_total',
    help: 'Workers that ended, or were ended, before they took messages',
    registers: [this.#own],
  })
  readonly #rolling = new Counter({
    name: 'sarf_rolling_restarts_total',
    help: 'Rolling restarts by how they ended: done, given_up',
    labelNames: ['result'],
    registers: [this.#own],
  })
  readonly #connections = new Gauge({
    name: 'sarf_worker_connections',
    help: 'Open connections of terminals and gateways by worker (slot)',
    labelNames: ['worker'],
    registers: [this.#own],
  })

  constructor(state: () => GroupState) {
    const watch = (name: string, help: string, read: () => number): void => {
      new Gauge({
        name,
        help,
        registers: [this.#own],
        collect() {
          this.set(read())
        },
      })
    }
    watch('sarf_workers_wanted', 'Workers that there should be', () => state().wanted)
    watch('sarf_workers_listening', 'Workers that take messages', () => state().listening)
  }

  started(why: 'first' | 'died' | 'rolling'): void {
    this.#starts.inc({ why })
  }

  startFailed(): void {
    this.#failures.inc()
  }

  rolled(result: 'done' | 'given_up'): void {
    this.#rolling.inc({ result })
  }

  /** @param worker the number that node:cluster gave it */
  measured(worker: number, slot: number, measured: Measured): void {
    this.#last.set(worker, { slot, measured })
  }

  ended(worker: number): void {
    const last = this.#last.get(worker)
    if (last === undefined) return
    this.#last.delete(worker)
    const growing = last.measured.filter(({ type }) => GROWING.has(String(type)))
    this.#ended = this.#ended.then((before) => AggregatorRegistry.aggregate([before, growing]).getMetricsAsJSON())
  }

  /** In Prometheus's text format. */
  async text(): Promise<string> {
    // Both of this moment: a worker that ends meanwhile is in one of them.
    const [running, ended] = [[...this.#last.values()], this.#ended]
    this.#connections.reset()
    for (const { slot, measured } of running)
      this.#connections.set({ worker: slot }, sumOf(measured.find(({ name }) => name === 'sarf_connections')))
    const all = [...running.map(({ measured }) => measured), await ended, await this.#own.getMetricsAsJSON()]
    return await AggregatorRegistry.aggregate(all).metrics()
  }
}

const GROWING: ReadonlySet<string> = new Set(['counter', 'histogram'])

function sumOf(metric: Measured[number] | undefined): number {
  return (metric?.values ?? []).reduce((sum, { value }) => sum + value, 0)
}
