import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Message } from '../../src/iso8583/message.ts'
import { amount, at, compose, originalOf, startTestSwitch, until, type TestLink, type TestSwitch } from '../support/switch.ts'
import { booked, bookedUnder, expectCleanBooks, holdOf, keyOf, purseOf } from './books.ts'

let running: TestSwitch
let pos: TestLink

beforeAll(async () => {
  running = await startTestSwitch({
    configure: (config) => ({ ...config, sweeper: { ...config.sweeper, everyMs: 50 } }),
  })
  pos = await running.connect('pos')
})

afterAll(async () => {
  await expectCleanBooks(running)
})

/** Ledger and available balance, as DE 54 tells them. */
function balancesIn(answer: Message): number[] | undefined {
  return answer
    .text(54)
    ?.match(/.{20}/g)
    ?.map((one) => Number(one.slice(8)))
}

describe('a purchase', () => {
  it.each(['atm', 'pos', 'gateway'])('is approved on the %s link and moves money from the purse to the shop', async (name) => {
    const card = await running.openCard({ balance: 5000 })
    const link = await running.connect(name)
    const { sent, answer } = await link.exchange('0200', { 2: card.pan, 4: amount(1250), ...at('pos') })
    expect([answer.mti, answer.text(39)]).toEqual(['0210', '00'])
    expect(answer.text(38)).toMatch(/^[A-Z0-9]{6}$/)
    expect(await booked(running, sent)).toEqual({
      kind: 'purchase',
      code: '00',
      approved: 1250,
      transfers: ['2000 -> 2220: 1250'],
    })
    expect(await purseOf(running, card)).toEqual({ balance: 3750, held: 0 })
  })

  it('above what the purse holds is declined, recorded and posts nothing', async () => {
    const card = await running.openCard({ balance: 5000 })
    const { sent, answer } = await pos.exchange('0200', { 2: card.pan, 4: amount(5001) })
    expect([answer.text(39), answer.has(38), answer.has(54)]).toEqual(['51', false, false])
    expect(await booked(running, sent)).toEqual({ kind: 'purchase', code: '51', approved: 0, transfers: [] })
    expect(await purseOf(running, card)).toEqual({ balance: 5000, held: 0 })
  })

  it('is approved in part where the terminal can take less', async () => {
    const card = await running.openCard({ balance: 700 })
    const { sent, answer } = await pos.exchange('0200', { 2: card.pan, 4: amount(1000), 48: 'PC0011' })
    expect([answer.text(39), answer.text(4)]).toEqual(['10', amount(700)])
    expect(balancesIn(answer)).toEqual([0, 0])
    expect(await booked(running, sent)).toEqual({ kind: 'purchase', code: '10', approved: 700, transfers: ['2000 -> 2220: 700'] })
    expect(await pos.ask('0200', { 2: card.pan, 48: 'PC0011' }).then((next) => next.text(39))).toBe('51')
  })

  it('does not show the balance on the shop’s slip', async () => {
    const card = await running.openCard()
    expect((await pos.ask('0200', { 2: card.pan })).has(54)).toBe(false)
  })
})

describe('the fields of an answer', () => {
  it('repeat the request, with the terminal’s own reference number', async () => {
    const card = await running.openCard()
    const fields = { 12: '113000', 13: '1122', 18: '5399', 25: '00', 37: '632609ABC123', ...at('pos') }
    const { sent, answer } = await pos.exchange('0200', { 2: card.pan, ...fields })
    expect(answer.text(39)).toBe('00')
    expect(answer.fields()).toEqual([2, 3, 4, 7, 11, 12, 13, 18, 25, 32, 37, 38, 39, 41, 42, 49])
    for (const de of [2, 3, 4, 7, 11, 12, 13, 18, 25, 32, 37, 41, 42, 49])
      expect(answer.text(de), `DE ${de}`).toBe(sent.fields[de])
  })

  it('hold a reference number that the switch makes where there is none', async () => {
    const card = await running.openCard()
    const { sent, answer } = await pos.exchange('0200', { 2: card.pan })
    expect(answer.text(37)).toMatch(new RegExp(`^\\d{6}${sent.fields[11] ?? ''}$`))
  })
})

