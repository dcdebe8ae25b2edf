import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import {
  amount,
  at,
  compose,
  originalOf,
  startTestSwitch,
  type Fields,
  type TestHousehold,
  type TestLink,
  type TestSwitch,
} from '../support/switch.ts'
import { booked, daysDrawn, expectCleanBooks, stateOf, unitsIn } from './books.ts'
import { bread, points, ration } from './subsidies.ts'

const NOON = '2026-11-22T10:00:00Z'

let running: TestSwitch
let pos: TestLink
let household: TestHousehold & { old: NonNullable<TestHousehold['old']> }

beforeAll(async () => {
  running = await startTestSwitch({ at: NOON })
  pos = await running.connect('pos')
})

beforeEach(async () => {
  running.clock.moveTo(NOON)
  household = await openOld()
})

afterAll(async () => {
  await expectCleanBooks(running)
})

async function openOld(): Promise<typeof household> {
  const opened = await running.openHousehold({ members: 4, points: 1000, oldCard: true })
  return { ...opened, old: opened.old! }
}

const codeOf = async (fields: Fields, mti = '0200'): Promise<string> => (await pos.ask(mti, fields)).text(39) ?? ''
const oldState = (): Promise<string | undefined> => stateOf(running, household.old.token)

it('keeps flowing where nothing is announced for new cards yet', async () => {
  const { head, old } = await running.openHousehold({ governorate: 27, oldCard: true, points: 10 })
  expect(await codeOf(bread(old!.pan, 20))).toBe('00')
  expect(await codeOf(points(old!.pan, 10))).toBe('00')
  expect(await codeOf(bread(head.pan, 20))).toBe('57')
})

it('the old ration card draws on the household’s purses, and on nothing else', async () => {
  expect(await codeOf(bread(household.old.pan, 20))).toBe('00')
  expect(await codeOf(ration(household.old.pan, ['OIL*1*100']))).toBe('00')
  expect(await codeOf(points(household.old.pan, 100))).toBe('00')
  expect(await codeOf({ 2: household.old.pan })).toBe('57')
  expect(await codeOf({ 2: household.old.pan, 3: '010000', 4: amount(5000), ...at('atm') })).toBe('57')
  // One purse: the day is drawn for the new card too.
  expect(await codeOf(bread(household.head.pan, 20))).toBe('65')
  expect(await oldState()).toBe('ACTIVE')
  expect(await unitsIn(running, household.purses.bread)).toBe(580)
})

describe('the first posted dispensing with the head’s new card retires it', () => {
  it.each<[string, (pan: string) => Fields]>([
    ['bread', (pan) => bread(pan, 20)],
    ['ration', (pan) => ration(pan, ['OIL*1*100'])],
    ['points', (pan) => points(pan, 100)],
  ])('%s', async (_, message) => {
    const { sent, answer } = await pos.exchange('0200', message(household.head.pan))
    expect(answer.text(39)).toBe('00')
    expect(await oldState()).toBe('RETIRED')
    for (const fields of [bread(household.old.pan, 5), ration(household.old.pan, ['TEA*1*100']), points(household.old.pan, 1)])
      expect(await codeOf(fields)).toBe('62')
    expect(await codeOf(ration(household.head.pan, ['TEA*1*100']))).toBe('00')
    // A reversal gives back what was taken, and does not revive it.
    const reversal = { ...message(household.head.pan), 48: undefined, 90: originalOf(sent) }
    expect(await codeOf(reversal, '0400')).toBe('00')
    expect(await oldState()).toBe('RETIRED')
    expect(await codeOf(bread(household.old.pan, 5))).toBe('62')
  })

  it.each<[string, string, (household: TestHousehold) => Fields]>([
    ['a declined dispensing', '0200', ({ head }) => bread(head.pan, 21)],
    ['a balance inquiry', '0100', ({ head }) => ({ 2: head.pan, 3: '319700', ...at('bakery') })],
    ['a purchase in cash', '0200', ({ head }) => ({ 2: head.pan })],
    ['a withdrawal', '0200', ({ head }) => ({ 2: head.pan, 3: '010000', 4: amount(5000), ...at('atm') })],
    ['a member’s purchase', '0200', ({ member }) => ({ 2: member.pan })],
  ])('%s does not', async (_, mti, message) => {
    await pos.ask(mti, message(household))
    expect(await oldState()).toBe('ACTIVE')
    expect(await codeOf(bread(household.old.pan, 20))).toBe('00')
  })

  it('many at once retire it once, and all that is covered is approved', async () => {
    const codes = await Promise.all(Array.from({ length: 20 }, (_, n) => codeOf(points(household.head.pan, 1 + n))))
    expect(codes.every((code) => code === '00')).toBe(true)
    const [row] = await running.sql<{ version: string; state: string }>('SELECT version, state FROM card WHERE token = $1', [
      household.old.token,
    ])
    expect(row).toEqual({ version: '2', state: 'RETIRED' })
  })

  it('a race of old card against new leaves one rule: after the retirement nothing more goes through on the old card', async () => {
    for (let round = 0; round < 10; round++) {
      const raced = await openOld()
      const asked = [
        ...Array.from({ length: 6 }, () => ({ pan: raced.old.pan, piasters: 2 })),
        { pan: raced.head.pan, piasters: 3 },
        ...Array.from({ length: 6 }, () => ({ pan: raced.old.pan, piasters: 2 })),
      ]
      const codes = await Promise.all(
        asked.map(({ pan, piasters }, n) =>
          // Different purses of one household: no lock but the retirement's own is shared.
          codeOf(n % 2 === 0 ? points(pan, piasters) : ration(pan, [`TEA*1*${String(piasters)}`])),
        ),
      )
      expect(codes[6]).toBe('00')
      for (const code of codes) expect(['00', '62', '61']).toContain(code)
      const late = await running.sql(
        `SELECT a.key FROM "authorization" a JOIN card c ON c.token = a.card_token
         WHERE c.token = $1 AND a.response_code = '00' AND a.decided_at > c.retired_at`,
        [raced.old.token],
      )
      expect(late).toEqual([])
      expect(await codeOf(points(raced.old.pan, 1))).toBe('62')
    }
  })
})

