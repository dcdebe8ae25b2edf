/** What is known when a transaction is decided. */
import type { CardSnapshot } from '../card.ts'
import type { ProgrammeParameters } from '../config.ts'
import type { PurseSnapshot } from '../purse/purse.ts'
import type { Terminal } from '../transaction/terminal.ts'
import type { OriginalSnapshot } from './original.ts'

export interface DecisionContext {
  readonly terminal: Terminal
  readonly card: CardSnapshot
  readonly parameters: ProgrammeParameters
  /** Cairo date, `2026-11-22`. */
  readonly day: string
  readonly nowMs: number
  /** Present when a guard has failed before: what the purse really holds. */
  readonly purse: PurseSnapshot | undefined
  /** The decision that a completion, refund or reversal refers to, where it was found. */
  readonly original: OriginalSnapshot | undefined
  /** An advice whose key was declined or voided before: it tells of what has happened and is posted all the same. */
  readonly forced: boolean
}
