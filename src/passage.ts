/** One transaction on its way through the switch: what is known of it so far, and what it becomes for the ledger and for the answer. */
import { assert } from './assert.ts'
import type { CardSnapshot, CardState, Cover } from './card.ts'
import { terminalReason } from './decision/checks.ts'
import { REFUNDABLE } from './decision/decideFollowUp.ts'
import type { Approval, Decision, DeclineReason } from './decision/decision.ts'
import type { Reservation, Settlement } from './decision/hotState.ts'
import type { OriginalSnapshot } from './decision/original.ts'
import type { CommitItem, CommitOutcome, PurseState, StoredAnswer } from './ledger/commitItem.ts'
import type { CommitOwner } from './ledger/groupCommit.ts'
import { HEALTH, type ProgrammeParameters, type ServiceRules } from './programmeParameters.ts'
import type { PurseSnapshot } from './purse/purse.ts'
import type { Attempt, AttemptCounter } from './decision/hotState.ts'
import { pinTriesLeft } from './decision/verification.ts'
import { passesClosedDoors, type ClosedDoor } from './decision/velocity.ts'
import type { Verified } from './decision/verified.ts'
import type { HolderCheck } from './decision/verifyHolder.ts'
import { APPROVED, CODE_OF_REASON, PARTIALLY_APPROVED } from './response/responseCodes.ts'
import { NOTHING_TOLD, type AuthorizationResult } from './response/result.ts'
import type { DecisionRecord } from './standin/record.ts'
import type { Origin } from './transaction/origin.ts'
import type { Terminal } from './transaction/terminal.ts'
import {
  isAdvice,
  isRepeat,
  KIND,
  type OriginalReference,
  type Transaction,
  type Unsupported,
} from './transaction/transaction.ts'
import type { Watched } from './watch.ts'

/** Undefined: no answer must be sent, because the outcome is not known. */
export type Respond = (result: AuthorizationResult | undefined) => void

export class Passage implements CommitOwner, Watched<Passage> {
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
  /** It did so for this very message: nobody had reserved under the key before and not settled it. */
  reservedAnew = false
  /** A guard of the ledger has refused it once; what made it do so may have been this key's own posting. */
  wasRefused = false
  /** An advice that is posted although its key was declined or voided before. */
  forced = false
  /** Some process holds what the ledger does not have; the state that the card was stopped in meanwhile. */
  shardStandsIn = false
  stoppedAs: CardState | undefined
  /** Stand-in has told wrong PINs of the card, of which the ledger may not know yet. */
  hasWrongPins = false
  /** It is decided without the ledger (standInLine.ts). */
  standsIn = false
  /** It was decided in stand-in, and is posted now. */
  drained: Drained | undefined
  /** What was last submitted to the ledger: the decision itself, or the tombstone of an original that was never seen. */
  submitted: 'decision' | 'tombstone' = 'decision'
  /** The ledger has what was submitted, and may have written it; or its answer is known, and nothing more is to come of it. */
  place: 'here' | 'ledger' | 'leaving' = 'here'
  /** Its deadline is over. */
  isLate = false
  isTold = false
  // Of the watch over deadlines (watch.ts).
  enteredTick = 0
  isWatched = false
  earlier: Passage | undefined
  later: Passage | undefined

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

  get isWithLedger(): boolean {
    return this.place === 'ledger'
  }

  /** A forced advice has a key of its own, so that it too is posted once. */
  get key(): string {
    return this.forced ? `${this.transaction.key}|F` : this.transaction.key
  }

  committed(item: CommitItem, outcome: CommitOutcome): void {
    this.#onCommitted(this, item, outcome)
  }
}

/** What was told in stand-in, and what to do when it is known what became of it in the ledger; undefined: that is not known yet. */
export interface Drained {
  readonly record: DecisionRecord
  readonly settle: (outcome: 'posted' | 'skipped' | 'failed' | undefined) => void
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

/** What Redis is to set aside; undefined where the decision takes nothing from a purse. */
export function reservationOf(passage: Passage, approval: Approval): Reservation | undefined {
  const { movement } = approval.posting
  if (movement === null || movement.delta >= 0) return undefined
  const { transaction, key } = passage
  const { purseId, gate, counter, delta, setMarks } = movement
  const unlessStandIn = standInRulesOf(passage) !== undefined
  const { keyDate, body } = transaction
  return { key, keyDate, body, purseId, debit: -delta, gate, setMarks, counter, unlessStandIn }
}

/** By which a request goes on while the ledger cannot be reached; undefined: it does not. */
export function standInRulesOf({ asked, parameters }: Passage): ServiceRules['standIn'] {
  return asked.kind === 'dispense' && !isAdvice(asked.mti) ? parameters?.services[asked.purse]?.standIn : undefined
}

/** What a decision was made on: a reservation in Redis, a copy of the card alone, or the ledger's own word. */
export function basisOf({ reservedAnew, purses }: Passage): 'redis' | 'copy' | 'ledger' {
  if (reservedAnew) return 'redis'
  return purses === undefined ? 'copy' : 'ledger'
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
  // Its process died over it, and nothing was posted: the terminal goes on until it is taken back.
  if (transaction.kind === 'reversal' && stored.reason === 'void' && !passage.forced) return 'force'
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

/** Its key was decided before, or may come to be, although nobody has been told. */
export function mayBeDecided(
  passage: Passage,
  ledger: { mayHold(key: string): boolean },
  underWay: { isAskedTwice(passage: Passage): boolean },
): boolean {
  const { asked, wasRefused } = passage
  if (asked.kind === 'unsupported') return wasRefused
  return wasRefused || isRepeat(asked.mti) || ledger.mayHold(asked.key) || underWay.isAskedTwice(passage)
}
