/** Statements of the bank, claims, cash of machines and suspense over HTTP: files in, rows and postings out. */
import { beforeAll, describe, expect, it } from 'vitest'
import { audit } from '../../../src/ledger/audit.ts'
import { expectCleanBooks } from '../../authorize/books.ts'
import { bread, ration } from '../../authorize/subsidies.ts'
import { problemOf } from '../../admin/programme/families.ts'
import { startProgrammeApi, type ApiAnswer, type ProgrammeApi } from '../../support/programmeApi.ts'
import { openDesk } from '../../support/programmeDesk.ts'
import { amount, at, originalOf, type TestLink } from '../../support/switch.ts'
import { Outlets } from '../outlets.ts'
import { ACCOUNT, camt, csv, type FileStatement } from './statementFiles.ts'

const XML = { 'content-type': 'application/xml' }
const CSV = { 'content-type': 'text/csv' }

let api: ProgrammeApi
let pos: TestLink

beforeAll(async () => {
  api = await startProgrammeApi({
    at: '2026-12-01T09:00:00Z',
    configure: (config) => ({
      ...config,
      settlement: {
        ...config.settlement,
        days: { ...config.settlement.days, everyMs: 3_600_000 },
        payouts: { ...config.settlement.payouts, minimumPiasters: 1 },
        bank: { ...config.settlement.bank, accounts: [ACCOUNT, 'EG2', 'EG3333'], fileBytesMax: 100_000 },
      },
    }),
  })
  pos = await api.running.connect('pos')
  // The first look at business days opens the one of now.
  await officer().post('/v1/business-days/2026-11-30/close', {})
})

const officer = (name = 'officer-1') => api.as('settlement-officer', { name })

function upload(file: string, headers = XML, query = '', name?: string): Promise<ApiAnswer> {
  return officer(name).post(`/v1/bank-statements${query}`, file, headers)
}

async function itemsOf(path: string): Promise<Record<string, unknown>[]> {
  const answer = await officer().get(path)
  expect([answer.status, answer.text]).toEqual([200, answer.text])
  return answer.json['items'] as Record<string, unknown>[]
}

async function postingsOf(kind: string): Promise<string[]> {
  const rows = await api.running.sql<{ posting: string }>(
    `SELECT concat_ws(' ', t.debit_code, '/', t.credit_code, t.amount) AS posting FROM book_entry b JOIN book_transfer t USING (shard, key)
     WHERE b.kind = $1 ORDER BY b.event_number, t.ordinal`,
    [kind],
  )
  return rows.map(({ posting }) => posting)
}

async function countOf(table: string): Promise<number> {
  return Number((await api.running.sql<{ count: string }>(`SELECT count(*) FROM ${table}`))[0]?.count)
}

async function agree(proposed: ApiAnswer, name = 'officer-2'): Promise<ApiAnswer> {
  expect([proposed.text, proposed.status]).toEqual([proposed.text, 202])
  return officer(name).post(`/v1/proposals/${String(proposed.json['proposalId'])}/decision`, { decision: 'approve' })
}

async function openEntry(value: string): Promise<number> {
  const entry = (await itemsOf('/v1/bank-entries?state=open')).find((one) => one['amount'] === value)
  expect(entry).toBeDefined()
  return Number(entry!['entryId'])
}

async function openItem(open: string): Promise<number> {
  const item = (await itemsOf('/v1/suspense?state=open')).find((one) => one['open'] === open)
  expect(item).toBeDefined()
  return Number(item!['itemId'])
}

const FIRST: FileStatement = {
  id: 'S-1',
  day: '2026-12-02',
  opening: '1000.00',
  summary: '<TtlNtries><NbOfNtries>5</NbOfNtries></TtlNtries>',
  entries: [
    { amount: '5.25', text: 'MOF / CLAIM-1210-20261201 / bread' },
    { amount: '5.00', endToEndId: 'CLAIM-1200-20261201' },
    { amount: '77.00', text: 'who knows' },
    { amount: '-1.00', text: 'fees' },
    { amount: '4.00', text: 'cash of the counters' },
  ],
}

