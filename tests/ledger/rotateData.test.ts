import { Client } from 'pg'
import { describe, expect, it } from 'vitest'
import { cardToken } from '../../src/card.ts'
import { loadConfig } from '../../src/config.ts'
import { dataKeyUse, rotateDataKey, type RotateProgress } from '../../src/ledger/rotateData.ts'
import { demoPan } from '../../src/programme/demo.ts'
import { demoHousehold } from '../../src/programme/demoHousehold.ts'
import { demoPersonalData } from '../../src/programme/demoPersonalData.ts'
import { personIdOf } from '../../src/programme/householdRows.ts'
import { seedProgramme } from '../../src/programme/seed.ts'
import { dataVault, type DataVault } from '../../src/security/dataVault.ts'
import { KeyRefused } from '../../src/security/keys.ts'
import { softwareKeyStore } from '../../src/security/softwareKeys.ts'
import { createDatabase } from '../support/stack.ts'
import { until } from '../support/switch.ts'

const { programme, lookupKey, security } = loadConfig({ DATABASE_URL: 'postgres://127.0.0.1', REDIS_URL: 'redis://127.0.0.1' })
const HOUSEHOLDS = 40
const households = Array.from({ length: HOUSEHOLDS }, (_, index) => demoHousehold(index + 1))
const PERSONS = households.reduce((sum, { persons }) => sum + persons.length, 0)
const ROWS = 2 * PERSONS + households.filter(({ oldPan }) => oldPan !== undefined).length

function store(...numbers: number[]) {
  return softwareKeyStore(
    numbers.map((number) => ({
      name: `data.${String(number)}`,
      usage: 'D0',
      algorithm: 'A',
      exportable: false,
      value: Buffer.alloc(32, number),
    })),
  )
}
const keys = store(1, 2, 3)

interface Sealed {
  readonly url: string
  readonly client: Client
}

/** A database with everything under data.1. */
async function seeded(): Promise<Sealed> {
  const url = await createDatabase()
  await seedProgramme(url, {
    households: HOUSEHOLDS,
    lookupKey,
    nowMs: Date.now(),
    programme,
    security,
    vault: dataVault(keys, 'data.1'),
  })
  const client = await connected(url)
  return { url, client }
}

async function connected(url: string): Promise<Client> {
  const client = new Client({ connectionString: url })
  // The database is dropped under it at the end.
  client.on('error', () => undefined)
  await client.connect()
  return client
}

/** Every value opens under the key that its row names, and is what was sealed. */
async function expectReadable({ client }: Sealed, vault: DataVault): Promise<void> {
  const cards = await client.query<{ token: string; key_id: string; pan: Buffer }>('SELECT token, key_id, pan FROM card_secret')
  const pans = new Map(
    cards.rows.map(({ token, key_id, pan }) => [token, vault.unseal(key_id, { field: 'pan', shard: 0, owner: token }, pan)]),
  )
  const persons = await client.query<{ person_id: string; key_id: string; national_id: Buffer; mobile: Buffer | null }>(
    'SELECT person_id, key_id, national_id, mobile FROM person_secret',
  )
  const byId = new Map(persons.rows.map((row) => [Number(row.person_id), row]))
  for (const { household, persons: members, oldPan } of households) {
    if (oldPan !== undefined) expect(pans.get(cardToken(oldPan, lookupKey))).toBe(oldPan)
    for (const { member, pan, birthDate } of members) {
      expect(pans.get(cardToken(pan, lookupKey))).toBe(pan)
      const id = personIdOf(household, member)
      const row = byId.get(id)!
      const place = { shard: 0, owner: id } as const
      const { nationalId, mobile } = demoPersonalData(household, member, birthDate)
      expect(vault.unseal(row.key_id, { ...place, field: 'national-id' }, row.national_id)).toBe(nationalId.reveal())
      const opened = row.mobile === null ? null : vault.unseal(row.key_id, { ...place, field: 'mobile' }, row.mobile)
      expect(opened).toBe(mobile?.reveal() ?? null)
    }
  }
}

const done = { unreadable: 0, behind: 0 }

