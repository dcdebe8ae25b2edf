/** Domain: reconciliation, 0500 and 0520: DE 74 to 89, 97; answered with DE 66; 95 where the totals differ. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { demoTerminals } from '../../src/programme/demo.ts'
import type { Message } from '../../src/iso8583/message.ts'
import {
  amount,
  originalOf,
  startTestSwitch,
  type Fields,
  type TestCard,
  type TestLink,
  type TestSwitch,
} from '../support/switch.ts'
import { expectCleanBooks } from './books.ts'
import { bread } from './subsidies.ts'

let running: TestSwitch
let pos: TestLink
let card: TestCard

beforeAll(async () => {
  running = await startTestSwitch({
    configure: (config) => ({
      ...config,
      links: config.links.map((link) => (link.name === 'pos' ? { ...link, acquirers: ['00000990001'] } : link)),
    }),
  })
  pos = await running.connect('pos')
  card = await running.openCard()
})

afterAll(async () => {
  await expectCleanBooks(running)
})

/** One of the demo's terminals; each test has its own. */
function terminal(id: string): Fields {
  const found = demoTerminals().find(({ terminalId }) => terminalId === id)
  if (found === undefined) throw new RangeError(`no terminal ${id}`)
  return { 41: found.terminalId, 42: found.acceptorId.padEnd(15) }
}

const shop = (number: number): Fields => terminal(`POS${String(number).padStart(5, '0')}`)

/** A network message has neither amount nor card. */
const NOTHING: Fields = { 2: undefined, 3: undefined, 4: undefined, 42: undefined, 49: undefined }
const of = (place: Fields, totals: Fields = {}): Fields => ({ ...NOTHING, 41: place[41], 50: '818', ...totals })
const count = (number: number): string => String(number).padStart(10, '0')
const sum = (piasters: number): string => String(piasters).padStart(16, '0')

function totalsOf(answer: Message): Record<number, number> {
  const totals: Record<number, number> = {}
  for (let de = 74; de <= 89; de++) if (Number(answer.text(de) ?? 0) !== 0) totals[de] = Number(answer.text(de))
  return totals
}

