/**
 * A card is handed over, or its PIN is set anew. The guards come in one order, each with a name of its own: state, period, place, whose place it is, national
 * ID, mobile, who comes, what it replaces, fee, PIN. What was wrong first is what is answered.
 */
import { assert } from '../assert.ts'
import { cairoDay } from '../clock.ts'
import { lockCardsOfPerson, readCardLife, type CardLife } from '../ledger/programme/cards.ts'
import { done, refused, type Actor, type Outcome, type SqlTransaction } from '../ledger/programme/desk.ts'
import { readDiwan, readPlace } from '../ledger/programme/places.ts'
import { cashPurseOf } from '../ledger/programme/postings.ts'
import { changeCard, NO_SUCH_CARD } from './changeCard.ts'
import { choosePin, type ChosenPin, type EnteredPin, type PinContext } from './choosePin.ts'
import { FINAL, stateAfter } from './cardLife.ts'
import { checkIdentity, type IdentityContext, type ShownIdentity } from './identityCheck.ts'

export interface HandoverContext extends IdentityContext, PinContext {}

export interface Handover extends ShownIdentity, EnteredPin {
  readonly token: string
  readonly version?: number | undefined
  readonly placeId: string
  /** Names the enrolment in the fingerprint system. */
  readonly fingerprintReference: string
}

/** The card becomes ACTIVE; what it replaces ends with it, and a fee that was paid for it is earned. */
export async function handOver(
  tx: SqlTransaction,
  context: HandoverContext,
  actor: Actor,
  asked: Handover,
): Promise<Outcome<CardLife>> {
  const others = await lockWithOthers(tx, asked.token)
  const row: { pinReference?: string; resetPinTries: true } = { resetPinTries: true }
  const changed = await changeCard(tx, {
    token: asked.token,
    event: 'handed_over',
    version: asked.version,
    row,
    life: {
      handed_over_at: new Date(tx.nowMs).toISOString(),
      handed_over_place: asked.placeId,
      fingerprint_reference: asked.fingerprintReference,
      next_day: null,
    },
    data: { placeId: asked.placeId },
    guard: async (card) => {
      const chosen = await guardHandover(tx, context, actor, card, others, asked)
      if (chosen.ok) row.pinReference = chosen.value.pinReference
      return chosen
    },
  })
  if (!changed.ok) return changed
  const { before } = changed.value
  assert(before.personId !== null, 'who collects a card is a person')
  // The account at the post comes with the card.
  await cashPurseOf(tx, before.householdId, before.personId)
  for (const other of others) {
    const event = endingOf(other, before)
    if (event === undefined) continue
    const ended = await changeCard(tx, { token: other.token, event, data: { by: before.token } })
    assert(ended.ok, 'what may be replaced has been looked at under the lock')
  }
  return shown(tx, asked.token)
}

export interface PinSetting extends ShownIdentity, EnteredPin {
  readonly token: string
  readonly version?: number | undefined
  readonly placeId: string
}

/** A PIN that was blocked or forgotten: a new one at a post office, after the same look at the holder. */
export async function setPin(
  tx: SqlTransaction,
  context: HandoverContext,
  actor: Actor,
  asked: PinSetting,
): Promise<Outcome<CardLife>> {
  const row: { pinReference?: string; issuerScript?: 'PIN_UNBLOCK'; resetPinTries: true } = { resetPinTries: true }
  const changed = await changeCard(tx, {
    token: asked.token,
    event: 'pin_set',
    version: asked.version,
    row,
    data: { placeId: asked.placeId },
    guard: async (card) => {
      const place = await readPlace(tx, asked.placeId)
      if (place?.kind !== 'post-office')
        return refused('invalid', 'not-a-post-office', 'A PIN is set at a post office: give the id of one.', '/placeId')
      const own = ownPlace(actor, asked.placeId)
      if (!own.ok) return own
      const identified = await checkIdentity(tx, context, card, asked)
      if (!identified.ok) return identified
      const chosen = await choosePin(tx, context, card, asked)
      if (!chosen.ok) return chosen
      row.pinReference = chosen.value.pinReference
      // The chip has blocked its own try counter, or was told to.
      if (chosen.value.chip) row.issuerScript = 'PIN_UNBLOCK'
      return chosen
    },
  })
  return changed.ok ? shown(tx, asked.token) : changed
}

