/** The document of the API at /docs/json: a linter's recommended rules, and what we want of every call. Calls that are added are looked at too. */
import { createConfig, lintFromString } from '@redocly/openapi-core'
import { beforeAll, describe, expect, it } from 'vitest'
import { addCalls, createApp } from '../../src/admin/httpServer.ts'
import { PROBLEM_TYPE } from '../../src/admin/problem.ts'
import { partsOver } from './callSwitch.ts'

interface Media {
  readonly schema?: Schema
  readonly example?: unknown
  readonly examples?: unknown
}
interface Schema {
  readonly examples?: readonly unknown[]
  readonly properties?: Readonly<Record<string, Schema>>
  readonly oneOf?: readonly Schema[]
}
interface Operation {
  readonly operationId?: string
  readonly summary?: string
  readonly tags?: readonly string[]
  readonly security?: readonly object[]
  readonly parameters?: readonly {
    readonly name: string
    readonly in: string
    readonly required?: boolean
    readonly example?: unknown
  }[]
  readonly requestBody?: { readonly content: Readonly<Record<string, Media>> }
  readonly responses: Readonly<
    Record<string, { readonly description: string; readonly content?: Readonly<Record<string, Media>> }>
  >
}
interface Document {
  readonly tags: readonly { readonly name: string }[]
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
}

let document: Document
let calls: (readonly [name: string, path: string, method: string, operation: Operation])[]

beforeAll(async () => {
  const parts = partsOver(() => undefined)
  const app = createApp(parts.config.http)
  await addCalls(app, parts)
  await app.ready()
  document = (await app.inject('/docs/json')).json()
  await app.close()
  calls = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => [`${method.toUpperCase()} ${path}`, path, method, operation] as const),
  )
})

/** Probes take no input that could be wrong, and are never held up. */
const PROBES = /^#\/paths\/~1(healthz|readyz|metrics)\//

it('passes the recommended rules of a linter, examples checked against their schemas', { timeout: 60_000 }, async () => {
  const config = await createConfig({
    extends: ['recommended-strict'],
    rules: {
      'no-invalid-schema-examples': 'error',
      'no-invalid-media-type-examples': 'error',
      'no-invalid-parameter-examples': 'error',
    },
  })
  const problems = await lintFromString({ source: JSON.stringify(document), absoluteRef: 'openapi.json', config })
  const lines = problems
    .map(({ ruleId, message, location }) => ({ ruleId, at: location[0]?.pointer ?? '', message }))
    .filter(({ ruleId, at }) => !(ruleId === 'operation-4xx-response' && PROBES.test(at)))
  expect(lines).toEqual([])
})

it('would not pass with a call that says nothing', async () => {
  const silent = { ...document, paths: { '/v1/silence': { get: { responses: {} } } } }
  const config = await createConfig({ extends: ['recommended-strict'] })
  const problems = await lintFromString({ source: JSON.stringify(silent), absoluteRef: 'openapi.json', config })
  expect(problems.map(({ ruleId }) => ruleId)).toEqual(expect.arrayContaining(['operation-summary', 'operation-operationId']))
})

describe('every call', () => {
  it('says in a line what it does, under a tag that is described, and has a name of its own', () => {
    const known = document.tags.map(({ name }) => name)
    for (const [name, , , { summary, tags = [] }] of calls) {
      expect(summary?.length ?? 0, name).toBeGreaterThan(5)
      expect(tags, name).toHaveLength(1)
      expect(known, name).toContain(tags[0])
    }
    const ids = calls.map(([, , , { operationId }]) => operationId)
    expect(new Set(ids).size).toBe(ids.length)
  })

  it('has examples of what is sent and of what is answered', () => {
    for (const [name, , , { requestBody, responses, parameters = [] }] of calls) {
      for (const [type, media] of Object.entries(requestBody?.content ?? {}))
        expect(hasExample(media), `${name}: ${type}`).toBe(true)
      for (const parameter of parameters.filter(({ required }) => required === true))
        expect(parameter.example, `${name}: ${parameter.name}`).toBeDefined()
      for (const [status, { content = {} }] of Object.entries(responses)) {
        for (const [type, media] of Object.entries(content)) {
          if (type.endsWith('json')) expect(hasExample(media), `${name}: ${status} ${type}`).toBe(true)
        }
      }
    }
  })

  it('answers with problem+json wherever something is wrong, and says what is wrong for whom', () => {
    for (const [name, path, method, { responses, security }] of calls) {
      const failures = Object.entries(responses).filter(([status]) => status >= '400')
      for (const [status, { content = {}, description }] of failures) {
        if (PROBES.test(`#/paths/~1${path.slice(1)}/`)) continue
        expect(Object.keys(content), `${name}: ${status}`).toEqual([PROBLEM_TYPE])
        expect(description.length, `${name}: ${status}`).toBeGreaterThan(5)
      }
      if (!path.startsWith('/v1/')) continue
      const statuses = failures.map(([status]) => status)
      const asksForToken = security?.some((one) => 'bearer' in one) === true
      const needed = ['400', ...(asksForToken && security.length === 1 ? ['401', '403'] : []), '429', '503']
      // What a person is found by is no part of a path: such a POST only reads. What is sent with a proof of its own has no key.
      const reads = method === 'get' || path.endsWith('/find') || !asksForToken
      expect(statuses, name).toEqual(expect.arrayContaining(reads ? needed : [...needed, '409', '504']))
    }
  })
})

/** One of its own, or one of everything that it is made of. */
function hasExample({ example, examples, schema }: Media): boolean {
  return example !== undefined || examples !== undefined || (schema !== undefined && schemaHasExample(schema))
}

function schemaHasExample({ examples = [], oneOf = [], properties, ...rest }: Schema & { readonly items?: Schema }): boolean {
  if (examples.length > 0 || oneOf.some(schemaHasExample)) return true
  if (rest.items !== undefined) return schemaHasExample(rest.items)
  return Object.values(properties ?? {}).some(schemaHasExample)
}
