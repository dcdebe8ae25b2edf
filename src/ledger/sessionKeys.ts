/** Keys that peers sent, as the ledger keeps them: key blocks, so that every process can take them over. */
import type { LedgerConnection, Statement } from './connection.ts'

export interface SessionKey {
  /** The configured key that it takes the place of. */
  readonly base: string
  readonly generation: number
  /** Its own name in the key store. */
  readonly name: string
  readonly kcv: string
  /** X9.143 key block, and the name of the key that protects it. */
  readonly block: string
  readonly under: string
  readonly sinceMs: number
}

interface Row extends Omit<SessionKey, 'sinceMs'> {
  readonly since: Date
}

/** Of each base the last two. */
const READ_SESSION_KEYS: Statement = {
  name: 'read_session_keys',
  text: `SELECT base, generation, name, kcv, block, under, since FROM session_key k
    WHERE generation > (SELECT max(generation) - 2 FROM session_key m WHERE m.base = k.base) ORDER BY base, generation`,
}

/**
 * Two processes that are sent a key for the same base at once get a generation each: the primary key sees to it. A key that was there before
 * does not come back, so that who recorded its block cannot bring it into force again.
 */
const ADD_SESSION_KEY: Statement = {
  name: 'add_session_key',
  text: `INSERT INTO session_key (base, generation, name, kcv, block, under, since)
    SELECT $1, coalesce(max(generation), 0) + 1, $2, $3, $4, $5, $6 FROM session_key WHERE base = $1
    HAVING coalesce(bool_and(kcv <> $3), true) RETURNING generation`,
}

/** @returns for each base the key in force and the one before it, oldest first */
export async function readSessionKeys(connection: LedgerConnection): Promise<SessionKey[]> {
  const { rows } = await connection.run<Row>(READ_SESSION_KEYS, [])
  return rows.map(({ since, ...key }) => ({ ...key, sinceMs: since.getTime() }))
}

/** @returns whether it was added: false where this base has had a key with this check value before */
export async function addSessionKey(connection: LedgerConnection, key: Omit<SessionKey, 'generation'>): Promise<boolean> {
  const { base, name, kcv, block, under, sinceMs } = key
  const { rows } = await connection.run(ADD_SESSION_KEY, [base, name, kcv, block, under, new Date(sinceMs).toISOString()])
  return rows.length > 0
}
