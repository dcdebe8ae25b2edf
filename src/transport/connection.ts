/**
 * One accepted connection. Its life:
 *
 *     reading <-> blocked         too much in flight or unsent, or more than its share of what all have in flight (inFlight.ts):
 *        |           |            paused, goes on when that fell to half; or faster than its pace (pace.ts): goes on with its next token
 *        +-----------+--> leaving     nothing more is read; answers in flight are still written
 *                            |
 *                        lingering    our side is ended; input is thrown away until the peer ends its side too, since
 *                            |        closing over unread input would reset the connection and could destroy answers
 *                         closed      that the peer has not read yet (RFC 1122 section 4.2.2.13)
 *
 * `hold()` stops the reading in any state without leaving it; a peer that ends its side first still gets its answers.
 * All waits are ended by `sweep`, which the listener calls from its one timer.
 */
import type { Socket } from 'node:net'
import type { LinkConfig, TransportLimits } from '../settings.ts'
import type { Complaints } from './complaints.ts'
import type { Exchange, Peer } from './exchange.ts'
import { answerTpdu, frameBytes, type FrameLayout, FrameReader, writeFrame } from './framing.ts'
import type { InFlight } from './inFlight.ts'
import type { Logger } from './logger.ts'
import type { DropReason, RejectReason, TransportMetrics } from './metrics.ts'
import { Pace, type PaceContext } from './pace.ts'
import type { Turn } from './turn.ts'

/** What all connections of a listener share. */
export interface ConnectionContext {
  readonly link: LinkConfig
  readonly layout: FrameLayout
  readonly limits: TransportLimits
  readonly log: Logger
  readonly metrics: TransportMetrics | undefined
  readonly turn: Turn
  /** Of all links. */
  readonly inFlight: InFlight
  readonly pace: PaceContext
  readonly complaints: Complaints
  /** Called when a connection has sent its first whole frame. */
  readonly onHeard: (connection: Connection) => void
  readonly onFrame: (payload: Buffer, exchange: Exchange) => void
  /** Milliseconds of a clock that never goes back. */
  readonly monotonicMs: () => number
}

const NO_TPDU = Buffer.alloc(0)

export class Connection {
  readonly address: string
  readonly remote: string
  readonly peer: Peer
  readonly context: ConnectionContext
  readonly #socket: Socket
  readonly #reader: FrameReader
  readonly #pace: Pace
  /** Read already, and waiting for its token. */
  #nextFrame: Buffer | undefined
  #inFlight = 0
  #ready: PendingExchange[] = []
  #readyBytes = 0
  #blocked = false
  #held = false
  #leaving = false
  #peerEnded = false
  /** When the frame that is not complete began; undefined between frames. */
  #frameSince: number | undefined
  /** When a byte was last received or a write last finished. */
  #movedAt: number
  /** Since when the peer has taken nothing of what is unsent; undefined while nothing is. */
  #untakenSince: number | undefined
  #heard = false
  /** Since when it waits for a token. */
  #pausedSince: number | undefined
  #lingerSince: number | undefined

