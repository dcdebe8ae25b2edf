import { beforeAll, describe, expect, it } from 'vitest'
import { bread } from '../../authorize/subsidies.ts'
import { startProgrammeApi, type ProgrammeApi } from '../../support/programmeApi.ts'
import { until } from '../../support/switch.ts'
import { orderedCard, problemOf, registerFamily } from './families.ts'

let api: ProgrammeApi

beforeAll(async () => {
  api = await startProgrammeApi({ at: '2026-11-24T10:00:00Z' })
})

const administrator = () => api.as('administrator')
const place = {
  placeId: 'post-03-9',
  kind: 'post-office',
  governorate: 3,
  nameAr: 'مكتب بريد بورفؤاد',
  nameEn: 'Post office Port Fouad',
  address: '1 Sea Street',
}

describe('places', () => {
  it('of the demo programme are a Diwan and a post office in each governorate, and more where it began', async () => {
    const all = await api.as('hotline-agent').get('/v1/places?limit=200')
    const ids = (all.json['items'] as { placeId: string }[]).map(({ placeId }) => placeId)
    expect(ids).toHaveLength(2 * 27 + 4)
    const pilot = await api.as('hotline-agent').get('/v1/places?governorate=3')
    expect((pilot.json['items'] as { placeId: string }[]).map(({ placeId }) => placeId)).toEqual([
      'diwan-03',
      'post-03-1',
      'post-03-2',
      'post-03-3',
      'supply-03-1',
      'uhi-03-1',
    ])
    const page = await api.as('hotline-agent').get('/v1/places?governorate=3&limit=4')
    const rest = await api.as('hotline-agent').get(`/v1/places?governorate=3&limit=4&cursor=${String(page.json['next'])}`)
    expect(rest.json).toMatchObject({ items: [{ placeId: 'supply-03-1' }, { placeId: 'uhi-03-1' }], next: null })
    for (const wrong of ['limit=0', 'limit=201', 'limit=x', 'governorate=28', 'cursor=%00', 'colour=red'])
      expect([wrong, (await api.as('hotline-agent').get(`/v1/places?${wrong}`)).status]).toEqual([wrong, 400])
    // Text with a zero byte is none that Postgres takes.
    expect((await api.as('hotline-agent').get('/v1/places?cursor=AAAA')).status).toBe(200)
  })

  it('are added once, and a governorate has one Diwan', async () => {
    const answers = await Promise.all(['a', 'b'].map((name) => api.as('administrator', { name }).post('/v1/places', place)))
    expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([201, 409])
    const second = await administrator().post('/v1/places', { ...place, placeId: 'diwan-3b', kind: 'diwan' })
    expect(problemOf(second)).toEqual({ status: 409, type: 'has-a-diwan', path: '/kind' })
    const changed = { nameAr: place.nameAr, nameEn: 'Port Fouad', address: '' }
    expect(problemOf(await administrator().send('PUT', '/v1/places/post-03-9', changed))).toMatchObject({ path: '/address' })
    const path = '/v1/places/post-03-9'
    expect((await administrator().send('PUT', path, { ...changed, address: '2 Sea Street' })).json).toMatchObject({
      nameEn: 'Port Fouad',
      kind: 'post-office',
      version: 2,
    })
    expect((await administrator().send('PUT', path, { ...changed, address: 'x' }, { 'if-match': '"1"' })).status).toBe(412)
    expect((await administrator().send('PUT', '/v1/places/post-99', { ...changed, address: 'x' })).status).toBe(404)
    expect((await api.as('post-clerk').post('/v1/places', place)).status).toBe(403)
  })

  it.each([
    [{ kind: 'café' }, '/kind'],
    [{ placeId: 'Post 1' }, '/placeId'],
    [{ nameEn: 'two\nlines' }, '/nameEn'],
    [{ nameAr: '' }, '/nameAr'],
    [{ governorate: 0 }, '/governorate'],
    [{ open: true }, '/open'],
  ])('are refused with %j', async (wrong, path) => {
    expect(problemOf(await administrator().post('/v1/places', { ...place, placeId: 'post-03-8', ...wrong }))).toMatchObject({
      status: 400,
      path,
    })
  })
})