describe('cash', () => {
  it('a withdrawal takes from the ATM’s cash and tells the balance', async () => {
    const card = await running.openCard({ balance: 20_000 })
    const { sent, answer } = await pos.exchange('0200', { 2: card.pan, 3: '010000', 4: amount(15_000), ...at('atm') })
    expect(answer.text(39)).toBe('00')
    expect(balancesIn(answer)).toEqual([5000, 5000])
    expect(await booked(running, sent)).toMatchObject({ kind: 'withdrawal', transfers: ['2000 -> 1010: 15000'] })
  })

  it('a deposit at the post office comes from the bank and tells the balance', async () => {
    const card = await running.openCard({ balance: 100 })
    const { sent, answer } = await pos.exchange('0200', { 2: card.pan, 3: '210000', 4: amount(400), ...at('post-office') })
    expect(answer.text(39)).toBe('00')
    expect(balancesIn(answer)).toEqual([500, 500])
    expect(await booked(running, sent)).toMatchObject({ kind: 'deposit', transfers: ['1000 -> 2000: 400'] })
  })

  it('a credit arrives before the card was handed over, up to the ceiling of the purse', async () => {
    const card = await running.openCard({ balance: 19_999_000, state: 'AWAITING_COLLECTION' })
    const credit = (value: number) => pos.exchange('0200', { 2: card.pan, 3: '260000', 4: amount(value), ...at('transfer') })
    const { sent, answer } = await credit(1000)
    expect([answer.text(39), answer.has(54)]).toEqual(['00', false])
    expect(await booked(running, sent)).toMatchObject({ kind: 'credit', transfers: ['1000 -> 2000: 1000'] })
    expect((await credit(1)).answer.text(39)).toBe('61')
    expect(await purseOf(running, card)).toEqual({ balance: 20_000_000, held: 0 })
  })

  it('a payment goes to the government service', async () => {
    const card = await running.openCard({ balance: 1000 })
    const { sent, answer } = await pos.exchange('0200', { 2: card.pan, 3: '500000', 4: amount(300), ...at('government') })
    expect(answer.text(39)).toBe('00')
    expect(await booked(running, sent)).toMatchObject({ kind: 'payment', transfers: ['2000 -> 2215: 300'] })
  })

  it.each(['0100', '0200'])('a balance inquiry (%s) tells what is there and what can be spent', async (mti) => {
    const card = await running.openCard({ balance: 1000 })
    await pos.ask('0100', { 2: card.pan, 4: amount(400) })
    const { sent, answer } = await pos.exchange(mti, { 2: card.pan, 3: '310000', 4: undefined })
    expect(answer.text(39)).toBe('00')
    expect(balancesIn(answer)).toEqual([1000, 600])
    expect(await booked(running, sent)).toEqual({ kind: 'balance', code: '00', approved: 0, transfers: [] })
  })
})

