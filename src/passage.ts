/** One transaction on its way through the switch: what is known of it so far, and what it becomes for the ledger and for the answer. */
import { assert } from './assert.ts'
import type { CardSnapshot, Cover } from './card.ts'
import { terminalReason } from './decision/checks.ts'
import { REFUNDABLE } from './decision/decideFollowUp.ts'
import type { Approval, Decision, Decline, DeclineReason } from './decision/decision.ts'
import type { Reservation, Settlement } from './decision/hotState.ts'
import type { OriginalSnapshot } from './decision/original.ts'
import { NOTHING_TO_POST } from './decision/posting.ts'
import type { CommitItem, CommitOutcome, PurseState, StoredAnswer, VerificationRecord } from './ledger/commitItem.ts'
import type { CommitOwner } from './ledger/groupCommit.ts'
import { HEALTH, type ProgrammeParameters } from './programmeParameters.ts'
import type { PurseSnapshot } from './purse/purse.ts'
import type { Attempt, AttemptCounter } from './decision/hotState.ts'
import { isFreshAtc, pinTriesLeft } from './decision/verification.ts'
import { passesClosedDoors, type ClosedDoor } from './decision/velocity.ts'
import type { Verified } from './decision/verified.ts'
import type { HolderCheck } from './decision/verifyHolder.ts'
import { APPROVED, CODE_OF_REASON, PARTIALLY_APPROVED } from './response/responseCodes.ts'
import { NOTHING_TOLD, type AuthorizationResult } from './response/result.ts'
import { approvalCodeFor } from './transaction/identity.ts'
import type { Origin } from './transaction/origin.ts'
import type { Terminal } from './transaction/terminal.ts'
import { isAdvice, KIND, type OriginalReference, type Transaction, type Unsupported } from './transaction/transaction.ts'

/** Undefined: no answer must be sent, because the outcome is not known. */
export type Respond = (result: AuthorizationResult | undefined) => void

export class Passage implements CommitOwner {
  readonly asked: Transaction | Unsupported
  readonly origin: Origin
  readonly receivedMs: number
  readonly deadlineMs: number
  readonly respond: Respond
  readonly #onCommitted: (passage: Passage, item: CommitItem, outcome: CommitOutcome) => void

  terminal: Terminal | undefined
  card: CardSnapshot | undefined
  original: OriginalSnapshot | undefined
  /** Set when a guard has failed: what the card's purses really hold. */
  purses: ReadonlyMap<number, PurseSnapshot> | undefined
  decision: Decision | undefined
  /** The rules by which it was last decided. */
  parameters: ProgrammeParameters | undefined
  attempts = 0
  /** Nobody is served here after too many failures, but for whom `closedReason` names. */
  closed: ClosedDoor | undefined
  /** What was found of chip, PIN and card value; it stays, however often the transaction is decided again. */
  verified: Verified | undefined
  /** It is this message's turn to have a PIN of its card verified. */
  holdsPin = false
  /** Counters that have counted it as an attempt: given back once it is answered. */
  counted: readonly AttemptCounter[] = []
  /** What it failed at: counted once it is answered. */
  failures: readonly Attempt[] = []
  /** It was answered before: of what it shows only the chip is verified, for the cryptogram of the answer. */
  stored: StoredAnswer | undefined
  /** Redis has set something aside under this key, which must be settled. */
  reserved = false
  /** An advice that is posted although its key was declined or voided before. */
  forced = false
  /** What was last submitted to the ledger: the decision itself, or the tombstone of an original that was never seen. */
  submitted: 'decision' | 'tombstone' = 'decision'

  constructor(
    asked: Transaction | Unsupported,
    origin: Origin,
    receivedMs: number,
    deadlineMs: number,
    respond: Respond,
    onCommitted: (passage: Passage, item: CommitItem, outcome: CommitOutcome) => void,
  ) {
    this.asked = asked
    this.origin = origin
    this.receivedMs = receivedMs
    this.deadlineMs = deadlineMs
    this.respond = respond
    this.#onCommitted = onCommitted
  }

  get transaction(): Transaction {
    assert(this.asked.kind !== 'unsupported', 'what is not supported is answered before it is looked at')
    return this.asked
  }

  /** A forced advice has a key of its own, so that it too is posted once. */
  get key(): string {
    return this.forced ? `${this.transaction.key}|F` : this.transaction.key
  }

  committed(item: CommitItem, outcome: CommitOutcome): void {
    this.#onCommitted(this, item, outcome)
  }
}

/** A passage whose result is known and that has yet to be told. */
export interface Answered {
  readonly passage: Passage
  readonly result: AuthorizationResult
}

