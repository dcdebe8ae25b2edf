import type { OriginalGuard } from './posting.ts'

/** An earlier decision, with all that has been linked to it since. */
export interface OriginalSnapshot {
  readonly key: string
  readonly keyDate: string
  readonly kind: number
  readonly responseCode: string
  readonly cardToken: string | null
  readonly merchantId: number | null
  readonly terminalId: string | null
  readonly purseId: number | null
  /** Kind of that purse; null where there is none. */
  readonly purseKind: number | null
  /** What moved in the purse's own unit where that is not the amount. */
  readonly quantity: number | null
  /** Month of the purse, days and goods that it drew; the cash purse that paid the price. */
  readonly cycle: string | null
  readonly marks: number
  readonly items: readonly number[] | null
  readonly secondPurseId: number | null
  readonly approved: number
  readonly approvalCode: string | null
  readonly fromSuspense: number
  /** Cairo date on which it was decided: the day whose counters it raised. */
  readonly day: string
  /** Approvals linked to it, and what those gave back in all. */
  readonly linked: number
  readonly givenBack: number
  /** Part of `givenBack` that went to suspense. */
  readonly givenBackToSuspense: number
  /** The same in the purse's own unit, where that is not the amount. */
  readonly givenBackQuantity: number
  readonly completed: boolean
  /** What is left of its hold; 0 where it has none. */
  readonly holdRemaining: number
  /** Of a refund: what it has refunded. Null: it is none. */
  readonly refunded: Refunded | null
}

/** What suspense has lent for a transaction and what was given back of it, with all that has been linked to it since. */
export interface Lending {
  readonly fromSuspense: number
  readonly givenBack: number
  readonly givenBackToSuspense: number
}

/** What became of that which a refund has refunded. */
export interface Refunded extends Lending {
  /** Approvals linked to it, the refund among them, and cases about it that were decided. */
  readonly linked: number
  /** Part of `fromSuspense` that disputes have lent and that was not taken back. */
  readonly provisional: number
  readonly caseOpen: boolean
  /** It was reversed, or given back by a dispute, after the refund, which was taken into account then. */
  readonly settled: boolean
}

/** Whatever follows the original is committed only if nothing has touched it since it was read; nor what it has refunded. */
export function guardOf({ key, keyDate, linked, refunded }: OriginalSnapshot): OriginalGuard {
  return { key, keyDate, linked: linked + (refunded?.linked ?? 0) }
}