describe('a day that is claimed and paid', () => {
  it('has claims by payer, service and governorate, as JSON and CSV', async () => {
    const household = await api.running.openHousehold()
    const card = await api.running.openCard({ balance: 0 })
    expect((await pos.ask('0200', bread(household.head.pan, 5))).text(39)).toBe('00')
    expect((await pos.ask('0200', ration(household.head.pan, ['OIL*1*1250']))).text(39)).toBe('00')
    // What the test opens purses with comes from the bank too, and is no deposit of this day.
    api.running.clock.moveTo('2026-12-01T22:30:00Z')
    await officer().post('/v1/business-days/2026-12-01/close', {})
    await pos.ask('0200', { 2: card.pan, 3: '210000', 4: amount(400), ...at('post-office') })
    api.running.clock.moveTo('2026-12-02T22:30:00Z')
    await officer().post('/v1/business-days/2026-12-02/close', {})

    const claims = (await officer().get('/v1/claims?from=2026-12-01&until=2026-12-31')).json
    expect(claims['items']).toMatchObject([
      {
        day: '2026-12-01',
        payer: 1200,
        service: 'ration',
        governorate: 3,
        units: 1250,
        amount: '12.50',
        paid: '0.00',
        ageDays: 2,
      },
      { day: '2026-12-01', payer: 1210, service: 'bread', units: 5, amount: '5.25', open: '5.25' },
    ])
    expect(claims['totals']).toMatchObject([
      { payer: 1200, open: '12.50', openSince: '2026-12-01', reference: 'CLAIM-1200-20261201-20261231' },
      { payer: 1210, open: '5.25' },
    ])
    expect((await officer().get('/v1/claims?from=2026-12-01&until=2026-12-31&payer=1210', { accept: 'text/csv' })).text).toBe(
      'day,payer,service,governorate,units,amount,paid,open\r\n2026-12-01,1210,bread,3,5,5.25,0.00,5.25\r\n',
    )
    expect((await officer().get('/v1/claims?from=2026-12-02&until=2026-12-01')).status).toBe(422)
  })

  it('is paid by what the bank tells: by reference, in part, and by what comes to the amount', async () => {
    const answer = await upload(camt([FIRST]))
    expect([answer.status, answer.json['statements']]).toMatchObject([
      201,
      [{ statementId: 'S-1', number: 1, opening: '1000.00', closing: '1090.25', entries: 5, known: false, matched: 3, open: 2 }],
    ])
    expect(await postingsOf('receipt')).toEqual(['1000 / 1200 500', '1000 / 1210 525'])
    expect((await itemsOf('/v1/claims?from=2026-12-01&until=2026-12-01')).map(({ paid, open }) => [paid, open])).toEqual([
      ['5.00', '7.50'],
      ['5.25', '0.00'],
    ])
    expect(
      (await itemsOf('/v1/bank-entries?state=matched')).map(({ matchKind, matchedWith, matchedBy }) => [
        matchKind,
        matchedWith,
        matchedBy,
      ]),
    ).toEqual([
      ['claims', '1210 2026-12-01 2026-12-01', 'reference'],
      ['claims', '1200 2026-12-01 2026-12-01', 'reference'],
      ['deposits', '2026-12-02', 'amount'],
    ])
    expect(
      (await itemsOf('/v1/bank-entries?state=open')).map(({ amount: open, openReason, ageDays }) => [open, openReason, ageDays]),
    ).toEqual([
      ['77.00', 'unknown', 0],
      ['-1.00', 'unknown', 0],
    ])
    const rest = {
      id: 'S-2',
      day: '2026-12-03',
      opening: '1090.25',
      entries: [{ amount: '7.50', text: 'treasury, no reference' }],
    }
    expect((await upload(csv(rest), CSV)).json['statements']).toMatchObject([{ number: 2, matched: 1, open: 0 }])
    expect(await itemsOf('/v1/claims?from=2026-12-01&until=2026-12-01&state=open')).toEqual([])
  })

  it('is not paid twice: the same file again, in another file, and by two people at once', async () => {
    const before = [await countOf('bank_entry'), await countOf('book_entry')]
    const again = await upload(camt([FIRST]))
    expect([again.status, again.json['statements']]).toMatchObject([
      200,
      [{ statementId: 'S-1', known: true, matched: 0, open: 0 }],
    ])
    expect((await upload(camt([FIRST], '<MsgId>other</MsgId>'))).status).toBe(200)
    const third = { id: 'S-3', day: '2026-12-04', opening: '1097.75', entries: [{ amount: '0.01', text: 'interest' }] }
    const both = await Promise.all([upload(camt([third]), XML, '', 'a'), upload(camt([third]), XML, '', 'b')])
    expect(both.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 201])
    expect([await countOf('bank_entry'), await countOf('book_entry')]).toEqual([before[0]! + 1, before[1]!])
  })
})

