/** What any client has to say to the switch and hears back, whatever library it is made of. */
import { expect, it } from 'vitest'
import { loadConfig } from '../../src/config.ts'
import { parseAdditionalAmounts } from '../../src/iso8583/additionalAmounts.ts'
import { startSwitch, type RunningSwitch } from '../../src/main.ts'
import { demoPinBlock } from '../../src/programme/demoVerification.ts'
import type { VirtualChip } from '../../src/security/virtualChip.ts'
import { demoCard, demoPan, demoTerminal, FIRST_PLAIN_HOUSEHOLD } from '../../src/programme/demo.ts'
import { cardValue, chipData, chipOf, hex, prepareIcvv, track2 } from '../support/cardholder.ts'
import { createDatabase, createRedis } from '../support/stack.ts'
import { ACQUIRER, amount, at, originalOf } from '../support/switch.ts'
import type { StockAnswer, StockClient, StockMessage } from './stockClient.ts'

const IN_FLIGHT = 100
const PAYING_AT_ONCE = 40
/** ISO 8583-1:1987: what a request and its answer have in common. */
const SHARED = [2, 3, 4, 7, 11, 12, 13, 18, 25, 32, 37, 41, 42, 49]

export async function startOwnSwitch(): Promise<RunningSwitch> {
  return startSwitch(
    loadConfig({
      DATABASE_URL: await createDatabase(),
      REDIS_URL: await createRedis(),
      SARF_PORT_ATM: '0',
      SARF_PORT_POS: '0',
      SARF_PORT_GATEWAY: '0',
      SARF_PORT_SECURE: '0',
      SARF_PORT_HTTP: '0',
      SARF_LOG_LEVEL: 'warn',
    }),
    { demoHouseholds: FIRST_PLAIN_HOUSEHOLD + 1 + PAYING_AT_ONCE, schemas: 'at first use' },
  )
}

export function portOf(running: RunningSwitch, link: string): string {
  const address = running.addresses.find(({ name }) => name === link)
  if (address === undefined) throw new Error(`the switch has no link ${link}`)
  return String(address.port)
}

let lastStan = 0

/** A purchase of 12.50 with the number of a plain card keyed in at the first shop. */
export function purchase(fields: Readonly<Record<number, string>> = {}): StockMessage {
  const stan = String(++lastStan).padStart(6, '0')
  const time = new Date().toISOString().replace(/\D/g, '').slice(4, 14)
  const { pan, expiry } = demoCard(FIRST_PLAIN_HOUSEHOLD)
  return {
    mti: '0200',
    fields: {
      ...{ 2: pan, 3: '000000', 4: amount(1250), 7: time, 11: stan, 12: time.slice(4), 13: time.slice(0, 4), 14: expiry },
      ...{ 18: demoTerminal('pos').category, 22: '011', 25: '00', 32: ACQUIRER, 37: `9${stan.padStart(11, '0')}`, 49: '818' },
      ...at('pos'),
      ...fields,
    },
  }
}

/** A card that its chip and its holder's PIN show to be there: real ones, as a terminal's reader and PIN pad give them. */
export class ShownCard {
  readonly pan: string
  readonly #chip: VirtualChip
  readonly #icvv: string

  private constructor(pan: string, icvv: string) {
    this.pan = pan
    this.#icvv = icvv
    this.#chip = chipOf(pan, { cvn: 18 })
  }

  static async of(household: number): Promise<ShownCard> {
    const { pan, expiry } = demoCard(household)
    await prepareIcvv(pan)
    return new ShownCard(pan, await cardValue(pan, { kind: 'icvv', key: 'cvk.9818', expiry }))
  }

