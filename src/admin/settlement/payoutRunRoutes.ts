/** Payout runs: prepared by one person, approved by another (`POST /v1/proposals/:proposalId/decision`), then a file for the bank. */
import { Readable } from 'node:stream'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance, FastifyReply } from 'fastify'
import Type, { type Static } from 'typebox'
import { done, refused } from '../../ledger/programme/desk.ts'
import { leftMerchants, listPayoutRuns, payoutLines, type PayoutRun } from '../../ledger/settlement/payoutRuns.ts'
import { formatAmount } from '../../money.ts'
import { maskIban } from '../../settlement/bankAccount.ts'
import { PAYOUT_FORMATS, payoutFile, type PayoutFormat } from '../../settlement/payoutFile.ts'
import { payoutParts, payoutRunOf, preparePayoutRun } from '../../settlement/payoutRuns.ts'
import { actorOf } from '../access/guard.ts'
import { jsonResponse } from '../problem.ts'
import {
  answerCommand,
  answerRead,
  readProblems,
  sendRefusal,
  sendTrouble,
  WriteHeaders,
  writeProblems,
  type ProgrammeParts,
} from '../programme/command.ts'
import { AcceptorId } from '../programme/merchantRoutes.ts'
import { numberAfter, PageQuery, pageOf, pageSchema, pageStart } from '../programme/paging.ts'
import { DaySchema, isDate } from './dayRoutes.ts'

const closed = { additionalProperties: false }
const tags = ['settlement']
const TextOrNull = Type.Union([Type.String(), Type.Null()])

const STATES = ['prepared', 'posting', 'approved', 'cancelled'] as const
const RunSchema = Type.Object(
  {
    runId: Type.Integer(),
    until: DaySchema,
    state: Type.Enum([...STATES], {
      description:
        'posting: approved, and not all of it is posted yet (posted says how much); cancelled: refused or withdrawn, its positions are free',
    }),
    preparedBy: Type.String(),
    preparedAt: Type.String({ description: 'RFC 3339, UTC' }),
    payouts: Type.Integer({ description: 'control sum: payments' }),
    amount: Type.String({ description: 'control sum: Egyptian pounds' }),
    posted: Type.Integer({ description: 'of its payouts' }),
    leftOut: Type.Integer({ description: 'merchants that it does not pay; GET .../left says why' }),
    proposalId: TextOrNull,
    decidedAt: TextOrNull,
    messageId: Type.Union([Type.String(), Type.Null()], { description: 'pain.001 MsgId, from the approval on' }),
    executionDay: TextOrNull,
  },
  {
    ...closed,
    examples: [
      {
        ...{ runId: 12, until: '2026-11-27', state: 'prepared', preparedBy: 'officer-1', preparedAt: '2026-11-28T08:00:00.000Z' },
        ...{ payouts: 2, amount: '1530.25', posted: 0, leftOut: 1, proposalId: '0f3a1c52-6c1e-4b9e-9a50-2f1d7a0e6b11' },
        ...{ decidedAt: null, messageId: null, executionDay: null },
      },
    ],
  },
)
const LineSchema = Type.Object(
  {
    ordinal: Type.Integer(),
    acceptorId: AcceptorId,
    until: DaySchema,
    amount: Type.String(),
    iban: Type.String({ description: 'masked; the file has it whole' }),
    holderName: Type.String(),
    endToEndId: TextOrNull,
    state: Type.Enum(['prepared', 'paid', 'executed', 'returned']),
  },
  {
    ...closed,
    examples: [
      {
        ...{
          ordinal: 1,
          acceptorId: 'PORTSAID0000042',
          until: '2026-11-27',
          amount: '525.00',
          iban: 'EG380019*****************0002',
        },
        ...{ holderName: 'مخبز الميناء', endToEndId: null, state: 'prepared' },
      },
    ],
  },
)
const REASONS = ['held', 'no-bank-account', 'negative', 'below-minimum', 'account-changed'] as const
const Reason = Type.Enum([...REASONS], { description: 'held, no-bank-account, negative, below-minimum or account-changed' })
const LeftSchema = Type.Object(
  { acceptorId: AcceptorId, amount: Type.String({ description: 'what is owed, for the next run' }), reason: Reason },
  { ...closed, examples: [{ acceptorId: 'PORTSAID0000043', amount: '5.25', reason: 'below-minimum' }] },
)

