import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { systemClock, type Clock } from '../clock.ts'
import type { Certificates } from '../config.ts'
import type { LinkConfig, TransportLimits } from '../settings.ts'
import { Complaints } from './complaints.ts'
import { Connection, type ConnectionContext } from './connection.ts'
import type { Exchange, Peer } from './exchange.ts'
import { frameLayout } from './framing.ts'
import { Handshakes } from './handshakes.ts'
import { InFlight } from './inFlight.ts'
import type { Logger } from './logger.ts'
import type { TransportMetrics } from './metrics.ts'
import { LinkPace, PaceKeepers } from './pace.ts'
import { Turn } from './turn.ts'

export interface ListenOptions {
  readonly host: string
  readonly link: LinkConfig
  readonly limits: TransportLimits
  /** Given, the link speaks TLS and every client shows a certificate. */
  readonly certificates?: Certificates | undefined
  readonly log: Logger
  readonly metrics?: TransportMetrics
  /** Shared with the process's other links; absent: this link's own. */
  readonly inFlight?: InFlight
  readonly paceKeepers?: PaceKeepers
  /** Whose time paces are kept by. */
  readonly clock?: Clock
  /** Called for every frame with the message in it, a view of what was received. Must not throw. */
  readonly onFrame: (payload: Buffer, exchange: Exchange) => void
}

export interface Listener {
  /** The port that is listened on, also where 0 was asked for. */
  readonly port: number
  readonly connections: number
  /** Handshakes from now on are made with these; connections that are open stay. Nothing for a plain link. */
  renew(certificates: Certificates): void
  /** Whether new connections are for this process or, among workers, for the others only; those that are open go on. */
  takeConnections(taking: boolean): void
  /** No new connections and no new frames; what has come in and was not read stays unread. Answers are still sent. */
  stopReading(): void
  /**
   * Ends every connection once its pending exchanges were answered and the peer has the answers.
   * @param withinMs what is not done by then is destroyed; a second call with less time shortens the first
   */
  close(withinMs?: number): Promise<void>
}

const NOBODY: Peer = { certificate: undefined }
const CLOSE_MS = 1000
const SWEEP_MS_MAX = 1000
const SWEEP_MS_MIN = 5
/** Asks a silent peer for a sign of life, so that one that lost its power does not stay for ever. */
const KEEP_ALIVE_MS = 60_000

/**
 * Listens on a link's port.
 * @throws Error with one clear line if the port cannot be had
 */
export async function listen(options: ListenOptions): Promise<Listener> {
  const { host, link } = options
  // Half open: a peer that ends its side after its last request still gets the answers.
  const server = createServer({ allowHalfOpen: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS })
  const listener = new LinkListener(server, options)
  await new Promise<void>((resolve, reject) => {
    const failed = (error: NodeJS.ErrnoException): void => {
      reject(new Error(listenProblem(error, host, link), { cause: error }))
    }
    server.once('error', failed)
    server.listen(link.port, host, () => {
      server.off('error', failed)
      resolve()
    })
  })
  listener.begin()
  return listener
}

/** What an address has of a link. */
interface Places {
  taken: number
  /** Those that have not sent a whole frame, oldest first. */
  readonly silent: Set<Connection>
}

class LinkListener implements Listener {
  readonly #server: Server
  readonly #options: ListenOptions
  readonly #context: ConnectionContext
  readonly #handshakes: Handshakes | undefined
  readonly #open = new Set<Connection>()
  readonly #perAddress = new Map<string, Places>()
  readonly #closed: Promise<void>
  #resolveClosed: () => void = () => undefined
  #port = 0

