/** Statements of the bank are imported, and listed. */
import { createHash } from 'node:crypto'
import type { Readable } from 'node:stream'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import Type, { type Static } from 'typebox'
import { done, type Actor, type Outcome } from '../../ledger/programme/desk.ts'
import { listStatements, type StoredStatement } from '../../ledger/settlement/bankStatements.ts'
import { formatAmount } from '../../money.ts'
import { importStatements, readStatementFile, type ImportedStatement } from '../../settlement/bank/importStatements.ts'
import { TOO_LARGE, type BankStatement } from '../../settlement/bank/statement.ts'
import { PAYOUT_BOOK } from '../../settlement/payoutBook.ts'
import { actorOf } from '../access/guard.ts'
import { invalidRequest, jsonResponse, plainProblem, sendProblem } from '../problem.ts'
import {
  answerRead,
  readProblems,
  sendRefusal,
  sendTrouble,
  writeKeyOf,
  writeProblems,
  WriteHeaders,
  type ProgrammeParts,
} from '../programme/command.ts'
import { WORDS, WORDS_EXPECTED, wordsSchema } from '../programme/identitySchema.ts'
import { pageOf, PageQuery, pageSchema, pageStart } from '../programme/paging.ts'

const closed = { additionalProperties: false }
const tags = ['settlement']

export const AccountSchema = Type.String({
  pattern: '^[A-Z0-9]{4,34}$',
  description: "an account of the programme's, as settlement.bank.accounts has it",
  examples: ['EG380019000500000000263180002'],
})
const statementExample = {
  account: 'EG380019000500000000263180002',
  statementId: '2026-12-01',
  number: 1,
  from: '2026-12-01',
  until: '2026-12-01',
  opening: '100000.00',
  closing: '152500.00',
  entries: 1,
  credits: '52500.00',
  debits: '0.00',
  importedAt: '2026-12-02T06:00:00.000Z',
  importedBy: 'settlement-officer',
  note: null,
}
const statementFacts = {
  account: Type.String(),
  statementId: Type.String(),
  number: Type.Integer({ description: 'of its account, from 1 on' }),
  from: Type.String(),
  until: Type.String(),
  opening: Type.String(),
  closing: Type.String(),
  entries: Type.Integer(),
  credits: Type.String(),
  debits: Type.String(),
  importedAt: Type.String(),
  importedBy: Type.String(),
  note: Type.Union([Type.String(), Type.Null()], { description: 'why it was taken although one before it is missing' }),
}
const StatementSchema = Type.Object(statementFacts, { ...closed, examples: [statementExample] })
const ImportedSchema = Type.Object(
  {
    statements: Type.Array(
      Type.Object(
        {
          ...statementFacts,
          known: Type.Boolean({ description: 'it was there already, and was left as it is' }),
          matched: Type.Integer({ description: 'entries that were expected' }),
          open: Type.Integer({ description: 'entries that are on the work list now' }),
        },
        closed,
      ),
    ),
  },
  { ...closed, examples: [{ statements: [{ ...statementExample, known: false, matched: 1, open: 0 }] }] },
)

export function bankStatementRoutes(app: FastifyInstance, parts: ProgrammeParts): void {
  const routes = app.withTypeProvider<TypeBoxTypeProvider>()

  routes.get(
    '/v1/bank-statements',
    {
      config: { permission: 'bank:read' },
      schema: {
        summary: 'Statements that were imported, by account',
        tags,
        querystring: Type.Object({ ...PageQuery, account: Type.Optional(AccountSchema) }, closed),
        response: { 200: jsonResponse('A page of them', pageSchema(StatementSchema)), ...readProblems() },
      },
    },
    (request, reply) =>
      answerRead(parts, reply, async (tx) => {
        const page = pageStart(request.query)
        const [, account = '', number = '0'] = /^([A-Z0-9]{4,34}) (\d{1,9})$/.exec(page.after) ?? []
        const after = { account, number: Number(number) }
        const found = await listStatements(tx, { account: request.query.account, after, limit: page.look })
        return done(pageOf(found.map(shownStatement), page, (one) => `${one.account} ${String(one.number)}`))
      }),
  )

  // Of this call alone the body is handed on as it comes.
  void app.register((files, _options, registered) => {
    files.removeAllContentTypeParsers()
    files.addContentTypeParser(['application/xml', 'text/xml', 'text/csv'], (_request, body, parsed) => {
      parsed(null, body)
    })
    importRoute(files, parts)
    registered()
  })
}

const XML_EXAMPLE =
  '<?xml version="1.0" encoding="UTF-8"?><Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"><BkToCstmrStmt/></Document>'
const CSV_EXAMPLE =
  'record,account,statement_id,date,value_date,amount,currency,entries,reference,bank_reference,counterparty,text,return_reason\r\n' +
  'opening,EG380019000500000000263180002,2026-12-01,2026-12-01,,100000.00,EGP,,,,,,\r\n' +
  'entry,EG380019000500000000263180002,2026-12-01,2026-12-01,2026-12-01,52500.00,EGP,,CLAIM-1210-20261130,FT1,,,\r\n' +
  'closing,EG380019000500000000263180002,2026-12-01,2026-12-01,,152500.00,EGP,1,,,,,\r\n'
const Because = wordsSchema('why it is taken although a statement before it is missing', 'The bank lost four days')
const BECAUSE = new RegExp(WORDS, 'u')

