import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { formatReplacementAmounts } from '../../src/iso8583/replacementAmounts.ts'
import {
  amount,
  at,
  compose,
  originalOf,
  startTestSwitch,
  type Fields,
  type Sent,
  type TestCard,
  type TestLink,
  type TestSwitch,
} from '../support/switch.ts'
import { booked, expectCleanBooks, holdOf, purseOf } from './books.ts'

let running: TestSwitch
let pos: TestLink

beforeAll(async () => {
  running = await startTestSwitch()
  pos = await running.connect('pos')
})

afterAll(async () => {
  await expectCleanBooks(running)
})

const noFee = { sign: 'C', amount: 0 } as const

/** DE 95. */
function finalAmount(value: number): string {
  return formatReplacementAmounts({ transactionAmount: value, settlementAmount: 0, transactionFee: noFee, settlementFee: noFee })
}

function reversalOf(original: Sent, card: TestCard, more: Fields = {}, mti = '0400'): Sent {
  const { 3: processingCode, 4: value, 41: terminal } = original.fields
  return compose(running.clock, mti, {
    2: card.pan,
    3: processingCode,
    4: value,
    41: terminal,
    90: originalOf(original),
    ...more,
  })
}

async function purchase(balance: number, value: number): Promise<{ card: TestCard; sent: Sent }> {
  const card = await running.openCard({ balance })
  const { sent, answer } = await pos.exchange('0200', { 2: card.pan, 4: amount(value) })
  expect(answer.text(39)).toBe('00')
  return { card, sent }
}

