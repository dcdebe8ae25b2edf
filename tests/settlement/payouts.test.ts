/** Merchants are paid: HTTP in; rows, postings and files out. What is paid twice, by two people at once or to nobody, is refused. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { settleCommand } from '../../src/cli/settle.ts'
import { audit } from '../../src/ledger/audit.ts'
import type { Desk } from '../../src/ledger/programme/desk.ts'
import { confirmPayout, returnPayout } from '../../src/settlement/payouts.ts'
import { startProgrammeApi, type ApiAnswer, type ProgrammeApi } from '../support/programmeApi.ts'
import { openDesk } from '../support/programmeDesk.ts'
import { until } from '../support/switch.ts'
import { temporaryDirectory } from '../support/stack.ts'
import { egyptianIban, Outlets, type Outlet } from './outlets.ts'

const NOW = '2026-12-03T09:00:00Z'
let api: ProgrammeApi
let desk: Desk
let outlets: Outlets

beforeAll(async () => {
  api = await startProgrammeApi({
    at: NOW,
    // Days are closed when a test says so.
    configure: (config) => ({
      ...config,
      settlement: { ...config.settlement, days: { ...config.settlement.days, everyMs: 3_600_000 } },
    }),
  })
  desk = openDesk(api.running)
  // The switch has looked at its days once; from then on they are the test's.
  await until(async () => (await api.running.sql('SELECT FROM business_day')).length > 0)
  outlets = new Outlets(api.running, desk)
})

const officer = (name = 'officer-1') => api.as('settlement-officer', { name })
const prepare = (body: object = {}, name?: string): Promise<ApiAnswer> => officer(name).post('/v1/payout-runs', body)
const decide = (run: ApiAnswer, decision: string, name = 'officer-2'): Promise<ApiAnswer> =>
  officer(name).post(`/v1/proposals/${String(run.json['proposalId'])}/decision`, { decision })
const runOf = (run: ApiAnswer): string => `/v1/payout-runs/${String(run.json['runId'])}`
const payoutsOf = async ({ acceptorId }: Outlet): Promise<Record<string, unknown>[]> =>
  (await officer().get(`/v1/merchants/${acceptorId}/payouts`)).json['items'] as Record<string, unknown>[]
const nameOf = (answer: ApiAnswer): unknown => String(answer.json['type']).replace('urn:sarf:problem:', '')

/** A run of its own for what is due now. */
async function pay(): Promise<ApiAnswer> {
  const run = await prepare()
  expect([run.status, run.text]).toEqual([202, run.text])
  expect((await decide(run, 'approve')).status).toBe(200)
  return run
}

async function checks(...names: string[]): Promise<unknown[]> {
  const report = await audit({
    databaseUrl: api.running.databaseUrl,
    holdGraceMs: 0,
    reservationAgeMs: 0,
    clock: api.running.clock,
  })
  return report.checks.filter(({ name, ok }) => !ok && (names.length === 0 || names.includes(name)))
}

