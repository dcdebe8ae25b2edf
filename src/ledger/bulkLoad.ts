/** Loads many rows at once with COPY, all tables in one SQL transaction: everything or nothing. */
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { Client } from 'pg'
import { from as copyFrom } from 'pg-copy-streams'

/** Column values as PostgreSQL's text format wants them; null for NULL. */
export type CopyRow = readonly (string | number | null)[]

export interface BulkTable {
  /** Table and columns: `purse (shard, id)`. */
  readonly into: string
  readonly rows: () => Iterable<CopyRow>
}

export interface BulkLoadOptions {
  /** Answers false where this database has been loaded already: nothing is written then. Runs under a lock. */
  readonly mayLoad: (count: (sql: string) => Promise<number>) => Promise<boolean>
  readonly partitionsFrom: string
  readonly tables: readonly BulkTable[]
  readonly onRows?: (count: number) => void
}

/** @returns whether anything was loaded @throws pg's DatabaseError; nothing is half done */
export async function bulkLoad(databaseUrl: string, options: BulkLoadOptions): Promise<boolean> {
  const client = new Client({ connectionString: databaseUrl, application_name: 'sarf bulk load' })
  await client.connect()
  try {
    await client.query('BEGIN')
    await client.query('SELECT pg_advisory_xact_lock(8583, 2)')
    const count = async (sql: string): Promise<number> => Number((await client.query<{ count: string }>(sql)).rows[0]?.count)
    if (!(await options.mayLoad(count))) {
      await client.query('ROLLBACK')
      return false
    }
    await client.query('SELECT ensure_partitions($1::date, 2)', [options.partitionsFrom])
    for (const { into, rows } of options.tables) {
      await pipeline(Readable.from(copyChunks(rows(), options.onRows)), client.query(copyFrom(`COPY ${into} FROM STDIN`)))
    }
    await client.query('COMMIT')
    await client.query('ANALYZE')
    return true
  } finally {
    await client.end()
  }
}

const CHUNK_CHARACTERS = 65_536

function* copyChunks(rows: Iterable<CopyRow>, onRows: ((count: number) => void) | undefined): Iterable<string> {
  let chunk = ''
  let count = 0
  for (const row of rows) {
    chunk += row.map(copyValue).join('\t') + '\n'
    count++
    if (chunk.length >= CHUNK_CHARACTERS) {
      yield chunk
      onRows?.(count)
      chunk = ''
      count = 0
    }
  }
  if (chunk !== '') yield chunk
  onRows?.(count)
}

/** PostgreSQL manual, COPY, text format. */
function copyValue(value: string | number | null): string {
  if (value === null) return '\\N'
  return String(value).replace(/[\\\t\n\r]/g, (character) => ESCAPES[character] ?? character)
}

const ESCAPES: Readonly<Record<string, string>> = { '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r' }
