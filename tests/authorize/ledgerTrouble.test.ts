import { afterAll, beforeAll, expect, it } from 'vitest'
import type { Message } from '../../src/iso8583/message.ts'
import { startCuttingProxy, type CuttingProxy } from '../support/cuttingProxy.ts'
import {
  amount,
  at,
  compose,
  startTestSwitch,
  until,
  type Sent,
  type TestCard,
  type TestLink,
  type TestSwitch,
} from '../support/switch.ts'
import { booked, expectCleanBooks, purseOf } from './books.ts'

let running: TestSwitch
let pos: TestLink

beforeAll(async () => {
  running = await startTestSwitch({
    configure: (config) => ({ ...config, ledger: { ...config.ledger, batchMax: 4, reconnectMs: 20 } }),
  })
  pos = await running.connect('pos')
})

afterAll(async () => {
  await expectCleanBooks(running)
})

const codeOf = async (sent: Sent): Promise<string> => (await pos.send(sent)).text(39) ?? ''

/** @returns how many connections were ended */
async function terminate(name: string): Promise<number> {
  const ended = await running.sql(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE $1`,
    [`sarf ${name}%`],
  )
  return ended.length
}

async function ready(one: TestSwitch): Promise<boolean> {
  return (await fetch(`http://127.0.0.1:${one.portOf('http')}/readyz`)).ok
}

async function startBehindProxy(): Promise<{ proxy: CuttingProxy; behind: TestSwitch; link: TestLink; card: TestCard }> {
  let proxy: CuttingProxy | undefined
  const behind = await startTestSwitch({
    configure: async (config) => {
      proxy = await startCuttingProxy(config.databaseUrl)
      return {
        ...config,
        databaseUrl: proxy.url,
        ledger: { ...config.ledger, reconnectMs: 20 },
        registry: { ...config.registry, freshMs: 60_000 },
      }
    },
  })
  const card = await behind.openCard({ balance: 100_000 })
  const link = await behind.connect('pos')
  // What a message needs beside its commit is known from now on.
  await link.ask('0100', { 2: card.pan, 3: '310000', ...at('pos') })
  return { proxy: proxy!, behind, link, card }
}

async function load(cardCount: number, each: number): Promise<{ cards: TestCard[]; sent: Sent[] }> {
  const cards = await Promise.all(Array.from({ length: cardCount }, () => running.openCard({ balance: 100_000 })))
  const sent = cards.flatMap((card) =>
    Array.from({ length: each }, () => compose(running.clock, '0200', { 2: card.pan, 4: amount(100) })),
  )
  return { cards, sent }
}

it('commit connections are ended in mid flight: what was approved is there once, and all is decided when it is repeated', async () => {
  const { cards, sent } = await load(20, 20)
  const asked = sent.map(codeOf)
  const first = Promise.race(asked)
  await first
  let ended = 0
  for (let round = 0; round < 5; round++) {
    ended += await terminate('commit')
    await Promise.race(asked.slice(round * 50, round * 50 + 50))
  }
  expect(ended).toBeGreaterThan(0)
  const codes = await Promise.all(asked)
  for (const [index, one] of sent.entries()) {
    expect(['00', '91']).toContain(codes[index])
    if (codes[index] === '00') expect(await booked(running, one)).toMatchObject({ code: '00', transfers: ['2000 -> 2220: 100'] })
    else expect(await booked(running, one)).toBeUndefined()
  }
  for (const one of sent) expect(await codeOf({ ...one, mti: '0201' })).toBe('00')
  for (const card of cards) expect(await purseOf(running, card)).toEqual({ balance: 98_000, held: 0 })
})

it('every connection is ended: 91 until one is back, then the repeats are decided', async () => {
  const { cards, sent } = await load(5, 20)
  const asked = sent.map(codeOf)
  await terminate('')
  const codes = await Promise.all(asked)
  for (const code of codes) expect(['00', '91']).toContain(code)
  await until(() => ready(running))
  for (const one of sent) expect(await codeOf({ ...one, mti: '0201' })).toBe('00')
  for (const card of cards) expect(await purseOf(running, card)).toEqual({ balance: 98_000, held: 0 })
})

it.each([
  ['the same again', '0200'],
  ['a repeat', '0201'],
])('%s is not told 91 while nobody can know what became of its original', async (_, mti) => {
  const { proxy, behind, link, card } = await startBehindProxy()
  const sent = compose(behind.clock, '0200', { 2: card.pan, 4: amount(100) })
  const lost = proxy.cutNextAnswer('commit_batch')
  const answered: string[] = []
  const note = (name: string) => (answer: Message) => answered.push(`${name} ${answer.text(39) ?? ''}`)
  void link.send(sent).then(note('original'))
  await lost
  proxy.sever()
  await until(async () => !(await ready(behind)))
  void link.send({ ...sent, mti }).then(note('repeat'))
  // It was read after the repeat, on the same connection.
  expect((await link.ask('0200', { 2: card.pan })).text(39)).toBe('91')
  expect(answered).toEqual([])
  proxy.mend()
  await until(() => answered.length === 1)
  expect(answered).toEqual(['original 00'])
  void link.send({ ...sent, mti }).catch(() => undefined)
  await until(() => answered.length === 2)
  expect(answered[1]).toBe('repeat 00')
  expect(await purseOf(behind, card)).toEqual({ balance: 99_900, held: 0 })
})

it('a statement that the ledger refuses is a fault of that message alone', async () => {
  const { cards, sent } = await load(3, 5)
  const broken = cards[0]!
  await running.sql(`ALTER TABLE purse ADD CONSTRAINT broken CHECK (id <> ${broken.purseId}) NOT VALID`)
  try {
    const codes = await Promise.all(sent.map(codeOf))
    expect(codes).toEqual([...Array.from({ length: 5 }, () => '96'), ...Array.from({ length: 10 }, () => '00')])
  } finally {
    await running.sql('ALTER TABLE purse DROP CONSTRAINT broken')
  }
  expect(await purseOf(running, broken)).toEqual({ balance: 100_000, held: 0 })
})
