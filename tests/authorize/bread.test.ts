import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import {
  amount,
  answerName,
  at,
  compose,
  originalOf,
  startTestSwitch,
  type TestHousehold,
  type TestLink,
  type TestSwitch,
} from '../support/switch.ts'
import { booked, daysDrawn, expectCleanBooks, unitsIn } from './books.ts'
import { bread, data } from './subsidies.ts'

const NOON = '2026-11-22T10:00:00Z'
/** November has 30 days: a household of four has 4 x 5 x 30 loaves. */
const MONTH = 600

let running: TestSwitch
let pos: TestLink
let household: TestHousehold

beforeAll(async () => {
  running = await startTestSwitch({ at: NOON })
  pos = await running.connect('pos')
})

beforeEach(async () => {
  running.clock.moveTo(NOON)
  household = await running.openHousehold({ members: 4 })
})

afterAll(async () => {
  await expectCleanBooks(running)
})

async function codeOf(...asked: Parameters<typeof bread>): Promise<string> {
  return (await pos.ask('0200', bread(...asked))).text(39) ?? ''
}

describe('a day’s allowance is 5 loaves a member', () => {
  it('loaves of the household and money of treasury and bakery move in one commit', async () => {
    const { sent, answer } = await pos.exchange('0200', bread(household.head.pan, 20))
    expect(answer.text(39)).toBe('00')
    // Available and ledger balance, in loaves: currency 999.
    expect(answer.text(54)).toBe(`9701999C${amount(MONTH - 20)}9702999C${amount(MONTH - 20)}`)
    expect(await booked(running, sent)).toEqual({
      kind: 'dispense',
      code: '00',
      approved: 400,
      transfers: ['2110 -> 9001: 20', '1210 -> 2210: 2100'],
    })
    expect(await unitsIn(running, household.purses.bread)).toBe(MONTH - 20)
    expect(await unitsIn(running, household.purses.cash)).toBe(100_000)
  })

  it('fewer may be drawn; what is left of the day counts towards points, and the day is drawn', async () => {
    expect(await codeOf(household.head.pan, 3)).toBe('00')
    expect(await codeOf(household.head.pan, 3)).toBe('65')
    expect(await unitsIn(running, household.purses.bread)).toBe(MONTH - 3)
  })

  it('more than the days are worth is 61', async () => {
    expect(await codeOf(household.head.pan, 21)).toBe('61')
    expect(await codeOf(household.head.pan, 41, 2)).toBe('61')
    expect(await codeOf(household.head.pan, 40, 2)).toBe('00')
  })

  it('bread is counted apart from ration', async () => {
    const { head } = await running.openHousehold({ rationMembers: 4, breadMembers: 2 })
    expect(await codeOf(head.pan, 11)).toBe('61')
    expect(await codeOf(head.pan, 10)).toBe('00')
  })
})

describe('days are drawn once', () => {
  it('a day never twice, however it was drawn: 65', async () => {
    expect(await codeOf(household.head.pan, 40, 2)).toBe('00')
    expect(await daysDrawn(running, household.purses.bread)).toEqual([22, 23])
    expect(await codeOf(household.head.pan, 5)).toBe('65')
    running.clock.moveTo('2026-11-23T10:00:00Z')
    expect(await codeOf(household.head.pan, 5)).toBe('65')
    expect(await codeOf(household.head.pan, 5, 2)).toBe('65')
    running.clock.moveTo('2026-11-24T10:00:00Z')
    expect(await codeOf(household.head.pan, 20)).toBe('00')
  })

  it('fifty at once for one day: one is approved', async () => {
    const codes = await Promise.all(Array.from({ length: 50 }, () => codeOf(household.head.pan, 20)))
    expect(codes.filter((code) => code === '00')).toHaveLength(1)
    expect(codes.filter((code) => code === '65')).toHaveLength(49)
    expect(await unitsIn(running, household.purses.bread)).toBe(MONTH - 20)
  })

  it.each([
    [3, 3, '00'],
    [3, 4, '61'],
    [1, 3, '00'],
    [4, 2, '00'],
    [4, 3, '61'],
    [8, 2, '00'],
    [8, 3, '61'],
  ])('a household of %i may draw %i days: %s', async (members, days, code) => {
    const { head } = await running.openHousehold({ members })
    expect(await codeOf(head.pan, 1, days)).toBe(code)
  })

  it('nothing across a month’s end: 61', async () => {
    running.clock.moveTo('2026-11-30T10:00:00Z')
    expect(await codeOf(household.head.pan, 20, 2)).toBe('61')
    expect(await codeOf(household.head.pan, 20, 1)).toBe('00')
  })

  it('a second before midnight in Cairo is today, at midnight it is tomorrow', async () => {
    // Winter time: two hours ahead of UTC.
    running.clock.moveTo('2026-11-22T21:59:58Z')
    expect(await codeOf(household.head.pan, 20)).toBe('00')
    expect(await codeOf(household.head.pan, 20)).toBe('65')
    running.clock.moveTo('2026-11-22T22:00:00Z')
    expect(await codeOf(household.head.pan, 20)).toBe('00')
    expect(await daysDrawn(running, household.purses.bread)).toEqual([22, 23])
  })
})

