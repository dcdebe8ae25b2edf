import { Client } from 'pg'
import { expect, it } from 'vitest'
import { cardToken, maskPan } from '../../src/card.ts'
import { systemClock } from '../../src/clock.ts'
import { audit } from '../../src/ledger/audit.ts'
import { demoCard, demoPan } from '../../src/programme/demo.ts'
import { purseIdOfHousehold, seedProgramme, seedRows } from '../../src/programme/seed.ts'
import { createDatabase } from '../support/stack.ts'

const lookupKey = Buffer.from('a key that only this test has, 32 characters')
const HOUSEHOLDS = 120

async function rowsOf(url: string, text: string, values: unknown[] = []): Promise<Record<string, unknown>[]> {
  const client = new Client({ connectionString: url })
  await client.connect()
  const { rows } = await client.query<Record<string, unknown>>(text, values)
  await client.end()
  return rows
}

async function seeded(nowMs = Date.now()): Promise<{ url: string; written: number }> {
  const url = await createDatabase()
  let written = 0
  const onRows = (count: number): void => {
    written += count
  }
  expect(await seedProgramme(url, { households: HOUSEHOLDS, lookupKey, nowMs, onRows })).toBe(true)
  return { url, written }
}

it('gives each household a card, found by its token, and a cash purse with the opening balance', async () => {
  const { url } = await seeded()
  const [row] = await rowsOf(
    url,
    'SELECT c.masked, c.state, c.expiry, p.id::int, p.balance::int, p.version::int FROM card c JOIN purse p ON p.id = c.cash_purse WHERE c.token = $1',
    [cardToken(demoPan(17), lookupKey)],
  )
  const { state, expiry, balance } = demoCard(17)
  expect(row).toEqual({
    masked: maskPan(demoPan(17)),
    state,
    expiry,
    id: purseIdOfHousehold(17),
    balance,
    version: 1,
  })
  expect(await rowsOf(url, 'SELECT count(*)::int AS count FROM card')).toEqual([{ count: HOUSEHOLDS }])
})

it('keeps books that the auditor proves from the first row on', async () => {
  const { url } = await seeded()
  const report = await audit({ databaseUrl: url, holdGraceMs: 0, reservationAgeMs: 0, clock: systemClock })
  expect(report.checks.filter((check) => !check.ok)).toEqual([])
  expect(report.checks.find((check) => check.name === 'postings')).toMatchObject({ checked: HOUSEHOLDS })
})

it('counts the rows that it writes as it said beforehand', async () => {
  expect((await seeded()).written).toBe(seedRows(HOUSEHOLDS))
})

it('makes the same programme wherever it is made', async () => {
  const nowMs = Date.parse('2026-05-31T22:00:00Z')
  const [one, other] = [await seeded(nowMs), await seeded(nowMs)]
  for (const table of ['household', 'purse', 'card', 'merchant', 'terminal', '"authorization"', 'transfer']) {
    const digest = `SELECT md5(string_agg(t::text, ' ' ORDER BY t::text)) AS digest FROM ${table} t`
    expect(await rowsOf(one.url, digest)).toEqual(await rowsOf(other.url, digest))
  }
})

it('writes nothing into a database that has households, even when two seed at once', async () => {
  const url = await createDatabase()
  const options = { households: HOUSEHOLDS, lookupKey, nowMs: Date.now() }
  const made = await Promise.all([seedProgramme(url, options), seedProgramme(url, options)])
  expect(made.toSorted()).toEqual([false, true])
  expect(await rowsOf(url, 'SELECT count(*)::int AS count FROM household')).toEqual([{ count: HOUSEHOLDS }])
})

it('leaves nothing behind where it fails half-way', async () => {
  const url = await createDatabase()
  await rowsOf(url, 'ALTER TABLE card ADD CONSTRAINT too_many CHECK (household_id < 100)')
  await expect(seedProgramme(url, { households: HOUSEHOLDS, lookupKey, nowMs: Date.now() })).rejects.toThrow('too_many')
  expect(
    await rowsOf(url, 'SELECT (SELECT count(*) FROM household)::int + (SELECT count(*) FROM merchant)::int AS count'),
  ).toEqual([{ count: 0 }])
})
