/** Services that are switched on for regions. What a decision knows of it: src/ledger/regions.ts. */
import type { Statement } from '../connection.ts'
import type { SqlTransaction } from './desk.ts'

export interface RegionService {
  readonly governorate: number
  readonly service: string
  /** Cairo day. */
  readonly activeFrom: string
}

const COLUMNS = `governorate, service, active_from::text AS "activeFrom"`

const READ_REGION_SERVICES: Statement = {
  name: 'read_region_services',
  text: `
    SELECT ${COLUMNS} FROM region_service
    WHERE (governorate, service) > ($1::smallint, $2::text) AND ($3::smallint IS NULL OR governorate = $3)
    ORDER BY governorate, service LIMIT $4`,
}
const LOCK_REGION_SERVICE: Statement = {
  name: 'lock_region_service',
  text: `SELECT ${COLUMNS} FROM region_service WHERE service = $1 AND governorate = $2 FOR UPDATE`,
}
// The condition is in the statement, so that of two at once neither takes back what has begun.
const WRITE_REGION_SERVICE: Statement = {
  name: 'write_region_service',
  text: `
    INSERT INTO region_service (service, governorate, active_from) VALUES ($1, $2, $3::date)
    ON CONFLICT (service, governorate) DO UPDATE SET active_from = $3::date WHERE region_service.active_from > $4::date
    RETURNING ${COLUMNS}`,
}

/** In the order of governorates and services. */
export async function readRegionServices(
  tx: SqlTransaction,
  options: {
    readonly after: { readonly governorate: number; readonly service: string }
    readonly governorate: number | undefined
    readonly limit: number
  },
): Promise<RegionService[]> {
  const { after, governorate, limit } = options
  return tx.rows<RegionService>(READ_REGION_SERVICES, [after.governorate, after.service, governorate ?? null, limit])
}

export async function lockRegionService(
  tx: SqlTransaction,
  service: string,
  governorate: number,
): Promise<RegionService | undefined> {
  return tx.row<RegionService>(LOCK_REGION_SERVICE, [service, governorate])
}

/** @returns undefined where the service has begun there by `today` */
export async function writeRegionService(
  tx: SqlTransaction,
  { service, governorate, activeFrom }: RegionService,
  today: string,
): Promise<RegionService | undefined> {
  return tx.row<RegionService>(WRITE_REGION_SERVICE, [service, governorate, activeFrom, today])
}
