/** What an approval does to the books: transfers, the purse they concern, and the conditions under which they may be posted. */
import type { CardToken } from '../card.ts'
import type { Unit } from '../money.ts'

/** One debit and one credit account: code of the chart (src/purse/chart.ts) and owner (purse, merchant or terminal id; 0: the programme). */
export interface Transfer {
  readonly debitCode: number
  readonly debitOwner: number
  readonly creditCode: number
  readonly creditOwner: number
  readonly unit: Unit
  /** Whole minor units, above zero. */
  readonly amount: number
  /** It belongs to the posting of the second purse. */
  readonly second?: true
}

/** The day's counters that a posting raises, or lowers where it gives back. */
export interface DayCounter {
  readonly group: 'spending' | 'withdrawal'
  /** Cairo date the counters belong to. */
  readonly day: string
  readonly amount: number
  readonly count: number
  /** Ceilings after the addition; null: none. */
  readonly amountMax: number | null
  readonly countMax: number | null
}

/** What the posting does to a purse, and under which conditions. */
export interface PurseMovement {
  readonly purseId: number
  /** The purse's gate that the decision relied on; null: whatever it is now. */
  readonly gate: number | null
  /** Change of what can be spent, and of what is held. */
  readonly delta: number
  readonly heldDelta: number
  /** A credit may not lift the balance above this; null: no ceiling. */
  readonly balanceMax: number | null
  readonly counter: DayCounter | null
  /** The cycle in which the purse must still be; null: whatever it is now. */
  readonly cycle: string | null
  /** Bits of the days that are drawn and that nobody may have drawn before; bits of those that are given back. 0: none. */
  readonly setMarks: number
  readonly clearMarks: number
  readonly items: ItemCounts | null
}

/** How many of each item of a goods list are drawn, by position, or given back where it is negative; `max` after the addition. */
export interface ItemCounts {
  readonly added: readonly number[]
  readonly max: readonly number[]
}

/** What the posting does to a second purse of the same card. */
export interface SecondMovement {
  readonly purseId: number
  readonly gate: number | null
  readonly delta: number
}

/**
 * What happens to a card in the same commit. `retire`: it stops. `mismatch`: a wrong fingerprint is counted; where the count reaches `tries`
 * the card is suspended, and the answer says so instead. `match`: the count starts again.
 */
export interface CardUpdate {
  readonly change: 'retire' | 'mismatch' | 'match'
  readonly token: CardToken
  readonly tries: number
  /** Purses whose gates are raised. */
  readonly raise: readonly number[]
}

/** The earlier decision that this one reverses, refunds, completes or releases. */
export interface OriginalGuard {
  readonly key: string
  readonly keyDate: string
  /** Approvals linked to it when it was read: another number at commit means that it was touched meanwhile. */
  readonly linked: number
}

export interface Posting {
  readonly movement: PurseMovement | null
  readonly original: OriginalGuard | null
  /** Empty: nothing is posted, the purse is only read. */
  readonly transfers: readonly Transfer[]
  /** Part of the amount that no purse covered (domain: advice above what is there). */
  readonly fromSuspense: number | null
  /** Set on an authorization: ISO instant at which its hold ends. */
  readonly holdExpiresAt: string | null
  /** Taken off the original's hold: used or released. */
  readonly holdUsed: number
  readonly second: SecondMovement | null
  readonly cardUpdate: CardUpdate | null
  /** What moves in the purse's own unit, where that is not the amount of the message. */
  readonly quantity: number | null
}

/** A movement that moves nothing, relies on no gate and counts nothing: to spread and change. */
export function movementOf(purseId: number, gate: number | null, delta: number): PurseMovement {
  return {
    purseId,
    gate,
    delta,
    heldDelta: 0,
    balanceMax: null,
    counter: null,
    cycle: null,
    setMarks: 0,
    clearMarks: 0,
    items: null,
  }
}

/** An approval that touches no books. */
export const NOTHING_TO_POST: Posting = {
  movement: null,
  original: null,
  transfers: [],
  fromSuspense: null,
  holdExpiresAt: null,
  holdUsed: 0,
  second: null,
  cardUpdate: null,
  quantity: null,
}
