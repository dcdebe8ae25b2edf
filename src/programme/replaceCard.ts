/** A card is asked for in the place of another one: because that was lost, stolen or damaged, or because it expires. And an order is withdrawn. */
import type { CardToken } from '../card.ts'
import { cairoDay } from '../clock.ts'
import { lockCard, readCardLife, readCardsOfPerson, type CardLife, type CardReason } from '../ledger/programme/cards.ts'
import { done, refused, type Outcome, type SqlTransaction } from '../ledger/programme/desk.ts'
import { readPlace } from '../ledger/programme/places.ts'
import { parametersOn, type CardRules } from '../programmeParameters.ts'
import { addBusinessDays, addDays, addMonths } from './calendar.ts'
import { FINAL, stateAfter } from './cardLife.ts'
import { changeCard, NO_SUCH_CARD } from './changeCard.ts'
import { carryFee, takeFee, type FeePayment } from './fees.ts'
import { orderCard, type OrderContext } from './orderCard.ts'

export interface Replacement {
  /** The card whose place it takes. */
  readonly token: string
  readonly version?: number | undefined
  /** Where the new one is to be collected. */
  readonly placeId: string
  /** How the fee is paid; absent where there is none. */
  readonly payment?: FeePayment | undefined
}

const REASONS: Readonly<Record<string, CardReason>> = { LOST: 'lost', STOLEN: 'stolen', DAMAGED: 'damaged' }

/** For a card that was reported lost, stolen or damaged. @returns the new card */
export async function orderReplacement(
  tx: SqlTransaction,
  context: OrderContext,
  asked: Replacement,
): Promise<Outcome<CardLife>> {
  return orderInPlace(tx, context, asked, (card, { replacement }) => {
    const reason = REASONS[card.state]
    if (reason === undefined)
      return refused(
        'conflict',
        'not-in-this-state',
        `A card that is ${card.state} is not replaced; report it lost, stolen or damaged first, or ask for its renewal when it expires.`,
      )
    // One that never reached its holder is made again for what it cost: nothing, where it was the first.
    const fee = card.handedOverAtMs === null && card.orderedAtMs !== null ? card.fee : replacement.fee
    return done({ reason, fee, businessDays: replacement.businessDays })
  })
}

/** For a card that is about to expire, or has. @returns the new card */
export async function orderRenewal(tx: SqlTransaction, context: OrderContext, asked: Replacement): Promise<Outcome<CardLife>> {
  return orderInPlace(tx, context, asked, (card, { renewal }) => {
    if (stateAfter(card.state, 'renewed') === undefined)
      return refused(
        'conflict',
        'not-in-this-state',
        `A card that is ${card.state} is not renewed; one that was lost, stolen or damaged is replaced, one that is suspended re-verified first.`,
      )
    const from = renewableFrom(card.expiry, renewal.monthsBefore)
    if (cairoDay(tx.nowMs) < from) return refused('conflict', 'too-early', `It may be renewed from ${from} on.`)
    return done({ reason: 'renewal', fee: renewal.fee, businessDays: renewal.businessDays })
  })
}

/** @param expiry YYMM, good to the end of that month */
export function renewableFrom(expiry: string, monthsBefore: number): string {
  const nextMonth = addMonths(`20${expiry.slice(0, 2)}-${expiry.slice(2)}-01`, 1)
  return addMonths(addDays(nextMonth, -1), -monthsBefore)
}

interface Terms {
  readonly reason: CardReason
  /** Piasters. */
  readonly fee: number
  readonly businessDays: number
}

async function orderInPlace(
  tx: SqlTransaction,
  context: OrderContext,
  { token, version, placeId, payment }: Replacement,
  termsOf: (card: CardLife, rules: CardRules) => Outcome<Terms>,
): Promise<Outcome<CardLife>> {
  const card = await lockCard(tx, token)
  if (card === undefined) return NO_SUCH_CARD
  const { personId, householdId } = card
  if (personId === null)
    return refused(
      'conflict',
      'old-card-not-replaced',
      "An old ration card is not replaced: its household draws on the head's new card. Order that for the head, where there is none yet.",
    )
  if (version !== undefined && version !== card.version)
    return refused(
      'stale',
      'card-changed',
      `The card was changed meanwhile: it is at version ${String(card.version)}. Look again.`,
    )
  const { cards: rules } = parametersOn(context.programme, cairoDay(tx.nowMs))
  const terms = termsOf(card, rules)
  if (!terms.ok) return terms
  const { reason, fee, businessDays } = terms.value
  if ((await readPlace(tx, placeId)) === undefined)
    return refused('invalid', 'no-such-place', 'The programme has no such place; GET /v1/places lists them.', '/placeId')
  const cards = await readCardsOfPerson(tx, personId)
  if (cards.some((one) => one.replaces === token && stateAfter(one.state, 'order_withdrawn') !== undefined))
    return refused('conflict', 'replacement-under-way', 'A card in the place of this one is on its way already.')
  const paid = cards.find((one) => one.feeKey !== null && one.handedOverAtMs === null && !FINAL.includes(one.state))
  if (fee > 0 && paid === undefined && payment === undefined)
    return refused('invalid', 'payment-missing', 'There is a fee: counter or cash says how it is paid.', '/payment')
  const ordered = await orderCard(tx, context, {
    personId,
    placeId,
    reason,
    replaces: card.token,
    fee,
    dueDay: addBusinessDays(cairoDay(tx.nowMs), businessDays, rules.holidays),
  })
  if (!ordered.ok) return ordered
  const made = ordered.value.token
  if (paid !== undefined) await carryFee(tx, paid, made)
  else if (fee > 0 && payment !== undefined) {
    const taken = await takeFee(tx, { token: made, personId, householdId, amount: fee, payment })
    if (!taken.ok) return taken
  }
  return shown(tx, made)
}

/** An order is withdrawn as long as its card has not been handed over; a fee that was paid for it is given back. */
export async function withdrawOrder(tx: SqlTransaction, token: string, version?: number): Promise<Outcome<CardLife>> {
  const changed = await changeCard(tx, { token, event: 'order_withdrawn', version })
  return changed.ok ? shown(tx, token as CardToken) : changed
}

async function shown(tx: SqlTransaction, token: CardToken): Promise<Outcome<CardLife>> {
  const card = await readCardLife(tx, token)
  return card === undefined ? NO_SUCH_CARD : done(card)
}