/** ISO 9564-1: a PIN block is kept no longer than it is needed, also where it was never looked at. */
export function forgetPins({ asked }: Passage): void {
  if (asked.kind === 'unsupported') return
  asked.credentials?.pin?.block.fill(0)
  asked.credentials?.newPin?.block.fill(0)
}

/** The card's PIN is not blocked yet. */
export function hasTriesLeft({ transaction, card }: Passage): boolean {
  return (card?.pinTries ?? 0) < (transaction.credentials?.profile.pin?.triesMax ?? 0)
}

export function holderCheckOf({ transaction, card, stored }: Passage): HolderCheck {
  const credentials =
    stored === undefined || transaction.credentials === undefined
      ? transaction.credentials
      : { ...transaction.credentials, pin: undefined, newPin: undefined }
  assert(credentials !== undefined && card !== undefined, 'only what shows something on a known card is verified')
  return { transaction, credentials, card }
}

/** What the ledger is to append for a decision. */
export function commitItemOf(passage: Passage): CommitItem {
  const { transaction, terminal, decision, original } = passage
  assert(terminal !== undefined && decision !== undefined && isFinal(decision), 'only decisions are committed')
  const approval = decision.kind === 'approve' ? decision : undefined
  const { cardUpdate, ...posting } = decision.posting ?? NOTHING_TO_POST
  return {
    ...posting,
    cardUpdate: cardUpdate === null ? null : { ...cardUpdate, ...SUSPENDED },
    key: passage.key,
    keyDate: transaction.keyDate,
    mti: transaction.mti,
    kind: transaction.kind === 'refund' ? refundKind(original?.kind) : KIND[transaction.kind],
    body: transaction.body,
    cardToken: transaction.cardToken,
    terminalId: transaction.terminalId,
    merchantId: terminal.merchant.id,
    rrn: transaction.rrn,
    requested: transaction.amount,
    approved: approval?.approved ?? 0,
    responseCode:
      decision.kind === 'decline' ? CODE_OF_REASON[decision.reason] : decision.partial ? PARTIALLY_APPROVED : APPROVED,
    reason: decision.kind === 'decline' ? decision.reason : null,
    approvalCode: approval === undefined ? null : approvalCodeOf(passage),
    verification: verificationRecordOf(passage, decision),
  }
}

/** What was verified is stored whatever was decided; where the counter of the cryptogram is what was wrong, it is not used up by that. */
function verificationRecordOf(passage: Passage, decision: Approval | Decline): VerificationRecord | null {
  const { verified, transaction, card } = passage
  if (verified === undefined || card === undefined) return null
  const atc = decision.kind === 'decline' && !isFresh(verified, passage) ? null : (verified.atc ?? null)
  const pin = pinRecordOf(verified, card, decision)
  const pinReference = transaction.kind === 'pinChange' && decision.kind === 'approve' ? newReference(verified) : null
  if (atc === null && pin === null) return null
  return {
    atc,
    pin,
    pinTriesMax: transaction.credentials?.profile.pin?.triesMax ?? 0,
    raise: pin === 'wrong' || pinReference !== null ? card.purses.map(({ id }) => id) : [],
    pinReference,
    checkedReference: verified.reference,
    scriptSent: atc !== null && card.issuerScript !== null,
  }
}

/** Whatever else was wrong: a counter that was used before cannot be used up again. */
function isFresh({ atc }: Verified, { card, transaction }: Passage): boolean {
  if (atc === undefined || card === undefined) return false
  return isFreshAtc(atc, card, transaction.credentials?.profile.chip?.atcAheadMax ?? 0)
}

/**
 * Every wrong PIN is counted, whatever it came with; a right one is said to be right only while the PIN is not blocked, an approval's gate sees to
 * that already. What is declined before the PIN is looked at says nothing of it.
 */
function pinRecordOf(verified: Verified, card: CardSnapshot, decision: Approval | Decline): VerificationRecord['pin'] {
  const reason = decision.kind === 'decline' ? decision.reason : undefined
  if (verified.reference !== card.pinReference || reason === 'pin_tries_exceeded') return null
  if (verified.pin === 'wrong') return 'wrong'
  if (verified.pin !== 'valid' || (reason !== undefined && BEFORE_PIN.includes(reason))) return null
  if (card.pinTries > 0 || verified.newPin !== undefined) return 'right'
  const gate = decision.kind === 'approve' ? (decision.posting.movement?.gate ?? null) : null
  return gate === null ? 'checked' : null
}

const BEFORE_PIN: readonly DeclineReason[] = ['cryptogram', 'chip_mismatch', 'chip_required', 'atc', 'card_value', 'fault']

function newReference({ newPin }: Verified): string | null {
  return newPin === undefined || newPin === 'broken' ? null : newPin.reference
}

