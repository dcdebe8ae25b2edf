/**
 * What the ledger is asked to append: a decision with its posting, in the shape of `commit_batch` (migrations/0023_values_by_position.sql), and
 * how a batch of them becomes that function's arrays.
 */
import { assert } from '../assert.ts'
import type { CardUpdate, Posting, Transfer } from '../decision/posting.ts'

export interface CommitItem extends Omit<Posting, 'cardUpdate'> {
  readonly cardUpdate: (CardUpdate & SuspendedAnswer) | null
  readonly key: string
  /** UTC date of the key's time; chooses the partition. */
  readonly keyDate: string
  readonly mti: number
  readonly kind: number
  /** 64-bit fingerprint of the body as a decimal; null where the body is not known (tombstones). */
  readonly body: string | null
  readonly cardToken: string | null
  readonly terminalId: string | null
  readonly merchantId: number | null
  readonly rrn: string | null
  readonly requested: number
  readonly approved: number
  readonly responseCode: string
  readonly reason: string | null
  readonly approvalCode: string | null
  /** What was verified of the holder, stored whatever was decided; null: nothing was. */
  readonly verification: VerificationRecord | null
  /** ISO instant at which stand-in told it; absent: nobody was told before it is committed. */
  readonly stoodInAt?: string
}

/** See `commit_batch`: stored under the card's lock. */
export interface VerificationRecord {
  /** Transaction counter of a right cryptogram, which is good once; null: there was none. */
  readonly atc: number | null
  /** `wrong` is counted and at `pinTriesMax` blocks the PIN; `right` starts the count anew; `checked` is right and changes nothing. */
  readonly pin: 'wrong' | 'right' | 'checked' | null
  readonly pinTriesMax: number
  /** Purses whose gates a wrong PIN raises. */
  readonly raise: readonly number[]
  /** What the new PIN is verified against; null: it stays as it is. */
  readonly pinReference: string | null
  /** What the PIN was verified against: where the card has another one by now, nothing is told. */
  readonly checkedReference: string | null
  /** The chip's pending command goes out with this answer. */
  readonly scriptSent: boolean
}

/** What is answered where a wrong fingerprint suspends the card. */
export interface SuspendedAnswer {
  readonly triesResponse: string
  readonly triesReason: string
}

/** A purse's committed state, as the ledger knows it. */
export interface PurseState {
  readonly balance: number
  readonly held: number
  readonly version: number
  readonly day: string
  readonly spentAmount: number
  readonly spentCount: number
  readonly withdrawnAmount: number
  readonly withdrawnCount: number
  readonly marks: number
  /** Wrong fingerprints or PINs in a row, where this item counted one. */
  readonly tries: number | undefined
  /** Version of the second purse, where this item moved one. */
  readonly secondVersion: number | undefined
}

/** The stored answer of a key. */
export interface StoredAnswer {
  readonly key: string
  readonly keyDate: string
  readonly mti: number
  readonly kind: number
  readonly body: string | null
  readonly responseCode: string
  readonly reason: string | null
  readonly approvalCode: string | null
  readonly approved: number
  readonly requested: number
  readonly rrn: string | null
  /** Balances after the posting; null where no purse was concerned. */
  readonly available: number | null
  readonly held: number | null
  readonly quantity: number | null
  /** A second purse was moved. */
  readonly second: boolean
}

export type CommitOutcome =
  /** Durable. `purse` is its state after the posting, absent where no purse was concerned. */
  | { readonly kind: 'won'; readonly purse: PurseState | undefined }
  /** The key was there before: what was answered. */
  | { readonly kind: 'duplicate'; readonly stored: StoredAnswer }
  /** Nothing was written, because what the decision relied on does not hold (any more). */
  | { readonly kind: 'refused'; readonly guard: CommitGuard }
  /** Nothing was written and nothing was tried: the ledger cannot be reached or takes no writes. */
  | { readonly kind: 'unavailable' }
  /** It may or may not have been written, and could not be found out before the deadline. */
  | { readonly kind: 'unknown' }
  /** The item itself is wrong: a fault of ours. Nothing was written. */
  | { readonly kind: 'fault'; readonly error: string }

export type CommitGuard =
  'purse' | 'gate' | 'original' | 'balance' | 'ceiling' | 'dayAmount' | 'dayCount' | 'marks' | 'items' | 'second' | 'atc'

/** The outcomes of `commit_batch` by number. */
export const COMMIT_GUARDS: readonly (CommitGuard | undefined)[] = [
  undefined,
  undefined,
  'purse',
  'gate',
  'original',
  'balance',
  'ceiling',
  'dayAmount',
  'dayCount',
  'marks',
  'items',
  'second',
  'atc',
]

type Value = string | number | boolean | null

/** How many values `valuesOf` and `transferValuesOf` give. */
const ITEM_COLUMNS = 54
const TRANSFER_COLUMNS = 7
const LIMIT_GROUP = { spending: 1, withdrawal: 2 } as const
const PIN_CHANGE = { wrong: 1, right: 2, checked: 3 } as const
const CARD_CHANGE = { retire: 1, mismatch: 2, match: 3 } as const

