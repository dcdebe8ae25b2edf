/** What a merchant has earned: positions by day and unit, and the statement of a day as data, as CSV and as a page to print. */
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import Type, { type Static } from 'typebox'
import { done, refused } from '../../ledger/programme/desk.ts'
import type { PositionLine } from '../../ledger/settlement/outletPositions.ts'
import { formatUnits } from '../../programme/statement.ts'
import type { UnitDefinition } from '../../programmeParameters.ts'
import { positionsOf, statementOfMerchant } from '../../settlement/merchantStatement.ts'
import { LANGUAGES, PAGE_POLICY, statementPage, type Language } from '../../settlement/merchantStatementPage.ts'
import { shownStatement, statementCsv } from '../../settlement/merchantStatementShown.ts'
import { jsonResponse } from '../problem.ts'
import { answerRead, readProblems, sendRefusal, sendTrouble, type ProgrammeParts } from '../programme/command.ts'
import { AcceptorId } from '../programme/merchantRoutes.ts'
import { PageQuery, pageOf, pageSchema, pageStart } from '../programme/paging.ts'
import { DaySchema, isDate } from './dayRoutes.ts'

const closed = { additionalProperties: false }
const tags = ['settlement']

const PositionSchema = Type.Object(
  {
    day: DaySchema,
    unit: Type.String(),
    received: Type.String({ description: 'in major units; loaves whole. Of other units than EGP: handed out' }),
    givenBack: Type.String(),
    net: Type.String(),
    payout: Type.Union([Type.Enum(['open', 'prepared', 'paid', 'executed', 'returned']), Type.Null()], {
      description: 'what has become of it: open is in no payout yet; null of what is no money',
    }),
    endToEndId: Type.Union([Type.String(), Type.Null()], { description: 'of the payout, once it was sent' }),
  },
  {
    ...closed,
    examples: [
      {
        ...{ day: '2026-11-27', unit: 'EGP', received: '525.00', givenBack: '0.00', net: '525.00' },
        ...{ payout: 'paid', endToEndId: 'SARF-12-20261128080000-1' },
      },
    ],
  },
)

const amounts = { transfers: Type.Integer(), received: Type.String(), givenBack: Type.String() }
const StatementSchema = Type.Object(
  {
    acceptorId: AcceptorId,
    name: Type.String(),
    category: Type.String(),
    governorate: Type.Integer(),
    day: DaySchema,
    opening: Type.String({ description: 'what was owed when the day began' }),
    lines: Type.Array(
      Type.Object(
        {
          source: Type.String({ description: 'wallets, treasury-bread, health-fund, suspense, returned-payouts and so on' }),
          ...amounts,
          net: Type.String(),
        },
        closed,
      ),
    ),
    payouts: Type.Array(Type.Object({ endToEndId: Type.String(), untilDay: DaySchema, amount: Type.String() }, closed), {
      description: 'posted on this day, for days before',
    }),
    closing: Type.String({ description: 'opening, and what was received, less what was given back and paid out' }),
    units: Type.Array(
      Type.Object(
        {
          unit: Type.String(),
          transfers: Type.Integer(),
          handedOut: Type.String(),
          givenBack: Type.String(),
          net: Type.String(),
        },
        closed,
      ),
    ),
    control: Type.Object({ ...amounts, paidOut: Type.String() }, { ...closed, description: 'sums over all lines' }),
  },
  {
    ...closed,
    examples: [
      {
        ...{ acceptorId: 'PORTSAID0000042', name: 'Bakery of the harbour', category: '5462', governorate: 3, day: '2026-11-27' },
        opening: '0.00',
        lines: [{ source: 'treasury-bread', transfers: 1, received: '5.25', givenBack: '0.00', net: '5.25' }],
        payouts: [],
        closing: '5.25',
        units: [{ unit: 'LOAF', transfers: 1, handedOut: '5', givenBack: '0', net: '5' }],
        control: { transfers: 1, received: '5.25', givenBack: '0.00', paidOut: '0.00' },
      },
    ],
  },
)
const CSV_EXAMPLE =
  'merchant,name,day,record,what,unit,transfers,in,out,net\r\nPORTSAID0000042,Bakery of the harbour,2026-11-27,opening,,EGP,,,,0.00\r\n'
const PAGE_EXAMPLE = '<!DOCTYPE html>\n<html lang="ar" dir="rtl"></html>\n'
const statementAnswer: Record<string, unknown> = {
  200: {
    description: 'As JSON, as CSV, or as a page to print in Arabic or English',
    content: {
      'application/json': { schema: StatementSchema },
      'text/csv': { schema: Type.String({ examples: [CSV_EXAMPLE] }) },
      'text/html': { schema: Type.String({ examples: [PAGE_EXAMPLE] }) },
    },
  },
  ...readProblems({ 409: 'The day is not closed yet', 422: 'There is no such day' }),
}

