/** Cards are ordered: one, or a file of many. */
import type { Readable } from 'node:stream'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance } from 'fastify'
import Type, { type Static } from 'typebox'
import { readBulkOrder, readBulkRows, type BulkOrder } from '../../ledger/programme/cardOrders.ts'
import { readCardLife } from '../../ledger/programme/cards.ts'
import { done, refused } from '../../ledger/programme/desk.ts'
import { readPlace } from '../../ledger/programme/places.ts'
import { takeBulkOrder } from '../../programme/bulkOrder.ts'
import { NO_SUCH_CARD } from '../../programme/changeCard.ts'
import { orderCard } from '../../programme/orderCard.ts'
import { actorOf } from '../access/guard.ts'
import { jsonResponse } from '../problem.ts'
import { CardSchema, shownCard } from './cardRoutes.ts'
import {
  answerCommand,
  answerRead,
  readProblems,
  sendRefusal,
  sendTrouble,
  writeKeyOf,
  writeProblems,
  WriteHeaders,
  type ProgrammeParts,
} from './command.ts'
import { numberAfter, PageQuery, pageOf, pageSchema, pageStart } from './paging.ts'
import { PersonParams } from './personShown.ts'
import { PlaceIdSchema } from './placeRoutes.ts'

const closed = { additionalProperties: false }
const tags = ['card orders']

const OrderSchema = Type.Object({ placeId: PlaceIdSchema }, { ...closed, examples: [{ placeId: 'post-03-1' }] })

const BulkOrderSchema = Type.Object(
  {
    orderId: Type.String(),
    rows: Type.Integer({ description: 'that are done' }),
    accepted: Type.Integer(),
    refused: Type.Integer(),
    complete: Type.Boolean({ description: 'false: send the same file again under the same key, it goes on' }),
    begunAt: Type.String(),
    completedAt: Type.Union([Type.String(), Type.Null()]),
  },
  {
    ...closed,
    examples: [
      {
        orderId: 'Yk3bq0kJx7T1u5mYc2Zr8A',
        rows: 100000,
        accepted: 99988,
        refused: 12,
        complete: true,
        begunAt: '2026-12-01T08:00:00.000Z',
        completedAt: '2026-12-01T08:00:40.000Z',
      },
    ],
  },
)

const TextOrNull = Type.Union([Type.String(), Type.Null()])
const BulkRowSchema = Type.Object(
  {
    row: Type.Integer({ description: 'from 1 on; the line with the names of columns is none' }),
    cardId: TextOrNull,
    reason: Type.Union([Type.String(), Type.Null()], { description: 'why it was refused: a name that does not change' }),
    field: TextOrNull,
    detail: TextOrNull,
  },
  {
    ...closed,
    examples: [
      { row: 17, cardId: null, reason: 'not-a-national-id', field: 'national_id', detail: 'A national ID has 14 digits.' },
    ],
  },
)

const OrderIdSchema = Type.String({
  pattern: '^[A-Za-z0-9_-]{22}$',
  description: 'an order id, 22 characters',
  examples: ['b7Jx2Qv0kT1u5mYc2Zr8AW'],
})
const OrderParams = Type.Object({ orderId: OrderIdSchema }, closed)
const NO_SUCH_ORDER = refused('not-found', 'no-such-order', 'There is no such order.')

