/** Chips as terminals send them: real cryptograms of virtual cards, what the card makes of the answer, and what is tried with a cryptogram that was seen before. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { cardToken, luhnCheckDigit } from '../../src/card.ts'
import { findTlv, parseTlv } from '../../src/iso8583/berTlv.ts'
import type { Message } from '../../src/iso8583/message.ts'
import { parsePrivateData, privateDatum } from '../../src/iso8583/privateData.ts'
import { silentLogger } from '../../src/log.ts'
import { startSwitch, type RunningSwitch } from '../../src/main.ts'
import { demoPin, demoPinBlock, demoPinReferences } from '../../src/programme/demoVerification.ts'
import type { VirtualChip } from '../../src/security/virtualChip.ts'
import { chipData, chipOf, hex, prepareIcvv, type Cvn } from '../support/cardholder.ts'
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
import { expectCleanBooks, purseOf } from './books.ts'

let running: TestSwitch
let pos: TestLink
let second: RunningSwitch
let elsewhere: TestLink

beforeAll(async () => {
  running = await startTestSwitch({
    configure: (config) => {
      const wide = { failuresMax: 10_000, windowMs: 600_000 }
      const [version, ...others] = config.programme.versions
      return {
        ...config,
        security: { ...config.security, velocity: { card: wide, terminal: wide, bin: wide } },
        // At clinics nothing goes without a chip.
        programme: { ...config.programme, versions: [{ ...version!, chip: { terminalClasses: ['clinic'] } }, ...others] },
      }
    },
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

const CHIP: Fields = { 22: '051', 23: '000' }

interface ChipCard extends TestCard {
  readonly chip: VirtualChip
}

async function newChip(cvn: Cvn = 18, balance = 100_000): Promise<ChipCard> {
  const card = await running.openCard({ balance })
  if (cvn !== 16 && cvn !== 17) {
    await prepareIcvv(card.pan)
    return { ...card, chip: chipOf(card.pan, { cvn }) }
  }
  const payload = `981805${card.pan.slice(6, 15)}`
  const pan = payload + luhnCheckDigit(payload)
  const token = cardToken(pan, running.config.lookupKey)
  const reference = demoPinReferences(running.config.security)(pan)
  await running.sql('UPDATE card SET token = $1, pin_reference = $2 WHERE token = $3', [token, reference, card.token])
  await prepareIcvv(pan)
  return { ...card, pan, token, chip: chipOf(pan, { cvn }) }
}

/** A purchase with a cryptogram of its own. */
const purchase = (card: ChipCard, value: number, more: Fields = {}): Fields => ({
  ...{ 2: card.pan, 4: amount(value), ...CHIP, 48: 'PC001N', 55: chipData(card.chip, value) },
  ...more,
})

const ask = async (fields: Fields, link = pos): Promise<Message> => link.ask('0200', fields)

/** DE 39 and why. */
function told(answer: Message): string {
  const data = parsePrivateData(answer.text(48) ?? '')
  const reason = data.ok ? privateDatum(data.value, 'RM') : undefined
  return [answer.text(39), reason].filter((one) => one !== undefined).join(' ')
}

const buy = async (card: ChipCard, value: number, more: Fields = {}, link = pos) =>
  told(await ask(purchase(card, value, more), link))

function isAccepted({ chip }: ChipCard, answer: Message): boolean {
  return chip.acceptResponse(Buffer.from(answer.bytes(55) ?? []))
}

async function atcOf(card: TestCard): Promise<number | undefined> {
  return (await running.sql<{ atc_max: number }>('SELECT atc_max FROM card WHERE token = $1', [card.token]))[0]?.atc_max
}

/** The same DE 55 with the value of a tag changed. */
function withTag(data: string, tag: string, change: (value: Buffer) => void): string {
  const bytes = Buffer.from(data, 'hex')
  const parsed = parseTlv(bytes)
  const value = parsed.ok ? findTlv(parsed.value, tag)?.value : undefined
  if (value === undefined) throw new Error(`no ${tag}`)
  change(value)
  return hex(bytes)
}

