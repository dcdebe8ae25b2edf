/**
 * The attacks that the switch must withstand, each a test; what keys have a part in is run with the software key store and with a PKCS#11 token
 * (vitest.config.ts). Those that are not here:
 *
 * | Attack | Test |
 * |---|---|
 * | length bomb, zero length | tests/transport/attacks.test.ts, framing.test.ts "refuses an empty frame" |
 * | one byte a second on many sockets | tests/transport/attacks.test.ts "one byte at a time of a long frame", limits.test.ts "not complete in time" |
 * | handshakes that never end, clear text on a TLS port, weaker TLS | tests/transport/tlsAttacks.test.ts |
 * | bytes without sense, frames of noise | tests/authorize/hostile.test.ts |
 * | any bytes, any bit flips, bitmap abuse in the codec | tests/iso8583/decode.test.ts, tests/fuzz |
 * | TLV depth, lengths and forms | tests/iso8583/berTlv.test.ts, tests/security/chipData.test.ts |
 * | cryptogram replayed a hundred times at once | tests/authorize/chip.test.ts "a hundred times at once" |
 * | DE 55 cut off | tests/authorize/chip.test.ts "that is cut off anywhere" |
 * | duplicate STAN with another amount | tests/authorize/duplicates.test.ts "another message under the same key" |
 * | forged terminal id | tests/authorize/terminalBinding.test.ts "forged", mac.test.ts "bound to a MAC key" |
 * | reversal by another terminal of one certificate | tests/authorize/terminalBinding.test.ts |
 * | parallel PIN guessing | tests/authorize/pin.test.ts "fifty at once" |
 * | BIN enumeration | tests/authorize/velocity.test.ts "a range of numbers that is searched" |
 * | removed MAC, flipped bits under a MAC | tests/authorize/mac.test.ts |
 * | an old key brought back | tests/authorize/keyChange.test.ts "cannot bring it back" |
 * | card data in logs, tables, Redis, metrics | tests/authorize/canary.test.ts |
 * | admin routes without and with the wrong token | tests/admin/access |
 */
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createLogger } from '../../src/log.ts'
import { demoPinBlock } from '../../src/programme/demoVerification.ts'
import { authorize, newKey } from '../admin/callSwitch.ts'
import { freePort } from '../../src/local/ports.ts'
import { chipData, chipOf, EXPIRY, hex } from '../support/cardholder.ts'
import {
  amount,
  answerName,
  at,
  compose,
  originalOf,
  startTestSwitch,
  until,
  type Fields,
  type Sent,
  type TestCard,
  type TestLink,
  type TestSwitch,
} from '../support/switch.ts'
import { bookedUnder, expectCleanBooks, keyOf, purseOf } from './books.ts'

let running: TestSwitch
let url: string
let redis: Redis
let log = ''

beforeAll(async () => {
  const port = await freePort()
  running = await startTestSwitch({
    configure: (config) => {
      const wide = { failuresMax: 100_000, windowMs: 600_000 }
      return {
        ...config,
        http: { ...config.http, port },
        security: { ...config.security, velocity: { card: wide, terminal: wide, bin: wide } },
      }
    },
    log: createLogger('trace', { write: (line) => (log += line) }),
  })
  url = `http://127.0.0.1:${String(port)}`
  redis = new Redis(running.redis.url)
})

afterAll(async () => {
  redis.disconnect()
  await expectCleanBooks(running)
})

const LINKS = ['atm', 'pos', 'gateway'] as const

/** What everything a terminal may know of a card looks like in one message. */
const everything = (pan: string, more: Fields = {}): Fields => ({
  ...{ 2: pan, 4: amount(100), 14: EXPIRY, 22: '051', 23: '000', 43: 'SHOP CAIRO EG'.padEnd(40), 48: 'PC001N' },
  ...{ 52: hex(demoPinBlock(pan)), 55: chipData(chipOf(pan, { cvn: 18 }), 100) },
  ...more,
})

/** Sends bytes on a connection of their own. @returns DE 39 and the rest of the answer; undefined where the connection was closed */
async function sendAlone(name: string, sent: Sent, bytes: Buffer) {
  const link = await running.connect(name)
  const answered = link.sendBytes(bytes, answerName(sent.mti, sent.fields[11]))
  // What changed the trace number is answered under another name: the connection's end tells that it has been dealt with.
  void link.client.close()
  const answer = await Promise.race([answered, link.closed.then(() => undefined)])
  link.client.destroy()
  return answer
}

