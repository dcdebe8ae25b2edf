/** `GET /v1/events`: what happens, as it happens. */
import { Readable } from 'node:stream'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import Type from 'typebox'
import { errorText } from '../../log.ts'
import { lastEventNumber } from '../../ledger/programme/eventFeed.ts'
import { EVENT_KIND, type Interest } from '../../programme/toldEvents.ts'
import { actorOf } from '../access/guard.ts'
import { invalidRequest, plainProblem, sendProblem } from '../problem.ts'
import { CardIdSchema, readProblems, sendTrouble, type ProgrammeParts } from './command.ts'
import { eventStream, type EventStream } from './eventStream.ts'

const NUMBER_EXPECTED = 'the id of the last event that was seen: 1 to 15 digits'
const EventNumber = Type.String({ pattern: '^\\d{1,15}$', description: NUMBER_EXPECTED, examples: ['1041'] })

const EventQuery = Type.Object(
  {
    after: Type.Optional(EventNumber),
    kinds: Type.Optional(
      Type.String({
        pattern: `^${EVENT_KIND}(,${EVENT_KIND}){0,31}$`,
        description: 'kinds, or what they begin with up to a dot, separated by commas',
        examples: ['card,authorization.declined,entitlement'],
      }),
    ),
    cardId: Type.Optional(CardIdSchema),
  },
  { additionalProperties: false },
)
const EventHeaders = Type.Object({ 'last-event-id': Type.Optional(EventNumber) })

const EXAMPLE = [
  'retry: 2000',
  '',
  'id: 1041',
  'event: card.reported_lost',
  'data: {"id":1041,"kind":"card.reported_lost","at":"2026-11-22T09:30:00.000Z","cardId":"pW3bq0kJx7T1u5mYc2Zr8A","personId":10000000101,"householdId":100000001,"data":{"from":"ACTIVE","to":"LOST","what":"lost"}}',
  '',
  ': nothing new',
  '',
  '',
].join('\n')

export function eventRoutes(app: FastifyInstance, parts: ProgrammeParts): void {
  const streams = new Set<EventStream>()
  const byCaller = new Map<string, number>()
  parts.metrics.watch('sarf_event_streams', 'Streams of events that are open', () => streams.size)
  // A stream would keep the server from closing.
  app.addHook('preClose', (done) => {
    for (const stream of streams) stream.end()
    done()
  })

  app.withTypeProvider<TypeBoxTypeProvider>().get(
    '/v1/events',
    {
      config: { permission: 'event:read' },
      exposeHeadRoute: false,
      schema: {
        summary:
          'What happens, as it happens, as server-sent events; resumed with Last-Event-ID. Each at least once, for one card in order',
        tags: ['events'],
        querystring: EventQuery,
        headers: EventHeaders,
        response: {
          200: {
            description: 'A stream that ends with the token. Without a number it begins with what happens from now on',
            content: { 'text/event-stream': { schema: Type.String({ examples: [EXAMPLE] }) } },
          },
          ...readProblems({ 429: 'Too many streams, of this caller or in all', 503: 'The ledger cannot be reached' }),
        },
      },
    },
    async (request, reply) => {
      const { kinds, cardId, after } = request.query
      const interest: Interest = { kinds: kinds?.split(','), cardId }
      const seen = request.headers['last-event-id'] ?? after
      if (seen !== undefined && !(await isKnown(parts, reply, Number(seen), after === seen ? 'after' : 'Last-Event-ID')))
        return reply
      const { max, perCallerMax } = parts.config.events.streams
      if (streams.size >= max || (byCaller.get(actorOf(request).name) ?? 0) >= perCallerMax) {
        void reply.header('retry-after', '5')
        sendProblem(reply, plainProblem(429, 'There are too many streams of events, of yours or in all. End one of them first.'))
        return reply
      }
      return open(request, reply, interest, seen === undefined ? await presentNumber(parts) : Number(seen))
    },
  )

  function open(request: FastifyRequest, reply: FastifyReply, interest: Interest, after: number): FastifyReply {
    const { name, untilMs = Infinity } = actorOf(request)
    const stream = eventStream({
      hub: parts.events,
      settings: parts.config.events.streams,
      clock: parts.clock,
      interest,
      after,
      untilMs,
      onTold: (count) => {
        parts.metrics.told('stream', count)
      },
      onStalled: () => {
        // Without an end: the client is to see that it was broken off.
        reply.raw.destroy()
      },
    })
    const body = Readable.from(stream.text, { objectMode: true, highWaterMark: 1 })
    streams.add(stream)
    byCaller.set(name, (byCaller.get(name) ?? 0) + 1)
    body.once('error', (error) => {
      parts.log.warn({ stage: 'event stream', error: errorText(error) }, 'a stream of events was broken off')
    })
    body.once('close', () => {
      stream.end()
      streams.delete(stream)
      const left = (byCaller.get(name) ?? 1) - 1
      if (left > 0) byCaller.set(name, left)
      else byCaller.delete(name)
    })
    // Also where the client goes while nothing is being written.
    reply.raw.once('close', () => {
      body.destroy()
      stream.end()
    })
    return (
      reply
        .header('content-type', 'text/event-stream')
        .header('cache-control', 'no-store')
        .header('x-accel-buffering', 'no')
        // Kept alive after its end it would hold up a drain.
        .header('connection', 'close')
        .send(body)
    )
  }
}

/** From now on. Before the hub knows how far events are final it is the last number there is: what is under way then may be told or not. */
async function presentNumber({ desk, events }: Pick<ProgrammeParts, 'desk' | 'events'>): Promise<number> {
  return events.final > 0 ? events.final : desk.read(lastEventNumber)
}

/** A number that was never taken is of another database, or made up: whoever waits for it would miss all until then. */
async function isKnown({ desk }: ProgrammeParts, reply: FastifyReply, number: number, path: string): Promise<boolean> {
  try {
    if (number <= (await desk.read(lastEventNumber))) return true
    sendProblem(reply, invalidRequest([{ path, expected: 'the id of an event that there was' }]))
  } catch (error) {
    sendTrouble(reply, error)
  }
  return false
}
