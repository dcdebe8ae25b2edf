/** Persons: found by national ID, moved, covered, and what they want. */
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance } from 'fastify'
import Type from 'typebox'
import { refused } from '../../ledger/programme/desk.ts'
import { findPersonId } from '../../ledger/programme/persons.ts'
import { nationalIdToken } from '../../personalData.ts'
import { changeCover, changePerson } from '../../programme/changePerson.ts'
import { parseNationalId } from '../../programme/identity.ts'
import { NO_SUCH_PERSON } from '../../programme/members.ts'
import { moveMember } from '../../programme/moveMember.ts'
import { actorOf } from '../access/guard.ts'
import { mayDo } from '../access/roles.ts'
import { jsonResponse } from '../problem.ts'
import {
  answerCommand,
  answerRead,
  etag,
  readProblems,
  versionSeen,
  writeProblems,
  WriteHeaders,
  type ProgrammeParts,
} from './command.ts'
import {
  CoverSchema,
  GovernorateSchema,
  LanguageSchema,
  MobileSchema,
  NationalIdSchema,
  personAnswer,
  PersonParams,
  PersonSchema,
} from './personShown.ts'

const closed = { additionalProperties: false }
const tags = ['persons']
const idOf = Type.Integer({ minimum: 1, maximum: 999_999_999_999_999, description: 'an id, a number' })

export const FindSchema = Type.Object(
  { nationalId: NationalIdSchema },
  { ...closed, examples: [{ nationalId: '28005170300015' }] },
)

const PersonChangeSchema = Type.Object(
  {
    mobile: Type.Optional(Type.Union([MobileSchema, Type.Null()], { description: 'an Egyptian mobile, or null for none' })),
    language: Type.Optional(LanguageSchema),
    transactionNotices: Type.Optional(Type.Boolean({ description: 'true or false' })),
  },
  {
    ...closed,
    minProperties: 1,
    description: 'at least one of mobile, language, transactionNotices',
    examples: [{ mobile: '01112345678', transactionNotices: true }],
  },
)

const MoveSchema = Type.Object(
  {
    to: Type.Enum(['household', 'own-household', 'out'], { description: 'household, own-household or out' }),
    householdId: Type.Optional(idOf),
    governorate: Type.Optional(GovernorateSchema),
    newHead: Type.Optional(idOf),
    onRationList: Type.Optional(Type.Boolean({ description: 'true or false; absent: true' })),
    onBreadList: Type.Optional(Type.Boolean({ description: 'true or false; absent: true' })),
  },
  {
    ...closed,
    description: 'household takes householdId, own-household takes governorate; newHead where a head leaves others behind',
    examples: [{ to: 'household', householdId: 100000002 }],
  },
)

const CoverBody = Type.Union([CoverSchema, Type.Null()], {
  description: 'a class with its first and last day, or null for none',
  examples: [{ class: 'STANDARD', from: '2026-12-01', until: '2027-11-30' }],
})

export function personRoutes(app: FastifyInstance, parts: ProgrammeParts): void {
  const routes = app.withTypeProvider<TypeBoxTypeProvider>()
  const { vault, config } = parts
  const changed = {
    200: jsonResponse('The person as it is now', PersonSchema),
    ...writeProblems({ 404: 'There is no such person' }),
  }

  routes.post(
    '/v1/persons/find',
    {
      config: { permission: 'person:find' },
      schema: {
        summary: 'The person with a national ID, which goes into no address',
        tags,
        body: FindSchema,
        response: {
          200: jsonResponse('The person; ETag is the version', PersonSchema),
          ...readProblems({ 413: 'The body is too large', 415: 'Not application/json', 422: 'No national ID' }),
        },
      },
    },
    (request, reply) =>
      answerRead(parts, reply, async (tx) => {
        const nationalId = parseNationalId(request.body.nationalId, tx.nowMs, '/nationalId')
        if (!nationalId.ok) return nationalId
        const personId = await findPersonId(tx, nationalIdToken(nationalId.value, config.lookupKey))
        if (personId === undefined) return NO_SUCH_PERSON
        const shown = await personAnswer(tx, vault, personId)
        if (shown.ok) void reply.header('etag', etag(shown.value.version))
        return shown
      }),
  )

  routes.get(
    '/v1/persons/:personId',
    {
      config: { permission: 'household:read' },
      schema: {
        summary: 'A person',
        tags,
        params: PersonParams,
        response: { 200: jsonResponse('The person; ETag is the version', PersonSchema), ...readProblems() },
      },
    },
    (request, reply) =>
      answerRead(parts, reply, async (tx) => {
        const shown = await personAnswer(tx, vault, Number(request.params.personId))
        if (shown.ok) void reply.header('etag', etag(shown.value.version))
        return shown
      }),
  )

  routes.patch(
    '/v1/persons/:personId',
    {
      config: { permission: 'person:preferences' },
      schema: {
        summary: 'Mobile (with the role for it), language, a message after each transaction',
        tags,
        params: PersonParams,
        headers: WriteHeaders,
        body: PersonChangeSchema,
        response: changed,
      },
    },
    (request, reply) => {
      const personId = Number(request.params.personId)
      const mayMobile = mayDo(actorOf(request).roles, 'person:mobile')
      return answerCommand(parts, request, reply, {
        action: 'person.change',
        subject: `person ${String(personId)}`,
        detail: { changed: Object.keys(request.body) },
        work: async (tx) => {
          if (request.body.mobile !== undefined && !mayMobile)
            return refused(
              'forbidden',
              'no-role-for-mobile',
              'None of your roles may register a mobile: it needs person:mobile.',
              '/mobile',
            )
          const outcome = await changePerson(
            tx,
            { vault, lookupKey: config.lookupKey },
            { personId, version: versionSeen(request), change: request.body },
          )
          return outcome.ok ? personAnswer(tx, vault, personId) : outcome
        },
      })
    },
  )

  routes.put(
    '/v1/persons/:personId/cover',
    {
      config: { permission: 'cover:write' },
      schema: {
        summary: 'Health cover: from the next message on, on its days',
        tags,
        params: PersonParams,
        headers: WriteHeaders,
        body: CoverBody,
        response: changed,
      },
    },
    (request, reply) => {
      const personId = Number(request.params.personId)
      const cover = request.body
      return answerCommand(parts, request, reply, {
        action: 'person.cover',
        subject: `person ${String(personId)}`,
        detail: { cover },
        work: async (tx) => {
          const outcome = await changeCover(tx, { personId, version: versionSeen(request), cover })
          return outcome.ok ? personAnswer(tx, vault, personId) : outcome
        },
      })
    },
  )

  routes.post(
    '/v1/persons/:personId/move',
    {
      config: { permission: 'household:write' },
      schema: {
        summary:
          'To another household, to one of their own, or out; cash and cards go along, counts change from the next cycle on',
        tags,
        params: PersonParams,
        headers: WriteHeaders,
        body: MoveSchema,
        response: changed,
      },
    },
    (request, reply) => {
      const personId = Number(request.params.personId)
      return answerCommand(parts, request, reply, {
        action: 'person.move',
        subject: `person ${String(personId)}`,
        detail: request.body,
        work: async (tx) => {
          const moved = await moveMember(tx, config.programme, { personId, version: versionSeen(request), move: request.body })
          return moved.ok ? personAnswer(tx, vault, personId) : moved
        },
        audit: ({ householdId }) => ({ detail: { householdId } }),
      })
    },
  )
}