describe('a file', () => {
  it.each([
    [
      'of a statement under the name of another',
      camt([{ ...FIRST, entries: [{ amount: '90.25' }], summary: '' }]),
      409,
      'statement-id-reused',
    ],
    ['of a statement that does not follow', camt([{ id: 'S-9', day: '2026-12-09', opening: '1.00' }]), 409, 'statement-missing'],
    ['of a statement that comes late', camt([{ id: 'S-0', day: '2026-12-01', opening: '1097.76' }]), 409, 'statement-missing'],
    [
      'with a wrong control sum',
      camt([{ ...FIRST, id: 'W', summary: '<TtlNtries><Sum>1.00</Sum></TtlNtries>' }]),
      422,
      'wrong-control-sum',
    ],
    ['that ends before its end', camt([{ ...FIRST, id: 'W' }]).slice(0, 900), 422, 'not-xml'],
    ['with three decimals', camt([{ id: 'W', entries: [{ amount: '1.005' }] }]), 422, 'too-many-decimals'],
    ['of an account of others', camt([{ id: 'W', account: 'EG111' }]), 422, 'unknown-account'],
    ['with a negative amount', camt([{ ...FIRST, id: 'W' }]).replace('>5.25<', '>-5.25<'), 422, 'not-an-amount'],
    [
      'with a DOCTYPE',
      camt([FIRST]).replace('<Doc', '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/hostname">]><Doc'),
      422,
      'doctype',
    ],
    ['with nothing', '', 422, 'not-xml'],
    [
      'of which the second statement is wrong',
      camt([
        { id: 'EG-2', account: 'EG2' },
        { id: 'W', closing: '1.00' },
      ]),
      422,
      'balances-do-not-add-up',
    ],
    [
      'with one name for two statements',
      camt([
        { id: 'A', account: 'EG2' },
        { id: 'B', account: 'EG2' },
        { id: 'A', account: 'EG2', day: '2026-12-02' },
      ]),
      409,
      'statement-id-reused',
    ],
    [
      'of which the second statement does not follow',
      camt([
        { id: 'EG-2', account: 'EG2' },
        { id: 'W', day: '2026-12-09' },
      ]),
      409,
      'statement-missing',
    ],
  ])('%s is refused as a whole', async (_, file, status, type) => {
    const before = await countOf('bank_statement')
    expect(problemOf(await upload(file))).toMatchObject({ status, type })
    expect(await countOf('bank_statement')).toBe(before)
  })

  it('that is too large, of another type, or of somebody else is refused', async () => {
    expect((await upload(camt([FIRST]).replace('<Stmt>', `<Stmt>${' '.repeat(120_000)}`))).status).toBe(413)
    expect((await upload('{}', { 'content-type': 'application/json' })).status).toBe(415)
    expect((await api.as('auditor').post('/v1/bank-statements', camt([FIRST]), XML)).status).toBe(403)
    expect((await upload(camt([FIRST]), XML, '?because=')).status).toBe(400)
  })

  it('that does not follow is taken where somebody says why, and that is kept', async () => {
    const late = camt([{ id: 'S-9', day: '2026-12-09', opening: '1.00' }])
    const taken = await upload(late, XML, '?because=The%20bank%20lost%20four%20days')
    expect([taken.status, taken.json['statements']]).toMatchObject([201, [{ note: 'The bank lost four days', number: 4 }]])
    expect((await itemsOf(`/v1/bank-statements?account=${ACCOUNT}`)).map(({ number, note }) => [number, note])).toEqual([
      [1, null],
      [2, null],
      [3, null],
      [4, 'The bank lost four days'],
    ])
    const older = camt([{ id: 'S-4', day: '2026-12-05', opening: '1097.76' }])
    expect((await upload(older, XML, '?because=It%20has%20come%20now')).status).toBe(201)
    // It goes on where the latest days ended.
    expect((await upload(camt([{ id: 'S-10', day: '2026-12-10', opening: '1.00' }]))).json['statements']).toMatchObject([
      { number: 6, note: null },
    ])
    const records = await api.running.sql<{ outcome: string; detail: string }>(
      `SELECT outcome, detail FROM audit_record WHERE action = 'bank.import' AND detail LIKE '%lost four days%'`,
    )
    expect(records).toMatchObject([{ outcome: 'done' }])
  })
})

describe('an entry of the work list', () => {
  it('is matched by two people, once', async () => {
    const entryId = await openEntry('77.00')
    const path = `/v1/bank-entries/${String(entryId)}/match`
    const wrong = await officer().post(path, { to: 'claims', payer: 1210, from: '2026-12-01', until: '2026-12-01', note: 'x' })
    expect(problemOf(await agree(wrong))).toMatchObject({ status: 409, type: 'more-than-claimed' })
    expect(problemOf(await officer().post(path, { to: 'suspense', note: 'y' }))).toMatchObject({
      status: 409,
      type: 'already-proposed',
    })
    await officer().post(`/v1/proposals/${String(wrong.json['proposalId'])}/decision`, { decision: 'withdraw' })
    const proposed = await officer().post(path, { to: 'suspense', note: 'Nobody knows it' })
    expect((await agree(proposed, 'officer-1')).status).toBe(403)
    expect((await agree(proposed)).json).toMatchObject({ state: 'approved', result: { kind: 'suspense' } })
    expect((await agree(proposed, 'officer-3')).status).toBe(409)
    expect(problemOf(await officer().post(path, { to: 'suspense', note: 'again' }))).toMatchObject({ type: 'already-matched' })
    expect(await postingsOf('bank-suspense')).toEqual(['1000 / 2900 7700'])
  })

  it('is what somebody says only where that fits', async () => {
    const path = `/v1/bank-entries/${String(await openEntry('-1.00'))}/match`
    const refusals = [
      await officer().post(path, { to: 'claims', payer: 1210, from: '2026-12-01', until: '2026-12-01', note: 'x' }),
      await officer().post(path, { to: 'claims', payer: 1299, from: '2026-12-01', until: '2026-12-01', note: 'x' }),
      await officer().post(path, { to: 'deposits', note: 'x' }),
      await officer().post('/v1/bank-entries/999/match', { to: 'suspense', note: 'x' }),
    ]
    expect(refusals.map(({ status }) => status)).toEqual([422, 422, 422, 404])
    const tried = async (body: object, type: string): Promise<void> => {
      const proposed = await officer().post(path, { ...body, note: 'x' })
      expect(problemOf(await agree(proposed))).toMatchObject({ status: 409, type })
      await officer().post(`/v1/proposals/${String(proposed.json['proposalId'])}/decision`, { decision: 'withdraw' })
    }
    await tried({ to: 'payout', reference: 'P-1' }, 'no-such-payout')
    await tried({ to: 'atm-load', reference: 'CIT-1' }, 'no-such-load')
    await tried({ to: 'deposits', day: '2026-12-02' }, 'other-deposits')
    // What went out settles only what is owed to somebody.
    await tried({ to: 'suspense', itemId: 4711 }, 'item-does-not-fit')
    await agree(await officer().post(path, { to: 'suspense', note: 'A fee that nobody has agreed to' }))
  })
})

