/** The HTTP server: transactions for callers who have no terminal link, health and measurements for operators. */
import helmet from '@fastify/helmet'
import Fastify, { type FastifyInstance } from 'fastify'
import type { MessageParts } from '../answerMessage.ts'
import type { Config } from '../config.ts'
import type { Metrics } from '../metrics.ts'
import { guardRoutes } from './access/guard.ts'
import { accessLimits } from './access/limits.ts'
import { tokenVerifier } from './access/tokens.ts'
import { apiDocs } from './apiDocs.ts'
import { limitArrival } from './arrival.ts'
import { authorizationRoute } from './authorizationRoute.ts'
import { answerClientError, answerFrameworkError, handleErrors } from './errorHandling.ts'
import { healthRoutes, type HealthParts } from './healthRoutes.ts'
import { iso8583Route } from './iso8583Route.ts'
import { lazySchemas } from './lazySchemas.ts'
import { plainProblem, sendProblem } from './problem.ts'
import type { ProgrammeParts } from './programme/command.ts'
import { programmeRoutes } from './programme/routes.ts'

export interface HttpServerParts extends MessageParts, HealthParts, ProgrammeParts {
  readonly config: Config
  readonly metrics: Metrics
  /** Absent: all are compiled before the server listens. */
  readonly schemas?: SchemaCompilation | undefined
}

export type SchemaCompilation = 'at start' | 'at first use'

export interface HttpServer {
  readonly port: number
  /** Whether new connections are for this process or, among workers, for the others only. */
  takeConnections(taking: boolean): void
  /** Takes no new work; resolves when what is in flight has been answered. After `withinMs` the connections are dropped. */
  close(withinMs: number): Promise<void>
}

/** @throws the error of the port that could not be had */
export async function startHttpServer(parts: HttpServerParts): Promise<HttpServer> {
  const { config, clock } = parts
  const app = createApp(config.http, parts.schemas)
  let stopping = false
  app.addHook('onRequest', (_request, reply, next) => {
    if (stopping) sendProblem(reply, plainProblem(503, 'The switch is stopping. Nothing was posted.'))
    else next()
  })
  app.addHook('onSend', (_request, reply, _payload, next) => {
    // A connection that is kept alive would keep the server from closing.
    if (stopping) void reply.header('connection', 'close')
    next()
  })
  await addCalls(app, parts)
  try {
    await app.listen({ host: config.host, port: config.http.port })
  } catch (error) {
    await app.close()
    throw error
  }
  return {
    port: portOf(app) ?? config.http.port,
    takeConnections(taking) {
      app.server.maxConnections = taking ? Infinity : 0
    },
    async close(withinMs) {
      stopping = true
      const cancel = clock.after(withinMs, () => {
        app.server.closeAllConnections()
      })
      await app.close()
      cancel()
    },
  }
}

/** Everything that can be called, and what holds for all of it. */
export async function addCalls(app: FastifyInstance, parts: HttpServerParts): Promise<void> {
  const { config, clock, log } = parts
  handleErrors(app, log, config.http.bodyBytesMax)
  limitArrival(app, config.http.requestMs)
  await protect(app)
  const limits = await accessLimits(app, config.http)
  await apiDocs(app)
  guardRoutes(app, { tokens: await tokenVerifier(config.access, clock), production: config.production, limits, log })
  healthRoutes(app, parts)
  iso8583Route(app, parts, config.http)
  authorizationRoute(app, parts)
  programmeRoutes(app, parts)
}

function portOf(app: FastifyInstance): number | undefined {
  const address = app.server.address()
  return address === null || typeof address === 'string' ? undefined : address.port
}

/** Without its calls and not listening: fuzzing injects requests into one. */
export function createApp(settings: HttpServerParts['config']['http'], schemas: SchemaCompilation = 'at start'): FastifyInstance {
  return Fastify({
    bodyLimit: settings.bodyBytesMax,
    /** For the whole of a request to arrive. */
    requestTimeout: settings.requestMs,
    // Ours is a problem (RFC 9457).
    return503OnClosing: false,
    frameworkErrors: answerFrameworkError,
    clientErrorHandler: answerClientError,
    ...(schemas === 'at first use' ? { schemaController: lazySchemas() } : {}),
    // As strict as a message: nothing is converted or left out; one error is enough, and names its schema.
    ajv: {
      customOptions: {
        coerceTypes: false,
        removeAdditional: false,
        discriminator: true,
        verbose: true,
        keywords: ['x-examples'],
      },
    },
  })
}

async function protect(app: FastifyInstance): Promise<void> {
  await app.register(helmet, {
    contentSecurityPolicy: { useDefaults: false, directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] } },
  })
}