describe.each<Cvn>([10, 18, 22, 16, 17])('a chip of CVN %i', (cvn) => {
  it('is approved, and accepts the answer', async () => {
    const card = await newChip(cvn)
    const answer = await ask(purchase(card, 500))
    expect(told(answer)).toBe('00')
    expect(isAccepted(card, answer)).toBe(true)
    expect(await atcOf(card)).toBe(1)
  })

  it('accepts a decline too, and the answer to a repeat, which is the same', async () => {
    const card = await newChip(cvn, 100)
    const { sent, answer } = await pos.exchange('0200', purchase(card, 500))
    expect(told(answer)).toBe('51 insufficient_funds')
    expect(isAccepted(card, answer)).toBe(true)
    for (const mti of ['0201', '0200']) {
      const again = await pos.send({ ...sent, mti })
      expect([told(again), again.text(55)]).toEqual([told(answer), answer.text(55)])
    }
  })

  it('with another cryptogram is 82, and gets none', async () => {
    const card = await newChip(cvn)
    const data = withTag(chipData(card.chip, 500), '9F26', (value) => (value[7]! ^= 1))
    const answer = await ask(purchase(card, 500, { 55: data }))
    expect(told(answer)).toBe('82 cryptogram')
    expect(answer.has(55)).toBe(false)
    expect([await atcOf(card), await purseOf(running, card)]).toEqual([0, { balance: 100_000, held: 0 }])
  })

  it.each(['9F02', '9F03', '9F1A', '95', '9A', '9F37', '82', '9F36'])('with another %s than was signed is 82', async (tag) => {
    const card = await newChip(cvn)
    const data = withTag(chipData(card.chip, 500), tag, (value) => (value[value.length - 1]! ^= 1))
    expect(await buy(card, 500, { 55: data })).toMatch(/^82 (cryptogram|chip_mismatch)$/)
    expect(await purseOf(running, card)).toEqual({ balance: 100_000, held: 0 })
  })
})

describe('a cryptogram that was seen before', () => {
  it('is 82 under another trace number', async () => {
    const card = await newChip()
    const data = chipData(card.chip, 500)
    expect(await buy(card, 500, { 55: data })).toBe('00')
    expect(await buy(card, 500, { 55: data })).toBe('82 atc')
    expect(await buy(card, 500, { 55: data }, elsewhere)).toBe('82 atc')
    expect(await purseOf(running, card)).toEqual({ balance: 99_500, held: 0 })
  })

  it.each<[string, () => TestLink[]]>([
    ['one process', () => [pos]],
    ['two processes', () => [pos, elsewhere]],
  ])('a hundred times at once to %s is approved once', async (_, links) => {
    const card = await newChip()
    const data = chipData(card.chip, 500)
    const codes = await Promise.all(
      Array.from({ length: 100 }, (_unused, i) => buy(card, 500, { 55: data }, links()[i % links().length])),
    )
    expect(codes.filter((code) => code === '00')).toHaveLength(1)
    expect(codes.filter((code) => code === '82 atc')).toHaveLength(99)
    expect(await purseOf(running, card)).toEqual({ balance: 99_500, held: 0 })
  })

  it('is approved once where it is sent for two purses of the card at once', async () => {
    const households = await Promise.all(Array.from({ length: 8 }, () => running.openHousehold()))
    const rounds = await Promise.all(
      households.map(async ({ head }, index) => {
        await prepareIcvv(head.pan)
        const data = chipData(chipOf(head.pan, { cvn: 18 }), 100)
        const common = { 2: head.pan, ...CHIP, 4: amount(100), 55: data, ...at('bakery'), 52: hex(demoPinBlock(head.pan)) }
        const answers = await Promise.all([
          ask({ ...common, 3: '009700', 48: 'LV0015DY0011' }),
          ask({ ...common, 3: '000000', 48: 'PC001N' }, [pos, elsewhere][index % 2]),
        ])
        return answers.map(told).sort()
      }),
    )
    expect(rounds).toEqual(rounds.map(() => ['00', '82 atc']))
  })

  it('is 82 in another message, and when the card has been stopped meanwhile the card’s answer', async () => {
    const card = await newChip()
    const data = chipData(card.chip, 500)
    expect(await buy(card, 500, { 55: data })).toBe('00')
    expect(await buy(card, 900, { 55: data })).toBe('82 chip_mismatch')
    expect(await buy(card, 500, { 55: data, 23: '001' })).toBe('82 chip_mismatch')
    await running.sql("UPDATE card SET state = 'LOST', version = version + 1 WHERE token = $1", [card.token])
    await running.sql('UPDATE purse SET gate = gate + 1 WHERE id = $1', [card.purseId])
    expect(await buy(card, 500, { 55: data })).toBe('41 card_lost')
    expect(await buy(card, 500)).toBe('41 card_lost')
  })

  it('is used up by a decline', async () => {
    const card = await newChip(18, 100)
    const data = chipData(card.chip, 500)
    expect(await buy(card, 500, { 55: data })).toBe('51 insufficient_funds')
    expect(await atcOf(card)).toBe(1)
    await running.sql('UPDATE purse SET gate = gate + 1 WHERE id = $1', [card.purseId])
    expect(await buy(card, 500, { 55: data })).toBe('82 atc')
  })

  it('is used up by a wrong PIN beside it', async () => {
    const card = await newChip()
    const data = chipData(card.chip, 500)
    const wrong = hex(demoPinBlock(card.pan, demoPin(card.pan) === '0000' ? '1111' : '0000'))
    expect(await buy(card, 500, { 55: data, 52: wrong })).toBe('55 pin_wrong')
    expect(await buy(card, 500, { 55: data, 52: hex(demoPinBlock(card.pan)) })).toBe('82 atc')
  })
})

