/**
 * The load: keeps so many messages in flight on each connection (closed loop), or sends so many a second (open loop).
 *
 * In an open loop messages become due at even intervals, whether the switch is ready for them or not, and latency counts from then:
 * what waits because all connections are full is part of the figures (no "coordinated omission"). What cannot be sent within
 * BACKLOG_MS is given up as an error, so that the backlog is bounded.
 */
import { SHAPES } from '../../src/cli/transactionMessage.ts'
import { decode } from '../../src/iso8583/decode.ts'
import { responseMti } from '../../src/iso8583/mti.ts'
import { demoKeys } from '../../src/programme/demoVerification.ts'
import type { KeyHandle } from '../../src/security/keys.ts'
import { macOf } from '../../src/security/messageMac.ts'
import type { VirtualChip } from '../../src/security/virtualChip.ts'
import { AnswerReader } from './answerReader.ts'
import { HouseholdChooser } from './householdChooser.ts'
import { Journal, type Lane } from './journal.ts'
import { Chips } from './chips.ts'
import { openLanes, type ConnectionLanes } from './lanes.ts'
import { Link, type FollowUp, type LinkTarget } from './link.ts'
import { isApproval, Measurement } from './measurement.ts'
import { KIND_TRAITS, MESSAGE_KINDS, type MessageKind } from './messageKinds.ts'
import { chooseQuantity, chooseScenario, chooseSequel, MIXES, type Mix, type MixName } from './mix.ts'
import { MomentSource } from './moment.ts'
import { programmeRules } from './programmeRules.ts'
import { randomFrom, type Random } from './random.ts'
import { PinTable } from './pinTable.ts'
import { Preparing, type Draft, type PreparedMessage } from './prepared.ts'
import { macKeyOf, SECURITY, type SecurityName } from './security.ts'
import { PanTable, type MessageTemplate } from './template.ts'

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
  /** Those that will be run; absent: none. */
  readonly securities?: readonly SecurityName[]
  /** Where the switch listens that demands so much; absent: `port`. */
  readonly ports?: Readonly<Partial<Record<SecurityName, number>>>
  /** Messages a second that are made before the clock starts, until it is known how many are answered. */
  readonly preparedRate?: number
  /** Called while they are made. */
  readonly onPrepared?: (done: number, all: number) => void
  /** Called with each first answer, when its message was due and when it came; and with what was given up, which has no code. */
  readonly onOutcome?: (dueMs: number, nowMs: number, responseCode: string | undefined) => void
  /** How long the last answers may take before they are given up. */
  readonly lastAnswersMs?: number
}

const TICK_MS = 1
/** In an open loop: how long a message may wait for a connection. */
const BACKLOG_MS = 10_000
/** Longer than the switch's own deadline (config/sarf.json, authorization.deadlineMs). */
const LAST_ANSWERS_MS = 12_000

/** What is made before the clock starts: no switch here has been faster, and more than so many would not fit. */
const PREPARED_RATE = 12_000
const PREPARED_MAX = 400_000
/** However slow the runs before were: neighbours on the machine may leave. */
const PREPARED_RATE_MIN = 3000
/** How many more are made than the fastest run before was answered, or the rate asks for: connections differ, and so do minutes. */
const PREPARED_SPARE = 1.5
const PREPARED_CHUNK = 256

const ANSWER_MTI: ReadonlyMap<MessageKind, string> = new Map(
  MESSAGE_KINDS.map((kind) => [kind, responseMti(SHAPES[KIND_TRAITS[kind].send].mti)]),
)

