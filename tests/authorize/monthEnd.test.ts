import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import {
  amount,
  at,
  originalOf,
  startTestSwitch,
  type Fields,
  type Sent,
  type TestHousehold,
  type TestLink,
  type TestSwitch,
} from '../support/switch.ts'
import { booked, daysDrawn, expectCleanBooks, unitsIn } from './books.ts'
import { bread, points, ration } from './subsidies.ts'

/** The last seconds of November in Cairo, and the first of December. */
const LAST_SECOND = '2026-11-30T21:59:57Z'
const FIRST_SECOND = '2026-11-30T22:00:00Z'
const NOON = '2026-11-22T10:00:00Z'

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

const codeOf = async (fields: Fields, mti = '0200'): Promise<string> => (await pos.ask(mti, fields)).text(39) ?? ''

function undo(sent: Sent, message: Fields, overrides: Fields = {}): Promise<string> {
  return codeOf({ ...message, 48: undefined, 90: originalOf(sent), ...overrides }, '0400')
}

function refund(sent: Sent, type: string, piasters: number, terminalClass: string): Promise<string> {
  const fields = { 2: sent.fields[2], 3: `2000${type}`, 4: amount(piasters), 90: originalOf(sent), ...at(terminalClass) }
  return codeOf(fields)
}

async function holdings(): Promise<number[]> {
  const { ration: rationPurse, bread: breadPurse, points: pointsPurse } = household.purses
  return [await unitsIn(running, rationPurse), await unitsIn(running, breadPurse), await unitsIn(running, pointsPurse)]
}

describe('a purse whose month has not been opened is opened at its first use', () => {
  it('ration lapses and comes anew, unused loaves become points', async () => {
    expect(await codeOf(ration(household.head.pan, ['OIL*1*5000']))).toBe('00')
    expect(await codeOf(bread(household.head.pan, 20))).toBe('00')
    expect(await holdings()).toEqual([15_000, 580, 0])
    running.clock.moveTo(LAST_SECOND)
    expect(await codeOf(ration(household.head.pan, ['OIL*1*5000']))).toBe('00')
    running.clock.moveTo(FIRST_SECOND)
    expect(await codeOf(bread(household.head.pan, 20))).toBe('00')
    // 31 days in December; 580 loaves at 10 piasters.
    expect(await holdings()).toEqual([20_000, 600, 5800])
    expect(await daysDrawn(running, household.purses.bread)).toEqual([1])
    expect(await codeOf(points(household.head.pan, 5800))).toBe('00')
    expect(await codeOf(ration(household.head.pan, ['OIL*4*20000']))).toBe('00')
    expect(await holdings()).toEqual([0, 600, 0])
  })

  it('many at once open it once', async () => {
    running.clock.moveTo(FIRST_SECOND)
    const codes = await Promise.all(Array.from({ length: 30 }, () => codeOf(ration(household.head.pan, ['TEA*1*100'], {}))))
    expect(codes.filter((code) => code === '00')).toHaveLength(8)
    expect(await holdings()).toEqual([19_200, 620, 6000])
    const openings = await running.sql('SELECT key FROM "authorization" WHERE kind = 16 AND purse_id = $1', [
      household.purses.ration,
    ])
    expect(openings).toHaveLength(2)
  })

  it('months that were missed are made up for, one by one', async () => {
    running.clock.moveTo('2027-02-10T10:00:00Z')
    expect(await codeOf(bread(household.head.pan, 20))).toBe('00')
    // November 600, December 620 and January 620 loaves become points; February has 28 days.
    expect(await holdings()).toEqual([20_000, 540, 18_400])
  })

  it('an inquiry opens it too', async () => {
    running.clock.moveTo(FIRST_SECOND)
    const answer = await pos.ask('0100', { 2: household.head.pan, 3: '319700', ...at('bakery') })
    expect(answer.text(54)).toBe(`9701999C${amount(620)}9702999C${amount(620)}`)
  })

  it('a joiner’s bread comes with the next month', async () => {
    await running.sql('UPDATE household SET ration_members = 5, bread_members = 5 WHERE id = $1', [household.household])
    expect(await codeOf(bread(household.head.pan, 21))).toBe('61')
    running.clock.moveTo(FIRST_SECOND)
    expect(await codeOf(bread(household.head.pan, 25))).toBe('00')
    expect((await holdings())[0]).toBe(22_500)
  })
})

