/** Items of suspense: their age, whose they are, and how they end. */
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance } from 'fastify'
import Type, { type Static } from 'typebox'
import { done, refused, type Outcome } from '../../ledger/programme/desk.ts'
import {
  listSuspenseItems,
  readSuspenseItem,
  readSuspensePostings,
  type SuspenseItem,
  type SuspensePosting,
} from '../../ledger/settlement/suspense.ts'
import { formatAmount, parseAmount } from '../../money.ts'
import { propose } from '../../programme/proposals.ts'
import { payersOf } from '../../settlement/claims.ts'
import {
  assignItem,
  NO_SUCH_ITEM,
  outletAccountsOf,
  planResolution,
  SUSPENSE_RESOLUTION,
  suspenseUpToNow,
  type WayOut,
} from '../../settlement/suspense.ts'
import { KIND } from '../../transaction/transaction.ts'
import { actorOf } from '../access/guard.ts'
import { jsonResponse } from '../problem.ts'
import {
  answerCommand,
  answerRead,
  etag,
  readProblems,
  sendTrouble,
  versionSeen,
  WriteHeaders,
  writeProblems,
  type ProgrammeParts,
} from '../programme/command.ts'
import { wordsSchema } from '../programme/identitySchema.ts'
import { AcceptorId } from '../programme/merchantRoutes.ts'
import { pageOf, PageQuery, pageSchema, pageStart } from '../programme/paging.ts'
import { ProposalSchema, shownProposal } from '../programme/proposalShown.ts'
import { DaySchema, isDate } from './dayRoutes.ts'

const closed = { additionalProperties: false }
const tags = ['settlement']

const Owner = Type.String({ pattern: '^[A-Za-z0-9._@-]{1,64}$', description: 'who is to see to it', examples: ['officer-1'] })
const facts = {
  itemId: Type.Integer(),
  kind: Type.String({ description: 'what began it: a transaction (completion, dispense), or atm-count, bank-suspense' }),
  openedAt: Type.String(),
  ageDays: Type.Integer(),
  acceptorId: Type.Union([Type.String(), Type.Null()], { description: 'DE 42 of the outlet that had a part in it' }),
  account: Type.Integer({ description: 'the other account of its first posting' }),
  lent: Type.String({ description: 'debits of 2900, in major units' }),
  comeBack: Type.String({ description: 'credits of 2900' }),
  open: Type.String({ description: 'more than 0: it is owed to the programme; less: the programme owes it' }),
  state: Type.Enum(['open', 'resolved']),
  owner: Type.String({ description: 'who sees to it: settlement, the office, until somebody is named' }),
  version: Type.Integer(),
}
const example = {
  itemId: 7,
  kind: 'dispense',
  openedAt: '2026-12-01T08:00:00.000Z',
  ageDays: 3,
  acceptorId: 'PORTSAID0000042',
  account: 2210,
  lent: '5.25',
  comeBack: '0.00',
  open: '5.25',
  state: 'open' as const,
  owner: 'settlement',
  version: 2,
}
const ItemSchema = Type.Object(facts, { ...closed, examples: [example] })
const PostingSchema = Type.Object(
  {
    at: Type.String(),
    way: Type.String(),
    lent: Type.String(),
    comeBack: Type.String(),
    eventNumber: Type.Union([Type.Integer(), Type.Null()], {
      description: 'of the posting; null: two items were matched with each other',
    }),
    madeBy: Type.Union([Type.String(), Type.Null()]),
    note: Type.Union([Type.String(), Type.Null()]),
  },
  closed,
)
const ItemShownSchema = Type.Object(
  { ...facts, postings: Type.Array(PostingSchema, { description: 'the first 200, the oldest first' }) },
  {
    ...closed,
    examples: [
      {
        ...example,
        postings: [
          {
            at: '2026-12-01T08:00:00.000Z',
            way: 'dispense',
            lent: '5.25',
            comeBack: '0.00',
            eventNumber: 1041,
            madeBy: null,
            note: null,
          },
        ],
      },
    ],
  },
)
const Params = Type.Object(
  { itemId: Type.String({ pattern: '^[1-9]\\d{0,11}$', description: 'the id of an item', examples: ['7'] }) },
  closed,
)
const Query = Type.Object(
  {
    ...PageQuery,
    state: Type.Optional(Type.Enum(['open', 'resolved'], { description: 'open or resolved' })),
    olderThanDays: Type.Optional(
      Type.String({ pattern: '^\\d{1,4}$', description: 'opened so many days ago, or more', examples: ['7'] }),
    ),
    owner: Type.Optional(Owner),
  },
  closed,
)
const OwnerSchema = Type.Object({ owner: Type.Union([Owner, Type.Null()]) }, { ...closed, examples: [{ owner: 'officer-1' }] })
const ResolutionSchema = Type.Object(
  {
    way: Type.Enum(['recover', 'claim', 'receipt', 'write-off', 'match'], {
      description:
        'recover: from the outlet, or given to it; where none has a part in the item, acceptorId and account say which. claim: from a payer (payer). receipt: it was what a payer owed (payer, from, until). ' +
        'write-off: to fees. match: with an item on the other side (oppositeItemId)',
    }),
    amount: Type.Optional(
      Type.String({
        pattern: '^\\d{1,10}(\\.\\d{1,2})?$',
        description: 'a part of it, in major units; absent: all that is open',
        examples: ['5.25'],
      }),
    ),
    payer: Type.Optional(Type.Integer({ minimum: 1200, maximum: 1299, description: 'account of the payer: 1200, 1210 or 1220' })),
    acceptorId: Type.Optional(AcceptorId),
    account: Type.Optional(Type.Integer({ minimum: 2200, maximum: 2299, description: "the outlet's account: 2200, 2210, 2220" })),
    from: Type.Optional(DaySchema),
    until: Type.Optional(DaySchema),
    oppositeItemId: Type.Optional(Type.Integer({ minimum: 1, maximum: 999_999_999_999 })),
    note: wordsSchema('why', 'The bakery agrees to it'),
  },
  { ...closed, examples: [{ way: 'recover', note: 'The bakery agrees to it' }] },
)

