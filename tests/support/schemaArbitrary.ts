/**
 * Values that a JSON schema asks for, and values that nearly are: what the property-based test of the API sends. Where a member has a name that an earlier
 * answer had too, what was answered is tried in its place, so that requests are about things that there are.
 */
import fc, { type Arbitrary } from 'fast-check'

/** As much of JSON Schema as the API's document uses. */
export interface JsonSchema {
  readonly type?: string | readonly string[]
  readonly enum?: readonly unknown[]
  readonly const?: unknown
  readonly anyOf?: readonly JsonSchema[]
  readonly oneOf?: readonly JsonSchema[]
  readonly allOf?: readonly JsonSchema[]
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly patternProperties?: Readonly<Record<string, JsonSchema>>
  readonly required?: readonly string[]
  readonly items?: JsonSchema
  readonly minItems?: number
  readonly maxItems?: number
  readonly minProperties?: number
  readonly pattern?: string
  readonly format?: string
  readonly minLength?: number
  readonly maxLength?: number
  readonly minimum?: number
  readonly maximum?: number
  readonly examples?: readonly unknown[]
}

/** Stands for what an answer had under this name: the `index`th of those that are known when the request is sent, else `otherwise`. */
class Known {
  readonly name: string
  readonly index: number
  readonly otherwise: unknown

  constructor(name: string, index: number, otherwise: unknown) {
    this.name = name
    this.index = index
    this.otherwise = otherwise
  }

  /** As fast-check shows it where a property fails. */
  toJSON(): string {
    return `(a known ${this.name})`
  }
}

/** What answers had, by the name of the member: the last of each. */
export class KnownValues {
  readonly #values = new Map<string, unknown[]>()
  static readonly #MAX = 40

  add(name: string, value: string | number): void {
    const values = this.#values.get(name) ?? []
    if (values.includes(value)) return
    this.#values.set(name, [...values, value].slice(-KnownValues.#MAX))
  }

  /** Everything in an answer that has a name. */
  learn(value: unknown): void {
    if (Array.isArray(value)) for (const item of value) this.learn(item)
    else if (typeof value === 'object' && value !== null) {
      for (const [name, inner] of Object.entries(value)) {
        if (typeof inner === 'string' || typeof inner === 'number') this.add(name, inner)
        else this.learn(inner)
      }
    }
  }

  /** The value with what is known in it. */
  fill(value: unknown): unknown {
    if (value instanceof Known) {
      const known = this.#values.get(value.name) ?? []
      return known.length === 0 ? value.otherwise : known[value.index % known.length]
    }
    if (Array.isArray(value)) return value.map((item) => this.fill(item))
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, this.fill(inner)]))
  }
}

/** What a schema takes. @param name of the member */
export function valid(schema: JsonSchema, name = ''): Arbitrary<unknown> {
  const own = ofSchema(schema)
  const { examples = [], enum: listed, type } = schema
  const some: { weight: number; arbitrary: Arbitrary<unknown> }[] = [{ weight: 3, arbitrary: own }]
  if (examples.length > 0) some.push({ weight: 2, arbitrary: fc.constantFrom(...examples) })
  if (name !== '' && listed === undefined && type !== 'object' && type !== 'array' && type !== 'boolean')
    some.push({ weight: 4, arbitrary: fc.tuple(fc.nat(1000), own).map(([index, value]) => new Known(name, index, value)) })
  return some.length === 1 ? own : fc.oneof(...some)
}

function ofSchema(schema: JsonSchema): Arbitrary<unknown> {
  if ('const' in schema) return fc.constant(schema.const)
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum)
  const several = schema.anyOf ?? schema.oneOf
  if (several !== undefined) return fc.oneof(...several.map((one) => valid(one)))
  if (schema.allOf !== undefined)
    return fc.tuple(...schema.allOf.map((one) => valid(one))).map((parts) => Object.assign({}, ...(parts as object[])) as object)
  switch (Array.isArray(schema.type) ? schema.type[0] : schema.type) {
    case 'object':
      return ofObject(schema)
    case 'array':
      return fc.array(valid(schema.items ?? {}), {
        minLength: schema.minItems ?? 0,
        maxLength: Math.min(schema.maxItems ?? 3, 3),
      })
    case 'string':
      return ofString(schema)
    case 'integer':
      return fc.integer({ min: schema.minimum ?? -5, max: Math.min(schema.maximum ?? 1_000_000, 2_147_483_647) })
    case 'number':
      return fc.double({ min: schema.minimum ?? -5, max: schema.maximum ?? 1e9, noNaN: true })
    case 'boolean':
      return fc.boolean()
    case 'null':
      return fc.constant(null)
    default:
      return fc.jsonValue()
  }
}

