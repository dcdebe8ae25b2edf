/** Who fails too often is told nothing any more: 59, by terminal, by range of numbers and by card. */
import { Redis } from 'ioredis'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { luhnCheckDigit } from '../../src/card.ts'
import { demoPinBlock } from '../../src/programme/demoVerification.ts'
import { demoTerminals } from '../../src/programme/demo.ts'
import { chipData, chipOf, EXPIRY, hex, prepareIcvv } from '../support/cardholder.ts'
import { amount, at, originalOf, startTestSwitch, until, type Fields, type TestLink, type TestSwitch } from '../support/switch.ts'
import { expectCleanBooks } from './books.ts'

const TERMINAL_MAX = 5
const BIN_MAX = 12
const CARD_MAX = 3

let running: TestSwitch
let pos: TestLink
let redis: Redis

beforeAll(async () => {
  running = await startTestSwitch({
    configure: (config) => ({
      ...config,
      security: {
        ...config.security,
        velocity: {
          card: { failuresMax: CARD_MAX, windowMs: 600_000 },
          terminal: { failuresMax: TERMINAL_MAX, windowMs: 600_000 },
          bin: { failuresMax: BIN_MAX, windowMs: 600_000 },
        },
      },
    }),
  })
  pos = await running.connect('pos')
  redis = new Redis(running.redis.url)
})

/** A test begins with nothing counted. */
beforeEach(async () => {
  const counted = await redis.keys('{0}:count:*')
  if (counted.length > 0) await redis.del(counted)
})

afterAll(async () => {
  redis.disconnect()
  await expectCleanBooks(running)
})

const places = demoTerminals().filter(({ class: kind }) => kind === 'pos')

/** A number of the range that nobody has. */
let numbers = 0
function nobodys(): string {
  const payload = `98180299${String(++numbers).padStart(7, '0')}`
  return payload + luhnCheckDigit(payload)
}

const code = async (fields: Fields, place = 0, mti = '0200'): Promise<string | undefined> =>
  (await pos.ask(mti, { 4: amount(100), ...at(places[place]!.terminalId), ...fields })).text(39)
const badValue = (pan: string): Fields => ({ 2: pan, 22: '012', 14: EXPIRY, 48: 'C2003000' })

async function search(count: number, place: (index: number) => number): Promise<(string | undefined)[]> {
  return Promise.all(Array.from({ length: count }, (_, index) => code({ 2: nobodys() }, place(index))))
}

describe('a terminal that asks for numbers that nobody has', () => {
  it('is told 14 as often as the limit says, however many come at once, then 59', async () => {
    const codes = await search(40, () => 0)
    expect(codes.filter((one) => one === '14')).toHaveLength(TERMINAL_MAX)
    expect(codes.filter((one) => one === '59')).toHaveLength(40 - TERMINAL_MAX)
  })

  it('is told 59 whatever the number then: unknown, good, stolen, with or without a PIN', async () => {
    const [good, stolen] = [await running.openCard(), await running.openCard({ state: 'STOLEN' })]
    await search(TERMINAL_MAX, () => 0)
    expect(await code({ 2: nobodys() })).toBe('59')
    expect(await code({ 2: good.pan })).toBe('59')
    expect(await code({ 2: stolen.pan })).toBe('59')
    expect(await code({ 2: good.pan, 52: hex(demoPinBlock(good.pan)) })).toBe('59')
    expect(await code({ 2: good.pan, 55: chipData(chipOf(good.pan), 100), 22: '051' })).toBe('59')
    expect(await code({ 2: good.pan }, 0, '0100')).toBe('59')
    const refund = { 2: good.pan, 3: '200000', 37: '632609000001', 38: 'ABC123' }
    expect([await code(refund), await code({ ...refund, 2: nobodys() })]).toEqual(['59', '59'])
  })

  it('takes back all the same what it has sold', async () => {
    const card = await running.openCard()
    const { sent, answer } = await pos.exchange('0200', { 2: card.pan, 4: amount(100) })
    expect(answer.text(39)).toBe('00')
    await search(TERMINAL_MAX, () => 0)
    expect((await pos.send({ ...sent, mti: '0201' })).text(39)).toBe('00')
    expect((await pos.ask('0420', { 2: card.pan, 4: amount(100), 90: originalOf(sent) })).text(39)).toBe('00')
  })

  it('is no other terminal', async () => {
    const card = await running.openCard()
    await search(TERMINAL_MAX + 1, () => 0)
    expect([await code({ 2: card.pan }), await code({ 2: card.pan }, 1)]).toEqual(['59', '00'])
  })

  it('is counted together with its wrong cryptograms, values and PIN blocks', async () => {
    const cards = await Promise.all(Array.from({ length: 3 }, () => running.openCard()))
    const [first, second, third] = cards.map(({ pan }) => pan)
    expect(await code(badValue(first!))).toBe('82')
    expect(await code({ 2: second, 52: '0000000000000000', ...at('atm'), 3: '010000', 4: amount(5000) })).toBe('86')
    expect(await code({ 2: third, 22: '051', 55: chipData(chipOf(first!), 100) })).toBe('82')
    await search(TERMINAL_MAX - 2, () => 0)
    expect(await code({ 2: first })).toBe('59')
    expect(await code({ 2: first, 52: hex(demoPinBlock(first!)), ...at('atm'), 3: '010000', 4: amount(5000) })).toBe('00')
  })

  it('is served as before as long as nothing fails', async () => {
    const card = await running.openCard()
    await prepareIcvv(card.pan)
    const chip = chipOf(card.pan, { cvn: 18 })
    const pin = hex(demoPinBlock(card.pan))
    for (let i = 0; i < 2 * TERMINAL_MAX; i++)
      expect(await code({ 2: card.pan, 22: '051', 55: chipData(chip, 100), 52: pin })).toBe('00')
    await until(async () => Number((await redis.get(`{0}:count:terminal:${places[0]!.terminalId}`)) ?? 0) === 0)
  })
})

