/**
 * Turns whatever goes wrong into a problem. What a caller sent is never said again: the errors of parsers and validators quote it, and it
 * may hold a card number.
 */
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest, FastifyServerOptions } from 'fastify'
import { errorText, type Logger } from '../log.ts'
import { KEY_EXPECTED } from './idempotencyKey.ts'
import { invalidRequest, plainProblem, PROBLEM_TYPE, sendProblem, type Problem, type ProblemFault } from './problem.ts'

export function handleErrors(app: FastifyInstance, log: Logger, bodyBytesMax: number): void {
  app.setNotFoundHandler((_request, reply) => {
    sendProblem(reply, plainProblem(404, 'There is no such call; /docs lists them.'))
  })
  app.setErrorHandler((error: FastifyError, request, reply) => {
    const problem = problemOf(error, bodyBytesMax)
    if (problem.status >= 500)
      log.error({ path: request.routeOptions.url ?? '', error: errorText(error) }, 'fault in an HTTP call')
    sendProblem(reply, problem)
  })
}

/** What fails before there is a route: a path that cannot be decoded. */
export function answerFrameworkError(_error: FastifyError, _request: FastifyRequest, reply: FastifyReply): void {
  sendProblem(reply, plainProblem(400, 'The path cannot be read.'))
}

/** What fails before there is a request: bytes that are not HTTP, or that come too slowly. */
export const answerClientError: NonNullable<FastifyServerOptions['clientErrorHandler']> = (error, socket) => {
  if (error.code === 'ECONNRESET' || socket.destroyed) return
  const status = CLIENT_ERROR_STATUS[error.code] ?? 400
  const problem = plainProblem(status)
  const body = JSON.stringify(problem)
  const head = `HTTP/1.1 ${status} ${problem.title}\r\nContent-Type: ${PROBLEM_TYPE}\r\nContent-Length: ${body.length}\r\nConnection: close`
  if (socket.writable) socket.write(`${head}\r\n\r\n${body}`)
  socket.destroySoon()
}

/** Codes of Node.js and its HTTP parser. */
const CLIENT_ERROR_STATUS: Readonly<Record<string, number>> = { ERR_HTTP_REQUEST_TIMEOUT: 408, HPE_HEADER_OVERFLOW: 431 }

function problemOf(error: FastifyError, bodyBytesMax: number): Problem {
  const { validation, validationContext, statusCode = 500 } = error
  if (validation?.[0] !== undefined) return invalidRequest([faultOf(validation[0], validationContext)])
  switch (statusCode) {
    case 400:
      return invalidRequest([{ path: '', expected: 'a body that is JSON, an object' }])
    case 413:
      return plainProblem(413, `A body may have ${bodyBytesMax} bytes.`)
    case 415:
      return plainProblem(
        415,
        'POST /iso8583 takes application/octet-stream, other calls application/json, unless /docs says otherwise.',
      )
    case 429:
      return plainProblem(429, 'Too many requests from this address; Retry-After says in how many seconds to go on.')
    default:
      return statusCode >= 400 && statusCode < 500 ? plainProblem(statusCode) : plainProblem(500, 'A fault of the switch.')
  }
}

/** An error of Ajv, which the server runs with `verbose`: `parentSchema` is ours, `data` and some of `params` are the caller's. */
type Violation = NonNullable<FastifyError['validation']>[number] & { readonly parentSchema?: Described }

interface Described {
  readonly description?: string
  readonly properties?: Readonly<Record<string, Described | undefined>>
}

function faultOf(violation: Violation, context: FastifyError['validationContext']): ProblemFault {
  const { keyword, instancePath, params, parentSchema, message } = violation
  if (context === 'headers') return headerFault(violation)
  const path = context === 'querystring' ? instancePath.slice(1) : instancePath
  const at = (name: unknown): string => (context === 'querystring' ? String(name) : `${path}/${String(name)}`)
  switch (keyword) {
    case 'required':
      return { path: at(params['missingProperty']), expected: 'to be there' }
    case 'additionalProperties':
      return { path: at(shownName(params['additionalProperty'])), expected: 'no such member' }
    case 'discriminator':
      return { path: at(params['tag']), expected: 'one of the kinds of transaction that /docs lists' }
    default:
      return { path, expected: parentSchema?.description ?? message ?? 'another value' }
  }
}

/** The only header that a call demands is the Idempotency-Key; what it may be says the call's schema. */
function headerFault({ parentSchema }: Violation): ProblemFault {
  const described = parentSchema?.properties?.['idempotency-key'] ?? parentSchema
  return { path: 'Idempotency-Key', expected: described?.description ?? KEY_EXPECTED }
}

/** A name that a caller made up is shown only where it can be nothing but a name. */
function shownName(name: unknown): string {
  return typeof name === 'string' && /^[A-Za-z_]{1,32}$/.test(name) ? name : '*'
}
