/** A Redis that has lost writes: failed over to a replica that was behind, loaded from an old file, or overwritten with an old copy behind our back. */
import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startRedis } from '../../src/local/redis.ts'
import { audit } from '../../src/ledger/audit.ts'
import { startCuttingProxy, type CuttingProxy } from '../support/cuttingProxy.ts'
import { temporaryDirectory } from '../support/stack.ts'
import {
  amount,
  compose,
  startTestSwitch,
  until,
  type Sent,
  type TestCard,
  type TestLink,
  type TestSwitch,
} from '../support/switch.ts'
import { purseOf } from './books.ts'

let running: TestSwitch
let pos: TestLink
/** Between the switch and its Redis. */
let front: CuttingProxy
/** The server that the switch uses now. */
let current: { readonly url: string; readonly port: number }
const started: { stop(): Promise<void> }[] = []
const clients: Redis[] = []

beforeAll(async () => {
  running = await startTestSwitch({
    configure: async (config) => {
      front = await startCuttingProxy(config.redisUrl)
      return {
        ...config,
        redisUrl: front.url,
        redis: { ...config.redis, reconnectMs: 20 },
        breakers: { failuresMax: 3, retryMs: 20 },
      }
    },
  })
  current = running.redis
  pos = await running.connect('pos')
})

afterAll(async () => {
  for (const client of clients) client.disconnect()
  for (const server of started) await server.stop()
})

const codeOf = async (sent: Sent): Promise<string> => (await pos.send(sent)).text(39) ?? ''
const buy = (card: TestCard, value: number): Sent => compose(running.clock, '0200', { 2: card.pan, 4: amount(value) })
const purchase = (card: TestCard, value: number): Promise<string> => codeOf(buy(card, value))
const hotPurse = (card: TestCard): string => `{0}:purse:${card.purseId}`

function client(url: string): Redis {
  const opened = new Redis(url, { maxRetriesPerRequest: null, retryStrategy: () => 20 })
  opened.on('error', () => undefined)
  clients.push(opened)
  return opened
}

/** Where reserve.lua keeps a purse's balance. */
const BALANCE_AT = 3 * 8

async function balanceIn(redis: Redis, card: TestCard): Promise<number | undefined> {
  return (await redis.getBuffer(hotPurse(card)))?.readDoubleLE(BALANCE_AT)
}

const epochIn = async (redis: Redis): Promise<number> => Number(await redis.get('{0}:epoch'))

/** What Redis is told of a commit has come. */
async function known(redis: Redis, card: TestCard, balance: number): Promise<void> {
  await until(async () => (await balanceIn(redis, card)) === balance)
}

/** A replica of the server that the switch uses, in step with it, with a link that can be cut. */
async function startReplica(): Promise<{ redis: Redis; url: string; port: number; cut(): void }> {
  const replica = await startRedis({ directory: temporaryDirectory(), password: running.redis.password })
  started.push(replica)
  const link = await startCuttingProxy(current.url)
  const primary = client(current.url)
  const redis = client(replica.url)
  // A copy begins at once.
  for (const one of [redis, primary]) await one.config('SET', 'repl-diskless-sync-delay', '0')
  await redis.config('SET', 'masterauth', running.redis.password)
  await redis.replicaof('127.0.0.1', Number(new URL(link.url).port))
  const offset = async (of: Redis): Promise<string | undefined> =>
    /(?:master|slave)_repl_offset:(\d+)/.exec(await of.info('replication'))?.[1]
  await until(async () => (await redis.info('replication')).includes('master_link_status:up'))
  await until(async () => (await offset(primary)) === (await offset(redis)))
  return { redis, url: replica.url, port: replica.port, cut: () => link.sever() }
}

async function isUp(): Promise<boolean> {
  const ready = (await (await fetch(`http://127.0.0.1:${String(running.portOf('http'))}/readyz`)).json()) as { degraded: boolean }
  return !ready.degraded
}

