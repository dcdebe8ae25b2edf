/** The death of a person is recorded. */
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance } from 'fastify'
import Type from 'typebox'
import { done, refused } from '../../ledger/programme/desk.ts'
import { recordDeathOf } from '../../programme/recordDeath.ts'
import { jsonResponse } from '../problem.ts'
import { CardSchema, shownCard } from './cardRoutes.ts'
import { answerCommand, writeProblems, WriteHeaders, type ProgrammeParts } from './command.ts'
import { PersonParams } from './personShown.ts'

const closed = { additionalProperties: false }

const DeathSchema = Type.Object(
  {
    diedOn: Type.String({
      pattern: '^\\d{4}-\\d{2}-\\d{2}$',
      description: 'the day of death, YYYY-MM-DD',
      examples: ['2026-11-20'],
    }),
    newHead: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: Number.MAX_SAFE_INTEGER,
        description: 'the personId of a living member, head of the household from now on',
      }),
    ),
    lists: Type.Optional(
      Type.Object(
        { ration: Type.Boolean(), bread: Type.Boolean() },
        {
          ...closed,
          description: 'the lists on which the person was, which have one member less from the next month on; absent: both',
        },
      ),
    ),
  },
  { ...closed, examples: [{ diedOn: '2026-11-20', newHead: 10000000102 }] },
)

const DeathRecordedSchema = Type.Object(
  {
    personId: Type.Integer(),
    householdId: Type.Integer(),
    diedOn: Type.String(),
    head: Type.Union([Type.Integer(), Type.Null()], {
      description: 'the personId of the head of the household; null: it has none, and cannot draw until one is named',
    }),
    cards: Type.Array(CardSchema, { description: "the person's cards as they are now" }),
  },
  {
    ...closed,
    examples: [{ personId: 10000000101, householdId: 100000001, diedOn: '2026-11-20', head: 10000000102, cards: [] }],
  },
)

export function deathRoutes(app: FastifyInstance, parts: ProgrammeParts): void {
  const routes = app.withTypeProvider<TypeBoxTypeProvider>()

  routes.post(
    '/v1/persons/:personId/death',
    {
      config: { permission: 'death:record' },
      schema: {
        summary:
          'A person has died: the cards end, the balance waits for the heirs; a household whose head has died gets a new one',
        description:
          'A household whose head has died draws again when it has a new head: name one with newHead, now or by sending the same again with it. The cards of the new head carry the household at once.',
        tags: ['persons'],
        params: PersonParams,
        headers: WriteHeaders,
        body: DeathSchema,
        response: {
          200: jsonResponse('What has become of cards and household', DeathRecordedSchema),
          ...writeProblems({ 404: 'There is no such person' }),
        },
      },
    },
    (request, reply) => {
      const personId = Number(request.params.personId)
      const { diedOn, newHead, lists = { ration: true, bread: true } } = request.body
      return answerCommand(parts, request, reply, {
        action: 'person.death',
        subject: `person ${String(personId)}`,
        detail: { diedOn, ...(newHead === undefined ? {} : { newHead }) },
        work: async (tx) => {
          if (!isDate(diedOn)) return refused('invalid', 'not-a-date', 'It is a date of the calendar, YYYY-MM-DD.', '/diedOn')
          const recorded = await recordDeathOf(tx, parts.config.programme, { personId, diedOn, newHead, lists })
          if (!recorded.ok) return recorded
          const { householdId, head, cards } = recorded.value
          return done({ personId, householdId, diedOn, head, cards: cards.map(shownCard) })
        },
      })
    },
  )
}

/** Date.parse takes the 31st of February for the 3rd of March. Year 0 is none of Postgres'. */
function isDate(text: string): boolean {
  const instant = Date.parse(text)
  return !Number.isNaN(instant) && new Date(instant).toISOString().slice(0, 10) === text && !text.startsWith('0000')
}
