/**
 * Sends events to webhooks: to each in order, one request at a time, from whichever process has its lease. An event counts as told when the other
 * side has answered 2xx; until then it is sent again, later and later, and nothing after it. After `attemptsMax` requests the events of that request are
 * given up: they are listed as dead letters, and what comes after them is sent.
 */
import { randomUUID } from 'node:crypto'
import type { Clock } from '../clock.ts'
import type { Config } from '../config.ts'
import type { Desk } from '../ledger/programme/desk.ts'
import {
  leaseWebhook,
  listWebhooksDue,
  releaseWebhooks,
  webhookFailed,
  webhookGivenUp,
  webhookTook,
  type Holding,
  type LeasedWebhook,
} from '../ledger/programme/webhookLeases.ts'
import { errorText, type Logger } from '../log.ts'
import type { EventMetrics } from '../metrics.ts'
import type { DataVault } from '../security/dataVault.ts'
import { post } from '../transport/outgoingRequest.ts'
import type { EventHub } from './eventHub.ts'
import { readEvents, type EventPage, type ToldEvent } from './toldEvents.ts'
import { signature, SIGNATURE_HEADER } from './webhookSignature.ts'

export interface WebhookDeliveryOptions {
  readonly desk: Pick<Desk, 'read' | 'upkeep' | 'shard'>
  readonly hub: EventHub
  readonly vault: DataVault
  readonly settings: Config['events']['webhooks'] & Pick<Config['events'], 'pollMs'>
  readonly production: boolean
  readonly metrics: EventMetrics
  readonly clock: Clock
  readonly log: Logger
}

/** A webhook whose lease is ours. */
interface Held {
  readonly webhook: LeasedWebhook
  readonly secret: string
  /** On the process's own clock, so that nobody can set it. */
  readonly leasedAt: number
  /** Everything of interest up to here was told, or there was nothing. */
  looked: number
}

export class WebhookDelivery {
  readonly #options: WebhookDeliveryOptions
  /** Of this process among all. */
  readonly #holder = randomUUID()
  readonly #held = new Map<string, Held>()
  readonly #working = new Map<string, Promise<void>>()
  #looking: Promise<void> = Promise.resolve()
  #cancel: (() => void) | undefined
  #stopped = false

  constructor(options: WebhookDeliveryOptions) {
    this.#options = options
  }

