import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { demoMemberPan, demoPan } from '../../src/programme/demo.ts'
import { startTestSwitch, type TestSwitch } from '../support/switch.ts'
import { readSentMessages, type SentMessage } from '../../src/cli/sentMessages.ts'
import { send } from './callSend.ts'

let target: TestSwitch
/** One for all tests: counters of chips and trace numbers go on, as the ledger does. */
let folder: string
/** Of the range whose cards have another scheme's chip and verify PINs otherwise. */
let mchip: string

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sarf-send-'))
  target = await startTestSwitch({ demoHouseholds: 100 })
  mchip = (await target.openCard({ iin: '981805' })).pan
})

beforeEach(() => {
  vi.stubEnv('SARF_STATE', folder)
})

afterEach(() => {
  vi.unstubAllEnvs()
})

afterAll(() => {
  rmSync(folder, { recursive: true })
})

interface Sent {
  readonly responseCode: string
  readonly outcome: {
    readonly billed?: number
    readonly balances?: readonly { readonly purse: string; readonly unit: string; readonly amount: number }[]
    readonly cover?: { readonly class: string; readonly until: string }
    readonly triesLeft?: number
    readonly reason?: string
  }
  readonly checks: { readonly mac?: string; readonly issuer?: string; readonly scripts?: readonly string[] }
}

function lastSent(): SentMessage {
  return readSentMessages(join(folder, 'last.json')).sent.at(-1)!
}

async function sent(...given: string[]): Promise<Sent> {
  return await sentOn('atm', ...given)
}

async function sentOn(link: string, ...given: string[]): Promise<Sent> {
  const { output, error } = await send(...given, '--json', '--link', link, '--port', String(target.portOf(link)))
  if (error !== '') throw new Error(error)
  return JSON.parse(output) as Sent
}

it('a terminal closes its shift: out of balance with our totals, then in balance', async () => {
  const place = ['--terminal', 'POS00009']
  await sent('purchase', '--amount', '12.50', '--card', demoPan(8), ...place)
  expect((await sent('reconcile', ...place, '--totals', '76=2,88=1250')).responseCode).toBe('95')
  await sent('purchase', '--amount', '3', '--card', demoPan(8), ...place)
  expect((await sent('reconcile', ...place, '--totals', '76=1,88=300,97=D300')).responseCode).toBe('00')
})

it('bread is drawn once a day, and after its reversal again', async () => {
  const bread = ['bread', '--loaves', '20', '--card', demoPan(1)]
  const first = await sent(...bread)
  expect(first.responseCode).toBe('00')
  expect(first.outcome.balances?.at(-1)).toMatchObject({ purse: 'bread', unit: 'LOAF' })
  expect(await sent(...bread)).toMatchObject({ responseCode: '65', outcome: { reason: 'day_drawn' } })
  expect((await sent('reversal')).responseCode).toBe('00')
  expect((await sent(...bread)).responseCode).toBe('00')
})

it('a wallet bakery bills the price to the cash purse', async () => {
  const { responseCode, outcome } = await sent('bread', '--loaves', '5', '--terminal', 'BAK00002', '--card', demoPan(2))
  expect(responseCode).toBe('00')
  expect(outcome.billed).toBe(100)
})

it('ration and points are spent at a grocer and refunded to their purse', async () => {
  const before = (await sent('balance', '--purse', 'ration')).outcome.balances?.at(-1)?.amount ?? 0
  expect((await sent('ration', '--basket', 'OIL*1*3000;SUGAR*2*2400')).responseCode).toBe('00')
  expect((await sent('balance', '--purse', 'ration')).outcome.balances?.at(-1)).toMatchObject({
    unit: 'RATION',
    amount: before - 5400,
  })
  expect((await sent('refund')).responseCode).toBe('00')
  expect((await sent('balance', '--purse', 'ration')).outcome.balances?.at(-1)?.amount).toBe(before)
  expect((await sent('points', '--amount', '3', '--card', demoPan(1))).responseCode).toBe('00')
})

