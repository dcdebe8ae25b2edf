import { Client } from 'pg'
import { expect, it } from 'vitest'
import { createDatabase } from '../support/stack.ts'
import { runSarf } from './runSarf.ts'

it('makes a programme of the size that is asked for, once: a database with households is refused', async () => {
  const url = await createDatabase()
  const first = await runSarf(['seed', '--households', '250', '--database', url])
  // The bar is for terminals only.
  expect(first).toMatchObject({ code: 0, stderr: '' })
  expect(first.stdout).toMatch(/^250 households seeded in \d+\.\d s\n$/)

  const second = await runSarf(['seed', '--households', '10', '--database', url])
  expect(second).toMatchObject({ code: 1, stdout: '' })
  expect(second.stderr).toMatch(/^error: this database has households already; .*\n$/)
  expect((await runSarf(['audit', '--database', url])).code).toBe(0)
})

it('migrates an empty database first', async () => {
  const url = new URL(await createDatabase())
  const admin = new Client({ connectionString: url.href })
  await admin.connect()
  const name = `unmigrated_${String(process.pid)}`
  await admin.query(`CREATE DATABASE ${name}`)
  await admin.end()
  url.pathname = `/${name}`
  expect((await runSarf(['seed', '--households', '3', '--database', url.href])).code).toBe(0)
})

it.each(['0', '30000001', '1.5', '-3', 'many'])('exits 2 for %s households', async (number) => {
  const { code, stderr } = await runSarf(['seed', `--households=${number}`, '--database', 'postgres://127.0.0.1:1/nowhere'])
  expect(stderr).toContain('A whole number from 1 to 30,000,000.')
  expect(code).toBe(2)
})

it('exits 3 with one line where there is no database', async () => {
  const { code, stderr } = await runSarf(['seed', '--households', '3', '--database', 'postgres://127.0.0.1:1/nowhere'])
  expect(stderr).toMatch(/^error: cannot connect to the database: .*ECONNREFUSED.*\n$/)
  expect(code).toBe(3)
})
