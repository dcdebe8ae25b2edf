/** What a person wants or has: a mobile, a language, notices, health cover. */
import type { Cover } from '../card.ts'
import { readCardsOfPerson } from '../ledger/programme/cards.ts'
import { done, refused, type Outcome, type SqlTransaction } from '../ledger/programme/desk.ts'
import { lockHouseholds, lockPursesAndCards } from '../ledger/programme/households.ts'
import {
  lockPerson,
  readPerson,
  writeCover,
  writePersonSecret,
  writePreferences,
  type Language,
} from '../ledger/programme/persons.ts'
import { parseMobile } from './identity.ts'
import { NO_SUCH_PERSON } from './members.ts'
import { openPerson, sealPerson, type PersonSealing } from './sealPerson.ts'

export interface PersonChange {
  /** Null: none any more. */
  readonly mobile?: string | null
  readonly language?: Language
  readonly transactionNotices?: boolean
}

/** @param version the one that the caller has seen; undefined: whichever it is */
export async function changePerson(
  tx: SqlTransaction,
  sealing: PersonSealing,
  {
    personId,
    version,
    change,
  }: { readonly personId: number; readonly version: number | undefined; readonly change: PersonChange },
): Promise<Outcome<null>> {
  const person = await lockPerson(tx, personId)
  if (person === undefined) return NO_SUCH_PERSON
  if (version !== undefined && version !== person.version) return personChanged(person.version)
  const { mobile: asked, language, transactionNotices } = change
  if (asked !== undefined) {
    const mobile = asked === null ? null : parseMobile(asked, '/mobile')
    if (mobile?.ok === false) return mobile
    if (person.sealed === null)
      return refused(
        'conflict',
        'no-national-id',
        'No national ID is kept of this person, and so no mobile can be registered to it.',
      )
    const place = { shard: tx.shard, personId }
    const { nationalId } = openPerson(sealing.vault, place, person.sealed)
    await writePersonSecret(tx, personId, sealPerson(sealing, place, { nationalId, mobile: mobile?.value ?? null }))
  }
  await writePreferences(tx, personId, { language, transactionNotices })
  await tx.emit({ kind: 'person.changed', personId, householdId: person.householdId, data: { changed: Object.keys(change) } })
  return done(null)
}

/** @param cover null: none any more */
export async function changeCover(
  tx: SqlTransaction,
  { personId, version, cover }: { readonly personId: number; readonly version: number | undefined; readonly cover: Cover | null },
): Promise<Outcome<null>> {
  const seen = await readPerson(tx, personId)
  if (seen === undefined) return NO_SUCH_PERSON
  if (cover !== null && cover.until < cover.from)
    return refused('invalid', 'days-in-order', 'The last day of a cover is not before its first.', '/until')
  await lockHouseholds(tx, [seen.householdId])
  await lockPursesAndCards(tx, [seen.householdId])
  const person = await lockPerson(tx, personId)
  if (person?.householdId !== seen.householdId || (version !== undefined && version !== person.version))
    return personChanged(person?.version ?? 0)
  if (cover !== null && person.diedOn !== null) return refused('conflict', 'person-died', 'The person has died.')
  await writeCover(tx, personId, cover)
  for (const { token } of await readCardsOfPerson(tx, personId)) tx.changedCards.add(token)
  await tx.emit({ kind: 'person.cover_changed', personId, householdId: person.householdId, data: { cover } })
  return done(null)
}

export function personChanged(version: number): Outcome<never> {
  return refused('stale', 'person-changed', `The person was changed meanwhile, and is at version ${String(version)}. Look again.`)
}
