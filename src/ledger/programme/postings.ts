/** Postings that no message makes: fees of cards, adjustments of entitlements, disputes. They go the one way into the ledger, inside the desk's SQL transaction. */
import { assert } from '../../assert.ts'
import { utcDay } from '../../clock.ts'
import { movementOf, NOTHING_TO_POST, type Posting, type Transfer } from '../../decision/posting.ts'
import { COMMIT_GUARDS, commitParameterCount, commitParameters, type CommitGuard, type CommitItem } from '../commitItem.ts'
import type { Statement } from '../connection.ts'
import type { SqlTransaction } from './desk.ts'

export interface DeskPosting {
  readonly kind: number
  readonly key: string
  readonly cardToken: string | null
  /** A purse that is locked already. */
  readonly purseId: number
  /** What of the purse can be spent changes by it. */
  readonly delta: number
  /** Piasters, or units of an entitlement. */
  readonly amount: number
  /** What moves in the purse where that is not the amount. */
  readonly quantity: number | null
  readonly transfers: readonly Transfer[]
  /** An earlier decision that nothing has followed yet. */
  readonly original?: { readonly key: string; readonly keyDate: string }
  /** The month in which the purse must be; absent: whichever. */
  readonly cycle?: string | null
}

const COMMIT: Statement = {
  name: 'commit_desk_posting',
  text: `SELECT outcome FROM commit_batch(${Array.from({ length: commitParameterCount() }, (_, i) => `$${String(i + 1)}`).join(',')})`,
}

/** @returns what stood in the way; undefined where it is posted */
export async function postAtDesk(tx: SqlTransaction, deskPosting: DeskPosting): Promise<CommitGuard | undefined> {
  const { purseId, delta, amount, quantity, transfers, original, cycle = null, ...named } = deskPosting
  return postDecision(tx, {
    ...named,
    merchantId: null,
    amount,
    posting: {
      ...NOTHING_TO_POST,
      movement: { ...movementOf(purseId, null, delta), cycle },
      transfers,
      original: original === undefined ? null : { ...original, linked: 0 },
      quantity,
    },
  })
}

/** What the desk has decided about an earlier decision, in the same terms as a message's. */
export interface DeskDecision {
  readonly kind: number
  readonly key: string
  readonly cardToken: string | null
  readonly merchantId: number | null
  /** Piasters, or units of an entitlement. */
  readonly amount: number
  /** Of purses that are locked already. It changes no card. */
  readonly posting: Posting
}

/** @returns what stood in the way; undefined where it is posted */
export async function postDecision(
  tx: SqlTransaction,
  { kind, key, cardToken, merchantId, amount, posting }: DeskDecision,
): Promise<CommitGuard | undefined> {
  const item: CommitItem = {
    ...posting,
    cardUpdate: null,
    key,
    keyDate: utcDay(tx.nowMs),
    mti: 0,
    kind,
    body: null,
    cardToken,
    terminalId: null,
    merchantId,
    rrn: null,
    requested: amount,
    approved: amount,
    responseCode: '00',
    reason: null,
    approvalCode: null,
    verification: null,
  }
  const row = await tx.row<{ outcome: string }>(COMMIT, commitParameters(tx.shard, tx.nowMs, [item]))
  const outcome = Number(row?.outcome)
  if (outcome === 0) return undefined
  const guard = COMMIT_GUARDS[outcome]
  assert(guard !== undefined, 'a posting of the desk has a key of its own')
  return guard
}

export interface DeskPurse {
  readonly id: number
  readonly balance: number
}

// Cash is kind 1 of every programme (0001_registry.sql).
const READ_CASH: Statement = {
  name: 'read_cash_purse',
  text: `
    SELECT id::float8, balance::float8 FROM purse
    WHERE shard = $1 AND household_id = $2 AND person_id = $3 AND kind = 1`,
}
const OPEN_CASH: Statement = {
  name: 'open_cash_purse',
  text: `
    INSERT INTO purse (shard, id, kind, unit, household_id, person_id) SELECT $1, $3, kind, unit, $2, $3 FROM purse_kind WHERE kind = 1
    RETURNING id::float8, balance::float8`,
}
const READ_ENTITLEMENT: Statement = {
  name: 'read_entitlement_purse',
  text: `
    SELECT id::float8, balance::float8, cycle::text FROM purse
    WHERE shard = $1 AND household_id = $2 AND kind = $3 AND person_id IS NULL`,
}

/** The person's cash purse. The household's purses are locked; one that is not there yet is opened: its id is the person's. */
export async function cashPurseOf(tx: SqlTransaction, householdId: number, personId: number): Promise<DeskPurse> {
  const values = [tx.shard, householdId, personId]
  const purse = (await tx.row<DeskPurse>(READ_CASH, values)) ?? (await tx.row<DeskPurse>(OPEN_CASH, values))
  assert(purse !== undefined, 'a person has a cash purse')
  return purse
}

/** A purse of the household by its kind; undefined where it has none. */
export async function entitlementPurse(
  tx: SqlTransaction,
  householdId: number,
  kind: number,
): Promise<(DeskPurse & { readonly cycle: string | null }) | undefined> {
  return tx.row<DeskPurse & { readonly cycle: string | null }>(READ_ENTITLEMENT, [tx.shard, householdId, kind])
}
