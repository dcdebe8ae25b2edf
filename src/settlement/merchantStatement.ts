/** What an outlet has earned: its positions by day and unit, and the statement of one day, from opening to closing balance. */
import { assert } from '../assert.ts'
import { done, refused, type Outcome, type SqlTransaction } from '../ledger/programme/desk.ts'
import {
  openingOf,
  outletFlows,
  outletPositions,
  paidOn,
  readOutlet,
  type OutletFlow,
  type PaidOnDay,
  type PaidOutlet,
  type PositionLine,
} from '../ledger/settlement/outletPositions.ts'
import { closedUntil } from '../ledger/settlement/payoutRuns.ts'
import { UNIT_EGP } from '../money.ts'
import { addDays } from '../programme/calendar.ts'
import { NO_SUCH_MERCHANT } from '../programme/registry.ts'
import type { Programme } from '../programmeParameters.ts'
import { ACCOUNT_CODE } from '../purse/chart.ts'

export interface AskedPositions {
  readonly from: string | undefined
  readonly until: string | undefined
  readonly after: { readonly day: string; readonly unitNumber: number } | undefined
  readonly limit: number
}

const DAYS_WHERE_NOT_SAID = 31

/** Of closed days only; the last month where nothing is said. */
export async function positionsOf(
  tx: SqlTransaction,
  acceptorId: string,
  asked: AskedPositions,
): Promise<Outcome<PositionLine[]>> {
  const outlet = await readOutlet(tx, acceptorId)
  if (outlet === undefined) return NO_SUCH_MERCHANT
  const until = asked.until ?? (await closedUntil(tx))
  if (until === undefined) return done([])
  const from = asked.from ?? addDays(until, 1 - DAYS_WHERE_NOT_SAID)
  if (from > until)
    return refused('invalid', 'period-ends-before-it-begins', 'A period ends on its first day or later.', '/until')
  return done(await outletPositions(tx, outlet.merchantId, { ...asked, from, until }))
}

/** Where money came from, and what of it went back there; piasters. */
export interface StatementLine {
  /** `wallets`, `treasury-bread`, `health-fund`, `suspense`, `returned-payouts`: words joined by hyphens, which do not change. */
  readonly source: string
  readonly transfers: number
  readonly received: number
  readonly givenBack: number
}

/** Units of an entitlement that were handed out; whole minor units. */
export interface StatementUnits {
  readonly unit: string
  /** ISO 4217; 999 for what is counted in whole things. */
  readonly currency: string
  readonly transfers: number
  readonly handedOut: number
  readonly givenBack: number
}

export interface MerchantStatement {
  readonly outlet: PaidOutlet
  readonly day: string
  readonly opening: number
  readonly lines: readonly StatementLine[]
  readonly payouts: readonly PaidOnDay[]
  readonly closing: number
  readonly units: readonly StatementUnits[]
  /** Over all lines. */
  readonly control: {
    readonly transfers: number
    readonly received: number
    readonly givenBack: number
    readonly paidOut: number
  }
}

export async function statementOfMerchant(
  tx: SqlTransaction,
  programme: Pick<Programme, 'purses' | 'units'>,
  acceptorId: string,
  day: string,
): Promise<Outcome<MerchantStatement>> {
  const outlet = await readOutlet(tx, acceptorId)
  if (outlet === undefined) return NO_SUCH_MERCHANT
  const opening = await openingOf(tx, outlet.merchantId, day)
  if (opening === undefined)
    return refused('conflict', 'day-not-closed', 'This business day is not closed: there is no statement of it yet.', '/day')
  const flows = await outletFlows(tx, outlet.merchantId, day)
  const payouts = await paidOn(tx, outlet.merchantId, day)
  const lines = linesOf(flows, programme)
  const received = lines.reduce((sum, line) => sum + line.received, 0)
  const givenBack = lines.reduce((sum, line) => sum + line.givenBack, 0)
  const paidOut = payouts.reduce((sum, { amount }) => sum + amount, 0)
  const moved = flows.filter(({ debitCode, creditCode }) => isOutlets(debitCode) && creditCode === ACCOUNT_CODE.bank)
  assert(moved.reduce((sum, { amount }) => sum + amount, 0) === paidOut, 'what left an outlet through the bank is its payouts')
  const transfers = lines.reduce((sum, line) => sum + line.transfers, 0)
  return done({
    ...{ outlet, day, opening, lines, payouts, closing: opening + received - givenBack - paidOut },
    units: unitsOf(flows, programme),
    control: { transfers, received, givenBack, paidOut },
  })
}

function linesOf(flows: readonly OutletFlow[], programme: Pick<Programme, 'purses'>): StatementLine[] {
  const lines = new Map<string, StatementLine>()
  for (const { unit, debitCode, creditCode, service, transfers, amount } of flows) {
    if (unit !== UNIT_EGP || isOutlets(debitCode) === isOutlets(creditCode)) continue
    const received = isOutlets(creditCode)
    if (!received && creditCode === ACCOUNT_CODE.bank) continue
    const source = sourceOf(received ? debitCode : creditCode, service, programme)
    const line = lines.get(source) ?? { source, transfers: 0, received: 0, givenBack: 0 }
    lines.set(source, {
      source,
      transfers: line.transfers + transfers,
      received: line.received + (received ? amount : 0),
      givenBack: line.givenBack + (received ? 0 : amount),
    })
  }
  return [...lines.values()].sort((a, b) => (a.source < b.source ? -1 : 1))
}

/** The chart of spec/ledger.md. */
function sourceOf(code: number, service: number, { purses }: Pick<Programme, 'purses'>): string {
  switch (code) {
    case ACCOUNT_CODE.bank:
      return 'returned-payouts'
    case ACCOUNT_CODE.cashAvailable:
    case ACCOUNT_CODE.cashHeld:
      return 'wallets'
    case ACCOUNT_CODE.suspense:
      return 'suspense'
    case HEALTH_FUND:
      return 'health-fund'
    default:
      return code >= 1200 && code < 1300
        ? `treasury-${purses.find(({ kind }) => kind === service)?.name ?? String(code)}`
        : `account-${String(code)}`
  }
}

const HEALTH_FUND = 1220
/** ISO 4217: no currency. */
const NO_CURRENCY = '999'

function unitsOf(flows: readonly OutletFlow[], { units }: Pick<Programme, 'units'>): StatementUnits[] {
  const found = new Map<string, StatementUnits>()
  for (const { unit, unitName, debitCode, creditCode, transfers, amount } of flows) {
    const out = creditCode === ACCOUNT_CODE.entitlementsRedeemed
    if (unit === UNIT_EGP || !(out || debitCode === ACCOUNT_CODE.entitlementsRedeemed)) continue
    const currency = units.find(({ name }) => name === unitName)?.currency ?? NO_CURRENCY
    const sum = found.get(unitName) ?? { unit: unitName, currency, transfers: 0, handedOut: 0, givenBack: 0 }
    found.set(unitName, {
      ...sum,
      transfers: sum.transfers + transfers,
      handedOut: sum.handedOut + (out ? amount : 0),
      givenBack: sum.givenBack + (out ? 0 : amount),
    })
  }
  return [...found.values()]
}

function isOutlets(code: number): boolean {
  return code >= 2200 && code < 2300
}