describe('a run', () => {
  it('pays what closed days have brought, each account to zero, and the file says so', async () => {
    const [bakery, grocer, poor, unknown, owing] = [
      await outlets.add(),
      await outlets.add(),
      await outlets.add(),
      await outlets.add(false),
      await outlets.add(),
    ]
    await outlets.earn(bakery, 52_500)
    await outlets.earn(grocer, 10_000, 2200)
    await outlets.earn(grocer, -3000, 2220)
    await outlets.earn(poor, 999)
    await outlets.earn(unknown, 5000)
    await outlets.earn(owing, -700)
    const day = await outlets.closeDay()
    // Of the day that is open: for the next run.
    await outlets.earn(bakery, 1100)
    const run = await prepare()
    expect(run.json).toMatchObject({ until: day, state: 'prepared', payouts: 2, amount: '595.00', leftOut: 3 })
    expect(nameOf(await officer().get(`${runOf(run)}/file`))).toBe('payout-run-not-approved')
    expect((await officer().get(`${runOf(run)}/left`)).json['items']).toEqual([
      { acceptorId: poor.acceptorId, amount: '9.99', reason: 'below-minimum' },
      { acceptorId: unknown.acceptorId, amount: '50.00', reason: 'no-bank-account' },
      { acceptorId: owing.acceptorId, amount: '-7.00', reason: 'negative' },
    ])
    expect((await decide(run, 'approve')).json).toMatchObject({ state: 'approved', result: { payouts: 2, amount: '595.00' } })
    expect(await outlets.balance(bakery)).toBe(1100)
    expect(await transfersOf(grocer)).toEqual(['2200 -> 1000: 7000', '2200 -> 2220: 3000'])
    const file = await officer().get(`${runOf(run)}/file`)
    expect(file.text).toContain('<NbOfTxs>2</NbOfTxs><CtrlSum>595.00</CtrlSum>')
    expect(file.text).toContain(`<IBAN>${egyptianIban(grocer.id)}</IBAN>`)
    expect(file.text).toContain('&lt;')
    // 3 December 2026 is a Thursday: banks work.
    expect(file.text).toContain('<ReqdExctnDt><Dt>2026-12-03</Dt></ReqdExctnDt>')
    // What the bank may not have had is sent again, byte for byte, whatever has happened since.
    api.running.clock.moveTo('2026-12-09T09:00:00Z')
    expect((await officer().get(`${runOf(run)}/file?format=pain.001`)).text).toBe(file.text)
    const csv = (await officer().get(`${runOf(run)}/file?format=csv`)).text
    expect(csv.split('\r\n')[1]).toMatch(/^H,SARF-\d+-20261203090\d{3},2026-12-03,EG31.*,EGP,595.00,2$/)
    expect(csv.match(/^P,/gm)).toHaveLength(2)
    expect(await checks('payouts', 'outlet_positions', 'debits_equal_credits')).toEqual([])
  })

  it('of two people at once is one; the second is told whose waits', async () => {
    const outlet = await outlets.add()
    await outlets.earn(outlet, 4000)
    await outlets.closeDay()
    const both = await Promise.all([prepare({}, 'officer-1'), prepare({}, 'officer-2')])
    expect(both.map(({ status }) => status).sort()).toEqual([202, 409])
    const [lost] = both.filter(({ status }) => status === 409)
    expect(lost?.json).toMatchObject({ type: 'urn:sarf:problem:payout-run-open' })
    const run = both.find(({ status }) => status === 202)!
    const maker = String(run.json['preparedBy'])
    expect(nameOf(await decide(run, 'approve', maker))).toBe('own-proposal')
    // Refused, its positions are free again.
    expect((await decide(run, 'refuse', 'officer-3')).status).toBe(200)
    expect((await officer().get(runOf(run))).json).toMatchObject({ state: 'cancelled' })
    expect(await payoutsOf(outlet)).toEqual([])
    const next = await prepare()
    const twice = await Promise.all([decide(next, 'approve', 'officer-2'), decide(next, 'approve', 'officer-3')])
    expect(twice.map(({ status }) => status).sort()).toEqual([200, 409])
    expect((await payoutsOf(outlet)).map(({ amount }) => amount)).toEqual(['40.00'])
    expect(await outlets.balance(outlet)).toBe(0)
    expect(nameOf(await prepare())).toBe('nothing-to-pay')
  })

  it('does not pay whom somebody has held, or whose account was changed, since it was prepared', async () => {
    const [held, changed, paid] = [await outlets.add(), await outlets.add(), await outlets.add()]
    for (const outlet of [held, changed, paid]) await outlets.earn(outlet, 2000)
    await outlets.closeDay()
    const run = await prepare()
    const hold = await officer().post(`/v1/merchants/${held.acceptorId}/holds`, { reason: 'Inspection' })
    expect(hold.json).toMatchObject({ cause: 'officer', placedBy: 'officer-1', liftedAt: null })
    const account = { iban: egyptianIban(77), bic: 'NBEGEGCX331', holderName: 'مخبز الميناء' }
    const proposed = await api.as('operator').send('PUT', `/v1/merchants/${changed.acceptorId}/bank-account`, account)
    expect(proposed.json).toMatchObject({ state: 'open', body: { iban: expect.stringMatching(/^EG\d{6}\*+0077$/) as string } })
    expect(nameOf(await api.as('operator').send('PUT', `/v1/merchants/${changed.acceptorId}/bank-account`, account))).toBe(
      'already-proposed',
    )
    expect((await decide(proposed, 'approve')).json).toMatchObject({ state: 'approved', result: { version: 2 } })
    expect((await decide(run, 'approve')).json).toMatchObject({ result: { payouts: 1, amount: '20.00', takenOut: 2 } })
    expect(((await officer().get(`${runOf(run)}/left`)).json['items'] as object[]).slice(-2)).toEqual([
      { acceptorId: held.acceptorId, amount: '20.00', reason: 'held' },
      { acceptorId: changed.acceptorId, amount: '20.00', reason: 'account-changed' },
    ])
    const lift = `/v1/merchants/${held.acceptorId}/holds/${String(hold.json['holdId'])}/lift`
    expect((await officer().post(lift, { reason: 'Nothing found' })).status).toBe(200)
    expect(nameOf(await officer().post(lift, { reason: 'Nothing found' }))).toBe('already-lifted')
    const next = await pay()
    expect(next.json).toMatchObject({ payouts: 2, amount: '40.00' })
    const csv = (await officer().get(`${runOf(next)}/file?format=csv`)).text
    expect(csv).toContain(`${account.iban},NBEGEGCX331,مخبز الميناء`)
  })

  it('cannot pay days that are not closed', async () => {
    expect(nameOf(await prepare({ until: '2027-01-01' }))).toBe('day-not-closed')
    expect(nameOf(await prepare({ until: '2026-02-30' }))).toBe('no-such-day')
  })
})

