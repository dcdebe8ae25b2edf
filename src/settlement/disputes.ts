/**
 * Disputes: a holder says that a posting is wrong. A case is opened at a counter or the hotline with the trace of its messages; suspense may lend the money at once or
 * after some business days; two people decide it.
 *
 *   open      -> granted     the outlet, or the machine, gives back what is granted; the loan ends with it
 *             -> refused     the loan is taken back, as far as the purse goes; the rest stays with suspense
 *             -> withdrawn   the same; the posting may be disputed again
 *
 * All of it happens while the purses of the posting are locked, and follows the original as a refund does: what the shop gives back meanwhile, what this gives back
 * and what was given back before never come to more than was taken (src/decision/dispute.ts).
 */
import { assert } from '../assert.ts'
import { cairoDay, utcDay } from '../clock.ts'
import {
  disputeCredit,
  isDisputable,
  leftToGiveBack,
  provisionalAmount,
  provisionalCredit,
  provisionalEnd,
} from '../decision/dispute.ts'
import { owedOfProvisional } from '../decision/decideFollowUp.ts'
import type { GiveBackContext, WithPurse } from '../decision/giveBack.ts'
import type { Posting } from '../decision/posting.ts'
import { originalAtDesk, type DisputedOriginal } from '../ledger/originals.ts'
import { readCardLife, readCardsOfHousehold, type CardLife } from '../ledger/programme/cards.ts'
import { done, refused, type Actor, type Outcome, type SqlTransaction } from '../ledger/programme/desk.ts'
import { postDecision } from '../ledger/programme/postings.ts'
import { readHouseholdPurses, readPersonPurses } from '../ledger/programme/statements.ts'
import {
  findPosting,
  insertDispute,
  lockPostingPurses,
  postingOf,
  readDispute,
  readTrace,
  writeCredit,
  writeOutcome,
  type Dispute,
  type DisputedPosting,
  type DisputeReason,
  type LockedPurse,
} from '../ledger/settlement/disputes.ts'
import { formatAmount } from '../money.ts'
import { parametersOn, type Programme } from '../programmeParameters.ts'
import { addBusinessDays, addDays } from '../programme/calendar.ts'
import type { ProposalKind } from '../programme/proposals.ts'
import type { Settings } from '../settings.ts'
import { KIND } from '../transaction/transaction.ts'

export interface DisputeParts {
  readonly programme: Programme
  readonly disputes: Settings['disputes']
}

export interface NewCase {
  readonly cardToken: string
  /** Name of the purse, and the purse's version after the posting, as its statement shows it. */
  readonly purse: string
  readonly version: number
  readonly reason: DisputeReason
  /** Piasters; absent: all that was not given back yet. */
  readonly amount?: number | undefined
  readonly note: string | null
}

export const NO_SUCH_DISPUTE = refused('not-found', 'no-such-dispute', 'There is no such dispute.')
const NO_SUCH_CARD = refused('not-found', 'no-such-card', 'The programme has no such card.')
const NO_SUCH_POSTING = refused(
  'not-found',
  'no-such-posting',
  'This card has made no such posting of that purse that could be disputed: look at the statement of the purse for its version. Bread is disputed on the bread purse, however it was paid.',
)

