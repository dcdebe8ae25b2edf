import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startRedis } from '../../src/local/redis.ts'
import {
  amount,
  at,
  compose,
  originalOf,
  startTestSwitch,
  until,
  type Sent,
  type TestCard,
  type TestLink,
  type TestSwitch,
} from '../support/switch.ts'
import { startCuttingProxy, type CuttingProxy } from '../support/cuttingProxy.ts'
import { expectCleanBooks, purseOf } from './books.ts'

let running: TestSwitch
let pos: TestLink
let redis: Redis
/** Between the switch and Redis. */
let link: CuttingProxy

beforeAll(async () => {
  running = await startTestSwitch({
    configure: async (config) => {
      link = await startCuttingProxy(config.redisUrl)
      const [often, soon] = [{ ...config.sweeper, everyMs: 100 }, { ...config.redis, reconnectMs: 20 }]
      return { ...config, redisUrl: link.url, redis: soon, sweeper: often }
    },
  })
  pos = await running.connect('pos')
  redis = new Redis(running.redis.url, { maxRetriesPerRequest: null, retryStrategy: () => 20 })
  redis.on('error', () => undefined)
})

const restarted: { stop(): Promise<void> }[] = []

afterAll(async () => {
  redis.disconnect()
  await expectCleanBooks(running)
  for (const server of restarted) await server.stop()
})

const codeOf = async (sent: Sent): Promise<string | undefined> => (await pos.send(sent)).text(39)
const purchase = async (card: TestCard, value: number) => (await pos.ask('0200', { 2: card.pan, 4: amount(value) })).text(39)
const hotPurse = (card: TestCard): string => `{0}:purse:${card.purseId}`

/** Where each number of a purse's committed state stands in Redis: see src/decision/reserve.lua. */
const PLACE = { balance: 3, spentAmount: 5, spentCount: 6 } as const

const DOUBLE_BYTES = 8

/** What Redis believes of a purse. */
async function believed(card: TestCard): Promise<number[]> {
  const record = (await redis.getBuffer(hotPurse(card))) ?? Buffer.alloc(0)
  return Array.from({ length: record.length / DOUBLE_BYTES }, (_, index) => record.readDoubleLE(index * DOUBLE_BYTES))
}

/** Makes Redis believe something else. */
async function mislead(card: TestCard, wrong: Partial<Record<keyof typeof PLACE, number>>): Promise<void> {
  const record = await redis.getBuffer(hotPurse(card))
  if (record === null) throw new Error('Redis does not hold the purse')
  for (const [name, value] of Object.entries(wrong)) record.writeDoubleLE(value, PLACE[name as keyof typeof PLACE] * DOUBLE_BYTES)
  await redis.set(hotPurse(card), record)
}

/** Redis is used again: a purse that is spent from is in it. */
async function backInRedis(): Promise<void> {
  const card = await running.openCard()
  await until(async () => {
    await purchase(card, 1)
    return (await redis.exists(hotPurse(card))) === 1
  })
}

/** A load on several purses, and what has to come of it: each approved once, those refused repeated until they are decided. */
async function buyDuring(trouble: () => Promise<void>): Promise<void> {
  const cards = await Promise.all(Array.from({ length: 10 }, () => running.openCard({ balance: 10_000 })))
  const sent = cards.flatMap((card) =>
    Array.from({ length: 30 }, () => compose(running.clock, '0200', { 2: card.pan, 4: amount(100) })),
  )
  const first = sent.slice(0, 100).map(codeOf)
  const troubled = trouble()
  const codes = await Promise.all([...first, ...sent.slice(100).map(codeOf)])
  await troubled
  expect(new Set(codes)).toEqual(new Set(['00']))
  for (const one of sent.slice(0, 50)) expect(await codeOf({ ...one, mti: '0201' })).toBe('00')
  for (const card of cards) expect(await purseOf(running, card)).toEqual({ balance: 7000, held: 0 })
}

describe('Redis goes', () => {
  it('killed and started again under load: every purchase is approved, once', async () => {
    const { directory, port, password } = running.redis
    await buyDuring(async () => {
      running.redis.kill()
      await running.redis.ended
      const card = await running.openCard({ balance: 500 })
      expect([await purchase(card, 300), await purchase(card, 300), await purchase(card, 200)]).toEqual(['00', '51', '00'])
      restarted.push(await startRedis({ directory, port, password }))
      await backInRedis()
    })
    const card = await running.openCard({ balance: 500 })
    expect([await purchase(card, 300), await purchase(card, 300)]).toEqual(['00', '51'])
    expect(await redis.exists(hotPurse(card))).toBe(1)
  })

  it('flushed under load: the epoch moves on and every purchase is approved, once', async () => {
    const before = Number(await redis.get('{0}:epoch'))
    await buyDuring(async () => {
      await redis.flushall()
      await backInRedis()
    })
    expect(Number(await redis.get('{0}:epoch'))).toBeGreaterThan(before)
  })

  it('out of reach and back as it was: it is told what moved meanwhile, without another message of the card', async () => {
    const [spent, given] = [await knownCard(1000), await knownCard(1000)]
    link.sever()
    expect(await purchase(spent, 400)).toBe('00')
    expect((await pos.ask('0200', { 2: given.pan, 3: '210000', 4: amount(400), ...at('post-office') })).text(39)).toBe('00')
    expect((await believed(given))[PLACE.balance]).toBe(1000)
    link.mend()
    await until(async () => (await believed(spent))[PLACE.balance] === 600)
    await until(async () => (await believed(given))[PLACE.balance] === 1400)
  })

  it('its scripts flushed: they are loaded again', async () => {
    const card = await running.openCard()
    await redis.script('FLUSH')
    expect(await purchase(card, 100)).toBe('00')
    expect(await redis.exists(hotPurse(card))).toBe(1)
  })
})

