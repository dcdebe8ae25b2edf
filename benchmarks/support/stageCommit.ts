/**
 * Group commit in Postgres alone: purchases on seeded purses in batches of a given size, on as many connections as the switch uses, each
 * batch one call that is on disk when it is answered.
 */
import type { Config } from '../../src/config.ts'
import { cairoDay, systemClock } from '../../src/clock.ts'
import { movementOf, NOTHING_TO_POST } from '../../src/decision/posting.ts'
import { egp } from '../../src/decision/transfers.ts'
import type { CommitItem, CommitOutcome } from '../../src/ledger/commitItem.ts'
import { Ledger } from '../../src/ledger/ledger.ts'
import { silentLogger } from '../../src/log.ts'
import { purseIdOfHousehold } from '../../src/programme/seed.ts'
import { cashAvailable, merchantAccount } from '../../src/purse/chart.ts'
import { KIND } from '../../src/transaction/transaction.ts'
import { BATCH_SIZES, stageKey } from './stageItems.ts'
import type { StageMeasure } from './stage.ts'

const SHARD = 0
const AMOUNT = 1
const MERCHANT = 1
const DEADLINE_MS = 60_000

export interface CommitStages {
  readonly measures: readonly StageMeasure[]
  close(): Promise<void>
}

export async function commitStages(config: Config, households: number): Promise<CommitStages> {
  const ledgers: Ledger[] = []
  const items = new ItemSource(households)
  const measures: StageMeasure[] = []
  for (const size of BATCH_SIZES) {
    const ledger = new Ledger({
      ...config.ledger,
      batchMax: size,
      url: config.databaseUrl,
      shard: SHARD,
      clock: systemClock,
      log: silentLogger,
    })
    await ledger.open()
    ledgers.push(ledger)
    const submitter = new Submitter(ledger, items)
    const inFlight = size * config.ledger.connections
    measures.push({ stage: 'commit', variant: String(size), run: (forMs) => submitter.run(inFlight, forMs) })
  }
  return {
    measures,
    async close() {
      await Promise.all(ledgers.map((ledger) => ledger.close()))
    },
  }
}

/** Keeps a number of items in the ledger's hands: each that is done makes room for the next, so that the batches stay full. */
class Submitter {
  readonly #ledger: Ledger
  readonly #items: ItemSource
  #endMs = 0
  #committed = 0
  #fault: Error | undefined

  constructor(ledger: Ledger, items: ItemSource) {
    this.#ledger = ledger
    this.#items = items
  }

  /** @returns how many were committed */
  async run(inFlight: number, forMs: number): Promise<number> {
    this.#endMs = performance.now() + forMs
    this.#committed = 0
    for (let i = 0; i < inFlight; i++) this.#submit()
    await this.#ledger.idle()
    if (this.#fault !== undefined) throw this.#fault
    return this.#committed
  }

  /** The ledger calls this, as the owner of every item. */
  committed(_item: CommitItem, outcome: CommitOutcome): void {
    if (outcome.kind !== 'won') this.#fault ??= new Error(`not committed: ${JSON.stringify(outcome)}`)
    this.#committed++
    if (this.#fault === undefined && performance.now() < this.#endMs) this.#submit()
  }

  #submit(): void {
    this.#ledger.submit(this, this.#items.next(), Date.now() + DEADLINE_MS)
  }
}

class ItemSource {
  readonly #households: number
  #count = 0

  constructor(households: number) {
    this.#households = households
  }

  next(): CommitItem {
    const count = this.#count++
    const purseId = purseIdOfHousehold((count % this.#households) + 1)
    const counter = {
      group: 'spending',
      day: cairoDay(Date.now()),
      amount: AMOUNT,
      count: 1,
      amountMax: null,
      countMax: null,
    } as const
    return {
      ...NOTHING_TO_POST,
      cardUpdate: null,
      verification: null,
      ...stageKey(count),
      mti: 200,
      kind: KIND.purchase,
      body: String(count),
      cardToken: 'AAAAAAAAAAAAAAAAAAAAAA',
      terminalId: 'POS00001',
      merchantId: MERCHANT,
      rrn: String(count % 1_000_000).padStart(12, '0'),
      requested: AMOUNT,
      approved: AMOUNT,
      responseCode: '00',
      reason: null,
      approvalCode: 'A1B2C3',
      movement: { ...movementOf(purseId, 1, -AMOUNT), counter },
      transfers: egp(cashAvailable(purseId), merchantAccount(MERCHANT), AMOUNT),
    }
  }
}
