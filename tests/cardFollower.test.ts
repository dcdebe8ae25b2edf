import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { CardFollower } from '../src/cardFollower.ts'
import type { CardSnapshot } from '../src/card.ts'
import { Desk, done } from '../src/ledger/programme/desk.ts'
import { silentLogger } from '../src/log.ts'
import { changeCard } from '../src/programme/changeCard.ts'
import { startTestSwitch, until, type TestCard, type TestLink, type TestSwitch } from './support/switch.ts'

let running: TestSwitch
/** As of a process that dies between its commit and telling Redis. */
let desk: Desk
let redis: Redis
let pos: TestLink

beforeAll(async () => {
  running = await startTestSwitch({
    configure: (config) => ({
      ...config,
      events: { ...config.events, pollMs: 20 },
      registry: { ...config.registry, freshMs: 3_600_000 },
    }),
  })
  const { config, clock } = running
  desk = new Desk({ ...config.desk, url: config.databaseUrl, shard: 0, clock, log: silentLogger })
  redis = new Redis(running.redis.url)
  pos = await running.connect('pos')
})
afterAll(async () => {
  await desk.close()
  redis.disconnect()
})

const lose = (card: TestCard): Promise<unknown> =>
  desk.run({
    actor: { name: 'hotline', roles: ['hotline-agent'] },
    action: 'card.report',
    subject: `card ${card.token}`,
    work: (tx) => changeCard(tx, { token: card.token, event: 'reported_lost' }),
  })

async function inRedis(card: TestCard): Promise<CardSnapshot | undefined> {
  const [key] = await redis.keys(`*card:${card.token}`)
  const record = key === undefined ? null : await redis.get(key)
  return record === null ? undefined : (JSON.parse(record.replace(/^\d+:\d+:/, '')) as CardSnapshot)
}

/** Redis knows a card since its first message. */
async function known(card: TestCard): Promise<TestCard> {
  expect((await pos.ask('0200', { 2: card.pan })).text(39)).toBe('00')
  await until(async () => (await inRedis(card))?.state === 'ACTIVE')
  return card
}

describe('Redis follows', () => {
  it('a change of a card that its process did not tell it of', async () => {
    const card = await known(await running.openCard())
    await lose(card)
    await until(async () => (await inRedis(card))?.state === 'LOST')
  })

  it('a change that commits while others stay open, and one that commits after those with higher numbers', async () => {
    const [early, late] = [await known(await running.openCard()), await known(await running.openCard())]
    const held = Promise.withResolvers<undefined>()
    const numbered = Promise.withResolvers<undefined>()
    const slow = desk.run({
      actor: { name: 'hotline', roles: ['hotline-agent'] },
      action: 'card.report',
      subject: `card ${late.token}`,
      work: async (tx) => {
        const changed = await changeCard(tx, { token: late.token, event: 'reported_stolen' })
        numbered.resolve(undefined)
        await held.promise
        return changed
      },
    })
    await numbered.promise
    await running.sql(
      `INSERT INTO programme_event (number, at, kind, shard, card_token) SELECT nextval('event_number'), now(), 'card.test', 0, $1 FROM (SELECT pg_current_xact_id()) i`,
      [early.token],
    )
    await running.sql(`UPDATE card SET state = 'LOST', version = version + 1 WHERE token = $1`, [early.token])
    await running.sql(
      `INSERT INTO programme_event (number, at, kind, shard, card_token) SELECT nextval('event_number'), now(), 'card.test', 0, $1 FROM (SELECT pg_current_xact_id()) i`,
      [early.token],
    )
    await until(async () => (await inRedis(early))?.state === 'LOST')
    expect((await inRedis(late))?.state).toBe('ACTIVE')
    held.resolve(undefined)
    await slow
    await until(async () => (await inRedis(late))?.state === 'STOLEN')
  })

  it('an event of a household with all its cards', async () => {
    const { household, head, member } = await running.openHousehold()
    await known(head)
    await known(member)
    await desk.run({
      actor: { name: 'officer', roles: ['supply-officer'] },
      action: 'household.change',
      subject: `household ${String(household)}`,
      work: async (tx) => {
        await tx.rows({ name: 'test_move', text: 'UPDATE household SET governorate = 27 WHERE id = $1' }, [household])
        await tx.rows({ name: 'test_bump', text: 'UPDATE card SET version = version + 1 WHERE household_id = $1' }, [household])
        await tx.emit({ kind: 'household.changed', householdId: household })
        return done({})
      },
    })
    await until(async () => (await inRedis(head))?.governorate === 27 && (await inRedis(member))?.governorate === 27)
  })

  it('what was changed while Redis was away, and what changed before the process was there', async () => {
    const card = await known(await running.openCard())
    const told: string[] = []
    const hot: { epoch?: number } = {}
    const follower = new CardFollower({
      desk,
      ledger: {
        cards: (tokens) =>
          Promise.resolve(new Map(tokens.map((token) => [token, { card: { token } as unknown as CardSnapshot, purses: [] }]))),
      },
      hotState: {
        get epoch() {
          return hot.epoch
        },
        put: async (_epoch, cards) => {
          if (told.length === 0) {
            told.push('lost')
            throw new Error('Redis went away')
          }
          told.push(...cards.map(({ token }) => token))
          return []
        },
      },
      settings: { ...running.config.events, pollMs: 10, pageMax: 2, lookBackMax: 3, batchMax: 1 },
      final: () => 0,
      others: [],
      clock: running.clock,
      log: silentLogger,
    })
    await lose(card)
    follower.start()
    expect(told).toEqual([])
    hot.epoch = 1
    await until(() => told.includes(card.token))
    expect(told[0]).toBe('lost')
    await follower.stop()
  })

  it('a service that is announced for a region: the switch knows at once', async () => {
    const household = await running.openHousehold({ governorate: 21 })
    await running.sql('DELETE FROM region_service WHERE governorate = 21')
    await desk.run(announcement('-'))
    const bread = { 2: household.head.pan, 3: '319700', 4: '000000000000', 41: 'BAK00001' }
    const code = async (): Promise<string | undefined> => (await pos.ask('0100', bread)).text(39)
    await until(async () => (await code()) === '57')
    await running.sql(`INSERT INTO region_service (service, governorate, active_from) VALUES ('bread', 21, '2020-01-01')`)
    await desk.run(announcement('bread'))
    await until(async () => (await code()) !== '57')
  })
})

function announcement(service: string) {
  return {
    actor: { name: 'administrator', roles: ['administrator'] },
    action: 'service.activate',
    subject: `service ${service}`,
    work: async (tx: Parameters<Parameters<Desk['run']>[0]['work']>[0]) => {
      await tx.emit({ kind: 'service.activated', data: { service, governorate: 21 } })
      return done({})
    },
  }
}
