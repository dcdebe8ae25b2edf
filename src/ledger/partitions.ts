/** Makes sure that the ledger has partitions for every date a key may have. */
import type { LedgerConnection, Statement } from './connection.ts'

const ENSURE: Statement = { name: 'ensure_partitions', text: 'SELECT ensure_partitions($1::date, $2) AS created' }

const DAY_MS = 86_400_000

/** From the oldest month that the retention window reaches to `aheadMonths` after the current one. */
export async function ensurePartitions(
  connection: LedgerConnection,
  nowMs: number,
  retentionDays: number,
  aheadMonths: number,
): Promise<number> {
  const first = new Date(nowMs - retentionDays * DAY_MS)
  const now = new Date(nowMs)
  const months = (now.getUTCFullYear() - first.getUTCFullYear()) * 12 + now.getUTCMonth() - first.getUTCMonth() + 1 + aheadMonths
  const { rows } = await connection.run<{ created: number }>(ENSURE, [first.toISOString().slice(0, 10), months])
  return rows[0]?.created ?? 0
}
