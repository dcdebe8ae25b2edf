import { Client } from 'pg'
import { once } from 'node:events'
import { get, type IncomingMessage } from 'node:http'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { developmentToken } from '../../src/admin/access/tokens.ts'
import { Desk } from '../../src/ledger/programme/desk.ts'
import { postBook } from '../../src/ledger/settlement/book.ts'
import { silentLogger } from '../../src/log.ts'
import { BusinessDays } from '../../src/settlement/businessDays.ts'
import { bread, ration } from '../authorize/subsidies.ts'
import { expectCleanBooks } from '../authorize/books.ts'
import { startProgrammeApi, type ApiAnswer, type ProgrammeApi } from '../support/programmeApi.ts'
import { amount, at, originalOf, until, type TestCard, type TestHousehold, type TestLink } from '../support/switch.ts'

let api: ProgrammeApi
let desk: Desk
let days: BusinessDays
let pos: TestLink
let household: TestHousehold
let card: TestCard
let bought: Awaited<ReturnType<TestLink['exchange']>>
let merchant: { bakery: number; shop: number }
let machine: number

const FIRST = '2026-11-10'
const SECOND = '2026-11-11'

beforeAll(async () => {
  api = await startProgrammeApi({
    at: `${FIRST}T09:00:00Z`,
    // Days are looked at when a test says so.
    configure: (config) => ({
      ...config,
      books: { ...config.books, readersMax: 1, stalledMs: 500 },
      settlement: { ...config.settlement, days: { ...config.settlement.days, everyMs: 3_600_000 } },
    }),
  })
  const { running } = api
  desk = new Desk({ ...running.config.desk, url: running.databaseUrl, shard: 0, clock: running.clock, log: silentLogger })
  days = new BusinessDays({ config: running.config, desk, clock: running.clock, log: silentLogger })
  pos = await running.connect('pos')
  household = await running.openHousehold()
  card = await running.openCard()
  await pos.ask('0200', bread(household.head.pan, 5))
  await pos.ask('0200', ration(household.head.pan, ['OIL*1*1250']))
  bought = await pos.exchange('0200', { ...at('pos'), 2: card.pan, 4: amount(2000) })
  await pos.ask('0200', { 2: card.pan, 3: '010000', 4: amount(5000), ...at('atm') })
  await until(() => days.run())
  const owner = async (code: number): Promise<number> =>
    Number(
      (
        await running.sql<{ owner: string }>(
          'SELECT max(greatest(debit_owner * (debit_code = $1)::int, credit_owner * (credit_code = $1)::int)) AS owner FROM transfer',
          [code],
        )
      )[0]?.owner,
    )
  merchant = { bakery: await owner(2210), shop: await owner(2220) }
  machine = await owner(1010)
})

afterAll(async () => {
  await desk.close()
})

const officer = (path: string, headers: Record<string, string> = {}): Promise<ApiAnswer> =>
  api.as('settlement-officer').get(`/v1/books/${path}`, headers)
const CSV = { accept: 'text/csv' }
const statement = (account: string, from = FIRST, to = from, more = ''): string =>
  `accounts/${account}/statement?from=${from}&to=${to}${more}`

/** What is asked again at the end. */
const asked = new Map<string, string>()
async function first(path: string, headers: Record<string, string> = {}): Promise<ApiAnswer> {
  const answer = await officer(path, headers)
  expect([answer.status, answer.text]).toEqual([200, answer.text])
  asked.set(JSON.stringify([path, headers]), answer.text)
  return answer
}

async function payOut(key: string, piasters: number): Promise<void> {
  await desk.run({
    ...{ actor: { name: 'test', roles: [] }, action: 'test', subject: 'test' },
    work: async (tx) => {
      const transfers = [{ debitCode: 2210, debitOwner: merchant.bakery, creditCode: 1000, creditOwner: 0, amount: piasters }]
      await postBook(tx, [
        { key, kind: 'paid-by-hand', valueDate: SECOND, reference: null, madeBy: 'test', note: null, transfers },
      ])
      return { ok: true, value: null }
    },
  })
}