function isFinal(decision: Decision): decision is Approval | Decline {
  return decision.kind === 'approve' || decision.kind === 'decline'
}

const SUSPENDED = {
  triesResponse: CODE_OF_REASON.fingerprint_suspended,
  triesReason: 'fingerprint_suspended' satisfies DeclineReason,
} as const

/** What is taken back, and from whom, follows from what is refunded. */
function refundKind(original: number | undefined): number {
  if (original === KIND.payment) return KIND.paymentRefund
  return original === KIND.copay ? KIND.copayRefund : KIND.refund
}

/** Takes a key for good, so that whatever comes under it later is refused with `reason`. */
export function tombstoneOf(
  key: string,
  keyDate: string,
  cardToken: string | null,
  reason: 'reversed_before' | 'void',
): CommitItem {
  return {
    ...NOTHING_TO_POST,
    cardUpdate: null,
    key,
    keyDate,
    mti: 0,
    kind: KIND.tombstone,
    body: null,
    cardToken,
    terminalId: null,
    merchantId: null,
    rrn: null,
    requested: 0,
    approved: 0,
    responseCode: CODE_OF_REASON[reason],
    reason,
    approvalCode: null,
    verification: null,
  }
}

/** A completion carries the number of its authorization on; a reversal has none of its own. */
function approvalCodeOf(passage: Passage): string | null {
  const { transaction, original, key } = passage
  if (transaction.kind === 'reversal') return null
  if (transaction.kind === 'completion') return original?.approvalCode ?? approvalCodeFor(key)
  return approvalCodeFor(key)
}

/** What Redis is to set aside; undefined where the decision takes nothing from a purse. */
export function reservationOf(passage: Passage, approval: Approval): Reservation | undefined {
  const { movement } = approval.posting
  if (movement === null || movement.delta >= 0) return undefined
  const { transaction, key } = passage
  const { purseId, gate, counter, delta, setMarks } = movement
  return { key, keyDate: transaction.keyDate, body: transaction.body, purseId, debit: -delta, gate, setMarks, counter }
}

/** What Redis is to learn from a commit; undefined where it learns nothing. */
export function settlementOf(passage: Passage, item: CommitItem, purse: PurseState | undefined): Settlement | undefined {
  const { movement } = item
  if (movement === null || (purse === undefined && !passage.reserved)) return undefined
  const gate = movement.gate ?? 0
  return {
    key: item.key,
    purseId: movement.purseId,
    state: purse === undefined || item.transfers.length === 0 ? undefined : { ...purse, purseId: movement.purseId, gate },
  }
}

export function resultOfCommit(passage: Passage, item: CommitItem, purse: PurseState | undefined): AuthorizationResult {
  const { cardUpdate, second, verification } = item
  const suspended = cardUpdate?.change === 'mismatch' && (purse?.tries ?? 0) >= cardUpdate.tries
  return {
    responseCode: suspended ? cardUpdate.triesResponse : item.responseCode,
    reason: (suspended ? cardUpdate.triesReason : item.reason) ?? undefined,
    approvalCode: item.approvalCode ?? undefined,
    approved: item.approved,
    balances: balancesOf(passage, item.reason === null ? purse?.balance : undefined, purse?.held),
    ofEntitlement: passage.transaction.kind === 'dispense',
    billed: billedOf(passage, item.reason === null ? item.quantity : null, second !== null, item.approved),
    triesLeft:
      purse?.tries === undefined
        ? undefined
        : verification?.pin === 'wrong'
          ? pinTriesLeft(passage.transaction, purse.tries)
          : triesLeft(passage, purse.tries),
    cover: coverOf(passage, item.responseCode),
    rrn: passage.transaction.rrn,
    replayed: false,
  }
}

/** What the slip says is left: after the posting, or after a decline as far as it had to be looked up. */
function balancesOf(passage: Passage, available: number | undefined, held: number | undefined): AuthorizationResult['balances'] {
  const { transaction, purses, card, parameters } = passage
  // Whether a person is covered tells a clinic nothing of the person's money.
  if (card === undefined || parameters === undefined || transaction.kind === 'eligibility') return undefined
  const definition = parameters.purses.find(({ name }) => name === transaction.purse)
  const currency = definition?.unit.currency ?? parameters.currency
  if (available !== undefined) return { available, ledger: available + (held ?? 0), currency }
  const known = transaction.kind === 'dispense' ? purses?.get(purseIdOf(card, definition?.kind) ?? 0) : undefined
  return known === undefined ? undefined : { available: known.available, ledger: known.available, currency }
}

function purseIdOf(card: CardSnapshot, kind: number | undefined): number | undefined {
  return card.purses.find((purse) => purse.kind === kind)?.id
}