describe('a reversal', () => {
  it.each<[string, Fields, string[]]>([
    ['purchase', {}, ['2220 -> 2000: 5000']],
    ['withdrawal', { 3: '010000', ...at('atm') }, ['1010 -> 2000: 5000']],
    ['payment', { 3: '500000', ...at('government') }, ['2215 -> 2000: 5000']],
    ['deposit', { 3: '210000', ...at('post-office') }, ['2000 -> 1000: 5000']],
    ['credit', { 3: '260000', ...at('transfer') }, ['2000 -> 1000: 5000']],
  ])('of a %s brings the purse back exactly', async (_, fields, transfers) => {
    const card = await running.openCard({ balance: 20_000 })
    const { sent, answer } = await pos.exchange('0200', { 2: card.pan, 4: amount(5000), ...fields })
    expect(answer.text(39)).toBe('00')
    const reversal = reversalOf(sent, card)
    const reversed = await pos.send(reversal)
    expect([reversed.mti, reversed.text(39), reversed.has(38), reversed.has(54)]).toEqual(['0410', '00', false, false])
    expect(reversed.text(90)).toBe(originalOf(sent))
    expect(await booked(running, reversal)).toEqual({ kind: 'reversal', code: '00', approved: 5000, transfers })
    expect(await purseOf(running, card)).toEqual({ balance: 20_000, held: 0 })
    const counters = await running.sql(
      'SELECT spent_amount, spent_count, withdrawn_amount, withdrawn_count FROM purse WHERE id = $1',
      [card.purseId],
    )
    expect(counters).toEqual([{ spent_amount: '0', spent_count: 0, withdrawn_amount: '0', withdrawn_count: 0 }])
  })

  it('of an authorization releases the hold', async () => {
    const card = await running.openCard({ balance: 1000 })
    const { sent } = await pos.exchange('0100', { 2: card.pan, 4: amount(600) })
    expect((await pos.send(reversalOf(sent, card))).text(39)).toBe('00')
    expect(await purseOf(running, card)).toEqual({ balance: 1000, held: 0 })
    expect(await holdOf(running, sent)).toBe(0)
  })

  it('of a completion gives back what hold and purse had paid, and to suspense what it had lent', async () => {
    const card = await running.openCard({ balance: 1000 })
    const { sent } = await pos.exchange('0100', { 2: card.pan, 4: amount(600) })
    const completion = await pos.exchange('0220', { 2: card.pan, 4: amount(1500), 90: originalOf(sent) })
    const reversal = reversalOf(completion.sent, card)
    expect((await pos.send(reversal)).text(39)).toBe('00')
    expect(await booked(running, reversal)).toMatchObject({ transfers: ['2220 -> 2900: 500', '2220 -> 2000: 1000'] })
    expect(await purseOf(running, card)).toEqual({ balance: 1000, held: 0 })
  })

  it('of a refund takes it back', async () => {
    const { card, sent } = await purchase(1000, 600)
    const refund = await pos.exchange('0200', { 2: card.pan, 3: '200000', 4: amount(200), 90: originalOf(sent) })
    expect(refund.answer.text(39)).toBe('00')
    expect((await pos.send(reversalOf(refund.sent, card))).text(39)).toBe('00')
    expect(await purseOf(running, card)).toEqual({ balance: 400, held: 0 })
  })

  it('of a refund that suspense had a part in brings purse and suspense back to where they were', async () => {
    const card = await running.openCard({ balance: 1000 })
    const { sent } = await pos.exchange('0100', { 2: card.pan, 4: amount(600) })
    const completion = await pos.exchange('0220', { 2: card.pan, 4: amount(1500), 90: originalOf(sent) })
    const refund = await pos.exchange('0200', { 2: card.pan, 3: '200000', 4: amount(700), 90: originalOf(completion.sent) })
    expect(await booked(running, refund.sent)).toMatchObject({ transfers: ['2220 -> 2900: 500', '2220 -> 2000: 200'] })
    const reversal = reversalOf(refund.sent, card)
    expect((await pos.send(reversal)).text(39)).toBe('00')
    expect(await booked(running, reversal)).toMatchObject({ transfers: ['2000 -> 2220: 200', '2900 -> 2220: 500'] })
    expect(await purseOf(running, card)).toEqual({ balance: 0, held: 0 })
  })

  it('of a deposit that was spent meanwhile takes the rest from suspense', async () => {
    const card = await running.openCard({ balance: 0 })
    const { sent } = await pos.exchange('0200', { 2: card.pan, 3: '210000', 4: amount(1000), ...at('post-office') })
    await pos.ask('0200', { 2: card.pan, 4: amount(700) })
    const reversal = reversalOf(sent, card)
    expect((await pos.send(reversal)).text(39)).toBe('00')
    expect(await booked(running, reversal)).toMatchObject({ transfers: ['2000 -> 1000: 300', '2900 -> 1000: 700'] })
    expect(await purseOf(running, card)).toEqual({ balance: 0, held: 0 })
  })

  it('with DE 95 leaves the final amount', async () => {
    const { card, sent } = await purchase(1000, 600)
    const reversal = reversalOf(sent, card, { 95: finalAmount(250) })
    expect((await pos.send(reversal)).text(39)).toBe('00')
    expect(await booked(running, reversal)).toMatchObject({ approved: 350, transfers: ['2220 -> 2000: 350'] })
    // What is left of it can still be reversed, and then nothing more.
    expect((await pos.send(reversalOf(sent, card))).text(39)).toBe('00')
    expect((await pos.send(reversalOf(sent, card))).text(39)).toBe('00')
    expect(await purseOf(running, card)).toEqual({ balance: 1000, held: 0 })
  })

  it.each<[string, string[]]>([
    ['0400', ['0401', '0401', '0400']],
    ['0420', ['0421', '0421', '0420']],
  ])('%s and its repeats give back once', async (mti, repeats) => {
    const { card, sent } = await purchase(1000, 600)
    const reversal = reversalOf(sent, card, {}, mti)
    for (const each of [mti, ...repeats]) expect((await pos.send({ ...reversal, mti: each })).text(39), each).toBe('00')
    expect(await booked(running, reversal)).toMatchObject({ transfers: ['2220 -> 2000: 600'] })
    expect(await purseOf(running, card)).toEqual({ balance: 1000, held: 0 })
  })

  it('under many keys at once gives back once', async () => {
    const { card, sent } = await purchase(1000, 600)
    const reversals = Array.from({ length: 20 }, () => reversalOf(sent, card))
    const codes = new Set((await Promise.all(reversals.map((one) => pos.send(one)))).map((answer) => answer.text(39)))
    // Each time that another one came first it is decided again; who has to look too often is told to repeat.
    for (const code of codes) expect(['00', '91']).toContain(code)
    for (const reversal of reversals) expect((await pos.send({ ...reversal, mti: '0401' })).text(39)).toBe('00')
    expect(await purseOf(running, card)).toEqual({ balance: 1000, held: 0 })
  })

  it('before its original is answered 00, and the late original is refused', async () => {
    const card = await running.openCard({ balance: 1000 })
    const late = compose(running.clock, '0200', { 2: card.pan, 4: amount(600) })
    const reversal = reversalOf(late, card)
    expect((await pos.send(reversal)).text(39)).toBe('00')
    expect((await pos.send({ ...reversal, mti: '0401' })).text(39)).toBe('00')
    expect((await pos.send(late)).text(39)).toBe('12')
    expect((await pos.send({ ...late, mti: '0201' })).text(39)).toBe('12')
    expect(await purseOf(running, card)).toEqual({ balance: 1000, held: 0 })
  })

  it('at the same time as its original leaves the purse as it was', async () => {
    for (let round = 0; round < 10; round++) {
      const card = await running.openCard({ balance: 1000 })
      const original = compose(running.clock, '0200', { 2: card.pan, 4: amount(600) })
      const [asked, reversed] = await Promise.all([pos.send(original), pos.send(reversalOf(original, card))])
      expect(['00', '12']).toContain(asked.text(39))
      expect(reversed.text(39)).toBe('00')
      expect(await purseOf(running, card)).toEqual({ balance: 1000, held: 0 })
    }
  })

  it('of a declined original has nothing to do', async () => {
    const card = await running.openCard({ balance: 100 })
    const { sent, answer } = await pos.exchange('0200', { 2: card.pan, 4: amount(600) })
    expect(answer.text(39)).toBe('51')
    expect((await pos.send(reversalOf(sent, card))).text(39)).toBe('00')
    expect(await purseOf(running, card)).toEqual({ balance: 100, held: 0 })
  })

  it('with another card is refused', async () => {
    const { card, sent } = await purchase(1000, 600)
    const other = await running.openCard()
    expect((await pos.send(reversalOf(sent, other))).text(39)).toBe('25')
    expect(await purseOf(running, card)).toEqual({ balance: 400, held: 0 })
  })

  it('is done on a card that was reported stolen meanwhile', async () => {
    const { card, sent } = await purchase(1000, 600)
    await running.sql(`UPDATE card SET state = 'STOLEN', version = version + 1 WHERE token = $1`, [card.token])
    await running.sql('UPDATE purse SET gate = gate + 1 WHERE id = $1', [card.purseId])
    expect((await pos.send(reversalOf(sent, card))).text(39)).toBe('00')
    expect(await purseOf(running, card)).toEqual({ balance: 1000, held: 0 })
  })
})