/** Opens a case, and lends the money where its reason says so at once. */
export async function openDispute(
  tx: SqlTransaction,
  parts: DisputeParts,
  actor: Actor,
  asked: NewCase,
): Promise<Outcome<Dispute>> {
  const card = await readCardLife(tx, asked.cardToken)
  if (card === undefined) return NO_SUCH_CARD
  const purseId = await purseOf(tx, parts.programme, card, asked.purse)
  const posting = purseId === undefined ? undefined : await findPosting(tx, purseId, asked.version)
  if (posting?.cardToken !== card.token) return NO_SUCH_POSTING
  await lockPostingPurses(tx, posting)
  const { original, kept } = await originalOf(tx, posting)
  if (!isDisputable(original)) return NO_SUCH_POSTING
  const fit = checkReason(asked.reason, original.kind === KIND.withdrawal) ?? checkAge(tx, parts, original.day)
  if (fit !== undefined) return fit
  const left = leftToGiveBack(original, kept)
  const claimed = asked.amount ?? left
  if (left === 0) return refused('conflict', 'given-back-already', 'All of this posting was given back already.')
  if (claimed > left)
    return refused('invalid', 'more-than-is-left', `Of this posting ${formatAmount(left)} EGP can still be claimed.`, '/amount')
  const { decideBusinessDays, creditBusinessDays } = parts.disputes.reasons[asked.reason]
  const today = cairoDay(tx.nowMs)
  const { holidays } = parametersOn(parts.programme, today).cards
  const dispute = await insertDispute(tx, {
    ...{ cardToken: card.token, householdId: card.householdId, personId: card.personId },
    ...{ purseId: posting.purseId, secondPurseId: posting.secondPurseId },
    ...{ originalDate: posting.keyDate, originalKey: posting.key, reason: asked.reason, claimed },
    ...{ openedBy: actor.name, note: asked.note, decideBy: addBusinessDays(today, decideBusinessDays, holidays) },
    creditDay:
      creditBusinessDays === undefined || provisionalAmount(original, kept, claimed) === 0
        ? null
        : addBusinessDays(today, creditBusinessDays, holidays),
    evidence: await readTrace(tx, posting),
  })
  if (dispute === undefined)
    return refused('conflict', 'disputed-already', 'This posting has a case already: one that is open, or that was decided.')
  await tell(tx, 'opened', dispute, { reason: dispute.reason, amount: formatAmount(claimed) })
  return done(dispute.creditDay !== null && dispute.creditDay <= today ? await lend(tx, dispute, original, kept) : dispute)
}

/** Lends what is due. @returns undefined where the case was decided, or the money lent, meanwhile */
export async function giveProvisionalCredit(tx: SqlTransaction, id: number): Promise<Dispute | undefined> {
  const { dispute, posting } = (await lockDispute(tx, id)) ?? {}
  if (dispute === undefined || posting === undefined) return undefined
  if (dispute.state !== 'open' || dispute.provisional !== null) return undefined
  const { original, kept } = await originalOf(tx, posting)
  assert(isDisputable(original), 'what is disputed can be')
  return lend(tx, dispute, original, kept)
}

async function lend(tx: SqlTransaction, dispute: Dispute, original: WithPurse, kept: number): Promise<Dispute> {
  const amount = provisionalAmount(original, kept, dispute.claimed)
  if (amount === 0) return writeCredit(tx, dispute.id, 0, null)
  const key = `dispute-provisional|${String(dispute.id)}`
  await post(tx, dispute, { kind: KIND.provisionalCredit, key, amount, posting: provisionalCredit(original, amount) })
  await tell(tx, 'credited', dispute, { amount: formatAmount(amount) })
  return writeCredit(tx, dispute.id, amount, utcDay(tx.nowMs))
}

export const DISPUTE_OUTCOMES = ['grant', 'refuse', 'withdraw'] as const

/** What is proposed for a case. */
export interface DisputeDecision {
  readonly disputeId: number
  readonly outcome: (typeof DISPUTE_OUTCOMES)[number]
  /** Piasters, of a grant: all that is claimed, or less. */
  readonly amount: number
}

/** What can be seen when it is proposed is refused at once. @returns the case */
export async function checkDecision(
  tx: SqlTransaction,
  { disputeId, outcome, amount }: DisputeDecision,
): Promise<Outcome<Dispute>> {
  const dispute = await readDispute(tx, disputeId)
  if (dispute === undefined) return NO_SUCH_DISPUTE
  if (dispute.state !== 'open') return alreadyDecided(dispute)
  return outcome === 'grant' && (amount > dispute.claimed || amount <= 0)
    ? refused(
        'invalid',
        'more-than-claimed',
        `Above zero, and at most the ${formatAmount(dispute.claimed)} EGP that are claimed.`,
        '/amount',
      )
    : done(dispute)
}

