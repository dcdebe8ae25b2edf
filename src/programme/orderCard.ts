/** Cards are ordered: each gets its number, which is sealed at once, and begins its life as ORDERED. */
import { randomInt } from 'node:crypto'
import { assert } from '../assert.ts'
import { cardToken, luhnCheckDigit, maskPan, type CardToken } from '../card.ts'
import { cairoDay } from '../clock.ts'
import type { CardReason } from '../ledger/programme/cards.ts'
import { done, refused, type Outcome, type SqlTransaction } from '../ledger/programme/desk.ts'
import {
  insertCards,
  lockHolders,
  readCardsOfPersons,
  type CardHolder,
  type CardOfPerson,
  type NewCardRow,
} from '../ledger/programme/newCards.ts'
import { parametersOn, type CardRules, type Programme } from '../programmeParameters.ts'
import type { DataVault } from '../security/dataVault.ts'
import { addMonths } from './calendar.ts'
import { FINAL, stateAfter } from './cardLife.ts'
import { addReplacementNotice } from './notices/cardNotices.ts'

export interface OrderContext {
  readonly programme: Programme
  readonly lookupKey: Uint8Array
  readonly vault: DataVault
}

export interface CardOrder {
  readonly personId: number
  /** Where it is to be collected: a place that there is. */
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

/** Refuses a person who is not there, has died or left, and a second card beside one that has not ended. */
export async function orderCard(tx: SqlTransaction, context: OrderContext, order: CardOrder): Promise<Outcome<OrderedCard>> {
  const [outcome] = await orderCards(tx, context, [order])
  assert(outcome !== undefined, 'an order has an outcome')
  return outcome
}

/** The same for many at once. What is refused does not keep the others back. @returns an outcome an order */
export async function orderCards(
  tx: SqlTransaction,
  context: OrderContext,
  orders: readonly CardOrder[],
): Promise<Outcome<OrderedCard>[]> {
  const persons = orders.map(({ personId }) => personId)
  const holders = await lockHolders(tx, persons)
  const taken = new Map<number, CardOfPerson[]>()
  for (const card of await readCardsOfPersons(tx, persons, FINAL))
    taken.set(card.personId, [...(taken.get(card.personId) ?? []), card])
  const ordered = new Set<number>()
  const waiting: NewCardOrder[] = []
  const outcomes = orders.map((order, index): Outcome<OrderedCard> | undefined => {
    const holder = holders.get(order.personId)
    const wrong = wrongHolder(holder) ?? (ordered.has(order.personId) ? HAS_A_CARD : wrongCards(order, taken.get(order.personId)))
    if (wrong !== undefined) return wrong
    assert(holder !== undefined, 'whoever is not there was refused')
    ordered.add(order.personId)
    waiting.push({ index, order, holder })
    return undefined
  })
  const { cards } = parametersOn(context.programme, cairoDay(tx.nowMs))
  const made = await makeCards(tx, context, cards, waiting)
  for (const { index, card } of made) outcomes[index] = done(card)
  await tx.emitAll(
    made.map(({ card, order, holder }) => ({
      kind: 'card.ordered',
      cardToken: card.token,
      personId: holder.personId,
      householdId: holder.householdId,
      data: { to: 'ORDERED', placeId: order.placeId, reason: order.reason },
    })),
  )
  for (const { card, order, holder } of made)
    if (order.replaces !== undefined && order.dueDay !== undefined)
      await addReplacementNotice(tx, { token: card.token, ...holder }, 'replacement-ordered', order.dueDay)
  return outcomes.map((outcome) => {
    assert(outcome !== undefined, 'an order has an outcome')
    return outcome
  })
}

interface NewCardOrder {
  readonly index: number
  readonly order: CardOrder
  readonly holder: CardHolder
}

const HAS_A_CARD = refused(
  'conflict',
  'has-a-card',
  'The person has a card that has not ended, or one is on its way. Report or withdraw that first, or ask for its replacement.',
)

function wrongHolder(holder: CardHolder | undefined): Outcome<never> | undefined {
  if (holder === undefined) return refused('not-found', 'no-such-person', 'The programme has no such person.')
  if (holder.died) return refused('conflict', 'person-died', 'The person has died: no card is made.')
  if (holder.left) return refused('conflict', 'person-left', 'The person has left the programme: no card is made.')
  return undefined
}

/** What is stopped for good does not stand in the way of a card that takes another's place: both end when it is handed over. */
function wrongCards({ replaces }: CardOrder, others: readonly CardOfPerson[] = []): Outcome<never> | undefined {
  const inTheWay = others.some(
    ({ token, state }) => token !== replaces && (replaces === undefined || stateAfter(state, 'replaced') === undefined),
  )
  return inTheWay ? HAS_A_CARD : undefined
}

type MadeCard = NewCardOrder & { readonly card: OrderedCard }

/** Until each has a number that nobody had. */
async function makeCards(
  tx: SqlTransaction,
  context: OrderContext,
  rules: CardRules,
  orders: readonly NewCardOrder[],
): Promise<MadeCard[]> {
  const made: MadeCard[] = []
  let waiting = orders
  for (let tried = 0; waiting.length > 0; tried++) {
    assert(tried < NUMBERS_TRIED_MAX, 'a free card number is found within a few tries')
    const rows = waiting.map((asked) => ({ asked, row: newCard(tx, context, rules, asked) }))
    const inserted = await insertCards(
      tx,
      rows.map(({ row }) => row),
    )
    for (const { asked, row } of rows)
      if (inserted.has(row.token)) made.push({ ...asked, card: { token: row.token, masked: row.masked, expiry: row.expiry } })
    waiting = rows.filter(({ row }) => !inserted.has(row.token)).map(({ asked }) => asked)
  }
  return made
}

function newCard(
  tx: SqlTransaction,
  { lookupKey, vault }: OrderContext,
  rules: CardRules,
  { order, holder }: NewCardOrder,
): NewCardRow {
  const role = holder.head ? 'head' : 'member'
  const pan = newCardNumber(rules.issuerNumbers[role])
  const token = cardToken(pan, lookupKey)
  return {
    token,
    masked: maskPan(pan),
    personId: holder.personId,
    householdId: holder.householdId,
    role,
    expiry: addMonths(cairoDay(tx.nowMs), rules.validMonths).slice(2, 7).replace('-', ''),
    keyId: vault.keyId,
    sealedPan: vault.seal({ field: 'pan', shard: tx.shard, owner: token }, pan),
    placeId: order.placeId,
    orderId: order.orderId ?? null,
    reason: order.reason,
    replaces: order.replaces ?? null,
    fee: order.fee ?? 0,
    feePaid: order.feePaid ?? null,
    dueDay: order.dueDay ?? null,
  }
}

/** Chance, so that nobody can guess the next card's number from the last one's. */
function newCardNumber(issuerNumber: string): string {
  const digits = PAN_DIGITS - 1 - issuerNumber.length
  const payload = issuerNumber + String(randomInt(10 ** digits)).padStart(digits, '0')
  return payload + luhnCheckDigit(payload)
}
