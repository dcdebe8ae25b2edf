/**
 * The load: keeps so many messages in flight on each connection (closed loop), or sends so many a second (open loop).
 *
 * In an open loop messages become due at even intervals, whether the switch is ready for them or not, and latency counts from then:
 * what waits because all connections are full is part of the figures (no "coordinated omission"). What cannot be sent within
 * BACKLOG_MS is given up as an error, so that the backlog is bounded.
 */
import { SHAPES } from '../../src/cli/transactionMessage.ts'
import { responseMti } from '../../src/iso8583/mti.ts'
import { AnswerReader } from './answerReader.ts'
import { HouseholdChooser } from './householdChooser.ts'
import { Journal, type Lane } from './journal.ts'
import { openLanes } from './lanes.ts'
import { Link, type FollowUp, type LinkTarget } from './link.ts'
import { isApproval, Measurement } from './measurement.ts'
import { KIND_TRAITS, MESSAGE_KINDS, type MessageKind } from './messageKinds.ts'
import { chooseQuantity, chooseScenario, chooseSequel, MIXES, type Mix, type MixName } from './mix.ts'
import { MomentSource } from './moment.ts'
import { programmeRules } from './programmeRules.ts'
import { randomFrom, type Random } from './random.ts'
import { PanTable } from './template.ts'

export interface LoadOptions extends LinkTarget {
  readonly connections: number
  /** Messages in flight a connection: exactly so many in a closed loop, at most so many in an open one. */
  readonly inFlight: number
  /** Messages a second over all connections; undefined: closed loop. */
  readonly rate: number | undefined
  readonly seconds: number
  readonly warmupSeconds: number
  /** Those that will be run, one after the other on the same connections. */
  readonly mixes: readonly MixName[]
  /** Cards are those of the households FIRST_PLAIN_HOUSEHOLD to this one. */
  readonly households: number
  readonly seed: number
  /** How long the last answers may take before they are given up. */
  readonly lastAnswersMs?: number
}

const TICK_MS = 1
/** In an open loop: how long a message may wait for a connection. */
const BACKLOG_MS = 10_000
/** Longer than the switch's own deadline (config/sarf.json, authorization.deadlineMs). */
const LAST_ANSWERS_MS = 12_000

const ANSWER_MTI: ReadonlyMap<MessageKind, string> = new Map(
  MESSAGE_KINDS.map((kind) => [kind, responseMti(SHAPES[KIND_TRAITS[kind].send].mti)]),
)

export class Load {
  readonly journal = new Journal()
  connectionsLost = 0
  readonly #options: LoadOptions
  readonly #random: Random
  readonly #households: HouseholdChooser
  readonly #rules = programmeRules()
  readonly #moments = new MomentSource()
  readonly #reader: AnswerReader
  readonly #links: readonly Link[]
  /** Where each lane was when the present run began: what is before belongs to an earlier one. */
  readonly #runBegan = new Map<Lane, number>()
  #mix: Mix = MIXES.purchase
  #measurement = new Measurement(0, 0)
  #loadEndMs = 0
  #outstanding = 0
  #nextLink = 0
  #wakeQuiet: (() => void) | undefined

  constructor(options: LoadOptions) {
    this.#options = options
    this.#random = randomFrom(options.seed)
    this.#households = new HouseholdChooser(options.households, this.#random)
    this.#reader = new AnswerReader(options.spec)
    const pans = new PanTable(options.spec, options.households)
    const scenarios = options.mixes.flatMap((name) => MIXES[name].scenarios)
    const classes = new Set(scenarios.map((scenario) => scenario.terminalClass))
    const events = {
      payload: (link: Link, payload: Buffer) => this.#received(link, payload),
      lost: (link: Link) => this.#lost(link),
      restored: (link: Link) => this.#fill(link),
    }
    this.#links = openLanes(this.journal, classes, options.connections).map((lanes) => new Link(options, events, pans, lanes))
  }

