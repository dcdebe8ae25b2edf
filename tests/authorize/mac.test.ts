/** Links that demand MACs: what comes without a right one is 63 and nothing else, and each answer carries one of its own. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { keys } from '../support/cardholder.ts'
import { MacPeer } from '../support/macLink.ts'
import { amount, compose, originalOf, startTestSwitch, type Fields, type Sent, type TestSwitch } from '../support/switch.ts'
import { expectCleanBooks, keyOf, purseOf } from './books.ts'

let running: TestSwitch
/** CMAC at atm (ASCII) and gateway (hexadecimal, a key a terminal), retail MAC at pos (BCD). */
let atm: MacPeer
let pos: MacPeer
let gateway: MacPeer

const KEY_OF_LINK: Readonly<Record<string, string>> = { atm: 'mac.atm', pos: 'mac-retail.pos', gateway: 'mac.{terminal}' }

beforeAll(async () => {
  running = await startTestSwitch({
    configure: (config) => ({
      ...config,
      links: config.links.map((link) => ({ ...link, mac: { key: KEY_OF_LINK[link.name] ?? 'mac.secure' } })),
    }),
  })
  await running.sql(
    `INSERT INTO terminal (id, terminal_id, class, merchant_id, mac_key)
     SELECT number, name, class, merchant_id, key FROM terminal, (VALUES (900001, 'GATEWAY', NULL), (900002, 'HTTP', 'mac.http')) AS new(number, name, key) WHERE terminal_id = 'POS00001'`,
  )
  const [cmac, retail] = [keys.find('mac.atm', 'M6'), keys.find('mac-retail.pos', 'M3')]
  atm = new MacPeer(running, await running.connect('atm'), cmac)
  pos = new MacPeer(running, await running.connect('pos'), retail)
  gateway = new MacPeer(running, await running.connect('gateway'), cmac)
})

afterAll(async () => {
  await expectCleanBooks(running)
})

const purchase = (pan: string, more: Fields = {}): Sent => compose(running.clock, '0200', { 2: pan, 4: amount(100), ...more })

async function expectNothingOf(sent: Sent, link: MacPeer): Promise<void> {
  expect(await running.sql('SELECT 1 FROM "authorization" WHERE key = $1', [keyOf(sent, link.link.name)])).toEqual([])
}

describe.each<[string, () => MacPeer, Fields]>([
  ['CMAC, ASCII', () => atm, {}],
  ['retail MAC, BCD', () => pos, {}],
  ['CMAC of a terminal’s own key, hexadecimal', () => gateway, { 41: 'GATEWAY ' }],
])('%s', (_, peer, terminal) => {
  it('a right MAC is answered with a right MAC, in DE 64', async () => {
    const card = await running.openCard({ balance: 1000 })
    const asked = await peer().ask(purchase(card.pan, terminal))
    expect([asked?.answer.text(39), asked?.right]).toEqual(['00', 'DE 64'])
    expect((await purseOf(running, card)).balance).toBe(900)
  })

  it('with a field above 64 both have it in DE 128', async () => {
    const card = await running.openCard({ balance: 1000 })
    const bought = purchase(card.pan, terminal)
    expect(await peer().codeOf(bought)).toBe('00')
    const reversal = compose(running.clock, '0400', { 2: card.pan, 4: amount(100), 90: originalOf(bought), ...terminal })
    const asked = await peer().ask(reversal)
    expect([asked?.answer.text(39), asked?.right]).toEqual(['00', 'DE 128'])
    expect((await purseOf(running, card)).balance).toBe(1000)
    const echo = await peer().ask(compose(running.clock, '0800', { 70: '301', ...terminal }))
    expect([echo?.answer.text(39), echo?.right]).toEqual(['00', 'DE 128'])
  })

  it('without a MAC everything is 63: nothing in the ledger, nothing told of the card; the answer has a MAC', async () => {
    const card = await running.openCard({ balance: 1000 })
    for (const pan of [card.pan, '9818020999999990']) {
      for (const mti of ['0200', '0100', '0400', '0220', '0600']) {
        const sent = { ...purchase(pan, { ...terminal, 90: '0'.repeat(42) }), mti }
        const asked = await peer().ask(sent, peer().link.encode(sent))
        expect([mti, asked?.answer.text(39), asked?.right, asked?.answer.has(54)]).toEqual([mti, '63', 'DE 128', false])
        await expectNothingOf(sent, peer())
      }
    }
    for (const code of ['001', '161', '301']) {
      const sent = compose(running.clock, '0800', { 70: code, ...terminal })
      expect(await peer().codeOf(sent, peer().link.encode(sent)), code).toBe('63')
    }
    expect((await purseOf(running, card)).balance).toBe(1000)
  })

  it('a MAC that is not the last field is none', async () => {
    const card = await running.openCard({ balance: 1000 })
    const sent = purchase(card.pan, { ...terminal, 90: '0'.repeat(42), 64: '0011223344556677' })
    expect(await peer().codeOf(sent, peer().link.encode(sent))).toBe('63')
    await expectNothingOf(sent, peer())
  })

  it('one bit flipped anywhere is 63, 30 or the end of the connection, and moves nothing', async () => {
    const card = await running.openCard({ balance: 1000 })
    const sent = purchase(card.pan, terminal)
    const whole = peer().sealed(sent)
    const codes = new Set<string | undefined>()
    for (let at = 0; at < whole.length; at++) {
      const link = await running.connect(peer().link.name)
      const own = new MacPeer(running, link, peer().key)
      const flipped = Buffer.from(whole)
      // Not the bit by which a and A differ: hexadecimal digits are read in either case.
      flipped[at]! ^= 1 << (at % 5)
      // The name by which the answer is found may be what was changed: the echo behind it tells that it has been dealt with.
      const answered = own.codeOf(sent, flipped)
      const echo = compose(running.clock, '0800', { 70: '301', ...terminal })
      const code = await Promise.race([answered, own.codeOf(echo).then(() => 'another name'), link.closed.then(() => 'closed')])
      codes.add(code)
      link.client.destroy()
    }
    for (const code of codes) expect(['63', '30', 'closed', 'another name', undefined]).toContain(code)
    expect(codes).toContain('63')
    await expectNothingOf(sent, peer())
    expect(await running.sql('SELECT 1 FROM "authorization" WHERE card_token = $1', [card.token])).toEqual([])
    expect((await purseOf(running, card)).balance).toBe(1000)
  })
})

