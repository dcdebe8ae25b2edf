import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { RunningSwitch } from '../../src/main.ts'
import { demoCard, demoTerminal, FIRST_PLAIN_HOUSEHOLD } from '../../src/programme/demo.ts'
import { amount, at } from '../support/switch.ts'
import { askOne, expectApproved, itConverses, portOf, purchase, startOwnSwitch } from './conversation.ts'
import { buildJposClient, StockClient } from './stockClient.ts'

const built = await buildJposClient()
const leftOut = 'leftOut' in built ? ` (left out: ${built.leftOut})` : ''

let running: RunningSwitch | undefined

/** EMV data objects of a contact purchase, as a terminal sends them in DE 55. */
const CHIP_DATA = '9F2608A1B2C3D4E5F601029F2701809F360200019F3704123456789A03260701'
/** ISO 7813 track 2: number, separator, expiry, service code 101, discretionary data to an odd length. */
const TRACK_2 = `${demoCard(FIRST_PLAIN_HOUSEHOLD).pan}=${demoCard(FIRST_PLAIN_HOUSEHOLD).expiry}101000000012`
const PIN_BLOCK = 'A1B2C3D4E5F60718'

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
      expect(TRACK_2.length % 2).toBe(1)
      const request = purchase({ 22: '051', 35: TRACK_2, 52: `hex:${PIN_BLOCK}`, 55: `hex:${CHIP_DATA}` })
      expectApproved(request, await askOne(client(), request))
    })
  })

  describe('ISO87APackager over ASCIIChannel', () => {
    const client = connected('ASCII', 'gateway')
    itConverses(client)
    itEchoes(client)

    it('has a chip purchase with track 2, a PIN block and EMV data as hexadecimal text approved', async () => {
      const request = purchase({ 22: '051', 35: TRACK_2, 52: `hex:${PIN_BLOCK}`, 55: CHIP_DATA })
      expectApproved(request, await askOne(client(), request))
    })
  })

  describe('PostPackager over PostChannel', () => {
    const client = connected('POST', 'atm')
    itConverses(client)
    itEchoes(client)

    it('has a withdrawal with track 2, a PIN block and EMV data approved at a post ATM', async () => {
      const request = purchase({
        ...{ ...at('atm'), 3: '010000', 4: amount(20_000), 18: demoTerminal('atm').category, 22: '051' },
        ...{ 35: TRACK_2, 52: `hex:${PIN_BLOCK}`, 55: `hex:${CHIP_DATA}` },
      })
      expectApproved(request, await askOne(client(), request))
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
