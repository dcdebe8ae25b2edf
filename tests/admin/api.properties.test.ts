/**
 * Every call that /docs/json lists, with requests made from its own schemas: as they should be, and nearly. Whatever comes, the answer is none of our
 * faults (500), is one that the document knows, and says what is wrong in the one shape that it has for it.
 */
import fc, { type Arbitrary } from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { ROLES } from '../../src/admin/access/roles.ts'
import { developmentToken } from '../../src/admin/access/tokens.ts'
import { demoPersonalData } from '../../src/programme/demoPersonalData.ts'
import { startProgrammeApi, type ProgrammeApi } from '../support/programmeApi.ts'
import { KnownValues, nearlyValid, valid, type JsonSchema } from '../support/schemaArbitrary.ts'

interface Operation {
  readonly parameters?: readonly {
    readonly name: string
    readonly in: string
    readonly required?: boolean
    readonly schema: JsonSchema
    readonly example?: unknown
  }[]
  readonly requestBody?: {
    readonly content: Readonly<Record<string, { readonly schema: JsonSchema; readonly example?: unknown }>>
  }
  readonly responses: Readonly<Record<string, { readonly content?: Readonly<Record<string, object>> }>>
}

interface Call extends Operation {
  readonly method: string
  readonly path: string
}

/** Text of a body, or a value that is sent as JSON. */
interface Request {
  readonly path: Readonly<Record<string, unknown>>
  readonly query: Readonly<Record<string, unknown>>
  readonly headers: Readonly<Record<string, unknown>>
  readonly body?: { readonly type: string; readonly text?: string | undefined; readonly value?: unknown }
}

const SEED = Number(process.env['API_TEST_SEED'] ?? 20261127)
/** For all calls together, which take turns. */
const MS_MAX = Number(process.env['API_TEST_MS'] ?? 10_000)
const RUNS_A_TURN = 8
/** The ledger cannot be reached or the outcome is not known: nothing of that is to be seen here, but it is no fault of a request. */
const TROUBLE = [503, 504]

let api: ProgrammeApi
let calls: readonly Call[]
const known = new KnownValues()

beforeAll(async () => {
  api = await startProgrammeApi()
  const document = (await api.with(undefined).get('/docs/json')).json as unknown as {
    paths: Record<string, Record<string, Operation>>
  }
  calls = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ ...operation, path, method: method.toUpperCase() })),
  )
  const household = await api.running.openHousehold()
  const persons = await api.running.sql<{ id: string; birth: string }>(
    'SELECT id, birth_date::text AS birth FROM person WHERE household_id <= 3 ORDER BY id LIMIT 9',
  )
  for (const { token } of [household.head, household.member]) known.add('cardId', token)
  known.add('householdId', household.household)
  for (const { id, birth } of persons) {
    known.add('personId', Number(id))
    const { nationalId, mobile } = demoPersonalData(Math.floor(Number(id) / 100), Number(id) % 100, birth)
    known.add('nationalId', nationalId.reveal())
    if (mobile !== null) known.add('mobile', mobile.reveal())
  }
})

describe('every call', () => {
  it('answers whatever comes as its document says, and never by a fault of ours', { timeout: MS_MAX + 60_000 }, async () => {
    const endsAt = performance.now() + MS_MAX
    let asked = 0
    const successes = new Set<string>()
    for (let turn = 0; turn === 0 || performance.now() < endsAt; turn++) {
      for (const call of calls) {
        if (turn > 0 && performance.now() > endsAt) break
        await fc.assert(
          fc.asyncProperty(requestOf(call), async (request) => {
            asked++
            const status = await check(call, request)
            if (status < 300) successes.add(`${call.method} ${call.path}`)
          }),
          { seed: SEED + turn, numRuns: RUNS_A_TURN },
        )
      }
    }
    expect(asked).toBeGreaterThanOrEqual(calls.length * RUNS_A_TURN)
    // What is refused always is not tested: many calls are to succeed now and then. On a slow machine there is time for fewer turns.
    expect(successes.size).toBeGreaterThan(calls.length / 4)
  })
})

function requestOf({ method, parameters = [], requestBody }: Call): Arbitrary<Request> {
  const members = (where: string, spoiltToo: boolean): Arbitrary<Record<string, unknown>> => {
    const those = parameters.filter((parameter) => parameter.in === where)
    const one = ({ name, schema, example }: (typeof those)[number]): Arbitrary<unknown> => {
      const right = valid({ ...schema, ...(example === undefined ? {} : { examples: [example] }) }, name)
      return spoiltToo
        ? fc.oneof({ weight: 12, arbitrary: right }, { weight: 1, arbitrary: fc.constantFrom(...ODD_TEXTS) })
        : right
    }
    return fc.record(Object.fromEntries(those.map((parameter) => [parameter.name, one(parameter)])), {
      requiredKeys: those.filter(({ required }) => required === true).map(({ name }) => name),
    })
  }
  const key = fc.oneof(
    { weight: 15, arbitrary: fc.uuid() },
    { weight: 1, arbitrary: fc.constantFrom('', 'the same', '9818010000000010', 'ключ', 'x'.repeat(65)) },
  )
  const headers = fc.record(
    {
      'idempotency-key': key,
      'if-match': fc.oneof(
        fc.nat(3).map((version) => `"${String(version)}"`),
        fc.constantFrom('*', '7', '"x"', 'W/"1"', '"99999999999999999"'),
      ),
    },
    { requiredKeys: ['idempotency-key'] },
  )
  const rest = {
    path: members('path', true),
    query: members('query', true),
    headers: method === 'GET' ? fc.constant({}) : headers,
  }
  const bodies = Object.entries(requestBody?.content ?? {}).map(([type, media]) => bodyOf(type, media))
  return bodies.length === 0 ? fc.record(rest) : fc.record({ ...rest, body: fc.oneof(...bodies) })
}

