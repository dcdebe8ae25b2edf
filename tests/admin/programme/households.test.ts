import { beforeAll, describe, expect, it, vi } from 'vitest'
import { startProgrammeApi, type ApiAnswer, type ProgrammeApi } from '../../support/programmeApi.ts'
import { done } from '../../../src/ledger/programme/desk.ts'
import { lockHouseholds } from '../../../src/ledger/programme/households.ts'
import { change, openDesk } from '../../support/programmeDesk.ts'
import { nationalIdOf, orderedCard, problemOf, registerFamily } from './families.ts'

let api: ProgrammeApi

beforeAll(async () => {
  api = await startProgrammeApi({ at: '2026-11-24T10:00:00Z' })
})

const officer = () => api.as('supply-officer')
const household = (id: number) => `/v1/households/${String(id)}`
const person = (id: number) => `/v1/persons/${String(id)}`

describe('a household', () => {
  it('is registered with its members: each has a number and a cash purse, and the household its purses, which no month has opened', async () => {
    const { householdId, persons } = await registerFamily(api)
    const shown = await officer().get(household(householdId))
    expect(shown.headers.get('etag')).toBe('"1"')
    expect(shown.json).toMatchObject({ householdId, governorate: 3, rationMembers: 3, breadMembers: 3, version: 1 })
    const [head] = persons
    expect((shown.json['members'] as object[])[0]).toEqual({
      personId: householdId * 100 + 1,
      householdId,
      head: true,
      nationalId: `**********${head!.nationalId.slice(-4)}`,
      mobile: `+20******${head!.mobile.slice(-4)}`,
      age: 46,
      language: 'ar',
      transactionNotices: false,
      cover: null,
      diedOn: null,
      leftOn: null,
      version: 1,
    })
    expect(
      await api.running.sql('SELECT id::float8, kind, person_id::float8, cycle FROM purse WHERE household_id = $1 ORDER BY id', [
        householdId,
      ]),
    ).toEqual([
      ...[1, 2, 3].map((n) => ({ id: householdId * 100 + n, kind: 1, person_id: householdId * 100 + n, cycle: null })),
      ...[2, 3, 4].map((kind) => ({ id: householdId * 100 + 90 + kind, kind, person_id: null, cycle: null })),
    ])
    expect(
      await api.running.sql('SELECT action, outcome FROM audit_record WHERE subject = $1', [`household ${String(householdId)}`]),
    ).toEqual([{ action: 'household.create', outcome: 'done' }])
  })

  it('is found by the national ID of a member, also in Arabic digits', async () => {
    const { persons } = await registerFamily(api)
    const { nationalId, personId } = persons[1]!
    const arabic = nationalId.replace(/\d/g, (digit) => String.fromCharCode(0x0660 + Number(digit)))
    for (const written of [nationalId, arabic, `\u200f${nationalId} `])
      expect((await api.as('portal').post('/v1/persons/find', { nationalId: written })).json).toMatchObject({ personId })
    expect(problemOf(await api.as('portal').post('/v1/persons/find', { nationalId: nationalIdOf('1970-01-01') }))).toEqual({
      status: 404,
      type: 'no-such-person',
    })
  })

  it.each([
    ['of 13 digits', '2800517030001', 'A national ID has 14 digits.'],
    ['of another century', '18005170300015', 'The first digit of a national ID is the century of birth: 2 for 19.., 3 for 20..'],
    ['of the 31st of February', '28002310300015', 'Digits 2 to 7 of a national ID are a date of birth: year, month, day.'],
    [
      'of a governorate that there is not',
      '28005179900015',
      'Digits 8 and 9 of a national ID are a governorate of birth, or 88 for abroad.',
    ],
    ['of tomorrow and later', '39905170300015', 'The date of birth in the national ID is in the future.'],
    ['in words', "1'; DROP TABLE person", 'A national ID has 14 digits.'],
  ])('with a national ID %s is refused: which member, and why', async (_of, nationalId, detail) => {
    const members = [
      { nationalId: nationalIdOf('1980-05-17'), head: true },
      { nationalId, head: false },
    ]
    const answer = await officer().post('/v1/households', { governorate: 3, members })
    expect(answer.json).toMatchObject({ status: 422, detail, errors: [{ path: '/members/1/nationalId' }] })
  })

  it.each([
    ['no head', { members: [{ head: false }] }, 422, 'one-head', '/members'],
    ['two heads', { members: [{ head: true }, { head: true }] }, 422, 'one-head', '/members'],
    ['a child for its head', { members: [{ head: true, born: '2016-01-31' }] }, 422, 'head-too-young', '/members/0/nationalId'],
    ['no members', { members: [] }, 400, 'invalid-request', '/members'],
    ['an unknown governorate', { governorate: 28, members: [{ head: true }] }, 400, 'invalid-request', '/governorate'],
    ['a governorate in words', { governorate: '3', members: [{ head: true }] }, 400, 'invalid-request', '/governorate'],
    ['an unknown member', { balance: 5, members: [{ head: true }] }, 400, 'invalid-request', '/balance'],
    ['more on a list than members', { rationMembers: 2, members: [{ head: true }] }, 422, 'more-than-members', '/rationMembers'],
    ['half a person', { breadMembers: 0.5, members: [{ head: true }] }, 400, 'invalid-request', '/breadMembers'],
    ['a mobile of elsewhere', { members: [{ head: true, mobile: '+4915112345678' }] }, 422, 'not-a-mobile', '/members/0/mobile'],
  ])('with %s is refused, and nothing is left', async (_what, { members, ...rest }, status, type, path) => {
    const before = await api.running.sql('SELECT count(*) FROM person_secret')
    const body = {
      governorate: 3,
      members: members.map(({ born = '1980-05-17', ...member }: { born?: string }) => ({
        nationalId: nationalIdOf(born),
        ...member,
      })),
      ...rest,
    }
    expect(problemOf(await officer().post('/v1/households', body))).toEqual({ status, type, path })
    expect(await api.running.sql('SELECT count(*) FROM person_secret')).toEqual(before)
  })

  it('with somebody who is in the programme is refused, whoever of two clerks is faster', async () => {
    const nationalId = nationalIdOf('1980-05-17')
    const twice = {
      governorate: 3,
      members: [
        { nationalId, head: true },
        { nationalId, head: false },
      ],
    }
    expect(problemOf(await officer().post('/v1/households', twice))).toEqual({
      status: 422,
      type: 'member-twice',
      path: '/members/1/nationalId',
    })
    const answers = await Promise.all(
      ['a', 'b', 'c'].map((name) =>
        api.as('supply-officer', { name }).post('/v1/households', { governorate: 3, members: [{ nationalId, head: true }] }),
      ),
    )
    expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([201, 409, 409])
    expect(answers.filter(({ status }) => status === 409).map(problemOf)).toEqual(
      Array.from({ length: 2 }, () => ({ status: 409, type: 'national-id-known', path: '/members/0/nationalId' })),
    )
  })

  it('is registered once, however often it is sent with its key', async () => {
    const body = { governorate: 3, members: [{ nationalId: nationalIdOf('1980-05-17'), head: true }] }
    const key = { 'idempotency-key': 'form-88' }
    const answers = await Promise.all([1, 2, 3].map(() => officer().post('/v1/households', body, key)))
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1)
    expect(answers[0]?.status).toBe(201)
    expect(problemOf(await officer().post('/v1/households', { ...body, governorate: 4 }, key))).toMatchObject({ status: 409 })
  })

  it('is changed only by who has seen what it is: If-Match is required, and has to be the present version', async () => {
    const { householdId } = await registerFamily(api)
    const path = household(householdId)
    expect(problemOf(await officer().send('PATCH', path, { breadMembers: 2 }))).toEqual({
      status: 428,
      type: 'if-match-required',
      path: 'If-Match',
    })
    const two = await Promise.all(
      ['a', 'b'].map((name) =>
        api.as('supply-officer', { name }).send('PATCH', path, { breadMembers: 2 }, { 'if-match': '"1"' }),
      ),
    )
    expect(two.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 412])
    expect((await officer().get(path)).json).toMatchObject({ breadMembers: 2, rationMembers: 3, version: 2 })
    const wrong = await officer().send('PATCH', path, { breadMembers: 4 }, { 'if-match': '"2"' })
    expect(problemOf(wrong)).toEqual({ status: 422, type: 'more-than-members', path: '/breadMembers' })
    expect(problemOf(await officer().send('PATCH', path, {}, { 'if-match': '"2"' }))).toMatchObject({ status: 400 })
  })

  it('that there is not is not found, and what is no number is refused', async () => {
    expect((await officer().get('/v1/households/999999999999999')).status).toBe(404)
    expect((await officer().get('/v1/households/9999999999999999999')).status).toBe(400)
    expect((await officer().get("/v1/households/1'--")).status).toBe(400)
    expect((await officer().get('/v1/persons/1')).status).toBe(404)
    expect((await api.as('acquirer').get('/v1/households/1')).status).toBe(403)
  })
})