describe('a refund', () => {
  const refundOf = (original: Sent, card: TestCard, value: number, more: Fields = {}) =>
    pos.exchange('0200', {
      2: card.pan,
      3: '200000',
      4: amount(value),
      41: original.fields[41],
      90: originalOf(original),
      ...more,
    })

  it('gives back up to the whole, in parts, and no more', async () => {
    const { card, sent } = await purchase(1000, 600)
    const first = await refundOf(sent, card, 400)
    expect([first.answer.text(39), first.answer.has(54)]).toEqual(['00', false])
    expect(await booked(running, first.sent)).toEqual({
      kind: 'refund',
      code: '00',
      approved: 400,
      transfers: ['2220 -> 2000: 400'],
    })
    expect((await refundOf(sent, card, 201)).answer.text(39)).toBe('64')
    expect((await refundOf(sent, card, 200)).answer.text(39)).toBe('00')
    expect((await refundOf(sent, card, 1)).answer.text(39)).toBe('64')
    expect(await purseOf(running, card)).toEqual({ balance: 1000, held: 0 })
  })

  it('asked for twenty times at once gives back no more than was paid', async () => {
    const { card, sent } = await purchase(1000, 600)
    const asked = await Promise.all(Array.from({ length: 20 }, () => refundOf(sent, card, 100)))
    const codes = await Promise.all(asked.map(async (one) => (await pos.send({ ...one.sent, mti: '0201' })).text(39)))
    expect(codes.filter((code) => code === '00')).toHaveLength(6)
    expect(await purseOf(running, card)).toEqual({ balance: 1000, held: 0 })
  })

  it('of a government payment is taken back from the payee', async () => {
    const card = await running.openCard({ balance: 1000 })
    const { sent } = await pos.exchange('0200', { 2: card.pan, 3: '500000', 4: amount(300), ...at('government') })
    const refund = await refundOf(sent, card, 300)
    expect(refund.answer.text(39)).toBe('00')
    expect(await booked(running, refund.sent)).toMatchObject({ kind: 'paymentRefund', transfers: ['2215 -> 2000: 300'] })
  })

  it('of a purchase that another terminal of the shop made is found by DE 37 and DE 38', async () => {
    const card = await running.openCard({ balance: 1000 })
    const { answer } = await pos.exchange('0200', { 2: card.pan, 4: amount(600), 37: '632609000888' })
    const numbers = { 2: card.pan, 3: '200000', 4: amount(600), 37: '632609000888', 38: answer.text(38) }
    expect((await pos.ask('0200', { ...numbers, 41: 'POS00006' })).text(39)).toBe('25')
    expect((await pos.ask('0200', { ...numbers, 41: 'POS00002' })).text(39)).toBe('00')
    expect(await purseOf(running, card)).toEqual({ balance: 1000, held: 0 })
  })

  it('of what was reversed, or was never there, is refused', async () => {
    const { card, sent } = await purchase(1000, 600)
    await pos.send(reversalOf(sent, card))
    expect((await refundOf(sent, card, 100)).answer.text(39)).toBe('64')
    expect((await refundOf(compose(running.clock, '0200', {}), card, 100)).answer.text(39)).toBe('25')
    expect((await refundOf(sent, await running.openCard(), 100)).answer.text(39)).toBe('25')
  })

  it('that is reversed after its purchase was reversed charges nobody again', async () => {
    const part = await purchase(1000, 600)
    const refunded = await refundOf(part.sent, part.card, 200)
    await pos.send(reversalOf(part.sent, part.card))
    expect((await pos.send(reversalOf(refunded.sent, part.card))).text(39)).toBe('00')
    expect(await purseOf(running, part.card)).toEqual({ balance: 1000, held: 0 })
    const all = await purchase(1000, 600)
    const refund = await refundOf(all.sent, all.card, 600)
    await pos.send(reversalOf(all.sent, all.card))
    expect((await pos.send(reversalOf(refund.sent, all.card))).text(39)).toBe('00')
    expect(await purseOf(running, all.card)).toEqual({ balance: 1000, held: 0 })
  })

  it('and its purchase, reversed at once, leave the holder with the money', async () => {
    const pairs = await Promise.all(
      Array.from({ length: 12 }, async () => {
        const { card, sent } = await purchase(1000, 600)
        return { card, sent, refund: (await refundOf(sent, card, 200)).sent }
      }),
    )
    await Promise.all(
      pairs.flatMap(({ card, sent, refund }) => [pos.send(reversalOf(refund, card)), pos.send(reversalOf(sent, card))]),
    )
    for (const { card } of pairs) expect(await purseOf(running, card)).toEqual({ balance: 1000, held: 0 })
  })

  // What was given back and then taken back still counts as given back (src/ledger/originals.ts).
  it('that was reversed can be made again', async () => {
    const { card, sent } = await purchase(1000, 600)
    const refund = await refundOf(sent, card, 600)
    await pos.send(reversalOf(refund.sent, card))
    expect((await refundOf(sent, card, 600)).answer.text(39)).toBe('00')
    expect(await purseOf(running, card)).toEqual({ balance: 1000, held: 0 })
  })
})
