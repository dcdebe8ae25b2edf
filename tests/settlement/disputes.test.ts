import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import fc from 'fast-check'
import { audit } from '../../src/ledger/audit.ts'
import { silentLogger } from '../../src/log.ts'
import { lendWhatIsDue } from '../../src/settlement/disputeJob.ts'
import { bookedUnder, daysDrawn, expectCleanBooks, keyOf, purseOf, unitsIn } from '../authorize/books.ts'
import { copay } from '../authorize/subsidies.ts'
import { complaintsOf } from '../support/counter.ts'
import { openDesk } from '../support/programmeDesk.ts'
import { startProgrammeApi, type ApiAnswer, type ProgrammeApi } from '../support/programmeApi.ts'
import { amount, at, compose, originalOf, type Fields, type Sent, type TestCard, type TestLink } from '../support/switch.ts'

let api: ProgrammeApi
let pos: TestLink

beforeAll(async () => {
  // A Sunday: business days are Sunday to Thursday.
  api = await startProgrammeApi({ at: '2026-12-06T09:00:00Z' })
  pos = await api.running.connect('pos')
})

afterAll(async () => {
  // With Redis: what a dispute moves is what the next message finds.
  expect(await complaintsOf(api)).toEqual([])
})

interface Bought {
  readonly card: TestCard
  readonly sent: Sent
  /** Of the purse, after it. */
  readonly version: number
}

async function versionOf(sent: Sent): Promise<number> {
  const rows = await api.running.sql<{ version: string }>('SELECT purse_version AS version FROM "authorization" WHERE key = $1', [
    keyOf(sent),
  ])
  return Number(rows[0]?.version)
}

/** 50.00 of 200.00, unless told otherwise. */
async function buy(fields: Fields = {}, card?: TestCard): Promise<Bought> {
  const payer = card ?? (await api.running.openCard({ balance: 20_000 }))
  const { sent, answer } = await pos.exchange('0200', { 2: payer.pan, 4: amount(5000), ...fields })
  expect(answer.text(39)).toBe('00')
  return { card: payer, sent, version: await versionOf(sent) }
}

const ATM: Fields = { 3: '010000', ...at('atm') }

function refund(
  { card, sent }: Bought,
  piasters: number,
): Promise<{ sent: Sent; answer: { text(de: number): string | undefined } }> {
  const fields = { 2: card.pan, 3: '200000', 4: amount(piasters), 41: sent.fields[41], 42: sent.fields[42], 90: originalOf(sent) }
  return pos.exchange('0200', fields)
}

function reverse({ card, sent }: Pick<Bought, 'card' | 'sent'>): Promise<string | undefined> {
  const { 3: code, 4: value, 41: terminal, 42: acceptor } = sent.fields
  const fields = { 2: card.pan, 3: code, 4: value, 41: terminal, 42: acceptor, 90: originalOf(sent) }
  return pos.send(compose(api.running.clock, '0400', fields)).then((answer) => answer.text(39))
}

interface Ask {
  readonly reason?: string
  readonly purse?: string
  readonly amount?: string
  readonly card?: TestCard
}

function ask({ card, version }: Pick<Bought, 'card' | 'version'>, asked: Ask = {}): Promise<ApiAnswer> {
  const { reason = 'goods-not-given', purse = 'cash', amount: claimed, card: claimant = card } = asked
  const body = { cardId: claimant.token, purse, version, reason, ...(claimed === undefined ? {} : { amount: claimed }) }
  return api.as('post-clerk').post('/v1/disputes', body)
}

async function opened(bought: Pick<Bought, 'card' | 'version'>, asked: Ask = {}): Promise<number> {
  const answer = await ask(bought, asked)
  expect([answer.status, answer.text]).toEqual([201, answer.text])
  return Number(answer.json['disputeId'])
}

function propose(id: number, outcome: string, granted?: string, name = 'settler-1'): Promise<ApiAnswer> {
  const body = { outcome, reason: 'Looked at the tape', ...(granted === undefined ? {} : { amount: granted }) }
  return api.as('settlement-officer', { name }).post(`/v1/disputes/${String(id)}/decision`, body)
}

function approve(proposed: ApiAnswer, name = 'settler-2', decision = 'approve'): Promise<ApiAnswer> {
  const path = `/v1/proposals/${String(proposed.json['proposalId'])}/decision`
  return api.as('settlement-officer', { name }).post(path, { decision })
}

