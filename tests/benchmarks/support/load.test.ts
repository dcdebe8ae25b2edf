import { nextSecond } from '../../../benchmarks/support/moment.ts'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { verify } from '../../../benchmarks/support/check.ts'
import { Load, type LoadOptions } from '../../../benchmarks/support/load.ts'
import type { MixName } from '../../../benchmarks/support/mix.ts'
import { decode } from '../../../src/iso8583/decode.ts'
import { messageSpec, type SpecName } from '../../../src/iso8583/messageSpec.ts'
import { answerTo } from '../../../src/response/answer.ts'
import { listen, type Listener } from '../../../src/transport/listener.ts'
import type { Exchange } from '../../../src/transport/exchange.ts'
import { silentLogger } from '../../../src/log.ts'
import { startTestSwitch, type TestSwitch } from '../../support/switch.ts'

const spec = messageSpec('ascii')
const OPTIONS: Omit<LoadOptions, 'port'> = {
  host: '127.0.0.1',
  framing: 'length2',
  spec,
  connections: 3,
  inFlight: 4,
  rate: undefined,
  seconds: 1,
  warmupSeconds: 0,
  mix: 'purchase',
  households: 1000,
  seed: 1,
}

const cleanUps: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0)) await cleanUp()
})

interface Held {
  readonly payload: Buffer
  readonly exchange: Exchange
}

/** Something that listens like a switch and does with each message what the test says. */
async function fakeSwitch(onMessage: (held: Held) => void): Promise<Listener> {
  const ignore = (): void => undefined
  const listener = await listen({
    host: '127.0.0.1',
    link: { name: 'fake', port: 0, spec: 'ascii', framing: 'length2', keyTime: 'transmission' },
    limits: {
      frameBytesMax: 4096,
      partialFrameMs: 10_000,
      idleMs: 60_000,
      connectionsPerAddressMax: 100,
      inFlightPerConnectionMax: 256,
      unsentBytesMax: 1_000_000,
    },
    log: silentLogger,
    metrics: {
      connectionOpened: ignore,
      connectionClosed: ignore,
      frameReceived: ignore,
      frameRejected: ignore,
      answered: ignore,
    },
    onFrame: (payload, exchange) => onMessage({ payload: Buffer.from(payload), exchange }),
  })
  cleanUps.push(() => listener.close())
  return listener
}

function answerWith(responseCode: string, { payload, exchange }: Held): void {
  const decoded = decode(spec, payload)
  if (!decoded.ok) throw new Error(decoded.error.path)
  const { message } = decoded
  const rrn = message.text(37)
  const result = {
    responseCode,
    reason: undefined,
    approvalCode: 'A1B2C3',
    approved: 1,
    balances: undefined,
    rrn,
    replayed: false,
  }
  const encoded = answerTo(message, result)
  if (!encoded.ok) throw new Error(encoded.error.path)
  exchange.answer(encoded.bytes)
}

async function loaded(options: LoadOptions): Promise<Load> {
  const load = new Load(options)
  cleanUps.push(() => load.close())
  await load.open()
  await load.run()
  return load
}