const DAY_MS = 86_400_000

export function suspenseRoutes(app: FastifyInstance, parts: ProgrammeParts): void {
  const routes = app.withTypeProvider<TypeBoxTypeProvider>()
  const { patienceMs } = parts.config.settlement
  const payers = payersOf(parts.config.programme)
  const outletAccounts = outletAccountsOf(parts.config.programme)

  routes.get(
    '/v1/suspense',
    {
      config: { permission: 'suspense:read' },
      schema: {
        summary: 'Items of suspense, the oldest first',
        tags,
        querystring: Query,
        response: { 200: jsonResponse('A page of them', pageSchema(ItemSchema)), ...readProblems() },
      },
    },
    (request, reply) =>
      answerRead(parts, reply, async (tx) => {
        await suspenseUpToNow(tx, parts.clock, patienceMs)
        const { state, olderThanDays, owner, ...paging } = request.query
        const page = pageStart(paging)
        const [, openedAtMs, itemId] = /^(\d{1,15}) (\d{1,12})$/.exec(page.after) ?? []
        const after = openedAtMs === undefined ? undefined : { openedAtMs: Number(openedAtMs), itemId: Number(itemId) }
        const openedUntilMs = olderThanDays === undefined ? undefined : tx.nowMs - Number(olderThanDays) * DAY_MS
        const found = await listSuspenseItems(tx, { state, openedUntilMs, owner, after, limit: page.look })
        const { items, next } = pageOf(found, page, (item) => `${String(item.openedAt.getTime())} ${String(item.itemId)}`)
        return done({ items: items.map((item) => shownItem(item, tx.nowMs)), next })
      }),
  )

  routes.get(
    '/v1/suspense/:itemId',
    {
      config: { permission: 'suspense:read' },
      schema: {
        summary: 'An item and what has moved it',
        tags,
        params: Params,
        response: { 200: jsonResponse('The item; ETag is its version', ItemShownSchema), ...readProblems() },
      },
    },
    (request, reply) =>
      answerRead(parts, reply, async (tx) => {
        await suspenseUpToNow(tx, parts.clock, patienceMs)
        const itemId = Number(request.params.itemId)
        const item = await readSuspenseItem(tx, itemId)
        if (item === undefined) return NO_SUCH_ITEM
        void reply.header('etag', etag(item.version))
        const postings = await readSuspensePostings(tx, itemId)
        return done({ ...shownItem(item, tx.nowMs), postings: postings.map(shownPosting) })
      }),
  )

  routes.put(
    '/v1/suspense/:itemId/owner',
    {
      config: { permission: 'suspense:assign' },
      schema: {
        summary: 'Says who is to see to an item; null: the office',
        tags,
        params: Params,
        headers: WriteHeaders,
        body: OwnerSchema,
        response: { 200: jsonResponse('The item', ItemSchema), ...writeProblems({ 404: 'There is no such item' }) },
      },
    },
    (request, reply) => {
      const itemId = Number(request.params.itemId)
      return answerCommand(parts, request, reply, {
        action: 'suspense.assign',
        subject: `suspense ${String(itemId)}`,
        detail: request.body,
        work: async (tx) => {
          const seen = versionSeen(request)
          if (seen !== undefined && (await readSuspenseItem(tx, itemId))?.version !== seen)
            return refused('stale', 'changed-meanwhile', 'The item was changed meanwhile; look at it again.')
          const item = await assignItem(tx, itemId, request.body.owner)
          return item.ok ? done(shownItem(item.value, tx.nowMs)) : item
        },
      })
    },
  )

  routes.post(
    '/v1/suspense/:itemId/resolution',
    {
      config: { permission: 'suspense:resolve' },
      schema: {
        summary: 'Proposes how an item, or a part of it, ends; another officer agrees, and it is posted',
        tags,
        params: Params,
        headers: WriteHeaders,
        body: ResolutionSchema,
        response: { 202: jsonResponse('The proposal, open', ProposalSchema), ...writeProblems({ 404: 'There is no such item' }) },
      },
    },
    async (request, reply) => {
      const itemId = Number(request.params.itemId)
      // What was posted meanwhile is part of what is open.
      try {
        await parts.desk.read((tx) => suspenseUpToNow(tx, parts.clock, patienceMs))
      } catch (error) {
        sendTrouble(reply, error)
        return reply
      }
      const subject = `suspense ${String(itemId)}`
      const actor = actorOf(request)
      return answerCommand(
        parts,
        request,
        reply,
        {
          action: 'suspense.resolution',
          subject,
          detail: request.body,
          work: async (tx) => {
            const item = await readSuspenseItem(tx, itemId)
            if (item === undefined) return NO_SUCH_ITEM
            const asked = wayAsked(request.body, payers, outletAccounts)
            if (!asked.ok) return asked
            const planned = await planResolution(tx, item, actor.name, asked.value)
            if (!planned.ok) return planned
            const proposed = await propose(tx, SUSPENSE_RESOLUTION, actor, { subject, body: { ...planned.value } })
            return proposed.ok ? done(shownProposal(proposed.value)) : proposed
          },
          audit: ({ proposalId }) => ({ detail: { proposalId } }),
        },
        202,
      )
    },
  )
}

