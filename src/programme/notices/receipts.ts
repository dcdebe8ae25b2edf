/**
 * A delivery report. That of the notice which names the place where a card is collected is T0: the card's collection begins with it. Reports come late, twice
 * and in any order; each may come again without harm.
 */
import { cairoDay } from '../../clock.ts'
import type { Config } from '../../config.ts'
import type { Desk, Outcome } from '../../ledger/programme/desk.ts'
import { done, refused, type SqlTransaction } from '../../ledger/programme/desk.ts'
import { markUndelivered } from '../../ledger/programme/noticeQueue.ts'
import { markDelivered, noticeOfReference, type Notice } from '../../ledger/programme/notices.ts'
import { readCardLife } from '../../ledger/programme/cards.ts'
import { parametersOn, type Programme } from '../../programmeParameters.ts'
import { addMonths } from '../calendar.ts'
import { stateAfter } from '../cardLife.ts'
import { changeCard } from '../changeCard.ts'
import { firstLookAt } from '../clocks/collectionClock.ts'

export interface Receipt {
  readonly reference: string
  readonly state: 'delivered' | 'failed'
  /** When the phone had it, or the network gave up. */
  readonly atMs: number
}

export interface ReceiptParts {
  readonly desk: Desk
  readonly config: Pick<Config, 'notices' | 'programme'>
}

const PROVIDER = { name: 'notice-provider', roles: [] }
/** Clocks differ. */
const AHEAD_MAX_MS = 300_000

/** Refuses a reference that no notice has, and a time that cannot be right. */
export async function receiveReceipt({ desk, config }: ReceiptParts, receipt: Receipt): Promise<Outcome<object>> {
  const { reference, state, atMs } = receipt
  if (atMs > desk.nowMs + AHEAD_MAX_MS) return refused('invalid', 'receipt-in-the-future', 'The time has not come yet.', '/at')
  const notice = await desk.read((tx) => noticeOfReference(tx, reference))
  if (notice === undefined)
    return refused(
      'not-found',
      'no-such-notice',
      'No notice has this reference. If it was accepted only now, send the report again in a minute.',
    )
  if (atMs < notice.at.getTime() - AHEAD_MAX_MS)
    return refused('invalid', 'receipt-before-notice', 'The notice was written after this time.', '/at')
  if (state === 'failed') {
    const { roundsMax, undeliveredMs } = config.notices
    const again = { id: notice.id, reference, reason: 'not-delivered', roundsMax, againMs: desk.nowMs + undeliveredMs }
    await desk.upkeep((tx) => markUndelivered(tx, again))
    return done({})
  }
  const { cardToken, template } = notice
  const deliveredMs = Math.min(atMs, desk.nowMs)
  if (template !== 'collection' || cardToken === null) {
    await desk.upkeep((tx) => markDelivered(tx, notice.id, deliveredMs))
    return done({})
  }
  return desk.run({
    actor: PROVIDER,
    action: 'card.notice_received',
    subject: `card ${cardToken}`,
    detail: { notice: notice.id, at: new Date(atMs).toISOString() },
    work: (tx) => beginCollection(tx, config.programme, notice, cardToken, deliveredMs),
    audit: ({ begun }) => (begun ? {} : 'nothing'),
  })
}

/** T0. @returns begun: false where the card is not waiting for it (any more): it has been told before, or stopped on its way */
async function beginCollection(
  tx: SqlTransaction,
  programme: Programme,
  notice: Notice,
  token: string,
  atMs: number,
): Promise<Outcome<{ begun: boolean }>> {
  const day = cairoDay(atMs)
  const { namedPlaceMonths, diwanMonths, remindDaysBefore } = parametersOn(programme, day).cards
  const namedPlaceUntil = addMonths(day, namedPlaceMonths)
  // Counted from T0, so that 31 January is followed by 28 February and by 31 March.
  const diwanUntil = addMonths(day, namedPlaceMonths + diwanMonths)
  // The card before the notice: whoever changes a card may have to write a notice.
  const card = await readCardLife(tx, token)
  const waits = card !== undefined && stateAfter(card.state, 'notice_received') !== undefined && card.printedAtMs !== null
  let begun = false
  if (waits) {
    const changed = await changeCard(tx, {
      token,
      event: 'notice_received',
      life: {
        told_at: new Date(atMs).toISOString(),
        named_place_until: namedPlaceUntil,
        diwan_until: diwanUntil,
        next_day: firstLookAt(namedPlaceUntil, remindDaysBefore),
      },
      data: { namedPlaceUntil, diwanUntil },
    })
    // Somebody else was first.
    begun = changed.ok
  }
  await markDelivered(tx, notice.id, atMs)
  return done({ begun })
}
