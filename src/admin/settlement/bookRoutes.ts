/** The books: trial balance, general ledger, statements of accounts. Long answers are read as they are taken; a client that goes away ends the reading. */
import { Readable } from 'node:stream'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance, FastifyReply } from 'fastify'
import Type, { type TSchema } from 'typebox'
import type { Outcome } from '../../ledger/programme/desk.ts'
import { BooksBusy, type BookReader } from '../../ledger/settlement/books.ts'
import { errorText } from '../../log.ts'
import {
  accountStatement,
  generalLedger,
  ledgerDay,
  NO_SUCH_DAY,
  statementLines,
  trialBalance,
  type AccountStatement,
  type StatementLine,
} from '../../settlement/books.ts'
import { formatUnits } from '../../programme/statement.ts'
import { invalidRequest, jsonResponse, plainProblem, sendProblem } from '../problem.ts'
import { readProblems, sendRefusal, sendTrouble, type ProgrammeParts } from '../programme/command.ts'
import { DaySchema, isDate } from './dayRoutes.ts'

const closed = { additionalProperties: false }
const tags = ['books']
const problems = readProblems({
  404: 'There is no such business day',
  409: 'The books are not final up to that instant yet: ask again in some seconds',
  422: 'No such account or unit, or a period that ends before it begins',
  503: 'Others read the books already, or the ledger cannot be reached: Retry-After says when to ask again',
})

const AsOfQuery = Type.Object(
  {
    day: Type.Optional(DaySchema),
    at: Type.Optional(
      Type.String({
        pattern: '^20\\d{2}-\\d{2}-\\d{2}T\\d{2}:\\d{2}:\\d{2}(\\.\\d{1,3})?Z$',
        description: 'an instant, RFC 3339 in UTC: what was decided before it; or a day, one of the two',
        examples: ['2026-11-27T12:00:00Z'],
      }),
    ),
  },
  closed,
)
const side = Type.String({ description: 'in major units; loaves are whole' })
const TrialBalanceSchema: TSchema = Type.Object(
  {
    asOf: Type.String({ description: 'the day or the instant' }),
    until: Type.Integer({ description: 'the last event number that is in it' }),
    accounts: Type.Array(Type.Object({ code: Type.Integer(), unit: Type.String(), debit: side, credit: side }, closed)),
    totals: Type.Array(Type.Object({ unit: Type.String(), debit: side, credit: side }, closed)),
  },
  {
    ...closed,
    examples: [
      {
        asOf: '2026-11-27',
        until: 5218,
        accounts: [
          { code: 1210, unit: 'EGP', debit: '5.25', credit: '0.00' },
          { code: 2210, unit: 'EGP', debit: '0.00', credit: '5.25' },
        ],
        totals: [{ unit: 'EGP', debit: '5.25', credit: '5.25' }],
      },
    ],
  },
)

const LEDGER_EXAMPLE = [
  'event_number,business_day,own_date,kind,debit_account,debit_owner,credit_account,credit_owner,unit,amount,reference,terminal,merchant',
  '5217,2026-11-27,2026-11-27,dispense,2110,50000193,9001,0,LOAF,5,633108000001,BAK00001,PORTSAID0000042',
  '5217,2026-11-27,2026-11-27,dispense,1210,0,2210,42,EGP,5.25,633108000001,BAK00001,PORTSAID0000042',
  'TOTAL,EGP,1,5.25',
  'TOTAL,LOAF,1,5',
  'END,2026-11-27,2,5218',
  '',
].join('\n')

const LedgerSchema: TSchema = Type.String({ examples: [LEDGER_EXAMPLE] })

