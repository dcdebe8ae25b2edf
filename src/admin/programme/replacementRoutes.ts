/** A card in the place of another one, and the order that is withdrawn. */
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance } from 'fastify'
import Type from 'typebox'
import type { CardLife } from '../../ledger/programme/cards.ts'
import { done, refused, type Actor, type Outcome } from '../../ledger/programme/desk.ts'
import type { OrderContext } from '../../programme/orderCard.ts'
import { orderRenewal, orderReplacement, withdrawOrder } from '../../programme/replaceCard.ts'
import { actorOf } from '../access/guard.ts'
import { mayDo } from '../access/roles.ts'
import { jsonResponse } from '../problem.ts'
import { CardSchema, shownCard } from './cardRoutes.ts'
import { answerCommand, CardIdSchema, versionSeen, writeProblems, WriteHeaders, type ProgrammeParts } from './command.ts'
import { PlaceIdSchema } from './identitySchema.ts'

const closed = { additionalProperties: false }
const CardParams = Type.Object({ cardId: CardIdSchema }, closed)

const payment = Type.Enum(['counter', 'cash'], {
  description: "counter: paid to a post clerk; cash: taken from the holder's cash purse",
})

const ReplacementSchema = Type.Object(
  { placeId: PlaceIdSchema, payment },
  {
    ...closed,
    examples: [{ placeId: 'post-03-1', payment: 'cash' }],
  },
)
const RenewalSchema = Type.Object(
  { placeId: PlaceIdSchema, payment: Type.Optional(payment) },
  {
    ...closed,
    examples: [{ placeId: 'post-03-1', payment: 'counter' }],
  },
)
const WithdrawalSchema = Type.Object({}, { ...closed, examples: [{}] })

const problems = writeProblems({
  403: 'The token has no role for this; a fee at the counter is taken by a post clerk only',
  404: 'There is no such card',
  409: 'It cannot be done as things are: the state of the card, one under way already, too little in the purse; or the Idempotency-Key came before',
})

export function replacementRoutes(app: FastifyInstance, parts: ProgrammeParts): void {
  const routes = app.withTypeProvider<TypeBoxTypeProvider>()
  const { config, vault } = parts
  const context: OrderContext = { programme: config.programme, lookupKey: config.lookupKey, vault }

  routes.post(
    '/v1/cards/:cardId/replacement',
    {
      config: { permission: 'card:replace' },
      schema: {
        summary: 'A new card in the place of one that was reported lost, stolen or damaged; its fee is paid with this',
        tags: ['cards'],
        params: CardParams,
        headers: WriteHeaders,
        body: ReplacementSchema,
        response: {
          201: jsonResponse('The new card: it is ordered, dueDay is when it is printed at the latest', CardSchema),
          ...problems,
        },
      },
    },
    (request, reply) => {
      const { cardId } = request.params
      const { placeId, payment: paid } = request.body
      return answerCommand(
        parts,
        request,
        reply,
        {
          action: 'card.replacement',
          subject: `card ${cardId}`,
          detail: { placeId, payment: paid },
          work: async (tx) => {
            const allowed = mayTake(actorOf(request), paid)
            if (!allowed.ok) return allowed
            const asked = { token: cardId, version: versionSeen(request), placeId, payment: paid }
            return shown(await orderReplacement(tx, context, asked))
          },
          audit: ({ cardId: made }) => ({ detail: { ordered: made } }),
        },
        201,
      )
    },
  )

  routes.post(
    '/v1/cards/:cardId/renewal',
    {
      config: { permission: 'card:replace' },
      schema: {
        summary:
          'A new card in the place of one that is about to expire or has expired; where it has a fee, that is paid with this',
        tags: ['cards'],
        params: CardParams,
        headers: WriteHeaders,
        body: RenewalSchema,
        response: {
          201: jsonResponse('The new card: it is ordered, dueDay is when it is printed at the latest', CardSchema),
          ...problems,
        },
      },
    },
    (request, reply) => {
      const { cardId } = request.params
      const { placeId, payment: paid } = request.body
      return answerCommand(
        parts,
        request,
        reply,
        {
          action: 'card.renewal',
          subject: `card ${cardId}`,
          detail: { placeId, ...(paid === undefined ? {} : { payment: paid }) },
          work: async (tx) => {
            const allowed = mayTake(actorOf(request), paid)
            if (!allowed.ok) return allowed
            const asked = { token: cardId, version: versionSeen(request), placeId, payment: paid }
            return shown(await orderRenewal(tx, context, asked))
          },
          audit: ({ cardId: made }) => ({ detail: { ordered: made } }),
        },
        201,
      )
    },
  )

  routes.post(
    '/v1/cards/:cardId/withdrawal',
    {
      config: { permission: 'card:withdraw' },
      schema: {
        summary: 'An order is withdrawn before its card was handed over; a fee that was paid is given back to where it came from',
        tags: ['cards'],
        params: CardParams,
        headers: WriteHeaders,
        body: WithdrawalSchema,
        response: { 200: jsonResponse('The card as it is now', CardSchema), ...problems },
      },
    },
    (request, reply) => {
      const { cardId } = request.params
      return answerCommand(parts, request, reply, {
        action: 'card.withdrawal',
        subject: `card ${cardId}`,
        work: async (tx) => shown(await withdrawOrder(tx, cardId, versionSeen(request))),
      })
    },
  )
}

function mayTake(actor: Actor, paid: 'counter' | 'cash' | undefined): Outcome<null> {
  return paid !== 'counter' || mayDo(actor.roles, 'card:fee')
    ? done(null)
    : refused(
        'forbidden',
        'counter-needs-clerk',
        'A fee at the counter is taken by a post clerk only; cash takes it from the purse.',
        '/payment',
      )
}

function shown(card: Outcome<CardLife>): Outcome<ReturnType<typeof shownCard>> {
  return card.ok ? done(shownCard(card.value)) : card
}
