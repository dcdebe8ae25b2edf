/** Helpers of the transport's tests: a bare socket as peer, and a listener that remembers what it was handed. */
import { once } from 'node:events'
import { createConnection, type Socket } from 'node:net'
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from 'node:tls'
import { afterEach, vi } from 'vitest'
import type { Clock } from '../../src/clock.ts'
import type { Certificates } from '../../src/config.ts'
import type { LinkConfig, TransportLimits } from '../../src/settings.ts'
import { type Exchange } from '../../src/transport/exchange.ts'
import type { Framing } from '../../src/transport/framing.ts'
import { listen, type Listener } from '../../src/transport/listener.ts'
import type { DropReason, RejectReason } from '../../src/transport/metrics.ts'

const limits: TransportLimits = {
  frameBytesMax: 4096,
  partialFrameMs: 10_000,
  handshakeMs: 10_000,
  idleMs: 300_000,
  connectionsPerAddressMax: 100,
  inFlightPerConnectionMax: 100,
  inFlightMax: 10_000,
  inFlightShareMin: 4,
  unsentBytesMax: 262_144,
  stalledMs: 30_000,
}

export interface Pending {
  readonly text: string
  readonly exchange: Exchange
}

export interface TestListener {
  readonly listener: Listener
  readonly port: number
  /** Frames handed out and not yet answered by `onFrame`, oldest first. */
  readonly pending: Pending[]
  readonly warnings: string[]
  readonly rejected: RejectReason[]
  readonly dropped: DropReason[]
  readonly heldBack: { count: number }
  /** Connections that wait for a token, of those that ever did. */
  readonly paced: { now: number; ever: number }
  readonly counted: { opened: number; closed: number; failed: number; received: number; answered: number }
}

interface TestOptions {
  framing?: Framing
  port?: number
  limits?: Partial<TransportLimits>
  certificates?: Certificates
  tls?: LinkConfig['tls']
  pace?: LinkConfig['pace']
  clock?: Clock
  onFrame?: (payload: Buffer, exchange: Exchange) => void
}

const atTheEnd: (() => unknown)[] = []

afterEach(async () => {
  await Promise.all(atTheEnd.splice(0).map((stop) => stop()))
})

export async function startListener(options: TestOptions = {}): Promise<TestListener> {
  const link: LinkConfig = {
    name: 'atm',
    port: options.port ?? 0,
    spec: 'ascii',
    framing: options.framing ?? 'length4',
    keyTime: 'transmission',
    ...(options.tls === undefined ? {} : { tls: options.tls }),
    ...(options.pace === undefined ? {} : { pace: options.pace }),
  }
  const pending: Pending[] = []
  const warnings: string[] = []
  const rejected: RejectReason[] = []
  const dropped: DropReason[] = []
  const heldBack = { count: 0 }
  const paced = { now: 0, ever: 0 }
  const counted = { opened: 0, closed: 0, failed: 0, received: 0, answered: 0 }
  const listener = await listen({
    host: '127.0.0.1',
    link,
    limits: { ...limits, ...options.limits },
    certificates: options.certificates,
    ...(options.clock === undefined ? {} : { clock: options.clock }),
    log: {
      debug: () => undefined,
      info: () => undefined,
      warn: (fields, message) => warnings.push(`${JSON.stringify(fields)} ${message}`),
      error: (fields, message) => warnings.push(`${JSON.stringify(fields)} ${message}`),
    },
    metrics: {
      connectionOpened: () => counted.opened++,
      connectionClosed: () => counted.closed++,
      handshakeFailed: () => counted.failed++,
      frameReceived: () => counted.received++,
      frameRejected: (reason) => rejected.push(reason),
      answered: () => counted.answered++,
      connectionDropped: (why) => dropped.push(why),
      heldBack: () => heldBack.count++,
      paced: () => {
        paced.now++
        paced.ever++
      },
      pacedOver: () => paced.now--,
    },
    onFrame:
      options.onFrame ??
      ((payload, exchange) => {
        pending.push({ text: payload.toString('latin1'), exchange })
      }),
  })
  atTheEnd.push(() => listener.close(0))
  return { listener, port: listener.port, pending, warnings, rejected, dropped, heldBack, paced, counted }
}

export interface Peer {
  readonly socket: Socket
  /** Everything received so far. */
  received(): string
  /** Resolves when the listener has ended its side, or the connection is gone. */
  readonly ended: Promise<void>
  /** Why the connection broke, if it did not end in order. */
  failure(): Error | undefined
}

export async function openPeer(port: number): Promise<Peer> {
  const socket = createConnection({ host: '127.0.0.1', port, allowHalfOpen: true, noDelay: true })
  atTheEnd.push(() => socket.destroy())
  const peer = watch(socket)
  await once(socket, 'connect')
  return peer
}

function watch(socket: Socket): Peer {
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  const ended = new Promise<void>((resolve) => {
    socket.once('end', resolve)
    socket.once('close', () => {
      resolve()
    })
  })
  let failure: Error | undefined
  socket.on('error', (error) => {
    failure = error
  })
  return { socket, received: () => Buffer.concat(chunks).toString('latin1'), ended, failure: () => failure }
}

export interface TlsPeer extends Peer {
  readonly socket: TLSSocket
}

/**
 * A bare TLS socket after its handshake, as far as the client sees it: with TLS 1.3 the switch may still refuse.
 *
 * @throws Error where the handshake failed
 */
export async function openTlsPeer(port: number, options: ConnectionOptions): Promise<TlsPeer> {
  const given = { host: '127.0.0.1', port, allowHalfOpen: true, ...options }
  const socket = connectTls(given)
  atTheEnd.push(() => socket.destroy())
  const peer = watch(socket)
  await new Promise<void>((resolve, reject) => {
    socket.once('secureConnect', resolve)
    socket.once('error', reject)
    socket.once('close', () => {
      reject(new Error('closed in the handshake'))
    })
  })
  return { ...peer, socket }
}

/** Waits for a state that the event loop has yet to bring about. */
export async function until(reached: () => boolean): Promise<void> {
  await vi.waitUntil(reached, { timeout: 10_000, interval: 2 })
}

/** A frame of the 4-digit framing. */
export function framed(text: string): string {
  return String(text.length).padStart(4, '0') + text
}
