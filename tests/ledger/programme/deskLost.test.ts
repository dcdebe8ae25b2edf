import { setTimeout as elapsed } from 'node:timers/promises'
import { Client } from 'pg'
import { expect, it } from 'vitest'
import { systemClock } from '../../../src/clock.ts'
import { Desk, type SqlTransaction } from '../../../src/ledger/programme/desk.ts'
import { silentLogger } from '../../../src/log.ts'
import { createDatabase } from '../../support/stack.ts'

const PID = { name: 'pid', text: 'SELECT pg_backend_pid() AS pid, pg_current_xact_id()::text AS xid' }
const OPEN = `SELECT count(*)::int AS open FROM pg_stat_activity WHERE application_name = 'sarf desk' AND state = 'idle in transaction'`

it('a connection that is lost between two statements fails its work, not the process', async () => {
  const url = await createDatabase()
  const desk = new Desk({ url, shard: 0, connections: 2, statementMs: 10_000, clock: systemClock, log: silentLogger })
  const other = new Client({ connectionString: url })
  await other.connect()
  const work = desk.upkeep(async (tx: SqlTransaction) => {
    const found = await tx.row<{ pid: number }>(PID, [])
    await other.query('SELECT pg_terminate_backend($1)', [found?.pid])
    await elapsed(200)
    return tx.row(PID, [])
  })
  await expect(work).rejects.toThrow()
  expect(await desk.read((tx) => tx.row(PID, []))).toBeDefined()
  await Promise.all([desk.close(), other.end()])
})

it('a SQL transaction that its process has forgotten is ended by the database', async () => {
  const url = await createDatabase()
  const desk = new Desk({ url, shard: 0, connections: 2, statementMs: 300, clock: systemClock, log: silentLogger })
  const other = new Client({ connectionString: url })
  await other.connect()
  const work = desk.upkeep(async (tx: SqlTransaction) => {
    await tx.row(PID, [])
    await elapsed(1000)
    const { rows } = await other.query<{ open: number }>(OPEN)
    return rows[0]?.open
  })
  const outcome = await work.catch(() => 0)
  expect(outcome).toBe(0)
  await Promise.all([desk.close(), other.end()])
})
