import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import {
  amount,
  at,
  originalOf,
  startTestSwitch,
  type Fields,
  type TestHousehold,
  type TestLink,
  type TestSwitch,
} from '../support/switch.ts'
import { booked, expectCleanBooks, stateOf, unitsIn } from './books.ts'
import { bread, copay, data, eligibility } from './subsidies.ts'

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
  household = await running.openHousehold({ cash: 100_000 })
})

afterAll(async () => {
  await expectCleanBooks(running)
})

const codeOf = async (mti: string, fields: Fields): Promise<string> => (await pos.ask(mti, fields)).text(39) ?? ''

describe('eligibility', () => {
  it('says class and last day of the cover, on every member’s card', async () => {
    for (const { pan } of [household.head, household.member]) {
      const { sent, answer } = await pos.exchange('0100', eligibility(pan))
      expect([answer.mti, answer.text(39), answer.text(48)]).toEqual(['0110', '00', data({ CV: 'STANDARD20351231' })])
      expect(await booked(running, sent)).toEqual({ kind: 'eligibility', code: '00', approved: 0, transfers: [] })
    }
  })

  it('tells the clinic nothing of the person’s money, and has no amount', async () => {
    const answer = await pos.ask('0100', eligibility(household.head.pan))
    expect(answer.has(54)).toBe(false)
    expect(await codeOf('0100', eligibility(household.head.pan, 'M', { 4: amount(1) }))).toBe('13')
    expect(await codeOf('0100', eligibility(household.head.pan, 'M', { 4: undefined }))).toBe('00')
  })

  it('waits for the service to be switched on where the household lives', async () => {
    const { head } = await running.openHousehold({ governorate: 27 })
    expect(await codeOf('0100', eligibility(head.pan))).toBe('57')
    expect(await codeOf('0200', copay(head.pan, 1000, 'MED'))).toBe('57')
  })

  it('ends when the cover is taken away, although Redis has not been told', async () => {
    expect(await codeOf('0100', eligibility(household.head.pan))).toBe('00')
    await running.sql('UPDATE person SET cover_class = NULL, cover_from = NULL, cover_until = NULL WHERE household_id = $1', [
      household.household,
    ])
    expect(await codeOf('0100', eligibility(household.head.pan))).toBe('57')
  })

  it('holds from the first to the last day', async () => {
    const { head } = await running.openHousehold({ cover: { class: 'STANDARD', from: '2026-11-22', until: '2026-11-22' } })
    expect(await codeOf('0100', eligibility(head.pan))).toBe('00')
    running.clock.moveTo('2026-11-21T21:59:59Z')
    expect(await codeOf('0100', eligibility(head.pan))).toBe('57')
    running.clock.moveTo('2026-11-22T22:00:00Z')
    expect(await codeOf('0100', eligibility(head.pan))).toBe('57')
  })

  it('without cover is 57; so is an old ration card', async () => {
    const { head, old } = await running.openHousehold({ cover: null, oldCard: true })
    expect(await codeOf('0100', eligibility(head.pan))).toBe('57')
    expect(await codeOf('0100', eligibility(old!.pan))).toBe('57')
    expect(await codeOf('0200', copay(head.pan, 1000, 'MED'))).toBe('57')
  })

  it('needs a fingerprint: no match 63, no reader 58', async () => {
    expect(await codeOf('0100', eligibility(household.head.pan, 'N'))).toBe('63')
    expect(await codeOf('0100', eligibility(household.head.pan, 'F'))).toBe('58')
    expect(await codeOf('0100', { ...eligibility(household.head.pan), 48: undefined })).toBe('58')
    expect(await codeOf('0200', { ...copay(household.head.pan, 1000, 'MED'), 48: data({ SC: 'MED' }) })).toBe('58')
    expect(await unitsIn(running, household.purses.cash)).toBe(100_000)
  })

  it.each(['pos', 'grocer', 'bakery', 'atm'])('at a %s is 58', async (terminalClass) => {
    expect(await codeOf('0100', eligibility(household.head.pan, 'M', at(terminalClass)))).toBe('58')
  })
})

