/**
 * The terminals of a history: each sends its messages, waits, repeats, and reverses what it has no answer to until it is told that the reversal is
 * done. A terminal that has one copy under way and sent another cannot tell which of them a 91 is the answer to: it reverses, too.
 */
import type { MessageOutcome } from '../../src/answerMessage.ts'
import {
  compose,
  described,
  encoded,
  readAnswer,
  repeatOf,
  reversalOf,
  terminalOf,
  type Answer,
  type Composed,
} from './frames.ts'
import type { Known } from './known.ts'
import type { Model } from './model.ts'
import { REVERSIBLE, type Plan } from './plan.ts'
import type { PlannedMessage } from './planned.ts'
import type { SimulatedCard } from './programme.ts'
import type { Random } from './random.ts'
import type { SwitchProcess } from './switchProcess.ts'
import type { MessageLink } from '../../src/settings.ts'
import type { Weather } from './weather.ts'
import type { World } from './world.ts'

export interface TerminalParts {
  readonly world: World
  readonly plan: Plan
  readonly model: Model
  readonly weather: Weather
  readonly cards: readonly SimulatedCard[]
  readonly processes: readonly SwitchProcess[]
  readonly linkOf: (name: 'transmission' | 'local') => MessageLink
}

/** Reversals that terminals send of themselves have trace numbers from here on. */
const OWN_STAN = 500_000
const REVERSAL_PATIENCE_MS = 1_500

/** One message of a terminal, until it is settled for the terminal. */
interface Exchange {
  readonly known: Known
  readonly random: Random
  sent: number
  settled: boolean
}

export class Terminals {
  readonly #parts: TerminalParts
  readonly #composed = new Map<number, Known>()
  #open = 0

  constructor(parts: TerminalParts) {
    this.#parts = parts
  }

  /** Exchanges that are not settled. */
  get open(): number {
    return this.#open
  }

  send(message: PlannedMessage): void {
    const { world, cards } = this.#parts
    const card = cards[message.card]
    if (card === undefined) return
    const known = this.#known(message, card)
    const exchange: Exchange = { known, random: world.stream('terminal', message.id), sent: 0, settled: false }
    this.#open++
    this.#deliver(exchange, known.composed, message.process)
    const [copyTo = 0] = message.repeatsTo
    if (message.copyAfterMs !== undefined)
      world.schedule(message.copyAfterMs, 'copy', () => this.#deliver(exchange, known.composed, copyTo))
    if (message.abandoned) this.#settle(exchange)
    else this.#await(exchange, message.patienceMs)
  }

  /** What is planned after a message refers to it, whether it was sent or not. */
  #known(message: PlannedMessage, card: SimulatedCard): Known {
    const before = this.#composed.get(message.id)
    if (before !== undefined) return before
    const { plan, model, cards } = this.#parts
    const planned = plan.events.find((event) => event.what === 'message' && event.id === message.original)
    const original = planned?.what === 'message' ? this.#known(planned, cards[planned.card] ?? card) : undefined
    const composed = compose({
      message,
      card,
      original: original?.composed,
      originalKind: original?.kind,
      startMs: plan.startMs,
    })
    const known = model.add(composed, message, message.kind, card, original)
    this.#composed.set(message.id, known)
    return known
  }

  #await(exchange: Exchange, patienceMs: number): void {
    this.#parts.world.schedule(patienceMs, 'patience', () => {
      if (!exchange.settled) this.#again(exchange)
    })
  }

  /** No answer: the same again, or else it is taken back. */
  #again(exchange: Exchange): void {
    const { world } = this.#parts
    const { known, sent: already } = exchange
    const { planned, kind } = known
    const own = kind === 'reversal' || !REVERSIBLE.includes(kind)
    const repeats = exchange.sent - (planned.copyAfterMs === undefined ? 1 : 2)
    if (repeats < planned.repeatsMax || (own && kind !== 'balance')) {
      const to = planned.repeatsTo[already % planned.repeatsTo.length] ?? 0
      this.#deliver(exchange, repeatOf(known.composed, world.nowMs), to)
      this.#await(exchange, own ? REVERSAL_PATIENCE_MS : planned.patienceMs)
    } else {
      this.#settle(exchange)
      if (kind !== 'balance') this.#reverse(known)
    }
  }

  #reverse(known: Known): void {
    const { world, model } = this.#parts
    const composed = reversalOf(known.composed, OWN_STAN + known.planned.id, world.nowMs)
    const planned: PlannedMessage = { ...known.planned, kind: 'reversal', copyAfterMs: undefined, abandoned: false, pin: 'none' }
    const reversal = model.add(composed, planned, 'reversal', known.card, known)
    const random = world.stream('reversal', known.planned.id)
    const exchange: Exchange = { known: reversal, random, sent: 0, settled: false }
    this.#open++
    this.#deliver(exchange, composed, planned.repeatsTo[1] ?? 0)
    this.#await(exchange, REVERSAL_PATIENCE_MS)
  }

  #settle(exchange: Exchange): void {
    if (exchange.settled) return
    exchange.settled = true
    this.#open--
  }

  #deliver(exchange: Exchange, composed: Composed, to: number): void {
    const { world, weather, processes, model } = this.#parts
    const process = processes[to]
    const { known, random } = exchange
    if (process === undefined) return
    exchange.sent++
    known.copies++
    const fate = weather.fate(process.name, world.nowMs, random)
    const thereMs = 0.2 + random.fraction() * (fate === 'slow' ? 3_000 : 3)
    const backMs = 0.2 + random.fraction() * (fate === 'slow' ? 3_000 : 3)
    world.note(() => `${process.name} <- ${described(composed)}${fate === 'well' ? '' : ` (will meet: ${fate})`}`)
    if (fate === 'lostCall') return
    const frame = encoded(composed)
    const { life } = process
    const arrive = (): void => {
      if (!process.serves) return
      model.arrived(known)
      process.take(this.#parts.linkOf(terminalOf(known.planned.terminalId).link), frame, (outcome) => {
        const answer = this.#said(process, known, outcome)
        if (answer === undefined || fate === 'lostReply') return
        world.schedule(backMs, 'answer', () => this.#heard(exchange, answer))
      })
    }
    world.schedule(thereMs, 'arrives', arrive, life)
  }

  #said(process: SwitchProcess, known: Known, outcome: MessageOutcome): Answer | undefined {
    const { world, model } = this.#parts
    if (outcome.kind === 'close') world.fail(`${process.name} closed the connection: ${outcome.reason}`)
    if (outcome.kind !== 'answer') {
      world.note(() => `${process.name} -> #${Number(known.composed.fields[11])} stays without an answer`)
      return undefined
    }
    const answer = readAnswer(outcome.bytes)
    world.note(() => `${process.name} -> #${Number(known.composed.fields[11])} ${answer.mti} ${answer.code}`)
    model.answered(known, answer)
    return answer
  }

  #heard(exchange: Exchange, { code }: Answer): void {
    const { known } = exchange
    if (exchange.settled) return
    // A reversal is repeated until it is done.
    if (code === '91' && known.kind === 'reversal') return
    this.#settle(exchange)
    if (code !== '91' || known.kind === 'balance') return
    if (known.copies === 1 && known.planned.copyAfterMs === undefined) this.#parts.model.closedBy91(known)
    else if (REVERSIBLE.includes(known.kind)) this.#reverse(known)
  }
}
