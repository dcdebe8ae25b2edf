import type { Address } from './messages.ts'

/** A switch that runs in this process, as far as its workers' side has to know it. */
export interface Served {
  readonly addresses: readonly Address[]
  drain(): Promise<void>
  /** @throws ConfigError; the old ones stay in use then */
  renewCertificates(): void
  /** Whether new connections are taken; those that are open go on. */
  takeConnections(taking: boolean): void
}