function importRoute(files: FastifyInstance, parts: ProgrammeParts): void {
  files.post(
    '/v1/bank-statements',
    {
      config: { permission: 'bank:import', arrivesWithinMs: parts.config.settlement.bank.arrivesWithinMs },
      // A stream is nothing to validate; what it holds is.
      validatorCompiler: () => () => true,
      schema: {
        summary: 'A file of statements: camt.053 of ISO 20022 (versions 2 to 8), or CSV',
        description:
          'All of a file is taken or nothing. A statement that is there already is left as it is, so that the same file may come again; another one with the same ' +
          'identification is refused (409), and so is one that does not begin where the last one of its account ended.',
        tags,
        headers: WriteHeaders,
        querystring: Type.Object({
          because: Type.Optional(Because),
        }),
        consumes: ['application/xml', 'text/xml', 'text/csv'],
        body: {
          content: {
            'application/xml': { schema: Type.String({ examples: [XML_EXAMPLE] }) },
            'text/xml': { schema: Type.String({ examples: [XML_EXAMPLE] }) },
            'text/csv': { schema: Type.String({ examples: [CSV_EXAMPLE] }) },
          },
        },
        response: {
          200: jsonResponse('All of it was there already', ImportedSchema),
          201: jsonResponse('What was taken', ImportedSchema),
          ...writeProblems(),
        },
      },
    },
    (request, reply) => takeFile(parts, request, reply),
  )
}

async function takeFile(parts: ProgrammeParts, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const { desk, config } = parts
  const { bank } = config.settlement
  const key = writeKeyOf(request, reply, parts)
  if (key === undefined) return reply
  const { because } = request.query as { because?: unknown }
  if (because !== undefined && (typeof because !== 'string' || !BECAUSE.test(because))) {
    sendProblem(reply, invalidRequest([{ path: 'because', expected: WORDS_EXPECTED }]))
    return reply
  }
  const format = /^text\/csv\b/i.test(request.headers['content-type'] ?? '') ? 'csv' : 'camt.053'
  const hash = createHash('sha256').update(`${request.url}\n${format}\n`)
  const actor = actorOf(request)
  try {
    const read = await readStatementFile(format, hashed(request.body as Readable, hash), bank)
    if (!read.ok && read.refusal.name === TOO_LARGE) {
      sendProblem(reply.header('connection', 'close'), plainProblem(413, read.refusal.detail))
      return await reply
    }
    const idempotency = { key, fingerprint: read.ok ? hash.digest('base64url') : '' }
    const outcome =
      (await desk.earlier<ImportedShown>({ actor, idempotency })) ??
      (await takeStatements(
        parts,
        { actor, idempotency, read, detail: { format, ...(because === undefined ? {} : { because }) } },
        because,
      ))
    if (!outcome.ok) sendRefusal(reply.header('connection', 'close'), outcome.refusal)
    else {
      if (outcome.replayed === true) void reply.header('idempotency-replayed', 'true')
      void reply.code(outcome.value.statements.every(({ known }) => known) ? 200 : 201).send(outcome.value)
    }
  } catch (error) {
    // Whoever has gone gets no answer, and nothing was taken.
    if (!request.raw.destroyed || request.raw.complete) sendTrouble(reply, error)
  }
  return reply
}

interface FileAsked {
  readonly actor: Actor
  readonly idempotency: { readonly key: string; readonly fingerprint: string }
  readonly read: Outcome<readonly BankStatement[]>
  readonly detail: Readonly<Record<string, unknown>>
}

/** In several SQL transactions; the last one keeps the answer. */
async function takeStatements(
  { desk, config, log }: ProgrammeParts,
  { actor, idempotency, read, detail }: FileAsked,
  because: string | undefined,
): Promise<Outcome<ImportedShown> & { readonly replayed?: true }> {
  const context = { payouts: PAYOUT_BOOK, limits: config.settlement.bank, log }
  const imported: Awaited<ReturnType<typeof importStatements>> = read.ok
    ? await importStatements(desk, context, { actor, statements: read.value, forcedBecause: because, detail })
    : read
  // What was refused when it was to be taken is on record.
  if (!imported.ok && imported.onRecord === true) return imported
  return desk.run({
    actor,
    action: 'bank.import',
    subject: 'bank-statements',
    detail,
    idempotency,
    work: () => Promise.resolve(imported.ok ? done({ statements: imported.value.statements.map(shownImported) }) : imported),
    audit: ({ statements }) =>
      imported.ok && imported.value.taken
        ? 'nothing'
        : { detail: { statements: statements.map(({ account, statementId, known }) => ({ account, statementId, known })) } },
  })
}

/** What is refused before its end is still answered. */
async function* hashed(body: Readable | undefined, hash: { update(chunk: Uint8Array): unknown }): AsyncGenerator<Uint8Array> {
  if (body === undefined) return
  for await (const chunk of body.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>) {
    hash.update(chunk)
    yield chunk
  }
}

type StatementShown = Static<typeof StatementSchema>
type ImportedShown = Static<typeof ImportedSchema>

function shownStatement({ fingerprint: _, ...statement }: StoredStatement): StatementShown {
  const { opening, closing, credits, debits, importedAt } = statement
  return {
    ...statement,
    opening: formatAmount(opening),
    closing: formatAmount(closing),
    credits: formatAmount(credits),
    debits: formatAmount(debits),
    importedAt: importedAt.toISOString(),
  }
}

function shownImported({ statement, known, matched, open }: ImportedStatement): ImportedShown['statements'][number] {
  return { ...shownStatement(statement), known, matched, open }
}
