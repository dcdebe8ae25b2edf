/** Bread and ration go on while Postgres cannot be reached, from a journal on disk: spec/standin.md. Postgres goes and comes back at a TCP proxy. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isDeepStrictEqual as isEqual } from 'node:util'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { startRedis } from '../../src/local/redis.ts'
import { silentLogger } from '../../src/log.ts'
import { startSwitch, type RunningSwitch } from '../../src/main.ts'
import { demoPin, demoPinBlock } from '../../src/programme/demoVerification.ts'
import { chipData, chipOf, hex, prepareIcvv } from '../support/cardholder.ts'
import { startCuttingProxy, type CuttingProxy } from '../support/cuttingProxy.ts'
import { temporaryDirectory } from '../support/stack.ts'
import {
  amount,
  at,
  compose,
  originalOf,
  startTestSwitch,
  TestLink,
  until,
  type Fields,
  type Sent,
  type TestHousehold,
  type TestSwitch,
} from '../support/switch.ts'
import { booked, bookedUnder, daysDrawn, expectCleanBooks, keyOf, unitsIn } from './books.ts'
import { bread, copay, ration } from './subsidies.ts'

const NOON = '2026-11-22T10:00:00Z'
/** November has 30 days: a household of four has 4 x 5 x 30 loaves, and ration for 200 EGP. */
const LOAVES = 600
const RATION = 20_000

let proxy: CuttingProxy
/** Reaches Postgres through the proxy. */
let running: TestSwitch
let pos: TestLink
/** Another process, with a journal and a way to Postgres of its own. */
let other: RunningSwitch
let otherProxy: CuttingProxy
let elsewhere: TestLink
let household: TestHousehold
const journals = temporaryDirectory()
let stopRedis = (): Promise<void> => Promise.resolve()

beforeAll(async () => {
  running = await startTestSwitch({
    at: NOON,
    configure: async (config) => {
      proxy = await startCuttingProxy(config.databaseUrl)
      return {
        ...config,
        databaseUrl: proxy.url,
        links: config.links.map((link) => (link.name === 'gateway' ? { ...link, hotCards: true } : link)),
        ledger: { ...config.ledger, reconnectMs: 20 },
        registry: { ...config.registry, freshMs: 60_000 },
        sweeper: { everyMs: 20, reservationAgeMs: 100, batchMax: 256 },
        standIn: { ...config.standIn, directory: journals, drainEveryMs: 20, filesMax: 3 },
      }
    },
  })
  pos = await running.connect('pos')
  otherProxy = await startCuttingProxy(running.databaseUrl)
  other = await startSwitch({ ...running.config, databaseUrl: otherProxy.url }, { log: silentLogger, clock: running.clock })
  const port = other.addresses.find(({ name }) => name === 'pos')?.port ?? 0
  elsewhere = await TestLink.open(running.config, running.clock, 'pos', port)
})

beforeEach(async () => {
  running.clock.moveTo(NOON)
  await up()
  household = await opened()
})

afterAll(async () => {
  await expectCleanBooks(running)
  elsewhere.client.destroy()
  await other.drain()
  await stopRedis()
})

/** Only a card that Redis knows stands in; terminals are known from now on too. */
async function opened(): Promise<TestHousehold> {
  const known = await running.openHousehold({ members: 4, oldCard: true })
  for (const link of [pos, elsewhere]) {
    expect((await link.ask('0200', bread(known.head.pan, 999))).text(39)).toBe('61')
    expect((await link.ask('0200', ration(known.head.pan, ['OIL*999*400']))).text(39)).toBe('61')
    expect((await link.ask('0200', bread(known.old!.pan, 999))).text(39)).toBe('61')
  }
  return known
}

const statusOf = async (path: string, port = running.portOf('http')): Promise<Response> =>
  await fetch(`http://127.0.0.1:${String(port)}${path}`)
const reachesLedger = async (port?: number): Promise<boolean> =>
  ((await (await statusOf('/readyz', port)).json()) as { parts: { ledger: { up: boolean } } }).parts.ledger.up
const otherHttp = (): number => other.addresses.find(({ name }) => name === 'http')?.port ?? 0

async function down(): Promise<void> {
  proxy.sever()
  otherProxy.sever()
  await until(async () => !(await reachesLedger()) && !(await reachesLedger(otherHttp())))
}

