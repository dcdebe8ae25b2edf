/** How many requests a minute: of an address, of whoever a token names, and with tokens that are not good. Each process counts what comes to it. */
import rateLimit from '@fastify/rate-limit'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { HttpSettings } from '../httpSettings.ts'

export interface AccessLimits {
  /** Counts one. @returns the seconds to wait where it was one too many */
  caller(request: FastifyRequest): Promise<number | undefined>
  failedTokens(request: FastifyRequest): Promise<number | undefined>
}

const WINDOW_MS = 60_000

/** To be called before the routes are added. Of an address everything is counted, but for routes that say otherwise. */
export async function accessLimits(app: FastifyInstance, settings: HttpSettings): Promise<AccessLimits> {
  const { requestsPerMinutePerAddress, requestsPerMinutePerCaller, failedTokensPerMinutePerAddress } = settings
  await app.register(rateLimit, {
    global: requestsPerMinutePerAddress > 0,
    max: requestsPerMinutePerAddress,
    timeWindow: WINDOW_MS,
  })
  const perCaller = limiter(app, requestsPerMinutePerCaller, (request) => request.actor?.name ?? '')
  const perAddress = limiter(app, failedTokensPerMinutePerAddress, (request) => request.ip)
  return { caller: (request) => perCaller(request), failedTokens: (request) => perAddress(request) }
}

function limiter(
  app: FastifyInstance,
  max: number,
  keyGenerator: (request: FastifyRequest) => string,
): (request: FastifyRequest) => Promise<number | undefined> {
  if (max === 0) return () => Promise.resolve(undefined)
  const count = app.createRateLimit({ max, timeWindow: WINDOW_MS, keyGenerator })
  return async (request) => {
    const counted = await count(request)
    return counted.isAllowed || !counted.isExceeded ? undefined : counted.ttlInSeconds
  }
}