async function metric(line: string): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${String(running.portOf('http'))}/metrics`)).text()
  const found = text.split('\n').find((one) => one.startsWith(`${line} `))
  return Number(found?.slice(line.length + 1) ?? 0)
}
const refusals = () => metric('sarf_ledger_guard_refusals_total{guard="balance",basis="redis"}')
const foundBehind = () => metric('sarf_redis_purses_checked_total{found="behind"}')

/** Redis has what the ledger has, and the books are clean. */
async function expectAgreement(): Promise<void> {
  const { databaseUrl, clock } = running
  const report = await audit({ databaseUrl, redisUrl: current.url, clock, holdGraceMs: 60_000, reservationAgeMs: 60_000 })
  expect(report.checks.filter((check) => !check.ok)).toEqual([])
  expect(report.checks.find(({ name }) => name === 'redis_equals_ledger')).not.toHaveProperty('skipped')
}

it('an old copy gets into the Redis that is in use, unnoticed: the ledger refuses what it allows, Redis is corrected, and that is counted', async () => {
  const [card, other] = [await running.openCard({ balance: 1000 }), await running.openCard({ balance: 1000 })]
  for (const one of [card, other]) expect(await purchase(one, 100)).toBe('00')
  const primary = client(current.url)
  for (const one of [card, other]) await known(primary, one, 900)
  const replica = await startReplica()
  replica.cut()
  for (const one of [card, other]) expect(await purchase(one, 800)).toBe('00')
  for (const one of [card, other]) await known(primary, one, 100)
  // The copy that stayed behind is copied over it: the same process, the same epoch, no connection lost.
  await replica.redis.replicaof('NO', 'ONE')
  const epoch = await epochIn(primary)
  await primary.config('SET', 'masterauth', running.redis.password)
  await primary.replicaof('127.0.0.1', replica.port)
  await until(async () => (await primary.info('replication')).includes('master_link_status:up'))
  await primary.replicaof('NO', 'ONE')
  expect([await epochIn(primary), await balanceIn(primary, card)]).toEqual([epoch, 900])
  const before = [await refusals(), await foundBehind()]

  expect(await purchase(card, 500)).toBe('51')
  expect(await Promise.all([60, 60, 60].map((value) => purchase(other, value)))).toEqual(
    expect.arrayContaining(['00', '51', '51']),
  )
  expect(await refusals()).toBeGreaterThan(before[0]!)
  expect(await foundBehind()).toBeGreaterThan(before[1]!)
  await known(primary, card, 100)
  expect([await purseOf(running, card), await purseOf(running, other)]).toEqual([
    { balance: 100, held: 0 },
    { balance: 40, held: 0 },
  ])
  await expectAgreement()
})

it('a failover under load to a replica that lost writes: the epoch moves on, every purchase is approved once, nothing is overdrawn', async () => {
  const cards = await Promise.all(Array.from({ length: 10 }, () => running.openCard({ balance: 10_000 })))
  const poor = await running.openCard({ balance: 1000 })
  expect(await purchase(poor, 100)).toBe('00')
  const replica = await startReplica()
  const epoch = await epochIn(replica.redis)
  const sent = cards.flatMap((card) => Array.from({ length: 20 }, () => buy(card, 100)))
  const first = sent.slice(0, 50).map(codeOf)
  await Promise.race(first)
  replica.cut()
  // What the primary is told from here on is lost.
  expect(await purchase(poor, 800)).toBe('00')
  const rest = sent.slice(50).map(codeOf)
  await Promise.race(rest)
  await replica.redis.replicaof('NO', 'ONE')
  expect(await balanceIn(replica.redis, poor)).toBe(900)
  current = replica
  front.leadTo(replica.url)
  expect(new Set(await Promise.all([...first, ...rest]))).toEqual(new Set(['00']))
  await until(isUp)
  expect(await epochIn(replica.redis)).toBeGreaterThan(epoch)
  expect([await purchase(poor, 101), await purchase(poor, 100)]).toEqual(['51', '00'])
  for (const one of sent.slice(0, 20)) expect(await codeOf({ ...one, mti: '0201' })).toBe('00')
  for (const card of cards) expect(await purseOf(running, card)).toEqual({ balance: 8000, held: 0 })
  await expectAgreement()
})

it('restored from an old file: the epoch moves on and nothing of the file is believed', async () => {
  const card = await running.openCard({ balance: 1000 })
  expect(await purchase(card, 100)).toBe('00')
  const server = await startRedis({ directory: temporaryDirectory(), password: running.redis.password })
  started.push(server)
  const redis = client(server.url)
  current = server
  front.leadTo(server.url)
  await until(isUp)
  await until(async () => (await purchase(card, 1)) === '00' && (await balanceIn(redis, card)) !== undefined)
  await redis.save()
  const [, directory = ''] = await redis.config('GET', 'dir')
  const old = join(temporaryDirectory(), 'old.rdb')
  copyFileSync(join(directory, 'dump.rdb'), old)
  const epoch = await epochIn(redis)
  const { balance } = await purseOf(running, card)
  expect(await purchase(card, balance - 100)).toBe('00')
  server.kill()
  await server.ended
  copyFileSync(old, join(directory, 'dump.rdb'))
  const restored = await startRedis({ directory, port: server.port, password: server.password })
  started.push(restored)
  await until(async () => (await isUp()) && (await epochIn(redis)) > epoch)
  expect([await purchase(card, 101), await purchase(card, 100), await purchase(card, 1)]).toEqual(['51', '00', '51'])
  expect(await purseOf(running, card)).toEqual({ balance: 0, held: 0 })
  await expectAgreement()
})