const Params = Type.Object({ acceptorId: AcceptorId }, closed)
const StatementParams = Type.Object({ acceptorId: AcceptorId, day: DaySchema }, closed)
const PositionsQuery = Type.Object({ ...PageQuery, from: Type.Optional(DaySchema), until: Type.Optional(DaySchema) }, closed)
const FORMATS = ['json', 'csv', 'html'] as const
const StatementQuery = Type.Object(
  {
    format: Type.Optional(Type.Enum([...FORMATS], { description: 'json, csv or html; absent: as Accept says' })),
    lang: Type.Optional(Type.Enum([...LANGUAGES], { description: 'language of the page: ar, or en; absent: Arabic' })),
  },
  closed,
)

export function merchantPositionRoutes(app: FastifyInstance, parts: ProgrammeParts): void {
  const routes = app.withTypeProvider<TypeBoxTypeProvider>()
  const { units } = parts.config.programme

  routes.get(
    '/v1/merchants/:acceptorId/positions',
    {
      config: { permission: 'payout:read' },
      schema: {
        summary: 'What a merchant has earned, by closed business day and unit; the last month where no days are given',
        tags,
        params: Params,
        querystring: PositionsQuery,
        response: {
          200: jsonResponse('A page of them', pageSchema(PositionSchema)),
          ...readProblems({ 422: 'A day that there is not, or a period that ends before it begins' }),
        },
      },
    },
    (request, reply) =>
      answerRead(parts, reply, async (tx) => {
        const { from, until, ...paging } = request.query
        for (const [name, day] of [['from', from] as const, ['until', until] as const])
          if (day !== undefined && !isDate(day)) return noSuchDay(`/${name}`)
        const page = pageStart(paging)
        const [day = '', unit = ''] = page.after.split(' ')
        const after = isDate(day) && /^\d{1,4}$/.test(unit) ? { day, unitNumber: Number(unit) } : undefined
        const found = await positionsOf(tx, request.params.acceptorId, { from, until, after, limit: page.look })
        if (!found.ok) return found
        const { items, next } = pageOf(found.value, page, (line) => `${line.day} ${String(line.unitNumber)}`)
        return done({ items: items.map((line) => shownPosition(line, units)), next })
      }),
  )

  routes.get(
    '/v1/merchants/:acceptorId/statements/:day',
    {
      config: { permission: 'payout:read' },
      schema: {
        summary: 'The statement of a merchant for a closed business day: from opening to closing balance, with control sums',
        tags,
        params: StatementParams,
        querystring: StatementQuery,
        response: statementAnswer,
      },
    },
    (request, reply) => answerStatement(parts, request, reply, request.params, request.query),
  )
}

interface StatementAsked {
  readonly format?: string
  readonly lang?: string
}

async function answerStatement(
  { desk, config }: ProgrammeParts,
  request: FastifyRequest,
  reply: FastifyReply,
  { acceptorId, day }: Static<typeof StatementParams>,
  { format = formatOf(request), lang }: StatementAsked,
): Promise<FastifyReply> {
  try {
    const found = isDate(day)
      ? await desk.read((tx) => statementOfMerchant(tx, config.programme, acceptorId, day))
      : noSuchDay('/day')
    if (!found.ok) {
      sendRefusal(reply, found.refusal)
      return reply
    }
    const statement = shownStatement(found.value)
    if (format === 'csv') {
      void reply.header('content-disposition', `attachment; filename="statement-${acceptorId}-${day}.csv"`)
      void reply.type('text/csv; charset=utf-8').send(statementCsv(statement))
    } else if (format === 'html') {
      const language: Language = lang === 'en' ? 'en' : 'ar'
      void reply.header('content-security-policy', PAGE_POLICY)
      void reply.type('text/html; charset=utf-8').send(statementPage(statement, language))
    } else void reply.send(statement)
  } catch (error) {
    sendTrouble(reply, error)
  }
  return reply
}

function formatOf({ headers: { accept = '' } }: FastifyRequest): (typeof FORMATS)[number] {
  if (/\btext\/csv\b/i.test(accept)) return 'csv'
  return /\btext\/html\b/i.test(accept) ? 'html' : 'json'
}

function noSuchDay(field: string): ReturnType<typeof refused> {
  return refused('invalid', 'no-such-day', 'There is no such date.', field)
}

function shownPosition(line: PositionLine, units: readonly UnitDefinition[]): Static<typeof PositionSchema> {
  const { day, unit, credits, debits, payoutState, endToEndId } = line
  const definition = units.find(({ name }) => name === unit) ?? { currency: '999' }
  const isMoney = unit === 'EGP'
  return {
    ...{ day, unit, endToEndId: isMoney ? endToEndId : null },
    received: formatUnits(credits, definition),
    givenBack: formatUnits(debits, definition),
    net: formatUnits(credits - debits, definition),
    payout: isMoney ? ((payoutState ?? 'open') as 'open') : null,
  }
}
