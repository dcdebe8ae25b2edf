import { Client } from 'pg'
import { expect, it } from 'vitest'
import { cardToken, maskPan } from '../../src/card.ts'
import { systemClock } from '../../src/clock.ts'
import { loadConfig } from '../../src/config.ts'
import { audit } from '../../src/ledger/audit.ts'
import { demoCard, demoMemberPan, demoOldPan, demoPan } from '../../src/programme/demo.ts'
import { demoHousehold } from '../../src/programme/demoHousehold.ts'
import {
  breadPurseOf,
  pointsPurseOf,
  purseIdOfHousehold,
  rationPurseOf,
  seedProgramme,
  seedRows,
} from '../../src/programme/seed.ts'
import { mobileToken, nationalIdToken } from '../../src/personalData.ts'
import { demoPersonalData } from '../../src/programme/demoPersonalData.ts'
import { dataVault } from '../../src/security/dataVault.ts'
import { softwareKeyStore } from '../../src/security/softwareKeys.ts'
import { createDatabase } from '../support/stack.ts'

const lookupKey = Buffer.from('a key that only this test has, 32 characters')
const HOUSEHOLDS = 120
const { programme, security } = loadConfig({ DATABASE_URL: 'postgres://127.0.0.1', REDIS_URL: 'redis://127.0.0.1' })
/** In Cairo the month has begun an hour ago, in UTC it is the month before. */
const FIRST_HOUR_OF_JUNE = Date.parse('2026-05-31T22:00:00Z')

async function rowsOf(url: string, text: string, values: unknown[] = []): Promise<Record<string, unknown>[]> {
  const client = new Client({ connectionString: url })
  await client.connect()
  const { rows } = await client.query<Record<string, unknown>>(text, values)
  await client.end()
  return rows
}

function options(nowMs = Date.now()) {
  return { households: HOUSEHOLDS, lookupKey, nowMs, programme, security }
}

const keys = softwareKeyStore([{ name: 'data.1', usage: 'D0', algorithm: 'A', exportable: false, value: Buffer.alloc(32, 1) }])
const vault = dataVault(keys, 'data.1')

async function seeded(nowMs?: number, sealedBy?: typeof vault): Promise<{ url: string; written: number }> {
  const url = await createDatabase()
  let written = 0
  const onRows = (count: number): void => {
    written += count
  }
  expect(await seedProgramme(url, { ...options(nowMs), onRows, vault: sealedBy })).toBe(true)
  return { url, written }
}

const CARD = `
  SELECT c.masked, c.state, c.expiry, c.role, c.person_id::int, (SELECT array_agg(p.id::int ORDER BY p.id) FROM purse p
      WHERE p.household_id = c.household_id AND (p.person_id = c.person_id OR p.person_id IS NULL AND c.role <> 'member')) AS purses
  FROM card c WHERE c.token = $1`

it("gives each head a card that is found by its token and draws on the person's cash and all purses of the household", async () => {
  const { url } = await seeded()
  const { state, expiry, balance } = demoCard(17)
  expect(await rowsOf(url, CARD, [cardToken(demoPan(17), lookupKey)])).toEqual([
    {
      masked: maskPan(demoPan(17)),
      state,
      expiry,
      role: 'head',
      person_id: 1701,
      purses: [purseIdOfHousehold(17), rationPurseOf(17), breadPurseOf(17), pointsPurseOf(17)],
    },
  ])
  expect(await rowsOf(url, 'SELECT balance::int, version::int FROM purse WHERE id = $1', [purseIdOfHousehold(17)])).toEqual([
    { balance, version: 1 },
  ])
})

