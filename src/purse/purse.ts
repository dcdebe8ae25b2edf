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
  /** Days of the cycle that are drawn, bit 0 the first; and how many of each item of a goods list, by position. */
  readonly marks: number
  readonly items: readonly number[]
}
