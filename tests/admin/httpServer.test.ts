import { once } from 'node:events'
import { createConnection } from 'node:net'
import { text } from 'node:stream/consumers'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { authorizationExamples } from '../../src/admin/authorizationExamples.ts'
import type { HttpServer } from '../../src/admin/httpServer.ts'
import type { Clock } from '../../src/clock.ts'
import type { Respond } from '../../src/passage.ts'
import { NOTHING_TOLD, type AuthorizationResult } from '../../src/response/result.ts'
import { until, type TestSwitch } from '../support/switch.ts'
import { authorize, call, newKey, startHttpSwitch, startServerOver } from './callSwitch.ts'

const PURCHASE = { kind: 'purchase', card: { number: '9818010000000010' }, terminalId: 'POS00001', amount: '12.50' }
const APPROVED: AuthorizationResult = {
  responseCode: '00',
  reason: undefined,
  approvalCode: 'A1B2C3',
  approved: 1250,
  balances: undefined,
  ...NOTHING_TOLD,
  rrn: '6326ABCDEFGH',
  replayed: false,
}

const servers: HttpServer[] = []
afterEach(async () => {
  for (const server of servers.splice(0)) await server.close(0)
})

async function serverOver(...args: Parameters<typeof startServerOver>): ReturnType<typeof startServerOver> {
  const server = await startServerOver(...args)
  servers.push(server)
  return server
}

const approving = (_transaction: unknown, respond: Respond): void => respond(APPROVED)

describe('with a switch behind it', () => {
  let running: TestSwitch
  let url: string

  beforeAll(async () => {
    ;({ running, url } = await startHttpSwitch())
  })

  it('every example of the documentation is taken as it stands', async () => {
    const { keys, requests } = authorizationExamples(running.clock.now())
    const approved: Record<string, unknown> = {}
    for (const [name, { value }] of Object.entries(requests)) {
      // The first authorization and the first purchase carry the key that their completion and reversal name.
      const key = name === 'purchase' || name === 'authorization' ? keys[0] : newKey(running.clock.now())
      const answer = await authorize(url, value, key)
      expect([name, answer.status]).toEqual([name, 200])
      approved[name] = answer.json['approved']
    }
    const { refund, ...others } = approved
    // It names numbers that no answer had.
    expect(refund).toBe(false)
    expect(new Set(Object.values(others))).toEqual(new Set([true]))
  })

  it('is ready, and goes on deciding without Redis, and says so', async () => {
    expect(await call(`${url}/healthz`)).toMatchObject({ status: 200, json: { alive: true } })
    expect(await call(`${url}/readyz`)).toMatchObject({
      status: 200,
      json: { ready: true, degraded: false, parts: { ledger: { up: true }, redis: { up: true } } },
    })
    running.redis.kill()
    await until(async () => (await call(`${url}/readyz`)).json['degraded'] === true)
    expect(await call(`${url}/readyz`)).toMatchObject({
      status: 200,
      json: { ready: true, parts: { redis: { up: false, detail: expect.stringMatching(/^Redis/) as string } } },
    })
    const { pan } = await running.openCard()
    expect((await authorize(url, { ...PURCHASE, card: { number: pan } })).json).toMatchObject({ approved: true })
  })
})

it('is ready without the ledger where stand-in serves, and says what for; not without Redis too', async () => {
  const hotState = { up: true }
  const { url } = await serverOver(approving, () => ({ ledger: { available: false }, standIn: { isPossible: true }, hotState }))
  expect(await call(`${url}/readyz`)).toMatchObject({
    status: 200,
    json: {
      ready: true,
      degraded: true,
      standIn: true,
      parts: { ledger: { up: false, detail: expect.stringContaining('bread and ration') as string }, redis: { up: true } },
    },
  })
  hotState.up = false
  expect(await call(`${url}/readyz`)).toMatchObject({ status: 503, json: { ready: false, standIn: false } })
})

it('is not ready where it alone does not reach the ledger: the others are', async () => {
  const parts = {
    ledger: { available: false },
    standIn: { isPossible: true },
    hotState: { up: true },
    ledgerSeen: { byOthers: true },
  }
  const { url } = await serverOver(approving, () => parts)
  expect(await call(`${url}/readyz`)).toMatchObject({ status: 503, json: { ready: false, standIn: false } })
})

