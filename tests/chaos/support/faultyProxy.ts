/**
 * A TCP proxy that does to a link what networks do: cuts it, resets it, delays it, or swallows what is sent and says nothing. A connection
 * that bytes were swallowed on stays dead for good, as behind a firewall that has forgotten it: whoever holds it has to find out.
 */
import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'

export type Swallowed = 'requests' | 'answers' | 'both'

interface Pair {
  readonly client: Socket
  readonly upstream: Socket
  swallowed: Swallowed | undefined
}

interface Delay {
  readonly ms: number
  readonly jitterMs: number
}

export class FaultyProxy {
  readonly #server: Server
  readonly #targetPort: number
  readonly #pairs = new Set<Pair>()
  #cut = false
  #swallowed: Swallowed | undefined
  #delay: Delay | undefined

  private constructor(targetPort: number) {
    this.#targetPort = targetPort
    this.#server = createServer({ noDelay: true }, (client) => {
      this.#accept(client)
    })
  }

  static async start(targetPort: number): Promise<FaultyProxy> {
    const proxy = new FaultyProxy(targetPort)
    proxy.#server.listen(0, '127.0.0.1')
    await once(proxy.#server, 'listening')
    return proxy
  }

  get port(): number {
    const address = this.#server.address()
    return typeof address === 'object' ? (address?.port ?? 0) : 0
  }

  /** Nothing passes until `mend`. */
  cut(): void {
    this.#cut = true
    this.reset()
  }

  /** Every connection of now is reset. */
  reset(): void {
    for (const { client, upstream } of this.#pairs) {
      client.resetAndDestroy()
      upstream.resetAndDestroy()
    }
  }

  delay(ms: number, jitterMs: number): void {
    this.#delay = { ms, jitterMs }
  }

  /** Connections of now, and those that are made before `mend`, go dead in this direction. */
  swallow(what: Swallowed): void {
    this.#swallowed = what
    for (const pair of this.#pairs) pair.swallowed = what
  }

  /** New connections work again; dead ones stay dead. */
  mend(): void {
    this.#cut = false
    this.#swallowed = undefined
    this.#delay = undefined
  }

  async stop(): Promise<void> {
    this.cut()
    this.#server.close()
    await once(this.#server, 'close')
  }

  #accept(client: Socket): void {
    if (this.#cut) {
      client.resetAndDestroy()
      return
    }
    const upstream = connect({ host: '127.0.0.1', port: this.#targetPort, noDelay: true })
    const pair: Pair = { client, upstream, swallowed: this.#swallowed }
    this.#pairs.add(pair)
    const end = (): void => {
      this.#pairs.delete(pair)
      client.destroy()
      upstream.destroy()
    }
    for (const socket of [client, upstream]) socket.on('close', end).on('error', end)
    this.#pass(pair, client, upstream, 'requests')
    this.#pass(pair, upstream, client, 'answers')
  }

  /** In order, whatever the delay of the moment. */
  #pass(pair: Pair, from: Socket, to: Socket, direction: Swallowed): void {
    let lastDueMs = 0
    from.on('data', (bytes) => {
      if (pair.swallowed === direction || pair.swallowed === 'both') return
      const nowMs = performance.now()
      const dueMs = this.#delay === undefined ? 0 : nowMs + this.#delay.ms + Math.random() * this.#delay.jitterMs
      lastDueMs = Math.max(lastDueMs, dueMs)
      if (lastDueMs <= nowMs) to.write(bytes)
      else setTimeout(() => to.writable && to.write(bytes), lastDueMs - nowMs)
    })
  }
}
