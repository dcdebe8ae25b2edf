/** Rows of cards that are ordered. */
import type { CardRole, CardToken } from '../../card.ts'
import type { Statement } from '../connection.ts'
import type { SqlTransaction } from './desk.ts'

export interface NewCardRow {
  readonly token: CardToken
  readonly masked: string
  readonly personId: number
  readonly householdId: number
  readonly role: CardRole
  /** YYMM. */
  readonly expiry: string
  readonly keyId: string
  readonly sealedPan: Buffer
}

const INSERT_CARD: Statement = {
  name: 'insert_card',
  text: `
    INSERT INTO card (shard, token, masked, household_id, person_id, role, state, expiry) VALUES ($1, $2, $3, $4, $5, $6, 'ORDERED', $7)
    ON CONFLICT (shard, token) DO NOTHING RETURNING token`,
}
const INSERT_CARD_SECRET: Statement = {
  name: 'insert_card_secret',
  text: 'INSERT INTO card_secret (shard, token, key_id, pan) VALUES ($1, $2, $3, $4)',
}

/** @returns false where somebody has this number already: take another */
export async function insertCard(tx: SqlTransaction, card: NewCardRow): Promise<boolean> {
  const { token, masked, householdId, personId, role, expiry, keyId, sealedPan } = card
  const row = await tx.row(INSERT_CARD, [tx.shard, token, masked, householdId, personId, role, expiry])
  if (row === undefined) return false
  await tx.row(INSERT_CARD_SECRET, [tx.shard, token, keyId, sealedPan])
  return true
}

export interface CardHolder {
  readonly personId: number
  readonly householdId: number
  readonly governorate: number
  readonly head: boolean
  readonly birthDate: string
  readonly died: boolean
}

const READ_HOLDER: Statement = {
  name: 'read_card_holder',
  text: `
    SELECT p.id::float8 AS "personId", p.household_id::float8 AS "householdId", h.governorate, p.head, p.birth_date::text AS "birthDate",
      p.died_on IS NOT NULL AS died
    FROM person p JOIN household h ON h.shard = p.shard AND h.id = p.household_id
    WHERE p.shard = $1 AND p.id = $2 FOR SHARE OF p`,
}

/** @returns undefined where there is no such person; else the row is locked against a change of whom it belongs to */
export async function readHolder(tx: SqlTransaction, personId: number): Promise<CardHolder | undefined> {
  return tx.row<CardHolder>(READ_HOLDER, [tx.shard, personId])
}
