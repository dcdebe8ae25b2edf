/** Bank accounts of merchants (migrations/0018_payouts.sql): versions, of which one may be in force and one may be proposed. */
import { assert } from '../../assert.ts'
import type { Statement } from '../connection.ts'
import type { SqlTransaction } from '../programme/desk.ts'

export interface BankAccountRow {
  readonly version: number
  readonly iban: string
  readonly bic: string | null
  readonly holderName: string
  readonly madeBy: string
  readonly madeAt: Date
}

export type NewBankAccount = Pick<BankAccountRow, 'iban' | 'bic' | 'holderName' | 'madeBy'>

const LOCK_MERCHANT: Statement = {
  name: 'lock_paid_merchant',
  text: `SELECT id::text FROM merchant WHERE acceptor_id = $1 FOR NO KEY UPDATE`,
}
const MERCHANT_ID: Statement = { name: 'read_merchant_id', text: `SELECT id::text FROM merchant WHERE acceptor_id = $1` }
const READ: Statement = {
  name: 'read_bank_account',
  text: `
    SELECT version, iban, bic, holder_name AS "holderName", made_by AS "madeBy", made_at AS "madeAt"
    FROM merchant_bank_account WHERE merchant_id = $1 AND state = $2`,
}
const PROPOSE: Statement = {
  name: 'propose_bank_account',
  text: `
    INSERT INTO merchant_bank_account (merchant_id, version, iban, bic, holder_name, state, made_by, made_at)
    SELECT $1, 1 + coalesce(max(version), 0), $2, $3, $4, 'proposed', $5, $6
    FROM merchant_bank_account WHERE merchant_id = $1
    RETURNING version`,
}
const REPLACE: Statement = {
  name: 'replace_bank_account',
  text: `UPDATE merchant_bank_account SET state = 'replaced' WHERE merchant_id = $1 AND state = 'in-force'`,
}
const DECIDE: Statement = {
  name: 'decide_bank_account',
  text: `
    UPDATE merchant_bank_account SET state = $3, decided_at = $4
    WHERE merchant_id = $1 AND version = $2 AND state = 'proposed' RETURNING version`,
}

/** Locks the merchant against whoever else changes how it is paid. @returns its number; undefined where there is no such merchant */
export async function lockPaidMerchant(tx: SqlTransaction, acceptorId: string): Promise<string | undefined> {
  return (await tx.row<{ id: string }>(LOCK_MERCHANT, [acceptorId]))?.id
}

/** The merchant's number; undefined where there is no such merchant. */
export async function merchantIdOf(tx: SqlTransaction, acceptorId: string): Promise<string | undefined> {
  return (await tx.row<{ id: string }>(MERCHANT_ID, [acceptorId]))?.id
}

export function readBankAccount(
  tx: SqlTransaction,
  merchantId: string,
  state: 'in-force' | 'proposed',
): Promise<BankAccountRow | undefined> {
  return tx.row<BankAccountRow & Record<string, unknown>>(READ, [merchantId, state])
}

/** Of a merchant that is locked and has no other proposed. @returns the version */
export async function addProposedAccount(tx: SqlTransaction, merchantId: string, account: NewBankAccount): Promise<number> {
  const { iban, bic, holderName, madeBy } = account
  const row = await tx.row<{ version: number }>(PROPOSE, [merchantId, iban, bic, holderName, madeBy, isoNow(tx)])
  assert(row !== undefined, 'an aggregate has a row')
  return row.version
}

/** Of a merchant that is locked. @returns false where that version is not proposed any more */
export async function decideAccount(tx: SqlTransaction, merchantId: string, version: number, agreed: boolean): Promise<boolean> {
  if (agreed) await tx.row(REPLACE, [merchantId])
  return (await tx.row(DECIDE, [merchantId, version, agreed ? 'in-force' : 'refused', isoNow(tx)])) !== undefined
}

function isoNow(tx: SqlTransaction): string {
  return new Date(tx.nowMs).toISOString()
}
