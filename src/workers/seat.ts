/** The place of one process among the workers of its primary. A process that runs alone has none. */
import type { Registry } from 'prom-client'
import type { GroupState } from './messages.ts'

export interface Seat {
  /** As the primary last told it. */
  readonly group: GroupState
  /** What this process measures, whenever the primary asks. */
  share(registry: Pick<Registry, 'getMetricsAsJSON'>): void
  /** What all workers measure, in Prometheus's text format. @throws Error where the primary does not answer in time */
  metrics(): Promise<string>
}
