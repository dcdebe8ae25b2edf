import { request } from 'node:http'
import { beforeAll, describe, expect, it } from 'vitest'
import { developmentToken } from '../../../src/admin/access/tokens.ts'
import { startProgrammeApi, type ApiAnswer, type ProgrammeApi } from '../../support/programmeApi.ts'
import { nationalIdOf, orderedCard, problemOf, registerFamily } from './families.ts'

let api: ProgrammeApi

const ROWS_MAX = 3000

beforeAll(async () => {
  api = await startProgrammeApi({
    configure: (config) => ({ ...config, cardOrders: { ...config.cardOrders, rowsMax: ROWS_MAX, chunkRows: 100 } }),
  })
})

const administrator = () => api.as('administrator')
const csv = { 'content-type': 'text/csv' }
let keys = 0
const newKey = () => ({ 'idempotency-key': `file-${String(++keys)}` })

async function upload(body: string, headers: Record<string, string> = {}): Promise<ApiAnswer> {
  return administrator().post('/v1/card-orders', body, { ...csv, ...newKey(), ...headers })
}

async function refusedRows(answer: ApiAnswer): Promise<Record<string, unknown>[]> {
  const rows = await administrator().get(`/v1/card-orders/${String(answer.json['orderId'])}/rows?outcome=refused`)
  return rows.json['items'] as Record<string, unknown>[]
}

/** National IDs of persons without a card. */
async function persons(count: number): Promise<string[]> {
  const families = Math.ceil(count / 50)
  const made: string[] = []
  for (let family = 0; family < families; family++) {
    const birthDates = Array.from({ length: Math.min(50, count - made.length) }, () => '1980-05-17')
    made.push(...(await registerFamily(api, { birthDates, mobiles: false })).persons.map(({ nationalId }) => nationalId))
  }
  return made
}

describe('one card', () => {
  it('is ordered for a person, once: of two clerks one is told that there is one', async () => {
    const { persons: family } = await registerFamily(api)
    const path = `/v1/persons/${String(family[1]!.personId)}/cards`
    const answers = await Promise.all(
      ['a', 'b', 'c'].map((name) => api.as('administrator', { name }).post(path, { placeId: 'post-03-1' })),
    )
    expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([201, 409, 409])
    const ordered = answers.find(({ status }) => status === 201)!
    expect(ordered.json).toMatchObject({ state: 'ORDERED', role: 'member', placeId: 'post-03-1', reason: 'new', pinSet: false })
    expect(answers.filter(({ status }) => status === 409).map((answer) => problemOf(answer)['type'])).toEqual([
      'has-a-card',
      'has-a-card',
    ])
    expect(await api.running.sql('SELECT kind FROM programme_event WHERE card_token = $1', [ordered.json['cardId']])).toEqual([
      { kind: 'card.ordered' },
    ])
  })

  it('is ordered to a place that there is, for somebody who is there', async () => {
    const { persons: family } = await registerFamily(api)
    const path = `/v1/persons/${String(family[0]!.personId)}/cards`
    expect(problemOf(await administrator().post(path, { placeId: 'moon-1' }))).toEqual({
      status: 422,
      type: 'no-such-place',
      path: '/placeId',
    })
    expect((await administrator().post('/v1/persons/99/cards', { placeId: 'post-03-1' })).status).toBe(404)
    expect((await api.as('post-clerk').post(path, { placeId: 'post-03-1' })).status).toBe(403)
    await orderedCard(administrator(), family[0]!.personId)
  })
})