/** How many parameters `commit_batch` has: shard, instant, and a column each. */
export function commitParameterCount(): number {
  return 2 + ITEM_COLUMNS + TRANSFER_COLUMNS
}

/** The parameters of `commit_batch`, in its order; a column that is null throughout is passed as one null. */
export function commitParameters(shard: number, nowMs: number, items: readonly CommitItem[]): (string | null)[] {
  const parameters: (string | null)[] = [String(shard), new Date(nowMs).toISOString()]
  const rows = items.map(valuesOf)
  assert(
    rows.every((row) => row.length === ITEM_COLUMNS),
    'an item has a value for each column of commit_batch',
  )
  for (let column = 0; column < ITEM_COLUMNS; column++) parameters.push(arrayLiteral(rows, column))
  const transfers = items.flatMap((item, index) => item.transfers.map((transfer) => transferValuesOf(transfer, index + 1)))
  for (let column = 0; column < TRANSFER_COLUMNS; column++) parameters.push(arrayLiteral(transfers, column) ?? '{}')
  return parameters
}

/** One for each column, in the order of `commit_batch`. */
function valuesOf(item: CommitItem): Value[] {
  const { movement, second, original, cardUpdate, verification } = item
  const counter = movement?.counter
  return [
    quoted(item.key),
    item.keyDate,
    item.mti,
    item.kind,
    item.body,
    quoted(item.cardToken),
    quoted(item.terminalId),
    item.merchantId,
    quoted(item.rrn),
    item.requested,
    item.approved,
    quoted(item.responseCode),
    quoted(item.reason),
    quoted(item.approvalCode),
    movement?.purseId ?? null,
    movement?.gate ?? null,
    item.transfers.length > 0,
    movement?.delta ?? null,
    movement?.heldDelta ?? null,
    movement?.balanceMax ?? null,
    counter?.day ?? null,
    counter ? LIMIT_GROUP[counter.group] : null,
    counter?.amount ?? null,
    counter?.count ?? null,
    counter?.amountMax ?? null,
    counter?.countMax ?? null,
    quoted(original?.key ?? null),
    original?.keyDate ?? null,
    original?.linked ?? null,
    item.fromSuspense,
    quoted(item.holdExpiresAt),
    item.holdUsed === 0 ? null : item.holdUsed,
    item.quantity,
    movement?.cycle ?? null,
    nonZero(movement?.setMarks),
    nonZero(movement?.clearMarks),
    quoted(movement?.items?.added.join(',') ?? null),
    quoted(movement?.items?.max.join(',') ?? null),
    second?.purseId ?? null,
    second?.gate ?? null,
    second?.delta ?? null,
    cardUpdate === null ? null : CARD_CHANGE[cardUpdate.change],
    quoted(cardUpdate?.token ?? null),
    quoted(cardUpdate?.raise.join(',') ?? raisedByPin(verification)),
    cardUpdate?.tries ?? null,
    quoted(cardUpdate?.triesResponse ?? null),
    quoted(cardUpdate?.triesReason ?? null),
    verification?.atc ?? null,
    pinChange(verification?.pin ?? null),
    verification?.pin === 'wrong' ? verification.pinTriesMax : null,
    quoted(verification?.pinReference ?? null),
    quoted((verification?.pin ?? null) === null ? null : (verification?.checkedReference ?? null)),
    verification?.scriptSent === true ? true : null,
    quoted(item.stoodInAt ?? null),
  ]
}

function pinChange(pin: VerificationRecord['pin']): number | null {
  return pin === null ? null : PIN_CHANGE[pin]
}

function raisedByPin(verification: VerificationRecord | null): string | null {
  return verification === null || verification.raise.length === 0 ? null : verification.raise.join(',')
}

/** @param item its number, from 1; negative where the transfer is of the second purse */
function transferValuesOf(transfer: Transfer, item: number): Value[] {
  const { second, debitCode, debitOwner, creditCode, creditOwner, unit, amount } = transfer
  return [second === true ? -item : item, debitCode, debitOwner, creditCode, creditOwner, unit, amount]
}

/** PostgreSQL manual 8.15.6, array literals; written here because the driver's own writer is several times slower. */
function arrayLiteral(rows: readonly (readonly Value[])[], column: number): string | null {
  // Most columns are null throughout: nothing is written for those.
  const isNull = rows.every((row) => row[column] === null)
  return isNull ? null : `{${rows.map((row) => row[column] ?? 'NULL').join(',')}}`
}

function quoted(text: string | null): string | null {
  return text === null ? null : '"' + (/["\\]/.test(text) ? text.replace(/["\\]/g, '\\$&') : text) + '"'
}

function nonZero(bits: number | undefined): number | null {
  return bits === undefined || bits === 0 ? null : bits
}
