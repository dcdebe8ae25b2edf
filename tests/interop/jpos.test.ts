import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { RunningSwitch } from '../../src/main.ts'
import { demoTerminal, FIRST_PLAIN_HOUSEHOLD } from '../../src/programme/demo.ts'
import { amount, at } from '../support/switch.ts'
import { askOne, expectApproved, itConverses, portOf, purchase, ShownCard, startOwnSwitch } from './conversation.ts'
import { buildJposClient, StockClient } from './stockClient.ts'

const built = await buildJposClient()
const leftOut = 'leftOut' in built ? ` (left out: ${built.leftOut})` : ''

let running: RunningSwitch | undefined

const card = await ShownCard.of(FIRST_PLAIN_HOUSEHOLD)

describe.skipIf(leftOut !== '')(`a stock jPOS client${leftOut}`, () => {
  beforeAll(async () => {
    running = await startOwnSwitch()
  })
  afterAll(() => running?.drain())

  describe('ISO87BPackager over NACChannel', () => {
    const client = connected('NAC', 'pos')
    itConverses(client)
    itEchoes(client)

    it('gets its answers with the addresses of the TPDU swapped', async () => {
      const answer = await askOne(client(), purchase())
      expect(answer.header).toBe('6000020001')
    })

    it('has a chip purchase with an odd track 2, a PIN block and EMV data approved', async () => {
      expect(card.track2.length % 2).toBe(1)
      const request = purchase({ 22: '051', 35: card.track2, 52: `hex:${card.pinBlock}`, 55: `hex:${card.chipData(1250)}` })
      const answer = await askOne(client(), request)
      expectApproved(request, answer)
      expect(card.accepts(answer.fields[55])).toBe(true)
    })
  })

  describe('ISO87APackager over ASCIIChannel', () => {
    const client = connected('ASCII', 'gateway')
    itConverses(client)
    itEchoes(client)

    it('has a chip purchase with track 2, a PIN block and EMV data as hexadecimal text approved', async () => {
      const request = purchase({ 22: '051', 35: card.track2, 52: `hex:${card.pinBlock}`, 55: card.chipData(1250) })
      const answer = await askOne(client(), request)
      expectApproved(request, answer)
      expect(card.accepts(answer.fields[55])).toBe(true)
    })
  })

  describe('PostPackager over PostChannel', () => {
    const client = connected('POST', 'atm')
    itConverses(client)
    itEchoes(client)

    it('has a withdrawal with track 2, a PIN block and EMV data approved at a post ATM', async () => {
      const request = purchase({
        ...{ ...at('atm'), 3: '010000', 4: amount(20_000), 18: demoTerminal('atm').category, 22: '051' },
        ...{ 35: card.track2, 52: `hex:${card.pinBlock}`, 55: `hex:${card.chipData(20_000, '01')}` },
      })
      const answer = await askOne(client(), request)
      expectApproved(request, answer)
      expect(card.accepts(answer.fields[55])).toBe(true)
    })

    it('has a withdrawal with a wrong PIN declined, and a wrong cryptogram too', async () => {
      const place = { ...at('atm'), 3: '010000', 4: amount(20_000), 18: demoTerminal('atm').category, 22: '051' }
      const wrong = purchase({ ...place, 52: 'hex:0011223344556677', 55: `hex:${card.chipData(20_000, '01')}` })
      expect((await askOne(client(), wrong)).fields[39]).toBe('86')
      const data = card.chipData(10_000, '01')
      const other = purchase({ ...place, 52: `hex:${card.pinBlock}`, 55: `hex:${data}` })
      expect((await askOne(client(), other)).fields[39]).toBe('82')
    })
  })
})

/** A client of this channel for the tests of a block. */
function connected(channel: string, link: string): () => StockClient {
  let client: StockClient | undefined
  beforeAll(() => {
    client = new StockClient(built, channel, '127.0.0.1', portOf(running!, link))
  })
  afterAll(async () => {
    expect(await client?.close()).toBe(0)
  })
  return () => client!
}

/** ISO 8583-1:1987 DE 70, 301: a test of the line. */
function itEchoes(client: () => StockClient): void {
  it('has an echo test answered', async () => {
    const { fields } = purchase()
    const request = { mti: '0800', fields: { 7: fields[7]!, 11: fields[11]!, 70: '301' } }
    const answer = await askOne(client(), request)
    expect(answer.mti).toBe('0810')
    expect(answer.fields).toEqual({ ...request.fields, 39: '00' })
  })
}