describe('a file of orders', () => {
  it('with a byte order mark, CRLF, Arabic digits, quotes, broken rows and empty ones is done row by row', async () => {
    const [a, b, c, d] = await persons(4)
    const arabic = b!.replace(/\d/g, (digit) => String.fromCharCode(0x0660 + Number(digit)))
    const answer = await upload(
      [
        '\ufeffNational_ID,place_id,mobile',
        `${a!},post-03-1,`,
        `"${arabic}", post-\u0660\u0663-\u0661 ,\u0660\u0661\u0660\u0661\u0662\u0663\u0664\u0665\u0666\u0667\u0668`,
        `"${c!},post-03-1,`,
        `${c!},post-03-1`,
        '',
        `${'9'.repeat(2000)},post-03-1,`,
        `${c!},moon-1,`,
        `${nationalIdOf('1970-01-01')},post-03-1,`,
        `${a!},post-03-1,`,
        `39905170300015,post-03-1,`,
        `${d!},post-03-1,12`,
        `${d!},supply-03-1,`,
        '',
        '',
      ].join('\r\n'),
    )
    expect(answer.status).toBe(201)
    expect(answer.json).toMatchObject({ rows: 12, accepted: 3, refused: 9, complete: true })
    expect((await refusedRows(answer)).map(({ row, reason, field }) => [row, reason, field])).toEqual([
      [3, 'broken-row', null],
      [4, 'broken-row', null],
      [5, 'empty-row', null],
      [6, 'row-too-long', null],
      [7, 'no-such-place', 'place_id'],
      [8, 'no-such-person', 'national_id'],
      [9, 'has-a-card', null],
      [10, 'not-a-national-id', 'national_id'],
      [11, 'not-a-mobile', 'mobile'],
    ])
    const found = await api.as('post-clerk').post('/v1/persons/find', { nationalId: b })
    const cards = await api.running.sql(
      'SELECT l.place_id, l.order_id FROM card c JOIN card_life l USING (shard, token) WHERE c.person_id = $1',
      [found.json['personId']],
    )
    expect(cards).toEqual([{ place_id: 'post-03-1', order_id: answer.json['orderId'] }])
  })

  it('registers a mobile where there is none, and never another one', async () => {
    const nationalIds = ['1980-01-01', '1981-01-01'].map(nationalIdOf)
    await api.as('supply-officer').post('/v1/households', {
      governorate: 3,
      members: [
        { nationalId: nationalIds[0], head: true },
        { nationalId: nationalIds[1], head: false, mobile: '01012345678' },
      ],
    })
    const answer = await upload(
      `national_id;place_id;mobile\n${nationalIds.map((id) => `${id};post-03-1;+201587654321`).join('\n')}`,
    )
    expect(answer.json).toMatchObject({ accepted: 1, refused: 1 })
    expect(await refusedRows(answer)).toMatchObject([{ row: 2, reason: 'another-mobile', field: 'mobile' }])
    const mobiles = await Promise.all(
      nationalIds.map(async (nationalId) => (await administrator().post('/v1/persons/find', { nationalId })).json['mobile']),
    )
    expect(mobiles).toEqual(['+20******4321', '+20******5678'])
  })

  it('may be NDJSON; what is not a row of strings is refused', async () => {
    const [a] = await persons(1)
    const rows = [
      JSON.stringify({ national_id: a, place_id: 'post-03-1' }),
      JSON.stringify({ national_id: Number(a), place_id: 'post-03-1' }),
      JSON.stringify({ national_id: a, place_id: 'post-03-1', role: 'head' }),
      '{"national_id":',
      'null',
      JSON.stringify({ national_id: a, place_id: 'post\u0000' }),
    ]
    const answer = await upload(rows.join('\n'), { 'content-type': 'application/x-ndjson' })
    expect(answer.json).toMatchObject({ rows: 6, accepted: 1, refused: 5, complete: true })
    expect((await refusedRows(answer)).map(({ reason }) => reason)).toEqual([
      ...Array.from({ length: 4 }, () => 'broken-row'),
      'no-such-place',
    ])
  })

  it.each([
    ['nothing in it', '', 422, 'empty-file'],
    ['a header alone', 'national_id,place_id\n\n', 422, 'empty-file'],
    ['a column that there is not', 'national_id,place_id,balance\n1,2,3', 422, 'unknown-header'],
    ['a column twice', 'national_id,national_id,place_id\n1,2,3', 422, 'unknown-header'],
    ['no place', 'national_id\n1', 422, 'unknown-header'],
    ['no header', '28005170300015,post-03-1', 422, 'unknown-header'],
    ['another coding', Buffer.from('national_id,place_id\n', 'utf16le').toString('latin1'), 422, 'unknown-header'],
  ])('with %s is refused as a whole', async (_what, body, status, type) => {
    expect(problemOf(await upload(body))).toMatchObject({ status, type })
  })

  it('of another kind, from somebody else, or without a key is refused', async () => {
    expect((await upload('{}', { 'content-type': 'application/json' })).status).toBe(415)
    expect((await upload('a', { 'idempotency-key': 'with blanks' })).json).toMatchObject({
      errors: [{ path: 'Idempotency-Key' }],
    })
    expect((await api.as('post-clerk').post('/v1/card-orders', 'national_id,place_id\n1,2', csv)).status).toBe(403)
    expect((await api.with(undefined).post('/v1/card-orders', 'national_id,place_id\n1,2', csv)).status).toBe(401)
    expect((await administrator().get('/v1/card-orders/pW3bq0kJx7T1u5mYc2Zr8A')).status).toBe(404)
  })

  it('goes on behind the last rows that are done where it broke off, under the same key alone, and with the same file alone', async () => {
    const nationalIds = await persons(1050)
    const rows = nationalIds.map((nationalId) => `${nationalId},post-03-1`)
    const file = `national_id,place_id\n${rows.join('\n')}\n`
    const key = newKey()
    const bytes = Buffer.from(file)
    await cutShort(bytes.subarray(0, 12_000), key)
    const done = async () =>
      (
        await api.running.sql<{ rows: number }>('SELECT max(row_count)::int AS rows FROM card_order WHERE completed_at IS NULL')
      )[0]!.rows
    await expect.poll(done, { timeout: 10_000 }).toBeGreaterThanOrEqual(100)
    const before = await api.running.sql<{ id: string }>('SELECT id FROM card_order WHERE completed_at IS NULL')
    const state = await administrator().get(`/v1/card-orders/${before[0]!.id}`)
    expect(state.json).toMatchObject({ complete: false, completedAt: null })
    const changed = file.replace(rows[3]!, rows[0]!)
    expect(problemOf(await upload(changed, key))).toEqual({ status: 409, type: 'idempotency-key-reused' })
    expect(problemOf(await upload(`national_id,place_id\n${rows[0]!}\n`, key))).toMatchObject({ type: 'idempotency-key-reused' })
    // What came before it broke off may still be under way.
    await expect.poll(async () => (await upload(file, key)).status, { timeout: 10_000 }).toBe(201)
    const finished = await upload(file, key)
    expect(finished.json).toMatchObject({ orderId: before[0]!.id, rows: 1050, accepted: 1050, refused: 0, complete: true })
    expect((await upload(file, key)).json).toEqual(finished.json)
    expect((await upload(file.replaceAll('\n', '\r\n'), key)).json).toEqual(finished.json)
    expect(problemOf(await upload(`${file}${rows[0]!}\n`, key))).toEqual({ status: 409, type: 'idempotency-key-reused' })
    const counts = await api.running.sql('SELECT count(*)::int AS cards FROM card_life WHERE order_id = $1', [before[0]!.id])
    expect(counts).toEqual([{ cards: 1050 }])
    const records = await api.running.sql<{ detail: string }>(
      "SELECT detail FROM audit_record WHERE subject = $1 AND outcome = 'done'",
      [`order ${before[0]!.id}`],
    )
    expect(records).toHaveLength(12)
  })

  it('that is sent twice at once under one key is done once', async () => {
    const nationalIds = await persons(250)
    const file = `national_id,place_id\n${nationalIds.map((id) => `${id},post-03-1`).join('\n')}`
    const key = newKey()
    const answers = await Promise.all([upload(file, key), upload(file, key), upload(file, key)])
    expect(answers.filter(({ status }) => status === 201).length).toBeGreaterThan(0)
    for (const answer of answers)
      if (answer.status === 201) expect(answer.json).toMatchObject({ rows: 250, accepted: 250, refused: 0 })
      else expect(problemOf(answer)).toEqual({ status: 409, type: 'order-under-way' })
  })

  it('has its outcomes page by page', async () => {
    const nationalIds = await persons(5)
    const answer = await upload(`national_id,place_id\n${nationalIds.map((id) => `${id},post-03-1`).join('\n')}`)
    const path = `/v1/card-orders/${String(answer.json['orderId'])}/rows?limit=2`
    const seen: unknown[] = []
    for (let next: string | null = ''; next !== null;) {
      const page = await administrator().get(next === '' ? path : `${path}&cursor=${next}`)
      seen.push(...(page.json['items'] as { row: number }[]).map(({ row }) => row))
      next = page.json['next'] as string | null
    }
    expect(seen).toEqual([1, 2, 3, 4, 5])
    expect((await administrator().get(`${path}&outcome=refused`)).json).toEqual({ items: [], next: null })
    expect((await administrator().get(`${path}&outcome=lost`)).status).toBe(400)
  })

  it('with more rows than a file may have is done that far, and says so', async () => {
    const key = newKey()
    const row = '28005170300015,moon-1\n'
    const answer = await upload(`national_id,place_id\n${row.repeat(ROWS_MAX + 1)}`, key)
    expect(problemOf(answer)).toMatchObject({ status: 422, type: 'too-many-rows' })
    const done = await api.running.sql('SELECT row_count, completed_at FROM card_order ORDER BY begun_at DESC LIMIT 1')
    expect(done).toEqual([{ row_count: ROWS_MAX, completed_at: null }])
  })
})

/** Sends the beginning of a file and goes away. */
async function cutShort(bytes: Uint8Array, headers: Record<string, string>): Promise<void> {
  const { access } = api.running.config
  if (access.kind !== 'development') throw new Error('tests make their tokens themselves')
  const token = await developmentToken({
    access,
    name: 'administrator',
    roles: ['administrator'],
    nowMs: api.running.clock.now(),
    seconds: 60,
  })
  const outgoing = request(`${api.url}/v1/card-orders`, {
    method: 'POST',
    headers: { ...csv, ...headers, authorization: `Bearer ${token}`, 'transfer-encoding': 'chunked' },
  })
  outgoing.on('error', () => undefined)
  outgoing.write(bytes)
  await expect
    .poll(async () => (await api.running.sql('SELECT 1 FROM card_order WHERE completed_at IS NULL')).length, { timeout: 10_000 })
    .toBe(1)
  outgoing.destroy()
}