async function rowsOf(card: TestCard): Promise<number> {
  return (await running.sql('SELECT 1 FROM "authorization" WHERE card_token = $1', [card.token])).length
}

it('the keys are in the store that this run is for', () => {
  expect(running.config.hsm.kind).toBe(process.env['SARF_TEST_KEYS'] ?? 'software')
})

describe.each(LINKS)('on the %s link', (name) => {
  it('a message that ends at any byte is 30 or the end of its connection, and posts nothing', async () => {
    const card = await running.openCard({ balance: 1000 })
    const link = await running.connect(name)
    const sent = compose(running.clock, '0200', everything(card.pan))
    const whole = link.encode(sent)
    const codes = new Set<string | undefined>()
    for (let length = 1; length < whole.length; length++) {
      const answer = await sendAlone(name, sent, whole.subarray(0, length))
      codes.add(answer?.text(39))
      // Fields of the answer are those of the question, not bytes of others read as if they were.
      for (const de of [2, 11, 41]) if (answer?.has(de) === true) expect(answer.text(de)).toBe(sent.fields[de])
    }
    expect(codes).toEqual(new Set([undefined, '30']))
    expect([await rowsOf(card), (await purseOf(running, card)).balance]).toEqual([0, 1000])
  })

  it('a message with bytes behind its end is 30', async () => {
    const card = await running.openCard({ balance: 1000 })
    const link = await running.connect(name)
    const sent = compose(running.clock, '0200', everything(card.pan))
    for (const tail of ['00', '30303030', 'FF'.repeat(40)]) {
      const bytes = Buffer.concat([link.encode(sent), Buffer.from(tail, 'hex')])
      expect((await sendAlone(name, sent, bytes))?.text(39)).toBe('30')
    }
    expect(await rowsOf(card)).toBe(0)
  })

  it('a bitmap with all bits, or with those of fields that are not there, is 30 or the end of its connection', async () => {
    const card = await running.openCard({ balance: 1000 })
    const link = await running.connect(name)
    const sent = compose(running.clock, '0200', { 2: card.pan, 4: amount(100) })
    const whole = link.encode(sent)
    const start = name === 'pos' ? 2 : 4
    const size = name === 'gateway' ? 16 : 8
    const fill = (at: number, byte: string): Buffer => {
      const bytes = Buffer.from(whole)
      if (name === 'gateway') bytes.write(byte, at, 'latin1')
      else bytes.write(byte, at, 'hex')
      return bytes
    }
    for (let at = 0; at < size; at++) {
      const answer = await sendAlone(name, sent, fill(start + at, name === 'gateway' ? 'F' : 'FF'))
      expect([undefined, '30']).toContain(answer?.text(39))
    }
    const all = Buffer.from(whole)
    all.fill(name === 'gateway' ? 'F' : 0xff, start, start + size)
    expect([undefined, '30']).toContain((await sendAlone(name, sent, all))?.text(39))
    expect(await rowsOf(card)).toBe(0)
  })
})