describe('cash of a machine', () => {
  const terminalId = at('atm')[41]!
  const path = `/v1/atms/${terminalId}`

  it('is what was loaded less what was handed out, and the bank confirms the loading', async () => {
    const card = await api.running.openCard({ balance: 50_000 })
    const key = { 'idempotency-key': 'load-1' }
    const load = { amount: '1000.00', reference: 'CIT-1', day: '2026-12-03' }
    expect((await officer().post(`${path}/loads`, load, key)).json).toMatchObject({ position: '1000.00' })
    expect((await officer().post(`${path}/loads`, load, key)).headers.get('idempotency-replayed')).toBe('true')
    expect(problemOf(await officer().post(`${path}/loads`, load))).toMatchObject({ status: 409, type: 'reference-used' })
    expect((await pos.ask('0200', { 2: card.pan, 3: '010000', 4: amount(10_000), ...at('atm') })).text(39)).toBe('00')
    expect((await officer().get(path)).json).toMatchObject({ terminalId, position: '900.00', countedAt: null })
    await officer().post(`${path}/loads`, { amount: '100', reference: 'CIT-2', direction: 'out' })
    expect(await itemsOf('/v1/atms?limit=1')).toMatchObject([{ terminalId, position: '800.00' }])
    const told = { id: 'EG-1', account: 'EG3333', opening: '5000.00', entries: [{ amount: '-1000.00', endToEndId: 'CIT-1' }] }
    expect((await upload(camt([told]))).json['statements']).toMatchObject([{ matched: 1, open: 0 }])
  })

  it('that is missing or too much when it is counted is an item of suspense', async () => {
    const short = await officer().post(`${path}/counts`, { counted: '790.00', reference: 'C-1' })
    expect([short.status, short.json]).toMatchObject([201, { position: '790.00', counted: '790.00', difference: '-10.00' }])
    const over = await officer().post(`${path}/counts`, { counted: '793.50', reference: 'C-2' })
    expect(over.json).toMatchObject({ position: '793.50', difference: '3.50' })
    expect((await officer().post(`${path}/counts`, { counted: '793.5', reference: 'C-3' })).json).toMatchObject({
      itemId: null,
      difference: '0.00',
    })
    expect((await officer().post(`${path}/counts`, { counted: '1', reference: 'C-1' })).status).toBe(409)
    expect(await postingsOf('atm-count')).toEqual(['2900 / 1010 1000', '1010 / 2900 350'])
    expect(await itemsOf('/v1/suspense?state=open')).toMatchObject([
      { kind: 'bank-suspense', open: '-77.00' },
      { kind: 'bank-suspense', open: '1.00' },
      { kind: 'atm-count', open: '10.00' },
      { kind: 'atm-count', open: '-3.50' },
    ])
  })

  it('is of machines only', async () => {
    const elsewhere = [at('pos')[41]!, 'NOWHERE1']
    for (const id of elsewhere) {
      expect((await officer().get(`/v1/atms/${id}`)).status).toBe(404)
      expect((await officer().post(`/v1/atms/${id}/loads`, { amount: '1', reference: 'X' })).status).toBe(404)
      expect((await officer().post(`/v1/atms/${id}/counts`, { counted: '1', reference: 'X' })).status).toBe(404)
    }
    expect((await officer().post(`${path}/loads`, { amount: '0', reference: 'X' })).status).toBe(422)
    expect((await officer().post(`${path}/loads`, { amount: '1.005', reference: 'X' })).status).toBe(400)
    expect((await api.as('operator').post(`${path}/loads`, { amount: '1', reference: 'X' })).status).toBe(403)
  })
})

