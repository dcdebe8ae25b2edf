/**
 * Changes the key of what is enciphered (migrations/0006_personal_data.sql, webhook in 0012_events.sql): every row that names another key is opened and
 * sealed again, page by page in the order of primary keys. Each page is one statement that replaces only what is still as it was read: a
 * rotation may run beside a switch and beside another rotation, and where it was cut short, running it again does the rest.
 */
import { readFileSync } from 'node:fs'
import { Client } from 'pg'
import { DataUnreadable, dataVault, type DataVault, type SealedField } from '../security/dataVault.ts'
import type { KeyStore } from '../security/keys.ts'

/** Rows a statement: it holds the locks of so many for as long as it takes to write them. */
export const ROTATION_BATCH_MAX = 10_000
const CONNECT_MS = 60_000
/** Long enough to count the rows of a country. */
const STATEMENT_MS = 600_000

export interface RotateOptions {
  readonly databaseUrl: string
  /** Has the new key and those that rows name. */
  readonly keys: KeyStore
  /** Name of the new key: `data.2`. Switches seal with it already, else what they write meanwhile stays behind. */
  readonly to: string
  /** Rows a statement, 1 to ROTATION_BATCH_MAX. */
  readonly batch: number
  readonly onProgress?: (progress: RotateProgress) => void
}

export interface RotateProgress {
  /** Rows looked at, of so many that there were at the start. */
  readonly looked: number
  readonly total: number
  readonly rotated: number
}

export interface RotateResult {
  readonly rotated: number
  /** Rows that do not open with the key that they name: somebody changed them. They stay as they are. */
  readonly unreadable: number
  /** Rows that still name another key at the end: the unreadable ones, and what was written with an old key meanwhile. */
  readonly behind: number
}

/** How many rows name a key. */
export interface DataKeyUse {
  readonly keyId: string
  readonly rows: number
}

/** @throws KeyRefused where a key that is needed is not in the store; pg's DatabaseError. What was done by then is done */
export async function rotateDataKey(options: RotateOptions): Promise<RotateResult> {
  const { databaseUrl, keys, to, batch, onProgress } = options
  if (!Number.isInteger(batch) || batch < 1 || batch > ROTATION_BATCH_MAX)
    throw new RangeError(`a batch is of 1 to ${String(ROTATION_BATCH_MAX)} rows, not ${String(batch)}`)
  const vault = dataVault(keys, to)
  return await withClient(databaseUrl, async (client) => {
    const total = (await keyUse(client)).reduce((sum, { rows }) => sum + rows, 0)
    let looked = 0
    let rotated = 0
    let unreadable = 0
    for (const table of SECRET_TABLES) {
      let last: Row | undefined
      do {
        const page: Row[] = await readPage(client, table, vault.keyId, last, batch)
        const done = await rotatePage(client, table, vault, page)
        looked += page.length
        rotated += done.rotated
        unreadable += done.unreadable
        onProgress?.({ looked, total, rotated })
        last = page.length < batch ? undefined : page.at(-1)
      } while (last !== undefined)
    }
    const behind = (await keyUse(client)).reduce((sum, { keyId, rows }) => sum + (keyId === to ? 0 : rows), 0)
    return { rotated, unreadable, behind }
  })
}

/**
 * Which keys the rows name, and how many of them. A key that is not among them opens nothing in this database any more: it may be destroyed,
 * once backups that were made before are gone too.
 */
export async function dataKeyUse(databaseUrl: string): Promise<DataKeyUse[]> {
  return await withClient(databaseUrl, keyUse)
}

const KEY_USE = `
  SELECT key_id, sum(rows)::text AS rows
  FROM (
    SELECT key_id, count(*) AS rows FROM card_secret GROUP BY key_id
    UNION ALL SELECT key_id, count(*) FROM person_secret GROUP BY key_id
    UNION ALL SELECT key_id, count(*) FROM webhook GROUP BY key_id
  ) AS used
  GROUP BY key_id ORDER BY length(key_id), key_id`

async function keyUse(client: Client): Promise<DataKeyUse[]> {
  const { rows } = await client.query<{ key_id: string; rows: string }>(KEY_USE)
  return rows.map((row) => ({ keyId: row.key_id, rows: Number(row.rows) }))
}

