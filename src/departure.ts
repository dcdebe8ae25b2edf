/** The end of a message's way: the answer to a chip gets its cryptogram, whoever asked is told, and it is under way no more. */
import { chipAnswers } from './chipAnswer.ts'
import type { Clock } from './clock.ts'
import { errorText, type Logger } from './log.ts'
import type { AuthorizationMetrics } from './metrics.ts'
import type { Answered, Passage } from './passage.ts'
import type { AuthorizationResult } from './response/result.ts'
import type { Hsm } from './security/hsm.ts'
import { Stage } from './stage.ts'

export interface DepartureParts {
  readonly hsm: Hsm
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: AuthorizationMetrics
  readonly config: { readonly redis: { readonly batchMax: number; readonly callsInFlightMax: number } }
}

export class Departure {
  readonly #parts: DepartureParts
  readonly #sealing: Stage<Answered>
  #underWay = 0
  #wakeIdle: (() => void)[] = []

  constructor(parts: DepartureParts) {
    this.#parts = parts
    const { batchMax, callsInFlightMax } = parts.config.redis
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
    return this.#underWay
  }

  /** One more is under way. */
  expect(): void {
    this.#underWay++
  }

  /** The answer to a chip carries a cryptogram of its own. */
  answer(passage: Passage, result: AuthorizationResult | undefined): void {
    // What stand-in has told was answered then; nobody waits for it but the drain.
    if (passage.drained !== undefined) passage.drained.settle(result?.reason === 'fault' ? 'failed' : undefined)
    else if (result === undefined || passage.verified?.session === undefined) this.#tell(passage, result)
    else this.#sealing.push({ passage, result })
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    if (this.#underWay === 0) return
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

  #tell(passage: Passage, result: AuthorizationResult | undefined): void {
    const { metrics, clock, log } = this.#parts
    this.#underWay--
    metrics.answered(passage.asked.kind, result?.responseCode ?? 'none', clock.now() - passage.receivedMs)
    try {
      passage.respond(result)
    } catch (error) {
      log.error({ stage: 'respond', error: errorText(error) }, 'fault')
    }
    if (this.#underWay > 0) return
    const wake = this.#wakeIdle
    this.#wakeIdle = []
    for (const resolve of wake) resolve()
  }
}
