/** PINs as terminals send them: which are right, how wrong ones are counted, and that nobody gets more tries than there are, whatever is tried. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Redis } from 'ioredis'
import type { Message } from '../../src/iso8583/message.ts'
import { parsePrivateData, privateDatum } from '../../src/iso8583/privateData.ts'
import { startSwitch, type RunningSwitch } from '../../src/main.ts'
import { silentLogger } from '../../src/log.ts'
import { cardToken, luhnCheckDigit } from '../../src/card.ts'
import { demoPin, demoPinBlock, demoPinReferences } from '../../src/programme/demoVerification.ts'
import { dukptPinKeys } from '../../src/security/dukptPinKeys.ts'
import { enterPin } from '../../src/security/virtualPinPad.ts'
import { hex, keys } from '../support/cardholder.ts'
import {
  amount,
  answerName,
  at,
  compose,
  startTestSwitch,
  TestLink,
  until,
  type Fields,
  type TestCard,
  type TestSwitch,
} from '../support/switch.ts'
import { expectCleanBooks, purseOf, stateOf } from './books.ts'

let running: TestSwitch
let pos: TestLink
let second: RunningSwitch
/** The same links of another process on the same database and Redis. */
let elsewhere: TestLink

beforeAll(async () => {
  running = await startTestSwitch({
    configure: (config) => ({
      ...config,
      // Wrong PINs of many cards come from one terminal here.
      security: {
        ...config.security,
        velocity: { ...config.security.velocity, terminal: { failuresMax: 10_000, windowMs: 600_000 } },
      },
      links: config.links.map((link) =>
        link.name === 'gateway'
          ? { ...link, pin: { management: 'dukpt' as const, format: 0 as const, tdesKey: 'bdk.tdes', aesKey: 'bdk.aes' } }
          : link,
      ),
    }),
  })
  pos = await running.connect('pos')
  second = await startSwitch(running.config, { log: silentLogger, clock: running.clock, schemas: 'at first use' })
  const { port } = second.addresses.find(({ name }) => name === 'pos')!
  elsewhere = await TestLink.open(running.config, running.clock, 'pos', port)
})

afterAll(async () => {
  await expectCleanBooks(running)
  elsewhere.client.destroy()
  await second.drain()
})

const RIGHT = (pan: string): string => hex(demoPinBlock(pan))
const wrongPin = (pan: string): string => (demoPin(pan) === '0000' ? '1111' : '0000')
const WRONG = (pan: string): string => hex(demoPinBlock(pan, wrongPin(pan)))

const withdrawal = (card: TestCard, pinBlock: string | undefined, more: Fields = {}): Fields => ({
  ...{ 2: card.pan, 3: '010000', 4: amount(5000), ...at('atm'), 52: pinBlock },
  ...more,
})

async function withdraw(card: TestCard, pinBlock: string | undefined, more: Fields = {}, link = pos): Promise<string> {
  return told(await link.ask('0200', withdrawal(card, pinBlock, more)))
}

/** DE 39, and the tries left where they are told. */
function told(answer: Message): string {
  const left = datum(answer, 'TR')
  return `${answer.text(39) ?? ''}${left === undefined ? '' : ` ${left} left`}`
}

function datum(answer: Message, tag: string): string | undefined {
  const data = parsePrivateData(answer.text(48) ?? '')
  return data.ok ? privateDatum(data.value, tag) : undefined
}

async function triesOf(card: TestCard): Promise<number | undefined> {
  const [row] = await running.sql<{ pin_tries: number }>('SELECT pin_tries FROM card WHERE token = $1', [card.token])
  return row?.pin_tries
}

/** A card of the range whose PINs are verified with IBM 3624. */
async function ibmCard(): Promise<TestCard> {
  const card = await running.openCard()
  const payload = `981805${card.pan.slice(6, 15)}`
  const pan = payload + luhnCheckDigit(payload)
  const token = cardToken(pan, running.config.lookupKey)
  await running.sql('UPDATE card SET token = $1, pin_reference = $2 WHERE token = $3', [
    token,
    demoPinReferences(running.config.security)(pan),
    card.token,
  ])
  return { ...card, pan, token }
}

