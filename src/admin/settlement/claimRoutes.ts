/** Claims on treasury and fund: what they owe for the business days, what they have paid of it, and since when the rest is open. */
import { Readable } from 'node:stream'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import Type, { type Static, type TSchema } from 'typebox'
import { cairoDay } from '../../clock.ts'
import { done, refused, type Outcome } from '../../ledger/programme/desk.ts'
import {
  listClaims,
  totalClaims,
  type Claim,
  type ClaimPlace,
  type ClaimRange,
  type ClaimTotal,
} from '../../ledger/settlement/claims.ts'
import { formatAmount } from '../../money.ts'
import { claimReference } from '../../settlement/bank/expectations.ts'
import { answerRead, readProblems, sendRefusal, type ProgrammeParts } from '../programme/command.ts'
import { pageOf, PageQuery, pageStart, type PageAsked } from '../programme/paging.ts'
import { csvRow } from './csv.ts'
import { DaySchema, isDate } from './dayRoutes.ts'

const closed = { additionalProperties: false }

const ClaimSchema = Type.Object(
  {
    day: Type.String({ description: 'the business day' }),
    payer: Type.Integer({ description: 'its account: 1200 and 1210 treasury, 1220 health fund' }),
    service: Type.Union([Type.String(), Type.Null()], { description: 'a purse; null where it is of none, as a share of a bill' }),
    governorate: Type.Integer({ description: "the outlets'" }),
    units: Type.Integer({ description: 'of the entitlement: loaves, piasters of goods' }),
    amount: Type.String({ description: 'in major units; below 0 where more was given back than sold' }),
    paid: Type.String(),
    open: Type.String(),
    ageDays: Type.Union([Type.Integer(), Type.Null()], { description: 'of one that is open' }),
  },
  closed,
)
const TotalSchema = Type.Object(
  {
    payer: Type.Integer(),
    amount: Type.String(),
    paid: Type.String(),
    open: Type.String(),
    openSince: Type.Union([Type.String(), Type.Null()], { description: 'the first day of which something is open' }),
    reference: Type.String({ description: 'what the payer names when it pays all of it' }),
  },
  closed,
)
const example: Static<typeof ClaimSchema> = {
  day: '2026-12-01',
  payer: 1210,
  service: 'bread',
  governorate: 3,
  units: 500,
  amount: '525.00',
  paid: '0.00',
  open: '525.00',
  ageDays: 2,
}
const PageSchema: TSchema = Type.Object(
  {
    totals: Type.Array(TotalSchema, { description: 'of all the days that were asked for, whatever the page' }),
    items: Type.Array(ClaimSchema),
    next: Type.Union([Type.String(), Type.Null()], { description: 'cursor of the next page; null: this is the last' }),
  },
  {
    ...closed,
    examples: [
      {
        totals: [
          {
            payer: 1210,
            amount: '525.00',
            paid: '0.00',
            open: '525.00',
            openSince: '2026-12-01',
            reference: 'CLAIM-1210-20261201-20261207',
          },
        ],
        items: [example],
        next: null,
      },
    ],
  },
)
const COLUMNS = ['day', 'payer', 'service', 'governorate', 'units', 'amount', 'paid', 'open']
const CSV_EXAMPLE = `${COLUMNS.join(',')}\r\n2026-12-01,1210,bread,3,500,525.00,0.00,525.00\r\n`

const Query = Type.Object(
  {
    ...PageQuery,
    from: DaySchema,
    until: DaySchema,
    payer: Type.Optional(Type.String({ pattern: '^12\\d{2}$', description: 'account of the payer', examples: ['1210'] })),
    state: Type.Optional(Type.Enum(['open'], { description: 'open: only those that are not paid' })),
  },
  closed,
)

export function claimRoutes(app: FastifyInstance, parts: ProgrammeParts): void {
  const routes = app.withTypeProvider<TypeBoxTypeProvider>()
  const names = new Map(parts.config.programme.purses.map(({ kind, name }) => [kind, name]))

  routes.get(
    '/v1/claims',
    {
      config: { permission: 'claim:read' },
      schema: {
        summary: 'What treasury and health fund owe for closed business days, from one to another, and what they have paid',
        tags: ['settlement'],
        querystring: Query,
        response: {
          200: {
            description: 'Claims by day, payer, service and governorate. As text/csv all of them, else page by page',
            content: {
              'application/json': { schema: PageSchema },
              'text/csv': { schema: Type.String({ examples: [CSV_EXAMPLE] }) },
            },
          },
          ...readProblems({ 422: 'Days that there are not, or a last one before the first' }),
        },
      },
    },
    (request, reply) => answerClaims(parts, request, reply, request.query, names),
  )
}

