/** Where a household lives, and how many of it are counted: counts hold from the next cycle on. */
import { done, type Outcome, type SqlTransaction } from '../ledger/programme/desk.ts'
import { lockHouseholds, lockPursesAndCards, writeCounts, writeGovernorate } from '../ledger/programme/households.ts'
import { readMembers } from '../ledger/programme/persons.ts'
import { householdChanged, NO_SUCH_HOUSEHOLD, wrongCounts } from './members.ts'

export interface HouseholdChange {
  readonly governorate?: number
  readonly rationMembers?: number
  readonly breadMembers?: number
}

/** @param version the one that the caller has seen; undefined: whichever it is */
export async function changeHousehold(
  tx: SqlTransaction,
  householdId: number,
  version: number | undefined,
  change: HouseholdChange,
): Promise<Outcome<null>> {
  const [household] = await lockHouseholds(tx, [householdId])
  if (household === undefined) return NO_SUCH_HOUSEHOLD
  if (version !== undefined && version !== household.version) return householdChanged(household.version)
  const members = (await readMembers(tx, householdId)).filter(({ diedOn }) => diedOn === null)
  const wrong = wrongCounts(change, members.length)
  if (wrong !== undefined) return wrong
  const { governorate, rationMembers, breadMembers } = { ...household, ...change }
  await writeCounts(tx, { householdId, rationMembers, breadMembers })
  if (governorate !== household.governorate) {
    // What a card may do depends on where its household lives.
    for (const token of await lockPursesAndCards(tx, [householdId])) tx.changedCards.add(token)
    await writeGovernorate(tx, householdId, governorate)
  }
  await tx.emit({ kind: 'household.changed', householdId, data: { governorate, rationMembers, breadMembers } })
  return done(null)
}