/** Piasters that the cash purse paid for something that is not its own: the holder's part of a bill, the price of bread. */
function billedOf({ transaction }: Passage, quantity: number | null, second: boolean, approved: number): number | undefined {
  if (transaction.kind === 'copay') return quantity ?? undefined
  return transaction.kind === 'dispense' && second ? approved : undefined
}

function triesLeft({ parameters }: Passage, tries: number): number {
  return Math.max(0, (parameters?.fingerprint.mismatchesMax ?? 0) + 1 - tries)
}

function coverOf({ transaction, card }: Passage, responseCode: string): Cover | undefined {
  return transaction.kind === 'eligibility' && responseCode === APPROVED ? (card?.cover ?? undefined) : undefined
}

export function resultOfDecline(passage: Passage, reason: DeclineReason): AuthorizationResult {
  return {
    responseCode: CODE_OF_REASON[reason],
    reason,
    approvalCode: undefined,
    approved: 0,
    balances: undefined,
    ...NOTHING_TOLD,
    rrn: passage.asked.kind === 'unsupported' ? undefined : passage.asked.rrn,
    replayed: false,
  }
}

/**
 * What the stored answer of a key means for a message that came under it again.
 *
 * @returns the answer; 'other_body' for another message under the same key; 'force' for an advice whose key holds no approval
 */
export function resultOfStored(passage: Passage, stored: StoredAnswer): AuthorizationResult | 'other_body' | 'force' {
  const { transaction } = passage
  const advice = isAdvice(transaction.mti)
  const approved = stored.responseCode === APPROVED || stored.responseCode === PARTIALLY_APPROVED
  // A reversal that was refused has nothing to post by force.
  const mayForce = advice && transaction.kind !== 'reversal' && !passage.forced && !isAdvice(stored.mti)
  // What was reversed before it came stays refused.
  if (mayForce && !approved && stored.reason !== 'reversed_before') return 'force'
  if (!advice && stored.body !== null && stored.body !== transaction.body) return 'other_body'
  return {
    responseCode: stored.responseCode,
    reason: stored.reason ?? undefined,
    approvalCode: stored.approvalCode ?? undefined,
    approved: stored.approved,
    balances: balancesOf(passage, approved ? (stored.available ?? undefined) : undefined, stored.held ?? undefined),
    ofEntitlement: passage.transaction.kind === 'dispense',
    billed: billedOf(passage, approved ? stored.quantity : null, approved && stored.second, stored.approved),
    triesLeft: storedTriesLeft(passage, stored),
    cover: coverOf(passage, stored.responseCode),
    rrn: stored.rrn ?? transaction.rrn,
    replayed: true,
  }
}

function storedTriesLeft(passage: Passage, { reason, quantity }: StoredAnswer): number | undefined {
  if (quantity === null) return undefined
  if (reason === 'pin_wrong') return pinTriesLeft(passage.transaction, quantity)
  return reason?.startsWith('fingerprint_') === true ? triesLeft(passage, quantity) : undefined
}

/** Nothing can be committed without a card; what is wrong with the terminal still comes first. */
export function reasonWithoutCard({ terminal, transaction, closed }: Passage): DeclineReason {
  assert(terminal !== undefined, 'the terminal is known when cards are loaded')
  const unknown = closed === undefined || passesClosedDoors(transaction) ? 'card_unknown' : (`velocity_${closed}` as const)
  return terminalReason(transaction, terminal) ?? unknown
}

export function originalOf(passage: Passage): OriginalReference {
  const { transaction } = passage
  assert('original' in transaction, 'only transactions that refer to another are traced')
  return transaction.original
}

export function keyQuestion(original: OriginalReference): { key: string; keyDate: string } {
  assert(original.by === 'key', 'the original is named by its key')
  return original
}

export function referenceQuestion(passage: Passage): {
  purseId: number
  rrn: string
  approvalCode: string
  kinds: readonly number[]
} {
  const original = originalOf(passage)
  assert(original.by === 'reference' && passage.card !== undefined, 'the original is named by its numbers, on a known card')
  const { transaction, parameters, card } = passage
  const kinds = transaction.kind === 'completion' ? [KIND.authorization] : REFUNDABLE
  const named = transaction.purse === HEALTH ? 'cash' : transaction.purse
  const kind = parameters?.purses.find(({ name }) => name === named)?.kind
  return { purseId: purseIdOf(card, kind) ?? 0, rrn: original.rrn, approvalCode: original.approvalCode, kinds }
}

export function neededReservation(passage: Passage): Reservation {
  assert(passage.decision?.kind === 'approve', 'only approvals reserve')
  const reservation = reservationOf(passage, passage.decision)
  assert(reservation !== undefined, 'only debits reserve')
  return reservation
}