describe('a person', () => {
  it('who is born into a household is counted from the next cycle on', async () => {
    const { householdId } = await registerFamily(api)
    const answer = await officer().post(`${household(householdId)}/members`, {
      nationalId: nationalIdOf('2026-01-30'),
      onRationList: false,
    })
    expect(answer.json).toMatchObject({ personId: householdId * 100 + 4, head: false, mobile: null, age: 0 })
    expect((await officer().get(household(householdId))).json).toMatchObject({ rationMembers: 3, breadMembers: 4, version: 2 })
    expect(await api.running.sql('SELECT kind FROM purse WHERE id = $1', [householdId * 100 + 4])).toEqual([{ kind: 1 }])
  })

  it('has a mobile, a language and notices as asked for; the mobile takes the role for it', async () => {
    const { persons } = await registerFamily(api)
    const { personId } = persons[0]!
    const changed = await api.as('post-clerk').send('PATCH', person(personId), { mobile: '01298765432', language: 'en' })
    expect(changed.json).toMatchObject({ mobile: '+20******5432', language: 'en', version: 2 })
    expect((await api.as('hotline-agent').send('PATCH', person(personId), { transactionNotices: true })).json).toMatchObject({
      transactionNotices: true,
      language: 'en',
    })
    expect(problemOf(await api.as('hotline-agent').send('PATCH', person(personId), { mobile: null }))).toEqual({
      status: 403,
      type: 'no-role-for-mobile',
      path: '/mobile',
    })
    expect((await api.as('post-clerk').send('PATCH', person(personId), { mobile: null })).json).toMatchObject({ mobile: null })
    expect(problemOf(await api.as('post-clerk').send('PATCH', person(personId), { mobile: '0123' }))).toMatchObject({
      path: '/mobile',
    })
    expect((await api.as('post-clerk').send('PATCH', person(personId), { language: 'fr' })).json).toMatchObject({
      errors: [{ path: '/language', expected: 'ar or en' }],
    })
  })

  it('is covered from a day to another, or no longer', async () => {
    const { persons } = await registerFamily(api)
    const path = `${person(persons[1]!.personId)}/cover`
    const cover = { class: 'STANDARD', from: '2026-01-01', until: '2027-12-31' }
    const officer = api.as('health-officer')
    expect((await officer.send('PUT', path, cover)).json).toMatchObject({ cover, version: 2 })
    expect((await officer.send('PUT', path, null)).json).toMatchObject({ cover: null })
    for (const [wrong, at] of [
      [{ ...cover, until: '2025-12-31' }, '/until'],
      [{ ...cover, from: '2026-02-30' }, '/from'],
      [{ ...cover, from: '0000-01-01' }, '/from'],
      [{ ...cover, class: 'gold' }, '/class'],
      [{ ...cover, note: 1 }, '/note'],
    ] as const)
      expect(problemOf(await officer.send('PUT', path, wrong))).toMatchObject({ path: at })
    expect((await api.as('post-clerk').send('PUT', path, null)).status).toBe(403)
  })

  it('who marries moves with cash and card; the card carries what the person is there', async () => {
    const from = await registerFamily(api, { birthDates: ['1975-01-01', '1978-01-01', '2001-01-01'] })
    const to = await registerFamily(api)
    const { personId } = from.persons[2]!
    const card = await orderedCard(api.as('administrator'), personId)
    const moved = await officer().post(`${person(personId)}/move`, { to: 'household', householdId: to.householdId })
    expect(moved.json).toMatchObject({ personId, householdId: to.householdId, head: false })
    expect((await officer().get(household(from.householdId))).json).toMatchObject({
      rationMembers: 2,
      breadMembers: 2,
      version: 2,
    })
    expect((await officer().get(household(to.householdId))).json).toMatchObject({ rationMembers: 4, breadMembers: 4, version: 2 })
    expect((await officer().get(`/v1/cards/${card}`)).json).toMatchObject({ householdId: to.householdId, role: 'member' })
    expect(await api.running.sql('SELECT household_id::float8 FROM purse WHERE person_id = $1', [personId])).toEqual([
      { household_id: to.householdId },
    ])
    const own = await officer().post(`${person(personId)}/move`, { to: 'own-household', governorate: 4, onRationList: false })
    expect(own.json).toMatchObject({ personId, head: true })
    const founded = await officer().get(household(Number(own.json['householdId'])))
    expect(founded.json).toMatchObject({ governorate: 4, rationMembers: 0, breadMembers: 1 })
    expect((await officer().get(`/v1/cards/${card}`)).json).toMatchObject({ role: 'head', householdId: own.json['householdId'] })
  })

  it('who is the head does not leave others behind without another head', async () => {
    const { householdId, persons } = await registerFamily(api)
    const [head, wife, child] = persons
    const card = await orderedCard(api.as('administrator'), wife!.personId)
    const path = `${person(head!.personId)}/move`
    expect(problemOf(await officer().post(path, { to: 'out' }))).toEqual({
      status: 409,
      type: 'head-leaves-others',
      path: '/newHead',
    })
    expect(problemOf(await officer().post(path, { to: 'out', newHead: child!.personId }))).toMatchObject({
      type: 'head-too-young',
    })
    expect(problemOf(await officer().post(path, { to: 'out', newHead: 101 }))).toMatchObject({ type: 'not-a-member' })
    expect((await officer().post(path, { to: 'out', newHead: wife!.personId })).json).toMatchObject({
      head: false,
      leftOn: expect.stringMatching(/^\d{4}-\d\d-\d\d$/) as string,
    })
    const left = await officer().get(household(householdId))
    expect(left.json).toMatchObject({ rationMembers: 2, members: [{ personId: wife!.personId, head: true }, {}] })
    expect((await officer().get(`/v1/cards/${card}`)).json).toMatchObject({ role: 'head' })
    expect(
      problemOf(await api.as('administrator').post(`${person(head!.personId)}/cards`, { placeId: 'post-03-1' })),
    ).toMatchObject({
      type: 'person-left',
    })
    // And comes back.
    expect((await officer().post(path, { to: 'household', householdId })).json).toMatchObject({ head: false, leftOn: null })
    expect((await officer().get(household(householdId))).json).toMatchObject({ rationMembers: 3 })
  })

  it.each([
    [{ to: 'household' }, '/householdId'],
    [{ to: 'out', governorate: 3 }, '/governorate'],
    [{ to: 'own-household' }, '/governorate'],
    [{ to: 'household', householdId: 999_999_999 }, '/householdId'],
    [{ to: 'moon' }, '/to'],
    [{ to: 'out', newHead: 5 }, '/newHead'],
  ])('does not move where that says nothing: %j', async (move, path) => {
    const { persons } = await registerFamily(api)
    expect(problemOf(await officer().post(`${person(persons[1]!.personId)}/move`, move))).toMatchObject({ path })
  })

  it('who is moved by two clerks at once is moved once', async () => {
    const from = await registerFamily(api, { birthDates: ['1975-01-01', '1978-01-01'] })
    const targets = [await registerFamily(api), await registerFamily(api)]
    const { personId } = from.persons[1]!
    const answers = await Promise.all(
      targets.map(({ householdId }, index) =>
        api
          .as('supply-officer', { name: `clerk-${String(index)}` })
          .post(`${person(personId)}/move`, { to: 'household', householdId }, { 'if-match': '"1"' }),
      ),
    )
    expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 412])
    const counts = await api.running.sql('SELECT sum(ration_members)::int AS members FROM household WHERE id = ANY ($1)', [
      [from, ...targets].map(({ householdId }) => householdId),
    ])
    expect(counts).toEqual([{ members: 8 }])
  })
})