describe('within the month what was taken comes back to the purse and the days it came from', () => {
  it('a reversal of bread frees its days', async () => {
    const message = bread(household.head.pan, 40, 2)
    const { sent } = await pos.exchange('0200', message)
    expect(await undo(sent, message)).toBe('00')
    expect(await undo(sent, message)).toBe('00')
    expect(await holdings()).toEqual([20_000, 600, 0])
    expect(await daysDrawn(running, household.purses.bread)).toEqual([])
    expect(await codeOf(bread(household.head.pan, 20))).toBe('00')
  })

  it('a part of the loaves comes back without the day', async () => {
    const message = bread(household.head.pan, 20)
    const { sent } = await pos.exchange('0200', message)
    // DE 95: in the end it was 12 loaves.
    const final = `${amount(240)}${amount(0)}C00000000C00000000`
    expect(await undo(sent, message, { 95: final })).toBe('00')
    expect(await holdings()).toEqual([20_000, 588, 0])
    expect(await daysDrawn(running, household.purses.bread)).toEqual([22])
    const { transfers } = (await booked(running, sent))!
    expect(transfers).toEqual(['2110 -> 9001: 20', '1210 -> 2210: 2100'])
  })

  it('a part that is no whole loaf is 13', async () => {
    const { sent } = await pos.exchange('0200', bread(household.head.pan, 20))
    expect(await refund(sent, '97', 30, 'bakery')).toBe('13')
    expect(await refund(sent, '97', 420, 'bakery')).toBe('64')
    expect(await refund(sent, '97', 100, 'bakery')).toBe('00')
    expect(await refund(sent, '97', 300, 'bakery')).toBe('00')
    expect(await refund(sent, '97', 20, 'bakery')).toBe('64')
    expect(await holdings()).toEqual([20_000, 600, 0])
  })

  it('goods of a basket may be had again', async () => {
    const message = ration(household.head.pan, ['OIL*4*400'])
    const { sent } = await pos.exchange('0200', message)
    expect(await codeOf(ration(household.head.pan, ['OIL*1*100']))).toBe('61')
    expect(await undo(sent, message)).toBe('00')
    expect(await codeOf(ration(household.head.pan, ['OIL*4*400']))).toBe('00')
    expect(await holdings()).toEqual([19_600, 600, 0])
  })

  it('a refund that is reversed is taken again', async () => {
    const { sent } = await pos.exchange('0200', ration(household.head.pan, ['TEA*1*1000']))
    const back = await pos.exchange('0200', {
      2: household.head.pan,
      3: '200098',
      4: amount(400),
      90: originalOf(sent),
      ...at('grocer'),
    })
    expect(back.answer.text(39)).toBe('00')
    expect(await holdings()).toEqual([19_400, 600, 0])
    expect(await undo(back.sent, { 2: household.head.pan, 3: '200098', 4: amount(400), ...at('grocer') })).toBe('00')
    expect(await holdings()).toEqual([19_000, 600, 0])
  })

  it('a refund of bread that is reversed draws its day again', async () => {
    const message = bread(household.head.pan, 20)
    const { sent } = await pos.exchange('0200', message)
    const asked = { 2: household.head.pan, 3: '200097', 4: amount(400), ...at('bakery') }
    const back = await pos.exchange('0200', { ...asked, 90: originalOf(sent) })
    expect(back.answer.text(39)).toBe('00')
    expect(await daysDrawn(running, household.purses.bread)).toEqual([])
    expect(await undo(back.sent, asked)).toBe('00')
    expect(await daysDrawn(running, household.purses.bread)).toEqual([22])
    expect(await codeOf(bread(household.head.pan, 20))).toBe('65')
    // The first bread is taken back in the end, but its day was somebody else's to free by now.
    expect(await undo(sent, message)).toBe('00')
    expect(await holdings()).toEqual([20_000, 600, 0])
    expect(await codeOf(bread(household.head.pan, 20))).toBe('65')
  })

  it('a refund that is reversed after its day was drawn anew takes nothing from the household: suspense pays the baker', async () => {
    const { sent } = await pos.exchange('0200', bread(household.head.pan, 20))
    const asked = { 2: household.head.pan, 3: '200097', 4: amount(400), ...at('bakery') }
    const back = await pos.exchange('0200', { ...asked, 90: originalOf(sent) })
    expect(await codeOf(bread(household.head.pan, 20))).toBe('00')
    const again = await pos.exchange('0400', { ...asked, 90: originalOf(back.sent) })
    expect(again.answer.text(39)).toBe('00')
    expect((await booked(running, again.sent))?.transfers).toEqual(['2900 -> 2210: 2100'])
    expect(await holdings()).toEqual([20_000, 580, 0])
    expect(await daysDrawn(running, household.purses.bread)).toEqual([22])
  })

  it('goods of a refund that is reversed count again', async () => {
    const { sent } = await pos.exchange('0200', ration(household.head.pan, ['OIL*4*400']))
    const asked = { 2: household.head.pan, 3: '200098', 4: amount(400), ...at('grocer') }
    const back = await pos.exchange('0200', { ...asked, 90: originalOf(sent) })
    expect(await undo(back.sent, asked)).toBe('00')
    expect(await codeOf(ration(household.head.pan, ['OIL*1*100']))).toBe('61')
  })

  it('a refund that suspense had a part in is reversed in parts: the purse gives no more than it got, and no less', async () => {
    const opened = await running.openHousehold({ ration: 600 })
    const advice = ration(opened.head.pan, ['OIL*1*1000'], { 12: '110000', 13: '1122' })
    const { sent } = await pos.exchange('0220', advice)
    const asked = { 2: opened.head.pan, 3: '200098', 4: amount(1000), ...at('grocer') }
    const back = await pos.exchange('0200', { ...asked, 90: originalOf(sent) })
    expect(await unitsIn(running, opened.purses.ration)).toBe(600)
    expect(await undo(back.sent, asked, { 95: `${amount(500)}${amount(0)}C00000000C00000000` })).toBe('00')
    expect(await undo(back.sent, asked)).toBe('00')
    expect(await unitsIn(running, opened.purses.ration)).toBe(0)
  })

  it('a late original after its reversal is refused', async () => {
    const { sent } = await pos.exchange('0400', {
      ...bread(household.head.pan, 20),
      90: `0200123456112210000000000818001${'0'.repeat(11)}`,
      48: undefined,
    })
    expect(sent.mti).toBe('0400')
    const late = await pos.ask('0200', { ...bread(household.head.pan, 20), 11: '123456', 7: '1122100000' })
    expect(late.text(39)).toBe('12')
    expect(await holdings()).toEqual([20_000, 600, 0])
  })
})