describe('a terminal that closes its shift', () => {
  it('is in balance where its totals are the ledger’s: purchases, refunds, reversals, inquiries and authorizations', async () => {
    const place = shop(1)
    const bought = await pos.exchange('0200', { ...place, 2: card.pan, 4: amount(1250) })
    await pos.ask('0200', { ...place, 2: card.pan, 4: amount(700) })
    const undone = await pos.exchange('0200', { ...place, 2: card.pan, 4: amount(300) })
    await pos.ask('0400', { ...place, 2: card.pan, 4: amount(300), 90: originalOf(undone.sent) })
    await pos.ask('0200', {
      ...place,
      2: card.pan,
      3: '200000',
      4: amount(50),
      37: bought.answer.text(37),
      38: bought.answer.text(38),
    })
    await pos.ask('0100', { ...place, 2: card.pan, 4: amount(400) })
    await pos.ask('0100', { ...place, 2: card.pan, 3: '310000', 4: amount(0) })
    // Declined: not in any total.
    await pos.ask('0200', { ...place, 2: card.pan, 4: amount(99_999_999) })
    const totals = {
      ...{ 74: count(1), 76: count(3), 77: count(1), 80: count(1), 81: count(1) },
      ...{ 86: sum(50), 88: sum(2250), 89: sum(300), 97: `D${sum(1900)}` },
    }
    const answer = await pos.ask('0500', of(place, totals))
    expect([answer.mti, answer.text(39), answer.text(66), answer.text(50), answer.has(88)]).toEqual([
      '0510',
      '00',
      '1',
      '818',
      false,
    ])
    // The next shift begins with nothing.
    const next = await pos.ask('0520', of(place))
    expect([next.mti, next.text(39), next.text(66)]).toEqual(['0530', '00', '1'])
  })

  it.each([
    ['a number', { 76: count(2), 88: sum(100), 97: `D${sum(100)}` }],
    ['an amount', { 76: count(1), 88: sum(101), 97: `D${sum(100)}` }],
    ['the net amount', { 76: count(1), 88: sum(100), 97: `C${sum(100)}` }],
    ['fees that there are none of', { 76: count(1), 84: '000000000001', 88: sum(100), 97: `D${sum(100)}` }],
    ['everything: it was left out', {}],
  ])('that differs in %s is told ours, code 95 and DE 66 2, and the shift is closed', async (_what, totals) => {
    const place = shop(2)
    await pos.ask('0200', { ...place, 2: card.pan, 4: amount(100) })
    const answer = await pos.ask('0500', of(place, totals))
    expect([answer.text(39), answer.text(66), answer.text(97)]).toEqual(['95', '2', `D${sum(100)}`])
    expect(totalsOf(answer)).toEqual({ 76: 1, 88: 100 })
    expect((await pos.ask('0500', of(place))).text(39)).toBe('00')
  })

  it('and sends it again gets the same answer, another body under the key 94', async () => {
    const place = shop(3)
    await pos.ask('0200', { ...place, 2: card.pan, 4: amount(100) })
    const { sent, answer } = await pos.exchange('0500', of(place))
    await pos.ask('0200', { ...place, 2: card.pan, 4: amount(200) })
    const again = await pos.send({ ...sent, mti: '0501' })
    expect([again.text(39), totalsOf(again)]).toEqual([answer.text(39), totalsOf(answer)])
    const other = await pos.send({ ...sent, fields: { ...sent.fields, 88: sum(100) } })
    expect([other.text(39), other.text(66)]).toEqual(['94', '3'])
    expect(totalsOf(await pos.ask('0500', of(place)))).toEqual({ 76: 1, 88: 200 })
  })

  it('twice at once closes two shifts, of which one has what was sold', async () => {
    const place = shop(4)
    await pos.ask('0200', { ...place, 2: card.pan, 4: amount(100) })
    const answers = await Promise.all([pos.ask('0500', of(place)), pos.ask('0500', of(place)), pos.ask('0500', of(place))])
    expect(answers.map((answer) => answer.text(39)).toSorted()).toEqual(['00', '00', '95'])
  })

  it('that nobody knows, or with another shop’s DE 42, is 03; with half a message 30', async () => {
    const place = shop(5)
    const codes = []
    for (const fields of [{ 41: 'NOBODY01' }, { ...place, 42: 'SOMEBODY ELSE  ' }, { ...place, 7: undefined }])
      codes.push((await pos.ask('0500', of(fields, fields))).text(39))
    expect(codes).toEqual(['03', '03', '30'])
  })
})

it('an acquirer as a whole, without DE 41, is told the totals of all its terminals', async () => {
  const acquirer = { 32: '990001' }
  for (const number of [6, 7]) await pos.ask('0200', { ...shop(number), ...acquirer, 2: card.pan, 4: amount(100 * number) })
  const answer = await pos.ask('0500', { ...NOTHING, ...acquirer, 41: undefined })
  expect([answer.text(39), answer.text(66), totalsOf(answer)]).toEqual(['95', '2', { 76: 2, 88: 1300 }])
  const right = { ...NOTHING, ...acquirer, 41: undefined }
  const gateway = await running.connect('gateway')
  // Whoever else says that DE 32 is theirs closes nothing of it.
  expect((await gateway.ask('0500', right)).text(39)).toBe('03')
  expect((await pos.ask('0500', right)).text(39)).toBe('00')
})

it('goods count with what DE 4 said, whoever paid', async () => {
  const { head } = await running.openHousehold()
  const place = terminal('BAK00001')
  expect((await pos.ask('0200', { ...bread(head.pan, 10), ...place })).text(39)).toBe('00')
  expect(totalsOf(await pos.ask('0500', of(place)))).toEqual({ 76: 1, 88: 200 })
})