it('is not ready without the ledger, and says so', async () => {
  const { url } = await serverOver(approving, () => ({ ledger: { available: false } }))
  expect(await call(`${url}/readyz`)).toMatchObject({
    status: 503,
    json: {
      ready: false,
      degraded: false,
      parts: { ledger: { up: false, detail: expect.stringMatching(/^Postgres/) as string } },
    },
  })
  expect((await call(`${url}/healthz`)).status).toBe(200)
})

it('shows its measurements, with routes for labels and no card number', async () => {
  const { url } = await serverOver(approving)
  await authorize(url, PURCHASE)
  await call(`${url}/${PURCHASE.card.number}`)
  const metrics = await call(`${url}/metrics`)
  expect(metrics.type).toBe('text/plain')
  expect(metrics.text).toContain('sarf_http_requests_total{route="/v1/authorizations",status="200"} 1')
  expect(metrics.text).toContain('sarf_http_requests_total{route="none",status="404"} 1')
  for (const name of ['sarf_stage_seconds', 'sarf_messages_total', 'process_cpu_seconds_total', 'nodejs_eventloop_lag_seconds']) {
    expect(metrics.text).toContain(`# TYPE ${name} `)
  }
  expect(metrics.text).not.toContain(PURCHASE.card.number)
})

describe('the documentation', () => {
  it('has every call', async () => {
    const { url } = await serverOver(approving)
    const { json } = await call(`${url}/docs/json`)
    const paths = json['paths'] as Record<string, Record<string, Operation>>
    // Those of the programme are looked at by openApi.test.ts.
    expect(Object.keys(paths)).toEqual(
      expect.arrayContaining(['/healthz', '/iso8583', '/metrics', '/readyz', '/v1/authorizations']),
    )
  })

  it('shows a page that its own policy allows to work', async () => {
    const { url } = await serverOver(approving)
    const page = await call(`${url}/docs`)
    expect(page).toMatchObject({ status: 200, type: 'text/html' })
    const policy = policyOf(page.headers.get('content-security-policy') ?? '')
    // Only files of this server, and nothing within the page.
    expect(page.text).not.toMatch(/<script(?![^>]* src=")|<style| on\w+=/)
    const sources = [...page.text.matchAll(/(?:src|href)="([^"]+)"/g)].map((match) => match[1] ?? '')
    expect(sources.length).toBeGreaterThan(4)
    for (const source of sources) expect([source, (await call(`${url}${source}`)).status]).toEqual([source, 200])
    expect(policy['script-src']).toBe("'self'")
    expect(policy['connect-src']).toBe("'self'")
    // Swagger UI sets styles on its elements and draws with data: images; plain HTTP must stay plain HTTP.
    expect(policy['style-src']).toBe("'self' 'unsafe-inline'")
    expect(policy['img-src']).toBe("'self' data:")
    expect(policy).not.toHaveProperty('upgrade-insecure-requests')
  })

  interface Media {
    readonly schema: { readonly examples?: unknown[] }
    readonly example?: unknown
    readonly examples?: unknown
  }
  interface Part {
    readonly content?: Readonly<Record<string, Media>>
  }
  interface Operation {
    readonly requestBody?: Part
    readonly responses: Readonly<Record<string, Part>>
  }
})

function policyOf(header: string): Record<string, string> {
  const directives = header.split(';').map((directive) => directive.trim())
  return Object.fromEntries(directives.filter(Boolean).map((directive) => directive.split(/ (.*)/, 2) as [string, string]))
}

describe('every error is a problem', () => {
  it.each([
    ['an unknown call', 'GET', '/nope', 404],
    ['another method', 'GET', '/iso8583', 404],
    ['a path that cannot be decoded', 'GET', '/%E0%A4%A', 400],
  ])('%s', async (_what, method, path, status) => {
    const { url } = await serverOver(approving)
    const answer = await call(url + path, { method })
    expect(answer).toMatchObject({ status, type: 'application/problem+json', json: { type: 'about:blank', status } })
  })

  it('what is no HTTP', async () => {
    const { port } = await serverOver(approving)
    const socket = createConnection({ host: '127.0.0.1', port })
    await once(socket, 'connect')
    socket.end('\u0000\u0010not HTTP\r\n\r\n')
    const answer = await text(socket)
    expect(answer).toMatch(/^HTTP\/1\.1 400 Bad Request\r\nContent-Type: application\/problem\+json\r\n/)
    expect(JSON.parse(answer.split('\r\n\r\n')[1] ?? '')).toMatchObject({ status: 400 })
  })

  it('a fault of ours, of which nothing is told', async () => {
    const { url } = await serverOver(() => {
      throw new Error('secret')
    })
    const answer = await authorize(url, PURCHASE)
    expect(answer).toMatchObject({ status: 500, type: 'application/problem+json' })
    expect(answer.text).not.toContain('secret')
  })

  it('too many requests from an address, health checks excepted', async () => {
    const { url } = await serverOver(approving, ({ config }) => ({
      config: { ...config, http: { ...config.http, requestsPerMinutePerAddress: 2 } },
    }))
    const statuses = []
    for (let i = 0; i < 3; i++) statuses.push((await authorize(url, PURCHASE)).status)
    expect(statuses).toEqual([200, 200, 429])
    const refused = await authorize(url, PURCHASE)
    expect(refused).toMatchObject({ type: 'application/problem+json', json: { status: 429 } })
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0)
    for (const path of ['/healthz', '/readyz', '/metrics']) expect((await call(url + path)).status).toBe(200)
  })
})

it('forbids its answers to be framed, sniffed or run', async () => {
  const { url } = await serverOver(approving)
  const { headers } = await call(`${url}/healthz`)
  expect(headers.get('content-security-policy')).toBe("default-src 'none';frame-ancestors 'none'")
  expect(headers.get('x-content-type-options')).toBe('nosniff')
})

it('gives up on an answer after its time, and drops what comes later', async () => {
  const clock = new HandClock()
  const waiting: Respond[] = []
  const { url } = await serverOver(
    (_transaction, respond) => void waiting.push(respond),
    () => ({ clock }),
  )
  const answer = authorize(url, PURCHASE)
  await until(() => waiting.length === 1)
  clock.strike()
  expect(await answer).toMatchObject({ status: 504, json: { type: 'urn:sarf:problem:outcome-unknown' } })
  expect(() => waiting[0]?.(APPROVED)).not.toThrow()
})

/** Its time is over when the test says so. */
class HandClock implements Clock {
  readonly #waits = new Set<() => void>()

  now(): number {
    return Date.now()
  }

  after(_delayMs: number, run: () => void): () => void {
    this.#waits.add(run)
    return () => this.#waits.delete(run)
  }

  soon(run: () => void): void {
    setImmediate(run)
  }

  strike(): void {
    for (const run of [...this.#waits]) run()
  }

  /** Only what was asked for last. */
  strikeLast(): void {
    ;[...this.#waits].at(-1)?.()
  }
}

describe('when it stops', () => {
  it('answers what is in flight, takes nothing new, and ends', async () => {
    const waiting: Respond[] = []
    const server = await startServerOver((_transaction, respond) => void waiting.push(respond))
    const inFlight = authorize(server.url, PURCHASE)
    await until(() => waiting.length === 1)
    const closed = server.close(20_000)
    await expect(authorize(server.url, PURCHASE)).rejects.toThrow()
    waiting[0]?.(APPROVED)
    const answer = await inFlight
    expect(answer).toMatchObject({ status: 200, json: { approved: true } })
    expect(answer.headers.get('connection')).toBe('close')
    await closed
    expect(waiting).toHaveLength(1)
  })

  it('submits nothing that comes on a connection that is still open', async () => {
    const waiting: Respond[] = []
    const server = await startServerOver((_transaction, respond) => void waiting.push(respond))
    const socket = createConnection({ host: '127.0.0.1', port: server.port })
    // The server may reset it over what it has not read.
    socket.on('error', () => undefined).resume()
    const body = JSON.stringify(PURCHASE)
    const head = `POST /v1/authorizations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n`
    const send = (): boolean => socket.write(`${head}Idempotency-Key: ${newKey()}\r\n\r\n${body}`)
    send()
    await until(() => waiting.length === 1)
    const ended = once(socket, 'close')
    const closed = server.close(20_000)
    send()
    await until(() => socket.writableLength === 0)
    await expect(authorize(server.url, PURCHASE)).rejects.toThrow()
    waiting[0]?.(APPROVED)
    await closed
    await ended
    expect(waiting).toHaveLength(1)
  })

  it('drops what is not answered in time', async () => {
    const waiting: Respond[] = []
    const clock = new HandClock()
    const server = await startServerOver(
      (_transaction, respond) => void waiting.push(respond),
      () => ({ clock }),
    )
    const dropped = expect(authorize(server.url, PURCHASE)).rejects.toThrow()
    await until(() => waiting.length === 1)
    const closed = server.close(1)
    clock.strikeLast()
    await closed
    await dropped
  })
})
