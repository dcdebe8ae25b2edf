/**
 * Answers that came too late, or never, with two switch processes on one Redis and Postgres: what the terminal is told in the end, the ledger and Redis
 * are at one.
 */
import { Client } from 'pg'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Message } from '../../src/iso8583/message.ts'
import { audit } from '../../src/ledger/audit.ts'
import { silentLogger } from '../../src/log.ts'
import { startSwitch, type RunningSwitch } from '../../src/main.ts'
import { startCuttingProxy, type CuttingProxy } from '../support/cuttingProxy.ts'
import {
  amount,
  compose,
  originalOf,
  startTestSwitch,
  TestLink,
  until,
  type Sent,
  type TestCard,
  type TestSwitch,
} from '../support/switch.ts'
import { booked, purseOf } from './books.ts'

let running: TestSwitch
let second: RunningSwitch
let proxy: CuttingProxy
/** Holds purses' locks, so that a commit takes as long as a test likes. */
let locker: Client
/** The first process, and the second, whose Postgres is behind a proxy. */
let here: TestLink
let there: TestLink
let card: TestCard

beforeAll(async () => {
  running = await startTestSwitch({
    // The second one finds its terminal without Postgres.
    configure: (config) => ({
      ...config,
      registry: { ...config.registry, freshMs: 60_000 },
      ledger: { ...config.ledger, reconnectMs: 20 },
    }),
  })
  proxy = await startCuttingProxy(running.databaseUrl)
  second = await startSwitch({ ...running.config, databaseUrl: proxy.url }, { log: silentLogger, clock: running.clock })
  locker = new Client({ connectionString: running.databaseUrl })
  await locker.connect()
})

afterAll(async () => {
  await expectAgreement()
  await locker.end()
  await second.drain()
})

beforeEach(async () => {
  const { port } = second.addresses.find(({ name }) => name === 'pos')!
  here = await running.connect('pos')
  there = await TestLink.open(running.config, running.clock, 'pos', port)
  card = await running.openCard({ balance: 1000 })
  // Both know card and terminal from now on.
  for (const link of [here, there]) expect(await codeOf(link.ask('0100', { 2: card.pan, 3: '310000' }))).toBe('00')
  return () => there.client.destroy()
})

const codeOf = async (answer: Promise<Message>): Promise<string> => (await answer).text(39) ?? ''
const purchase = (): Sent => compose(running.clock, '0200', { 2: card.pan, 4: amount(300) })
const repeatOf = (sent: Sent): Sent => ({ ...sent, mti: `${sent.mti.slice(0, 3)}1` })
const reversalOf = (sent: Sent): Sent => compose(running.clock, '0400', { 2: card.pan, 4: sent.fields[4], 90: originalOf(sent) })

/** Redis holds what the ledger holds, nothing is reserved, and the books are clean. */
async function expectAgreement(): Promise<void> {
  const { databaseUrl, clock, redis } = running
  const report = await audit({ databaseUrl, redisUrl: redis.url, clock, holdGraceMs: 60_000, reservationAgeMs: 0 })
  expect(report.checks.filter((check) => !check.ok)).toEqual([])
  expect(report.checks.find(({ name }) => name === 'redis_equals_ledger')).not.toHaveProperty('skipped')
}

/** While it runs, no commit of the card's purse comes to its end. */
async function whileLocked(work: () => Promise<void>): Promise<void> {
  await locker.query('BEGIN')
  await locker.query('SELECT FROM purse WHERE id = $1 FOR UPDATE', [card.purseId])
  try {
    await work()
  } finally {
    await locker.query('COMMIT')
  }
}

/** So many commits wait for the lock. */
async function waiting(count: number): Promise<void> {
  await until(async () => {
    const rows = await running.sql(
      `SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'sarf commit%' AND wait_event_type = 'Lock'`,
    )
    return rows.length === count
  })
}

