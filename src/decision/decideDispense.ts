/**
 * Goods or points of a household's entitlement are handed out: ration, bread, points, and any service that config/programme.json adds. What
 * differs between them is data (`ServiceRules`): units at a price, days, a list of goods. The entitlement pays with units, the treasury
 * pays the outlet in money; neither can stand in for the other.
 */
import { assert } from '../assert.ts'
import type { CardState, PurseReference } from '../card.ts'
import { cairoStamp } from '../clock.ts'
import type { ServiceRules } from '../programmeParameters.ts'
import { cashAvailable, entitlementsRedeemed, outletAccount, programmeAccount, purseAccount, suspense } from '../purse/chart.ts'
import { dayAllowance, daysInMonth, monthOf } from '../purse/entitlement.ts'
import type { PurseSnapshot } from '../purse/purse.ts'
import { purseNamed, purseOfKind } from '../purse/routes.ts'
import type { Dispense } from '../transaction/transaction.ts'
import { currencyReason, placeReason } from './checks.ts'
import { purseOfCard, type DecisionContext } from './context.ts'
import { approval, decline, type Decision, type DeclineReason } from './decision.ts'
import { afterMatch, fingerprintDecline } from './fingerprint.ts'
import { movementOf, NOTHING_TO_POST, type CardUpdate, type ItemCounts, type SecondMovement, type Transfer } from './posting.ts'
import { egp, transfer } from './transfers.ts'

/** Card, place and holder have been checked. */
export function decideDispense(transaction: Dispense, context: DecisionContext): Decision {
  const { rules, purse } = serviceOf(transaction, context)
  const asksFingerprint = rules.fingerprintGovernorates.includes(context.card.governorate)
  const ofFingerprint = asksFingerprint ? fingerprintDecline(transaction.fingerprint, purse, context) : undefined
  if (ofFingerprint !== undefined) return ofFingerprint
  const wrong =
    amountReason(transaction, rules, context) ??
    basketReason(transaction, rules) ??
    ceilingReason(transaction, rules, purse, context)
  if (wrong !== undefined) return decline(wrong)
  const units = unitsOf(transaction, rules)
  const known = context.purses?.get(purse.id)
  const marks = rules.days === undefined ? 0 : marksOf(today(purse, context), transaction.days)
  if (known !== undefined && (known.marks & marks) !== 0) return decline('day_drawn')
  const short = known !== undefined && known.available < units
  // Code 10: the terminal hands out what the purse still covers (DE 48 PC).
  const partial = short && rules.partial && transaction.partialAccepted && known.available > 0
  if (short && !partial) return decline('insufficient_funds')
  const covered = partial ? known.available : units
  const cash = walletOf(rules, context)
  const price = rules.goods === undefined ? 0 : rules.goods.price * covered
  if (cash !== undefined && (context.purses?.get(cash.id)?.available ?? price) < price) return decline('insufficient_funds')
  const posting = {
    ...NOTHING_TO_POST,
    movement: {
      ...movementOf(purse.id, purse.gate, -covered),
      setMarks: marks,
      items: partial ? null : itemsOf(transaction, rules, purse),
    },
    transfers: [
      ...dispenseTransfers(rules, purse, covered, 0, context),
      ...(cash === undefined ? [] : priceTransfers(rules, cash, price, context)),
    ],
    second: cash === undefined ? null : ({ purseId: cash.id, gate: cash.gate, delta: -price } satisfies SecondMovement),
    cardUpdate: retirement(rules, context, asksFingerprint) ?? (asksFingerprint ? afterMatch(context) : null),
    quantity: rules.goods === undefined ? null : covered,
  }
  return approval(covered * (rules.goods?.price ?? 1), posting, partial)
}

/**
 * The outlet approved offline, and the goods are gone: always posted. The entitlement pays as far as it goes, for days of this month that nobody
 * has drawn; the rest is lent by suspense, with the units owed in `fromSuspense`. On an old card that was retired before, nothing goes through any more.
 */
