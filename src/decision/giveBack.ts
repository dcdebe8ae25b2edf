/**
 * What a refund or reversal of a dispense or a co-pay posts: the original's transfers the other way, and a reversed refund takes again. Units go
 * back to the purse, the month and the days that they came from. After the month's end (spec/programme.md): ration comes back and lapses at
 * once, as it would have; loaves come back to the running month without freeing a day, and become points at its end like any other.
 */
import type { PurseReference } from '../card.ts'
import {
  cashAvailable,
  entitlementsRedeemed,
  outletAccount,
  programmeAccount,
  purseAccount,
  suspense,
  type Account,
} from '../purse/chart.ts'
import type { ProgrammeParameters, ServiceRules } from '../programmeParameters.ts'
import { purseOfKind } from '../purse/routes.ts'
import { KIND } from '../transaction/transaction.ts'
import type { PurseSnapshot } from '../purse/purse.ts'
import { subsidyOf } from './decideDispense.ts'
import { guardOf, type OriginalSnapshot } from './original.ts'
import { movementOf, NOTHING_TO_POST, type ItemCounts, type Posting, type Transfer } from './posting.ts'
import { egp, transfer } from './transfers.ts'

export type WithPurse = OriginalSnapshot & { readonly purseId: number; readonly purseKind: number }

/** What has to be known to give something back: of a message's decision (DecisionContext), or of a dispute's at the desk. */
export interface GiveBackContext {
  readonly card: { readonly purses: readonly PurseReference[] }
  /** Where it happened; of an original that names its merchant only the terminal counts, and of that only at machines. */
  readonly terminal: { readonly id: number; readonly merchant: { readonly id: number } }
  readonly originalParameters: ProgrammeParameters
  readonly purses: ReadonlyMap<number, PurseSnapshot> | undefined
}

/** It is one of those that this file gives back: its purse is a service's, or it was a co-pay. */
export function isSubsidised(original: WithPurse, { originalParameters }: GiveBackContext): boolean {
  return (
    original.kind === KIND.copay || original.kind === KIND.copayRefund || serviceOf(original, originalParameters) !== undefined
  )
}

/** @returns undefined where the amount is no whole number of units */
export function subsidyGivenBack(original: WithPurse, amount: number, context: GiveBackContext): Posting | undefined {
  if (original.kind === KIND.copay) return copayGivenBack(original, amount, context)
  const rules = serviceOf(original, context.originalParameters)
  if (rules === undefined) return undefined
  const units = amount / priceOf(rules)
  if (!Number.isInteger(units)) return undefined
  const parts = partsOf(original, rules, context)
  const toSuspense = Math.min(units, original.fromSuspense - original.givenBackToSuspense)
  const toPurse = units - toSuspense
  const back = transfer(parts.unit, entitlementsRedeemed, parts.purse, toPurse)
  // Its days and goods are free again only where this is the first that follows it, and gives back all: of later ones somebody else may have
  // drawn them meanwhile.
  const frees = parts.sameMonth && amount === original.approved && original.linked === 0
  const lapses = !parts.sameMonth && rules.entitlement?.becomes === undefined
  const second = original.secondPurseId
  return {
    ...NOTHING_TO_POST,
    original: guardOf(original),
    movement: {
      ...movementOf(original.purseId, null, lapses ? 0 : toPurse),
      cycle: parts.cycle,
      clearMarks: frees ? original.marks : 0,
      items: frees && original.items !== null ? negated(original.items) : null,
    },
    transfers: [
      ...back,
      ...(lapses ? transfer(parts.unit, parts.purse, { code: rules.entitlement?.closingAccount ?? 0, owner: 0 }, toPurse) : []),
      ...egp(parts.outlet, parts.payer, toPurse * subsidyOf(rules)),
      ...egp(parts.outlet, suspense, toSuspense * subsidyOf(rules)),
      ...(second === null ? [] : secondLeg(egp(parts.outlet, cashAvailable(second), amount))),
    ],
    fromSuspense: toSuspense === 0 ? null : toSuspense,
    second: second === null ? null : { purseId: second, gate: null, delta: amount },
    quantity: lapses ? 0 : rules.goods === undefined ? null : units,
  }
}

/**
 * A refund is reversed: what the purse got is taken again, as far as it goes; the rest is lent by suspense. The days that the refund had freed
 * are drawn again; had one been drawn by another message meanwhile, nothing is left to take.
 */