describe('closed loop', () => {
  it('has as many messages in flight as it was told and no more, and counts each answer once', async () => {
    const wanted = OPTIONS.connections * OPTIONS.inFlight
    let held: Held[] | undefined = []
    let heldAtOnce = 0
    let count = 0
    const answerNext = (one: Held): void => answerWith(++count % 10 === 0 ? '51' : '00', one)
    const { port } = await fakeSwitch((one) => {
      if (held === undefined) answerNext(one)
      else if (held.push(one) === wanted) {
        // Whatever else was sent would arrive meanwhile.
        setTimeout(() => {
          heldAtOnce = held?.length ?? 0
          for (const waiting of held ?? []) answerNext(waiting)
          held = undefined
        }, 50)
      }
    })
    const { measurement, outstanding } = await loaded({ ...OPTIONS, port })
    expect(heldAtOnce).toBe(wanted)
    expect(outstanding).toBe(0)
    const declined = Math.floor(count / 10)
    expect(measurement).toMatchObject({ sent: count, approved: count - declined, declined, errors: 0 })
    expect(measurement.responseCodes.get('51')).toBe(declined)
  })

  it('a second answer to one message is an error, and so is the message that got none', async () => {
    let before: Buffer | undefined
    let count = 0
    const { port } = await fakeSwitch((held) => {
      if (++count === 20 && before !== undefined) answerWith('00', { ...held, payload: before })
      else answerWith('00', held)
      before = held.payload
    })
    const { measurement } = await loaded({ ...OPTIONS, connections: 1, inFlight: 1, port, lastAnswersMs: 50 })
    expect(measurement).toMatchObject({ sent: 20, approved: 19, declined: 0, errors: 2 })
  })

  it('messages in flight on a lost connection are errors, and the connection is opened again', async () => {
    let count = 0
    const { port } = await fakeSwitch((held) => {
      if (++count === 50) held.exchange.close('test')
      else answerWith('00', held)
    })
    const load = await loaded({ ...OPTIONS, port })
    expect(load.connectionsLost).toBe(1)
    expect(load.measurement.errors).toBeGreaterThanOrEqual(1)
    expect(load.measurement.errors).toBeLessThanOrEqual(OPTIONS.inFlight)
    const { sent, approved, declined, errors } = load.measurement
    expect(approved + declined + errors).toBe(sent)
  })
})

describe('open loop', () => {
  it('sends what the rate asks for', async () => {
    const { port } = await fakeSwitch((held) => answerWith('00', held))
    const { measurement } = await loaded({ ...OPTIONS, port, rate: 500 })
    expect(measurement.sent).toBe(500)
    expect(measurement.approved).toBe(500)
  })

  it('a server that stalls cannot hide: what it kept waiting counts from when it was due', async () => {
    const stalled: Held[] = []
    let stalling = true
    const { port } = await fakeSwitch((held) => {
      if (!stalling) answerWith('00', held)
      else if (stalled.push(held) === 1) {
        setTimeout(() => {
          stalling = false
          for (const one of stalled) answerWith('00', one)
        }, 500)
      }
    })
    // 12 in flight at most, so nearly all of the 500 messages that are due in the first half second cannot even be sent in it.
    const { measurement } = await loaded({ ...OPTIONS, port, rate: 1000 })
    expect(measurement.approved).toBe(1000)
    // Due evenly over half a second, and answered at its end: 40 of 100 messages waited more than 100 ms, however quick the rest was.
    expect(measurement.latency.getValueAtPercentile(60.1)).toBeGreaterThan(99_000)
  })
})

describe('against the switch', () => {
  let target: TestSwitch
  beforeAll(async () => {
    target = await startTestSwitch()
  })

  it.each<[SpecName, MixName]>([
    ['ascii', 'national'],
    ['bcd', 'authorize'],
    ['hex', 'reversal'],
  ])('in dialect %s, mix %s is approved and the ledger holds exactly what was answered', async (name, mix) => {
    const link = target.config.links.find((candidate) => candidate.spec === name)!
    const options = { ...OPTIONS, mix, spec: messageSpec(name), framing: link.framing, port: target.portOf(link.name) }
    const startedMs = await nextSecond()
    // More connections than there are transfer links, post offices and ATMs: some share a terminal.
    const load = await loaded({ ...options, connections: 60 })
    expect(load.measurement.approved).toBeGreaterThan(0)
    expect(load.measurement.declined + load.measurement.errors).toBe(0)
    const nothing = { approvedNotInLedger: 0, inLedgerNotApproved: 0, unanswered: 0 }
    expect(await verify(target.databaseUrl, load.journal, startedMs)).toEqual(nothing)
  })
})