describe('co-pay', () => {
  it('the holder pays the class’s part of the bill from cash, the fund the rest', async () => {
    const { sent, answer } = await pos.exchange('0200', copay(household.head.pan, 100_001, 'MED'))
    // 10 % of 1,000.01 are 100.001: rounded to the piaster.
    expect([answer.text(39), answer.text(4), answer.text(6), answer.text(51)]).toEqual([
      '00',
      amount(100_001),
      amount(10_000),
      '818',
    ])
    expect(await booked(running, sent)).toEqual({
      kind: 'copay',
      code: '00',
      approved: 100_001,
      transfers: ['2000 -> 2225: 10000', '1220 -> 2225: 90001'],
    })
    expect(await unitsIn(running, household.purses.cash)).toBe(90_000)
    const repeat = await pos.send({ ...sent, mti: '0201' })
    expect([repeat.text(39), repeat.text(6)]).toEqual(['00', amount(10_000)])
    expect(await unitsIn(running, household.purses.cash)).toBe(90_000)
  })

  it.each([
    ['SUR', 100_000, 5000],
    ['SUR', 800_000, 40_000],
    ['SUR', 5_000_000, 40_000],
    ['IMG', 750_000, 75_000],
    ['LAB', 9_000_000, 75_000],
    ['MED', 2_000_000, 100_000],
    ['SUR', 10, 1],
    ['SUR', 9, 0],
    ['CHR', 1_000_000, 0],
    ['TUM', 1_000_000, 0],
  ])('of a bill in class %s of %i piasters is %i', async (serviceClass, bill, part) => {
    const { answer } = await pos.exchange('0200', copay(household.head.pan, bill, serviceClass))
    expect([answer.text(39), answer.text(6)]).toEqual(['00', amount(part)])
    expect(await unitsIn(running, household.purses.cash)).toBe(100_000 - part)
  })

  it('is nothing for whose cover is exempt', async () => {
    const { head, purses } = await running.openHousehold({ cover: { class: 'EXEMPT', from: '2026-01-01', until: '2030-12-31' } })
    expect(await codeOf('0200', copay(head.pan, 1_000_000, 'SUR'))).toBe('00')
    expect(await unitsIn(running, purses.cash)).toBe(100_000)
  })

  it('above the cash is 51, and no other purse pays', async () => {
    const { head, purses } = await running.openHousehold({ cash: 999, points: 100_000 })
    expect(await codeOf('0200', copay(head.pan, 10_000, 'MED'))).toBe('51')
    expect([await unitsIn(running, purses.cash), await unitsIn(running, purses.points)]).toEqual([999, 100_000])
    expect(await codeOf('0200', copay(head.pan, 9990, 'MED'))).toBe('00')
  })

  it.each<[string, string, Fields]>([
    ['no class', '57', { 48: data({ BR: 'M' }) }],
    ['an unknown class', '57', { 48: data({ BR: 'M', SC: 'SPA' }) }],
    ['a class named like what every object has', '57', { 48: data({ BR: 'M', SC: 'toString' }) }],
    ['a bill of nothing', '13', { 4: amount(0) }],
    ['an absurd bill', '61', { 4: amount(999_999_999_999) }],
    ['at a grocer', '58', at('grocer')],
  ])('%s: %s', async (_, code, overrides) => {
    expect(await codeOf('0200', copay(household.head.pan, 1000, 'MED', overrides))).toBe(code)
    expect(await unitsIn(running, household.purses.cash)).toBe(100_000)
  })

  it('comes back to cash and fund, in parts that come to the whole', async () => {
    const { sent, answer } = await pos.exchange('0200', copay(household.head.pan, 1001, 'MED'))
    expect(answer.text(6)).toBe(amount(100))
    const back = async (piasters: number): Promise<string> =>
      await codeOf('0200', { 2: household.head.pan, 3: '200094', 4: amount(piasters), 90: originalOf(sent), ...at('clinic') })
    expect(await back(500)).toBe('00')
    expect(await unitsIn(running, household.purses.cash)).toBe(99_950)
    expect(await back(502)).toBe('64')
    expect(await back(501)).toBe('00')
    expect(await unitsIn(running, household.purses.cash)).toBe(100_000)
    const undo = await pos.ask('0400', { ...copay(household.head.pan, 1001, 'MED'), 48: undefined, 90: originalOf(sent) })
    expect(undo.text(39)).toBe('00')
    expect(await unitsIn(running, household.purses.cash)).toBe(100_000)
  })

  it('parts of parts never come to less than nothing', async () => {
    const { sent } = await pos.exchange('0200', copay(household.head.pan, 1000, 'SUR'))
    const asked = { 2: household.head.pan, 3: '200094', ...at('clinic') }
    const first = await pos.exchange('0200', { ...asked, 4: amount(10), 90: originalOf(sent) })
    const part = { ...asked, 4: amount(10), 90: originalOf(first.sent), 95: `${amount(8)}${amount(0)}C00000000C00000000` }
    expect(await codeOf('0400', part)).toBe('00')
    expect(await codeOf('0200', { ...asked, 4: amount(1), 90: originalOf(sent) })).toBe('00')
    expect(await codeOf('0200', { ...asked, 4: amount(991), 90: originalOf(sent) })).toBe('00')
    expect(await unitsIn(running, household.purses.cash)).toBe(100_000)
  })

  it('a refund that names another purse finds nothing: 25', async () => {
    const { sent } = await pos.exchange('0200', copay(household.head.pan, 1000, 'MED'))
    const asked = { 2: household.head.pan, 4: amount(1000), 90: originalOf(sent), ...at('clinic') }
    expect(await codeOf('0200', { ...asked, 3: '200000' })).toBe('25')
  })
})