interface ClaimsAsked extends PageAsked {
  readonly from: string
  readonly until: string
  readonly payer?: string
  readonly state?: 'open'
}

async function answerClaims(
  parts: ProgrammeParts,
  request: FastifyRequest,
  reply: FastifyReply,
  { from, until, payer, state, ...paging }: ClaimsAsked,
  names: Names,
): Promise<FastifyReply> {
  const range = rangeOf(from, until, payer)
  if (!range.ok) {
    sendRefusal(reply, range.refusal)
    return reply
  }
  const open = state === 'open'
  if (/\btext\/csv\b/i.test(request.headers.accept ?? '')) {
    void reply.header('content-disposition', `attachment; filename="claims-${from}-${until}.csv"`)
    return reply.type('text/csv; charset=utf-8').send(Readable.from(csvOf(parts, range.value, open, names)))
  }
  return answerRead(parts, reply, async (tx) => {
    const page = pageStart(paging)
    const found = await listClaims(tx, range.value, { after: placeOf(page.after), limit: page.look, open })
    const { items, next } = pageOf(found, page, keyOf)
    const totals = await totalClaims(tx, range.value)
    const today = cairoDay(tx.nowMs)
    return done({
      totals: totals.map((total) => shownTotal(total, range.value)),
      items: items.map((claim) => shownClaim(claim, names, today)),
      next,
    })
  })
}

function rangeOf(from: string, until: string, payer: string | undefined): Outcome<ClaimRange> {
  if (!isDate(from)) return refused('invalid', 'no-such-day', 'There is no such day.', 'from')
  if (!isDate(until) || until < from)
    return refused('invalid', 'no-such-day', 'There is no such day at or after the first.', 'until')
  return done({ from, until, payer: payer === undefined ? undefined : Number(payer) })
}

function keyOf({ day, payer, service, governorate }: ClaimPlace): string {
  return [day, payer, service, governorate].join(' ')
}

/** A cursor that is none of ours begins at the beginning. */
function placeOf(after: string): ClaimPlace | undefined {
  const [, day = '', payer, service, governorate] = /^(\d{4}-\d{2}-\d{2}) (\d{4}) (\d{1,4}) (\d{1,2})$/.exec(after) ?? []
  return isDate(day) ? { day, payer: Number(payer), service: Number(service), governorate: Number(governorate) } : undefined
}

type Names = ReadonlyMap<number, string>
const DAY_MS = 86_400_000

function shownClaim(
  { day, payer, service, governorate, units, amount, paid }: Claim,
  names: Names,
  today: string,
): Static<typeof ClaimSchema> {
  return {
    ...{ day, payer, service: names.get(service) ?? null, governorate, units },
    ...{ amount: formatAmount(amount), paid: formatAmount(paid), open: formatAmount(amount - paid) },
    ageDays: amount === paid ? null : Math.max(0, (Date.parse(today) - Date.parse(day)) / DAY_MS),
  }
}

function shownTotal({ payer, amount, paid, openSince }: ClaimTotal, { from, until }: ClaimRange): Static<typeof TotalSchema> {
  const reference = claimReference(payer, from)
  return {
    ...{ payer, amount: formatAmount(amount), paid: formatAmount(paid), open: formatAmount(amount - paid), openSince },
    reference: from === until ? reference : `${reference}-${until.replaceAll('-', '')}`,
  }
}

const CLAIMS_A_READ = 1000

async function* csvOf({ desk }: ProgrammeParts, range: ClaimRange, open: boolean, names: Names): AsyncGenerator<string> {
  yield csvRow(COLUMNS)
  for (let after: ClaimPlace | undefined; ;) {
    const place = after
    const claims = await desk.read((tx) => listClaims(tx, range, { after: place, limit: CLAIMS_A_READ, open }))
    for (const { day, payer, service, governorate, units, amount, paid } of claims) {
      const amounts = [amount, paid, amount - paid].map(formatAmount)
      yield csvRow([day, payer, names.get(service) ?? '', governorate, units, ...amounts])
    }
    after = claims.at(-1)
    if (claims.length < CLAIMS_A_READ) return
  }
}