describe('a service', () => {
  const service = (governorate: number, name: string) => `/v1/regions/${String(governorate)}/services/${name}`

  it('is announced for a region, from then on for every card there, and told as an event', async () => {
    const card = await api.running.openHousehold({ governorate: 27 })
    const pos = await api.running.connect('pos')
    expect((await pos.ask('0200', bread(card.head.pan, 5))).text(39)).toBe('57')
    const answer = await administrator().send('PUT', service(27, 'bread'), { activeFrom: '2026-11-24' })
    expect(answer.json).toEqual({ governorate: 27, service: 'bread', activeFrom: '2026-11-24' })
    await until(async () => (await pos.ask('0200', bread(card.head.pan, 5))).text(39) === '00')
    expect(await api.running.sql("SELECT data FROM programme_event WHERE kind = 'service.activated'")).toEqual([
      { data: { service: 'bread', governorate: 27, activeFrom: '2026-11-24' } },
    ])
    expect((await api.as('portal').get('/v1/regions?governorate=27')).json).toEqual({
      items: [{ governorate: 27, service: 'bread', activeFrom: '2026-11-24' }],
      next: null,
    })
  })

  it('may be put off as long as it has not begun, and is never taken back', async () => {
    const path = service(27, 'health')
    const set = async (activeFrom: string) => administrator().send('PUT', path, { activeFrom })
    expect((await set('2026-12-01')).status).toBe(200)
    expect((await set('2027-01-01')).json).toMatchObject({ activeFrom: '2027-01-01' })
    expect(problemOf(await set('2026-11-23'))).toEqual({ status: 422, type: 'day-has-passed', path: '/activeFrom' })
    expect((await set('2026-11-24')).status).toBe(200)
    expect(problemOf(await set('2027-01-01'))).toEqual({ status: 409, type: 'service-has-begun' })
    expect((await set('2026-11-24')).status).toBe(200)
    const events = await api.running.sql(
      "SELECT 1 FROM programme_event WHERE kind = 'service.activated' AND data->>'service' = 'health'",
    )
    expect(events).toHaveLength(3)
  })

  it.each([
    ['bread of the moon', service(28, 'bread'), { activeFrom: '2027-01-01' }, 404],
    ['fuel', service(3, 'fuel'), { activeFrom: '2027-01-01' }, 404],
    ['points, which come with bread', service(27, 'points'), { activeFrom: '2027-01-01' }, 404],
    ['cash', service(27, 'cash'), { activeFrom: '2027-01-01' }, 404],
    ['a day that there is not', service(27, 'ration'), { activeFrom: '2027-02-29' }, 400],
    ['no day', service(27, 'ration'), {}, 400],
    ['an unknown member', service(27, 'ration'), { activeFrom: '2027-01-01', until: '2028-01-01' }, 400],
  ])('is not announced for %s', async (_what, path, body, status) => {
    expect((await administrator().send('PUT', path, body)).status).toBe(status)
  })

  it('is announced by an administrator alone', async () => {
    expect((await api.as('supply-officer').send('PUT', service(27, 'ration'), { activeFrom: '2027-01-01' })).status).toBe(403)
  })
})

describe('a card on its way', () => {
  it('is told with place and period, and to the head those of the children', async () => {
    const { persons, householdId } = await registerFamily(api)
    const [head, wife, child] = persons
    await orderedCard(administrator(), head!.personId)
    const wifes = await orderedCard(administrator(), wife!.personId, 'supply-03-1')
    const childs = await orderedCard(administrator(), child!.personId)
    // What a receipt of the notice and the first clock do.
    await api.running.sql("UPDATE card SET state = 'AWAITING_COLLECTION' WHERE token = $1", [wifes])
    await api.running.sql("UPDATE card SET state = 'AWAITING_COLLECTION_DIWAN' WHERE token = $1", [childs])
    await api.running.sql(
      "UPDATE card_life SET named_place_until = '2026-12-20', diwan_until = '2027-01-20' WHERE token = ANY ($1)",
      [[wifes, childs]],
    )
    const asked = async (nationalId: string) => {
      const answer = await api.as('hotline-agent').post('/v1/collections/find', { nationalId })
      return answer.json['items'] as object[]
    }
    expect(await asked(wife!.nationalId)).toMatchObject([
      {
        cardId: wifes,
        state: 'AWAITING_COLLECTION',
        collectedBy: 'holder',
        periods: [
          { place: { placeId: 'supply-03-1', nameEn: 'Supply office, Port Said' }, until: '2026-12-20' },
          { place: { placeId: 'diwan-03', nameAr: 'ديوان عام محافظة بورسعيد' }, until: '2027-01-20' },
        ],
      },
    ])
    expect(await asked(head!.nationalId)).toMatchObject([
      { personId: head!.personId, state: 'ORDERED', periods: [{ until: null }, { until: null }] },
      { personId: child!.personId, collectedBy: 'head', periods: [{ place: { placeId: 'diwan-03' }, until: '2027-01-20' }] },
    ])
    const path = `/v1/households/${String(householdId)}/cards`
    expect((await api.as('hotline-agent').get(path)).json['items']).toHaveLength(3)
    expect((await api.as('hotline-agent').get(`/v1/persons/${String(wife!.personId)}/cards`)).json).toMatchObject({
      items: [{ cardId: wifes }],
    })
    expect((await api.as('hotline-agent').get('/v1/persons/77/cards')).status).toBe(404)
    expect((await api.as('hotline-agent').post('/v1/collections/find', { nationalId: '28001010300001' })).status).toBe(404)
    expect(problemOf(await api.as('hotline-agent').post('/v1/collections/find', { nationalId: 28001010300001 }))).toMatchObject({
      status: 400,
      path: '/nationalId',
    })
  })
})
