/**
 * Real servers for tests. `npm test` starts one throw-away Postgres for the whole run; a test file that is run without
 * it starts one of its own. Everything made here is gone when the file has run.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'pg'
import { afterAll } from 'vitest'
import { migrate } from '../../src/ledger/migrate.ts'
import { startPostgres, type Postgres } from '../../src/local/postgres.ts'
import { startRedis, type Redis } from '../../src/local/redis.ts'
import { THROW_AWAY_SETTINGS } from './throwAway.ts'

const TEMPLATE = 'sarf_template'
/** Any number will do; it only has to be the same in every test process. */
const TEMPLATE_LOCK = 8583

let count = 0

type CleanUp = () => unknown
const cleanUps: CleanUp[] = []

// Registered once, while the file is loaded: vitest drops hooks that a running test registers.
afterAll(async () => {
  for (const cleanUp of cleanUps.toReversed()) await cleanUp()
})

/** A fresh, migrated database, cloned from a template that is migrated once a run. */
export async function createDatabase(): Promise<string> {
  const url = await testPostgres()
  return onServer(url, async (client) => {
    await ensureTemplate(client, url)
    const name = `sarf_${String(process.pid)}_${String(++count)}`
    await client.query(`CREATE DATABASE ${name} TEMPLATE ${TEMPLATE}`)
    cleanUps.push(() => onServer(url, (admin) => admin.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`)))
    return databaseUrl(url, name)
  })
}

/** A Redis that no other file shares. */
export async function createRedis(): Promise<string> {
  return (await createRedisServer()).url
}

/** The same as a handle, for tests that kill it; `startRedis` with its `directory`, `port` and `password` brings it back. */
export async function createRedisServer(): Promise<Redis & { readonly directory: string }> {
  const directory = temporaryDirectory()
  const redis = await startRedis({ directory })
  cleanUps.push(() => redis.stop())
  return { ...redis, directory }
}

/** A Postgres of its own, for tests that kill it; `startPostgres` with its `directory` and `port` brings it back. */
export async function createPostgresServer(
  settings: Readonly<Record<string, string>> = {},
): Promise<Postgres & { readonly directory: string }> {
  const directory = temporaryDirectory()
  const postgres = await startPostgres({ directory, settings: { ...THROW_AWAY_SETTINGS, ...settings } })
  cleanUps.push(() => postgres.stop())
  return { ...postgres, directory }
}

/** A directory that is removed at the end of the file, after the servers in it have stopped. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'sarf-test-'))
  cleanUps.push(() => {
    rmSync(directory, { recursive: true, force: true })
  })
  return directory
}

let ownPostgres: Promise<Postgres> | undefined

async function testPostgres(): Promise<string> {
  const shared = process.env['SARF_TEST_POSTGRES_URL']
  if (shared !== undefined) return shared
  ownPostgres ??= createPostgresServer()
  return (await ownPostgres).url
}

async function ensureTemplate(client: Client, url: string): Promise<void> {
  await client.query('SELECT pg_advisory_lock($1)', [TEMPLATE_LOCK])
  try {
    const { rows } = await client.query('SELECT 1 FROM pg_database WHERE datname = $1 AND datistemplate', [TEMPLATE])
    if (rows.length > 0) return
    // What is there without the mark was cut short.
    await client.query(`DROP DATABASE IF EXISTS ${TEMPLATE} WITH (FORCE)`)
    await client.query(`CREATE DATABASE ${TEMPLATE}`)
    await migrate(databaseUrl(url, TEMPLATE))
    await client.query(`ALTER DATABASE ${TEMPLATE} WITH IS_TEMPLATE true`)
  } finally {
    await client.query('SELECT pg_advisory_unlock($1)', [TEMPLATE_LOCK])
  }
}

async function onServer<T>(url: string, work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}

function databaseUrl(server: string, name: string): string {
  const url = new URL(server)
  url.pathname = `/${name}`
  return url.href
}