describe('the day that is open', () => {
  it('is told as far as it is final', async () => {
    const ledger = (await officer(`general-ledger/${FIRST}`)).text.trim().split('\n')
    expect(ledger.at(-1)).toMatch(/^END,2026-11-10,\d+,\d+$/)
    const balance = await officer(`trial-balance?day=${FIRST}`)
    expect(balance.json).toMatchObject({ asOf: FIRST })
    expect(balance.json['accounts']).toContainEqual({ code: 2210, unit: 'EGP', debit: '0.00', credit: '5.25' })
  })

  it('has no books of an instant that is not final yet', async () => {
    const answer = await officer(`trial-balance?at=${new Date(api.running.clock.now() + 60_000).toISOString()}`)
    expect(answer.json).toMatchObject({ status: 409, type: 'urn:sarf:problem:not-final-yet' })
    expect(answer.headers.get('retry-after')).toBe('15')
  })
})

describe('a day that is closed', () => {
  beforeAll(async () => {
    api.running.clock.moveTo(`${FIRST}T22:00:05Z`)
    expect(await days.run()).toBe(true)
  })

  it('has each transfer in its general ledger, and control sums', async () => {
    const { text, headers } = await first(`general-ledger/${FIRST}`)
    expect(headers.get('content-type')).toBe('text/csv; charset=utf-8')
    const rows = text
      .trim()
      .split('\n')
      .map((line) => line.split(','))
    const posted = rows.filter(([, , , kind]) => kind === 'dispense' || kind === 'purchase' || kind === 'withdrawal')
    expect(posted.map((row) => [row[1], ...row.slice(3, 5), row[6], ...row.slice(8, 10), row[11]].join(' '))).toEqual([
      '2026-11-10 dispense 2110 9001 LOAF 5 BAK00001',
      '2026-11-10 dispense 1210 2210 EGP 5.25 BAK00001',
      '2026-11-10 dispense 2100 9001 RATION 12.50 GRO00001',
      '2026-11-10 dispense 1200 2200 EGP 12.50 GRO00001',
      '2026-11-10 purchase 2000 2220 EGP 20.00 POS00001',
      '2026-11-10 withdrawal 2000 1010 EGP 50.00 ATM00001',
    ])
    const lines = rows.filter(([number]) => /^\d+$/.test(number ?? ''))
    const totals = rows.filter(([word]) => word === 'TOTAL')
    expect(rows.at(-1)?.[2]).toBe(String(lines.length))
    for (const [, unit, count, sum] of totals) {
      const own = lines.filter((line) => line[8] === unit)
      expect(String(own.length)).toBe(count)
      expect(own.reduce((all, line) => all + Math.round(Number(line[9]) * 100), 0)).toBe(Math.round(Number(sum) * 100))
    }
    const inLedger = await api.running.sql<{ count: string }>('SELECT count(*) FROM general_ledger')
    expect(String(lines.length)).toBe(inLedger[0]?.count)
    expect(text).not.toContain(household.head.pan)
    expect(text).not.toContain(household.head.token)
  })

  it('balances, unit by unit, as the day was closed', async () => {
    const { json } = await first(`trial-balance?day=${FIRST}`)
    const totals = json['totals'] as { unit: string; debit: string; credit: string }[]
    expect(totals.map(({ unit }) => unit)).toEqual(['EGP', 'RATION', 'POINTS', 'LOAF'])
    for (const { debit, credit } of totals) expect(debit).toBe(credit)
    const closed = await api.running.sql<{ code: number; balance: number }>(
      'SELECT code::int, balance::int FROM day_total WHERE unit = 1 AND balance <> 0 ORDER BY code',
    )
    const shown = (json['accounts'] as { code: number; unit: string; debit: string; credit: string }[]).filter(
      ({ unit }) => unit === 'EGP',
    )
    expect(
      shown.map(({ code, debit, credit }) => ({ code, balance: Math.round((Number(debit) - Number(credit)) * 100) })),
    ).toEqual(closed)
  })

  it('has the books of any instant of it', async () => {
    expect((await first(`trial-balance?at=${FIRST}T08:59:00Z`)).json).toMatchObject({ until: 0, accounts: [] })
    expect((await first(`trial-balance?at=${FIRST}T22:00:00.000Z`)).json).toMatchObject({
      totals: (await officer(`trial-balance?day=${FIRST}`)).json['totals'],
    })
  })

  it('has statements of outlets, machines and the programme', async () => {
    const { json } = await first(statement(`2210/${String(merchant.bakery)}`))
    expect(json).toMatchObject({
      opening: '0.00',
      closing: '-5.25',
      lines: [{ kind: 'dispense', credit: '5.25', debit: null, otherAccount: 1210, terminal: 'BAK00001' }],
    })
    expect((await first(statement('1210/0'), CSV)).text.split('\n').slice(1)).toEqual([
      'OPENING,1210,0,EGP,2026-11-10,0.00',
      expect.stringMatching(/^\d+,2026-11-10,2026-11-10,dispense,2210,\d+,5\.25,,5\.25,\w+,BAK00001,\w+$/),
      'CLOSING,1210,0,EGP,2026-11-10,5.25',
      '',
    ])
    expect((await first(statement(`1010/${String(machine)}`))).json).toMatchObject({ opening: '0.00', closing: '-50.00' })
    expect((await first(statement('9001/0', FIRST, FIRST, '&unit=LOAF'))).json).toMatchObject({ closing: '-5' })
  })
})

