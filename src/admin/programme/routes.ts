/** All calls of the programme's API. */
import type { FastifyInstance } from 'fastify'
import type { ProgrammeParts } from './command.ts'
import { bureauRoutes } from './bureauRoutes.ts'
import { cardRoutes } from './cardRoutes.ts'
import { eventRoutes } from './eventRoutes.ts'
import { merchantRoutes } from './merchantRoutes.ts'
import { noticeRoutes } from './noticeRoutes.ts'
import { receiptRoutes } from './receiptRoutes.ts'
import { terminalRoutes } from './terminalRoutes.ts'
import { versionRoutes } from './versionRoutes.ts'
import { webhookRoutes } from './webhookRoutes.ts'

export function programmeRoutes(app: FastifyInstance, parts: ProgrammeParts): void {
  cardRoutes(app, parts)
  eventRoutes(app, parts)
  webhookRoutes(app, parts)
  merchantRoutes(app, parts)
  terminalRoutes(app, parts)
  versionRoutes(app, parts)
  bureauRoutes(app, parts)
  noticeRoutes(app, parts)
  receiptRoutes(app, parts)
}
