import { Client } from 'pg'
import { beforeAll, describe, expect, it, vi } from 'vitest'
import type { CardToken } from '../../src/card.ts'
import { systemClock } from '../../src/clock.ts'
import { audit } from '../../src/ledger/audit.ts'
import type { CommitItem } from '../../src/ledger/commitItem.ts'
import {
  authorization,
  completion,
  counted,
  createLedger,
  credit,
  decline,
  DUPLICATE,
  purchase,
  refund,
  tombstone,
  TODAY,
  verified,
  WON,
  type TestLedger,
} from '../support/commitItems.ts'

let ledger: TestLedger
beforeAll(async () => {
  ledger = await createLedger()
})

const WAITING = `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`
let keys = 0

interface PurseRow {
  readonly balance: string
  readonly held: string
  readonly version: string
}

async function purse(id: number): Promise<{ balance: number; held: number; version: number }> {
  const [row] = await ledger.sql<PurseRow>('SELECT balance, held, version FROM purse WHERE id = $1', [id])
  return { balance: Number(row!.balance), held: Number(row!.held), version: Number(row!.version) }
}

async function insertCard(token: string): Promise<void> {
  await ledger.sql(
    `INSERT INTO card (shard, token, masked, household_id, state, expiry, role, person_id) VALUES (0, $1, '******', 1, 'ACTIVE', '2912', 'old', NULL)`,
    [token],
  )
}

async function counters(id: number): Promise<unknown> {
  const [row] = await ledger.sql(
    'SELECT day::text, spent_amount::int, spent_count, withdrawn_amount::int, withdrawn_count FROM purse WHERE id = $1',
    [id],
  )
  return row
}

async function postings(key: string): Promise<{ decisions: number; transfers: number }> {
  const [row] = await ledger.sql<{ decisions: number; transfers: number }>(
    `SELECT count(DISTINCT a.ctid)::int AS decisions, count(t.amount)::int AS transfers FROM "authorization" a
     LEFT JOIN transfer t ON t.purse_id = a.purse_id AND t.purse_version = a.purse_version WHERE a.key = $1`,
    [key],
  )
  return row!
}

describe('a key', () => {
  it('is won once: later items of it are duplicates and move nothing', async () => {
    const id = await ledger.openPurse(1000)
    const first = purchase(id, 300)
    expect(await ledger.commit([first])).toEqual([WON])
    expect(await ledger.commit([first])).toEqual([DUPLICATE])
    expect(await ledger.commit([{ ...first, body: '2' }, decline()])).toEqual([DUPLICATE, WON])
    expect(await purse(id)).toEqual({ balance: 700, held: 0, version: 2 })
    expect(await postings(first.key)).toEqual({ decisions: 1, transfers: 1 })
  })

  it('that was declined never succeeds later', async () => {
    const id = await ledger.openPurse(1000)
    const refused = decline()
    expect(await ledger.commit([refused])).toEqual([WON])
    expect(await ledger.commit([purchase(id, 1, { key: refused.key })])).toEqual([DUPLICATE])
    expect(await purse(id)).toMatchObject({ balance: 1000 })
  })

  it('that a tombstone holds is refused, and a tombstone gives way to a posting', async () => {
    const id = await ledger.openPurse(1000)
    const [late, early] = [purchase(id, 100), purchase(id, 200)]
    expect(await ledger.commit([tombstone(late.key)])).toEqual([WON])
    expect(await ledger.commit([late])).toEqual([DUPLICATE])
    expect(await ledger.commit([early])).toEqual([WON])
    expect(await ledger.commit([tombstone(early.key)])).toEqual([DUPLICATE])
    expect(await purse(id)).toMatchObject({ balance: 800 })
  })
})

it('judges guards before keys: a repeat that its purse no longer covers learns of its key when it comes again without a purse', async () => {
  const id = await ledger.openPurse(100)
  const first = purchase(id, 60)
  await ledger.commit([first])
  expect(await ledger.commit([first])).toEqual([5])
  expect(await ledger.commit([decline({ key: first.key })])).toEqual([DUPLICATE])
})

