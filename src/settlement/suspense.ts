/** What becomes of the items of suspense: whose they are, and the ways out of it, on which two people agree. */
import { randomUUID } from 'node:crypto'
import { elapsed, type Clock } from '../clock.ts'
import { done, refused, type Outcome, type SqlTransaction } from '../ledger/programme/desk.ts'
import { advanceFrontier, lastEventNumber, NO_FRONTIER } from '../ledger/programme/eventFeed.ts'
import { merchantIdOf } from '../ledger/settlement/bankAccounts.ts'
import { postBook, type BookTransfer } from '../ledger/settlement/book.ts'
import {
  addUpSuspense,
  assignSuspenseItem,
  lockSuspenseItems,
  recordBookSuspense,
  recordSuspenseMatch,
  type SuspenseItem,
} from '../ledger/settlement/suspense.ts'
import type { ProposalKind } from '../programme/proposals.ts'
import { ACCOUNT_CODE } from '../purse/chart.ts'
import { takeReceipt } from './claims.ts'
import type { Programme } from '../programmeParameters.ts'

const LOOK_EVERY_MS = 10

/** Makes items of what was posted before now, as far as that has ended within the time there is. To be called without an open SQL transaction. */
export async function suspenseUpToNow(tx: SqlTransaction, clock: Clock, patienceMs: number): Promise<void> {
  const wanted = await lastEventNumber(tx)
  const untilMs = clock.now() + patienceMs
  let frontier = await advanceFrontier(tx, NO_FRONTIER)
  while (frontier.final < wanted && clock.now() < untilMs) {
    await elapsed(clock, LOOK_EVERY_MS)
    frontier = await advanceFrontier(tx, frontier)
  }
  await addUpSuspense(tx, frontier.final)
}

/** How an item, or a part of it, ends. Of what is owed to us `recover` takes it from the outlet, `claim` from a payer; of what we owe `recover` gives it to the outlet. */
export type WayOut = { readonly note: string; readonly amount?: number } &
  /** Of an item that no outlet has a part in, `outlet` says which one, and which of its accounts (22xx). */
  (
    | { readonly way: 'recover'; readonly outlet?: { readonly acceptorId: string; readonly account: number } }
    | { readonly way: 'claim'; readonly payer: number }
    | { readonly way: 'write-off' }
    | { readonly way: 'match'; readonly oppositeItemId: number }
    /** What came from the bank was what a payer owed for those days. */
    | { readonly way: 'receipt'; readonly payer: number; readonly from: string; readonly until: string }
  )

interface ResolutionBody {
  readonly itemId: number
  /** Of the posting: unique for ever. */
  readonly key: string
  readonly maker: string
  /** Piasters of it, and on which side it was open. */
  readonly amount: number
  readonly owed: boolean
  readonly asked: WayOut
  /** That was named. */
  readonly merchantId?: number
}

/** Accounts of an outlet: what it sells, hands out, and treats. */
export function outletAccountsOf({ versions }: Programme): number[] {
  const codes = versions.flatMap(({ services, health }) => [
    health.clinicAccount,
    ...Object.values(services).map(({ outletAccount }) => outletAccount),
  ])
  return [...new Set([ACCOUNT_CODE.merchant, ...codes])].sort((a, b) => a - b)
}

export const NO_SUCH_ITEM = refused('not-found', 'no-such-item', 'There is no such item of suspense.')

/** Whose an item is until somebody is named (migrations/0019_bank.sql). */
const SETTLEMENT_OFFICE = 'settlement'

export async function assignItem(tx: SqlTransaction, itemId: number, owner: string | null): Promise<Outcome<SuspenseItem>> {
  const item = (await lockSuspenseItems(tx, [itemId])).get(itemId)
  if (item === undefined) return NO_SUCH_ITEM
  await assignSuspenseItem(tx, itemId, owner)
  const assigned = owner ?? SETTLEMENT_OFFICE
  await tx.emit({ kind: 'suspense.assigned', data: { itemId, owner: assigned } })
  return done({ ...item, owner: assigned, version: item.version + 1 })
}

/** What can be said of a way out before anybody agrees; and the body of its proposal. */
export async function planResolution(
  tx: SqlTransaction,
  item: SuspenseItem,
  maker: string,
  asked: WayOut,
): Promise<Outcome<ResolutionBody>> {
  const { itemId, open } = item
  const amount = asked.amount ?? Math.abs(open)
  const planned = { itemId, key: `suspense|${String(itemId)}|${randomUUID()}`, maker, amount, owed: open > 0, asked }
  const outlet = asked.way === 'recover' ? asked.outlet : undefined
  const merchantId = outlet === undefined ? undefined : await merchantIdOf(tx, outlet.acceptorId)
  if (outlet !== undefined && merchantId === undefined)
    return refused('invalid', 'no-such-merchant', 'There is no outlet with this acceptor id.', '/acceptorId')
  const body = merchantId === undefined ? planned : { ...planned, merchantId: Number(merchantId) }
  const wrong = wrongWay(item, body)
  return wrong ?? done(body)
}

