import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Message } from '../../src/iso8583/message.ts'
import {
  amount,
  at,
  compose,
  originalOf,
  startTestSwitch,
  type Sent,
  type TestCard,
  type TestLink,
  type TestSwitch,
} from '../support/switch.ts'
import { bookedUnder, expectCleanBooks, keyOf, purseOf } from './books.ts'

let running: TestSwitch
let pos: TestLink

beforeAll(async () => {
  running = await startTestSwitch()
  pos = await running.connect('pos')
})

afterAll(async () => {
  await expectCleanBooks(running)
})

const repeatOf = (sent: Sent): Sent => ({ ...sent, mti: sent.mti.slice(0, 3) + '1' })

/** Everything an answer says but how it was asked for. */
function saying(answer: Message): Record<number, string | undefined> {
  return Object.fromEntries(answer.fields().map((de) => [de, answer.text(de)]))
}

async function deposit(card: TestCard, value: number): Promise<void> {
  expect((await pos.ask('0200', { 2: card.pan, 3: '210000', 4: amount(value), ...at('post-office') })).text(39)).toBe('00')
}

describe('the same message again gets the stored answer', () => {
  it('with the same DE 37 and DE 38, and posts nothing', async () => {
    const card = await running.openCard({ balance: 1000 })
    const { sent, answer } = await pos.exchange('0200', { 2: card.pan, 4: amount(300) })
    for (const again of [sent, repeatOf(sent)]) expect(saying(await pos.send(again))).toEqual(saying(answer))
    expect(await purseOf(running, card)).toEqual({ balance: 700, held: 0 })
  })

  it('with the balances and the partial amount of then', async () => {
    const card = await running.openCard({ balance: 600 })
    const { sent, answer } = await pos.exchange('0200', { 2: card.pan, 4: amount(1000), 48: 'PC0011' })
    expect(answer.text(39)).toBe('10')
    await deposit(card, 5000)
    expect(saying(await pos.send(repeatOf(sent)))).toEqual(saying(answer))
    expect(await purseOf(running, card)).toEqual({ balance: 5000, held: 0 })
  })

  it('when the purse is empty by then', async () => {
    const card = await running.openCard({ balance: 1000 })
    const { sent, answer } = await pos.exchange('0200', { 2: card.pan, 4: amount(600) })
    expect((await pos.ask('0200', { 2: card.pan, 4: amount(400) })).text(39)).toBe('00')
    expect(saying(await pos.send(repeatOf(sent)))).toEqual(saying(answer))
  })

  it('when the card has been blocked by then', async () => {
    const card = await running.openCard({ balance: 1000 })
    const { sent, answer } = await pos.exchange('0200', { 2: card.pan, 4: amount(600) })
    await running.sql(`UPDATE card SET state = 'LOST', version = version + 1 WHERE token = $1`, [card.token])
    await running.sql('UPDATE purse SET gate = gate + 1 WHERE id = $1', [card.purseId])
    expect((await pos.ask('0200', { 2: card.pan, 4: amount(100) })).text(39)).toBe('41')
    expect(saying(await pos.send(repeatOf(sent)))).toEqual(saying(answer))
  })

  it('on another link', async () => {
    const card = await running.openCard({ balance: 1000 })
    const { sent, answer } = await pos.exchange('0200', { 2: card.pan, 4: amount(600) })
    const gateway = await running.connect('gateway')
    expect(saying(await gateway.send(repeatOf(sent)))).toEqual(saying(answer))
  })

  it('after the switch was restarted', async () => {
    const card = await running.openCard({ balance: 1000 })
    const { sent, answer } = await pos.exchange('0200', { 2: card.pan, 4: amount(600) })
    await running.restart()
    pos = await running.connect('pos')
    expect(saying(await pos.send(repeatOf(sent)))).toEqual(saying(answer))
    expect(await purseOf(running, card)).toEqual({ balance: 400, held: 0 })
  })

  it('and a decline stays one, though money came in', async () => {
    const card = await running.openCard({ balance: 100 })
    const { sent, answer } = await pos.exchange('0200', { 2: card.pan, 4: amount(600) })
    expect(answer.text(39)).toBe('51')
    await deposit(card, 1000)
    expect((await pos.send(repeatOf(sent))).text(39)).toBe('51')
    expect(await purseOf(running, card)).toEqual({ balance: 1100, held: 0 })
  })

  it.each<[string, number, string]>([
    ['an approval', 600, '00'],
    ['a decline', 1001, '51'],
  ])('fifty times at once: one decision, %s', async (_, value, code) => {
    const card = await running.openCard({ balance: 1000 })
    const others = await Promise.all(['atm', 'pos', 'gateway'].map((name) => running.connect(name)))
    const sent = compose(running.clock, '0200', { 2: card.pan, 4: amount(value) })
    const answers = await Promise.all(Array.from({ length: 50 }, (_unused, i) => others[i % 3]!.send(sent)))
    expect(new Set(answers.map((answer) => JSON.stringify(saying(answer)))).size).toBe(1)
    expect(answers[0]?.text(39)).toBe(code)
    expect(await purseOf(running, card)).toEqual({ balance: code === '00' ? 400 : 1000, held: 0 })
  })
})