describe('a guard that does not hold refuses its item, writes nothing of it, and leaves the others of the batch alone', () => {
  const guards: readonly [number, string, (id: number) => CommitItem | Promise<CommitItem>][] = [
    [2, 'no such purse', () => purchase(999_999, 1)],
    [3, 'the gate has moved', (id) => purchase(id, 1, { movement: { gate: 7 } })],
    [
      4,
      'the original was touched meanwhile',
      async (id) => {
        const original = purchase(id, 100)
        await ledger.commit([original])
        await ledger.commit([refund(original, 10)])
        return refund(original, 100)
      },
    ],
    [5, 'more than the balance', (id) => purchase(id, 1001)],
    [5, 'more than is held', (id) => purchase(id, 1, { movement: { heldDelta: -1 } })],
    [6, 'above the ceiling', (id) => credit(id, 1, { movement: { balanceMax: 900 } })],
    [
      7,
      'above the amount of the day',
      (id) => purchase(id, 11, { movement: { counter: counted('spending', TODAY, 11, { amountMax: 10 }) } }),
    ],
    [
      8,
      'above the number of the day',
      (id) => purchase(id, 1, { movement: { counter: counted('withdrawal', TODAY, 1, { countMax: 0 }) } }),
    ],
  ]
  it.each(guards)('%i: %s', async (outcome, _, make) => {
    const [id, other] = [await ledger.openPurse(1000), await ledger.openPurse(1000)]
    const item = await make(id)
    const before = await purse(id)
    expect(await ledger.commit([item, purchase(other, 5)])).toEqual([outcome, WON])
    expect(await postings(item.key)).toEqual({ decisions: 0, transfers: 0 })
    expect(await purse(id)).toEqual(before)
    expect(await purse(other)).toMatchObject({ balance: 995 })
  })

  it('any gate and any number of links pass where the decision relied on none', async () => {
    const id = await ledger.openPurse(1000)
    await ledger.sql('UPDATE purse SET gate = 5 WHERE id = $1', [id])
    expect(await ledger.commit([purchase(id, 1, { movement: { gate: null } })])).toEqual([WON])
    expect(await ledger.commit([purchase(id, 1, { movement: { gate: 5 } })])).toEqual([WON])
  })
})

describe('the counters of a day', () => {
  it('add up, each group by itself, and begin at nothing on a later day', async () => {
    const id = await ledger.openPurse(1000)
    const on = (day: string, group: 'spending' | 'withdrawal', amount: number): CommitItem =>
      purchase(id, amount, { movement: { counter: counted(group, day, amount, { amountMax: 100 }) } })
    expect(await ledger.commit([on('2026-03-01', 'spending', 60)])).toEqual([WON])
    expect(await ledger.commit([on('2026-03-01', 'withdrawal', 30)])).toEqual([WON])
    expect(await ledger.commit([on('2026-03-01', 'spending', 41)])).toEqual([7])
    expect(await counters(id)).toEqual({
      day: '2026-03-01',
      spent_amount: 60,
      spent_count: 1,
      withdrawn_amount: 30,
      withdrawn_count: 1,
    })
    expect(await ledger.commit([on('2026-03-02', 'spending', 41)])).toEqual([WON])
    expect(await counters(id)).toEqual({
      day: '2026-03-02',
      spent_amount: 41,
      spent_count: 1,
      withdrawn_amount: 0,
      withdrawn_count: 0,
    })
  })

  it('are lowered by what is given back of the same day only, and never below nothing', async () => {
    const id = await ledger.openPurse(1000)
    const original = purchase(id, 50, { movement: { counter: counted('spending', '2026-03-01', 50) } })
    await ledger.commit([original])
    const back = (amount: number, day: string, linked: number): CommitItem =>
      refund(original, amount, linked, { movement: { gate: null, counter: { ...counted('spending', day, -amount), count: -1 } } })
    expect(await ledger.commit([back(20, '2026-03-01', 0)])).toEqual([WON])
    expect(await counters(id)).toMatchObject({ spent_amount: 30, spent_count: 0 })
    expect(await ledger.commit([back(20, '2026-03-01', 1)])).toEqual([WON])
    expect(await counters(id)).toMatchObject({ spent_amount: 10, spent_count: 0 })
    await ledger.commit([purchase(id, 7, { movement: { counter: counted('spending', '2026-03-02', 7) } })])
    expect(await ledger.commit([back(10, '2026-03-01', 2)])).toEqual([WON])
    expect(await counters(id)).toMatchObject({ day: '2026-03-02', spent_amount: 7, spent_count: 1 })
  })
})

describe('a hold', () => {
  it('is made with its authorization and emptied by the completion', async () => {
    const id = await ledger.openPurse(1000)
    const held = authorization(id, 400)
    expect(await ledger.commit([held])).toEqual([WON])
    expect(await purse(id)).toMatchObject({ balance: 600, held: 400 })
    expect(await ledger.commit([completion(held, 250)])).toEqual([WON])
    expect(await purse(id)).toMatchObject({ balance: 750, held: 0 })
    expect(await ledger.sql('SELECT amount::int, remaining::int FROM hold WHERE key = $1', [held.key])).toEqual([
      { amount: 400, remaining: 0 },
    ])
  })

  it('is completed once: the second completion finds the original touched', async () => {
    const id = await ledger.openPurse(1000)
    const held = authorization(id, 400)
    await ledger.commit([held])
    await ledger.commit([completion(held, 400)])
    expect(await ledger.commit([completion(held, 400)])).toEqual([4])
  })

  it('is not made where the authorization is refused or a duplicate', async () => {
    const id = await ledger.openPurse(130)
    const held = authorization(id, 60)
    expect(await ledger.commit([held])).toEqual([WON])
    expect(await ledger.commit([held])).toEqual([DUPLICATE])
    expect(await ledger.commit([authorization(id, 71)])).toEqual([5])
    expect(await ledger.sql('SELECT remaining::int FROM hold WHERE purse_id = $1', [id])).toEqual([{ remaining: 60 }])
  })
})

