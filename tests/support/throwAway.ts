/**
 * A Postgres that nobody needs tomorrow: it may lose everything when the machine crashes, but nothing when a process
 * is killed, because the system keeps what was written. So tests that kill processes prove the same with it.
 */
export const THROW_AWAY_SETTINGS: Readonly<Record<string, string>> = {
  fsync: 'off',
  full_page_writes: 'off',
  shared_buffers: '128MB',
  min_wal_size: '64MB',
  max_wal_size: '1GB',
  max_connections: '200',
}
