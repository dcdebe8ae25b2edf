/**
 * How long the whole of a request may take to arrive. Node's server knows one time for all calls; one that takes a large file needs longer, so that here each call
 * has its own and the server's is the longest.
 */
import type { FastifyInstance } from 'fastify'
import { answerAndClose } from './errorHandling.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Milliseconds for the whole of a request; absent: the server's. */
    arrivesWithinMs?: number
  }
}

/** To be called before the routes are added. */
export function limitArrival(app: FastifyInstance, requestMs: number): void {
  app.server.headersTimeout = requestMs
  app.addHook('onRoute', ({ config }) => {
    app.server.requestTimeout = Math.max(app.server.requestTimeout, config?.arrivesWithinMs ?? 0)
  })
  app.addHook('onRequest', (request, _reply, next) => {
    const { raw, routeOptions } = request
    const hasBody = raw.headers['content-length'] !== undefined || raw.headers['transfer-encoding'] !== undefined
    if (hasBody) {
      const timer = setTimeout(() => {
        if (!raw.complete && !raw.socket.destroyed) answerAndClose(raw.socket, 408)
      }, routeOptions.config.arrivesWithinMs ?? requestMs)
      raw.once('close', () => {
        clearTimeout(timer)
      })
    }
    next()
  })
}
