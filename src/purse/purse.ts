/** A purse as a decision sees it: what is committed, less what other transactions have reserved. */
export interface PurseSnapshot {
  /** Minor units that can be spent now. */
  readonly available: number
  /** Cairo date of the counters. */
  readonly day: string
  readonly spentAmount: number
  readonly spentCount: number
  readonly withdrawnAmount: number
  readonly withdrawnCount: number
}
