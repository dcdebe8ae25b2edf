/**
 * A person moves to another household, founds one, or leaves the programme. The person's cash purse and cards go along; both households are counted
 * anew from the next cycle on, and keep their purses. Whatever was decided before about a purse of either is looked at again.
 */
import { assert } from '../assert.ts'
import { cairoDay } from '../clock.ts'
import { done, refused, type Outcome, type SqlTransaction } from '../ledger/programme/desk.ts'
import {
  lockHouseholds,
  lockPursesAndCards,
  movePursesAndCards,
  raiseGates,
  writeCounts,
  type Household,
} from '../ledger/programme/households.ts'
import { addMove, lockPerson, readMembers, readPerson, writeMembership, type Person } from '../ledger/programme/persons.ts'
import type { Programme } from '../programmeParameters.ts'
import { personChanged } from './changePerson.ts'
import { addHousehold, mayBeHead, NO_SUCH_PERSON, tooYoung } from './members.ts'

export interface AskedMove {
  readonly to: 'household' | 'own-household' | 'out'
  /** Where to: of `household`. */
  readonly householdId?: number
  /** Where the new one lives: of `own-household`. */
  readonly governorate?: number
  /** Who is the head from now on, where the head leaves others behind. */
  readonly newHead?: number
  /** Whether the person is counted, here and there; absent: yes. */
  readonly onRationList?: boolean
  readonly onBreadList?: boolean
}

export interface MoveRequest {
  readonly personId: number
  /** The person's version that the caller has seen; undefined: whichever it is. */
  readonly version: number | undefined
  readonly move: AskedMove
}

/** @returns the household that the person is in now; null: none */
export async function moveMember(
  tx: SqlTransaction,
  programme: Programme,
  { personId, version, move }: MoveRequest,
): Promise<Outcome<number | null>> {
  const from = (await readPerson(tx, personId))?.householdId
  if (from === undefined) return NO_SUCH_PERSON
  const locked = await lockHouseholds(tx, [from, ...(move.householdId === undefined ? [] : [move.householdId])])
  // As it is under the lock: whoever came first may have made the person head, moved them, or recorded their death.
  const seen = await readPerson(tx, personId)
  assert(seen !== undefined, 'persons are not taken away')
  if (seen.householdId !== from || (version !== undefined && version !== seen.version)) return personChanged(seen.version)
  const wrong = wrongMembers(move, seen)
  if (wrong !== undefined) return wrong
  const source = locked.find(({ householdId }) => householdId === from)
  assert(source !== undefined, 'a person has a household')
  if (move.to === 'household' && !locked.some(({ householdId }) => householdId === move.householdId))
    return refused('invalid', 'no-such-household', 'The programme has no such household.', '/householdId')
  const others = (await readMembers(tx, from)).filter((member) => member.personId !== personId && member.diedOn === null)
  const successor = successorOf(tx, programme, { person: seen, others, newHead: move.newHead })
  if (!successor.ok) return successor
  const target = await targetOf(tx, programme, seen, move, locked)
  if (!target.ok) return target
  const both = target.value === null || target.value.householdId === from ? [from] : [from, target.value.householdId]
  for (const token of await lockPursesAndCards(tx, both)) tx.changedCards.add(token)
  const person = await lockPerson(tx, personId)
  assert(person !== undefined, 'persons are not taken away')
  if (person.version !== seen.version) return personChanged(person.version)
  await write(tx, { person, source, target: target.value, successor: successor.value, others: others.length, move })
  await raiseGates(tx, both)
  return done(target.value?.householdId ?? null)
}

/** @returns undefined where the request makes sense for this person */
function wrongMembers({ to, householdId, governorate }: AskedMove, person: Person): Outcome<never> | undefined {
  if (person.diedOn !== null) return refused('conflict', 'person-died', 'The person has died.')
  if (person.leftOn !== null && to === 'out')
    return refused('conflict', 'person-left', 'The person has left the programme already.')
  if ((to === 'household') !== (householdId !== undefined))
    return refused('invalid', 'where-to', 'A move to a household names it; another move names none.', '/householdId')
  if ((to === 'own-household') !== (governorate !== undefined))
    return refused('invalid', 'where-to', 'A new household lives in a governorate; another move names none.', '/governorate')
  if (householdId === person.householdId && person.leftOn === null)
    return refused('conflict', 'lives-there', 'The person is in this household already.', '/householdId')
  return undefined
}