describe('what a bakery may ask for', () => {
  it.each<[string, string, Record<number, string | undefined>]>([
    ['zero loaves', '13', { 4: amount(0), 48: data({ LV: 0, DY: 1 }) }],
    ['no number of loaves', '13', { 4: amount(400), 48: undefined }],
    ['zero days', '13', { 48: data({ LV: 20, DY: 0 }) }],
    ['another price', '13', { 4: amount(401) }],
    ['absurd loaves', '61', { 4: amount(999 * 20), 48: data({ LV: 999, DY: 2 }) }],
    ['absurd days', '61', { 48: data({ LV: 20, DY: 99 }) }],
    ['another currency', '13', { 49: '840' }],
    ['at a grocer', '58', at('grocer')],
    ['at a shop', '58', at('pos')],
    ['banknotes from the bread purse', '58', { 3: '019700', 4: amount(5000) }],
    ['banknotes', '58', { 3: '010000', 4: amount(5000) }],
    ['ration goods', '58', { 3: '009800', 48: data({ BK: 'OIL*1*400;' }) }],
    ['points', '58', { 3: '009500' }],
  ])('%s: %s, and nothing moves', async (_, code, overrides) => {
    expect(await codeOf(household.head.pan, 20, 1, overrides)).toBe(code)
    expect(await unitsIn(running, household.purses.bread)).toBe(MONTH)
    expect(await unitsIn(running, household.purses.cash)).toBe(100_000)
    expect(await daysDrawn(running, household.purses.bread)).toEqual([])
  })

  it.each(['-05', '20x', '  5'])('%s loaves: 30, and nothing moves', async (loaves) => {
    const sent = compose(running.clock, '0200', bread(household.head.pan, 20, 1, { 48: 'LV003020' }))
    const bytes = Buffer.from(pos.encode(sent).toString('latin1').replace('LV003020', `LV003${loaves}`), 'latin1')
    const answer = await pos.sendBytes(bytes, answerName('0200', sent.fields[11]))
    expect(answer?.text(39)).toBe('30')
    expect(await unitsIn(running, household.purses.bread)).toBe(MONTH)
  })

  it('a member’s card carries no bread: 57', async () => {
    expect(await codeOf(household.member.pan, 5)).toBe('57')
    expect(await unitsIn(running, household.purses.bread)).toBe(MONTH)
  })

  it('a household whose governorate waits for the service: 57, and any card of it has it once it is announced', async () => {
    const { head } = await running.openHousehold({ governorate: 27 })
    expect(await codeOf(head.pan, 5)).toBe('57')
    await running.sql(`INSERT INTO region_service (service, governorate, active_from) VALUES ('bread', 27, '2026-11-22')`)
    try {
      let code = ''
      for (let tries = 0; tries < 200 && code !== '00'; tries++) code = await codeOf(head.pan, 5)
      expect(code).toBe('00')
    } finally {
      await running.sql(`DELETE FROM region_service WHERE governorate = 27`)
    }
  })
})

describe('the price', () => {
  it('is taken from the cash purse where the bakery’s terminal says so, in the same commit', async () => {
    const wallet = { 41: 'BAK00002', 42: undefined }
    const { sent, answer } = await pos.exchange('0200', bread(household.head.pan, 20, 1, wallet))
    expect([answer.text(39), answer.text(6), answer.text(51)]).toEqual(['00', amount(400), '818'])
    expect((await booked(running, sent))?.transfers).toEqual(['2110 -> 9001: 20', '1210 -> 2210: 2100', '2000 -> 2210: 400'])
    expect(await unitsIn(running, household.purses.cash)).toBe(99_600)
    const repeat = await pos.send({ ...sent, mti: '0201' })
    expect([repeat.text(39), repeat.text(6)]).toEqual(['00', amount(400)])
    const reversal = await pos.ask('0400', { ...bread(household.head.pan, 20, 1, wallet), 48: undefined, 90: originalOf(sent) })
    expect(reversal.text(39)).toBe('00')
    expect(await unitsIn(running, household.purses.cash)).toBe(100_000)
    expect(await unitsIn(running, household.purses.bread)).toBe(MONTH)
  })

  it('cannot be paid: 51, and no loaf moves', async () => {
    const { head, purses } = await running.openHousehold({ cash: 399 })
    expect(await codeOf(head.pan, 20, 1, { 41: 'BAK00002', 42: undefined })).toBe('51')
    expect([await unitsIn(running, purses.bread), await unitsIn(running, purses.cash)]).toEqual([MONTH, 399])
    expect(await codeOf(head.pan, 19, 1, { 41: 'BAK00002', 42: undefined })).toBe('00')
  })
})
