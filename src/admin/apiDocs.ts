/** The OpenAPI document at /docs/json and the page at /docs that shows it. */
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'

const INFO = {
  title: 'sarf',
  version: '1',
  description: 'Authorization switch of a unified services card. The same transactions come as ISO 8583 messages over TCP.',
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
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: INFO,
      components: { securitySchemes: { bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } } },
      tags: [
        { name: 'transactions', description: 'What moves money, and what asks for it' },
        { name: 'places', description: 'Where cards are collected' },
        { name: 'regions', description: 'Which services are there, and from when on' },
        { name: 'households', description: 'Who lives together, and how many are counted' },
        { name: 'persons', description: 'Holders of cards' },
        { name: 'card orders', description: 'Cards that are asked for' },
        { name: 'cards', description: "A card's life" },
        { name: 'money', description: 'Balances and statements' },
        { name: 'operation', description: 'For whoever runs the switch' },
      ],
    },
  })
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    staticCSP: PAGE_POLICY,
    theme: { title: 'sarf API' },
    uiConfig: { docExpansion: 'list', tryItOutEnabled: true },
  })
}
