/** Cash in the post's machines: what is there, loading and counting. */
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance } from 'fastify'
import Type, { type Static } from 'typebox'
import { done, refused, type Outcome, type SqlTransaction } from '../../ledger/programme/desk.ts'
import { listAtms, type AtmPosition } from '../../ledger/settlement/atmCash.ts'
import { formatAmount, parseAmount } from '../../money.ts'
import { atmPosition, countAtm, loadAtm } from '../../settlement/atmCash.ts'
import { actorOf } from '../access/guard.ts'
import { jsonResponse } from '../problem.ts'
import {
  answerCommand,
  answerRead,
  readProblems,
  WriteHeaders,
  writeProblems,
  type ProgrammeParts,
} from '../programme/command.ts'
import { wordsSchema } from '../programme/identitySchema.ts'
import { pageOf, PageQuery, pageSchema, pageStart } from '../programme/paging.ts'
import { DaySchema, isDate } from './dayRoutes.ts'

const closed = { additionalProperties: false }
const tags = ['settlement']

const example = {
  terminalId: 'ATM00001',
  acceptorId: '000000000000004',
  state: 'ACTIVE',
  position: '85000.00',
  countedAt: '2026-12-01T06:00:00.000Z',
  counted: '12000.00',
  difference: '-200.00',
}
const facts = {
  terminalId: Type.String(),
  acceptorId: Type.String(),
  state: Type.String(),
  position: Type.String({ description: 'what the ledger says is in it now, in major units' }),
  countedAt: Type.Union([Type.String(), Type.Null()], { description: 'the last count' }),
  counted: Type.Union([Type.String(), Type.Null()]),
  difference: Type.Union([Type.String(), Type.Null()], { description: 'of the last count: below 0, cash was missing' }),
}
const AtmSchema = Type.Object(facts, { ...closed, examples: [example] })
const CountedSchema = Type.Object(
  {
    ...facts,
    itemId: Type.Union([Type.Integer(), Type.Null()], {
      description: 'the difference as an item of suspense; null: there is none',
    }),
  },
  { ...closed, examples: [{ ...example, position: '12000.00', itemId: 7 }] },
)
const Params = Type.Object(
  { terminalId: Type.String({ pattern: '^[A-Za-z0-9._-]{1,8}$', description: 'DE 41 of a machine', examples: ['ATM00001'] }) },
  closed,
)
const AmountText = Type.String({
  pattern: '^\\d{1,10}(\\.\\d{1,2})?$',
  description: 'an amount in major units',
  examples: ['100000'],
})
const Reference = Type.String({
  pattern: '^[A-Za-z0-9/._-]{1,35}$',
  description: 'its number, 1 to 35 characters of A-Z a-z 0-9 / . _ -, once a machine',
  examples: ['CIT-0099'],
})
const LoadSchema = Type.Object(
  {
    amount: AmountText,
    reference: Reference,
    direction: Type.Optional(Type.Enum(['in', 'out'], { description: 'into the machine (default), or out of it' })),
    day: Type.Optional(DaySchema),
    note: Type.Optional(wordsSchema('a note', 'Cassettes 1 and 2')),
  },
  { ...closed, examples: [{ amount: '100000.00', reference: 'CIT-0099' }] },
)
const CountSchema = Type.Object(
  { counted: AmountText, reference: Reference, note: Type.Optional(wordsSchema('a note', 'Counted by two')) },
  { ...closed, examples: [{ counted: '12000.00', reference: 'COUNT-0042' }] },
)