export function subsidyTakenAgain(original: WithPurse, amount: number, context: GiveBackContext): Posting | undefined {
  if (original.kind === KIND.copayRefund) return copayTakenAgain(original, amount, context)
  const rules = serviceOf(original, context.originalParameters)
  if (rules === undefined) return undefined
  const units = amount / priceOf(rules)
  if (!Number.isInteger(units)) return undefined
  const parts = partsOf(original, rules, context)
  const first = original.linked === 0 && parts.sameMonth
  const marks = first ? original.marks : 0
  const drawnMeanwhile = ((context.purses?.get(original.purseId)?.marks ?? 0) & marks) !== 0
  const got = original.quantity === 0 ? 0 : original.approved / priceOf(rules) - original.fromSuspense
  const left = Math.min(units, got - (original.givenBack / priceOf(rules) - original.givenBackToSuspense))
  const covered = !parts.sameMonth || drawnMeanwhile ? 0 : Math.min(left, availableOf(original.purseId, left, context))
  const cash = original.secondPurseId
  const price = cash === null ? 0 : Math.min(amount, availableOf(cash, amount, context))
  const lent = (units - covered) * subsidyOf(rules) + (cash === null ? 0 : amount - price)
  return {
    ...NOTHING_TO_POST,
    original: guardOf(original),
    movement: {
      ...movementOf(original.purseId, null, -covered),
      cycle: parts.cycle,
      setMarks: drawnMeanwhile ? 0 : marks,
      items: first && original.items !== null ? withoutCeiling(negated(original.items)) : null,
    },
    transfers: [
      ...transfer(parts.unit, parts.purse, entitlementsRedeemed, covered),
      ...egp(parts.payer, parts.outlet, covered * subsidyOf(rules)),
      ...egp(suspense, parts.outlet, lent),
      ...(cash === null ? [] : secondLeg(egp(cashAvailable(cash), parts.outlet, price))),
    ],
    fromSuspense: units === covered ? null : units - covered,
    second: cash === null ? null : { purseId: cash, gate: null, delta: -price },
    quantity: rules.goods === undefined ? null : units,
  }
}

function copayGivenBack(original: WithPurse, amount: number, context: GiveBackContext): Posting {
  const { clinic, fund, part } = copayParts(original, amount, context)
  return {
    ...NOTHING_TO_POST,
    original: guardOf(original),
    movement: movementOf(original.purseId, null, part),
    transfers: [...egp(clinic, cashAvailable(original.purseId), part), ...egp(clinic, fund, amount - part)],
    quantity: part,
  }
}

function copayTakenAgain(original: WithPurse, amount: number, context: GiveBackContext): Posting {
  const { clinic, fund, part } = copayParts(original, amount, context)
  const covered = Math.min(part, availableOf(original.purseId, part, context))
  return {
    ...NOTHING_TO_POST,
    original: guardOf(original),
    movement: movementOf(original.purseId, null, -covered),
    transfers: [
      ...egp(cashAvailable(original.purseId), clinic, covered),
      ...egp(fund, clinic, amount - part),
      ...egp(suspense, clinic, part - covered),
    ],
    fromSuspense: part === covered ? null : part - covered,
    quantity: part,
  }
}

/** The holder's part of what is given back, in proportion to the bill and so that all parts together come to the whole. */
function copayParts(
  original: WithPurse,
  amount: number,
  context: GiveBackContext,
): { clinic: Account; fund: Account; part: number } {
  const { fundAccount, clinicAccount } = context.originalParameters.health
  const paid = original.quantity ?? 0
  const share = (ofBill: number): number => Math.floor((2 * paid * ofBill + original.approved) / (2 * original.approved))
  return {
    clinic: outletAccount(clinicAccount, original.merchantId ?? context.terminal.merchant.id),
    fund: programmeAccount(fundAccount),
    part: Math.max(
      0,
      Math.min(amount, paid - original.givenBackQuantity, share(original.givenBack + amount) - original.givenBackQuantity),
    ),
  }
}

interface Parts {
  readonly unit: number
  readonly purse: Account
  readonly outlet: Account
  readonly payer: Account
  readonly cycle: string | null
  readonly sameMonth: boolean
}

function partsOf(original: WithPurse, rules: ServiceRules, { card, originalParameters, terminal }: GiveBackContext): Parts {
  const { account, unit } = purseOfKind(originalParameters, original.purseKind)
  const cycle = card.purses.find(({ id }: PurseReference) => id === original.purseId)?.cycle ?? null
  return {
    unit: unit.number,
    purse: purseAccount(account, original.purseId),
    outlet: outletAccount(rules.outletAccount, original.merchantId ?? terminal.merchant.id),
    payer: programmeAccount(rules.payerAccount),
    cycle,
    sameMonth: cycle === original.cycle,
  }
}

function serviceOf(original: WithPurse, parameters: ProgrammeParameters): ServiceRules | undefined {
  const purse = parameters.purses.find(({ kind }) => kind === original.purseKind)
  return purse === undefined ? undefined : parameters.services[purse.name]
}

/** Piasters that a unit is in the amount of a message: its price, or itself where it is valued in pounds. */
function priceOf({ goods }: ServiceRules): number {
  return goods?.price ?? 1
}

/** All of an amount, until a guard has failed and the purse is known. */
function availableOf(purseId: number, amount: number, { purses }: GiveBackContext): number {
  return Math.max(0, purses?.get(purseId)?.available ?? amount)
}

function secondLeg(transfers: readonly Transfer[]): Transfer[] {
  return transfers.map((one) => ({ ...one, second: true }))
}

function negated(items: readonly number[]): ItemCounts {
  return { added: items.map((count) => -count), max: items.map(() => 0) }
}

const NO_CEILING = 2_000_000_000

function withoutCeiling({ added }: ItemCounts): ItemCounts {
  return { added, max: added.map(() => NO_CEILING) }
}
