/**
 * Three business days of the national mix, with reversals, refunds, late advices: what the books, positions and claims say is what the terminals were told, counted here by
 * itself, message by message.
 */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { demoTerminals, type DemoTerminal } from '../../src/programme/demo.ts'
import { randomFrom } from '../../benchmarks/support/random.ts'
import { expectCleanBooks } from '../authorize/books.ts'
import { bread, copay, ration } from '../authorize/subsidies.ts'
import { startProgrammeApi, type ProgrammeApi } from '../support/programmeApi.ts'
import { amount, originalOf, type Fields, type Sent, type TestHousehold, type TestLink } from '../support/switch.ts'

const DAYS = ['2026-11-10', '2026-11-11', '2026-11-12'] as const
type Day = (typeof DAYS)[number]
const HOUSEHOLDS = 8
const LOAF = { price: 20, cost: 125 }
const BREAD_A_DAY = 20
const COPAY_SHARE = 0.1

let api: ProgrammeApi
let links: Readonly<Record<'pos' | 'atm', TestLink>>
let homes: readonly TestHousehold[]
const random = randomFrom(20261110)

beforeAll(async () => {
  api = await startProgrammeApi({
    at: `${DAYS[0]}T07:00:00Z`,
    configure: (config) => ({
      ...config,
      // Days are closed when the test says so.
      settlement: { ...config.settlement, days: { ...config.settlement.days, everyMs: 3_600_000 } },
    }),
  })
  links = { pos: await api.running.connect('pos'), atm: await api.running.connect('atm') }
  homes = await Promise.all(
    Array.from({ length: HOUSEHOLDS }, () => api.running.openHousehold({ cash: 2_000_000, ration: 50_000 })),
  )
})

afterAll(async () => {
  await expectCleanBooks(api.running)
})

/** What was told, added up as an accountant at the outlets would: no table of the switch is read for it. */
class Tally {
  /** Piasters by day, outlet and account: `2026-11-10 41 2210`. */
  readonly earned = new Map<string, number>()
  /** Piasters and units by day, payer, service and governorate. */
  readonly claims = new Map<string, { units: number; amount: number }>()
  loavesGiven = 0

  earn(day: Day, { merchantId }: DemoTerminal, code: number, piasters: number): void {
    if (piasters === 0) return
    const key = `${day} ${String(merchantId)} ${String(code)}`
    this.earned.set(key, (this.earned.get(key) ?? 0) + piasters)
  }

  claim(day: Day, { governorate }: DemoTerminal, payer: number, service: number, units: number, piasters: number): void {
    const key = `${day} ${String(payer)} ${String(service)} ${String(governorate)}`
    const before = this.claims.get(key) ?? { units: 0, amount: 0 }
    this.claims.set(key, { units: before.units + units, amount: before.amount + piasters })
  }
}

const tally = new Tally()

/** Something that was approved: what it did, and so what giving it back does. */
interface Done {
  readonly sent: Sent
  readonly approvalCode: string | undefined
  readonly link: 'pos' | 'atm'
  readonly terminal: DemoTerminal
  readonly fields: Fields
  readonly count: (day: Day, sign: 1 | -1) => void
}

const place = (terminalId: string): DemoTerminal => {
  const found = demoTerminals().find((terminal) => terminal.terminalId === terminalId)
  if (found === undefined) throw new RangeError(`no terminal ${terminalId}`)
  return found
}
const from = ({ terminalId, acceptorId }: DemoTerminal): Fields => ({ 41: terminalId, 42: acceptorId })
const pick = <T>(items: readonly T[]): T => {
  const item = items[random.below(items.length)]
  if (item === undefined) throw new RangeError('nothing to pick from')
  return item
}

type Deal = Omit<Done, 'sent' | 'approvalCode'> & { readonly mti?: string }

function breadDeal({ head }: TestHousehold, more: Fields = {}): Deal {
  const terminal = place(pick(['BAK00001', 'BAK00002', 'BAK00003', 'BAK00004']))
  const subsidy = BREAD_A_DAY * (LOAF.cost - LOAF.price)
  return {
    link: 'pos',
    terminal,
    fields: bread(head.pan, BREAD_A_DAY, 1, { ...from(terminal), ...more }),
    count: (day, sign) => {
      tally.earn(day, terminal, 2210, sign * (subsidy + (terminal.wallet ? BREAD_A_DAY * LOAF.price : 0)))
      tally.claim(day, terminal, 1210, 3, sign * BREAD_A_DAY, sign * subsidy)
      tally.loavesGiven += sign * BREAD_A_DAY
    },
  }
}

function rationDeal({ head }: TestHousehold, more: Fields = {}): Deal {
  const terminal = place(pick(['GRO00001', 'GRO00002']))
  const value = 100 + random.below(900)
  return {
    link: 'pos',
    terminal,
    fields: ration(head.pan, [`TEA*1*${String(value)}`], { ...from(terminal), ...more }),
    count: (day, sign) => {
      tally.earn(day, terminal, 2200, sign * value)
      tally.claim(day, terminal, 1200, 2, sign * value, sign * value)
    },
  }
}