describe('a range of numbers that is searched from many terminals', () => {
  it('is closed for plain messages, and open for a right chip or a right PIN', async () => {
    const card = await running.openCard()
    await prepareIcvv(card.pan)
    const codes = await search(BIN_MAX + 6, (index) => index % 6)
    expect(codes.filter((one) => one === '14')).toHaveLength(BIN_MAX)
    expect(codes.filter((one) => one === '59')).toHaveLength(6)
    expect(await code({ 2: card.pan }, 7)).toBe('59')
    expect(await code(badValue(card.pan), 7)).toBe('59')
    expect(await code({ 2: card.pan, 22: '051', 55: chipData(chipOf(card.pan, { cvn: 18 }), 100) }, 7)).toBe('00')
    expect(await code({ 2: card.pan, 52: hex(demoPinBlock(card.pan)) }, 7)).toBe('00')
    // A card that would be known by how its broken PIN block or chip is refused is not.
    expect(await code({ 2: card.pan, 52: '0000000000000000' }, 7)).toBe('59')
    expect(await code({ 2: nobodys(), 52: '0000000000000000' }, 8)).toBe('59')
    expect(await code({ 2: card.pan, 22: '051', 55: chipData(chipOf('9818020000000009'), 100) }, 9)).toBe('59')
  })
})

describe('a card whose verification fails too often', () => {
  it('is 59 for whoever verifies, at any terminal, and others are not', async () => {
    const [card, other] = [await running.openCard(), await running.openCard()]
    const codes = []
    for (let i = 0; i < CARD_MAX + 2; i++) codes.push(await code(badValue(card.pan), i))
    expect(codes).toEqual(['82', '82', '82', '59', '59'])
    expect(await code({ 2: card.pan, 52: hex(demoPinBlock(card.pan)) }, 9)).toBe('59')
    expect(await code({ 2: other.pan, 52: hex(demoPinBlock(other.pan)) }, 9)).toBe('00')
  })
})

describe('when the window has passed', () => {
  it('the terminal is served again', async () => {
    const card = await running.openCard()
    const counter = `{0}:count:terminal:${places[0]!.terminalId}`
    await search(TERMINAL_MAX, () => 0)
    expect(await code({ 2: card.pan })).toBe('59')
    // The window begins with the first failure and is not drawn out by what follows.
    const left = await redis.pttl(counter)
    expect(left).toBeGreaterThan(0)
    await code({ 2: card.pan })
    expect(await redis.pttl(counter)).toBeLessThanOrEqual(left)
    await redis.pexpire(counter, 1)
    await until(async () => (await code({ 2: card.pan })) === '00')
  })
})

it('a ledger that fails costs nobody a try', async () => {
  const card = await running.openCard()
  await running.sql('ALTER FUNCTION commit_batch RENAME TO out_of_order')
  for (let i = 0; i < TERMINAL_MAX + 2; i++) expect(await code({ 2: card.pan, 52: hex(demoPinBlock(card.pan)) })).toBe('96')
  await running.sql('ALTER FUNCTION out_of_order RENAME TO commit_batch')
  await until(async () => (await code({ 2: card.pan, 52: hex(demoPinBlock(card.pan)) })) === '00')
})
