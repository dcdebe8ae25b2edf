/** Decisions about entitlements and co-pays, written out by hand: what the auditor is asked about must not come from the code that it audits. */
import type { SecondMovement, Transfer } from '../../../src/decision/posting.ts'
import type { CommitItem } from '../../../src/ledger/commitItem.ts'
import { MERCHANT, purchase, type Overrides } from '../../support/commitItems.ts'

export const KIND_DISPENSE = 13
export const KIND_ELIGIBILITY = 14
export const KIND_COPAY = 15
export const KIND_COPAY_REFUND = 17
export const KIND_REFUND = 8
export const KIND_REVERSAL = 10

export interface Service {
  readonly account: number
  readonly unit: number
  readonly payer: number
  readonly outlet: number
  /** Piasters that the treasury pays for a unit, and that the holder pays; a unit that is money has no price. */
  readonly each: number
  readonly price?: number
}

export const RATION: Service = { account: 2100, unit: 2, payer: 1200, outlet: 2200, each: 1 }
export const BREAD: Service = { account: 2110, unit: 4, payer: 1210, outlet: 2210, each: 105, price: 20 }
export const POINTS: Service = { account: 2120, unit: 3, payer: 1200, outlet: 2200, each: 1 }

type Side = readonly [code: number, owner: number]

function move(debit: Side, credit: Side, amount: number, unit = 1): Transfer[] {
  if (amount === 0) return []
  return [{ debitCode: debit[0], debitOwner: debit[1], creditCode: credit[0], creditOwner: credit[1], unit, amount }]
}

function second(transfers: Transfer[]): Transfer[] {
  return transfers.map((one) => ({ ...one, second: true as const }))
}

const REDEEMED: Side = [9001, 0]
const SUSPENSE: Side = [2900, 0]

export interface Dispensing {
  readonly units: number
  /** Units that no entitlement covered. */
  readonly lent?: number
  readonly marks?: number
  /** Cash purse that pays the price. */
  readonly wallet?: number
}

export function dispense(
  purse: number,
  service: Service,
  { units, lent = 0, marks = 0, wallet }: Dispensing,
  overrides: Overrides = {},
): CommitItem {
  const { account, unit, payer, outlet, each, price } = service
  const covered = units - lent
  const amount = units * (price ?? 1)
  const shop: Side = [outlet, MERCHANT]
  return purchase(purse, amount, {
    kind: KIND_DISPENSE,
    transfers: [
      ...move([account, purse], REDEEMED, covered, unit),
      ...move([payer, 0], shop, covered * each),
      ...move(SUSPENSE, shop, lent * each),
      ...(wallet === undefined ? [] : second(move([2000, wallet], shop, amount))),
    ],
    fromSuspense: lent === 0 ? null : lent,
    quantity: price === undefined ? null : units,
    second: wallet === undefined ? null : { purseId: wallet, gate: null, delta: -amount },
    movement: { gate: null, delta: -covered, setMarks: marks },
    ...overrides,
  })
}

export interface GivingBack {
  readonly units: number
  readonly toSuspense?: number
  /** The month is over, and it lapses at once. */
  readonly lapses?: boolean
  /** Days that are free again. */
  readonly frees?: number
  readonly linked?: number
}

/** A refund or, by its kind, a reversal of a dispense. */
export function giveBack(
  original: CommitItem,
  service: Service,
  { units, toSuspense = 0, lapses = false, frees = 0, linked = 0 }: GivingBack,
  overrides: Overrides = {},
): CommitItem {
  const { account, unit, payer, outlet, each, price } = service
  const purse = original.movement!.purseId
  const toPurse = units - toSuspense
  const amount = units * (price ?? 1)
  const shop: Side = [outlet, MERCHANT]
  const wallet = original.second?.purseId
  return purchase(purse, amount, {
    kind: KIND_REFUND,
    transfers: [
      ...move(REDEEMED, [account, purse], toPurse, unit),
      ...(lapses ? move([account, purse], [9002, 0], toPurse, unit) : []),
      ...move(shop, [payer, 0], toPurse * each),
      ...move(shop, SUSPENSE, toSuspense * each),
      ...(wallet === undefined ? [] : second(move(shop, [2000, wallet], amount))),
    ],
    fromSuspense: toSuspense === 0 ? null : toSuspense,
    quantity: lapses ? 0 : price === undefined ? null : units,
    second: wallet === undefined ? null : { purseId: wallet, gate: null, delta: amount },
    movement: { gate: null, delta: lapses ? 0 : toPurse, clearMarks: frees },
    original: { key: original.key, keyDate: original.keyDate, linked },
    ...overrides,
  })
}

