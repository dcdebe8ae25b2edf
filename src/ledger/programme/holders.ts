/** Whom a card belongs to, as far as a clerk has to find out: tokens of national ID and mobile, never those themselves; and where cards are collected. */
import type { CardToken } from '../../card.ts'
import type { Statement } from '../connection.ts'
import type { SqlTransaction } from './desk.ts'

export interface Identity {
  readonly personId: number
  readonly birthDate: string
  readonly head: boolean
  readonly died: boolean
  readonly nationalIdToken: string | null
  readonly mobileToken: string | null
}

const IDENTITY = `
  SELECT p.id::float8 AS "personId", p.birth_date::text AS "birthDate", p.head, p.died_on IS NOT NULL AS died,
    s.national_id_token AS "nationalIdToken", s.mobile_token AS "mobileToken"
  FROM person p LEFT JOIN person_secret s ON s.shard = p.shard AND s.person_id = p.id`

const READ_IDENTITY: Statement = { name: 'read_identity', text: `${IDENTITY} WHERE p.shard = $1 AND p.id = $2 FOR SHARE OF p` }
const READ_HEAD: Statement = {
  name: 'read_head_identity',
  text: `${IDENTITY} WHERE p.shard = $1 AND p.household_id = $2 AND p.head`,
}

export async function readIdentity(tx: SqlTransaction, personId: number): Promise<Identity | undefined> {
  return tx.row<Identity>(READ_IDENTITY, [tx.shard, personId])
}

export async function readHead(tx: SqlTransaction, householdId: number): Promise<Identity | undefined> {
  return tx.row<Identity>(READ_HEAD, [tx.shard, householdId])
}

export interface SealedNumber {
  readonly keyId: string
  readonly pan: Buffer
}

const READ_NUMBER: Statement = {
  name: 'read_sealed_card_number',
  text: 'SELECT key_id AS "keyId", pan FROM card_secret WHERE shard = $1 AND token = $2',
}

/** Undefined where the card's number is not kept. */
export async function readSealedNumber(tx: SqlTransaction, token: CardToken): Promise<SealedNumber | undefined> {
  return tx.row<SealedNumber>(READ_NUMBER, [tx.shard, token])
}