describe('payouts', () => {
  const statement = (id: string, day: string, opening: string, entries: FileStatement['entries'] = []): string =>
    camt([{ id, account: 'EG3333', day, opening, entries }])
  let grocer: string

  it('are executed when the bank says so: by reference, or what comes to the amount', async () => {
    const merchants = await api.running.sql<{ id: string; terminal: string }>(
      'SELECT merchant_id AS id, terminal_id AS terminal FROM terminal WHERE terminal_id = ANY ($1) ORDER BY terminal_id',
      [['bakery', 'grocer'].map((place) => at(place)[41])],
    )
    const outlets = new Outlets(api.running, openDesk(api.running))
    for (const { id } of merchants) await outlets.setAccount({ id: Number(id), acceptorId: '' })
    await agree(await officer().post('/v1/payout-runs', {}))
    const payouts = await api.running.sql<{ id: string; amount: string; day: string }>(
      'SELECT p.end_to_end_id AS id, p.amount, r.execution_day::text AS day FROM payout p JOIN payout_run r ON r.id = p.run_id ORDER BY p.amount',
    )
    expect(payouts.map((payout) => payout.amount)).toEqual(['525', '1250'])
    grocer = payouts[1]!.id
    const entries = [{ amount: '-12.50', endToEndId: grocer }, { amount: '-5.25' }, { amount: '-12.50', endToEndId: grocer }]
    const told = (await upload(statement('EG-2', payouts[0]!.day, '4000.00', entries))).json['statements']
    expect(told).toMatchObject([{ matched: 2, open: 1 }])
    expect(await statesOf()).toEqual(['executed', 'executed'])
    expect((await itemsOf('/v1/bank-entries?state=open&account=EG3333')).map(({ openReason }) => openReason)).toEqual([
      'not-expected',
    ])
  })

  it('that come back are posted back, once', async () => {
    const back = [{ amount: '12.50', endToEndId: grocer, returnReason: 'AC04' }]
    expect((await upload(statement('EG-3', '2026-12-08', '3969.75', back))).json['statements']).toMatchObject([
      { matched: 1, open: 0 },
    ])
    expect((await upload(statement('EG-4', '2026-12-09', '3982.25', back))).json['statements']).toMatchObject([
      { matched: 0, open: 1 },
    ])
    expect(await postingsOf('payout-return')).toEqual(['1000 / 2200 1250'])
    expect(await statesOf()).toEqual(['executed', 'returned'])
    const path = `/v1/bank-entries/${String(await openEntry('12.50'))}/match`
    const proposed = await officer().post(path, { to: 'payout', reference: grocer, note: 'x' })
    expect(problemOf(await agree(proposed))).toMatchObject({ status: 409, type: 'already-matched' })
    await withdrawAll()
  })

  it('less a fee are matched by two people, who leave the fee to suspense', async () => {
    const [bakery] = await api.running.sql<{ id: string }>('SELECT end_to_end_id AS id FROM payout ORDER BY amount LIMIT 1')
    const back = [{ amount: '5.00', endToEndId: bakery!.id, returnReason: 'AC04' }]
    const told = await upload(statement('EG-5', '2026-12-10', '3994.75', back))
    expect(told.json['statements']).toMatchObject([{ matched: 0, open: 1 }])
    const path = `/v1/bank-entries/${String(await openEntry('5.00'))}/match`
    expect((await agree(await officer().post(path, { to: 'payout', reference: bakery!.id, note: 'A fee' }))).status).toBe(200)
    expect(await postingsOf('payout-return')).toEqual(['1000 / 2200 1250', '1000 / 2210 525'])
    expect(await statesOf()).toEqual(['returned', 'returned'])
    const fee = `/v1/suspense/${String(await openItem('0.25'))}/resolution`
    expect((await agree(await officer().post(fee, { way: 'write-off', note: 'A fee' }))).status).toBe(200)
    // The same entries under another name, where nothing but the name is new.
    const again = await upload(statement('EG-5B', '2026-12-10', '3999.75', back))
    expect(problemOf(again)).toMatchObject({ status: 409, type: 'entries-taken' })
  })

  async function statesOf(): Promise<string[]> {
    const rows = await api.running.sql<{ state: string }>('SELECT state FROM payout ORDER BY amount')
    return rows.map(({ state }) => state)
  }
})