const AccountParams = Type.Object(
  {
    code: Type.String({ pattern: '^[1-9]\\d{3}$', description: 'account of the chart, four digits', examples: ['2210'] }),
    owner: Type.String({
      pattern: '^(0|[1-9]\\d{0,14})$',
      description: 'number of its merchant (22xx) or machine (1010), as the general ledger has it; 0 for all others',
      examples: ['42'],
    }),
  },
  closed,
)
const PeriodQuery = Type.Object(
  {
    from: DaySchema,
    to: DaySchema,
    unit: Type.Optional(Type.String({ pattern: '^[A-Z]{2,12}$', description: 'EGP where it is absent', examples: ['EGP'] })),
  },
  closed,
)
const TextOrNull = Type.Union([Type.String(), Type.Null()])
const LineSchema = Type.Object(
  {
    eventNumber: Type.Integer(),
    businessDay: Type.String(),
    ownDate: TextOrNull,
    kind: Type.String(),
    otherAccount: Type.Integer(),
    otherOwner: Type.Integer(),
    debit: TextOrNull,
    credit: TextOrNull,
    balance: Type.String({ description: 'debits less credits after it' }),
    reference: TextOrNull,
    terminal: TextOrNull,
    merchant: TextOrNull,
  },
  closed,
)
const StatementSchema: TSchema = Type.Object(
  {
    account: Type.Integer(),
    owner: Type.Integer(),
    unit: Type.String(),
    from: Type.String(),
    to: Type.String(),
    opening: Type.String({ description: 'debits less credits before the first day' }),
    lines: Type.Array(LineSchema),
    closing: Type.String(),
  },
  {
    ...closed,
    examples: [
      {
        ...{ account: 2210, owner: 42, unit: 'EGP', from: '2026-11-27', to: '2026-11-27', opening: '0.00' },
        lines: [
          {
            ...{ eventNumber: 5217, businessDay: '2026-11-27', ownDate: '2026-11-27', kind: 'dispense', otherAccount: 1210 },
            ...{ otherOwner: 0, debit: null, credit: '5.25', balance: '-5.25', reference: '633108000001', terminal: 'BAK00001' },
            merchant: 'PORTSAID0000042',
          },
        ],
        closing: '-5.25',
      },
    ],
  },
)
const STATEMENT_COLUMNS = [
  ...['event_number', 'business_day', 'own_date', 'kind', 'other_account', 'other_owner', 'debit', 'credit', 'balance'],
  ...['reference', 'terminal', 'merchant'],
]
const STATEMENT_EXAMPLE = [
  STATEMENT_COLUMNS.join(','),
  'OPENING,2210,42,EGP,2026-11-27,0.00',
  '5217,2026-11-27,2026-11-27,dispense,1210,0,,5.25,-5.25,633108000001,BAK00001,PORTSAID0000042',
  'CLOSING,2210,42,EGP,2026-11-27,-5.25',
  '',
].join('\n')

const StatementCsvSchema: TSchema = Type.String({ examples: [STATEMENT_EXAMPLE] })

export function bookRoutes(app: FastifyInstance, parts: ProgrammeParts): void {
  const routes = app.withTypeProvider<TypeBoxTypeProvider>()
  const { programme } = parts.config
  parts.metrics.watch('sarf_books_reading', 'Answers from the books that are being read', () => parts.books.reading)

  routes.get(
    '/v1/books/trial-balance',
    {
      config: { permission: 'book:read' },
      schema: {
        summary:
          'What all accounts hold at the end of a business day, or before an instant; of the day that is open as far as it is final',
        tags,
        querystring: AsOfQuery,
        response: { 200: jsonResponse('Balances by account and unit', TrialBalanceSchema), ...problems },
      },
    },
    async (request, reply) => {
      const { day, at } = request.query
      const instantMs = at === undefined ? NaN : Date.parse(at)
      if ((day === undefined) === (at === undefined) || (at !== undefined && Number.isNaN(instantMs))) {
        sendProblem(reply, invalidRequest([{ path: 'day', expected: 'a day or an instant, one of the two' }]))
        return reply
      }
      if (day !== undefined && !isDate(day)) return refuse(reply, NO_SUCH_DAY)
      return reading(parts, reply, async (reader) => {
        const balance = await trialBalance(reader.tx, programme, day === undefined ? { instantMs } : { day })
        if (balance.ok) void reply.send({ asOf: day ?? at, ...balance.value })
        return balance.ok ? undefined : balance
      })
    },
  )

  routes.get(
    '/v1/books/general-ledger/:day',
    {
      config: { permission: 'book:read' },
      schema: {
        summary: 'Every transfer of a business day as CSV, in the order of event numbers, with a trailer of counts and sums',
        tags,
        params: Type.Object({ day: DaySchema }, closed),
        response: {
          200: {
            description:
              'Lines, TOTAL a unit, and END, without which the file is not whole. Of the day that is open what is final',
            content: { 'text/csv': { schema: LedgerSchema } },
          },
          ...problems,
        },
      },
    },
    (request, reply) => {
      const { day } = request.params
      if (!isDate(day)) return refuse(reply, NO_SUCH_DAY)
      return reading(parts, reply, async (reader) => {
        const known = await ledgerDay(reader.tx, day)
        if (!known.ok) return known
        return { name: `general-ledger-${day}.csv`, type: CSV, text: generalLedger(reader, programme, known.value) }
      })
    },
  )

  routes.get(
    '/v1/books/accounts/:code/:owner/statement',
    {
      config: { permission: 'book:read' },
      schema: {
        summary:
          'What has moved an account on business days from one to another, both included, between its opening and its closing balance',
        tags,
        params: AccountParams,
        querystring: PeriodQuery,
        response: {
          200: {
            description: 'JSON, or as text/csv lines between OPENING and CLOSING, without which the file is not whole',
            content: {
              'application/json': { schema: StatementSchema },
              'text/csv': { schema: StatementCsvSchema },
            },
          },
          ...problems,
        },
      },
    },
    (request, reply) => {
      const { from, to, unit = 'EGP' } = request.query
      if (!isDate(from) || !isDate(to)) return refuse(reply, NO_SUCH_DAY)
      const asked = { code: Number(request.params.code), owner: Number(request.params.owner), unit, from, to }
      const asCsv = /\btext\/csv\b/i.test(request.headers.accept ?? '')
      return reading(parts, reply, async (reader) => {
        const statement = await accountStatement(reader.tx, programme, asked)
        if (!statement.ok) return statement
        const name = `statement-${request.params.code}-${request.params.owner}.csv`
        return asCsv
          ? { name, type: CSV, text: statementCsv(reader, statement.value) }
          : { type: 'application/json; charset=utf-8', text: statementJson(reader, statement.value) }
      })
    },
  )
}