describe('a later day', () => {
  beforeAll(async () => {
    const { clock } = api.running
    clock.moveTo(`${SECOND}T09:00:00Z`)
    // An advice of the day before, a reversal of what was bought then, and a payout.
    const advice = bread(household.head.pan, 5)
    await pos.ask('0220', { ...advice, 12: '120000', 13: '1110' })
    await pos.ask('0400', { ...at('pos'), 2: card.pan, 4: amount(2000), 90: originalOf(bought.sent) })
    await payOut('payout|1', 525)
    clock.moveTo(`${SECOND}T22:00:05Z`)
    expect(await days.run()).toBe(true)
  })

  it('has what came late, with its own date', async () => {
    const rows = (await first(`general-ledger/${SECOND}`)).text
      .trim()
      .split('\n')
      .map((line) => line.split(','))
    expect(rows.find(([, , , kind]) => kind === 'paid-by-hand')?.slice(1, 12)).toEqual([
      ...[SECOND, SECOND, 'paid-by-hand', '2210', String(merchant.bakery), '1000', '0', 'EGP', '5.25', 'payout|1', ''],
    ])
    expect(rows.find(([, , , kind]) => kind === 'reversal')?.slice(1, 10)).toEqual([
      ...[SECOND, SECOND, 'reversal', '2220', String(merchant.shop), '2000', String(card.purseId), 'EGP', '20.00'],
    ])
  })

  it('opens where the day before has closed, payouts included', async () => {
    for (const account of [
      `2210/${String(merchant.bakery)}`,
      `2220/${String(merchant.shop)}`,
      `1010/${String(machine)}`,
      '1000/0',
      '1210/0',
    ]) {
      const one = await officer(statement(account))
      const other = await officer(statement(account, SECOND))
      const both = await officer(statement(account, FIRST, SECOND))
      expect(other.json['opening']).toBe(one.json['closing'])
      expect(both.json).toMatchObject({ opening: one.json['opening'], closing: other.json['closing'] })
    }
    api.running.clock.moveTo('2026-11-12T09:00:00Z')
    await payOut('payout|2', 100)
    await until(() => days.run())
    expect((await officer(statement(`2210/${String(merchant.bakery)}`, '2026-11-12'))).json).toMatchObject({
      opening: (await officer(statement(`2210/${String(merchant.bakery)}`, SECOND))).json['closing'],
      lines: [{ kind: 'paid-by-hand', debit: '1.00', reference: 'payout|2' }],
    })
  })

  it('changes nothing of what was told before: the same question gets the same bytes', async () => {
    expect(asked.size).toBeGreaterThan(8)
    for (const [question, text] of asked) {
      const [path, headers] = JSON.parse(question) as [string, Record<string, string>]
      expect((await officer(path, headers)).text).toBe(text)
    }
  })
})

