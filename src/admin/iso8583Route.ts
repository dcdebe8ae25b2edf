/** `POST /iso8583`: one message's bytes in, its answer's bytes out, over the same `answerMessage` as the links. */
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance, FastifyReply } from 'fastify'
import Type from 'typebox'
import { answerMessage, type MessageOutcome, type MessageParts } from '../answerMessage.ts'
import type { MessageLink } from '../settings.ts'
import { SENDING } from './access/guard.ts'
import type { HttpSettings } from './httpSettings.ts'
import { decode } from '../iso8583/decode.ts'
import { messageSpec, SPEC_NAMES, type MessageSpec } from '../iso8583/messageSpec.ts'
import { OVER_HTTP } from '../transaction/origin.ts'
import { withPatience } from './patience.ts'
import { namedProblem, OUTCOME_UNKNOWN, plainProblem, problemResponses, sendProblem, type Problem } from './problem.ts'

const OCTETS = 'application/octet-stream'

const QuerySchema = Type.Object(
  {
    spec: Type.Optional(
      Type.Enum(['ascii', 'bcd', 'hex'], {
        default: 'ascii',
        description: 'ascii, bcd or hex: the dialect of ISO 8583:1987 that the message is written in',
      }),
    ),
  },
  { additionalProperties: false },
)

/** An echo request and its answer in the dialect `hex`, which a person can type. */
const ECHO = '0800822000000000000004000000000000001122151200000001301'
const ECHO_ANSWER = '081082200000020000000400000000000000112215120000000100301'

const bytesSchema = (example: string) =>
  Type.Unsafe<Buffer>({ contentMediaType: OCTETS, description: 'An echo (DE 70 is 301) where spec is hex', examples: [example] })

const DESCRIPTION = `One message without any frame header. The dialects are those of the links: \`ascii\` (ASCII fields, binary bitmap), \`bcd\`
(BCD fields, binary bitmap) and \`hex\` (ASCII fields, bitmap as hexadecimal text, so that a message can be typed):

    printf '${ECHO}' |
      curl --data-binary @- -H 'Content-Type: application/octet-stream' 'http://127.0.0.1:8080/iso8583?spec=hex'

A decision is status 200 whatever its response code (DE 39) is, a format error (30) included where MTI, trace number and terminal could be
read. After 504 the outcome is unknown: reverse.`

export function iso8583Route(app: FastifyInstance, parts: MessageParts, settings: HttpSettings): void {
  // Messages that come this way have a key space of their own.
  const link: MessageLink = {
    name: 'http',
    keyTime: 'transmission',
    ...(settings.pin === undefined ? {} : { pin: settings.pin }),
  }
  const specs = new Map(SPEC_NAMES.map((name) => [name, messageSpec(name)]))
  void app.register((scope, _options, done) => {
    scope.removeAllContentTypeParsers()
    scope.addContentTypeParser(OCTETS, { parseAs: 'buffer' }, (_request, body, parsed) => {
      parsed(null, body)
    })
    scope.withTypeProvider<TypeBoxTypeProvider>().post('/iso8583', { schema: schema(), config: SENDING }, (request, reply) => {
      const spec = specs.get(request.query.spec ?? 'ascii')
      const frame: unknown = request.body
      if (spec === undefined || !Buffer.isBuffer(frame)) {
        sendProblem(reply, plainProblem(415, `A message comes as ${OCTETS}.`))
        return
      }
      const done = withPatience<MessageOutcome>(parts.clock, settings.requestMs, (outcome) => {
        sendOutcome(reply, outcome, () => unreadable(spec, frame))
      })
      answerMessage(parts, link, spec, frame, OVER_HTTP, done)
    })
    done()
  })
}

function sendOutcome(reply: FastifyReply, outcome: MessageOutcome | undefined, whyClose: () => Problem): void {
  if (outcome === undefined || outcome.kind === 'silent') sendProblem(reply, OUTCOME_UNKNOWN)
  else if (outcome.kind === 'answer') void reply.type(OCTETS).send(outcome.bytes)
  else sendProblem(reply, whyClose())
}

/** Why a message cannot be answered, found by reading it once more: rare, so that the way of all others has nothing to carry. */
function unreadable(spec: MessageSpec, frame: Buffer): Problem {
  const decoded = decode(spec, frame)
  const title = 'The message cannot be answered'
  if (!decoded.ok) {
    const { code, path, offset, expected, found } = decoded.error
    const detail = `${code} at ${path}, byte ${String(offset)}: expected ${expected}, found ${found}`
    return namedProblem('message-unreadable', { title, status: 400, detail, errors: [{ path, offset, expected, found }] })
  }
  const { mti } = decoded.message
  if (Number(mti.charAt(2)) % 2 === 0)
    return plainProblem(500, 'The answer cannot be written. The outcome is not known: reverse.')
  const fault = { path: 'MTI', offset: 0, expected: 'a request or an advice', found: mti }
  return namedProblem('message-not-a-request', { title, status: 400, detail: `MTI ${mti} asks for nothing`, errors: [fault] })
}

function schema() {
  return {
    summary: 'One ISO 8583 message',
    description: DESCRIPTION,
    tags: ['transactions'],
    consumes: [OCTETS],
    querystring: QuerySchema,
    body: {
      content: { [OCTETS]: { schema: bytesSchema(ECHO) } },
    },
    response: {
      200: {
        description: "The answer's bytes, in the same dialect",
        content: { [OCTETS]: { schema: bytesSchema(ECHO_ANSWER) } },
      },
      ...problemResponses({
        400: 'The message cannot be answered: which data element, at which byte, what was expected',
        413: 'The message is too large',
        415: 'Not application/octet-stream',
        429: 'Too many requests from this address',
        503: 'The switch is stopping: nothing was posted',
        504: 'The outcome is not known: reverse',
      }),
    },
  }
}
