import { beforeAll, describe, expect, it } from 'vitest'
import type { Role } from '../../../src/admin/access/roles.ts'
import { awaitCollection, complaintsOf, DIWAN, NAMED, openFamily, type Family } from '../../support/counter.ts'
import { startProgrammeApi, type ApiAnswer, type ProgrammeApi } from '../../support/programmeApi.ts'
import { at, type TestLink } from '../../support/switch.ts'
import { registerFamily } from './families.ts'

let api: ProgrammeApi
let pos: TestLink

beforeAll(async () => {
  api = await startProgrammeApi({ at: '2026-12-10T09:00:00Z' })
  pos = await api.running.connect('pos')
})

const officer = (name = 'officer-1') => api.as('supply-officer', { name })

async function proposed(answer: ApiAnswer): Promise<string> {
  expect([answer.text, answer.status]).toEqual([answer.text, 202])
  expect(answer.json).toMatchObject({ state: 'open' })
  return String(answer.json['proposalId'])
}

function decide(id: string, decision: string, name: string, role: Role = 'supply-officer'): Promise<ApiAnswer> {
  return api.as(role, { name }).post(`/v1/proposals/${id}/decision`, { decision })
}

function adjust(family: Family, purse: string, amount: unknown, reason = 'A newborn was entered too late'): Promise<ApiAnswer> {
  return officer().post(`/v1/households/${String(family.household)}/adjustments`, { purse, amount, reason })
}

async function balanceOf(purse: number): Promise<number> {
  return Number((await api.running.sql<{ balance: string }>('SELECT balance FROM purse WHERE id = $1', [purse]))[0]?.balance)
}

describe('an adjustment of an entitlement', () => {
  it.each([
    ['ration', '12.50', 1250],
    ['ration', '-50', -5000],
    ['bread', '20', 20],
    ['bread', '-3', -3],
    ['points', '0.05', 5],
  ] as const)('of %s by %s is posted when another officer agrees, and not before', async (purse, amount, units) => {
    const family = await openFamily(api, { ration: 9000, loaves: 100, points: 300 })
    const before = await balanceOf(family.purses[purse])
    const id = await proposed(await adjust(family, purse, amount))
    expect(await balanceOf(family.purses[purse])).toBe(before)
    expect((await decide(id, 'approve', 'officer-2')).json).toMatchObject({
      ...{ state: 'approved', checker: 'officer-2', result: { balance: before + units } },
    })
    expect(await balanceOf(family.purses[purse])).toBe(before + units)
  })

  it('is what the next message draws on', async () => {
    const family = await openFamily(api, { ration: 0 })
    const buy = async (): Promise<string | undefined> =>
      (
        await pos.ask('0200', { 2: family.head.pan, 3: '009800', 4: '000000001000', ...at('GRO00001'), 48: 'BK011OIL*1*1000;' })
      ).text(39)
    expect(await buy()).toBe('51')
    await decide(await proposed(await adjust(family, 'ration', '10')), 'approve', 'officer-2')
    expect(await buy()).toBe('00')
    expect(await balanceOf(family.purses.ration)).toBe(0)
    // That Redis follows also where no message comes is found by the audit at the end.
    await decide(await proposed(await adjust(family, 'ration', '1')), 'approve', 'officer-2')
  })

  it('never takes more than there is: it stays open, and can be withdrawn', async () => {
    const family = await openFamily(api, { ration: 1000 })
    const id = await proposed(await adjust(family, 'ration', '-10.01'))
    expect((await decide(id, 'approve', 'officer-2')).json).toMatchObject({
      status: 409,
      type: 'urn:sarf:problem:insufficient-balance',
    })
    expect((await api.as('auditor').get(`/v1/proposals/${id}`)).json).toMatchObject({ state: 'open', checker: null })
    expect(await balanceOf(family.purses.ration)).toBe(1000)
    expect((await decide(id, 'withdraw', 'officer-1')).json).toMatchObject({ state: 'withdrawn' })
  })

  it('is not posted before the first month has been opened, whose opening would let it lapse', async () => {
    const { householdId } = await registerFamily(api)
    const asked = { purse: 'ration', amount: '12.50', reason: 'A newborn was entered too late' }
    const id = await proposed(await officer().post(`/v1/households/${String(householdId)}/adjustments`, asked))
    expect((await decide(id, 'approve', 'officer-2')).json).toMatchObject({
      status: 409,
      type: 'urn:sarf:problem:month-not-opened',
    })
  })

  it('is of the running month only', async () => {
    const family = await openFamily(api, { cycle: '2026-11-01' })
    const id = await proposed(await adjust(family, 'bread', '5'))
    expect((await decide(id, 'approve', 'officer-2')).json).toMatchObject({
      status: 409,
      type: 'urn:sarf:problem:month-not-opened',
    })
  })

  it.each([
    ['bread', '1.5', 422, '/amount'],
    ['ration', '0', 422, '/amount'],
    ['ration', '-0.00', 422, '/amount'],
    ['cash', '10', 422, '/purse'],
    ['ration', '1.005', 400, '/amount'],
    ['ration', '١٠', 400, '/amount'],
    ['ration', 10, 400, '/amount'],
  ])('of %s by %s is refused', async (purse, amount, status, path) => {
    expect((await adjust(await openFamily(api), purse, amount)).json).toMatchObject({ status, errors: [{ path }] })
  })

  it.each(['\ud800', '\u0000', 'a\nb', '٢٨٠٠٥١٧٠١١٢٣٤٥', 'x\u202828005170112345', '', 'x'.repeat(201)])(
    'is refused with %j as its reason',
    async (reason) => {
      expect((await adjust(await openFamily(api), 'ration', '1', reason)).json).toMatchObject({ status: 400 })
    },
  )

  it('is refused for a household that there is not, and with a national ID in its reason', async () => {
    const family = await openFamily(api)
    expect(
      (await officer().post('/v1/households/987654321/adjustments', { purse: 'ration', amount: '1', reason: 'why' })).status,
    ).toBe(404)
    const answer = await adjust(family, 'ration', '1', 'for 28005170112345')
    expect(answer.json).toMatchObject({ status: 400, errors: [{ path: '/reason' }] })
    expect(answer.text).not.toContain('28005170112345')
  })
})

