/**
 * What the generator sent and what it was answered, for the comparison with the ledger: a few bytes a message, so that
 * millions fit. A lane is one terminal on one connection; where connections share a terminal, each has trace numbers of its own, in
 * steps. The n-th message of a lane follows from its trace number and time, so nothing has to be looked up by key.
 *
 *   outstanding --answer--> answered (response code) --ledger has it as answered--> found
 *        |
 *        +--run ended or connection lost--> stays outstanding: never answered, an error
 */
import { ACQUIRER, SHAPES } from '../../src/cli/transactionMessage.ts'
import type { DemoTerminal } from '../../src/programme/demo.ts'
import { KIND_TRAITS, MESSAGE_KINDS, type MessageKind } from './messageKinds.ts'
import type { Sequel } from './mix.ts'

const STAN_MAX = 999_999
const INITIAL_CAPACITY = 1024
const FOUND = 0x80

export interface SentMessage {
  readonly kind: MessageKind
  readonly household: number
  readonly amount: number
  /** 0 where the message is not about bread. */
  readonly loaves: number
  readonly transmission: number
  /** When it was due: the time its latency is counted from. */
  readonly dueMs: number
}

/** A message that is sent once more after its answer, and the answer that it has to get again. */
export interface Repeat {
  readonly bytes: Buffer
  /** Of the first time; undefined until it came. */
  readonly answer: Buffer | undefined
  /** When the repeat was due; undefined until it was sent. */
  readonly dueMs: number | undefined
}

/** The response codes that were seen, so that a message's outcome fits a byte. */
class ResponseCodes {
  readonly #texts: string[] = []
  readonly #numbers = new Map<string, number>()

  /** 1 or more; 0 stands for no answer. */
  number(text: string): number {
    let number = this.#numbers.get(text)
    if (number === undefined) {
      number = this.#texts.push(text)
      if (number >= FOUND) throw new RangeError('more response codes than DE 39 has use for')
      this.#numbers.set(text, number)
    }
    return number
  }

  text(number: number): string | undefined {
    return this.#texts[number - 1]
  }
}

export class Lane {
  readonly terminal: DemoTerminal
  readonly #codes: ResponseCodes
  readonly #firstStan: number
  readonly #step: number
  /** Messages until the trace numbers begin again. */
  readonly #round: number
  #count = 0
  #dueMs = new Float64Array(INITIAL_CAPACITY)
  #transmission = new Uint32Array(INITIAL_CAPACITY)
  #household = new Uint32Array(INITIAL_CAPACITY)
  #amount = new Uint32Array(INITIAL_CAPACITY)
  #loaves = new Uint16Array(INITIAL_CAPACITY)
  #kind = new Uint8Array(INITIAL_CAPACITY)
  #outcome = new Uint8Array(INITIAL_CAPACITY)
  readonly #followUps = new Map<number, MessageKind>()
  readonly #repeats = new Map<number, Repeat>()

  constructor(terminal: DemoTerminal, codes: ResponseCodes, position: number, sharers: number) {
    this.terminal = terminal
    this.#codes = codes
    this.#firstStan = 1 + position
    this.#step = sharers
    this.#round = Math.floor((STAN_MAX - this.#firstStan) / sharers) + 1
  }

  get count(): number {
    return this.#count
  }