const CSV = 'text/csv; charset=utf-8'
const BUSY_S = 10

interface Export {
  /** Of the file that it is to be kept as. */
  readonly name?: string
  readonly type: string
  readonly text: AsyncGenerator<Buffer | string, void, undefined>
}

function refuse(reply: FastifyReply, { refusal }: typeof NO_SUCH_DAY): FastifyReply {
  sendRefusal(reply, refusal)
  return reply
}

/** Reads with a connection of the books. @param work gives a refusal, an export that is read as it is sent, or undefined where it has answered itself */
async function reading(
  parts: ProgrammeParts,
  reply: FastifyReply,
  work: (reader: BookReader) => Promise<Outcome<never> | Export | undefined>,
): Promise<FastifyReply> {
  let reader: BookReader | undefined
  try {
    const opened = (reader = await parts.books.open())
    // From the beginning on: a client may go away before there is anything to send.
    reply.raw.once('close', () => {
      opened.close(true)
    })
    const result = reply.raw.destroyed ? undefined : await work(reader)
    if (reply.raw.destroyed) reader.close(true)
    else if (result !== undefined && 'text' in result) sendExport(parts, reply, reader, result)
    else {
      reader.close()
      if (result?.ok === false) sendRefusal(reply, result.refusal)
    }
  } catch (error) {
    reader?.close(true)
    if (error instanceof BooksBusy) {
      const detail = 'Others read the books already, as many as may at once. Ask again when one of them has ended.'
      void reply.header('retry-after', String(BUSY_S))
      sendProblem(reply, plainProblem(503, detail))
    } else sendTrouble(reply, error)
  }
  return reply
}

function sendExport(
  { config, clock, log }: ProgrammeParts,
  reply: FastifyReply,
  reader: BookReader,
  { name, type, text }: Export,
): void {
  async function* taken(): AsyncGenerator<Buffer | string, void, undefined> {
    let isWhole = false
    try {
      for await (const piece of text) {
        // Between handing it out and being asked for more the client takes it.
        const cancel = clock.after(config.books.stalledMs, () => reply.raw.destroy())
        yield piece
        cancel()
      }
      isWhole = true
    } finally {
      reader.close(!isWhole)
    }
  }
  const body = Readable.from(taken(), { objectMode: true, highWaterMark: 1 })
  body.once('error', (error) => {
    log.warn({ stage: 'books', error: errorText(error) }, 'an export of the books was broken off')
  })
  // Also where the client goes while nothing is being written, and Postgres is still at work on the next piece.
  reply.raw.once('close', () => body.destroy())
  if (name !== undefined) void reply.header('content-disposition', `attachment; filename="${name}"`)
  void reply.type(type).send(body)
}

async function* statementCsv(reader: BookReader, statement: AccountStatement): AsyncGenerator<string, void, undefined> {
  const { code, owner, unit, from, to, opening, definition } = statement
  const balanceLine = (word: string, day: string, balance: number): string =>
    `${word},${String(code)},${String(owner)},${unit},${day},${formatUnits(balance, definition)}\n`
  yield `${STATEMENT_COLUMNS.join(',')}\n${balanceLine('OPENING', from, opening)}`
  const lines = statementLines(reader, statement)
  let next = await lines.next()
  for (; next.done !== true; next = await lines.next()) yield next.value.map(csvLine).join('')
  yield balanceLine('CLOSING', to, next.value)
}

function csvLine(line: StatementLine): string {
  const { eventNumber, businessDay, ownDate, kind, otherAccount, otherOwner, debit, credit, balance } = line
  const facts = [String(eventNumber), businessDay, ownDate ?? '', csvText(kind), String(otherAccount), String(otherOwner)]
  const names = [line.reference, line.terminal, line.merchant].map((text) => csvText(text ?? ''))
  return `${[...facts, debit ?? '', credit ?? '', balance, ...names].join(',')}\n`
}

/** RFC 4180; what a spreadsheet would take for a formula begins with an apostrophe instead. */
function csvText(text: string): string {
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
}

async function* statementJson(reader: BookReader, statement: AccountStatement): AsyncGenerator<string, void, undefined> {
  const { code, owner, unit, from, to, opening, definition } = statement
  const head = { account: code, owner, unit, from, to, opening: formatUnits(opening, definition) }
  yield `${JSON.stringify(head).slice(0, -1)},"lines":[`
  const lines = statementLines(reader, statement)
  let separator = ''
  let next = await lines.next()
  for (; next.done !== true; next = await lines.next()) {
    yield separator + next.value.map((line) => JSON.stringify(line)).join(',')
    separator = ','
  }
  yield `],"closing":${JSON.stringify(formatUnits(next.value, definition))}}`
}