async function decide(id: number, outcome: string, granted?: string): Promise<ApiAnswer> {
  return approve(await propose(id, outcome, granted))
}

async function caseOf(id: number): Promise<Record<string, unknown>> {
  return (await api.as('auditor').get(`/v1/disputes/${String(id)}`)).json
}

const postings = async (id: number): Promise<(string[] | undefined)[]> =>
  Promise.all(
    ['dispute-provisional', 'dispute', 'dispute-end'].map(async (what) => {
      const booked = await bookedUnder(api.running, `${what}|${String(id)}`)
      return booked === undefined ? undefined : [...booked.transfers]
    }),
  )

function lend(): Promise<unknown> {
  const { config, clock } = api.running
  return lendWhatIsDue({ desk: openDesk(api.running), config, clock, log: silentLogger })
}

const counters = async ({ card }: Bought): Promise<unknown> =>
  (
    await api.running.sql('SELECT spent_amount, spent_count, withdrawn_amount, withdrawn_count FROM purse WHERE id = $1', [
      card.purseId,
    ])
  )[0]
const NONE_COUNTED = { spent_amount: '0', spent_count: 0, withdrawn_amount: '0', withdrawn_count: 0 }

describe('a case', () => {
  it('of a machine that did not dispense is granted from what is still in the machine', async () => {
    const bought = await buy(ATM)
    const id = await opened(bought, { reason: 'atm-did-not-dispense' })
    expect(await caseOf(id)).toMatchObject({ state: 'open', claimed: '50.00', creditOn: '2026-12-09', decideBy: '2026-12-20' })
    await api.running.sql(
      `INSERT INTO atm_count (shard, key, terminal_id, at, position, counted, made_by)
       SELECT 0, 'count-1', id, '2026-12-07T06:00:00Z', -5000, 0, 'test' FROM terminal WHERE terminal_id = $1`,
      [bought.sent.fields[41]],
    )
    expect((await caseOf(id))['counts']).toMatchObject([{ position: '-50.00', counted: '0.00', difference: '50.00' }])
    expect((await decide(id, 'grant')).json).toMatchObject({ state: 'approved', result: { state: 'granted', granted: 5000 } })
    expect(await postings(id)).toEqual([undefined, ['1010 -> 2000: 5000'], undefined])
    expect(await purseOf(api.running, bought.card)).toEqual({ balance: 20_000, held: 0 })
    expect(await counters(bought)).toEqual(NONE_COUNTED)
  })

  it('is lent at once where its reason says so, and the outlet pays suspense when it is granted', async () => {
    const bought = await buy()
    const id = await opened(bought, { reason: 'charged-twice' })
    expect(await caseOf(id)).toMatchObject({ provisional: '50.00' })
    expect((await purseOf(api.running, bought.card)).balance).toBe(20_000)
    await decide(id, 'grant')
    expect(await postings(id)).toEqual([['2900 -> 2000: 5000'], ['2220 -> 2900: 5000'], undefined])
    expect((await purseOf(api.running, bought.card)).balance).toBe(20_000)
    expect(await counters(bought)).toEqual(NONE_COUNTED)
  })

  it('is lent by the job on its business day, once', async () => {
    const bought = await buy(ATM)
    const id = await opened(bought, { reason: 'atm-did-not-dispense' })
    await lend()
    expect(await caseOf(id)).toMatchObject({ provisional: null })
    const now = api.running.clock.now()
    api.running.clock.moveTo('2026-12-09T09:00:00Z')
    await Promise.all([lend(), lend()])
    expect(await lend()).toEqual({ credited: 0, failed: 0 })
    expect(await caseOf(id)).toMatchObject({ provisional: '50.00' })
    expect(await postings(id)).toEqual([['2900 -> 2000: 5000'], undefined, undefined])
    await decide(id, 'grant')
    expect(await postings(id)).toEqual([['2900 -> 2000: 5000'], ['1010 -> 2900: 5000'], undefined])
    api.running.clock.moveTo(now)
  })

  it('that is refused takes back what was lent, and what was spent of it stays with suspense', async () => {
    const bought = await buy()
    const id = await opened(bought, { reason: 'charged-twice' })
    await buy({ 4: amount(18_000) }, bought.card)
    expect((await decide(id, 'refuse')).json).toMatchObject({ result: { state: 'refused', takenBack: 2000, uncovered: 3000 } })
    expect(await postings(id)).toEqual([['2900 -> 2000: 5000'], undefined, ['2000 -> 2900: 2000']])
    expect(await purseOf(api.running, bought.card)).toEqual({ balance: 0, held: 0 })
    // What the shop gives back later is suspense's first.
    const late = await refund(bought, 5000)
    expect((await bookedUnder(api.running, keyOf(late.sent)))?.transfers).toEqual(['2220 -> 2900: 3000', '2220 -> 2000: 2000'])
  })

  it('that is granted in part takes back the rest of what was lent', async () => {
    const bought = await buy()
    const id = await opened(bought, { reason: 'charged-twice' })
    await decide(id, 'grant', '20')
    expect(await postings(id)).toEqual([['2900 -> 2000: 5000'], ['2220 -> 2900: 2000'], ['2000 -> 2900: 3000']])
    expect((await purseOf(api.running, bought.card)).balance).toBe(17_000)
    expect(await counters(bought)).toMatchObject({ spent_amount: '3000', spent_count: 1 })
  })

  it.each<[string, string | undefined, number, (string[] | undefined)[]]>([
    ['grant', undefined, 1000, [['2220 -> 2900: 1500'], undefined]],
    ['grant', '8', 300, [['2220 -> 2900: 800'], ['2000 -> 2900: 700']]],
    ['grant', '3', 0, [['2220 -> 2900: 300'], ['2000 -> 2900: 1000']]],
    ['refuse', undefined, 0, [undefined, ['2000 -> 2900: 1000']]],
  ])('of what suspense had lent a part for: %s %s', async (outcome, granted, balance, posted) => {
    const card = await api.running.openCard({ balance: 1000 })
    const hold = await pos.exchange('0100', { 2: card.pan, 4: amount(600) })
    const { sent } = await pos.exchange('0220', { 2: card.pan, 4: amount(1500), 90: originalOf(hold.sent) })
    const id = await opened({ card, version: await versionOf(sent) }, { reason: 'charged-twice' })
    // The purse had 10.00 of the 15.00.
    expect(await caseOf(id)).toMatchObject({ claimed: '15.00', provisional: '10.00' })
    await decide(id, outcome, granted)
    expect((await postings(id)).slice(1)).toEqual(posted)
    expect(await purseOf(api.running, card)).toEqual({ balance, held: 0 })
  })

  it('that is withdrawn may be opened again, one that was decided may not', async () => {
    const bought = await buy()
    await decide(await opened(bought, { reason: 'charged-twice' }), 'withdraw')
    expect((await purseOf(api.running, bought.card)).balance).toBe(15_000)
    const id = await opened(bought)
    expect((await ask(bought)).json).toMatchObject({ status: 409, type: 'urn:sarf:problem:disputed-already' })
    await decide(id, 'refuse')
    expect((await ask(bought)).json).toMatchObject({ status: 409, type: 'urn:sarf:problem:disputed-already' })
  })

  it.each<[string, Fields, string]>([
    ['a payment', { 3: '500000', ...at('government') }, '2215'],
    ['a co-pay', { 3: '009400', ...at('CLN00001'), 48: 'BR001MSC003LAB' }, '2225'],
  ])('of %s is paid back by who got it', async (_, fields, outlet) => {
    const { head } = await api.running.openHousehold()
    const bought = await buy(fields, head)
    const id = await opened(bought, { reason: 'not-me' })
    await decide(id, 'grant')
    const [, credited] = await postings(id)
    expect(credited?.every((transfer) => transfer.startsWith(`${outlet} -> `))).toBe(true)
    expect((await purseOf(api.running, head)).balance).toBe(100_000)
  })

  it('of bread brings the loaves and the day back, and the treasury owes nothing for it any more', async () => {
    const { head, purses } = await api.running.openHousehold({ members: 4, loaves: 500 })
    const bread = { 3: '009700', 4: amount(400), 48: 'LV00220DY0011', ...at('BAK00001') }
    const bought = await buy(bread, head)
    expect(await daysDrawn(api.running, purses.bread)).toEqual([6])
    const id = await opened(bought, { purse: 'bread' })
    expect(await caseOf(id)).toMatchObject({ claimed: '4.00', creditOn: null })
    await decide(id, 'grant')
    const [, credited] = await postings(id)
    expect(credited?.[0]).toBe('9001 -> 2110: 20')
    expect(credited?.[1]).toMatch(/^2210 -> 1210: /)
    expect(await unitsIn(api.running, purses.bread)).toBe(500)
    expect(await daysDrawn(api.running, purses.bread)).toEqual([])
    expect((await reverse(bought)) ?? '').toBe('00')
    expect(await unitsIn(api.running, purses.bread)).toBe(500)
  })

  it('has the trace of its messages as evidence, and no card number', async () => {
    const bought = await buy()
    const twice = await buy({}, bought.card)
    await refund(twice, 1000)
    const id = await opened(twice, { reason: 'charged-twice' })
    await refund(twice, 500)
    const shown = await api.as('settlement-officer').get(`/v1/disputes/${String(id)}`)
    const roles = (member: string): unknown =>
      (shown.json[member] as { role: string; kind: string }[]).map(({ role, kind }) => `${role} ${kind}`)
    expect(roles('evidence')).toEqual(['original purchase', 'follows refund', 'near purchase'])
    expect(roles('trace')).toEqual([
      'original purchase',
      'follows refund',
      'follows provisionalCredit',
      'follows refund',
      'near purchase',
    ])
    expect(shown.text).not.toContain(bought.card.pan)
  })

  it('is listed by its state and deadline', async () => {
    const id = await opened(await buy())
    const listed = async (query: string): Promise<number[]> => {
      const answer = await api.as('hotline-agent').get(`/v1/disputes?limit=200&${query}`)
      return (answer.json['items'] as { disputeId: number }[]).map(({ disputeId }) => disputeId)
    }
    expect(await listed('state=open&dueBy=2026-12-27')).toContain(id)
    expect(await listed('state=open&dueBy=2026-12-20')).not.toContain(id)
    expect(await listed('state=granted')).not.toContain(id)
  })
})

