/** Payouts one by one: what has become of each, and those that come back. */
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance } from 'fastify'
import Type, { type Static } from 'typebox'
import { done, refused } from '../../ledger/programme/desk.ts'
import { merchantIdOf } from '../../ledger/settlement/bankAccounts.ts'
import { listPayouts, type PayoutRow } from '../../ledger/settlement/payouts.ts'
import { formatAmount, parseAmount } from '../../money.ts'
import { NO_SUCH_MERCHANT } from '../../programme/registry.ts'
import { maskIban } from '../../settlement/bankAccount.ts'
import { payoutOf, proposeReturn } from '../../settlement/payouts.ts'
import { actorOf } from '../access/guard.ts'
import { jsonResponse } from '../problem.ts'
import {
  answerCommand,
  answerRead,
  readProblems,
  WriteHeaders,
  writeProblems,
  type ProgrammeParts,
} from '../programme/command.ts'
import { AcceptorId } from '../programme/merchantRoutes.ts'
import { PageQuery, pageOf, pageSchema, pageStart } from '../programme/paging.ts'
import { ProposalSchema, shownProposal } from '../programme/proposalShown.ts'
import { DaySchema, isDate } from './dayRoutes.ts'

const closed = { additionalProperties: false }
const tags = ['settlement']
const TextOrNull = Type.Union([Type.String(), Type.Null()])

const EndToEndId = Type.String({
  pattern: '^[A-Za-z0-9-]{1,35}$',
  description: 'EndToEndId of the payout, as the file for the bank has it',
  examples: ['SARF-12-20261128080000-1'],
})
const members = {
  endToEndId: EndToEndId,
  runId: Type.Integer(),
  acceptorId: AcceptorId,
  after: Type.Union([DaySchema, Type.Null()], { description: 'it pays the days after this one ...' }),
  until: Type.String({ description: '... up to this one' }),
  amount: Type.String(),
  iban: Type.String({ description: 'masked' }),
  holderName: Type.String(),
  state: Type.Enum(['paid', 'executed', 'returned'], {
    description: 'paid: posted; executed: the bank says so; returned: it came back',
  }),
  executedOn: TextOrNull,
  returnedOn: TextOrNull,
  returnReason: TextOrNull,
}
const example = {
  ...{
    endToEndId: 'SARF-12-20261128080000-1',
    runId: 12,
    acceptorId: 'PORTSAID0000042',
    after: '2026-11-26',
    until: '2026-11-27',
  },
  ...{ amount: '525.00', iban: 'EG380019*****************0002', holderName: 'مخبز الميناء', state: 'paid' },
  ...{ executedOn: null, returnedOn: null, returnReason: null },
}
const PayoutSchema = Type.Object(members, { ...closed, examples: [example] })
const ReturnSchema = Type.Object(
  {
    reason: Type.String({ pattern: '^[A-Z0-9]{4}$', description: 'why, a code of ISO 20022 ExternalReturnReason1Code: AC04' }),
    valueDate: DaySchema,
    amount: Type.String({ pattern: '^\\d{1,10}(\\.\\d{1,2})?$', description: 'what came back; it has to be what was paid' }),
  },
  { ...closed, examples: [{ reason: 'AC04', valueDate: '2026-11-29', amount: '525.00' }] },
)
const Params = Type.Object({ endToEndId: EndToEndId }, closed)

export function payoutRoutes(app: FastifyInstance, parts: ProgrammeParts): void {
  const routes = app.withTypeProvider<TypeBoxTypeProvider>()

  routes.get(
    '/v1/payouts/:endToEndId',
    {
      config: { permission: 'payout:read' },
      schema: {
        summary: 'A payout, and what has become of it',
        tags,
        params: Params,
        response: { 200: jsonResponse('The payout', PayoutSchema), ...readProblems() },
      },
    },
    (request, reply) =>
      answerRead(parts, reply, async (tx) => {
        const payout = await payoutOf(tx, request.params.endToEndId)
        return payout.ok ? done(shownPayout(payout.value)) : payout
      }),
  )

  routes.get(
    '/v1/merchants/:acceptorId/payouts',
    {
      config: { permission: 'payout:read' },
      schema: {
        summary: 'What a merchant was paid, the latest first',
        tags,
        params: Type.Object({ acceptorId: AcceptorId }, closed),
        querystring: Type.Object(PageQuery, closed),
        response: { 200: jsonResponse('A page of payouts', pageSchema(PayoutSchema)), ...readProblems() },
      },
    },
    (request, reply) =>
      answerRead(parts, reply, async (tx) => {
        const merchantId = await merchantIdOf(tx, request.params.acceptorId)
        if (merchantId === undefined) return NO_SUCH_MERCHANT
        const page = pageStart(request.query)
        const found = await listPayouts(tx, merchantId, isDate(page.after) ? page.after : undefined, page.look)
        return done(pageOf(found.map(shownPayout), page, ({ until }) => until))
      }),
  )

  routes.post(
    '/v1/payouts/:endToEndId/return',
    {
      config: { permission: 'payout:approve' },
      schema: {
        summary:
          'Proposes that a payout came back; another officer agrees: it is posted back once, and due to the merchant again',
        description:
          'For what no statement of the bank brings: one that the bank has executed comes back with a statement only. Where the reason says that the account is wrong, the merchant is held until it has another.',
        tags,
        params: Params,
        headers: WriteHeaders,
        body: ReturnSchema,
        response: {
          202: jsonResponse('The proposal, open', ProposalSchema),
          ...writeProblems({ 404: 'There is no such payout' }),
        },
      },
    },
    (request, reply) => {
      const { endToEndId } = request.params
      const { reason, valueDate, amount } = request.body
      const actor = actorOf(request)
      return answerCommand(
        parts,
        request,
        reply,
        {
          action: 'payout.return',
          subject: `payout ${endToEndId}`,
          detail: request.body,
          work: async (tx) => {
            if (!isDate(valueDate)) return refused('invalid', 'no-such-day', 'There is no such date.', '/valueDate')
            const piasters = parseAmount(amount)
            if (piasters === undefined) return refused('invalid', 'no-amount', 'It is an amount in pounds, 525.00.', '/amount')
            const told = { endToEndId, reason, valueDate, amount: piasters, madeBy: actor.name }
            const proposed = await proposeReturn(tx, actor, told)
            return proposed.ok ? done(shownProposal(proposed.value)) : proposed
          },
        },
        202,
      )
    },
  )
}

function shownPayout(payout: PayoutRow): Static<typeof PayoutSchema> {
  const {
    endToEndId,
    runId,
    acceptorId,
    afterDay,
    untilDay,
    amount,
    iban,
    holderName,
    state,
    executedOn,
    returnedOn,
    returnReason,
  } = payout
  return {
    ...{
      endToEndId,
      runId,
      acceptorId,
      after: afterDay,
      until: untilDay,
      holderName,
      state,
      executedOn,
      returnedOn,
      returnReason,
    },
    amount: formatAmount(amount),
    iban: maskIban(iban),
  }
}
