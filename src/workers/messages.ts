/** What the primary process and its workers tell each other, over the channel that node:cluster gives them. */
import type { MetricObjectWithValues, MetricValue } from 'prom-client'

/** What one process measures, as prom-client aggregates it. */
export type Measured = MetricObjectWithValues<MetricValue<string>>[]

export interface Address {
  readonly name: string
  readonly port: number
}

/** How many workers there should be, and how many take messages. */
export interface GroupState {
  readonly wanted: number
  readonly listening: number
}

export type ToWorker =
  /** New connections are for others (`taking` false) or for this one too; those that are open go on. */
  | { readonly kind: 'connections'; readonly taking: boolean }
  | { readonly kind: 'drain' }
  | { readonly kind: 'renewCertificates' }
  | { readonly kind: 'measure'; readonly id: number }
  | { readonly kind: 'group'; readonly state: GroupState }
  /** The answer to `askMetrics`: all workers' in Prometheus's text format. */
  | { readonly kind: 'metrics'; readonly id: number; readonly text: string }

export type ToPrimary =
  | { readonly kind: 'listening'; readonly addresses: readonly Address[] }
  | { readonly kind: 'measured'; readonly id: number; readonly measured: Measured }
  /** The last word of a worker that leaves: what it counted stays in the sums. */
  | { readonly kind: 'leaving'; readonly measured: Measured }
  | { readonly kind: 'askMetrics'; readonly id: number }