describe('an attack', () => {
  it("on a posting of somebody else's card, or that is none, finds nothing", async () => {
    const bought = await buy()
    const other = await api.running.openCard()
    const notFound = { status: 404, type: 'urn:sarf:problem:no-such-posting' }
    expect((await ask(bought, { card: other })).json).toMatchObject(notFound)
    expect((await ask({ ...bought, version: 1 })).json).toMatchObject(notFound)
    expect((await ask({ ...bought, version: 99 })).json).toMatchObject(notFound)
    expect((await ask(bought, { purse: 'ration' })).json).toMatchObject(notFound)
    // A household's purse, moved by another card of it.
    const { head, member } = await api.running.openHousehold({ ration: 10_000 })
    const goods = await buy({ 3: '009800', 4: amount(1000), 48: 'BK011OIL*1*1000;', ...at('GRO00001') }, head)
    expect((await ask(goods, { card: member, purse: 'ration' })).json).toMatchObject(notFound)
  })

  it('for more than was taken, or is left, is refused', async () => {
    const bought = await buy()
    await refund(bought, 2000)
    const refusal = { status: 422, errors: [{ path: '/amount', expected: 'Of this posting 30.00 EGP can still be claimed.' }] }
    expect((await ask(bought, { amount: '30.01' })).json).toMatchObject(refusal)
    expect((await ask(bought, { amount: '0' })).json).toMatchObject({ status: 422 })
    const id = await opened(bought)
    expect((await propose(id, 'grant', '30.01')).json).toMatchObject({ status: 422 })
    await decide(id, 'grant')
    expect((await purseOf(api.running, bought.card)).balance).toBe(20_000)
  })

  it.each([
    ['not-me', ATM],
    ['atm-did-not-dispense', {}],
  ])('with a reason that does not fit (%s) is refused', async (reason, fields) => {
    expect((await ask(await buy(fields), { reason })).json).toMatchObject({ status: 422, errors: [{ path: '/reason' }] })
  })

  it('twice at once opens one case', async () => {
    const bought = await buy()
    const answers = await Promise.all([1, 2, 3].map(() => ask(bought, { reason: 'charged-twice' })))
    expect(answers.map(({ status }) => status).toSorted()).toEqual([201, 409, 409])
    expect((await purseOf(api.running, bought.card)).balance).toBe(20_000)
  })

  it('by a maker who approves, and by a clerk, is refused; two checkers at once decide once', async () => {
    const bought = await buy()
    const id = await opened(bought)
    const proposed = await propose(id, 'grant')
    expect((await propose(id, 'refuse', undefined, 'settler-3')).json).toMatchObject({
      type: 'urn:sarf:problem:already-proposed',
    })
    expect((await approve(proposed, 'settler-1')).json).toMatchObject({ type: 'urn:sarf:problem:own-proposal' })
    expect(
      (await api.as('post-clerk').post(`/v1/disputes/${String(id)}/decision`, { outcome: 'grant', reason: 'Mine' })).status,
    ).toBe(403)
    const both = await Promise.all([approve(proposed, 'settler-2'), approve(proposed, 'settler-3')])
    expect(both.map(({ status }) => status).toSorted()).toEqual([200, 409])
    expect((await purseOf(api.running, bought.card)).balance).toBe(20_000)
    expect((await propose(id, 'refuse')).json).toMatchObject({ type: 'urn:sarf:problem:already-decided' })
  })

  it('that lets the shop refund between proposal and approval leaves the case open', async () => {
    const bought = await buy()
    const id = await opened(bought)
    const proposed = await propose(id, 'grant')
    await refund(bought, 1000)
    expect((await approve(proposed)).json).toMatchObject({ status: 409, type: 'urn:sarf:problem:given-back-meanwhile' })
    expect(await caseOf(id)).toMatchObject({ state: 'open' })
    await approve(proposed, 'settler-2', 'refuse')
    await decide(id, 'grant', '40')
    expect((await refund(bought, 1)).answer.text(39)).toBe('64')
    expect((await purseOf(api.running, bought.card)).balance).toBe(20_000)
  })

  it('that has it lent and lets the machine reverse is answered once', async () => {
    const bought = await buy(ATM)
    const id = await opened(bought, { reason: 'atm-did-not-dispense' })
    const now = api.running.clock.now()
    api.running.clock.moveTo('2026-12-09T10:00:00Z')
    await lend()
    api.running.clock.moveTo(now)
    expect(await reverse(bought)).toBe('00')
    expect((await purseOf(api.running, bought.card)).balance).toBe(20_000)
    expect((await decide(id, 'grant')).json).toMatchObject({ status: 409 })
    expect((await ask(bought, { reason: 'atm-did-not-dispense' })).status).toBe(409)
  })
})

