/** A government service that the programme does not have: subsidised fuel, in litres. It takes configuration and rows, and no line of code. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { programmeOf, type Programme } from '../../src/programmeParameters.ts'
import programmeFile from '../../config/programme.json' with { type: 'json' }
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
import { booked, expectCleanBooks, unitsIn } from './books.ts'
import { data } from './subsidies.ts'

const NOON = '2026-11-22T10:00:00Z'
const STATION = { 41: 'FUL00001', 42: 'FUELSTATION0001' }

let running: TestSwitch
let pos: TestLink
let household: TestHousehold
let purse: number

function withFuel(): Programme {
  const [version] = programmeFile.versions
  const programme = programmeOf({
    ...programmeFile,
    units: [...programmeFile.units, { name: 'LITRE', number: 5, currency: '999' }],
    purses: [...programmeFile.purses, { name: 'fuel', kind: 6, unit: 'LITRE', owner: 'household', account: 2130 }],
    accountTypes: { ...programmeFile.accountTypes, '96': 'fuel' },
    versions: [
      {
        ...version,
        services: {
          ...version?.services,
          fuel: {
            roles: ['head', 'member'],
            payerAccount: 1230,
            outletAccount: 2230,
            partial: false,
            advices: true,
            retiresOldCard: false,
            pin: false,
            fingerprintGovernorates: [],
            entitlement: { counts: 'ration', each: 'month', tiers: [{ membersMax: 99, amount: 10 }], closingAccount: 9002 },
            goods: { tag: 'LT', price: 800, cost: 1100 },
          },
        },
        routes: [
          ...(version?.routes ?? []),
          ...['dispense', 'refund', 'balance'].map((transaction) => ({
            transaction,
            purse: 'fuel',
            terminalClasses: ['pos'],
            categories: ['5541'],
          })),
        ],
      },
    ],
  })
  if (typeof programme === 'string') throw new Error(programme)
  return programme
}

beforeAll(async () => {
  running = await startTestSwitch({ at: NOON, configure: (config) => ({ ...config, programme: withFuel() }) })
  pos = await running.connect('pos')
  await running.sql(`INSERT INTO merchant (id, acceptor_id, name, category) VALUES (9001, $1, 'Fuel station', '5541')`, [
    STATION[42],
  ])
  await running.sql(`INSERT INTO terminal (id, terminal_id, merchant_id, class) VALUES (9001, $1, 9001, 'pos')`, [STATION[41]])
  await running.sql(`INSERT INTO region_service (service, governorate, active_from) VALUES ('fuel', 3, '2026-01-01')`)
  await running.restart()
  pos = await running.connect('pos')
  household = await running.openHousehold({ members: 4 })
  purse = household.household * 100 + 96
  await running.sql(`INSERT INTO purse (shard, id, kind, unit, household_id) VALUES (0, $1, 6, 5, $2) ON CONFLICT DO NOTHING`, [
    purse,
    household.household,
  ])
})

afterAll(async () => {
  await expectCleanBooks(running)
})

function fuel(litres: number, overrides: Fields = {}): Fields {
  return { 2: household.head.pan, 3: '009600', 4: amount(litres * 800), 48: data({ LT: litres }), ...STATION, ...overrides }
}

const codeOf = async (fields: Fields, mti = '0200'): Promise<string> => (await pos.ask(mti, fields)).text(39) ?? ''

describe('fuel', () => {
  it('is credited at its first use in the month, and handed out: litres of the household, money of the treasury', async () => {
    const { sent, answer } = await pos.exchange('0200', fuel(30))
    expect([answer.text(39), answer.text(54)]).toEqual(['00', `9601999C${amount(10)}9602999C${amount(10)}`])
    expect((await booked(running, sent))?.transfers).toEqual(['2130 -> 9001: 30', '1230 -> 2230: 9000'])
    expect(await codeOf(fuel(11))).toBe('51')
    expect(await codeOf({ ...fuel(30), 48: undefined, 90: originalOf(sent) }, '0400')).toBe('00')
    expect(await unitsIn(running, purse)).toBe(40)
  })

  it('is refused at another price, elsewhere, and to cards that do not carry it', async () => {
    expect(await codeOf(fuel(5, { 4: amount(5 * 1100) }))).toBe('13')
    expect(await codeOf(fuel(5, at('pos')))).toBe('58')
    expect(await codeOf(fuel(5, at('bakery')))).toBe('58')
    expect(await unitsIn(running, purse)).toBe(40)
  })

  it('pays for nothing else, and nothing else pays for it', async () => {
    expect(await codeOf({ 2: household.head.pan, 3: '009700', 4: amount(100), 48: data({ LV: 5 }), ...STATION })).toBe('58')
    const before = await unitsIn(running, purse)
    expect(await codeOf({ 2: household.head.pan, ...STATION })).toBe('00')
    expect(await unitsIn(running, purse)).toBe(before)
  })

  it('lapses at the month’s end and comes anew', async () => {
    expect(await codeOf(fuel(10))).toBe('00')
    running.clock.moveTo('2026-12-01T10:00:00Z')
    expect(await codeOf(fuel(40))).toBe('00')
    expect(await unitsIn(running, purse)).toBe(0)
  })
})