it('a clinic learns the cover and bills the holder the part of the class', async () => {
  const card = demoMemberPan(3, 1)
  const eligibility = await sent('eligibility', '--card', card)
  expect(eligibility).toMatchObject({ responseCode: '00', outcome: { cover: { class: 'STANDARD', until: '2030-12-31' } } })
  expect(await sent('copay', '--amount', '80', '--class', 'LAB', '--card', card)).toMatchObject({
    responseCode: '00',
    outcome: { billed: 800 },
  })
  expect(await sent('eligibility', '--fingerprint', 'mismatch', '--card', card)).toMatchObject({
    responseCode: '63',
    outcome: { triesLeft: 7 },
  })
})

it('the hotline puts a card on the file, asks for it, and its next purchase is declined', async () => {
  const { pan } = await target.openCard({ balance: 10_000 })
  const hotcard = (...more: string[]): Promise<Sent> => sentOn('secure', 'hotcard', '--card', pan, ...more)
  expect((await hotcard()).responseCode).toBe('25')
  expect(await hotcard('--what', 'lost', '--reference', 'CALL-118')).toMatchObject({
    responseCode: '00',
    checks: { mac: 'right' },
  })
  expect((await hotcard('--repeat')).responseCode).toBe('00')
  expect((await hotcard()).responseCode).toBe('00')
  expect((await sent('purchase', '--amount', '1', '--card', pan)).responseCode).toBe('41')
  expect((await hotcard('--what', 'stolen')).outcome.reason).toBe('file_not_updated')
})

describe('the virtual chip', () => {
  // Which version of cryptogram a card has follows from the digit before the check digit.
  it.each([() => demoPan(21), () => demoPan(22), () => demoPan(23), () => mchip])(
    'is believed, and believes the answer: %#',
    async (cardOf) => {
      const card = cardOf()
      for (let i = 0; i < 2; i++) {
        const { responseCode, checks } = await sent('purchase', '--amount', '1', '--card', card)
        expect([responseCode, checks]).toEqual(['00', { issuer: 'authenticated' }])
      }
    },
  )

  it('whose counter was used before is declined, and the next counter is fresh', async () => {
    const purchase = ['purchase', '--amount', '1', '--card', demoPan(24)]
    expect(await sent(...purchase)).toMatchObject({ responseCode: '00' })
    const used = String(lastSent().shown?.atc)
    expect(await sent(...purchase, '--atc', used)).toMatchObject({ responseCode: '82' })
    expect(await sent(...purchase)).toMatchObject({ responseCode: '00', checks: { issuer: 'authenticated' } })
  })

  it('gets the commands that wait for it', async () => {
    const { pan, token } = await target.openCard()
    await target.sql("UPDATE card SET issuer_script = 'APPLICATION_BLOCK' WHERE token = $1", [token])
    expect(await sent('purchase', '--amount', '1', '--card', pan)).toMatchObject({
      checks: { issuer: 'authenticated', scripts: ['APPLICATION_BLOCK'] },
    })
  })

  it('is asked again by a repeat with the same bytes, and gets the same answer', async () => {
    const first = await sent('withdrawal', '--amount', '50', '--card', demoPan(27))
    const again = await sent('withdrawal', '--repeat')
    expect([first.responseCode, again.responseCode]).toEqual(['00', '00'])
    expect(again.outcome).toEqual(first.outcome)
    expect(again.checks).toEqual({ issuer: 'authenticated' })
  })
})

it.each([
  ['contactless', ['--entry', 'contactless'], '00'],
  ['stripe', ['--entry', 'stripe'], '00'],
  ['stripe in contactless', ['--entry', 'contactless-stripe'], '00'],
  ['printed value', ['--entry', 'manual'], '00'],
  ['number alone', ['--no-chip'], '00'],
])('a card whose %s is shown is believed', async (_what, options, code) => {
  for (const card of [demoPan(28), mchip]) {
    expect(await sent('purchase', '--amount', '1', '--card', card, ...options)).toMatchObject({ responseCode: code })
  }
})