  /** ISO 7813 track 2 of an odd length: number, separator, expiry, service code, discretionary data. */
  get track2(): string {
    return track2(this.pan, this.#icvv, '0')
  }

  /** DE 52, hexadecimal. */
  get pinBlock(): string {
    return hex(demoPinBlock(this.pan))
  }

  /** DE 55 of one more transaction, hexadecimal. @param type the first two digits of DE 3 */
  chipData(minorUnits: number, type = '00'): string {
    return chipData(this.#chip, minorUnits, { type })
  }

  /** @param answer DE 55 of the answer, as the library gives it: hexadecimal, or characters that are bytes */
  accepts(answer: string | undefined): boolean {
    if (answer === undefined) return false
    return this.#chip.acceptResponse(Buffer.from(answer, /^([0-9A-F]{2})+$/i.test(answer) ? 'hex' : 'latin1'))
  }
}

/** The reversal of a purchase, whole. */
export function reversalOf(request: StockMessage): StockMessage {
  return { mti: '0400', fields: { ...purchase().fields, 2: request.fields[2] ?? '', 90: originalOf(request) } }
}

/** @returns the answer to one message */
export async function askOne(client: StockClient, message: StockMessage): Promise<StockAnswer> {
  const [answer] = await client.ask([message])
  if (answer === undefined) throw new Error('one message has one answer')
  return answer
}

export function expectApproved(request: StockMessage, answer: StockAnswer): void {
  expect(answer.mti).toBe(`${request.mti.slice(0, 2)}10`)
  expect(answer.fields[39]).toBe('00')
  for (const de of SHARED) expect(answer.fields[de], `DE ${String(de)}`).toBe(request.fields[de])
}

/** Tests that hold for every library. @param clientOf the client under test, once it runs */
export function itConverses(clientOf: () => StockClient): void {
  const ask = (message: StockMessage): Promise<StockAnswer> => askOne(clientOf(), message)

  it('has a purchase approved', async () => {
    const request = purchase()
    const answer = await ask(request)
    expectApproved(request, answer)
    expect(answer.fields[38]).toMatch(/^[A-Z0-9]{6}$/)
  })

  it('has a repeated purchase answered as the first time', async () => {
    const request = purchase()
    const first = await ask(request)
    const again = await ask({ ...request, mti: '0201' })
    expectApproved(request, again)
    expect(again.fields).toEqual(first.fields)
  })

  it('asks for a balance, and gets a purchase back by its reversal', async () => {
    const pan = demoPan(FIRST_PLAIN_HOUSEHOLD + 1)
    const before = await balance(pan)
    const request = purchase({ 2: pan })
    expectApproved(request, await ask(request))
    expect(await balance(pan)).toBe(before - 1250)
    const reversal = reversalOf(request)
    const answer = await ask(reversal)
    expectApproved(reversal, answer)
    expect(answer.fields[90]).toBe(reversal.fields[90])
    expect(await balance(pan)).toBe(before)
  })

  it('has an unknown card declined', async () => {
    const answer = await ask(purchase({ 2: demoPan(999_999_999) }))
    expect(answer.mti).toBe('0210')
    expect(answer.fields[39]).toBe('14')
    expect(answer.fields[38]).toBeUndefined()
  })

  it(`has ${String(IN_FLIGHT)} purchases in flight on one connection, each answered as its own`, async () => {
    const requests = Array.from({ length: IN_FLIGHT }, (_, index) =>
      purchase({ 2: demoPan(FIRST_PLAIN_HOUSEHOLD + 2 + (index % PAYING_AT_ONCE)), 4: amount(100 + index) }),
    )
    const answers = await clientOf().ask(requests)
    for (const [index, request] of requests.entries()) expectApproved(request, answers[index]!)
    expect(new Set(answers.map((answer) => answer.fields[38])).size).toBe(IN_FLIGHT)
  })

  async function balance(pan: string): Promise<number> {
    const request = { ...purchase({ 2: pan, 3: '310000', 4: amount(0) }), mti: '0100' }
    const answer = await ask(request)
    expectApproved(request, answer)
    const amounts = parseAdditionalAmounts(answer.fields[54] ?? '')
    const available = amounts.ok ? amounts.value.find(({ amountType }) => amountType === '02') : undefined
    if (available === undefined) throw new Error('the answer tells no available balance')
    return available.amount
  }
}