describe('a shop that takes its refund back', () => {
  /** It refunds 30.00 of 50.00 while suspense has lent them. */
  async function refundedWhileLent(): Promise<{ bought: Bought; id: number; undone: Pick<Bought, 'card' | 'sent'> }> {
    const bought = await buy()
    const id = await opened(bought, { reason: 'charged-twice', amount: '30' })
    const { sent } = await refund(bought, 3000)
    expect((await purseOf(api.running, bought.card)).balance).toBe(18_000)
    return { bought, id, undone: { card: bought.card, sent } }
  }

  it('after the case was refused is paid by the holder, who was lent the same', async () => {
    const { bought, id, undone } = await refundedWhileLent()
    await decide(id, 'refuse')
    expect(await caseOf(id)).toMatchObject({ state: 'refused', takenBack: '0.00', uncovered: '0.00' })
    expect(await reverse(undone)).toBe('00')
    expect((await purseOf(api.running, bought.card)).balance).toBe(15_000)
    expect((await refund(bought, 5000)).answer.text(39)).toBe('00')
    expect((await purseOf(api.running, bought.card)).balance).toBe(20_000)
  })

  it('while the case is open is paid by suspense, which the holder owes when it is refused', async () => {
    const { bought, id, undone } = await refundedWhileLent()
    expect(await reverse(undone)).toBe('00')
    expect((await purseOf(api.running, bought.card)).balance).toBe(18_000)
    await decide(id, 'refuse')
    expect(await caseOf(id)).toMatchObject({ state: 'refused', takenBack: '30.00' })
    expect((await purseOf(api.running, bought.card)).balance).toBe(15_000)
  })

  it('at the same time as the case is refused is paid by the holder, whichever comes first', { timeout: 30_000 }, async () => {
    const cases = await Promise.all(Array.from({ length: 6 }, refundedWhileLent))
    await Promise.all(
      cases.map(async ({ id, undone }) => {
        const proposed = await propose(id, 'refuse')
        expect((await Promise.all([approve(proposed), reverse(undone)]))[1]).toBe('00')
      }),
    )
    for (const { bought } of cases) expect((await purseOf(api.running, bought.card)).balance).toBe(15_000)
    await expectCleanBooks(api.running)
  })

  it('after all was given back by a case gets nothing: the officers had seen the refund', async () => {
    const bought = await buy()
    const id = await opened(bought)
    const { sent } = await refund(bought, 2000)
    await decide(id, 'grant', '30')
    expect(await reverse({ card: bought.card, sent })).toBe('00')
    expect((await purseOf(api.running, bought.card)).balance).toBe(20_000)
  })
})

