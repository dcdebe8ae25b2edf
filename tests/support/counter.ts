/** A family whose IDs and mobiles are known, and what a clerk at the counter sends for it. */
import { randomInt } from 'node:crypto'
import { Mobile, NationalId, type PersonalData } from '../../src/personalData.ts'
import { demoKeys } from '../../src/programme/demoVerification.ts'
import { dataVault } from '../../src/security/dataVault.ts'
import { enterPin } from '../../src/security/virtualPinPad.ts'
import { audit } from '../../src/ledger/audit.ts'
import type { HouseholdOptions, TestHousehold } from './openHousehold.ts'
import type { ProgrammeApi } from './programmeApi.ts'

export const NAMED = 'post-03-1'
export const DIWAN = 'diwan-03'

export interface Person {
  readonly nationalId: string
  readonly mobile: string
}

export interface Family extends TestHousehold {
  readonly headPerson: Person
  readonly memberPerson: Person
}

let serial = randomInt(50_000)

function newPerson(birthDate: string): Person {
  const century = birthDate < '2000' ? '2' : '3'
  const digits = String((serial = (serial + 1) % 100_000)).padStart(5, '0')
  return {
    nationalId: `${century}${birthDate.slice(2).replaceAll('-', '')}03${digits}`,
    mobile: `010${String(randomInt(100_000_000)).padStart(8, '0')}`,
  }
}

function dataOf({ nationalId, mobile }: Person): PersonalData {
  return { nationalId: NationalId.parse(nationalId)!, mobile: Mobile.parse(mobile)! }
}

export async function openFamily({ running }: ProgrammeApi, options: HouseholdOptions = {}): Promise<Family> {
  const { memberBirthDate = '1984-11-02' } = options
  const [headPerson, memberPerson] = [newPerson('1980-05-17'), newPerson(memberBirthDate)]
  const household = await running.openHousehold({
    ...options,
    memberBirthDate,
    personalData: dataOf(headPerson),
    memberData: dataOf(memberPerson),
  })
  return { ...household, headPerson, memberPerson }
}

/** The card was printed, and the notice received on a day: it waits. */
export async function awaitCollection({ running }: ProgrammeApi, token: string, told: string): Promise<void> {
  await running.sql(`INSERT INTO card_life (shard, token) VALUES (0, $1) ON CONFLICT DO NOTHING`, [token])
  await running.sql(
    `UPDATE card_life SET place_id = $2, told_at = $3::timestamptz, named_place_until = $4::date + interval '1 month',
      diwan_until = $4::date + interval '2 months' WHERE token = $1`,
    [token, NAMED, `${told}T09:00:00Z`, told],
  )
  await running.sql(`UPDATE card SET state = 'AWAITING_COLLECTION' WHERE token = $1`, [token])
}

/** The block that a clerk's PIN pad makes, hexadecimal. */
export function padBlock(pan: string, pin = '2468'): string {
  return enterPin(demoKeys().find('zpk.http', 'P0'), 0, pan, pin).toString('hex').toUpperCase()
}

/** What only the embosser and the holder know of a card that was ordered. */
export async function numberOf({ running }: ProgrammeApi, token: string): Promise<string> {
  const [row] = await running.sql<{ key_id: string; pan: Buffer }>('SELECT key_id, pan FROM card_secret WHERE token = $1', [
    token,
  ])
  return dataVault(demoKeys(), 'data.1').unseal(row!.key_id, { field: 'pan', shard: 0, owner: token }, row!.pan)
}

/** What the auditor finds wrong; hold times are not looked at. */
export async function complaintsOf({ running }: ProgrammeApi): Promise<unknown[]> {
  const { databaseUrl, clock, redis } = running
  const report = await audit({ databaseUrl, redisUrl: redis.url, holdGraceMs: 0, reservationAgeMs: 60_000, clock })
  return report.checks.filter(({ ok }) => !ok)
}
