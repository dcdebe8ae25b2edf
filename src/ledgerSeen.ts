/**
 * Whether other processes reach the ledger while this one does not. Then it is not the ledger that is away: whoever sends to this process is better served by
 * the others, and each approval that it told in stand-in would put all of them into stand-in. They say so to each other in Redis, once a second.
 */
import { randomUUID } from 'node:crypto'
import type { Clock } from './clock.ts'
import type { HotState } from './decision/hotState.ts'
import { redisScript } from './decision/redisLink.ts'
import { ifUnavailable } from './upkeep.ts'

const SCRIPT = redisScript('ledgerSeen.lua')
const EVERY_MS = 1000
/** Two words may be lost. */
const HOLDS_MS = 3000

export interface LedgerSeenParts {
  readonly ledger: { readonly available: boolean }
  readonly hotState: HotState
  readonly clock: Clock
}

export class LedgerSeen {
  readonly #parts: LedgerSeenParts
  readonly #name = randomUUID()
  #byOthers = false
  #cancel: (() => void) | undefined
  #round: Promise<void> | undefined

  constructor(parts: LedgerSeenParts) {
    this.#parts = parts
  }

  /** As far as Redis has said; of no meaning while this process reaches the ledger itself. */
  get byOthers(): boolean {
    return this.#byOthers
  }

  start(): void {
    this.#round = this.#tellOrAsk().then(() => {
      this.#round = undefined
      this.#cancel = this.#parts.clock.after(EVERY_MS, () => {
        this.start()
      })
    })
  }

  async stop(): Promise<void> {
    await this.#round
    this.#cancel?.()
  }

  async #tellOrAsk(): Promise<void> {
    const { ledger, hotState } = this.#parts
    if (!hotState.up) return
    const holdsMs = ledger.available ? HOLDS_MS : 0
    const asked = Promise.resolve(hotState.run(SCRIPT, ['ledger-seen'], [this.#name, String(holdsMs)]))
    this.#byOthers = (await asked.catch(ifUnavailable(0))) === 1
  }
}