describe('a bank account', () => {
  it.each([
    ['EG380019000500000000263180003', 'no-such-iban'],
    ['EG38001900050000000026318000', 'no-such-iban'],
  ])('%s is refused', async (iban, why) => {
    const { acceptorId } = await outlets.add(false)
    const path = `/v1/merchants/${acceptorId}/bank-account`
    expect(nameOf(await officer().send('PUT', path, { iban, holderName: 'Bakery' }))).toBe(why)
  })

  it('is shown whole only to those who may, and nowhere in the audit trail', async () => {
    const { acceptorId } = await outlets.add()
    const path = `/v1/merchants/${acceptorId}/bank-account`
    const iban = egyptianIban(4711)
    const proposal = await officer().send('PUT', path, { iban, holderName: 'Bakery' }, { 'if-match': '"1"' })
    expect((await api.as('supply-officer').get(path)).text).not.toContain(iban)
    expect((await api.as('auditor').get(path)).json).toMatchObject({ inForce: { version: 1 }, proposed: { iban, version: 2 } })
    expect(proposal.text).not.toContain(iban)
    const [row] = await api.running.sql<{ trail: string }>(`SELECT string_agg(detail::text, ' ') AS trail FROM audit_record`)
    expect(row?.trail).not.toContain(iban)
    expect((await decide(proposal, 'withdraw', 'officer-1')).status).toBe(200)
    expect((await officer().send('PUT', path, { iban, holderName: 'Bakery' }, { 'if-match': '"2"' })).status).toBe(412)
    expect((await officer().send('PUT', '/v1/merchants/NOBODY/bank-account', { iban, holderName: 'B' })).status).toBe(404)
  })
})

