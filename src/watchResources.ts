/** What a switch depends on and cannot mend by itself, as measurements: disks, the Postgres server, the room in its queues. */
import { DiskWatch } from './diskWatch.ts'
import { ServerWatch, type ServerReading, type ServerWatchOptions } from './ledger/serverWatch.ts'
import type { Metrics } from './metrics.ts'

export interface ResourceOptions extends ServerWatchOptions {
  /** Of the switch's own, by name. */
  readonly directories: Readonly<Record<string, string>>
  /** Days on which banks have worked since a day, up to today. */
  readonly bankDaysSince: (day: string) => number
}

/** @returns what ends it */
export function watchResources(metrics: Metrics, options: ResourceOptions): () => Promise<void> {
  const disks = new DiskWatch(options)
  const server = new ServerWatch(options)
  watchDisks(metrics, disks)
  watchServer(metrics, server, options)
  disks.start()
  server.start()
  return async () => {
    disks.stop()
    await server.stop()
  }
}

function watchDisks(metrics: Metrics, disks: DiskWatch): void {
  const each = (part: 'freeBytes' | 'sizeBytes') => (): Record<string, number> =>
    Object.fromEntries([...disks.room].map(([name, room]) => [name, room[part]]))
  metrics.watchEach(
    'sarf_disk_free_bytes',
    'What may still be written to the disk under a directory',
    'directory',
    each('freeBytes'),
  )
  metrics.watchEach('sarf_disk_size_bytes', 'Size of the disk under a directory', 'directory', each('sizeBytes'))
}

function watchServer(metrics: Metrics, server: ServerWatch, { bankDaysSince }: ResourceOptions): void {
  // One server is seen by every worker: the worst that one of them saw.
  const watch = (
    name: string,
    help: string,
    read: (reading: ServerReading) => number | undefined,
    worst: 'max' | 'min' = 'max',
  ): void => {
    metrics.watch(`sarf_${name}`, help, () => (server.reading && read(server.reading)) ?? NaN, worst)
  }
  watch('postgres_database_bytes', 'Size of the database of the ledger', (reading) => reading.databaseBytes)
  watch(
    'postgres_wal_bytes',
    'Size of the WAL on the server; NaN where the role is not in pg_monitor',
    (reading) => reading.walBytes,
  )
  watch(
    'postgres_archiving',
    '1 where finished segments of the WAL are archived',
    (reading) => Number(reading.isArchiving),
    'min',
  )
  watch('postgres_archive_failing', '1 while the WAL cannot be archived', (reading) => Number(reading.isArchiveFailing))
  watch(
    'postgres_archived_seconds_ago',
    'Time since a segment of the WAL was archived; 0 where none are',
    (reading) => reading.archivedSecondsAgo,
  )
  watch('postgres_standbys', 'Standbys that are connected', (reading) => reading.standbys, 'min')
  watch('postgres_slot_lag_bytes', 'WAL kept for the replication slot that is furthest behind', (reading) => reading.slotLagBytes)
  watch('postgres_oldest_transaction_seconds', 'Age of the oldest SQL transaction', (reading) => reading.oldestTransactionSeconds)
  watch(
    'postgres_unfrozen_transactions',
    'Transactions since the oldest row that is not frozen',
    (reading) => reading.unfrozenTransactions,
  )
  watch(
    'jobs_failing',
    'Jobs that have failed and are tried again, or were given up within a day',
    (reading) => reading.jobsFailing,
  )
  watch('notices_late_seconds', 'Wait of the notice that should have been sent first', (reading) => reading.noticesLateSeconds)
  watch(
    'payouts_unconfirmed_bank_days',
    'Bank days since the day for which a payout was sent that no statement of the bank has yet',
    ({ payoutsWaitSince }) => (payoutsWaitSince === undefined ? 0 : bankDaysSince(payoutsWaitSince)),
  )
}
