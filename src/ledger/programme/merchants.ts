/** Merchants (DE 42) as the API makes, lists and changes them. */
import type { MerchantState } from '../../transaction/terminal.ts'
import type { Statement } from '../connection.ts'
import type { SqlTransaction } from './desk.ts'

export interface RegisteredMerchant {
  /** DE 42. */
  readonly acceptorId: string
  readonly name: string
  /** ISO 18245. */
  readonly category: string
  readonly state: MerchantState
  /** 0: everywhere. */
  readonly governorate: number
  /** SHA-256 of the client certificate that its terminals' messages must come by; null: any, or none. */
  readonly certificate: string | null
  readonly version: number
}

export interface MerchantFilter {
  readonly state?: MerchantState | undefined
  readonly category?: string | undefined
  readonly governorate?: number | undefined
}

const COLUMNS = `acceptor_id AS "acceptorId", name, category, state, governorate, certificate, version::float8 AS version`

const READ_MERCHANT: Statement = { name: 'read_merchant', text: `SELECT ${COLUMNS} FROM merchant WHERE acceptor_id = $1` }
const LOCK_MERCHANT: Statement = {
  name: 'lock_merchant',
  text: `SELECT ${COLUMNS} FROM merchant WHERE acceptor_id = $1 FOR NO KEY UPDATE`,
}
const LIST_MERCHANTS: Statement = {
  name: 'list_merchants',
  text: `
    SELECT ${COLUMNS} FROM merchant
    WHERE acceptor_id > $1 AND ($3::text IS NULL OR state = $3) AND ($4::text IS NULL OR category = $4)
      AND ($5::smallint IS NULL OR governorate = $5)
    ORDER BY acceptor_id LIMIT $2`,
}
const ADD_MERCHANT: Statement = {
  name: 'add_merchant',
  text: `
    INSERT INTO merchant (id, acceptor_id, name, category, governorate, certificate)
    VALUES (nextval('merchant_number'), $1, $2, $3, $4, $5)
    ON CONFLICT (acceptor_id) DO NOTHING RETURNING ${COLUMNS}`,
}
const WRITE_MERCHANT: Statement = {
  name: 'write_merchant',
  text: `
    UPDATE merchant SET name = $2, category = $3, state = $4, governorate = $5, certificate = $6, version = version + 1
    WHERE acceptor_id = $1 RETURNING ${COLUMNS}`,
}

type Row = RegisteredMerchant & Record<string, unknown>

export function readMerchant(tx: SqlTransaction, acceptorId: string): Promise<RegisteredMerchant | undefined> {
  return tx.row<Row>(READ_MERCHANT, [acceptorId])
}

export function lockMerchant(tx: SqlTransaction, acceptorId: string): Promise<RegisteredMerchant | undefined> {
  return tx.row<Row>(LOCK_MERCHANT, [acceptorId])
}

/** By DE 42, those after `after`, at most `countMax`. */
export function listMerchants(
  tx: SqlTransaction,
  after: string,
  countMax: number,
  { state, category, governorate }: MerchantFilter,
): Promise<RegisteredMerchant[]> {
  return tx.rows<Row>(LIST_MERCHANTS, [after, countMax, state ?? null, category ?? null, governorate ?? null])
}

/** @returns undefined where DE 42 is another's already */
export function addMerchant(
  tx: SqlTransaction,
  { acceptorId, name, category, governorate, certificate }: Omit<RegisteredMerchant, 'state' | 'version'>,
): Promise<RegisteredMerchant | undefined> {
  return tx.row<Row>(ADD_MERCHANT, [acceptorId, name, category, governorate, certificate])
}

/** Writes one that is locked. */
export function writeMerchant(tx: SqlTransaction, merchant: RegisteredMerchant): Promise<RegisteredMerchant | undefined> {
  const { acceptorId, name, category, state, governorate, certificate } = merchant
  return tx.row<Row>(WRITE_MERCHANT, [acceptorId, name, category, state, governorate, certificate])
}