function cashDeal({ head }: TestHousehold, terminalId: string, code: number, processing: string): Deal {
  const terminal = place(terminalId)
  const value = 100 + random.below(20_000)
  return {
    link: 'pos',
    terminal,
    fields: { 2: head.pan, 3: processing, 4: amount(value), ...from(terminal) },
    count: (day, sign) => {
      tally.earn(day, terminal, code, sign * value)
    },
  }
}

function copayDeal({ head }: TestHousehold): Deal {
  const terminal = place(pick(['CLN00001', 'CLN00002']))
  const bill = 10 * (100 + random.below(1000))
  return {
    link: 'pos',
    terminal,
    fields: copay(head.pan, bill, 'MED', from(terminal)),
    count: (day, sign) => {
      tally.earn(day, terminal, 2225, sign * bill)
      tally.claim(day, terminal, 1220, 0, 0, sign * (bill - bill * COPAY_SHARE))
    },
  }
}

async function buy(day: Day, deal: Deal): Promise<Done> {
  const { mti = '0200', ...rest } = deal
  const { sent, answer } = await links[deal.link].exchange(mti, deal.fields)
  expect([deal.fields[3], deal.terminal.terminalId, answer.text(39)]).toEqual([deal.fields[3], deal.terminal.terminalId, '00'])
  deal.count(day, 1)
  return { ...rest, sent, approvalCode: answer.text(38) }
}

async function reverse(day: Day, done: Done): Promise<void> {
  const answer = await links[done.link].ask('0400', { ...done.fields, 90: originalOf(done.sent) })
  expect(answer.text(39)).toBe('00')
  done.count(day, -1)
}

/** All that happens on a day; what is given back of the day before is the day's own. */
async function live(day: Day, yesterday: readonly Done[]): Promise<Done[]> {
  const done: Done[] = []
  const [, month = '', date = ''] = day.split('-')
  for (const home of homes) {
    done.push(await buy(day, breadDeal(home)))
    done.push(await buy(day, rationDeal(home)))
    done.push(await buy(day, cashDeal(home, pick(['POS00001', 'POS00006', 'POS00011']), 2220, '000000')))
    done.push(await buy(day, copayDeal(home)))
    done.push(await buy(day, cashDeal(home, 'GOV00001', 2215, '500000')))
  }
  await reverse(day, await buy(day, cashDeal(homes[0]!, 'POS00001', 2220, '000000')))
  await reverse(day, await buy(day, rationDeal(homes[1]!)))
  // An offline terminal's news of the day before: posted today.
  await buy(day, {
    ...rationDeal(homes[2]!, { 12: '110000', 13: `${month}${String(Number(date) - 1).padStart(2, '0')}` }),
    mti: '0220',
  })
  for (const [index, old] of yesterday.entries()) if (index % 7 === 3) await reverse(day, old)
  return done
}

let yesterday: readonly Done[] = []

it.each(DAYS)('%s: positions and claims are what terminals were told', { timeout: 60_000 }, async (day) => {
  api.running.clock.moveTo(`${day}T08:00:00Z`)
  yesterday = await live(day, yesterday)
  // The first seconds of the next day: yesterday is closed while it goes on.
  api.running.clock.moveTo(`${day}T22:00:05Z`)
  const closed = await api.as('settlement-officer').post(`/v1/business-days/${day}/close`, {})
  expect([closed.status, closed.json['state']]).toEqual([200, 'closed'])
  expect(await positions(day)).toEqual(wanted(tally.earned, day))
  expect(await claims(day)).toEqual(
    [...tally.claims]
      .filter(([key]) => key.startsWith(day))
      .map(([key, { units, amount: piasters }]) => `${key} ${String(units)} ${String(piasters)}`)
      .sort(),
  )
})

function wanted(sums: ReadonlyMap<string, number>, day: Day): string[] {
  return [...sums]
    .filter(([key]) => key.startsWith(day))
    .map(([key, sum]) => `${key} ${String(sum)}`)
    .sort()
}

async function positions(day: Day): Promise<string[]> {
  const rows = await api.running.sql<{ text: string }>(
    `SELECT concat_ws(' ', day, merchant_id, code, net) AS text FROM outlet_position WHERE day = $1 AND debits + credits > 0`,
    [day],
  )
  return rows.map(({ text }) => text).sort()
}

async function claims(day: Day): Promise<string[]> {
  const rows = await api.running.sql<{ text: string }>(
    `SELECT concat_ws(' ', day, payer_code, service, governorate, units, amount) AS text FROM claim WHERE day = $1`,
    [day],
  )
  return rows.map(({ text }) => text).sort()
}
