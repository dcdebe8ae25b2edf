/** Families that a test registers: national IDs that nobody else has, of any age. */
import type { ApiAnswer, ApiCaller, ProgrammeApi } from '../../support/programmeApi.ts'

let serial = 10_000

/** A national ID of somebody born on that day in Port Said. */
export function nationalIdOf(birthDate: string): string {
  serial++
  return `${birthDate < '2000' ? '2' : '3'}${birthDate.slice(2).replaceAll('-', '')}03${String(serial).padStart(5, '0')}`
}

export interface Family {
  readonly householdId: number
  readonly version: number
  /** The head first. */
  readonly persons: readonly { readonly personId: number; readonly nationalId: string; readonly mobile: string }[]
}

export interface FamilyOptions {
  readonly governorate?: number
  /** The head's first. */
  readonly birthDates?: readonly string[]
  readonly rationMembers?: number
  readonly breadMembers?: number
  /** Absent: everybody has one. */
  readonly mobiles?: boolean
}

const BIRTH_DATES = ['1980-05-17', '1984-11-02', '2016-01-31']

export async function registerFamily(api: ProgrammeApi, options: FamilyOptions = {}): Promise<Family> {
  const { governorate = 3, birthDates = BIRTH_DATES, mobiles = true, ...counts } = options
  const members = birthDates.map((birthDate, index) => ({
    nationalId: nationalIdOf(birthDate),
    mobile: `0101${String(serial).padStart(7, '0')}`,
    head: index === 0,
  }))
  const answer = await api.as('supply-officer').post('/v1/households', {
    governorate,
    ...counts,
    members: members.map(({ mobile, ...member }) => (mobiles ? { ...member, mobile } : member)),
  })
  if (answer.status !== 201) throw new Error(answer.text)
  const shown = answer.json as unknown as { householdId: number; version: number; members: { personId: number }[] }
  return {
    householdId: shown.householdId,
    version: shown.version,
    persons: members.map(({ nationalId, mobile }, index) => ({
      personId: shown.members[index]?.personId ?? 0,
      nationalId,
      mobile,
    })),
  }
}

export async function orderedCard(caller: ApiCaller, personId: number, placeId = 'post-03-1'): Promise<string> {
  const answer = await caller.post(`/v1/persons/${String(personId)}/cards`, { placeId })
  if (answer.status !== 201) throw new Error(answer.text)
  return String(answer.json['cardId'])
}

/** Type and status of a problem, and the path that it names. */
export function problemOf({ json }: ApiAnswer): Record<string, unknown> {
  const [first] = (json['errors'] ?? []) as { path?: string }[]
  const type = String(json['type']).replace('urn:sarf:problem:', '')
  return { status: json['status'], type, ...(first === undefined ? {} : { path: first.path }) }
}
