/** Business days: what each has moved, and their closing. */
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance } from 'fastify'
import Type, { type Static } from 'typebox'
import { done, refused, type SqlTransaction } from '../../ledger/programme/desk.ts'
import {
  listBusinessDays,
  readBusinessDay,
  readDaySummary,
  readDayTotals,
  type BusinessDay,
} from '../../ledger/settlement/days.ts'
import { assert } from '../../assert.ts'
import { formatAmount } from '../../money.ts'
import { formatUnits } from '../../programme/statement.ts'
import type { Programme } from '../../programmeParameters.ts'
import { actorOf } from '../access/guard.ts'
import { jsonResponse } from '../problem.ts'
import {
  answerRead,
  readProblems,
  sendRefusal,
  sendTrouble,
  WriteHeaders,
  writeKeyOf,
  writeProblems,
  type ProgrammeParts,
} from '../programme/command.ts'
import { pageOf, PageQuery, pageSchema, pageStart } from '../programme/paging.ts'

const closed = { additionalProperties: false }
const tags = ['settlement']

export const DaySchema = Type.String({
  pattern: '^20\\d{2}-(0[1-9]|1[0-2])-(0[1-9]|[12]\\d|3[01])$',
  description: 'a date',
  examples: ['2026-11-27'],
})
const instant = Type.Union([Type.String(), Type.Null()])
const example = {
  day: '2026-11-27',
  state: 'closed',
  after: 1041,
  until: 5218,
  cutAt: '2026-11-27T22:00:00.000Z',
  closedAt: '2026-11-27T22:00:07.100Z',
  closedBy: 'clock',
}
const facts = {
  day: DaySchema,
  state: Type.Enum(['open', 'cut', 'closed'], { description: 'cut: it has its transfers, and is being added up' }),
  after: Type.Integer({ description: 'event numbers above this one ...' }),
  until: Type.Union([Type.Integer(), Type.Null()], { description: '... up to this one are its own' }),
  cutAt: instant,
  closedAt: instant,
  closedBy: Type.Union([Type.String(), Type.Null()]),
}
const BusinessDaySchema = Type.Object(facts, { ...closed, examples: [example] })
const TotalSchema = Type.Object(
  {
    code: Type.Integer({ description: 'account of the chart' }),
    unit: Type.String(),
    debits: Type.String({ description: 'in major units; loaves are whole' }),
    credits: Type.String(),
    balance: Type.String({ description: 'debits less credits, of all days up to it' }),
  },
  closed,
)
const DayShownSchema = Type.Object(
  {
    ...facts,
    outlets: Type.Integer({ description: 'outlets that have earned or given back something' }),
    earned: Type.String({ description: 'EGP: what they have earned' }),
    claimed: Type.String({ description: 'EGP: what treasury and fund owe for it' }),
    totals: Type.Array(TotalSchema, { description: 'of a closed day; empty before' }),
  },
  {
    ...closed,
    examples: [
      {
        ...example,
        outlets: 1,
        earned: '5.25',
        claimed: '5.25',
        totals: [{ code: 2210, unit: 'EGP', debits: '0.00', credits: '5.25', balance: '-5.25' }],
      },
    ],
  },
)
const Params = Type.Object({ day: DaySchema }, closed)
const NoBody = Type.Object({}, { ...closed, description: 'nothing', examples: [{}] })
const NO_SUCH_DAY = refused('not-found', 'no-such-business-day', 'There is no such business day.')

export function dayRoutes(app: FastifyInstance, parts: ProgrammeParts): void {
  const routes = app.withTypeProvider<TypeBoxTypeProvider>()

  routes.get(
    '/v1/business-days',
    {
      config: { permission: 'day:read' },
      schema: {
        summary: 'Business days, the latest first',
        tags,
        querystring: Type.Object(PageQuery, closed),
        response: { 200: jsonResponse('A page of them', pageSchema(BusinessDaySchema)), ...readProblems() },
      },
    },
    (request, reply) =>
      answerRead(parts, reply, async (tx) => {
        const start = pageStart(request.query)
        const before = isDate(start.after) ? start.after : undefined
        const found = await listBusinessDays(tx, before, start.look)
        return done(pageOf(found.map(shown), start, ({ day }) => day))
      }),
  )

  routes.get(
    '/v1/business-days/:day',
    {
      config: { permission: 'day:read' },
      schema: {
        summary: 'A business day and its books',
        tags,
        params: Params,
        response: { 200: jsonResponse('The day', DayShownSchema), ...readProblems() },
      },
    },
    (request, reply) =>
      answerRead(parts, reply, async (tx) => {
        const { day } = request.params
        const known = isDate(day) ? await readBusinessDay(tx, day) : undefined
        return known === undefined ? NO_SUCH_DAY : done(await withTotals(tx, parts.config.programme, known))
      }),
  )

  routes.post(
    '/v1/business-days/:day/close',
    {
      config: { permission: 'day:close' },
      schema: {
        summary: 'Closes a business day whose cut-off has passed, and those before it; one that is closed stays as it is',
        description:
          'A switch does it by itself some seconds after the cut-off. It may be asked twice, and by two people at once: a day is closed once.',
        tags,
        params: Params,
        headers: WriteHeaders,
        body: Type.Optional(NoBody),
        response: { 200: jsonResponse('The day', BusinessDaySchema), ...writeProblems({ 404: 'There is no such business day' }) },
      },
    },
    async (request, reply) => {
      const { day } = request.params
      // Closing is safe to repeat by itself, so that nothing of the key is kept.
      if (writeKeyOf(request, reply, parts) === undefined) return reply
      try {
        const outcome = isDate(day) ? await parts.businessDays.close(actorOf(request), day) : NO_SUCH_DAY
        if (outcome.ok) return await reply.send(shown(outcome.value))
        sendRefusal(reply, outcome.refusal)
      } catch (error) {
        sendTrouble(reply, error)
      }
      return reply
    },
  )
}

/** Thirty days has September. */
export function isDate(day: string): boolean {
  const instantMs = Date.parse(`${day}T00:00:00Z`)
  return /^\d{4}-\d{2}-\d{2}$/.test(day) && !Number.isNaN(instantMs) && new Date(instantMs).toISOString().startsWith(day)
}

function shown({ day, after, until, cutAt, closedAt, closedBy }: BusinessDay): Static<typeof BusinessDaySchema> {
  return {
    day,
    state: closedAt === null ? (until === null ? 'open' : 'cut') : 'closed',
    after,
    until,
    cutAt: cutAt?.toISOString() ?? null,
    closedAt: closedAt?.toISOString() ?? null,
    closedBy,
  }
}

async function withTotals(
  tx: SqlTransaction,
  { units }: Pick<Programme, 'units'>,
  known: BusinessDay,
): Promise<Static<typeof DayShownSchema>> {
  const { outlets, earned, claimed } = await readDaySummary(tx, known.day)
  const totals = (await readDayTotals(tx, known.day)).map(({ code, unit, debits, credits, balance }) => {
    const definition = units.find(({ number }) => number === unit)
    assert(definition !== undefined, 'the programme keeps the units of its ledger')
    const text = (amount: number): string => formatUnits(amount, definition)
    return { code, unit: definition.name, debits: text(debits), credits: text(credits), balance: text(balance) }
  })
  return { ...shown(known), outlets, earned: formatAmount(earned), claimed: formatAmount(claimed), totals }
}
