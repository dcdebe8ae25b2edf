/** New keys over the link (0800, DE 70 161): a right one is in force everywhere, a wrong one nowhere, and none comes back. */
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { parsePrivateData, privateDatum } from '../../src/iso8583/privateData.ts'
import { silentLogger } from '../../src/log.ts'
import { startSwitch, type RunningSwitch } from '../../src/main.ts'
import { demoPin } from '../../src/programme/demoVerification.ts'
import { developmentKeys } from '../../src/security/developmentKeys.ts'
import { exportKey } from '../../src/security/keyBlockOperations.ts'
import type { KeyHandle, KeyUsage } from '../../src/security/keys.ts'
import { softwareKeyStore } from '../../src/security/softwareKeys.ts'
import { enterPin } from '../../src/security/virtualPinPad.ts'
import { hex } from '../support/cardholder.ts'
import { MacPeer, type MacAnswer } from '../support/macLink.ts'
import { amount, at, compose, startTestSwitch, TestLink, until, type Fields, type TestSwitch } from '../support/switch.ts'
import { expectCleanBooks } from './books.ts'

const OVERLAP_MS = 60_000

let running: TestSwitch
let second: RunningSwitch
/** What the peer of the switch has: the development keys, and those that it makes. */
const peerKeys = softwareKeyStore(developmentKeys())
/** `atm` has MACs and takes keys, `gateway` takes keys without MACs, `pos` takes none. */
let atm: MacPeer
let elsewhere: MacPeer
let current: KeyHandle

beforeAll(async () => {
  running = await startTestSwitch({
    configure: (config) => ({
      ...config,
      sessionKeys: { overlapMs: OVERLAP_MS, freshMs: 0 },
      links: config.links.map((link) => ({
        ...link,
        ...(link.name === 'atm' ? { mac: { key: 'mac.atm' } } : {}),
        ...(link.name === 'pos' ? {} : { transportKey: `transport.${link.name}` }),
      })),
    }),
  })
  current = peerKeys.find('mac.atm', 'M6')
  atm = new MacPeer(running, await running.connect('atm'), current)
  second = await startSwitch(running.config, { log: silentLogger, clock: running.clock, schemas: 'at first use' })
  const { port } = second.addresses.find(({ name }) => name === 'atm')!
  elsewhere = new MacPeer(running, await TestLink.open(running.config, running.clock, 'atm', port), current)
})

beforeEach(() => {
  atm.key = elsewhere.key = current
})

afterAll(async () => {
  await expectCleanBooks(running)
  elsewhere.link.client.destroy()
  await second.drain()
})

let made = 0

/** A new key of the peer's. */
function newKey(usage: KeyUsage = 'M6', algorithm: 'A' | 'T' = 'A'): KeyHandle {
  const name = `made.${String(++made)}`
  peerKeys.put({ name, usage, algorithm, exportable: true, value: randomBytes(16) })
  return peerKeys.find(name, usage)
}

/** The message that brings a key. */
function bringing(key: KeyHandle, change: { under?: string; kcv?: string; block?: string } = {}) {
  const { under = 'transport.atm', kcv = key.info.kcv, block = exportKey(peerKeys, key.info.name, under) } = change
  const data = `KB${String(block.length).padStart(3, '0')}${block}KC${String(kcv.length).padStart(3, '0')}${kcv}`
  return compose(running.clock, '0800', { 70: '161', 48: data })
}

function kcvIn(asked: MacAnswer | undefined): string | undefined {
  const data = parsePrivateData(asked?.answer.text(48) ?? '')
  return data.ok ? privateDatum(data.value, 'KC') : undefined
}

/** What an echo under this key is answered. */
async function echo(peer: MacPeer, key: KeyHandle): Promise<string | undefined> {
  const own = new MacPeer(running, peer.link, key)
  const asked = await own.ask(compose(running.clock, '0800', { 70: '301' }))
  // The answer is authenticated with the key of its question.
  if (asked?.answer.text(39) === '00') expect(asked.right).toBe('DE 128')
  return asked?.answer.text(39)
}

async function generations(base = 'mac.atm'): Promise<number> {
  return (await running.sql('SELECT 1 FROM session_key WHERE base = $1', [base])).length
}

describe('a right key', () => {
  it('is answered with its check value under the key before, and is in force in every process', async () => {
    const key = newKey()
    const asked = await atm.ask(bringing(key))
    expect([asked?.answer.text(39), asked?.right, kcvIn(asked)]).toEqual(['00', 'DE 128', key.info.kcv])
    expect([await echo(atm, key), await echo(elsewhere, key)]).toEqual(['00', '00'])
    current = key
  })

  it('leaves the one before good for messages in flight, and no longer', async () => {
    const [before, key] = [current, newKey()]
    expect(await atm.codeOf(bringing(key))).toBe('00')
    expect([await echo(atm, before), await echo(elsewhere, before)]).toEqual(['00', '00'])
    running.clock.moveTo(running.clock.now() + OVERLAP_MS)
    expect(await echo(atm, before)).toBe('63')
    // Another process learns of it when it looks next.
    await until(async () => (await echo(elsewhere, before)) === '63')
    expect([await echo(atm, key), await echo(elsewhere, key)]).toEqual(['00', '00'])
    current = key
  })

  it('is in force after a restart', async () => {
    await running.restart()
    atm = new MacPeer(running, await running.connect('atm'), current)
    expect(await echo(atm, current)).toBe('00')
    expect(await echo(atm, peerKeys.find('mac.atm', 'M6'))).toBe('63')
  })

  it('that is sent again because its answer was lost is answered as the first time, by any process', async () => {
    const key = newKey()
    const block = exportKey(peerKeys, key.info.name, 'transport.atm')
    expect(await atm.codeOf(bringing(key, { block }))).toBe('00')
    const count = await generations()
    for (const peer of [atm, elsewhere]) {
      const asked = await peer.ask(bringing(key, { block }))
      expect([asked?.answer.text(39), kcvIn(asked)]).toEqual(['00', key.info.kcv])
    }
    expect(await generations()).toBe(count)
    current = key
  })
})

