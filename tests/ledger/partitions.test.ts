import { Client } from 'pg'
import { describe, expect, it } from 'vitest'
import { ensurePartitions } from '../../src/ledger/partitions.ts'
import { createLedger, purchase, TODAY, WON } from '../support/commitItems.ts'

describe('partitions', () => {
  it('are made from the retention window to the months ahead, and only once', async () => {
    const ledger = await createLedger()
    const connection = await ledger.connect()
    const nowMs = Date.parse('2031-03-02T00:00:00Z')
    // February to May, of two tables.
    expect(await ensurePartitions(connection, nowMs, 7, 2)).toBe(8)
    expect(await ensurePartitions(connection, nowMs, 7, 2)).toBe(0)
    expect(await ensurePartitions(connection, nowMs, 7, 3)).toBe(2)
    const months = await ledger.sql(
      `SELECT relid::text AS name FROM pg_partition_tree('transfer') WHERE relid::text ~ '2031' ORDER BY 1`,
    )
    expect(months.map((row) => row['name'])).toEqual(['02', '03', '04', '05', '06'].map((month) => `transfer_2031${month}`))
  })

  it('may be made by several processes at once', async () => {
    const ledger = await createLedger()
    const connections = await Promise.all([ledger.connect(), ledger.connect(), ledger.connect()])
    const nowMs = Date.parse('2031-12-31T23:59:00Z')
    const created = await Promise.all(connections.map((connection) => ensurePartitions(connection, nowMs, 1, 1)))
    expect(created.toSorted()).toEqual([0, 0, 4])
  })

  it('have the unique key and the indexes of the whole table', async () => {
    const ledger = await createLedger()
    const name = `authorization_${TODAY.slice(0, 4)}${TODAY.slice(5, 7)}`
    const rows = await ledger.sql('SELECT indexdef FROM pg_indexes WHERE tablename = $1', [name])
    const definitions = rows.map((row) => String(row['indexdef'])).toSorted()
    expect(definitions).toHaveLength(3)
    expect(definitions[0]).toMatch(/^CREATE INDEX .*\(event_number\) WHERE/)
    expect(definitions[1]).toMatch(/^CREATE INDEX .*\(purse_id\) WHERE/)
    expect(definitions[2]).toMatch(/^CREATE UNIQUE INDEX .*\(shard, key_date, key\)$/)
  })

  it('are made while somebody reads the whole ledger, and commits go on meanwhile', async () => {
    const ledger = await createLedger()
    const connection = await ledger.connect()
    const id = await ledger.openPurse(100)
    const reader = new Client({ connectionString: ledger.url })
    await reader.connect()
    try {
      await reader.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')
      await reader.query('SELECT count(*) FROM "authorization", transfer')
      expect(await ensurePartitions(connection, Date.parse('2032-01-15T00:00:00Z'), 1, 0)).toBe(2)
      expect(await ledger.commit([purchase(id, 1)])).toEqual([WON])
    } finally {
      await reader.end()
    }
  })
})

describe('the ledger', () => {
  it.each([
    ['decisions', 'authorization', 'UPDATE "authorization" SET approved = 0'],
    ['decisions', 'authorization', 'DELETE FROM "authorization"'],
    ['decisions', 'authorization', 'TRUNCATE "authorization"'],
    ['transfers', 'transfer', 'UPDATE transfer SET amount = 1'],
    ['transfers', 'transfer', 'DELETE FROM transfer'],
    ['transfers', 'transfer', 'TRUNCATE transfer'],
  ])('is append only: %s, as a whole and by partition, refuse what changes %s (%s)', async (_, table, statement) => {
    const ledger = await createLedger()
    await ledger.openPurse(100)
    await expect(ledger.sql(statement)).rejects.toThrow('append only')
    const partition = `${table}_${TODAY.slice(0, 4)}${TODAY.slice(5, 7)}`
    await expect(ledger.sql(statement.replace(/"authorization"|\btransfer\b/, partition))).rejects.toThrow('append only')
    expect(await ledger.sql(`SELECT count(*)::int AS count FROM ${partition}`)).toEqual([{ count: 1 }])
  })

  it('refuses a key whose date has no partition, rather than keep it where it is not found', async () => {
    const ledger = await createLedger()
    const connection = await ledger.connect()
    const id = await ledger.openPurse(100)
    await expect(ledger.commit([purchase(id, 1, { keyDate: '2040-01-01' })], connection)).rejects.toThrow(/no partition/)
    expect(await ledger.sql('SELECT balance::int FROM purse WHERE id = $1', [id])).toEqual([{ balance: 100 }])
  })
})