const RunParams = Type.Object(
  { runId: Type.String({ pattern: '^[1-9]\\d{0,14}$', description: 'the number of a payout run', examples: ['12'] }) },
  closed,
)
const ListQuery = Type.Object(
  {
    ...PageQuery,
    state: Type.Optional(Type.Enum([...STATES], { description: 'prepared, posting, approved or cancelled' })),
  },
  closed,
)
const PrepareSchema = Type.Object(
  { until: Type.Optional(DaySchema) },
  { ...closed, description: 'until: the last day that is paid; absent: the last one that is closed', examples: [{}] },
)
const FileQuery = Type.Object(
  { format: Type.Optional(Type.Enum([...PAYOUT_FORMATS], { description: 'pain.001 or csv; absent: pain.001' })) },
  closed,
)
const XML_EXAMPLE =
  '<?xml version="1.0" encoding="UTF-8"?>\n<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.001.001.09"></Document>\n'
const CSV_EXAMPLE = 'record,id,day,iban,bic,name,merchant,currency,amount,payments\r\n'

const fileAnswer: Record<string, unknown> = {
  200: {
    description: 'The file, with the number and the sum of its payments',
    content: {
      'application/xml': { schema: Type.String({ examples: [XML_EXAMPLE] }) },
      'text/csv': { schema: Type.String({ examples: [CSV_EXAMPLE] }) },
    },
  },
  ...readProblems({ 404: 'There is no such run', 409: 'The run is not approved, or not all of it is posted' }),
}

export function payoutRunRoutes(app: FastifyInstance, parts: ProgrammeParts): void {
  const routes = app.withTypeProvider<TypeBoxTypeProvider>()
  const runParts = payoutParts(parts.config)

  routes.post(
    '/v1/payout-runs',
    {
      config: { permission: 'payout:prepare' },
      schema: {
        summary: 'Prepares a run that pays every merchant what it is owed for the closed business days; a second person approves',
        description: 'One run waits for a decision at a time. Refused or withdrawn, what it took up is free for the next one.',
        tags,
        headers: WriteHeaders,
        body: PrepareSchema,
        response: { 202: jsonResponse('The run, prepared, with the proposal to decide on', RunSchema), ...writeProblems() },
      },
    },
    (request, reply) => {
      const { until } = request.body
      const actor = actorOf(request)
      return answerCommand(
        parts,
        request,
        reply,
        {
          action: 'payout-run.prepare',
          subject: 'payout-run',
          detail: { ...request.body },
          work: async (tx) => {
            if (until !== undefined && !isDate(until))
              return refused('invalid', 'no-such-day', 'There is no such date.', '/until')
            const run = await preparePayoutRun(tx, runParts, actor, until)
            return run.ok ? done(shownRun(run.value)) : run
          },
          audit: ({ runId, payouts, amount }) => ({ subject: `payout-run ${String(runId)}`, detail: { payouts, amount } }),
        },
        202,
      )
    },
  )

  routes.get(
    '/v1/payout-runs',
    {
      config: { permission: 'payout:read' },
      schema: {
        summary: 'Payout runs, the latest first',
        tags,
        querystring: ListQuery,
        response: { 200: jsonResponse('A page of them', pageSchema(RunSchema)), ...readProblems() },
      },
    },
    (request, reply) =>
      answerRead(parts, reply, async (tx) => {
        const { state, ...paging } = request.query
        const page = pageStart(paging)
        const runs = await listPayoutRuns(tx, numberAfter(page), page.look, state)
        return done(pageOf(runs.map(shownRun), page, ({ runId }) => String(runId)))
      }),
  )

  routes.get(
    '/v1/payout-runs/:runId',
    {
      config: { permission: 'payout:read' },
      schema: {
        summary: 'A payout run',
        tags,
        params: RunParams,
        response: { 200: jsonResponse('The run', RunSchema), ...readProblems() },
      },
    },
    (request, reply) =>
      answerRead(parts, reply, async (tx) => {
        const run = await payoutRunOf(tx, Number(request.params.runId))
        return run.ok ? done(shownRun(run.value)) : run
      }),
  )

  listRoutes(app, parts)
}

