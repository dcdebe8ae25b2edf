/**
 * The frame reader (src/transport/framing.ts). The first byte says which framing, the second where the stream is cut, the rest is the stream.
 * However it is cut, and whenever the frames are taken out, they are the same.
 */
import { randomFrom } from '../../../benchmarks/support/random.ts'
import {
  frameBytes,
  frameLayout,
  FrameReader,
  writeFrame,
  type FrameLayout,
  type Framing,
} from '../../../src/transport/framing.ts'
import { check, checkNoCardNumber, same, type Target } from '../target.ts'

const FRAMINGS: readonly Framing[] = ['length2', 'length2-tpdu', 'length4']
const FRAME_BYTES_MAX = 64

export const frames: Target = {
  seeds: FRAMINGS.flatMap((framing, index) =>
    [['0800'], ['0800', '0200 a longer one'], ['x'.repeat(FRAME_BYTES_MAX - 5), 'x'], ['x'.repeat(FRAME_BYTES_MAX + 1)]].map(
      (payloads) => Buffer.concat([Buffer.of(index, payloads.length), ...payloads.map((payload) => frame(framing, payload))]),
    ),
  ),
  dictionary: [
    [0, 5],
    [0, 6],
    [0, 64],
    [0, 65],
  ]
    .map((bytes) => Uint8Array.from(bytes))
    .concat(),
  bytesMax: 300,
  run(input) {
    const layout = frameLayout(FRAMINGS[(input[0] ?? 0) % FRAMINGS.length]!)
    const stream = input.subarray(2)
    const whole = readWhole(layout, stream)
    const cut = readCut(layout, stream, input[1] ?? 0)
    same(cut.frames.map(hex), whole.frames.map(hex), 'the frames are the same however the stream is cut')
    same(cut.reader.error, whole.reader.error, 'the error is the same however the stream is cut')
    const { error, inFrame } = whole.reader
    if (error === undefined) check(cut.reader.inFrame === inFrame && cut.reader.drained, 'nothing is left in the reader')
    else checkNoCardNumber(error.detail, 'an error')
    for (const body of whole.frames)
      check(
        body.length > layout.tpduBytes && body.length <= FRAME_BYTES_MAX,
        'a frame has room for a message and is under the cap',
        body.length,
      )
    const written = Buffer.concat(whole.frames.map((body) => write(layout, body)))
    check(stream.subarray(0, written.length).equals(written), 'what is read is written back as it was')
    if (error === undefined && !inFrame) check(written.length === stream.length, 'every byte is in a frame')
    return whole.frames.length > 0 && error === undefined ? 'accepted' : 'rejected'
  },
}

interface Reading {
  readonly reader: FrameReader
  readonly frames: readonly Buffer[]
}

function readWhole(layout: FrameLayout, stream: Buffer): Reading {
  const reader = new FrameReader(layout, FRAME_BYTES_MAX)
  reader.push(stream)
  return { reader, frames: take(reader, Infinity) }
}

function readCut(layout: FrameLayout, stream: Buffer, seed: number): Reading {
  const random = randomFrom(seed)
  const reader = new FrameReader(layout, FRAME_BYTES_MAX)
  const frames: Buffer[] = []
  for (let at = 0; at < stream.length;) {
    const end = at + 1 + random.below(1 + random.below(40))
    // Copies, as the socket's chunks are: none goes on where the last one ended.
    reader.push(Buffer.from(stream.subarray(at, end)))
    at = end
    // Whoever reads may stop between two frames.
    frames.push(...take(reader, random.below(3)))
  }
  frames.push(...take(reader, Infinity))
  return { reader, frames }
}

function take(reader: FrameReader, most: number): Buffer[] {
  const frames: Buffer[] = []
  while (frames.length < most) {
    const frame = reader.next()
    if (frame === undefined) break
    frames.push(frame)
  }
  return frames
}

function write(layout: FrameLayout, body: Buffer): Buffer {
  const payload = body.subarray(layout.tpduBytes)
  const bytes = Buffer.alloc(frameBytes(layout, payload.length))
  writeFrame(layout, bytes, 0, payload, body.subarray(0, layout.tpduBytes))
  return bytes
}

function frame(framing: Framing, payload: string): Buffer {
  const layout = frameLayout(framing)
  return write(layout, Buffer.concat([Buffer.alloc(layout.tpduBytes, 0x60), Buffer.from(payload)]))
}

function hex(bytes: Buffer): string {
  return bytes.toString('hex')
}
