/** A person has died: no card of theirs goes on, what is in their purse waits for the heirs' procedure, and a household needs a head to draw. */
import { assert } from '../assert.ts'
import { cairoDay } from '../clock.ts'
import { lockCardsOfPerson, readCardsOfPerson, type CardLife } from '../ledger/programme/cards.ts'
import { countOneLess, makeHead, readMember, readMembers, recordDeath, type MemberRow } from '../ledger/programme/deaths.ts'
import { lockHouseholds } from '../ledger/programme/households.ts'
import { done, refused, type Outcome, type SqlTransaction } from '../ledger/programme/desk.ts'
import type { Programme } from '../programmeParameters.ts'
import { changeCard } from './changeCard.ts'
import { mayBeHead, tooYoung } from './members.ts'
import { FINAL, stateAfter } from './cardLife.ts'

export interface Death {
  readonly personId: number
  /** A Cairo date. */
  readonly diedOn: string
  /** Who is head of the household from now on. */
  readonly newHead?: number | undefined
  /** The lists on which the household has one member less from the next month on. */
  readonly lists: { readonly ration: boolean; readonly bread: boolean }
}

export interface DeathRecorded {
  readonly householdId: number
  readonly cards: readonly CardLife[]
  readonly head: number | null
}

/**
 * Refuses a day that cannot be, and a head who is none of the household. Recorded once; where the household has been left without a head, the same again with
 * one names it.
 */
export async function recordDeathOf(tx: SqlTransaction, programme: Programme, death: Death): Promise<Outcome<DeathRecorded>> {
  const { personId, diedOn, newHead } = death
  const seen = await readMember(tx, personId)
  if (seen === undefined) return refused('not-found', 'no-such-person', 'The programme has no such person.')
  const { householdId } = seen
  await lockHouseholds(tx, [householdId])
  const locked = await lockCardsOfPerson(tx, householdId, personId)
  const members = await readMembers(tx, householdId)
  const person = members.find((member) => member.personId === personId)
  if (person === undefined)
    return refused('conflict', 'person-moved', 'The person was moved to another household meanwhile. Look again.')
  if (diedOn > cairoDay(tx.nowMs)) return refused('invalid', 'day-to-come', 'The day has not come yet.', '/diedOn')
  if (diedOn < person.birthDate)
    return refused('invalid', 'before-birth', 'The day is before the birth of the person.', '/diedOn')
  const living = members.filter((member) => member.personId !== personId && member.diedOn === null && member.leftOn === null)
  const withoutHead = person.head || !living.some(({ head }) => head)
  const headRefused = refuseHead({ programme, nowMs: tx.nowMs }, newHead, living, withoutHead)
  if (headRefused !== undefined) return headRefused
  if (person.diedOn === null) await endLife(tx, death, person, locked)
  else if (person.diedOn !== diedOn || newHead === undefined)
    return refused('conflict', 'already-recorded', `The death was recorded already, on ${person.diedOn}.`)
  if (newHead !== undefined) {
    await makeHead(tx, householdId, newHead, FINAL)
    await tx.emit({ kind: 'household.head_changed', householdId, personId: newHead })
  }
  const head = newHead ?? living.find((member) => member.head)?.personId ?? null
  return done({ householdId, cards: await readCardsOfPerson(tx, personId), head })
}

function refuseHead(
  { programme, nowMs }: { readonly programme: Programme; readonly nowMs: number },
  newHead: number | undefined,
  living: readonly MemberRow[],
  withoutHead: boolean,
): Outcome<never> | undefined {
  if (newHead === undefined) return undefined
  if (!withoutHead) return refused('invalid', 'has-a-head', 'The household has a head, who lives: leave newHead out.', '/newHead')
  const named = living.find(({ personId }) => personId === newHead)
  if (named === undefined)
    return refused('invalid', 'not-a-member', 'The new head is a living member of the same household.', '/newHead')
  // Orphans have nobody else: the eldest may be too young and is head all the same.
  const isOldEnough = ({ birthDate }: MemberRow): boolean => mayBeHead(programme, nowMs, birthDate)
  return isOldEnough(named) || !living.some(isOldEnough) ? undefined : tooYoung(programme, nowMs, '/newHead')
}

async function endLife(
  tx: SqlTransaction,
  { personId, diedOn, lists }: Death,
  person: MemberRow,
  locked: readonly CardLife[],
): Promise<void> {
  const { householdId } = person
  await recordDeath(tx, personId, diedOn)
  // Whoever has left the programme is counted no more.
  if (person.leftOn === null) await countOneLess(tx, householdId, lists)
  // One that was ordered while the person's row was waited for is there too: no more can come.
  const cards = new Map([...locked, ...(await readCardsOfPerson(tx, personId))].map((card) => [card.token, card]))
  for (const card of cards.values()) {
    if (stateAfter(card.state, 'holder_died') === undefined) continue
    const changed = await changeCard(tx, { token: card.token, event: 'holder_died', data: { diedOn } })
    assert(changed.ok, 'a card that has not ended ends with its holder')
  }
  await tx.emit({ kind: 'person.died', personId, householdId, data: { diedOn } })
}
