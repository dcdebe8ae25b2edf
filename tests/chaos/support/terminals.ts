/**
 * Terminals that behave as terminals do. Each has one message under way. What is not answered in time is sent again, as a repeat with the same
 * key, to either switch process; a sale that is not answered then either is given up and reversed. A reversal, a completion, a refund and a deposit are
 * sent until they are answered, however long that takes. Some terminals have a line of their own, others share one.
 *
 *   demand --answered--> approved --> (complete | refund | reverse) | declined
 *      |
 *      +--never answered--> reverse --answered--> given back
 *      +--terminal broke--> abandoned: nobody will ever ask again
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { HouseholdChooser } from '../../../benchmarks/support/householdChooser.ts'
import { programmeRules } from '../../../benchmarks/support/programmeRules.ts'
import type { Random } from '../../../benchmarks/support/random.ts'
import { decode } from '../../../src/iso8583/decode.ts'
import { demoPan, demoTerminals, type DemoTerminal } from '../../../src/programme/demo.ts'
import { breadPurseOf, pointsPurseOf, purseIdOfHousehold, rationPurseOf } from '../../../src/programme/seed.ts'
import { isApproval, isForLater, Journal, type Answer, type Demand, type Holder, type MessageKind, type Sent } from './journal.ts'
import { Line } from './line.ts'
import { keyOfAnswer, newMessage, SPEC, type NewMessage } from './messages.ts'

export interface TerminalsOptions {
  readonly ports: readonly number[]
  readonly terminals: number
  readonly households: number
  /** Cards with little money, which many terminals buy with at once. */
  readonly poor: readonly Holder[]
  readonly random: Random
  /** The longest pause between two sales of a terminal. */
  readonly thinkMs: number
}

/** Told of each approval: when it was first asked for, and where it was answered. */
export type ApprovalWatcher = (answer: Answer, firstSentMs: number) => void

/** Of 100 terminals so many of each class. */
const CLASSES: readonly (readonly [terminalClass: string, percent: number])[] = [
  ['pos', 58],
  ['bakery', 14],
  ['grocer', 12],
  ['atm', 10],
  ['post-office', 6],
]
/** One in so many shops' terminals is behind a gateway. */
const SHARED_EACH = 3
const GATEWAYS = 2
const PATIENCE_LEAST_MS = 900
const PATIENCE_MOST_MS = 2600
const TRIES_MOST = 3
const RETRY_MS = 120
/** Of 100 cash sales so many are on a poor card. */
const POOR_PERCENT = 40
const NOTE = 5000

export class Terminals {
  readonly journal = new Journal()
  readonly #options: TerminalsOptions
  readonly #households: HouseholdChooser
  readonly #gateways: readonly Line[]
  readonly #free: Map<string, DemoTerminal[]>
  readonly #terminals = new Set<Terminal>()
  readonly #lives: Promise<void>[] = []
  readonly #watchers = new Set<ApprovalWatcher>()
  #open = true
  #approvals = 0

  constructor(options: TerminalsOptions) {
    this.#options = options
    this.#households = new HouseholdChooser(options.households, options.random)
    this.#gateways = Array.from({ length: GATEWAYS }, () => this.#line(true))
    // Bread that a wallet pays for moves two purses: the second bakery has that, and comes first.
    this.#free = new Map(CLASSES.map(([name]) => [name, active(name)]))
  }

  get approvals(): number {
    return this.#approvals
  }

  get isOpen(): boolean {
    return this.#open
  }

