/** The other end of a link: what a terminal or a load generator speaks through. */
import { createConnection, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { frameBytes, frameLayout, type FrameLayout, FrameReader, type Framing, writeFrame } from './framing.ts'
import { Turn } from './turn.ts'

export interface ClientOptions {
  readonly host: string
  readonly port: number
  readonly framing: Framing
  /** Called with every message that comes in, a view of what was received. */
  readonly onPayload: (payload: Buffer) => void
  /** Called once when the connection is gone; with an error unless both sides ended it in order. */
  readonly onClose?: (error: Error | undefined) => void
  readonly connectMs?: number
  readonly frameBytesMax?: number
  /** 5 bytes in front of each message where the framing has them: identifier, destination, origin. */
  readonly tpdu?: Uint8Array
  /** Given, the link speaks TLS. */
  readonly tls?: ClientTls
}

/** All PEM. */
export interface ClientTls {
  /** Who must have signed the switch's certificate. */
  readonly ca: string | Buffer
  readonly cert?: string | Buffer
  readonly key?: string | Buffer
  /** The name that the switch's certificate must have; absent: the host. */
  readonly servername?: string
}

export interface Client {
  /** Sends one message, with all others of this turn of the event loop in one write. Does nothing once closed. */
  send(payload: Uint8Array): void
  /** Bytes that the network has not taken yet. */
  readonly unsentBytes: number
  /** Sends what is waiting and ends this side; messages still come in until the peer ends its side. */
  end(): void
  /** Ends in order, waiting for the peer for at most `withinMs`. */
  close(withinMs?: number): Promise<void>
  /** Drops the connection at once. */
  destroy(): void
}

const CONNECT_MS = 5000
const CLOSE_MS = 1000
const FRAME_BYTES_MAX = 65_535
const DEFAULT_TPDU = Uint8Array.of(0x60, 0x00, 0x01, 0x00, 0x02)
/** All clients of a process write at the same point of the turn. */
const turn = new Turn()

/**
 * @throws Error the operating system's or that of TLS, or one that says that the time was over
 *
 * With TLS 1.3 a client is through before the switch has looked at its certificate: one that is refused finds its connection closed.
 */
export async function connect(options: ClientOptions): Promise<Client> {
  const { host, port, connectMs = CONNECT_MS, tls } = options
  // A documented option that the types of node:tls lack.
  const tlsOptions = { ...tls, host, port, allowHalfOpen: true }
  const socket =
    tls === undefined
      ? createConnection({ host, port, noDelay: true, allowHalfOpen: true })
      : connectTls(tlsOptions).setNoDelay(true)
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => {
      socket.destroy(new Error(`no connection to ${host}:${String(port)} after ${String(connectMs)} ms`))
    }, connectMs)
    socket.once('error', reject)
    socket.once('close', () => {
      clearTimeout(timer)
    })
    socket.once(tls === undefined ? 'connect' : 'secureConnect', () => {
      clearTimeout(timer)
      socket.off('error', reject)
      resolve()
    })
  })
  return new LinkClient(socket, options)
}

class LinkClient implements Client {
  readonly #socket: Socket
  readonly #options: ClientOptions
  readonly #layout: FrameLayout
  readonly #reader: FrameReader
  readonly #tpdu: Uint8Array
  #queue: Uint8Array[] = []
  #queueBytes = 0
  #error: Error | undefined

  constructor(socket: Socket, options: ClientOptions) {
    this.#socket = socket
    this.#options = options
    this.#layout = frameLayout(options.framing)
    this.#reader = new FrameReader(this.#layout, options.frameBytesMax ?? FRAME_BYTES_MAX)
    this.#tpdu = options.tpdu ?? DEFAULT_TPDU
    socket.on('data', (chunk: Buffer) => {
      this.#received(chunk)
    })
    socket.on('end', () => {
      if (this.#reader.inFrame) this.#error ??= new Error('the peer ended its side within a frame')
      this.end()
    })
    socket.on('error', (error) => {
      this.#error ??= error
    })
    socket.on('close', () => options.onClose?.(this.#error))
  }

  get unsentBytes(): number {
    return this.#queueBytes + this.#socket.writableLength
  }

  send(payload: Uint8Array): void {
    if (!this.#socket.writable) return
    this.#queue.push(payload)
    this.#queueBytes += frameBytes(this.#layout, payload.length)
    turn.add(this)
  }

  flush(): void {
    if (this.#queue.length === 0 || !this.#socket.writable) return
    const bytes = Buffer.allocUnsafe(this.#queueBytes)
    let at = 0
    for (const payload of this.#queue) at = writeFrame(this.#layout, bytes, at, payload, this.#tpdu)
    this.#queue = []
    this.#queueBytes = 0
    this.#socket.write(bytes)
  }

  end(): void {
    this.flush()
    this.#socket.end()
  }

  async close(withinMs: number = CLOSE_MS): Promise<void> {
    if (this.#socket.closed) return
    this.end()
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => this.#socket.destroy(), withinMs)
      this.#socket.once('close', () => {
        clearTimeout(timer)
        resolve()
      })
    })
  }

  destroy(): void {
    this.#socket.destroy()
  }

  #received(chunk: Buffer): void {
    const { tpduBytes } = this.#layout
    this.#reader.push(chunk)
    for (let frame = this.#reader.next(); frame !== undefined; frame = this.#reader.next()) {
      this.#options.onPayload(tpduBytes === 0 ? frame : frame.subarray(tpduBytes))
    }
    if (this.#reader.error !== undefined) this.#socket.destroy(new Error(this.#reader.error.detail))
  }
}
