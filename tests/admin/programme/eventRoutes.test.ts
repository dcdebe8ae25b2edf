import { get } from 'node:http'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { openStream, type StreamClient } from '../../support/eventStream.ts'
import { startProgrammeApi, type ProgrammeApi } from '../../support/programmeApi.ts'
import { developmentToken } from '../../../src/admin/access/tokens.ts'
import type { Role } from '../../../src/admin/access/roles.ts'
import { demoPin, demoPinBlock } from '../../../src/programme/demoVerification.ts'
import { hex } from '../../support/cardholder.ts'
import { amount, at, until, type TestCard, type TestLink } from '../../support/switch.ts'

let api: ProgrammeApi
let pos: TestLink
const open: StreamClient[] = []

beforeAll(async () => {
  api = await startProgrammeApi({
    configure: (config) => ({
      ...config,
      events: {
        ...config.events,
        pollMs: 20,
        pageMax: 7,
        recentMax: 50,
        streams: { max: 8, perCallerMax: 3, heartbeatMs: 50, reconnectMs: 100, stalledMs: 1000 },
      },
    }),
  })
  pos = await api.running.connect('pos')
})

afterEach(async () => {
  for (const stream of open.splice(0)) stream.close()
  await until(async () => (await openStreams()) === 0)
})

async function token(role: Role = 'auditor', name: string = role): Promise<Record<string, string>> {
  const { access } = api.running.config
  if (access.kind !== 'development') throw new Error('tests make their tokens themselves')
  const nowMs = api.running.clock.now()
  return { authorization: `Bearer ${await developmentToken({ access, name, roles: [role], nowMs, seconds: 300 })}` }
}

async function listen(query = '', headers: Record<string, string> = {}): Promise<StreamClient> {
  const stream = await openStream(`${api.url}/v1/events${query}`, { ...(await token()), ...headers })
  open.push(stream)
  return stream
}

async function openStreams(): Promise<number> {
  return Number(/^sarf_event_streams (\d+)$/m.exec((await api.with(undefined).get('/metrics')).text)?.[1])
}

const purchase = (card: TestCard, piasters = 100): Promise<unknown> => pos.ask('0200', { 2: card.pan, 4: amount(piasters) })
const report = (card: TestCard, what: string): Promise<unknown> =>
  api.as('hotline-agent').post(`/v1/cards/${card.token}/reports`, { what })
const kindsOf = (stream: StreamClient): string[] => stream.events.map(({ kind }) => kind)

describe('the stream of events', () => {
  it('tells decisions and changes of a card in their order, and no card number', async () => {
    const card = await api.running.openCard({ balance: 1000 })
    const stream = await listen(`?cardId=${card.token}`)
    expect(stream.headers['content-type']).toBe('text/event-stream')
    await purchase(card)
    await purchase(card, 900_000)
    await report(card, 'pin-lost')
    await report(card, 'stolen')
    await purchase(card)
    await until(() => stream.events.length >= 5)
    expect(kindsOf(stream)).toEqual([
      'authorization.approved',
      'authorization.declined',
      'card.pin_reported_lost',
      'card.reported_stolen',
      'authorization.declined',
    ])
    expect(stream.events[0]).toMatchObject({
      cardId: card.token,
      data: { transaction: 'purchase', amount: '1.00', code: '00', purse: 'cash', terminalId: 'POS00001' },
    })
    expect(stream.events[1]).toMatchObject({ data: { amount: '9000.00', code: '51' } })
    expect(stream.events[3]).toMatchObject({ cardId: card.token, data: { from: 'PIN_LOST', to: 'STOLEN', what: 'stolen' } })
    expect(stream.events[4]).toMatchObject({ data: { code: '43' } })
    expect(stream.text()).not.toContain(card.pan)
  })

  it('tells that a wrong PIN too many blocked the card, after the decision that did it', async () => {
    const card = await api.running.openCard()
    const stream = await listen(`?cardId=${card.token}`)
    const atm = await api.running.connect('atm')
    const wrong = hex(demoPinBlock(card.pan, demoPin(card.pan) === '0000' ? '1111' : '0000'))
    for (let tries = 0; tries < 3; tries++)
      await atm.ask('0200', { 2: card.pan, 3: '010000', 4: amount(5000), 52: wrong, ...at('atm') })
    await until(() => stream.events.length === 4)
    expect(kindsOf(stream)).toEqual([...Array<string>(3).fill('authorization.declined'), 'card.pin_tries_exceeded'])
    expect(stream.events[3]).toMatchObject({ cardId: card.token, data: { from: 'ACTIVE', to: 'PIN_BLOCKED' } })
  })

  it('tells that the old card stopped, after the dispensing that stopped it', async () => {
    const household = await api.running.openHousehold({ oldCard: true, points: 1000 })
    const stream = await listen('?kinds=card.retired,authorization.approved')
    const answer = await pos.ask('0200', { 2: household.head.pan, 3: '009500', 4: amount(100), ...at('grocer') })
    expect(answer.text(39)).toBe('00')
    await until(() => stream.events.length === 2)
    expect(kindsOf(stream)).toEqual(['authorization.approved', 'card.retired'])
    expect(stream.events[1]).toMatchObject({ cardId: household.old?.token, data: { from: 'ACTIVE', to: 'RETIRED' } })
  })

  it('goes on after the event that was seen last, by header or parameter, and begins with now where none is named', async () => {
    const card = await api.running.openCard({ balance: 100_000 })
    const first = await listen(`?cardId=${card.token}`)
    for (let i = 0; i < 20; i++) await purchase(card)
    await until(() => first.events.length === 20)
    const seen = String(first.events[4]?.id)
    const byHeader = await listen(`?cardId=${card.token}`, { 'last-event-id': seen })
    const byParameter = await listen(`?cardId=${card.token}&after=${seen}`)
    await until(() => byHeader.events.length === 15 && byParameter.events.length === 15)
    expect(byHeader.events).toEqual(first.events.slice(5))
    expect(byParameter.events).toEqual(first.events.slice(5))
    first.close()
    await until(async () => (await openStreams()) === 2)
    const now = await listen(`?cardId=${card.token}`)
    await report(card, 'lost')
    await until(() => now.events.length === 1 && byHeader.events.length === 16)
    expect(kindsOf(now)).toEqual(['card.reported_lost'])
  })

  it('from the first event on: all of them once, in ascending order, also who falls behind what is kept', async () => {
    const cards = await Promise.all(Array.from({ length: 4 }, () => api.running.openCard({ balance: 100_000 })))
    await Promise.all(cards.flatMap((card) => Array.from({ length: 30 }, () => purchase(card))))
    const stream = await listen('?after=0')
    await Promise.all(cards.flatMap((card) => Array.from({ length: 20 }, () => purchase(card))))
    const [{ count } = { count: 0 }] = await api.running.sql<{ count: number }>(
      `SELECT (SELECT count(*) FROM "authorization" WHERE event_number IS NOT NULL)::int + (SELECT count(*) FROM programme_event)::int AS count`,
    )
    await until(() => stream.events.length === count)
    const ids = stream.events.map(({ id }) => id)
    expect(ids).toEqual([...new Set(ids)].toSorted((one, other) => one - other))
  })

  it('tells the kinds that were asked for, and no others', async () => {
    const card = await api.running.openCard()
    const cards = await listen(`?kinds=card`)
    const declines = await listen(`?kinds=authorization.declined,card.reported_damaged&cardId=${card.token}`)
    await purchase(card)
    await report(card, 'damaged')
    await purchase(card)
    await until(() => declines.events.length === 2 && cards.events.length === 1)
    expect(kindsOf(declines)).toEqual(['card.reported_damaged', 'authorization.declined'])
    expect(kindsOf(cards)).toEqual(['card.reported_damaged'])
  })

  it('tells nothing of what is only in the ledger: openings of purses and tombstones', async () => {
    expect(await api.running.sql('SELECT kind FROM "authorization" WHERE event_number IS NOT NULL AND kind IN (0, 16)')).toEqual(
      [],
    )
  })
})

