/** Disputes: a counter or the hotline opens a case, settlement decides it. */
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance } from 'fastify'
import Type, { type Static } from 'typebox'
import { done, refused, type Outcome, type SqlTransaction } from '../../ledger/programme/desk.ts'
import {
  DISPUTE_REASONS,
  DISPUTE_STATES,
  listDisputes,
  readDispute,
  readTrace,
  type Dispute,
  type TraceLine,
} from '../../ledger/settlement/disputes.ts'
import { formatAmount, parseAmount } from '../../money.ts'
import { propose } from '../../programme/proposals.ts'
import { checkDecision, DISPUTE_OUTCOMES, disputeDecisionKind, NO_SUCH_DISPUTE, openDispute } from '../../settlement/disputes.ts'
import { KIND } from '../../transaction/transaction.ts'
import { actorOf } from '../access/guard.ts'
import { jsonResponse } from '../problem.ts'
import {
  answerCommand,
  answerRead,
  CardIdSchema,
  readProblems,
  WriteHeaders,
  writeProblems,
  type ProgrammeParts,
} from '../programme/command.ts'
import { wordsSchema } from '../programme/identitySchema.ts'
import { pageOf, PageQuery, pageSchema, pageStart } from '../programme/paging.ts'
import { DaySchema } from '../programme/personShown.ts'
import { ProposalSchema, shownProposal } from '../programme/proposalShown.ts'

const closed = { additionalProperties: false }
const tags = ['disputes']

const Amount = Type.String({ pattern: '^\\d{1,7}(\\.\\d{1,2})?$', description: 'pounds, 12.50', examples: ['12.50'] })
const TextOrNull = Type.Union([Type.String(), Type.Null()])
const Id = Type.Integer({ minimum: 1 })
const State = Type.Enum([...DISPUTE_STATES], { description: DISPUTE_STATES.join(', ') })
const Reason = Type.Enum([...DISPUTE_REASONS], { description: DISPUTE_REASONS.join(', ') })

const disputeMembers = {
  disputeId: Id,
  cardId: CardIdSchema,
  personId: Type.Union([Type.Integer(), Type.Null()]),
  householdId: Type.Integer(),
  reason: Reason,
  claimed: Type.String({ description: 'pounds' }),
  state: State,
  openedBy: Type.String(),
  openedAt: Type.String({ description: 'RFC 3339, UTC' }),
  note: TextOrNull,
  creditOn: Type.Union([Type.String(), Type.Null()], {
    description: 'the Cairo day on which the holder is lent what is claimed, unless it is decided before; null: never',
  }),
  decideBy: Type.String({ description: 'the last Cairo day for the decision' }),
  provisional: Type.Union([Type.String(), Type.Null()], { description: 'what was lent; null: nothing yet' }),
  granted: Type.Union([Type.String(), Type.Null()], { description: 'given back for good' }),
  takenBack: Type.Union([Type.String(), Type.Null()], { description: 'what of the loan came back from the purse' }),
  uncovered: Type.Union([Type.String(), Type.Null()], {
    description: 'what of the loan the purse did not hold any more: it stays with suspense',
  }),
  decidedAt: TextOrNull,
}
const example = {
  disputeId: 17,
  cardId: 'pW3bq0kJx7T1u5mYc2Zr8A',
  personId: 10000000101,
  householdId: 100000001,
  reason: 'atm-did-not-dispense',
  claimed: '200.00',
  state: 'open',
  openedBy: 'clerk-1',
  openedAt: '2026-11-22T08:00:00.000Z',
  note: null,
  creditOn: '2026-11-25',
  decideBy: '2026-12-06',
  provisional: null,
  granted: null,
  takenBack: null,
  uncovered: null,
  decidedAt: null,
}
const DisputeSchema = Type.Object(disputeMembers, { ...closed, examples: [example] })

