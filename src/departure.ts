/**
 * The end of a message's way: the answer to a chip gets its cryptogram, whoever asked is told, and it is under way no more. Whoever has to wait past
 * the deadline is told what can be told by then, or nothing.
 */
import { chipAnswers } from './chipAnswer.ts'
import type { Clock } from './clock.ts'
import type { Config } from './config.ts'
import { errorText, type Logger } from './log.ts'
import type { AuthorizationMetrics } from './metrics.ts'
import type { Answered, Passage } from './passage.ts'
import type { AuthorizationResult } from './response/result.ts'
import type { Hsm } from './security/hsm.ts'
import { Stage } from './stage.ts'
import { Watch } from './watch.ts'

export interface DepartureParts {
  readonly hsm: Hsm
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: AuthorizationMetrics
  readonly config: Pick<Config, 'authorization'> & { readonly redis: Pick<Config['redis'], 'batchMax' | 'callsInFlightMax'> }
  /** Answers a message that was not decided by its deadline. */
  readonly overdue: (passage: Passage) => void
}

export class Departure {
  readonly #parts: DepartureParts
  readonly #sealing: Stage<Answered>
  readonly #watch: Watch<Passage>
  /** How many messages with each key are under way. */
  readonly #keys = new Map<string, number>()
  #wakeIdle: (() => void)[] = []

  constructor(parts: DepartureParts) {
    this.#parts = parts
    const { batchMax, callsInFlightMax } = parts.config.redis
    const { deadlineMs, delayMaxMs } = parts.config.authorization
    this.#watch = new Watch({ clock: parts.clock, deadlineMs, delayMaxMs, overdue: (passage) => this.#overdue(passage) })
    this.#sealing = new Stage({
      clock: parts.clock,
      batchMax,
      callsInFlightMax,
      run: (batch) => this.#seal(batch),
      onBatch: parts.metrics.batch('seal'),
    })
  }

  /** Messages that have been taken and not answered yet. */
  get underWay(): number {
    return this.#watch.size
  }

  /** One more would wait for too long, or too many do already. */
  get isFull(): boolean {
    return this.underWay > this.#parts.config.authorization.queueMax || this.#watch.isCrowded
  }

  /** Even the quickest wait for too long. */
  get isCrowded(): boolean {
    return this.#watch.isCrowded
  }

  /** One more is under way. */
  expect(passage: Passage): void {
    this.#watch.enter(passage)
    const { asked } = passage
    if (asked.kind !== 'unsupported') this.#keys.set(asked.key, (this.#keys.get(asked.key) ?? 0) + 1)
  }

  /** Another message with its key is under way, and may yet be approved: this one's repeat, or what it was sent again for. */
  isAskedTwice({ asked }: Passage): boolean {
    return asked.kind !== 'unsupported' && (this.#keys.get(asked.key) ?? 0) > 1
  }

  /** Once a passage; what comes after that was too late. The answer to a chip carries a cryptogram of its own. */
  answer(passage: Passage, result: AuthorizationResult | undefined): void {
    passage.place = 'leaving'
    // What stand-in has told was answered then; nobody waits for it but the drain.
    if (passage.drained !== undefined) passage.drained.settle(result?.reason === 'fault' ? 'failed' : undefined)
    else if (result === undefined || passage.verified?.session === undefined || passage.isLate) this.#tell(passage, result)
    else this.#sealing.push({ passage, result })
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    if (this.underWay === 0) return
    const { promise, resolve } = Promise.withResolvers<undefined>()
    this.#wakeIdle.push(() => {
      resolve(undefined)
    })
    await promise
  }

  async #seal(batch: Answered[]): Promise<void> {
    try {
      const data = await chipAnswers(this.#parts.hsm, batch)
      for (const [index, { passage, result }] of batch.entries()) this.#tell(passage, { ...result, chipData: data[index] })
    } catch (error) {
      // The card will miss it; what was decided is decided.
      this.#parts.log.error({ stage: 'seal', count: batch.length, error: errorText(error) }, 'answers go without cryptogram')
      for (const { passage, result } of batch) this.#tell(passage, result)
    }
  }

  #forgetKey({ asked }: Passage): void {
    if (asked.kind === 'unsupported') return
    const others = (this.#keys.get(asked.key) ?? 1) - 1
    if (others === 0) this.#keys.delete(asked.key)
    else this.#keys.set(asked.key, others)
  }

  #overdue(passage: Passage): void {
    passage.isLate = true
    // It was decided, and waits for its cryptogram: the terminal has given up, and reverses.
    if (passage.place === 'leaving') this.#tell(passage, undefined)
    else this.#parts.overdue(passage)
  }

  #tell(passage: Passage, result: AuthorizationResult | undefined): void {
    const { metrics, clock, log } = this.#parts
    if (passage.isTold) return
    passage.isTold = true
    this.#watch.leave(passage, result !== undefined && passage.attempts > 0)
    this.#forgetKey(passage)
    metrics.answered(passage.asked.kind, result?.responseCode ?? 'none', clock.now() - passage.receivedMs)
    try {
      passage.respond(result)
    } catch (error) {
      log.error({ stage: 'respond', error: errorText(error) }, 'fault')
    }
    if (this.underWay > 0) return
    const wake = this.#wakeIdle
    this.#wakeIdle = []
    for (const resolve of wake) resolve()
  }
}
