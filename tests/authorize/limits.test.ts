import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { formatReplacementAmounts } from '../../src/iso8583/replacementAmounts.ts'
import {
  amount,
  at,
  originalOf,
  startTestSwitch,
  type Fields,
  type TestCard,
  type TestLink,
  type TestSwitch,
} from '../support/switch.ts'
import { expectCleanBooks, purseOf } from './books.ts'

/** Ten minutes before midnight in Cairo, which has UTC+2 in November. */
const EVENING = '2026-11-22T21:50:00Z'
const AFTER_MIDNIGHT = '2026-11-22T22:00:01Z'
const NEXT_DAY = '2026-11-23'

let running: TestSwitch
let pos: TestLink
let card: TestCard

beforeAll(async () => {
  running = await startTestSwitch({
    at: EVENING,
    configure: (config) => ({
      ...config,
      programme: {
        ...config.programme,
        versions: config.programme.versions.map((version) => ({
          ...version,
          dailyLimits: { spending: { amount: 10_000, count: 4 }, withdrawal: { amount: 20_000, count: 2 } },
        })),
      },
    }),
  })
  pos = await running.connect('pos')
})

beforeEach(async () => {
  running.clock.moveTo(EVENING)
  card = await running.openCard({ balance: 1_000_000 })
})

afterAll(async () => {
  // The last test moved past the end of a hold that nobody has swept yet.
  running.clock.moveTo(EVENING)
  await expectCleanBooks(running)
})

const purchase = async (value: number, more: Fields = {}) =>
  (await pos.ask('0200', { 2: card.pan, 4: amount(value), ...more })).text(39)
const withdrawal = (value: number) => purchase(value, { 3: '010000', ...at('atm') })

it('the day’s amount is used up to the last piaster, and again after midnight in Cairo', async () => {
  expect([await purchase(6000), await purchase(4001), await purchase(4000), await purchase(1)]).toEqual(['00', '61', '00', '61'])
  running.clock.moveTo(AFTER_MIDNIGHT)
  expect([await purchase(10_001), await purchase(10_000), await purchase(1)]).toEqual(['61', '00', '61'])
  expect(await running.sql('SELECT day::text, spent_amount, spent_count FROM purse WHERE id = $1', [card.purseId])).toEqual([
    { day: NEXT_DAY, spent_amount: '10000', spent_count: 1 },
  ])
})

it('the day’s number is used up, and again after midnight in Cairo', async () => {
  for (let i = 0; i < 4; i++) expect(await purchase(1)).toBe('00')
  expect(await purchase(1)).toBe('65')
  running.clock.moveTo(AFTER_MIDNIGHT)
  expect(await purchase(1)).toBe('00')
})

it('withdrawals, payments and authorizations: cash by itself, the others with purchases', async () => {
  expect([await withdrawal(15_000), await withdrawal(10_000), await withdrawal(5000), await withdrawal(5000)]).toEqual([
    '00',
    '61',
    '00',
    '61',
  ])
  expect(await purchase(3000, { 3: '500000', ...at('government') })).toBe('00')
  expect((await pos.ask('0100', { 2: card.pan, 4: amount(3000) })).text(39)).toBe('00')
  expect([await purchase(4001), await purchase(4000)]).toEqual(['61', '00'])
})

it('a limit that is reached by many at once is not passed', async () => {
  const codes = await Promise.all(Array.from({ length: 30 }, () => purchase(3000)))
  expect(codes.filter((code) => code === '00')).toHaveLength(3)
  expect(await purseOf(running, card)).toEqual({ balance: 991_000, held: 0 })
})

it('what is reversed counts no more on its day', async () => {
  const { sent } = await pos.exchange('0200', { 2: card.pan, 4: amount(10_000) })
  expect(await purchase(1)).toBe('61')
  const noFee = { sign: 'C', amount: 0 } as const
  const left = formatReplacementAmounts({
    transactionAmount: 4000,
    settlementAmount: 0,
    transactionFee: noFee,
    settlementFee: noFee,
  })
  expect((await pos.ask('0400', { 2: card.pan, 90: originalOf(sent), 95: left })).text(39)).toBe('00')
  expect([await purchase(6001), await purchase(6000)]).toEqual(['61', '00'])
})

it('what is reversed on the next day leaves that day’s counters alone', async () => {
  const { sent } = await pos.exchange('0200', { 2: card.pan, 4: amount(10_000) })
  running.clock.moveTo(AFTER_MIDNIGHT)
  expect(await purchase(8000)).toBe('00')
  expect((await pos.ask('0400', { 2: card.pan, 4: amount(10_000), 90: originalOf(sent) })).text(39)).toBe('00')
  expect([await purchase(2001), await purchase(2000)]).toEqual(['61', '00'])
})

it('a card is good until midnight in Cairo of the last day of its month', async () => {
  card = await running.openCard({ expiry: '2611' })
  running.clock.moveTo('2026-11-30T21:59:30Z')
  expect(await purchase(1)).toBe('00')
  running.clock.moveTo('2026-11-30T22:00:01Z')
  expect(await purchase(1)).toBe('54')
})