async function up(): Promise<void> {
  proxy.mend()
  otherProxy.mend()
  await until(async () => (await reachesLedger()) && (await reachesLedger(otherHttp())))
}

async function metric(name: string, port?: number): Promise<number> {
  return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(await (await statusOf('/metrics', port)).text())?.[1])
}

/** Nothing is left to be posted, and Redis knows it. */
async function drained(): Promise<void> {
  await until(async () => (await metric('sarf_standin_undrained')) + (await metric('sarf_standin_undrained', otherHttp())) === 0)
  await until(() => files().length === 0)
}

function files(): string[] {
  return readdirSync(journals, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.journal'))
}

const codeOf = async (fields: Fields, mti = '0200', link = pos): Promise<string> => (await link.ask(mti, fields)).text(39) ?? ''
const again = async (sent: Sent, link = pos): Promise<string> => (await link.send({ ...sent, mti: '0201' })).text(39) ?? ''

/** Sends it, and sees that what is asked after it on the same connection is answered first. @returns what it is answered in the end */
async function unanswered(sent: Sent): Promise<Promise<string>[]> {
  let answered = false
  const answer = pos.send(sent).then((message) => {
    answered = true
    return message.text(39) ?? ''
  })
  await codeOf(bread(household.head.pan, 999))
  await codeOf(bread(household.head.pan, 999))
  expect(answered).toBe(false)
  return [answer]
}

describe('while the ledger cannot be reached', () => {
  it('bread for a day and ration for 50 EGP go on, and are in the ledger when it is back, once and as they were told', async () => {
    await down()
    const loaves = await pos.exchange('0200', bread(household.head.pan, 20))
    const goods = await pos.exchange('0200', ration(household.head.pan, ['OIL*1*3000']))
    expect([loaves.answer.text(39), goods.answer.text(39)]).toEqual(['00', '00'])
    expect(await again(loaves.sent)).toBe('00')
    expect(await again(goods.sent, elsewhere)).toBe('00')
    expect(await unitsIn(running, household.purses.bread)).toBe(LOAVES)
    await up()
    await drained()
    expect(await booked(running, loaves.sent)).toEqual({
      ...{ kind: 'dispense', code: '00', approved: 400 },
      transfers: ['2110 -> 9001: 20', '1210 -> 2210: 2100'],
    })
    expect(await daysDrawn(running, household.purses.bread)).toEqual([22])
    expect(await unitsIn(running, household.purses.bread)).toBe(LOAVES - 20)
    expect(await unitsIn(running, household.purses.ration)).toBe(RATION - 3000)
    for (const link of [pos, elsewhere]) {
      const repeated = await link.send({ ...loaves.sent, mti: '0201' })
      expect([repeated.text(39), repeated.text(38)]).toEqual(['00', loaves.answer.text(38)])
    }
    expect(
      await running.sql('SELECT 1 FROM "authorization" WHERE stood_in_at IS NOT NULL AND card_token = $1', [
        household.head.token,
      ]),
    ).toHaveLength(2)
  })

  it('cash, health and what no rule lets go on are 91 at once', async () => {
    await down()
    const { head } = household
    const startedMs = performance.now()
    expect(await codeOf({ 2: head.pan, 4: amount(100) })).toBe('91')
    expect(await codeOf(copay(head.pan, 1000, 'SUR'))).toBe('91')
    expect(await codeOf({ 2: head.pan, 3: '009500', 4: amount(100), ...at('grocer') })).toBe('91')
    expect(await codeOf(bread(head.pan, 5), '0220')).toBe('91')
    expect(performance.now() - startedMs).toBeLessThan(1000)
    await up()
  })

  it('a household has its caps once a day, whichever card and process asks: 61, which stays 61 afterwards', async () => {
    await down()
    const { head, old } = household
    expect(await codeOf(bread(head.pan, 20, 2))).toBe('61')
    const codes = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        codeOf(bread((index % 4 < 2 ? head : old!).pan, 20), '0200', index % 2 === 0 ? pos : elsewhere),
      ),
    )
    expect(codes.toSorted()).toEqual(['00', ...Array.from({ length: 19 }, () => '61')])
    expect(await codeOf(ration(head.pan, ['OIL*1*3000']))).toBe('00')
    const over = await elsewhere.exchange('0200', ration(old!.pan, ['OIL*1*2001']))
    expect(over.answer.text(39)).toBe('61')
    expect(await codeOf(ration(old!.pan, ['OIL*1*2000']), '0200', elsewhere)).toBe('00')
    running.clock.moveTo('2026-11-23T10:00:00Z')
    expect(await codeOf(bread(head.pan, 20))).toBe('00')
    running.clock.moveTo('2026-11-22T10:01:00Z')
    await up()
    await drained()
    expect(await again(over.sent)).toBe('61')
    expect(await daysDrawn(running, household.purses.bread)).toEqual([22, 23])
    expect(await unitsIn(running, household.purses.ration)).toBe(RATION - 5000)
  })

  it('a holder who shows neither chip nor PIN has to wait: 55; a wrong PIN is 55 and counts, over both processes, until no more is told', async () => {
    await down()
    const { pan, token } = household.head
    expect(await codeOf(bread(pan, 20, 1, { 52: undefined }))).toBe('55')
    const wrong = { 52: hex(demoPinBlock(pan, demoPin(pan) === '1111' ? '2222' : '1111')) }
    const first = await pos.exchange('0200', bread(pan, 20, 1, wrong))
    expect(first.answer.text(39)).toBe('55')
    expect(await codeOf(bread(pan, 20, 1, wrong), '0200', elsewhere)).toBe('55')
    expect(await codeOf(bread(pan, 20, 1, wrong))).toBe('55')
    expect(await codeOf(bread(pan, 20, 1, wrong), '0200', elsewhere)).toBe('75')
    expect(await codeOf(bread(pan, 20))).toBe('75')
    await up()
    await drained()
    expect(await again(first.sent)).toBe('55')
    expect(await running.sql('SELECT state, pin_tries FROM card WHERE token = $1', [token])).toEqual([
      { state: 'PIN_BLOCKED', pin_tries: 3 },
    ])
  })

  it('a cryptogram is good once', async () => {
    const { pan } = household.head
    await prepareIcvv(pan)
    const card = chipOf(pan)
    const seen = ration(pan, ['OIL*1*1000'], { 22: '051', 23: '000', 55: chipData(card, 1000) })
    expect(await codeOf(seen)).toBe('00')
    await codeOf({ 2: pan, 4: amount(100) })
    await down()
    expect(await codeOf(seen)).toBe('82')
    const chip = { 22: '051', 23: '000', 55: chipData(card, 400) }
    const first = await pos.exchange('0200', bread(pan, 20, 1, chip))
    expect(first.answer.text(39)).toBe('00')
    expect(await codeOf(bread(pan, 20, 1, chip), '0200', elsewhere)).toBe('82')
    const repeated = await elsewhere.send({ ...first.sent, mti: '0201' })
    expect([repeated.text(39), repeated.has(55)]).toEqual(['00', true])
    await up()
    await drained()
    expect(await codeOf(bread(pan, 20, 1, chip))).toBe('82')
  })

  it('one key, one answer: another body is 94 during, before the drain and after; a repeat of what was never seen is not answered', async () => {
    await down()
    const { sent } = await pos.exchange('0200', bread(household.head.pan, 20))
    const otherBody = { ...sent, fields: { ...sent.fields, 42: undefined, 4: amount(380), 48: 'LV00219DY0011' } }
    const fields = Object.fromEntries(Object.entries(otherBody.fields).filter(([, text]) => text !== undefined)) as Sent['fields']
    expect((await elsewhere.send({ mti: '0200', fields })).text(39)).toBe('94')
    const unseen = compose(running.clock, '0201', bread(household.head.pan, 10))
    const [answer] = await unanswered(unseen)
    await up()
    await drained()
    expect((await pos.send({ mti: '0200', fields })).text(39)).toBe('94')
    void pos.send(unseen).catch(() => undefined)
    expect(await answer).toBe('65')
  })

  it('a reversal waits for the ledger, and then gives back what was drained', async () => {
    await down()
    const { sent } = await pos.exchange('0200', bread(household.head.pan, 20))
    const reversal = compose(running.clock, '0400', {
      ...sent.fields,
      11: undefined,
      48: undefined,
      52: undefined,
      90: originalOf(sent),
    })
    const named = { ...reversal, fields: { ...reversal.fields, 11: '765432' } }
    expect((await pos.send(named)).text(39)).toBe('91')
    // One process reaches the ledger again, the one with the journal does not.
    otherProxy.mend()
    await until(() => reachesLedger(otherHttp()))
    expect((await elsewhere.send(named)).text(39)).toBe('91')
    await up()
    await drained()
    expect((await elsewhere.send({ ...named, mti: '0401' })).text(39)).toBe('00')
    expect(await unitsIn(running, household.purses.bread)).toBe(LOAVES)
    expect(await daysDrawn(running, household.purses.bread)).toEqual([])
  })

  it('a process that reaches the ledger gives nothing twice before the drain, and tells the same', async () => {
    await down()
    const { sent } = await pos.exchange('0200', bread(household.head.pan, 20))
    otherProxy.mend()
    await until(() => reachesLedger(otherHttp()))
    expect(await codeOf(bread(household.head.pan, 20), '0200', elsewhere)).toBe('61')
    expect(await again(sent, elsewhere)).toBe('00')
    const fresh = await running.openHousehold({ members: 4 })
    expect(await codeOf(bread(fresh.head.pan, 20), '0200', elsewhere)).toBe('00')
    // Other purses go their usual way there.
    expect(await codeOf({ 2: household.head.pan, 4: amount(100) }, '0200', elsewhere)).toBe('00')
    await up()
    await drained()
    expect(await unitsIn(running, household.purses.bread)).toBe(LOAVES - 20)
    expect(await daysDrawn(running, fresh.purses.bread)).toEqual([22])
  })
})

