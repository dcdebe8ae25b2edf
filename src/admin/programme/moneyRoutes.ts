/** Balances and statements of persons and households. */
import { Readable } from 'node:stream'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import Type from 'typebox'
import { done } from '../../ledger/programme/desk.ts'
import {
  balancesOf,
  statementLines,
  statementOf,
  type PurseOwner,
  type StatementLine,
  type StatementOf,
} from '../../programme/statement.ts'
import { csvText } from '../../settlement/csv.ts'
import { jsonResponse } from '../problem.ts'
import { answerRead, readProblems, sendRefusal, sendTrouble, type ProgrammeParts } from './command.ts'
import { numberAfter, PageQuery, pageOf, pageSchema, pageStart, type PageAsked } from './paging.ts'
import { DaySchema, HouseholdParams, PersonParams } from './personShown.ts'

const closed = { additionalProperties: false }
const tags = ['money']

const BalanceSchema = Type.Object(
  {
    purse: Type.String(),
    unit: Type.String(),
    available: Type.String({ description: 'in major units; loaves whole' }),
    held: Type.String({ description: 'set aside by authorizations' }),
    month: Type.Union([Type.String(), Type.Null()], { description: 'YYYY-MM, the month that it was last opened for' }),
    due: Type.Boolean({ description: 'the present month is opened at the next use, and the balance is that of before' }),
  },
  {
    ...closed,
    examples: [{ purse: 'bread', unit: 'LOAF', available: '420', held: '0', month: '2026-12', due: false }],
  },
)

const TextOrNull = Type.Union([Type.String(), Type.Null()])
const LineSchema = Type.Object(
  {
    version: Type.Integer({ description: 'the purse’s after it: lines are in this order, without gaps' }),
    at: Type.String(),
    kind: Type.String({ description: 'purchase, dispense, opening and so on' }),
    terminalId: TextOrNull,
    merchantName: TextOrNull,
    amount: Type.String({ description: 'signed: what can be spent changed by this; 0 where a hold was used' }),
    available: Type.String({ description: 'what could be spent after it' }),
    rrn: TextOrNull,
    responseCode: Type.String(),
  },
  {
    ...closed,
    examples: [
      {
        version: 7,
        at: '2026-12-01T08:00:00.000Z',
        kind: 'purchase',
        terminalId: 'POS00001',
        merchantName: 'Shop 1',
        amount: '-12.50',
        available: '987.50',
        rrn: '633508000123',
        responseCode: '00',
      },
    ],
  },
)

const StatementQuery = Type.Object(
  {
    ...PageQuery,
    purse: Type.Optional(Type.String({ pattern: '^[a-z][a-z-]{0,19}$', description: 'the name of a purse', examples: ['cash'] })),
    from: Type.Optional(DaySchema),
    to: Type.Optional(DaySchema),
  },
  closed,
)
const COLUMNS = ['instant', 'kind', 'terminal', 'merchant', 'amount', 'available', 'rrn', 'response_code']
const CSV_EXAMPLE = `${COLUMNS.join(',')}\r\n2026-11-22T08:00:00.000Z,purchase,POS00001,Shop 1,-12.50,987.50,632608000001,00\r\n`

const statementAnswer = {
  200: {
    description: 'Postings in their order. As text/csv all of the period, else page by page',
    content: {
      'application/json': { schema: pageSchema(LineSchema) },
      'text/csv': { schema: Type.String({ examples: [CSV_EXAMPLE] }) },
    },
  },
  ...readProblems({ 422: 'No such purse, or a period that ends before it begins' }),
}
const STATEMENT = 'What was posted on a purse from a day to another, both included; this month where they are absent'