const TraceSchema = Type.Object(
  {
    role: Type.Enum(['original', 'follows', 'near'], {
      description:
        'what is disputed; what followed it (refunds, reversals, credits); others of the purse at the same merchant within a day',
    }),
    key: Type.String({ description: 'under which the ledger knows it' }),
    at: Type.String(),
    mti: Type.Integer(),
    kind: Type.String(),
    requested: Type.String(),
    approved: Type.String(),
    responseCode: Type.String(),
    reason: TextOrNull,
    approvalCode: TextOrNull,
    terminalId: TextOrNull,
    terminalClass: TextOrNull,
    acceptorId: TextOrNull,
    merchantName: TextOrNull,
    rrn: TextOrNull,
    stoodInAt: TextOrNull,
  },
  closed,
)
const traceExample = {
  role: 'original',
  key: 'atm|ATM00001|1122080000|000042|2',
  at: '2026-11-22T08:00:00.000Z',
  mti: 200,
  kind: 'withdrawal',
  requested: '200.00',
  approved: '200.00',
  responseCode: '00',
  reason: null,
  approvalCode: '4F21A0',
  terminalId: 'ATM00001',
  terminalClass: 'atm',
  acceptorId: 'POSTEG000000001',
  merchantName: 'Post office 1',
  rrn: '632608000042',
  stoodInAt: null,
}
const WithEvidenceSchema = Type.Object(
  {
    ...disputeMembers,
    evidence: Type.Array(TraceSchema, { description: 'the trace of the messages when the case was opened' }),
    trace: Type.Array(TraceSchema, { description: 'the same as it is now' }),
  },
  { ...closed, examples: [{ ...example, evidence: [traceExample], trace: [traceExample] }] },
)

const NewDisputeSchema = Type.Object(
  {
    cardId: CardIdSchema,
    purse: Type.String({
      pattern: '^[a-z][a-z-]{0,19}$',
      description: 'the purse that the posting moved: cash, bread and so on',
    }),
    version: Type.Integer({
      minimum: 1,
      maximum: 999_999_999,
      description: 'the posting, as the statement of the purse has it: 1 to 999999999',
    }),
    reason: Reason,
    amount: Type.Optional(Amount),
    note: Type.Optional(wordsSchema('what the holder says', 'The machine whirred and gave nothing')),
  },
  {
    ...closed,
    examples: [{ cardId: 'pW3bq0kJx7T1u5mYc2Zr8A', purse: 'cash', version: 7, reason: 'atm-did-not-dispense' }],
  },
)

const DecisionSchema = Type.Object(
  {
    outcome: Type.Enum([...DISPUTE_OUTCOMES], { description: `${DISPUTE_OUTCOMES.join(', ')}: how the case is to end` }),
    amount: Type.Optional(Amount),
    reason: wordsSchema('why', 'The machine counted 200 EGP more than the ledger'),
  },
  { ...closed, examples: [{ outcome: 'grant', amount: '200', reason: 'The machine counted 200 EGP more than the ledger' }] },
)

const ListQuery = Type.Object(
  {
    ...PageQuery,
    state: Type.Optional(State),
    dueBy: Type.Optional(DaySchema),
    cardId: Type.Optional(CardIdSchema),
  },
  closed,
)
const Params = Type.Object(
  { disputeId: Type.String({ pattern: '^[1-9]\\d{0,14}$', description: 'number of a dispute', examples: ['17'] }) },
  closed,
)

