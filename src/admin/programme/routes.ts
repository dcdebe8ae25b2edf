/** All calls of the programme's API. */
import type { FastifyInstance } from 'fastify'
import { auditRoutes } from './auditRoutes.ts'
import { cardRoutes } from './cardRoutes.ts'
import type { ProgrammeParts } from './command.ts'
import { deathRoutes } from './deathRoutes.ts'
import { handoverRoutes } from './handoverRoutes.ts'
import { proposalRoutes } from './proposalRoutes.ts'
import { replacementRoutes } from './replacementRoutes.ts'

export function programmeRoutes(app: FastifyInstance, parts: ProgrammeParts): void {
  cardRoutes(app, parts)
  handoverRoutes(app, parts)
  replacementRoutes(app, parts)
  proposalRoutes(app, parts)
  deathRoutes(app, parts)
  auditRoutes(app, parts)
}