describe('the right PIN', () => {
  it.each<[string, Fields]>([
    ['at an ATM', { 3: '010000', 4: amount(5000), ...at('atm') }],
    ['at a post office', { 3: '310000', 4: amount(0), ...at('post-office') }],
  ])('%s is good, and nothing of it is said', async (_, fields) => {
    const card = await running.openCard()
    const answer = await pos.ask('0200', { 2: card.pan, ...fields, 52: RIGHT(card.pan) })
    expect(told(answer)).toBe('00')
    expect(answer.has(52)).toBe(false)
  })

  it.each<[string, Fields]>([
    ['bread', { ...at('bakery'), 3: '009700', 4: amount(40), 48: 'LV0012DY0011' }],
    ['ration', { ...at('grocer'), 3: '009800', 4: amount(3000), 48: 'BK011OIL*1*3000;' }],
    ['points', { ...at('grocer'), 3: '009500', 4: amount(100) }],
  ])('for %s is good, a wrong one 55, a missing one 55', async (_, fields) => {
    const { head } = await running.openHousehold({ points: 1000 })
    const ask = async (pin: string | undefined): Promise<Message> => pos.ask('0200', { 2: head.pan, ...fields, 52: pin })
    expect(told(await ask(WRONG(head.pan)))).toBe('55 2 left')
    const without = await ask(undefined)
    expect(told(without)).toBe('55')
    if ('48' in fields) expect(datum(without, 'RM')).toBe('pin_required')
    expect(told(await ask(RIGHT(head.pan)))).toBe('00')
  })

  it.each<[string, (pan: string, pin: string) => Fields]>([
    ['0', (pan, pin) => ({ 52: hex(demoPinBlock(pan, pin, 0)), 48: 'PF0010' })],
    ['3', (pan, pin) => ({ 52: hex(demoPinBlock(pan, pin, 3)), 48: 'PF0013' })],
    ['4, in DE 48', (pan, pin) => ({ 52: undefined, 48: `PF0014PB032${hex(demoPinBlock(pan, pin, 4))}` })],
  ])('in format %s is good, and another is wrong', async (_, fields) => {
    const card = await running.openCard()
    expect(await withdraw(card, undefined, fields(card.pan, wrongPin(card.pan)))).toBe('55 2 left')
    expect(await withdraw(card, undefined, fields(card.pan, demoPin(card.pan)))).toBe('00')
  })

  it('is verified with IBM 3624 where the range has it', async () => {
    const card = await ibmCard()
    expect(await withdraw(card, WRONG(card.pan))).toBe('55 2 left')
    expect(await withdraw(card, RIGHT(card.pan))).toBe('00')
  })
})

describe('a link whose terminals have DUKPT keys', () => {
  const terminalKeys = dukptPinKeys(10)
  const TDES_KSN = 'FFFF9876543210E00001'
  const AES_KSN = '123456789012345600000001'

  const asked = (card: TestCard, kind: 'tdes' | 'aes', pin: string): Fields => {
    const key = terminalKeys(keys.find(`bdk.${kind}`, 'B0'), Buffer.from(kind === 'tdes' ? TDES_KSN : AES_KSN, 'hex'))
    const block = enterPin(key!, kind === 'tdes' ? 0 : 4, card.pan, pin)
    return kind === 'tdes'
      ? withdrawal(card, hex(block), { 48: `PF0010KS020${TDES_KSN}` })
      : withdrawal(card, undefined, { 48: `PF0014PB032${hex(block)}KS024${AES_KSN}` })
  }

  it.each(['tdes', 'aes'] as const)('%s: the right PIN is good, another is wrong', async (kind) => {
    const link = await running.connect('gateway')
    const card = await running.openCard()
    expect(told(await link.ask('0200', asked(card, kind, wrongPin(card.pan))))).toBe('55 2 left')
    expect(told(await link.ask('0200', asked(card, kind, demoPin(card.pan))))).toBe('00')
  })

  it('a block without its key serial number is 30', async () => {
    const link = await running.connect('gateway')
    const card = await running.openCard()
    expect(await withdraw(card, RIGHT(card.pan), {}, link)).toBe('30')
    // A counter of which too many bits are set is one that no terminal has (X9.24-1:2009 A.3).
    expect(await withdraw(card, RIGHT(card.pan), { 48: 'KS020FFFF9876543210FFFFFF' }, link)).toBe('86')
    expect(await withdraw(card, RIGHT(card.pan), { 48: 'KS020FFFF9876543210E00000' }, link)).toBe('86')
    expect(await triesOf(card)).toBe(0)
  })

  it('a block under another transaction’s key is 86 and costs no try', async () => {
    const link = await running.connect('gateway')
    const card = await running.openCard()
    const { 48: data = '', ...fields } = asked(card, 'tdes', demoPin(card.pan))
    expect(told(await link.ask('0200', { ...fields, 48: data.replace('E00001', 'E00002') }))).toBe('86')
    expect(await triesOf(card)).toBe(0)
  })
})