export function decideDispenseAdvice(transaction: Dispense, context: DecisionContext): Decision {
  const refusal = placeReason(transaction, context)
  if (refusal !== undefined) return decline(refusal)
  const { rules, purse } = serviceOf(transaction, context)
  if (!rules.advices || !context.terminal.offline) return decline('terminal_class')
  const wrong = amountReason(transaction, rules, context)
  if (wrong !== undefined) return decline(wrong)
  if (transaction.amount > context.parameters.transactionAmountMax) return decline('transaction_amount')
  const units = unitsOf(transaction, rules)
  const { covered, marks } = entitledTo(transaction, units, rules, purse, context)
  const uncovered = units - covered
  return approval(transaction.amount, {
    ...NOTHING_TO_POST,
    movement: {
      ...movementOf(purse.id, purse.gate, -covered),
      setMarks: marks,
      items: uncounted(itemsOf(transaction, rules, purse)),
    },
    transfers: dispenseTransfers(rules, purse, covered, uncovered, context),
    fromSuspense: uncovered === 0 ? null : uncovered,
    cardUpdate: (covered > 0 ? retirement(rules, context) : undefined) ?? null,
    quantity: rules.goods === undefined ? null : units,
  })
}

/**
 * Stand-in has told an approval while the ledger could not be reached, and the goods are gone: always posted, as an advice is. Whether the card might have them was
 * looked at then; `localDay` is the day that was drawn.
 *
 * @param purseId the purse that it was approved on; where the card draws on another one by now it gives nothing
 */
export function decideDrainedDispense(transaction: Dispense, purseId: number, context: DecisionContext): Decision {
  const { card, parameters } = context
  const rules = parameters.services[transaction.purse]
  assert(rules !== undefined, 'a service that stand-in has told an approval of is one')
  const own = purseOfCard(card, parameters, transaction.purse)
  const kind = purseNamed(parameters, transaction.purse).kind
  const purse = own?.id === purseId ? own : { kind, id: purseId, gate: 0, cycle: null, members: 0 }
  const units = unitsOf(transaction, rules)
  const { localDay } = transaction
  const lapsed = purse.cycle !== null && monthOf(localDay) !== purse.cycle
  const { covered, marks } =
    purse === own && !lapsed ? coverOn(localDay, transaction, units, rules, own, context) : NOTHING_COVERED
  const uncovered = units - covered
  return approval(transaction.amount, {
    ...NOTHING_TO_POST,
    movement: {
      ...movementOf(purseId, purse === own ? own.gate : null, -covered),
      setMarks: marks,
      items: purse === own ? uncounted(itemsOf(transaction, rules, own)) : null,
    },
    transfers: dispenseTransfers(rules, purse, covered, uncovered, context),
    fromSuspense: uncovered === 0 ? null : uncovered,
    cardUpdate: (covered > 0 ? retirement(rules, context) : undefined) ?? null,
    quantity: rules.goods === undefined ? null : units,
  })
}

const NOTHING_COVERED = { covered: 0, marks: 0 }

/** How much of an advice the entitlement covers: all of it, until a guard has failed and the purse is known. */
function entitledTo(
  transaction: Dispense,
  units: number,
  rules: ServiceRules,
  purse: PurseReference,
  context: DecisionContext,
): { covered: number; marks: number } {
  const { card } = context
  const { localTime } = transaction
  // A clock that is ahead gives no bread of days to come.
  const localDay = transaction.localDay > today(purse, context) ? today(purse, context) : transaction.localDay
  if (NEVER_HANDED_OVER.includes(card.state)) return NOTHING_COVERED
  const stopped = card.retiredAtMs !== null && `${localDay} ${localTime}` >= cairoStamp(card.retiredAtMs)
  const lapsed = purse.cycle !== null && monthOf(localDay) !== purse.cycle
  if (stopped || lapsed) return NOTHING_COVERED
  return coverOn(localDay, transaction, units, rules, purse, context)
}

