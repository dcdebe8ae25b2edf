/** Where merchants are paid to, and holds on them. */
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance } from 'fastify'
import Type, { type Static } from 'typebox'
import { done } from '../../ledger/programme/desk.ts'
import { merchantIdOf } from '../../ledger/settlement/bankAccounts.ts'
import { listHolds, type MerchantHold } from '../../ledger/settlement/merchantHolds.ts'
import { NO_SUCH_MERCHANT } from '../../programme/registry.ts'
import { maskIban } from '../../settlement/bankAccount.ts'
import { bankAccountOf, proposeBankAccount } from '../../settlement/merchantAccounts.ts'
import { holdMerchant, releaseMerchant } from '../../settlement/merchantHolds.ts'
import { actorOf } from '../access/guard.ts'
import { mayDo } from '../access/roles.ts'
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
} from '../programme/command.ts'
import { wordsSchema } from '../programme/identitySchema.ts'
import { AcceptorId } from '../programme/merchantRoutes.ts'
import { numberAfter, PageQuery, pageOf, pageSchema, pageStart } from '../programme/paging.ts'
import { ProposalSchema, shownProposal } from '../programme/proposalShown.ts'

const closed = { additionalProperties: false }
const tags = ['settlement']
const Params = Type.Object({ acceptorId: AcceptorId }, closed)

const BIC = '^[A-Z0-9]{4}[A-Z]{2}[A-Z0-9]{2}([A-Z0-9]{3})?$'
const HolderName = Type.String({
  // What a payment message cannot carry, and what would turn the direction of the text around it.
  pattern: '^(?! )[^\\u0000-\\u001f\\u007f-\\u009f\\u202a-\\u202e\\u2066-\\u2069\\ud800-\\udfff\\ufffe\\uffff]{1,140}(?<! )$',
  description: 'whose account it is, as the bank knows the holder: 1 to 140 characters, no blanks around it',
})
const AskedAccountSchema = Type.Object(
  {
    iban: Type.String({
      pattern: '^[A-Za-z0-9 ]{15,42}$',
      description: 'ISO 13616, with or without blanks; one of Egypt has 29 characters',
    }),
    bic: Type.Optional(Type.String({ pattern: BIC, description: 'ISO 9362, 8 or 11 characters' })),
    holderName: HolderName,
  },
  {
    ...closed,
    examples: [{ iban: 'EG38 0019 0005 0000 0000 2631 8000 2', bic: 'NBEGEGCX331', holderName: 'مخبز الميناء' }],
  },
)
const AccountSchema = Type.Object(
  {
    iban: Type.String({ description: 'whole for who has merchant-account:read, else masked' }),
    bic: Type.Union([Type.String(), Type.Null()]),
    holderName: Type.String(),
    version: Type.Integer(),
  },
  closed,
)
const AccountsSchema = Type.Object(
  {
    inForce: Type.Union([AccountSchema, Type.Null()], { description: 'null: nobody can be paid yet' }),
    proposed: Type.Union([AccountSchema, Type.Null()], { description: 'waits for the decision of a second person' }),
  },
  {
    ...closed,
    examples: [
      {
        inForce: { iban: 'EG380019*****************0002', bic: 'NBEGEGCX331', holderName: 'مخبز الميناء', version: 1 },
        proposed: null,
      },
    ],
  },
)

const TextOrNull = Type.Union([Type.String(), Type.Null()])
const HoldSchema = Type.Object(
  {
    holdId: Type.Integer(),
    cause: Type.Enum(['officer', 'returned'], { description: 'returned: a payout came back because of the account' }),
    reason: Type.String(),
    placedBy: Type.String(),
    placedAt: Type.String({ description: 'RFC 3339, UTC' }),
    liftedBy: TextOrNull,
    liftedAt: TextOrNull,
    liftedReason: TextOrNull,
  },
  {
    ...closed,
    examples: [
      {
        ...{ holdId: 7, cause: 'officer', reason: 'Inspection of the flour stock', placedBy: 'officer-1' },
        ...{ placedAt: '2026-11-27T09:00:00.000Z', liftedBy: null, liftedAt: null, liftedReason: null },
      },
    ],
  },
)
const HoldReasonSchema = Type.Object(
  { reason: wordsSchema('why', 'Inspection of the flour stock') },
  { ...closed, examples: [{ reason: 'Inspection of the flour stock' }] },
)
const HoldParams = Type.Object(
  {
    acceptorId: AcceptorId,
    holdId: Type.String({ pattern: '^[1-9]\\d{0,14}$', description: 'the number of a hold', examples: ['7'] }),
  },
  closed,
)

