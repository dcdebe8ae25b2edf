import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import {
  amount,
  at,
  startTestSwitch,
  type Fields,
  type TestHousehold,
  type TestLink,
  type TestSwitch,
} from '../support/switch.ts'
import { booked, expectCleanBooks, unitsIn } from './books.ts'
import { data, points, ration } from './subsidies.ts'

const NOON = '2026-11-22T10:00:00Z'
/** 50 pounds a member for the first four. */
const MONTH = 20_000

let running: TestSwitch
let pos: TestLink
let household: TestHousehold

beforeAll(async () => {
  running = await startTestSwitch({ at: NOON })
  pos = await running.connect('pos')
})

beforeEach(async () => {
  running.clock.moveTo(NOON)
  household = await running.openHousehold({ members: 4, points: 500 })
})

afterAll(async () => {
  await expectCleanBooks(running)
})

async function codeOf(fields: Fields): Promise<string> {
  return (await pos.ask('0200', fields)).text(39) ?? ''
}

describe('ration goods', () => {
  it('are paid by the entitlement in its own unit, and by the treasury in pounds', async () => {
    const { sent, answer } = await pos.exchange('0200', ration(household.head.pan, ['OIL*2*6000', 'SUGAR*3*3600']))
    expect(answer.text(39)).toBe('00')
    expect(answer.text(54)).toBe(`9801818C${amount(MONTH - 9600)}9802818C${amount(MONTH - 9600)}`)
    expect(await booked(running, sent)).toEqual({
      kind: 'dispense',
      code: '00',
      approved: 9600,
      transfers: ['2100 -> 9001: 9600', '1200 -> 2200: 9600'],
    })
    expect(await unitsIn(running, household.purses.ration)).toBe(MONTH - 9600)
    expect(await unitsIn(running, household.purses.cash)).toBe(100_000)
  })

  it.each([
    [1, 5000],
    [4, 20_000],
    [5, 22_500],
    [7, 27_500],
  ])('a household of %i has %i piasters a month: 50 pounds a member, 25 from the 5th', async (members, units) => {
    const { purses } = await running.openHousehold({ members })
    expect(await unitsIn(running, purses.ration)).toBe(units)
  })

  it('above what is there are 51, although there is cash', async () => {
    const { head, purses } = await running.openHousehold({ ration: 1000, points: 9000 })
    const answer = await pos.ask('0200', ration(head.pan, ['OIL*1*1001']))
    expect([answer.text(39), answer.text(54)]).toEqual(['51', `9801818C${amount(1000)}9802818C${amount(1000)}`])
    expect([await unitsIn(running, purses.cash), await unitsIn(running, purses.points)]).toEqual([100_000, 9000])
  })

  it('are handed out in part where the terminal can: 10', async () => {
    const { head, purses } = await running.openHousehold({ ration: 1000 })
    const { sent, answer } = await pos.exchange('0200', ration(head.pan, ['OIL*1*1500'], {}, true))
    expect([answer.text(39), answer.text(4)]).toEqual(['10', amount(1000)])
    expect((await booked(running, sent))?.transfers).toEqual(['2100 -> 9001: 1000', '1200 -> 2200: 1000'])
    expect(await unitsIn(running, purses.ration)).toBe(0)
    expect(await codeOf(ration(head.pan, ['OIL*1*1500'], {}, true))).toBe('51')
  })

  it('each item has its ceiling a member and month, over all baskets: 61', async () => {
    expect(await codeOf(ration(household.head.pan, ['OIL*5*500']))).toBe('61')
    expect(await codeOf(ration(household.head.pan, ['OIL*3*300', 'TEA*1*100']))).toBe('00')
    expect(await codeOf(ration(household.head.pan, ['OIL*2*200']))).toBe('61')
    expect(await codeOf(ration(household.head.pan, ['OIL*1*100']))).toBe('00')
    expect(await codeOf(ration(household.head.pan, ['OIL*1*100']))).toBe('61')
    expect(await unitsIn(running, household.purses.ration)).toBe(MONTH - 500)
  })

  it('many at once for the last of an item: as many as there are', async () => {
    const codes = await Promise.all(Array.from({ length: 20 }, () => codeOf(ration(household.head.pan, ['OIL*1*100']))))
    expect(codes.filter((code) => code === '00')).toHaveLength(4)
    expect(codes.filter((code) => code === '61')).toHaveLength(16)
  })

  it.each<[string, string, Fields]>([
    ['no basket', '13', { 48: undefined }],
    ['a basket that does not add up', '13', { 4: amount(101) }],
    ['an item of nothing', '13', { 48: data({ BK: 'OIL*0*100;' }) }],
    ['an unknown item', '61', { 48: data({ BK: 'GOLD*1*100;' }) }],
    ['an item named like what every object has', '61', { 48: data({ BK: 'constructor*1*100;' }) }],
    ['nothing at all', '13', { 4: amount(0), 48: data({ BK: 'OIL*1*0;' }) }],
    ['at a bakery', '58', at('bakery')],
    ['at a shop', '58', at('pos')],
    ['at a clinic', '58', at('clinic')],
  ])('%s: %s, and nothing moves', async (_, code, overrides) => {
    expect(await codeOf(ration(household.head.pan, ['OIL*1*100'], overrides))).toBe(code)
    expect(await unitsIn(running, household.purses.ration)).toBe(MONTH)
  })

  it('a member’s card carries none: 57', async () => {
    expect(await codeOf(ration(household.member.pan, ['OIL*1*100']))).toBe('57')
  })
})

