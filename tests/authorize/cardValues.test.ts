/** Card verification values by the way the card was read: each is good for its own way alone. */
import { afterAll, beforeAll, expect, it, describe } from 'vitest'
import type { Message } from '../../src/iso8583/message.ts'
import { cardValue, chipData, chipOf, EXPIRY, prepareIcvv, SERVICE_CODE, track2 } from '../support/cardholder.ts'
import { amount, startTestSwitch, type Fields, type TestLink, type TestSwitch } from '../support/switch.ts'
import { expectCleanBooks, purseOf } from './books.ts'

let running: TestSwitch
let pos: TestLink

beforeAll(async () => {
  running = await startTestSwitch()
  pos = await running.connect('pos')
})

afterAll(async () => {
  await expectCleanBooks(running)
})

const KEY = 'cvk.9818'
const ATC = '0007'

/** The values of a card, and one that is none of them. */
async function valuesOf(pan: string) {
  const expiry = EXPIRY
  const [cvv, icvv, cvv2, dcvv] = await Promise.all([
    cardValue(pan, { kind: 'cvv', key: KEY, expiry, serviceCode: SERVICE_CODE }),
    cardValue(pan, { kind: 'icvv', key: KEY, expiry }),
    cardValue(pan, { kind: 'cvv2', key: KEY, expiry }),
    cardValue(pan, { kind: 'dcvv', key: 'imk-ac.9818', expiry, serviceCode: SERVICE_CODE, psn: '00', atc: ATC }),
  ])
  const wrong = ['111', '222', '333', '444', '555'].find((digits) => ![cvv, icvv, cvv2, dcvv].includes(digits)) ?? ''
  return { cvv, icvv, cvv2, dcvv, wrong }
}
type Values = Awaited<ReturnType<typeof valuesOf>>

/** The card of a test: one whose values all differ, so that none passes for another by chance. */
async function newCard(): Promise<{ pan: string; values: Values; balance: () => Promise<number> }> {
  for (;;) {
    const card = await running.openCard({ balance: 10_000 })
    const values = await valuesOf(card.pan)
    if (new Set(Object.values(values)).size < 5) continue
    return { pan: card.pan, values, balance: async () => (await purseOf(running, card)).balance }
  }
}

const ask = (pan: string, fields: Fields): Promise<Message> => pos.ask('0200', { 2: pan, 4: amount(100), ...fields })

type Way = (pan: string, value: string) => Fields
const stripe =
  (entry: string): Way =>
  (pan, value) => ({ 22: entry, 35: track2(pan, value) })
const manual: Way = (_, value) => ({ 22: '012', 14: EXPIRY, 48: `C2003${value}` })
const contactless: Way = (pan, value) => ({ 22: '910', 35: track2(pan, value, ATC) })
const chip: Way = (pan, value) => ({ 22: '051', 35: track2(pan, value) })

describe.each<[string, Way, keyof Values]>([
  ['on the stripe (DE 22 90)', stripe('902'), 'cvv'],
  ['on the stripe (DE 22 02)', stripe('021'), 'cvv'],
  ['on the stripe of a chip card that could not be read (DE 22 80)', stripe('801'), 'cvv'],
  ['on a stripe, the way of reading not told', (pan, value) => ({ 35: track2(pan, value) }), 'cvv'],
  ['printed and keyed in (DE 22 01)', manual, 'cvv2'],
  ['printed and keyed in, the expiry not told', (pan, value) => ({ ...manual(pan, value), 14: undefined }), 'cvv2'],
  ['made by a contactless card without cryptogram (DE 22 91)', contactless, 'dcvv'],
  ['on the track of a chip (DE 22 05)', chip, 'icvv'],
  ['on the track of a contactless chip (DE 22 07)', (pan, value) => ({ ...chip(pan, value), 22: '071' }), 'icvv'],
])('a value %s', (_, way, right) => {
  it(`is good where it is the ${right}, and no other one is`, async () => {
    const { pan, values, balance } = await newCard()
    for (const [name, value] of Object.entries(values)) {
      const answer = await ask(pan, way(pan, value))
      expect([name, answer.text(39)]).toEqual([name, name === right ? '00' : '82'])
    }
    expect(await balance()).toBe(9900)
  })
})

it('a chip’s own track has the iCVV, whatever DE 35 has', async () => {
  const { pan, values } = await newCard()
  const data = (atc: number): string => chipData(chipOf(pan, { cvn: 18, atc }), 100)
  expect((await ask(pan, { 22: '051', 55: data(0), 35: track2(pan, values.icvv) })).text(39)).toBe('82')
  await prepareIcvv(pan)
  expect((await ask(pan, { 22: '051', 55: data(1), 35: track2(pan, values.cvv) })).text(39)).toBe('00')
})

describe('a value that cannot be one is 82, no fault of ours', () => {
  it.each<[string, (pan: string, values: Values) => Fields]>([
    ['a track that ends before it', (pan) => ({ 22: '902', 35: `${pan}=${EXPIRY}${SERVICE_CODE}0000` })],
    ['a track that ends within it', (pan, { cvv }) => ({ 22: '902', 35: track2(pan, cvv.slice(0, 2)) })],
    ['a contactless track without counter', (pan, { dcvv }) => ({ 22: '910', 35: track2(pan, dcvv) })],
    ['a contactless track with another counter', (pan, { dcvv }) => ({ 22: '910', 35: track2(pan, dcvv, '0008') })],
    ['another expiry on the track', (pan, { cvv }) => ({ 22: '902', 35: track2(pan, cvv).replace(`=${EXPIRY}`, '=9999') })],
    ['another service code', (pan, { cvv }) => ({ 22: '902', 35: track2(pan, cvv).replace(SERVICE_CODE, '101') })],
  ])('%s', async (_, fields) => {
    const { pan, values, balance } = await newCard()
    expect((await ask(pan, fields(pan, values))).text(39)).toBe('82')
    expect(await balance()).toBe(10_000)
  })
})

it('guesses of one card’s value end after those of config/security.json, the right one included', async () => {
  const { pan, values } = await newCard()
  const { failuresMax } = running.config.security.velocity.card
  const codes = await Promise.all(
    Array.from({ length: failuresMax + 10 }, () => ask(pan, manual(pan, values.wrong)).then((answer) => answer.text(39))),
  )
  expect(codes.filter((code) => code === '82')).toHaveLength(failuresMax)
  expect(codes.filter((code) => code === '59')).toHaveLength(10)
  expect((await ask(pan, manual(pan, values.cvv2))).text(39)).toBe('59')
})
