/** Services by region: from which day on each is there. */
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance } from 'fastify'
import Type from 'typebox'
import { done, refused } from '../../ledger/programme/desk.ts'
import { readRegionServices } from '../../ledger/programme/regionServices.ts'
import { activateService } from '../../programme/activateService.ts'
import { GOVERNORATE_MAX } from '../../programme/governorates.ts'
import { jsonResponse } from '../problem.ts'
import { answerCommand, answerRead, readProblems, writeProblems, WriteHeaders, type ProgrammeParts } from './command.ts'
import { PageQuery, pageOf, pageSchema, pageStart } from './paging.ts'
import { DaySchema } from './personShown.ts'
import { GovernorateQuery } from './placeRoutes.ts'

const closed = { additionalProperties: false }
const tags = ['regions']

const RegionServiceSchema = Type.Object(
  { governorate: Type.Integer(), service: Type.String(), activeFrom: Type.String({ description: 'first day, in Cairo' }) },
  { ...closed, examples: [{ governorate: 27, service: 'bread', activeFrom: '2027-01-01' }] },
)

const ActivationSchema = Type.Object({ activeFrom: DaySchema }, { ...closed, examples: [{ activeFrom: '2027-01-01' }] })

const RegionParams = Type.Object(
  {
    governorate: Type.String({ pattern: '^\\d{1,3}$', description: 'a number', examples: ['3'] }),
    service: Type.String({
      pattern: '^[a-z][a-z-]{0,19}$',
      description: 'a service: small letters and hyphens',
      examples: ['bread'],
    }),
  },
  closed,
)

export function regionRoutes(app: FastifyInstance, parts: ProgrammeParts): void {
  const routes = app.withTypeProvider<TypeBoxTypeProvider>()

  routes.get(
    '/v1/regions',
    {
      config: { permission: 'region:read' },
      schema: {
        summary: 'Which services are announced for which governorates, and from when on',
        tags,
        querystring: Type.Object({ ...PageQuery, governorate: GovernorateQuery }, closed),
        response: { 200: jsonResponse('Services of regions', pageSchema(RegionServiceSchema)), ...readProblems() },
      },
    },
    (request, reply) =>
      answerRead(parts, reply, async (tx) => {
        const page = pageStart(request.query)
        const { governorate } = request.query
        const [, at = '0', service = ''] = /^(\d{1,3}) ([a-z-]{1,20})$/.exec(page.after) ?? []
        const found = await readRegionServices(tx, {
          after: { governorate: Number(at), service },
          governorate: governorate === undefined ? undefined : Number(governorate),
          limit: page.look,
        })
        return done(pageOf(found, page, (item) => `${String(item.governorate)} ${item.service}`))
      }),
  )

  routes.put(
    '/v1/regions/:governorate/services/:service',
    {
      config: { permission: 'region:write' },
      schema: {
        summary:
          'A service is announced: from that day on all households and persons of the governorate have it. Not taken back once it has begun',
        tags,
        params: RegionParams,
        headers: WriteHeaders,
        body: ActivationSchema,
        response: {
          200: jsonResponse('The service in this governorate', RegionServiceSchema),
          ...writeProblems({ 404: 'There is no such governorate or service' }),
        },
      },
    },
    (request, reply) => {
      const { service } = request.params
      const governorate = Number(request.params.governorate)
      const { activeFrom } = request.body
      return answerCommand(parts, request, reply, {
        action: 'service.activate',
        subject: `governorate ${String(governorate)}`,
        detail: { service, activeFrom },
        work: async (tx) =>
          governorate < 1 || governorate > GOVERNORATE_MAX
            ? refused('not-found', 'no-such-governorate', `Governorates are 1 to ${String(GOVERNORATE_MAX)}.`)
            : activateService(tx, parts.config.programme, { governorate, service, activeFrom }),
      })
    },
  )
}