describe('amounts', () => {
  let pos: TestLink
  beforeAll(async () => {
    pos = await running.connect('pos')
  })

  it.each<[string, (bytes: Buffer, at: number) => Buffer]>([
    ['with a sign', (bytes, at) => Buffer.concat([bytes.subarray(0, at), Buffer.from('-00000000100'), bytes.subarray(at + 12)])],
    ['of 13 digits', (bytes, at) => Buffer.concat([bytes.subarray(0, at), Buffer.from('0'), bytes.subarray(at)])],
    ['of 11 digits', (bytes, at) => Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1)])],
    ['with a point', (bytes, at) => Buffer.concat([bytes.subarray(0, at), Buffer.from('000000001.00'), bytes.subarray(at + 12)])],
  ])('%s are 30 or the end of the connection', async (_, change) => {
    const card = await running.openCard({ balance: 100_000 })
    const link = await running.connect('gateway')
    const sent = compose(running.clock, '0200', { 2: card.pan, 4: amount(777) })
    const whole = link.encode(sent)
    const answer = await sendAlone('gateway', sent, change(whole, whole.indexOf('000000000777')))
    expect([undefined, '30']).toContain(answer?.text(39))
    expect([await rowsOf(card), (await purseOf(running, card)).balance]).toEqual([0, 100_000])
  })

  it.each([
    ['the greatest that fits', '999999999999'],
    ['one above what 32 bits hold', '002147483648'],
    ['none', '000000000000'],
  ])('%s is declined, debit and credit alike', async (_, value) => {
    const card = await running.openCard({ balance: 100_000 })
    expect((await pos.ask('0200', { 2: card.pan, 4: value })).text(39)).toMatch(/^(13|61)$/)
    expect((await pos.ask('0200', { 2: card.pan, 3: '210000', 4: value, ...at('post-office') })).text(39)).toMatch(/^(13|61)$/)
    expect((await purseOf(running, card)).balance).toBe(100_000)
  })

  it.each(['840', '999', '000'])('in currency %s are declined', async (currency) => {
    const card = await running.openCard()
    expect((await pos.ask('0200', { 2: card.pan, 4: amount(100), 49: currency })).text(39)).toBe('13')
  })

  it('in JSON that are negative, too long, no numbers or no text are 400', async () => {
    const { pan } = await running.openCard()
    for (const value of [
      '-1.00',
      '1e3',
      '99999999999999.00',
      '1.001',
      '0x10',
      'NaN',
      ' 1',
      12.5,
      null,
      { toString: '1' },
      ['1.00'],
    ])
      expect(
        (await authorize(url, { kind: 'purchase', card: { number: pan }, terminalId: 'POS00001', amount: value })).status,
      ).toBe(400)
  })
})

describe('a reversal', () => {
  it('by another terminal leaves what the first has sold', async () => {
    const pos = await running.connect('pos')
    const card = await running.openCard({ balance: 1000 })
    const { sent } = await pos.exchange('0200', { 2: card.pan, 4: amount(300) })
    for (const mti of ['0400', '0420'])
      await pos.ask(mti, { 2: card.pan, 4: amount(300), 90: originalOf(sent), ...at('POS00002') })
    expect(await purseOf(running, card)).toEqual({ balance: 700, held: 0 })
  })

  it('of another card’s purchase gives nothing to one’s own', async () => {
    const pos = await running.connect('pos')
    const [card, own] = [await running.openCard({ balance: 1000 }), await running.openCard({ balance: 0 })]
    const { sent } = await pos.exchange('0200', { 2: card.pan, 4: amount(300) })
    for (const mti of ['0400', '0420']) await pos.ask(mti, { 2: own.pan, 4: amount(300), 90: originalOf(sent) })
    expect([(await purseOf(running, card)).balance, (await purseOf(running, own)).balance]).toEqual([700, 0])
  })
})

describe('text that would be something else elsewhere', () => {
  const TEXTS = [
    `'; DROP TABLE purse; --`,
    `') OR 1=1 --`,
    `{0}:epoch 1]] redis.call('FLUSHALL') --`,
    `"}\n{"level":60,"msg":"forged"}`,
    '\u001b[2J\r\nINFO forged',
    `\${jndi:ldap://x}`,
    '%s%n%x',
    '$&$1{terminal}',
  ]

  it.each(TEXTS)('in DE 41, 42, 43 and 48 is text: %j', async (text) => {
    const link = await running.connect('gateway')
    const card = await running.openCard({ balance: 1000 })
    const printable = text.replace(/[^ -~]/g, ' ')
    const fit = (length: number): string => printable.padEnd(length).slice(0, length)
    const before = log.length
    // Of what is no printable character in these fields the codec says 30; so it goes in as it is where that is allowed.
    const codes = []
    codes.push((await link.ask('0200', { 2: card.pan, 4: amount(100), 43: fit(40), 48: `ZZ040${fit(40)}` })).text(39))
    codes.push((await link.ask('0200', { 2: card.pan, 4: amount(100), 41: fit(8) })).text(39))
    codes.push((await link.ask('0200', { 2: card.pan, 4: amount(100), 42: fit(15) })).text(39))
    codes.push((await link.ask('0400', { 2: card.pan, 4: amount(100), 90: '0'.repeat(42), 43: fit(40) })).text(39))
    expect(codes[0]).toMatch(/^(00|30)$/)
    expect(codes[1]).toMatch(/^(03|30)$/)
    expect(codes[2]).toMatch(/^(03|30)$/)
    expect((await running.sql<{ count: string }>('SELECT count(*) FROM purse')).length).toBe(1)
    expect(Number(await redis.get('{0}:epoch'))).toBeGreaterThan(0)
    for (const line of log
      .slice(before)
      .split('\n')
      .filter((one) => one !== '')) {
      const entry = JSON.parse(line) as Record<string, unknown>
      expect(entry['msg']).not.toBe('forged')
    }
  })

  it.each(TEXTS)('in the members, headers and paths of HTTP is refused or text: %j', async (text) => {
    const { pan } = await running.openCard({ balance: 1000 })
    const purchase = { kind: 'purchase', card: { number: pan }, terminalId: 'POS00001', amount: '1.00' }
    const before = log.length
    for (const change of [
      { terminalId: text },
      { acceptorId: text },
      { kind: text },
      { amount: text },
      { currency: text },
      { [text]: 1 },
    ]) {
      const answer = await authorize(url, { ...purchase, ...change })
      expect([200, 400]).toContain(answer.status)
      if (answer.status === 200) expect(answer.json['approved']).toBe(false)
    }
    const key = `${newKey().slice(0, 9)}${text.replace(/[^ -~]/g, '')}`
    expect((await authorize(url, purchase, key)).status).toBe(400)
    for (const line of log
      .slice(before)
      .split('\n')
      .filter((one) => one !== ''))
      expect((JSON.parse(line) as { msg?: unknown }).msg).not.toBe('forged')
    expect(await running.sql('SELECT 1 FROM purse LIMIT 1')).toEqual([{ '?column?': 1 }])
  })
})

