/** A run of thousands of payouts and the statement that confirms them: in pieces that may be cut short, be done by two processes at once, and come again; nothing is there twice or half. */
import { beforeAll, describe, expect, it } from 'vitest'
import { audit } from '../../../src/ledger/audit.ts'
import type { Desk } from '../../../src/ledger/programme/desk.ts'
import { silentLogger as log } from '../../../src/log.ts'
import { importStatements, readStatementFile } from '../../../src/settlement/bank/importStatements.ts'
import { PAYOUT_BOOK } from '../../../src/settlement/payoutBook.ts'
import { payoutParts, payoutRunKind, postRun } from '../../../src/settlement/payoutRuns.ts'
import { finishWhatIsBegun } from '../../../src/settlement/unfinishedJob.ts'
import { problemOf } from '../../admin/programme/families.ts'
import { startProgrammeApi, type ApiAnswer, type ProgrammeApi } from '../../support/programmeApi.ts'
import { openDesk } from '../../support/programmeDesk.ts'
import { until } from '../../support/switch.ts'
import { egyptianIban, Outlets } from '../outlets.ts'
import { ACCOUNT, camt, csv, type FileEntry } from './statementFiles.ts'

/** Two pieces of each sort and a part of a third. */
const OUTLETS = 2550
const XML = { 'content-type': 'application/xml' }

let api: ProgrammeApi
let desks: Desk[]
const officer = (name = 'officer-1') => api.as('settlement-officer', { name })

beforeAll(async () => {
  api = await startProgrammeApi({
    at: '2026-12-03T09:00:00Z',
    configure: (config) => ({
      ...config,
      settlement: {
        ...config.settlement,
        days: { ...config.settlement.days, everyMs: 3_600_000 },
        bank: { ...config.settlement.bank, accounts: [ACCOUNT] },
      },
    }),
  })
  desks = [openDesk(api.running), openDesk(api.running)]
  await until(async () => (await api.running.sql('SELECT FROM business_day')).length > 0)
  await api.running.sql(
    `INSERT INTO merchant (id, acceptor_id, name, category, governorate)
     SELECT nextval('merchant_number'), 'MANY' || lpad(n::text, 6, '0'), 'Outlet', '5462', 3 FROM generate_series(1, $1::int) AS n`,
    [OUTLETS],
  )
  await api.running.sql(
    `INSERT INTO merchant_bank_account (merchant_id, version, iban, bic, holder_name, state, made_by, made_at, decided_at)
     SELECT id, 1, $1, NULL, 'Outlet', 'in-force', 'test', now(), now() FROM merchant WHERE acceptor_id LIKE 'MANY%'`,
    [egyptianIban(7)],
  )
  await api.running.sql(
    `SELECT count(*) FROM (
       SELECT post_book(0::smallint, now(), array_agg('many|' || id), array_agg('test'::text), array_agg(NULL::date), array_agg(NULL::text), array_agg('test'::text),
         array_agg(NULL::text), array_agg(row_number::int), array_agg(1210::smallint), array_agg(0::bigint), array_agg(2210::smallint), array_agg(id), array_agg(1000 + id))
       FROM (SELECT id, row_number() OVER () FROM merchant WHERE acceptor_id LIKE 'MANY%') m) posted`,
  )
  await new Outlets(api.running, desks[0]!).closeDay()
})

async function countOf(what: string): Promise<number> {
  return Number((await api.running.sql<{ count: string }>(`SELECT count(*) FROM ${what}`))[0]?.count)
}

async function failedChecks(): Promise<string[]> {
  // What came all at once is not counted yet, and the auditor's plans are made by what was.
  await api.running.sql('ANALYZE')
  const { databaseUrl, clock } = api.running
  const report = await audit({ databaseUrl, holdGraceMs: 0, reservationAgeMs: 0, clock })
  return report.checks.filter(({ ok }) => !ok).map(({ name }) => name)
}

let run: ApiAnswer
const runNow = async (): Promise<Record<string, unknown>> =>
  (await officer().get(`/v1/payout-runs/${String(run.json['runId'])}`)).json