describe('rotating the data key', () => {
  it('seals every row again with the new key, so that the old one may go', async () => {
    const sealed = await seeded()
    expect(await dataKeyUse(sealed.url)).toEqual([{ keyId: 'data.1', rows: ROWS }])
    const progress: RotateProgress[] = []
    const result = await rotateDataKey({
      databaseUrl: sealed.url,
      keys,
      to: 'data.2',
      batch: 7,
      onProgress: (step) => progress.push(step),
    })
    expect(result).toEqual({ ...done, rotated: ROWS })
    expect(await dataKeyUse(sealed.url)).toEqual([{ keyId: 'data.2', rows: ROWS }])
    await expectReadable(sealed, dataVault(store(2), 'data.2'))
    expect(progress.at(-1)).toEqual({ looked: ROWS, total: ROWS, rotated: ROWS })
    for (const [index, { looked }] of progress.entries())
      expect(looked - (progress[index - 1]?.looked ?? 0)).toBeLessThanOrEqual(7)
  })

  it('seals the secrets of webhooks again too', async () => {
    const url = await createDatabase()
    const client = await connected(url)
    const place = { field: 'webhook-secret', shard: 0, owner: 'one' } as const
    await client.query(
      `INSERT INTO webhook (shard, id, url, kinds, key_id, secret, made_by, made_at, told_until) VALUES (0, 'one', '', '{card}', 'data.1', $1, '', now(), 0)`,
      [dataVault(keys, 'data.1').seal(place, 'a secret of thirty-two characters')],
    )
    expect(await dataKeyUse(url)).toEqual([{ keyId: 'data.1', rows: 1 }])
    expect(await rotateDataKey({ databaseUrl: url, keys, to: 'data.2', batch: 10 })).toEqual({
      rotated: 1,
      unreadable: 0,
      behind: 0,
    })
    const { rows } = await client.query<{ secret: Buffer }>('SELECT secret FROM webhook')
    expect(dataVault(store(2), 'data.2').unseal('data.2', place, rows[0]!.secret)).toBe('a secret of thirty-two characters')
    await client.end()
  })

  it('does nothing where it is done already', async () => {
    const { url, client } = await seeded()
    const before = (await client.query('SELECT * FROM card_secret ORDER BY token')).rows
    expect(await rotateDataKey({ databaseUrl: url, keys, to: 'data.1', batch: 100 })).toEqual({ ...done, rotated: 0 })
    expect((await client.query('SELECT * FROM card_secret ORDER BY token')).rows).toEqual(before)
  })

  it('goes on where it was cut short', async () => {
    const sealed = await seeded()
    const cut = new Error('cut short')
    const stopAfterOnePage = () => {
      throw cut
    }
    await expect(
      rotateDataKey({ databaseUrl: sealed.url, keys, to: 'data.2', batch: 50, onProgress: stopAfterOnePage }),
    ).rejects.toBe(cut)
    expect(await dataKeyUse(sealed.url)).toEqual([
      { keyId: 'data.1', rows: ROWS - 50 },
      { keyId: 'data.2', rows: 50 },
    ])
    await expectReadable(sealed, dataVault(keys, 'data.2'))
    expect(await rotateDataKey({ databaseUrl: sealed.url, keys, to: 'data.2', batch: 50 })).toEqual({
      ...done,
      rotated: ROWS - 50,
    })
    await expectReadable(sealed, dataVault(store(2), 'data.2'))
  })

  it('runs beside others: each row is sealed once', async () => {
    const sealed = await seeded()
    const results = await Promise.all(
      [3, 5, 11].map((batch) => rotateDataKey({ databaseUrl: sealed.url, keys, to: 'data.2', batch })),
    )
    expect(results.reduce((sum, { rotated }) => sum + rotated, 0)).toBe(ROWS)
    expect(await dataKeyUse(sealed.url)).toEqual([{ keyId: 'data.2', rows: ROWS }])
    await expectReadable(sealed, dataVault(store(2), 'data.2'))
  })

  it('beside one to another key leaves every value readable', async () => {
    const sealed = await seeded()
    await Promise.all(['data.2', 'data.3'].map((to) => rotateDataKey({ databaseUrl: sealed.url, keys, to, batch: 5 })))
    const use = await dataKeyUse(sealed.url)
    expect(use.reduce((sum, { rows }) => sum + rows, 0)).toBe(ROWS)
    expect(use.map(({ keyId }) => keyId)).not.toContain('data.1')
    await expectReadable(sealed, dataVault(store(2, 3), 'data.2'))
  })

  it('never puts an old value over what was written since it was read', async () => {
    const { url, client } = await seeded()
    const id = personIdOf(1, 1)
    const writer = dataVault(keys, 'data.1')
    const place = { shard: 0, owner: id } as const
    const nationalId = writer.seal({ ...place, field: 'national-id' }, '28005170312345')
    const mobile = writer.seal({ ...place, field: 'mobile' }, '+201000000001')
    await client.query('BEGIN')
    await client.query('UPDATE person_secret SET national_id = $2, mobile = $3 WHERE person_id = $1', [id, nationalId, mobile])
    const rotating = rotateDataKey({ databaseUrl: url, keys, to: 'data.2', batch: 10_000 })
    const other = await connected(url)
    // It has read the row as it was before, and waits for its lock.
    await until(async () => {
      const { rowCount } = await other.query(
        `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
      )
      return rowCount === 1
    })
    await client.query('COMMIT')
    expect(await rotating).toEqual({ rotated: ROWS - 1, unreadable: 0, behind: 1 })
    const { rows } = await client.query<{ key_id: string; mobile: Buffer }>(
      'SELECT key_id, mobile FROM person_secret WHERE person_id = $1',
      [id],
    )
    expect(rows).toEqual([{ key_id: 'data.1', mobile }])
    expect(await rotateDataKey({ databaseUrl: url, keys, to: 'data.2', batch: 10_000 })).toEqual({ ...done, rotated: 1 })
  })

  it('leaves alone and counts what does not open', async () => {
    const { url, client } = await seeded()
    // One card's number in the row of another, and a person's national ID that lost a bit.
    const tokens = [1, 2].map((household) => cardToken(demoPan(household), lookupKey))
    await client.query('UPDATE card_secret SET pan = (SELECT pan FROM card_secret WHERE token = $1) WHERE token = $2', tokens)
    await client.query(
      'UPDATE person_secret SET national_id = set_bit(national_id, 100, 1 - get_bit(national_id, 100)) WHERE person_id = 301',
    )
    expect(await rotateDataKey({ databaseUrl: url, keys, to: 'data.2', batch: 10 })).toEqual({
      rotated: ROWS - 2,
      unreadable: 2,
      behind: 2,
    })
    expect(await dataKeyUse(url)).toEqual([
      { keyId: 'data.1', rows: 2 },
      { keyId: 'data.2', rows: ROWS - 2 },
    ])
  })

  it('stops where a key is missing, old or new', async () => {
    const { url } = await seeded()
    await expect(rotateDataKey({ databaseUrl: url, keys: store(2), to: 'data.2', batch: 10 })).rejects.toThrow(KeyRefused)
    await expect(rotateDataKey({ databaseUrl: url, keys: store(1), to: 'data.2', batch: 10 })).rejects.toThrow(KeyRefused)
    expect(await dataKeyUse(url)).toEqual([{ keyId: 'data.1', rows: ROWS }])
  })
})

describe('the tables of personal data', () => {
  it.each([
    ['a card number in the clear', `UPDATE card_secret SET pan = '9818010000000015'::bytea`],
    ['a national ID in the clear', `UPDATE person_secret SET national_id = '28005170312345'::bytea`],
    ['a mobile in the clear', `UPDATE person_secret SET mobile = '+201012345678'::bytea`],
    ['a mobile without its token', 'UPDATE person_secret SET mobile_token = NULL'],
    ['a key that is no data key', `UPDATE card_secret SET key_id = 'zpk.1'`],
    [
      'a national ID that somebody else has',
      'UPDATE person_secret SET national_id_token = (SELECT min(national_id_token) FROM person_secret)',
    ],
  ])('refuse %s', async (_what, statement) => {
    const { client } = await seeded()
    await expect(client.query(statement)).rejects.toThrow(/violates (check|unique) constraint/)
  })
})
