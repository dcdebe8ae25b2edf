/** Which notice goes with what happens to a card, and to whom. */
import { nameOfDiwan, nameOfPlace, type PlaceName } from '../../ledger/programme/clocks.ts'
import { readCardLife, type CardLife } from '../../ledger/programme/cards.ts'
import type { SqlTransaction } from '../../ledger/programme/desk.ts'
import { addNotice, wantsTransactionNotices, type NoticeRecipient } from '../../ledger/programme/notices.ts'
import type { NoticeParameters, NoticeValue, TemplateName } from '../../noticeTemplates.ts'
import type { CardRules } from '../../programmeParameters.ts'
import type { CardEvent } from '../cardLife.ts'

/** Events of which somebody is told in words that need nothing but the card. Of a receipt, a death and a withdrawn order nobody is. */
const NOTICE_OF_EVENT = {
  diwan_month_passed: 'destroyed',
  handed_over: 'handed-over',
  fingerprints_exceeded: 'card-suspended',
  fingerprint_reverified: 'card-restored',
  pin_tries_exceeded: 'pin-blocked',
  pin_reported_lost: 'pin-lost',
  pin_set: 'pin-set',
  reported_lost: 'card-lost',
  reported_stolen: 'card-stolen',
  reported_damaged: 'card-damaged',
  expired: 'expired',
  retired: 'old-card-ended',
} as const satisfies Partial<Record<CardEvent, TemplateName>>

/** Who collects is called by the head; what a card does concerns its holder. */
export const TO_THE_HEAD: readonly TemplateName[] = [
  'collection',
  'collection-reminder',
  'moved-to-diwan',
  'last-reminder',
  'destroyed',
]

/**
 * Puts into the outbox what is said of an event, in its SQL transaction.
 *
 * @param card as it was before
 * @param once tells events of a card apart where one may be told twice; absent: the SQL transaction does it
 */
export async function addNoticeOfEvent(tx: SqlTransaction, card: CardLife, event: CardEvent, once?: string): Promise<void> {
  if (event === 'collection_month_passed') await addDiwanNotice(tx, card, 'moved-to-diwan')
  else if (isTold(event)) await addCardNotice(tx, card, NOTICE_OF_EVENT[event], { card: lastDigits(card) }, once)
}

function isTold(event: CardEvent): event is keyof typeof NOTICE_OF_EVENT {
  return Object.hasOwn(NOTICE_OF_EVENT, event)
}

/**
 * The same for what a message has made of a card: a suspension, a blocked PIN, the old card's end. Whoever reads those events calls it for each,
 * with the event's own number or key as `once`, as often as it likes.
 */
export async function noticesOfCardEvent(
  tx: SqlTransaction,
  { token, event, once }: { readonly token: string; readonly event: CardEvent; readonly once: string },
): Promise<void> {
  const card = await readCardLife(tx, token)
  if (card !== undefined) await addNoticeOfEvent(tx, card, event, `${event}|${token}|${once}`)
}

/** Names the place and the period. Its receipt is T0. */
export async function addCollectionNotice(tx: SqlTransaction, card: CardLife, placeId: string, rules: CardRules): Promise<void> {
  await addCardNotice(tx, card, 'collection', {
    card: lastDigits(card),
    place: shownPlace(await nameOfPlace(tx, placeId)) ?? placeId,
    months: String(rules.namedPlaceMonths),
    diwan: await diwanOf(tx, card),
    diwanMonths: String(rules.diwanMonths),
  })
}

/** Before the end of the month at the named place. */
export async function addCollectionReminder(tx: SqlTransaction, card: CardLife): Promise<void> {
  const place = card.placeId === null ? undefined : shownPlace(await nameOfPlace(tx, card.placeId))
  await addCardNotice(tx, card, 'collection-reminder', {
    card: lastDigits(card),
    place: place ?? card.placeId ?? '',
    until: card.namedPlaceUntil ?? '',
  })
}

export async function addDiwanNotice(
  tx: SqlTransaction,
  card: CardLife,
  template: 'moved-to-diwan' | 'last-reminder',
): Promise<void> {
  const parameters = { card: lastDigits(card), diwan: await diwanOf(tx, card), until: card.diwanUntil ?? '' }
  await addCardNotice(tx, card, template, parameters)
}

export async function addRenewalReminder(tx: SqlTransaction, card: CardLife, lastDay: string): Promise<void> {
  await addCardNotice(tx, card, 'renewal-reminder', { card: lastDigits(card), lastDay })
}

/** @param due the last day of the promise to print it */
export async function addReplacementNotice(
  tx: SqlTransaction,
  card: Pick<CardLife, 'token' | 'personId' | 'householdId'>,
  template: 'replacement-ordered' | 'replacement-overdue',
  due: string,
): Promise<void> {
  await addCardNotice(tx, card, template, { due })
}

export interface ToldTransaction {
  readonly card: CardLife
  /** `purchase`, as config/notices.json names it. */
  readonly what: string
  /** Major units, and the unit: `12.50`, `EGP`. */
  readonly amount: string
  readonly unit: string
  /** Local time in Cairo: `27/11/2026 14:05`. */
  readonly time: string
  /** The transaction's key: it is told once. */
  readonly key: string
}

/** For holders who asked for one after each transaction; for others nothing is done. */
export async function addTransactionNotice(
  tx: SqlTransaction,
  { card, what, amount, unit, time, key }: ToldTransaction,
): Promise<void> {
  if (card.personId === null || !(await wantsTransactionNotices(tx, card.personId))) return
  const parameters = { what: `@${what}`, amount, unit: `@${unit}`, card: lastDigits(card), time }
  await addCardNotice(tx, card, 'transaction', parameters, `transaction|${key}`)
}

async function addCardNotice<Name extends TemplateName>(
  tx: SqlTransaction,
  { token, personId, householdId }: Pick<CardLife, 'token' | 'personId' | 'householdId'>,
  template: Name,
  parameters: NoticeParameters<Name>,
  once?: string,
): Promise<void> {
  const to: NoticeRecipient = TO_THE_HEAD.includes(template) ? 'head' : 'holder'
  await addNotice(tx, {
    template,
    to,
    householdId,
    personId,
    cardToken: token,
    parameters,
    ...(once === undefined ? {} : { once }),
  })
}

function lastDigits({ masked }: Pick<CardLife, 'masked'>): string {
  return masked.slice(-4)
}

async function diwanOf(tx: SqlTransaction, { governorate }: CardLife): Promise<NoticeValue> {
  return shownPlace(await nameOfDiwan(tx, governorate)) ?? '@diwan'
}

function shownPlace(place: PlaceName | undefined): NoticeValue | undefined {
  return place === undefined ? undefined : { ar: place.ar, en: place.en }
}
