/**
 * The way of a message while the ledger cannot be reached, for the services whose rules allow it (spec/standin.md):
 *
 *   submit -> authenticate terminal -> load card (Redis) -> recall (Redis) -> decide (verify cardholder) -> remember (Redis) -> write down (journal) -> respond
 *
 * The shard is in stand-in until all of it is in the ledger; until then every process goes this way with such requests, also one that reaches the ledger, since
 * only Redis knows what was given meanwhile. What is told was remembered before under its key, in the step that decides it, and is durable in a journal: a repeat gets
 * the same answer from every process.
 */
import { assert } from './assert.ts'
import { cairoDay, cairoStamp, type Clock } from './clock.ts'
import type { Config } from './config.ts'
import { decline, type Approval, type Decision, type Decline, type DeclineReason } from './decision/decision.ts'
import type { HotState } from './decision/hotState.ts'
import { isFreshAtc } from './decision/verification.ts'
import { decideInStandIn, readStandIn, tellJournals, type StandInItem, type StandInOutcome } from './decision/standInState.ts'
import type { StoredAnswer } from './ledger/commitItem.ts'
import type { Ledger } from './ledger/ledger.ts'
import { errorText, type Logger } from './log.ts'
import type { AuthorizationMetrics } from './metrics.ts'
import { storedAnswers } from './originalLookup.ts'
import { resultOfStored, standInRulesOf, type Passage } from './passage.ts'
import { verificationRecordOf } from './passageItem.ts'
import { parametersOn } from './programmeParameters.ts'
import { APPROVED, CODE_OF_REASON } from './response/responseCodes.ts'
import type { AuthorizationResult } from './response/result.ts'
import { Stage } from './stage.ts'
import { JournalClosed } from './standin/journal.ts'
import type { Journals } from './standin/journals.ts'
import { storedAnswerOf, type DecisionRecord } from './standin/record.ts'
import { approvalCodeFor } from './transaction/identity.ts'
import { isRepeat, type Dispense } from './transaction/transaction.ts'
import { ifUnavailable, type Upkeep } from './upkeep.ts'
import { StandInPosting } from './standInPosting.ts'

export interface StandInParts {
  readonly config: Pick<Config, 'authorization' | 'redis' | 'programme'>
  readonly ledger: Ledger
  readonly hotState: HotState
  /** Absent: this process tells nothing that the ledger does not have. */
  readonly journals?: Journals | undefined
  readonly upkeep: Upkeep
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: AuthorizationMetrics
  readonly way: StandInWay
}

/** Where a message goes on. */
export interface StandInWay {
  readonly decide: (passage: Passage) => void
  readonly refresh: (passage: Passage) => void
  /** It was answered before: a chip is verified first. */
  readonly known: (passage: Passage, stored: StoredAnswer) => void
  readonly decline: (passage: Passage, reason: DeclineReason) => void
  readonly respond: (passage: Passage, result: AuthorizationResult | undefined) => void
}

interface Step {
  readonly passage: Passage
  readonly record: DecisionRecord
  readonly item: StandInItem
}

export class StandInLine {
  readonly posting: StandInPosting
  readonly #parts: StandInParts
  readonly #recalling: Stage<Passage>
  readonly #remembering: Stage<Step>
  /** Steps whose record is not durable yet. */
  #open = 0
  #leaving: Promise<unknown> = Promise.resolve()
  #approvals = 0
  #isShardIn = false
  onWritten: () => void = () => undefined

  constructor(parts: StandInParts) {
    this.#parts = parts
    const { batchMax, callsInFlightMax } = parts.config.redis
    const stage = <T>(name: string, run: (batch: T[]) => Promise<void>): Stage<T> =>
      new Stage<T>({ clock: parts.clock, batchMax, callsInFlightMax, run, onBatch: parts.metrics.batch(name) })
    this.#recalling = stage('stand-in recall', (batch) => this.#recall(batch))
    this.#remembering = stage('stand-in', (batch) => this.#remember(batch))
    this.posting = new StandInPosting(parts)
  }

  /** Approvals told in stand-in since the start. */
  get approvals(): number {
    return this.#approvals
  }