describe('the transaction counter', () => {
  /** The chip as it is after so many transactions. */
  const later = (card: ChipCard, atc: number): ChipCard => ({ ...card, chip: chipOf(card.pan, { cvn: 18, atc: atc - 1 }) })

  it('is good once within the window behind the highest, and not further behind', async () => {
    const card = await newChip()
    expect(await buy(later(card, 100), 100)).toBe('00')
    expect([await buy(later(card, 99), 100), await buy(later(card, 99), 100)]).toEqual(['00', '82 atc'])
    expect([await buy(later(card, 38), 100), await buy(later(card, 38), 100)]).toEqual(['00', '82 atc'])
    expect(await buy(later(card, 37), 100)).toBe('82 atc')
    expect(await buy(later(card, 1), 100)).toBe('82 atc')
    expect(await buy(later(card, 101), 100)).toBe('00')
    expect(await buy(later(card, 38), 100)).toBe('82 atc')
    expect(await atcOf(card)).toBe(101)
  })

  it('may not be further ahead than the profile says', async () => {
    const card = await newChip()
    expect(await buy(later(card, 10_001), 100)).toBe('82 atc')
    expect(await atcOf(card)).toBe(0)
    expect(await buy(later(card, 10_000), 100)).toBe('00')
    expect(await buy(later(card, 20_000), 100)).toBe('00')
    expect(await buy(later(card, 9_999), 100)).toBe('82 atc')
  })

  it('comes to its end', async () => {
    const card = await newChip()
    await running.sql('UPDATE card SET atc_max = 65000, atc_seen = 1, version = version + 1 WHERE token = $1', [card.token])
    expect(await buy(later(card, 65_535), 100)).toBe('00')
    expect(await buy(later(card, 65_535), 100)).toBe('82 atc')
    expect(await buy(later(card, 65_534), 100)).toBe('00')
  })
})

