import { createServer, type Server } from 'node:http'
import { once } from 'node:events'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { silentLogger } from '../../../src/log.ts'
import { startSwitch } from '../../../src/main.ts'
import type { ToldEvent } from '../../../src/programme/toldEvents.ts'
import { isSignedBy } from '../../../src/programme/webhookSignature.ts'
import { startProgrammeApi, type ApiCaller, type ProgrammeApi } from '../../support/programmeApi.ts'
import { until, type TestCard } from '../../support/switch.ts'

interface Received {
  readonly signature: string
  readonly body: string
  readonly events: readonly ToldEvent[]
}

let api: ProgrammeApi
let operator: ApiCaller
let server: Server
let url: string
/** What the receiver answers to the next requests; afterwards 204. */
let answers: (number | 'redirect' | 'nothing')[] = []
let received: Received[] = []
let underWay = 0
let underWayMost = 0
const made: string[] = []

beforeAll(async () => {
  server = createServer((request, response) => {
    underWayMost = Math.max(underWayMost, ++underWay)
    let body = ''
    request.setEncoding('utf8').on('data', (text: string) => (body += text))
    request.once('end', () => {
      const { events } = JSON.parse(body) as { events: ToldEvent[] }
      received.push({ signature: String(request.headers['sarf-signature']), body, events })
      const answer = answers.shift() ?? 204
      // Long enough that a second one would be seen beside it.
      setImmediate(() => {
        underWay--
        if (answer === 'nothing') return
        if (answer === 'redirect') response.writeHead(307, { location: `${url}/elsewhere` }).end()
        else response.writeHead(answer).end('thank you')
      })
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  url = `http://127.0.0.1:${String(typeof address === 'object' ? address?.port : 0)}/sarf`
  api = await startProgrammeApi({
    configure: (config) => ({
      ...config,
      events: {
        ...config.events,
        pollMs: 20,
        webhooks: {
          ...config.events.webhooks,
          batchMax: 5,
          attemptsMax: 3,
          retryMs: 10,
          retryMaxMs: 20,
          deadlineMs: 300,
          leaseMs: 2000,
          max: 3,
        },
      },
    }),
  })
  operator = api.as('operator')
})

beforeEach(() => {
  answers = []
  received = []
  underWayMost = 0
})
afterEach(async () => {
  for (const id of made.splice(0)) await operator.send('DELETE', `/v1/webhooks/${id}`)
})
afterAll(() => {
  server.closeAllConnections()
  server.close()
})

async function make(kinds: string[], more: Record<string, unknown> = {}): Promise<{ id: string; secret: string; path: string }> {
  const { status, json } = await operator.post('/v1/webhooks', { url, kinds, ...more })
  expect([status, json['detail']]).toEqual([201, undefined])
  const id = String(json['webhookId'])
  made.push(id)
  return { id, secret: String(json['secret']), path: `/v1/webhooks/${id}` }
}

/** Reports of cards of their own, one after the other. @returns the cards, in order */
async function reports(count: number): Promise<TestCard[]> {
  const cards: TestCard[] = []
  for (let i = 0; i < count; i++) {
    const card = await api.running.openCard()
    expect((await api.as('hotline-agent').post(`/v1/cards/${card.token}/reports`, { what: 'lost' })).status).toBe(200)
    cards.push(card)
  }
  return cards
}

const cardsOf = (requests: readonly Received[]): (string | null)[] =>
  requests.flatMap(({ events }) => events.map(({ cardId }) => cardId))
const tokens = (cards: readonly TestCard[]): string[] => cards.map(({ token }) => token)

describe('a webhook', () => {
  it('is sent what happens, signed, in order, and only the kinds that it asked for', async () => {
    const { secret } = await make(['card'])
    const cards = await reports(3)
    await until(() => cardsOf(received).length >= 3)
    expect(cardsOf(received)).toEqual(tokens(cards))
    for (const { signature, body } of received) {
      expect(isSignedBy(secret, signature, body, api.running.clock.now(), 300)).toBe(true)
      expect(isSignedBy(secret, signature, body.replace('LOST', 'ACTIVE'), api.running.clock.now(), 300)).toBe(false)
      expect(isSignedBy('another secret', signature, body, api.running.clock.now(), 300)).toBe(false)
      expect(isSignedBy(secret, signature, body, api.running.clock.now() + 600_000, 300)).toBe(false)
    }
    expect(received.flatMap(({ events }) => events.map(({ kind }) => kind))).toEqual(Array(3).fill('card.reported_lost'))
  })

  it('that answers with anything but 2xx, or not in time, gets the same again, and nothing after it before', async () => {
    answers = [500, 'redirect', 'nothing'].slice(0, 2) as typeof answers
    const { path } = await make(['card'])
    const [first] = await reports(1)
    await until(() => received.length >= 3)
    answers = ['nothing']
    const [second] = await reports(1)
    await until(() => received.length >= 5)
    expect(cardsOf(received)).toEqual([first, first, first, second, second].map((card) => card?.token))
    await until(async () => (await operator.get(path)).json['attempts'] === 0)
    expect((await operator.get(`${path}/deliveries`)).json).toEqual({ items: [], next: null })
  })

  it('that never takes something: it is given up and listed, what comes after it is sent, and a replay brings it', async () => {
    const { path } = await make(['card'])
    answers = [500, 404, 500]
    const [given] = await reports(1)
    await until(async () => (await operator.get(path)).json['deadLetters'] === 1)
    const [after] = await reports(1)
    await until(() => received.length >= 4)
    expect(cardsOf(received)).toEqual([given, given, given, after].map((card) => card?.token))
    const { json } = await operator.get(`${path}/deliveries`)
    expect(json).toMatchObject({ items: [{ kind: 'card.reported_lost', attempts: 3, failure: 'status 500' }], next: null })
    const [letter] = json['items'] as { eventId: number }[]
    await until(async () => Number((await operator.get(path)).json['toldUntil']) > Number(letter?.eventId))
    received = []
    const replayed = await operator.post(`${path}/replay`, { after: Number(letter?.eventId) - 1 })
    expect([replayed.status, replayed.json['deadLetters']]).toEqual([202, 0])
    await until(() => cardsOf(received).length >= 2)
    expect(cardsOf(received)).toEqual([given, after].map((card) => card?.token))
    expect((await operator.post(`${path}/replay`, { after: 999_999_999 })).json).toMatchObject({
      status: 422,
      errors: [{ path: '/after' }],
    })
  })

  it('rests while it is paused, and goes on from where it was', async () => {
    const { path } = await make(['card'])
    expect((await operator.send('PATCH', path, { state: 'paused' })).json).toMatchObject({ state: 'paused', version: 2 })
    const cards = await reports(7)
    expect((await operator.send('PATCH', path, { state: 'active' }, { 'if-match': '"1"' })).status).toBe(412)
    expect(received).toEqual([])
    await operator.send('PATCH', path, { state: 'active' }, { 'if-match': '"2"' })
    await until(() => cardsOf(received).length >= 7)
    expect(cardsOf(received)).toEqual(tokens(cards))
    expect(received.every(({ events }) => events.length <= 5)).toBe(true)
  })

  it('gets one request at a time, in order, from whichever of several processes, and from the other one when one has gone', async () => {
    await make(['card'])
    const http = { ...api.running.config.http, port: 0 }
    const second = await startSwitch(
      { ...api.running.config, http },
      { log: silentLogger, clock: api.running.clock, schemas: 'at first use' },
    )
    try {
      const before = await reports(12)
      await api.running.restart()
      const after = await reports(12)
      await until(() => cardsOf(received).length >= 24)
      expect(cardsOf(received)).toEqual(tokens([...before, ...after]))
      expect(underWayMost).toBe(1)
    } finally {
      await second.drain()
    }
  })
})

describe('the secret', () => {
  it('is shown once, also not to a repeat of the request, and kept enciphered', async () => {
    const key = { 'idempotency-key': 'webhook-1' }
    const body = { url, kinds: ['card'] }
    const [first, repeat] = [await operator.post('/v1/webhooks', body, key), await operator.post('/v1/webhooks', body, key)]
    const id = String(first.json['webhookId'])
    made.push(id)
    const secret = String(first.json['secret'])
    expect(secret).toMatch(/^whsec_[\w-]{43}$/)
    expect(repeat.json).toEqual(Object.fromEntries(Object.entries(first.json).filter(([name]) => name !== 'secret')))
    expect((await operator.get(`/v1/webhooks/${id}`)).text).not.toContain(secret)
    const [row] = await api.running.sql<{ text: string }>(
      `SELECT concat((SELECT string_agg(w::text, ' ') FROM webhook w), (SELECT string_agg(encode(secret, 'escape'), ' ') FROM webhook),
        (SELECT string_agg(r::text, ' ') FROM api_request r), (SELECT string_agg(a::text, ' ') FROM audit_record a)) AS text`,
    )
    expect(row?.text).toContain(id)
    expect(row?.text).not.toContain(secret)
  })

  it("may be the receiver's own", async () => {
    const secret = 'a-secret-of-the-receivers-own-making'
    const { json } = await operator.post('/v1/webhooks', { url, kinds: ['card'], secret })
    made.push(String(json['webhookId']))
    expect(json['secret']).toBeUndefined()
    await reports(1)
    await until(() => received.length === 1)
    expect(isSignedBy(secret, received[0]!.signature, received[0]!.body, api.running.clock.now(), 300)).toBe(true)
  })
})

describe('refused', () => {
  it.each([
    [{ url: 'ftp://example.eg', kinds: ['card'] }, 422, '/url'],
    [{ url: 'http://user:password@example.eg', kinds: ['card'] }, 422, '/url'],
    [{ url: 'https://example.eg/9818010000000010', kinds: ['card'] }, 422, '/url'],
    [{ url: 'https://example.eg#here', kinds: ['card'] }, 422, '/url'],
    [{ url: 'https://example.eg', kinds: [] }, 400, '/kinds'],
    [{ url: 'https://example.eg', kinds: ['Card'] }, 400, '/kinds/0'],
    [{ url: 'https://example.eg', kinds: ['card'], secret: 'short' }, 400, '/secret'],
    [{ url: 'https://example.eg', kinds: ['card'], retries: 3 }, 400, ''],
  ])('%j', async (body, status, path) => {
    const answer = await operator.post('/v1/webhooks', body)
    expect([answer.status, (answer.json['errors'] as { path: string }[])[0]?.path]).toEqual([
      status,
      expect.stringContaining(path),
    ])
  })

  it('more webhooks than there may be, those that there are not, and who may not', async () => {
    for (let i = 0; i < 3; i++) await make(['card'])
    expect((await operator.post('/v1/webhooks', { url, kinds: ['card'] })).json).toMatchObject({ status: 409 })
    const gone = '/v1/webhooks/019aab2c-5e00-7a4b-9c1d-2f3e4a5b6c7d'
    expect((await operator.get(gone)).status).toBe(404)
    expect((await operator.get(`${gone}/deliveries`)).status).toBe(404)
    expect((await operator.send('DELETE', gone)).status).toBe(404)
    expect((await operator.post(`${gone}/replay`, { after: 0 })).status).toBe(404)
    expect((await api.as('auditor').get('/v1/webhooks')).status).toBe(200)
    expect((await api.as('auditor').post('/v1/webhooks', { url, kinds: ['card'] })).status).toBe(403)
    expect((await api.with(undefined).get('/v1/webhooks')).status).toBe(401)
    const first = await operator.get('/v1/webhooks?limit=2')
    const second = await operator.get(`/v1/webhooks?limit=2&cursor=${String(first.json['next'])}`)
    const ids = [first, second].flatMap(({ json }) =>
      (json['items'] as { webhookId: string }[]).map(({ webhookId }) => webhookId),
    )
    expect([ids.toSorted(), second.json['next']]).toEqual([made.toSorted(), null])
  })
})