describe('money that was had twice', () => {
  it('is not given a third time: a refund was spent, then reversed, and suspense had to pay the shop', async () => {
    const bought = await buy()
    const { sent } = await refund(bought, 3000)
    await buy({ 4: amount(18_000) }, bought.card)
    expect(await reverse({ card: bought.card, sent })).toBe('00')
    expect((await ask(bought, { amount: '20.01' })).json).toMatchObject({ status: 422 })
    const id = await opened(bought, { reason: 'charged-twice' })
    expect(await caseOf(id)).toMatchObject({ claimed: '20.00', provisional: '20.00' })
  })

  it('of a clinic’s bill is not claimed at all: what the holder kept is a part of it, and the claim is of the whole', async () => {
    const { head } = await api.running.openHousehold({ cash: 1000 })
    const billed = await pos.exchange('0200', copay(head.pan, 10_000, 'MED'))
    const back = { 2: head.pan, 3: '200094', 4: amount(10_000), 90: originalOf(billed.sent), ...at('clinic') }
    const refunded = await pos.exchange('0200', back)
    expect([billed.answer.text(39), refunded.answer.text(39)]).toEqual(['00', '00'])
    await buy({ 4: amount(1000) }, head)
    const { 3: code, 4: value, 41: terminal, 42: acceptor } = refunded.sent.fields
    const undone = { 2: head.pan, 3: code, 4: value, 41: terminal, 42: acceptor, 90: originalOf(refunded.sent) }
    expect((await pos.ask('0400', undone)).text(39)).toBe('00')
    const refused = await ask({ card: head, version: await versionOf(billed.sent) }, { reason: 'goods-not-given' })
    expect([refused.status, refused.json['type']]).toEqual([409, 'urn:sarf:problem:given-back-already'])
  })
})

