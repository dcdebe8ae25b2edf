/** Where the provider of notices reports that one was delivered, or was not. It has no token: each report is signed (programme/notices/signature.ts). */
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import Type from 'typebox'
import { receiveReceipt } from '../../programme/notices/receipts.ts'
import { isSigned, SIGNATURE_HEADER, TIMESTAMP_HEADER } from '../../programme/notices/signature.ts'
import { invalidRequest, plainProblem, problemResponses, sendProblem } from '../problem.ts'
import { sendRefusal, sendTrouble, type ProgrammeParts } from './command.ts'

const INSTANT = '^\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}:\\d{2}(\\.\\d{1,9})?(Z|[+-]\\d{2}:\\d{2})$'
const AT_EXPECTED = 'RFC 3339, such as 2026-11-25T08:00:00Z'

const ReceiptSchema = Type.Object(
  {
    reference: Type.String({
      pattern: '^[\\x21-\\x7e]{1,128}$',
      description: 'what the provider answered when it took the notice',
    }),
    state: Type.Enum(['delivered', 'failed'], { description: 'delivered or failed' }),
    at: Type.String({ pattern: INSTANT, description: AT_EXPECTED }),
  },
  { additionalProperties: false, examples: [{ reference: 'SM-2026-000118', state: 'delivered', at: '2026-11-25T08:00:00Z' }] },
)

/** Bodies as they came over the wire: what is signed. */
const bodies = new WeakMap<FastifyRequest, Buffer>()

export function receiptRoutes(app: FastifyInstance, parts: ProgrammeParts): void {
  // A scope of its own: only here a body is kept as it came.
  void app.register((scope, _options, ready) => {
    const parse = scope.getDefaultJsonParser('error', 'error')
    scope.removeContentTypeParser('application/json')
    scope.addContentTypeParser<Buffer>('application/json', { parseAs: 'buffer' }, (request, body, parsed) => {
      bodies.set(request, body)
      void parse(request, body.toString('utf8'), parsed)
    })
    receiptRoute(scope, parts)
    ready()
  })
}

function receiptRoute(scope: FastifyInstance, parts: ProgrammeParts): void {
  const { config, desk, clock } = parts
  const { receiptWindowMs } = config.notices
  const { secret } = config.noticeDelivery
  scope.withTypeProvider<TypeBoxTypeProvider>().post(
    '/v1/notice-receipts',
    {
      config: { permission: 'none' },
      schema: {
        summary: 'A delivery report: that of a notice which names a place begins the time for collection',
        description:
          'Signed: x-sarf-timestamp has seconds since 1970, x-sarf-signature `sha256=` and the HMAC-SHA256 of timestamp, full stop and body, ' +
          'hexadecimal. The same report may come as often as it likes.',
        tags: ['notices'],
        headers: Type.Object({
          [TIMESTAMP_HEADER]: Type.Optional(Type.String({ description: 'seconds since 1970' })),
          [SIGNATURE_HEADER]: Type.Optional(Type.String({ description: 'sha256= and 64 hexadecimal digits' })),
        }),
        body: ReceiptSchema,
        response: {
          204: { description: 'Taken, or known already', type: 'null' },
          ...problemResponses({
            400: 'The request is not what this call takes: which member, and what was expected',
            401: 'The signature is not good, or too old',
            404: 'No notice has this reference (yet): send the report again later',
            413: 'The body is too large',
            415: 'Not application/json',
            422: 'The time cannot be right',
            429: 'Too many requests',
            503: 'The ledger cannot be reached: send the report again',
            504: 'The outcome is not known: send the report again',
          }),
        },
      },
      // Before the body is looked at: who cannot sign learns nothing of it.
      preValidation: async (request, reply) => {
        const body = bodies.get(request) ?? Buffer.alloc(0)
        const { [TIMESTAMP_HEADER]: timestamp, [SIGNATURE_HEADER]: signature } = request.headers
        const signed = { body, timestamp: String(timestamp), signature: String(signature) }
        if (secret !== undefined && isSigned(signed, secret, clock.now(), receiptWindowMs)) return undefined
        sendProblem(reply, plainProblem(401, `A report is signed in ${SIGNATURE_HEADER}, not long ago (${TIMESTAMP_HEADER}).`))
        return reply
      },
    },
    async (request, reply) => {
      const { reference, state, at } = request.body
      const atMs = Date.parse(at)
      if (Number.isNaN(atMs)) {
        sendProblem(reply, invalidRequest([{ path: '/at', expected: AT_EXPECTED }]))
        return reply
      }
      try {
        const outcome = await receiveReceipt({ desk, config }, { reference, state, atMs })
        if (outcome.ok) void reply.code(204).send(null)
        else sendRefusal(reply, outcome.refusal)
      } catch (error) {
        sendTrouble(reply, error)
      }
      return reply
    },
  )
}