describe('the drain', () => {
  it('lends from suspense what the household has drawn by another way meanwhile', async () => {
    await down()
    const { sent } = await pos.exchange('0200', bread(household.head.pan, 20))
    await running.sql(`UPDATE purse SET marks = 1 << 21, gate = gate + 1 WHERE id = $1`, [household.purses.bread])
    const before = await metric('sarf_standin_excess_piasters')
    await up()
    await drained()
    expect(await booked(running, sent)).toMatchObject({ code: '00', approved: 400, transfers: ['2900 -> 2210: 2100'] })
    expect((await metric('sarf_standin_excess_piasters')) - before).toBe(2100)
    expect(await unitsIn(running, household.purses.bread)).toBe(LOAVES)
    await running.sql(`UPDATE purse SET marks = 0 WHERE id = $1`, [household.purses.bread])
  })

  it('posts under a key of its own what the ledger has refused meanwhile, and leaves what was taken back before it came', async () => {
    const households = [household, await opened(), await opened()]
    await down()
    const sent = await Promise.all(households.map(async ({ head }) => (await pos.exchange('0200', bread(head.pan, 20))).sent))
    const rows = [
      ...[
        [0, '91', 'void'],
        [0, '12', 'reversed_before'],
        [13, '61', 'day_allowance'],
      ].entries(),
    ]
    for (const [index, [kind, code, reason]] of rows)
      await running.sql(
        `INSERT INTO "authorization" (shard, key_date, key, mti, kind, requested, approved, response_code, reason, decided_at, card_token)
         VALUES (0, '2026-11-22', $1, 0, $2, 400, 0, $3, $4, now(), $5)`,
        [keyOf(sent[index]!), kind, code, reason, households[index]!.head.token],
      )
    await up()
    await drained()
    const forced = await Promise.all(sent.map((one) => bookedUnder(running, `${keyOf(one)}|F`)))
    expect(forced.map((one) => one?.code)).toEqual(['00', undefined, '00'])
    expect(await unitsIn(running, households[0]!.purses.bread)).toBe(LOAVES - 20)
    expect(await unitsIn(running, households[1]!.purses.bread)).toBe(LOAVES)
  })

  it('takes over what a process that is gone has left: whole, with a torn tail, damaged in the middle, and what is in the ledger already', async () => {
    await down()
    const { sent } = await pos.exchange('0200', bread(household.head.pan, 20))
    const second = await pos.exchange('0200', ration(household.head.pan, ['OIL*1*3000']))
    expect(second.answer.text(39)).toBe('00')
    const bytes = readFileSync(join(journals, files()[0]!))
    const damaged = Buffer.from(bytes)
    // In the first decision: the second is good.
    damaged[damaged.indexOf('"type":"decision"') + 20]! ^= 1
    for (const [slot, content] of [
      ['slot-051', bytes],
      ['slot-052', bytes.subarray(0, bytes.length - 3)],
      ['slot-053', damaged],
    ] as const) {
      mkdirSync(join(journals, slot))
      writeFileSync(join(journals, slot, '000001.journal'), content)
    }
    await up()
    await drained()
    expect(await booked(running, sent)).toMatchObject({ code: '00', approved: 400 })
    expect(await unitsIn(running, household.purses.bread)).toBe(LOAVES - 20)
    expect(await unitsIn(running, household.purses.ration)).toBe(RATION - 3000)
    expect(readdirSync(join(journals, 'slot-053')).filter((name) => name.endsWith('.damaged'))).toHaveLength(1)
    // Redis is told that no journal holds anything: the shard is in stand-in no more.
    expect(await codeOf(ration(household.head.pan, ['SUGAR*1*9000']))).toBe('00')
  })
})

