/** A switch with its API, and callers of every role. */
import { randomUUID } from 'node:crypto'
import { developmentToken } from '../../src/admin/access/tokens.ts'
import type { Role } from '../../src/admin/access/roles.ts'
import { freePort } from '../../src/local/ports.ts'
import { dataVault } from '../../src/security/dataVault.ts'
import { developmentKeys } from '../../src/security/developmentKeys.ts'
import { softwareKeyStore } from '../../src/security/softwareKeys.ts'
import { startTestSwitch, type SwitchSettings, type TestSwitch } from './switch.ts'

export interface ApiAnswer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  readonly json: Record<string, unknown>
}

export interface ApiCaller {
  get(path: string, headers?: Record<string, string>): Promise<ApiAnswer>
  /** With a new Idempotency-Key, unless the headers have one. */
  post(path: string, body: unknown, headers?: Record<string, string>): Promise<ApiAnswer>
  send(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<ApiAnswer>
}

export interface ProgrammeApi {
  readonly running: TestSwitch
  readonly url: string
  /** A caller with a token of its own. @param name absent: the role's */
  as(role: Role, options?: { readonly name?: string; readonly place?: string }): ApiCaller
  /** A caller with whatever in `authorization`. */
  with(authorization: string | undefined): ApiCaller
}

/** A test asks faster than people do. */
const NO_LIMITS = { requestsPerMinutePerAddress: 0, requestsPerMinutePerCaller: 0, failedTokensPerMinutePerAddress: 0 }

export async function startProgrammeApi(settings: SwitchSettings = {}): Promise<ProgrammeApi> {
  const port = await freePort()
  const running = await startTestSwitch({
    ...settings,
    vault: dataVault(softwareKeyStore(developmentKeys()), 'data.1'),
    configure: async (config) => {
      const changed = { ...config, http: { ...config.http, port, ...NO_LIMITS } }
      return (await settings.configure?.(changed)) ?? changed
    },
  })
  const { access } = running.config
  if (access.kind !== 'development') throw new Error('tests make their tokens themselves')
  const url = `http://127.0.0.1:${String(port)}`
  return {
    running,
    url,
    as: (role, { name = role, place } = {}) =>
      caller(url, async () => {
        const nowMs = running.clock.now()
        return `Bearer ${await developmentToken({ access, name, roles: [role], place, nowMs, seconds: 300 })}`
      }),
    with: (authorization) => caller(url, () => Promise.resolve(authorization)),
  }
}

function caller(url: string, authorization: () => Promise<string | undefined>): ApiCaller {
  const send: ApiCaller['send'] = async (method, path, body, headers = {}) => {
    const token = await authorization()
    const response = await fetch(url + path, {
      method,
      headers: {
        ...(token === undefined ? {} : { authorization: token }),
        ...(method === 'GET' ? {} : { 'idempotency-key': randomUUID() }),
        ...(body === undefined || typeof body === 'string' ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
    const text = await response.text()
    const isJson =
      (response.headers.get('content-type') ?? '').includes('json') &&
      !(response.headers.get('content-type') ?? '').includes('ndjson')
    return {
      status: response.status,
      headers: response.headers,
      text,
      json: isJson ? (JSON.parse(text) as Record<string, unknown>) : {},
    }
  }
  return {
    send,
    get: (path, headers) => send('GET', path, undefined, headers),
    post: (path, body, headers) => send('POST', path, body, headers),
  }
}