interface SecretTable {
  readonly name: string
  readonly owner: string
  readonly ownerType: string
  /** Columns and what is in them. */
  readonly fields: readonly { readonly column: string; readonly field: SealedField }[]
  readonly reseal: string
}

const SECRET_TABLES: readonly SecretTable[] = [
  {
    name: 'card_secret',
    owner: 'token',
    ownerType: 'text',
    fields: [{ column: 'pan', field: 'pan' }],
    reseal: statement('resealCards.sql'),
  },
  {
    name: 'person_secret',
    owner: 'person_id',
    ownerType: 'bigint',
    fields: [
      { column: 'national_id', field: 'national-id' },
      { column: 'mobile', field: 'mobile' },
    ],
    reseal: statement('resealPersons.sql'),
  },
  {
    name: 'webhook',
    owner: 'id',
    ownerType: 'text',
    fields: [{ column: 'secret', field: 'webhook-secret' }],
    reseal: statement('resealWebhooks.sql'),
  },
]

interface Row {
  readonly shard: number
  readonly owner: string
  readonly key_id: string
  /** As `fields` of the table; null where nothing is kept, and of all fields where the row names the new key. */
  readonly sealed: readonly (Buffer | null)[]
}

/** Rows behind `after`, of any key: a page takes as long where most are done as where none is. */
async function readPage(client: Client, table: SecretTable, to: string, after: Row | undefined, batch: number): Promise<Row[]> {
  const { name, owner, ownerType, fields } = table
  const sealed = fields.map(({ column }) => `CASE WHEN key_id <> $1 THEN ${column} END`).join(', ')
  const behind = after === undefined ? '' : `WHERE (shard, ${owner}) > ($3::smallint, $4::${ownerType})`
  const { rows } = await client.query<Row>(
    `SELECT shard, ${owner}::text AS owner, key_id, ARRAY[${sealed}] AS sealed FROM ${name} ${behind} ORDER BY shard, ${name}.${owner} LIMIT $2`,
    after === undefined ? [to, batch] : [to, batch, after.shard, after.owner],
  )
  return rows
}

async function rotatePage(
  client: Client,
  { fields, reseal }: SecretTable,
  vault: DataVault,
  page: readonly Row[],
): Promise<{ rotated: number; unreadable: number }> {
  const old = page.filter((row) => row.key_id !== vault.keyId)
  const fresh = old.flatMap((row) => {
    const sealed = resealed(vault, fields, row)
    return sealed === undefined ? [] : [{ row, sealed }]
  })
  const unreadable = old.length - fresh.length
  if (fresh.length === 0) return { rotated: 0, unreadable }
  const { rowCount } = await client.query(reseal, [
    vault.keyId,
    fresh.map(({ row }) => row.shard),
    fresh.map(({ row }) => row.owner),
    ...fields.map((_, index) => fresh.map(({ row }) => row.sealed[index] ?? null)),
    ...fields.map((_, index) => fresh.map(({ sealed }) => sealed[index] ?? null)),
  ])
  return { rotated: rowCount ?? 0, unreadable }
}

/** All fields of a row under the new key, or undefined where one of them does not open. */
function resealed(vault: DataVault, fields: SecretTable['fields'], row: Row): (Buffer | null)[] | undefined {
  const { shard, owner, key_id: keyId } = row
  try {
    return fields.map(({ field }, index) => {
      const sealed = row.sealed[index] ?? null
      return sealed === null ? null : vault.reseal(keyId, { field, shard, owner }, sealed)
    })
  } catch (error) {
    if (error instanceof DataUnreadable) return undefined
    throw error
  }
}

async function withClient<T>(databaseUrl: string, run: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({
    connectionString: databaseUrl,
    application_name: 'sarf data keys',
    statement_timeout: STATEMENT_MS,
    connectionTimeoutMillis: CONNECT_MS,
  })
  // Without a listener a connection that is lost would end the process; the statement under way says it too.
  client.on('error', () => undefined)
  await client.connect()
  try {
    return await run(client)
  } finally {
    await client.end()
  }
}

function statement(file: string): string {
  return readFileSync(new URL(`secrets/${file}`, import.meta.url), 'utf8')
}
