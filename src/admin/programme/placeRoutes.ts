/** Places where cards are collected. */
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance } from 'fastify'
import Type from 'typebox'
import { done, refused } from '../../ledger/programme/desk.ts'
import { insertPlace, lockPlace, PLACE_KINDS, readPlace, readPlaces, writePlace } from '../../ledger/programme/places.ts'
import { jsonResponse } from '../problem.ts'
import {
  answerCommand,
  answerRead,
  readProblems,
  versionSeen,
  writeProblems,
  WriteHeaders,
  type ProgrammeParts,
} from './command.ts'
import { PageQuery, pageOf, pageSchema, pageStart } from './paging.ts'
import { GovernorateSchema } from './personShown.ts'

const closed = { additionalProperties: false }
const tags = ['places']

export const PlaceIdSchema = Type.String({
  pattern: '^[a-z0-9][a-z0-9-]{1,39}$',
  description: 'a place: small letters, digits and hyphens, 2 to 40 characters',
  examples: ['post-03-1'],
})
/** No control characters: names are printed and sent. */
const name = (maximum: number, example: string) =>
  Type.String({
    minLength: 1,
    maxLength: maximum,
    pattern: '^[^\\u0000-\\u001f\\u007f]+$',
    description: `1 to ${String(maximum)} characters, no control characters`,
    examples: [example],
  })

const names = {
  nameAr: name(100, 'مكتب بريد بورسعيد'),
  nameEn: name(100, 'Post office Port Said'),
  address: name(200, '1 Post Street, Port Said'),
}
const facts = {
  placeId: PlaceIdSchema,
  kind: Type.Enum([...PLACE_KINDS], { description: PLACE_KINDS.join(', ') }),
  governorate: GovernorateSchema,
}
const example = {
  placeId: 'post-03-9',
  kind: 'post-office',
  governorate: 3,
  nameAr: 'مكتب بريد بورسعيد',
  nameEn: 'Post office Port Said',
  address: '1 Post Street, Port Said',
} as const

const NewPlaceSchema = Type.Object({ ...facts, ...names }, { ...closed, examples: [example] })
const PlaceChangeSchema = Type.Object(names, {
  ...closed,
  examples: [{ nameAr: example.nameAr, nameEn: example.nameEn, address: '3 Post Street, Port Said' }],
})
export const PlaceSchema = Type.Object(
  { ...facts, nameAr: Type.String(), nameEn: Type.String(), address: Type.String(), version: Type.Integer() },
  { ...closed, examples: [{ ...example, version: 1 }] },
)

/** A governorate as a query has it: as text. */
export const GovernorateQuery = Type.Optional(
  Type.String({ pattern: '^([1-9]|1\\d|2[0-7])$', description: 'a governorate, 1 to 27', examples: ['3'] }),
)

export function placeRoutes(app: FastifyInstance, parts: ProgrammeParts): void {
  const routes = app.withTypeProvider<TypeBoxTypeProvider>()

  routes.get(
    '/v1/places',
    {
      config: { permission: 'place:read' },
      schema: {
        summary: 'Places where cards are collected, in the order of their ids',
        tags,
        querystring: Type.Object({ ...PageQuery, governorate: GovernorateQuery }, closed),
        response: { 200: jsonResponse('Places', pageSchema(PlaceSchema)), ...readProblems() },
      },
    },
    (request, reply) =>
      answerRead(parts, reply, async (tx) => {
        const page = pageStart(request.query)
        const { governorate } = request.query
        const found = await readPlaces(tx, {
          after: page.after,
          governorate: governorate === undefined ? undefined : Number(governorate),
          limit: page.look,
        })
        return done(pageOf(found, page, ({ placeId }) => placeId))
      }),
  )

  routes.post(
    '/v1/places',
    {
      config: { permission: 'place:write' },
      schema: {
        summary: 'A new place; a governorate has one Diwan',
        tags,
        headers: WriteHeaders,
        body: NewPlaceSchema,
        response: { 201: jsonResponse('The place', PlaceSchema), ...writeProblems() },
      },
    },
    (request, reply) => {
      const { placeId, kind, governorate } = request.body
      return answerCommand(
        parts,
        request,
        reply,
        {
          action: 'place.add',
          subject: `place ${placeId}`,
          detail: { kind, governorate },
          work: async (tx) => {
            const added = await insertPlace(tx, request.body)
            if (added !== undefined) return done(added)
            return (await readPlace(tx, placeId)) === undefined
              ? refused('conflict', 'has-a-diwan', 'This governorate has a Diwan already.', '/kind')
              : refused('conflict', 'place-known', 'There is a place with this id already.', '/placeId')
          },
        },
        201,
      )
    },
  )

  routes.put(
    '/v1/places/:placeId',
    {
      config: { permission: 'place:write' },
      schema: {
        summary: 'Names and address of a place; what it is and where stays, because cards wait there',
        tags,
        params: Type.Object({ placeId: PlaceIdSchema }, closed),
        headers: WriteHeaders,
        body: PlaceChangeSchema,
        response: {
          200: jsonResponse('The place as it is now', PlaceSchema),
          ...writeProblems({ 404: 'There is no such place' }),
        },
      },
    },
    (request, reply) => {
      const { placeId } = request.params
      return answerCommand(parts, request, reply, {
        action: 'place.change',
        subject: `place ${placeId}`,
        work: async (tx) => {
          const place = await lockPlace(tx, placeId)
          const version = versionSeen(request)
          if (version !== undefined && place !== undefined && version !== place.version)
            return refused('stale', 'place-changed', `The place is at version ${String(place.version)}. Look again.`)
          const changed = await writePlace(tx, placeId, request.body)
          return changed === undefined ? refused('not-found', 'no-such-place', 'There is no such place.') : done(changed)
        },
      })
    },
  )
}