describe('after the month’s end', () => {
  it('ration comes back and lapses at once: nothing for the new month, the treasury has its money', async () => {
    const message = ration(household.head.pan, ['TEA*1*1000'])
    const { sent } = await pos.exchange('0200', message)
    running.clock.moveTo(FIRST_SECOND)
    const { answer, sent: reversal } = await pos.exchange('0400', { ...message, 48: undefined, 90: originalOf(sent) })
    expect(answer.text(39)).toBe('00')
    expect((await booked(running, reversal))?.transfers).toEqual([
      '9001 -> 2100: 1000',
      '2100 -> 9002: 1000',
      '2200 -> 1200: 1000',
    ])
    expect((await holdings())[0]).toBe(20_000)
  })

  it('loaves come back to the running month without freeing a day, and become points at its end', async () => {
    const message = bread(household.head.pan, 20)
    const { sent } = await pos.exchange('0200', message)
    running.clock.moveTo('2026-12-22T10:00:00Z')
    expect(await codeOf(bread(household.head.pan, 20))).toBe('00')
    expect(await undo(sent, message)).toBe('00')
    // 620 for December, less 20, and 20 come back; 580 of November are points.
    expect(await holdings()).toEqual([20_000, 620, 5800])
    expect(await daysDrawn(running, household.purses.bread)).toEqual([22])
    running.clock.moveTo('2027-01-02T10:00:00Z')
    expect(await codeOf(bread(household.head.pan, 20))).toBe('00')
    expect((await holdings())[2]).toBe(5800 + 6200)
  })

  it('points come back to points', async () => {
    const opened = await running.openHousehold({ points: 700 })
    const message = points(opened.head.pan, 300)
    const { sent } = await pos.exchange('0200', message)
    running.clock.moveTo(FIRST_SECOND)
    expect(await undo(sent, message)).toBe('00')
    // The month's loaves were not asked for: they become points when bread is.
    expect(await unitsIn(running, opened.purses.points)).toBeGreaterThanOrEqual(700)
  })
})