export function moneyRoutes(app: FastifyInstance, parts: ProgrammeParts): void {
  const routes = app.withTypeProvider<TypeBoxTypeProvider>()
  const { programme } = parts.config
  const balances = (reply: FastifyReply, owner: PurseOwner): Promise<FastifyReply> =>
    answerRead(parts, reply, async (tx) => {
      const found = await balancesOf(tx, programme, owner)
      return found.ok ? done({ items: found.value, next: null }) : found
    })
  const balancesAnswer = { 200: jsonResponse('A purse each', pageSchema(BalanceSchema)), ...readProblems() }

  routes.get(
    '/v1/persons/:personId/balances',
    {
      config: { permission: 'balance:read' },
      schema: { summary: 'What a person has, as the ledger says', tags, params: PersonParams, response: balancesAnswer },
    },
    (request, reply) => balances(reply, { personId: Number(request.params.personId) }),
  )

  routes.get(
    '/v1/households/:householdId/balances',
    {
      config: { permission: 'balance:read' },
      schema: {
        summary: 'What a household has of its own, as the ledger says',
        tags,
        params: HouseholdParams,
        response: balancesAnswer,
      },
    },
    (request, reply) => balances(reply, { householdId: Number(request.params.householdId) }),
  )

  routes.get(
    '/v1/persons/:personId/statement',
    {
      config: { permission: 'statement:read' },
      schema: { summary: STATEMENT, tags, params: PersonParams, querystring: StatementQuery, response: statementAnswer },
    },
    (request, reply) => answerStatement(parts, request, reply, { personId: Number(request.params.personId) }, request.query),
  )

  routes.get(
    '/v1/households/:householdId/statement',
    {
      config: { permission: 'statement:read' },
      schema: { summary: STATEMENT, tags, params: HouseholdParams, querystring: StatementQuery, response: statementAnswer },
    },
    (request, reply) =>
      answerStatement(parts, request, reply, { householdId: Number(request.params.householdId) }, request.query),
  )
}

interface AskedOfStatement extends PageAsked {
  readonly purse?: string
  readonly from?: string
  readonly to?: string
}

async function answerStatement(
  parts: ProgrammeParts,
  request: FastifyRequest,
  reply: FastifyReply,
  owner: PurseOwner,
  { purse, from, to, ...paging }: AskedOfStatement,
): Promise<FastifyReply> {
  const { programme } = parts.config
  const asked = { owner, purse, from, to }
  if (!/\btext\/csv\b/i.test(request.headers.accept ?? ''))
    return answerRead(parts, reply, async (tx) => {
      const statement = await statementOf(tx, programme, asked)
      if (!statement.ok) return statement
      const page = pageStart(paging)
      const lines = await statementLines(tx, statement.value, { after: numberAfter(page), limit: page.look })
      return done(pageOf(lines, page, ({ version }) => String(version)))
    })
  try {
    const statement = await parts.desk.read((tx) => statementOf(tx, programme, asked))
    if (!statement.ok) sendRefusal(reply, statement.refusal)
    else {
      void reply.header('content-disposition', `attachment; filename="statement-${statement.value.purse.name}.csv"`)
      void reply.type('text/csv; charset=utf-8').send(Readable.from(csvOf(parts, statement.value)))
    }
  } catch (error) {
    sendTrouble(reply, error)
  }
  return reply
}

const LINES_A_READ = 1000

/** RFC 4180. Read as it is sent, so that a long period takes no memory. */
async function* csvOf({ desk }: ProgrammeParts, statement: StatementOf): AsyncGenerator<string> {
  yield `${COLUMNS.join(',')}\r\n`
  for (let after = 0; ;) {
    const lines = await desk.read((tx) => statementLines(tx, statement, { after, limit: LINES_A_READ }))
    if (lines.length > 0) yield lines.map(csvLine).join('')
    after = lines.at(-1)?.version ?? after
    if (lines.length < LINES_A_READ) return
  }
}

function csvLine({ at, kind, terminalId, merchantName, amount, available, rrn, responseCode }: StatementLine): string {
  const text = [at, kind, terminalId ?? '', merchantName ?? '']
  return `${[...text.map(csvText), amount, available, csvText(rrn ?? ''), responseCode].join(',')}\r\n`
}
