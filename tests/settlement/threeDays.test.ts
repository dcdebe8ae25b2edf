/**
 * Three business days of the national mix, with reversals, late advices, a dispute and a payout that comes back: every book, file and claim agrees with the ledger, and the ledger
 * with what the terminals were told, counted here by itself, message by message.
 */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { demoTerminals, type DemoTerminal } from '../../src/programme/demo.ts'
import { demoPinBlock } from '../../src/programme/demoVerification.ts'
import { randomFrom } from '../../benchmarks/support/random.ts'
import { expectCleanBooks, keyOf } from '../authorize/books.ts'
import { bread, copay, ration } from '../authorize/subsidies.ts'
import { startProgrammeApi, type ProgrammeApi } from '../support/programmeApi.ts'
import { amount, originalOf, until, type Fields, type Sent, type TestHousehold, type TestLink } from '../support/switch.ts'
import { ACCOUNT, camt, closingOf, type FileEntry } from './bank/statementFiles.ts'
import { egyptianIban } from './outlets.ts'

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
      settlement: {
        ...config.settlement,
        days: { ...config.settlement.days, everyMs: 3_600_000 },
        payouts: { ...config.settlement.payouts, minimumPiasters: 1 },
      },
    }),
  })
  await until(async () => (await api.running.sql('SELECT FROM business_day')).length > 0)
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
  withdrawn = 0

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

