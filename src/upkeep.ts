/**
 * Keeps Redis up with the ledger: what was read from the ledger goes there, and what a commit changed beside the purse that it settled. Nothing
 * depends on it but speed; what Redis is not told, a guard of the ledger finds.
 */
import type { PurseFound } from './decision/hotOutcomes.ts'
import type { CommittedPurse, HotState, Settlement } from './decision/hotState.ts'
import { HotStateUnavailable } from './decision/hotState.ts'
import type { Clock } from './clock.ts'
import type { Config } from './config.ts'
import type { CardAndPurses } from './ledger/cards.ts'
import type { CommitItem } from './ledger/commitItem.ts'
import type { Ledger } from './ledger/ledger.ts'
import { errorText, type Logger } from './log.ts'
import type { AuthorizationMetrics } from './metrics.ts'
import { standInRulesOf, type Passage } from './passage.ts'
import type { PurseSnapshot } from './purse/purse.ts'
import { Stage } from './stage.ts'

export interface UpkeepParts {
  readonly config: Pick<Config, 'redis'>
  readonly ledger: Ledger
  readonly hotState: HotState
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: AuthorizationMetrics
  /** Tells Redis the end of a reservation. */
  readonly settle: (settlement: Settlement) => void
}

interface Stale {
  readonly key: string
  readonly purseId: number
}

export class Upkeep {
  readonly #parts: UpkeepParts
  readonly #correcting: Stage<Stale>
  readonly #reloading: Stage<string>
  readonly #returning: Stage<Passage>

  constructor(parts: UpkeepParts) {
    this.#parts = parts
    const { batchMax, callsInFlightMax } = parts.config.redis
    const stage = <T>(name: string, run: (batch: T[]) => Promise<void>): Stage<T> =>
      new Stage<T>({ clock: parts.clock, batchMax, callsInFlightMax, run, onBatch: parts.metrics.batch(name) })
    this.#correcting = stage('correct', (batch) => this.#readCommitted(batch))
    this.#reloading = stage('reload', (batch) => this.#reloadChanged(batch))
    this.#returning = stage('return', (batch) => this.#return(batch))
    parts.hotState.untold.onFirst(() => {
      this.#tellLater()
    })
  }

  async idle(): Promise<void> {
    await this.#correcting.idle()
    await this.#reloading.idle()
    await this.#returning.idle()
  }

  /** Redis learns what was read from the ledger; `epoch` is that before the reading. */
  async takeOver(epoch: number | undefined, loaded: readonly CardAndPurses[]): Promise<readonly PurseFound[]> {
    if (epoch === undefined || loaded.length === 0) return []
    const cards = loaded.map(({ card }) => card)
    const purses = loaded.flatMap((one) => one.purses)
    return await this.#parts.hotState.put(epoch, cards, purses).catch(ifUnavailable([]))
  }

  /** Cards as the ledger has them now, which Redis is told too. */
  async reload(tokens: readonly string[]): Promise<Map<string, CardAndPurses>> {
    return (await this.#readAndTell(tokens)).cards
  }

  /** The same for what was refused; how Redis held it tells whether that was a race of two messages or a Redis that is wrong. */
  async lookAgain(tokens: readonly string[]): Promise<Map<string, CardAndPurses>> {
    const { cards, found } = await this.#readAndTell(tokens)
    for (const one of found) this.#parts.metrics.foundInRedis(one)
    return cards
  }

  async #readAndTell(
    tokens: readonly string[],
  ): Promise<{ readonly cards: Map<string, CardAndPurses>; readonly found: readonly PurseFound[] }> {
    const { hotState, ledger } = this.#parts
    const { epoch } = hotState
    const cards = await ledger.cards([...new Set(tokens)])
    const found = await this.takeOver(epoch, [...cards.values()])
    // What is read again has changed: a month may have been opened, of which nobody else tells Redis.
    if (found.length === 0)
      for (const { purses } of cards.values()) for (const { purseId } of purses) hotState.untold.add(purseId)
    return { cards, found }
  }

  /** Whoever committed the key may have died before Redis was told: what the ledger holds goes there with the release. */
  correct(stale: Stale): void {
    const { hotState } = this.#parts
    if (hotState.up) this.#correcting.push(stale)
    else hotState.untold.add(stale.purseId)
  }