export class Load {
  readonly journal = new Journal()
  connectionsLost = 0
  /** Answers of which MAC and chip's cryptogram were checked, and those that did not fit: each of these is an error too. */
  answersChecked = 0
  answersWrong = 0
  /** In the last run all that was made before had been sent before its time was over. */
  ranOut = false
  readonly #options: LoadOptions
  readonly #random: Random
  readonly #households: HouseholdChooser
  readonly #rules = programmeRules()
  readonly #moments = new MomentSource()
  readonly #reader: AnswerReader
  readonly #linksOf = new Map<SecurityName, readonly Link[]>()
  readonly #chips: Chips | undefined
  readonly #pins: PinTable | undefined
  readonly #samples = new Map<Lane, Map<number, VirtualChip>>()
  /** Where each lane was when the present run began: what is before belongs to an earlier one. */
  readonly #runBegan = new Map<Lane, number>()
  #links: readonly Link[] = []
  #answersASecond: number | undefined
  #mix: Mix = MIXES.purchase
  #measurement = new Measurement(0, 0)
  #loadEndMs = 0
  #stopped = false
  #preparedFor: string | undefined
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
    const { securities = ['none'], households } = options
    const isPrepared = securities.some((name) => SECURITY[name].chip)
    this.#chips = isPrepared ? new Chips(households) : undefined
    this.#pins = securities.some((name) => SECURITY[name].pin) ? new PinTable(households) : undefined
    const lanes = openLanes(this.journal, classes, options.connections, isPrepared)
    for (const security of securities) {
      const target = { ...options, port: options.ports?.[security] ?? options.port }
      const { pin, mac, chip } = SECURITY[security]
      const means = { pans, pins: pin ? this.#pins : undefined, macKey: mac ? macKey() : undefined, isPrepared: chip }
      const link = (ofConnection: ConnectionLanes): Link => new Link(target, events, means, ofConnection)
      this.#linksOf.set(security, lanes.map(link))
    }
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
    await Promise.all(this.#allLinks().map((link) => link.open()))
  }

  /** What has to be made before the clock of a run starts. `run` does it where it was not done. */
  async prepare(mix: MixName, security: SecurityName = 'none'): Promise<void> {
    const links = this.#linksOf.get(security)
    if (links === undefined) throw new RangeError(`the load was not made for security ${security}`)
    this.#links = links
    this.#mix = MIXES[mix]
    this.ranOut = false
    this.#samples.clear()
    if (SECURITY[security].chip) await this.#prepareMessages()
    this.#preparedFor = `${mix} ${security}`
  }

  /** Warm-up, measured time, and the last answers. Resolves early after `stop`. */
  async run(mix: MixName, security: SecurityName = 'none'): Promise<Measurement> {
    const { warmupSeconds, seconds, rate } = this.#options
    if (this.#preparedFor !== `${mix} ${security}`) await this.prepare(mix, security)
    this.#preparedFor = undefined
    if (this.#stopped) return this.#measurement
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
    const answersASecond = this.#measurement.answersInTime / Math.max(this.#measurement.seconds, 1)
    this.#answersASecond = Math.max(answersASecond, this.#answersASecond ?? 0)
    return this.#measurement
  }

  /** Makes more messages than can be answered within the run, as far as that is known, but no more than fit. */
  async #prepareMessages(): Promise<void> {
    const { rate, warmupSeconds, seconds, preparedRate = PREPARED_RATE, spec, onPrepared } = this.#options
    const known = this.#answersASecond
    const aSecond = rate ?? (known === undefined ? preparedRate : Math.max(known, PREPARED_RATE_MIN))
    const wanted = aSecond * PREPARED_SPARE * (warmupSeconds + seconds)
    const each = Math.ceil(Math.min(PREPARED_MAX, wanted) / this.#links.length) + this.#options.inFlight
    const all = each * this.#links.length
    const [pins, chips, nowMs] = [this.#pins, this.#chips, Date.now()]
    if (pins === undefined || chips === undefined) throw new RangeError('messages are made before where cards have chips')
    const moment = this.#moments.at(nowMs)
    let done = 0
    for (const link of this.#links) {
      const template = ({ lane, message }: Draft, chipData: Buffer | undefined): MessageTemplate =>
        link.template(lane, message.kind, chipData)
      const preparing = new Preparing({ spec, pins, chips, macKey: macKey(), template }, moment, nowMs)
      const messages: PreparedMessage[] = []
      while (messages.length < each && !this.#stopped) {
        const count = Math.min(PREPARED_CHUNK, each - messages.length)
        messages.push(...preparing.make(Array.from({ length: count }, () => this.#draft(link, moment.transmission))))
        onPrepared?.((done += count), all)
        // Ctrl-C is heard meanwhile.
        await new Promise((resolve) => setImmediate(resolve))
      }
      link.prepare(messages)
    }
  }

  /** No more messages become due. */
  stop(): void {
    this.#stopped = true
    this.#loadEndMs = performance.now()
  }

  async close(): Promise<void> {
    await Promise.all(this.#allLinks().map((link) => link.close()))
  }

  #allLinks(): Link[] {
    return [...this.#linksOf.values()].flat()
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
    this.#options.onOutcome?.(dueMs, nowMs, undefined)
  }

  #send(link: Link, dueMs: number): void {
    const followUp = link.nextFollowUp()
    const prepared = followUp === undefined && link.isPrepared ? link.takePrepared() : undefined
    if (followUp === undefined && link.isPrepared && prepared === undefined) {
      this.#runOut()
      return
    }
    this.#outstanding++
    this.#measurement.due(dueMs)
    if (followUp !== undefined) this.#sendFollowUp(link, followUp, dueMs)
    else if (prepared !== undefined) this.#sendPrepared(link, prepared, dueMs)
    else {
      const moment = this.#moments.at(Date.now())
      const { lane, message, sequel } = this.#draft(link, moment.transmission)
      const { n, bytes } = link.send(lane, { ...message, dueMs }, moment, undefined)
      lane.expect(n, sequel, bytes)
    }
  }

  #sendPrepared(link: Link, prepared: PreparedMessage, dueMs: number): void {
    const n = link.sendPrepared(prepared, dueMs)
    const { lane, sequel, bytes, chip } = prepared
    lane.expect(n, sequel, bytes)
    if (chip === undefined) return
    const samples = this.#samples.get(lane) ?? new Map<number, VirtualChip>()
    this.#samples.set(lane, samples.set(n, chip))
  }

  /** Going on with the other connections would measure something else. */
  #runOut(): void {
    this.ranOut = true
    this.#measurement.endAt(performance.now())
    this.#loadEndMs = 0
  }

  /** What is to be sent next. */
  #draft(link: Link, transmission: number): Draft {
    const scenario = chooseScenario(this.#mix.scenarios, this.#random)
    const { kind } = scenario
    const lane = link.laneOfClass(scenario.terminalClass)
    const household = this.#households.choose(kind, lane.terminal.governorate)
    const loavesMax = kind === 'bread' ? this.#rules.loavesADay(this.#households.breadMembers(household)) : 0
    const { amount, loaves } = chooseQuantity(kind, this.#random, this.#rules, loavesMax)
    const message = { kind, household, amount, loaves, transmission }
    return { lane, message, sequel: chooseSequel(this.#mix, scenario, this.#random) }
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
      // What was made before has lanes of its own.
      link.laneOfClass(lane.terminal.class, false),
      { kind, household: lane.household(n), amount: lane.amount(n), loaves: lane.loaves(n), transmission, dueMs },
      moment,
      { lane, n },
    )
  }

  #received(link: Link, payload: Buffer): void {
    const nowMs = performance.now()
    const answer = this.#reader.read(payload)
    const found = answer === undefined ? undefined : link.find(answer)
    if (answer === undefined || found === undefined) {
      this.#measurement.unexpected()
      return
    }
    const { lane, n } = found
    if (answer.mti !== ANSWER_MTI.get(lane.kind(n)) || n < (this.#runBegan.get(lane) ?? 0)) {
      this.#measurement.unexpected()
      return
    }
    const repeat = lane.repeat(n)
    if (lane.answer(n, answer.responseCode)) {
      this.#measurement.answered(lane.dueMs(n), nowMs, answer.responseCode)
      this.#options.onOutcome?.(lane.dueMs(n), nowMs, answer.responseCode)
      this.#checkSample(lane, n, payload)
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

  /** Is it the switch's answer, and the issuer's? */
  #checkSample(lane: Lane, n: number, payload: Buffer): void {
    const chip = this.#samples.get(lane)?.get(n)
    if (chip === undefined) return
    this.answersChecked++
    const frame = Buffer.from(payload)
    const decoded = decode(this.#options.spec, frame)
    const mac = decoded.ok ? macOf(decoded.message, frame) : undefined
    const isAuthentic = mac !== undefined && macKey().mac(mac.data).subarray(0, mac.given.length).equals(mac.given)
    const chipData = decoded.ok ? decoded.message.bytes(55) : undefined
    if (isAuthentic && chipData !== undefined && chip.acceptResponse(chipData)) return
    this.answersWrong++
    this.#measurement.unexpected()
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
        if (lane.responseCode(n) !== undefined) continue
        this.#measurement.lost(lane.dueMs(n), nowMs)
        this.#options.onOutcome?.(lane.dueMs(n), nowMs, undefined)
      }
      for (const dueMs of lane.endRepeats()) this.#measurement.lost(dueMs, nowMs)
    }
    this.#outstanding = 0
    for (const link of this.#links) link.reset()
  }
}

/** Development keys of one kind have one value on all links. */
function macKey(): KeyHandle {
  return demoKeys().find(macKeyOf('pos'), 'M6')
}

function wait(delayMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, delayMs))
}