export function orderRoutes(app: FastifyInstance, parts: ProgrammeParts): void {
  const routes = app.withTypeProvider<TypeBoxTypeProvider>()
  const context = { programme: parts.config.programme, lookupKey: parts.config.lookupKey, vault: parts.vault }

  routes.post(
    '/v1/persons/:personId/cards',
    {
      config: { permission: 'card:order' },
      schema: {
        summary: 'A first card for a person, to be collected at a place',
        tags,
        params: PersonParams,
        headers: WriteHeaders,
        body: OrderSchema,
        response: { 201: jsonResponse('The card', CardSchema), ...writeProblems({ 404: 'There is no such person' }) },
      },
    },
    (request, reply) => {
      const personId = Number(request.params.personId)
      const { placeId } = request.body
      return answerCommand(
        parts,
        request,
        reply,
        {
          action: 'card.order',
          subject: `person ${String(personId)}`,
          detail: { placeId },
          work: async (tx) => {
            if ((await readPlace(tx, placeId)) === undefined)
              return refused('invalid', 'no-such-place', 'There is no such place.', '/placeId')
            const ordered = await orderCard(tx, context, { personId, placeId, reason: 'new' })
            if (!ordered.ok) return ordered
            const card = await readCardLife(tx, ordered.value.token)
            return card === undefined ? NO_SUCH_CARD : done(shownCard(card))
          },
          audit: ({ cardId }) => ({ detail: { cardId } }),
        },
        201,
      )
    },
  )

  routes.get(
    '/v1/card-orders/:orderId',
    {
      config: { permission: 'card:order' },
      schema: {
        summary: 'How far a file of orders is',
        tags,
        params: OrderParams,
        response: { 200: jsonResponse('The order', BulkOrderSchema), ...readProblems() },
      },
    },
    (request, reply) =>
      answerRead(parts, reply, async (tx) => {
        const order = await readBulkOrder(tx, request.params.orderId)
        return order === undefined ? NO_SUCH_ORDER : done(shownOrder(order))
      }),
  )

  routes.get(
    '/v1/card-orders/:orderId/rows',
    {
      config: { permission: 'card:order' },
      schema: {
        summary: 'What became of its rows, in their order',
        tags,
        params: OrderParams,
        querystring: Type.Object(
          { ...PageQuery, outcome: Type.Optional(Type.Enum(['accepted', 'refused'], { description: 'accepted or refused' })) },
          closed,
        ),
        response: { 200: jsonResponse('Rows', pageSchema(BulkRowSchema)), ...readProblems() },
      },
    },
    (request, reply) =>
      answerRead(parts, reply, async (tx) => {
        const { orderId } = request.params
        if ((await readBulkOrder(tx, orderId)) === undefined) return NO_SUCH_ORDER
        const page = pageStart(request.query)
        const found = await readBulkRows(tx, orderId, {
          after: numberAfter(page),
          outcome: request.query.outcome,
          limit: page.look,
        })
        return done(pageOf(found, page, ({ row }) => String(row)))
      }),
  )

  // Of this call alone the body is handed on as it comes.
  void app.register((files, _options, registered) => {
    files.removeAllContentTypeParsers()
    files.addContentTypeParser(['text/csv', 'application/x-ndjson'], (_request, body, parsed) => {
      parsed(null, body)
    })
    bulkRoute(files, parts)
    registered()
  })
}

function bulkRoute(files: FastifyInstance, parts: ProgrammeParts): void {
  const { programme, lookupKey, cardOrders } = parts.config
  const context = { programme, lookupKey, vault: parts.vault }
  files.post(
    '/v1/card-orders',
    {
      config: { permission: 'card:order', arrivesWithinMs: cardOrders.arrivesWithinMs },
      // A stream is nothing to validate; its rows are.
      validatorCompiler: () => () => true,
      schema: {
        summary: 'A file of orders, a row a person: national_id, place_id, and mobile where one is to be registered',
        description:
          'UTF-8, with or without a byte order mark; commas or semicolons; Arabic digits are taken. Each row is accepted or refused on its own. Where the sending ' +
          'breaks off, the same file under the same Idempotency-Key goes on behind the last rows that are done.',
        tags,
        headers: WriteHeaders,
        consumes: ['text/csv', 'application/x-ndjson'],
        body: {
          content: {
            'text/csv': { schema: Type.String({ examples: ['national_id,place_id\n28005170300015,post-03-1\n'] }) },
            'application/x-ndjson': {
              schema: Type.String({ examples: ['{"national_id":"28005170300015","place_id":"post-03-1"}\n'] }),
            },
          },
        },
        response: { 201: jsonResponse('The whole file is done', BulkOrderSchema), ...writeProblems() },
      },
    },
    async (request, reply) => {
      const key = writeKeyOf(request, reply, parts)
      if (key === undefined) return reply
      const format = /^application\/x-ndjson\b/i.test(request.headers['content-type'] ?? '') ? 'ndjson' : 'csv'
      try {
        const outcome = await takeBulkOrder(parts.desk, context, cardOrders, {
          actor: actorOf(request),
          key,
          format,
          // What is refused before its end is still answered.
          bytes: (request.body as Readable).iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>,
        })
        if (outcome.ok) void reply.code(201).send(shownOrder(outcome.value))
        else sendRefusal(reply.header('connection', 'close'), outcome.refusal)
      } catch (error) {
        // Whoever has gone gets no answer; the rows that are done are done.
        if (!request.raw.destroyed || request.raw.complete) sendTrouble(reply, error)
      }
      return reply
    },
  )
}

function shownOrder({
  orderId,
  rows,
  accepted,
  refused: notAccepted,
  begunAt,
  completedAt,
}: BulkOrder): Static<typeof BulkOrderSchema> {
  return {
    orderId,
    rows,
    accepted,
    refused: notAccepted,
    complete: completedAt !== null,
    begunAt: new Date(begunAt).toISOString(),
    completedAt: completedAt === null ? null : new Date(completedAt).toISOString(),
  }
}