describe('a PIN block that is none', () => {
  it.each<[string, (pan: string) => Fields]>([
    ['of another card’s number', () => ({ 52: RIGHT('9818020009999990') })],
    ['under another key', (pan) => ({ 52: hex(enterPin(keys.find('zpk-aes.pos', 'P0'), 4, pan, demoPin(pan)).subarray(0, 8)) })],
    [
      'of format 4 that was moved to another card',
      () => ({ 52: undefined, 48: `PF0014PB032${hex(demoPinBlock('9818020009999990', '1234', 4))}` }),
    ],
    ['of zeros', () => ({ 52: '0000000000000000' })],
  ])('%s is 86 and costs no try', async (_, fields) => {
    const card = await running.openCard()
    expect(await withdraw(card, undefined, fields(card.pan))).toBe('86')
    expect(await triesOf(card)).toBe(0)
    expect(await purseOf(running, card)).toEqual({ balance: 100_000, held: 0 })
  })

  it.each<[string, string, string, string]>([
    ['a format that there is not', 'PF0010', 'PF0010', 'PF0011'],
    ['a format of another length', 'PF0010', 'PF0010', 'PF0014'],
    ['no hexadecimal digits in DE 48', `PF0014PB032${'0'.repeat(32)}`, 'PB03200', 'PB032ZZ'],
    ['a block in DE 48 that is cut off', `PF0014PB032${'0'.repeat(32)}`, 'PB032', 'PB030'],
  ])('%s is 30', async (_, data, from, to) => {
    const card = await running.openCard()
    const sent = compose(running.clock, '0200', withdrawal(card, RIGHT(card.pan), { 48: data }))
    const bytes = pos.encode(sent)
    bytes.write(to, bytes.indexOf(from), 'latin1')
    expect((await pos.sendBytes(bytes, answerName(sent.mti, sent.fields[11])))?.text(39)).toBe('30')
    expect(await triesOf(card)).toBe(0)
  })
})

