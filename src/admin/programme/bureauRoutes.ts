/** For whoever makes cards: what is embossed on one, and that it is printed. */
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance } from 'fastify'
import Type from 'typebox'
import { readCardLife, writeCardLife, writeCardState, lockCard } from '../../ledger/programme/cards.ts'
import { done, refused, type Outcome } from '../../ledger/programme/desk.ts'
import { cairoDay } from '../../clock.ts'
import { NO_SUCH_CARD } from '../../programme/changeCard.ts'
import { embossingOf } from '../../programme/embossing.ts'
import { addCollectionNotice } from '../../programme/notices/cardNotices.ts'
import { parametersOn } from '../../programmeParameters.ts'
import { actorOf } from '../access/guard.ts'
import { jsonResponse } from '../problem.ts'
import { CardSchema, shownCard } from './cardRoutes.ts'
import {
  answerCommand,
  CardIdSchema,
  readProblems,
  sendRefusal,
  sendTrouble,
  versionSeen,
  writeProblems,
  WriteHeaders,
  type ProgrammeParts,
} from './command.ts'

const closed = { additionalProperties: false }
const CardParams = Type.Object({ cardId: CardIdSchema }, closed)
const Digits = (digits: number, description: string) => Type.String({ pattern: `^\\d{${String(digits)}}$`, description })

const EmbossingSchema = Type.Object(
  {
    cardId: CardIdSchema,
    number: Type.String({ description: 'the card number, in the clear: not to be stored or logged' }),
    expires: Type.String({ description: 'MM/YY' }),
    sequenceNumber: Digits(2, "of the chip's application (EMV tag 5F34)"),
    values: Type.Optional(
      Type.Object(
        {
          stripe: Type.Object({ serviceCode: Digits(3, 'of track 2'), cvv: Digits(3, 'of track 2') }, closed),
          chip: Type.Object({ icvv: Digits(3, 'of the track 2 equivalent data (EMV tag 57)') }, closed),
          printed: Type.Object({ cvv2: Digits(3, 'on the signature panel') }, closed),
        },
        { ...closed, description: 'card verification values; absent where cards of this range have none' },
      ),
    ),
  },
  {
    ...closed,
    examples: [
      {
        cardId: 'pW3bq0kJx7T1u5mYc2Zr8A',
        number: '9818060000000014',
        expires: '12/29',
        sequenceNumber: '00',
        values: { stripe: { serviceCode: '201', cvv: '123' }, chip: { icvv: '456' }, printed: { cvv2: '789' } },
      },
    ],
  },
)

const NOT_ORDERED = refused('conflict', 'not-to-be-printed', 'Only a card that is ORDERED and not printed yet is made.')

function toBePrinted({ state, printedAtMs }: { readonly state: string; readonly printedAtMs: number | null }): Outcome<unknown> {
  if (state !== 'ORDERED') return NOT_ORDERED
  return printedAtMs === null
    ? done({})
    : refused('conflict', 'already-printed', 'The card has been reported as printed already.')
}

export function bureauRoutes(app: FastifyInstance, parts: ProgrammeParts): void {
  const routes = app.withTypeProvider<TypeBoxTypeProvider>()
  const { config, desk, vault, hsm } = parts

  routes.get(
    '/v1/cards/:cardId/embossing',
    {
      config: { permission: 'card:print' },
      schema: {
        summary: 'What is embossed and written on a card that was ordered: its number in the clear. Each look is on record',
        tags: ['cards'],
        params: CardParams,
        response: {
          200: jsonResponse('Not to be stored', EmbossingSchema),
          ...readProblems({ 409: 'The card is not ordered (any more), or printed already' }),
        },
      },
    },
    async (request, reply) => {
      const { cardId } = request.params
      void reply.header('cache-control', 'no-store')
      try {
        const outcome = await desk.run({
          actor: actorOf(request),
          action: 'card.embossing',
          subject: `card ${cardId}`,
          work: async (tx) => {
            const card = await readCardLife(tx, cardId)
            if (card === undefined) return NO_SUCH_CARD
            const may = toBePrinted(card)
            return may.ok ? embossingOf(tx, card, { vault, hsm, security: config.security }) : may
          },
        })
        if (outcome.ok) void reply.send(outcome.value)
        else sendRefusal(reply, outcome.refusal)
      } catch (error) {
        sendTrouble(reply, error)
      }
      return reply
    },
  )

  routes.post(
    '/v1/cards/:cardId/printed',
    {
      config: { permission: 'card:print' },
      schema: {
        summary:
          'The card is printed and on its way to its place: the head of household is told where and how long to collect it',
        tags: ['cards'],
        params: CardParams,
        headers: WriteHeaders,
        response: { 200: jsonResponse('The card as it is now', CardSchema), ...writeProblems({ 404: 'There is no such card' }) },
      },
    },
    (request, reply) => {
      const { cardId } = request.params
      return answerCommand(parts, request, reply, {
        action: 'card.printed',
        subject: `card ${cardId}`,
        work: async (tx) => {
          const card = await lockCard(tx, cardId)
          if (card === undefined) return NO_SUCH_CARD
          const version = versionSeen(request)
          if (version !== undefined && version !== card.version)
            return refused(
              'stale',
              'card-changed',
              `The card was changed meanwhile: it is at version ${String(card.version)}. Look again.`,
            )
          const may = toBePrinted(card)
          if (!may.ok) return may
          const { placeId, state, personId, householdId } = card
          if (placeId === null) return refused('conflict', 'no-place', 'It is not known where the card is to be collected.')
          // The same state: the version is another one.
          await writeCardState(tx, cardId, state, {})
          await writeCardLife(tx, cardId, { printed_at: new Date(tx.nowMs).toISOString(), next_day: null })
          await tx.emit({ kind: 'card.printed', cardToken: cardId, personId, householdId, data: { placeId } })
          await addCollectionNotice(tx, card, placeId, parametersOn(config.programme, cairoDay(tx.nowMs)).cards)
          const changed = await readCardLife(tx, cardId)
          return changed === undefined ? NO_SUCH_CARD : done(shownCard(changed))
        },
      })
    },
  )
}