/** What the purse has, for days that nobody has drawn. */
function coverOn(
  localDay: string,
  transaction: Dispense,
  units: number,
  rules: ServiceRules,
  purse: PurseReference,
  context: DecisionContext,
): { covered: number; marks: number } {
  const known: PurseSnapshot | undefined = context.purses?.get(purse.id)
  const available = Math.max(0, known?.available ?? units)
  if (rules.days === undefined || rules.entitlement === undefined) return { covered: Math.min(units, available), marks: 0 }
  const advance = rules.days.advance.find(({ membersMax }) => purse.members <= membersMax)
  const asked = marksOf(localDay, Math.min(transaction.days, advance?.days ?? 1)) & monthMarks(localDay)
  const free = asked & ~(known?.marks ?? 0)
  const each = dayAllowance(rules.entitlement, purse.members)
  const covered = Math.min(units, available, countOf(free) * each)
  // No more days than the bread is for.
  return { covered, marks: covered === 0 ? 0 : firstOf(free, Math.ceil(covered / each)) }
}

const NEVER_HANDED_OVER: readonly CardState[] = [
  'ORDERED',
  'AWAITING_COLLECTION',
  'AWAITING_COLLECTION_DIWAN',
  'DESTROYED',
  'CANCELLED',
]

/** The service that is asked for, and the card's purse of it. */
function serviceOf(transaction: Dispense, { card, parameters }: DecisionContext): { rules: ServiceRules; purse: PurseReference } {
  const rules = parameters.services[transaction.purse]
  const purse = purseOfCard(card, parameters, transaction.purse)
  assert(rules !== undefined && purse !== undefined, 'a service or a purse that there is not was declined')
  return { rules, purse }
}

function unitsOf(transaction: Dispense, rules: ServiceRules): number {
  return rules.goods === undefined ? transaction.amount : (transaction.units ?? 0)
}

/** Amount or price: 13. */
function amountReason(transaction: Dispense, rules: ServiceRules, { parameters }: DecisionContext): DeclineReason | undefined {
  const { amount, units, days } = transaction
  if (amount === 0 || days < 1) return 'amount_invalid'
  const currency = currencyReason(transaction, parameters)
  if (currency !== undefined) return currency
  if (rules.goods !== undefined && (units === undefined || units === 0 || units * rules.goods.price !== amount)) return 'price'
  return undefined
}

/** The lines of the basket come to the amount: 13. */
function basketReason({ amount, basket }: Dispense, rules: ServiceRules): DeclineReason | undefined {
  if (rules.basket === undefined) return undefined
  const total = basket.reduce((sum, line) => sum + line.amount, 0)
  return total === amount && basket.every((line) => line.count > 0) ? undefined : 'basket'
}

/** Ceilings that need no purse: 61. */
function ceilingReason(
  transaction: Dispense,
  rules: ServiceRules,
  purse: PurseReference,
  context: DecisionContext,
): DeclineReason | undefined {
  if (transaction.amount > context.parameters.transactionAmountMax) return 'transaction_amount'
  if (rules.basket !== undefined && isAboveCeiling(transaction, rules, purse, context.purses?.get(purse.id)))
    return 'item_ceiling'
  if (rules.days === undefined || rules.entitlement === undefined) return undefined
  const { days } = transaction
  const day = today(purse, context)
  const advance = rules.days.advance.find(({ membersMax }) => purse.members <= membersMax)
  if (days > (advance?.days ?? 1)) return 'days_ahead'
  if (Number(day.slice(8)) + days - 1 > daysInMonth(day)) return 'month_end'
  const allowance = days * dayAllowance(rules.entitlement, purse.members)
  return unitsOf(transaction, rules) > allowance ? 'day_allowance' : undefined
}

/** An item that is not on the list has a ceiling of none. */
function isAboveCeiling(
  transaction: Dispense,
  rules: ServiceRules,
  purse: PurseReference,
  known: PurseSnapshot | undefined,
): boolean {
  const counts = itemsOf(transaction, rules, purse)
  return (
    counts === null ||
    counts.added.some((added, position) => added > 0 && (known?.items[position] ?? 0) + added > (counts.max[position] ?? 0))
  )
}

/** The goods are gone: they count towards their ceilings, which do not stop them. */
function uncounted(counts: ItemCounts | null): ItemCounts | null {
  const tooMany = counts?.added.some((added) => added > ITEM_COUNT_MAX) === true
  return counts === null || tooMany ? null : { added: counts.added, max: counts.added.map(() => ITEM_COUNT_MAX * 1000) }
}

