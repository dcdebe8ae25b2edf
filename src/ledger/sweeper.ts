/**
 * Clears up what nobody finished:
 *
 *  - a reservation in Redis that is older than any commit can be: its key is taken by a tombstone. "Not found" alone proves
 *    nothing, since a slow batch may still commit; only if the tombstone wins was there no posting, and then it never comes. Either
 *    way the purse's committed state goes back into Redis together with the release.
 *  - a hold whose time is over: it is released, guarded by what was linked to its authorization meanwhile.
 *
 * Every process sweeps; the unique keys make that harmless.
 */
import type { Clock } from '../clock.ts'
import type { Config } from '../config.ts'
import type { HotState } from '../decision/hotState.ts'
import { movementOf, NOTHING_TO_POST } from '../decision/posting.ts'
import { egp } from '../decision/transfers.ts'
import { errorText, type Logger } from '../log.ts'
import { cashAvailable, cashHeld } from '../purse/chart.ts'
import { KIND } from '../transaction/transaction.ts'
import type { CommitItem, CommitOutcome } from './commitItem.ts'
import type { Ledger } from './ledger.ts'

export interface SweeperParts {
  readonly config: Pick<Config, 'sweeper' | 'authorization'>
  readonly ledger: Ledger
  readonly hotState: HotState
  readonly clock: Clock
  readonly log: Logger
  /** What takes the key of a reservation that came to nothing. */
  readonly voidOf: (key: string, keyDate: string) => CommitItem
}

export class Sweeper {
  readonly #parts: SweeperParts
  #cancel: (() => void) | undefined
  #running: Promise<void> = Promise.resolve()
  #stopped = false

  constructor(parts: SweeperParts) {
    this.#parts = parts
  }

  start(): void {
    if (this.#stopped) return
    this.#cancel = this.#parts.clock.after(this.#parts.config.sweeper.everyMs, () => {
      this.#running = this.sweep().then(() => {
        this.start()
      })
    })
  }

  /** Resolves when a sweep that is under way has ended. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#cancel?.()
    await this.#running
  }

  /** One round. Does not reject: what fails is tried again in the next round. */
  async sweep(): Promise<void> {
    const { ledger, hotState, log } = this.#parts
    if (!ledger.available) return
    try {
      const released = await this.#releaseHolds()
      const settled = hotState.up ? await this.#settleReservations() : 0
      if (released + settled > 0) log.info({ count: released + settled }, 'swept')
    } catch (error) {
      log.warn({ error: errorText(error) }, 'sweep failed; it is tried again')
    }
  }

  async #settleReservations(): Promise<number> {
    const { config, hotState, ledger, clock, voidOf } = this.#parts
    const { reservationAgeMs, batchMax } = config.sweeper
    const leaked = await hotState.unsettled(clock.now() - reservationAgeMs, batchMax)
    if (leaked.length === 0) return 0
    const outcomes = await Promise.all(leaked.map(({ key, keyDate }) => this.#commit(voidOf(key, keyDate))))
    const known = leaked.filter((_, index) => outcomes[index]?.kind === 'won' || outcomes[index]?.kind === 'duplicate')
    const purses = await ledger.purses([...new Set(known.map((one) => one.purseId))])
    await hotState.reserve(
      known.map(({ key, purseId }) => ({ key, purseId, state: purses.get(purseId) })),
      [],
    )
    return known.length
  }

  async #releaseHolds(): Promise<number> {
    const { config, ledger, hotState, clock } = this.#parts
    const expired = await ledger.expiredHolds(clock.now(), config.sweeper.batchMax)
    if (expired.length === 0) return 0
    const originals = await ledger.originalsByKey(expired)
    let released = 0
    for (const original of originals) {
      if (original?.purseId === undefined || original.purseId === null || original.holdRemaining === 0) continue
      const { key, keyDate, purseId, holdRemaining: amount, linked, cardToken, merchantId, terminalId } = original
      const outcome = await this.#commit({
        ...NOTHING_TO_POST,
        cardUpdate: null,
        verification: null,
        key: `release|${key}`,
        keyDate,
        mti: 0,
        kind: KIND.release,
        body: null,
        cardToken,
        terminalId,
        merchantId,
        rrn: null,
        requested: amount,
        approved: amount,
        responseCode: '00',
        reason: null,
        approvalCode: null,
        movement: { ...movementOf(purseId, null, amount), heldDelta: -amount },
        original: { key, keyDate, linked },
        transfers: egp(cashHeld(purseId), cashAvailable(purseId), amount),
        holdUsed: amount,
      })
      if (outcome.kind !== 'won') continue
      released++
      if (outcome.purse === undefined) continue
      if (!hotState.up) {
        hotState.untold.add(purseId)
        continue
      }
      await hotState.reserve([{ key, purseId, state: { ...outcome.purse, purseId, gate: 0 } }], [])
    }
    return released
  }

  async #commit(item: CommitItem): Promise<CommitOutcome> {
    const { promise, resolve } = Promise.withResolvers<CommitOutcome>()
    const deadlineMs = this.#parts.clock.now() + this.#parts.config.authorization.deadlineMs
    this.#parts.ledger.submit({ committed: (_, outcome) => resolve(outcome) }, item, deadlineMs)
    return await promise
  }
}