describe('the auditor', () => {
  const CHECK = readFileSync(new URL('../../src/ledger/audit/disputes.sql', import.meta.url), 'utf8')
  let granted: number | undefined

  it.each([
    ['granted = 4999', 'what was granted is not what was given back'],
    ['provisional = 1', 'what was lent is not what the case says'],
    ['taken_back = 1', 'what was taken back of the loan is not what the case says'],
    ['claimed = 5001', 'it claims what was not taken'],
    ["state = 'open', granted = NULL, decided_at = NULL", 'what was granted is not what was given back'],
    ["original_key = 'another'", 'its postings are of another purse or original'],
  ])('finds a case that was changed (%s)', async (change, wrong) => {
    granted ??= await opened(await buy(), { reason: 'charged-twice' }).then(async (id) => {
      await decide(id, 'grant')
      return id
    })
    const where = `WHERE id = ${String(granted)}`
    await api.running.sql(`CREATE TABLE kept AS SELECT * FROM dispute ${where}`)
    await api.running.sql(`UPDATE dispute SET ${change} ${where}`)
    const found = await api.running.sql(`SELECT dispute, wrong FROM (${CHECK}) looked WHERE wrong IS NOT NULL`)
    expect(found).toEqual([{ dispute: String(granted), wrong }])
    await api.running.sql(`DELETE FROM dispute ${where}`)
    await api.running.sql('INSERT INTO dispute OVERRIDING SYSTEM VALUE SELECT * FROM kept')
    await api.running.sql('DROP TABLE kept')
  })

  it('finds postings of no case, and tells of cases past their day', async () => {
    const id = await opened(await buy(), { reason: 'charged-twice' })
    const { databaseUrl, clock } = api.running
    const now = clock.now()
    clock.moveTo('2026-12-21T09:00:00Z')
    const report = await audit({ databaseUrl, clock, holdGraceMs: 1e12, reservationAgeMs: 60_000 })
    const late = report.checks.find(({ name }) => name === 'overdue_disputes')
    expect(late?.ok).toBe(true)
    expect(late?.examples.find(({ dispute }) => dispute === id)).toMatchObject({ reason: 'charged-twice', provisional: 5000 })
    clock.moveTo(now)
    await api.running.sql('CREATE TABLE kept AS SELECT * FROM dispute')
    await api.running.sql(`DELETE FROM dispute WHERE id = ${String(id)}`)
    expect(await complaintsOf(api)).toMatchObject([
      { name: 'disputes', examples: [{ wrong: 'postings of a case that there is not' }] },
    ])
    await api.running.sql(`INSERT INTO dispute OVERRIDING SYSTEM VALUE SELECT * FROM kept WHERE id = ${String(id)}`)
    await api.running.sql('DROP TABLE kept')
  })
})