describe('the hotline', () => {
  it('stops a card while the ledger cannot be reached, for every process and every purse, and in the ledger when it is back', async () => {
    const { pan, token } = household.head
    const gateway = await running.connect('gateway')
    await down()
    const report = compose(running.clock, '0302', {
      ...{ 3: undefined, 4: undefined, 41: undefined, 49: undefined },
      ...{ 2: pan, 48: 'HR001S', 91: '1', 101: 'HOTCARD' },
    })
    expect((await gateway.send(report)).text(39)).toBe('00')
    expect((await gateway.send({ ...report, mti: '0303' })).text(39)).toBe('00')
    const refused = await elsewhere.exchange('0200', bread(pan, 20))
    expect(refused.answer.text(39)).toBe('43')
    otherProxy.mend()
    await until(() => reachesLedger(otherHttp()))
    expect(await codeOf({ 2: pan, 4: amount(100) }, '0200', elsewhere)).toBe('43')
    await up()
    await drained()
    expect(await running.sql('SELECT state FROM card WHERE token = $1', [token])).toEqual([{ state: 'STOLEN' }])
    expect((await gateway.send({ ...report, mti: '0303' })).text(39)).toBe('00')
    expect(await running.sql(`SELECT 1 FROM programme_event WHERE card_token = $1`, [token])).toHaveLength(1)
    expect(await again(refused.sent)).toBe('43')
  })
})