function wrongWay(item: SuspenseItem, { amount, owed, asked }: ResolutionBody): ReturnType<typeof refused> | undefined {
  const { open } = item
  if (open === 0) return refused('conflict', 'item-is-resolved', 'Nothing of this item is open any more.')
  if (open > 0 !== owed || amount > Math.abs(open) || amount === 0)
    return refused('conflict', 'more-than-open', 'Less than that is open of this item; propose it anew.', '/amount')
  const side = (name: string): ReturnType<typeof refused> =>
    refused('invalid', 'not-this-way', `An item ends by "${name}" only where it is on the other side of the account.`, '/way')
  switch (asked.way) {
    case 'recover':
      return wrongOutlet(item, asked.outlet?.acceptorId)
    case 'claim':
      return owed ? undefined : side('claim')
    case 'receipt':
      return owed ? side('receipt') : undefined
    case 'write-off':
    case 'match':
      return undefined
  }
}

function hasOutlet({ merchantId, account }: SuspenseItem): boolean {
  return merchantId !== 0 && account >= 2200 && account <= 2299
}

/** An outlet is named where none has a part in the item, and only there: nobody pays for another. */
function wrongOutlet(item: SuspenseItem, named: string | undefined): ReturnType<typeof refused> | undefined {
  if (hasOutlet(item))
    return named === undefined || named === item.acceptorId
      ? undefined
      : refused('invalid', 'not-this-way', 'Another outlet has a part in this item.', '/acceptorId')
  return named === undefined
    ? refused('invalid', 'not-this-way', 'No outlet has a part in this item: say which one it is, and its account.', '/way')
    : undefined
}

export const SUSPENSE_RESOLUTION: ProposalKind = {
  kind: 'suspense',
  permission: 'suspense:resolve',
  single: true,
  execute: (tx, body) => resolve(tx, body as unknown as ResolutionBody),
}

async function resolve(tx: SqlTransaction, body: ResolutionBody): Promise<Outcome<Readonly<Record<string, unknown>>>> {
  const { itemId, asked, amount, key, maker } = body
  const items = await lockSuspenseItems(tx, asked.way === 'match' ? [itemId, asked.oppositeItemId] : [itemId])
  const item = items.get(itemId)
  if (item === undefined) return NO_SUCH_ITEM
  const wrong = wrongWay(item, body)
  if (wrong !== undefined) return wrong
  const ended = await end(tx, item, asked.way === 'match' ? items.get(asked.oppositeItemId) : undefined, body)
  if (!ended.ok) return ended
  await tx.emit({ kind: 'suspense.resolved', data: { itemId, way: asked.way, amount } })
  return done({ key, amount, way: asked.way, by: maker, left: item.open - (body.owed ? amount : -amount) })
}

async function end(
  tx: SqlTransaction,
  item: SuspenseItem,
  opposite: SuspenseItem | undefined,
  body: ResolutionBody,
): Promise<Outcome<undefined>> {
  const { key, amount, owed, asked, maker } = body
  const { itemId } = item
  const { note } = asked
  if (asked.way === 'match') {
    if (opposite === undefined || opposite.itemId === itemId || amount > (owed ? -opposite.open : opposite.open))
      return refused('conflict', 'item-does-not-fit', 'The other item has not so much open on the other side.', '/oppositeItemId')
    const [lent, comeBack] = owed ? [0, amount] : [amount, 0]
    await recordSuspenseMatch(tx, { key: `${key}|1`, itemId, lent, comeBack, madeBy: maker, note })
    await recordSuspenseMatch(tx, {
      key: `${key}|2`,
      itemId: opposite.itemId,
      lent: comeBack,
      comeBack: lent,
      madeBy: maker,
      note,
    })
    return done(undefined)
  }
  if (asked.way === 'receipt') {
    const { payer, from, until } = asked
    const receivedOn = new Date(tx.nowMs).toISOString().slice(0, 10)
    const receipt = { key, payer, from, until, amount, receivedOn, reference: null, madeBy: maker, note }
    const taken = await takeReceipt(tx, { ...receipt, outOfSuspense: true })
    if (!taken.ok) return taken
  } else {
    const transfers = [transferOf(item, body, asked)]
    await postBook(tx, [{ key, kind: `suspense-${asked.way}`, valueDate: null, reference: null, madeBy: maker, note, transfers }])
  }
  await recordBookSuspense(tx, key, itemId)
  return done(undefined)
}

function transferOf(
  item: SuspenseItem,
  { amount, owed, merchantId }: ResolutionBody,
  asked: Exclude<WayOut, { way: 'match' | 'receipt' }>,
): BookTransfer {
  const { suspense, feeIncome } = ACCOUNT_CODE
  const named = asked.way === 'recover' && !hasOutlet(item) ? asked.outlet?.account : undefined
  const other = {
    recover: named === undefined ? { code: item.account, owner: item.merchantId } : { code: named, owner: merchantId ?? 0 },
    claim: { code: asked.way === 'claim' ? asked.payer : 0, owner: 0 },
    'write-off': { code: feeIncome, owner: 0 },
  }[asked.way]
  return owed
    ? { debitCode: other.code, debitOwner: other.owner, creditCode: suspense, creditOwner: 0, amount }
    : { debitCode: suspense, debitOwner: 0, creditCode: other.code, creditOwner: other.owner, amount }
}
