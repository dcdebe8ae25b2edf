/**
 * Keeps Redis up with the ledger: what was read from the ledger goes there, and what a commit changed beside the purse that it settled. Nothing
 * depends on it but speed; what Redis is not told, a guard of the ledger finds.
 */
import { countedPin, oneMorePin, type CountedPin } from './decision/countedPins.ts'
import type { PurseFound } from './decision/hotOutcomes.ts'
import type { CommittedPurse, HotState, Settlement } from './decision/hotState.ts'
import { HotStateUnavailable } from './decision/hotState.ts'
import { tellCountedPins } from './decision/standInState.ts'
import type { Clock } from './clock.ts'
import type { Config } from './config.ts'
import type { CardAndPurses } from './ledger/cards.ts'
import type { CommitItem, PurseState, StoredAnswer } from './ledger/commitItem.ts'
import type { Ledger } from './ledger/ledger.ts'
import { errorText, type Logger } from './log.ts'
import type { AuthorizationMetrics } from './metrics.ts'
import { standInRulesOf, type Passage } from './passage.ts'
import type { PurseSnapshot } from './purse/purse.ts'
import type { AuthorizationResult } from './response/result.ts'
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
  /** One after the other: each goes on top of the one before. */
  #tellingPins: Promise<void> = Promise.resolve()
  #pinsUnderWay = 0
  #isPinTimerSet = false

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
    await this.#tellingPins
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
  giveBack(passage: Passage, result: AuthorizationResult | undefined): void {
    const { verified, card, place, standsIn } = passage
    // The ledger was given it and has not said what became of it: a wrong PIN of it may be counted.
    if (place === 'ledger' && !standsIn && verified?.pin === 'wrong' && card !== undefined) this.#tellPin(oneMorePin(card))
    if (passage.counted.length + passage.failures.length === 0 || !this.#parts.hotState.up) return
    if (result?.replayed === true) {
      passage.counted = passage.counted.filter(({ name }) => name.startsWith('pin:'))
      passage.failures = []
    }
    this.#returning.push(passage)
  }

  /** What a commit changed beside its purse: cards, and a second purse. */
  afterCommit(passage: Passage, { cardUpdate, second, key, verification }: CommitItem, purse: PurseState | undefined): void {
    if (second !== null && purse?.secondVersion !== undefined) {
      const moved = { version: purse.secondVersion, delta: second.delta }
      this.#parts.settle({ key, purseId: second.purseId, state: undefined, moved })
    }
    const { card } = passage
    const tries = verification?.pin === 'right' ? 0 : purse?.tries
    if (card !== undefined && (verification?.pin === 'wrong' || verification?.pin === 'right'))
      this.#tellPin(tries === undefined ? oneMorePin(card) : countedPin(card, tries))
    if (!this.#parts.hotState.up) return
    // Of a cryptogram that stand-in would take nobody but Redis could say then that it was used.
    const isUsed = (verification?.atc ?? null) !== null && standInRulesOf(passage) !== undefined
    if (isUsed || verification?.pin === 'wrong' || verification?.pin === 'right' || verification?.scriptSent === true)
      this.#reloading.push(passage.transaction.cardToken)
    if (cardUpdate === null) return
    this.#reloading.push(cardUpdate.token)
    if (cardUpdate.token !== passage.transaction.cardToken) this.#reloading.push(passage.transaction.cardToken)
  }

  /** Its key was there: it was this message's own, whose first answer from the ledger was lost, or that of another copy. */
  wasThere({ card, verified }: Passage, { reason, quantity }: StoredAnswer): void {
    if (verified?.pin !== 'wrong' || card === undefined || reason !== 'pin_wrong') return
    // One that was counted before this card was read is in the card.
    if (quantity !== null && quantity > card.pinTries) this.#tellPin(countedPin(card, quantity))
  }

  /** Redis knows of each wrong PIN that this process has had counted, as far as it has to. */
  get hasToldPins(): boolean {
    return this.#pinsUnderWay + this.#parts.hotState.untoldPins.length === 0
  }

  #tellPin(pin: CountedPin): void {
    const { hotState } = this.#parts
    if (hotState.untoldPins.length >= UNTOLD_PINS_MAX) return
    hotState.untoldPins.push(pin)
    if (hotState.up) void this.#tellPins()
    else this.#tellPinsLater()
  }

  async #tellPins(): Promise<void> {
    this.#tellingPins = this.#tellingPins.then(() => this.#tellPinsNow())
    await this.#tellingPins
  }

  async #tellPinsNow(): Promise<void> {
    const { hotState, config, log } = this.#parts
    while (hotState.up && hotState.untoldPins.length > 0) {
      const { epoch } = hotState
      const pins = hotState.untoldPins.splice(0, config.redis.batchMax)
      this.#pinsUnderWay = pins.length
      try {
        await tellCountedPins(hotState, pins)
        this.#pinsUnderWay = 0
      } catch (error) {
        log.warn({ stage: 'pins', count: pins.length, error: errorText(error) }, 'Redis is told of wrong PINs a little later')
        // In another epoch it has the cards as the ledger has them, or has to ask. What it did not confirm it may have done: the same once more is not one more.
        if (hotState.epoch === undefined || hotState.epoch === epoch)
          hotState.untoldPins.unshift(...pins.map((pin) => ({ ...pin, isOnTop: false })))
        this.#pinsUnderWay = 0
        this.#tellPinsLater()
        return
      }
    }
  }

  #tellPinsLater(): void {
    const { clock, config, hotState } = this.#parts
    if (this.#isPinTimerSet) return
    this.#isPinTimerSet = true
    clock.after(config.redis.reconnectMs, () => {
      this.#isPinTimerSet = false
      if (hotState.closed || hotState.untoldPins.length === 0) return
      if (hotState.up) void this.#tellPins()
      else this.#tellPinsLater()
    })
  }

  async #return(batch: Passage[]): Promise<void> {
    const failed = batch.filter(({ verified }) => verified?.pin === 'wrong')
    // First it is counted, then the attempt is given back: nobody has a try more in between. Where Redis fails just then it is told a little later.
    if (!this.hasToldPins) await this.#tellPins()
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

/** Above that many, what a long time without Redis has kept from it is known when their cards are read again. */
const UNTOLD_PINS_MAX = 100_000

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