  constructor(server: Server, options: ListenOptions) {
    const { link, limits, log, metrics, onFrame, inFlight = new InFlight(limits) } = options
    const { clock = systemClock, paceKeepers: keepers = new PaceKeepers() } = options
    const config = link.pace
    const monotonicMs = (): number => performance.now()
    this.#server = server
    this.#options = options
    this.#context = {
      link,
      layout: frameLayout(link.framing),
      limits,
      log,
      metrics,
      turn: new Turn(),
      inFlight,
      pace: { config, link: config?.link === undefined ? undefined : new LinkPace(config.link, clock), keepers, clock },
      complaints: new Complaints(log, monotonicMs),
      onHeard: (connection) => {
        this.#perAddress.get(connection.address)?.silent.delete(connection)
      },
      onFrame,
      monotonicMs,
    }
    if (options.certificates !== undefined) {
      const onPeer = (socket: Socket, peer: Peer): void => {
        this.#welcome(socket, peer)
      }
      this.#handshakes = new Handshakes({ ...options, certificates: options.certificates, onPeer })
    }
    this.#closed = new Promise((resolve) => {
      this.#resolveClosed = resolve
    })
    server.once('close', () => {
      this.#closedWhenEmpty()
    })
    server.on('connection', (socket) => {
      this.#accept(socket)
    })
  }

  get port(): number {
    return this.#port
  }

  get connections(): number {
    return this.#open.size
  }

  begin(): void {
    const { limits, link, log } = this.#options
    this.#port = (this.#server.address() as AddressInfo).port
    this.#server.on('error', (error) => {
      log.error({ link: link.name, error: error.message }, 'listener failed')
    })
    const everyMs = Math.min(limits.partialFrameMs, limits.idleMs) / 4
    const timer = setInterval(
      () => {
        const now = this.#context.monotonicMs()
        for (const connection of this.#open) connection.sweep(now)
      },
      Math.max(SWEEP_MS_MIN, Math.min(SWEEP_MS_MAX, everyMs)),
    )
    void this.#closed.then(() => {
      clearInterval(timer)
    })
  }

  renew(certificates: Certificates): void {
    this.#handshakes?.renew(certificates)
  }

  takeConnections(taking: boolean): void {
    // node:cluster offers what a worker has no room for to the next one.
    this.#server.maxConnections = taking ? Infinity : 0
  }

  stopReading(): void {
    if (this.#server.listening) this.#server.close()
    // Who is still shaking hands has asked for nothing yet.
    this.#handshakes?.stop()
    for (const connection of this.#open) connection.hold()
  }

  async close(withinMs: number = CLOSE_MS): Promise<void> {
    this.stopReading()
    for (const connection of this.#open) connection.leave()
    const timer = setTimeout(() => {
      for (const connection of this.#open) connection.destroy()
    }, withinMs)
    await this.#closed
    clearTimeout(timer)
  }

  #accept(socket: Socket): void {
    const address = socket.remoteAddress
    const places = address === undefined ? undefined : this.#placesOf(address)
    // Without an address the peer has gone again already.
    if (address === undefined || places === undefined) {
      socket.on('error', () => undefined)
      socket.destroy()
      return
    }
    places.taken++
    // Of the address, before a handshake costs anything, and until TCP is done with it.
    socket.on('close', () => {
      places.taken--
      if (places.taken === 0) this.#perAddress.delete(address)
      this.#closedWhenEmpty()
    })
    if (this.#handshakes === undefined) this.#welcome(socket, NOBODY)
    else this.#handshakes.begin(socket)
  }

  /**
   * Undefined where the address has as many connections as it may have. One that has never sent anything makes room first: else whoever opens
   * connections and says nothing would keep the terminals behind the same address out.
   */
  #placesOf(address: string): Places | undefined {
    const { limits, link, metrics } = this.#options
    const places = this.#perAddress.get(address) ?? { taken: 0, silent: new Set() }
    if (places.taken >= limits.connectionsPerAddressMax) {
      const [oldest] = places.silent
      if (oldest === undefined) {
        metrics?.connectionDropped('refused')
        const fields = { link: link.name, remote: address, limit: limits.connectionsPerAddressMax }
        this.#context.complaints.warn(address, 'refused', fields, 'connections refused: too many from one address')
        return undefined
      }
      places.silent.delete(oldest)
      oldest.drop('made_room', 'its address has too many, and it had sent nothing yet')
    }
    this.#perAddress.set(address, places)
    return places
  }

  #welcome(socket: Socket, peer: Peer): void {
    const { metrics } = this.#options
    const connection = new Connection(socket, peer, this.#context)
    this.#open.add(connection)
    this.#perAddress.get(connection.address)?.silent.add(connection)
    metrics?.connectionOpened()
    socket.on('close', () => {
      this.#open.delete(connection)
      this.#perAddress.get(connection.address)?.silent.delete(connection)
      metrics?.connectionClosed()
      this.#closedWhenEmpty()
    })
  }

  /** The server reports its end before its last sockets have. */
  #closedWhenEmpty(): void {
    if (!this.#server.listening && this.#open.size === 0 && this.#perAddress.size === 0) this.#resolveClosed()
  }
}

function listenProblem(error: NodeJS.ErrnoException, host: string, link: LinkConfig): string {
  const port = String(link.port)
  const setting = `SARF_PORT_${link.name.toUpperCase().replaceAll('-', '_')}`
  switch (error.code) {
    case 'EADDRINUSE':
      return `port ${port} is in use; stop what listens there or set ${setting}`
    case 'EACCES':
      return `port ${port} may not be opened by this user; set ${setting} to one above 1023`
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return `${host} is not an address of this machine; set SARF_HOST`
    default:
      return `cannot listen on ${host}:${port}: ${error.message}`
  }
}
