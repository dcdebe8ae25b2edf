import { nextSecond } from '../../../benchmarks/support/moment.ts'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { verify } from '../../../benchmarks/support/check.ts'
import { Load, type LoadOptions } from '../../../benchmarks/support/load.ts'
import type { MixName } from '../../../benchmarks/support/mix.ts'
import { programmeOf, settingsOf, type SecurityName } from '../../../benchmarks/support/security.ts'
import { decode } from '../../../src/iso8583/decode.ts'
import { messageSpec, type SpecName } from '../../../src/iso8583/messageSpec.ts'
import { demoKeys, demoPinBlock } from '../../../src/programme/demoVerification.ts'
import { readChipData } from '../../../src/security/chipData.ts'
import { macOf } from '../../../src/security/messageMac.ts'
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
  mixes: ['purchase'],
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
      handshakeMs: 10_000,
      idleMs: 60_000,
      connectionsPerAddressMax: 100,
      inFlightPerConnectionMax: 256,
      inFlightMax: 10_000,
      inFlightShareMin: 4,
      unsentBytesMax: 1_000_000,
      stalledMs: 30_000,
    },
    log: silentLogger,
    metrics: {
      connectionOpened: ignore,
      connectionClosed: ignore,
      handshakeFailed: ignore,
      frameReceived: ignore,
      frameRejected: ignore,
      answered: ignore,
      connectionDropped: ignore,
      heldBack: ignore,
      paced: ignore,
      pacedOver: ignore,
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
    ofEntitlement: false,
    billed: undefined,
    triesLeft: undefined,
    cover: undefined,
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
  for (const mix of options.mixes) await load.run(mix)
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

describe('repeats', () => {
  /** National messages, so that some are repeated; every answer is an approval. */
  const NATIONAL: Omit<LoadOptions, 'port'> = { ...OPTIONS, mixes: ['national'] }
  const isRepeat = ({ payload }: Held): boolean => payload.toString('latin1', 3, 4) === '1'

  it('are sent after the answer of their message, and get the same answer', async () => {
    const seen = new Set<string>()
    const early: string[] = []
    let repeats = 0
    const { port } = await fakeSwitch((held) => {
      const body = held.payload.toString('latin1', 4)
      if (!isRepeat(held)) seen.add(body)
      else {
        repeats++
        if (!seen.has(body)) early.push(body)
      }
      answerWith('00', held)
    })
    const { measurement } = await loaded({ ...NATIONAL, port })
    expect(repeats).toBeGreaterThan(0)
    expect(early).toEqual([])
    expect(measurement).toMatchObject({ sent: measurement.approved, declined: 0, errors: 0, repeatsDifferent: 0 })
    expect(measurement.approvalsInTime).toBeLessThan(measurement.answersInTime)
  })

  it('that get another answer are counted', async () => {
    let repeats = 0
    const { port } = await fakeSwitch((held) => {
      if (isRepeat(held)) repeats++
      answerWith(isRepeat(held) ? '51' : '00', held)
    })
    const { measurement } = await loaded({ ...NATIONAL, port })
    expect(repeats).toBeGreaterThan(0)
    expect(measurement).toMatchObject({ repeatsDifferent: repeats, errors: repeats })
  })
})

it('mixes that take turns are measured apart, and a late answer to an earlier one counts for none', async () => {
  let withheld: Held | undefined
  let count = 0
  let isLate = false
  const { port } = await fakeSwitch((held) => {
    const isPurchase = held.payload.toString('latin1', 0, 4) === '0200'
    if (isPurchase && ++count === 30) {
      withheld = held
      return
    }
    if (!isPurchase && withheld !== undefined && !isLate) {
      isLate = true
      answerWith('00', withheld)
    }
    answerWith('00', held)
  })
  const load = new Load({ ...OPTIONS, mixes: ['purchase', 'balance'], port, lastAnswersMs: 50 })
  cleanUps.push(() => load.close())
  await load.open()
  const purchases = await load.run('purchase')
  const balances = await load.run('balance')
  expect(purchases).toMatchObject({ sent: count, approved: count - 1, errors: 1 })
  expect(balances).toMatchObject({ sent: balances.approved, declined: 0, errors: 1 })
  expect(load.outstanding).toBe(0)
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

describe('messages that are made before the clock starts', () => {
  const FULL: Omit<LoadOptions, 'port'> = { ...OPTIONS, securities: ['full'] }

  it('carry what a card with a chip shows, each a counter that is one higher, and a MAC', async () => {
    const atcs = new Map<string, number[]>()
    const wrong: string[] = []
    const { port } = await fakeSwitch((held) => {
      const frame = held.payload
      const decoded = decode(spec, frame)
      if (!decoded.ok) throw new Error(decoded.error.path)
      const { message } = decoded
      const pan = message.text(2) ?? ''
      const chip = readChipData(message.bytes(55) ?? Buffer.alloc(0))
      if (!chip.ok) throw new Error(chip.error.path)
      atcs.set(pan, [...(atcs.get(pan) ?? []), chip.value.chip.atc.readUInt16BE()])
      const mac = macOf(message, frame)
      const fits = mac !== undefined && demoKeys().find('mac.atm', 'M6').mac(mac.data).subarray(0, 8).equals(mac.given)
      const pin = message.text(52) === demoPinBlock(pan).toString('hex').toUpperCase()
      if (!fits || !pin || chip.value.amount !== Number(message.text(4))) wrong.push(pan)
      answerWith('00', held)
    })
    const load = new Load({ ...FULL, households: 40, connections: 1, preparedRate: 150, port, lastAnswersMs: 50 })
    cleanUps.push(() => load.close())
    await load.open()
    await load.run('purchase', 'full')
    expect(wrong).toEqual([])
    expect([...atcs.values()].some((counters) => counters.length > 2)).toBe(true)
    for (const counters of atcs.values()) expect(counters).toEqual(counters.map((_, index) => index + 1))
  })

  it('end the measured time where they have all been sent', async () => {
    const { port } = await fakeSwitch((held) => answerWith('00', held))
    const load = new Load({ ...FULL, households: 40, preparedRate: 20, port, lastAnswersMs: 50 })
    cleanUps.push(() => load.close())
    await load.open()
    const measurement = await load.run('purchase', 'full')
    expect(load.ranOut).toBe(true)
    expect(measurement.seconds).toBeLessThan(1)
    expect(measurement.approved).toBe(measurement.sent)
    expect(measurement.sent).toBeLessThanOrEqual(3 * (Math.ceil((20 * 1.5) / 3) + OPTIONS.inFlight))
  })

  it('have their answers checked, one in a hundred: without MAC and cryptogram each is an error', async () => {
    const { port } = await fakeSwitch((held) => answerWith('00', held))
    const load = new Load({ ...FULL, households: 40, connections: 1, preparedRate: 200, port, lastAnswersMs: 50 })
    cleanUps.push(() => load.close())
    await load.open()
    const measurement = await load.run('purchase', 'full')
    expect(load.answersChecked).toBeGreaterThan(1)
    expect(load.answersWrong).toBe(load.answersChecked)
    expect(measurement.errors).toBe(load.answersWrong)
  })
})

describe('against the switch', () => {
  let usual: TestSwitch
  beforeAll(async () => {
    usual = await startTestSwitch({ demoHouseholds: OPTIONS.households })
  })

  /** One for each load: counters of chips begin at 1. */
  const strict = (): Promise<TestSwitch> =>
    startTestSwitch({
      demoHouseholds: OPTIONS.households,
      configure: (config) => ({
        ...config,
        ...settingsOf('full', config),
        programme: programmeOf('full', config.programme),
      }),
    })

  it.each<[SpecName, MixName, number | undefined, SecurityName]>([
    // At a rate at which no household is asked for bread twice.
    ['ascii', 'national', 400, 'pin'],
    ['hex', 'reversal', undefined, 'none'],
    ['ascii', 'authorize', undefined, 'full'],
    ['bcd', 'national', 400, 'full'],
    ['hex', 'reversal', undefined, 'full'],
  ])(
    'in dialect %s, mix %s is approved and the ledger holds exactly what was answered (rate %s, security %s)',
    async (name, mix, rate, security) => {
      const target = security === 'full' ? await strict() : usual
      const link = target.config.links.find((candidate) => candidate.spec === name)!
      const options: LoadOptions = {
        ...OPTIONS,
        mixes: [mix],
        securities: [security],
        preparedRate: 3000,
        rate,
        spec: messageSpec(name),
        framing: link.framing,
        port: target.portOf(link.name),
        // More connections than there are transfer links, post offices and ATMs: some share a terminal.
        connections: 60,
      }
      const startedMs = await nextSecond()
      const load = new Load(options)
      cleanUps.push(() => load.close())
      await load.open()
      const measurement = await load.run(mix, security)
      expect(measurement.approved).toBeGreaterThan(0)
      expect([measurement.declined, measurement.errors]).toEqual([0, 0])
      expect(load.answersWrong).toBe(0)
      expect(load.answersChecked > 0).toBe(security === 'full')
      const nothing = { approvedNotInLedger: 0, inLedgerNotApproved: 0, unanswered: 0 }
      expect(await verify(target.databaseUrl, load.journal, startedMs)).toEqual(nothing)
    },
  )

  it('with more security than the switch demands and with less in turn, all of it is in one journal', async () => {
    const link = usual.config.links.find(({ spec }) => spec === 'ascii')!
    const startedMs = await nextSecond()
    const ports = { none: usual.portOf(link.name), pin: usual.portOf(link.name) }
    const load = new Load({ ...OPTIONS, securities: ['none', 'pin'], ports, port: 0 })
    cleanUps.push(() => load.close())
    await load.open()
    for (const security of ['none', 'pin', 'none'] as const) {
      const { approved, sent } = await load.run('purchase', security)
      expect(approved).toBe(sent)
    }
    expect(await verify(usual.databaseUrl, load.journal, startedMs)).toMatchObject({
      approvedNotInLedger: 0,
      inLedgerNotApproved: 0,
    })
  })
})