describe('whatever happens in whatever order', () => {
  const piasters = fc.integer({ min: 1, max: 6000 })
  const step = fc.oneof(
    fc.record({ kind: fc.constant('open' as const), amount: piasters, lent: fc.boolean() }),
    fc.record({ kind: fc.constantFrom('grant' as const, 'refund' as const), amount: piasters }),
    fc.record({ kind: fc.constantFrom('refuse' as const, 'withdraw' as const, 'reverse' as const, 'reverseRefund' as const) }),
  )

  it('the holder has back what was given back, no more and no less, and the books are right', { timeout: 60_000 }, async () => {
    const property = fc.asyncProperty(fc.array(step, { minLength: 2, maxLength: 7 }), fc.boolean(), async (steps, machine) => {
      const bought = await buy(machine ? ATM : {})
      const refunds: { sent: Sent; amount: number; settled: boolean }[] = []
      let id: number | undefined
      let givenBack = 0
      const giveBack = (piasters: number): void => {
        givenBack += piasters
        // What was given back before was taken into account: whoever takes a refund back after that takes nothing.
        for (const one of refunds) one.settled = true
      }
      const isOpen = async (): Promise<boolean> => id !== undefined && (await caseOf(id))['state'] === 'open'
      for (const one of steps) {
        const pounds = (value: number): string => (value / 100).toFixed(2)
        if (one.kind === 'open') {
          const reason = machine ? 'atm-did-not-dispense' : one.lent ? 'charged-twice' : 'goods-not-given'
          const answer = await ask(bought, { reason, amount: pounds(one.amount) })
          if (answer.status === 201) id = Number(answer.json['disputeId'])
        } else if (one.kind === 'refund') {
          const { sent, answer } = await refund(bought, one.amount)
          if (answer.text(39) !== '00') continue
          refunds.push({ sent, amount: one.amount, settled: false })
          givenBack += one.amount
        } else if (one.kind === 'reverse') {
          expect(await reverse(bought)).toBe('00')
          giveBack(5000 - givenBack)
        } else if (one.kind === 'reverseRefund') {
          const last = refunds.pop()
          if (last === undefined) continue
          expect(await reverse({ card: bought.card, sent: last.sent })).toBe('00')
          if (!last.settled) givenBack -= last.amount
        } else if (await isOpen()) {
          const proposed = await propose(id ?? 0, one.kind, one.kind === 'grant' ? pounds(one.amount) : undefined)
          if (proposed.status !== 202) continue
          if ((await approve(proposed)).status !== 200) await approve(proposed, 'settler-1', 'withdraw')
          else if (one.kind === 'grant') giveBack(one.amount)
        }
        const { balance } = await purseOf(api.running, bought.card)
        if (await isOpen()) {
          expect(balance).toBeLessThanOrEqual(20_000)
          expect(balance).toBeGreaterThanOrEqual(15_000 + givenBack)
        } else expect(balance).toBe(15_000 + givenBack)
      }
    })
    await fc.assert(property, { numRuns: 20 })
    await expectCleanBooks(api.running)
  })
})
