/** Calls of a test to the HTTP server, and servers to call. */
import { randomUUID } from 'node:crypto'
import { startHttpServer, type HttpServer, type HttpServerParts } from '../../src/admin/httpServer.ts'
import type { Authorizer } from '../../src/authorize.ts'
import { systemClock, utcDay } from '../../src/clock.ts'
import { loadConfig } from '../../src/config.ts'
import { Desk } from '../../src/ledger/programme/desk.ts'
import { Books } from '../../src/ledger/settlement/books.ts'
import { freePort } from '../../src/local/ports.ts'
import { silentLogger } from '../../src/log.ts'
import type { HotCards } from '../../src/hotCards.ts'
import type { MacGate } from '../../src/macGate.ts'
import { Metrics } from '../../src/metrics.ts'
import { EventHub } from '../../src/programme/eventHub.ts'
import type { Reconciler } from '../../src/reconciler.ts'
import { BusinessDays } from '../../src/settlement/businessDays.ts'
import { dataVault } from '../../src/security/dataVault.ts'
import { developmentKeys } from '../../src/security/developmentKeys.ts'
import { paymentHsm } from '../../src/security/paymentHsm.ts'
import { softwareKeyStore } from '../../src/security/softwareKeys.ts'
import { startTestSwitch, type TestSwitch } from '../support/switch.ts'

export interface Called {
  readonly status: number
  readonly headers: Headers
  /** Without its parameters. */
  readonly type: string
  readonly text: string
  readonly json: Record<string, unknown>
}

/** A whole switch, and the URL of its HTTP server. */
export async function startHttpSwitch(): Promise<{ running: TestSwitch; url: string }> {
  const port = await freePort()
  const running = await startTestSwitch({ configure: (config) => ({ ...config, http: { ...config.http, port } }) })
  return { running, url: `http://127.0.0.1:${String(port)}` }
}

/** The server alone, over an authorizer that does what the test says. */
export async function startServerOver(
  submit: Authorizer['submit'],
  change: (parts: HttpServerParts) => Partial<HttpServerParts> = () => ({}),
): Promise<HttpServer & { readonly url: string }> {
  const server = await startHttpServer(partsOver(submit, change))
  return { ...server, url: `http://127.0.0.1:${String(server.port)}` }
}

/** What a server is made of, over an authorizer that does what the test says, and no ledger. */
export function partsOver(
  submit: Authorizer['submit'],
  change: (parts: HttpServerParts) => Partial<HttpServerParts> = () => ({}),
): HttpServerParts {
  const config = loadConfig({ DATABASE_URL: 'postgres://127.0.0.1', REDIS_URL: 'redis://127.0.0.1', SARF_PORT_HTTP: '0' })
  const keys = softwareKeyStore(developmentKeys())
  // It connects when it is first asked something.
  const desk = new Desk({ ...config.desk, url: config.databaseUrl, shard: 0, clock: systemClock, log: silentLogger })
  const parts: HttpServerParts = {
    config,
    authorizer: { submit } as unknown as Authorizer,
    macGate: {} as unknown as MacGate,
    network: {
      answer: (_link: unknown, _message: unknown, _code: unknown, done: (result: { responseCode: string }) => void) => {
        done({ responseCode: '00' })
      },
    },
    hotCards: {} as unknown as HotCards,
    reconciler: {} as unknown as Reconciler,
    ledger: { available: true },
    standIn: { isPossible: false },
    ledgerSeen: { byOthers: false },
    hotState: { up: true },
    metrics: new Metrics(),
    clock: systemClock,
    log: silentLogger,
    desk,
    books: new Books({ ...config.books, url: config.databaseUrl, shard: 0, clock: systemClock, log: silentLogger }),
    businessDays: new BusinessDays({ config, desk, clock: systemClock, log: silentLogger }),
    events: new EventHub({ desk, settings: config.events, clock: systemClock, log: silentLogger }),
    vault: dataVault(keys, config.security.dataKey),
    hsm: paymentHsm(keys),
    // How they are compiled for a switch that runs is seen by the tests of its start.
    schemas: 'at first use',
  }
  return { ...parts, ...change(parts) }
}

export async function call(url: string, init?: RequestInit): Promise<Called> {
  const response = await fetch(url, init)
  const text = await response.text()
  const type = response.headers.get('content-type')?.split(';')[0] ?? ''
  return {
    status: response.status,
    headers: response.headers,
    type,
    text,
    json: type.endsWith('json') ? (JSON.parse(text) as Record<string, unknown>) : {},
  }
}

/** A key that no other call has, dated today. */
export function newKey(nowMs = Date.now()): string {
  return `${utcDay(nowMs).replaceAll('-', '')}-${randomUUID()}`
}

export function authorize(url: string, body: unknown, key: string = newKey()): Promise<Called> {
  return call(`${url}/v1/authorizations`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'idempotency-key': key },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })
}

/** The answer's bytes, where there are any. */
export async function sendBytes(
  url: string,
  bytes: Uint8Array,
  spec?: string,
): Promise<{ status: number; type: string; bytes: Buffer }> {
  const query = spec === undefined ? '' : `?spec=${spec}`
  const response = await fetch(`${url}/iso8583${query}`, {
    method: 'POST',
    headers: { 'content-type': 'application/octet-stream' },
    body: Buffer.from(bytes),
  })
  return {
    status: response.status,
    type: response.headers.get('content-type') ?? '',
    bytes: Buffer.from(await response.arrayBuffer()),
  }
}