describe('suspense', () => {
  it('of messages has an item each, and what follows an original belongs to it', async () => {
    const card = await api.running.openCard({ balance: 500 })
    const held = await pos.exchange('0100', { 2: card.pan, 4: amount(400) })
    const completed = await pos.exchange('0220', { 2: card.pan, 4: amount(900), 90: originalOf(held.sent) })
    expect(completed.answer.text(39)).toBe('00')
    const refund = { 2: card.pan, 3: '200000', 4: amount(150), 90: originalOf(completed.sent) }
    const refunded = await pos.exchange('0200', refund)
    const reversal = { 2: card.pan, 3: '200000', 4: amount(150), 90: originalOf(refunded.sent) }
    expect([refunded.answer.text(39), (await pos.ask('0400', reversal)).text(39)]).toEqual(['00', '00'])
    expect((await pos.ask('0200', refund)).text(39)).toBe('00')
    const household = await api.running.openHousehold({ ration: 0 })
    const advice = ration(household.head.pan, ['OIL*1*2000'], { 12: '110000', 13: '1202' })
    expect((await pos.ask('0220', advice)).text(39)).toBe('00')
    expect((await itemsOf('/v1/suspense?state=open')).slice(-2)).toMatchObject([
      {
        kind: 'completion',
        acceptorId: at('pos')[42],
        account: 2220,
        lent: '5.50',
        comeBack: '3.00',
        open: '2.50',
        ageDays: 0,
        owner: 'settlement',
      },
      { kind: 'dispense', acceptorId: at('grocer')[42], account: 2200, open: '20.00' },
    ])
    const item = (await officer().get(`/v1/suspense/${String(await openItem('2.50'))}`)).json
    expect(item['postings']).toMatchObject([
      { way: 'completion', lent: '4.00' },
      { way: 'refund', comeBack: '1.50' },
      { way: 'reversal', lent: '1.50' },
      { way: 'refund', comeBack: '1.50' },
    ])
  })

  it('has an owner, and an age', async () => {
    const path = `/v1/suspense/${String(await openItem('20.00'))}`
    expect((await officer().send('PUT', `${path}/owner`, { owner: 'officer-9' })).json).toMatchObject({ owner: 'officer-9' })
    expect((await officer().send('PUT', `${path}/owner`, { owner: null }, { 'if-match': '"1"' })).status).toBe(412)
    expect((await itemsOf('/v1/suspense?owner=officer-9')).length).toBe(1)
    expect(await itemsOf('/v1/suspense?state=open&olderThanDays=1')).toEqual([])
    api.running.clock.moveTo('2026-12-09T08:00:00Z')
    expect((await itemsOf('/v1/suspense?state=open&olderThanDays=6')).length).toBe(6)
    expect((await officer().send('PUT', '/v1/suspense/999/owner', { owner: 'x' })).status).toBe(404)
  })

  it('ends by two people: recovered, claimed, written off, matched with its opposite, found to be a receipt', async () => {
    const end = async (open: string, body: object): Promise<ApiAnswer> =>
      officer().post(`/v1/suspense/${String(await openItem(open))}/resolution`, { note: 'agreed', ...body })
    expect((await agree(await end('2.50', { way: 'recover' }))).json).toMatchObject({ result: { way: 'recover', left: 0 } })
    expect((await agree(await end('20.00', { way: 'claim', payer: 1200, amount: '12.00' }))).json).toMatchObject({
      result: { left: 800 },
    })
    expect((await agree(await end('8.00', { way: 'write-off' }))).status).toBe(200)
    expect(
      (await agree(await end('10.00', { way: 'match', amount: '3.50', oppositeItemId: await openItem('-3.50') }))).status,
    ).toBe(200)
    expect((await agree(await end('6.50', { way: 'match', oppositeItemId: await openItem('-77.00') }))).status).toBe(200)
    expect((await agree(await end('1.00', { way: 'write-off' }))).status).toBe(200)
    api.running.clock.moveTo('2026-12-09T22:30:00Z')
    expect((await officer().post('/v1/business-days/2026-12-09/close', {})).status).toBe(200)
    expect(
      (await itemsOf('/v1/claims?from=2026-12-09&until=2026-12-09')).map(({ payer, amount: owed }) => [payer, owed]),
    ).toEqual([[1200, '12.00']])
    const receipt = { way: 'receipt', payer: 1200, from: '2026-12-02', until: '2026-12-09' }
    expect(problemOf(await agree(await end('-70.50', receipt)))).toMatchObject({ status: 409, type: 'more-than-claimed' })
    await withdrawAll()
    expect((await agree(await end('-70.50', { ...receipt, amount: '12.00' }))).status).toBe(200)
    expect(await itemsOf('/v1/claims?from=2026-12-01&until=2026-12-09&state=open')).toEqual([])
    expect((await itemsOf('/v1/suspense?state=open')).map(({ open }) => open)).toEqual(['-58.50'])
    expect([
      ...(await postingsOf('suspense-recover')),
      ...(await postingsOf('suspense-claim')),
      ...(await postingsOf('suspense-write-off')),
    ]).toEqual(['2220 / 2900 250', '1200 / 2900 1200', '4000 / 2900 25', '4000 / 2900 800', '4000 / 2900 100'])
  })

  it('that came from the bank is recovered from an outlet that is named, or given to it', async () => {
    const last = (await itemsOf('/v1/bank-statements?limit=200')).filter(({ account }) => account === 'EG2').at(-1)
    const entries = [{ amount: '-31.00' }, { amount: '32.00' }, { amount: '-9.00' }]
    const opening = last === undefined ? '0.00' : String(last['closing'])
    expect((await upload(camt([{ id: 'EG2-R', account: 'EG2', day: '2026-12-20', opening, entries }]))).status).toBe(201)
    for (const { amount: value } of entries)
      await agree(await officer().post(`/v1/bank-entries/${String(await openEntry(value))}/match`, { to: 'suspense', note: 'x' }))
    const acceptorId = String(at('bakery')[42]).trim()
    const path = async (open: string): Promise<string> => `/v1/suspense/${String(await openItem(open))}/resolution`
    const recover = { way: 'recover', note: 'The bakery agrees to it' }
    for (const [body, type] of [
      [recover, 'not-this-way'],
      [{ ...recover, acceptorId }, 'member-missing'],
      [{ ...recover, acceptorId, account: 2290 }, 'member-missing'],
      [{ ...recover, acceptorId: 'NOBODY', account: 2210 }, 'no-such-merchant'],
      [{ ...recover, acceptorId, account: 2210, amount: '31.01' }, 'more-than-open'],
      [{ way: 'write-off', note: 'x', acceptorId }, 'member-not-of-this-way'],
    ] as const)
      expect(problemOf(await officer().post(await path('31.00'), body))).toMatchObject({ type })
    const named = { ...recover, acceptorId, account: 2210 }
    const itemId = await openItem('31.00')
    expect((await agree(await officer().post(await path('31.00'), named))).json).toMatchObject({ result: { left: 0 } })
    expect(problemOf(await officer().post(`/v1/suspense/${String(itemId)}/resolution`, named))).toMatchObject({
      type: 'item-is-resolved',
    })
    expect((await agree(await officer().post(await path('-32.00'), { ...named, amount: '12.00' }))).status).toBe(200)
    await agree(await officer().post(await path('-20.00'), { ...named, account: 2220 }))
    await agree(await officer().post(await path('9.00'), { way: 'write-off', note: 'a fee' }))
    expect(await postingsOf('suspense-recover')).toEqual([
      '2220 / 2900 250',
      '2210 / 2900 3100',
      '2900 / 2210 1200',
      '2900 / 2220 2000',
    ])
    const [owner] = await api.running.sql<{ acceptor: string }>(
      `SELECT DISTINCT m.acceptor_id AS acceptor FROM book_transfer t JOIN merchant m ON m.id = t.debit_owner
       WHERE t.debit_code = 2210 AND t.credit_code = 2900`,
    )
    expect(owner?.acceptor.trim()).toBe(acceptorId)
  })

  it('ends once, by one way at a time, and not by one that does not fit', async () => {
    const itemId = await openItem('-58.50')
    const path = `/v1/suspense/${String(itemId)}/resolution`
    for (const body of [{ way: 'claim', payer: 1200 }, { way: 'recover' }, { way: 'write-off', amount: '0' }, { way: 'match' }])
      expect((await officer().post(path, { note: 'x', ...body })).status).toBe(422)
    expect((await officer().post(path, { note: 'x', way: 'write-off', amount: '58.51' })).status).toBe(409)
    const [first, second] = await Promise.all([
      officer('a').post(path, { way: 'write-off', note: 'x' }),
      officer('b').post(path, { way: 'write-off', note: 'x' }),
    ])
    const answers = [first, second].toSorted((a, b) => a.status - b.status)
    expect(answers.map(({ status }) => status)).toEqual([202, 409])
    const decisions = await Promise.all(['c', 'd'].map((name) => agree(answers[0]!, name)))
    expect(decisions.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 409])
    expect(problemOf(await officer().post(path, { way: 'write-off', note: 'x' }))).toMatchObject({ type: 'item-is-resolved' })
    expect(await itemsOf('/v1/suspense?state=open')).toEqual([])
  })
})