describe('a payout that comes back', () => {
  it('is posted back once, split as it was paid, and paid again when there is another account', async () => {
    const outlet = await outlets.add()
    await outlets.earn(outlet, 8000, 2200)
    await outlets.earn(outlet, -500, 2220)
    await outlets.closeDay()
    await pay()
    const [payout] = await payoutsOf(outlet)
    const path = `/v1/payouts/${String(payout?.['endToEndId'])}/return`
    const back = { reason: 'AC04', valueDate: '2026-12-10', amount: '75.00' }
    expect(nameOf(await officer().post(path, { ...back, amount: '75.01' }))).toBe('amount-differs')
    const asked = await Promise.all([officer('officer-1').post(path, back), officer('officer-3').post(path, back)])
    expect(asked.map(({ status }) => status).sort()).toEqual([202, 409])
    const proposed = asked.find(({ status }) => status === 202)!
    expect(nameOf(asked.find(({ status }) => status === 409)!)).toBe('already-proposed')
    expect(nameOf(await decide(proposed, 'approve', String(proposed.json['maker'])))).toBe('own-proposal')
    const twice = await Promise.all([decide(proposed, 'approve', 'officer-2'), decide(proposed, 'approve', 'officer-4')])
    expect(twice.map(({ status }) => status).sort()).toEqual([200, 409])
    expect(twice.find(({ status }) => status === 200)?.json).toMatchObject({ result: { state: 'returned', merchantHeld: true } })
    expect(nameOf(await officer().post(path, back))).toBe('already-returned')
    expect(nameOf(await officer().post('/v1/payouts/SARF-1-1/return', back))).toBe('no-such-payout')
    expect(await outlets.balance(outlet)).toBe(7500)
    const day = await outlets.closeDay()
    // Held, because the account is closed.
    expect(nameOf(await prepare())).toBe('nothing-to-pay')
    const account = { iban: egyptianIban(99), holderName: 'Bakery' }
    await decide(await officer().send('PUT', `/v1/merchants/${outlet.acceptorId}/bank-account`, account), 'approve')
    await pay()
    expect((await payoutsOf(outlet)).map(({ amount, state }) => [amount, state])).toEqual([
      ['75.00', 'paid'],
      ['75.00', 'returned'],
    ])
    const { items } = (await officer().get(`/v1/merchants/${outlet.acceptorId}/positions?from=${day}&until=${day}`)).json
    expect(items).toMatchObject([{ day, unit: 'EGP', net: '75.00', payout: 'paid' }])
    expect(await checks('payouts', 'outlet_positions')).toEqual([])
  })

  it('may have been executed before, once', async () => {
    const outlet = await outlets.add()
    await outlets.earn(outlet, 3000)
    await outlets.closeDay()
    await pay()
    const endToEndId = String((await payoutsOf(outlet))[0]?.['endToEndId'])
    const confirm = (amount: number) =>
      desk.upkeep(async (tx) => {
        const outcome = await confirmPayout(tx, { endToEndId, amount, valueDate: '2026-12-10' })
        return outcome.ok ? outcome.value.state : outcome.refusal.name
      })
    expect(await confirm(2999)).toBe('amount-differs')
    expect(await confirm(3000)).toBe('executed')
    expect(await confirm(3000)).toBe('already-executed')
    const back = { reason: 'MS03', valueDate: '2026-12-11', amount: '30.00' }
    // What the bank has executed comes back with an entry of a statement only.
    expect(nameOf(await officer().post(`/v1/payouts/${endToEndId}/return`, back))).toBe('already-executed')
    const told = { endToEndId, reason: 'MS03', valueDate: '2026-12-11', amount: 3000, madeBy: 'bank' }
    expect((await desk.upkeep((tx) => returnPayout(tx, told))).ok).toBe(true)
    expect(await confirm(3000)).toBe('payout-returned')
    await outlets.closeDay()
    await pay()
  })
})