describe('a proposal', () => {
  it('is not decided by its maker, nor withdrawn or decided by who may not', async () => {
    const id = await proposed(await adjust(await openFamily(api), 'ration', '1'))
    for (const decision of ['approve', 'refuse'])
      expect((await decide(id, decision, 'officer-1')).json).toMatchObject({ status: 403, type: 'urn:sarf:problem:own-proposal' })
    expect((await decide(id, 'withdraw', 'officer-2')).json).toMatchObject({
      status: 403,
      type: 'urn:sarf:problem:not-your-proposal',
    })
    // A post clerk may decide proposals, but none of this kind.
    expect((await decide(id, 'approve', 'clerk-1', 'post-clerk')).json).toMatchObject({
      status: 403,
      type: 'urn:sarf:problem:not-yours-to-decide',
    })
    expect((await decide(id, 'approve', 'auditor-1', 'auditor')).status).toBe(403)
    expect((await decide(id, 'refuse', 'officer-2')).json).toMatchObject({ state: 'refused' })
    expect((await decide(id, 'approve', 'officer-3')).json).toMatchObject({
      status: 409,
      type: 'urn:sarf:problem:already-decided',
    })
  })

  it('is decided by one of several who try at once', async () => {
    const family = await openFamily(api, { ration: 0 })
    const id = await proposed(await adjust(family, 'ration', '1'))
    // All connections of the desk are there, so that the attempts really overlap.
    await Promise.all(Array.from({ length: 4 }, () => api.as('auditor').get(`/v1/proposals/${id}`)))
    const checkers = ['officer-2', 'officer-3', 'officer-4', 'officer-5']
    const answers = await Promise.all(checkers.map((name) => decide(id, 'approve', name)))
    expect(answers.map(({ status }) => status).toSorted()).toEqual([200, 409, 409, 409])
    expect(await balanceOf(family.purses.ration)).toBe(100)
  })

  it('is listed from the latest on, page by page, by state and subject', async () => {
    const family = await openFamily(api)
    const made: string[] = []
    for (const amount of ['1', '2', '3']) made.push(await proposed(await adjust(family, 'ration', amount)))
    const query = `subject=household%20${String(family.household)}&state=open&limit=2`
    const first = await api.as('auditor').get(`/v1/proposals?${query}`)
    const next = await api.as('auditor').get(`/v1/proposals?${query}&cursor=${String(first.json['next'])}`)
    const ids = [first, next].flatMap(({ json }) =>
      (json['items'] as { proposalId: string }[]).map(({ proposalId }) => proposalId),
    )
    expect(ids.toSorted()).toEqual(made.toSorted())
    expect(next.json['next']).toBeNull()
    expect((await api.as('auditor').get('/v1/proposals?limit=1000')).status).toBe(400)
    for (const forged of [{ a: 1 }, [1e16, 'x'], [1, '\u0000'], [-1, made[0]], 'x', [null]])
      for (const list of ['proposals', 'audit-records']) {
        const cursor = Buffer.from(JSON.stringify(forged)).toString('base64url')
        expect((await api.as('auditor').get(`/v1/${list}?cursor=${cursor}`)).status).toBe(200)
      }
    expect((await api.as('auditor').get('/v1/proposals/0f3a1c52-6c1e-4b9e-9a50-2f1d7a0e6b11')).status).toBe(404)
  })
})