describe('a reader', () => {
  it.each([
    ['trial-balance', 400],
    [`trial-balance?day=${FIRST}&at=${FIRST}T00:00:00Z`, 400],
    ['trial-balance?at=2026-13-45T99:00:00Z', 400],
    ['trial-balance?day=2026-11-31', 404],
    ['trial-balance?day=2025-01-01', 404],
    ['general-ledger/2026-02-30', 404],
    [statement('2210/0'), 422],
    [statement('1000/7'), 422],
    [statement('2000/50000101'), 422],
    [statement('3000/0'), 422],
    [statement('1210/0', SECOND, FIRST), 422],
    [statement('1210/0', FIRST, FIRST, '&unit=GOLD'), 422],
    [statement('1210/0', '2025-01-01'), 404],
  ])('of %s is told why not (%i)', async (path, status) => {
    expect((await officer(path)).status).toBe(status)
  })

  it('may be an auditor, and no clerk', async () => {
    expect((await api.as('auditor').get(`/v1/books/trial-balance?day=${FIRST}`)).status).toBe(200)
    expect((await api.as('post-clerk').get(`/v1/books/trial-balance?day=${FIRST}`)).status).toBe(403)
  })

  it('leaves its connection free where it goes away before the answer begins', async () => {
    const headers = await slowReader()
    const locker = new Client({ connectionString: api.running.databaseUrl })
    await locker.connect()
    await locker.query('BEGIN; LOCK TABLE business_day IN ACCESS EXCLUSIVE MODE')
    const request = get(`${api.url}/v1/books/${statement('1210/0')}`, { headers })
    request.once('error', () => undefined)
    const reading = async (): Promise<boolean> =>
      (await (await fetch(`${api.url}/metrics`)).text()).includes('sarf_books_reading 1')
    await until(reading)
    request.destroy()
    await locker.query('ROLLBACK')
    await locker.end()
    await until(async () => !(await reading()))
    expect((await officer(`trial-balance?day=${FIRST}`)).status).toBe(200)
  })

  it('finds others busy, and their connection free again when they go away', async () => {
    await expectCleanBooks(api.running)
    // Long enough that not all of it fits between here and there.
    await api.running.sql(
      `INSERT INTO transfer (purse_id, purse_version, event_number, debit_owner, credit_owner, amount, key_date, shard, ordinal, debit_code, credit_code, unit)
       SELECT 1, n, (SELECT until FROM business_day WHERE day = $1), 0, 0, 1, $1, 0, 1, 1000, 1210, 1 FROM generate_series(1, 150000) n`,
      [FIRST],
    )
    await api.running.sql('ANALYZE transfer')
    const headers = await slowReader()
    for (const goesAway of [true, false]) {
      const request = get(`${api.url}/v1/books/general-ledger/${FIRST}`, { headers })
      const [response] = (await once(request, 'response')) as [IncomingMessage]
      response.pause()
      response.once('error', () => undefined)
      const busy = await officer(`general-ledger/${FIRST}`)
      expect([busy.status, busy.headers.get('retry-after')]).toEqual([503, '10'])
      // Whoever stays and takes nothing is cut off after a while.
      if (goesAway) response.destroy()
      await until(async () => (await officer(`trial-balance?day=${SECOND}`)).status === 200)
      response.destroy()
    }
    const left = `SELECT FROM pg_stat_activity WHERE application_name = 'sarf books' AND state = 'active' AND datname = current_database()`
    await until(async () => (await api.running.sql(left)).length === 0)
    // And all of it to whoever takes it.
    const { text } = await officer(`general-ledger/${FIRST}`)
    expect(text.trim().split('\n').at(-1)?.split(',')[2]).toBe(String(text.split('\n').filter((line) => /^\d/.test(line)).length))
  })
})

/** Headers of one whom no agent keeps a connection for. */
async function slowReader(): Promise<{ authorization: string }> {
  const { access } = api.running.config
  if (access.kind !== 'development') throw new Error('tests make their tokens themselves')
  const token = await developmentToken({
    access,
    name: 'slow',
    roles: ['auditor'],
    nowMs: api.running.clock.now(),
    seconds: 300,
  })
  return { authorization: `Bearer ${token}` }
}