describe('wrong PINs', () => {
  it('three in a row block the PIN; the card buys on without one', async () => {
    const card = await running.openCard()
    for (const answer of ['55 2 left', '55 1 left', '55 0 left', '75', '75'])
      expect(await withdraw(card, WRONG(card.pan))).toBe(answer)
    expect([await stateOf(running, card.token), await triesOf(card)]).toEqual(['PIN_BLOCKED', 3])
    expect(await withdraw(card, RIGHT(card.pan))).toBe('75')
    expect(told(await pos.ask('0200', { 2: card.pan, 4: amount(500) }))).toBe('00')
    expect(told(await pos.ask('0200', { 2: card.pan, 4: amount(500), 52: RIGHT(card.pan) }))).toBe('75')
    expect(await purseOf(running, card)).toEqual({ balance: 99_500, held: 0 })
  })

  it('are counted anew after a right one, also where that one gets no money', async () => {
    const card = await running.openCard({ balance: 6000 })
    expect([await withdraw(card, WRONG(card.pan)), await withdraw(card, WRONG(card.pan))]).toEqual(['55 2 left', '55 1 left'])
    expect(await withdraw(card, RIGHT(card.pan))).toBe('00')
    expect([await withdraw(card, WRONG(card.pan)), await withdraw(card, WRONG(card.pan))]).toEqual(['55 2 left', '55 1 left'])
    expect(await withdraw(card, RIGHT(card.pan), { 4: amount(10_000) })).toBe('51')
    expect(await triesOf(card)).toBe(0)
    expect(await withdraw(card, WRONG(card.pan))).toBe('55 2 left')
  })

  it('are counted over all channels and processes', async () => {
    const card = await running.openCard()
    const atm = await running.connect('atm')
    expect(await withdraw(card, WRONG(card.pan), {}, atm)).toBe('55 2 left')
    expect(await withdraw(card, WRONG(card.pan), {}, elsewhere)).toBe('55 1 left')
    expect(await withdraw(card, WRONG(card.pan))).toBe('55 0 left')
    expect(await withdraw(card, RIGHT(card.pan), {}, elsewhere)).toBe('75')
  })

  it('that are repeats of one message get its answer and count once', async () => {
    const card = await running.openCard()
    const { sent, answer } = await pos.exchange('0200', withdrawal(card, WRONG(card.pan)))
    expect(told(answer)).toBe('55 2 left')
    for (const mti of ['0201', '0200', '0201']) expect(told(await pos.send({ ...sent, mti })), mti).toBe('55 2 left')
    expect(await triesOf(card)).toBe(1)
    expect([await withdraw(card, WRONG(card.pan)), await withdraw(card, WRONG(card.pan))]).toEqual(['55 1 left', '55 0 left'])
    expect(told(await pos.send({ ...sent, mti: '0201' }))).toBe('55 2 left')
  })

  it.each<[string, () => TestLink[]]>([
    ['one process', () => [pos]],
    ['two processes', () => [pos, elsewhere]],
  ])('fifty at once to %s: three are told to be wrong, the others 75', async (_, links) => {
    const card = await running.openCard()
    const codes = await Promise.all(
      Array.from({ length: 50 }, (_unused, index) => withdraw(card, WRONG(card.pan), {}, links()[index % links().length])),
    )
    expect(codes.filter((code) => code.startsWith('55')).sort()).toEqual(['55 0 left', '55 1 left', '55 2 left'])
    expect(codes.filter((code) => code === '75')).toHaveLength(47)
    expect([await stateOf(running, card.token), await triesOf(card)]).toEqual(['PIN_BLOCKED', 3])
  })

  it('fifty at once that try PINs in turn find the right one only within the tries', async () => {
    const card = await running.openCard()
    const tried = Array.from({ length: 50 }, (_, index) =>
      index === 40 ? RIGHT(card.pan) : hex(demoPinBlock(card.pan, String(2000 + index))),
    )
    const codes = await Promise.all(tried.map((block, index) => withdraw(card, block, {}, [pos, elsewhere][index % 2])))
    expect(codes.filter((code) => code.startsWith('55')).length).toBeLessThanOrEqual(5)
    expect(codes.every((code) => /^(00|75|55 . left)$/.test(code))).toBe(true)
    expect(await stateOf(running, card.token)).toBe('PIN_BLOCKED')
  })

  it('right ones at once all pass', async () => {
    const card = await running.openCard()
    const codes = await Promise.all(
      Array.from({ length: 8 }, (_, i) => withdraw(card, RIGHT(card.pan), {}, [pos, elsewhere][i % 2])),
    )
    expect(new Set(codes)).toEqual(new Set(['00']))
    expect(await purseOf(running, card)).toEqual({ balance: 60_000, held: 0 })
  })

  it('count the same while Redis is flushed again and again', async () => {
    const card = await running.openCard()
    const redis = new Redis(running.redis.url)
    const codes = await Promise.all(
      Array.from({ length: 30 }, async (_, index) => {
        if (index % 5 === 0) await redis.flushall()
        return withdraw(card, WRONG(card.pan), {}, [pos, elsewhere][index % 2])
      }),
    )
    redis.disconnect()
    expect(codes.filter((code) => code.startsWith('55')).length).toBeLessThanOrEqual(3)
    expect(codes.every((code) => /^(75|55 . left)$/.test(code))).toBe(true)
    expect([await stateOf(running, card.token), await triesOf(card)]).toEqual(['PIN_BLOCKED', 3])
  })
})