it('a MAC under another link’s kind of key is 63', async () => {
  const card = await running.openCard()
  const other = new MacPeer(running, atm.link, keys.find('mac-retail.atm', 'M3'))
  expect(await other.codeOf(purchase(card.pan))).toBe('63')
})

it('a terminal that has no key of its own gets no answer, for there is nothing to authenticate it with', async () => {
  const card = await running.openCard()
  for (const terminal of ['POS00001', '$&      ', '{termina', 'gateway ']) {
    const answered = gateway.codeOf(purchase(card.pan, { 41: terminal })).then((code) => `${terminal} ${String(code)}`)
    const behind = gateway.codeOf(compose(running.clock, '0800', { 70: '301', 41: 'GATEWAY ' }))
    expect(await Promise.race([answered, behind])).toMatch(terminal === 'gateway ' ? /^(00|gateway {2}03)$/ : /^00$/)
  }
  expect((await purseOf(running, card)).balance).toBe(100_000)
})

it('a repeat with a right MAC gets the stored answer, one without does not', async () => {
  const card = await running.openCard()
  const sent = purchase(card.pan)
  const first = await atm.ask(sent)
  const repeat = { ...sent, mti: '0201' }
  const again = await atm.ask(repeat)
  expect([again?.answer.text(38), again?.right]).toEqual([first?.answer.text(38), 'DE 64'])
  const without = await atm.ask(repeat, atm.link.encode(repeat))
  expect([without?.answer.text(39), without?.answer.has(38)]).toEqual(['63', false])
})

describe('a terminal that is bound to a MAC key', () => {
  it('is served where its messages are authenticated with that key', async () => {
    const card = await running.openCard()
    expect(await gateway.codeOf(purchase(card.pan, { 41: 'HTTP    ' }))).toBe('00')
  })

  it('forged over another link is 03, with whatever right MAC', async () => {
    const card = await running.openCard()
    for (const peer of [atm, pos]) expect(await peer.codeOf(purchase(card.pan, { 41: 'HTTP    ' }))).toBe('03')
    expect((await purseOf(running, card)).balance).toBe(100_000)
  })
})

it('an answer to what cannot be read has a MAC too', async () => {
  const card = await running.openCard()
  const sent = purchase(card.pan, { 43: 'SHOP CAIRO EG'.padEnd(40) })
  const whole = atm.sealed(sent)
  const broken = Buffer.from(whole)
  broken.write('X', broken.indexOf('818001'), 'latin1')
  const asked = await atm.ask(sent, broken)
  expect([asked?.answer.text(39), asked?.right]).toEqual(['30', 'DE 64'])
})
