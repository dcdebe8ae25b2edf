/** Brings a database's schema to the version of this source tree. Several processes may do so at once: one waits for the other. */
import { fileURLToPath } from 'node:url'
import { runner } from 'node-pg-migrate'

const folder = fileURLToPath(new URL('migrations/', import.meta.url))

/** @throws Error with the failing statement's own message; all pending migrations are one SQL transaction, so nothing is half done */
export async function migrate(databaseUrl: string): Promise<void> {
  try {
    await runner({
      databaseUrl,
      dir: folder,
      direction: 'up',
      migrationsTable: 'migration',
      advisoryLockMode: 'wait',
      log: () => undefined,
    })
  } catch (error) {
    // What node-pg-migrate says where the database has migrations that the source tree has not.
    if (!(error instanceof Error) || !error.message.startsWith('Not run migration')) throw error
    throw new Error(
      'this database was made by another version of sarf, whose migrations are not these; use another one (npm start -- --fresh starts over)',
      { cause: error },
    )
  }
}
