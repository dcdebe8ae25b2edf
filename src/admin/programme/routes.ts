/** All calls of the programme's API. */
import type { FastifyInstance } from 'fastify'
import { cardRoutes } from './cardRoutes.ts'
import type { ProgrammeParts } from './command.ts'
import { merchantRoutes } from './merchantRoutes.ts'
import { terminalRoutes } from './terminalRoutes.ts'
import { versionRoutes } from './versionRoutes.ts'

export function programmeRoutes(app: FastifyInstance, parts: ProgrammeParts): void {
  cardRoutes(app, parts)
  merchantRoutes(app, parts)
  terminalRoutes(app, parts)
  versionRoutes(app, parts)
}