describe('a cryptogram of another message', () => {
  it.each<[string, (card: ChipCard) => Fields]>([
    ['amount', (card) => purchase(card, 500, { 55: chipData(card.chip, 50) })],
    ['currency', (card) => purchase(card, 500, { 55: chipData(card.chip, 500, { currency: '840' }) })],
    ['sequence number, in DE 23', (card) => purchase(card, 500, { 23: '001' })],
    [
      'sequence number, in 5F34',
      (card) => purchase(card, 500, { 23: undefined, 55: chipData(chipOf(card.pan, { cvn: 18, psn: '01' }), 500) }),
    ],
  ])('another %s is 82, and moves nothing', async (_, fields) => {
    const card = await newChip()
    expect(told(await ask(fields(card)))).toMatch(/^82 (chip_mismatch|cryptogram)$/)
    expect(await purseOf(running, card)).toEqual({ balance: 100_000, held: 0 })
  })

  it('another card’s, whole, is 82', async () => {
    const [card, other] = [await newChip(), await newChip()]
    expect(await buy(card, 500, { 55: chipData(other.chip, 500) })).toBe('82 cryptogram')
    // With the number of this card written into the other's data the cryptogram is still not of this one.
    const moved = chipData(other.chip, 500).replace(other.pan, card.pan)
    expect(await buy(card, 500, { 55: moved })).toBe('82 cryptogram')
    expect(await atcOf(other)).toBe(0)
  })
})

describe('DE 55', () => {
  it('that is cut off anywhere before the last object that a cryptogram needs is 30', async () => {
    const card = await newChip()
    const data = chipData(card.chip, 500)
    const codes = new Set<string | undefined>()
    // In the dialect of the gateway's link too it is cut inside of its field: the length before it is that of what is left.
    for (let length = 1; length < data.indexOf('9F0306') / 2; length++) {
      const sent = compose(running.clock, '0200', purchase(card, 500, { 55: data }))
      const whole = pos.encode(sent)
      const at = whole.indexOf(Buffer.from(data, 'hex'))
      const cut = Buffer.concat([whole.subarray(0, at + length), whole.subarray(at + data.length / 2)])
      cut.write(String(length).padStart(4, '0'), at - 2, 'hex')
      codes.add((await pos.sendBytes(cut, answerName(sent.mti, sent.fields[11])))?.text(39))
    }
    expect(codes).toEqual(new Set(['30']))
    expect(await atcOf(card)).toBe(0)
  })

  it.each(['9F26', '9F27', '9F10', '9F37', '9F36', '95', '9A', '9C', '9F02', '5F2A', '82', '9F1A', '9F03'])(
    'without %s is 30',
    async (tag) => {
      const card = await newChip()
      const bytes = Buffer.from(chipData(card.chip, 500), 'hex')
      const parsed = parseTlv(bytes)
      const value = parsed.ok ? findTlv(parsed.value, tag)?.value : undefined
      const from = value!.byteOffset - bytes.byteOffset - 1 - tag.length / 2
      const without = Buffer.concat([bytes.subarray(0, from), bytes.subarray(from + 1 + tag.length / 2 + value!.length)])
      expect((await ask(purchase(card, 500, { 55: hex(without) }))).text(39)).toBe('30')
    },
  )

  it.each<[string, number]>([
    ['a decline (AAC)', 0x00],
    ['an offline approval (TC)', 0x40],
  ])('with %s instead of a request is 82', async (_, information) => {
    const card = await newChip()
    const data = withTag(chipData(card.chip, 500), '9F27', (value) => (value[0] = information))
    expect(await buy(card, 500, { 55: data })).toBe('82 cryptogram')
  })

  it('of a cryptogram version that the range does not have is 82', async () => {
    const card = await newChip()
    const data = withTag(chipData(card.chip, 500), '9F10', (value) => (value[2] = 0x11))
    expect(await buy(card, 500, { 55: data })).toBe('82 cryptogram')
  })

  it('is needed where the class of the terminal wants it', async () => {
    const card = await newChip()
    const fields = { 2: card.pan, 4: amount(500), ...at('clinic'), 48: 'PC001N' }
    expect(told(await ask(fields))).toBe('82 chip_required')
    expect(told(await ask({ ...fields, ...CHIP, 55: chipData(card.chip, 500) }))).toBe('00')
  })
})

