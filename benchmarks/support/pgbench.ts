/** Stock pgbench, the yardstick: TPC-B on the same server in the same minutes. */
import { spawn } from 'node:child_process'
import { Client } from 'pg'
import { StartError } from '../../src/local/startError.ts'

/** From PATH: the npm package of the server does not have it. */
const PROGRAM = 'pgbench'
const DATABASE = 'pgbench'
const SCALE = '10'
const CLIENTS = '8'
const SECONDS = '10'

/**
 * Runs it in a database of its own on the server of `databaseUrl`, made at the first call.
 *
 * @returns transactions a second @throws StartError where pgbench is not installed
 */
export async function runPgbench(databaseUrl: string): Promise<number> {
  const url = new URL(databaseUrl)
  const environment = {
    ...process.env,
    PGHOST: url.hostname,
    PGPORT: url.port,
    PGUSER: decodeURIComponent(url.username),
    PGPASSWORD: decodeURIComponent(url.password),
    PGDATABASE: DATABASE,
  }
  if (await createDatabase(databaseUrl)) await pgbench(['-i', '-q', '-s', SCALE], environment)
  const output = await pgbench(['-M', 'prepared', '-c', CLIENTS, '-j', '2', '-T', SECONDS], environment)
  const tps = /^tps = ([\d.]+)/m.exec(output)?.[1]
  if (tps === undefined) throw new StartError(`pgbench said no rate: ${output.trim()}`)
  return Number(tps)
}

async function createDatabase(databaseUrl: string): Promise<boolean> {
  const client = new Client({ connectionString: databaseUrl })
  await client.connect()
  try {
    const { rowCount } = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [DATABASE])
    if (rowCount !== 0) return false
    await client.query(`CREATE DATABASE ${DATABASE}`)
    return true
  } finally {
    await client.end()
  }
}

function pgbench(args: readonly string[], environment: NodeJS.ProcessEnv): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(PROGRAM, args, { env: environment, stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    let errors = ''
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
    child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()))
    child.once('error', () => {
      reject(
        new StartError(
          'pgbench is not on PATH; install it (Debian, Ubuntu: apt-get install postgresql-contrib), or leave out --pgbench',
        ),
      )
    })
    child.once('close', (code) => {
      if (code === 0) resolve(output)
      else reject(new StartError(`pgbench failed: ${errors.trim().split('\n').at(-1) ?? ''}`))
    })
  })
}