describe('a suspension after wrong fingerprints', () => {
  it('is lifted when a second officer agrees: the count starts anew', async () => {
    const family = await openFamily(api)
    const { token } = family.head
    const body = { placeId: NAMED, fingerprintReference: 'enr-9' }
    const ask = (more: object = {}) =>
      api.as('post-clerk', { name: 'clerk-1' }).post(`/v1/cards/${token}/reverification`, { ...body, ...more })
    expect((await ask()).json).toMatchObject({ status: 409, type: 'urn:sarf:problem:not-in-this-state' })
    await api.running.sql(`UPDATE card SET state = 'SUSPENDED_BIOMETRIC', fingerprint_mismatches = 8 WHERE token = $1`, [token])
    expect((await ask({ placeId: DIWAN })).json).toMatchObject({ status: 422, type: 'urn:sarf:problem:wrong-place' })
    const id = await proposed(await ask())
    expect((await ask()).json).toMatchObject({ status: 409, type: 'urn:sarf:problem:already-proposed' })
    expect((await decide(id, 'approve', 'clerk-1', 'post-clerk')).json).toMatchObject({ type: 'urn:sarf:problem:own-proposal' })
    expect((await decide(id, 'approve', 'doctor', 'health-officer')).json).toMatchObject({ state: 'approved' })
    expect(await api.running.sql('SELECT state, fingerprint_mismatches FROM card WHERE token = $1', [token])).toEqual([
      { state: 'ACTIVE', fingerprint_mismatches: 0 },
    ])
  })

  it('stays where the card was reported stolen meanwhile, and the proposal is open', async () => {
    const { token } = (await openFamily(api)).head
    await api.running.sql(`UPDATE card SET state = 'SUSPENDED_BIOMETRIC' WHERE token = $1`, [token])
    const body = { placeId: 'uhi-03-1', fingerprintReference: 'enr-9' }
    const id = await proposed(await api.as('health-officer', { name: 'doctor' }).post(`/v1/cards/${token}/reverification`, body))
    await api.as('hotline-agent').post(`/v1/cards/${token}/reports`, { what: 'stolen' })
    expect((await decide(id, 'approve', 'clerk-2', 'post-clerk')).json).toMatchObject({
      type: 'urn:sarf:problem:not-in-this-state',
    })
    expect((await api.as('auditor').get(`/v1/proposals/${id}`)).json).toMatchObject({ state: 'open' })
  })
})

