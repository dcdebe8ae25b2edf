import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Client } from 'pg'
import { expect, it } from 'vitest'
import { createDatabase, temporaryDirectory } from '../support/stack.ts'
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

it('opens every purse that the programme gives a household, also one that it did not have before', async () => {
  const url = await createDatabase()
  const file = join(temporaryDirectory(), 'programme.json')
  writeFileSync(
    file,
    JSON.stringify(
      withFuel(JSON.parse(readFileSync(new URL('../../config/programme.json', import.meta.url), 'utf8')) as ProgrammeFile),
    ),
  )
  expect((await runSarf(['seed', '--households', '30', '--database', url], { SARF_PROGRAMME: file })).code).toBe(0)

  const client = new Client({ connectionString: url })
  await client.connect()
  const { rows } = await client.query(
    `SELECT k.name, count(*)::int AS purses, sum(p.balance)::int AS litres FROM purse p JOIN purse_kind k ON k.kind = p.kind
     WHERE k.name = 'fuel' GROUP BY 1`,
  )
  await client.end()
  expect(rows).toEqual([{ name: 'fuel', purses: 30, litres: 30 * 40 }])
  expect((await runSarf(['audit', '--database', url])).code).toBe(0)
})

interface ProgrammeFile {
  units: unknown[]
  purses: unknown[]
  versions: { services: Record<string, { entitlement?: object }> }[]
}

/** 40 litres a month for each household, however large. */
function withFuel(programme: ProgrammeFile): ProgrammeFile {
  const litres = { counts: 'bread', each: 'month', tiers: [{ membersMax: 1, amount: 40 }], closingAccount: 9002 }
  return {
    ...programme,
    units: [...programme.units, { name: 'LITRE', number: 5, currency: '999' }],
    purses: [...programme.purses, { name: 'fuel', kind: 5, unit: 'LITRE', owner: 'household', account: 2130 }],
    versions: programme.versions.map((version) => ({
      ...version,
      services: { ...version.services, fuel: { ...version.services['ration'], entitlement: litres } },
    })),
  }
}

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
