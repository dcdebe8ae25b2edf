/** All calls of the programme's API. */
import type { FastifyInstance } from 'fastify'
import type { ProgrammeParts } from './command.ts'
import { auditRoutes } from './auditRoutes.ts'
import { bankAccountRoutes } from '../settlement/bankAccountRoutes.ts'
import { dayRoutes } from '../settlement/dayRoutes.ts'
import { merchantPositionRoutes } from '../settlement/merchantPositionRoutes.ts'
import { payoutRoutes } from '../settlement/payoutRoutes.ts'
import { payoutRunRoutes } from '../settlement/payoutRunRoutes.ts'
import { bureauRoutes } from './bureauRoutes.ts'
import { cardRoutes } from './cardRoutes.ts'
import { collectionRoutes } from './collectionRoutes.ts'
import { deathRoutes } from './deathRoutes.ts'
import { eventRoutes } from './eventRoutes.ts'
import { handoverRoutes } from './handoverRoutes.ts'
import { keyRoutes } from './keyRoutes.ts'
import { householdRoutes } from './householdRoutes.ts'
import { merchantRoutes } from './merchantRoutes.ts'
import { moneyRoutes } from './moneyRoutes.ts'
import { noticeRoutes } from './noticeRoutes.ts'
import { orderRoutes } from './orderRoutes.ts'
import { personRoutes } from './personRoutes.ts'
import { placeRoutes } from './placeRoutes.ts'
import { proposalRoutes } from './proposalRoutes.ts'
import { receiptRoutes } from './receiptRoutes.ts'
import { regionRoutes } from './regionRoutes.ts'
import { replacementRoutes } from './replacementRoutes.ts'
import { terminalRoutes } from './terminalRoutes.ts'
import { versionRoutes } from './versionRoutes.ts'
import { webhookRoutes } from './webhookRoutes.ts'
import { bookRoutes } from '../settlement/bookRoutes.ts'
import { disputeRoutes } from '../settlement/disputeRoutes.ts'

export function programmeRoutes(app: FastifyInstance, parts: ProgrammeParts): void {
  placeRoutes(app, parts)
  regionRoutes(app, parts)
  householdRoutes(app, parts)
  personRoutes(app, parts)
  orderRoutes(app, parts)
  cardRoutes(app, parts)
  keyRoutes(app, parts)
  eventRoutes(app, parts)
  webhookRoutes(app, parts)
  merchantRoutes(app, parts)
  terminalRoutes(app, parts)
  versionRoutes(app, parts)
  bureauRoutes(app, parts)
  noticeRoutes(app, parts)
  receiptRoutes(app, parts)
  collectionRoutes(app, parts)
  moneyRoutes(app, parts)
  handoverRoutes(app, parts)
  replacementRoutes(app, parts)
  proposalRoutes(app, parts)
  deathRoutes(app, parts)
  auditRoutes(app, parts)
  disputeRoutes(app, parts)
  bookRoutes(app, parts)
  dayRoutes(app, parts)
  bankAccountRoutes(app, parts)
  merchantPositionRoutes(app, parts)
  payoutRunRoutes(app, parts)
  payoutRoutes(app, parts)
}
