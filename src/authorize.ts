/**
 * The way of a message, from a typed transaction to its answer:
 *
 *   submit -> authenticate terminal -> load card (and original) -> decide (verify cardholder) -> reserve (Redis) -> commit (Postgres) -> respond
 *
 * Each arrow is a stage that takes what is ready in one turn of the event loop as one batch. A step that does not succeed goes straight to
 * `respond`. A guard that fails in Redis or in the ledger means: look again at the truth, decide again. Redis only ever saves work; where it
 * is down the same line runs without it, and the ledger's guards decide. A purse that nobody has opened for the month is opened on the way.
 */
import { assert, assertNever } from './assert.ts'
import { findCards } from './cardLookup.ts'
import { cairoDay, type Clock } from './clock.ts'
import type { Config } from './config.ts'
import { terminalReason } from './decision/checks.ts'
import { decide } from './decision/decide.ts'
import { Departure } from './departure.ts'
import type { Approval, DeclineReason } from './decision/decision.ts'
import { verifyPassages } from './holderVerification.ts'
import type { ServiceRegions } from './decision/context.ts'
import type { HotState, Settlement } from './decision/hotState.ts'
import { NOTHING_TO_POST } from './decision/posting.ts'
import type { CommitItem, CommitOutcome, StoredAnswer } from './ledger/commitItem.ts'
import type { Ledger } from './ledger/ledger.ts'
import { errorText, type Logger } from './log.ts'
import type { LinkKeys } from './linkKeys.ts'
import type { Hsm } from './security/hsm.ts'
import type { AuthorizationMetrics } from './metrics.ts'
import {
  basisOf,
  keyQuestion,
  neededReservation,
  forgetPins,
  originalOf,
  mayBeDecided,
  Passage,
  reasonWithoutCard,
  reservationOf,
  resultOfCommit,
  resultOfDecline,
  resultOfStored,
  settlementOf,
  type Respond,
} from './passage.ts'
import { findOriginals, storedAnswers } from './originalLookup.ts'
import { commitItemOf, tombstoneOf } from './passageItem.ts'
import { PinTurns } from './pinTurns.ts'
import { StandInLine } from './standInLine.ts'
import type { Journals } from './standin/journals.ts'
import { parametersOn, type ProgrammeParameters } from './programmeParameters.ts'
import type { AuthorizationResult } from './response/result.ts'
import { Stage } from './stage.ts'
import { TerminalGate } from './terminalGate.ts'
import { isWithinRetention } from './transaction/identity.ts'
import type { Origin } from './transaction/origin.ts'
import { isAdvice, isRepeat, type Transaction, type Unsupported } from './transaction/transaction.ts'
import { snapshotOf, Upkeep } from './upkeep.ts'

export interface AuthorizerParts {
  readonly config: Pick<Config, 'authorization' | 'redis' | 'registry' | 'programme' | 'security'>
  readonly ledger: Ledger
  readonly hotState: HotState
  readonly hsm: Hsm
  readonly linkKeys: LinkKeys
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: AuthorizationMetrics
  readonly regions: ServiceRegions
  readonly journals?: Journals | undefined
}

export class Authorizer {
  readonly standIn: StandInLine
  readonly #parts: AuthorizerParts
  readonly #terminals: TerminalGate
  readonly #loading: Stage<Passage>
  readonly #recalling: Stage<Passage>
  readonly #tracing: Stage<Passage>
  readonly #verifying: Stage<Passage>
  readonly #reserving: Stage<Passage | Settlement>
  readonly #opening: Stage<Passage>
  readonly #refreshing: Stage<Passage>
  readonly #departure: Departure
  readonly #upkeep: Upkeep
  readonly #pinTurns = new PinTurns()