/** A refund is reversed. What the purses no longer have is lent by suspense: so many units, and so many piasters of the price. */
export function takeAgain(
  refund: CommitItem,
  service: Service,
  { units, lent = 0, priceLent = 0 }: { units: number; lent?: number; priceLent?: number },
  overrides: Overrides = {},
): CommitItem {
  const { account, unit, payer, outlet, each, price } = service
  const purse = refund.movement!.purseId
  const wallet = refund.second?.purseId
  const amount = units * (price ?? 1)
  const shop: Side = [outlet, MERCHANT]
  const paid: SecondMovement | null = wallet === undefined ? null : { purseId: wallet, gate: null, delta: priceLent - amount }
  return purchase(purse, amount, {
    kind: KIND_REVERSAL,
    transfers: [
      ...move([account, purse], REDEEMED, units - lent, unit),
      ...move([payer, 0], shop, (units - lent) * each),
      ...move(SUSPENSE, shop, lent * each + priceLent),
      ...(wallet === undefined ? [] : second(move([2000, wallet], shop, amount - priceLent))),
    ],
    fromSuspense: lent === 0 ? null : lent,
    quantity: price === undefined ? null : units,
    second: paid,
    movement: { gate: null, delta: lent - units },
    // The refund itself has touched what it refunded.
    original: { key: refund.key, keyDate: refund.keyDate, linked: (refund.original?.linked ?? 0) + 1 },
    ...overrides,
  })
}

export function copay(purse: number, bill: number, part: number, overrides: Overrides = {}): CommitItem {
  return purchase(purse, bill, {
    kind: KIND_COPAY,
    transfers: [...move([2000, purse], [2225, MERCHANT], part), ...move([1220, 0], [2225, MERCHANT], bill - part)],
    quantity: part,
    movement: { gate: null, delta: -part },
    ...overrides,
  })
}

export function copayBack(original: CommitItem, bill: number, part: number, overrides: Overrides = {}): CommitItem {
  const purse = original.movement!.purseId
  return purchase(purse, bill, {
    kind: KIND_COPAY_REFUND,
    transfers: [...move([2225, MERCHANT], [2000, purse], part), ...move([2225, MERCHANT], [1220, 0], bill - part)],
    quantity: part,
    movement: { gate: null, delta: part },
    original: { key: original.key, keyDate: original.keyDate, linked: 0 },
    ...overrides,
  })
}

/** A refund of a co-pay is reversed; `lent` of the holder's part is no longer in the purse. */
export function copayAgain(refund: CommitItem, bill: number, part: number, lent: number, overrides: Overrides = {}): CommitItem {
  const purse = refund.movement!.purseId
  return purchase(purse, bill, {
    kind: KIND_REVERSAL,
    transfers: [
      ...move([2000, purse], [2225, MERCHANT], part - lent),
      ...move([1220, 0], [2225, MERCHANT], bill - part),
      ...move(SUSPENSE, [2225, MERCHANT], lent),
    ],
    quantity: part,
    fromSuspense: lent === 0 ? null : lent,
    movement: { gate: null, delta: lent - part },
    // The refund itself has touched what it refunded.
    original: { key: refund.key, keyDate: refund.keyDate, linked: (refund.original?.linked ?? 0) + 1 },
    ...overrides,
  })
}