it('batches over the same purses in opposite order neither wait for each other in a circle nor overdraw', async () => {
  const ids = await Promise.all(Array.from({ length: 40 }, () => ledger.openPurse(1000)))
  const sides = await Promise.all([ledger.connect(), ledger.connect(), ledger.connect(), ledger.connect()])
  const outcomes = await Promise.all(
    sides.map(async (connection, side) => {
      const order = side % 2 === 0 ? ids : ids.toReversed()
      const all: number[] = []
      for (let round = 0; round < 10; round++)
        all.push(
          ...(await ledger.commit(
            order.map((id) => purchase(id, 60)),
            connection,
          )),
        )
      return all
    }),
  )
  const won = outcomes.flat().filter((outcome) => outcome === WON).length
  expect(outcomes.flat().filter((outcome) => outcome !== WON && outcome !== 5)).toEqual([])
  // 16 purchases of 60 out of 1000, whoever made them.
  expect(won).toBe(16 * ids.length)
  expect(await ledger.sql('SELECT DISTINCT balance::int FROM purse WHERE id = ANY ($1)', [ids])).toEqual([{ balance: 40 }])
})

describe('a card that changes with a posting', () => {
  const WRONG = { triesResponse: '62', triesReason: 'fingerprint_suspended' }

  async function openCard(
    token: string,
  ): Promise<{ purses: number[]; cardUpdate: (change: 'retire' | 'mismatch') => CommitItem['cardUpdate'] }> {
    const purses = [await ledger.openPurse(100), await ledger.openPurse(100)]
    await insertCard(token)
    return {
      purses,
      cardUpdate: (change) => ({
        change,
        token: token as CardToken,
        tries: change === 'mismatch' ? 2 : 0,
        raise: purses,
        ...WRONG,
      }),
    }
  }

  async function gatesAndState(token: string, purses: readonly number[]): Promise<unknown[]> {
    const gates = await ledger.sql('SELECT gate::int FROM purse WHERE id = ANY ($1) ORDER BY id', [purses])
    const [card] = await ledger.sql('SELECT state, version::int, fingerprint_mismatches FROM card WHERE token = $1', [token])
    return [gates.map((row) => row['gate']), card]
  }

  it('raises the gates of all purses it could draw on, so that what was decided before is refused', async () => {
    const { purses, cardUpdate } = await openCard('retiring')
    const [first, second] = purses
    expect(await ledger.commit([purchase(first!, 10, { cardUpdate: cardUpdate('retire') })])).toEqual([WON])
    expect(await gatesAndState('retiring', purses)).toEqual([[2, 2], { state: 'RETIRED', version: 2, fingerprint_mismatches: 0 }])
    expect(await ledger.commit([purchase(first!, 10), purchase(second!, 10)])).toEqual([3, 3])
  })

  it('is left alone by an item that loses', async () => {
    const { purses, cardUpdate } = await openCard('losing')
    expect(await ledger.commit([purchase(purses[0]!, 101, { cardUpdate: cardUpdate('retire') })])).toEqual([5])
    expect(await gatesAndState('losing', purses)).toEqual([[1, 1], { state: 'ACTIVE', version: 1, fingerprint_mismatches: 0 }])
  })

  it('is suspended by the mismatch that reaches the limit; another then looks again', async () => {
    const { purses, cardUpdate } = await openCard('suspended')
    const mismatch = (): CommitItem =>
      decline({
        responseCode: '63',
        reason: 'fingerprint_mismatch',
        cardUpdate: cardUpdate('mismatch'),
        key: `mismatch|${keys++}`,
      })
    expect(await ledger.commit([mismatch()])).toEqual([WON])
    expect(await ledger.commit([mismatch()])).toEqual([WON])
    expect(await ledger.commit([mismatch()])).toEqual([3])
    expect(await gatesAndState('suspended', purses)).toEqual([
      [3, 3],
      { state: 'SUSPENDED_BIOMETRIC', version: 3, fingerprint_mismatches: 2 },
    ])
    const answers = await ledger.sql(
      `SELECT response_code, reason, quantity::int FROM "authorization" WHERE key LIKE 'mismatch|%' ORDER BY key`,
    )
    expect(answers).toEqual([
      { response_code: '63', reason: 'fingerprint_mismatch', quantity: 1 },
      { response_code: '62', reason: 'fingerprint_suspended', quantity: 2 },
    ])
  })
})