  constructor(parts: AuthorizerParts) {
    this.#parts = parts
    const { batchMax, callsInFlightMax } = parts.config.redis
    const stage = <T>(name: string, run: (batch: T[]) => Promise<void>): Stage<T> =>
      new Stage<T>({ clock: parts.clock, batchMax, callsInFlightMax, run, onBatch: parts.metrics.batch(name) })
    // It asks before it hands a passage on: where that fails all of the batch are still here.
    const looking = (name: string, look: (batch: Passage[]) => Promise<void>): Stage<Passage> =>
      stage(name, (batch) => look(batch).catch((error: unknown) => this.#cannotDecide(batch, name, error)))
    this.#loading = stage('load', (batch) => this.#load(batch))
    this.#recalling = looking('recall', (batch) => this.#recall(batch))
    this.#tracing = looking('trace', (batch) => this.#trace(batch))
    this.#verifying = looking('verify', (batch) => this.#verify(batch))
    this.#departure = new Departure({ ...parts, overdue: (passage) => this.#overdue(passage) })
    this.#reserving = stage('reserve', (batch) => this.#reserve(batch))
    this.#opening = looking('open', (batch) => this.#open(batch))
    this.#refreshing = looking('refresh', (batch) => this.#refresh(batch))
    this.#upkeep = new Upkeep({ ...parts, settle: (settlement) => this.#settle(settlement) })
    this.standIn = new StandInLine({
      ...parts,
      upkeep: this.#upkeep,
      way: {
        decide: this.#traceOrDecide.bind(this),
        refresh: this.#refreshing.push.bind(this.#refreshing),
        known: this.#known.bind(this),
        decline: this.#declineNow.bind(this),
        respond: this.#respond.bind(this),
      },
    })
    this.#terminals = new TerminalGate({
      ...parts,
      stage: { clock: parts.clock, batchMax, callsInFlightMax, onBatch: parts.metrics.batch('authenticate') },
      admit: (passage) => this.#admit(passage),
      decline: (passage, reason) => this.#declineNow(passage, reason),
    })
  }

  /** Transactions that have not been answered yet. */
  get underWay(): number {
    return this.#departure.underWay
  }

  get isCrowded(): boolean {
    return this.#departure.isCrowded
  }

  /** Calls `respond` exactly once, with the result or, where the outcome cannot be known in time, with undefined. */
  submit(asked: Transaction | Unsupported, respond: Respond, origin: Origin): void {
    const { clock, config, ledger } = this.#parts
    const nowMs = clock.now()
    const passage = new Passage(asked, origin, nowMs, nowMs + config.authorization.deadlineMs, respond, this.#committed)
    this.#departure.expect(passage)
    passage.standsIn = !ledger.available && this.standIn.takes(passage)
    if (this.#departure.isFull || (!ledger.available && !passage.standsIn)) this.#declineNow(passage, 'cannot_decide')
    else this.#terminals.enter(passage)
  }

  /** Resolves when everything submitted has been answered and Redis has been told what became of it. */
  async idle(): Promise<void> {
    await this.#departure.idle()
    await this.#parts.ledger.idle()
    await this.#upkeep.idle()
    await this.#reserving.idle()
  }

  #admit(passage: Passage): void {
    const { asked, terminal } = passage
    assert(terminal !== undefined, 'the terminal of what is admitted is known')
    if (asked.kind === 'unsupported') this.#declineNow(passage, terminalReason(asked, terminal) ?? 'unsupported')
    else if (!this.#isRetained(asked.keyDate)) this.#declineNow(passage, terminalReason(asked, terminal) ?? 'stale')
    else this.#loading.push(passage)
  }

  /** Load card: from Redis in one call, what it does not have from the ledger. */
  async #load(batch: Passage[]): Promise<void> {
    try {
      await findCards({ ...this.#parts, upkeep: this.#upkeep }, batch, {
        found: (passage) => this.#loaded(passage),
        unknown: (passage) => this.#declineNow(passage, reasonWithoutCard(passage)),
      })
    } catch (error) {
      this.#cannotDecide(
        batch.filter((passage) => passage.card === undefined),
        'load',
        error,
      )
    }
  }