/** More of an item in one basket is a mistake of the outlet's. */
const ITEM_COUNT_MAX = 10_000

/** How many of each item the basket holds and the household may have in a month; null where an item is not on the list. */
function itemsOf({ basket }: Dispense, rules: ServiceRules, { members }: PurseReference): ItemCounts | null {
  if (rules.basket === undefined) return null
  const list = rules.basket
  const positions = 1 + Math.max(...Object.values(list).map(({ position }) => position))
  const added = Array.from({ length: positions }, () => 0)
  const max = Array.from({ length: positions }, () => 0)
  for (const { position, perMember } of Object.values(list)) max[position] = perMember * members
  for (const { item, count } of basket) {
    const rule = Object.hasOwn(list, item) ? list[item] : undefined
    if (rule === undefined) return null
    added[rule.position] = (added[rule.position] ?? 0) + count
  }
  return { added, max }
}

/** The purse may be a month ahead where the clock of this process is behind that of another: then its month has begun. */
function today(purse: PurseReference, { day }: DecisionContext): string {
  return purse.cycle !== null && purse.cycle > day ? purse.cycle : day
}

/** Bits of so many days from `day` on, within 31. */
function marksOf(day: string, days: number): number {
  const first = Number(day.slice(8)) - 1
  let marks = 0
  for (let bit = first; bit < Math.min(31, first + days); bit++) marks |= 1 << bit
  return marks
}

/** Bits of all days of the month of `day`. */
function monthMarks(day: string): number {
  return marksOf(`${day.slice(0, 8)}01`, daysInMonth(day))
}

/** The lowest so many of the bits. */
function firstOf(marks: number, count: number): number {
  let first = 0
  for (let rest = marks, left = count; rest !== 0 && left > 0; rest &= rest - 1, left--) first |= rest & -rest
  return first
}

function countOf(marks: number): number {
  let count = 0
  for (let rest = marks; rest !== 0; rest &= rest - 1) count++
  return count
}

function dispenseTransfers(
  rules: ServiceRules,
  purse: PurseReference,
  covered: number,
  uncovered: number,
  { parameters, terminal }: DecisionContext,
): Transfer[] {
  const { account, unit } = purseOfKind(parameters, purse.kind)
  const each = subsidyOf(rules)
  const outlet = outletAccount(rules.outletAccount, terminal.merchant.id)
  return [
    ...transfer(unit.number, purseAccount(account, purse.id), entitlementsRedeemed, covered),
    ...egp(programmeAccount(rules.payerAccount), outlet, covered * each),
    ...egp(suspense, outlet, uncovered * each),
  ]
}

/** Piasters that the treasury pays the outlet for a unit: a unit that is valued in pounds is itself the money. */
export function subsidyOf({ goods }: ServiceRules): number {
  return goods === undefined ? 1 : goods.cost - goods.price
}

function priceTransfers(rules: ServiceRules, cash: PurseReference, price: number, { terminal }: DecisionContext): Transfer[] {
  const outlet = outletAccount(rules.outletAccount, terminal.merchant.id)
  return egp(cashAvailable(cash.id), outlet, price).map((one) => ({ ...one, second: true }))
}

/** The cash purse that pays the price: where the terminal says so and the card has one; else it is paid in coins. */
function walletOf(rules: ServiceRules, { terminal, card, parameters }: DecisionContext): PurseReference | undefined {
  return rules.goods !== undefined && terminal.wallet ? purseOfCard(card, parameters, 'cash') : undefined
}

/** The first posted use of the head's new card stops the household's old one. */
function retirement(rules: ServiceRules, { card, parameters }: DecisionContext, matched = false): CardUpdate | undefined {
  if (!rules.retiresOldCard || card.role !== 'head' || card.oldCard === null) return undefined
  const kinds = parameters.purses.filter(({ owner }) => owner === 'household').map(({ kind }) => kind)
  return {
    change: 'retire',
    token: card.oldCard,
    tries: matched && card.mismatches > 0 ? 1 : 0,
    raise: card.purses.filter(({ kind }) => kinds.includes(kind)).map(({ id }) => id),
  }
}