it("gives each other member a card on the person's cash alone, and some households an old card on the household's purses", async () => {
  const { url } = await seeded()
  expect(await rowsOf(url, CARD, [cardToken(demoMemberPan(1, 2), lookupKey)])).toMatchObject([
    { state: 'ACTIVE', role: 'member', person_id: 102, purses: [102] },
  ])
  expect(await rowsOf(url, CARD, [cardToken(demoOldPan(4), lookupKey)])).toMatchObject([
    { state: 'ACTIVE', role: 'old', person_id: null, purses: [492, 493, 494] },
  ])
  const households = Array.from({ length: HOUSEHOLDS }, (_, index) => demoHousehold(index + 1))
  const members = households.reduce((sum, { persons }) => sum + persons.length, 0)
  expect(await rowsOf(url, 'SELECT role, count(*)::int AS count FROM card GROUP BY role ORDER BY role')).toEqual([
    { role: 'head', count: HOUSEHOLDS },
    { role: 'member', count: members - HOUSEHOLDS },
    { role: 'old', count: households.filter(({ oldPan }) => oldPan !== undefined).length },
  ])
  expect(await rowsOf(url, 'SELECT count(*)::int AS count, (count(*) FILTER (WHERE head))::int AS heads FROM person')).toEqual([
    { count: members, heads: HOUSEHOLDS },
  ])
})

it("opens the households' purses for the month in Cairo by their members, and posts that under the key of an opening", async () => {
  const { url } = await seeded(FIRST_HOUR_OF_JUNE)
  const OPENED = `
    SELECT p.balance::int, p.version::int, p.cycle::text, p.members, a.key, a.key_date::text, a.kind, a.approved::int, a.cycle::text AS opened,
      t.debit_code, t.credit_code, t.credit_owner::int, t.unit, t.amount::int
    FROM purse p LEFT JOIN "authorization" a ON a.purse_id = p.id LEFT JOIN transfer t ON t.purse_id = p.id WHERE p.id = $1`
  const opened = (id: number) => ({
    version: 1,
    key: `opening|2026-06|${String(id)}`,
    key_date: '2026-06-01',
    kind: 16,
    debit_code: 9000,
  })
  // Household 3 has six members, the youngest of them not on the ration list yet: 4 x 50 + 25, and 6 x 5 loaves on 30 days.
  const month = { cycle: '2026-06-01', opened: '2026-06-01' }
  expect(await rowsOf(url, OPENED, [392])).toEqual([
    {
      ...opened(392),
      ...month,
      balance: 22_500,
      approved: 22_500,
      amount: 22_500,
      members: 5,
      credit_code: 2100,
      credit_owner: 392,
      unit: 2,
    },
  ])
  expect(await rowsOf(url, OPENED, [393])).toEqual([
    {
      ...opened(393),
      ...month,
      balance: 900,
      approved: 900,
      amount: 900,
      members: 6,
      credit_code: 2110,
      credit_owner: 393,
      unit: 4,
    },
  ])
  const { points } = demoHousehold(1)
  const noMonth = { cycle: null, opened: null, members: 0 }
  expect(await rowsOf(url, OPENED, [194])).toEqual([
    {
      ...opened(194),
      ...noMonth,
      balance: points,
      approved: points,
      amount: points,
      credit_code: 2120,
      credit_owner: 194,
      unit: 3,
    },
  ])
  expect(await rowsOf(url, OPENED, [294])).toMatchObject([{ balance: 0, version: 0, key: null, amount: null }])
})

it('switches the services on in all governorates but the last', async () => {
  const { url } = await seeded()
  expect(
    await rowsOf(
      url,
      'SELECT service, count(*)::int AS count, max(governorate) AS last, max(active_from)::text AS since FROM region_service GROUP BY 1 ORDER BY 1',
    ),
  ).toEqual(['bread', 'health', 'ration'].map((service) => ({ service, count: 26, last: 26, since: '2026-01-01' })))
})

it('keeps books that the auditor proves from the first row on', async () => {
  const { url } = await seeded()
  const report = await audit({ databaseUrl: url, holdGraceMs: 0, reservationAgeMs: 0, clock: systemClock })
  expect(report.checks.filter((check) => !check.ok)).toEqual([])
  const [{ postings } = {}] = await rowsOf(url, 'SELECT count(*)::int AS postings FROM "authorization"')
  expect(report.checks.find((check) => check.name === 'postings')).toMatchObject({ checked: postings })
})