  #loaded(passage: Passage): void {
    passage.parameters = this.#parametersOn(this.#parts.clock.now())
    if (this.standIn.enters(passage)) return
    // A PIN that comes under a key that was answered is not looked at: the answer is known, and another PIN would be tried for nothing.
    if (isRepeat(passage.transaction.mti) || passage.transaction.credentials?.pin !== undefined) this.#recalling.push(passage)
    else this.#traceOrDecide(passage)
  }

  #traceOrDecide(passage: Passage): void {
    if ('original' in passage.transaction) this.#tracing.push(passage)
    else this.#decide(passage)
  }

  /** A repeat mostly comes when its original has long been decided: then there is nothing more to look at. */
  async #recall(batch: Passage[]): Promise<void> {
    const answers = await storedAnswers(this.#parts.ledger, batch)
    for (const [index, passage] of batch.entries()) {
      const answer = answers[index]
      if (answer === undefined) this.#traceOrDecide(passage)
      else this.#known(passage, answer)
    }
  }

  /** A chip gets an answer to its cryptogram, so that is verified first. */
  #known(passage: Passage, stored: StoredAnswer): void {
    passage.stored = stored
    if (passage.transaction.credentials?.chip !== undefined && passage.verified === undefined) this.#verifying.push(passage)
    else this.#answerAgain(passage, stored)
  }

  #answerAgain(passage: Passage, stored: StoredAnswer): void {
    const result = resultOfStored(passage, stored)
    if (result === 'other_body') this.#declineNow(passage, 'other_body')
    else if (result === 'force') this.#traceOrDecide(Object.assign(passage, { forced: true }))
    else this.#respond(passage, result)
  }

  /** Load original. */
  async #trace(batch: Passage[]): Promise<void> {
    await findOriginals(this.#parts.ledger, batch)
    for (const passage of batch) this.#decide(passage)
  }

  /** A fault of ours costs its own message an answer of 96, no other message anything. */
  #decide(passage: Passage): void {
    if (passage.place === 'leaving') return
    try {
      this.#decideNow(passage)
    } catch (error) {
      this.#parts.log.error({ stage: 'decide', error: errorText(error) }, 'fault')
      this.#declineNow(passage, 'fault')
    }
  }

  #decideNow(passage: Passage): void {
    const { config, clock, regions } = this.#parts
    const { terminal, purses, original, forced, transaction, drained, verified, closed } = passage
    assert(terminal !== undefined && passage.card !== undefined, 'terminal and card are known when a transaction is decided')
    const card = passage.stoppedAs === undefined ? passage.card : { ...passage.card, state: passage.stoppedAs }
    if (++passage.attempts > config.authorization.attemptsMax) {
      this.#declineNow(passage, 'cannot_decide')
      return
    }
    const nowMs = clock.now()
    const parameters = this.#parametersOn(nowMs)
    const originalParameters = original === undefined ? parameters : parametersOn(config.programme, original.day)
    const known = { terminal, card, purses, original, forced, verified, closed }
    const context = { ...known, parameters, originalParameters, regions, day: cairoDay(nowMs), nowMs }
    const decision = drained === undefined ? decide(transaction, context) : this.standIn.posting.decide(drained, context)
    passage.decision = decision
    passage.parameters = parameters
    if (this.standIn.decided(passage, decision)) return
    if (decision.kind === 'remember') this.#remember(passage)
    else if (decision.kind === 'open') this.#opening.push(passage)
    else if (decision.kind === 'verify') {
      if (this.#pinTurns.take(passage)) this.#verifying.push(passage)
    }
    // No decline on the word of a copy: where the counters really are, the ledger knows.
    else if (decision.kind === 'decline' && decision.reason === 'atc' && purses === undefined) this.#refreshing.push(passage)
    else if (decision.kind === 'approve' && this.#needsReserving(passage, decision)) this.#reserving.push(passage)
    else this.#commit(passage)
  }

  /** A debit is set aside in Redis first; one that was refreshed goes straight to the guard of the ledger. */
  #needsReserving(passage: Passage, approval: Approval): boolean {
    return this.#parts.hotState.up && passage.purses === undefined && reservationOf(passage, approval) !== undefined
  }

  /** The next of the same card is looked at anew: what the PIN before it has done to the card, or whether it was this one's, the ledger knows. */
  #releasePin(passage: Passage): void {
    const next = this.#pinTurns.release(passage)
    if (next === undefined) return
    if (next.standsIn) this.standIn.enter(next)
    else if (passage.verified?.pin === 'valid') this.#recalling.push(next)
    else this.#refreshing.push(next)
  }

  /** Verify cardholder: chip, card value and PIN of a batch. The decision is then made with what was found. */
  async #verify(batch: Passage[]): Promise<void> {
    const later = await verifyPassages(this.#parts, batch)
    for (const passage of batch) {
      if (passage.stored !== undefined) this.#answerAgain(passage, passage.stored)
      else if (later.has(passage)) this.#refreshing.push(passage)
      else this.#decide(passage)
    }
  }

  /** Reserve: settlements of finished commits ride along. */
  async #reserve(batch: (Passage | Settlement)[]): Promise<void> {
    const settlements = batch.filter((one): one is Settlement => !(one instanceof Passage))
    const passages = batch.filter((one) => one instanceof Passage)
    let outcomes
    try {
      outcomes = await this.#parts.hotState.reserve(settlements, passages.map(neededReservation))
    } catch (error) {
      // Whether it was set aside is not known; it is settled under its key in any case. The ledger's guards decide.
      this.#parts.log.warn({ stage: 'reserve', count: batch.length, error: errorText(error) }, 'reserving without Redis')
      for (const settlement of settlements) this.#upkeep.correct(settlement)
      for (const passage of passages) {
        passage.reserved = true
        this.#commit(passage)
      }
      return
    }
    for (const [index, passage] of passages.entries()) {
      const outcome = outcomes[index] ?? 'absent'
      if (outcome === 'reserved' || outcome === 'kept') {
        passage.reserved = true
        passage.reservedAnew = outcome === 'reserved'
        this.#commit(passage)
      }
      // Never 94 for an advice: the ledger's unique key decides.
      else if (outcome === 'other_body' && isAdvice(passage.transaction.mti)) this.#commit(passage)
      else if (outcome === 'other_body') this.#declineNow(passage, 'other_body')
      else if (outcome === 'stand_in') this.standIn.enter(passage)
      else this.#refreshing.push(passage)
    }
  }

  /** A purse that nobody has opened for this month is opened at its first use. */
  async #open(batch: Passage[]): Promise<void> {
    const { ledger, clock, config } = this.#parts
    const purseIds = batch.flatMap(({ decision }) => (decision?.kind === 'open' ? decision.purseIds : []))
    const nowMs = clock.now()
    await ledger.openPurses(cairoDay(nowMs), nowMs, config.programme, [...new Set(purseIds)])
    for (const passage of batch) this.#refreshing.push(passage)
  }

  /** Look again: card and purses from the ledger, then decide on what is really there. */
  async #refresh(batch: Passage[]): Promise<void> {
    const found = await this.#upkeep.lookAgain(batch.map((passage) => passage.transaction.cardToken))
    for (const passage of batch) {
      const known = found.get(passage.transaction.cardToken)
      passage.card = known?.card ?? passage.card
      // The ledger's word alone: what others have reserved may have come to nothing, and the commit's guard sees what has not.
      passage.purses = new Map(known?.purses.map((purse) => [purse.purseId, snapshotOf(purse)]))
      this.#decide(passage)
    }
  }

  #commit(passage: Passage): void {
    const item = commitItemOf(passage)
    if (passage.place !== 'leaving') this.#submit(passage, 'decision', item)
    // Nobody waits for it any more: nothing is posted, and what was set aside is free again.
    else this.#settle(settlementOf(passage, item, undefined))
  }

  #submit(passage: Passage, submitted: Passage['submitted'], item: CommitItem): void {
    passage.submitted = submitted
    passage.place = 'ledger'
    this.#parts.ledger.submit(passage, item, passage.deadlineMs)
  }

  /** The key of an original that was never seen is taken; only then is its reversal answered. */
  #remember(passage: Passage): void {
    const { key, keyDate } = keyQuestion(originalOf(passage))
    if (this.#isRetained(keyDate)) {
      this.#submit(passage, 'tombstone', tombstoneOf(key, keyDate, passage.transaction.cardToken, 'reversed_before'))
    } else {
      // Too old to be accepted when it comes: there is nothing to refuse.
      passage.decision = { kind: 'approve', approved: 0, partial: false, posting: NOTHING_TO_POST }
      this.#commit(passage)
    }
  }

  readonly #committed = (passage: Passage, item: CommitItem, outcome: CommitOutcome): void => {
    if (outcome.kind === 'unknown') {
      // The reservation stays: the sweeper finds out.
      this.#respond(passage, undefined)
      return
    }
    if (passage.place === 'ledger') passage.place = 'here'
    if (passage.submitted === 'tombstone' && (outcome.kind === 'won' || outcome.kind === 'duplicate')) {
      // Either way there is an original now, and it is looked at again.
      this.#tracing.push(passage)
      return
    }
    if (outcome.kind === 'duplicate' && item.movement !== null) {
      // Whoever committed it may not have told Redis; it may have been this message, whose first answer from the ledger was lost.
      this.#upkeep.correct({ key: item.key, purseId: item.movement.purseId })
    } else {
      this.#settle(settlementOf(passage, item, outcome.kind === 'won' ? outcome.purse : undefined))
    }
    const basis = basisOf(passage)
    passage.reserved = false
    passage.reservedAnew = false
    switch (outcome.kind) {
      case 'won':
        this.#upkeep.afterCommit(passage, item, outcome.purse)
        this.#respond(passage, resultOfCommit(passage, item, outcome.purse))
        return
      case 'duplicate':
        this.#upkeep.wasThere(passage, outcome.stored)
        this.#answerAgain(passage, outcome.stored)
        return
      case 'refused':
        passage.wasRefused = true
        this.#parts.metrics.guardRefused(outcome.guard, basis)
        if (outcome.guard === 'original') this.#tracing.push(passage)
        else this.#refreshing.push(passage)
        return
      case 'unavailable':
        if (!this.#parts.ledger.available && this.standIn.takes(passage)) this.standIn.enter(passage)
        else this.#declineNow(passage, 'cannot_decide')
        return
      case 'fault':
        this.#declineNow(passage, 'fault')
        return
      default:
        assertNever(outcome)
    }
  }

  /** Its deadline is over: what was not submitted by then never is; what was, nobody can be told of. */
  #overdue(passage: Passage): void {
    if (passage.place === 'ledger') this.#respond(passage, undefined)
    else this.#declineNow(passage, 'cannot_decide')
  }

  #settle(settlement: Settlement | undefined): void {
    const { hotState } = this.#parts
    if (settlement === undefined) return
    if (hotState.up) this.#reserving.push(settlement)
    else if (settlement.state !== undefined || settlement.moved !== undefined) hotState.untold.add(settlement.purseId)
  }

  /**
   * 91 would contradict an approval of the same key that nobody could be told of. So a message that may have been decided before, or that another
   * under way may yet be decided for, is left without an answer where it cannot be found out: the terminal asks again, or reverses.
   */
  #declineNow(passage: Passage, reason: DeclineReason): void {
    const silent = reason === 'cannot_decide' && mayBeDecided(passage, this.#parts.ledger, this.#departure)
    this.#respond(passage, silent ? undefined : resultOfDecline(passage, reason))
  }

  #cannotDecide(batch: readonly Passage[], stage: string, error: unknown): void {
    this.#parts.log.warn({ stage, count: batch.length, error: errorText(error) }, 'messages cannot be decided')
    for (const passage of batch) this.#declineNow(passage, 'cannot_decide')
  }

  #respond(passage: Passage, result: AuthorizationResult | undefined): void {
    if (passage.place === 'leaving') return
    this.#upkeep.giveBack(passage, result)
    this.#releasePin(passage)
    forgetPins(passage)
    this.#departure.answer(passage, result)
  }

  #parametersOn(nowMs: number): ProgrammeParameters {
    return parametersOn(this.#parts.config.programme, cairoDay(nowMs))
  }

  #isRetained(keyDate: string): boolean {
    return isWithinRetention(keyDate, this.#parts.clock.now(), this.#parts.config.authorization.retentionDays)
  }
}
