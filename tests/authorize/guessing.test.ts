/** Ways to try PINs that cost nothing, or to lock out people who have not failed: what an independent review of the first version found. */
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Message } from '../../src/iso8583/message.ts'
import { parsePrivateData, privateDatum } from '../../src/iso8583/privateData.ts'
import { demoPin, demoPinBlock } from '../../src/programme/demoVerification.ts'
import { chipData, chipOf, hex, prepareIcvv } from '../support/cardholder.ts'
import {
  amount,
  at,
  startTestSwitch,
  until,
  type Fields,
  type TestCard,
  type TestLink,
  type TestSwitch,
} from '../support/switch.ts'

let running: TestSwitch
let pos: TestLink
let redis: Redis
beforeAll(async () => {
  running = await startTestSwitch()
  pos = await running.connect('pos')
  redis = new Redis(running.redis.url)
})
afterAll(() => {
  redis.disconnect()
})

function told(answer: Message): string {
  const data = parsePrivateData(answer.text(48) ?? '')
  const tries = data.ok ? privateDatum(data.value, 'TR') : undefined
  return [answer.text(39), tries].filter((part) => part !== undefined).join(' ')
}

async function cardRow({ token }: TestCard): Promise<{ pin_tries: number; state: string }> {
  const [row] = await running.sql<{ pin_tries: number; state: string }>('SELECT pin_tries, state FROM card WHERE token = $1', [
    token,
  ])
  return row!
}

function wrongPins(pan: string): string[] {
  return Array.from({ length: 30 }, (_, index) => String(2000 + index)).filter((pin) => pin !== demoPin(pan))
}

const withdrawal = (pan: string, pin: string): Fields => ({
  2: pan,
  3: '010000',
  4: amount(5000),
  ...at('atm'),
  52: hex(demoPinBlock(pan, pin)),
})

describe('PINs tried beside something else that is wrong', () => {
  it('with a used cryptogram: none is looked at, and the right one starts no count anew', async () => {
    const card = await running.openCard()
    await prepareIcvv(card.pan)
    const chip = chipOf(card.pan, { cvn: 18 })
    const [first = '', ...others] = wrongPins(card.pan)
    const used = chipData(chip, 5000)
    const ask = async (pin: string, de55: string) =>
      told(await pos.ask('0200', { ...withdrawal(card.pan, pin), 22: '051', 23: '000', 55: de55 }))
    expect(await ask(first, used)).toBe('55 2')
    for (const pin of [...others.slice(0, 5), demoPin(card.pan)]) expect(await ask(pin, used)).toBe('82')
    expect((await cardRow(card)).pin_tries).toBeLessThanOrEqual(3)
    expect(await ask(first, chipData(chip, 5000))).not.toBe('55 2')
  })

  it('under a key that was answered: the stored answer, and no trace of what was tried', async () => {
    for (const right of [false, true]) {
      const card = await running.openCard()
      const [first = '', ...others] = wrongPins(card.pan)
      const { sent, answer } = await pos.exchange('0200', withdrawal(card.pan, first))
      expect(told(answer)).toBe('55 2')
      await until(async () => (await redis.get(`{0}:count:pin:${card.token}`)) === null)
      const before = await redis.get(`{0}:count:card:${card.token}`)
      for (const pin of [...others.slice(0, 6), ...(right ? [demoPin(card.pan)] : [])])
        expect(told(await pos.send({ ...sent, fields: { ...sent.fields, 52: hex(demoPinBlock(card.pan, pin)) } }))).toBe('55 2')
      expect(await redis.get(`{0}:count:card:${card.token}`)).toBe(before)
      expect(await cardRow(card)).toEqual({ pin_tries: 1, state: 'ACTIVE' })
    }
  })
})

it('after a PIN change that Redis was not told of the old PIN is good for nothing, and the new one costs no try', async () => {
  const card = await running.openCard()
  const [chosen = ''] = wrongPins(card.pan)
  expect(told(await pos.ask('0200', withdrawal(card.pan, demoPin(card.pan))))).toBe('00')
  const change = { 2: card.pan, 3: '700000', ...at('atm'), 48: `NP016${hex(demoPinBlock(card.pan, chosen))}` }
  await redis.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
  expect(told(await pos.ask('0600', { ...change, 52: hex(demoPinBlock(card.pan, demoPin(card.pan))) }))).toBe('00')
  expect(['55 2', '86']).toContain(told(await pos.ask('0200', withdrawal(card.pan, demoPin(card.pan)))))
  const { pin_tries: before } = await cardRow(card)
  const answers = []
  for (let attempt = 0; attempt < 3 && answers.at(-1) !== '00'; attempt++)
    answers.push(told(await pos.ask('0200', withdrawal(card.pan, chosen))))
  expect(answers.at(-1)).toBe('00')
  expect(answers).not.toContain('55 2')
  expect((await cardRow(card)).pin_tries).toBeLessThanOrEqual(before)
})

describe('people who have not failed', () => {
  it('get their money in through doors that are closed', async () => {
    const card = await running.openCard()
    const doors = ['bin:9818', `terminal:${at('transfer')[41]!}`, `terminal:${at('post-office')[41]!}`]
    for (const door of doors) await redis.set(`{0}:count:${door}`, '1000000', 'PX', 600_000)
    // The test before has cut Redis off.
    await until(async () => told(await pos.ask('0200', { 2: card.pan })) === '59')
    expect(told(await pos.ask('0200', { 2: card.pan, 3: '260000', ...at('transfer') }))).toBe('00')
    expect(told(await pos.ask('0200', { 2: card.pan, 3: '210000', ...at('post-office') }))).toBe('00')
    await redis.del(...doors.map((door) => `{0}:count:${door}`))
  })

  it('may all be at one terminal at once: what is under way is no failure', async () => {
    const cards = await Promise.all(Array.from({ length: 230 }, () => running.openCard()))
    const answers = await Promise.all(cards.map(({ pan }) => pos.ask('0200', withdrawal(pan, demoPin(pan)))))
    expect(new Set(answers.map(told))).toEqual(new Set(['00']))
  })
})
