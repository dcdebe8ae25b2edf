/**
 * Every call under /v1, whoever adds it, with every role and with every kind of token that is none. What a route asks for is taken from its own
 * `config.permission`, who may is taken from roles.ts: a route that this test does not know is tested too.
 */
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import type { FastifyInstance, RouteOptions } from 'fastify'
import { SignJWT, UnsecuredJWT, type JWTPayload } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { mayDo, PERMISSIONS, ROLES, type Permission, type Role } from '../../../src/admin/access/roles.ts'
import { developmentToken } from '../../../src/admin/access/tokens.ts'
import { addCalls, createApp } from '../../../src/admin/httpServer.ts'
import { NotConnected } from '../../../src/ledger/connection.ts'
import { partsOver } from '../callSwitch.ts'

interface Route {
  readonly method: string
  readonly url: string
  readonly permission: Permission | 'none' | undefined
  readonly openInDevelopment: boolean
}

const ISSUER = 'sarf development'
const AUDIENCE = 'sarf'
const access = { kind: 'development', issuer: ISSUER, audience: AUDIENCE } as const
const TIMEOUT_MS = 2000

/** As RFC 8410 has it: the key of src/admin/access/tokens.ts, which everybody knows. */
const developmentKey = createPrivateKey({
  key: Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), Buffer.from('sarf development, not a secret!!')]),
  format: 'der',
  type: 'pkcs8',
})

let app: FastifyInstance
let production: FastifyInstance
let routes: readonly Route[]

beforeAll(async () => {
  const development = await build(false)
  ;({ app, routes } = development)
  production = (await build(true)).app
})

afterAll(async () => {
  await app.close()
  await production.close()
})

async function build(isProduction: boolean, http: object = {}): Promise<{ app: FastifyInstance; routes: Route[] }> {
  const parts = partsOver(
    (_asked, respond) => {
      respond(undefined)
    },
    ({ config }) => ({
      config: { ...config, production: isProduction, http: { ...config.http, ...NO_LIMITS, ...http } },
      desk: { run: noLedger, read: noLedger } as never,
    }),
  )
  const built = createApp(parts.config.http)
  const found: Route[] = []
  built.addHook('onRoute', ({ method, url, config }: RouteOptions) => {
    for (const each of [method].flat())
      found.push({ method: each, url, permission: config?.permission, openInDevelopment: config?.openInDevelopment === true })
  })
  await addCalls(built, parts)
  await built.ready()
  return { app: built, routes: found }
}

const NO_LIMITS = { requestsPerMinutePerAddress: 0, requestsPerMinutePerCaller: 0, failedTokensPerMinutePerAddress: 0 }

function noLedger(): Promise<never> {
  return Promise.reject(new NotConnected('a test has no ledger'))
}

/** Of the programme: under /v1, with a permission. */
function guarded(): readonly (Route & { readonly permission: Permission })[] {
  return routes.filter(
    (route): route is Route & { permission: Permission } =>
      route.url.startsWith('/v1/') && route.permission !== undefined && route.permission !== 'none',
  )
}

/** @returns 0 where nothing was answered yet: the call was let in */
async function statusOf(
  to: FastifyInstance,
  { method, url }: Pick<Route, 'method' | 'url'>,
  authorization?: string,
): Promise<number> {
  const answer = to.inject({
    method: method as 'GET',
    // What is in a path is none of anything: a call that is let in may say 400 or 404.
    url: url.replaceAll(/:\w+/g, '1'),
    headers: authorization === undefined ? {} : { authorization },
    payloadAsStream: true,
  })
  const { promise: late, resolve } = Promise.withResolvers<undefined>()
  const timer = setTimeout(() => {
    resolve(undefined)
  }, TIMEOUT_MS)
  const answered = await Promise.race([answer, late])
  clearTimeout(timer)
  answered?.stream().destroy()
  return answered?.statusCode ?? 0
}

const bearer = async (...roles: Role[]): Promise<string> =>
  `Bearer ${await developmentToken({ access, name: 'somebody', roles, nowMs: Date.now(), seconds: 60 })}`

describe('every call under /v1', () => {
  it('is there, and says which permission it needs', () => {
    expect(guarded().length).toBeGreaterThan(8)
    for (const { url, permission } of routes.filter(({ url }) => url.startsWith('/v1/')))
      expect(permission === 'none' || Object.keys(PERMISSIONS).includes(permission ?? ''), url).toBe(true)
  })

  it.each(ROLES)('lets %s in where the role may, and nowhere else', async (role) => {
    const token = await bearer(role)
    for (const route of guarded()) {
      const status = await statusOf(app, route, token)
      const name = `${route.method} ${route.url} needs ${route.permission}`
      if (mayDo([role], route.permission)) expect([401, 403], name).not.toContain(status)
      else expect(status, name).toBe(403)
    }
  })

  it('lets nobody in with a token that is not good', { timeout: 60_000 }, async () => {
    for (const [name, token] of await badTokens()) {
      for (const route of guarded()) expect(await statusOf(app, route, token), `${name}: ${route.method} ${route.url}`).toBe(401)
    }
  })

  it('lets nobody in without a token; transactions outside production only', async () => {
    for (const route of guarded()) {
      expect(await statusOf(production, route), `production: ${route.method} ${route.url}`).toBe(401)
      if (!route.openInDevelopment) expect(await statusOf(app, route), `${route.method} ${route.url}`).toBe(401)
    }
    expect(await statusOf(production, { method: 'POST', url: '/iso8583' })).toBe(401)
  })

  it('lets nobody in with a development token in production', async () => {
    const closed = partsOver(
      () => undefined,
      ({ config }) => ({
        config: {
          ...config,
          http: { ...config.http, failedTokensPerMinutePerAddress: 0 },
          production: true,
          access: { kind: 'closed' },
        },
      }),
    )
    const server = createApp(closed.config.http)
    await addCalls(server, closed)
    const token = await bearer(...ROLES)
    for (const route of guarded()) expect(await statusOf(server, route, token), route.url).toBe(401)
    await server.close()
  })

  it('cannot be registered without a permission', async () => {
    const parts = partsOver(() => undefined)
    const server = createApp(parts.config.http)
    await addCalls(server, parts)
    for (const url of ['/v1/everything', '/v1', '/v1/:anything/at/all']) {
      expect(() => server.get(url, () => 'all')).toThrow('says not who may call it')
    }
    await server.close()
  })
})

