import { beforeAll, describe, expect, it } from 'vitest'
import type { CardState } from '../../src/card.ts'
import { demoPan } from '../../src/programme/demo.ts'
import { demoPinBlock } from '../../src/programme/demoVerification.ts'
import { amount, at, compose, startTestSwitch, type Fields, type TestLink, type TestSwitch } from '../support/switch.ts'
import { booked, keyOf, purseOf } from './books.ts'

let running: TestSwitch
let pos: TestLink
let atm: TestLink
let gateway: TestLink

beforeAll(async () => {
  running = await startTestSwitch()
  pos = await running.connect('pos')
  atm = await running.connect('atm')
  gateway = await running.connect('gateway')
})

const asked = async (fields: Fields, mti = '0200'): Promise<string | undefined> => (await pos.ask(mti, fields)).text(39)

const UNKNOWN_CARD = '9818990000000009'

describe('several things wrong at once: the first one is the answer', () => {
  const amountsWrong: Fields = { 4: amount(0), 49: '840' }

  it.each<[string, string, Fields, { state?: CardState; expiry?: string; balance?: number }?]>([
    ['30', 'no time', { 7: undefined, 41: 'NOWHERE1', 2: UNKNOWN_CARD }],
    ['03', 'unknown terminal', { 41: 'NOWHERE1', 3: '090000', 2: UNKNOWN_CARD }],
    ['03', 'another merchant’s terminal', { 41: 'POS00996', 42: '000000000000001', 3: '090000' }],
    ['58', 'suspended terminal', { 41: 'POS00996', 42: undefined, 3: '090000', 2: UNKNOWN_CARD }],
    ['12', 'not done by the switch', { 3: '090000', 2: UNKNOWN_CARD }],
    ['12', 'too old', { 7: '0101000000', 2: UNKNOWN_CARD }],
    ['14', 'unknown card', { 2: UNKNOWN_CARD, ...amountsWrong, ...at('atm') }],
    ['41', 'lost', { ...amountsWrong, ...at('atm') }, { state: 'LOST', expiry: '2401' }],
    ['43', 'stolen', { ...amountsWrong, ...at('atm') }, { state: 'STOLEN', expiry: '2401' }],
    ['62', 'suspended', { ...amountsWrong, ...at('atm') }, { state: 'SUSPENDED_BIOMETRIC', expiry: '2401' }],
    ['54', 'expired and closed', { ...amountsWrong, ...at('atm') }, { state: 'CLOSED', expiry: '2401' }],
    ['54', 'another date than the card’s', { 14: '3001', ...amountsWrong, ...at('atm') }, { state: 'ORDERED' }],
    ['46', 'closed', { ...amountsWrong, ...at('atm') }, { state: 'CLOSED' }],
    ['78', 'not handed over', { ...amountsWrong, ...at('atm') }, { state: 'AWAITING_COLLECTION' }],
    ['75', 'PIN tries over', { ...amountsWrong, 52: '0011223344556677', ...at('atm') }, { state: 'PIN_BLOCKED' }],
    ['58', 'a purchase at an ATM', { ...amountsWrong, ...at('atm') }],
    ['58', 'a withdrawal in a shop', { 3: '010000', ...amountsWrong }],
    ['58', 'a deposit in a shop', { 3: '210000', ...amountsWrong }],
    ['13', 'amount 0', amountsWrong],
    ['13', 'US dollars', { 4: amount(10_000_001), 49: '840' }],
    ['13', 'no whole note, above all limits', { 3: '010000', 4: amount(10_000_001), ...at('atm') }],
    ['61', 'above the transaction’s limit', { 4: amount(10_000_001) }],
    ['61', 'above the day’s limit', { 4: amount(5_000_001) }, { balance: 100 }],
    ['51', 'above what the purse holds', { 4: amount(101) }, { balance: 100 }],
    ['51', 'no part of an empty purse', { 4: amount(101), 48: 'PC0011' }, { balance: 0 }],
    ['10', 'a part', { 4: amount(101), 48: 'PC0011' }, { balance: 100 }],
  ])('%s: %s', async (code, _, fields, card = {}) => {
    const { pan } = await running.openCard(card)
    expect(await asked({ 2: pan, ...fields })).toBe(code)
  })

  it('94 before 41: another message under the same key, on a card that is lost', async () => {
    const card = await running.openCard({ state: 'LOST' })
    const { sent, answer } = await pos.exchange('0200', { 2: card.pan })
    expect(answer.text(39)).toBe('41')
    expect((await pos.send({ ...sent, fields: { ...sent.fields, 4: amount(2) } })).text(39)).toBe('94')
  })
})