function ofObject({ properties = {}, patternProperties = {}, required = [], minProperties = 0 }: JsonSchema): Arbitrary<unknown> {
  const members = Object.fromEntries(Object.entries(properties).map(([name, schema]) => [name, valid(schema, name)]))
  const requiredKeys = Object.keys(members).filter((name, index) => required.includes(name) || index < minProperties)
  const record: Arbitrary<object> = fc.record(members, { requiredKeys })
  const [pattern, schema] = Object.entries(patternProperties)[0] ?? []
  if (pattern === undefined || schema === undefined) return record
  return fc.oneof(record, fc.dictionary(fc.stringMatching(new RegExp(pattern)), valid(schema), { maxKeys: 3 }))
}

function ofString({ pattern, format, minLength = 0, maxLength = 40 }: JsonSchema): Arbitrary<string> {
  if (pattern !== undefined) {
    // fast-check makes no text for what a pattern looks ahead for: that is asked of the text that was made.
    const whole = new RegExp(pattern)
    return fc
      .stringMatching(new RegExp(pattern.replace(/\(\?!(?:\[[^\]]*\]|[^)])*\)/g, '')))
      .filter((text) => text.length <= 2000 && whole.test(text))
  }
  if (format === 'date') return fc.date({ noInvalidDate: true }).map((date) => date.toISOString().slice(0, 10))
  return fc.string({ minLength, maxLength: Math.max(minLength, Math.min(maxLength, 200)), unit: 'binary' })
}

/** What callers send by mistake or on purpose in the place of anything. */
const ODD: readonly unknown[] = [
  null,
  true,
  0,
  -1,
  1.5,
  1e308,
  9007199254740993,
  '',
  ' ',
  '\u0000',
  '\ud800',
  '٣٤٥',
  "'; DROP TABLE card; --",
  '../../etc/passwd',
  '%s%n',
  '2026-02-30',
  '9999-12-31',
  '0000-00-00',
  '-0',
  '1e9',
  '99999999999999999999',
  'x'.repeat(3000),
  [],
  {},
  [[[[[]]]]],
  { $ref: '#' },
  JSON.parse('{"__proto__":{"admin":true}}'),
]

/** What a schema takes, with something wrong somewhere in it; now and then what has nothing to do with it. */
export function nearlyValid(schema: JsonSchema): Arbitrary<unknown> {
  const spoilt = fc.tuple(
    valid(schema),
    fc.nat(),
    fc.constantFrom('replace', 'leave out', 'add', 'twice'),
    fc.constantFrom(...ODD),
  )
  return fc.oneof(
    { weight: 8, arbitrary: spoilt.map(([value, where, how, odd]) => spoil(value, where, how, odd)) },
    { weight: 1, arbitrary: fc.constantFrom(...ODD) },
    { weight: 1, arbitrary: fc.jsonValue() },
  )
}

/** Changes one place; which one says `where`. */
function spoil(value: unknown, where: number, how: string, odd: unknown): unknown {
  if (value instanceof Known || typeof value !== 'object' || value === null) return odd
  if (Array.isArray(value)) {
    if (value.length === 0) return [odd]
    const at = where % value.length
    if (how === 'twice') return [...(value as unknown[]), value[at]]
    return value.flatMap((item: unknown, index) =>
      index !== at ? [item] : how === 'leave out' ? [] : [spoil(item, Math.floor(where / value.length), how, odd)],
    )
  }
  const entries = Object.entries(value)
  if (how === 'add') return { ...value, unknownMember: odd }
  if (entries.length === 0) return odd
  const at = where % entries.length
  return Object.fromEntries(
    entries.flatMap(([name, inner], index) => {
      if (index !== at) return [[name, inner as unknown]]
      return how === 'leave out' ? [] : [[name, spoil(inner, Math.floor(where / entries.length), how, odd)]]
    }),
  )
}
