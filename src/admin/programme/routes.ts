/** All calls of the programme's API. */
import type { FastifyInstance } from 'fastify'
import { bureauRoutes } from './bureauRoutes.ts'
import { cardRoutes } from './cardRoutes.ts'
import type { ProgrammeParts } from './command.ts'
import { noticeRoutes } from './noticeRoutes.ts'
import { receiptRoutes } from './receiptRoutes.ts'

export function programmeRoutes(app: FastifyInstance, parts: ProgrammeParts): void {
  cardRoutes(app, parts)
  bureauRoutes(app, parts)
  noticeRoutes(app, parts)
  receiptRoutes(app, parts)
}
