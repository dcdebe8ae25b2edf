import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { RunningSwitch } from '../../src/main.ts'
import { FIRST_PLAIN_HOUSEHOLD } from '../../src/programme/demo.ts'
import { askOne, expectApproved, itConverses, portOf, purchase, ShownCard, startOwnSwitch } from './conversation.ts'
import { buildMoovClient, StockClient, type StockAnswer, type StockMessage } from './stockClient.ts'

const built = await buildMoovClient()
const leftOut = 'leftOut' in built ? ` (left out: ${built.leftOut})` : ''

/** Spec87ASCII takes the zeros on the left off the processing code and the amount when it reads them; here they are put back. */
const WITHOUT_ZEROS = { 3: 6, 4: 12 } as const

class MoovClient extends StockClient {
  override async ask(messages: readonly StockMessage[]): Promise<StockAnswer[]> {
    return (await super.ask(messages)).map((answer) => {
      const fields: Record<number, string> = { ...answer.fields }
      for (const [de, digits] of Object.entries(WITHOUT_ZEROS)) {
        const value = fields[Number(de)]
        if (value !== undefined) fields[Number(de)] = value.padStart(digits, '0')
      }
      return { ...answer, fields }
    })
  }
}

describe.skipIf(leftOut !== '')(`a stock moov-io/iso8583 client with Spec87ASCII${leftOut}`, () => {
  let running: RunningSwitch | undefined
  let client: MoovClient | undefined

  beforeAll(async () => {
    running = await startOwnSwitch()
    client = new MoovClient(built, '127.0.0.1', portOf(running, 'gateway'))
  })
  afterAll(async () => {
    expect(await client?.close()).toBe(0)
    await running?.drain()
  })

  itConverses(() => client!)

  // No PIN block: Spec87ASCII of v0.24.0 writes DE 52 twice as long as the standard has it.
  it('has a chip purchase with track 2 and EMV data approved', async () => {
    const card = await ShownCard.of(FIRST_PLAIN_HOUSEHOLD + 3)
    const request = purchase({ 2: card.pan, 22: '051', 35: card.track2, 55: card.chipData(1250) })
    const answer = await askOne(client!, request)
    expectApproved(request, answer)
    expect(card.accepts(answer.fields[55])).toBe(true)
  })

  it('is told that its network management message lacks DE 70, which Spec87ASCII does not have', async () => {
    const { fields } = purchase()
    const request = { mti: '0800', fields: { 7: fields[7]!, 11: fields[11]! } }
    const answer = await askOne(client!, request)
    expect(answer.mti).toBe('0810')
    expect(answer.fields).toEqual({ ...request.fields, 39: '30' })
  })
})