describe('the virtual PIN pad', () => {
  it.each(['0', '3', '4'])('makes blocks of format %s that the switch verifies', async (format) => {
    for (const card of [demoPan(29), mchip]) {
      const balance = ['balance', '--terminal', 'ATM00001', '--card', card, '--pin-format', format]
      expect(await sent(...balance)).toMatchObject({ responseCode: '00' })
      expect(await sent(...balance, '--pin', '98765')).toMatchObject({ responseCode: '55' })
      expect(await sent(...balance)).toMatchObject({ responseCode: '00' })
    }
  })

  it('is left alone where it is told so, and the switch asks for the PIN', async () => {
    const cash = ['withdrawal', '--amount', '50', '--card', demoPan(30)]
    expect(await sent(...cash, '--no-pin')).toMatchObject({ responseCode: '55', checks: { issuer: 'authenticated' } })
    expect(await sent(...cash, '--plain')).toMatchObject({ responseCode: '55', checks: {} })
  })

  it.each(['0', '3', '4'])('changes the PIN with blocks of format %s', async (format) => {
    const card = demoPan(31)
    const before = format === '0' ? [] : ['--pin', '2468']
    const change = ['pin-change', '--card', card, '--pin-format', format, '--new-pin', '2468']
    expect(await sent(...change, ...before)).toMatchObject({ responseCode: '00', checks: { issuer: 'authenticated' } })
    expect(await sent('withdrawal', '--amount', '50', '--card', card)).toMatchObject({ responseCode: '55' })
    expect(await sent('withdrawal', '--amount', '50', '--card', card, '--pin', '2468')).toMatchObject({ responseCode: '00' })
  })
})

describe('on a link that demands MACs', () => {
  it('messages and answers carry them, whatever they are about', async () => {
    for (const message of [['purchase', '--amount', '1'], ['echo'], ['reversal']]) {
      expect(await sentOn('secure', ...message)).toMatchObject({ responseCode: '00', checks: { mac: 'right' } })
    }
  })

  it.each(['mac', 'pin'])('a new %s key is sent, taken over and used', async (purpose) => {
    const cash = ['withdrawal', '--amount', '50', '--card', demoPan(32)]
    expect(await sentOn('secure', 'key-change', '--new-key', purpose)).toMatchObject({
      responseCode: '00',
      checks: { mac: 'right' },
    })
    expect(await sentOn('secure', ...cash)).toMatchObject({
      responseCode: '00',
      checks: { mac: 'right', issuer: 'authenticated' },
    })
    const kept = readFileSync(join(folder, 'last.json'), 'utf8')
    expect(kept).toContain(purpose === 'mac' ? '"base": "mac.secure"' : '"base": "zpk.secure"')
  })

  it('a message under a key that another one has taken the place of is refused, and so is its answer', async () => {
    // Without what was kept the configured key is used, which is good while messages of it may be in flight, and no longer.
    writeFileSync(
      join(folder, 'last.json'),
      readFileSync(join(folder, 'last.json'), 'utf8').replace('"sessionKeys"', '"forgotten"'),
    )
    const echo = ['echo', '--json', '--link', 'secure', '--port', String(target.portOf('secure'))]
    expect(await send(...echo)).toMatchObject({ code: 0 })
    target.clock.moveTo(target.clock.now() + target.config.sessionKeys.overlapMs)
    const refused = await send(...echo)
    expect(refused.code).toBe(3)
    expect(JSON.parse(refused.output)).toMatchObject({ responseCode: '63', checks: { mac: 'wrong' } })
  })

  it('a link that takes no keys says so before anything is sent', async () => {
    expect(await send('key-change', '--link', 'pos')).toMatchObject({
      code: 2,
      error: expect.stringContaining('link pos takes no new mac key; --link secure does') as string,
    })
  })
})