export function disputeDecisionKind({ programme }: Pick<DisputeParts, 'programme'>): ProposalKind {
  return {
    kind: 'dispute-decision',
    permission: 'dispute:decide',
    single: true,
    execute: async (tx, body) => {
      const decided = await decide(tx, programme, body as unknown as DisputeDecision)
      if (!decided.ok) return decided
      const { state, granted, takenBack, uncovered } = decided.value
      return done({ state, granted, takenBack, uncovered })
    },
  }
}

const STATES = { grant: 'granted', refuse: 'refused', withdraw: 'withdrawn' } as const

async function decide(tx: SqlTransaction, programme: Programme, decision: DisputeDecision): Promise<Outcome<Dispute>> {
  const checked = await checkDecision(tx, decision)
  if (!checked.ok) return checked
  const locked = await lockDispute(tx, decision.disputeId)
  assert(locked !== undefined, 'a case does not go away')
  const { dispute, posting, purses } = locked
  if (dispute.state !== 'open') return alreadyDecided(dispute)
  const granted = decision.outcome === 'grant' ? decision.amount : 0
  if (granted > 0) {
    const credited = await credit(tx, programme, { dispute, posting, purses }, granted)
    if (!credited.ok) return credited
  }
  const { takenBack, uncovered } = await endLoan(tx, dispute, posting)
  const state = STATES[decision.outcome]
  const outcome = { state, granted: granted === 0 ? null : granted, takenBack, uncovered, postedOn: utcDay(tx.nowMs) }
  const decided = await writeOutcome(tx, dispute.id, outcome)
  await tell(tx, state, dispute, {
    ...(granted === 0 ? {} : { amount: formatAmount(granted) }),
    ...(takenBack === 0 ? {} : { takenBack: formatAmount(takenBack) }),
  })
  return done(decided)
}

/** What is granted is given back for good. */
async function credit(
  tx: SqlTransaction,
  programme: Programme,
  { dispute, posting, purses }: LockedDispute,
  amount: number,
): Promise<Outcome<null>> {
  const { original, kept } = await originalOf(tx, posting)
  assert(isDisputable(original), 'what is disputed can be')
  const left = leftToGiveBack(original, kept)
  if (amount > left)
    return refused(
      'conflict',
      'given-back-meanwhile',
      `Of this posting only ${formatAmount(left)} EGP are not given back yet. Nothing was done; propose what is left, or refuse the case.`,
    )
  const context: GiveBackContext = {
    card: { purses },
    terminal: { id: posting.terminalNumber ?? 0, merchant: { id: original.merchantId ?? 0 } },
    originalParameters: parametersOn(programme, original.day),
    purses: undefined,
  }
  const given = disputeCredit(original, amount, context)
  if (given === undefined)
    return refused('conflict', 'not-whole', 'Of these goods whole units are given back: propose a multiple of their price.')
  const key = `dispute|${String(dispute.id)}`
  await post(tx, dispute, { kind: KIND.disputeCredit, key, amount, posting: given, merchantId: original.merchantId })
  return done(null)
}

/** What the holder has of the loan beyond what was given back is taken from the purse; what is not there stays with suspense. */
async function endLoan(
  tx: SqlTransaction,
  dispute: Dispute,
  posting: DisputedPosting,
): Promise<{ takenBack: number; uncovered: number }> {
  const { original, provisional } = await originalOf(tx, posting)
  assert(isDisputable(original), 'what is disputed can be')
  const owed = owedOfProvisional(original, provisional)
  if (owed === 0) return { takenBack: 0, uncovered: 0 }
  const purse = (await lockPostingPurses(tx, posting)).find(({ id }) => id === posting.purseId)
  const takenBack = Math.min(owed, purse?.balance ?? 0)
  if (takenBack > 0) {
    const key = `dispute-end|${String(dispute.id)}`
    await post(tx, dispute, { kind: KIND.provisionalEnd, key, amount: takenBack, posting: provisionalEnd(original, takenBack) })
  }
  return { takenBack, uncovered: owed - takenBack }
}