  /** @returns the number of the message in this lane */
  add(message: SentMessage): number {
    const n = this.#count++
    if (n === this.#dueMs.length) this.#grow()
    if (n >= this.#round && this.#transmission[n - this.#round] === message.transmission) {
      throw new RangeError(`terminal ${this.terminal.terminalId} has used all its trace numbers within a second`)
    }
    this.#dueMs[n] = message.dueMs
    this.#transmission[n] = message.transmission
    this.#household[n] = message.household
    this.#amount[n] = message.amount
    this.#loaves[n] = message.loaves
    this.#kind[n] = MESSAGE_KINDS.indexOf(message.kind)
    return n
  }

  stan(n: number): number {
    return this.#firstStan + (n % this.#round) * this.#step
  }

  transmission(n: number): number {
    return this.#transmission[n] ?? 0
  }

  dueMs(n: number): number {
    return this.#dueMs[n] ?? 0
  }

  household(n: number): number {
    return this.#household[n] ?? 0
  }

  amount(n: number): number {
    return this.#amount[n] ?? 0
  }

  loaves(n: number): number {
    return this.#loaves[n] ?? 0
  }

  kind(n: number): MessageKind {
    const kind = MESSAGE_KINDS[this.#kind[n] ?? 0]
    if (kind === undefined) throw new RangeError('the journal holds kinds that it knows')
    return kind
  }

  /** The message of this trace number and time; undefined where this lane has not sent it. */
  find(stan: number, transmission: number): number | undefined {
    const offset = stan - this.#firstStan
    if (offset < 0 || offset % this.#step !== 0 || offset / this.#step >= this.#round) return undefined
    // The latest first: answers come soon.
    const inRound = offset / this.#step
    const rounds = Math.floor((this.#count - 1 - inRound) / this.#round)
    for (let n = inRound + rounds * this.#round; n >= 0; n -= this.#round) {
      if (n < this.#count && this.#transmission[n] === transmission) return n
    }
    return undefined
  }

  /** What is sent as soon as this message was answered: a repeat always, what follows it if it was approved. */
  expect(n: number, sequel: Sequel, bytes: Buffer): void {
    if (sequel === 'repeat') this.#repeats.set(n, { bytes, answer: undefined, dueMs: undefined })
    else if (sequel !== undefined) this.#followUps.set(n, sequel.then)
  }

  takeFollowUp(n: number): MessageKind | undefined {
    if (this.#followUps.size === 0) return undefined
    const kind = this.#followUps.get(n)
    if (kind !== undefined) this.#followUps.delete(n)
    return kind
  }

  /** The repeat that is to come of a message, or is under way. */
  repeat(n: number): Repeat | undefined {
    return this.#repeats.size === 0 ? undefined : this.#repeats.get(n)
  }

  changeRepeat(n: number, repeat: Repeat): void {
    this.#repeats.set(n, repeat)
  }

  /** The repeat has its answer. */
  endRepeat(n: number): void {
    this.#repeats.delete(n)
  }

  /** Gives up the repeats that are to come or under way. @returns when those that were sent were due */
  endRepeats(): number[] {
    const due = [...this.#repeats.values()].flatMap(({ dueMs }) => (dueMs === undefined ? [] : [dueMs]))
    this.#repeats.clear()
    return due
  }

  /** @returns whether this is the first answer to the message */
  answer(n: number, responseCode: string): boolean {
    if (this.#outcome[n] !== 0) return false
    this.#outcome[n] = this.#codes.number(responseCode)
    return true
  }

  responseCode(n: number): string | undefined {
    return this.#codes.text((this.#outcome[n] ?? 0) & ~FOUND)
  }

  /** The ledger holds it as it was answered. */
  markFound(n: number): void {
    this.#outcome[n] = (this.#outcome[n] ?? 0) | FOUND
  }

  wasFound(n: number): boolean {
    return ((this.#outcome[n] ?? 0) & FOUND) !== 0
  }

  #grow(): void {
    const capacity = this.#dueMs.length * 2
    const grown = <T extends Float64Array | Uint32Array | Uint16Array | Uint8Array>(larger: T, old: T): T => {
      larger.set(old)
      return larger
    }
    this.#dueMs = grown(new Float64Array(capacity), this.#dueMs)
    this.#transmission = grown(new Uint32Array(capacity), this.#transmission)
    this.#household = grown(new Uint32Array(capacity), this.#household)
    this.#amount = grown(new Uint32Array(capacity), this.#amount)
    this.#loaves = grown(new Uint16Array(capacity), this.#loaves)
    this.#kind = grown(new Uint8Array(capacity), this.#kind)
    this.#outcome = grown(new Uint8Array(capacity), this.#outcome)
  }
}

export class Journal {
  readonly #codes = new ResponseCodes()
  readonly #lanes = new Map<string, Lane[]>()

  /**
   * @param position of this lane among the `sharers` of its terminal, from 0
   */
  openLane(terminal: DemoTerminal, position: number, sharers: number): Lane {
    const lane = new Lane(terminal, this.#codes, position, sharers)
    const lanes = this.#lanes.get(terminal.terminalId)
    if (lanes === undefined) this.#lanes.set(terminal.terminalId, [lane])
    else lanes.push(lane)
    return lane
  }

  get terminalIds(): string[] {
    return [...this.#lanes.keys()]
  }

  *lanes(): Iterable<Lane> {
    for (const lanes of this.#lanes.values()) yield* lanes
  }

  /** The message that an idempotency key of the switch stands for (src/transaction/identity.ts). */
  findKey(key: string): { readonly lane: Lane; readonly n: number } | undefined {
    const [acquirer = '', terminalId = '', time = '', stan = '', messageClass = ''] = key.split('|')
    if (acquirer !== ACQUIRER.padStart(11, '0')) return undefined
    for (const lane of this.#lanes.get(terminalId) ?? []) {
      const n = lane.find(Number(stan), Number(time))
      if (n !== undefined) return messageClassOf(lane.kind(n)) === messageClass ? { lane, n } : undefined
    }
    return undefined
  }
}

/** Second digit of the MTI. */
function messageClassOf(kind: MessageKind): string {
  return SHAPES[KIND_TRAITS[kind].send].mti.charAt(1)
}
