/** A card is ordered: it gets its number, which is sealed at once, and begins its life as ORDERED. */
import { randomInt } from 'node:crypto'
import { assert } from '../assert.ts'
import { cardToken, luhnCheckDigit, maskPan, type CardState, type CardToken } from '../card.ts'
import { cairoDay } from '../clock.ts'
import type { CardReason } from '../ledger/programme/cards.ts'
import { readCardsOfPerson, writeCardLife } from '../ledger/programme/cards.ts'
import { done, refused, type Outcome, type SqlTransaction } from '../ledger/programme/desk.ts'
import { insertCard, readHolder } from '../ledger/programme/newCards.ts'
import { parametersOn, type Programme } from '../programmeParameters.ts'
import type { DataVault } from '../security/dataVault.ts'
import { addMonths } from './calendar.ts'
import { FINAL, stateAfter } from './cardLife.ts'

export interface OrderContext {
  readonly programme: Programme
  readonly lookupKey: Uint8Array
  readonly vault: DataVault
}

export interface CardOrder {
  readonly personId: number
  /** Where it is to be collected. */
  readonly placeId: string
  readonly orderId?: string
  readonly reason: CardReason
  /** The card it takes the place of; a `new` one takes nobody's. */
  readonly replaces?: CardToken
  /** Piasters, and how they were paid. */
  readonly fee?: number
  readonly feePaid?: 'counter' | 'cash'
  /** The last day of the promise to print it. */
  readonly dueDay?: string
}

export interface OrderedCard {
  readonly token: CardToken
  readonly masked: string
  readonly expiry: string
}

const PAN_DIGITS = 16
const NUMBERS_TRIED_MAX = 8

/** Refuses a person who is not there or has died, and a second card beside one that has not ended. */
export async function orderCard(
  tx: SqlTransaction,
  { programme, lookupKey, vault }: OrderContext,
  order: CardOrder,
): Promise<Outcome<OrderedCard>> {
  const holder = await readHolder(tx, order.personId)
  if (holder === undefined) return refused('not-found', 'no-such-person', 'The programme has no such person.')
  if (holder.died) return refused('conflict', 'person-died', 'The person has died: no card is made.')
  const others = (await readCardsOfPerson(tx, order.personId)).filter(({ state }) => !FINAL.includes(state))
  // What is stopped for good does not stand in the way of a card that takes another's place: both end when it is handed over.
  const stopped = (state: CardState): boolean => order.replaces !== undefined && stateAfter(state, 'replaced') !== undefined
  if (others.some(({ token, state }) => token !== order.replaces && !stopped(state)))
    return refused(
      'conflict',
      'has-a-card',
      'The person has a card that has not ended, or one is on its way. Report or withdraw that first, or ask for its replacement.',
    )
  const { cards } = parametersOn(programme, cairoDay(tx.nowMs))
  const role = holder.head ? 'head' : 'member'
  const expiry = addMonths(cairoDay(tx.nowMs), cards.validMonths).slice(2, 7).replace('-', '')
  for (let tried = 0; tried < NUMBERS_TRIED_MAX; tried++) {
    const pan = newCardNumber(cards.issuerNumbers[role])
    const token = cardToken(pan, lookupKey)
    const masked = maskPan(pan)
    const inserted = await insertCard(tx, {
      token,
      masked,
      personId: holder.personId,
      householdId: holder.householdId,
      role,
      expiry,
      keyId: vault.keyId,
      sealedPan: vault.seal({ field: 'pan', shard: tx.shard, owner: token }, pan),
    })
    if (!inserted) continue
    const now = new Date(tx.nowMs).toISOString()
    await writeCardLife(tx, token, {
      ordered_at: now,
      requested_at: now,
      place_id: order.placeId,
      reason: order.reason,
      ...(order.orderId === undefined ? {} : { order_id: order.orderId }),
      ...(order.replaces === undefined ? {} : { replaces: order.replaces }),
      ...(order.fee === undefined ? {} : { fee: order.fee }),
      ...(order.feePaid === undefined ? {} : { fee_paid: order.feePaid }),
      ...(order.dueDay === undefined ? {} : { due_day: order.dueDay }),
    })
    await tx.emit({
      kind: 'card.ordered',
      cardToken: token,
      personId: holder.personId,
      householdId: holder.householdId,
      data: { to: 'ORDERED', placeId: order.placeId, reason: order.reason },
    })
    return done({ token, masked, expiry })
  }
  assert(false, 'a free card number is found within a few tries')
}

/** Chance, so that nobody can guess the next card's number from the last one's. */
function newCardNumber(issuerNumber: string): string {
  const digits = PAN_DIGITS - 1 - issuerNumber.length
  const payload = issuerNumber + String(randomInt(10 ** digits)).padStart(digits, '0')
  return payload + luhnCheckDigit(payload)
}
