/** Entries of the bank's statements: what is not expected is a work list, matched by hand. */
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance } from 'fastify'
import Type, { type Static } from 'typebox'
import { done, refused, type Outcome } from '../../ledger/programme/desk.ts'
import { listEntries, readEntry, type BankEntry } from '../../ledger/settlement/bankStatements.ts'
import { formatAmount } from '../../money.ts'
import { propose } from '../../programme/proposals.ts'
import { bankMatchKind, checkMatch, NO_SUCH_ENTRY, type MatchAsked } from '../../settlement/bank/matchEntry.ts'
import { payersOf } from '../../settlement/claims.ts'
import { PAYOUT_BOOK } from '../../settlement/payoutBook.ts'
import { actorOf } from '../access/guard.ts'
import { jsonResponse } from '../problem.ts'
import {
  answerCommand,
  answerRead,
  readProblems,
  writeProblems,
  WriteHeaders,
  type ProgrammeParts,
} from '../programme/command.ts'
import { wordsSchema } from '../programme/identitySchema.ts'
import { numberAfter, pageOf, PageQuery, pageSchema, pageStart } from '../programme/paging.ts'
import { ProposalSchema, shownProposal } from '../programme/proposalShown.ts'
import { AccountSchema } from './bankStatementRoutes.ts'
import { DaySchema, isDate } from './dayRoutes.ts'

const closed = { additionalProperties: false }
const tags = ['settlement']
const TextOrNull = Type.Union([Type.String(), Type.Null()])

const EntrySchema = Type.Object(
  {
    entryId: Type.Integer(),
    account: Type.String(),
    statementId: Type.String(),
    ordinal: Type.Integer(),
    amount: Type.String({ description: 'in major units; what went out begins with a minus' }),
    bookedOn: Type.String(),
    valueOn: TextOrNull,
    references: Type.Array(Type.String()),
    bankReference: TextOrNull,
    counterparty: TextOrNull,
    text: TextOrNull,
    returnReason: TextOrNull,
    state: Type.Enum(['open', 'matched']),
    openReason: Type.Union([Type.String(), Type.Null()], {
      description:
        'unknown, amount-differs, several-fit or not-expected; null of one that is matched, or is looked at in a moment',
    }),
    ageDays: Type.Union([Type.Integer(), Type.Null()], { description: 'of an open one, since it was imported' }),
    matchKind: TextOrNull,
    matchedWith: TextOrNull,
    matchedAt: TextOrNull,
    matchedBy: Type.Union([Type.String(), Type.Null()], { description: 'reference, amount, or who proposed it' }),
  },
  {
    ...closed,
    examples: [
      {
        entryId: 7,
        account: 'EG380019000500000000263180002',
        statementId: '2026-12-01',
        ordinal: 1,
        amount: '52500.00',
        bookedOn: '2026-12-01',
        valueOn: '2026-12-01',
        references: ['MOF-4711'],
        bankReference: 'FT2612010001',
        counterparty: null,
        text: 'Ministry of finance',
        returnReason: null,
        state: 'open',
        openReason: 'unknown',
        ageDays: 0,
        matchKind: null,
        matchedWith: null,
        matchedAt: null,
        matchedBy: null,
      },
    ],
  },
)

const Reference = Type.String({ pattern: '^[A-Za-z0-9/?:().,+_ -]{1,35}$', description: 'a reference', examples: ['CIT-0099'] })
const MatchSchema = Type.Object(
  {
    to: Type.Enum(['claims', 'payout', 'deposits', 'atm-load', 'suspense'], {
      description:
        'claims (payer, from, until), payout (reference), atm-load (reference or references), deposits (day or days), suspense (perhaps itemId)',
    }),
    payer: Type.Optional(Type.Integer({ minimum: 1200, maximum: 1299, description: 'account of the payer: 1200, 1210 or 1220' })),
    from: Type.Optional(DaySchema),
    until: Type.Optional(DaySchema),
    reference: Type.Optional(Reference),
    references: Type.Optional(
      Type.Array(Reference, {
        minItems: 1,
        maxItems: 100,
        uniqueItems: true,
        description: 'of several loadings that it is together',
      }),
    ),
    day: Type.Optional(DaySchema),
    days: Type.Optional(
      Type.Array(DaySchema, {
        minItems: 1,
        maxItems: 31,
        uniqueItems: true,
        description: 'of several days whose deposits it is together',
      }),
    ),
    part: Type.Optional(
      Type.Boolean({ description: 'it is a part of one loading, or of the deposits of one day; the rest is still expected' }),
    ),
    difference: Type.Optional(
      Type.Boolean({
        description: 'what it differs by from all that is named is an item of suspense; of deposits of one day always',
      }),
    ),
    itemId: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 999_999_999_999, description: 'an item on the other side that it settles' }),
    ),
    note: wordsSchema('why', 'The ministry has confirmed it by letter'),
  },
  {
    ...closed,
    examples: [
      { to: 'claims', payer: 1210, from: '2026-12-01', until: '2026-12-01', note: 'The ministry has confirmed it by letter' },
      { to: 'suspense', note: 'Nobody knows it yet' },
    ],
  },
)