it.each(['purse', 'card'])('a %s that another writes while the batch waits for it is written as it is since', async (table) => {
  const id = await ledger.openPurse(1000)
  const token = `waited for ${table}`
  await insertCard(token)
  const item = purchase(id, 300, {
    cardToken: token,
    verification: verified({ atc: 9 }),
    movement: { gate: null },
  })
  const other = new Client({ connectionString: ledger.url })
  await other.connect()
  await other.query('BEGIN')
  await other.query(
    table === 'card'
      ? `UPDATE card SET psn = '07', atc_max = 8, atc_seen = 1 WHERE token = $1`
      : 'UPDATE purse SET gate = 7 WHERE id = $1',
    [table === 'card' ? token : id],
  )
  const outcome = ledger.commit([item])
  await vi.waitUntil(async () => (await ledger.sql(WAITING)).length > 0)
  await other.query('COMMIT')
  await other.end()
  expect(await outcome).toEqual([WON])
  expect(await ledger.sql('SELECT balance::int, gate::int FROM purse WHERE id = $1', [id])).toEqual([
    { balance: 700, gate: table === 'purse' ? 7 : 1 },
  ])
  expect(await ledger.sql('SELECT psn, atc_max, atc_seen::int FROM card WHERE token = $1', [token])).toEqual([
    table === 'card' ? { psn: '07', atc_max: 9, atc_seen: 3 } : { psn: '00', atc_max: 9, atc_seen: 1 },
  ])
  expect(await ledger.commit([{ ...item, key: `${item.key} again` }])).toEqual([12])
})

it.each(['purse', 'card'])('two items of one %s in a batch, which nobody may send, are refused whole', async (table) => {
  const [id, another] = [await ledger.openPurse(100), await ledger.openPurse(100)]
  const token = `brought twice by ${table}`
  await insertCard(token)
  const shown = (atc: number): Partial<CommitItem> =>
    table === 'card' ? { cardToken: token, verification: verified({ atc }) } : {}
  const items = [
    { ...purchase(id, 10), ...shown(1) },
    { ...purchase(table === 'card' ? another : id, 20), ...shown(2) },
  ]
  await expect(ledger.commit(items)).rejects.toThrow(`a ${table} that was locked is not where it was`)
  expect(await postings(items[0]!.key)).toEqual({ decisions: 0, transfers: 0 })
  expect([await purse(id), await purse(another)]).toMatchObject([{ balance: 100 }, { balance: 100 }])
})

it('one key that several batches bring at once is posted once, whichever purse each brings it with', async () => {
  const ids = await Promise.all(Array.from({ length: 8 }, () => ledger.openPurse(1000)))
  const sides = await Promise.all(ids.map(() => ledger.connect()))
  for (let round = 0; round < 10; round++) {
    const key = `raced|${round}`
    const outcomes = await Promise.all(ids.map((id, index) => ledger.commit([purchase(id, 1, { key })], sides[index])))
    expect(outcomes.flat().toSorted()).toEqual([WON, ...Array.from({ length: 7 }, () => DUPLICATE)])
    expect(await postings(key)).toEqual({ decisions: 1, transfers: 1 })
  }
})

it('after all of this the auditor finds nothing wrong', async () => {
  const report = await audit({ databaseUrl: ledger.url, holdGraceMs: 0, reservationAgeMs: 0, clock: systemClock })
  expect(report.checks.filter((check) => !check.ok)).toEqual([])
})

describe('event numbers', () => {
  it('ascend with the postings of a purse; declines have one too, tombstones and openings none', async () => {
    const id = await ledger.openPurse(1000)
    const items = [purchase(id, 100), purchase(id, 200), decline(), tombstone('void|events')]
    for (const item of items) expect(await ledger.commit([item])).toEqual([WON])
    const rows = await ledger.sql<{ number: number | null }>(
      `SELECT event_number::int AS number FROM unnest($1::text[]) WITH ORDINALITY AS i(key, ord) JOIN "authorization" a ON a.key = i.key ORDER BY i.ord`,
      [items.map(({ key }) => key)],
    )
    const numbers = rows.map(({ number }) => number)
    expect(numbers[3]).toBeNull()
    expect(numbers.slice(0, 3)).toEqual(numbers.slice(0, 3).toSorted((one, other) => Number(one) - Number(other)))
    expect(new Set(numbers).size).toBe(4)
  })
})
