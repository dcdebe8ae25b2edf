/** The OpenAPI document at /docs/json and the page at /docs that shows it. */
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'

const INFO = {
  title: 'sarf',
  version: '1',
  description: 'Authorization switch of a unified services card. The same transactions come as ISO 8583 messages over TCP.',
  license: { name: 'Apache License 2.0', identifier: 'Apache-2.0' },
}

/**
 * What Swagger UI needs, and no more: its scripts are files of this server, but it sets styles on elements. No `upgrade-insecure-requests`:
 * the page is served over plain HTTP, also to other machines.
 */
const PAGE_POLICY = {
  'default-src': "'none'",
  'script-src': "'self'",
  'style-src': ["'self'", "'unsafe-inline'"],
  'img-src': ["'self'", 'data:'],
  'font-src': "'self'",
  'connect-src': "'self'",
  'base-uri': "'none'",
  'form-action': "'none'",
  'frame-ancestors': "'none'",
}

/** To be called before the routes are added: those that come later are documented. */
export async function apiDocs(app: FastifyInstance): Promise<void> {
  app.addHook('onRoute', ({ method, url, schema }) => {
    if (schema !== undefined && typeof method === 'string' && method !== 'HEAD')
      Object.assign(schema, { operationId: schema.operationId ?? operationId(method, url) })
  })
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: INFO,
      servers: [{ url: '/', description: 'this server' }],
      components: { securitySchemes: { bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } } },
      tags: [
        { name: 'transactions', description: 'What moves money, and what asks for it' },
        { name: 'places', description: 'Where cards are collected' },
        { name: 'regions', description: 'Which services are there, and from when on' },
        { name: 'households', description: 'Who lives together, and how many are counted' },
        { name: 'persons', description: 'Holders of cards' },
        { name: 'card orders', description: 'Cards that are asked for' },
        { name: 'cards', description: "A card's life" },
        { name: 'events', description: 'Who is told what happens' },
        { name: 'registry', description: 'Merchants and terminals' },
        { name: 'programme', description: "The programme's parameters, by the day from which they hold" },
        { name: 'notices', description: 'What people are told by SMS, and what the provider reports' },
        { name: 'proposals', description: 'What one officer proposes and another agrees to' },
        { name: 'keys', description: 'Keys of the HSM' },
        { name: 'audit', description: 'Who did what' },
        { name: 'money', description: 'Balances and statements' },
        { name: 'settlement', description: 'Business days, payouts, bank statements, claims, suspense' },
        { name: 'disputes', description: 'What holders say was wrong, and what becomes of it' },
        { name: 'books', description: 'Trial balance, general ledger, statements of accounts' },
        { name: 'operation', description: 'For whoever runs the switch' },
      ],
    },
    transformObject: (document) =>
      'openapiObject' in document ? withoutDiscriminators(document.openapiObject) : document.swaggerObject,
  })
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    staticCSP: PAGE_POLICY,
    theme: { title: 'sarf API' },
    uiConfig: { docExpansion: 'list', tryItOutEnabled: true },
  })
}

/** `POST /v1/cards/:cardId/reports` is `postCardsByCardIdReports`. */
function operationId(method: string, url: string): string {
  const words = url
    .replace(/^\/v1\//, '/')
    .replaceAll(':', 'by-')
    .split(/[^A-Za-z0-9]+/)
  const [first, ...others] = [method.toLowerCase(), ...words.filter((word) => word !== '')]
  return [first, ...others.map((word) => word.charAt(0).toUpperCase() + word.slice(1))].join('')
}

/**
 * The validator takes `discriminator` for schemas that stand where they are used; OpenAPI has it for those with a name only. What is meant follows from the
 * constants in them.
 */
function withoutDiscriminators<T>(value: T): T {
  if (Array.isArray(value)) return value.map((item: unknown) => withoutDiscriminators(item)) as T
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).filter(([name]) => !(name === 'discriminator' && 'oneOf' in value))
  return Object.fromEntries(entries.map(([name, inner]) => [name, withoutDiscriminators(inner)])) as T
}