export function bankAccountRoutes(app: FastifyInstance, parts: ProgrammeParts): void {
  const routes = app.withTypeProvider<TypeBoxTypeProvider>()

  routes.get(
    '/v1/merchants/:acceptorId/bank-account',
    {
      config: { permission: 'merchant:read' },
      schema: {
        summary: 'Where a merchant is paid to',
        tags,
        params: Params,
        response: { 200: jsonResponse('The account in force and one that is proposed', AccountsSchema), ...readProblems() },
      },
    },
    (request, reply) =>
      answerRead(parts, reply, async (tx) => {
        const whole = mayDo(actorOf(request).roles, 'merchant-account:read')
        const accounts = await bankAccountOf(tx, request.params.acceptorId, whole)
        if (accounts.ok) void reply.header('etag', etag(accounts.value.inForce?.version ?? 0))
        return accounts
      }),
  )

  routes.put(
    '/v1/merchants/:acceptorId/bank-account',
    {
      config: { permission: 'merchant-account:write' },
      schema: {
        summary: 'Proposes where a merchant is paid to, the first time too; in force when a second person agrees',
        description: 'If-Match: the version in force that the caller has seen, "0" for none.',
        tags,
        params: Params,
        headers: WriteHeaders,
        body: AskedAccountSchema,
        response: {
          202: jsonResponse('The proposal, open', ProposalSchema),
          ...writeProblems({ 404: 'There is no such merchant' }),
        },
      },
    },
    (request, reply) => {
      const { acceptorId } = request.params
      const { iban, bic = null, holderName } = request.body
      const actor = actorOf(request)
      return answerCommand(
        parts,
        request,
        reply,
        {
          action: 'merchant.bank-account',
          subject: `merchant ${acceptorId}`,
          detail: { iban: maskIban(iban.replaceAll(' ', '').toUpperCase()), bic, holderName },
          work: async (tx) => {
            const asked = { iban, bic, holderName }
            const proposal = await proposeBankAccount(tx, actor, acceptorId, asked, versionSeen(request))
            return proposal.ok ? done(shownProposal(proposal.value)) : proposal
          },
          audit: ({ proposalId }) => ({ detail: { proposalId } }),
        },
        202,
      )
    },
  )

  holdRoutes(app, parts)
}

function holdRoutes(app: FastifyInstance, parts: ProgrammeParts): void {
  const routes = app.withTypeProvider<TypeBoxTypeProvider>()

  routes.get(
    '/v1/merchants/:acceptorId/holds',
    {
      config: { permission: 'payout:read' },
      schema: {
        summary: 'Holds on a merchant, lifted ones too; one that is not lifted keeps every payout back',
        tags,
        params: Params,
        querystring: Type.Object(PageQuery, closed),
        response: { 200: jsonResponse('A page of them, the oldest first', pageSchema(HoldSchema)), ...readProblems() },
      },
    },
    (request, reply) =>
      answerRead(parts, reply, async (tx) => {
        const merchantId = await merchantIdOf(tx, request.params.acceptorId)
        if (merchantId === undefined) return NO_SUCH_MERCHANT
        const start = pageStart(request.query)
        const holds = await listHolds(tx, merchantId, numberAfter(start), start.look)
        return done(pageOf(holds.map(shownHold), start, ({ holdId }) => String(holdId)))
      }),
  )

  routes.post(
    '/v1/merchants/:acceptorId/holds',
    {
      config: { permission: 'merchant:hold' },
      schema: {
        summary: 'Holds a merchant: its positions go on, nothing is paid until every hold is lifted',
        tags,
        params: Params,
        headers: WriteHeaders,
        body: HoldReasonSchema,
        response: { 201: jsonResponse('The hold', HoldSchema), ...writeProblems({ 404: 'There is no such merchant' }) },
      },
    },
    (request, reply) => {
      const { acceptorId } = request.params
      const { reason } = request.body
      const by = actorOf(request).name
      return answerCommand(
        parts,
        request,
        reply,
        {
          action: 'merchant.hold',
          subject: `merchant ${acceptorId}`,
          detail: { reason },
          work: async (tx) => {
            const hold = await holdMerchant(tx, acceptorId, { cause: 'officer', reason, by })
            return hold.ok ? done(shownHold(hold.value)) : hold
          },
        },
        201,
      )
    },
  )

  routes.post(
    '/v1/merchants/:acceptorId/holds/:holdId/lift',
    {
      config: { permission: 'merchant:hold' },
      schema: {
        summary: 'Lifts a hold: the next run pays what has come together, where no other hold is left',
        tags,
        params: HoldParams,
        headers: WriteHeaders,
        body: HoldReasonSchema,
        response: {
          200: jsonResponse('The hold as it is now', HoldSchema),
          ...writeProblems({ 404: 'There is no such merchant, or it has no such hold' }),
        },
      },
    },
    (request, reply) => {
      const { acceptorId, holdId } = request.params
      const { reason } = request.body
      const by = actorOf(request).name
      return answerCommand(parts, request, reply, {
        action: 'merchant.lift-hold',
        subject: `merchant ${acceptorId}`,
        detail: { holdId: Number(holdId), reason },
        work: async (tx) => {
          const hold = await releaseMerchant(tx, acceptorId, Number(holdId), { reason, by })
          return hold.ok ? done(shownHold(hold.value)) : hold
        },
      })
    },
  )
}

function shownHold({ placedAt, liftedAt, ...hold }: MerchantHold): Static<typeof HoldSchema> {
  return { ...hold, placedAt: placedAt.toISOString(), liftedAt: liftedAt?.toISOString() ?? null }
}
