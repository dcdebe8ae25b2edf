/** Redis or Postgres stands still: nobody waits long for it, and what is answered stays true. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Message } from '../../src/iso8583/message.ts'
import { startCuttingProxy, type CuttingProxy } from '../support/cuttingProxy.ts'
import { amount, compose, startTestSwitch, until, type TestCard, type TestLink, type TestSwitch } from '../support/switch.ts'
import { booked, expectCleanBooks, purseOf } from './books.ts'

let running: TestSwitch
let pos: TestLink
let postgres: CuttingProxy
let redis: CuttingProxy

beforeAll(async () => {
  running = await startTestSwitch({
    configure: async (config) => {
      postgres = await startCuttingProxy(config.databaseUrl)
      redis = await startCuttingProxy(config.redisUrl)
      return {
        ...config,
        databaseUrl: postgres.url,
        redisUrl: redis.url,
        redis: { ...config.redis, callMs: 100, reconnectMs: 20 },
        breakers: { failuresMax: 2, retryMs: 50 },
        ledger: { ...config.ledger, stallMs: 200, lookupMs: 5000, statementMs: 600, connectMs: 300, reconnectMs: 20 },
        authorization: { ...config.authorization, deadlineMs: 1000 },
        registry: { ...config.registry, freshMs: 60_000 },
      }
    },
  })
  pos = await running.connect('pos')
})

afterAll(async () => {
  await expectCleanBooks(running)
})

const purchase = async (card: TestCard, value = 100) => (await pos.ask('0200', { 2: card.pan, 4: amount(value) })).text(39)

async function metric(line: string): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${String(running.portOf('http'))}/metrics`)).text()
  const found = text.split('\n').find((one) => one.startsWith(`${line} `))
  return Number(found?.slice(line.length + 1) ?? Number.NaN)
}

const CLOSED = 0
const redisState = () => metric('sarf_breaker_state{dependency="redis"}')

describe('Redis stands still', () => {
  it('after a few calls it is not asked any more; when it answers it is used again', async () => {
    const card = await running.openCard({ balance: 10_000 })
    expect(await purchase(card)).toBe('00')
    redis.freeze()
    try {
      // The first ones wait for its answer, the others do not ask.
      for (let i = 0; i < 5; i++) expect(await purchase(card)).toBe('00')
      expect(await redisState()).not.toBe(CLOSED)
      expect(await metric('sarf_redis_up')).toBe(0)
      const startedMs = performance.now()
      for (let i = 0; i < 5; i++) expect(await purchase(card)).toBe('00')
      // Five times callMs, had each of them asked.
      expect(performance.now() - startedMs).toBeLessThan(500)
    } finally {
      redis.thaw()
    }
    await until(async () => (await metric('sarf_redis_up')) === 1)
    expect(await redisState()).toBe(CLOSED)
    expect(await purchase(card, 9001)).toBe('51')
    expect(await purchase(card, 8900)).toBe('00')
    expect(await purseOf(running, card)).toEqual({ balance: 0, held: 0 })
  })
})

describe('Postgres stands still', () => {
  it('what was submitted is not told 91, what was not is, and so is at once what comes', async () => {
    const [card, other] = [await running.openCard({ balance: 10_000 }), await running.openCard({ balance: 10_000 })]
    for (const one of [card, other]) expect(await purchase(one)).toBe('00')
    postgres.freeze()
    const first = compose(running.clock, '0200', { 2: card.pan, 4: amount(300) })
    const answers: string[] = []
    const note = (name: string) => (answer: Message) => answers.push(`${name} ${answer.text(39) ?? ''}`)
    try {
      // The first goes out and its answer does not come; what comes behind it was never sent.
      pos.send(first).then(note('submitted'), () => undefined)
      await until(async () => (await metric('sarf_ledger_queue')) === 1)
      const behind = pos.ask('0200', { 2: other.pan, 4: amount(300) }).then(note('behind'))
      await behind
      expect(answers).toEqual(['behind 91'])
      expect(await metric('sarf_breaker_state{dependency="ledger commit 1"}')).not.toBe(CLOSED)
      const startedMs = performance.now()
      expect(await purchase(other)).toBe('91')
      expect(performance.now() - startedMs).toBeLessThan(150)
      // Its deadline passes, and the terminal is told nothing: what became of it nobody knows.
      await until(async () => (await metric('sarf_under_way')) === 0)
      expect(answers).toEqual(['behind 91'])
    } finally {
      postgres.thaw()
    }
    await until(async () => (await purchase(other)) === '00')
    // By another connection: on the first one it would be taken for the answer that never came.
    expect((await (await running.connect('pos')).send({ ...first, mti: '0201' })).text(39)).toBe('00')
    expect(await booked(running, first)).toMatchObject({ code: '00', transfers: ['2000 -> 2220: 300'] })
    expect(await purseOf(running, card)).toEqual({ balance: 9600, held: 0 })
  })

  it('is told no 91 while another message of the same key is under way, which may yet be approved', async () => {
    const card = await running.openCard({ balance: 10_000 })
    const first = compose(running.clock, '0200', { 2: card.pan, 4: amount(300) })
    const link = await running.connect('pos')
    const answers: string[] = []
    const unanswered = async () => {
      const count = await metric('sarf_messages_total{kind="purchase",code="none"}')
      return Number.isNaN(count) ? 0 : count
    }
    const before = await unanswered()
    postgres.freeze()
    try {
      // One connection: they come in this order.
      for (const mti of ['0200', '0200', '0201']) {
        link.send({ ...first, mti }).then(
          (answer) => answers.push(answer.text(39) ?? ''),
          () => undefined,
        )
      }
      // All are late: the last to go might have been told, but a repeat never is.
      await until(async () => (await unanswered()) === before + 3)
    } finally {
      postgres.thaw()
    }
    expect(answers).toEqual([])
    const again = await running.connect('pos')
    await until(async () => (await again.send({ ...first, mti: '0201' })).text(39) === '00')
    expect(await purseOf(running, card)).toEqual({ balance: 9700, held: 0 })
  })

  it('what could not be decided by its deadline is told 91 then, and is not submitted when Postgres goes on', async () => {
    const card = await running.openCard({ balance: 10_000 })
    // It is not in Redis yet.
    const sent = compose(running.clock, '0200', { 2: card.pan, 4: amount(300) })
    postgres.freeze()
    try {
      const startedMs = performance.now()
      expect((await pos.send(sent)).text(39)).toBe('91')
      expect(performance.now() - startedMs).toBeLessThan(3000)
    } finally {
      postgres.thaw()
    }
    // The look-up has had its answer when this one has.
    expect(await purchase(card)).toBe('00')
    expect(await booked(running, sent)).toBeUndefined()
    expect(await purseOf(running, card)).toEqual({ balance: 9900, held: 0 })
  })
})