describe('a wrong key is 63, and the one before stays in force', () => {
  const cases: [string, () => ReturnType<typeof bringing>][] = [
    ['with another check value', () => bringing(newKey(), { kcv: '000000' })],
    [
      'under the transport key of another kind of link',
      () => {
        const other = newKey('K1')
        return bringing(newKey(), { under: other.info.name })
      },
    ],
    [
      'whose block was changed',
      () => {
        const key = newKey()
        const block = exportKey(peerKeys, key.info.name, 'transport.atm')
        return bringing(key, { block: block.slice(0, -1) + (block.endsWith('0') ? '1' : '0') })
      },
    ],
    [
      'whose block is cut off',
      () => {
        const key = newKey()
        return bringing(key, { block: exportKey(peerKeys, key.info.name, 'transport.atm').slice(0, -16) })
      },
    ],
    ['for a purpose that the link has no key for', () => bringing(newKey('D0'))],
    ['of another algorithm than the link authenticates with', () => bringing(newKey('M3', 'T'))],
  ]

  it.each(cases)('%s', async (_, message) => {
    const count = await generations()
    const asked = await atm.ask(message())
    expect([asked?.answer.text(39), asked?.right, kcvIn(asked)]).toEqual(['63', 'DE 128', undefined])
    expect(await generations()).toBe(count)
    expect([await echo(atm, current), await echo(elsewhere, current)]).toEqual(['00', '00'])
  })

  it('that was in force before: who recorded its block cannot bring it back', async () => {
    const [first, next] = [newKey(), newKey()]
    const recorded = exportKey(peerKeys, first.info.name, 'transport.atm')
    expect(await atm.codeOf(bringing(first, { block: recorded }))).toBe('00')
    atm.key = first
    expect(await atm.codeOf(bringing(next))).toBe('00')
    atm.key = elsewhere.key = current = next
    for (const peer of [atm, elsewhere]) expect(await peer.codeOf(bringing(first, { block: recorded }))).toBe('63')
    expect(await atm.codeOf(bringing(peerKeys.find('mac.atm', 'M6')))).toBe('63')
    running.clock.moveTo(running.clock.now() + OVERLAP_MS)
    expect([await echo(atm, first), await echo(atm, next)]).toEqual(['63', '00'])
  })

  it('without a MAC, or with one under a key that is over', async () => {
    const key = newKey()
    const sent = bringing(key)
    expect(await atm.codeOf(sent, atm.link.encode(sent))).toBe('63')
    const old = new MacPeer(running, atm.link, peerKeys.find('mac.atm', 'M6'))
    expect(await old.codeOf(bringing(key))).toBe('63')
    expect(await echo(atm, key)).toBe('63')
  })

  it('over a link that takes none', async () => {
    const pos = await running.connect('pos')
    const { mti, fields } = bringing(newKey(), { under: 'transport.pos' })
    expect((await pos.ask(mti, fields)).text(39)).toBe('63')
  })

  it('a message that lacks the block or the check value is 30', async () => {
    const gateway = await running.connect('gateway')
    for (const data of ['KC006123456', undefined])
      expect((await gateway.ask('0800', { 70: '161', 48: data })).text(39)).toBe('30')
  })
})

describe('a PIN key', () => {
  it('verifies PINs from then on; blocks under the one before too while they are in flight', async () => {
    const gateway = await running.connect('gateway')
    const card = await running.openCard()
    const withdraw = async (key: KeyHandle, more: Fields = {}): Promise<string | undefined> =>
      (
        await gateway.ask('0200', {
          ...{ 2: card.pan, 3: '010000', 4: amount(5000), ...at('atm') },
          52: hex(enterPin(key, 0, card.pan, demoPin(card.pan))),
          ...more,
        })
      ).text(39)
    const [before, key] = [peerKeys.find('zpk.gateway', 'P0'), newKey('P0', 'T')]
    const { mti, fields } = bringing(key, { under: 'transport.gateway' })
    expect((await gateway.ask(mti, fields)).text(39)).toBe('00')
    expect([await withdraw(key), await withdraw(before)]).toEqual(['00', '00'])
    const change = await gateway.ask('0600', {
      ...{ 2: card.pan, 3: '700000', 4: undefined, ...at('atm') },
      52: hex(enterPin(before, 0, card.pan, demoPin(card.pan))),
      48: `NP016${hex(enterPin(before, 0, card.pan, demoPin(card.pan)))}`,
    })
    expect(change.text(39)).toBe('00')
    running.clock.moveTo(running.clock.now() + OVERLAP_MS)
    expect([await withdraw(key), await withdraw(before)]).toEqual(['00', '86'])
    expect(await running.sql('SELECT pin_tries FROM card WHERE token = $1', [card.token])).toEqual([{ pin_tries: 0 }])
  })
})

it('many keys at once: each is answered, and one of those that were taken is in force everywhere', async () => {
  const made = Array.from({ length: 5 }, () => newKey())
  const codes = await Promise.all(made.map((key, index) => (index % 2 === 0 ? atm : elsewhere).codeOf(bringing(key))))
  expect(codes.every((code) => code === '00' || code === '91')).toBe(true)
  running.clock.moveTo(running.clock.now() + OVERLAP_MS)
  const good = []
  for (const key of made) if ((await echo(atm, key)) === '00' && (await echo(elsewhere, key)) === '00') good.push(key)
  expect(good).toHaveLength(1)
})