interface Succession {
  readonly person: Person
  readonly others: readonly Person[]
  readonly newHead: number | undefined
}

/** Who is head where the head leaves; undefined: nobody has to be. */
function successorOf(
  tx: SqlTransaction,
  programme: Programme,
  { person, others, newHead }: Succession,
): Outcome<Person | undefined> {
  if (!person.head || others.length === 0)
    return newHead === undefined
      ? done(undefined)
      : refused('invalid', 'no-new-head', 'A new head is named only where the head leaves others behind.', '/newHead')
  if (newHead === undefined)
    return refused(
      'conflict',
      'head-leaves-others',
      'The head of a household leaves others behind: name one of them as newHead.',
      '/newHead',
    )
  const successor = others.find((other) => other.personId === newHead)
  if (successor === undefined)
    return refused('invalid', 'not-a-member', 'The new head is another living member of the household.', '/newHead')
  return mayBeHead(programme, tx.nowMs, successor.birthDate) ? done(successor) : tooYoung(programme, tx.nowMs, '/newHead')
}

/** Where the person goes, and whether as its head; null: out. A household of one's own is made here. */
type Target = (Household & { readonly head: boolean; readonly isNew: boolean }) | null

async function targetOf(
  tx: SqlTransaction,
  programme: Programme,
  person: Person,
  { to, householdId, governorate, onRationList = true, onBreadList = true }: AskedMove,
  locked: readonly Household[],
): Promise<Outcome<Target>> {
  if (to === 'out') return done(null)
  if (governorate !== undefined) {
    if (!mayBeHead(programme, tx.nowMs, person.birthDate)) return tooYoung(programme, tx.nowMs, '/to')
    const counts = { governorate, rationMembers: Number(onRationList), breadMembers: Number(onBreadList) }
    const id = await addHousehold(tx, programme, counts)
    return done({ householdId: id, version: 1, ...counts, head: true, isNew: true })
  }
  const household = locked.find((known) => known.householdId === householdId)
  assert(household !== undefined, 'the household was locked')
  // Where all have moved away whoever comes first is the head.
  const head = !(await readMembers(tx, household.householdId)).some((member) => member.head)
  if (head && !mayBeHead(programme, tx.nowMs, person.birthDate)) return tooYoung(programme, tx.nowMs, '/householdId')
  return done({ ...household, head, isNew: false })
}

interface Written {
  readonly person: Person
  readonly source: Household
  readonly target: Target
  readonly successor: Person | undefined
  /** How many stay behind. */
  readonly others: number
  readonly move: AskedMove
}

async function write(tx: SqlTransaction, { person, source, target, successor, others, move }: Written): Promise<void> {
  const { personId, householdId: from } = person
  const { onRationList = true, onBreadList = true } = move
  const to = target?.householdId ?? from
  const head = target?.head ?? false
  if (person.leftOn === null) {
    const rationMembers = Math.min(others, Math.max(0, source.rationMembers - Number(onRationList)))
    const breadMembers = Math.min(others, Math.max(0, source.breadMembers - Number(onBreadList)))
    await writeCounts(tx, { householdId: from, rationMembers, breadMembers })
  }
  if (target?.isNew === false) {
    const rationMembers = target.rationMembers + Number(onRationList)
    const breadMembers = target.breadMembers + Number(onBreadList)
    await writeCounts(tx, { householdId: to, rationMembers, breadMembers })
  }
  // A household has one head at a time: the one before has to go first.
  await writeMembership(tx, personId, { householdId: to, head, leftOn: target === null ? cairoDay(tx.nowMs) : null })
  await movePursesAndCards(tx, { personId, from, to, role: head ? 'head' : 'member' })
  await addMove(tx, personId, from, target?.householdId ?? null)
  await tx.emit({
    kind: target === null ? 'person.left' : 'person.moved',
    personId,
    householdId: to,
    data: { from, to: target?.householdId ?? null, head },
  })
  if (successor === undefined) return
  await writeMembership(tx, successor.personId, { householdId: from, head: true, leftOn: null })
  await movePursesAndCards(tx, { personId: successor.personId, from, to: from, role: 'head' })
  await tx.emit({ kind: 'household.head_changed', personId: successor.personId, householdId: from })
}
