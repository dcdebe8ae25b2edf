/** DE 41 is a claim: who claims to be a terminal must come the way that the registry binds it to. */
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { messageSpec } from '../../src/iso8583/messageSpec.ts'
import { decode } from '../../src/iso8583/decode.ts'
import { MERCHANT_STATES, TERMINAL_STATES } from '../../src/transaction/terminal.ts'
import { makeAuthority, type TestAuthority, type TestCertificate } from '../support/certificates.ts'
import { temporaryDirectory } from '../support/stack.ts'
import { amount, compose, originalOf, startTestSwitch, type TestLink, type TestSwitch } from '../support/switch.ts'
import { keyOf, purseOf } from './books.ts'

let authority: TestAuthority
let acquirer: TestCertificate
let other: TestCertificate
let running: TestSwitch
/** `pos` and `gateway` speak TLS; `gateway` wants its terminals bound; `atm` is plain. */
let byAcquirer: TestLink
let byOther: TestLink
let plain: TestLink

const TERMINAL = 'POS00001'
const MERCHANT_OF_IT = '(SELECT merchant_id FROM terminal WHERE terminal_id = $2)'

beforeAll(async () => {
  authority = makeAuthority(temporaryDirectory())
  acquirer = authority.issue('acquirer')
  other = authority.issue('another acquirer')
  const server = authority.issue('switch', 'serverAuth')
  const tls = { certFile: server.certFile, keyFile: server.keyFile, clientCaFile: authority.certFile }
  running = await startTestSwitch({
    configure: (config) => ({
      ...config,
      links: config.links.map((link) => {
        if (link.name === 'atm') return link
        return { ...link, tls, bindTerminals: link.name === 'gateway' }
      }),
    }),
  })
  byAcquirer = await running.connect('pos', shown(acquirer))
  byOther = await running.connect('pos', shown(other))
  plain = await running.connect('atm')
})

afterEach(async () => {
  await running.sql('UPDATE terminal SET certificate = NULL, link = NULL')
  await running.sql('UPDATE merchant SET certificate = NULL')
})

const shown = ({ cert, key }: TestCertificate) => ({ ca: authority.cert, cert, key })
const bind = (certificate: TestCertificate) =>
  running.sql('UPDATE terminal SET certificate = $1 WHERE terminal_id = $2', [certificate.fingerprint, TERMINAL])

async function expectNothingOf(sent: Parameters<typeof keyOf>[0], link = 'pos'): Promise<void> {
  expect(await running.sql('SELECT 1 FROM "authorization" WHERE key = $1', [keyOf(sent, link)])).toEqual([])
}

describe('a terminal that is bound to a certificate', () => {
  it('is served by it', async () => {
    await bind(acquirer)
    const card = await running.openCard({ balance: 1000 })
    expect((await byAcquirer.ask('0200', { 2: card.pan, 4: amount(300) })).text(39)).toBe('00')
    expect(await purseOf(running, card)).toEqual({ balance: 700, held: 0 })
  })

  it.each<[string, () => TestLink]>([
    ['over another certificate of the same CA', () => byOther],
    ['over a link without certificates', () => plain],
  ])('forged %s is answered 03, and nothing is committed', async (_, link) => {
    await bind(acquirer)
    const card = await running.openCard({ balance: 1000 })
    for (const mti of ['0200', '0201', '0100', '0220']) {
      const { sent, answer } = await link().exchange(mti, { 2: card.pan, 4: amount(300), 37: '632609000888', 38: '000001' })
      expect(answer.text(39), mti).toBe('03')
      await expectNothingOf(sent, link().name)
    }
    expect(await purseOf(running, card)).toEqual({ balance: 1000, held: 0 })
  })

  it('forged over HTTP is answered 03', async () => {
    await bind(acquirer)
    const card = await running.openCard({ balance: 1000 })
    const sent = compose(running.clock, '0200', { 2: card.pan, 4: amount(300) })
    const response = await fetch(`http://127.0.0.1:${running.portOf('http')}/iso8583`, {
      method: 'POST',
      headers: { 'content-type': 'application/octet-stream' },
      body: Buffer.from(plain.encode(sent)),
    })
    const answer = decode(messageSpec('ascii'), Buffer.from(await response.arrayBuffer()))
    expect(answer.ok && answer.message.text(39)).toBe('03')
    await expectNothingOf(sent, 'http')
  })

  it('is not told apart by the card: an unknown, a stolen and a good card get the same answer', async () => {
    await bind(acquirer)
    const stolen = await running.openCard({ state: 'STOLEN' })
    const good = await running.openCard()
    const codes = []
    for (const pan of ['9818990000000009', stolen.pan, good.pan]) codes.push((await byOther.ask('0200', { 2: pan })).text(39))
    expect(codes).toEqual(['03', '03', '03'])
  })

  it('does not give its stored answers to another certificate that asks with a repeat', async () => {
    await bind(acquirer)
    const card = await running.openCard({ balance: 1000 })
    const { sent, answer } = await byAcquirer.exchange('0200', { 2: card.pan, 4: amount(300) })
    expect(answer.has(38)).toBe(true)
    const repeat = { ...sent, mti: '0201' }
    const forged = await byOther.send(repeat)
    expect([forged.text(39), forged.has(38), forged.has(54)]).toEqual(['03', false, false])
    expect((await byAcquirer.send(repeat)).text(38)).toBe(answer.text(38))
  })

  it('cannot have its transaction reversed by another certificate that claims to be it', async () => {
    await bind(acquirer)
    const card = await running.openCard({ balance: 1000 })
    const { sent } = await byAcquirer.exchange('0200', { 2: card.pan, 4: amount(300) })
    for (const mti of ['0400', '0420']) {
      const reversal = compose(running.clock, mti, { 2: card.pan, 4: amount(300), 90: originalOf(sent) })
      expect((await byOther.send(reversal)).text(39), mti).toBe('03')
      await expectNothingOf(reversal)
    }
    expect(await purseOf(running, card)).toEqual({ balance: 700, held: 0 })
    const own = compose(running.clock, '0400', { 2: card.pan, 4: amount(300), 90: originalOf(sent) })
    expect((await byAcquirer.send(own)).text(39)).toBe('00')
    expect(await purseOf(running, card)).toEqual({ balance: 1000, held: 0 })
  })

  it('is served by a new certificate once it is bound to that, and by the old one no more', async () => {
    await bind(acquirer)
    const renewed = authority.issue('acquirer')
    const link = await running.connect('pos', shown(renewed))
    const card = await running.openCard({ balance: 1000 })
    expect((await link.ask('0200', { 2: card.pan })).text(39)).toBe('03')
    await bind(renewed)
    expect((await link.ask('0200', { 2: card.pan, 4: amount(100) })).text(39)).toBe('00')
    expect((await byAcquirer.ask('0200', { 2: card.pan, 4: amount(100) })).text(39)).toBe('03')
  })
})

