/** Maker and checker: what one person proposes and another decides. */
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance } from 'fastify'
import Type from 'typebox'
import { done, type Outcome, type SqlTransaction } from '../../ledger/programme/desk.ts'
import { listProposals, readProposal, type Proposal } from '../../ledger/programme/proposals.ts'
import { adjustmentKind, checkAdjustment } from '../../programme/adjustments.ts'
import { keyLoading } from '../../programme/loadKey.ts'
import { decideProposal, NO_SUCH_PROPOSAL, propose, type ProposalKind } from '../../programme/proposals.ts'
import { proposeReverification, REVERIFICATION } from '../../programme/reverify.ts'
import { bankMatchKind } from '../../settlement/bank/matchEntry.ts'
import { disputeDecisionKind } from '../../settlement/disputes.ts'
import { BANK_ACCOUNT } from '../../settlement/merchantAccounts.ts'
import { PAYOUT_BOOK } from '../../settlement/payoutBook.ts'
import { payoutParts, payoutRunKind } from '../../settlement/payoutRuns.ts'
import { PAYOUT_RETURN } from '../../settlement/payouts.ts'
import { SUSPENSE_RESOLUTION } from '../../settlement/suspense.ts'
import { actorOf } from '../access/guard.ts'
import { mayDo } from '../access/roles.ts'
import { jsonResponse } from '../problem.ts'
import { unitsOf } from './adjustedUnits.ts'
import {
  answerCommand,
  answerRead,
  CardIdSchema,
  readProblems,
  writeProblems,
  WriteHeaders,
  type ProgrammeParts,
} from './command.ts'
import { FingerprintReferenceSchema, PlaceIdSchema, wordsSchema } from './identitySchema.ts'
import { HouseholdParams } from './personShown.ts'
import { PROPOSAL_ID, ProposalIdSchema, ProposalSchema, shownProposal } from './proposalShown.ts'
import { PageQuery, pageOf, pageSchema, pageStart } from './paging.ts'

const closed = { additionalProperties: false }
const ReverificationSchema = Type.Object(
  { placeId: PlaceIdSchema, fingerprintReference: FingerprintReferenceSchema },
  { ...closed, examples: [{ placeId: 'post-03-1', fingerprintReference: 'enr-2026-000118' }] },
)

const AdjustmentSchema = Type.Object(
  {
    purse: Type.String({ pattern: '^[a-z][a-z-]{0,19}$', description: 'ration, bread or points' }),
    amount: Type.String({
      pattern: '^-?\\d{1,7}(\\.\\d{1,2})?$',
      description: 'what is added, or with a - taken away: an amount in major units, 12.50; of bread whole loaves, 20',
      examples: ['-12.50'],
    }),
    reason: wordsSchema('why', 'A newborn was entered too late'),
  },
  { ...closed, examples: [{ purse: 'ration', amount: '12.50', reason: 'A newborn was entered too late' }] },
)

const DecisionSchema = Type.Object(
  {
    decision: Type.Enum(['approve', 'refuse', 'withdraw'], {
      description: 'approve, refuse or withdraw; its maker may only withdraw it',
    }),
    note: Type.Optional(wordsSchema('why', 'Checked against the paper file')),
  },
  { ...closed, examples: [{ decision: 'approve', note: 'Checked against the paper file' }] },
)

const ListQuery = Type.Object(
  {
    ...PageQuery,
    state: Type.Optional(
      Type.Enum(['open', 'approved', 'refused', 'withdrawn'], { description: 'open, approved, refused or withdrawn' }),
    ),
    kind: Type.Optional(Type.String({ pattern: '^[a-z][a-z-]{0,39}$', description: 'a kind of proposal' })),
    subject: Type.Optional(
      Type.String({ pattern: '^[a-z]{1,20} [A-Za-z0-9_.-]{1,40}$', description: 'what it is about: household 12' }),
    ),
  },
  closed,
)

