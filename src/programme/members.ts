/** Households are made, and persons added to them. Each person gets a number within the household that stays, and a cash purse of that number. */
import { cairoDay } from '../clock.ts'
import { done, refused, type Outcome, type SqlTransaction } from '../ledger/programme/desk.ts'
import {
  insertHousehold,
  insertPurses,
  lockHouseholds,
  nextHouseholdId,
  writeCounts,
  type NewPurseRow,
} from '../ledger/programme/households.ts'
import { insertPerson, lastPersonId, readMembers, type Language } from '../ledger/programme/persons.ts'
import { nationalIdToken, type Mobile, type NationalId } from '../personalData.ts'
import { parametersOn, type Programme } from '../programmeParameters.ts'
import { purseNamed } from '../purse/routes.ts'
import { ageOn } from './calendar.ts'
import { householdPurseId, MEMBERS_MAX, personIdOf } from './householdRows.ts'
import { parseMobile, parseNationalId } from './identity.ts'
import { sealPerson, type PersonSealing } from './sealPerson.ts'

export interface MembersContext extends PersonSealing {
  readonly programme: Programme
}

export interface AskedMember {
  readonly nationalId: string
  readonly mobile?: string
  readonly language?: Language
}

export interface AskedHousehold {
  readonly governorate: number
  /** Absent: all members. */
  readonly rationMembers?: number
  readonly breadMembers?: number
  readonly members: readonly (AskedMember & { readonly head: boolean })[]
}

interface CheckedMember {
  readonly nationalId: NationalId
  readonly mobile: Mobile | null
  readonly language: Language
  readonly head: boolean
  /** JSON pointer of the national ID. */
  readonly field: string
}

export const NO_SUCH_HOUSEHOLD = refused('not-found', 'no-such-household', 'The programme has no such household.')
export const NO_SUCH_PERSON = refused('not-found', 'no-such-person', 'The programme has no such person.')

/** @returns the household's id */
export async function createHousehold(
  tx: SqlTransaction,
  context: MembersContext,
  asked: AskedHousehold,
): Promise<Outcome<number>> {
  const { governorate, members } = asked
  const { rationMembers = members.length, breadMembers = members.length } = asked
  const wrongCount = wrongCounts({ rationMembers, breadMembers }, members.length)
  if (wrongCount !== undefined) return wrongCount
  const checked: CheckedMember[] = []
  for (const [index, member] of members.entries()) {
    const one = checkMember(tx.nowMs, member, member.head, `/members/${String(index)}`)
    if (!one.ok) return one
    if (checked.some(({ nationalId }) => nationalId.reveal() === one.value.nationalId.reveal()))
      return refused('invalid', 'member-twice', 'Two members have the same national ID.', one.value.field)
    checked.push(one.value)
  }
  const head = onlyHead(context.programme, tx.nowMs, checked)
  if (!head.ok) return head
  const householdId = await addHousehold(tx, context.programme, { governorate, rationMembers, breadMembers })
  const added = await addPersons(tx, context, householdId, 1, checked)
  if (!added.ok) return added
  await tx.emit({
    kind: 'household.created',
    householdId,
    data: { governorate, rationMembers, breadMembers, members: members.length },
  })
  return done(householdId)
}

/** Its row and its own purses, which no month has opened yet. @returns its id */
export async function addHousehold(
  tx: SqlTransaction,
  programme: Programme,
  counts: { readonly governorate: number; readonly rationMembers: number; readonly breadMembers: number },
): Promise<number> {
  const householdId = await nextHouseholdId(tx)
  await insertHousehold(tx, { householdId, ...counts })
  const own = programme.purses.filter(({ owner }) => owner === 'household')
  await insertPurses(
    tx,
    own.map(({ kind, unit }): NewPurseRow => ({
      id: householdPurseId(householdId, kind),
      kind,
      unit: unit.number,
      householdId,
      personId: null,
    })),
  )
  return householdId
}

export interface JoiningMember extends AskedMember {
  /** Absent: yes. */
  readonly onRationList?: boolean
  readonly onBreadList?: boolean
}