describe('the statement of a day', () => {
  it('goes from opening to closing, as data, CSV and a page in both languages, harmless', async () => {
    const outlet = await outlets.add()
    await api.running.sql(`UPDATE merchant SET name = '=<script>alert(1)</script>' WHERE id = $1`, [outlet.id])
    await outlets.earn(outlet, 2500)
    const first = await outlets.closeDay()
    await pay()
    await outlets.earn(outlet, 1250)
    const second = await outlets.closeDay()
    const path = (day: string, query = ''): string => `/v1/merchants/${outlet.acceptorId}/statements/${day}${query}`
    expect((await officer().get(path(first))).json).toMatchObject({ opening: '0.00', closing: '25.00', payouts: [] })
    const statement = (await officer().get(path(second))).json
    expect(statement).toMatchObject({
      ...{ opening: '25.00', closing: '12.50', payouts: [{ amount: '25.00', untilDay: first }] },
      lines: [{ received: '12.50', givenBack: '0.00', transfers: 1 }],
      control: { transfers: 1, received: '12.50', givenBack: '0.00', paidOut: '25.00' },
    })
    const csv = await officer().get(path(second), { accept: 'text/csv' })
    expect(csv.text).toContain(`,closing,,EGP,,,,12.50\r\n`)
    expect(csv.text).toContain(`,'=<script>`)
    const [arabic, english] = [
      await officer().get(path(second, '?format=html')),
      await officer().get(path(second, '?format=html&lang=en')),
    ]
    expect(arabic.text).toContain('<html lang="ar" dir="rtl">')
    expect(arabic.text).toContain('١٢٫٥٠')
    expect(english.text).toContain('<html lang="en" dir="ltr">')
    expect(`${arabic.text}${english.text}`).not.toContain('<script')
    expect(arabic.headers.get('content-security-policy')).toMatch(/^default-src 'none'; style-src 'sha256-/)
    expect(nameOf(await officer().get(path('2026-12-31')))).toBe('day-not-closed')
    expect((await officer().get('/v1/merchants/NOBODY/positions')).status).toBe(404)
    expect(nameOf(await officer().get(`/v1/merchants/${outlet.acceptorId}/positions?from=2026-12-02&until=2026-12-01`))).toBe(
      'period-ends-before-it-begins',
    )
  })
})

describe('sarf settle', () => {
  /** What is printed, and the exit code. */
  async function settle(...given: string[]): Promise<{ code: number; printed: string }> {
    let printed = ''
    const command = settleCommand()
    const take = (text: string): void => {
      printed += text
    }
    for (const one of [command, ...command.commands]) one.configureOutput({ writeOut: take, writeErr: take })
    await command.parseAsync([...given, '--url', api.url, '--json'], { from: 'user' })
    const code = Number(process.exitCode ?? 0)
    process.exitCode = 0
    return { code, printed }
  }
  const done = async (...given: string[]): Promise<Record<string, unknown>> => {
    const { code, printed } = await settle(...given)
    expect([code, printed]).toEqual([0, printed])
    return JSON.parse(printed) as Record<string, unknown>
  }

  it('prepares, approves, writes the file and the statement, takes back, holds and lifts', async () => {
    // Its tokens are made by this machine's clock.
    api.running.clock.moveTo(Date.now())
    const outlet = await outlets.add()
    await outlets.earn(outlet, 4200)
    const day = await outlets.closeDay()
    const run = String((await done('prepare'))['runId'])
    expect(await settle('prepare')).toMatchObject({ code: 1, printed: expect.stringContaining('waits for a decision') as string })
    expect(await done('approve', run)).toMatchObject({ state: 'approved', preparedBy: 'sarf-cli' })
    expect(await done('show', run)).toMatchObject({ run: { state: 'approved' } })
    const directory = temporaryDirectory()
    const file = join(directory, 'payouts.xml')
    await done('file', run, '--out', file)
    expect(readFileSync(file, 'utf8')).toBe((await officer().get(`/v1/payout-runs/${run}/file`)).text)
    await done('statement', outlet.acceptorId, '--day', day, '--format', 'csv', '--out', join(directory, 'statement.csv'))
    expect(readFileSync(join(directory, 'statement.csv'), 'utf8')).toContain(',closing,,EGP,,,,42.00\r\n')
    expect((await settle('file', '999999', '--out', join(directory, 'none'))).code).toBe(1)
    expect(readdirSync(directory).sort()).toEqual(['payouts.xml', 'statement.csv'])
    const id = String((await payoutsOf(outlet))[0]?.['endToEndId'])
    const back = await done('return', id, '--reason', 'MS03', '--amount', '42.00', '--value-date', day)
    expect(back).toMatchObject({ kind: 'payout-return', state: 'open' })
    const decision = `/v1/proposals/${String(back['proposalId'])}/decision`
    expect((await officer('officer-2').post(decision, { decision: 'approve' })).status).toBe(200)
    const hold = String((await done('hold', outlet.acceptorId, '--reason', 'Inspection'))['holdId'])
    expect(await done('lift', outlet.acceptorId, '--hold', hold, '--reason', 'Over')).toMatchObject({ liftedBy: 'sarf-cli' })
    await outlets.closeDay()
    await pay()
  })
})

async function transfersOf({ id }: Outlet): Promise<string[]> {
  const rows = await api.running.sql<{ text: string }>(
    `SELECT debit_code || ' -> ' || credit_code || ': ' || amount AS text FROM book_transfer WHERE key LIKE 'payout|%' AND debit_owner = $1 ORDER BY ordinal`,
    [id],
  )
  return rows.map(({ text }) => text)
}

interface Step {
  readonly what: string
  readonly outlet: number
  readonly amount: number
  readonly code: number
}

const STEP = fc.record<Step>({
  what: fc.constantFrom('earn', 'earn', 'earn', 'hold', 'lift', 'close', 'close', 'pay', 'pay', 'refuse', 'return'),
  outlet: fc.nat(2),
  amount: fc.integer({ min: -4000, max: 9000 }).filter((piasters) => piasters !== 0),
  code: fc.constantFrom(2200, 2210, 2220),
})

describe('whatever outlets earn, give back, are held for and have returned', () => {
  it('every piaster of it is paid once, held back or open', { timeout: 60_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(STEP, { minLength: 8, maxLength: 30 }), async (steps) => {
        const three = [await outlets.add(), await outlets.add(), await outlets.add()]
        const earned = [0, 0, 0]
        const holds = new Map<number, string>()
        const lift = async (which: number): Promise<void> => {
          const path = holds.get(which)
          if (path !== undefined) await officer().post(path, { reason: 'over' })
          holds.delete(which)
        }
        for (const { what, outlet: which, amount, code } of steps) {
          const outlet = three[which]!
          if (what === 'earn') {
            earned[which] = (earned[which] ?? 0) + amount
            await outlets.earn(outlet, amount, code)
          } else if (what === 'hold' && !holds.has(which)) {
            const hold = await officer().post(`/v1/merchants/${outlet.acceptorId}/holds`, { reason: 'look' })
            holds.set(which, `/v1/merchants/${outlet.acceptorId}/holds/${String(hold.json['holdId'])}/lift`)
          } else if (what === 'lift') await lift(which)
          else if (what === 'close') await outlets.closeDay()
          else if (what === 'pay' || what === 'refuse') {
            const run = await prepare()
            if (run.status === 202) await decide(run, what === 'pay' ? 'approve' : 'refuse')
          } else if (what === 'return') {
            const latest = (await payoutsOf(outlet)).find(({ state }) => state === 'paid')
            if (latest !== undefined)
              await officer().post(`/v1/payouts/${String(latest['endToEndId'])}/return`, {
                ...{ reason: 'MS03', valueDate: '2026-12-10', amount: latest['amount'] },
              })
          }
        }
        for (const which of [0, 1, 2]) {
          await lift(which)
          const paid = (await payoutsOf(three[which]!))
            .filter(({ state }) => state === 'paid')
            .reduce((sum, { amount }) => sum + Math.round(Number(amount) * 100), 0)
          expect(await outlets.balance(three[which]!)).toBe((earned[which] ?? 0) - paid)
        }
        await outlets.closeDay()
        const last = await prepare()
        if (last.status === 202) await decide(last, 'approve')
        for (const outlet of three) expect(await outlets.balance(outlet)).toBeLessThan(1000)
      }),
      { numRuns: 4, seed: 20261127 },
    )
    expect(await checks('payouts', 'outlet_positions', 'debits_equal_credits', 'append_only')).toEqual([])
  })
})

