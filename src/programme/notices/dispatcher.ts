/**
 * Sends notices. Each process has one; they share the queue: a notice is claimed for `leaseMs` in one SQL transaction, sent, and marked in another. A process
 * that dies between leaves the claim, which ends, and the notice is sent again with the same id: at least once. What fails is tried again later and later;
 * what was refused, or failed too often, is dead and waits for somebody.
 */
import { setTimeout as elapsed } from 'node:timers/promises'
import type { Clock } from '../../clock.ts'
import type { Config } from '../../config.ts'
import { NotConnected } from '../../ledger/connection.ts'
import type { Desk } from '../../ledger/programme/desk.ts'
import { claimNotices, markFailed, markSent, type ClaimedNotice } from '../../ledger/programme/noticeQueue.ts'
import { errorText, type Logger } from '../../log.ts'
import { noticeText } from '../../noticeTemplates.ts'
import { Mobile } from '../../personalData.ts'
import type { DataVault } from '../../security/dataVault.ts'
import type { NoticeProvider, SendOutcome } from './provider.ts'
import { receiveReceipt } from './receipts.ts'

export interface DispatcherParts {
  readonly config: Pick<Config, 'notices' | 'noticeDelivery' | 'programme'>
  readonly desk: Desk
  readonly vault: DataVault
  readonly provider: NoticeProvider
  readonly clock: Clock
  readonly log: Logger
  /** A number from 0 on, below 1: spreads what failed together. */
  readonly chance?: () => number
}

export class NoticeDispatcher {
  readonly #parts: DispatcherParts
  readonly #stop = new AbortController()
  #running: Promise<void> | undefined

  constructor(parts: DispatcherParts) {
    this.#parts = parts
  }

  start(): void {
    this.#running ??= this.#run()
  }

  /** Resolves when what was claimed has been marked. */
  async stop(): Promise<void> {
    this.#stop.abort()
    await this.#running
  }

  /** Sends what is due, at most a batch. Does not reject. @returns how many were claimed */
  async round(): Promise<number> {
    const { config, desk, log } = this.#parts
    const { batchMax, leaseMs } = config.notices
    try {
      const claimed = await desk.upkeep((tx) => claimNotices(tx, batchMax, leaseMs))
      await Promise.all(claimed.map((notice) => this.#send(notice)))
      return claimed.length
    } catch (error) {
      if (!(error instanceof NotConnected)) log.warn({ error: errorText(error) }, 'notices cannot be sent; tried again')
      return 0
    }
  }

  async #run(): Promise<void> {
    const { everyMs, batchMax } = this.#parts.config.notices
    const { signal } = this.#stop
    while (!signal.aborted) {
      if ((await this.round()) === batchMax) continue
      await elapsed(everyMs, undefined, { signal, ref: false }).catch(() => undefined)
    }
  }

  async #send(notice: ClaimedNotice): Promise<void> {
    const { desk, provider, clock, log, config } = this.#parts
    try {
      const outcome = await this.#attempt(notice)
      if (outcome.kind === 'accepted') {
        const { reference } = outcome
        await desk.upkeep((tx) => markSent(tx, notice.id, reference))
        if (provider.deliversAtOnce) await receiveReceipt({ desk, config }, { reference, state: 'delivered', atMs: clock.now() })
        return
      }
      const { reason } = outcome
      const againMs = outcome.kind === 'refused' ? null : this.#againMs(notice, outcome.afterMs)
      await desk.upkeep((tx) => markFailed(tx, notice, reason, againMs))
      if (againMs === null)
        log.warn({ key: idOf(notice), reason }, 'a notice is dead; POST /v1/notices/{noticeId}/retry sends it')
    } catch (error) {
      log.warn({ key: idOf(notice), error: errorText(error) }, 'a notice is sent again when its claim has ended')
    }
  }

  async #attempt(notice: ClaimedNotice): Promise<SendOutcome> {
    const { config, desk, vault, provider } = this.#parts
    const { language, template, parameters, personId, died, mobile: sealed, keyId, attempts } = notice
    if (died) return { kind: 'refused', reason: 'recipient-died' }
    if (sealed === null || keyId === null) return { kind: 'refused', reason: 'no-mobile' }
    // Attempts that ended with their process count too, or a notice that kills it would be tried for ever.
    if (attempts > config.notices.attemptsMax) return { kind: 'refused', reason: 'attempts-exceeded' }
    const to = Mobile.parse(vault.unseal(keyId, { field: 'mobile', shard: desk.shard, owner: personId }, sealed))
    if (to === undefined) return { kind: 'refused', reason: 'no-mobile' }
    const text = noticeText(config.noticeDelivery.texts, template, language, parameters)
    return provider.send({ id: idOf(notice), to, language, text, template })
  }

  /** Twice as long each time, between half of it and the whole. @returns null where it was the last attempt */
  #againMs({ attempts }: ClaimedNotice, afterMs = 0): number | null {
    const { clock, config, chance = Math.random } = this.#parts
    const { attemptsMax, backoffMs, backoffMaxMs } = config.notices
    if (attempts >= attemptsMax) return null
    const whole = Math.min(backoffMaxMs, backoffMs * 2 ** (attempts - 1))
    return clock.now() + Math.max(whole * (0.5 + chance() / 2), Math.min(afterMs, backoffMaxMs))
  }
}

/** What the provider knows a message by. */
function idOf({ id, round }: Pick<ClaimedNotice, 'id' | 'round'>): string {
  return `n${String(id)}-${String(round)}`
}