  /** @param socket of TCP, or of TLS after its handshake */
  constructor(socket: Socket, peer: Peer, context: ConnectionContext) {
    this.context = context
    this.peer = peer
    this.address = socket.remoteAddress ?? '?'
    this.remote = `${this.address}:${String(socket.remotePort ?? 0)}`
    this.#socket = socket
    this.#reader = new FrameReader(context.layout, context.limits.frameBytesMax)
    this.#movedAt = context.monotonicMs()
    this.#pace = new Pace(context.pace, () => {
      this.#endPause()
      this.#unblock()
      this.#endWhenDone()
    })
    socket.once('close', () => {
      this.#stopPace()
    })
    socket.on('data', (chunk: Buffer) => {
      this.#received(chunk)
    })
    socket.on('end', () => {
      this.#peerEnded = true
      if (this.#reader.inFrame && !this.#leaving) this.#reject('frame-truncated', 'the peer ended its side within a frame')
      this.#endWhenDone()
    })
    // A reset or a broken pipe is the peer's way to go; 'close' follows and cleans up.
    socket.on('error', (error) => {
      context.log.debug({ link: context.link.name, remote: this.remote, error: error.message }, 'connection failed')
    })
  }

  /** Writes all answers of this turn in one call, then takes up what was left waiting for them. */
  flush(): void {
    if (this.#socket.destroyed) return
    if (this.#ready.length > 0) this.#write()
    this.#unblock()
    this.#endWhenDone()
  }

  /** Reads nothing more, whatever has come in; answers are still written. */
  hold(): void {
    this.#held = true
    this.#stopPace()
    this.#socket.pause()
  }

  /** Reads nothing more and ends the connection as soon as everything in flight was answered. */
  leave(): void {
    this.#leaving = true
    this.#frameSince = undefined
    this.#stopPace()
    this.#socket.pause()
    this.#endWhenDone()
  }

  destroy(): void {
    this.#socket.destroy()
  }

  /** Ends what has waited for too long. */
  sweep(now: number): void {
    const { limits } = this.context
    const reading = !this.#blocked && !this.#held
    if (this.#lingerSince !== undefined) {
      if (now - this.#lingerSince > limits.partialFrameMs) this.destroy()
    } else if (this.#frameSince !== undefined && reading && now - this.#frameSince > limits.partialFrameMs) {
      this.#reject('partial-frame-deadline', `a frame was not complete after ${String(limits.partialFrameMs)} ms`)
      if (this.#settled) this.destroy()
    } else if (this.#untakenSince !== undefined && now - this.#untakenSince > limits.stalledMs) {
      this.drop('stalled', `the peer took nothing of its answers for ${String(limits.stalledMs)} ms`)
    } else if (now - this.#movedAt > limits.idleMs && this.#inFlight === 0 && this.#nextFrame === undefined) {
      this.context.metrics?.connectionDropped('idle')
      this.context.log.debug({ link: this.context.link.name, remote: this.remote }, 'idle connection closed')
      this.destroy()
    }
  }

  /** Ends it at once, whatever is in flight. */
  drop(why: DropReason, detail: string): void {
    const { link, complaints, metrics } = this.context
    metrics?.connectionDropped(why)
    complaints.warn(this.address, why, { link: link.name, remote: this.remote }, `connection dropped: ${detail}`)
    this.destroy()
  }

  /** Ends an exchange; `exchange.payload` is its answer if there is one. */
  settle(exchange: PendingExchange): void {
    this.#inFlight--
    this.context.inFlight.ended(this.#inFlight)
    if (this.#socket.destroyed) return
    if (exchange.payload !== undefined) {
      this.#ready.push(exchange)
      this.#readyBytes += frameBytes(this.context.layout, exchange.payload.length)
      this.context.metrics?.answered()
    }
    this.context.turn.add(this)
  }

  refuseMessage(reason: string): void {
    this.#reject('message', reason)
  }

  #received(chunk: Buffer): void {
    this.#movedAt = this.context.monotonicMs()
    if (this.#leaving) return
    this.#reader.push(chunk)
    this.#deliver()
  }

  #deliver(): void {
    let delivered = false
    while (this.#open) {
      const frame = this.#nextFrame ?? this.#reader.next()
      if (frame === undefined) break
      if (!this.#pace.take()) {
        this.#beginPause(frame)
        break
      }
      this.#nextFrame = undefined
      delivered = true
      this.#exchange(frame)
    }
    const { error } = this.#reader
    if (error !== undefined && !this.#leaving) this.#reject(error.code, error.detail)
    if (this.#leaving) return
    if (!this.#reader.inFrame) this.#frameSince = undefined
    else if (delivered || this.#frameSince === undefined) this.#frameSince = this.#movedAt
    const open = this.#open
    if (open && this.#nextFrame === undefined) return
    if (!open && !this.context.inFlight.hasRoom(this.#inFlight)) this.context.metrics?.heldBack()
    this.#blocked = true
    this.#socket.pause()
  }

  #beginPause(frame: Buffer): void {
    const { link, complaints, metrics } = this.context
    this.#nextFrame = frame
    if (this.#pausedSince !== undefined) return
    this.#pausedSince = this.context.monotonicMs()
    metrics?.paced()
    complaints.warn(
      this.address,
      'paced',
      { link: link.name, remote: this.remote },
      'connection sends faster than its pace: it waits',
    )
  }

  #endPause(): void {
    if (this.#pausedSince === undefined) return
    this.context.metrics?.pacedOver(this.context.monotonicMs() - this.#pausedSince)
    this.#pausedSince = undefined
  }

  #stopPace(): void {
    this.#endPause()
    this.#pace.stop()
  }

  #exchange(frame: Buffer): void {
    const { tpduBytes } = this.context.layout
    this.#inFlight++
    this.context.inFlight.began(this.#inFlight)
    if (!this.#heard) {
      this.#heard = true
      this.context.onHeard(this)
    }
    this.context.metrics?.frameReceived(frame.length)
    const exchange = new PendingExchange(this, tpduBytes === 0 ? NO_TPDU : answerTpdu(frame))
    try {
      this.context.onFrame(tpduBytes === 0 ? frame : frame.subarray(tpduBytes), exchange)
    } catch (error) {
      this.context.log.error({ link: this.context.link.name, remote: this.remote, err: error }, 'fault while a frame was handled')
      exchange.close('fault of the switch')
    }
  }

  #write(): void {
    const { layout } = this.context
    // One buffer and one write: cheaper than a corked write of each header and payload.
    const bytes = Buffer.allocUnsafe(this.#readyBytes)
    let at = 0
    for (const { payload, tpdu } of this.#ready) {
      if (payload !== undefined) at = writeFrame(layout, bytes, at, payload, tpdu)
    }
    this.#ready = []
    this.#readyBytes = 0
    this.#untakenSince ??= this.context.monotonicMs()
    this.#socket.write(bytes, this.#written)
  }

  readonly #written = (): void => {
    this.#movedAt = this.context.monotonicMs()
    this.#untakenSince = this.#socket.writableLength > 0 ? this.#movedAt : undefined
    this.#unblock()
    this.#endWhenDone()
  }

  #unblock(): void {
    const { inFlightPerConnectionMax, unsentBytesMax } = this.context.limits
    if (!this.#blocked || this.#held || this.#leaving || this.#pausedSince !== undefined) return
    if (this.#inFlight > inFlightPerConnectionMax / 2 || this.#unsentBytes > unsentBytesMax / 2) return
    if (!this.context.inFlight.mayGoOn(this.#inFlight)) return
    this.#blocked = false
    // While paused the peer could not complete its frame, so its time begins again.
    this.#movedAt = this.context.monotonicMs()
    if (this.#frameSince !== undefined) this.#frameSince = this.#movedAt
    this.#deliver()
    if (this.#open && this.#nextFrame === undefined) this.#socket.resume()
  }

  #reject(reason: RejectReason, detail: string): void {
    const { link, complaints, metrics } = this.context
    metrics?.frameRejected(reason)
    const { certificate } = this.peer
    const client = certificate === undefined ? {} : { client: certificate.commonName ?? certificate.fingerprint }
    const fields = { link: link.name, remote: this.remote, ...client, detail }
    complaints.warn(this.address, reason, fields, 'connection closed after bad input')
    this.leave()
  }

  #endWhenDone(): void {
    const askedToEnd = this.#leaving || (this.#peerEnded && !this.#blocked && this.#reader.drained)
    if (!askedToEnd || this.#lingerSince !== undefined || this.#inFlight > 0 || this.#ready.length > 0) return
    this.#leaving = true
    this.#lingerSince = this.context.monotonicMs()
    this.#socket.end()
    this.#socket.resume()
  }

  /** Whether another frame may be handed out. */
  get #open(): boolean {
    const { inFlightPerConnectionMax, unsentBytesMax } = this.context.limits
    if (this.#held || this.#leaving || this.#socket.destroyed) return false
    if (this.#inFlight >= inFlightPerConnectionMax || this.#unsentBytes > unsentBytesMax) return false
    return this.context.inFlight.hasRoom(this.#inFlight)
  }

  get #settled(): boolean {
    return this.#inFlight === 0 && this.#unsentBytes === 0
  }

  get #unsentBytes(): number {
    return this.#readyBytes + this.#socket.writableLength
  }
}

class PendingExchange implements Exchange {
  payload: Buffer | undefined = undefined
  readonly tpdu: Buffer
  readonly #connection: Connection
  #ended = false

  constructor(connection: Connection, tpdu: Buffer) {
    this.#connection = connection
    this.tpdu = tpdu
  }

  get link(): LinkConfig {
    return this.#connection.context.link
  }

  get remote(): string {
    return this.#connection.remote
  }

  get peer(): Peer {
    return this.#connection.peer
  }

  answer(payload: Buffer): void {
    if (this.#ended) return
    this.payload = payload
    this.silent()
  }

  silent(): void {
    if (this.#ended) return
    this.#ended = true
    this.#connection.settle(this)
  }

  close(reason: string): void {
    if (this.#ended) return
    this.#connection.refuseMessage(reason)
    this.silent()
  }
}
