/**
 * Frames: how messages are told apart in a stream of bytes.
 *
 * | Framing        | Length                  | What it counts | As in                                   |
 * |----------------|-------------------------|----------------|-----------------------------------------|
 * | `length2`      | 2 bytes, big-endian     | the message    | moov-io/iso8583 network.Binary2Bytes    |
 * | `length2-tpdu` | 2 bytes, big-endian     | TPDU + message | jPOS NACChannel with a 5-byte header    |
 * | `length4`      | 4 ASCII decimal digits  | the message    | jPOS ASCIIChannel                       |
 *
 * The TPDU (ISO 8583 over ECR/NAC networks) is an identifier and two addresses of two bytes, destination first; an
 * answer carries them swapped. A frame that is empty is refused, though some clients send it to keep a link alive:
 * a terminal that wants that sends an 0800 echo, and an endless stream of nothing is not worth a connection.
 */
import { assert } from '../assert.ts'
import type { LinkConfig } from '../settings.ts'

export type Framing = LinkConfig['framing']

export interface FrameLayout {
  /** Bytes of the length in front. */
  readonly lengthBytes: 2 | 4
  /** Bytes between the length and the message, counted by the length. */
  readonly tpduBytes: 0 | 5
  /** The largest length that can be written. */
  readonly lengthMax: number
}

export interface FrameError {
  readonly code: 'frame-empty' | 'frame-too-long' | 'frame-length-not-digits'
  readonly detail: string
}

const layouts: Readonly<Record<Framing, FrameLayout>> = {
  length2: { lengthBytes: 2, tpduBytes: 0, lengthMax: 0xffff },
  'length2-tpdu': { lengthBytes: 2, tpduBytes: 5, lengthMax: 0xffff },
  length4: { lengthBytes: 4, tpduBytes: 0, lengthMax: 9999 },
}

export function frameLayout(framing: Framing): FrameLayout {
  return layouts[framing]
}

const NOTHING = Buffer.alloc(0)

/**
 * Cuts a stream of chunks into frames: `push` what was received, then take frames with `next` until it returns
 * undefined; `error` says whether the stream is broken, and nothing follows a broken length. Pulling, not calling
 * back, lets the caller stop between two frames of one chunk.
 *
 * A frame that lies in one chunk comes back as a view of it. One that does not is collected in a buffer of its own of
 * just its size, which is allocated only after its length was checked, so a peer holds `frameBytesMax` bytes at most.
 */
export class FrameReader {
  error: FrameError | undefined = undefined
  readonly #layout: FrameLayout
  readonly #frameBytesMax: number
  #chunk: Buffer = NOTHING
  #at = 0
  /** The frame that has begun and is not complete, length included; until the length is known only that. */
  #held: Buffer | undefined
  #heldBytes = 0

  constructor(layout: FrameLayout, frameBytesMax: number) {
    this.#layout = layout
    this.#frameBytesMax = frameBytesMax
  }

  /** Whether a frame has begun that is not complete; meaningful after `next` returned undefined. */
  get inFrame(): boolean {
    return this.#held !== undefined
  }

  /** Whether `next` has taken every byte that was pushed. */
  get drained(): boolean {
    return this.#at === this.#chunk.length
  }

  push(chunk: Buffer): void {
    this.#chunk = this.drained ? chunk : Buffer.concat([this.#chunk.subarray(this.#at), chunk])
    this.#at = 0
  }

  /** The next frame without its length, TPDU included; undefined when more bytes are needed or the stream is broken. */
  next(): Buffer | undefined {
    if (this.error !== undefined) return undefined
    return this.#held === undefined ? this.#take() : this.#complete(this.#held)
  }