/** In Redis after one purchase of 1.00. */
async function knownCard(balance: number): Promise<TestCard> {
  const card = await running.openCard({ balance: balance + 100 })
  expect(await purchase(card, 100)).toBe('00')
  // The settlement of a purchase rides along with the next reservation.
  await until(async () => {
    expect((await pos.ask('0200', { 2: (await running.openCard()).pan })).text(39)).toBe('00')
    return (await believed(card))[PLACE.balance] === balance
  })
  return card
}

describe('Redis is wrong', () => {
  it('the balance too high: nothing is overdrawn', async () => {
    const card = await knownCard(1000)
    await mislead(card, { balance: 9_000_000 })
    expect([await purchase(card, 1001), await purchase(card, 1000), await purchase(card, 1)]).toEqual(['51', '00', '51'])
    expect(await purseOf(running, card)).toEqual({ balance: 0, held: 0 })
  })

  it('the balance too high, for many at once: exactly what is there is spent', async () => {
    const card = await knownCard(1000)
    await mislead(card, { balance: 9_000_000 })
    const codes = await Promise.all(Array.from({ length: 30 }, () => purchase(card, 100)))
    expect(codes.filter((code) => code === '00')).toHaveLength(10)
    expect(await purseOf(running, card)).toEqual({ balance: 0, held: 0 })
  })

  it('the day’s counters too low: the ledger’s count', async () => {
    const card = await knownCard(9_000_000)
    expect(await purchase(card, 4_000_000)).toBe('00')
    await mislead(card, { spentAmount: 0, spentCount: 0 })
    expect(await purchase(card, 4_000_000)).toBe('61')
  })

  it('the balance too low: what is there can be spent', async () => {
    const card = await knownCard(1000)
    await mislead(card, { balance: 10 })
    expect([await purchase(card, 1000), await purchase(card, 1)]).toEqual(['00', '51'])
  })

  it('the day’s counters too high: the ledger’s count', async () => {
    const card = await knownCard(9_000_000)
    await mislead(card, { spentAmount: 5_000_000, spentCount: 200 })
    expect(await purchase(card, 4_000_000)).toBe('00')
  })

  it('an older state of the purse comes back: nothing is overdrawn', async () => {
    const card = await knownCard(1000)
    const old = (await redis.getBuffer(hotPurse(card))) ?? ''
    expect(await purchase(card, 900)).toBe('00')
    await redis.set(hotPurse(card), old)
    expect([await purchase(card, 900), await purchase(card, 100)]).toEqual(['51', '00'])
  })
})

describe('a card is blocked behind Redis’s back', () => {
  async function blocked(): Promise<{ card: TestCard; bought: Sent }> {
    const card = await running.openCard({ balance: 10_000 })
    const { sent, answer } = await pos.exchange('0200', { 2: card.pan, 4: amount(500) })
    expect(answer.text(39)).toBe('00')
    await running.sql(
      `WITH blocked AS (UPDATE card SET state = 'STOLEN', version = version + 1 WHERE token = $1 RETURNING person_id)
       UPDATE purse SET gate = gate + 1 FROM blocked WHERE purse.person_id = blocked.person_id`,
      [card.token],
    )
    expect(await redis.get(`{0}:card:${card.token}`)).toContain('"ACTIVE"')
    return { card, bought: sent }
  }

  it.each<[string, Record<number, string>, string]>([
    ['purchase', {}, '0200'],
    ['authorization', {}, '0100'],
    ['withdrawal', { 3: '010000', 4: amount(5000), ...at('atm') }, '0200'],
    ['deposit', { 3: '210000', ...at('post-office') }, '0200'],
    ['balance inquiry', { 3: '310000' }, '0200'],
  ])('a %s is refused', async (_, fields, mti) => {
    const { card } = await blocked()
    expect((await pos.ask(mti, { 2: card.pan, 4: amount(100), ...fields })).text(39)).toBe('43')
    expect(await purseOf(running, card)).toEqual({ balance: 9500, held: 0 })
    // From now on Redis knows.
    expect(await redis.get(`{0}:card:${card.token}`)).toContain('"STOLEN"')
  })

  it('a refund is refused', async () => {
    const { card, bought } = await blocked()
    expect((await pos.ask('0200', { 2: card.pan, 3: '200000', 4: amount(500), 90: originalOf(bought) })).text(39)).toBe('43')
    expect(await purseOf(running, card)).toEqual({ balance: 9500, held: 0 })
  })

  it('many at once are refused, and none in between approved', async () => {
    const { card } = await blocked()
    const codes = await Promise.all(Array.from({ length: 30 }, () => purchase(card, 10)))
    expect(new Set(codes)).toEqual(new Set(['43']))
    expect(await purseOf(running, card)).toEqual({ balance: 9500, held: 0 })
  })
})