/** Somebody is born, or marries into the household: counted from the next cycle on. @returns the person's id */
export async function addMember(
  tx: SqlTransaction,
  context: MembersContext,
  {
    householdId,
    version,
    member,
  }: { readonly householdId: number; readonly version: number | undefined; readonly member: JoiningMember },
): Promise<Outcome<number>> {
  const [household] = await lockHouseholds(tx, [householdId])
  if (household === undefined) return NO_SUCH_HOUSEHOLD
  if (version !== undefined && version !== household.version) return householdChanged(household.version)
  const present = await readMembers(tx, householdId)
  const checked = checkMember(tx.nowMs, member, !present.some(({ head }) => head), '')
  if (!checked.ok) return checked
  if (checked.value.head && !mayBeHead(context.programme, tx.nowMs, checked.value.nationalId.birthDate))
    return tooYoung(context.programme, tx.nowMs, '/nationalId')
  const upTo = personIdOf(householdId, MEMBERS_MAX)
  const last = await lastPersonId(tx, personIdOf(householdId, 0), upTo)
  if (last >= upTo)
    return refused(
      'conflict',
      'household-is-full',
      `A household has numbers for ${String(MEMBERS_MAX)} persons; this one has used them.`,
    )
  const added = await addPersons(tx, context, householdId, last + 1 - personIdOf(householdId, 0), [checked.value])
  if (!added.ok) return added
  const { onRationList = true, onBreadList = true } = member
  const rationMembers = household.rationMembers + Number(onRationList)
  const breadMembers = household.breadMembers + Number(onBreadList)
  await writeCounts(tx, { householdId, rationMembers, breadMembers })
  await tx.emit({ kind: 'person.joined', personId: last + 1, householdId, data: { rationMembers, breadMembers } })
  return done(last + 1)
}

function checkMember(nowMs: number, asked: AskedMember, head: boolean, path: string): Outcome<CheckedMember> {
  const field = `${path}/nationalId`
  const nationalId = parseNationalId(asked.nationalId, nowMs, field)
  if (!nationalId.ok) return nationalId
  const { language = 'ar' } = asked
  if (asked.mobile === undefined) return done({ nationalId: nationalId.value, mobile: null, language, head, field })
  const mobile = parseMobile(asked.mobile, `${path}/mobile`)
  return mobile.ok ? done({ nationalId: nationalId.value, mobile: mobile.value, language, head, field }) : mobile
}

function onlyHead(programme: Programme, nowMs: number, members: readonly CheckedMember[]): Outcome<CheckedMember> {
  const [head, second] = members.filter((member) => member.head)
  if (head === undefined || second !== undefined)
    return refused('invalid', 'one-head', 'Exactly one member is the head of the household.', '/members')
  return mayBeHead(programme, nowMs, head.nationalId.birthDate) ? done(head) : tooYoung(programme, nowMs, head.field)
}

/** Whoever collects a card for the others has to be old enough to collect one. */
export function mayBeHead(programme: Programme, nowMs: number, birthDate: string): boolean {
  const today = cairoDay(nowMs)
  return ageOn(birthDate, today) > parametersOn(programme, today).cards.collectAboveAge
}

export function tooYoung(programme: Programme, nowMs: number, field: string): Outcome<never> {
  const { collectAboveAge } = parametersOn(programme, cairoDay(nowMs)).cards
  return refused('invalid', 'head-too-young', `The head of a household is over ${String(collectAboveAge)}.`, field)
}

/** @returns undefined where the counts can be */
export function wrongCounts(
  counts: Readonly<Partial<Record<'rationMembers' | 'breadMembers', number>>>,
  members: number,
): Outcome<never> | undefined {
  const wrong = (['rationMembers', 'breadMembers'] as const).find((name) => (counts[name] ?? 0) > members)
  return wrong === undefined
    ? undefined
    : refused('invalid', 'more-than-members', 'No more members can be counted than the household has.', `/${wrong}`)
}

export function householdChanged(version: number): Outcome<never> {
  return refused(
    'stale',
    'household-changed',
    `The household was changed meanwhile: it is at version ${String(version)}. Look again.`,
  )
}

async function addPersons(
  tx: SqlTransaction,
  context: MembersContext,
  householdId: number,
  firstNumber: number,
  members: readonly CheckedMember[],
): Promise<Outcome<null>> {
  const cash = purseNamed(context.programme, 'cash')
  for (const [index, { nationalId, mobile, language, head, field }] of members.entries()) {
    const personId = personIdOf(householdId, firstNumber + index)
    const inserted = await insertPerson(tx, {
      personId,
      householdId,
      birthDate: nationalId.birthDate,
      head,
      language,
      sealed: sealPerson(context, { shard: tx.shard, personId }, { nationalId, mobile }),
      nationalIdToken: nationalIdToken(nationalId, context.lookupKey),
    })
    if (!inserted)
      return refused(
        'conflict',
        'national-id-known',
        'Somebody in the programme has this national ID: find the person instead.',
        field,
      )
    await insertPurses(tx, [{ id: personId, kind: cash.kind, unit: cash.unit.number, householdId, personId }])
  }
  return done(null)
}