  start(): void {
    if (this.#stopped) return
    this.#cancel = this.#options.clock.after(this.#options.settings.pollMs, () => {
      this.#looking = this.#look().finally(() => this.start())
    })
  }

  /** Resolves when the requests under way have ended, and other processes may send. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#cancel?.()
    await this.#looking
    await Promise.all(this.#working.values())
    if (this.#held.size === 0) return
    // Else the lease runs out.
    await this.#options.desk.upkeep((tx) => releaseWebhooks(tx, this.#holder)).catch(() => undefined)
  }

  async #look(): Promise<void> {
    const { desk, hub } = this.#options
    try {
      for (const { id, version, toldUntil, due } of await desk.read((tx) => listWebhooksDue(tx, this.#holder))) {
        if (!due || this.#working.has(id)) continue
        const held = this.#held.get(id)
        const looked = held?.webhook.version === version ? held.looked : toldUntil
        if (looked >= hub.final) continue
        if (held !== undefined && held.webhook.version !== version) this.#held.delete(id)
        const work = this.#work(id, version).finally(() => this.#working.delete(id))
        this.#working.set(id, work)
      }
    } catch (error) {
      this.#warn(error, 'webhooks cannot be looked at; tried again')
    }
  }

  /** Sends until there is nothing more, something fails, or the lease is lost. */
  async #work(id: string, version: number): Promise<void> {
    try {
      while (!this.#stopped) {
        const held = await this.#lease(id, version)
        if (held === undefined) return
        const { webhook } = held
        const until =
          webhook.tryingUntil !== null && held.looked < webhook.tryingUntil ? webhook.tryingUntil : this.#options.hub.final
        if (held.looked >= until) return
        const page = await this.#page(held, until)
        const goesOn = page.events.length === 0 ? this.#skip(held, page) : await this.#send(held, page)
        if (!goesOn) return
      }
    } catch (error) {
      this.#held.delete(id)
      this.#warn(error, 'a webhook cannot be served; tried again')
    }
  }

  #page({ looked, webhook }: Held, until: number): Promise<EventPage> {
    const range = { after: looked, until, limit: this.#options.settings.batchMax }
    return this.#options.desk.read((tx) => readEvents(tx, range, { kinds: webhook.kinds }))
  }

  /** Nothing of interest: told to the database when the lease is next renewed. */
  #skip(held: Held, { until }: EventPage): true {
    held.looked = until
    return true
  }

  /** The lease outlives any request that is begun under it. */
  async #lease(id: string, version: number): Promise<Held | undefined> {
    const { desk, vault, settings } = this.#options
    const known = this.#held.get(id)
    if (known !== undefined && performance.now() - known.leasedAt < (settings.leaseMs - settings.deadlineMs) / 2) return known
    this.#held.delete(id)
    const leasedAt = performance.now()
    const holding = { id, holder: this.#holder, version: known?.webhook.version ?? version }
    const lease = { leaseMs: settings.leaseMs, looked: known?.looked ?? 0 }
    const webhook = await desk.upkeep((tx) => leaseWebhook(tx, holding, lease))
    if (webhook === undefined) return undefined
    const secret = vault.unseal(webhook.keyId, { field: 'webhook-secret', shard: desk.shard, owner: id }, webhook.secret)
    const held = { webhook, secret, leasedAt, looked: webhook.toldUntil }
    this.#held.set(id, held)
    return held
  }

  /** @returns whether to go on at once */
  async #send(held: Held, page: EventPage): Promise<boolean> {
    const { desk, settings, metrics, log } = this.#options
    const { webhook } = held
    const holding: Holding = { id: webhook.id, holder: this.#holder, version: webhook.version }
    const failure = await this.#request(held, page.events)
    if (failure === undefined) {
      metrics.delivered('taken')
      metrics.told('webhook', page.events.length)
      return this.#written(held, page, await desk.upkeep((tx) => webhookTook(tx, holding, page.until)))
    }
    const attempts = webhook.attempts + 1
    if (attempts < settings.attemptsMax) {
      metrics.delivered('failed')
      const failed = { until: page.until, failure, waitMs: waitMs(settings, attempts) }
      await desk.upkeep((tx) => webhookFailed(tx, holding, failed))
      // What is tried next, and when, is read with the next lease.
      this.#held.delete(webhook.id)
      return false
    }
    metrics.delivered('given_up')
    log.warn(
      { stage: 'webhook', key: webhook.id, reason: failure, count: page.events.length },
      'events are given up; see its deliveries',
    )
    const given = { until: page.until, failure, attempts, events: page.events }
    return this.#written(held, page, await desk.upkeep((tx) => webhookGivenUp(tx, holding, given)))
  }

  /** What was tried before is of the past, and what another has changed is not known: both are read with the next lease. */
  #written(held: Held, { until }: EventPage, written: boolean): boolean {
    held.looked = until
    if (!written || held.webhook.attempts > 0) this.#held.delete(held.webhook.id)
    return written
  }

  /** @returns why it was not taken; undefined where it was */
  async #request({ webhook, secret }: Held, events: readonly ToldEvent[]): Promise<string | undefined> {
    const { settings, production, clock } = this.#options
    const body = JSON.stringify({ webhookId: webhook.id, events })
    const result = await post({
      url: webhook.url,
      headers: {
        'content-type': 'application/json',
        'user-agent': 'sarf',
        [SIGNATURE_HEADER]: signature(secret, body, clock.now()),
      },
      body,
      deadlineMs: settings.deadlineMs,
      privateAddresses: settings.privateAddresses || !production,
    })
    if (result.kind === 'failed') return result.reason
    return result.status >= 200 && result.status < 300 ? undefined : `status ${String(result.status)}`
  }

  #warn(error: unknown, message: string): void {
    if (!this.#stopped) this.#options.log.warn({ stage: 'webhook', error: errorText(error) }, message)
  }
}

/** Twice as long after each failure, less up to a quarter by chance, so that many do not come back at once. */
function waitMs({ retryMs, retryMaxMs }: { readonly retryMs: number; readonly retryMaxMs: number }, attempts: number): number {
  return Math.min(retryMaxMs, retryMs * 2 ** Math.min(attempts - 1, 30)) * (1 - Math.random() / 4)
}
