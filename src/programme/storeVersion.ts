/** A version of the programme's rules is stored: in force from a day that has not come yet, on every process of the switch. */
import { isDeepStrictEqual } from 'node:util'
import type { Static } from 'typebox'
import { cairoDay } from '../clock.ts'
import { done, refused, type Outcome, type SqlTransaction } from '../ledger/programme/desk.ts'
import { addVersion, lockVersions, type StoredVersion } from '../ledger/programme/versions.ts'
import { holding } from '../ledger/programmeRegistry.ts'
import {
  parametersOn,
  programmeWith,
  type Programme,
  type ProgrammeParameters,
  type VersionSchema,
} from '../programmeParameters.ts'

export type VersionRules = Static<typeof VersionSchema>

export interface VersionRequest {
  /** As this process knows it, with what was stored. */
  readonly programme: Programme
  readonly rules: VersionRules
  /** The number of the last stored version that the caller has seen; absent: whichever it is. */
  readonly seen?: number | undefined
  /** Every process reads versions anew within this time. */
  readonly freshMs: number
  readonly storedBy: string
}

export interface VersionStored {
  readonly version: StoredVersion
  /** What is other than in the rules that hold until then. */
  readonly changed: readonly string[]
}

/** Refuses a day that has begun or is about to, what the check of config/programme.json finds wrong, and where somebody else was faster. */
export async function storeVersion(tx: SqlTransaction, request: VersionRequest): Promise<Outcome<VersionStored>> {
  const { rules, programme, seen, freshMs, storedBy } = request
  const { validFrom } = rules
  // By the time it holds it has to be known everywhere.
  if (validFrom <= cairoDay(tx.nowMs + 2 * freshMs))
    return refused(
      'invalid',
      'day-has-begun',
      'Rules hold from a day in Cairo that is still to come; what has been in force stays.',
      '/validFrom',
    )
  const stored = await lockVersions(tx)
  const last = stored.at(-1)?.number ?? 0
  if (seen !== undefined && seen !== last)
    return refused(
      'stale',
      'programme-changed',
      `Another version was stored meanwhile: the last is number ${String(last)}. Look again.`,
    )
  const file = ofFile(programme, stored)
  const others = holding(stored).filter((version) => version.validFrom !== validFrom)
  const checked = programmeWith(file, [...others.map(({ parameters }) => parameters), rules])
  if (typeof checked === 'string') return refused('invalid', 'rules-not-consistent', checked, '/')
  const number = await addVersion(tx, validFrom, rules, storedBy)
  const changed = changes(parametersOn(checked, dayBefore(validFrom)), rules)
  await tx.emit({ kind: 'programme.changed', data: { number, validFrom, changed } })
  return done({ version: { number, validFrom, parameters: rules, storedAtMs: tx.nowMs, storedBy }, changed })
}

/** What of it comes from the configuration: no stored version begins on the same day as one of these. */
export function ofFile(programme: Programme, stored: readonly StoredVersion[]): Programme {
  const { units, purses, accountTypes, versions } = programme
  const days = new Set(stored.map(({ validFrom }) => validFrom))
  return { units, purses, accountTypes, versions: versions.filter(({ validFrom }) => !days.has(validFrom)) }
}

function changes(before: ProgrammeParameters, rules: VersionRules): string[] {
  return Object.entries(rules)
    .filter(([name, value]) => name !== 'validFrom' && !isDeepStrictEqual(value, before[name as keyof VersionRules]))
    .map(([name]) => name)
}

function dayBefore(day: string): string {
  return new Date(Date.parse(day) - 86_400_000).toISOString().slice(0, 10)
}