describe('a terminal that is gone before its answer', () => {
  it('gets it from the other process, and the purchase is there once', async () => {
    const sent = purchase()
    await whileLocked(async () => {
      here.send(sent).catch(() => undefined)
      await waiting(1)
      here.client.destroy()
      await here.closed
    })
    expect(await codeOf(there.send(repeatOf(sent)))).toBe('00')
    expect(await booked(running, sent)).toMatchObject({ code: '00', transfers: ['2000 -> 2220: 300'] })
    expect(await purseOf(running, card)).toEqual({ balance: 700, held: 0 })
  })

  it('and never asks again but reverses, to the other process: nothing is left of it', async () => {
    const sent = purchase()
    await whileLocked(async () => {
      here.send(sent).catch(() => undefined)
      await waiting(1)
      here.client.destroy()
    })
    expect(await codeOf(there.send(reversalOf(sent)))).toBe('00')
    await until(async () => (await booked(running, sent)) !== undefined)
    expect(await purseOf(running, card)).toEqual({ balance: 1000, held: 0 })
  })
})

describe('a commit whose answer is lost', () => {
  it('is found out; a repeat to the other process meanwhile gets the same answer', async () => {
    const sent = purchase()
    const lost = proxy.cutNextAnswer('commit_batch')
    const original = codeOf(there.send(sent))
    await lost
    proxy.sever()
    const repeated = await here.send(repeatOf(sent))
    expect([repeated.text(39), repeated.text(38)?.length]).toEqual(['00', 6])
    proxy.mend()
    expect(await original).toBe('00')
    expect(await purseOf(running, card)).toEqual({ balance: 700, held: 0 })
  })

  it('is reversed by the other process before it is found out: the late answer is the first one, and the purse is whole', async () => {
    const sent = purchase()
    const lost = proxy.cutNextAnswer('commit_batch')
    const original = codeOf(there.send(sent))
    await lost
    proxy.sever()
    expect(await codeOf(here.send(reversalOf(sent)))).toBe('00')
    proxy.mend()
    expect(await original).toBe('00')
    expect(await purseOf(running, card)).toEqual({ balance: 1000, held: 0 })
  })
})

describe('a repeat while its original is in flight', () => {
  it.each<[string, () => TestLink, number]>([
    ['on the same process', () => here, 1],
    ['on the other process', () => there, 2],
  ])('%s gets the same answer, and one is posted', async (_, link, commits) => {
    const sent = purchase()
    const answers: Promise<Message>[] = []
    await whileLocked(async () => {
      answers.push(here.send(sent))
      await waiting(1)
      // Another connection: the order of answers tells nothing there.
      answers.push((link() === here ? await running.connect('pos') : there).send(repeatOf(sent)))
      await waiting(commits)
    })
    const [original, repeat] = await Promise.all(answers)
    expect([original?.text(39), repeat?.text(39)]).toEqual(['00', '00'])
    expect(repeat?.text(38)).toBe(original?.text(38))
    expect(await purseOf(running, card)).toEqual({ balance: 700, held: 0 })
  })
})

describe('a reversal to the other process', () => {
  it('before its original: the late original is refused', async () => {
    const sent = purchase()
    expect(await codeOf(there.send(reversalOf(sent)))).toBe('00')
    expect(await codeOf(here.send(sent))).not.toBe('00')
    expect(await codeOf(there.send(repeatOf(sent)))).not.toBe('00')
    expect(await purseOf(running, card)).toEqual({ balance: 1000, held: 0 })
  })

  it('while its original is being committed: one of them comes first, and the purse is whole', async () => {
    const sent = purchase()
    const answers: Promise<string>[] = []
    await whileLocked(async () => {
      answers.push(codeOf(here.send(sent)))
      await waiting(1)
      answers.push(codeOf(there.send(reversalOf(sent))))
      // It takes the key of what it does not find, and then has nothing to wait for.
      await answers[1]
    })
    expect(await Promise.all(answers)).toEqual([expect.not.stringMatching('00'), '00'])
    expect(await booked(running, sent)).toMatchObject({ kind: 'tombstone', transfers: [] })
    expect(await purseOf(running, card)).toEqual({ balance: 1000, held: 0 })
  })

  it('after its original: the purse is whole, and the original’s repeat is told what it was told', async () => {
    const sent = purchase()
    expect(await codeOf(here.send(sent))).toBe('00')
    const reversal = reversalOf(sent)
    expect(await codeOf(there.send(reversal))).toBe('00')
    expect(await codeOf(here.send(repeatOf(reversal)))).toBe('00')
    expect(await codeOf(there.send(repeatOf(sent)))).toBe('00')
    expect(await purseOf(running, card)).toEqual({ balance: 1000, held: 0 })
  })
})
