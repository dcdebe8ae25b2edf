import { beforeAll, expect, it, vi } from 'vitest'
import { startProgrammeApi, type ApiAnswer, type ApiCaller, type ProgrammeApi } from '../../support/programmeApi.ts'
import type { TestLink } from '../../support/switch.ts'

type Rules = Record<string, unknown> & { validFrom: string; dailyLimits: { spending: { amount: number; count: number } } }
interface Shown {
  number: number | null
  validFrom: string
  state: string
  storedBy: string | null
  rules: Rules
}

let api: ProgrammeApi
let pos: TestLink
let administrator: ApiCaller
let rules: Rules

beforeAll(async () => {
  api = await startProgrammeApi({
    at: '2026-11-22T08:00:00Z',
    configure: (config) => ({ ...config, registry: { ...config.registry, freshMs: 500 } }),
  })
  pos = await api.running.connect('pos')
  administrator = api.as('administrator')
  rules = (await shown())[0]!.rules
})

async function shown(): Promise<Shown[]> {
  return (await api.as('auditor').get('/v1/programme')).json['items'] as Shown[]
}

const store = (more: object, headers?: Record<string, string>): Promise<ApiAnswer> =>
  administrator.post('/v1/programme/versions', { ...rules, ...more }, headers)
const spending = (amount: number) => ({
  dailyLimits: { ...rules.dailyLimits, spending: { ...rules.dailyLimits.spending, amount } },
})

it('a version that is stored holds from its day on, without a restart and after one', async () => {
  const { pan } = await api.running.openCard({ balance: 1_000_000 })
  const buy = async (): Promise<string | undefined> => (await pos.ask('0200', { 2: pan, 4: '000000002000' })).text(39)
  const stored = await store({ ...spending(1000), validFrom: '2026-11-24' })
  expect(stored.status).toBe(201)
  expect(stored.json).toMatchObject({ validFrom: '2026-11-24', state: 'coming', storedBy: 'administrator' })
  expect(await buy()).toBe('00')
  api.running.clock.moveTo('2026-11-23T22:30:00Z')
  await vi.waitFor(async () => expect(await buy()).toBe('61'), 5000)
  expect((await shown()).map(({ validFrom, state }) => [validFrom, state])).toEqual([
    ['2026-01-01', 'past'],
    ['2026-11-24', 'in-force'],
  ])
  await api.running.restart()
  pos = await api.running.connect('pos')
  expect(await buy()).toBe('61')
})

it('leaves an audit record and an event that say what is other than before', async () => {
  await store({ ...spending(77_000), noteSize: 10_000, validFrom: '2027-02-01' })
  const [event] = await api.running.sql(
    `SELECT data FROM programme_event WHERE kind = 'programme.changed' ORDER BY number DESC LIMIT 1`,
  )
  expect(event).toMatchObject({ data: { validFrom: '2027-02-01', changed: ['noteSize', 'dailyLimits'] } })
  const [record] = await api.running.sql<{ detail: string }>(
    `SELECT actor, detail FROM audit_record WHERE action = 'programme.store' ORDER BY number DESC LIMIT 1`,
  )
  expect(JSON.parse(record!.detail)).toMatchObject({ validFrom: '2027-02-01', changed: ['noteSize', 'dailyLimits'] })
})

it('is put right by another one for the same day, as long as that has not come', async () => {
  await store({ ...spending(5000), validFrom: '2027-03-01' })
  await store({ ...spending(6000), validFrom: '2027-03-01' })
  const those = (await shown()).filter(({ validFrom }) => validFrom === '2027-03-01')
  expect(those.map(({ state, rules: { dailyLimits } }) => [state, dailyLimits.spending.amount])).toEqual([
    ['superseded', 5000],
    ['coming', 6000],
  ])
})

it.each<[string, object, number, string]>([
  ['today', { validFrom: '2026-11-24' }, 422, '/validFrom'],
  ['a day that has been', { validFrom: '2026-02-01' }, 422, '/validFrom'],
  ['no day', { validFrom: '2027-02-30' }, 422, '/'],
  ['a holiday that is no day', { cards: {} }, 422, '/'],
  [
    'a route to a purse that there is not',
    { routes: [{ transaction: 'purchase', purse: 'gold', terminalClasses: ['pos'] }] },
    422,
    '/',
  ],
  ['no routes', { routes: [] }, 400, '/routes'],
  ['a negative limit', { transactionAmountMax: -1 }, 400, '/transactionAmountMax'],
  ['a member that there is not', { discount: 5 }, 400, '/discount'],
])('%s is refused', async (_, more, status, path) => {
  api.running.clock.moveTo('2026-11-24T08:00:00Z')
  const before = await shown()
  const body = 'cards' in more ? { cards: { ...(rules['cards'] as object), holidays: ['2027-13-01'] } } : more
  expect((await store({ validFrom: '2027-04-01', ...body })).json).toMatchObject({ status, errors: [{ path }] })
  expect(await shown()).toEqual(before)
})

it('a moment before a day begins it is too late for it: not every process would know in time', async () => {
  api.running.clock.moveTo('2026-12-01T21:59:59.900Z')
  const answers = [await store({ validFrom: '2026-12-02' }), await store({ validFrom: '2026-12-03' })]
  expect(answers.map(({ status }) => status)).toEqual([422, 201])
})

it('of two who store at the same time one is told that it has not seen the other', async () => {
  const read = await administrator.get('/v1/programme')
  const seen = { 'if-match': read.headers.get('etag')! }
  const answers = await Promise.all(['2027-05-01', '2027-05-02'].map((validFrom) => store({ validFrom }, seen)))
  expect(answers.map(({ status }) => status).sort()).toEqual([201, 412])
})

it('needs an administrator', async () => {
  expect((await api.as('operator').post('/v1/programme/versions', { ...rules, validFrom: '2027-06-01' })).status).toBe(403)
  expect((await api.as('post-clerk').get('/v1/programme')).status).toBe(403)
})