async function withdrawAll(): Promise<void> {
  for (const proposal of await itemsOf('/v1/proposals?state=open'))
    await officer().post(`/v1/proposals/${String(proposal['proposalId'])}/decision`, { decision: 'withdraw' })
}

describe('an entry for several, and several for one', () => {
  let ordinal = 0
  /** A statement of its own. @returns the ids of its entries, which are all open */
  const openEntries = async (...amounts: string[]): Promise<number[]> => {
    const last = (await itemsOf('/v1/bank-statements?limit=200')).filter(({ account }) => account === 'EG2').at(-1)
    const id = `EG2-M${String(++ordinal)}`
    const told = {
      id,
      account: 'EG2',
      day: '2026-12-21',
      opening: String(last?.['closing']),
      entries: amounts.map((one) => ({ amount: one })),
    }
    const answer = await upload(camt([told]))
    expect([answer.text, answer.json['statements']]).toMatchObject([answer.text, [{ open: amounts.length }]])
    return (await itemsOf(`/v1/bank-entries?statementId=${id}`)).map(({ entryId }) => Number(entryId))
  }
  const match = (entryId: number | undefined, body: object, name?: string): Promise<ApiAnswer> =>
    officer(name).post(`/v1/bank-entries/${String(entryId)}/match`, { note: 'x', ...body })
  const refusedAs = async (entryId: number | undefined, body: object, type: string): Promise<void> => {
    expect(problemOf(await agree(await match(entryId, body)))).toMatchObject({ type })
    await withdrawAll()
  }

  it('is the cash of several machines; one fetch is several debits; never more, but by a difference that is said', async () => {
    const path = `/v1/atms/${at('atm')[41]!}/loads`
    for (const [reference, value] of [
      ['BAG-1', '300.00'],
      ['BAG-2', '200.00'],
      ['BAG-3', '90.00'],
      ['BAG-4', '70.00'],
    ])
      expect((await officer().post(path, { amount: value, reference })).status).toBe(201)
    const [both, over, first, second, tooMuch, less] = await openEntries(
      '-500.00',
      '-500.01',
      '-60.00',
      '-30.00',
      '-31.00',
      '-69.50',
    )
    const bags = { to: 'atm-load', references: ['BAG-1', 'BAG-2'] }
    await refusedAs(over, bags, 'more-than-expected')
    await refusedAs(both, { to: 'atm-load', references: ['BAG-1'] }, 'more-than-expected')
    await refusedAs(both, { to: 'atm-load', references: ['BAG-1', 'NONE'] }, 'no-such-load')
    await refusedAs(first, { ...bags, part: true }, 'part-of-several')
    // Two operators at once say it of two entries.
    const [one, other] = [await match(both, bags, 'a'), await match(over, { ...bags, difference: true }, 'b')]
    const decided = await Promise.all([agree(one, 'c'), agree(other, 'd')])
    expect(decided.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 409])
    for (const { proposalId } of await itemsOf('/v1/proposals?state=open'))
      await officer('e').post(`/v1/proposals/${String(proposalId)}/decision`, { decision: 'refuse' })
    const left = decided[0].status === 200 ? over : both
    await refusedAs(left, bags, 'no-such-load')

    const bag = { to: 'atm-load', reference: 'BAG-3' }
    await refusedAs(first, bag, 'amount-differs')
    expect((await agree(await match(first, { ...bag, part: true }))).json).toMatchObject({ result: { kind: 'atm-loads' } })
    await refusedAs(tooMuch, { ...bag, part: true }, 'more-than-expected')
    await refusedAs(tooMuch, bag, 'more-than-expected')
    expect((await agree(await match(second, bag))).json).toMatchObject({ result: { kind: 'atm-load' } })
    await refusedAs(tooMuch, { ...bag, part: true }, 'no-such-load')
    expect((await agree(await match(less, { to: 'atm-load', reference: 'BAG-4', difference: true }))).status).toBe(200)
    expect(await openItem('-0.50')).toBeGreaterThan(0)
    for (const entryId of [left, tooMuch]) await agree(await match(entryId, { to: 'suspense' }))
  })

  it('is the deposits of a day in two credits, and of two days in one', async () => {
    const card = await api.running.openCard({ balance: 0 })
    for (const [day, value] of [
      ['10', 1000],
      ['11', 700],
      ['12', 800],
    ] as const) {
      await pos.ask('0200', { 2: card.pan, 3: '210000', 4: amount(value), ...at('post-office') })
      api.running.clock.moveTo(`2026-12-${day}T22:30:00Z`)
      expect((await officer().post(`/v1/business-days/2026-12-${day}/close`, {})).status).toBe(200)
    }
    const [part, rest, two] = await openEntries('4.00', '6.00', '15.00')
    const day = { to: 'deposits', day: '2026-12-10' }
    await refusedAs(two, { ...day, part: true }, 'more-than-expected')
    await refusedAs(two, { to: 'deposits', days: ['2026-12-11', '2026-12-10'] }, 'amount-differs')
    expect((await agree(await match(part, { ...day, part: true }))).status).toBe(200)
    expect((await agree(await match(rest, day))).json).toMatchObject({ result: { kind: 'deposits', what: '2026-12-10' } })
    await refusedAs(two, { ...day, part: true }, 'other-deposits')
    const days = { to: 'deposits', days: ['2026-12-11', '2026-12-12'] }
    expect((await agree(await match(two, days))).json).toMatchObject({ result: { kind: 'deposit-days' } })
    expect(await countOf('bank_match_part')).toBe(6)
  })

  it('is more than it came to only for the auditor to see', async () => {
    const { databaseUrl, clock } = api.running
    const failed = async (): Promise<string[]> =>
      (await audit({ databaseUrl, holdGraceMs: 0, reservationAgeMs: 0, clock })).checks
        .filter(({ ok }) => !ok)
        .map(({ name }) => name)
    await api.running.sql('ALTER TABLE bank_match_part DISABLE TRIGGER append_only')
    await api.running.sql(`UPDATE bank_match_part SET amount = amount + 100000 WHERE kind = 'deposits'`)
    expect(await failed()).toEqual(['append_only', 'bank_statements'])
    await api.running.sql(`UPDATE bank_match_part SET amount = amount - 100000 WHERE kind = 'deposits'`)
    await api.running.sql('ALTER TABLE bank_match_part ENABLE TRIGGER append_only')
  })
})

