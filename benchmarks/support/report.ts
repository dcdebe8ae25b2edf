/** What a run came to, for people and for scripts. */
import type { Histogram } from 'hdr-histogram-js'
import type { Verification } from './check.ts'
import type { Measurement } from './measurement.ts'
import type { BenchOptions } from './options.ts'
import type { SecurityName } from './security.ts'

/** The keys are a promise to scripts: no more and no fewer; `security` is there where --security was given. */
export interface BenchReport {
  readonly mix: string
  readonly security?: SecurityName
  readonly seconds: number
  readonly connections: number
  readonly inFlight: number
  /** Processes of the switch; null where it ran already. */
  readonly workers: number | null
  readonly rate: number | null
  readonly sent: number
  readonly approved: number
  readonly declined: number
  readonly errors: number
  readonly tps: number
  readonly approvedTps: number
  readonly latencyMs: Readonly<Record<'p50' | 'p90' | 'p99' | 'p999' | 'max', number>>
  readonly responseCodes: Readonly<Record<string, number>>
  readonly verified: { readonly approvedNotInLedger: number | null; readonly inLedgerNotApproved: number | null }
}

/** Several runs, and what the mean rates of each mix and security are of those of the first. */
export interface ComparisonReport {
  readonly runs: readonly BenchReport[]
  readonly ratios: Readonly<Record<string, { readonly tps: number; readonly approvedTps: number }>>
}

export function comparisonOf(runs: readonly BenchReport[]): ComparisonReport {
  const names = [...new Set(runs.map(nameOf))]
  const mean = (name: string, rate: 'tps' | 'approvedTps'): number => {
    const rates = runs.filter((run) => nameOf(run) === name).map((run) => run[rate])
    return rates.reduce((sum, value) => sum + value, 0) / rates.length
  }
  const [first = '', ...others] = names
  const ratio = (name: string, rate: 'tps' | 'approvedTps'): number =>
    mean(first, rate) === 0 ? 0 : rounded(mean(name, rate) / mean(first, rate))
  const ratios = others.map((name) => [name, { tps: ratio(name, 'tps'), approvedTps: ratio(name, 'approvedTps') }] as const)
  return { runs, ratios: Object.fromEntries(ratios) }
}

/** What a run is compared under. */
function nameOf({ mix, security }: BenchReport): string {
  return security === undefined ? mix : `${mix} with security ${security}`
}

export function comparisonText({ runs, ratios }: ComparisonReport): string {
  const first = runs[0] === undefined ? '' : nameOf(runs[0])
  const lines = Object.entries(ratios).map(
    ([name, { tps, approvedTps }]) =>
      `${name} to ${first}: ${String(tps)} of the answers/s, ${String(approvedTps)} of the approved/s\n`,
  )
  return [...runs.map(reportText), ...lines].join('')
}

export function reportOf(
  options: Pick<BenchOptions, 'connections' | 'inFlight' | 'rate' | 'workers' | 'target'>,
  { mix, security }: { readonly mix: string; readonly security: SecurityName | undefined },
  measurement: Measurement,
  verification: Verification | undefined,
): BenchReport {
  const { seconds, latency } = measurement
  return {
    mix,
    ...(security === undefined ? {} : { security }),
    seconds: rounded(seconds),
    connections: options.connections,
    inFlight: options.inFlight,
    workers: options.target === undefined ? options.workers : null,
    rate: options.rate ?? null,
    sent: measurement.sent,
    approved: measurement.approved,
    declined: measurement.declined,
    errors: measurement.errors,
    tps: rounded(measurement.answersInTime / seconds),
    approvedTps: rounded(measurement.approvalsInTime / seconds),
    latencyMs: {
      p50: percentileMs(latency, 50),
      p90: percentileMs(latency, 90),
      p99: percentileMs(latency, 99),
      p999: percentileMs(latency, 99.9),
      max: rounded(latency.maxValue / 1000),
    },
    responseCodes: Object.fromEntries([...measurement.responseCodes].sort(([a], [b]) => (a < b ? -1 : 1))),
    verified: {
      approvedNotInLedger: verification?.approvedNotInLedger ?? null,
      inLedgerNotApproved: verification?.inLedgerNotApproved ?? null,
    },
  }
}

export function percentileMs(latency: Histogram, percentile: number): number {
  return latency.totalCount === 0 ? 0 : rounded(latency.getValueAtPercentile(percentile) / 1000)
}

export function reportText(report: BenchReport): string {
  const { latencyMs: ms, verified } = report
  const loop = report.rate === null ? 'closed loop' : `open loop, ${String(report.rate)} messages/s`
  const codes = Object.entries(report.responseCodes).map(([code, count]) => `${code}: ${String(count)}`)
  const known = verified.approvedNotInLedger !== null
  return [
    `${nameOf(report)}, ${loop}, ${String(report.connections)} connections with ${report.rate === null ? '' : 'up to '}${String(report.inFlight)} in flight, ${String(report.seconds)} s${processesText(report.workers)}`,
    `  messages   ${String(report.sent)} sent: ${String(report.approved)} approved, ${String(report.declined)} declined, ${String(report.errors)} errors`,
    `  codes      ${codes.join(', ')}`,
    `  rate       ${String(report.tps)} answers/s, ${String(report.approvedTps)} approved/s`,
    `  latency    p50 ${String(ms.p50)} ms, p90 ${String(ms.p90)}, p99 ${String(ms.p99)}, p99.9 ${String(ms.p999)}, max ${String(ms.max)}`,
    known
      ? `  verified   ${String(verified.approvedNotInLedger)} approved and not in the ledger, ${String(verified.inLedgerNotApproved)} in the ledger and not approved`
      : '  verified   not: the ledger cannot be read from here; give --database',
    '',
  ].join('\n')
}

export function processesText(workers: number | null): string {
  return workers === null ? '' : `, ${String(workers)} ${workers === 1 ? 'process' : 'processes'}`
}

function rounded(value: number): number {
  return Math.round(value * 100) / 100
}
