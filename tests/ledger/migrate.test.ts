import { randomUUID } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'pg'
import { expect, it } from 'vitest'
import { migrate } from '../../src/ledger/migrate.ts'
import { createDatabase } from '../support/stack.ts'

/** A database on the server of another, with nothing in it. */
async function emptyDatabase(): Promise<{ client: Client; url: string }> {
  const url = new URL(await createDatabase())
  const admin = new Client({ connectionString: url.href })
  await admin.connect()
  const name = `empty_${randomUUID().replaceAll('-', '')}`
  await admin.query(`CREATE DATABASE ${name}`)
  await admin.end()
  url.pathname = `/${name}`
  const client = new Client({ connectionString: url.href })
  await client.connect()
  return { client, url: url.href }
}

async function applied(client: Client): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>('SELECT name FROM migration ORDER BY id')
  return rows.map((row) => row.name)
}

const files = readdirSync(new URL('../../src/ledger/migrations/', import.meta.url))
  .map((file) => file.replace(/\.sql$/, ''))
  .toSorted()

it('applies every migration once, however often it is asked to', async () => {
  const { client, url } = await emptyDatabase()
  await migrate(url)
  expect(await applied(client)).toEqual(files)
  await client.query('INSERT INTO household (shard, id, governorate) VALUES (0, 1, 1)')
  await migrate(url)
  expect(await applied(client)).toEqual(files)
  expect((await client.query('SELECT * FROM household')).rowCount).toBe(1)
  await client.end()
})

it('may be asked by several processes at once', async () => {
  const { client, url } = await emptyDatabase()
  await Promise.all([migrate(url), migrate(url), migrate(url)])
  expect(await applied(client)).toEqual(files)
  await client.end()
})

it('refuses a database whose migrations were other texts, or are not known, and changes nothing', async () => {
  const { client, url } = await emptyDatabase()
  const directory = await mkdtemp(join(tmpdir(), 'sarf-migrations-'))
  const write = (name: string, sql: string): Promise<void> => writeFile(join(directory, name), `-- Up Migration\n${sql};\n`)
  await write('0001_one.sql', 'CREATE TABLE one ()')
  await migrate(url, directory)
  await write('0002_two.sql', 'CREATE TABLE two ()')
  await migrate(url, directory)
  await write('0001_one.sql', 'CREATE TABLE another ()')
  await write('0003_three.sql', 'CREATE TABLE three (')
  await expect(migrate(url, directory)).rejects.toThrow('0001_one is not what it has run')
  expect(await applied(client)).toEqual(['0001_one', '0002_two'])
  await write('0001_one.sql', 'CREATE TABLE one ()')
  await expect(migrate(url, directory)).rejects.toThrow('syntax error')
  await write('0003_three.sql', 'CREATE TABLE three ()')
  await migrate(url, directory)
  await rm(join(directory, '0002_two.sql'))
  await expect(migrate(url, directory)).rejects.toThrow('--fresh')
  await client.query('DROP TABLE migration_digest')
  await expect(migrate(url, directory)).rejects.toThrow('--fresh')
  await client.end()
  await rm(directory, { recursive: true })
})

it('says why where there is no server', async () => {
  await expect(migrate('postgres://127.0.0.1:1/nowhere')).rejects.toThrow('ECONNREFUSED')
})
