import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { demoPinReferences } from '../../../src/programme/demoVerification.ts'
import { dataVault } from '../../../src/security/dataVault.ts'
import { developmentKeys } from '../../../src/security/developmentKeys.ts'
import { softwareKeyStore } from '../../../src/security/softwareKeys.ts'
import { expectCleanBooks } from '../../authorize/books.ts'
import { bread, ration } from '../../authorize/subsidies.ts'
import { startProgrammeApi, type ProgrammeApi } from '../../support/programmeApi.ts'
import { amount, originalOf, type TestLink } from '../../support/switch.ts'
import { orderedCard, problemOf, registerFamily } from './families.ts'

let api: ProgrammeApi
let pos: TestLink

const NOON = '2026-11-24T10:00:00Z'
const wallet = { 41: 'BAK00002', 42: undefined }

beforeAll(async () => {
  api = await startProgrammeApi({ at: NOON })
  pos = await api.running.connect('pos')
})

afterAll(async () => {
  await expectCleanBooks(api.running)
})

const auditor = () => api.as('auditor')
const statement = (id: number, query = '') => `/v1/persons/${String(id)}/statement${query}`

interface Line {
  readonly kind: string
  readonly amount: string
  readonly available: string
  readonly merchantName: string | null
}

async function lines(path: string): Promise<Line[]> {
  const answer = await auditor().get(path)
  expect(answer.status).toBe(200)
  return answer.json['items'] as Line[]
}

describe('balances', () => {
  it('are what the ledger says: money with two decimals, loaves whole, what is held beside', async () => {
    const { head, household } = await api.running.openHousehold({ cash: 100_050, points: 1234 })
    await pos.ask('0100', { 2: head.pan, 3: '000000', 4: amount(2500) })
    expect((await auditor().get(`/v1/persons/${String(head.purseId)}/balances`)).json).toEqual({
      items: [{ purse: 'cash', unit: 'EGP', available: '975.50', held: '25.00', month: null, due: false }],
      next: null,
    })
    expect((await auditor().get(`/v1/households/${String(household)}/balances`)).json).toEqual({
      items: [
        { purse: 'ration', unit: 'RATION', available: '200.00', held: '0.00', month: '2026-11', due: false },
        { purse: 'bread', unit: 'LOAF', available: '600', held: '0', month: '2026-11', due: false },
        { purse: 'points', unit: 'POINTS', available: '12.34', held: '0.00', month: null, due: false },
      ],
      next: null,
    })
    expect((await auditor().get('/v1/persons/7/balances')).status).toBe(404)
    expect((await api.as('portal').get(`/v1/persons/${String(head.purseId)}/balances`)).status).toBe(403)
  })

  it('of a household that is new are opened at its first use, with the days from then on', async () => {
    const { householdId, persons } = await registerFamily(api)
    const path = `/v1/households/${String(householdId)}/balances`
    expect((await auditor().get(path)).json['items']).toMatchObject([
      { purse: 'ration', available: '0.00', month: null, due: true },
      { purse: 'bread', available: '0', month: null, due: true },
      { purse: 'points', due: false },
    ])
    const pan = await activated(persons[0]!.personId)
    // Three members, 5 loaves a day, the 24th to the 30th.
    expect((await pos.ask('0200', bread(pan, 15))).text(39)).toBe('00')
    expect((await auditor().get(path)).json['items']).toMatchObject([
      { purse: 'ration', available: '150.00', month: '2026-11', due: false },
      { purse: 'bread', available: String(3 * 5 * 7 - 15), month: '2026-11', due: false },
      {},
    ])
  })
})