describe('Redis is lost as well', () => {
  it('91 for all until the ledger is back; what was told before is posted, and told again', async () => {
    await down()
    const { sent } = await pos.exchange('0200', bread(household.head.pan, 20))
    running.redis.kill()
    await running.redis.ended
    await until(async () => (await metric('sarf_redis_up')) === 0)
    expect(await codeOf(ration(household.head.pan, ['OIL*1*1000']))).toBe('91')
    await up()
    // Without Redis too: its own journal is drained first.
    await until(async () => (await metric('sarf_standin_undrained')) === 0)
    expect(await again(sent)).toBe('00')
    const { directory, port, password } = running.redis
    const redis = await startRedis({ directory, port, password })
    try {
      await until(async () => (await metric('sarf_redis_up')) === 1)
      await drained()
      expect(await again(sent, elsewhere)).toBe('00')
      expect(await daysDrawn(running, household.purses.bread)).toEqual([22])
      expect(await codeOf(ration(household.head.pan, ['OIL*1*9000']))).toBe('00')
    } finally {
      stopRedis = () => redis.stop()
    }
  })
})

describe('a process that alone has lost the ledger', () => {
  const readiness = async (port?: number): Promise<unknown> => {
    const answer = await statusOf('/readyz', port)
    return [answer.status, ((await answer.json()) as { standIn: boolean }).standIn]
  }

  it('is not ready, until the others have lost it too', { timeout: 30_000 }, async () => {
    proxy.sever()
    await until(async () => !(await reachesLedger()))
    await until(async () => isEqual(await readiness(), [503, false]))
    expect(await readiness(otherHttp())).toEqual([200, false])
    otherProxy.sever()
    await until(async () => isEqual(await readiness(), [200, true]))
    await until(async () => isEqual(await readiness(otherHttp()), [200, true]))
    await up()
    expect(await readiness()).toEqual([200, false])
  })
})
