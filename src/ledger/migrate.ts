/** Brings a database's schema to the version of this source tree. Several processes may do so at once: one waits for the other. */
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { runner } from 'node-pg-migrate'
import { Client } from 'pg'

const folder = fileURLToPath(new URL('migrations/', import.meta.url))

/** @throws Error with the failing statement's own message; all pending migrations are one SQL transaction, so nothing is half done */
export async function migrate(databaseUrl: string, directory = folder): Promise<void> {
  const client = new Client({ connectionString: databaseUrl })
  // What a lost connection means is told by the statement that runs.
  client.on('error', () => undefined)
  await client.connect()
  try {
    await client.query('SELECT pg_advisory_lock(8583, 3)')
    const digests = digestsOf(directory)
    await compareDigests(client, digests)
    // Before they run: were it after, a process that dies in between would leave texts that nobody knows.
    await client.query(
      'INSERT INTO migration_digest (name, digest) SELECT * FROM unnest($1::text[], $2::text[]) ON CONFLICT (name) DO UPDATE SET digest = excluded.digest',
      [[...digests.keys()], [...digests.values()]],
    )
    await runMigrations(databaseUrl, directory)
  } finally {
    // The lock is the session's.
    await client.end()
  }
}

async function runMigrations(databaseUrl: string, directory: string): Promise<void> {
  try {
    await runner({
      databaseUrl,
      dir: directory,
      direction: 'up',
      migrationsTable: 'migration',
      advisoryLockMode: 'wait',
      log: () => undefined,
    })
  } catch (error) {
    // What node-pg-migrate says where the database has migrations that the source tree has not.
    if (!(error instanceof Error) || !error.message.startsWith('Not run migration')) throw error
    throw otherVersion(error.message, error)
  }
}

/**
 * A migration that a database has run is looked up by its name alone. Was it another text then, the schema is not what this source tree takes it for: that is
 * found here, not by a statement that behaves otherwise.
 */
async function compareDigests(client: Client, digests: ReadonlyMap<string, string>): Promise<void> {
  const { rows: tables } = await client.query<{ ran: boolean; known: boolean }>(
    `SELECT to_regclass('migration') IS NOT NULL AS ran, to_regclass('migration_digest') IS NOT NULL AS known`,
  )
  const { ran, known } = tables[0] ?? { ran: false, known: false }
  if (!known) {
    if (ran) throw otherVersion('it does not say which')
    await client.query('CREATE TABLE migration_digest (name text PRIMARY KEY, digest text NOT NULL)')
    return
  }
  if (!ran) return
  // One that failed has not run: it may come with another text.
  const { rows } = await client.query<{ name: string; digest: string }>(
    'SELECT d.name, d.digest FROM migration_digest d JOIN migration m ON m.name = d.name ORDER BY d.name',
  )
  const other = rows.find(({ name, digest }) => digests.get(name) !== digest)
  if (other !== undefined) throw otherVersion(`${other.name} is not what it has run`)
}

/** By the name under which node-pg-migrate keeps a migration. */
function digestsOf(directory: string): Map<string, string> {
  const names = readdirSync(directory).filter((name) => name.endsWith('.sql'))
  return new Map(
    names.map((name) => [
      name.slice(0, -'.sql'.length),
      createHash('sha256')
        .update(readFileSync(join(directory, name)))
        .digest('hex'),
    ]),
  )
}

function otherVersion(what: string, cause?: Error): Error {
  return new Error(
    `this database was made by another version of sarf, whose migrations are not these (${what}); use another one (of npm start: npm start -- --fresh starts over)`,
    { cause },
  )
}
