/** Cards: what one is, and the reports that stop it. */
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance } from 'fastify'
import Type, { type Static } from 'typebox'
import { NO_SUCH_CARD } from '../../programme/changeCard.ts'
import { eventsIn } from '../../programme/cardLife.ts'
import { reportCard } from '../../programme/reportCard.ts'
import { REFERENCE_PATTERN, REPORTS } from '../../transaction/hotCardFile.ts'
import { done } from '../../ledger/programme/desk.ts'
import { readCardLife, type CardLife } from '../../ledger/programme/cards.ts'
import { formatAmount } from '../../money.ts'
import { jsonResponse } from '../problem.ts'
import {
  answerCommand,
  answerRead,
  CARD_STATES,
  CardIdSchema,
  etag,
  readProblems,
  versionSeen,
  writeProblems,
  WriteHeaders,
  type ProgrammeParts,
} from './command.ts'

const closed = { additionalProperties: false }
const Instant = Type.Union([Type.String(), Type.Null()], { description: 'RFC 3339, UTC' })
const Day = Type.Union([Type.String(), Type.Null()], { description: 'a date in Cairo' })

export const CardSchema = Type.Object(
  {
    cardId: CardIdSchema,
    number: Type.String({ description: 'masked' }),
    state: Type.Enum([...CARD_STATES]),
    role: Type.Enum(['head', 'member', 'old']),
    version: Type.Integer(),
    expires: Type.String({ description: 'YYYY-MM, good to the end of that month' }),
    householdId: Type.Integer(),
    personId: Type.Union([Type.Integer(), Type.Null()]),
    pinSet: Type.Boolean(),
    placeId: Type.Union([Type.String(), Type.Null()]),
    orderedAt: Instant,
    printedAt: Instant,
    noticeReceivedAt: Instant,
    namedPlaceUntil: Day,
    diwanUntil: Day,
    handedOverAt: Instant,
    replaces: Type.Union([CardIdSchema, Type.Null()]),
    reason: Type.Union([Type.String(), Type.Null()]),
    fee: Type.String({ description: 'what it costs its holder, EGP' }),
    feePaid: Type.Union([Type.Enum(['counter', 'cash']), Type.Null()], {
      description: 'how that was paid; null: not, or nothing is to be paid',
    }),
    dueDay: Day,
    endedAt: Instant,
    possibleEvents: Type.Array(Type.String(), { description: 'what can happen to it in this state' }),
  },
  {
    ...closed,
    examples: [
      {
        cardId: 'pW3bq0kJx7T1u5mYc2Zr8A',
        number: '981802******0018',
        state: 'ACTIVE',
        role: 'head',
        version: 3,
        expires: '2029-12',
        householdId: 100000001,
        personId: 10000000101,
        pinSet: true,
        placeId: 'post-03-1',
        orderedAt: '2026-11-22T08:00:00.000Z',
        printedAt: '2026-11-24T08:00:00.000Z',
        noticeReceivedAt: '2026-11-25T08:00:00.000Z',
        namedPlaceUntil: '2026-12-25',
        diwanUntil: '2027-01-25',
        handedOverAt: '2026-11-30T08:00:00.000Z',
        replaces: null,
        reason: 'new',
        fee: '0.00',
        feePaid: null,
        dueDay: null,
        endedAt: null,
        possibleEvents: [
          'pin_reported_lost',
          'reported_lost',
          'reported_stolen',
          'reported_damaged',
          'expired',
          'renewed',
          'holder_died',
        ],
      },
    ],
  },
)

/** A card as the API shows it. */
export function shownCard(card: CardLife): Static<typeof CardSchema> {
  const instant = (ms: number | null): string | null => (ms === null ? null : new Date(ms).toISOString())
  return {
    cardId: card.token,
    number: card.masked,
    state: card.state,
    role: card.role,
    version: card.version,
    expires: `20${card.expiry.slice(0, 2)}-${card.expiry.slice(2)}`,
    householdId: card.householdId,
    personId: card.personId,
    pinSet: card.pinSet,
    placeId: card.placeId,
    orderedAt: instant(card.orderedAtMs),
    printedAt: instant(card.printedAtMs),
    noticeReceivedAt: instant(card.toldAtMs),
    namedPlaceUntil: card.namedPlaceUntil,
    diwanUntil: card.diwanUntil,
    handedOverAt: instant(card.handedOverAtMs),
    replaces: card.replaces,
    reason: card.reason,
    fee: formatAmount(card.fee),
    feePaid: card.feePaid,
    dueDay: card.dueDay,
    endedAt: instant(card.endedAtMs),
    possibleEvents: eventsIn(card.state),
  }
}

const ReportSchema = Type.Object(
  {
    what: Type.Enum([...REPORTS], { description: 'lost, stolen, damaged or pin-lost' }),
    reference: Type.Optional(
      Type.String({
        pattern: REFERENCE_PATTERN,
        description:
          'the number of the call or police report, 1 to 64 characters of A-Z a-z 0-9 / _ -, no number of 11 digits or more',
      }),
    ),
  },
  { ...closed, examples: [{ what: 'lost', reference: 'CALL-2026-118' }] },
)

const CardParams = Type.Object({ cardId: CardIdSchema }, closed)

export function cardRoutes(app: FastifyInstance, parts: ProgrammeParts): void {
  const routes = app.withTypeProvider<TypeBoxTypeProvider>()

  routes.get(
    '/v1/cards/:cardId',
    {
      config: { permission: 'card:read' },
      schema: {
        summary: 'A card: its state, where and until when it is collected, what can happen to it',
        tags: ['cards'],
        params: CardParams,
        response: { 200: jsonResponse('The card; ETag is its version', CardSchema), ...readProblems() },
      },
    },
    (request, reply) =>
      answerRead(parts, reply, async (tx) => {
        const card = await readCardLife(tx, request.params.cardId)
        if (card === undefined) return NO_SUCH_CARD
        void reply.header('etag', etag(card.version))
        return done(shownCard(card))
      }),
  )

  routes.post(
    '/v1/cards/:cardId/reports',
    {
      config: { permission: 'card:report' },
      schema: {
        summary: 'Lost, stolen, damaged, or its PIN lost: from the next message on nothing more goes through',
        tags: ['cards'],
        params: CardParams,
        headers: WriteHeaders,
        body: ReportSchema,
        response: { 200: jsonResponse('The card as it is now', CardSchema), ...writeProblems({ 404: 'There is no such card' }) },
      },
    },
    (request, reply) => {
      const { cardId } = request.params
      const { what, reference } = request.body
      return answerCommand(parts, request, reply, {
        action: 'card.report',
        subject: `card ${cardId}`,
        detail: { what, ...(reference === undefined ? {} : { reference }) },
        work: async (tx) => {
          const reported = await reportCard(tx, { token: cardId, what, version: versionSeen(request) })
          return reported.ok ? done(shownCard(reported.value)) : reported
        },
      })
    },
  )
}
