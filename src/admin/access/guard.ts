/** Asks every call under /v1 for a token with a role that may make it. Deny by default: a route that names no permission cannot be registered. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Actor } from '../../ledger/programme/desk.ts'
import { plainProblem, sendProblem } from '../problem.ts'
import { mayDo, type Permission } from './roles.ts'
import type { TokenVerifier } from './tokens.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What a caller's role must allow; `none` where the call has another proof of its own. */
    permission?: Permission | 'none'
    /** Outside production no token is asked for: what terminals and load testers send. */
    openInDevelopment?: true
  }
  interface FastifyRequest {
    actor: Actor | undefined
  }
}

/** Transactions over HTTP. */
export const SENDING = { permission: 'transaction:send', openInDevelopment: true } as const

/** To be called before the routes are added. */
export function guardRoutes(app: FastifyInstance, tokens: TokenVerifier, production: boolean): void {
  app.decorateRequest('actor', undefined)
  app.addHook('onRoute', ({ url, config, schema }) => {
    if (!url.startsWith('/v1/')) return
    const { permission } = config ?? {}
    if (permission === undefined) throw new Error(`route ${url} says not who may call it (config.permission)`)
    if (permission !== 'none' && schema !== undefined && config?.openInDevelopment !== true)
      Object.assign(schema, { security: [{ bearer: [] }] })
  })
  app.addHook('onRequest', async (request, reply) => {
    const { permission, openInDevelopment } = request.routeOptions.config
    if (permission === undefined || permission === 'none') return
    if (openInDevelopment === true && !production && request.headers.authorization === undefined) return
    const [, token] = /^Bearer +([\w.~+/-]+=*)$/i.exec(request.headers.authorization ?? '') ?? []
    const actor = token === undefined ? undefined : await tokens.verify(token)
    if (actor === undefined) return refuse(reply, token === undefined ? '' : ', error="invalid_token"')
    if (!mayDo(actor.roles, permission)) {
      sendProblem(reply, plainProblem(403, `None of your roles may do this: it needs ${permission}.`))
      return reply
    }
    request.actor = actor
    return undefined
  })
}

/** RFC 6750 section 3. */
function refuse(reply: FastifyReply, error: string): FastifyReply {
  void reply.header('www-authenticate', `Bearer realm="sarf"${error}`)
  sendProblem(reply, plainProblem(401, 'This call needs a bearer token of the programme, one that is not over.'))
  return reply
}

/** Who made a call that `guardRoutes` let through. */
export function actorOf(request: FastifyRequest): Actor {
  if (request.actor === undefined) throw new Error('the route asks for no permission')
  return request.actor
}