describe('merchants and terminals', () => {
  it('a suspended merchant’s terminals are refused', async () => {
    const { pan } = await running.openCard()
    await running.sql(
      `UPDATE merchant SET state = 'SUSPENDED' WHERE id = (SELECT merchant_id FROM terminal WHERE terminal_id = 'POS00011')`,
    )
    expect(await asked({ 2: pan, 41: 'POS00011' })).toBe('03')
    await running.sql(`UPDATE merchant SET state = 'ACTIVE'`)
    expect(await asked({ 2: pan, 41: 'POS00011' })).toBe('00')
  })

  it('a payment at what is no government service is 03', async () => {
    const { pan } = await running.openCard()
    const category = (code: string) =>
      running.sql(
        `UPDATE merchant SET category = $1 WHERE id = (SELECT merchant_id FROM terminal WHERE terminal_id = 'GOV00002')`,
        [code],
      )
    await category('5399')
    expect(await asked({ 2: pan, 3: '500000', 41: 'GOV00002' })).toBe('03')
    await category('9311')
    expect(await asked({ 2: pan, 3: '500000', 41: 'GOV00002' })).toBe('00')
  })

  it('a withdrawal at an ATM that is not the post’s is 58', async () => {
    const { pan } = await running.openCard()
    await running.sql(
      `UPDATE terminal SET merchant_id = (SELECT merchant_id FROM terminal WHERE terminal_id = 'GRO00001') WHERE terminal_id = 'ATM00002'`,
    )
    expect(await asked({ 2: pan, 3: '010000', 4: amount(5000), 41: 'ATM00002' })).toBe('58')
  })

  it('DE 42 is compared where it is there', async () => {
    const { pan } = await running.openCard()
    expect(await asked({ 2: pan, ...at('pos'), 42: '000000000000002' })).toBe('03')
    expect(await asked({ 2: pan, ...at('pos') })).toBe('00')
  })
})

describe('declines', () => {
  it.each(['41', '51', '61'])('a %s is recorded under its key', async (code) => {
    const situations: Record<string, [Parameters<TestSwitch['openCard']>[0], Fields]> = {
      41: [{ state: 'LOST' }, {}],
      51: [{ balance: 10 }, { 4: amount(11) }],
      61: [{}, { 4: amount(10_000_001) }],
    }
    const [card, fields] = situations[code]!
    const { pan } = await running.openCard(card)
    const { sent, answer } = await pos.exchange('0200', { 2: pan, ...fields })
    expect(answer.text(39)).toBe(code)
    expect(await booked(running, sent)).toEqual({ kind: 'purchase', code, approved: 0, transfers: [] })
  })

  it('the demo programme’s cards say what they are there to say', async () => {
    const codes = []
    for (const household of [1, 11, 12, 13, 14, 15, 16, 17, 18])
      codes.push(
        await asked({
          2: demoPan(household),
          4: amount(1001),
          52: demoPinBlock(demoPan(household)).toString('hex').toUpperCase(),
        }),
      )
    expect(codes).toEqual(['00', '41', '43', '62', '54', '46', '78', '51', '75'])
  })
})

describe('a message that cannot be read', () => {
  it.each(['atm', 'gateway'])('with an amount that is no number is answered 30 on the %s link', async (name) => {
    const card = await running.openCard()
    const link = name === 'atm' ? atm : gateway
    const sent = compose(running.clock, '0200', { 2: card.pan, 4: amount(123_456) })
    const bytes = link.encode(sent)
    bytes.write('12X456', bytes.indexOf(amount(123_456)) + 6, 'latin1')
    const answer = await link.sendBytes(bytes, `0210|${sent.fields[11]!}`)
    expect(answer?.text(39)).toBe('30')
    expect(await running.sql('SELECT 1 FROM "authorization" WHERE key = $1', [keyOf(sent)])).toEqual([])
    expect(await purseOf(running, card)).toEqual({ balance: 100_000, held: 0 })
  })

  it('with BCD digits above 9 is answered 30 on the pos link', async () => {
    const card = await running.openCard()
    const sent = compose(running.clock, '0200', { 2: card.pan, 4: amount(123_456) })
    const bytes = pos.encode(sent)
    bytes[bytes.indexOf(Buffer.from('000000123456', 'hex')) + 4] = 0xa4
    expect((await pos.sendBytes(bytes, `0210|${sent.fields[11]!}`))?.text(39)).toBe('30')
  })
})