export function disputeRoutes(app: FastifyInstance, parts: ProgrammeParts): void {
  const routes = app.withTypeProvider<TypeBoxTypeProvider>()
  const decisions = disputeDecisionKind(parts.config)

  routes.post(
    '/v1/disputes',
    {
      config: { permission: 'dispute:open' },
      schema: {
        summary:
          "Opens a case about a posting of the holder's card; what is claimed is all of it that was not given back, or less",
        tags,
        headers: WriteHeaders,
        body: NewDisputeSchema,
        response: {
          201: jsonResponse('The case', DisputeSchema),
          ...writeProblems({ 404: 'There is no such card, or it has made no such posting that could be disputed' }),
        },
      },
    },
    (request, reply) => {
      const { cardId, amount, note = null, ...asked } = request.body
      const actor = actorOf(request)
      return answerCommand(
        parts,
        request,
        reply,
        {
          action: 'dispute.open',
          subject: `card ${cardId}`,
          detail: { ...asked, ...(amount === undefined ? {} : { amount }) },
          work: async (tx) => {
            const piasters = piastersOf(amount)
            if (!piasters.ok) return piasters
            const opened = await openDispute(tx, parts.config, actor, {
              ...asked,
              cardToken: cardId,
              note,
              amount: piasters.value,
            })
            return opened.ok ? done(shownDispute(opened.value)) : opened
          },
          audit: ({ disputeId }) => ({ detail: { disputeId } }),
        },
        201,
      )
    },
  )

  routes.get(
    '/v1/disputes',
    {
      config: { permission: 'dispute:read' },
      schema: {
        summary: 'Cases, those first that have to be decided first',
        tags,
        querystring: ListQuery,
        response: { 200: jsonResponse('A page of them', pageSchema(DisputeSchema)), ...readProblems() },
      },
    },
    (request, reply) =>
      answerRead(parts, reply, async (tx) => {
        const { state, dueBy, cardId, ...paging } = request.query
        const page = pageStart(paging)
        const [, decideBy, id] = /^(\d{4}-\d{2}-\d{2}) (\d{1,15})$/.exec(page.after) ?? []
        const after = decideBy === undefined || Number.isNaN(Date.parse(decideBy)) ? undefined : { decideBy, id: Number(id) }
        const found = await listDisputes(tx, { state, dueBy, cardToken: cardId, after, limit: page.look })
        const { items, next } = pageOf(found, page, (one) => `${one.decideBy} ${String(one.id)}`)
        return done({ items: items.map(shownDispute), next })
      }),
  )

  routes.get(
    '/v1/disputes/:disputeId',
    {
      config: { permission: 'dispute:read' },
      schema: {
        summary: 'A case with its evidence',
        tags,
        params: Params,
        response: { 200: jsonResponse('The case', WithEvidenceSchema), ...readProblems({ 404: 'There is no such dispute' }) },
      },
    },
    (request, reply) =>
      answerRead(parts, reply, async (tx) => {
        const dispute = await readDispute(tx, Number(request.params.disputeId))
        if (dispute === undefined) return NO_SUCH_DISPUTE
        const trace = await readTrace(tx, { key: dispute.originalKey, keyDate: dispute.originalDate })
        return done({ ...shownDispute(dispute), evidence: dispute.evidence.map(shownLine), trace: trace.map(shownLine) })
      }),
  )

  routes.post(
    '/v1/disputes/:disputeId/decision',
    {
      config: { permission: 'dispute:decide' },
      schema: {
        summary:
          'Proposes how a case ends; another officer approves (POST /v1/proposals/{proposalId}/decision), and it is posted at once',
        tags,
        params: Params,
        headers: WriteHeaders,
        body: DecisionSchema,
        response: {
          202: jsonResponse('The proposal, open', ProposalSchema),
          ...writeProblems({ 404: 'There is no such dispute' }),
        },
      },
    },
    (request, reply) => {
      const disputeId = Number(request.params.disputeId)
      const { outcome, amount, reason } = request.body
      const actor = actorOf(request)
      const work = async (tx: SqlTransaction): Promise<Outcome<Static<typeof ProposalSchema>>> => {
        const piasters = piastersOf(amount)
        if (!piasters.ok) return piasters
        const known = await readDispute(tx, disputeId)
        const body = { disputeId, outcome, amount: outcome === 'grant' ? (piasters.value ?? known?.claimed ?? 0) : 0 }
        const checked = await checkDecision(tx, body)
        if (!checked.ok) return checked
        const proposed = await propose(tx, decisions, actor, {
          subject: `dispute ${String(disputeId)}`,
          body: { ...body, reason },
        })
        return proposed.ok ? done(shownProposal(proposed.value)) : proposed
      }
      return answerCommand(
        parts,
        request,
        reply,
        {
          action: 'dispute.decision',
          subject: `dispute ${String(disputeId)}`,
          detail: { outcome, ...(amount === undefined ? {} : { amount }), reason },
          work,
          audit: ({ proposalId }) => ({ detail: { proposalId } }),
        },
        202,
      )
    },
  )
}

function piastersOf(amount: string | undefined): Outcome<number | undefined> {
  if (amount === undefined) return done(undefined)
  const piasters = parseAmount(amount)
  return piasters === undefined || piasters === 0
    ? refused('invalid', 'nothing-claimed', 'An amount in pounds, above zero.', '/amount')
    : done(piasters)
}

function shownDispute(dispute: Dispute): Static<typeof DisputeSchema> {
  const { id, cardToken, householdId, personId, reason, state, openedBy, openedAt, note, creditDay, decideBy, decidedAt } =
    dispute
  const pounds = (amount: number | null): string | null => (amount === null ? null : formatAmount(amount))
  return {
    ...{
      disputeId: id,
      cardId: cardToken,
      personId,
      householdId,
      reason,
      claimed: formatAmount(dispute.claimed),
      state,
      openedBy,
    },
    ...{
      openedAt: new Date(openedAt).toISOString(),
      note,
      creditOn: creditDay,
      decideBy,
      provisional: pounds(dispute.provisional),
    },
    ...{ granted: pounds(dispute.granted), takenBack: pounds(dispute.takenBack), uncovered: pounds(dispute.uncovered) },
    decidedAt: decidedAt === null ? null : new Date(decidedAt).toISOString(),
  }
}

const KIND_NAMES = new Map<number, string>(Object.entries(KIND).map(([name, number]) => [number, name]))

function shownLine({ kind, requested, approved, ...same }: TraceLine): Static<typeof TraceSchema> {
  return {
    ...same,
    kind: KIND_NAMES.get(kind) ?? String(kind),
    requested: formatAmount(requested),
    approved: formatAmount(approved),
  }
}