function bodyOf(
  type: string,
  { schema, example }: { readonly schema: JsonSchema; readonly example?: unknown },
): Arbitrary<NonNullable<Request['body']>> {
  const { examples = [] } = schema
  const right = { ...schema, examples: example === undefined ? examples : [example, ...examples] }
  if (type.endsWith('json') && !type.includes('ndjson')) {
    return fc.oneof(
      { weight: 10, arbitrary: valid(right).map((value) => ({ type, value })) },
      { weight: 10, arbitrary: nearlyValid(right).map((value) => ({ type, value })) },
      { weight: 1, arbitrary: fc.constantFrom('', '{', '[1,', '{"a":1}}', '\ufeff{}', 'null').map((text) => ({ type, text })) },
      {
        weight: 1,
        arbitrary: fc
          .constantFrom('text/plain', 'application/xml', 'application/x-www-form-urlencoded')
          .map((other) => ({ type: other, text: 'a=1' })),
      },
    )
  }
  const usual = right.examples.filter((one): one is string => typeof one === 'string')
  const text =
    usual.length === 0
      ? fc.string({ unit: 'binary' })
      : fc.oneof(fc.constantFrom(...usual), spoiltText(usual), fc.string({ unit: 'binary' }))
  return text.map((one) => ({ type, text: one }))
}

/** One with something cut out or put in. */
function spoiltText(texts: readonly string[]): Arbitrary<string> {
  return fc
    .tuple(
      fc.constantFrom(...texts),
      fc.nat(),
      fc.nat(3),
      fc.constantFrom('', '\0', '\ufeff', '"', ',', '\n', '٣', '\r\n\r\n', '{'),
    )
    .map(([text, at, cut, put]) => text.slice(0, at % (text.length + 1)) + put + text.slice((at % (text.length + 1)) + cut))
}

/** In paths, queries and headers. */
const ODD_TEXTS: readonly string[] = [
  '0',
  '-1',
  '%00',
  '\u0000',
  '٣',
  '..',
  'a/b',
  ' ',
  '1e3',
  '99999999999999999999',
  "'",
  'x'.repeat(500),
  'null',
]

/** @returns the status */
async function check(call: Call, request: Request): Promise<number> {
  const { method, path, responses } = call
  const { url, init } = composed(call, request)
  const token = await developmentToken({
    access: DEVELOPMENT,
    name: method === 'GET' ? 'reader' : (WRITERS[url.length % WRITERS.length] ?? ''),
    roles: ROLES,
    place: 'post-03-1',
    nowMs: Date.now(),
    seconds: 60,
  })
  const ended = new AbortController()
  const response = await fetch(api.url + url, {
    ...init,
    headers: { ...init.headers, authorization: `Bearer ${token}` },
    signal: ended.signal,
  })
  const { status } = response
  const type = response.headers.get('content-type')?.split(';')[0] ?? ''
  // Events go on for ever.
  const text = type === 'text/event-stream' ? '' : await response.text()
  ended.abort()
  const what = `${method} ${url} ${typeof init.body === 'string' ? init.body.slice(0, 1000) : ''} was answered ${String(status)} ${text.slice(0, 500)}`
  if (status >= 500) expect(TROUBLE, what).toContain(status)
  // A path that is none of the API's: an empty or dotted part of it leads elsewhere.
  const elsewhere = status === 404 && text.includes('There is no such call')
  if (!elsewhere) expect(Object.keys(responses), what).toContain(String(status))
  if (status >= 400) {
    expect(type, what).toBe('application/problem+json')
    const problem = JSON.parse(text) as Record<string, unknown>
    expect(problem, what).toMatchObject({ status, type: expect.any(String) as string, title: expect.any(String) as string })
    expect(text, what).not.toMatch(/\b(SELECT|INSERT|UPDATE|relation|syntax error|node_modules|\.ts:\d)\b/)
  } else if (status !== 204 && !elsewhere) {
    expect(Object.keys(responses[String(status)]?.content ?? {}), `${path} ${what}`).toContain(type)
    if (type === 'application/json') known.learn(JSON.parse(text))
  }
  return status
}

const DEVELOPMENT = { kind: 'development', issuer: 'sarf development', audience: 'sarf' } as const
/** One proposes, another agrees. */
const WRITERS = ['writer.a', 'writer.b', 'writer.c']

function composed(
  { method, path }: Call,
  request: Request,
): { url: string; init: { method: string; headers: Record<string, string>; body?: string } } {
  const text = (value: unknown): string => {
    const filled = known.fill(value)
    return typeof filled === 'string' ? filled : JSON.stringify(filled)
  }
  const inPath = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(wellFormed(text(request.path[name]))))
  const query = new URLSearchParams(
    Object.entries(request.query).map(([name, value]): [string, string] => [name, wellFormed(text(value))]),
  ).toString()
  const headers: Record<string, string> = {}
  for (const [name, value] of Object.entries(request.headers)) {
    const said = text(value)
    if (/^[\x20-\x7e]*$/.test(said)) headers[name] = said
  }
  const { body } = request
  if (body === undefined) return { url: inPath + (query === '' ? '' : `?${query}`), init: { method, headers } }
  const sent = body.text ?? JSON.stringify(known.fill(body.value))
  return {
    url: inPath + (query === '' ? '' : `?${query}`),
    init: { method, headers: { ...headers, 'content-type': body.type }, body: sent },
  }
}

/** A URL cannot hold half a character. */
function wellFormed(text: string): string {
  return text.toWellFormed()
}