function wayAsked(
  body: Static<typeof ResolutionSchema>,
  payers: readonly number[],
  outletAccounts: readonly number[],
): Outcome<WayOut> {
  const { way, acceptorId, account, payer, from, until, oppositeItemId, note } = body
  const amount = body.amount === undefined ? undefined : parseAmount(body.amount)
  if (amount === 0) return refused('invalid', 'not-an-amount', 'An amount is more than 0.', '/amount')
  const common = { note, ...(amount === undefined ? {} : { amount }) }
  const missing = (field: string): Outcome<never> =>
    refused('invalid', 'member-missing', `For "${way}", say which: ${field}.`, `/${field}`)
  if (way !== 'recover' && (acceptorId !== undefined || account !== undefined))
    return refused(
      'invalid',
      'member-not-of-this-way',
      `"${way}" has no outlet: leave acceptorId and account out, or recover it.`,
      acceptorId === undefined ? '/account' : '/acceptorId',
    )
  switch (way) {
    case 'recover':
      if (acceptorId === undefined) return done({ ...common, way })
      if (account === undefined || !outletAccounts.includes(account)) return missing('account')
      return done({ ...common, way, outlet: { acceptorId, account } })
    case 'write-off':
      return done({ ...common, way })
    case 'match':
      return oppositeItemId === undefined ? missing('oppositeItemId') : done({ ...common, way, oppositeItemId })
    case 'claim':
      return payer === undefined || !payers.includes(payer) ? missing('payer') : done({ ...common, way, payer })
    case 'receipt':
      if (payer === undefined || !payers.includes(payer)) return missing('payer')
      if (from === undefined || !isDate(from)) return missing('from')
      if (until === undefined || !isDate(until) || until < from) return missing('until')
      return done({ ...common, way, payer, from, until })
  }
}

const KIND_NAMES: ReadonlyMap<number, string> = new Map(Object.entries(KIND).map(([name, kind]) => [kind, name]))

/** A decision by the name of its kind. */
function nameOf(kind: string): string {
  const [, number] = /^decision-(\d+)$/.exec(kind) ?? []
  return number === undefined ? kind : (KIND_NAMES.get(Number(number)) ?? kind)
}

function shownItem(
  { itemId, kind, openedAt, acceptorId, account, lent, comeBack, open, owner, version }: SuspenseItem,
  nowMs: number,
): Static<typeof ItemSchema> {
  return {
    ...{ itemId, kind: nameOf(kind), openedAt: openedAt.toISOString(), acceptorId, account, owner, version },
    ageDays: Math.max(0, Math.floor((nowMs - openedAt.getTime()) / DAY_MS)),
    ...{ lent: formatAmount(lent), comeBack: formatAmount(comeBack), open: formatAmount(open) },
    state: open === 0 ? 'resolved' : 'open',
  }
}

function shownPosting({ at, way, lent, comeBack, ...posting }: SuspensePosting): Static<typeof PostingSchema> {
  return { ...posting, at: at.toISOString(), way: nameOf(way), lent: formatAmount(lent), comeBack: formatAmount(comeBack) }
}
