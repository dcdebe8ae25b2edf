/** All calls of the programme's API. */
import type { FastifyInstance } from 'fastify'
import { cardRoutes } from './cardRoutes.ts'
import type { ProgrammeParts } from './command.ts'
import { eventRoutes } from './eventRoutes.ts'
import { webhookRoutes } from './webhookRoutes.ts'

export function programmeRoutes(app: FastifyInstance, parts: ProgrammeParts): void {
  cardRoutes(app, parts)
  eventRoutes(app, parts)
  webhookRoutes(app, parts)
}
