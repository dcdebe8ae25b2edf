/**
 * A base backup of a running Postgres and its way back, by the low-level API (PostgreSQL manual, 26.3.4): pg_basebackup does the same, but is not among
 * the binaries that come with the tests. The WAL goes to an archive, segment by segment.
 */
import { copyFileSync, lstatSync, lchownSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Client } from 'pg'
import { unprivilegedAccount } from '../../src/local/account.ts'
import { startPostgres, type Postgres } from '../../src/local/postgres.ts'
import { temporaryDirectory } from './stack.ts'
import { until, type TestSwitch } from './switch.ts'
import { THROW_AWAY_SETTINGS } from './throwAway.ts'

/** A place for finished segments of the WAL, and the settings of a server that brings them there. */
export function createArchive(): { readonly directory: string; readonly settings: Readonly<Record<string, string>> } {
  const directory = temporaryDirectory()
  own(directory)
  return {
    directory,
    settings: { archive_mode: 'on', archive_command: `test ! -f '${directory}/%f' && cp '%p' '${directory}/%f'` },
  }
}

/** Beside the cluster's files of the moment the WAL from its beginning to its end is needed; that is in the archive when this has resolved. */
export async function takeBaseBackup(url: string, serverDirectory: string): Promise<string> {
  const backup = temporaryDirectory()
  // The backup ends with the session that began it.
  const session = new Client({ connectionString: url })
  await session.connect()
  try {
    await session.query(`SELECT pg_backup_start('rehearsal', fast => true)`)
    copyTree(join(serverDirectory, 'data'), join(backup, 'data'), '')
    const { rows } = await session.query<{ labelfile: string }>('SELECT labelfile FROM pg_backup_stop(wait_for_archive => true)')
    writeFileSync(join(backup, 'data/backup_label'), rows[0]?.labelfile ?? '')
  } finally {
    await session.end()
  }
  copyFileSync(join(serverDirectory, 'password'), join(backup, 'password'))
  return backup
}

/** Ends the segment that is being written and waits until the archive has it. */
export async function archiveAll({ sql }: Pick<TestSwitch, 'sql'>): Promise<void> {
  // A segment in which nothing was written is not ended.
  await sql(`SELECT pg_create_restore_point('rehearsal')`)
  const [segment] = await sql<{ name: string }>('SELECT pg_walfile_name(pg_switch_wal()) AS name')
  await until(async () => {
    const [archiver] = await sql<{ done: boolean }>('SELECT last_archived_wal >= $1 AS done FROM pg_stat_archiver', [
      segment?.name,
    ])
    return archiver?.done === true
  })
}

/** Starts what was backed up where the old server was, and has it play the archive to its end; it goes on in a timeline of its own. */
export async function restoreBackup(backup: string, archive: string, port: number): Promise<Postgres> {
  for (const path of ['', 'data', 'data/backup_label', 'password']) own(join(backup, path))
  writeFileSync(join(backup, 'data/recovery.signal'), '')
  own(join(backup, 'data/recovery.signal'))
  const settings = { ...THROW_AWAY_SETTINGS, restore_command: `cp '${archive}/%f' '%p'` }
  return await startPostgres({ directory: backup, port, settings })
}

/** Directories whose contents belong to the running server alone; they have to be there all the same. */
const LEFT_EMPTY = /^(pg_wal|pg_replslot|pg_dynshmem|pg_notify|pg_serial|pg_snapshots|pg_stat_tmp|pg_subtrans)\//
const LEFT_OUT = /^(postmaster\.(pid|opts)|.*pgsql_tmp.*)$/

function copyTree(from: string, to: string, path: string): void {
  const entry = join(to, path)
  mkdirSync(entry, { mode: 0o700 })
  own(entry)
  for (const name of readdirSync(join(from, path))) {
    const inner = path === '' ? name : `${path}/${name}`
    if (LEFT_OUT.test(inner) || LEFT_EMPTY.test(inner)) continue
    try {
      if (lstatSync(join(from, inner)).isDirectory()) copyTree(from, to, inner)
      else {
        copyFileSync(join(from, inner), join(to, inner))
        own(join(to, inner))
      }
    } catch (error) {
      // The server goes on, and drops files as it does.
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error
      rmSync(join(to, inner), { force: true, recursive: true })
    }
  }
}

const account = unprivilegedAccount()

/** Root's files are none that the server may read. */
function own(path: string): void {
  if (account !== undefined) lchownSync(path, account.uid, account.gid)
}
