/** Finds holds whose time is over. */
import type { LedgerConnection, Statement } from './connection.ts'

const EXPIRED: Statement = {
  name: 'expired_holds',
  text: 'SELECT key, key_date::text FROM hold WHERE shard = $1 AND remaining > 0 AND expires_at < $2 ORDER BY expires_at LIMIT $3',
}

/** @returns the authorizations whose holds are to be released, oldest first */
export async function expiredHolds(
  connection: LedgerConnection,
  shard: number,
  nowMs: number,
  countMax: number,
): Promise<{ key: string; keyDate: string }[]> {
  const { rows } = await connection.run<{ key: string; key_date: string }>(EXPIRED, [
    shard,
    new Date(nowMs).toISOString(),
    countMax,
  ])
  return rows.map((row) => ({ key: row.key, keyDate: row.key_date }))
}