  #take(): Buffer | undefined {
    const { lengthBytes } = this.#layout
    const available = this.#chunk.length - this.#at
    if (available < lengthBytes) {
      if (available > 0) this.#hold(lengthBytes)
      this.#chunk = NOTHING
      this.#at = 0
      return undefined
    }
    const bodyBytes = this.#length(this.#chunk, this.#at)
    if (bodyBytes === undefined) return undefined
    const start = this.#at + lengthBytes
    const end = start + bodyBytes
    if (end > this.#chunk.length) {
      this.#hold(lengthBytes + bodyBytes)
      return undefined
    }
    this.#at = end
    return this.#chunk.subarray(start, end)
  }

  #complete(held: Buffer): Buffer | undefined {
    const { lengthBytes } = this.#layout
    if (!this.#fill(held)) return undefined
    if (held.length > lengthBytes) {
      this.#held = undefined
      return held.subarray(lengthBytes)
    }
    const bodyBytes = this.#length(held, 0)
    if (bodyBytes === undefined) return undefined
    // The length itself has done its work: its place stays unwritten.
    const frame = Buffer.allocUnsafeSlow(lengthBytes + bodyBytes)
    this.#held = frame
    return this.#complete(frame)
  }

  #hold(frameBytes: number): void {
    this.#held = Buffer.allocUnsafeSlow(frameBytes)
    this.#heldBytes = 0
    this.#fill(this.#held)
  }

  /** Moves what the frame still needs from the chunk; true when it is complete. */
  #fill(held: Buffer): boolean {
    const copied = this.#chunk.copy(held, this.#heldBytes, this.#at)
    this.#heldBytes += copied
    this.#at += copied
    if (this.drained) {
      this.#chunk = NOTHING
      this.#at = 0
    }
    return this.#heldBytes === held.length
  }

  #length(bytes: Buffer, at: number): number | undefined {
    const { lengthBytes, tpduBytes } = this.#layout
    const length = lengthBytes === 2 ? bytes.readUInt16BE(at) : digits(bytes, at, lengthBytes)
    if (length === undefined) {
      const found = bytes.toString('hex', at, at + lengthBytes)
      this.error = { code: 'frame-length-not-digits', detail: `${String(lengthBytes)} digits expected, found ${found} (hex)` }
    } else if (length <= tpduBytes) {
      this.error = { code: 'frame-empty', detail: `length ${String(length)} leaves no room for a message` }
    } else if (length > this.#frameBytesMax) {
      this.error = { code: 'frame-too-long', detail: `length ${String(length)}, at most ${String(this.#frameBytesMax)}` }
    } else {
      return length
    }
    return undefined
  }
}

/** Bytes of a whole frame around a message of `payloadBytes`. */
export function frameBytes(layout: FrameLayout, payloadBytes: number): number {
  return layout.lengthBytes + layout.tpduBytes + payloadBytes
}

/**
 * Writes one frame into `target` and returns the offset behind it.
 * @param tpdu 5 bytes where the layout has a TPDU, as they go out
 */
export function writeFrame(layout: FrameLayout, target: Buffer, at: number, payload: Uint8Array, tpdu: Uint8Array): number {
  const length = layout.tpduBytes + payload.length
  assert(payload.length > 0 && length <= layout.lengthMax, 'a message to be sent fits its frame')
  if (layout.lengthBytes === 2) target.writeUInt16BE(length, at)
  else target.write(String(length).padStart(4, '0'), at, 'latin1')
  let next = at + layout.lengthBytes
  if (layout.tpduBytes > 0) {
    target.set(tpdu, next)
    next += layout.tpduBytes
  }
  target.set(payload, next)
  return next + payload.length
}

/** The TPDU of an answer: same identifier, destination and origin swapped. */
export function answerTpdu(request: Buffer): Buffer {
  const tpdu = Buffer.from(request.subarray(0, 5))
  request.copy(tpdu, 1, 3, 5)
  request.copy(tpdu, 3, 1, 3)
  return tpdu
}

function digits(bytes: Buffer, at: number, count: number): number | undefined {
  let value = 0
  for (let i = at; i < at + count; i++) {
    const digit = (bytes[i] ?? 0) - 48
    if (digit < 0 || digit > 9) return undefined
    value = value * 10 + digit
  }
  return value
}