/** @returns the person's other cards that have not ended, locked with this one */
async function lockWithOthers(tx: SqlTransaction, token: string): Promise<CardLife[]> {
  const card = await readCardLife(tx, token)
  if (card === undefined || card.personId === null) return []
  const cards = await lockCardsOfPerson(tx, card.householdId, card.personId)
  return cards.filter((one) => one.token !== token && !FINAL.includes(one.state))
}

async function guardHandover(
  tx: SqlTransaction,
  context: HandoverContext,
  actor: Actor,
  card: CardLife,
  others: readonly CardLife[],
  asked: Handover,
): Promise<Outcome<ChosenPin>> {
  const placed = await guardPlace(tx, card, asked.placeId)
  if (!placed.ok) return placed
  const own = ownPlace(actor, asked.placeId)
  if (!own.ok) return own
  const identified = await checkIdentity(tx, context, card, asked)
  if (!identified.ok) return identified
  const replaced = others.find(({ token }) => token === card.replaces)
  if (replaced?.state === 'SUSPENDED_BIOMETRIC')
    return refused(
      'conflict',
      'replaced-card-suspended',
      'The card that it replaces is suspended after wrong fingerprints. Have that lifted by re-verification first.',
    )
  if (card.fee > 0 && card.feePaid === null) return refused('conflict', 'fee-not-paid', 'The fee of this card has not been paid.')
  return choosePin(tx, context, card, asked)
}

/** Dates decide, whether the clocks have run or not: within the first month the named place, within the second the Diwan, then nowhere. */
async function guardPlace(tx: SqlTransaction, card: CardLife, placeId: string): Promise<Outcome<null>> {
  const today = cairoDay(tx.nowMs)
  const { namedPlaceUntil, diwanUntil } = card
  if (namedPlaceUntil === null || diwanUntil === null)
    return refused('conflict', 'collection-not-begun', 'The notice with place and period has not been received yet.')
  if (today > diwanUntil)
    return refused(
      'conflict',
      'collection-period-over',
      `It could be collected until ${diwanUntil}. It is destroyed now; a new card has to be ordered.`,
    )
  if (card.state === 'AWAITING_COLLECTION' && today <= namedPlaceUntil)
    return placeId === card.placeId
      ? done(null)
      : refused(
          'invalid',
          'wrong-place',
          `It is handed over at ${card.placeId ?? 'its place'} until ${namedPlaceUntil}, and then at the Diwan.`,
          '/placeId',
        )
  const diwan = await readDiwan(tx, card.governorate)
  return diwan?.placeId === placeId
    ? done(null)
    : refused(
        'invalid',
        'wrong-place',
        diwan === undefined
          ? 'It is handed over at the Diwan of the governorate only, and none is registered.'
          : `It is handed over at ${diwan.placeId} only, until ${diwanUntil}.`,
        '/placeId',
      )
}

/** Whoever's token says where they work acts there. */
export function ownPlace(actor: Actor, placeId: string): Outcome<null> {
  return actor.place === undefined || actor.place === placeId
    ? done(null)
    : refused('forbidden', 'not-your-place', 'Your token is of another place.', '/placeId')
}

/** Stopped cards of the person end with whichever card comes instead; one that still works only with the card that was asked for to renew it. */
function endingOf(other: CardLife, handedOver: CardLife): 'replaced' | 'renewed' | undefined {
  if (stateAfter(other.state, 'replaced') !== undefined) return 'replaced'
  return other.token === handedOver.replaces && stateAfter(other.state, 'renewed') !== undefined ? 'renewed' : undefined
}

async function shown(tx: SqlTransaction, token: string): Promise<Outcome<CardLife>> {
  const card = await readCardLife(tx, token)
  return card === undefined ? NO_SUCH_CARD : done(card)
}