describe('who may listen, and how long', () => {
  it('needs a token and a role', async () => {
    expect((await api.with(undefined).get('/v1/events')).status).toBe(401)
    expect((await api.as('post-clerk').get('/v1/events')).status).toBe(403)
  })

  it.each([
    ['?after=-1', 'after'],
    ['?after=1e3', 'after'],
    ['?kinds=card,', 'kinds'],
    ['?kinds=Card', 'kinds'],
    ['?cardId=9818010000000010', 'cardId'],
    ['?after=999999999999999', 'after'],
    ['?since=1', ''],
  ])('refuses %s and says where', async (query, path) => {
    const { status, json } = await api.as('auditor').get(`/v1/events${query}`)
    expect(status).toBe(400)
    expect((json['errors'] as { path: string }[])[0]?.path).toContain(path)
  })

  it('has so many streams a caller, and a place again when one has gone', async () => {
    const streams = [await listen(), await listen(), await listen()]
    const refused = await api.as('auditor').get('/v1/events')
    expect(refused.status).toBe(429)
    expect(refused.headers.get('retry-after')).toBe('5')
    const other = await openStream(`${api.url}/v1/events`, await token('operator'))
    open.push(other)
    expect(other.status).toBe(200)
    streams[0]?.close()
    await until(async () => (await openStreams()) === 3)
    expect((await listen()).status).toBe(200)
  })

  it('ends with the token, and gives signs of life until then', async () => {
    const stream = await listen('?kinds=nothing')
    await until(() => stream.text().includes(': nothing new'))
    const { clock } = api.running
    clock.moveTo(clock.now() + 310_000)
    await stream.ended
    expect(stream.text()).toContain('retry: 100\n\n')
    expect(await openStreams()).toBe(0)
    clock.moveTo(Date.now())
  })

  it('disconnects who takes nothing', async () => {
    await api.running.sql(
      `INSERT INTO programme_event (number, at, kind, shard, data)
       SELECT nextval('event_number'), now(), 'test.large', 0, jsonb_build_object('text', repeat('x', 20000)) FROM generate_series(1, 1500)`,
    )
    const lost = Promise.withResolvers<undefined>()
    // Nothing reads what comes.
    const request = get(`${api.url}/v1/events?after=0&kinds=test`, { headers: await token() }, (response) => {
      response.pause()
      response.once('close', () => lost.resolve(undefined))
    })
    request.on('error', () => lost.resolve(undefined))
    await until(async () => (await openStreams()) === 1)
    await until(async () => (await openStreams()) === 0)
    request.destroy()
    await lost.promise
  })

  it('ends when the switch is drained, and can be taken up after it', async () => {
    const card = await api.running.openCard()
    const stream = await listen(`?cardId=${card.token}`)
    await purchase(card)
    await until(() => stream.events.length === 1)
    await api.running.restart()
    await stream.ended
    const again = await listen(`?cardId=${card.token}`, { 'last-event-id': String(stream.events[0]?.id) })
    await report(card, 'lost')
    await until(() => again.events.length === 1)
    expect(kindsOf(again)).toEqual(['card.reported_lost'])
  })
})
