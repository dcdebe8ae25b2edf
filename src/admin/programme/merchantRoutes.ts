/** Merchants: who is paid, and with which certificate their terminals come. */
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance } from 'fastify'
import Type from 'typebox'
import { done } from '../../ledger/programme/desk.ts'
import { listMerchants, readMerchant } from '../../ledger/programme/merchants.ts'
import { changeMerchant, NO_SUCH_MERCHANT, registerMerchant } from '../../programme/registry.ts'
import { MERCHANT_STATES } from '../../transaction/terminal.ts'
import { jsonResponse } from '../problem.ts'
import {
  answerCommand,
  answerRead,
  etag,
  readProblems,
  versionSeen,
  WriteHeaders,
  writeProblems,
  type ProgrammeParts,
} from './command.ts'
import { pageOf, PageQuery, pageSchema, pageStart } from './paging.ts'

const closed = { additionalProperties: false }

export const AcceptorId = Type.String({
  pattern: '^[A-Za-z0-9._-]{1,15}$',
  description: 'DE 42: 1 to 15 letters, digits, dots, _ and -',
  examples: ['000000000000001'],
})
export const Certificate = Type.Union([Type.String({ pattern: '^[0-9A-F]{64}$' }), Type.Null()], {
  description: 'SHA-256 of a client certificate, 64 upper-case hexadecimal digits; null: any, or none',
})
const Name = Type.String({ pattern: '^[^\\u0000-\\u001f\\u007f\\ud800-\\udfff]{1,100}$', description: '1 to 100 characters' })
const Category = Type.String({ pattern: '^\\d{4}$', description: 'ISO 18245: four digits' })
const Governorate = Type.Integer({ minimum: 0, maximum: 99, description: 'number of a governorate, 0 to 99; 0: everywhere' })
const State = Type.Enum([...MERCHANT_STATES], { description: MERCHANT_STATES.join(', ') })

const example = {
  acceptorId: 'PORTSAID0000042',
  name: 'Bakery of the harbour',
  category: '5462',
  governorate: 3,
  certificate: null,
}

const MerchantSchema = Type.Object(
  {
    acceptorId: AcceptorId,
    name: Name,
    category: Category,
    state: State,
    governorate: Governorate,
    certificate: Certificate,
    version: Type.Integer(),
  },
  { ...closed, examples: [{ ...example, state: 'ACTIVE', version: 1 }] },
)
const NewMerchantSchema = Type.Object(
  {
    acceptorId: AcceptorId,
    name: Name,
    category: Category,
    governorate: Type.Optional(Governorate),
    certificate: Type.Optional(Certificate),
  },
  { ...closed, examples: [example] },
)
const ChangeSchema = Type.Object(
  {
    name: Type.Optional(Name),
    category: Type.Optional(Category),
    state: Type.Optional(State),
    governorate: Type.Optional(Governorate),
    certificate: Type.Optional(Certificate),
  },
  { ...closed, minProperties: 1, description: 'at least one member', examples: [{ state: 'SUSPENDED' }] },
)
const Params = Type.Object({ acceptorId: AcceptorId }, closed)
const Query = Type.Object(
  {
    ...PageQuery,
    state: Type.Optional(State),
    category: Type.Optional(Category),
    governorate: Type.Optional(Type.String({ pattern: '^\\d{1,2}$', description: 'number of a governorate' })),
  },
  closed,
)

export function merchantRoutes(app: FastifyInstance, parts: ProgrammeParts): void {
  const routes = app.withTypeProvider<TypeBoxTypeProvider>()

  routes.get(
    '/v1/merchants',
    {
      config: { permission: 'merchant:read' },
      schema: {
        summary: 'Merchants by DE 42',
        tags: ['registry'],
        querystring: Query,
        response: { 200: jsonResponse('A page of them', pageSchema(MerchantSchema)), ...readProblems() },
      },
    },
    (request, reply) =>
      answerRead(parts, reply, async (tx) => {
        const { state, category, governorate } = request.query
        const start = pageStart(request.query)
        const filter = { state, category, governorate: governorate === undefined ? undefined : Number(governorate) }
        const found = await listMerchants(tx, start.after, start.look, filter)
        return done(pageOf(found, start, (merchant) => merchant.acceptorId))
      }),
  )

  routes.get(
    '/v1/merchants/:acceptorId',
    {
      config: { permission: 'merchant:read' },
      schema: {
        summary: 'A merchant',
        tags: ['registry'],
        params: Params,
        response: { 200: jsonResponse('The merchant; ETag is its version', MerchantSchema), ...readProblems() },
      },
    },
    (request, reply) =>
      answerRead(parts, reply, async (tx) => {
        const merchant = await readMerchant(tx, request.params.acceptorId)
        if (merchant === undefined) return NO_SUCH_MERCHANT
        void reply.header('etag', etag(merchant.version))
        return done(merchant)
      }),
  )

  routes.post(
    '/v1/merchants',
    {
      config: { permission: 'merchant:write' },
      schema: {
        summary: 'Registers a merchant, in use at once',
        tags: ['registry'],
        headers: WriteHeaders,
        body: NewMerchantSchema,
        response: { 201: jsonResponse('The merchant', MerchantSchema), ...writeProblems() },
      },
    },
    (request, reply) => {
      const merchant = { governorate: 0, certificate: null, ...request.body }
      return answerCommand(
        parts,
        request,
        reply,
        {
          action: 'merchant.register',
          subject: `merchant ${merchant.acceptorId}`,
          detail: { ...request.body },
          work: (tx) => registerMerchant(tx, merchant),
        },
        201,
      )
    },
  )

  routes.patch(
    '/v1/merchants/:acceptorId',
    {
      config: { permission: 'merchant:write' },
      schema: {
        summary: 'Changes a merchant: suspended, all its terminals are refused (03); closed, for good',
        tags: ['registry'],
        params: Params,
        headers: WriteHeaders,
        body: ChangeSchema,
        response: {
          200: jsonResponse('The merchant as it is now', MerchantSchema),
          ...writeProblems({ 404: 'There is no such merchant' }),
        },
      },
    },
    (request, reply) => {
      const { acceptorId } = request.params
      return answerCommand(parts, request, reply, {
        action: 'merchant.change',
        subject: `merchant ${acceptorId}`,
        detail: { ...request.body },
        work: (tx) => changeMerchant(tx, acceptorId, request.body, versionSeen(request)),
      })
    },
  )
}
