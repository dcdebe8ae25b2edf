import { beforeAll, describe, expect, it } from 'vitest'
import { startProgrammeApi, type ApiCaller, type ProgrammeApi } from '../../support/programmeApi.ts'
import type { TestLink } from '../../support/switch.ts'

let api: ProgrammeApi
let pos: TestLink
let operator: ApiCaller
let number = 0

beforeAll(async () => {
  api = await startProgrammeApi()
  pos = await api.running.connect('pos')
  operator = api.as('operator')
})

/** Ids that no test has had. */
function fresh(): { acceptorId: string; terminalId: string } {
  number++
  return { acceptorId: `NEWSHOP${String(number)}`, terminalId: `NEW${String(number)}` }
}

async function openShop(more: object = {}): Promise<{ acceptorId: string; terminalId: string }> {
  const { acceptorId, terminalId } = fresh()
  const merchant = { acceptorId, name: 'Grocer of the corner', category: '5399', governorate: 3 }
  expect((await operator.post('/v1/merchants', merchant)).status).toBe(201)
  expect((await operator.post('/v1/terminals', { terminalId, acceptorId, class: 'pos', ...more })).status).toBe(201)
  return { acceptorId, terminalId }
}

async function buy({ acceptorId, terminalId }: { acceptorId: string; terminalId: string }): Promise<string | undefined> {
  const { pan } = await api.running.openCard()
  return (await pos.ask('0200', { 2: pan, 41: terminalId.padEnd(8), 42: acceptorId.padEnd(15) })).text(39)
}

const patch = (path: string, body: object, headers?: Record<string, string>) => operator.send('PATCH', path, body, headers)
const events = (kind: string, name: string, id: string) =>
  api.running.sql<{ data: object }>(`SELECT data FROM programme_event WHERE kind = $1 AND data ->> $2 = $3 ORDER BY number`, [
    kind,
    name,
    id,
  ])

describe('a merchant and its terminal', () => {
  it('are registered, sell at once, and stop when they are suspended', async () => {
    const shop = await openShop()
    expect(await buy(shop)).toBe('00')
    const terminal = `/v1/terminals/${shop.terminalId}`
    expect((await patch(terminal, { state: 'SUSPENDED' })).json).toMatchObject({ state: 'SUSPENDED', version: 2 })
    expect(await buy(shop)).toBe('58')
    await patch(terminal, { state: 'ACTIVE' })
    await patch(`/v1/merchants/${shop.acceptorId}`, { state: 'SUSPENDED' })
    expect(await buy(shop)).toBe('03')
    await patch(`/v1/merchants/${shop.acceptorId}`, { state: 'ACTIVE' })
    expect(await buy(shop)).toBe('00')
  })

  it('leave an audit record and an event with each change', async () => {
    const { acceptorId, terminalId } = await openShop()
    await patch(`/v1/merchants/${acceptorId}`, { name: 'Another name' })
    await patch(`/v1/terminals/${terminalId}`, { wallet: true })
    expect(await events('merchant.changed', 'acceptorId', acceptorId)).toMatchObject([
      { data: { version: 1 } },
      { data: { version: 2, changed: ['name'] } },
    ])
    expect((await events('terminal.changed', 'terminalId', terminalId)).at(-1)).toMatchObject({
      data: { acceptorId, version: 2, changed: ['wallet'] },
    })
    const records = await api.running.sql(
      'SELECT actor, action, outcome FROM audit_record WHERE subject = ANY ($1) ORDER BY number',
      [[`merchant ${acceptorId}`, `terminal ${terminalId}`]],
    )
    expect(records).toEqual(
      ['merchant.register', 'terminal.register', 'merchant.change', 'terminal.change'].map((action) => ({
        actor: 'operator',
        action,
        outcome: 'done',
      })),
    )
  })

  it('are read with their version, and of two who change the same one the second is refused', async () => {
    const { acceptorId, terminalId } = await openShop()
    for (const [path, body] of [
      [`/v1/merchants/${acceptorId}`, { category: '5411' }],
      [`/v1/terminals/${terminalId}`, { offline: true }],
    ] as const) {
      const read = await operator.get(path)
      expect([read.status, read.headers.get('etag')]).toEqual([200, '"1"'])
      const answers = await Promise.all([patch(path, body, { 'if-match': '"1"' }), patch(path, body, { 'if-match': '"1"' })])
      expect(answers.map(({ status }) => status).sort()).toEqual([200, 412])
    }
  })

  it('are out of use for good when they are closed and retired', async () => {
    const { acceptorId, terminalId } = await openShop()
    await patch(`/v1/terminals/${terminalId}`, { state: 'RETIRED' })
    await patch(`/v1/merchants/${acceptorId}`, { state: 'CLOSED' })
    expect((await patch(`/v1/terminals/${terminalId}`, { state: 'ACTIVE' })).json).toMatchObject({
      status: 409,
      type: 'urn:sarf:problem:terminal-retired',
    })
    expect((await patch(`/v1/merchants/${acceptorId}`, { state: 'ACTIVE' })).json).toMatchObject({ status: 409 })
    const another = { terminalId: fresh().terminalId, acceptorId, class: 'pos' }
    expect((await operator.post('/v1/terminals', another)).json).toMatchObject({ type: 'urn:sarf:problem:merchant-closed' })
  })

  it('a terminal bound to another link is refused on this one', async () => {
    const shop = await openShop({ link: 'secure' })
    expect(await buy(shop)).toBe('03')
    await patch(`/v1/terminals/${shop.terminalId}`, { link: null })
    expect(await buy(shop)).toBe('00')
  })
})

