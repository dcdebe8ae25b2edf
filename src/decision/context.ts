/** What is known when a transaction is decided. */
import { assert } from '../assert.ts'
import type { CardSnapshot, PurseReference } from '../card.ts'
import type { ProgrammeParameters } from '../programmeParameters.ts'
import type { PurseSnapshot } from '../purse/purse.ts'
import { purseNamed } from '../purse/routes.ts'
import type { Terminal } from '../transaction/terminal.ts'
import type { OriginalSnapshot } from './original.ts'
import type { ClosedDoor } from './velocity.ts'
import type { Verified } from './verified.ts'

/** Which services are switched on where. */
export interface ServiceRegions {
  isActive(service: string, governorate: number, day: string): boolean
}

export interface DecisionContext {
  readonly terminal: Terminal
  readonly card: CardSnapshot
  readonly parameters: ProgrammeParameters
  readonly regions: ServiceRegions
  /** Cairo date, `2026-11-22`. */
  readonly day: string
  readonly nowMs: number
  /** Present when a guard has failed before: what the card's purses really hold, by id. */
  readonly purses: ReadonlyMap<number, PurseSnapshot> | undefined
  /** The decision that a completion, refund or reversal refers to, where it was found. */
  readonly original: OriginalSnapshot | undefined
  /** The parameters of the day on which the original was decided. */
  readonly originalParameters: ProgrammeParameters
  /** An advice whose key was declined or voided before: it tells of what has happened and is posted all the same. */
  readonly forced: boolean
  /** What was found of chip, PIN and card value; undefined: nothing has been looked at yet. */
  readonly verified: Verified | undefined
  /** There were too many failures here lately; undefined: the doors are open. */
  readonly closed: ClosedDoor | undefined
}

/** The purse of that name that the card may draw on. */
export function purseOfCard(card: CardSnapshot, parameters: ProgrammeParameters, name: string): PurseReference | undefined {
  const { kind } = purseNamed(parameters, name)
  return card.purses.find((purse) => purse.kind === kind)
}

/** The cash purse: that the card has one was checked before. */
export function cashPurseOf({ card, parameters }: Pick<DecisionContext, 'card' | 'parameters'>): PurseReference {
  const purse = purseOfCard(card, parameters, 'cash')
  assert(purse !== undefined, 'a card without a cash purse is declined before its cash is asked for')
  return purse
}