describe('advices of offline approvals', () => {
  const advice = (fields: Fields, date = '1122', time = '090000'): Fields => ({ ...fields, 12: time, 13: date })

  it('are posted once, however often they are sent', async () => {
    const { sent, answer } = await pos.exchange('0220', advice(bread(household.head.pan, 20)))
    expect([answer.mti, answer.text(39)]).toEqual(['0230', '00'])
    for (let again = 0; again < 3; again++) expect((await pos.send({ ...sent, mti: '0221' })).text(39)).toBe('00')
    expect(await booked(running, sent)).toEqual({
      kind: 'dispense',
      code: '00',
      approved: 400,
      transfers: ['2110 -> 9001: 20', '1210 -> 2210: 2100'],
    })
    expect(await daysDrawn(running, household.purses.bread)).toEqual([22])
    expect(await oldState()).toBe('RETIRED')
  })

  it('draw the day on which the bread was given', async () => {
    expect(await codeOf(advice(bread(household.head.pan, 20), '1120'), '0220')).toBe('00')
    expect(await daysDrawn(running, household.purses.bread)).toEqual([20])
  })

  it('draw no more days than the bread is for, none in advance beyond the limit and none to come', async () => {
    expect(await codeOf(advice(bread(household.head.pan, 5, 30)), '0220')).toBe('00')
    expect(await daysDrawn(running, household.purses.bread)).toEqual([22])
    const ahead = await pos.exchange('0220', advice(bread(household.old.pan, 20), '1125'))
    expect(ahead.answer.text(39)).toBe('00')
    expect(await daysDrawn(running, household.purses.bread)).toEqual([22])
  })

  it('come from terminals that may approve offline, up to what one transaction may come to', async () => {
    await running.sql(`UPDATE terminal SET offline = false WHERE terminal_id = 'BAK00003'`)
    const elsewhere = { 41: 'BAK00003', 42: undefined }
    expect(await codeOf(advice(bread(household.head.pan, 20, 1, elsewhere)), '0220')).toBe('58')
    const huge = ration(household.head.pan, ['OIL*1*999999999999'])
    expect(await codeOf(advice(huge), '0220')).toBe('61')
  })

  it('count goods towards their ceilings', async () => {
    expect(await codeOf(advice(ration(household.head.pan, ['OIL*6*600'])), '0220')).toBe('00')
    expect(await codeOf(ration(household.head.pan, ['OIL*1*100']))).toBe('61')
  })

  it('that were reversed before they came are refused', async () => {
    const sent = compose(running.clock, '0220', advice(bread(household.head.pan, 20)))
    expect(await codeOf({ ...bread(household.head.pan, 20), 48: undefined, 90: originalOf(sent) }, '0420')).toBe('00')
    expect((await pos.send(sent)).text(39)).toBe('12')
    expect(await unitsIn(running, household.purses.bread)).toBe(600)
  })

  it('of a card that was never handed over take nothing from the household', async () => {
    await running.sql(`UPDATE card SET state = 'ORDERED', version = version + 1 WHERE token = $1`, [household.head.token])
    await running.sql('UPDATE purse SET gate = gate + 1 WHERE id = ANY ($1)', [Object.values(household.purses)])
    expect(await codeOf(advice(bread(household.head.pan, 20)), '0220')).toBe('00')
    expect(await unitsIn(running, household.purses.bread)).toBe(600)
  })

  it('of a day that is drawn already go to suspense, as does all above the allowance', async () => {
    expect(await codeOf(bread(household.old.pan, 20))).toBe('00')
    const second = await pos.exchange('0220', advice(bread(household.old.pan, 15)))
    expect(second.answer.text(39)).toBe('00')
    expect((await booked(running, second.sent))?.transfers).toEqual(['2900 -> 2210: 1575'])
    const third = await pos.exchange('0220', advice(bread(household.old.pan, 25), '1121'))
    expect((await booked(running, third.sent))?.transfers).toEqual([
      '2110 -> 9001: 20',
      '1210 -> 2210: 2100',
      '2900 -> 2210: 525',
    ])
    expect(await unitsIn(running, household.purses.bread)).toBe(560)
    const owed = await running.sql<{ owed: string }>(
      'SELECT from_suspense AS owed FROM "authorization" WHERE card_token = $1 AND from_suspense IS NOT NULL ORDER BY from_suspense',
      [household.old.token],
    )
    expect(owed.map((row) => row.owed)).toEqual(['5', '15'])
  })

  it('of ration take what is there, the rest is lent', async () => {
    const { head, purses } = await running.openHousehold({ ration: 600 })
    const { sent, answer } = await pos.exchange('0220', advice(ration(head.pan, ['OIL*1*1000'])))
    expect(answer.text(39)).toBe('00')
    expect((await booked(running, sent))?.transfers).toEqual(['2100 -> 9001: 600', '1200 -> 2200: 600', '2900 -> 2200: 400'])
    expect(await unitsIn(running, purses.ration)).toBe(0)
    const reversal = await pos.ask('0420', { ...ration(head.pan, ['OIL*1*1000']), 48: undefined, 90: originalOf(sent) })
    expect(reversal.text(39)).toBe('00')
    expect(await unitsIn(running, purses.ration)).toBe(600)
  })

  it('of the month before go to suspense: its entitlement has lapsed', async () => {
    running.clock.moveTo('2026-12-02T10:00:00Z')
    const { sent, answer } = await pos.exchange('0220', advice(bread(household.head.pan, 20), '1130'))
    expect(answer.text(39)).toBe('00')
    expect((await booked(running, sent))?.transfers).toEqual(['2900 -> 2210: 2100'])
    expect(await daysDrawn(running, household.purses.bread)).toEqual([])
  })

  it('on an old card from before its retirement are posted normally, from after it to suspense', async () => {
    expect(await codeOf(points(household.head.pan, 1))).toBe('00')
    expect(await oldState()).toBe('RETIRED')
    // It is noon in Cairo.
    const before = await pos.exchange('0220', advice(bread(household.old.pan, 20), '1122', '110000'))
    expect(before.answer.text(39)).toBe('00')
    expect((await booked(running, before.sent))?.transfers).toEqual(['2110 -> 9001: 20', '1210 -> 2210: 2100'])
    const after = await pos.exchange('0220', advice(ration(household.old.pan, ['OIL*1*100']), '1122', '130000'))
    expect(after.answer.text(39)).toBe('00')
    expect((await booked(running, after.sent))?.transfers).toEqual(['2900 -> 2200: 100'])
  })

  it('are posted although the card was stopped since, and although the request had been declined', async () => {
    const { head, purses } = await running.openHousehold({ members: 4 })
    const declined = compose(running.clock, '0200', bread(head.pan, 21))
    expect((await pos.send(declined)).text(39)).toBe('61')
    await running.sql(`UPDATE card SET state = 'LOST', version = version + 1 WHERE token = $1`, [head.token])
    await running.sql(`UPDATE purse SET gate = gate + 1 WHERE id = ANY ($1)`, [Object.values(purses)])
    expect((await pos.send({ ...declined, mti: '0220' })).text(39)).toBe('00')
    expect(await unitsIn(running, purses.bread)).toBe(580)
  })

  it.each<[string, string, Fields]>([
    ['points are not given offline', '58', { 3: '009500', 48: undefined, ...at('grocer') }],
    ['a member’s card has none', '57', {}],
    ['loaves that do not fit the amount', '13', { 4: amount(1) }],
    ['at a shop', '58', at('pos')],
  ])('%s: %s', async (what, code, overrides) => {
    const { pan } = what.includes('member') ? household.member : household.head
    expect(await codeOf(advice(bread(pan, 20, 1, overrides)), '0220')).toBe(code)
  })
})
