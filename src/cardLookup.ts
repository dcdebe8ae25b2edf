/** Finds the cards of a batch of messages: in Redis in one call, what it does not have in the ledger. A number that nobody has counts as a failure. */
import type { Config } from './config.ts'
import type { CardState } from './card.ts'
import type { HotState } from './decision/hotState.ts'
import { readStandIn } from './decision/standInState.ts'
import { closedDoor, doorsOf } from './decision/velocity.ts'
import type { Ledger } from './ledger/ledger.ts'
import type { Passage } from './passage.ts'
import { ifUnavailable, type Upkeep } from './upkeep.ts'

export interface CardLookupParts {
  readonly config: Pick<Config, 'security'>
  readonly ledger: Ledger
  readonly hotState: HotState
  readonly upkeep: Upkeep
}

export interface CardFindings {
  /** `passage.card` and `passage.closed` are set. What Redis knows does not wait for the ledger. */
  readonly found: (passage: Passage) => void
  readonly unknown: (passage: Passage) => void
}

/** @throws what the ledger throws; those that have no card by then are neither found nor unknown */
export async function findCards(
  parts: CardLookupParts,
  batch: readonly Passage[],
  { found, unknown }: CardFindings,
): Promise<void> {
  const { hotState, ledger, config, upkeep } = parts
  const doors = batch.map((passage) => doorsOf(passage.transaction, config.security))
  const { cards, counts, standIn } = await hotCards(hotState, batch, [...new Set(doors.flat().map(({ name }) => name))])
  if (standIn) await markStandIn(hotState, batch)
  const missing: Passage[] = []
  for (const [index, passage] of batch.entries()) {
    passage.closed = closedDoor(doors[index] ?? [], counts)
    passage.card = cards[index]
    if (passage.card === undefined) missing.push(passage)
    else found(passage)
  }
  if (missing.length === 0) return
  const epoch = hotState.epoch
  const stored = await ledger.cards([...new Set(missing.map((passage) => passage.transaction.cardToken))])
  await upkeep.takeOver(epoch, [...stored.values()])
  for (const passage of missing) {
    passage.card = stored.get(passage.transaction.cardToken)?.card
    if (passage.card !== undefined) found(passage)
  }
  const unknowns = missing.filter((passage) => passage.card === undefined)
  await countUnknown(parts, unknowns)
  for (const passage of unknowns) unknown(passage)
}

const NOTHING_HOT: Awaited<ReturnType<HotState['cards']>> = { cards: [], counts: new Map(), standIn: false }

async function hotCards(hotState: HotState, batch: readonly Passage[], doors: readonly string[]): ReturnType<HotState['cards']> {
  if (!hotState.up) return NOTHING_HOT
  return hotState
    .cards(
      batch.map((passage) => passage.transaction.cardToken),
      doors,
    )
    .catch(ifUnavailable(NOTHING_HOT))
}

/** While the shard is in stand-in the ledger does not know of every card that was stopped, nor of every wrong PIN. */
async function markStandIn(hotState: HotState, batch: readonly Passage[]): Promise<void> {
  const tokens = batch.map((passage) => passage.transaction.cardToken)
  const { stops, pins } = await readStandIn(hotState, [], tokens).catch(ifUnavailable({ stops: [], pins: [] }))
  for (const [index, passage] of batch.entries()) {
    passage.shardStandsIn = true
    passage.stoppedAs = stops[index] as CardState | undefined
    passage.hasWrongPins = (pins[index] ?? 0) > 0
  }
}

/** Against the terminal and the range of numbers, in one atomic step: however many come at once, no more than the limit are told that nobody has them. */
async function countUnknown({ hotState, config }: CardLookupParts, unknowns: readonly Passage[]): Promise<void> {
  if (unknowns.length === 0 || !hotState.up) return
  const attempts = unknowns.map(({ transaction }) => doorsOf(transaction, config.security))
  const full = await hotState.raise([], attempts).catch(ifUnavailable([]))
  for (const [index, passage] of unknowns.entries()) {
    passage.closed = attempts[index]?.[(full[index] ?? 0) - 1]?.scope ?? passage.closed
  }
}