  /** What this process has last seen, or holds itself. */
  get isShardIn(): boolean {
    return this.#isShardIn || (this.#parts.journals?.undrained ?? 0) > 0
  }

  /** Whether anything could be decided without the ledger now. */
  get isPossible(): boolean {
    const { hotState, journals, config, clock } = this.#parts
    if (!hotState.up || journals?.ready !== true) return false
    const { services } = parametersOn(config.programme, cairoDay(clock.now()))
    return Object.values(services).some(({ standIn }) => standIn !== undefined)
  }

  /** Whether a request goes on without the ledger. */
  takes(passage: Passage): boolean {
    const { config, hotState, journals, clock } = this.#parts
    if (journals === undefined || !hotState.up) return false
    passage.parameters ??= parametersOn(config.programme, cairoDay(clock.now()))
    return standInRulesOf(passage) !== undefined
  }

  /** @returns whether it goes this way: its card has been loaded */
  enters(passage: Passage): boolean {
    this.#isShardIn = passage.shardStandsIn
    if (standInRulesOf(passage) === undefined) return false
    const isIn = passage.standsIn || passage.shardStandsIn || (this.#parts.journals?.undrained ?? 0) > 0
    if (isIn) this.enter(passage)
    return isIn
  }

  enter(passage: Passage): void {
    if (passage.place === 'leaving') return
    passage.standsIn = true
    passage.decision = undefined
    if (this.takes(passage)) this.#recalling.push(passage)
    else this.#parts.way.decline(passage, 'cannot_decide')
  }

  /** @returns whether the decision is dealt with here */
  decided(passage: Passage, decision: Decision): boolean {
    if (passage.drained !== undefined) return false
    if (decision.kind === 'verify') {
      // How many wrong PINs were told, only Redis knows until all of it is drained: one more could be one too many.
      const isRefused = passage.hasWrongPins && !passage.standsIn && passage.transaction.credentials?.pin !== undefined
      if (isRefused) this.#parts.way.decline(passage, 'cannot_decide')
      return isRefused
    }
    if (!passage.standsIn) {
      const isHidden = this.#mayHoldOriginal(passage, decision)
      if (isHidden) this.#parts.way.decline(passage, 'cannot_decide')
      return isHidden
    }
    if (this.#parts.journals?.ready !== true) this.#parts.way.decline(passage, 'cannot_decide')
    else if (decision.kind === 'approve' && isCoveredByStandIn(passage, decision)) this.#tell(passage, decision)
    else if (decision.kind === 'decline' && isFinal(passage, decision)) this.#tell(passage, decision)
    else this.#parts.way.decline(passage, 'cannot_decide')
    return true
  }

  /** The original that the ledger does not have may be in a journal: nothing is said of it before that is drained. */
  #mayHoldOriginal({ transaction, original, parameters, shardStandsIn }: Passage, decision: Decision): boolean {
    if (!('original' in transaction) || original !== undefined) return false
    if (!shardStandsIn && (this.#parts.journals?.undrained ?? 0) === 0) return false
    const isMissed = decision.kind === 'remember' || (decision.kind === 'decline' && decision.reason === 'original_not_found')
    return isMissed && parameters?.services[transaction.purse]?.standIn !== undefined
  }

  /** Steps in which something may be on its way into a journal. */
  get quiet(): boolean {
    return this.#open === 0 && (this.#parts.journals?.quiet ?? true)
  }

  async hold(names: readonly string[]): Promise<boolean> {
    if (!this.#parts.hotState.up) return false
    return (await tellJournals(this.#parts.hotState, { holding: names }).catch(ifUnavailable(-1))) >= 0
  }

  /** Steps wait until Redis knows. @returns how many others hold something; undefined: it was not told */
  async leave(names: readonly string[]): Promise<number | undefined> {
    // Redis forgets the wrong PINs of stand-in then: it has to know what the ledger's count of them came to.
    if (!this.#parts.hotState.up || !this.quiet || !this.#parts.upkeep.hasToldPins) return undefined
    const told = tellJournals(this.#parts.hotState, { empty: names }).catch(ifUnavailable(-1))
    this.#leaving = told
    const left = await told
    return left < 0 ? undefined : left
  }

  /** Counts what is on its way into a journal beside the steps. */
  async whileOpen<T>(work: () => Promise<T>): Promise<T> {
    this.#open++
    try {
      await this.#leaving
      this.onWritten()
      return await work()
    } finally {
      this.#open--
    }
  }

  async #recall(batch: Passage[]): Promise<void> {
    const { hotState, ledger, journals, log, way } = this.#parts
    try {
      const keys = batch.map(({ transaction }) => transaction.key)
      const tokens = batch.map(({ transaction }) => transaction.cardToken)
      const { records, stops } = await readStandIn(hotState, keys, tokens)
      const open: Passage[] = []
      const remembered: (DecisionRecord | undefined)[] = []
      for (const [index, passage] of batch.entries()) {
        passage.stoppedAs = stops[index] === undefined ? passage.stoppedAs : (stops[index] as Passage['stoppedAs'])
        const own = journals?.find(passage.transaction.key)
        if (own !== undefined) {
          this.#known(passage, own)
          continue
        }
        const text = records[index]
        open.push(passage)
        remembered.push(text === undefined ? undefined : recordOf(text))
      }
      if (open.length === 0) return
      // After Redis: what is remembered there no more is in the ledger.
      const stored = await this.#stored(open)
      for (const [index, passage] of open.entries()) {
        const [answer, record] = [stored?.[index], remembered[index]]
        if (answer !== undefined) way.known(passage, answer)
        else if (record !== undefined) this.#known(passage, record)
        else if (stored === undefined && ledger.available) way.decline(passage, 'cannot_decide')
        else if (!ledger.available && this.#mayBeInLedger(passage)) way.respond(passage, undefined)
        else way.decide(passage)
      }
    } catch (error) {
      log.warn({ stage: 'stand-in recall', count: batch.length, error: errorText(error) }, 'messages cannot be decided')
      for (const passage of batch)
        if (passage.stored === undefined && passage.decision === undefined) way.decline(passage, 'cannot_decide')
    }
  }

  /** @returns what the ledger holds under their keys; undefined where it cannot be asked */
  async #stored(open: readonly Passage[]): Promise<(StoredAnswer | undefined)[] | undefined> {
    const { ledger, log } = this.#parts
    if (!ledger.available) return undefined
    try {
      return await storedAnswers(ledger, open)
    } catch (error) {
      log.warn({ stage: 'stand-in recall', count: open.length, error: errorText(error) }, 'the ledger cannot be asked')
      return undefined
    }
  }

  /** What became of it before nobody can tell now. */
  #mayBeInLedger({ transaction }: Passage): boolean {
    return isRepeat(transaction.mti) || this.#parts.ledger.mayHold(transaction.key)
  }

  /** It is told again once it is durable here: whoever was told to write it down may have died. */
  #known(passage: Passage, record: DecisionRecord): void {
    const { journals } = this.#parts
    const isDurable = journals?.isDurable(record.transaction.key) === true
    if (isDurable || record.transaction.body !== passage.transaction.body) this.#parts.way.known(passage, storedAnswerOf(record))
    else if (journals?.ready !== true) {
      // Redis would name a journal that nobody will drain; what is in one is drained in any case.
      if (journals?.find(record.transaction.key) === undefined) this.#parts.way.decline(passage, 'cannot_decide')
      else this.#parts.way.respond(passage, undefined)
    } else
      this.#remembering.push({
        passage,
        record,
        item: { ...remembered(record), counter: undefined, pin: undefined, approves: undefined },
      })
  }

  #tell(passage: Passage, decision: Approval | Decline): void {
    const record = this.#recordOf(passage, decision)
    this.#remembering.push({ passage, record, item: this.#itemOf(passage, decision, record) })
  }

  /** Remember in Redis, in one step that decides; then write down and tell. */
  async #remember(steps: readonly Step[]): Promise<void> {
    const { hotState, journals, clock, log, way } = this.#parts
    assert(journals !== undefined, 'nothing is decided in stand-in without a journal')
    // Who was answered while it waited, and who is late, is not decided any more: nothing is on its way to be posted yet.
    for (const { passage } of steps) if (clock.now() > passage.deadlineMs) way.decline(passage, 'cannot_decide')
    const batch = steps.filter(({ passage }) => passage.place !== 'leaving')
    if (batch.length === 0) return
    this.#open += batch.length
    // From here on it may come to be posted: past its deadline nobody is told anything.
    for (const { passage } of batch) passage.place = 'ledger'
    await this.#leaving
    this.onWritten()
    let outcomes: StandInOutcome[]
    try {
      const items = batch.map(({ item }) => item)
      outcomes = await decideInStandIn(hotState, journals.name, clock.now(), items)
    } catch (error) {
      // Whether it is remembered is not known; nobody was told, and nothing was written down.
      log.warn({ stage: 'stand-in', count: batch.length, error: errorText(error) }, 'messages cannot be decided')
      this.#open -= batch.length
      for (const { passage } of batch) way.decline(passage, 'cannot_decide')
      return
    }
    for (const [index, step] of batch.entries()) {
      const outcome = outcomes[index] ?? { kind: 'pending' }
      void this.#finish(step, outcome).finally(() => {
        this.#open--
      })
    }
  }

  async #finish({ passage, record }: Step, outcome: StandInOutcome): Promise<void> {
    const { ledger, way, config } = this.#parts
    switch (outcome.kind) {
      case 'remembered':
        await this.#writeDown(passage, record, false)
        return
      case 'known':
        await this.#writeDown(passage, recordOf(outcome.record), true)
        return
      case 'stopped':
        if (passage.place === 'ledger') passage.place = 'here'
        this.enter(passage)
        return
      case 'counter':
        this.#tell(passage, decline('atc'))
        return
      case 'pin':
        this.#tell(passage, decline('pin_tries_exceeded'))
        return
      case 'cap':
        this.#tell(passage, decline('stand_in_cap'))
        return
      case 'balance':
        this.#tell(passage, decline('insufficient_funds'))
        return
      case 'marks':
        this.#tell(passage, decline('day_drawn'))
        return
      case 'absent':
      case 'gate':
        if (passage.place === 'ledger') passage.place = 'here'
        if (ledger.available && passage.attempts < config.authorization.attemptsMax) way.refresh(passage)
        else way.decline(passage, 'cannot_decide')
        return
      case 'pending':
        way.decline(passage, 'cannot_decide')
        return
      case 'reserved':
        // It is under way somewhere, or was when its process died: the ledger may have it.
        way.respond(passage, undefined)
    }
  }

  async #writeDown(passage: Passage, record: DecisionRecord, again: boolean): Promise<void> {
    const { journals, clock, log, way } = this.#parts
    const isOther = record.transaction.body !== passage.transaction.body
    try {
      if (!isOther && journals?.isDurable(record.transaction.key) !== true) await journals?.append(record)
    } catch (error) {
      log.error({ stage: 'stand-in', error: errorText(error) }, 'a decision cannot be written down')
      // What may have been written may be posted one day: nobody can say that it was not.
      if (error instanceof JournalClosed) way.decline(passage, 'cannot_decide')
      else way.respond(passage, undefined)
      return
    }
    if (clock.now() > passage.deadlineMs) {
      // The terminal has given it up and takes it back.
      way.respond(passage, undefined)
    } else if (again) {
      way.known(passage, storedAnswerOf(record))
    } else {
      if (record.reason === null) this.#approvals++
      const result = resultOfStored(passage, storedAnswerOf(record))
      assert(typeof result === 'object', 'what was decided for this very message answers it')
      way.respond(passage, { ...result, replayed: false })
    }
  }

  #recordOf(passage: Passage, decision: Approval | Decline): DecisionRecord {
    const { terminal, card, transaction } = passage
    assert(terminal !== undefined && card !== undefined && transaction.kind === 'dispense', 'goods are dispensed at a terminal')
    const approval = decision.kind === 'approve' ? decision : undefined
    const nowMs = this.#parts.clock.now()
    const verification = verificationRecordOf(passage, decision)
    const reason = decision.kind === 'decline' ? decision.reason : null
    const [localDay = '', localTime = ''] = cairoStamp(nowMs).split(' ')
    const { credentials, profile, ...bare } = transaction
    return {
      type: 'decision',
      transaction: { ...bare, localDay, localTime },
      terminal,
      purseId: approval?.posting.movement?.purseId ?? card.purses[0]?.id ?? 0,
      atMs: nowMs,
      responseCode: reason === null ? APPROVED : CODE_OF_REASON[reason],
      reason,
      approvalCode: approval === undefined ? null : approvalCodeFor(transaction.key),
      approved: approval?.approved ?? 0,
      quantity: approval?.posting.quantity ?? null,
      verified:
        verification === null
          ? null
          : {
              // One that was used before is not used up by being refused.
              atc: approval === undefined && reason === 'atc' ? null : verification.atc,
              ...{ pin: verification.pin, pinTriesMax: verification.pinTriesMax },
              checkedReference: verification.checkedReference,
              atcAheadMax: (credentials?.profile ?? profile)?.chip?.atcAheadMax ?? 0,
            },
    }
  }

  #itemOf(passage: Passage, decision: Approval | Decline, record: DecisionRecord): StandInItem {
    const { card, verified } = passage
    const triesMax = passage.transaction.credentials?.profile.pin?.triesMax ?? 0
    const told = verified?.pin === 'wrong' && record.verified?.pin === 'wrong' ? 'wrong' : undefined
    const right =
      verified?.pin === 'valid' && (decision.kind === 'approve' || (record.verified?.pin ?? null) !== null) ? 'right' : undefined
    const pin = told ?? right
    return {
      ...remembered(record),
      counter: record.verified?.atc ?? undefined,
      pin: pin === undefined ? undefined : { told: pin, tries: card?.pinTries ?? 0, triesMax, cardVersion: card?.version ?? 0 },
      approves: decision.kind === 'approve' ? this.#approvalOf(passage, decision) : undefined,
    }
  }

  #approvalOf(passage: Passage, { posting }: Approval): StandInItem['approves'] {
    const rules = standInRulesOf(passage)
    const { movement } = posting
    assert(rules !== undefined && movement !== null, 'an approval in stand-in takes something from a purse')
    const { days, amount } = passage.transaction as Dispense
    const day = cairoDay(this.#parts.clock.now())
    const cap = 'daysMax' in rules ? { day, amount: days, max: rules.daysMax } : { day, amount, max: rules.amountMax }
    const { purseId, gate, delta, setMarks } = movement
    return { purseId, gate, debit: -delta, setMarks, cap }
  }
}

