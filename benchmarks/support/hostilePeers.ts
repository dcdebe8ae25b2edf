/**
 * Peers that mean no good, in a process of their own so that they take no time of whoever measures: `node hostilePeers.ts '<plan as JSON>'`. Runs until its
 * channel is closed; says once a second, and at its end, what became of them.
 */
import { createConnection, type Socket } from 'node:net'
import { encode, type FieldValues } from '../../src/iso8583/encode.ts'
import { messageSpec } from '../../src/iso8583/messageSpec.ts'
import { frameLayout, FrameReader } from '../../src/transport/framing.ts'
import { demoPan, demoTerminals, FIRST_PLAIN_HOUSEHOLD } from '../../src/programme/demo.ts'

export interface HostilePlan {
  readonly port: number
  readonly households: number
  /** Connect and say nothing. */
  readonly idle: number
  /** Begin a frame and send a byte of it now and then; again when they are cut off. */
  readonly slow: number
  /** Send purchases as fast as they are answered, always hundreds ahead: more would fill no more than buffers, and take the CPU of who is measured. */
  readonly floods: number
  /** Announce a frame that is too large, or send noise; again at once when they are cut off. */
  readonly broken: number
}

export interface HostileCounts {
  opened: number
  /** Ended by the switch. */
  cutOff: number
  messages: number
  answers: number
}

const DRIP_MS = 200
/** A peer that was cut off is back after so long. */
const AGAIN_MS = 20
/** What a flood sends at once, and what it has sent and not had answered at least. */
const CHUNK = 64
const AHEAD = 512
const FRAME_BYTES_MAX = 65_535
const FLOOD_TERMINALS = 50
const ACQUIRER = '00000818001'

const counts: HostileCounts = { opened: 0, cutOff: 0, messages: 0, answers: 0 }
const spec = messageSpec('ascii')
let stan = 0

if (import.meta.main) run(JSON.parse(process.argv[2] ?? '{}') as HostilePlan)

function run(plan: HostilePlan): void {
  process.on('disconnect', () => process.exit(0))
  for (let n = 0; n < plan.idle; n++) open(plan.port, () => undefined)
  for (let n = 0; n < plan.slow; n++) open(plan.port, drip)
  for (let n = 0; n < plan.broken; n++) open(plan.port, (socket) => void socket.write(n % 2 === 0 ? TOO_LARGE : NOISE))
  const terminals = demoTerminals().filter(({ class: kind, state }) => kind === 'pos' && state === 'ACTIVE')
  for (let n = 0; n < plan.floods; n++) {
    // From the other end: the honest ones have the first. Trace numbers are of all floods together, so they may share one.
    const terminalId = terminals.at(-1 - (n % FLOOD_TERMINALS))?.terminalId ?? ''
    open(plan.port, (socket) => flood(socket, terminalId, plan.households))
  }
  // The other side may have gone a moment ago.
  setInterval(() => process.send?.(counts, undefined, undefined, () => undefined), 1000)
}

const TOO_LARGE = Buffer.from([0xff, 0xff])
/** A frame of the right form that is no message. */
const NOISE = Buffer.concat([Buffer.from([0, 64]), Buffer.alloc(64, 0xa5)])

function open(port: number, begin: (socket: Socket) => void): void {
  const socket = createConnection({ host: '127.0.0.1', port, noDelay: true })
  counts.opened++
  socket.on('connect', () => begin(socket))
  socket.resume()
  socket.on('error', () => undefined)
  socket.on('close', () => {
    counts.cutOff++
    setTimeout(() => open(port, begin), AGAIN_MS)
  })
}

function drip(socket: Socket): void {
  socket.write(Buffer.from([0x0f, 0xff]))
  const timer = setInterval(() => void socket.write('0'), DRIP_MS)
  socket.on('close', () => clearInterval(timer))
}

function flood(socket: Socket, terminalId: string, households: number): void {
  const reader = new FrameReader(frameLayout('length2'), FRAME_BYTES_MAX)
  let waiting = 0
  const fill = (): void => {
    while (waiting < AHEAD) {
      const frames = Array.from({ length: CHUNK }, () => frameOf(terminalId, households))
      counts.messages += CHUNK
      waiting += CHUNK
      socket.write(Buffer.concat(frames))
    }
  }
  socket.on('data', (bytes: Buffer) => {
    reader.push(bytes)
    while (reader.next() !== undefined) {
      waiting--
      counts.answers++
    }
    fill()
  })
  fill()
}

function frameOf(terminalId: string, households: number): Buffer {
  stan = (stan % 999_999) + 1
  const fields: FieldValues = []
  fields[2] = demoPan(FIRST_PLAIN_HOUSEHOLD + (stan % (households - FIRST_PLAIN_HOUSEHOLD)))
  fields[3] = '000000'
  fields[4] = '000000000100'
  fields[7] = new Date().toISOString().slice(5, 19).replaceAll(/[-T:]/g, '')
  fields[11] = String(stan).padStart(6, '0')
  fields[32] = ACQUIRER
  fields[41] = terminalId
  fields[49] = '818'
  const encoded = encode(spec, '0200', fields)
  if (!encoded.ok) throw new RangeError(encoded.error.path)
  return Buffer.concat([Buffer.from([encoded.bytes.length >> 8, encoded.bytes.length & 0xff]), encoded.bytes])
}
