/** Asks every call under /v1 for a token with a role that may make it. Deny by default: a route that names no permission cannot be registered. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Actor } from '../../ledger/programme/desk.ts'
import { errorText, type Logger } from '../../log.ts'
import { plainProblem, sendProblem } from '../problem.ts'
import type { AccessLimits } from './limits.ts'
import { mayDo, type Permission } from './roles.ts'
import { TokensUnavailable, type TokenVerifier } from './tokens.ts'

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

export interface GuardParts {
  readonly tokens: TokenVerifier
  readonly production: boolean
  /** Counts of the last minute, of this process. */
  readonly limits: AccessLimits
  readonly log: Logger
}

/** To be called before the routes are added. */
export function guardRoutes(app: FastifyInstance, { tokens, production, limits, log }: GuardParts): void {
  app.decorateRequest('actor', undefined)
  app.addHook('onRoute', ({ url, config, schema }) => {
    const { permission, openInDevelopment } = config ?? {}
    if (permission === undefined && /^\/v1(\/|$)/.test(url))
      throw new Error(`route ${url} says not who may call it (config.permission)`)
    if (schema !== undefined) Object.assign(schema, { security: schema.security ?? securityOf(permission, openInDevelopment) })
  })
  app.addHook('onRequest', async (request, reply) => {
    const { permission, openInDevelopment } = request.routeOptions.config
    if (permission === undefined || permission === 'none') return
    if (openInDevelopment === true && !production && request.headers.authorization === undefined) return
    const [, token] = /^Bearer +([\w.~+/-]+=*)$/i.exec(request.headers.authorization ?? '') ?? []
    let actor
    try {
      actor = token === undefined ? undefined : await tokens.verify(token)
    } catch (error) {
      if (!(error instanceof TokensUnavailable)) throw error
      log.warn({ error: errorText(error.cause ?? error) }, 'tokens cannot be verified')
      void reply.header('retry-after', '5')
      sendProblem(reply, plainProblem(503, 'Tokens cannot be verified now. Nothing was done; try again.'))
      return reply
    }
    if (actor === undefined) {
      if (token === undefined) return refuse(reply, '')
      const failed = await limits.failedTokens(request)
      if (failed === undefined) return refuse(reply, ', error="invalid_token"')
      log.warn({ remote: request.ip, reason: 'tokens that are not good' }, 'an address is held up')
      return tooMany(reply, failed, 'Too many tokens that are not good came from this address')
    }
    if (!mayDo(actor.roles, permission)) {
      sendProblem(reply, plainProblem(403, `None of your roles may do this: it needs ${permission}.`))
      return reply
    }
    request.actor = actor
    const tooFast = permission === SENDING.permission ? undefined : await limits.caller(request)
    return tooFast === undefined ? undefined : tooMany(reply, tooFast, 'Too many requests of this caller')
  })
}

/** As OpenAPI has it: one of these is needed. */
function securityOf(permission: Permission | 'none' | undefined, openInDevelopment = false): { readonly bearer?: string[] }[] {
  if (permission === undefined || permission === 'none') return []
  return openInDevelopment ? [{ bearer: [] }, {}] : [{ bearer: [] }]
}

function tooMany(reply: FastifyReply, seconds: number, what: string): FastifyReply {
  void reply.header('retry-after', String(seconds))
  sendProblem(reply, plainProblem(429, `${what}; Retry-After says in how many seconds to go on.`))
  return reply
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
