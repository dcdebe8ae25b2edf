/** What treasury and fund owe for the days (`claim`), and what they have paid of it (migrations/0019_bank.sql). */
import type { Statement } from '../connection.ts'
import type { SqlTransaction } from '../programme/desk.ts'

/** Of a business day, a payer's account, a service and a governorate. Amounts are piasters. */
export interface Claim {
  readonly day: string
  readonly payer: number
  /** Kind of purse; 0 where it is of none. */
  readonly service: number
  readonly governorate: number
  readonly units: number
  readonly amount: number
  readonly paid: number
}

const LOCK_PAYER: Statement = { name: 'lock_payer', text: 'SELECT pg_advisory_xact_lock(8587, $1::int)' }

const PAID = `
  LEFT JOIN LATERAL (
    SELECT coalesce(sum(p.amount), 0) AS paid FROM claim_payment p
    WHERE p.shard = c.shard AND p.day = c.day AND p.payer_code = c.payer_code AND p.service = c.service AND p.governorate = c.governorate
  ) p ON true`
const LIST: Statement = {
  name: 'list_claims',
  text: `
    SELECT c.day::text, c.payer_code AS payer, c.service, c.governorate, c.units::float8, c.amount::float8, p.paid::float8
    FROM claim c ${PAID}
    WHERE c.shard = $1 AND c.day >= $2 AND c.day <= $3 AND ($4::smallint IS NULL OR c.payer_code = $4)
      AND (c.day, c.payer_code, c.service, c.governorate) > ($5::date, $6::smallint, $7::smallint, $8::smallint)
      AND (NOT $10::boolean OR c.amount <> p.paid)
    ORDER BY c.day, c.payer_code, c.service, c.governorate LIMIT $9`,
}
const TOTALS: Statement = {
  name: 'total_claims',
  text: `
    SELECT c.payer_code AS payer, sum(c.amount)::float8 AS amount, sum(p.paid)::float8 AS paid, min(c.day) FILTER (WHERE c.amount <> p.paid)::text AS "openSince"
    FROM claim c ${PAID}
    WHERE c.shard = $1 AND c.day >= $2 AND c.day <= $3 AND ($4::smallint IS NULL OR c.payer_code = $4)
    GROUP BY c.payer_code ORDER BY c.payer_code`,
}
const OPEN_DAYS: Statement = {
  name: 'open_claim_days',
  text: `
    SELECT c.payer_code AS payer, c.day::text, sum(c.amount - p.paid)::float8 AS open
    FROM claim c ${PAID}
    WHERE c.shard = $1 AND c.day >= $2 AND c.day <= $3
    GROUP BY c.payer_code, c.day HAVING sum(c.amount - p.paid) > 0 ORDER BY c.day, c.payer_code`,
}
const ADD_RECEIPT: Statement = {
  name: 'add_claim_receipt',
  text: 'INSERT INTO claim_receipt (shard, key, payer_code, amount, received_on) VALUES ($1, $2, $3, $4, $5)',
}
const ADD_PAYMENTS: Statement = {
  name: 'add_claim_payments',
  text: `
    INSERT INTO claim_payment (shard, key, day, payer_code, service, governorate, amount)
    SELECT $1, $2, p.day, $3, p.service, p.governorate, p.amount
    FROM unnest($4::date[], $5::smallint[], $6::smallint[], $7::bigint[]) AS p(day, service, governorate, amount)`,
}

/** Until the SQL transaction ends nobody else says what this payer has paid. */
export async function lockPayer(tx: SqlTransaction, payer: number): Promise<void> {
  await tx.row(LOCK_PAYER, [payer])
}

/** Place of a claim in the order of lists. */
export type ClaimPlace = Pick<Claim, 'day' | 'payer' | 'service' | 'governorate'>

const BEGINNING: ClaimPlace = { day: '0001-01-01', payer: 0, service: 0, governorate: 0 }

export interface ClaimRange {
  readonly from: string
  readonly until: string
  readonly payer?: number | undefined
}

export interface ClaimPage {
  readonly after?: ClaimPlace | undefined
  readonly limit: number
  /** Only those that are not paid. */
  readonly open?: boolean
}

export function listClaims(
  tx: SqlTransaction,
  { from, until, payer }: ClaimRange,
  { after = BEGINNING, limit, open = false }: ClaimPage,
): Promise<Claim[]> {
  const place = [after.day, after.payer, after.service, after.governorate]
  return tx.rows<Claim>(LIST, [tx.shard, from, until, payer ?? null, ...place, limit, open])
}

export interface ClaimTotal {
  readonly payer: number
  readonly amount: number
  readonly paid: number
  /** The first day of which something is open. */
  readonly openSince: string | null
}

export function totalClaims(tx: SqlTransaction, { from, until, payer }: ClaimRange): Promise<ClaimTotal[]> {
  return tx.rows<ClaimTotal>(TOTALS, [tx.shard, from, until, payer ?? null])
}

/** Of a payer and a day; more than 0. */
export interface OpenDay {
  readonly payer: number
  readonly day: string
  readonly open: number
}

export function openClaimDays(tx: SqlTransaction, from: string, until: string): Promise<OpenDay[]> {
  return tx.rows<OpenDay>(OPEN_DAYS, [tx.shard, from, until])
}

export interface ClaimReceipt {
  /** Of its posting. */
  readonly key: string
  readonly payer: number
  readonly amount: number
  readonly receivedOn: string
  /** Of which claims it is; they come to its amount. */
  readonly payments: readonly (ClaimPlace & { readonly amount: number })[]
}

/** Of a payer that is locked. */
export async function addReceipt(tx: SqlTransaction, { key, payer, amount, receivedOn, payments }: ClaimReceipt): Promise<void> {
  await tx.row(ADD_RECEIPT, [tx.shard, key, payer, amount, receivedOn])
  await tx.row(ADD_PAYMENTS, [
    tx.shard,
    key,
    payer,
    payments.map(({ day }) => day),
    payments.map(({ service }) => service),
    payments.map(({ governorate }) => governorate),
    payments.map((payment) => payment.amount),
  ])
}