describe('a run', () => {
  it('that is approved is posted in pieces, and says how far it is', async () => {
    run = await officer().post('/v1/payout-runs', {})
    expect(run.json).toMatchObject({ state: 'prepared', payouts: OUTLETS, posted: 0 })
    const runId = Number(run.json['runId'])
    const kind = payoutRunKind(payoutParts(api.running.config))
    const approved = await desks[0]!.upkeep((tx) => kind.execute(tx, { runId }, { name: 'officer-2', roles: [] }))
    expect(approved.ok).toBe(true)
    let pieces = 0
    await postRun(desks[0]!, runId, () => pieces++ === 1)
    expect(await runNow()).toMatchObject({ state: 'posting', payouts: OUTLETS, posted: 1000 })
    // Half of it is what it is: no file yet, no other run; and an auditor who counts.
    expect(problemOf(await officer().get(`/v1/payout-runs/${String(runId)}/file`))).toMatchObject({
      type: 'payout-run-posting',
    })
    expect(problemOf(await officer().post('/v1/payout-runs', {}))).toMatchObject({ type: 'payout-run-open' })
    // The bank has none of it yet: nothing can come back, or be what an entry comes to.
    const [posted] = await api.running.sql<{ id: string; amount: string; day: string }>(
      `SELECT p.end_to_end_id AS id, p.amount, r.execution_day::text AS day FROM payout p JOIN payout_run r ON r.id = p.run_id WHERE p.state = 'paid' LIMIT 1`,
    )
    const back = { reason: 'MS03', valueDate: '2026-12-03', amount: (Number(posted!.amount) / 100).toFixed(2) }
    const refusal = problemOf(await officer().post(`/v1/payouts/${posted!.id}/return`, back))
    expect(refusal).toMatchObject({ status: 409, type: 'payout-run-posting' })
    const days = { from: posted!.day, until: posted!.day }
    expect(await desks[0]!.read((tx) => PAYOUT_BOOK.ofAmounts(tx, [Number(posted!.amount)], days))).toEqual([])
    await api.running.sql('UPDATE payout_run SET posted = posted - 1')
    expect(await failedChecks()).toEqual(['payouts'])
    await api.running.sql('UPDATE payout_run SET posted = posted + 1')
  })

  it('is brought to its end by whoever comes, two at once too, and nothing is posted twice', async () => {
    const { config } = api.running
    const found = await Promise.all(desks.map((desk) => finishWhatIsBegun({ desk, config, log })))
    expect(found[0]?.runs).toBe(1)
    expect(await finishWhatIsBegun({ desk: desks[0]!, config, log })).toEqual({ runs: 0, statements: 0 })
    expect(await runNow()).toMatchObject({ state: 'approved', posted: OUTLETS, amount: run.json['amount'] })
    expect(await countOf(`book_entry WHERE kind = 'payout'`)).toBe(OUTLETS)
  })
})

describe('a statement of all of them', () => {
  let file: string
  let rest: string
  const HALF = OUTLETS / 2
  const major = (piasters: number): string => (piasters / 100).toFixed(2)

  beforeAll(async () => {
    const payouts = await api.running.sql<{ id: string; amount: string }>(
      'SELECT end_to_end_id AS id, amount FROM payout ORDER BY ordinal',
    )
    const entries = payouts.map(({ id, amount }) => ({ amount: `-${major(Number(amount))}`, endToEndId: id }))
    const sum = (of: typeof payouts): number => of.reduce((total, { amount }) => total + Number(amount), 0)
    const [first, second] = [entries.slice(0, HALF), entries.slice(HALF)]
    file = camt([{ id: 'M-1', day: '2026-12-03', opening: major(sum(payouts)), entries: [...first, ...second.slice(0, 1226)] }])
    const left = payouts.slice(HALF + 1226)
    rest = csv({ id: 'M-2', day: '2026-12-04', opening: major(sum(left)), entries: second.slice(1226) })
  })

  it('that is cut short is not there, and is taken when it comes again', async () => {
    const { bank } = api.running.config.settlement
    const read = await readStatementFile('camt.053', new Blob([file]).stream(), bank)
    if (!read.ok) throw new Error(read.refusal.detail)
    const asked = { actor: { name: 'officer-1', roles: [] }, statements: read.value, detail: {} }
    const context = { payouts: PAYOUT_BOOK, limits: bank, log }
    const cutAfter = (pieces: number): Pick<Desk, 'read' | 'run' | 'upkeep'> => ({
      read: (look) => desks[0]!.read(look),
      run: (command) => desks[0]!.run(command),
      upkeep: (work) => (pieces-- > 0 ? desks[0]!.upkeep(work) : Promise.reject(new Error('cut'))),
    })
    // While entries are put down: nobody sees any of them.
    await expect(importStatements(cutAfter(2), context, asked)).rejects.toThrow('cut')
    expect([await countOf('bank_entry'), await countOf('bank_statement')]).toEqual([2000, 0])
    expect((await officer().get('/v1/bank-entries')).json['items']).toEqual([])
    // Another file of the same name may come instead.
    const other = file.replaceAll('<MsgId>M1</MsgId>', '<MsgId>M2</MsgId>').replace('SARF-', 'XARF-')
    const again = await readStatementFile('camt.053', new Blob([other]).stream(), bank)
    if (!again.ok) throw new Error(again.refusal.detail)
    await expect(importStatements(cutAfter(2), context, { ...asked, statements: again.value })).rejects.toThrow('cut')
    // While it is matched: all of it is there, and whoever sent it is told so.
    expect(await importStatements(cutAfter(5), context, asked)).toMatchObject({
      ...{ ok: true, value: { taken: true, statements: [{ matched: 1000, open: 0 }] } },
    })
    expect(await countOf('bank_statement')).toBe(1)
    expect(await countOf('bank_match')).toBe(1000)
  })

  it('is matched to its end by two at once, over HTTP, and a third time there is nothing to do', async () => {
    const answers = await Promise.all(
      ['officer-1', 'officer-2'].map((name) => officer(name).post('/v1/bank-statements', file, XML)),
    )
    expect(answers.map(({ status }) => status)).toEqual([200, 200])
    expect([await countOf('bank_match'), await countOf('bank_open'), await countOf('bank_arrival')]).toEqual([HALF + 1226, 0, 0])
    expect(await countOf(`payout WHERE state = 'executed'`)).toBe(HALF + 1226)
    expect(await countOf(`programme_event WHERE kind = 'payout.executed'`)).toBe(HALF + 1226)
    expect(await countOf(`programme_event WHERE kind = 'bank.statement_imported'`)).toBe(1)
    const last = await officer().post('/v1/bank-statements', rest, { 'content-type': 'text/csv' })
    expect([last.status, last.json['statements']]).toMatchObject([201, [{ entries: 49, matched: 49, open: 0 }]])
  })
})