  /**
   * An attempt that has been answered is under way no more. What its card has become is read first, so that no try is free meanwhile. Where it was
   * answered before, nothing may tell what was found this time: it stays counted, right or wrong.
   */
  giveBack(passage: Passage, replayed: boolean): void {
    if (passage.counted.length + passage.failures.length === 0 || !this.#parts.hotState.up) return
    if (replayed) {
      passage.counted = passage.counted.filter(({ name }) => name.startsWith('pin:'))
      passage.failures = []
    }
    this.#returning.push(passage)
  }

  /** What a commit changed beside its purse: cards, and a second purse. */
  afterCommit(passage: Passage, { cardUpdate, second, key, verification }: CommitItem, secondVersion?: number): void {
    if (second !== null && secondVersion !== undefined) {
      const moved = { version: secondVersion, delta: second.delta }
      this.#parts.settle({ key, purseId: second.purseId, state: undefined, moved })
    }
    if (!this.#parts.hotState.up) return
    // Of a cryptogram that stand-in would take nobody but Redis could say then that it was used.
    const isUsed = (verification?.atc ?? null) !== null && standInRulesOf(passage) !== undefined
    if (isUsed || verification?.pin === 'wrong' || verification?.pin === 'right' || verification?.scriptSent === true)
      this.#reloading.push(passage.transaction.cardToken)
    if (cardUpdate === null) return
    this.#reloading.push(cardUpdate.token)
    if (cardUpdate.token !== passage.transaction.cardToken) this.#reloading.push(passage.transaction.cardToken)
  }

  async #return(batch: Passage[]): Promise<void> {
    const failed = batch.filter(({ verified }) => verified?.pin === 'wrong')
    if (failed.length > 0) await this.#reloadChanged(failed.map(({ transaction }) => transaction.cardToken))
    await this.#parts.hotState
      .raise(
        batch.flatMap(({ counted }) => counted),
        batch.flatMap(({ failures }) => failures),
      )
      .catch(ifUnavailable([]))
  }

  async #readCommitted(batch: Stale[]): Promise<void> {
    try {
      const purses = await this.#parts.ledger.purses([...new Set(batch.map(({ purseId }) => purseId))])
      for (const { key, purseId } of batch) this.#parts.settle({ key, purseId, state: purses.get(purseId) })
    } catch (error) {
      // The reservation is left to the sweeper, which does the same; but there may be none.
      for (const { purseId } of batch) this.#parts.hotState.untold.add(purseId)
      this.#parts.log.warn({ stage: 'correct', count: batch.length, error: errorText(error) }, 'purses cannot be read')
    }
  }

  /** What moved while Redis was out of reach goes there when it is back. */
  #tellLater(): void {
    const { clock, config, hotState } = this.#parts
    clock.after(config.redis.reconnectMs, () => {
      void this.#tellUntold().then(() => {
        if (hotState.untold.size > 0 && !hotState.closed) this.#tellLater()
        else hotState.untold.wait()
      })
    })
  }

  async #tellUntold(): Promise<void> {
    const { hotState, ledger, config, log } = this.#parts
    while (hotState.up && hotState.untold.size > 0) {
      const { epoch } = hotState
      const ids = hotState.untold.take(config.redis.batchMax)
      try {
        const purses = await ledger.purses(ids)
        if (epoch !== undefined) await hotState.put(epoch, [], [...purses.values()])
      } catch (error) {
        for (const id of ids) hotState.untold.add(id)
        log.warn({ stage: 'untold', count: ids.length, error: errorText(error) }, 'Redis is told of moved purses a little later')
        return
      }
    }
  }

  async #reloadChanged(tokens: string[]): Promise<void> {
    try {
      await this.reload(tokens)
    } catch (error) {
      // They are read again when a gate does not fit.
      this.#parts.log.warn({ stage: 'reload', count: tokens.length, error: errorText(error) }, 'cards cannot be read')
    }
  }
}

/** A purse as a decision sees it, by the ledger's word alone: what others have reserved may have come to nothing. */
export function snapshotOf(purse: CommittedPurse): PurseSnapshot {
  const { balance, day, spentAmount, spentCount, withdrawnAmount, withdrawnCount, marks, items } = purse
  return { available: balance, day, spentAmount, spentCount, withdrawnAmount, withdrawnCount, marks, items: items ?? [] }
}

/** Redis may fail at any time: the line goes on without what it would have said. */
export function ifUnavailable<T>(otherwise: T): (error: unknown) => T {
  return (error) => {
    if (error instanceof HotStateUnavailable) return otherwise
    throw error
  }
}
