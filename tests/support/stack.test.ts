import { Client } from 'pg'
import { expect, it } from 'vitest'
import { createDatabase } from './stack.ts'

it('gives every caller a migrated database of its own', async () => {
  const [one, other] = [await createDatabase(), await createDatabase()]
  expect(one).not.toBe(other)
  const client = new Client({ connectionString: one })
  await client.connect()
  const { rows } = await client.query(`SELECT to_regclass('migration') IS NOT NULL AS migrated`)
  await client.end()
  expect(rows).toEqual([{ migrated: true }])
})