  start(): void {
    for (const [terminalClass, percent] of CLASSES) {
      const count = Math.max(1, Math.round((this.#options.terminals * percent) / 100))
      for (let n = 0; n < count; n++) this.#add(terminalClass, n)
    }
  }

  /** Nothing new; resolves when every terminal has been told what it asked for, at the latest after `withinMs`. */
  async finish(withinMs: number): Promise<void> {
    this.#open = false
    const patience = new AbortController()
    await Promise.race([Promise.all(this.#lives), sleep(withinMs, undefined, { signal: patience.signal }).catch(() => undefined)])
    patience.abort()
    this.close()
  }

  /** Ends all of them as they are. */
  close(): void {
    this.#open = false
    for (const terminal of this.#terminals) terminal.breakDown()
    for (const gateway of this.#gateways) gateway.close()
  }

  /** So many are switched off for good, and replaced: what they have not been told they never will be. */
  breakDown(count: number): void {
    const own = [...this.#terminals].filter((terminal) => !terminal.isShared && terminal.isWaiting)
    for (const terminal of own.slice(0, count)) {
      terminal.breakDown()
      this.#terminals.delete(terminal)
      this.#add(terminal.class, 1)
    }
  }

  watch(watcher: ApprovalWatcher): () => void {
    this.#watchers.add(watcher)
    return () => this.#watchers.delete(watcher)
  }

  approved(sent: Sent, answer: Answer): void {
    this.#approvals++
    for (const watcher of this.#watchers) watcher(answer, sent.sendings[0]?.atMs ?? 0)
  }

  /** A sale that a terminal of this class may have. */
  demand(terminal: DemoTerminal): NewMessage {
    const { random } = this.#options
    const upTo = (most: number): number => 100 + random.below(most - 99)
    const make = (kind: Demand, amount: number, loaves = 0): NewMessage => ({
      kind,
      terminal,
      holder: this.#holder(kind, terminal),
      amount,
      loaves,
      original: undefined,
    })
    switch (terminal.class) {
      case 'atm':
        return make('withdrawal', NOTE)
      case 'post-office':
        return make('deposit', upTo(6000))
      case 'bakery': {
        const loaves = 1 + random.below(5)
        return make('bread', loaves * programmeRules().loafPrice, loaves)
      }
      case 'grocer':
        return random.below(4) === 0 ? make('points', upTo(300)) : make('ration', upTo(2000))
      default:
        return make(random.below(4) === 0 ? 'authorize' : 'purchase', upTo(5000))
    }
  }

  #holder(kind: Demand, terminal: DemoTerminal): Holder {
    const { random, poor } = this.#options
    const isCash = kind === 'purchase' || kind === 'authorize' || kind === 'withdrawal' || kind === 'deposit'
    // Half of what is drawn by wallet is on few cards too, so that both of its purses are wanted at once.
    const wanted = isCash ? POOR_PERCENT : terminal.wallet ? POOR_PERCENT / 2 : 0
    if (random.below(100) < wanted) return poor[random.below(poor.length)]!
    const household = this.#households.choose(kind, terminal.governorate)
    return {
      pan: demoPan(household),
      purses: {
        cash: purseIdOfHousehold(household),
        ration: rationPurseOf(household),
        bread: breadPurseOf(household),
        points: pointsPurseOf(household),
      },
    }
  }

  #add(terminalClass: string, n: number): void {
    const terminal = this.#free.get(terminalClass)?.pop()
    if (terminal === undefined) return
    const isShared = terminalClass === 'pos' && n % SHARED_EACH === 0
    const line = isShared ? this.#gateways[n % GATEWAYS]! : this.#line(false)
    const added = new Terminal(terminal, line, isShared, this, this.#options)
    this.#terminals.add(added)
    this.#lives.push(added.live())
  }

  #line(shared: boolean): Line {
    const { ports, random } = this.#options
    const line: Line = new Line({
      ports,
      random,
      shared,
      onPayload: (payload, host) => {
        this.#answered(line, payload, host)
      },
    })
    return line
  }

  #answered(line: Line, payload: Buffer, host: number): void {
    const decoded = decode(SPEC, payload)
    if (!decoded.ok) throw new Error(`an answer cannot be read: ${decoded.error.path}`)
    const { message } = decoded
    const key = keyOfAnswer(message)
    this.journal.find(key)?.answers.push({
      atMs: Date.now(),
      host,
      responseCode: message.text(39) ?? '',
      amount: Number(message.text(4) ?? 0),
      approvalCode: message.text(38),
    })
    line.answered(key)
  }
}

class Terminal {
  readonly #terminal: DemoTerminal
  readonly #line: Line
  readonly #all: Terminals
  readonly #options: TerminalsOptions
  readonly isShared: boolean
  #broken = false
  #stan = 0
  #waiting: Sent | undefined

  constructor(terminal: DemoTerminal, line: Line, isShared: boolean, all: Terminals, options: TerminalsOptions) {
    this.#terminal = terminal
    this.#line = line
    this.isShared = isShared
    this.#all = all
    this.#options = options
  }

  get class(): string {
    return this.#terminal.class
  }

  /** It has sent something that it was not told about yet. */
  get isWaiting(): boolean {
    return this.#waiting !== undefined
  }

  breakDown(): void {
    this.#broken = true
    if (this.#waiting !== undefined) this.#waiting.abandoned = true
    if (!this.isShared) this.#line.close()
  }

  async live(): Promise<void> {
    const { random, thinkMs } = this.#options
    while (this.#isOn() && this.#all.isOpen) {
      await sleep(random.below(thinkMs + 1))
      if (this.#isOn() && this.#all.isOpen) await this.#sell(this.#all.demand(this.#terminal))
    }
    if (!this.isShared) this.#line.close()
  }

  /** Asked anew each time: it breaks while it waits. */
  #isOn(): boolean {
    return !this.#broken
  }

  async #sell(message: NewMessage): Promise<void> {
    const { random } = this.#options
    const isSale = message.kind !== 'deposit'
    const sale = await this.#ask(message, isSale ? 1 + random.below(TRIES_MOST) : Infinity)
    if (!this.#isOn()) return
    if (sale.told === undefined) {
      await this.#follow('reversal', sale, message.amount)
      return
    }
    if (!isApproval(sale.told.responseCode) || !isSale) return
    const { amount } = sale.told
    const chance = random.below(100)
    if (message.kind === 'authorize') {
      if (chance < 85) await this.#follow('complete', sale, Math.max(1, amount - random.below(300)))
      else await this.#follow('reversal', sale, message.amount)
    } else if (chance < 15) await this.#follow('reversal', sale, message.amount)
    else if (chance < 30 && (message.kind === 'purchase' || message.kind === 'ration')) {
      const part = message.kind === 'purchase' && chance < 20 ? Math.max(1, amount >> 1) : amount
      await this.#follow('refund', sale, part)
    }
  }

  async #follow(kind: MessageKind, original: Sent, amount: number): Promise<void> {
    const { terminal, holder, loaves } = original
    await this.#ask({ kind, terminal, holder, amount, loaves, original }, Infinity)
  }

  /** @param tries how often it is sent before it is given up; what is sent without end takes no 91 for an answer */
  async #ask(message: NewMessage, tries: number): Promise<Sent> {
    const { random } = this.#options
    const { sent, bytes } = newMessage(message, ++this.#stan, Date.now())
    this.#all.journal.add(sent)
    this.#waiting = sent
    for (let tried = 0; tried < tries && this.#isOn(); tried++) {
      // It may have come meanwhile, on a line that is shared.
      if (tried > 0) await sleep(RETRY_MS + random.below(RETRY_MS))
      if (this.#isTold(sent, tries)) break
      const patienceMs = PATIENCE_LEAST_MS + random.below(PATIENCE_MOST_MS - PATIENCE_LEAST_MS)
      await this.#line.exchange(sent.key, tried === 0 ? bytes.first : bytes.repeat, patienceMs, (host) => {
        sent.sendings.push({ atMs: Date.now(), host })
      })
      if (this.#isTold(sent, tries)) break
    }
    if (this.#isOn()) this.#waiting = undefined
    return sent
  }

  #isTold(sent: Sent, tries: number): boolean {
    const answer = tries === Infinity ? sent.answers.find((one) => !isForLater(one.responseCode)) : sent.answers[0]
    if (answer === undefined || !this.#isOn()) return false
    sent.told = answer
    if (isApproval(answer.responseCode)) this.#all.approved(sent, answer)
    return true
  }
}

/** The last comes first: suspended ones are left out, and so are the outlets where nobody lives. */
function active(terminalClass: string): DemoTerminal[] {
  return demoTerminals()
    .filter((terminal) => terminal.class === terminalClass && terminal.state === 'ACTIVE')
    .toReversed()
}