describe('a statement', () => {
  it('has each posting of the purse with its signed amount and what could be spent after it', async () => {
    const { head, member } = await api.running.openHousehold({ cash: 100_000 })
    const { sent } = await pos.exchange('0200', { 2: head.pan, 3: '000000', 4: amount(1250) })
    await pos.ask('0200', { 2: head.pan, 3: '000000', 4: amount(99_999_999) })
    await pos.ask('0400', { 2: head.pan, 3: '000000', 4: amount(1250), 90: originalOf(sent) })
    await pos.ask('0200', bread(head.pan, 20, 1, wallet))
    await pos.ask('0100', { 2: head.pan, 3: '000000', 4: amount(5000) })
    await pos.ask('0200', { 2: member.pan, 3: '000000', 4: amount(100) })
    const found = await lines(statement(head.purseId))
    expect(found.map(({ kind, amount: moved, available }) => [kind, moved, available])).toEqual([
      ['credit', '1000.00', '1000.00'],
      ['purchase', '-12.50', '987.50'],
      ['reversal', '12.50', '1000.00'],
      ['dispense', '-4.00', '996.00'],
      ['authorization', '-50.00', '946.00'],
    ])
    expect(found[1]).toMatchObject({ merchantName: 'Shop 1', terminalId: 'POS00001', responseCode: '00', version: 2 })
    expect(found[3]).toMatchObject({ merchantName: 'Bakery 2' })
  })

  it('comes page by page, or as CSV all at once', async () => {
    const { head } = await api.running.openHousehold({ cash: 100_000 })
    for (let n = 1; n <= 6; n++) await pos.ask('0200', { 2: head.pan, 3: '000000', 4: amount(n * 100) })
    const first = await auditor().get(statement(head.purseId, '?limit=4'))
    const second = await auditor().get(statement(head.purseId, `?limit=4&cursor=${String(first.json['next'])}`))
    const paged = [first, second].flatMap(({ json }) => (json['items'] as Line[]).map(({ amount: moved }) => moved))
    expect(paged).toEqual(['1000.00', '-1.00', '-2.00', '-3.00', '-4.00', '-5.00', '-6.00'])
    expect(second.json['next']).toBeNull()
    await api.running.sql(`UPDATE merchant SET name = '=SUM(A1),"x"' WHERE id = 1`)
    const csv = await auditor().get(statement(head.purseId), { accept: 'text/csv' })
    await api.running.sql(`UPDATE merchant SET name = 'Shop 1' WHERE id = 1`)
    expect(csv.headers.get('content-type')).toBe('text/csv; charset=utf-8')
    const rows = csv.text.split('\r\n')
    expect(rows[0]).toBe('instant,kind,terminal,merchant,amount,available,rrn,response_code')
    expect(rows).toHaveLength(9)
    expect(rows[2]).toMatch(/^2026-11-24T10:\d\d:\d\d\.\d{3}Z,purchase,POS00001,"'=SUM\(A1\),""x""",-1\.00,999\.00,\w+,00$/)
  })

  it('is of the days that are asked for, in Cairo', async () => {
    const { head, household } = await api.running.openHousehold({ cash: 100_000 })
    api.running.clock.moveTo('2026-11-24T21:59:00Z')
    await pos.ask('0200', { 2: head.pan, 3: '000000', 4: amount(100) })
    // In Cairo it is the 25th.
    api.running.clock.moveTo('2026-11-24T22:01:00Z')
    await pos.ask('0200', { 2: head.pan, 3: '000000', 4: amount(200) })
    const of = async (query: string) => (await lines(statement(head.purseId, query))).map(({ amount: moved }) => moved)
    expect(await of('?from=2026-11-25&to=2026-11-25')).toEqual(['-2.00'])
    expect(await of('?to=2026-11-24')).toEqual(['1000.00', '-1.00'])
    expect(await of('?from=2026-11-26&to=2026-11-30')).toEqual([])
    api.running.clock.moveTo(NOON)
    const path = `/v1/households/${String(household)}/statement`
    expect((await lines(`${path}?purse=bread`)).map(({ kind, amount: moved }) => [kind, moved])).toEqual([['opening', '600']])
    expect(problemOf(await auditor().get(path))).toEqual({ status: 422, type: 'no-such-purse', path: 'purse' })
    expect(problemOf(await auditor().get(`${path}?purse=cash`))).toMatchObject({ type: 'no-such-purse' })
    expect(problemOf(await auditor().get(statement(head.purseId, '?from=2026-11-25&to=2026-11-24')))).toMatchObject({
      path: 'to',
    })
    expect((await auditor().get(statement(head.purseId, '?from=2026-13-01'))).status).toBe(400)
    expect((await auditor().get(statement(head.purseId, '?from=yesterday'), { accept: 'text/csv' })).status).toBe(400)
    expect((await auditor().get(statement(8), { accept: 'text/csv' })).status).toBe(404)
  })

  it('goes along with a head who moves; the one who follows draws on what the household keeps', async () => {
    const { head, member, household } = await api.running.openHousehold({ cash: 100_000, members: 2 })
    const { sent, answer } = await pos.exchange('0200', bread(head.pan, 10, 1, wallet))
    expect(answer.text(39)).toBe('00')
    expect((await pos.ask('0200', bread(member.pan, 10))).text(39)).toBe('57')
    const officer = api.as('supply-officer')
    const path = `/v1/persons/${String(head.purseId)}/move`
    const moved = await officer.post(path, { to: 'own-household', governorate: 3, newHead: member.purseId })
    expect(moved.json).toMatchObject({ head: true })
    expect((await pos.ask('0200', bread(head.pan, 5, 1, wallet))).text(39)).toBe('00')
    // Today was drawn from what the household has; with the day after it is the new head's turn.
    expect((await pos.ask('0200', bread(member.pan, 10))).text(39)).toBe('65')
    expect((await pos.ask('0200', ration(member.pan, ['TEA*1*100']))).text(39)).toBe('00')
    expect((await lines(statement(head.purseId))).map(({ amount: changed }) => changed)).toEqual(['1000.00', '-2.00', '-1.00'])
    const left = await auditor().get(`/v1/households/${String(household)}/balances`)
    expect(left.json['items']).toMatchObject([{ available: '99.00' }, { available: '290' }, {}])
    // What the head drew before is still given back where it came from.
    const reversal = { ...bread(head.pan, 10, 1, wallet), 48: undefined, 90: originalOf(sent) }
    expect((await pos.ask('0400', reversal)).text(39)).toBe('00')
    const given = await auditor().get(`/v1/households/${String(household)}/balances`)
    expect(given.json['items']).toMatchObject([{}, { available: '300' }, {}])
    expect((await lines(statement(head.purseId))).map(({ amount: changed }) => changed)).toEqual([
      '1000.00',
      '-2.00',
      '-1.00',
      '2.00',
    ])
  })
})

/** The number of a person's new card, which works from now on: what printing and handover do. */
async function activated(personId: number): Promise<string> {
  const token = await orderedCard(api.as('administrator'), personId)
  const [secret] = await api.running.sql<{ key_id: string; pan: Buffer }>(
    'SELECT key_id, pan FROM card_secret WHERE token = $1',
    [token],
  )
  const vault = dataVault(softwareKeyStore(developmentKeys()), 'data.1')
  const pan = vault.unseal(secret!.key_id, { field: 'pan', shard: 0, owner: token }, secret!.pan)
  await api.running.sql("UPDATE card SET state = 'ACTIVE', pin_reference = $2 WHERE token = $1", [
    token,
    demoPinReferences(api.running.config.security)(pan),
  ])
  await api.running.sql('UPDATE card_life SET handed_over_at = now() WHERE token = $1', [token])
  return pan
}
