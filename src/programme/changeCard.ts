/** One event of a card's life: the card is locked, the table asked, state and life written, the event put into the outbox. */
import type { CardState } from '../card.ts'
import { done, refused, type Outcome, type SqlTransaction } from '../ledger/programme/desk.ts'
import {
  lockCard,
  writeCardLife,
  writeCardState,
  type CardLife,
  type CardRowChange,
  type LifeChange,
} from '../ledger/programme/cards.ts'
import { FINAL, stateAfter, statesFor, type CardEvent } from './cardLife.ts'
import { addNoticeOfEvent } from './notices/cardNotices.ts'
import { settleFee } from './fees.ts'

export interface CardEventRequest {
  readonly token: string
  readonly event: CardEvent
  /** The version that the caller has seen; absent: whichever it is. */
  readonly version?: number | undefined
  /** What else must hold; asked when the card is locked and the table allows the event. */
  readonly guard?: (card: CardLife) => Promise<Outcome<unknown>> | Outcome<unknown>
  readonly row?: CardRowChange
  readonly life?: LifeChange
  /** Goes with the event; no card number, national ID or mobile. */
  readonly data?: Readonly<Record<string, unknown>>
  /** Nobody is told of it: what follows at once is told instead. */
  readonly notice?: false
}

export interface CardChanged {
  readonly before: CardLife
  readonly state: CardState
  readonly version: number
}

export const NO_SUCH_CARD = refused('not-found', 'no-such-card', 'The programme has no such card.')

/** Refuses what the table does not allow, a stale version, and what `guard` refuses. */
export async function changeCard(tx: SqlTransaction, request: CardEventRequest): Promise<Outcome<CardChanged>> {
  const { token, event } = request
  const card = await lockCard(tx, token)
  if (card === undefined) return NO_SUCH_CARD
  if (request.version !== undefined && request.version !== card.version)
    return refused(
      'stale',
      'card-changed',
      `The card was changed meanwhile: it is at version ${String(card.version)} and ${card.state}. Look again.`,
    )
  const state = stateAfter(card.state, event)
  if (state === undefined) return notInThisState(card.state, event)
  const held = await request.guard?.(card)
  if (held?.ok === false) return held
  const version = await writeCardState(tx, token, state, request.row ?? {})
  const now = new Date(tx.nowMs).toISOString()
  const ended = FINAL.includes(state) ? { ended_at: now, next_day: null } : {}
  await writeCardLife(tx, token, { ...ended, ...request.life })
  await settleFee(tx, card, state)
  await tx.emit({
    kind: `card.${event}`,
    cardToken: token,
    personId: card.personId,
    householdId: card.householdId,
    data: { from: card.state, to: state, ...request.data },
  })
  if (request.notice !== false) await addNoticeOfEvent(tx, card, event)
  return done({ before: card, state, version })
}

export function notInThisState(state: CardState, event: CardEvent): Outcome<never> {
  const ended = FINAL.includes(state) ? ' It has ended: nothing more can happen to it.' : ''
  return refused(
    'conflict',
    'not-in-this-state',
    `A card that is ${state} cannot be ${event.replaceAll('_', ' ')}; that needs ${statesFor(event).join(', ')}.${ended}`,
  )
}
