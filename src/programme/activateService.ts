/** A service is announced for a region: from its day on every household and person there has it, whatever card they hold. */
import { cairoDay } from '../clock.ts'
import { planAnnouncement } from '../ledger/programme/announcements.ts'
import { done, refused, type Outcome, type SqlTransaction } from '../ledger/programme/desk.ts'
import { lockRegionService, writeRegionService, type RegionService } from '../ledger/programme/regionServices.ts'
import { HEALTH, parametersOn, type Programme } from '../programmeParameters.ts'

/** What is switched on by itself: services that are not announced with another one, and health. */
export function announcedServices(programme: Programme, day: string): string[] {
  const { services } = parametersOn(programme, day)
  return [...Object.keys(services).filter((name) => services[name]?.announcedWith === undefined), HEALTH]
}

/** Refuses a service that there is not, a day that has passed, and to take back what has begun. */
export async function activateService(
  tx: SqlTransaction,
  programme: Programme,
  asked: RegionService,
): Promise<Outcome<RegionService>> {
  const { service, governorate, activeFrom } = asked
  const today = cairoDay(tx.nowMs)
  const known = announcedServices(programme, today)
  if (!known.includes(service))
    return refused('not-found', 'no-such-service', `The services that are announced for regions are ${known.join(', ')}.`)
  const before = await lockRegionService(tx, service, governorate)
  if (before?.activeFrom === activeFrom) return done(before)
  if (before !== undefined && before.activeFrom <= today) return hasBegun(before)
  if (activeFrom < today) return refused('invalid', 'day-has-passed', 'A service begins today or on a later day.', '/activeFrom')
  const written = await writeRegionService(tx, asked, today)
  if (written === undefined) return hasBegun(asked)
  await planAnnouncement(tx, written)
  await tx.emit({ kind: 'service.activated', data: { service, governorate, activeFrom } })
  return done(written)
}

function hasBegun({ service }: RegionService): Outcome<never> {
  return refused('conflict', 'service-has-begun', `The service ${service} has begun in this governorate; it is not taken back.`)
}
