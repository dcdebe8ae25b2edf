/** All calls of the programme's API. */
import type { FastifyInstance } from 'fastify'
import { cardRoutes } from './cardRoutes.ts'
import { collectionRoutes } from './collectionRoutes.ts'
import type { ProgrammeParts } from './command.ts'
import { householdRoutes } from './householdRoutes.ts'
import { moneyRoutes } from './moneyRoutes.ts'
import { orderRoutes } from './orderRoutes.ts'
import { personRoutes } from './personRoutes.ts'
import { placeRoutes } from './placeRoutes.ts'
import { regionRoutes } from './regionRoutes.ts'

export function programmeRoutes(app: FastifyInstance, parts: ProgrammeParts): void {
  placeRoutes(app, parts)
  regionRoutes(app, parts)
  householdRoutes(app, parts)
  personRoutes(app, parts)
  orderRoutes(app, parts)
  cardRoutes(app, parts)
  collectionRoutes(app, parts)
  moneyRoutes(app, parts)
}