export function atmRoutes(app: FastifyInstance, parts: ProgrammeParts): void {
  const routes = app.withTypeProvider<TypeBoxTypeProvider>()

  routes.get(
    '/v1/atms',
    {
      config: { permission: 'atm:read' },
      schema: {
        summary: 'Machines by DE 41, and the cash in each',
        tags,
        querystring: Type.Object(PageQuery, closed),
        response: { 200: jsonResponse('A page of them', pageSchema(AtmSchema)), ...readProblems() },
      },
    },
    (request, reply) =>
      answerRead(parts, reply, async (tx) => {
        const page = pageStart(request.query)
        const found = await listAtms(tx, page.after, page.look)
        return done(pageOf(found.map(shownAtm), page, ({ terminalId }) => terminalId))
      }),
  )

  routes.get(
    '/v1/atms/:terminalId',
    {
      config: { permission: 'atm:read' },
      schema: {
        summary: 'A machine and the cash in it',
        tags,
        params: Params,
        response: { 200: jsonResponse('The machine', AtmSchema), ...readProblems() },
      },
    },
    (request, reply) => answerRead(parts, reply, async (tx) => shown(await atmPosition(tx, request.params.terminalId))),
  )

  routes.post(
    '/v1/atms/:terminalId/loads',
    {
      config: { permission: 'atm:write' },
      schema: {
        summary: 'Cash was put into a machine, or taken out of it: 1010 / 1000, or the other way',
        tags,
        params: Params,
        headers: WriteHeaders,
        body: LoadSchema,
        response: {
          201: jsonResponse('The machine as it is now', AtmSchema),
          ...writeProblems({ 404: 'There is no such machine' }),
        },
      },
    },
    (request, reply) => {
      const { terminalId } = request.params
      const { amount, reference, direction = 'in', day = null, note = null } = request.body
      const actor = actorOf(request)
      return answerCommand(
        parts,
        request,
        reply,
        {
          action: 'atm.load',
          subject: `terminal ${terminalId}`,
          detail: request.body,
          work: async (tx) => {
            const piasters = parseAmount(amount)
            if (piasters === undefined || piasters === 0)
              return refused('invalid', 'not-an-amount', 'An amount is more than 0.', '/amount')
            if (day !== null && !isDate(day)) return refused('invalid', 'no-such-day', 'There is no such day.', '/day')
            return shown(await loadAtm(tx, actor, terminalId, { reference, amount: piasters, direction, day, note }))
          },
        },
        201,
      )
    },
  )

  routes.post(
    '/v1/atms/:terminalId/counts',
    {
      config: { permission: 'atm:write' },
      schema: {
        summary: 'The cash in a machine was counted, while it was out of service; what differs from the ledger goes to suspense',
        tags,
        params: Params,
        headers: WriteHeaders,
        body: CountSchema,
        response: {
          201: jsonResponse('The machine as it is now', CountedSchema),
          ...writeProblems({ 404: 'There is no such machine' }),
        },
      },
    },
    (request, reply) => {
      const { terminalId } = request.params
      const { counted, reference, note = null } = request.body
      const actor = actorOf(request)
      return answerCommand(
        parts,
        request,
        reply,
        {
          action: 'atm.count',
          subject: `terminal ${terminalId}`,
          detail: request.body,
          work: (tx) => count(tx),
          audit: ({ difference, itemId }) => ({ detail: { difference, itemId } }),
        },
        201,
      )

      async function count(tx: SqlTransaction): Promise<Outcome<Static<typeof CountedSchema>>> {
        const piasters = parseAmount(counted)
        if (piasters === undefined) return refused('invalid', 'not-an-amount', 'An amount has at most two decimals.', '/counted')
        const outcome = await countAtm(tx, actor, terminalId, { reference, counted: piasters, note })
        return outcome.ok ? done({ ...shownAtm(outcome.value.position), itemId: outcome.value.itemId }) : outcome
      }
    },
  )
}

function shown(position: Outcome<AtmPosition>): Outcome<Static<typeof AtmSchema>> {
  return position.ok ? done(shownAtm(position.value)) : position
}

function shownAtm({
  terminalId,
  acceptorId,
  state,
  position,
  countedAt,
  counted,
  difference,
}: AtmPosition): Static<typeof AtmSchema> {
  return {
    ...{ terminalId, acceptorId, state, position: formatAmount(position) },
    countedAt: countedAt?.toISOString() ?? null,
    counted: counted === null ? null : formatAmount(counted),
    difference: difference === null ? null : formatAmount(difference),
  }
}