describe('a death', () => {
  const die = (personId: number, body: object): Promise<ApiAnswer> =>
    api.as('post-clerk').post(`/v1/persons/${String(personId)}/death`, body)
  const buy = async (pan: string): Promise<string | undefined> =>
    (await pos.ask('0200', { 2: pan, 3: '000000', 4: '000000000100' })).text(39)
  const bread = async (pan: string): Promise<string | undefined> =>
    (await pos.ask('0200', { 2: pan, 3: '009700', 4: '000000000100', 48: 'LV0015', ...at('BAK00001') })).text(39)

  it("ends the cards, keeps the balance, and gives the household to the new head's card at once", async () => {
    const family = await openFamily(api)
    const [head, member] = [family.purses.cash, family.member.purseId]
    expect([await buy(family.head.pan), await bread(family.member.pan)]).toEqual(['00', '57'])
    const answer = await die(head, { diedOn: '2026-12-09', newHead: member })
    expect(answer.json).toMatchObject({ head: member, cards: [{ state: 'CLOSED', cardId: family.head.token }] })
    expect([await buy(family.head.pan), await bread(family.member.pan)]).toEqual(['46', '00'])
    expect(await balanceOf(head)).toBe(99_900)
    expect(
      await api.running.sql('SELECT ration_members, bread_members FROM household WHERE id = $1', [family.household]),
    ).toEqual([{ ration_members: 3, bread_members: 3 }])
    expect((await die(head, { diedOn: '2026-12-09' })).json).toMatchObject({
      status: 409,
      type: 'urn:sarf:problem:already-recorded',
    })
  })

  it('leaves a household without a head where none is named, until one is', async () => {
    const family = await openFamily(api)
    const [head, member] = [family.purses.cash, family.member.purseId]
    expect((await die(head, { diedOn: '2026-12-09', lists: { ration: true, bread: false } })).json).toMatchObject({ head: null })
    expect(await bread(family.member.pan)).toBe('57')
    expect((await die(head, { diedOn: '2026-12-08', newHead: member })).json).toMatchObject({
      type: 'urn:sarf:problem:already-recorded',
    })
    expect((await die(head, { diedOn: '2026-12-09', newHead: member })).json).toMatchObject({ head: member })
    expect(await bread(family.member.pan)).toBe('00')
    expect(
      await api.running.sql('SELECT ration_members, bread_members FROM household WHERE id = $1', [family.household]),
    ).toEqual([{ ration_members: 3, bread_members: 4 }])
  })

  it('withdraws a card that is on its way, and gives its fee back to the purse', async () => {
    const family = await openFamily(api)
    await api.as('hotline-agent').post(`/v1/cards/${family.member.token}/reports`, { what: 'lost' })
    const replacement = await api
      .as('portal')
      .post(`/v1/cards/${family.member.token}/replacement`, { placeId: NAMED, payment: 'cash' })
    await awaitCollection(api, String(replacement.json['cardId']), '2026-12-10')
    const { json } = await die(family.member.purseId, { diedOn: '2026-12-10' })
    expect((json['cards'] as { state: string }[]).map(({ state }) => state).toSorted()).toEqual(['CANCELLED', 'CLOSED'])
    expect(json).toMatchObject({ head: family.purses.cash })
    expect(await balanceOf(family.member.purseId)).toBe(100_000)
  })

  it.each([
    ['a day that has not come', { diedOn: '2026-12-11' }, 422, '/diedOn'],
    ['a day before the birth', { diedOn: '1950-01-01' }, 422, '/diedOn'],
    ['a day that there is not', { diedOn: '2026-02-30' }, 422, '/diedOn'],
    ['a new head from nowhere', { diedOn: '2026-12-09', newHead: 1 }, 422, '/newHead'],
    ['no day', {}, 400, '/diedOn'],
  ])('is refused with %s', async (_what, body, status, path) => {
    const family = await openFamily(api)
    expect((await die(family.purses.cash, body)).json).toMatchObject({ status, errors: [{ path }] })
    expect(await buy(family.head.pan)).toBe('00')
  })

  it('of a member names no head, and there is none of somebody unknown', async () => {
    const family = await openFamily(api)
    expect((await die(family.member.purseId, { diedOn: '2026-12-09', newHead: family.purses.cash })).json).toMatchObject({
      ...{ status: 422, type: 'urn:sarf:problem:has-a-head' },
    })
    expect((await die(1, { diedOn: '2026-12-09' })).status).toBe(404)
  })
})

describe('the audit trail', () => {
  it('is read by auditors, by subject and by actor, the latest first', async () => {
    const { token } = (await openFamily(api)).head
    await api.as('hotline-agent', { name: 'agent-7' }).post(`/v1/cards/${token}/reports`, { what: 'lost', reference: 'CALL-1' })
    await api.as('hotline-agent', { name: 'agent-7' }).post(`/v1/cards/${token}/reports`, { what: 'stolen' })
    expect((await api.as('operator').get('/v1/audit-records')).status).toBe(403)
    const { json } = await api.as('auditor').get(`/v1/audit-records?subject=card%20${token}`)
    expect(json).toMatchObject({
      items: [
        {
          actor: 'agent-7',
          roles: ['hotline-agent'],
          outcome: 'refused',
          detail: { what: 'stolen', refused: 'not-in-this-state' },
        },
        { actor: 'agent-7', action: 'card.report', outcome: 'done', detail: { what: 'lost', reference: 'CALL-1' } },
      ],
      next: null,
    })
    const first = await api.as('auditor').get('/v1/audit-records?actor=agent-7&limit=1')
    const second = await api.as('auditor').get(`/v1/audit-records?actor=agent-7&limit=1&cursor=${String(first.json['next'])}`)
    const numbers = [first, second].map(({ json: page }) => (page['items'] as { number: number }[])[0]!.number)
    expect(numbers[1]).toBeLessThan(numbers[0]!)
  })
})

it('the books are right after all of it', async () => {
  expect(await complaintsOf(api)).toEqual([])
})