describe('a merchant that is bound to a certificate', () => {
  it('binds all its terminals that have none of their own', async () => {
    await running.sql(`UPDATE merchant SET certificate = $1 WHERE id = ${MERCHANT_OF_IT}`, [acquirer.fingerprint, TERMINAL])
    await running.sql('UPDATE terminal SET certificate = $1 WHERE terminal_id = $2', [other.fingerprint, 'POS00002'])
    const { pan } = await running.openCard()
    const codes = async (link: TestLink) =>
      Promise.all([TERMINAL, 'POS00002', 'POS00006'].map(async (each) => (await link.ask('0200', { 2: pan, 41: each })).text(39)))
    expect(await codes(byAcquirer)).toEqual(['00', '03', '00'])
    expect(await codes(byOther)).toEqual(['03', '00', '00'])
  })
})

describe('a terminal that is bound to a link', () => {
  it('is served there and nowhere else', async () => {
    await running.sql(`UPDATE terminal SET link = 'pos' WHERE terminal_id = $1`, [TERMINAL])
    const card = await running.openCard({ balance: 1000 })
    expect((await byOther.ask('0200', { 2: card.pan, 4: amount(300) })).text(39)).toBe('00')
    const { sent, answer } = await plain.exchange('0200', { 2: card.pan, 4: amount(300) })
    expect(answer.text(39)).toBe('03')
    await expectNothingOf(sent, 'atm')
    expect(await purseOf(running, card)).toEqual({ balance: 700, held: 0 })
  })
})

describe('a link that wants its terminals bound', () => {
  it('refuses one that is bound to nothing, and one that is bound to its link alone', async () => {
    const gateway = await running.connect('gateway', shown(acquirer))
    const { pan } = await running.openCard()
    expect((await gateway.ask('0200', { 2: pan })).text(39)).toBe('03')
    await running.sql(`UPDATE terminal SET link = 'gateway' WHERE terminal_id = $1`, [TERMINAL])
    expect((await gateway.ask('0200', { 2: pan })).text(39)).toBe('03')
    await bind(acquirer)
    expect((await gateway.ask('0200', { 2: pan })).text(39)).toBe('00')
  })

  it('answers an echo, which names no terminal', async () => {
    const gateway = await running.connect('gateway', shown(other))
    expect((await gateway.ask('0800', { 70: '301' })).text(39)).toBe('00')
  })
})

it('a reversal by another terminal of the same certificate reverses nothing of the first', async () => {
  const card = await running.openCard({ balance: 1000 })
  const { sent } = await byAcquirer.exchange('0200', { 2: card.pan, 4: amount(300) })
  const reversal = compose(running.clock, '0400', { 2: card.pan, 4: amount(300), 41: 'POS00002', 90: originalOf(sent) })
  // DE 90 names originals of the sender's own terminal: this one never came, and 00 says that it never will.
  expect((await byAcquirer.send(reversal)).text(39)).toBe('00')
  expect(await purseOf(running, card)).toEqual({ balance: 700, held: 0 })
})

describe('states of the registry', () => {
  it.each([
    ['terminal', 'SUSPENDED', '58'],
    ['terminal', 'RETIRED', '58'],
    ['merchant', 'SUSPENDED', '03'],
    ['merchant', 'CLOSED', '03'],
  ])('%s %s: %s', async (table, state, code) => {
    const { pan } = await running.openCard()
    const at = table === 'terminal' ? 'terminal_id = $2' : `id = ${MERCHANT_OF_IT}`
    await running.sql(`UPDATE ${table} SET state = $1 WHERE ${at}`, [state, TERMINAL])
    expect((await plain.ask('0200', { 2: pan })).text(39)).toBe(code)
    await running.sql(`UPDATE ${table} SET state = $1 WHERE ${at}`, ['ACTIVE', TERMINAL])
    expect((await plain.ask('0200', { 2: pan })).text(39)).toBe('00')
  })

  it.each<[string, readonly string[]]>([
    ['terminal', TERMINAL_STATES],
    ['merchant', MERCHANT_STATES],
  ])('a %s has those that the code knows, and no others', async (table, states) => {
    for (const state of states.toReversed()) await running.sql(`UPDATE ${table} SET state = $1 WHERE id = 1`, [state])
    await expect(running.sql(`UPDATE ${table} SET state = 'ASLEEP' WHERE id = 1`)).rejects.toThrow(`${table}_state`)
    await expect(running.sql(`UPDATE ${table} SET certificate = 'ab:cd' WHERE id = 1`)).rejects.toThrow('certificate')
  })
})