describe('an authorization', () => {
  const authorize = async (balance: number, value: number) => {
    const card = await running.openCard({ balance })
    const { sent, answer } = await pos.exchange('0100', { 2: card.pan, 4: amount(value), 37: '632609000777' })
    expect([answer.mti, answer.text(39)]).toEqual(['0110', '00'])
    return { card, sent, approvalCode: answer.text(38) }
  }

  it('holds the amount', async () => {
    const { card, sent } = await authorize(1000, 600)
    expect(await booked(running, sent)).toEqual({
      kind: 'authorization',
      code: '00',
      approved: 600,
      transfers: ['2000 -> 2001: 600'],
    })
    expect(await purseOf(running, card)).toEqual({ balance: 400, held: 600 })
    expect(await holdOf(running, sent)).toBe(600)
    expect(await pos.ask('0200', { 2: card.pan, 4: amount(401) }).then((answer) => answer.text(39))).toBe('51')
  })

  it.each<[string, number, string[], { balance: number; held: number }]>([
    ['below', 450, ['2001 -> 2220: 450', '2001 -> 2000: 150'], { balance: 550, held: 0 }],
    ['at', 600, ['2001 -> 2220: 600'], { balance: 400, held: 0 }],
    ['above', 900, ['2001 -> 2220: 600', '2000 -> 2220: 300'], { balance: 100, held: 0 }],
    ['above all there is', 1500, ['2001 -> 2220: 600', '2000 -> 2220: 400', '2900 -> 2220: 500'], { balance: 0, held: 0 }],
  ])('completed %s the hold', async (_, value, transfers, purse) => {
    const { card, sent, approvalCode } = await authorize(1000, 600)
    const completed = await pos.exchange('0220', { 2: card.pan, 4: amount(value), 37: '632609000777', 38: approvalCode })
    expect([completed.answer.mti, completed.answer.text(39), completed.answer.text(38)]).toEqual(['0230', '00', approvalCode])
    expect(await booked(running, completed.sent)).toEqual({ kind: 'completion', code: '00', approved: value, transfers })
    expect(await purseOf(running, card)).toEqual(purse)
    expect(await holdOf(running, sent)).toBe(0)
  })

  it('is completed once, by DE 90 or by DE 37 and DE 38', async () => {
    const { card, sent, approvalCode } = await authorize(1000, 600)
    const { answer } = await pos.exchange('0220', { 2: card.pan, 4: amount(600), 90: originalOf(sent) })
    expect(answer.text(39)).toBe('00')
    const again = await pos.exchange('0220', { 2: card.pan, 4: amount(600), 37: '632609000777', 38: approvalCode })
    expect(again.answer.text(39)).toBe('25')
    expect(await purseOf(running, card)).toEqual({ balance: 400, held: 0 })
  })

  it('whose hold has expired is released, and completed from what is available', async () => {
    const { card, sent } = await authorize(1000, 600)
    const now = running.clock.now()
    try {
      running.clock.moveTo(now + 8 * 86_400_000)
      await until(async () => (await holdOf(running, sent)) === 0)
      expect(await bookedUnder(running, `release|${keyOf(sent)}`)).toMatchObject({
        kind: 'release',
        transfers: ['2001 -> 2000: 600'],
      })
      expect(await purseOf(running, card)).toEqual({ balance: 1000, held: 0 })
    } finally {
      running.clock.moveTo(now)
    }
    const { sent: completion, answer } = await pos.exchange('0220', { 2: card.pan, 4: amount(600), 90: originalOf(sent) })
    expect(answer.text(39)).toBe('00')
    expect(await booked(running, completion)).toMatchObject({ transfers: ['2000 -> 2220: 600'] })
    expect(await purseOf(running, card)).toEqual({ balance: 400, held: 0 })
  })

  it('that was never seen cannot be completed, also not later', async () => {
    const card = await running.openCard()
    const unseen = compose(running.clock, '0100', { 2: card.pan })
    const completion = compose(running.clock, '0220', { 2: card.pan, 90: originalOf(unseen) })
    expect((await pos.send(completion)).text(39)).toBe('25')
    expect((await pos.send(unseen)).text(39)).toBe('00')
    expect((await pos.send({ ...completion, mti: '0221' })).text(39)).toBe('25')
  })
})

describe('network management', () => {
  it.each(['001', '002', '301'])('code %s is answered with 00', async (code) => {
    const answer = await pos.ask('0800', { 70: code })
    expect([answer.mti, answer.text(39), answer.text(70)]).toEqual(['0810', '00', code])
  })

  it('another code is 12, none is a format error', async () => {
    expect((await pos.ask('0800', { 70: '162' })).text(39)).toBe('12')
    expect((await pos.ask('0800', {})).text(39)).toBe('30')
  })
})

describe('what the switch does not do', () => {
  it.each<[string, string]>([
    ['0200', '009900'],
    ['0200', '090000'],
    ['0220', '009400'],
    ['0220', '010000'],
    ['0120', '000000'],
    ['0900', '000000'],
    ['1200', '000000'],
  ])('%s %s is answered 12', async (mti, processingCode) => {
    const card = await running.openCard()
    expect((await pos.ask(mti, { 2: card.pan, 3: processingCode })).text(39)).toBe('12')
    expect(await purseOf(running, card)).toEqual({ balance: 100_000, held: 0 })
  })

  it.each(['0210', '0110', '0410', '0810', '0240'])('%s is no request: the connection is closed', async (mti) => {
    const link = await running.connect('pos')
    const card = await running.openCard()
    link.client.send(link.encode(compose(running.clock, mti, { 2: card.pan })))
    await link.closed
    expect((await pos.ask('0200', { 2: card.pan })).text(39)).toBe('00')
  })
})