describe('an unknown and a known card', () => {
  /** What Redis is asked for one message, up to where it is counted. */
  async function askedOf(pan: string): Promise<string[]> {
    const monitor = await redis.duplicate().monitor()
    const commands: string[] = []
    monitor.on('monitor', (_time: string, [command = '', ...args]: string[]) => {
      const kinds = args.filter((arg) => arg.startsWith('{0}:')).map((arg) => arg.split(':')[1])
      commands.push([command.toLowerCase(), ...kinds].join(' '))
    })
    const link = await running.connect('pos')
    await link.ask('0200', { 2: pan, 4: amount(100), 52: hex(demoPinBlock(pan)) })
    await redis.echo('that was all')
    await until(() => commands.includes('echo'))
    monitor.disconnect()
    const counted = commands.findIndex((command) => command.startsWith('evalsha epoch count'))
    return commands.slice(0, counted).filter((command) => command.startsWith('mget') || command.startsWith('evalsha'))
  }

  /**
   * Not by the clock: what a known card takes longer is its verification and its commit, and to hide that every number that nobody has would
   * have to be verified and committed too. The limits on failures are what keeps a searcher from measuring.
   */
  it('are looked for by the same question, and both are counted before anything is said', async () => {
    const card = await running.openCard()
    await askedOf(card.pan)
    const [known, unknown] = [await askedOf(card.pan), await askedOf('9818020999999990')]
    expect(known).toEqual(['mget card count count standin'])
    expect(unknown).toEqual(known)
  })

  it('are told apart by nothing but the code where a terminal may ask', async () => {
    const pos = await running.connect('pos')
    const card = await running.openCard({ balance: 0 })
    const [known, unknown] = await Promise.all(
      [card.pan, '9818020999999990'].map((pan) =>
        pos.ask('0200', { 2: pan, 4: amount(100), 52: hex(demoPinBlock(pan, '0000')) }),
      ),
    )
    expect([known!.text(39), unknown!.text(39)]).toEqual(['55', '14'])
    for (const answer of [known!, unknown!])
      expect([answer.has(54), answer.has(38), answer.has(52), answer.has(35)]).toEqual([false, false, false, false])
  })
})

it('a repeat that raises its amount is 94 and posts nothing more, whatever its MTI', async () => {
  const pos = await running.connect('pos')
  const card = await running.openCard({ balance: 1000 })
  const { sent } = await pos.exchange('0200', { 2: card.pan, 4: amount(100) })
  for (const mti of ['0200', '0201'])
    expect((await pos.send({ mti, fields: { ...sent.fields, 4: amount(900) } })).text(39)).toBe('94')
  expect(await bookedUnder(running, keyOf(sent))).toMatchObject({ approved: 100 })
  expect(await purseOf(running, card)).toEqual({ balance: 900, held: 0 })
})