describe('the household’s governorate', () => {
  // GRO00002 is in another one than the pilot governorate 3.
  async function elsewhere(governorate: number): Promise<{ terminal: string; guest: TestHousehold }> {
    const [row] = await running.sql<{ terminal_id: string }>(
      `SELECT t.terminal_id FROM terminal t JOIN merchant m ON m.id = t.merchant_id WHERE t.class = 'grocer' AND m.governorate = $1 LIMIT 1`,
      [governorate],
    )
    return { terminal: row!.terminal_id, guest: await running.openHousehold({ governorate: 5 }) }
  }

  it('is where its goods are handed out: elsewhere 58', async () => {
    const { terminal, guest } = await elsewhere(7)
    expect(await codeOf(ration(guest.head.pan, ['OIL*1*100'], { 41: terminal, 42: undefined }))).toBe('58')
    expect(await unitsIn(running, guest.purses.ration)).toBe(MONTH)
  })

  it('in summer the coast serves guests, from the first to the last day of the season', async () => {
    const { terminal, guest } = await elsewhere(2)
    const asked = async (instant: string): Promise<string> => {
      running.clock.moveTo(instant)
      return await codeOf(ration(guest.head.pan, ['TEA*1*100'], { 41: terminal, 42: undefined }))
    }
    // Summer time: three hours ahead of UTC.
    expect(await asked('2027-06-14T20:59:58Z')).toBe('58')
    expect(await asked('2027-06-14T21:00:01Z')).toBe('00')
    expect(await asked('2027-09-15T20:59:58Z')).toBe('00')
    expect(await asked('2027-09-15T21:00:01Z')).toBe('58')
  })
})

describe('points', () => {
  it('buy at the grocer’s', async () => {
    const { sent, answer } = await pos.exchange('0200', points(household.head.pan, 300))
    expect(answer.text(39)).toBe('00')
    expect((await booked(running, sent))?.transfers).toEqual(['2120 -> 9001: 300', '1200 -> 2200: 300'])
    expect(await unitsIn(running, household.purses.points)).toBe(200)
  })

  it('above what is there are 51, although there are ration and cash', async () => {
    expect(await codeOf(points(household.head.pan, 501))).toBe('51')
    expect(await codeOf(points(household.head.pan, 0))).toBe('13')
    expect(await codeOf(points(household.head.pan, 100, at('bakery')))).toBe('58')
    expect(await codeOf(points(household.member.pan, 100))).toBe('57')
    expect(await unitsIn(running, household.purses.points)).toBe(500)
    expect(await unitsIn(running, household.purses.ration)).toBe(MONTH)
  })
})

describe('a balance inquiry', () => {
  it.each([
    ['98', 'grocer', '818', MONTH],
    ['97', 'bakery', '999', 600],
    ['95', 'grocer', '818', 500],
    ['00', 'pos', '818', 100_000],
  ])('of account type %s at a %s tells that purse alone', async (type, terminalClass, currency, units) => {
    const answer = await pos.ask('0100', { 2: household.head.pan, 3: `31${type}00`, ...at(terminalClass) })
    expect([answer.text(39), answer.text(54)]).toEqual([
      '00',
      `${type}01${currency}C${amount(units)}${type}02${currency}C${amount(units)}`,
    ])
  })

  it('of a household’s purse with a member’s card is 57, at a clinic 58', async () => {
    expect((await pos.ask('0100', { 2: household.member.pan, 3: '319800', ...at('grocer') })).text(39)).toBe('57')
    expect((await pos.ask('0100', { 2: household.head.pan, 3: '319800', ...at('clinic') })).text(39)).toBe('58')
  })
})