describe('a payout that is paid, and comes back', () => {
  const match = async (entryId: unknown, reference: string): Promise<ApiAnswer> => {
    const path = `/v1/bank-entries/${String(entryId)}/match`
    const proposed = await officer().post(path, { to: 'payout', reference, note: 'The bank names it nowhere' })
    expect([proposed.text, proposed.status]).toEqual([proposed.text, 202])
    return officer('officer-2').post(`/v1/proposals/${String(proposed.json['proposalId'])}/decision`, { decision: 'approve' })
  }
  const take = async (id: string, day: string, opening: string, entries: FileEntry[]): Promise<unknown> => {
    const answer = await officer().post('/v1/bank-statements', camt([{ id, day, opening, entries }]), XML)
    expect([answer.text, answer.status]).toEqual([answer.text, 201])
    return answer.json['statements']
  }
  let first: { id: string }
  let second: { id: string }

  beforeAll(async () => {
    const outlets = new Outlets(api.running, desks[0]!)
    for (const piasters of [3333, 4444]) await outlets.earn(await outlets.add(), piasters)
    await outlets.closeDay()
    const prepared = await officer().post('/v1/payout-runs', {})
    const path = `/v1/proposals/${String(prepared.json['proposalId'])}/decision`
    expect((await officer('officer-2').post(path, { decision: 'approve' })).status).toBe(200)
    const rows = await api.running.sql<typeof first>('SELECT end_to_end_id AS id FROM payout WHERE run_id = $1 ORDER BY amount', [
      prepared.json['runId'],
    ])
    first = rows[0]!
    second = rows[1]!
  })

  it('in one statement, whose debit does not name it, is paid first', async () => {
    const entries = [{ amount: '33.33', endToEndId: first.id, returnReason: 'MS03' }, { amount: '-33.33' }]
    expect(await take('M-3', '2026-12-04', '0.00', entries)).toMatchObject([{ matched: 2, open: 0 }])
    const matched = await api.running.sql('SELECT kind, matched_by FROM bank_match WHERE what = $1 ORDER BY kind', [first.id])
    expect(matched).toEqual([
      { kind: 'payout', matched_by: 'amount' },
      { kind: 'payout-return', matched_by: 'reference' },
    ])
    // What came back and is known by nothing is looked at last, and stays.
    expect(await take('M-4', '2026-12-04', '0.00', [{ amount: '5.00', returnReason: 'MS03' }])).toMatchObject([{ open: 1 }])
  })

  it('before its debit is told is matched with that by two people, once, and nothing is posted', async () => {
    const back = { amount: '44.44', endToEndId: second.id, returnReason: 'MS03' }
    expect(await take('M-5', '2026-12-05', '5.00', [back])).toMatchObject([{ matched: 1, open: 0 }])
    expect(await take('M-6', '2026-12-06', '49.44', [{ amount: '-44.44' }, { amount: '-44.44' }])).toMatchObject([{ open: 2 }])
    const { items } = (await officer().get('/v1/bank-entries?statementId=M-6')).json
    const [one, other] = items as { entryId: number }[]
    const agreed = await match(one?.entryId, second.id)
    expect([agreed.json['result'], agreed.status]).toEqual([{ kind: 'payout', what: second.id }, 200])
    expect(problemOf(await match(other?.entryId, second.id))).toMatchObject({ status: 409, type: 'already-matched' })
    expect(await countOf(`book_entry WHERE kind = 'bank-suspense'`)).toBe(0)
    expect(await failedChecks()).toEqual([])
  })
})
