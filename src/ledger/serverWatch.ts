/**
 * The state of the Postgres server in so far as it decides whether the ledger can go on and could be restored: sizes, archiving, replication, what holds
 * up vacuum; and the work that waits in its tables. Read every so often by a connection of its own, never when a message or a measurement is asked for. What the role may not read is left out:
 * the size of the WAL and other roles' SQL transactions need `pg_monitor` (PostgreSQL manual, 21.5).
 */
import type { Clock } from '../clock.ts'
import { errorText, type Logger } from '../log.ts'
import { LedgerConnection, sqlState, type Statement } from './connection.ts'

export interface ServerReading {
  readonly databaseBytes: number
  /** Undefined where the role may not read it. */
  readonly walBytes: number | undefined
  readonly isArchiving: boolean
  /** The last segment of the WAL that was tried could not be archived. */
  readonly isArchiveFailing: boolean
  /** Since the last segment was archived; 0 where none are. */
  readonly archivedSecondsAgo: number
  /** Standbys that are connected. */
  readonly standbys: number
  /** WAL that is kept for the replication slot that is furthest behind. */
  readonly slotLagBytes: number
  readonly oldestTransactionSeconds: number
  /** Transactions since the oldest row that is not frozen: at two thousand million the server takes no more writes. */
  readonly unfrozenTransactions: number
  /** How long the notice has waited that should have been sent first. */
  readonly noticesLateSeconds: number
  /** The day for which that payout was sent to the bank that has waited longest for its word; undefined where none waits. */
  readonly payoutsWaitSince: string | undefined
  /** Jobs that have failed and are tried again, or were given up within a day; undefined where no switch has run any yet. */
  readonly jobsFailing: number | undefined
}

export interface ServerWatchOptions {
  readonly url: string
  readonly everyMs: number
  readonly statementMs: number
  readonly reconnectMs: number
  readonly clock: Clock
  readonly log: Logger
}

interface ServerRow {
  readonly database_bytes: number
  readonly is_archiving: boolean
  readonly is_archive_failing: boolean
  readonly archived_seconds_ago: number
  readonly standbys: number
  readonly slot_lag_bytes: number
  readonly oldest_transaction_seconds: number
  readonly unfrozen_transactions: number
  readonly notices_late_seconds: number
  readonly payouts_wait_since: string | null
}

const READ_SERVER: Statement = {
  name: 'read_server',
  text: `
    SELECT pg_database_size(current_database())::float8 AS database_bytes,
      current_setting('archive_mode') <> 'off' AS is_archiving,
      current_setting('archive_mode') <> 'off'
        AND coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false) AS is_archive_failing,
      CASE WHEN current_setting('archive_mode') = 'off' THEN 0
        ELSE extract(epoch FROM clock_timestamp() - coalesce(last_archived_time, pg_postmaster_start_time())) END::float8 AS archived_seconds_ago,
      (SELECT count(*) FROM pg_stat_replication)::float8 AS standbys,
      (SELECT coalesce(max(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)), 0) FROM pg_replication_slots)::float8 AS slot_lag_bytes,
      (SELECT coalesce(extract(epoch FROM clock_timestamp() - min(xact_start)), 0) FROM pg_stat_activity
       WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid())::float8
        AS oldest_transaction_seconds,
      (SELECT age(datfrozenxid) FROM pg_database WHERE datname = current_database())::float8 AS unfrozen_transactions,
      (SELECT coalesce(greatest(extract(epoch FROM clock_timestamp() - min(next_attempt_at)), 0), 0) FROM notice
       WHERE next_attempt_at IS NOT NULL)::float8 AS notices_late_seconds,
      (SELECT min(r.execution_day)::text FROM payout_run r
       WHERE r.state IN ('posting', 'approved') AND EXISTS (SELECT FROM payout p WHERE p.shard = r.shard AND p.run_id = r.id AND p.state = 'paid'))
        AS payouts_wait_since
    FROM pg_stat_archiver`,
}

const READ_WAL: Statement = { name: 'read_wal', text: 'SELECT coalesce(sum(size), 0)::float8 AS value FROM pg_ls_waldir()' }

const READ_JOBS: Statement = {
  name: 'read_jobs',
  text: `SELECT count(*)::float8 AS value FROM jobs.job
         WHERE state = 'retry' OR (state = 'failed' AND completed_on > clock_timestamp() - interval '1 day')`,
}

/** Insufficient privilege; undefined table. */
const NOT_READABLE = ['42501', '42P01']

export class ServerWatch {
  readonly #options: ServerWatchOptions
  readonly #connection: LedgerConnection
  #reading: ServerReading | undefined
  #cancel: (() => void) | undefined
  #stopped = false

  constructor(options: ServerWatchOptions) {
    this.#options = options
    this.#connection = new LedgerConnection({ ...options, name: 'watch' })
  }

  start(): void {
    void this.#connection.open().then(() => this.#lookAgain())
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#cancel?.()
    await this.#connection.close()
  }

  /** Undefined where the server could not be asked the last time. */
  get reading(): ServerReading | undefined {
    return this.#reading
  }

  async #lookAgain(): Promise<void> {
    this.#reading = await this.#read().catch((error: unknown) => {
      this.#options.log.debug({ error: errorText(error) }, 'cannot read the state of the Postgres server')
      return undefined
    })
    if (this.#stopped) return
    const { clock, everyMs } = this.#options
    this.#cancel = clock.after(everyMs, () => void this.#lookAgain())
  }

  async #read(): Promise<ServerReading | undefined> {
    const { rows } = await this.#connection.run<ServerRow>(READ_SERVER, [])
    const [row] = rows
    if (row === undefined) return undefined
    return {
      databaseBytes: row.database_bytes,
      walBytes: await this.#ifReadable(READ_WAL),
      isArchiving: row.is_archiving,
      isArchiveFailing: row.is_archive_failing,
      archivedSecondsAgo: row.archived_seconds_ago,
      standbys: row.standbys,
      slotLagBytes: row.slot_lag_bytes,
      oldestTransactionSeconds: row.oldest_transaction_seconds,
      unfrozenTransactions: row.unfrozen_transactions,
      noticesLateSeconds: row.notices_late_seconds,
      payoutsWaitSince: row.payouts_wait_since ?? undefined,
      jobsFailing: await this.#ifReadable(READ_JOBS),
    }
  }

  async #ifReadable(statement: Statement): Promise<number | undefined> {
    try {
      const { rows } = await this.#connection.run<{ value: number }>(statement, [])
      return rows[0]?.value
    } catch (error) {
      if (NOT_READABLE.includes(sqlState(error) ?? '')) return undefined
      throw error
    }
  }
}
