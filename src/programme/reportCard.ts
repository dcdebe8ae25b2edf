/** A card, or its PIN, is reported: what the hotline's desk and its messages (0302) both end in. */
import type { CardState } from '../card.ts'
import { done, type Outcome, type SqlTransaction } from '../ledger/programme/desk.ts'
import { lockCard, readCardLife, type CardLife } from '../ledger/programme/cards.ts'
import { REPORTS as REPORT_NAMES, type Report } from '../transaction/hotCardFile.ts'
import { TRANSITIONS, type CardEvent } from './cardLife.ts'
import { changeCard, NO_SUCH_CARD } from './changeCard.ts'

/** What a report makes of a card. */
const REPORTED: Readonly<Record<Report, { readonly event: CardEvent; readonly state: CardState }>> = {
  lost: { event: 'reported_lost', state: 'LOST' },
  stolen: { event: 'reported_stolen', state: 'STOLEN' },
  damaged: { event: 'reported_damaged', state: 'DAMAGED' },
  'pin-lost': { event: 'pin_reported_lost', state: 'PIN_LOST' },
}

/** What stopped a card that is in this state; undefined where no report did. */
export function reportOf(state: CardState): Report | undefined {
  return REPORT_NAMES.find((name) => REPORTED[name].state === state)
}

/** What a report makes of a card in this state, the same report again included; undefined where it cannot be. */
export function stateAfterReport(what: Report, now: CardState): CardState | undefined {
  const { event, state } = REPORTED[what]
  const fits = TRANSITIONS.some((transition) => transition.event === event && transition.from.includes(now))
  return fits || now === state ? state : undefined
}

export interface CardReport {
  readonly token: string
  readonly what: Report
  /** The version that the caller has seen; absent: whichever it is. */
  readonly version?: number | undefined
  /** Of a card that is stopped in this way already nothing is changed and nothing refused. */
  readonly repeatable?: true
}

/** @returns the card as it is then */
export async function reportCard(
  tx: SqlTransaction,
  { token, what, version, repeatable }: CardReport,
): Promise<Outcome<CardLife>> {
  const { event, state } = REPORTED[what]
  if (repeatable === true) {
    const card = await lockCard(tx, token)
    if (card?.state === state) return done(card)
  }
  const changed = await changeCard(tx, { token, event, version, data: { what } })
  if (!changed.ok) return changed
  const card = await readCardLife(tx, token)
  return card === undefined ? NO_SUCH_CARD : done(card)
}