interface LockedDispute {
  readonly dispute: Dispute
  readonly posting: DisputedPosting
  readonly purses: readonly LockedPurse[]
}

/** Purses first, as everywhere; then the case as it is under their lock. */
async function lockDispute(tx: SqlTransaction, id: number): Promise<LockedDispute | undefined> {
  const seen = await readDispute(tx, id)
  if (seen === undefined) return undefined
  const posting = await postingOf(tx, seen)
  const purses = await lockPostingPurses(tx, posting)
  const dispute = await readDispute(tx, id)
  return dispute === undefined ? undefined : { dispute, posting, purses }
}

async function originalOf(tx: SqlTransaction, posting: DisputedPosting): Promise<DisputedOriginal> {
  const found = await originalAtDesk(tx, posting)
  assert(found !== undefined, 'the ledger is append only')
  return found
}

async function post(
  tx: SqlTransaction,
  { cardToken, householdId }: Dispute,
  decision: {
    readonly kind: number
    readonly key: string
    readonly amount: number
    readonly posting: Posting
    readonly merchantId?: number | null
  },
): Promise<void> {
  const guard = await postDecision(tx, { merchantId: null, ...decision, cardToken })
  assert(guard === undefined, `a dispute's posting was decided under the lock: ${guard ?? ''}`)
  // Also where its holder belongs to another household by now.
  tx.changedCards.add(cardToken)
  for (const { token } of await readCardsOfHousehold(tx, householdId)) tx.changedCards.add(token)
}

async function tell(tx: SqlTransaction, what: string, dispute: Dispute, data: Readonly<Record<string, unknown>>): Promise<void> {
  const { id, cardToken, personId, householdId } = dispute
  await tx.emit({ kind: `dispute.${what}`, cardToken, personId, householdId, data: { disputeId: id, ...data } })
}

/** The purse of that name that the card draws on. */
async function purseOf(tx: SqlTransaction, programme: Programme, card: CardLife, name: string): Promise<number | undefined> {
  const definition = programme.purses.find((purse) => purse.name === name)
  if (definition === undefined) return undefined
  if (definition.owner === 'person' && card.personId === null) return undefined
  const purses =
    definition.owner === 'person' && card.personId !== null
      ? await readPersonPurses(tx, card.householdId, card.personId)
      : await readHouseholdPurses(tx, card.householdId)
  return purses.find(({ kind }) => kind === definition.kind)?.purseId
}

/** Money that a machine did not hand out is still in it; all else was got from somebody, who pays it back. */
function checkReason(reason: DisputeReason, withdrawal: boolean): ReturnType<typeof refused> | undefined {
  if ((reason === 'atm-did-not-dispense') === withdrawal) return undefined
  return refused(
    'invalid',
    'reason-does-not-fit',
    withdrawal
      ? 'A withdrawal is disputed because the machine did not dispense; one with the right PIN that somebody else made is for the police, after the card was reported.'
      : 'Only a withdrawal can be disputed because a machine did not dispense.',
    '/reason',
  )
}

function checkAge(tx: SqlTransaction, { disputes }: DisputeParts, day: string): ReturnType<typeof refused> | undefined {
  return addDays(day, disputes.openWithinDays) < cairoDay(tx.nowMs)
    ? refused('conflict', 'too-late', `A posting can be disputed for ${String(disputes.openWithinDays)} days.`)
    : undefined
}

function alreadyDecided({ state }: Dispute): ReturnType<typeof refused> {
  return refused('conflict', 'already-decided', `The case was ${state} already; a case is decided once.`)
}
