import { beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Desk } from '../../../src/ledger/programme/desk.ts'
import { personIdOf } from '../../../src/programme/householdRows.ts'
import type { NoticeDispatcher } from '../../../src/programme/notices/dispatcher.ts'
import { signatureHeaders } from '../../../src/programme/notices/signature.ts'
import { startProgrammeApi, type ApiAnswer, type ProgrammeApi } from '../../support/programmeApi.ts'
import {
  addPlaces,
  dispatcher,
  openDesk,
  order,
  personalData,
  POST_OFFICE,
  testProvider,
  type TestProvider,
} from '../../support/programmeDesk.ts'

const NOON = '2027-01-25T10:00:00Z'
const MOBILE = '01012345678'

let api: ProgrammeApi
let desk: Desk
let provider: TestProvider
let sender: NoticeDispatcher

beforeAll(async () => {
  api = await startProgrammeApi({ at: NOON })
  desk = openDesk(api.running)
  await addPlaces(api.running)
})

beforeEach(async () => {
  api.running.clock.moveTo(NOON)
  await api.running.sql('TRUNCATE notice CASCADE')
  provider = testProvider()
  sender = dispatcher(desk, api.running, provider)
})

let persons = 0

/** A head with a card that was ordered. */
async function ordered(mobile: string | null = MOBILE): Promise<{ card: string; head: number }> {
  const { household } = await api.running.openHousehold({ personalData: personalData(++persons, mobile) })
  const head = personIdOf(household, 1)
  await api.running.sql(`UPDATE card SET state = 'REPLACED' WHERE person_id = $1`, [head])
  return { head, card: await order(desk, api.running, { personId: head, placeId: POST_OFFICE, reason: 'new' }) }
}

async function printed(mobile?: string | null): Promise<{ card: string; head: number }> {
  const made = await ordered(mobile)
  expect((await api.as('card-bureau').post(`/v1/cards/${made.card}/printed`, undefined)).status).toBe(200)
  return made
}

async function report(body: unknown, headers?: Record<string, string>): Promise<ApiAnswer> {
  const text = JSON.stringify(body)
  const { secret = '' } = api.running.config.noticeDelivery
  const signed = headers ?? { ...signatureHeaders(secret, text, api.running.clock.now()) }
  return api.with(undefined).post('/v1/notice-receipts', text, { 'content-type': 'application/json', ...signed })
}

const lifeOf = async (card: string) => (await api.as('auditor').get(`/v1/cards/${card}`)).json
const at = (): string => new Date(api.running.clock.now()).toISOString()

describe('embossing', () => {
  it('shows the bureau the number in the clear and the values, not to be stored, and each look is on record', async () => {
    const { card } = await ordered()
    const answer = await api.as('card-bureau').get(`/v1/cards/${card}/embossing`)
    expect(answer.headers.get('cache-control')).toBe('no-store')
    expect(answer.json).toMatchObject({ cardId: card, expires: '01/30', sequenceNumber: '00' })
    expect(answer.json['number']).toMatch(/^981806\d{10}$/)
    const three: unknown = expect.stringMatching(/^\d{3}$/)
    expect(answer.json['values']).toEqual({
      stripe: { serviceCode: '201', cvv: three },
      chip: { icvv: three },
      printed: { cvv2: three },
    })
    const records = await api.running.sql<{ detail: string }>(
      `SELECT actor, action, outcome, detail FROM audit_record WHERE subject = $1 AND action = 'card.embossing'`,
      [`card ${card}`],
    )
    expect(records).toEqual([{ actor: 'card-bureau', action: 'card.embossing', outcome: 'done', detail: '{}' }])
  })

  it('is refused of a card that is in hand, printed or not there, and to the hotline', async () => {
    const { head } = await api.running.openHousehold()
    expect((await api.as('card-bureau').get(`/v1/cards/${head.token}/embossing`)).json).toMatchObject({
      status: 409,
      type: 'urn:sarf:problem:not-to-be-printed',
    })
    const { card } = await printed()
    expect((await api.as('card-bureau').get(`/v1/cards/${card}/embossing`)).json).toMatchObject({ status: 409 })
    expect((await api.as('card-bureau').get('/v1/cards/pW3bq0kJx7T1u5mYc2Zr8A/embossing')).status).toBe(404)
    expect((await api.as('hotline-agent').get(`/v1/cards/${card}/embossing`)).status).toBe(403)
  })
})

