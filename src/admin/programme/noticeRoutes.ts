/** Notices for the hotline, which calls whoever could not be told, and for operators, who send dead ones again. */
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance } from 'fastify'
import Type, { type Static } from 'typebox'
import { TO_THE_HEAD } from '../../programme/notices/cardNotices.ts'
import { readNotice, readNotices, reviveNotice, type Notice } from '../../ledger/programme/notices.ts'
import { done, refused } from '../../ledger/programme/desk.ts'
import { noticeText, type NoticeTexts } from '../../noticeTemplates.ts'
import { jsonResponse } from '../problem.ts'
import {
  answerCommand,
  answerRead,
  CardIdSchema,
  readProblems,
  writeProblems,
  WriteHeaders,
  type ProgrammeParts,
} from './command.ts'

const closed = { additionalProperties: false }
const Nullable = <T extends Type.TSchema>(schema: T) => Type.Union([schema, Type.Null()])
const Instant = Type.Union([Type.String(), Type.Null()], { description: 'RFC 3339, UTC' })

const NoticeSchema = Type.Object(
  {
    noticeId: Type.Integer(),
    at: Type.String({ description: 'when it was written, RFC 3339, UTC' }),
    template: Type.String(),
    language: Type.Enum(['ar', 'en']),
    text: Type.String({ description: 'what is sent' }),
    personId: Nullable(Type.Integer()),
    cardId: Nullable(CardIdSchema),
    number: Nullable(Type.String({ description: 'of the card, masked' })),
    state: Type.Enum(['pending', 'sent', 'delivered', 'failed', 'dead']),
    attempts: Type.Integer({ description: 'since it was last sent on purpose' }),
    nextAttemptAt: Instant,
    sentAt: Instant,
    deliveredAt: Instant,
    reason: Nullable(
      Type.String({
        description:
          'why it failed or is dead: no-mobile, no-recipient, recipient-died, not-delivered, no-receipt, http-<status>, ...',
      }),
    ),
  },
  {
    ...closed,
    examples: [
      {
        noticeId: 17,
        at: '2026-11-24T08:00:00.000Z',
        template: 'destroyed',
        language: 'en',
        text: 'The card ending 0018 was not collected in time and has been destroyed. Questions: 15999.',
        personId: 10000000101,
        cardId: 'pW3bq0kJx7T1u5mYc2Zr8A',
        number: '981806******0018',
        state: 'dead',
        attempts: 1,
        nextAttemptAt: null,
        sentAt: null,
        deliveredAt: null,
        reason: 'no-mobile',
      },
    ],
  },
)

const NoticeListSchema = Type.Object({ items: Type.Array(NoticeSchema), next: Nullable(Type.String()) }, closed)

const NoticeQuery = Type.Object(
  {
    state: Type.Optional(
      Type.Enum(['pending', 'sent', 'delivered', 'failed', 'dead'], { description: 'pending, sent, delivered, failed or dead' }),
    ),
    personId: Type.Optional(Type.String({ pattern: '^[1-9]\\d{0,14}$', description: "a person's id" })),
    cursor: Type.Optional(Type.String({ pattern: '^[A-Za-z0-9_-]{1,32}$', description: '`next` of the page before' })),
    limit: Type.Optional(Type.String({ pattern: '^([1-9]\\d?|1\\d\\d|200)$', description: 'a number from 1 to 200 (50)' })),
  },
  closed,
)

const NoticeParams = Type.Object(
  { noticeId: Type.String({ pattern: '^[1-9]\\d{0,14}$', description: 'a number of a notice', examples: ['118'] }) },
  closed,
)

const PAGE = 50
const NO_SUCH_NOTICE = refused('not-found', 'no-such-notice', 'There is no such notice.')
const BAD_CURSOR = refused('invalid', 'bad-cursor', 'Not a cursor of this list; begin without one.', 'cursor')

export function noticeRoutes(app: FastifyInstance, parts: ProgrammeParts): void {
  const routes = app.withTypeProvider<TypeBoxTypeProvider>()
  const { texts } = parts.config.noticeDelivery

  routes.get(
    '/v1/notices',
    {
      config: { permission: 'notice:read' },
      schema: {
        summary: 'What people were told, newest first; the dead ones have nobody who knows',
        tags: ['notices'],
        querystring: NoticeQuery,
        response: { 200: jsonResponse('A page of notices', NoticeListSchema), ...readProblems({ 422: 'The cursor is none' }) },
      },
    },
    (request, reply) => {
      const { state, personId, cursor, limit = String(PAGE) } = request.query
      return answerRead(parts, reply, async (tx) => {
        const before = cursor === undefined ? undefined : idIn(cursor)
        if (Number.isNaN(before)) return BAD_CURSOR
        const count = Number(limit)
        const found = await readNotices(tx, {
          state,
          personId: personId === undefined ? undefined : Number(personId),
          before,
          limit: count + 1,
        })
        const page = found.slice(0, count)
        const last = page.at(-1)
        return done({
          items: page.map((notice) => shownNotice(notice, texts)),
          next: found.length > count && last !== undefined ? cursorOf(last.id) : null,
        })
      })
    },
  )

  routes.post(
    '/v1/notices/:noticeId/retry',
    {
      config: { permission: 'notice:retry' },
      schema: {
        summary: 'Sends a dead notice again, when its reason is mended: the mobile is known now, the provider works again',
        tags: ['notices'],
        params: NoticeParams,
        headers: WriteHeaders,
        response: {
          200: jsonResponse('The notice as it is now', NoticeSchema),
          ...writeProblems({ 404: 'There is no such notice', 409: 'It is not dead, or it has no recipient' }),
        },
      },
    },
    (request, reply) => {
      const id = Number(request.params.noticeId)
      return answerCommand(parts, request, reply, {
        action: 'notice.retry',
        subject: `notice ${String(id)}`,
        work: async (tx) => {
          const revived = await reviveNotice(tx, id, TO_THE_HEAD)
          const notice = await readNotice(tx, id)
          if (notice === undefined) return NO_SUCH_NOTICE
          if (!revived) return refused('conflict', 'notice-not-dead', 'Only a notice that is dead and somebody’s is sent again.')
          return done(shownNotice(notice, texts))
        },
      })
    },
  )
}

function shownNotice(notice: Notice, texts: NoticeTexts): Static<typeof NoticeSchema> {
  const { id, at, template, language, parameters, personId, cardToken, masked, state, attempts, reason } = notice
  return {
    noticeId: id,
    at: at.toISOString(),
    template,
    language,
    text: noticeText(texts, template, language, parameters),
    personId,
    cardId: cardToken,
    number: masked,
    state,
    attempts,
    nextAttemptAt: notice.nextAttemptAt?.toISOString() ?? null,
    sentAt: notice.sentAt?.toISOString() ?? null,
    deliveredAt: notice.deliveredAt?.toISOString() ?? null,
    reason,
  }
}

function cursorOf(id: number): string {
  return Buffer.from(`n${String(id)}`).toString('base64url')
}

/** @returns NaN where it is no cursor of ours */
function idIn(cursor: string): number {
  return Number(/^n([1-9]\d{0,14})$/.exec(Buffer.from(cursor, 'base64url').toString('latin1'))?.[1] ?? NaN)
}