describe('the auditor', () => {
  let client: Client
  /** The last day of the second of two payouts of one outlet. */
  let day: string

  beforeAll(async () => {
    client = new Client({ connectionString: api.running.databaseUrl })
    await client.connect()
    const outlet = await outlets.add()
    for (const piasters of [1000, 2000]) {
      await outlets.earn(outlet, piasters)
      day = await outlets.closeDay()
      await pay()
    }
  })

  afterAll(() => client.end())

  it.each([
    [
      'a payout of more than was earned',
      `UPDATE payout SET amount = amount + 1 WHERE until_day = $DAY`,
      /amount is not that of its accounts/,
    ],
    [
      'an account that was paid more',
      `UPDATE payout_part SET net = net + 1 WHERE until_day = $DAY`,
      /not what the outlet has earned/,
    ],
    ['a day that is in two payouts', `UPDATE payout SET after_day = after_day - 1 WHERE until_day = $DAY`, /do not begin where/],
    [
      'a posting that is gone',
      `DELETE FROM book_transfer t USING payout p WHERE t.key = 'payout|' || p.end_to_end_id AND p.until_day = $DAY`,
      /not posted as it was paid/,
    ],
    [
      'what came back and was not posted back',
      `UPDATE payout SET state = 'returned', returned_on = $DAY, return_reason = 'AC04', returned_event = 1 WHERE until_day = $DAY`,
      /not posted back/,
    ],
    [
      'a posting without its payout',
      `INSERT INTO book_entry SELECT shard, key || '2', event_number, at, kind, value_date, 'x', made_by, note FROM book_entry
       WHERE kind = 'payout' LIMIT 1`,
      /a posting without its payout/,
    ],
    [
      'control sums that are others',
      `UPDATE payout_run SET amount = amount + 1 WHERE id = (SELECT max(id) FROM payout_run WHERE state = 'approved')`,
      /control sums/,
    ],
  ])('finds %s', async (_, statement, wrong) => {
    const check = readFileSync(new URL('../../src/ledger/audit/payouts.sql', import.meta.url), 'utf8')
    await client.query('BEGIN; SET LOCAL session_replication_role = replica')
    await client.query(statement.replaceAll('$DAY', `DATE '${day}'`))
    const { rows } = await client.query<{ wrong: string }>(`SELECT wrong FROM (${check}) looked WHERE wrong IS NOT NULL`)
    await client.query('ROLLBACK')
    expect(rows.map((row) => row.wrong).join(' ')).toMatch(wrong)
  })
})
