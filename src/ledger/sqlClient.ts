/** One session with Postgres as the ledger's connections use it: a port, so that the same code also runs on a simulated database. */
import { Client, type QueryResultRow } from 'pg'

/** A statement that is parsed once a connection. */
export interface Statement {
  readonly name: string
  readonly text: string
}

export interface SqlResult<Row> {
  readonly rows: Row[]
  /** Rows that a statement changed or returned. */
  readonly rowCount: number | null
}

export interface SqlClient {
  /** @throws what the server reports (an error with SQLSTATE `code` and `severity`), or whatever the connection failed with */
  query<Row extends QueryResultRow>(statement: Statement, values: readonly unknown[]): Promise<SqlResult<Row>>
  /** Says goodbye. */
  end(): Promise<void>
  /** Leaves without a word; nothing is told of it. */
  cut(): void
}

export interface SqlSession {
  readonly url: string
  /** Of the connection, as the server lists it. */
  readonly name: string
  readonly connectMs: number
  /** Called once when a session that was open ends by itself. */
  readonly onLost: (error: unknown) => void
}

/** @throws where there is no server, or one that takes no writes */
export type OpenSession = (session: SqlSession) => Promise<SqlClient>

export const openPostgresSession: OpenSession = async ({ url, name, connectMs, onLost }) => {
  const client = new Client({
    connectionString: url,
    application_name: name,
    connectionTimeoutMillis: connectMs,
    keepAlive: true,
  })
  let told = false
  const lost = (error: unknown): void => {
    if (told) return
    told = true
    onLost(error)
  }
  client.on('error', lost)
  client.on('end', () => {
    lost(undefined)
  })
  const cut = (): void => {
    told = true
    client.end().catch(() => undefined)
    const { connection } = client as unknown as { connection?: { stream?: { destroy?: () => void } } }
    connection?.stream?.destroy?.()
  }
  try {
    await client.connect()
    await prepareSession(client)
  } catch (error) {
    cut()
    throw error
  }
  return {
    query: (statement, values) => client.query({ ...statement, values: values as unknown[] }),
    end: async () => {
      told = true
      await client.end()
    },
    cut,
  }
}

/** What every session needs: plans that do not depend on a batch's values, durable commits, a primary to write to. */
async function prepareSession(client: Client): Promise<void> {
  await client.query(
    `SET plan_cache_mode = force_generic_plan; SET jit = off; SET synchronous_commit = on; SET DateStyle = 'ISO'; SET TimeZone = 'UTC'`,
  )
  const { rows } = await client.query<{ standby: boolean }>('SELECT pg_is_in_recovery() AS standby')
  if (rows[0]?.standby !== false)
    throw new Error('the server is a standby and takes no writes; point DATABASE_URL at the primary')
}