function withdrawalDeal({ head }: TestHousehold): Deal {
  const terminal = place('ATM00001')
  return {
    link: 'atm',
    terminal,
    fields: {
      2: head.pan,
      3: '010000',
      4: amount(15_000),
      52: demoPinBlock(head.pan).toString('hex').toUpperCase(),
      ...from(terminal),
    },
    count: (_, sign) => {
      tally.withdrawn += sign * 15_000
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
    await buy(day, withdrawalDeal(home))
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
let balanceOfBank = '0.00'
/** Piasters that were paid to each outlet and did not come back. */
const paid = new Map<number, number>()

it.each(DAYS)('%s', { timeout: 60_000 }, async (day) => {
  api.running.clock.moveTo(`${day}T08:00:00Z`)
  const before = yesterday
  yesterday = await live(day, yesterday)
  if (day === DAYS[1]) {
    await settle(day, DAYS[0], { comesBack: true })
    await dispute(day, before)
  }
  if (day === DAYS[2]) await settle(day, DAYS[1], { comesBack: false })
  // The first seconds of the next day: yesterday is closed while it goes on.
  api.running.clock.moveTo(`${day}T22:00:05Z`)
  const closed = await officer().post(`/v1/business-days/${day}/close`, {})
  expect([closed.status, closed.json['state']]).toEqual([200, 'closed'])
  expect(await positions(day)).toEqual(wanted(tally.earned, day))
  const claimed = [...tally.claims].filter(([key]) => key.startsWith(day))
  expect(await claims(day)).toEqual(
    claimed.map(([key, { units, amount: piasters }]) => `${key} ${String(units)} ${String(piasters)}`).sort(),
  )
})

it('when the last day is paid too, outlets are owed nothing, and the books agree to the piaster and the loaf', async () => {
  api.running.clock.moveTo('2026-11-15T08:00:00Z')
  await settle('2026-11-15', DAYS[2], { comesBack: false })
  api.running.clock.moveTo('2026-11-15T22:00:05Z')
  expect((await officer().post('/v1/business-days/2026-11-15/close', {})).status).toBe(200)
  for (const [merchantId, sum] of paid) expect([merchantId, sum]).toEqual([merchantId, earnedBy(merchantId)])
  const { accounts, totals } = (await officer().get('/v1/books/trial-balance?day=2026-11-15')).json as unknown as TrialBalance
  for (const { debit, credit } of totals) expect(debit).toBe(credit)
  const held = new Map(
    accounts.map(({ code, unit, debit, credit }) => [`${String(code)} ${unit}`, piasters(debit) - piasters(credit)]),
  )
  // Outlets, treasury and fund: all is paid, both ways. Suspense has what it lent for the dispute back.
  for (const code of [1200, 1210, 1220, 2200, 2210, 2215, 2220, 2225, 2900])
    expect([code, held.get(`${String(code)} EGP`) ?? 0]).toEqual([code, 0])
  expect(held.get('1010 EGP')).toBe(-tally.withdrawn)
  const [loaves] = await api.running.sql<{ given: string }>(
    `SELECT sum(CASE WHEN debit_code = 2110 THEN amount ELSE -amount END) AS given FROM transfer WHERE 2110 IN (debit_code, credit_code) AND 9001 IN (debit_code, credit_code)`,
  )
  expect(Number(loaves?.given)).toBe(tally.loavesGiven)
})

interface TrialBalance {
  readonly accounts: readonly { code: number; unit: string; debit: string; credit: string }[]
  readonly totals: readonly { debit: string; credit: string }[]
}

const officer = (name = 'officer-1') => api.as('settlement-officer', { name })
const piasters = (pounds: string): number => Math.round(Number(pounds) * 100)
const pounds = (sum: number): string => (sum / 100).toFixed(2)

function earnedBy(merchantId: number): number {
  return [...tally.earned].reduce((sum, [key, value]) => (key.split(' ')[1] === String(merchantId) ? sum + value : sum), 0)
}

/** What outlets have earned up to a day is paid, and what payers owe for the day comes in; one payout may come back. */
async function settle(day: string, until: Day, { comesBack }: { readonly comesBack: boolean }): Promise<void> {
  const due = new Map<number, number>()
  for (const [key, sum] of tally.earned) {
    const [of = '', merchant = ''] = key.split(' ')
    if (of <= until) due.set(Number(merchant), (due.get(Number(merchant)) ?? 0) + sum)
  }
  for (const [merchant, sum] of due) due.set(merchant, sum - (paid.get(merchant) ?? 0))
  await api.running.sql(
    `INSERT INTO merchant_bank_account (merchant_id, version, iban, bic, holder_name, state, made_by, made_at, decided_at)
     SELECT m.id, 1, m.iban, NULL, 'Outlet ' || m.id, 'in-force', 'test', now(), now() FROM unnest($1::bigint[], $2::text[]) AS m(id, iban)
     WHERE NOT EXISTS (SELECT FROM merchant_bank_account b WHERE b.merchant_id = m.id)`,
    [[...due.keys()], [...due.keys()].map((merchant) => egyptianIban(merchant))],
  )
  const run = await officer().post('/v1/payout-runs', {})
  expect([run.status, run.text]).toEqual([202, run.text])
  const approved = await officer('officer-2').post(`/v1/proposals/${String(run.json['proposalId'])}/decision`, {
    decision: 'approve',
  })
  expect([approved.status, approved.text]).toEqual([200, approved.text])
  const file = (await officer().get(`/v1/payout-runs/${String(run.json['runId'])}/file`)).text
  const payouts = [
    ...file.matchAll(/<EndToEndId>(.*?)<\/EndToEndId>.*?<InstdAmt Ccy="EGP">(.*?)<\/InstdAmt>.*?<Cdtr><Nm>Outlet (\d+)<\/Nm>/gs),
  ].map(([, endToEndId = '', value = '', merchant = '']) => ({ endToEndId, value, merchant: Number(merchant) }))
  const owed = [...due].filter(([, sum]) => sum > 0)
  expect(payouts.map(({ merchant, value }) => `${String(merchant)} ${value}`).sort()).toEqual(
    owed.map(([merchant, sum]) => `${String(merchant)} ${pounds(sum)}`).sort(),
  )
  expect(/<CtrlSum>(.*?)<\/CtrlSum>/.exec(file)?.[1]).toBe(pounds(owed.reduce((all, [, sum]) => all + sum, 0)))
  for (const [merchant, sum] of owed) paid.set(merchant, (paid.get(merchant) ?? 0) + sum)
  const entries: FileEntry[] = payouts.map(({ endToEndId, value }) => ({ amount: `-${value}`, endToEndId }))
  if (comesBack) entries.push(...returned(day as Day, payouts))
  for (const payer of [1200, 1210, 1220]) {
    const key = `${until} ${String(payer)} `
    const sum = [...tally.claims].reduce((all, [claim, { amount: value }]) => (claim.startsWith(key) ? all + value : all), 0)
    entries.push({ amount: pounds(sum), text: `CLAIM-${String(payer)}-${until.replaceAll('-', '')}` })
  }
  const statement = { id: `S-${day}`, account: ACCOUNT, day, opening: balanceOfBank, entries }
  balanceOfBank = closingOf(statement)
  const imported = await officer().send('POST', '/v1/bank-statements', camt([statement]), { 'content-type': 'application/xml' })
  expect([imported.status, imported.json['statements']]).toMatchObject([
    201,
    [{ entries: entries.length, matched: entries.length, open: 0 }],
  ])
}

/** A grocer's payout: it is owed again from the day on which it came back. */
function returned(day: Day, payouts: readonly { endToEndId: string; value: string; merchant: number }[]): FileEntry[] {
  const terminal = place('GRO00001')
  const { endToEndId = '', value = '' } = payouts.find(({ merchant }) => merchant === terminal.merchantId) ?? {}
  tally.earn(day, terminal, 2200, piasters(value))
  return [{ amount: value, endToEndId, returnReason: 'MS03' }]
}

/** A purchase of the day before: suspense lends at once, two people grant it, the shop pays. */
async function dispute(day: Day, bought: readonly Done[]): Promise<void> {
  const old = bought.find(({ terminal, fields }) => terminal.class === 'pos' && fields[2] === homes[4]!.head.pan)
  expect(old).toBeDefined()
  const [posting] = await api.running.sql<{ version: string }>(
    'SELECT purse_version AS version FROM "authorization" WHERE key = $1',
    [keyOf(old!.sent)],
  )
  const body = { cardId: homes[4]!.head.token, purse: 'cash', version: Number(posting?.version), reason: 'charged-twice' }
  const opened = await api.as('post-clerk').post('/v1/disputes', body)
  expect([opened.status, opened.text]).toEqual([201, opened.text])
  const proposed = await officer().post(`/v1/disputes/${String(opened.json['disputeId'])}/decision`, {
    outcome: 'grant',
    reason: 'Twice indeed',
  })
  const decided = await officer('officer-2').post(`/v1/proposals/${String(proposed.json['proposalId'])}/decision`, {
    decision: 'approve',
  })
  expect([decided.status, decided.text]).toEqual([200, decided.text])
  old!.count(day, -1)
}

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