const EntryParams = Type.Object(
  { entryId: Type.String({ pattern: '^[1-9]\\d{0,11}$', description: 'the id of an entry', examples: ['7'] }) },
  closed,
)
const EntriesQuery = Type.Object(
  {
    ...PageQuery,
    state: Type.Optional(Type.Enum(['open', 'matched'], { description: 'open or matched' })),
    account: Type.Optional(AccountSchema),
    statementId: Type.Optional(Type.String({ pattern: '^[^\\u0000-\\u001f\\u007f]{1,35}$', description: 'of its statement' })),
  },
  closed,
)

export function bankRoutes(app: FastifyInstance, parts: ProgrammeParts): void {
  const routes = app.withTypeProvider<TypeBoxTypeProvider>()
  const payers = payersOf(parts.config.programme)

  routes.get(
    '/v1/bank-entries',
    {
      config: { permission: 'bank:read' },
      schema: {
        summary: 'Entries of statements, the oldest first; with state=open the work list',
        tags,
        querystring: EntriesQuery,
        response: { 200: jsonResponse('A page of them', pageSchema(EntrySchema)), ...readProblems() },
      },
    },
    (request, reply) =>
      answerRead(parts, reply, async (tx) => {
        const page = pageStart(request.query)
        const found = await listEntries(tx, { ...request.query, after: numberAfter(page), limit: page.look })
        return done(
          pageOf(
            found.map((entry) => shownEntry(entry, tx.nowMs)),
            page,
            ({ entryId }) => String(entryId),
          ),
        )
      }),
  )

  routes.get(
    '/v1/bank-entries/:entryId',
    {
      config: { permission: 'bank:read' },
      schema: {
        summary: 'An entry of a statement',
        tags,
        params: EntryParams,
        response: { 200: jsonResponse('The entry', EntrySchema), ...readProblems() },
      },
    },
    (request, reply) =>
      answerRead(parts, reply, async (tx) => {
        const entry = await readEntry(tx, Number(request.params.entryId))
        return entry === undefined ? NO_SUCH_ENTRY : done(shownEntry(entry, tx.nowMs))
      }),
  )

  routes.post(
    '/v1/bank-entries/:entryId/match',
    {
      config: { permission: 'bank:match' },
      schema: {
        summary: 'Proposes what an open entry is; another officer agrees',
        tags,
        params: EntryParams,
        headers: WriteHeaders,
        body: MatchSchema,
        response: {
          202: jsonResponse('The proposal, open', ProposalSchema),
          ...writeProblems({ 404: 'There is no such entry' }),
        },
      },
    },
    (request, reply) => {
      const entryId = Number(request.params.entryId)
      const actor = actorOf(request)
      const command = {
        action: 'bank.match',
        subject: `entry ${String(entryId)}`,
        detail: request.body,
        work: async (tx: Parameters<typeof checkMatch>[0]) => {
          const asked = matchAsked(request.body, payers)
          if (!asked.ok) return asked
          const checked = await checkMatch(tx, entryId, asked.value)
          if (!checked.ok) return checked
          const body = { entryId, maker: actor.name, asked: asked.value }
          const proposed = await propose(tx, bankMatchKind(PAYOUT_BOOK), actor, { subject: `entry ${String(entryId)}`, body })
          return proposed.ok ? done(shownProposal(proposed.value)) : proposed
        },
        audit: ({ proposalId }: { proposalId: string }) => ({ detail: { proposalId } }),
      }
      return answerCommand(parts, request, reply, command, 202)
    },
  )
}

function matchAsked(body: Static<typeof MatchSchema>, payers: readonly number[]): Outcome<MatchAsked> {
  const { to, payer, from, until, reference, references, day, days, part, difference, itemId, note } = body
  const how = { note, ...(part === undefined ? {} : { part }), ...(difference === undefined ? {} : { difference }) }
  const missing = (field: string): Outcome<never> =>
    refused('invalid', 'member-missing', `To match it with ${to}, say which: ${field}.`, `/${field}`)
  switch (to) {
    case 'claims':
      if (payer === undefined || !payers.includes(payer)) return missing('payer')
      if (from === undefined || !isDate(from)) return missing('from')
      if (until === undefined || !isDate(until) || until < from) return missing('until')
      return done({ to, payer, from, until, note })
    case 'deposits': {
      const named = days ?? (day === undefined ? [] : [day])
      return named.length === 0 || !named.every(isDate) ? missing('day') : done({ to, days: named, ...how })
    }
    case 'atm-load': {
      const named = references ?? (reference === undefined ? [] : [reference])
      return named.length === 0 ? missing('reference') : done({ to, references: named, ...how })
    }
    case 'payout':
      return reference === undefined ? missing('reference') : done({ to, reference, note })
    case 'suspense':
      return done({ to, note, ...(itemId === undefined ? {} : { itemId }) })
  }
}

const DAY_MS = 86_400_000

function shownEntry({ credit, amount, openSince, matchedAt, ...entry }: BankEntry, nowMs: number): Static<typeof EntrySchema> {
  return {
    ...entry,
    references: [...entry.references],
    amount: formatAmount(credit ? amount : -amount),
    state: entry.matchKind === null ? 'open' : 'matched',
    ageDays: openSince === null ? null : Math.max(0, Math.floor((nowMs - openSince.getTime()) / DAY_MS)),
    matchedAt: matchedAt?.toISOString() ?? null,
  }
}