describe('another message under the same key', () => {
  it.each<[string, Record<number, string>]>([
    ['amount', { 4: amount(1) }],
    ['processing code', { 3: '001000' }],
    ['currency', { 49: '840' }],
    ['kind', { 3: '310000' }],
  ])('with another %s is 94', async (_, fields) => {
    const card = await running.openCard({ balance: 1000 })
    const { sent } = await pos.exchange('0200', { 2: card.pan, 4: amount(300) })
    expect((await pos.send({ ...sent, fields: { ...sent.fields, ...fields } })).text(39)).toBe('94')
    expect(await purseOf(running, card)).toEqual({ balance: 700, held: 0 })
  })

  it('with another card is 94, and takes nothing from that card', async () => {
    const card = await running.openCard({ balance: 1000 })
    const other = await running.openCard({ balance: 1000 })
    const { sent } = await pos.exchange('0200', { 2: card.pan, 4: amount(300) })
    expect((await pos.send({ ...sent, fields: { ...sent.fields, 2: other.pan } })).text(39)).toBe('94')
    expect(await purseOf(running, other)).toEqual({ balance: 1000, held: 0 })
  })

  it('is never 94 for an advice, a completion or a reversal', async () => {
    const card = await running.openCard({ balance: 1000 })
    const authorized = await pos.exchange('0100', { 2: card.pan, 4: amount(300) })
    const completion = await pos.exchange('0220', { 2: card.pan, 4: amount(300), 90: originalOf(authorized.sent) })
    expect((await pos.send({ ...completion.sent, fields: { ...completion.sent.fields, 4: amount(200) } })).text(39)).toBe('00')
    const reversal = await pos.exchange('0420', { 2: card.pan, 4: amount(300), 90: originalOf(completion.sent) })
    expect((await pos.send({ ...reversal.sent, fields: { ...reversal.sent.fields, 4: amount(200) } })).text(39)).toBe('00')
    expect(await purseOf(running, card)).toEqual({ balance: 1000, held: 0 })
  })
})

describe('an advice under the key of a request', () => {
  it('that was approved posts nothing more', async () => {
    const card = await running.openCard({ balance: 1000 })
    const request = await pos.exchange('0200', { 2: card.pan, 4: amount(300) })
    const advice = { mti: '0220', fields: { ...request.sent.fields, 37: '632609000001', 38: 'ABC123' } }
    expect((await pos.send(advice)).text(39)).toBe('00')
    expect(await purseOf(running, card)).toEqual({ balance: 700, held: 0 })
  })

  it('that was declined is posted by force, once: the goods are gone', async () => {
    const card = await running.openCard({ balance: 200 })
    const request = await pos.exchange('0200', { 2: card.pan, 4: amount(300) })
    expect(request.answer.text(39)).toBe('51')
    const advice = { mti: '0220', fields: { ...request.sent.fields, 37: '632609000001', 38: 'ABC123' } }
    for (const mti of ['0220', '0221', '0221']) expect((await pos.send({ ...advice, mti })).text(39), mti).toBe('00')
    expect(await bookedUnder(running, `${keyOf(request.sent)}|F`)).toEqual({
      kind: 'completion',
      code: '00',
      approved: 300,
      transfers: ['2000 -> 2220: 200', '2900 -> 2220: 100'],
    })
    expect(await purseOf(running, card)).toEqual({ balance: 0, held: 0 })
  })
})