export function proposalRoutes(app: FastifyInstance, parts: ProgrammeParts): void {
  const routes = app.withTypeProvider<TypeBoxTypeProvider>()
  const { programme } = parts.config
  const adjustments = adjustmentKind(programme)
  const payouts = payoutRunKind(payoutParts(parts.config))
  const disputes = disputeDecisionKind(parts.config)
  const kinds: readonly ProposalKind[] = [
    ...[REVERIFICATION, adjustments, keyLoading(parts.hsm), BANK_ACCOUNT, payouts],
    ...[bankMatchKind(PAYOUT_BOOK), SUSPENSE_RESOLUTION, disputes, PAYOUT_RETURN],
  ]

  routes.post(
    '/v1/cards/:cardId/reverification',
    {
      config: { permission: 'card:reverify' },
      schema: {
        summary:
          'Proposes to lift a suspension after wrong fingerprints, for the holder has matched under supervision; a second officer approves',
        tags: ['proposals'],
        params: Type.Object({ cardId: CardIdSchema }, closed),
        headers: WriteHeaders,
        body: ReverificationSchema,
        response: { 202: jsonResponse('The proposal, open', ProposalSchema), ...writeProblems({ 404: 'There is no such card' }) },
      },
    },
    (request, reply) => {
      const { cardId } = request.params
      const actor = actorOf(request)
      return answerCommand(
        parts,
        request,
        reply,
        {
          action: 'card.reverification',
          subject: `card ${cardId}`,
          detail: request.body,
          work: async (tx) => shown(await proposeReverification(tx, actor, { ...request.body, token: cardId })),
          audit: ({ proposalId }) => ({ detail: { proposalId } }),
        },
        202,
      )
    },
  )

  routes.post(
    '/v1/households/:householdId/adjustments',
    {
      config: { permission: 'entitlement:adjust' },
      schema: {
        summary: "Proposes to put a household's entitlement right for the running month; another officer approves",
        tags: ['proposals'],
        params: HouseholdParams,
        headers: WriteHeaders,
        body: AdjustmentSchema,
        response: {
          202: jsonResponse('The proposal, open', ProposalSchema),
          ...writeProblems({ 404: 'There is no such household' }),
        },
      },
    },
    (request, reply) => {
      const householdId = Number(request.params.householdId)
      const { purse, amount, reason } = request.body
      const actor = actorOf(request)
      const work = async (tx: SqlTransaction): Promise<Outcome<ReturnType<typeof shownProposal>>> => {
        const checked = await checkAdjustment(tx, programme, { householdId, purse, units: 0 })
        if (!checked.ok) return checked
        const units = unitsOf(amount, checked.value.unit)
        if (!units.ok) return units
        const body = { householdId, purse, amount, units: units.value, reason }
        return shown(await propose(tx, adjustments, actor, { subject: `household ${String(householdId)}`, body }))
      }
      return answerCommand(
        parts,
        request,
        reply,
        {
          action: 'entitlement.adjustment',
          subject: `household ${String(householdId)}`,
          detail: { purse, amount, reason },
          work,
          audit: ({ proposalId }) => ({ detail: { proposalId } }),
        },
        202,
      )
    },
  )

  routes.get(
    '/v1/proposals',
    {
      config: { permission: 'proposal:read' },
      schema: {
        summary: 'Proposals, the latest first',
        tags: ['proposals'],
        querystring: ListQuery,
        response: { 200: jsonResponse('A page of proposals', pageSchema(ProposalSchema)), ...readProblems() },
      },
    },
    (request, reply) =>
      answerRead(parts, reply, async (tx) => {
        const { state, kind, subject, ...paging } = request.query
        const page = pageStart(paging)
        const [madeAt = '', id = ''] = page.after.split(' ')
        const after = /^\d{1,14}$/.test(madeAt) && PROPOSAL_ID.test(id) ? { madeAtMs: Number(madeAt), id } : undefined
        const proposals = await listProposals(tx, { state, kind, subject, after, limit: page.look })
        const { items, next } = pageOf(proposals, page, (one) => `${String(one.madeAtMs)} ${one.id}`)
        return done({ items: items.map(shownProposal), next })
      }),
  )

  const ProposalParams = Type.Object({ proposalId: ProposalIdSchema }, closed)
  routes.get(
    '/v1/proposals/:proposalId',
    {
      config: { permission: 'proposal:read' },
      schema: {
        summary: 'A proposal',
        tags: ['proposals'],
        params: ProposalParams,
        response: { 200: jsonResponse('The proposal', ProposalSchema), ...readProblems({ 404: 'There is no such proposal' }) },
      },
    },
    (request, reply) =>
      answerRead(parts, reply, async (tx) => {
        const proposal = await readProposal(tx, request.params.proposalId)
        return proposal === undefined ? NO_SUCH_PROPOSAL : done(shownProposal(proposal))
      }),
  )

  routes.post(
    '/v1/proposals/:proposalId/decision',
    {
      config: { permission: 'proposal:decide' },
      schema: {
        summary: 'A proposal is approved, and done at once; or refused; or withdrawn by its maker',
        tags: ['proposals'],
        params: ProposalParams,
        headers: WriteHeaders,
        body: DecisionSchema,
        response: {
          200: jsonResponse('The proposal as it is now', ProposalSchema),
          ...writeProblems({
            403: 'The token has no role for this kind of proposal, or is that of its maker',
            404: 'There is no such proposal',
            409: 'It was decided already, or what it proposes cannot be done now; or the Idempotency-Key came before',
          }),
        },
      },
    },
    (request, reply) => {
      const { proposalId } = request.params
      const { decision, note = null } = request.body
      const actor = actorOf(request)
      const mayDecide = (permission: ProposalKind['permission']): boolean => mayDo(actor.roles, permission)
      return answerCommand(parts, request, reply, {
        action: 'proposal.decision',
        subject: `proposal ${proposalId}`,
        detail: { decision, ...(note === null ? {} : { note }) },
        work: async (tx) => shown(await decideProposal(tx, kinds, actor, mayDecide, { id: proposalId, decision, note })),
        audit: ({ subject, kind }) => ({ detail: { kind, about: subject } }),
        afterwards: async ({ state, kind, body }) => {
          if (state === 'approved') await kinds.find((one) => one.kind === kind)?.afterwards?.(parts.desk, { ...body })
        },
      })
    },
  )
}

function shown(proposal: Outcome<Proposal>): Outcome<ReturnType<typeof shownProposal>> {
  return proposal.ok ? done(shownProposal(proposal.value)) : proposal
}