it('counts the rows that it writes as it said beforehand', async () => {
  expect((await seeded()).written).toBe(seedRows(options()))
  expect((await seeded(undefined, vault)).written).toBe(seedRows({ ...options(), vault }))
})

const SECRETS = 'SELECT (SELECT count(*) FROM card_secret)::int AS cards, (SELECT count(*) FROM person_secret)::int AS persons'

it('keeps numbers of cards and persons enciphered, found by their tokens', async () => {
  const { url } = await seeded(undefined, vault)
  const households = Array.from({ length: HOUSEHOLDS }, (_, index) => demoHousehold(index + 1))
  const persons = households.reduce((sum, household) => sum + household.persons.length, 0)
  const old = households.filter(({ oldPan }) => oldPan !== undefined).length
  expect(await rowsOf(url, SECRETS)).toEqual([{ cards: persons + old, persons }])

  const token = cardToken(demoOldPan(4), lookupKey)
  const [card] = await rowsOf(url, 'SELECT key_id, pan FROM card_secret WHERE token = $1', [token])
  expect(card?.['key_id']).toBe('data.1')
  expect(vault.unseal('data.1', { field: 'pan', shard: 0, owner: token }, card?.['pan'] as Buffer)).toBe(demoOldPan(4))

  const { birthDate } = demoHousehold(1).persons[0]!
  const { nationalId, mobile } = demoPersonalData(1, 1, birthDate)
  const tokens = [nationalIdToken(nationalId, lookupKey), mobileToken(mobile!, lookupKey)]
  const found = 'SELECT person_id::int, national_id, mobile FROM person_secret WHERE national_id_token = $1 AND mobile_token = $2'
  const [person] = await rowsOf(url, found, tokens)
  expect(person?.['person_id']).toBe(101)
  const place = { shard: 0, owner: 101 } as const
  expect(vault.unseal('data.1', { ...place, field: 'national-id' }, person?.['national_id'] as Buffer)).toBe(nationalId.reveal())
  expect(vault.unseal('data.1', { ...place, field: 'mobile' }, person?.['mobile'] as Buffer)).toBe(mobile!.reveal())
})

it('keeps no numbers of cards and persons where it has no key for them', async () => {
  expect(await rowsOf((await seeded()).url, SECRETS)).toEqual([{ cards: 0, persons: 0 }])
})

it('makes the same programme wherever it is made', async () => {
  const [one, other] = [await seeded(FIRST_HOUR_OF_JUNE), await seeded(FIRST_HOUR_OF_JUNE)]
  const tables = ['household', 'person', 'purse', 'card', 'merchant', 'terminal', 'region_service', '"authorization"', 'transfer']
  for (const table of tables) {
    const digest = `SELECT md5(string_agg(t::text, ' ' ORDER BY t::text)) AS digest FROM ${table} t`
    expect(await rowsOf(one.url, digest)).toEqual(await rowsOf(other.url, digest))
  }
})

it('writes nothing into a database that has households, even when two seed at once', async () => {
  const url = await createDatabase()
  const made = await Promise.all([seedProgramme(url, options()), seedProgramme(url, options())])
  expect(made.toSorted()).toEqual([false, true])
  expect(await rowsOf(url, 'SELECT count(*)::int AS count FROM household')).toEqual([{ count: HOUSEHOLDS }])
})

it('leaves nothing behind where it fails half-way', async () => {
  const url = await createDatabase()
  await rowsOf(url, 'ALTER TABLE card ADD CONSTRAINT too_many CHECK (household_id < 100)')
  await expect(seedProgramme(url, options())).rejects.toThrow('too_many')
  expect(
    await rowsOf(url, 'SELECT (SELECT count(*) FROM household)::int + (SELECT count(*) FROM merchant)::int AS count'),
  ).toEqual([{ count: 0 }])
})
