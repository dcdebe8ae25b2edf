/**
 * Which Redis and which history of the ledger the epoch of a shard belongs to, by compare-and-set: of two processes that see the same change one
 * moves it on. A ledger that was restored, or that a standby went on with, has another history (see migration 0026): it may have lost what Redis knows.
 */
import type { EpochStore } from '../decision/agreedEpoch.ts'
import type { LedgerConnection, Statement } from './connection.ts'

interface EpochRow {
  readonly epoch: string
  readonly redis_run_id: string
  readonly redis_replication_id: string
  readonly is_other_history: boolean
}

const READ: Statement = {
  name: 'read_epoch',
  text: `SELECT epoch, redis_run_id, redis_replication_id, ledger_history IS DISTINCT FROM ledger_history() AS is_other_history
         FROM shard_epoch WHERE shard = $1`,
}

const FIRST: Statement = {
  name: 'first_epoch',
  text: `INSERT INTO shard_epoch (shard, epoch, redis_run_id, redis_replication_id, ledger_history)
         VALUES ($1, $2, $3, $4, ledger_history()) ON CONFLICT DO NOTHING`,
}

const ADVANCE: Statement = {
  name: 'advance_epoch',
  text: `UPDATE shard_epoch SET epoch = $2, redis_run_id = $3, redis_replication_id = $4, ledger_history = ledger_history()
         WHERE shard = $1 AND epoch = $5`,
}

export function epochStore(connection: LedgerConnection): EpochStore {
  return {
    async agree(shard, redis) {
      for (;;) {
        const { rows } = await connection.run<EpochRow>(READ, [shard])
        const row = rows[0]
        if (row === undefined) {
          const first = (redis.known ?? 0) + 1
          const { rowCount } = await connection.run(FIRST, [shard, first, redis.runId, redis.replicationId])
          if (rowCount === 1) return first
          continue
        }
        const stored = Number(row.epoch)
        const sameRedis = row.redis_run_id === redis.runId && row.redis_replication_id === redis.replicationId
        if (sameRedis && !row.is_other_history && redis.known === stored) return stored
        const next = Math.max(stored, redis.known ?? 0) + 1
        const { rowCount } = await connection.run(ADVANCE, [shard, next, redis.runId, redis.replicationId, stored])
        if (rowCount === 1) return next
      }
    },
  }
}
