/** The audit trail. */
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance } from 'fastify'
import Type from 'typebox'
import { listAuditRecords, type AuditRecord } from '../../ledger/programme/auditRecords.ts'
import { done } from '../../ledger/programme/desk.ts'
import { jsonResponse } from '../problem.ts'
import { answerRead, readProblems, type ProgrammeParts } from './command.ts'
import { numberAfter, PageQuery, pageOf, pageSchema, pageStart } from './paging.ts'

const closed = { additionalProperties: false }

const AuditRecordSchema = Type.Object(
  {
    number: Type.Integer(),
    at: Type.String({ description: 'RFC 3339, UTC' }),
    actor: Type.String(),
    roles: Type.Array(Type.String()),
    action: Type.String(),
    subject: Type.String(),
    outcome: Type.Enum(['done', 'refused']),
    detail: Type.Object(
      {},
      { additionalProperties: true, description: 'what was asked for, and `refused`: why it was not done' },
    ),
    hash: Type.String({ description: 'SHA-256 of this record and the hash of the one before it, hexadecimal' }),
  },
  {
    ...closed,
    examples: [
      {
        number: 118,
        at: '2026-11-22T08:00:00.000Z',
        actor: 'agent-7',
        roles: ['hotline-agent'],
        action: 'card.report',
        subject: 'card pW3bq0kJx7T1u5mYc2Zr8A',
        outcome: 'done',
        detail: { what: 'lost' },
        hash: '5f1d7a0e6b110f3a1c526c1e4b9e9a505f1d7a0e6b110f3a1c526c1e4b9e9a50',
      },
    ],
  },
)

const ListQuery = Type.Object(
  {
    ...PageQuery,
    subject: Type.Optional(
      Type.String({
        pattern: '^[a-z][a-z-]{0,19} [A-Za-z0-9._:-]{1,64}$',
        description: 'what it is about: card <cardId>, household 12',
      }),
    ),
    actor: Type.Optional(
      Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9._@:-]{0,63}$', description: 'who did it: the subject of the token' }),
    ),
  },
  closed,
)

export function auditRoutes(app: FastifyInstance, parts: ProgrammeParts): void {
  app.withTypeProvider<TypeBoxTypeProvider>().get(
    '/v1/audit-records',
    {
      config: { permission: 'audit:read' },
      schema: {
        summary: 'Who did what, and what was refused: the latest first',
        tags: ['audit'],
        querystring: ListQuery,
        response: { 200: jsonResponse('A page of records', pageSchema(AuditRecordSchema)), ...readProblems() },
      },
    },
    (request, reply) =>
      answerRead(parts, reply, async (tx) => {
        const { subject, actor, ...paging } = request.query
        const page = pageStart(paging)
        const before = page.after === '' ? undefined : numberAfter(page)
        const records = await listAuditRecords(tx, { subject, actor, before, limit: page.look })
        const { items, next } = pageOf(records, page, ({ number }) => String(number))
        return done({ items: items.map(shownRecord), next })
      }),
  )
}

function shownRecord({ at, roles, detail, ...same }: AuditRecord): Record<string, unknown> {
  return {
    ...same,
    at: at.toISOString(),
    roles: roles.split(' ').filter((role) => role !== ''),
    detail: JSON.parse(detail) as unknown,
  }
}
