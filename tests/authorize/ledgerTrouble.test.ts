import { afterAll, beforeAll, expect, it } from 'vitest'
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
  for (const one of sent) await until(async () => (await codeOf({ ...one, mti: '0201' })) === '00')
  for (const card of cards) expect(await purseOf(running, card)).toEqual({ balance: 98_000, held: 0 })
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
