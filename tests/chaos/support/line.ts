/**
 * A terminal's connection to one of the switch processes, or that of a gateway with several terminals behind it. It dials the other process
 * where one cannot be reached or says nothing, and now and then for no reason at all, so that each of them has work.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Random } from '../../../benchmarks/support/random.ts'
import { connect, type Client } from '../../../src/transport/client.ts'

export interface LineOptions {
  /** Where each switch process is reached. */
  readonly ports: readonly number[]
  readonly random: Random
  /** Other terminals share it: it is not hung up because one of them waits. */
  readonly shared: boolean
  readonly onPayload: (payload: Buffer, host: number) => void
}

const DIAL_MS = 1000
const REDIAL_MS = 50
/** Exchanges after which it is dialled anew. */
const EXCHANGES_MAX = 40
const SHARED_EXCHANGES_MAX = 400

export class Line {
  readonly #options: LineOptions
  readonly #waiting = new Map<string, (answered: boolean) => void>()
  #client: Client | undefined
  #dialling: Promise<void> | undefined
  #host: number
  #exchangesLeft = 0
  #lastHeardMs = 0
  #closed = false

  constructor(options: LineOptions) {
    this.#options = options
    this.#host = options.random.below(options.ports.length)
  }

  /**
   * Sends a message, once there is a connection, and waits for `answered(key)`.
   *
   * @param onSent told where it goes
   * @returns whether it was answered: the time may be over, or the connection lost
   */
  async exchange(key: string, bytes: Uint8Array, patienceMs: number, onSent: (host: number) => void): Promise<boolean> {
    const client = await this.#connected()
    if (client === undefined) return false
    const sentMs = performance.now()
    onSent(this.#host)
    this.#exchangesLeft--
    const { promise, resolve } = Promise.withResolvers<boolean>()
    this.#waiting.set(key, resolve)
    const timer = setTimeout(() => {
      // On a shared line others may well be answered.
      if (!this.#options.shared || this.#lastHeardMs < sentMs) this.hangUp(this.#host + 1)
      resolve(false)
    }, patienceMs)
    client.send(bytes)
    const answered = await promise
    clearTimeout(timer)
    this.#waiting.delete(key)
    return answered
  }

  answered(key: string): void {
    this.#waiting.get(key)?.(true)
  }

  /** Whoever waits is told that there is no answer. */
  hangUp(nextHost: number): void {
    this.#host = nextHost % this.#options.ports.length
    const client = this.#client
    this.#client = undefined
    client?.destroy()
    for (const give of this.#waiting.values()) give(false)
  }

  /** For good. */
  close(): void {
    this.#closed = true
    this.hangUp(0)
  }

  async #connected(): Promise<Client | undefined> {
    if (this.#exchangesLeft <= 0 && this.#waiting.size === 0) this.hangUp(this.#options.random.below(this.#options.ports.length))
    while (this.#client === undefined && !this.#closed) {
      this.#dialling ??= this.#dial().finally(() => {
        this.#dialling = undefined
      })
      await this.#dialling
    }
    return this.#client
  }

  async #dial(): Promise<void> {
    const { ports, shared, onPayload } = this.#options
    const host = this.#host
    let client: Client | undefined
    try {
      client = await connect({
        host: '127.0.0.1',
        port: ports[host]!,
        framing: 'length2',
        connectMs: DIAL_MS,
        onPayload: (payload) => {
          this.#lastHeardMs = performance.now()
          onPayload(payload, host)
        },
        onClose: () => {
          if (client !== undefined && this.#client === client) this.hangUp(host + 1)
        },
      })
      if (this.#closed) client.destroy()
      else this.#client = client
      this.#exchangesLeft = shared ? SHARED_EXCHANGES_MAX : EXCHANGES_MAX
    } catch {
      this.#host = (host + 1) % ports.length
      await sleep(REDIAL_MS)
    }
  }
}