describe('a card that is printed', () => {
  it('has its place and period told to the head, whose mobile is nowhere in the tables', async () => {
    const { card, head } = await printed()
    expect(await api.running.sql('SELECT parameters::text AS told FROM notice')).toEqual([
      { told: expect.not.stringContaining(MOBILE.slice(1)) as string },
    ])
    await sender.round()
    expect(provider.taken.map(({ to, language, template }) => [to.reveal(), language, template])).toEqual([
      ['+201012345678', 'ar', 'collection'],
    ])
    expect(provider.taken[0]?.text).toContain('مكتب بريد 1 بورسعيد')
    const list = await api.as('hotline-agent').get(`/v1/notices?personId=${String(head)}`)
    expect(list.json).toMatchObject({ items: [{ template: 'collection', state: 'sent', cardId: card }], next: null })
    expect(list.text).not.toContain(MOBILE.slice(1))
  })

  it('is printed once', async () => {
    const { card } = await printed()
    expect((await api.as('card-bureau').post(`/v1/cards/${card}/printed`, undefined)).json).toMatchObject({
      status: 409,
      type: 'urn:sarf:problem:already-printed',
    })
    expect(await api.running.sql('SELECT template FROM notice')).toEqual([{ template: 'collection' }])
  })

  it('names a member’s card to the head, in the head’s language', async () => {
    const { household } = await api.running.openHousehold({ personalData: personalData(++persons, MOBILE) })
    const member = personIdOf(household, 2)
    await api.running.sql(`UPDATE card SET state = 'REPLACED' WHERE person_id = $1`, [member])
    await api.running.sql(`UPDATE person SET language = 'en' WHERE id = $1`, [personIdOf(household, 1)])
    const card = await order(desk, api.running, { personId: member, placeId: POST_OFFICE, reason: 'new' })
    await api.as('card-bureau').post(`/v1/cards/${card}/printed`, undefined)
    await sender.round()
    expect(provider.taken[0]?.text).toMatch(/^The services card ending \d{4} is ready\. Collect it at Post office 1, Port Said/)
  })
})

describe('a delivery report', () => {
  it('is T0: the time for collection begins, in calendar months from that day in Cairo', async () => {
    const { card } = await printed()
    api.running.clock.moveTo('2027-01-31T21:59:00Z')
    await sender.round()
    const reference = provider.taken[0]!.id
    expect((await report({ reference, state: 'delivered', at: '2027-01-31T21:59:00Z' })).status).toBe(204)
    expect(await lifeOf(card)).toMatchObject({
      state: 'AWAITING_COLLECTION',
      noticeReceivedAt: '2027-01-31T21:59:00.000Z',
      namedPlaceUntil: '2027-02-28',
      diwanUntil: '2027-03-31',
    })
    // The same again, and once more from a provider that is late to say it failed: nothing moves.
    api.running.clock.moveTo('2027-02-03T10:00:00Z')
    expect((await report({ reference, state: 'delivered', at: at() })).status).toBe(204)
    expect((await report({ reference, state: 'failed', at: at() })).status).toBe(204)
    expect(await lifeOf(card)).toMatchObject({ state: 'AWAITING_COLLECTION', namedPlaceUntil: '2027-02-28' })
    expect(await api.running.sql('SELECT kind FROM programme_event WHERE card_token = $1 ORDER BY number', [card])).toEqual([
      { kind: 'card.ordered' },
      { kind: 'card.printed' },
      { kind: 'card.notice_received' },
    ])
    expect(
      await api.running.sql('SELECT actor FROM audit_record WHERE action = $1 AND subject = $2', [
        'card.notice_received',
        `card ${card}`,
      ]),
    ).toEqual([{ actor: 'notice-provider' }])
  })

  it('that it failed destroys nothing: the card stays ORDERED, the notice is sent again under another id, and is dead in the end', async () => {
    const { card } = await printed()
    const { roundsMax, undeliveredMs } = api.running.config.notices
    for (let round = 1; round <= roundsMax; round++) {
      expect(await sender.round()).toBe(1)
      expect((await report({ reference: provider.taken.at(-1)!.id, state: 'failed', at: at() })).status).toBe(204)
      expect(await sender.round()).toBe(0)
      api.running.clock.moveTo(api.running.clock.now() + undeliveredMs)
    }
    expect(new Set(provider.taken.map(({ id }) => id)).size).toBe(roundsMax)
    expect(await sender.round()).toBe(0)
    expect(await lifeOf(card)).toMatchObject({ state: 'ORDERED', noticeReceivedAt: null })
    const { items } = (await api.as('hotline-agent').get('/v1/notices?state=dead')).json as { items: { noticeId: number }[] }
    expect(items).toMatchObject([{ template: 'collection', reason: 'not-delivered' }])
    expect((await api.as('operator').post(`/v1/notices/${String(items[0]!.noticeId)}/retry`, undefined)).json).toMatchObject({
      state: 'pending',
    })
    await sender.round()
    // That of an earlier sending arrives after all.
    await report({ reference: provider.taken[0]!.id, state: 'delivered', at: at() })
    expect(await lifeOf(card)).toMatchObject({ state: 'AWAITING_COLLECTION' })
  })

  it('of a card that was stopped on its way changes nothing of the card', async () => {
    const { card } = await printed()
    await sender.round()
    await api.as('hotline-agent').post(`/v1/cards/${card}/reports`, { what: 'stolen' })
    expect((await report({ reference: provider.taken[0]!.id, state: 'delivered', at: at() })).status).toBe(204)
    expect(await lifeOf(card)).toMatchObject({ state: 'STOLEN', namedPlaceUntil: null })
  })

  it.each([
    ['without a signature', () => ({})],
    ['signed with another secret', () => signatureHeaders('another secret that is long enough', BODY, Date.parse(NOON))],
    ['signed an hour ago', () => signatureHeaders(secretOf(), BODY, Date.parse(NOON) - 3_600_000)],
    ['whose body was changed', () => signatureHeaders(secretOf(), BODY.replace('x', 'y'), Date.parse(NOON))],
    [
      'whose time was changed',
      () => ({ ...signatureHeaders(secretOf(), BODY, Date.parse(NOON)), 'x-sarf-timestamp': '1801000000' }),
    ],
  ])('%s is refused (401)', async (_, headers) => {
    const answer = await api
      .with(undefined)
      .post('/v1/notice-receipts', BODY, { 'content-type': 'application/json', ...headers() })
    expect(answer.status).toBe(401)
  })

  it('that cannot be is refused, with its field: of no notice, of the future, of before it was written, with more than it has', async () => {
    await printed()
    await sender.round()
    const reference = provider.taken[0]!.id
    expect((await report({ reference: 'nobody', state: 'delivered', at: at() })).status).toBe(404)
    for (const day of ['2027-01-26', '2027-01-01', '2028-02-30'])
      expect((await report({ reference, state: 'delivered', at: `${day}T10:00:00Z` })).json).toMatchObject({
        errors: [{ path: '/at' }],
      })
    expect((await report({ reference, state: 'read', at: at() })).json).toMatchObject({
      status: 400,
      errors: [{ path: '/state' }],
    })
    expect((await report({ reference, state: 'delivered', at: at(), to: '1' })).status).toBe(400)
    expect((await report({ reference, state: 'delivered', at: 'yesterday' })).status).toBe(400)
  })
})

