import { spawn } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Client } from 'pg'
import { expect, it } from 'vitest'
import { unprivilegedAccount } from '../../src/local/account.ts'
import { startPostgres } from '../../src/local/postgres.ts'
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
})
