/** Cards of a person or household, and where they are to be collected. */
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance } from 'fastify'
import Type from 'typebox'
import { readCardsOfHousehold, readCardsOfPerson } from '../../ledger/programme/cards.ts'
import { done } from '../../ledger/programme/desk.ts'
import { readHousehold } from '../../ledger/programme/households.ts'
import { findPersonId, readPerson } from '../../ledger/programme/persons.ts'
import { nationalIdToken } from '../../personalData.ts'
import { collectionsOf } from '../../programme/collections.ts'
import { parseNationalId } from '../../programme/identity.ts'
import { NO_SUCH_HOUSEHOLD, NO_SUCH_PERSON } from '../../programme/members.ts'
import { jsonResponse } from '../problem.ts'
import { CardSchema, shownCard } from './cardRoutes.ts'
import { answerRead, CARD_STATES, CardIdSchema, readProblems, type ProgrammeParts } from './command.ts'
import { pageSchema } from './paging.ts'
import { HouseholdParams, PersonParams } from './personShown.ts'
import { FindSchema } from './personRoutes.ts'
import { PlaceSchema } from './placeRoutes.ts'

const closed = { additionalProperties: false }

const CollectionSchema = Type.Object(
  {
    cardId: CardIdSchema,
    number: Type.String({ description: 'masked' }),
    state: Type.Enum([...CARD_STATES]),
    personId: Type.Integer(),
    collectedBy: Type.Enum(['holder', 'head']),
    periods: Type.Array(
      Type.Object(
        { place: PlaceSchema, until: Type.Union([Type.String(), Type.Null()], { description: 'last day; null: not known yet' }) },
        closed,
      ),
      { description: 'one place after the other' },
    ),
  },
  closed,
)

export function collectionRoutes(app: FastifyInstance, parts: ProgrammeParts): void {
  const routes = app.withTypeProvider<TypeBoxTypeProvider>()
  const { programme, lookupKey } = parts.config
  const cardsAnswer = { 200: jsonResponse('All of them, the oldest first', pageSchema(CardSchema)), ...readProblems() }

  routes.get(
    '/v1/persons/:personId/cards',
    {
      config: { permission: 'card:read' },
      schema: {
        summary: 'Cards of a person, those that have ended too',
        tags: ['cards'],
        params: PersonParams,
        response: cardsAnswer,
      },
    },
    (request, reply) =>
      answerRead(parts, reply, async (tx) => {
        const personId = Number(request.params.personId)
        if ((await readPerson(tx, personId)) === undefined) return NO_SUCH_PERSON
        return done({ items: (await readCardsOfPerson(tx, personId)).map(shownCard), next: null })
      }),
  )

  routes.get(
    '/v1/households/:householdId/cards',
    {
      config: { permission: 'card:read' },
      schema: {
        summary: 'Cards of a household: its members’ and the old ration card',
        tags: ['cards'],
        params: HouseholdParams,
        response: cardsAnswer,
      },
    },
    (request, reply) =>
      answerRead(parts, reply, async (tx) => {
        const householdId = Number(request.params.householdId)
        if ((await readHousehold(tx, householdId)) === undefined) return NO_SUCH_HOUSEHOLD
        return done({ items: (await readCardsOfHousehold(tx, householdId)).map(shownCard), next: null })
      }),
  )

  routes.post(
    '/v1/collections/find',
    {
      config: { permission: 'collection:read' },
      schema: {
        summary: 'Where and until when the cards of somebody are collected; for the head those of the children too',
        tags: ['cards'],
        body: FindSchema,
        response: {
          200: jsonResponse('Cards on their way', pageSchema(CollectionSchema)),
          ...readProblems({ 413: 'The body is too large', 415: 'Not application/json', 422: 'No national ID' }),
        },
      },
    },
    (request, reply) =>
      answerRead(parts, reply, async (tx) => {
        const nationalId = parseNationalId(request.body.nationalId, tx.nowMs, '/nationalId')
        if (!nationalId.ok) return nationalId
        const personId = await findPersonId(tx, nationalIdToken(nationalId.value, lookupKey))
        const person = personId === undefined ? undefined : await readPerson(tx, personId)
        if (person === undefined) return NO_SUCH_PERSON
        return done({ items: await collectionsOf(tx, programme, person), next: null })
      }),
  )
}
