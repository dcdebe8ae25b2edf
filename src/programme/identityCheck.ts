/**
 * Who stands before the clerk: the national ID card against the person's, the mobile against the one that is registered to the same ID. Tokens are
 * compared; whatever is wrong is answered with the same words, and counts against the clerk, so that nobody finds out numbers by trying.
 */
import { cairoDay } from '../clock.ts'
import type { CardLife } from '../ledger/programme/cards.ts'
import { done, refused, type Actor, type Command, type Outcome, type SqlTransaction } from '../ledger/programme/desk.ts'
import { readHead, readIdentity } from '../ledger/programme/holders.ts'
import { countFailure, lockedUntil } from '../ledger/programme/lockout.ts'
import { Mobile, mobileToken, NationalId, nationalIdToken } from '../personalData.ts'
import { parametersOn, type Programme } from '../programmeParameters.ts'
import { ageOn } from './calendar.ts'

export interface Shown {
  readonly nationalId: string
  readonly mobile: string
}

export interface ShownIdentity {
  readonly nationalId: string
  /** A child need not have one. */
  readonly mobile?: string | undefined
  /** The head of the household, who comes for a child. */
  readonly collectedBy?: Shown | undefined
}

export interface IdentityContext {
  readonly programme: Programme
  readonly lookupKey: Uint8Array
}

const WRONG_IDENTITY = 'wrong-identity'

function wrongIdentity(field: string): Outcome<never> {
  return refused(
    'invalid',
    WRONG_IDENTITY,
    'It is not what is registered. Read it from the national ID card again; it counts as a wrong identity.',
    field,
  )
}

/** The holder over a certain age, or whoever is head, in person; for everybody else the head, with the head's own ID and mobile. */
export async function checkIdentity(
  tx: SqlTransaction,
  { programme, lookupKey }: IdentityContext,
  card: CardLife,
  shown: ShownIdentity,
): Promise<Outcome<null>> {
  const holder = card.personId === null ? undefined : await readIdentity(tx, card.personId)
  if (holder === undefined)
    return refused('conflict', 'no-holder', "An old ration card is the household's: it has no holder to identify.")
  const today = cairoDay(tx.nowMs)
  const isId = (digits: string, token: string | null): boolean => {
    const nationalId = NationalId.parse(digits)
    return nationalId !== undefined && token !== null && nationalIdToken(nationalId, lookupKey) === token
  }
  const isMobile = (number: string, token: string | null): boolean => {
    const mobile = Mobile.parse(number)
    return mobile !== undefined && token !== null && mobileToken(mobile, lookupKey) === token
  }
  if (!isId(shown.nationalId, holder.nationalIdToken)) return wrongIdentity('/nationalId')
  const { collectedBy, mobile } = shown
  if (holder.head || ageOn(holder.birthDate, today) > parametersOn(programme, today).cards.collectAboveAge) {
    if (mobile === undefined)
      return refused('invalid', 'mobile-missing', 'The mobile number that is registered to the same ID is needed.', '/mobile')
    if (!isMobile(mobile, holder.mobileToken)) return wrongIdentity('/mobile')
    return collectedBy === undefined
      ? done(null)
      : refused('invalid', 'comes-in-person', 'The holder is old enough to come in person; nobody comes instead.', '/collectedBy')
  }
  if (collectedBy === undefined)
    return refused(
      'invalid',
      'head-comes',
      'The holder is too young to come alone: the head of the household comes, with the own national ID and mobile.',
      '/collectedBy',
    )
  const head = await readHead(tx, card.householdId)
  if (head === undefined || head.died)
    return refused('conflict', 'no-head', 'The household has no head who could come; a new one has to be named first.')
  if (mobile !== undefined && !isMobile(mobile, holder.mobileToken) && !isMobile(mobile, head.mobileToken))
    return wrongIdentity('/mobile')
  if (!isId(collectedBy.nationalId, head.nationalIdToken)) return wrongIdentity('/collectedBy/nationalId')
  return isMobile(collectedBy.mobile, head.mobileToken) ? done(null) : wrongIdentity('/collectedBy/mobile')
}

const PURPOSE = 'identity'

/** Goes with every command that asks for an identity: wrong ones are counted for the clerk, and after too many nothing is looked at for a time. */
export function countingIdentities(
  { programme }: IdentityContext,
  actor: Actor,
): Required<Pick<Command<unknown>, 'before' | 'afterRefusal'>> {
  return {
    before: async (tx) => {
      const until = await lockedUntil(tx, actor.name, PURPOSE)
      if (until === undefined) return done(null)
      const { refusal } = refused(
        'locked',
        'locked',
        'Too many wrong identities: Retry-After says in how many seconds you may go on. Another clerk may help the holder meanwhile.',
      )
      return { ok: false, refusal: { ...refusal, retryAfterS: Math.ceil((until - tx.nowMs) / 1000) } }
    },
    afterRefusal: async (tx, { name }) => {
      if (name !== WRONG_IDENTITY) return
      await countFailure(tx, actor.name, PURPOSE, parametersOn(programme, cairoDay(tx.nowMs)).cards.lockout)
    },
  }
}
