import { beforeAll, describe, expect, it } from 'vitest'
import { advanceFrontier, NO_FRONTIER } from '../../../src/ledger/programme/eventFeed.ts'
import type { Desk } from '../../../src/ledger/programme/desk.ts'
import { silentLogger } from '../../../src/log.ts'
import { EventNotices } from '../../../src/programme/notices/eventNotices.ts'
import { demoPinBlock } from '../../../src/programme/demoVerification.ts'
import { openDesk } from '../../support/programmeDesk.ts'
import {
  amount,
  originalOf,
  startTestSwitch,
  until,
  type TestCard,
  type TestLink,
  type TestSwitch,
} from '../../support/switch.ts'

let running: TestSwitch
let desk: Desk
let pos: TestLink
let atm: TestLink
let tellers: readonly EventNotices[]
let final = 0

beforeAll(async () => {
  running = await startTestSwitch()
  desk = openDesk(running)
  pos = await running.connect('pos')
  atm = await running.connect('atm')
  const { config, clock } = running
  tellers = [1, 2].map(() => new EventNotices({ config, desk, final: () => final, clock, log: silentLogger }))
  await running.openCard()
  await pos.ask('0200', { 2: (await running.openCard()).pan, 4: amount(100) })
  await tell()
})

/** Two processes at once, and again. */
async function tell(): Promise<void> {
  let frontier = NO_FRONTIER
  // A SQL transaction of another test on the same server may be open.
  await until(async () => {
    frontier = await desk.read((tx) => advanceFrontier(tx, frontier))
    return frontier.awaited === undefined
  })
  final = frontier.final
  await Promise.all(tellers.map((teller) => teller.round()))
  await Promise.all(tellers.map((teller) => teller.round()))
}

interface Told {
  readonly template: string
  readonly parameters: Readonly<Record<string, unknown>>
}

function told(card: TestCard): Promise<Told[]> {
  return running.sql<Told>('SELECT template, parameters FROM notice WHERE card_token = $1 ORDER BY id', [card.token])
}

async function who(card: TestCard, asks: boolean): Promise<void> {
  await running.sql('UPDATE person SET transaction_notices = $2 WHERE id = (SELECT person_id FROM card WHERE token = $1)', [
    card.token,
    asks,
  ])
}

describe('a holder who asked for it', () => {
  it('is told of each transaction once, of holds when they are completed, of inquiries and declines never', async () => {
    const card = await running.openCard()
    await who(card, true)
    const bought = await pos.exchange('0200', { 2: card.pan, 4: amount(1250) })
    await pos.ask('0200', { 2: card.pan, 4: amount(99_999_999) })
    await pos.ask('0100', { 2: card.pan, 3: '310000', 4: amount(0) })
    await pos.ask('0100', { 2: card.pan, 4: amount(500) })
    await pos.ask('0400', { 2: card.pan, 4: amount(1250), 90: originalOf(bought.sent) })
    await tell()
    const digits = card.pan.slice(-4)
    expect(await told(card)).toMatchObject([
      { template: 'transaction', parameters: { what: '@purchase', amount: '12.50', unit: '@EGP', card: digits } },
      { template: 'transaction', parameters: { what: '@reversal', amount: '12.50', card: digits } },
    ])
  })

  it('is told of loaves by their number', async () => {
    const { head } = await running.openHousehold()
    await who(head, true)
    await pos.ask('0200', {
      ...{ 2: head.pan, 3: '009700', 4: amount(200), 41: 'BAK00001', 42: undefined, 48: 'LV00210' },
      52: demoPinBlock(head.pan).toString('hex').toUpperCase(),
    })
    await tell()
    expect(await told(head)).toMatchObject([{ parameters: { what: '@dispense', amount: '10', unit: '@LOAF' } }])
  })
})

describe('others', () => {
  it('are told nothing of transactions', async () => {
    const card = await running.openCard()
    await pos.ask('0200', { 2: card.pan, 4: amount(100) })
    await tell()
    expect(await told(card)).toEqual([])
  })

  it('are told that a message has blocked the PIN', async () => {
    const card = await running.openCard()
    const wrong = demoPinBlock(card.pan, '0000').toString('hex').toUpperCase()
    const withdrawal = { 2: card.pan, 3: '010000', 4: amount(5000), 41: 'ATM00001', 42: undefined, 52: wrong }
    for (const code of ['55', '55', '55', '75']) expect((await atm.ask('0200', withdrawal)).text(39)).toBe(code)
    await tell()
    expect((await told(card)).map(({ template }) => template)).toEqual(['pin-blocked'])
  })
})

it('what was before it began is not told', async () => {
  expect(await running.sql('SELECT count(*)::int AS count FROM notice WHERE person_id IS NULL')).toEqual([{ count: 0 }])
  expect(await running.sql<{ behind: boolean }>('SELECT until >= 1 AS behind FROM notice_progress')).toEqual([{ behind: true }])
})
