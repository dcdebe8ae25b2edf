/** Postings that move no purse: payouts, receipts, cash of machines, suspense (migrations/0017_business_day.sql). What moves a purse goes through commit_batch. */
import type { Statement } from '../connection.ts'
import type { SqlTransaction } from '../programme/desk.ts'

/** From one account of the chart to another, piasters. */
export interface BookTransfer {
  readonly debitCode: number
  readonly debitOwner: number
  readonly creditCode: number
  readonly creditOwner: number
  readonly amount: number
}

export interface BookEntry {
  /** Unique for ever: what makes the posting happen once. */
  readonly key: string
  /** `payout`, `receipt`: joined by hyphens. */
  readonly kind: string
  /** Its own date, `2026-11-27`, where it has one. */
  readonly valueDate: string | null
  readonly reference: string | null
  readonly madeBy: string
  readonly note: string | null
  readonly transfers: readonly BookTransfer[]
}

const POST: Statement = {
  name: 'post_book',
  text: `
    SELECT key FROM post_book($1, $2, $3::text[], $4::text[], $5::date[], $6::text[], $7::text[], $8::text[],
      $9::int[], $10::smallint[], $11::bigint[], $12::smallint[], $13::bigint[], $14::bigint[]) AS key`,
}

/**
 * Posts entries; one whose key is there already is left alone.
 *
 * @returns the keys that are new
 * @throws pg's DatabaseError for an account of a purse, or an amount that is not above zero
 */
export async function postBook(tx: SqlTransaction, entries: readonly BookEntry[]): Promise<ReadonlySet<string>> {
  if (entries.length === 0) return new Set()
  const transfers = entries.flatMap((entry, index) => entry.transfers.map((transfer) => ({ ...transfer, entry: index + 1 })))
  const rows = await tx.rows<{ key: string }>(POST, [
    tx.shard,
    new Date(tx.nowMs).toISOString(),
    entries.map(({ key }) => key),
    entries.map(({ kind }) => kind),
    entries.map(({ valueDate }) => valueDate),
    entries.map(({ reference }) => reference),
    entries.map(({ madeBy }) => madeBy),
    entries.map(({ note }) => note),
    transfers.map(({ entry }) => entry),
    transfers.map(({ debitCode }) => debitCode),
    transfers.map(({ debitOwner }) => debitOwner),
    transfers.map(({ creditCode }) => creditCode),
    transfers.map(({ creditOwner }) => creditOwner),
    transfers.map(({ amount }) => amount),
  ])
  return new Set(rows.map(({ key }) => key))
}
