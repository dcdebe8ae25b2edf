import { Pool } from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { loadConfig } from '../../src/config.ts'
import { audit } from '../../src/ledger/audit.ts'
import { openCard, openHousehold, type HouseholdPlace } from './openHousehold.ts'
import { createDatabase } from './stack.ts'

const clock = { now: () => Date.parse('2026-06-30T20:59:59Z'), after: () => () => undefined, soon: setImmediate }
let place: HouseholdPlace

beforeAll(async () => {
  const databaseUrl = await createDatabase()
  const sql = new Pool({ connectionString: databaseUrl, max: 2 })
  sql.on('error', () => undefined)
  place = { sql, config: loadConfig({ DATABASE_URL: databaseUrl, REDIS_URL: 'redis://127.0.0.1' }), clock }
  await sql.query(`SELECT ensure_partitions('2026-06-01', 1)`)
})
afterAll(() => place.sql.end())

interface PurseLine {
  readonly id: string
  readonly text: string
}

async function purses(household: number): Promise<string[]> {
  const { rows } = await place.sql.query<PurseLine>(
    `SELECT p.id, concat_ws(' ', p.kind, p.balance, p.version, p.cycle, p.members) AS text FROM purse p WHERE household_id = $1 ORDER BY p.id`,
    [household],
  )
  return rows.map(({ text }) => text)
}

/** What the auditor cannot prove of all that was opened so far. */
async function wrongBooks(): Promise<unknown[]> {
  const { databaseUrl } = place.config
  const report = await audit({ databaseUrl, holdGraceMs: 0, reservationAgeMs: 0, clock })
  return report.checks.filter((check) => !check.ok)
}

describe('a household for a test', () => {
  it('has the entitlements of the month on the clock, and one card each for head and member', async () => {
    const { household, head, member, old, purses: ids } = await openHousehold(place)
    expect(await purses(household)).toEqual([
      '1 100000 1 0',
      '1 100000 1 0',
      '2 20000 1 2026-06-01 4',
      '3 600 1 2026-06-01 4',
      '4 0 0 0',
    ])
    expect([head.purseId, member.purseId, ids.cash, old]).toEqual([
      household * 100 + 1,
      household * 100 + 2,
      head.purseId,
      undefined,
    ])
    expect(await wrongBooks()).toEqual([])
  })

  it('has what is asked for instead, in an earlier month too', async () => {
    const asked = {
      rationMembers: 1,
      breadMembers: 2,
      ration: 700,
      loaves: 0,
      points: 50,
      cash: 0,
      oldCard: true,
      cycle: '2026-02-15',
    }
    const { household, old } = await openHousehold(place, { ...asked, governorate: 27, cover: null })
    expect(await purses(household)).toEqual(['1 0 0 0', '1 0 0 0', '2 700 1 2026-02-01 1', '3 0 0 2026-02-01 2', '4 50 1 0'])
    expect(old).toBeDefined()
    const { rows } = await place.sql.query(
      `SELECT string_agg(c.role, ' ' ORDER BY c.role) AS roles, min(h.governorate) AS governorate, count(r.cover_class)::int AS covered
       FROM card c JOIN household h ON h.id = c.household_id LEFT JOIN person r ON r.id = c.person_id WHERE h.id = $1`,
      [household],
    )
    expect(rows).toEqual([{ roles: 'head member old', governorate: 27, covered: 0 }])
    expect(await wrongBooks()).toEqual([])
  })

  it('has an opening of its month even where nothing comes with it, which is no posting then', async () => {
    const { purses: ids } = await openHousehold(place, { members: 0 })
    const { rows } = await place.sql.query(
      'SELECT key, kind, purse_version, approved::int, cycle::text FROM "authorization" WHERE purse_id = ANY ($1) ORDER BY purse_id',
      [[ids.ration, ids.bread, ids.points]],
    )
    const opening = { kind: 16, purse_version: null, approved: 0, cycle: '2026-06-01' }
    expect(rows).toEqual([ids.ration, ids.bread].map((id) => ({ ...opening, key: `opening|2026-06|${String(id)}` })))
    expect(await wrongBooks()).toEqual([])
  })

  it('is left out where only a card with cash is wanted', async () => {
    const { purseId } = await openCard(place, { balance: 0 })
    expect(await purses(Math.floor(purseId / 100))).toEqual(['1 0 0 0'])
    expect(await wrongBooks()).toEqual([])
  })
})