function recordOf(text: string): DecisionRecord {
  return JSON.parse(text) as DecisionRecord
}

function remembered(record: DecisionRecord): Pick<StandInItem, 'key' | 'keyDate' | 'body' | 'token' | 'record'> {
  const { key, keyDate, body, cardToken } = record.transaction
  return { key, keyDate, body, token: cardToken, record: JSON.stringify(record) }
}

/** Whole, of one purse, by a holder who has shown chip or PIN; of a card that stays what it is but for the old one that it retires. */
function isCoveredByStandIn({ verified }: Passage, { partial, posting }: Approval): boolean {
  const { movement, second, cardUpdate } = posting
  const isVerified = verified?.pin === 'valid' || verified?.chip === 'valid'
  return isVerified && !partial && movement !== null && second === null && (cardUpdate === null || cardUpdate.change === 'retire')
}

/** A decline that needs nobody else's word: what is counted or repaired in the ledger, and a counter that may only be far ahead of a copy, is not told. */
function isFinal({ verified, card, transaction }: Passage, { reason, posting }: Decline): boolean {
  if (reason === 'fault') return false
  const atc = verified?.atc
  if (reason === 'atc' && atc !== undefined && card !== undefined) return atc <= card.atcMax && !isFreshAtc(atc, card, 0)
  return posting === undefined || (reason === 'pin_wrong' && transaction.credentials?.pin !== undefined)
}
