/** A service that begins in a region is told to the heads of its households, a chunk at a time. */
import type { Statement } from '../connection.ts'
import type { SqlTransaction } from './desk.ts'

const PLAN: Statement = {
  name: 'plan_announcement',
  text: `
    INSERT INTO service_announcement (service, governorate, active_from) VALUES ($1, $2, $3)
    ON CONFLICT (service, governorate) DO UPDATE SET active_from = EXCLUDED.active_from, next_household = 0, done_at = NULL
    WHERE service_announcement.active_from <> EXCLUDED.active_from AND service_announcement.next_household = 0`,
}

/**
 * Begun once its day has come. A day that is changed before that is changed here too; what has been announced is not announced again.
 * To be called in the SQL transaction that switches the service on.
 */
export async function planAnnouncement(
  tx: SqlTransaction,
  { service, governorate, activeFrom }: { readonly service: string; readonly governorate: number; readonly activeFrom: string },
): Promise<void> {
  await tx.row(PLAN, [service, governorate, activeFrom])
}

const NEXT: Statement = {
  name: 'next_announcement',
  text: `
    SELECT service, governorate, active_from::text AS "activeFrom", next_household::float8 AS "nextHousehold"
    FROM service_announcement WHERE done_at IS NULL AND active_from <= $1::date
    ORDER BY active_from, service, governorate LIMIT 1 FOR UPDATE SKIP LOCKED`,
}
// `parameters` are the template's; $8 is the service as its words name it.
const ANNOUNCE: Statement = {
  name: 'announce_service',
  text: `
    WITH heads AS (
      SELECT p.id, p.language, h.id AS household
      FROM household h JOIN person p ON p.shard = h.shard AND p.household_id = h.id AND p.head AND p.died_on IS NULL
      WHERE h.shard = $1 AND h.id >= $2 AND h.governorate = $3 ORDER BY h.id LIMIT $4
    ), added AS (
      INSERT INTO notice (at, shard, person_id, template, language, parameters, once_key, next_attempt_at)
      SELECT $5, $1, id, 'service-active', language, jsonb_build_object('service', $8::text, 'from', $6::text),
        'service|' || $7 || '|' || $3 || '|' || $6 || '|' || id, $5
      FROM heads ON CONFLICT (once_key) DO NOTHING
    )
    SELECT count(*)::int AS count, max(household)::float8 AS last FROM heads`,
}
const ADVANCE: Statement = {
  name: 'advance_announcement',
  text: 'UPDATE service_announcement SET next_household = $3, done_at = $4 WHERE service = $1 AND governorate = $2',
}

/** Announces the next chunk of what is due. @returns false where there is nothing (left), or another process is at it */
export async function announceChunk(tx: SqlTransaction, day: string, chunk: number): Promise<boolean> {
  const due = await tx.row<{ service: string; governorate: number; activeFrom: string; nextHousehold: number }>(NEXT, [day])
  if (due === undefined) return false
  const { service, governorate, activeFrom, nextHousehold } = due
  const now = new Date(tx.nowMs).toISOString()
  const values = [tx.shard, nextHousehold, governorate, chunk, now, activeFrom, service, `@${service}`]
  const told = await tx.row<{ count: number; last: number | null }>(ANNOUNCE, values)
  const done = (told?.count ?? 0) < chunk
  await tx.row(ADVANCE, [service, governorate, (told?.last ?? nextHousehold) + 1, done ? now : null])
  return true
}