const BODY = JSON.stringify({ reference: 'x', state: 'delivered', at: NOON })
const secretOf = (): string => api.running.config.noticeDelivery.secret ?? ''

describe('the list of notices', () => {
  it('goes on behind a cursor, newest first', async () => {
    const made = [await printed(), await printed(), await printed()]
    const first = (await api.as('operator').get('/v1/notices?limit=2')).json as { items: { cardId: string }[]; next: string }
    expect(first.items.map(({ cardId }) => cardId)).toEqual([made[2]!.card, made[1]!.card])
    const second = (await api.as('operator').get(`/v1/notices?limit=2&cursor=${first.next}`)).json
    expect(second).toMatchObject({ items: [{ cardId: made[0]!.card }], next: null })
    expect((await api.as('operator').get('/v1/notices?cursor=abc')).status).toBe(422)
    expect((await api.as('operator').get('/v1/notices?limit=201')).json).toMatchObject({
      status: 400,
      errors: [{ path: 'limit' }],
    })
    expect((await api.as('operator').get('/v1/notices?state=lost')).status).toBe(400)
    expect((await api.as('portal').get('/v1/notices')).status).toBe(403)
  })

  it('has a dead one for whoever has no mobile, who is told when it is known', async () => {
    const { head, card } = await printed(null)
    await sender.round()
    const { items } = (await api.as('hotline-agent').get('/v1/notices?state=dead')).json as { items: { noticeId: number }[] }
    expect(items).toMatchObject([{ personId: head, cardId: card, reason: 'no-mobile', state: 'dead' }])
    expect(provider.taken).toEqual([])
    const path = `/v1/notices/${String(items[0]!.noticeId)}/retry`
    expect((await api.as('hotline-agent').post(path, undefined)).status).toBe(403)
    expect((await api.as('operator').post(path, undefined)).status).toBe(200)
    expect((await api.as('operator').post(path, undefined)).json).toMatchObject({ type: 'urn:sarf:problem:notice-not-dead' })
    expect((await api.as('operator').post('/v1/notices/999999/retry', undefined)).status).toBe(404)
  })
})