describe('the audit', () => {
  it('finds nothing wrong with it', async () => {
    await expectCleanBooks(api.running)
  })

  const forged = `UPDATE suspense_posting SET event_number = -event_number WHERE way = 'atm-count'`
  it.each([
    [
      'claims',
      'UPDATE claim SET amount = amount + n WHERE payer_code = 1210',
      'the claims of the day are not what the ledger has moved',
    ],
    ['claims', 'UPDATE claim_payment SET amount = amount + n', 'what was paid of claims is not what was received'],
    ['claims', 'UPDATE claim_payment SET amount = amount + n', 'more is paid of the claim than it is'],
    ['claims', 'UPDATE claim_receipt SET amount = amount + n', 'the receipt is not what was posted'],
    ['bank_statements', 'UPDATE bank_entry SET amount = amount + n', 'its entries are not what it says'],
    [
      'bank_statements',
      'UPDATE bank_statement SET opening = opening + n, credits = credits - n',
      'it does not begin where the one before ended',
    ],
    [
      'bank_statements',
      'UPDATE bank_match SET entry_id = entry_id + 1000000 * n',
      'it is neither on the work list nor matched, or both',
    ],
    [
      'bank_statements',
      `UPDATE bank_match SET entry_id = entry_id + 1000000 * n; UPDATE bank_statement SET imported_at = imported_at - n * interval '1 year';
       INSERT INTO bank_arrival (shard, account, statement_id, fingerprint, phase, begun_at, begun_by)
         SELECT shard, account, statement_id, fingerprint, 'rest', imported_at, 'test' FROM bank_statement WHERE n > 0;
       DELETE FROM bank_arrival WHERE n < 0`,
      'it is neither on the work list nor matched, or both',
    ],
    [
      'bank_statements',
      `UPDATE bank_match_part SET amount = amount + n WHERE kind = 'deposits' AND what = '2026-12-10'`,
      'it is not what the day, or the loading, came to',
    ],
    [
      'bank_statements',
      `UPDATE book_transfer SET amount = amount + n WHERE key IN (SELECT what FROM bank_match WHERE kind = 'atm-load')`,
      'it is not what the day, or the loading, came to',
    ],
    ['suspense_items', 'UPDATE suspense_item SET lent = lent + n', 'the item is not the sum of its postings'],
    [
      'suspense_items',
      'UPDATE suspense_posting SET lent = lent + n WHERE event_number IS NOT NULL',
      'the item was moved by another amount',
    ],
    [
      'suspense_items',
      `UPDATE suspense_posting SET lent = lent + n WHERE way = 'match' AND lent > 0`,
      'items that were matched did not move by as much',
    ],
    ['suspense_items', forged, 'an item was moved by what is not in the ledger'],
    ['suspense_items', forged, 'it is in no item'],
  ])('%s: %s is found', async (check, change, wrong) => {
    const tamper = (by: string) =>
      api.running.sql(`BEGIN; SET LOCAL session_replication_role = replica; ${change.replaceAll(/\bn\b/g, by)}; COMMIT`)
    await tamper('1')
    const { databaseUrl, clock } = api.running
    const report = await audit({ databaseUrl, clock, holdGraceMs: 60_000, reservationAgeMs: 60_000 })
    await tamper('(-1)')
    const examples = report.checks.find(({ name }) => name === check)?.examples ?? []
    expect(examples.map((example) => example['wrong'])).toContain(wrong)
  })
})
