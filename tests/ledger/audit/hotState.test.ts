import { beforeAll, describe, expect, it } from 'vitest'
import { systemClock, type Clock } from '../../../src/clock.ts'
import { HotState, type CommittedPurse, type Reservation } from '../../../src/decision/hotState.ts'
import { audit } from '../../../src/ledger/audit.ts'
import type { AuditCheck } from '../../../src/ledger/audit/check.ts'
import { readPurses } from '../../../src/ledger/cards.ts'
import type { LedgerConnection } from '../../../src/ledger/connection.ts'
import { epochStore } from '../../../src/ledger/epochs.ts'
import { silentLogger } from '../../../src/log.ts'
import { createLedger, TODAY, type TestLedger } from '../../support/commitItems.ts'
import { createRedis } from '../../support/stack.ts'

const RESERVATION_AGE_MS = 30_000

let ledger: TestLedger
let connection: LedgerConnection
beforeAll(async () => {
  ledger = await createLedger()
  connection = await ledger.connect()
})

interface Hot {
  readonly url: string
  readonly hot: HotState
  readonly put: (change?: Partial<CommittedPurse>) => Promise<number>
}

/** A Redis of its own epoch, and what puts a purse into it: as the ledger has it, but for `change`. */
async function hotState(clock: Clock = systemClock): Promise<Hot> {
  const url = await createRedis()
  const epochs = epochStore(connection)
  const hot = new HotState({ url, shard: 0, callMs: 5000, reconnectMs: 50, epochs, clock, log: silentLogger })
  await hot.open()
  return {
    url,
    hot,
    async put(change = {}) {
      const id = await ledger.openPurse(500)
      const purse = (await readPurses(connection, 0, [id])).get(id)!
      await hot.put(hot.epoch!, [], [{ ...purse, ...change }])
      return id
    },
  }
}

async function compare(redisUrl: string): Promise<AuditCheck> {
  const report = await audit({
    databaseUrl: ledger.url,
    redisUrl,
    holdGraceMs: 0,
    reservationAgeMs: RESERVATION_AGE_MS,
    clock: systemClock,
  })
  return report.checks.find((check) => check.name === 'redis_equals_ledger')!
}

function reservation(purseId: number): Reservation {
  return { key: `reserved|${purseId}`, keyDate: TODAY, body: '1', purseId, debit: 100, gate: null, setMarks: 0, counter: null }
}

const earlier: Clock = { ...systemClock, now: () => Date.now() - 2 * RESERVATION_AGE_MS }

it('is equal where every purse has the version and balance of the ledger and nothing is reserved', async () => {
  const { url, hot, put } = await hotState()
  for (let i = 0; i < 5; i++) await put()
  expect(await compare(url)).toEqual({ name: 'redis_equals_ledger', ok: true, checked: 5, failures: 0, examples: [] })
  await hot.close()
})

describe('is not equal when', () => {
  it.each([
    ['a balance differs', { balance: 501 }, 'the balances differ'],
    ['Redis is ahead', { version: 2, balance: 400 }, 'Redis is ahead of the ledger'],
    ['Redis is behind', { version: 0, balance: 0 }, 'Redis is behind the ledger'],
    ['Redis has a purse that the ledger has not', { purseId: 987_654_321 }, 'Redis holds a purse that the ledger does not have'],
  ])('%s', async (_, change, wrong) => {
    const { url, hot, put } = await hotState()
    await put()
    await put(change)
    expect(await compare(url)).toMatchObject({ ok: false, checked: 2, failures: 1, examples: [{ wrong }] })
    await hot.close()
  })

  it('a reservation is older than the sweeper leaves one', async () => {
    const { url, hot, put } = await hotState(earlier)
    const id = await put()
    expect(await hot.reserve([], [reservation(id)])).toEqual(['reserved'])
    const check = await compare(url)
    expect(check).toMatchObject({ ok: false, failures: 2 })
    expect(check.examples).toMatchObject([
      { purseId: id, key: `reserved|${id}`, wrong: 'a reservation that should have been swept' },
      { purseId: id, wrong: 'something is reserved that nobody will settle' },
    ])
    await hot.close()
  })
})

describe('is left out, with the reason, where', () => {
  it('a reservation is under way', async () => {
    const { url, hot, put } = await hotState()
    const id = await put()
    await hot.reserve([], [reservation(id)])
    expect(await compare(url)).toMatchObject({ ok: true, skipped: 'the switch is at work' })
    await hot.close()
  })

  it('no switch has agreed on an epoch with this Redis', async () => {
    const { hot } = await hotState()
    const other = await createRedis()
    expect((await compare(other)).skipped).toMatch(/^Redis has epoch none, the ledger \d+$/)
    await hot.close()
  })

  it('Redis cannot be reached', async () => {
    const { hot } = await hotState()
    expect((await compare('redis://127.0.0.1:1')).skipped).toMatch(/^Redis cannot be asked: .*ECONNREFUSED/)
    await hot.close()
  })

  it('no Redis is named', async () => {
    const report = await audit({ databaseUrl: ledger.url, holdGraceMs: 0, reservationAgeMs: 0, clock: systemClock })
    expect(report.checks.at(-1)).toMatchObject({ ok: true, checked: 0, skipped: 'no Redis was named' })
  })
})

it('does not judge a purse that moves between two looks', async () => {
  const { url, hot, put } = await hotState()
  const id = await put({ version: 0, balance: 0 })
  // The settlement arrives while the auditor waits before its second look.
  const clock: Clock = {
    ...systemClock,
    after(_, run) {
      void readPurses(connection, 0, [id])
        .then((purses) => hot.put(hot.epoch!, [], [purses.get(id)!]))
        .then(run)
      return () => undefined
    },
  }
  const report = await audit({
    databaseUrl: ledger.url,
    redisUrl: url,
    holdGraceMs: 0,
    reservationAgeMs: RESERVATION_AGE_MS,
    clock,
  })
  expect(report.checks.at(-1)).toMatchObject({ ok: true, skipped: 'the switch is at work' })
  expect(await compare(url)).toMatchObject({ ok: true, checked: 1 })
  await hot.close()
})
