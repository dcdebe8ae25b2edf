/** At the counter: a card is handed over to its holder, and a PIN that was blocked or forgotten is set anew. */
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance } from 'fastify'
import Type from 'typebox'
import { done } from '../../ledger/programme/desk.ts'
import { handOver, setPin, type HandoverContext } from '../../programme/handOver.ts'
import { countingIdentities } from '../../programme/identityCheck.ts'
import { actorOf } from '../access/guard.ts'
import { jsonResponse } from '../problem.ts'
import { CardSchema, shownCard } from './cardRoutes.ts'
import { answerCommand, CardIdSchema, versionSeen, writeProblems, WriteHeaders, type ProgrammeParts } from './command.ts'
import { FingerprintReferenceSchema, identityMembers, pinMembers, PlaceIdSchema } from './identitySchema.ts'

const closed = { additionalProperties: false }
const CardParams = Type.Object({ cardId: CardIdSchema }, closed)

const example = {
  nationalId: '28005170101234',
  mobile: '01012345678',
  placeId: 'post-03-1',
  pinBlock: '0412AC89ABCDEF67',
}

const HandoverSchema = Type.Object(
  { ...identityMembers, placeId: PlaceIdSchema, ...pinMembers, fingerprintReference: FingerprintReferenceSchema },
  { ...closed, examples: [{ ...example, fingerprintReference: 'enr-2026-000118' }] },
)

const PinSchema = Type.Object({ ...identityMembers, placeId: PlaceIdSchema, ...pinMembers }, { ...closed, examples: [example] })

const problems = writeProblems({
  403: 'The token has no role for this, or is of another place',
  404: 'There is no such card',
  409: 'It cannot be done as things are: the state of the card, a period that is over, a fee that was not paid; or the Idempotency-Key came before',
  422: 'What was given is wrong, and which member: place, national ID, mobile, who came, PIN block',
  429: 'Too many wrong identities; Retry-After says in how many seconds to go on',
})

export function handoverRoutes(app: FastifyInstance, parts: ProgrammeParts): void {
  const routes = app.withTypeProvider<TypeBoxTypeProvider>()
  const { config, hsm, vault } = parts
  const { programme, lookupKey, security, http } = config
  const context: HandoverContext = { programme, lookupKey, hsm, vault, security, pin: http.pin }

  routes.post(
    '/v1/cards/:cardId/handover',
    {
      config: { permission: 'card:handover' },
      schema: {
        summary: 'A card is handed over to its holder, who chooses a PIN: it is active at once',
        tags: ['cards'],
        params: CardParams,
        headers: WriteHeaders,
        body: HandoverSchema,
        response: { 200: jsonResponse('The card as it is now', CardSchema), ...problems },
      },
    },
    (request, reply) => {
      const actor = actorOf(request)
      const { cardId } = request.params
      const { placeId, fingerprintReference, collectedBy } = request.body
      return answerCommand(parts, request, reply, {
        action: 'card.handover',
        subject: `card ${cardId}`,
        detail: { placeId, fingerprintReference, byHead: collectedBy !== undefined },
        ...countingIdentities(context, actor),
        work: async (tx) => {
          const handed = await handOver(tx, context, actor, { ...request.body, token: cardId, version: versionSeen(request) })
          return handed.ok ? done(shownCard(handed.value)) : handed
        },
      })
    },
  )

  routes.post(
    '/v1/cards/:cardId/pin',
    {
      config: { permission: 'card:pin' },
      schema: {
        summary: 'A new PIN at a post office, for a card whose PIN was blocked or lost: it is active again',
        tags: ['cards'],
        params: CardParams,
        headers: WriteHeaders,
        body: PinSchema,
        response: { 200: jsonResponse('The card as it is now', CardSchema), ...problems },
      },
    },
    (request, reply) => {
      const actor = actorOf(request)
      const { cardId } = request.params
      const { placeId, collectedBy } = request.body
      return answerCommand(parts, request, reply, {
        action: 'card.pin',
        subject: `card ${cardId}`,
        detail: { placeId, byHead: collectedBy !== undefined },
        ...countingIdentities(context, actor),
        work: async (tx) => {
          const set = await setPin(tx, context, actor, { ...request.body, token: cardId, version: versionSeen(request) })
          return set.ok ? done(shownCard(set.value)) : set
        },
      })
    },
  )
}
