/** `POST /v1/authorizations`: a transaction as JSON, decided by the same `authorize` as any message. */
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance, FastifyReply } from 'fastify'
import Type from 'typebox'
import type { Authorizer } from '../authorize.ts'
import type { Clock } from '../clock.ts'
import type { Config } from '../config.ts'
import type { AuthorizationResult } from '../response/result.ts'
import { OVER_HTTP } from '../transaction/origin.ts'
import { answerOf, AuthorizationAnswerSchema, problemOfResult, type Asked } from './authorizationAnswer.ts'
import { authorizationExamples } from './authorizationExamples.ts'
import { AuthorizationRequestSchema, transactionOf } from './authorizationRequest.ts'
import { SENDING } from './access/guard.ts'
import { KEY_EXPECTED, parseIdempotencyKey } from './idempotencyKey.ts'
import { withPatience } from './patience.ts'
import { invalidRequest, jsonResponse, problemResponses, sendProblem } from './problem.ts'

export interface AuthorizationRouteParts {
  readonly config: Pick<Config, 'lookupKey' | 'http' | 'security'>
  readonly authorizer: Authorizer
  readonly clock: Clock
}

/** Seconds after which a request that could not be decided is worth sending again (RFC 9110 section 10.2.3). */
const RETRY_AFTER = '1'

const DESCRIPTION = `The transactions of the ISO 8583 links as JSON. Amounts are strings in major units (\`"12.50"\`). Every decision is
status 200, approved or declined: read \`approved\` and \`responseCode\`.

\`Idempotency-Key\` makes a repeat harmless: the same key with the same body gets the stored answer (\`replayed\`), with another body 409. A key
counts per terminal and message class. It carries its date, because keys are kept per day: a UUIDv7, or \`YYYYMMDD-\` and up to 48 characters.

A card is verified as over any link: \`card.pinBlock\` is the PIN block under the PIN key that the switch has for HTTP, \`card.chipData\` what the chip
gave. The answer's \`chipData\` is for the chip, \`triesLeft\` says how many wrong PINs are left. Neither PIN block nor chip data are stored.

After 503 nothing was posted. After 504 or no answer at all the outcome is unknown: send the same request again, or a reversal that names
the key.`

export function authorizationRoute(app: FastifyInstance, parts: AuthorizationRouteParts): void {
  const { clock, config, authorizer } = parts
  void app.register((scope, _options, done) => {
    scope.removeContentTypeParser('text/plain')
    scope
      .withTypeProvider<TypeBoxTypeProvider>()
      .post('/v1/authorizations', { schema: schema(clock.now()), config: SENDING }, (request, reply) => {
        const key = parseIdempotencyKey(request.headers['idempotency-key'])
        if (key === undefined) {
          sendProblem(reply, invalidRequest([{ path: 'Idempotency-Key', expected: KEY_EXPECTED }]))
          return
        }
        const { lookupKey, security, http } = config
        const context = { lookupKey, profiles: security.profiles, pin: http.pin }
        const built = transactionOf(request.body, key, context)
        if (!built.ok) {
          sendProblem(reply, invalidRequest([built.fault]))
          return
        }
        const asked = { request: request.body, key, transaction: built.transaction }
        const respond = withPatience<AuthorizationResult | undefined>(clock, config.http.requestMs, (result) => {
          sendResult(reply, asked, result)
        })
        authorizer.submit(built.transaction, respond, OVER_HTTP)
      })
    done()
  })
}

function sendResult(reply: FastifyReply, asked: Asked, result: AuthorizationResult | undefined): void {
  const problem = problemOfResult(result)
  if (problem === undefined && result !== undefined) {
    void reply.send(answerOf(asked, result))
    return
  }
  if (result?.reason === 'cannot_decide') void reply.header('retry-after', RETRY_AFTER)
  if (problem !== undefined) sendProblem(reply, problem)
}

function schema(nowMs: number) {
  const { keys, requests } = authorizationExamples(nowMs)
  return {
    summary: 'One transaction as JSON',
    description: DESCRIPTION,
    tags: ['transactions'],
    headers: Type.Object({ 'idempotency-key': Type.String({ description: KEY_EXPECTED, examples: keys }) }),
    body: { ...AuthorizationRequestSchema, 'x-examples': requests },
    response: {
      200: jsonResponse('The decision', AuthorizationAnswerSchema),
      ...problemResponses({
        400: 'The request is not what this call takes: which member, and what was expected',
        409: 'The key came before with another body (response code 94)',
        413: 'The body is too large',
        415: 'Not application/json',
        422: "The key's date is too old or ahead",
        429: 'Too many requests from this address',
        500: 'A fault of the switch (response code 96)',
        503: 'The switch cannot decide now or is stopping (response code 91): nothing was posted',
        504: 'The outcome is not known: send it again with the same key, or reverse',
      }),
    },
  }
}