  get measurement(): Measurement {
    return this.#measurement
  }

  /** What every household that may have it was asked for already, and how often. */
  get roundsBegunAgain(): ReadonlyMap<string, number> {
    return this.#households.roundsBegunAgain
  }

  get outstanding(): number {
    return this.#outstanding
  }

  /** @throws Error the operating system's */
  async open(): Promise<void> {
    await Promise.all(this.#links.map((link) => link.open()))
  }

  /** Warm-up, measured time, and the last answers. Resolves early after `stop`. */
  async run(mix: MixName): Promise<Measurement> {
    const { warmupSeconds, seconds, rate } = this.#options
    this.#mix = MIXES[mix]
    for (const lane of this.journal.lanes()) this.#runBegan.set(lane, lane.count)
    const startMs = performance.now()
    const measuredMs = startMs + warmupSeconds * 1000
    this.#loadEndMs = measuredMs + seconds * 1000
    this.#measurement = new Measurement(measuredMs, this.#loadEndMs)
    if (rate === undefined) {
      for (const link of this.#links) this.#fill(link)
      await this.#untilEnd()
    } else {
      await this.#pace(rate, startMs)
    }
    await this.#lastAnswers()
    this.#giveUp()
    return this.#measurement
  }

  /** No more messages become due. */
  stop(): void {
    this.#loadEndMs = performance.now()
  }

  async close(): Promise<void> {
    await Promise.all(this.#links.map((link) => link.close()))
  }

  /** Closed loop: as many messages as are to be in flight. */
  #fill(link: Link): void {
    if (this.#options.rate !== undefined) return
    const nowMs = performance.now()
    while (nowMs < this.#loadEndMs && link.inFlight < this.#options.inFlight) this.#send(link, nowMs)
  }

  async #untilEnd(): Promise<void> {
    while (performance.now() < this.#loadEndMs) await wait(Math.min(100, Math.max(1, this.#loadEndMs - performance.now())))
  }

  /** Open loop: sends what is due, oldest first. Timers tick about once a millisecond, so a message may leave that much late. */
  async #pace(rate: number, startMs: number): Promise<void> {
    const everyMs = 1000 / rate
    for (let next = 0; ;) {
      const nowMs = performance.now()
      let dueMs = startMs + next * everyMs
      for (; dueMs <= nowMs && dueMs < this.#loadEndMs; dueMs = startMs + ++next * everyMs) {
        const link = this.#freeLink()
        if (link !== undefined) this.#send(link, dueMs)
        else if (nowMs - dueMs > BACKLOG_MS) this.#notSent(dueMs, nowMs)
        else break
      }
      if (dueMs >= this.#loadEndMs) return
      await wait(TICK_MS)
    }
  }

  #freeLink(): Link | undefined {
    for (let tried = 0; tried < this.#links.length; tried++) {
      const link = this.#links[this.#nextLink]
      this.#nextLink = (this.#nextLink + 1) % this.#links.length
      if (link?.connected === true && link.inFlight < this.#options.inFlight) return link
    }
    return undefined
  }

  #notSent(dueMs: number, nowMs: number): void {
    this.#measurement.due(dueMs)
    this.#measurement.lost(dueMs, nowMs)
  }

  #send(link: Link, dueMs: number): void {
    this.#outstanding++
    this.#measurement.due(dueMs)
    const followUp = link.nextFollowUp()
    if (followUp !== undefined) {
      this.#sendFollowUp(link, followUp, dueMs)
      return
    }
    const scenario = chooseScenario(this.#mix.scenarios, this.#random)
    const { kind } = scenario
    const lane = link.laneOfClass(scenario.terminalClass)
    const household = this.#households.choose(kind, lane.terminal.governorate)
    const loavesMax = kind === 'bread' ? this.#rules.loavesADay(this.#households.breadMembers(household)) : 0
    const { amount, loaves } = chooseQuantity(kind, this.#random, this.#rules, loavesMax)
    const moment = this.#moments.at(Date.now())
    const { transmission } = moment
    const { n, bytes } = link.send(lane, { kind, household, amount, loaves, transmission, dueMs }, moment, undefined)
    lane.expect(n, chooseSequel(this.#mix, scenario, this.#random), bytes)
  }

  #sendFollowUp(link: Link, { kind, lane, n }: FollowUp, dueMs: number): void {
    if (kind === 'repeat') {
      const repeat = lane.repeat(n)
      if (repeat === undefined) throw new RangeError('a repeat is sent once')
      lane.changeRepeat(n, { ...repeat, dueMs })
      link.sendRepeat(repeat.bytes)
      return
    }
    const moment = this.#moments.at(Date.now())
    const { transmission } = moment
    link.send(
      lane,
      { kind, household: lane.household(n), amount: lane.amount(n), loaves: lane.loaves(n), transmission, dueMs },
      moment,
      n,
    )
  }

  #received(link: Link, payload: Buffer): void {
    const nowMs = performance.now()
    const answer = this.#reader.read(payload)
    const lane = answer === undefined ? undefined : link.laneOfTerminal(answer.terminalId)
    const n = answer === undefined ? undefined : lane?.find(answer.stan, answer.transmission)
    if (answer === undefined || lane === undefined || n === undefined) {
      this.#measurement.unexpected()
      return
    }
    if (answer.mti !== ANSWER_MTI.get(lane.kind(n)) || n < (this.#runBegan.get(lane) ?? 0)) {
      this.#measurement.unexpected()
      return
    }
    const repeat = lane.repeat(n)
    if (lane.answer(n, answer.responseCode)) {
      this.#measurement.answered(lane.dueMs(n), nowMs, answer.responseCode)
      const then = lane.takeFollowUp(n)
      if (then !== undefined && isApproval(answer.responseCode)) link.follow({ kind: then, lane, n })
      if (repeat !== undefined) {
        lane.changeRepeat(n, { ...repeat, answer: Buffer.from(payload) })
        link.follow({ kind: 'repeat', lane, n })
      }
    } else if (repeat?.dueMs !== undefined) {
      this.#measurement.repeatAnswered(repeat.dueMs, nowMs, answer.responseCode, repeat.answer?.equals(payload) === true)
      lane.endRepeat(n)
    } else {
      this.#measurement.unexpected()
      return
    }
    link.inFlight--
    this.#outstanding--
    if (this.#options.rate === undefined && nowMs < this.#loadEndMs) this.#send(link, nowMs)
    if (this.#outstanding === 0) this.#wakeQuiet?.()
  }

  /** Its messages in flight stay unanswered; they are counted at the end. */
  #lost(link: Link): void {
    this.connectionsLost++
    this.#outstanding -= link.inFlight
    if (this.#outstanding === 0) this.#wakeQuiet?.()
  }

  async #lastAnswers(): Promise<void> {
    if (this.#outstanding === 0) return
    const { promise, resolve } = Promise.withResolvers<undefined>()
    const timer = setTimeout(() => resolve(undefined), this.#options.lastAnswersMs ?? LAST_ANSWERS_MS)
    this.#wakeQuiet = () => resolve(undefined)
    await promise
    clearTimeout(timer)
  }

  /** What is still without an answer is an error; a later run counts from here. */
  #giveUp(): void {
    const nowMs = performance.now()
    for (const lane of this.journal.lanes()) {
      for (let n = this.#runBegan.get(lane) ?? 0; n < lane.count; n++) {
        if (lane.responseCode(n) === undefined) this.#measurement.lost(lane.dueMs(n), nowMs)
      }
      for (const dueMs of lane.endRepeats()) this.#measurement.lost(dueMs, nowMs)
    }
    this.#outstanding = 0
    for (const link of this.#links) link.reset()
  }
}

function wait(delayMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, delayMs))
}