describe('a chip and a PIN', () => {
  it('a wrong chip keeps the PIN from being tried, and a wrong PIN is told only after a right chip', async () => {
    const card = await newChip()
    const wrong = hex(demoPinBlock(card.pan, demoPin(card.pan) === '0000' ? '1111' : '0000'))
    const data = withTag(chipData(card.chip, 500), '9F26', (value) => (value[0]! ^= 1))
    for (let i = 0; i < 5; i++) expect(await buy(card, 500, { 55: data, 52: wrong })).toBe('82 cryptogram')
    expect(await running.sql('SELECT pin_tries FROM card WHERE token = $1', [card.token])).toEqual([{ pin_tries: 0 }])
    const answer = await ask(purchase(card, 500, { 52: wrong }))
    expect(told(answer)).toBe('55 pin_wrong')
    expect(isAccepted(card, answer)).toBe(true)
  })
})

describe('a command for the chip', () => {
  const order = (card: TestCard) =>
    running.sql(
      `WITH ordered AS (UPDATE card SET issuer_script = 'PIN_UNBLOCK', version = version + 1 WHERE token = $1 RETURNING person_id)
       UPDATE purse SET gate = gate + 1 FROM ordered WHERE purse.person_id = ordered.person_id`,
      [card.token],
    )
  const hasScript = (answer: Message): boolean => {
    const parsed = parseTlv(Buffer.from(answer.bytes(55) ?? []))
    return parsed.ok && findTlv(parsed.value, '86') !== undefined
  }

  it.each<Cvn>([10, 18, 22, 16, 17])('goes out once to a chip of CVN %i, which accepts it', async (cvn) => {
    const card = await newChip(cvn)
    await order(card)
    const { sent, answer } = await pos.exchange('0200', purchase(card, 500))
    expect([told(answer), hasScript(answer), isAccepted(card, answer)]).toEqual(['00', true, true])
    expect(await running.sql('SELECT issuer_script FROM card WHERE token = $1', [card.token])).toEqual([{ issuer_script: null }])
    expect(hasScript(await pos.send({ ...sent, mti: '0201' }))).toBe(false)
    const next = await ask(purchase(card, 500))
    expect([told(next), hasScript(next), isAccepted(card, next)]).toEqual(['00', false, true])
  })

  it('goes out once where the chip asks many times at once', async () => {
    const card = await newChip()
    await order(card)
    const asked = Array.from({ length: 20 }, () => purchase(card, 100))
    const answers = await Promise.all(asked.map((fields, i) => ask(fields, [pos, elsewhere][i % 2])))
    expect(answers.filter(hasScript)).toHaveLength(1)
    expect(new Set(answers.map(told))).toEqual(new Set(['00']))
  })

  it('waits where the message has no chip, or a wrong one', async () => {
    const card = await newChip()
    await order(card)
    expect(told(await ask({ 2: card.pan, 4: amount(100) }))).toBe('00')
    const data = withTag(chipData(card.chip, 500), '9F26', (value) => (value[0]! ^= 1))
    expect(await buy(card, 500, { 55: data })).toBe('82 cryptogram')
    expect(hasScript(await ask(purchase(card, 500)))).toBe(true)
  })
})

describe('without Redis', () => {
  it('all holds as with it', async () => {
    const card = await newChip()
    running.redis.kill()
    await running.redis.ended
    await until(async () => (await buy(card, 100)) === '00')
    const data = chipData(card.chip, 500)
    const before = (await purseOf(running, card)).balance
    const codes = await Promise.all(Array.from({ length: 100 }, (_, i) => buy(card, 500, { 55: data }, [pos, elsewhere][i % 2])))
    expect(codes.filter((code) => code === '00')).toHaveLength(1)
    expect(codes.filter((code) => code === '82 atc')).toHaveLength(99)
    expect((await purseOf(running, card)).balance).toBe(before - 500)
    const answer = await ask(purchase(card, 500))
    expect([told(answer), isAccepted(card, answer)]).toEqual(['00', true])
  })
})