it('keeps no national ID and no mobile in the clear, in whatever table', async () => {
  const { persons } = await registerFamily(api)
  await api.as('post-clerk').send('PATCH', person(persons[0]!.personId), { mobile: '01555511223' })
  const secrets = [...persons.flatMap(({ nationalId, mobile }) => [nationalId, mobile.slice(1)]), '1555511223']
  const tables = await api.running.sql<{ name: string }>(
    "SELECT quote_ident(relname) AS name FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace",
  )
  for (const { name } of tables)
    for (const secret of secrets)
      expect([name, await api.running.sql(`SELECT 1 FROM ${name} t WHERE t::text LIKE $1`, [`%${secret}%`])]).toEqual([name, []])
})

describe('two officers at once', () => {
  const move = (personId: number, name: string, body: object) => () =>
    api.as('supply-officer', { name }).post(`${person(personId)}/move`, body)
  const died = (personId: number) => () => api.as('administrator').post(`${person(personId)}/death`, { diedOn: '2026-11-24' })

  /** Both have come before either may go on, the first one first. */
  async function bothWaiting(householdId: number, first: () => Promise<ApiAnswer>, second: () => Promise<ApiAnswer>) {
    const held = Promise.withResolvers<undefined>()
    const locked = Promise.withResolvers<undefined>()
    const holding = change(openDesk(api.running), async (tx) => {
      await lockHouseholds(tx, [householdId])
      locked.resolve(undefined)
      await held.promise
      return done(null)
    })
    await locked.promise
    const waiting = async (count: number): Promise<void> => {
      await vi.waitFor(async () => {
        const [row] = await api.running.sql<{ n: string }>(
          `SELECT count(*) AS n FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
        )
        expect(Number(row?.n)).toBe(count)
      }, 5000)
    }
    const one = first()
    await waiting(1)
    const other = second()
    await waiting(2)
    held.resolve(undefined)
    await holding
    return Promise.all([one, other])
  }

  it('do not leave a household without a head: who was made head meanwhile names another to go', async () => {
    const family = await registerFamily(api)
    const [head, wife] = family.persons
    const [left, stayed] = await bothWaiting(
      family.householdId,
      move(head!.personId, 'officer-1', { to: 'out', newHead: wife!.personId }),
      move(wife!.personId, 'officer-2', { to: 'own-household', governorate: 3 }),
    )
    expect(left.status).toBe(200)
    expect(problemOf(stayed)).toEqual({ status: 409, type: 'head-leaves-others', path: '/newHead' })
  })

  it('do not move somebody who has died meanwhile', async () => {
    const [family, other] = [await registerFamily(api), await registerFamily(api)]
    const wife = family.persons[1]!.personId
    const [, moved] = await bothWaiting(
      family.householdId,
      died(wife),
      move(wife, 'officer-2', { to: 'household', householdId: other.householdId }),
    )
    expect(problemOf(moved)).toEqual({ status: 409, type: 'person-died' })
    expect((await officer().get(household(other.householdId))).json).toMatchObject({ rationMembers: 3, breadMembers: 3 })
  })

  it('count somebody who leaves once', async () => {
    const family = await registerFamily(api)
    const wife = family.persons[1]!.personId
    const [, again] = await bothWaiting(
      family.householdId,
      move(wife, 'officer-1', { to: 'out' }),
      move(wife, 'officer-2', { to: 'out' }),
    )
    expect(problemOf(again)).toEqual({ status: 409, type: 'person-left' })
  })
})

it('who has left the programme and dies later is not counted off a second time', async () => {
  const { householdId, persons } = await registerFamily(api)
  const wife = persons[1]!.personId
  await officer().post(`${person(wife)}/move`, { to: 'out' })
  expect((await api.as('administrator').post(`${person(wife)}/death`, { diedOn: '2026-11-24' })).status).toBe(200)
  expect((await officer().get(household(householdId))).json).toMatchObject({ rationMembers: 2, breadMembers: 2 })
})