/** What is in a run, and what is not. */
function listRoutes(app: FastifyInstance, parts: ProgrammeParts): void {
  const routes = app.withTypeProvider<TypeBoxTypeProvider>()

  routes.get(
    '/v1/payout-runs/:runId/payouts',
    {
      config: { permission: 'payout:read' },
      schema: {
        summary: 'What a run pays, in the order of its file',
        tags,
        params: RunParams,
        querystring: Type.Object(PageQuery, closed),
        response: { 200: jsonResponse('A page of payouts', pageSchema(LineSchema)), ...readProblems() },
      },
    },
    (request, reply) =>
      answerRead(parts, reply, async (tx) => {
        const runId = Number(request.params.runId)
        const run = await payoutRunOf(tx, runId)
        if (!run.ok) return run
        const page = pageStart(request.query)
        const { items, next } = pageOf(await payoutLines(tx, runId, numberAfter(page), page.look), page, (line) =>
          String(line.ordinal),
        )
        const shown = items.map(({ ordinal, acceptorId, untilDay, amount, iban, holderName, endToEndId, state }) => ({
          ...{ ordinal, acceptorId, until: untilDay, holderName, endToEndId, state },
          ...{ amount: formatAmount(amount), iban: maskIban(iban) },
        }))
        return done({ items: shown, next })
      }),
  )

  routes.get(
    '/v1/payout-runs/:runId/left',
    {
      config: { permission: 'payout:read' },
      schema: {
        summary: 'Whom a run does not pay, and why: what they are owed stays for the next one',
        tags,
        params: RunParams,
        querystring: Type.Object({ ...PageQuery, reason: Type.Optional(Reason) }, closed),
        response: { 200: jsonResponse('A page of merchants', pageSchema(LeftSchema)), ...readProblems() },
      },
    },
    (request, reply) =>
      answerRead(parts, reply, async (tx) => {
        const runId = Number(request.params.runId)
        const run = await payoutRunOf(tx, runId)
        if (!run.ok) return run
        const { reason, ...paging } = request.query
        const page = pageStart(paging)
        const { items, next } = pageOf(
          await leftMerchants(tx, runId, page.after, page.look, reason),
          page,
          (one) => one.acceptorId,
        )
        return done({ items: items.map((one) => ({ ...one, amount: formatAmount(one.amount) })), next })
      }),
  )

  routes.get(
    '/v1/payout-runs/:runId/file',
    {
      config: { permission: 'merchant-account:read' },
      schema: {
        summary: 'The file of an approved run for the bank: ISO 20022 pain.001.001.09, or CSV',
        description:
          'The same bytes each time. Where nobody knows whether the bank has it, send it again: the bank drops a message whose MsgId it had.',
        tags,
        params: RunParams,
        querystring: FileQuery,
        response: fileAnswer,
      },
    },
    (request, reply) => answerFile(parts, reply, Number(request.params.runId), request.query.format ?? 'pain.001'),
  )
}

async function answerFile(
  { desk }: ProgrammeParts,
  reply: FastifyReply,
  runId: number,
  format: PayoutFormat,
): Promise<FastifyReply> {
  try {
    const file = await payoutFile((look) => desk.read(look), runId, format)
    if (!file.ok) sendRefusal(reply, file.refusal)
    else {
      const { name, type, chunks } = file.value
      void reply.header('content-disposition', `attachment; filename="${name}"`)
      void reply.type(type).send(Readable.from(chunks))
    }
  } catch (error) {
    sendTrouble(reply, error)
  }
  return reply
}

function shownRun(run: PayoutRun): Static<typeof RunSchema> {
  const {
    runId,
    untilDay,
    state,
    preparedBy,
    preparedAt,
    payouts,
    amount,
    posted,
    leftOut,
    proposalId,
    decidedAt,
    messageId,
    executionDay,
  } = run
  return {
    ...{ runId, until: untilDay, state, preparedBy, payouts, posted, leftOut, proposalId, messageId, executionDay },
    preparedAt: preparedAt.toISOString(),
    amount: formatAmount(amount),
    decidedAt: decidedAt?.toISOString() ?? null,
  }
}
