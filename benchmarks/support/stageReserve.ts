/**
 * Reserving in Redis alone: batches of purchases on loaded purses, each call settling what the call before had reserved, as the switch does
 * it. As many calls are under way as the switch allows.
 */
import type { Config } from '../../src/config.ts'
import { cairoDay, systemClock } from '../../src/clock.ts'
import { HotState, type CommittedPurse, type Reservation, type Settlement } from '../../src/decision/hotState.ts'
import { silentLogger } from '../../src/log.ts'
import { purseIdOfHousehold } from '../../src/programme/seed.ts'
import { BATCH_SIZES, stageKey } from './stageItems.ts'
import type { StageMeasure } from './stage.ts'

const SHARD = 0
const EPOCH = 1
const AMOUNT = 100
const BALANCE = 1_000_000_000

export interface ReserveStages {
  readonly measures: readonly StageMeasure[]
  close(): Promise<void>
}

export async function reserveStages(config: Config, households: number): Promise<ReserveStages> {
  const hotState = new HotState({
    ...config.redis,
    url: config.redisUrl,
    shard: SHARD,
    // There is no ledger behind this stage that could say otherwise.
    epochs: { agree: async () => EPOCH },
    clock: systemClock,
    log: silentLogger,
  })
  await hotState.open()
  for (let from = 1; from <= households; from += config.redis.batchMax) {
    const count = Math.min(config.redis.batchMax, households - from + 1)
    await hotState.put(
      EPOCH,
      [],
      Array.from({ length: count }, (_, i) => purse(from + i, 1)),
    )
  }
  const caller = new Caller(hotState, households)
  return {
    measures: BATCH_SIZES.map((size) => ({
      stage: 'reserve',
      variant: String(size),
      run: async (forMs) => {
        const endMs = performance.now() + forMs
        const calls = Array.from({ length: config.redis.callsInFlightMax }, () => caller.reserve(size, endMs))
        return (await Promise.all(calls)).reduce((sum, items) => sum + items, 0)
      },
    })),
    close: () => hotState.close(),
  }
}

class Caller {
  readonly #hotState: HotState
  readonly #households: number
  #count = 0

  constructor(hotState: HotState, households: number) {
    this.#hotState = hotState
    this.#households = households
  }

  /** @returns how many were reserved */
  async reserve(size: number, endMs: number): Promise<number> {
    let reserved = 0
    let settlements: Settlement[] = []
    do {
      const reservations = Array.from({ length: size }, () => this.#next())
      const outcomes = await this.#hotState.reserve(settlements, reservations)
      if (outcomes.some((outcome) => outcome !== 'reserved')) throw new Error(`not reserved: ${outcomes.join(' ')}`)
      settlements = reservations.map(({ key, purseId }) => ({ key, purseId, state: undefined }))
      reserved += size
    } while (performance.now() < endMs)
    await this.#hotState.reserve(settlements, [])
    return reserved
  }

  #next(): Reservation {
    const count = this.#count++
    return {
      ...stageKey(count),
      body: String(count),
      purseId: purseIdOfHousehold((count % this.#households) + 1),
      debit: AMOUNT,
      gate: 1,
      setMarks: 0,
      counter: {
        group: 'spending',
        day: cairoDay(Date.now()),
        amount: AMOUNT,
        count: 1,
        amountMax: BALANCE,
        countMax: BALANCE,
      },
    }
  }
}

function purse(household: number, version: number): CommittedPurse {
  return {
    purseId: purseIdOfHousehold(household),
    version,
    balance: BALANCE,
    gate: 1,
    day: cairoDay(Date.now()),
    spentAmount: 0,
    spentCount: 0,
    withdrawnAmount: 0,
    withdrawnCount: 0,
    marks: 0,
  }
}
