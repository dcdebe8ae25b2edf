/** Versions of the programme's rules that were stored beside those of the file. */
import type { LedgerConnection, Statement } from '../connection.ts'
import type { SqlTransaction } from './desk.ts'

export interface StoredVersion {
  /** Later ones have higher numbers, and hold before others with the same first day. */
  readonly number: number
  /** First Cairo day. */
  readonly validFrom: string
  /** One of the versions of config/programme.json, as it was stored. */
  readonly parameters: Readonly<Record<string, unknown>>
  readonly storedAtMs: number
  readonly storedBy: string
}

interface VersionRow {
  readonly number: number
  readonly validFrom: string
  readonly parameters: Readonly<Record<string, unknown>>
  readonly storedAtMs: number
  readonly storedBy: string
}

const READ_VERSIONS: Statement = {
  name: 'read_programme_versions',
  text: `
    SELECT number::float8 AS number, valid_from::text AS "validFrom", parameters, stored_by AS "storedBy",
      extract(epoch FROM stored_at)::float8 * 1000 AS "storedAtMs"
    FROM programme_version ORDER BY number`,
}
// Readers go on; whoever stores one waits for the other.
const LOCK_VERSIONS: Statement = {
  name: 'lock_programme_versions',
  text: 'LOCK TABLE programme_version IN SHARE ROW EXCLUSIVE MODE',
}
const ADD_VERSION: Statement = {
  name: 'add_programme_version',
  text: `
    INSERT INTO programme_version (valid_from, parameters, stored_at, stored_by) VALUES ($1, $2, $3, $4)
    RETURNING number::float8 AS number`,
}

/** Oldest first. */
export async function readProgrammeVersions(connection: LedgerConnection): Promise<StoredVersion[]> {
  return (await connection.run<VersionRow & Record<string, unknown>>(READ_VERSIONS, [])).rows
}

/** The same, within a SQL transaction. */
export function versionsIn(tx: SqlTransaction): Promise<StoredVersion[]> {
  return tx.rows<VersionRow>(READ_VERSIONS, [])
}

/** The same, and until its end nobody else stores one. */
export async function lockVersions(tx: SqlTransaction): Promise<StoredVersion[]> {
  await tx.row(LOCK_VERSIONS, [])
  return versionsIn(tx)
}

/** @returns its number */
export async function addVersion(tx: SqlTransaction, validFrom: string, parameters: object, storedBy: string): Promise<number> {
  const values = [validFrom, JSON.stringify(parameters), new Date(tx.nowMs).toISOString(), storedBy]
  const row = await tx.row<{ number: number }>(ADD_VERSION, values)
  return row?.number ?? 0
}
