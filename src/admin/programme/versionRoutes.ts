/** The programme's rules by the day from which they hold: limits, fees, holidays, services, routes. */
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance } from 'fastify'
import Type, { type Static } from 'typebox'
import { cairoDay } from '../../clock.ts'
import { done } from '../../ledger/programme/desk.ts'
import { versionsIn, type StoredVersion } from '../../ledger/programme/versions.ts'
import { holding } from '../../ledger/programmeRegistry.ts'
import { ofFile, storeVersion, type VersionRules } from '../../programme/storeVersion.ts'
import { parametersOn, VersionSchema, type Programme } from '../../programmeParameters.ts'
import { actorOf } from '../access/guard.ts'
import { jsonResponse } from '../problem.ts'
import {
  answerCommand,
  answerRead,
  etag,
  readProblems,
  versionSeen,
  WriteHeaders,
  writeProblems,
  type ProgrammeParts,
} from './command.ts'

const closed = { additionalProperties: false }
const STATES = ['past', 'in-force', 'coming', 'superseded'] as const

const StoredSchema = {
  number: Type.Union([Type.Integer(), Type.Null()], { description: 'null: of the configuration' }),
  validFrom: Type.String({ description: 'first day in Cairo' }),
  state: Type.Enum([...STATES], { description: 'superseded: another one for the same day was stored later' }),
  storedAt: Type.Union([Type.String(), Type.Null()]),
  storedBy: Type.Union([Type.String(), Type.Null()]),
}

export function versionRoutes(app: FastifyInstance, parts: ProgrammeParts): void {
  const routes = app.withTypeProvider<TypeBoxTypeProvider>()
  const { programme } = parts.config
  const example = exampleOf(programme)
  const RulesSchema = Type.Object(VersionSchema.properties, {
    ...closed,
    description: 'a whole version: take the one in force, change what is to change, and say from when',
    examples: [example],
  })
  const ShownSchema = Type.Object(
    { ...StoredSchema, rules: Type.Object(VersionSchema.properties, closed) },
    {
      ...closed,
      examples: [
        {
          number: 3,
          validFrom: example.validFrom,
          state: 'coming',
          storedAt: '2026-11-22T08:00:00.000Z',
          storedBy: 'nadia',
          rules: example,
        },
      ],
    },
  )

  routes.get(
    '/v1/programme',
    {
      config: { permission: 'programme:read' },
      schema: {
        summary: 'All versions of the rules, oldest first, and which holds now; ETag is the number of the last that was stored',
        tags: ['programme'],
        response: {
          200: jsonResponse(
            'The versions',
            Type.Object({ today: Type.String({ description: 'in Cairo' }), items: Type.Array(ShownSchema) }, closed),
          ),
          ...readProblems(),
        },
      },
    },
    (_request, reply) =>
      answerRead(parts, reply, async (tx) => {
        const stored = await versionsIn(tx)
        const today = cairoDay(tx.nowMs)
        void reply.header('etag', etag(stored.at(-1)?.number ?? 0))
        return done({ today, items: shownVersions(programme, stored, today) })
      }),
  )

  routes.post(
    '/v1/programme/versions',
    {
      config: { permission: 'programme:write' },
      schema: {
        summary: 'Stores rules that hold from a day to come; every process of the switch follows without a restart',
        description:
          'The rules are checked as those of config/programme.json are. A version for a day that has one already takes its place, as long as that day has not come.',
        tags: ['programme'],
        headers: WriteHeaders,
        body: RulesSchema,
        response: { 201: jsonResponse('The version', ShownSchema), ...writeProblems() },
      },
    },
    (request, reply) =>
      answerCommand(
        parts,
        request,
        reply,
        {
          action: 'programme.store',
          subject: 'programme',
          detail: { validFrom: request.body.validFrom },
          work: async (tx) => {
            const stored = await storeVersion(tx, {
              programme,
              rules: request.body,
              seen: versionSeen(request),
              freshMs: parts.config.registry.freshMs,
              storedBy: actorOf(request).name,
            })
            return stored.ok ? done({ ...shownStored(stored.value.version, 'coming'), changed: stored.value.changed }) : stored
          },
          audit: ({ number, changed }) => ({ detail: { number, changed } }),
        },
        201,
      ),
  )
}

type ShownVersion = Static<Type.TObject<typeof StoredSchema>> & { readonly rules: VersionRules }

/** Those of the configuration and those that were stored, by their first day. */
function shownVersions(programme: Programme, stored: readonly StoredVersion[], today: string): ShownVersion[] {
  const file = ofFile(programme, stored)
  const held = new Set(holding(stored).map(({ number }) => number))
  const days = [...file.versions.map(({ validFrom }) => validFrom), ...stored.map(({ validFrom }) => validFrom)]
  const inForce = days.filter((day) => day <= today).reduce((latest, day) => (day > latest ? day : latest), '')
  const stateOf = (validFrom: string): ShownVersion['state'] =>
    validFrom > today ? 'coming' : validFrom === inForce ? 'in-force' : 'past'
  return [
    ...file.versions.map(({ purses: _, ...rules }) => ({
      number: null,
      validFrom: rules.validFrom,
      state: stateOf(rules.validFrom),
      storedAt: null,
      storedBy: null,
      rules,
    })),
    ...stored.map((version) => shownStored(version, held.has(version.number) ? stateOf(version.validFrom) : 'superseded')),
  ].toSorted((a, b) => (a.validFrom < b.validFrom ? -1 : a.validFrom > b.validFrom ? 1 : (a.number ?? 0) - (b.number ?? 0)))
}

function shownStored(version: StoredVersion, state: ShownVersion['state']): ShownVersion {
  const { number, validFrom, storedAtMs, storedBy, parameters } = version
  return {
    number,
    validFrom,
    state,
    storedAt: new Date(storedAtMs).toISOString(),
    storedBy,
    // It was checked when it was stored, and again when it was read.
    rules: parameters as VersionRules,
  }
}

/** What the configuration says last, from some other day on. */
function exampleOf(programme: Programme): VersionRules {
  const rules = { ...parametersOn(programme, '9999-12-31'), validFrom: '2030-01-01' }
  return Object.fromEntries(Object.entries(rules).filter(([name]) => name !== 'purses')) as unknown as VersionRules
}
