/** Households: who lives there, and how many are counted. */
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import Type from 'typebox'
import { changeHousehold } from '../../programme/changeHousehold.ts'
import { MEMBERS_MAX } from '../../programme/householdRows.ts'
import { addMember, createHousehold } from '../../programme/members.ts'
import { jsonResponse, namedProblem, sendProblem } from '../problem.ts'
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
  GovernorateSchema,
  householdAnswer,
  HouseholdParams,
  HouseholdSchema,
  LanguageSchema,
  MobileSchema,
  NationalIdSchema,
  personAnswer,
  PersonSchema,
} from './personShown.ts'

const closed = { additionalProperties: false }
const tags = ['households']

const CountSchema = Type.Integer({
  minimum: 0,
  maximum: MEMBERS_MAX,
  description: `a count of members, 0 to ${String(MEMBERS_MAX)}`,
})

const MemberSchema = Type.Object(
  {
    nationalId: NationalIdSchema,
    mobile: Type.Optional(MobileSchema),
    head: Type.Boolean({ description: 'true for exactly one' }),
    language: Type.Optional(LanguageSchema),
  },
  { ...closed, description: 'a member: nationalId, head, and mobile and language where they are known' },
)

const NewHouseholdSchema = Type.Object(
  {
    governorate: GovernorateSchema,
    rationMembers: Type.Optional(CountSchema),
    breadMembers: Type.Optional(CountSchema),
    members: Type.Array(MemberSchema, { minItems: 1, maxItems: MEMBERS_MAX, description: `1 to ${String(MEMBERS_MAX)} members` }),
  },
  {
    ...closed,
    examples: [
      {
        governorate: 3,
        members: [
          { nationalId: '28005170300015', mobile: '01012345678', head: true },
          { nationalId: '28411020300027', head: false },
          { nationalId: '31501310300031', head: false },
        ],
      },
    ],
  },
)

const HouseholdChangeSchema = Type.Object(
  {
    governorate: Type.Optional(GovernorateSchema),
    rationMembers: Type.Optional(CountSchema),
    breadMembers: Type.Optional(CountSchema),
  },
  {
    ...closed,
    minProperties: 1,
    description: 'at least one of governorate, rationMembers, breadMembers',
    examples: [{ breadMembers: 2 }],
  },
)

const JoiningSchema = Type.Object(
  {
    nationalId: NationalIdSchema,
    mobile: Type.Optional(MobileSchema),
    language: Type.Optional(LanguageSchema),
    onRationList: Type.Optional(Type.Boolean({ description: 'true or false; absent: true' })),
    onBreadList: Type.Optional(Type.Boolean({ description: 'true or false; absent: true' })),
  },
  { ...closed, examples: [{ nationalId: '32611200300041', onRationList: false }] },
)

export function householdRoutes(app: FastifyInstance, parts: ProgrammeParts): void {
  const routes = app.withTypeProvider<TypeBoxTypeProvider>()
  const { vault, config } = parts
  const context = { vault, lookupKey: config.lookupKey, programme: config.programme }

  routes.post(
    '/v1/households',
    {
      config: { permission: 'household:write' },
      schema: {
        summary: 'A household with its members; each has a cash purse, and the household its purses, from its first use on',
        tags,
        headers: WriteHeaders,
        body: NewHouseholdSchema,
        response: { 201: jsonResponse('The household', HouseholdSchema), ...writeProblems() },
      },
    },
    (request, reply) => {
      const { governorate, members } = request.body
      return answerCommand(
        parts,
        request,
        reply,
        {
          action: 'household.create',
          subject: 'household',
          detail: { governorate, members: members.length },
          work: async (tx) => {
            const created = await createHousehold(tx, context, request.body)
            return created.ok ? householdAnswer(tx, vault, created.value) : created
          },
          audit: ({ householdId }) => ({ subject: `household ${String(householdId)}` }),
        },
        201,
      )
    },
  )

  routes.get(
    '/v1/households/:householdId',
    {
      config: { permission: 'household:read' },
      schema: {
        summary: 'A household: its counts and members',
        tags,
        params: HouseholdParams,
        response: { 200: jsonResponse('The household; ETag is its version', HouseholdSchema), ...readProblems() },
      },
    },
    (request, reply) =>
      answerRead(parts, reply, async (tx) => {
        const shown = await householdAnswer(tx, vault, Number(request.params.householdId))
        if (shown.ok) void reply.header('etag', etag(shown.value.version))
        return shown
      }),
  )

  routes.patch(
    '/v1/households/:householdId',
    {
      config: { permission: 'household:write' },
      schema: {
        summary: 'Where it lives, from the next message on; how many are counted, from the next cycle on',
        tags,
        params: HouseholdParams,
        headers: WriteHeaders,
        body: HouseholdChangeSchema,
        response: {
          200: jsonResponse('The household as it is now', HouseholdSchema),
          ...writeProblems({ 404: 'There is no such household', 428: 'If-Match is missing: say which version is to be changed' }),
        },
      },
    },
    async (request, reply) => {
      const id = Number(request.params.householdId)
      if (!ifMatchGiven(request, reply)) return reply
      return answerCommand(parts, request, reply, {
        action: 'household.change',
        subject: `household ${String(id)}`,
        detail: request.body,
        work: async (tx) => {
          const changed = await changeHousehold(tx, id, versionSeen(request), request.body)
          return changed.ok ? householdAnswer(tx, vault, id) : changed
        },
      })
    },
  )

  routes.post(
    '/v1/households/:householdId/members',
    {
      config: { permission: 'household:write' },
      schema: {
        summary: 'Somebody who is born or marries into it; counted from the next cycle on',
        tags,
        params: HouseholdParams,
        headers: WriteHeaders,
        body: JoiningSchema,
        response: { 201: jsonResponse('The person', PersonSchema), ...writeProblems({ 404: 'There is no such household' }) },
      },
    },
    (request, reply) => {
      const householdId = Number(request.params.householdId)
      const { onRationList, onBreadList } = request.body
      return answerCommand(
        parts,
        request,
        reply,
        {
          action: 'household.add_member',
          subject: `household ${String(householdId)}`,
          detail: { onRationList, onBreadList },
          work: async (tx) => {
            const added = await addMember(tx, context, { householdId, version: versionSeen(request), member: request.body })
            return added.ok ? personAnswer(tx, vault, added.value) : added
          },
          audit: ({ personId }) => ({ detail: { personId } }),
        },
        201,
      )
    },
  )
}

/** RFC 6585 section 3: a change that would overwrite what somebody else has changed meanwhile is not taken. */
function ifMatchGiven(request: FastifyRequest, reply: FastifyReply): boolean {
  if (request.headers['if-match'] !== undefined) return true
  sendProblem(
    reply,
    namedProblem('if-match-required', {
      title: 'If-Match is required',
      status: 428,
      detail: 'Say in If-Match which version is to be changed: the ETag of the last answer.',
      errors: [{ path: 'If-Match', expected: 'the version that the caller has seen, as its ETag: "7"' }],
    }),
  )
  return false
}