/** By name. Each would be good but for one thing. */
async function badTokens(): Promise<[name: string, authorization: string][]> {
  const now = Math.floor(Date.now() / 1000)
  const good: JWTPayload = { iss: ISSUER, aud: AUDIENCE, sub: 'somebody', iat: now, exp: now + 60, roles: [...ROLES] }
  const other = generateKeyPairSync('ed25519').privateKey
  const publicKey = createPublicKey(developmentKey)
  const jwk = publicKey.export({ format: 'jwk' })
  const signed = (claims: JWTPayload, key: KeyObject | Uint8Array = developmentKey, alg = 'EdDSA', header: object = {}) =>
    new SignJWT(claims).setProtectedHeader({ ...header, alg }).sign(key)
  const without = (claim: string): JWTPayload => Object.fromEntries(Object.entries(good).filter(([name]) => name !== claim))
  const whole = await signed(good)
  const [head = '', body = '', signature = ''] = whole.split('.')
  const changed = Buffer.from(JSON.stringify({ ...good, sub: 'another' })).toString('base64url')
  const tokens: [string, string | Promise<string>][] = [
    ['expired', signed({ ...good, exp: now - 60 })],
    ['not valid yet', signed({ ...good, nbf: now + 3600 })],
    ['without an end', signed(without('exp'))],
    ['of another issuer', signed({ ...good, iss: 'somebody else' })],
    ['for another audience', signed({ ...good, aud: 'another system' })],
    ['for no audience', signed(without('aud'))],
    ['of another key', signed(good, other)],
    [
      'of another key that it brings along',
      signed(good, other, 'EdDSA', { jwk: createPublicKey(other).export({ format: 'jwk' }) }),
    ],
    ['without an algorithm', new UnsecuredJWT(good).encode()],
    ['HS256 with the public key as PEM', signed(good, Buffer.from(publicKey.export({ format: 'pem', type: 'spki' })), 'HS256')],
    ['HS256 with the public key as DER', signed(good, publicKey.export({ format: 'der', type: 'spki' }), 'HS256')],
    ['HS256 with the public key itself', signed(good, Buffer.from(jwk.x ?? '', 'base64url'), 'HS256')],
    ['of an unknown role', signed({ ...good, roles: ['emperor'] })],
    ['of no role', signed({ ...good, roles: [] })],
    ['roles as a text', signed({ ...good, roles: 'administrator' })],
    ['without roles', signed(without('roles'))],
    ['of nobody', signed(without('sub'))],
    ['of somebody with a line end in the name', signed({ ...good, sub: 'some\nbody' })],
    ['with a place that is none', signed({ ...good, place: '../../etc' })],
    ['changed', `${head}.${changed}.${signature}`],
    ['without its signature', `${head}.${body}.`],
    ['no token', 'administrator'],
  ]
  const named = await Promise.all(tokens.map(async ([name, token]): Promise<[string, string]> => [name, `Bearer ${await token}`]))
  return [...named, ['Basic', 'Basic YWRtaW46YWRtaW4='], ['two of them', `Bearer ${whole} ${whole}`], ['empty', '']]
}

describe('too many calls', () => {
  it('of one caller are held up, whatever token is shown, and not those of others; transactions go on', async () => {
    const { app: limited } = await build(false, { requestsPerMinutePerCaller: 3 })
    const route = { method: 'GET', url: '/v1/merchants' }
    const tokenOf = async (name: string, role: Role): Promise<string> =>
      `Bearer ${await developmentToken({ access, name, roles: [role], nowMs: Date.now(), seconds: 60 })}`
    const statuses: number[] = []
    for (const role of ['auditor', 'auditor', 'operator', 'administrator', 'auditor'] as const)
      statuses.push(await statusOf(limited, route, await tokenOf('nadia', role)))
    expect(statuses).toEqual([503, 503, 503, 429, 429])
    const held = await limited.inject({ url: route.url, headers: { authorization: await tokenOf('nadia', 'auditor') } })
    expect(held.headers['content-type']).toContain('application/problem+json')
    expect(Number(held.headers['retry-after'])).toBeGreaterThan(0)
    expect(await statusOf(limited, route, await tokenOf('samir', 'auditor'))).toBe(503)
    const send = { method: 'POST', url: '/v1/authorizations' }
    for (let i = 0; i < 5; i++) expect(await statusOf(limited, send, await tokenOf('acquirer', 'acquirer'))).not.toBe(429)
    await limited.close()
  })

  it('with tokens that are not good are held up, and whoever has a good one goes on', async () => {
    const { app: limited } = await build(false, { failedTokensPerMinutePerAddress: 2 })
    const route = { method: 'GET', url: '/v1/merchants' }
    const statuses: number[] = []
    for (let i = 0; i < 4; i++) statuses.push(await statusOf(limited, route, `Bearer ${String(i)}`))
    expect(statuses).toEqual([401, 401, 429, 429])
    expect(await statusOf(limited, route, await bearer('auditor'))).toBe(503)
    await limited.close()
  })
})