describe('wrong fingerprints', () => {
  const wrong = (pan: string): Fields => eligibility(pan, 'X')

  it('the 8th in a row over all terminals suspends the card: 62, and everything on it', async () => {
    for (let left = 7; left >= 1; left--) {
      const answer = await pos.ask('0100', {
        ...wrong(household.head.pan),
        ...(left % 2 === 0 ? { 41: 'CLN00002', 42: undefined } : {}),
      })
      expect([answer.text(39), answer.text(48)]).toEqual(['63', data({ TR: left, RM: 'fingerprint_mismatch' })])
    }
    const { sent, answer } = await pos.exchange('0200', {
      ...copay(household.head.pan, 1000, 'MED'),
      48: data({ BR: 'X', SC: 'MED' }),
    })
    expect([answer.text(39), answer.text(48)]).toEqual(['62', data({ TR: 0, RM: 'fingerprint_suspended' })])
    expect(await stateOf(running, household.head.token)).toBe('SUSPENDED_BIOMETRIC')
    expect(await codeOf('0100', eligibility(household.head.pan))).toBe('62')
    expect(await codeOf('0200', { 2: household.head.pan })).toBe('62')
    expect(await codeOf('0200', bread(household.head.pan, 5))).toBe('62')
    const repeat = await pos.send({ ...sent, mti: '0201' })
    expect([repeat.text(39), repeat.text(48)]).toEqual(['62', data({ TR: 0, RM: 'fingerprint_suspended' })])
    // The card is suspended, not the person’s household.
    expect(await codeOf('0100', eligibility(household.member.pan))).toBe('00')
  })

  it('no capture, a fault of the device and repeats do not count; a match starts the count again', async () => {
    const tries = async (): Promise<string | undefined> =>
      (await pos.ask('0100', wrong(household.head.pan))).text(48)?.slice(0, 6)
    for (let count = 0; count < 6; count++) await tries()
    for (const other of ['N', 'F', 'N', 'F']) await pos.ask('0100', eligibility(household.head.pan, other))
    const { sent, answer } = await pos.exchange('0100', wrong(household.head.pan))
    expect(answer.text(48)).toBe(data({ TR: 1, RM: 'fingerprint_mismatch' }))
    for (let count = 0; count < 5; count++)
      expect((await pos.send({ ...sent, mti: '0101' })).text(48)).toBe(data({ TR: 1, RM: 'fingerprint_mismatch' }))
    expect(await codeOf('0100', eligibility(household.head.pan))).toBe('00')
    expect(await tries()).toBe('TR0017')
    expect(await stateOf(running, household.head.token)).toBe('ACTIVE')
  })

  it.each(['LOST', 'STOLEN', 'DAMAGED'])('a card that is %s meanwhile stays so', async (state) => {
    for (let count = 0; count < 7; count++) await pos.ask('0100', wrong(household.head.pan))
    await running.sql('UPDATE card SET state = $2, version = version + 1 WHERE token = $1', [household.head.token, state])
    await running.sql('UPDATE purse SET gate = gate + 1 WHERE id = ANY ($1)', [Object.values(household.purses)])
    await pos.ask('0100', wrong(household.head.pan))
    expect(await stateOf(running, household.head.token)).toBe(state)
  })

  it('fifty at once end in exactly one suspension', async () => {
    const answers = await Promise.all(Array.from({ length: 50 }, () => pos.ask('0100', wrong(household.head.pan))))
    const said = answers.map((answer) => `${answer.text(39) ?? ''} ${answer.text(48)?.slice(0, 6) ?? ''}`)
    expect(said.filter((one) => one.startsWith('63')).toSorted()).toEqual([1, 2, 3, 4, 5, 6, 7].map((left) => `63 TR001${left}`))
    expect(said.filter((one) => one === '62 TR0010')).toHaveLength(1)
    expect(said.filter((one) => one.startsWith('62'))).toHaveLength(43)
    const [row] = await running.sql<{ state: string; fingerprint_mismatches: number; suspensions: string }>(
      `SELECT state, fingerprint_mismatches, (SELECT count(*) FROM "authorization" WHERE card_token = token AND reason = 'fingerprint_suspended') AS suspensions
       FROM card WHERE token = $1`,
      [household.head.token],
    )
    expect(row).toEqual({ state: 'SUSPENDED_BIOMETRIC', fingerprint_mismatches: 8, suspensions: '1' })
  })
})