describe('what is refused', () => {
  it.each<[string, string, object, number, string]>([
    [
      'an id that is there already',
      '/v1/merchants',
      { acceptorId: '000000000000001', name: 'x', category: '5399' },
      409,
      '/acceptorId',
    ],
    ['an id of 16 characters', '/v1/merchants', { acceptorId: 'A'.repeat(16), name: 'x', category: '5399' }, 400, '/acceptorId'],
    ['a category of letters', '/v1/merchants', { acceptorId: 'A1', name: 'x', category: 'FOOD' }, 400, '/category'],
    ['a name with a zero byte', '/v1/merchants', { acceptorId: 'A1', name: 'x\0', category: '5399' }, 400, '/name'],
    ['an unknown member', '/v1/merchants', { acceptorId: 'A1', name: 'x', category: '5399', owner: 'y' }, 400, '/owner'],
    ['a terminal of nobody', '/v1/terminals', { terminalId: 'T1', acceptorId: 'NOBODY', class: 'pos' }, 422, '/acceptorId'],
    [
      'a class that no rule names',
      '/v1/terminals',
      { terminalId: 'T1', acceptorId: '000000000000001', class: 'casino' },
      422,
      '/class',
    ],
    [
      'a terminal that is there',
      '/v1/terminals',
      { terminalId: 'POS00001', acceptorId: '000000000000001', class: 'pos' },
      409,
      '/terminalId',
    ],
    [
      'a link that is not configured',
      '/v1/terminals',
      { terminalId: 'T1', acceptorId: '000000000000001', class: 'pos', link: 'moon' },
      422,
      '/link',
    ],
  ])('%s', async (_, path, body, status, field) => {
    expect((await operator.post(path, body)).json).toMatchObject({ status, errors: [{ path: field }] })
  })

  it('a change of nothing, of a class, of somebody who is not there', async () => {
    expect((await patch('/v1/terminals/POS00001', {})).json).toMatchObject({
      status: 400,
      errors: [{ expected: 'at least one member' }],
    })
    expect((await patch('/v1/terminals/POS00001', { class: 'atm' })).status).toBe(400)
    expect((await patch('/v1/terminals/NOBODY', { wallet: true })).status).toBe(404)
    expect((await patch('/v1/merchants/NOBODY', { name: 'x' })).status).toBe(404)
  })
})

describe('lists', () => {
  it('come in pages, each terminal once', async () => {
    const seen: unknown[] = []
    let next: unknown = ''
    while (typeof next === 'string') {
      const { json } = await operator.get(`/v1/terminals?class=bakery&limit=40${next === '' ? '' : `&cursor=${next}`}`)
      seen.push(...(json['items'] as { terminalId: string }[]).map(({ terminalId }) => terminalId))
      next = json['next']
    }
    expect(seen).toHaveLength(100)
    expect(new Set(seen).size).toBe(100)
  })

  it('are narrowed by merchant, state and governorate', async () => {
    const { acceptorId, terminalId } = await openShop()
    expect((await operator.get(`/v1/terminals?acceptorId=${acceptorId}`)).json).toMatchObject({
      items: [{ terminalId }],
      next: null,
    })
    expect((await operator.get(`/v1/terminals?acceptorId=${acceptorId}&state=RETIRED`)).json).toEqual({ items: [], next: null })
    await patch(`/v1/merchants/${acceptorId}`, { state: 'SUSPENDED', governorate: 77 })
    expect((await operator.get('/v1/merchants?governorate=77&state=SUSPENDED')).json).toMatchObject({ items: [{ acceptorId }] })
    expect((await operator.get('/v1/merchants?state=ASLEEP')).json).toMatchObject({ status: 400, errors: [{ path: 'state' }] })
  })
})