describe('a PIN change', () => {
  const change = (card: TestCard, old: string, pin: string): Fields => ({
    ...{ 2: card.pan, 3: '700000', 4: undefined, ...at('atm'), 52: old, 48: `NP016${hex(demoPinBlock(card.pan, pin))}` },
  })
  const changed = async (card: TestCard, old: string, pin: string) => told(await pos.ask('0600', change(card, old, pin)))

  it('makes the new PIN good and the old one wrong', async () => {
    const card = await running.openCard()
    expect(await changed(card, RIGHT(card.pan), '73519')).toBe('00')
    expect(await withdraw(card, RIGHT(card.pan))).toBe('55 2 left')
    expect(await withdraw(card, hex(demoPinBlock(card.pan, '7351')))).toBe('00')
  })

  it('works with IBM 3624, with all digits of the PIN', async () => {
    const card = await ibmCard()
    expect(await changed(card, RIGHT(card.pan), '735194')).toBe('00')
    expect(await withdraw(card, hex(demoPinBlock(card.pan, '735195')))).toBe('55 2 left')
    expect(await withdraw(card, hex(demoPinBlock(card.pan, '735194')))).toBe('00')
  })

  it('with a wrong old PIN counts as any wrong PIN, and changes nothing', async () => {
    const card = await running.openCard()
    expect(await changed(card, WRONG(card.pan), '7351')).toBe('55 2 left')
    expect(await withdraw(card, RIGHT(card.pan))).toBe('00')
  })

  it('that is repeated gets its answer and costs no try', async () => {
    const card = await running.openCard()
    const { sent } = await pos.exchange('0600', change(card, RIGHT(card.pan), '7351'))
    for (const mti of ['0601', '0600']) expect(told(await pos.send({ ...sent, mti })), mti).toBe('00')
    expect(await triesOf(card)).toBe(0)
    expect(await withdraw(card, hex(demoPinBlock(card.pan, '7351')))).toBe('00')
  })

  it('is refused where the PIN is blocked', async () => {
    const card = await running.openCard()
    for (let i = 0; i < 3; i++) await withdraw(card, WRONG(card.pan))
    expect(await changed(card, RIGHT(card.pan), '7351')).toBe('75')
  })

  it('with a new block of another card is 86, and the old PIN stays good', async () => {
    const card = await running.openCard()
    const fields = { ...change(card, RIGHT(card.pan), '7351'), 48: `NP016${RIGHT('9818020009999990')}` }
    expect(told(await pos.ask('0600', fields))).toBe('86')
    expect(await withdraw(card, RIGHT(card.pan))).toBe('00')
  })

  it('without a new PIN is 30, without the old one 55', async () => {
    const card = await running.openCard()
    expect(told(await pos.ask('0600', { ...change(card, RIGHT(card.pan), '7351'), 48: undefined }))).toBe('30')
    expect(told(await pos.ask('0600', { ...change(card, '', '7351'), 52: undefined }))).toBe('55')
  })
})

describe('without Redis', () => {
  it('the same limits hold, and hold when it is back', async () => {
    const [card, other, third] = await Promise.all([running.openCard(), running.openCard(), running.openCard()])
    expect(await withdraw(third, WRONG(third.pan))).toBe('55 2 left')
    running.redis.kill()
    await running.redis.ended
    await until(async () => (await withdraw(other, RIGHT(other.pan))) === '00')
    const codes = await Promise.all(
      Array.from({ length: 50 }, (_, i) => withdraw(card, WRONG(card.pan), {}, [pos, elsewhere][i % 2])),
    )
    expect(codes.filter((code) => code.startsWith('55')).sort()).toEqual(['55 0 left', '55 1 left', '55 2 left'])
    expect(codes.filter((code) => code === '75')).toHaveLength(47)
    expect(await withdraw(card, RIGHT(card.pan))).toBe('75')
    expect(told(await pos.ask('0200', { 2: card.pan, 4: amount(500), 52: RIGHT(card.pan) }))).toBe('75')
    expect(told(await pos.ask('0200', { 2: card.pan, 4: amount(500) }))).toBe('00')
    expect([await withdraw(third, WRONG(third.pan)), await withdraw(third, WRONG(third.pan))]).toEqual(['55 1 left', '55 0 left'])
    const { sent, answer } = await pos.exchange('0200', withdrawal(other, WRONG(other.pan)))
    expect([told(answer), told(await pos.send({ ...sent, mti: '0201' }))]).toEqual(['55 2 left', '55 2 left'])
  })
})
