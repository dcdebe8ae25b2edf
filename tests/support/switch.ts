/** A switch in this process on a database and a Redis of its own, and what a test needs to talk to it: terminals, cards, a clock to set. */
import { randomInt } from 'node:crypto'
import { Pool } from 'pg'
import { afterAll, vi } from 'vitest'
import type { Clock } from '../../src/clock.ts'
import { loadConfig, type Config, type HsmConfig } from '../../src/config.ts'
import { decode } from '../../src/iso8583/decode.ts'
import { encode, type FieldValues } from '../../src/iso8583/encode.ts'
import type { Message } from '../../src/iso8583/message.ts'
import { messageSpec } from '../../src/iso8583/messageSpec.ts'
import { formatOriginalData } from '../../src/iso8583/originalData.ts'
import { silentLogger, type Logger } from '../../src/log.ts'
import { startSwitch, type RunningSwitch } from '../../src/main.ts'
import { demoTerminal, demoTerminals } from '../../src/programme/demo.ts'
import { demoPinBlock } from '../../src/programme/demoVerification.ts'
import type { DataVault } from '../../src/security/dataVault.ts'
import { developmentKeys } from '../../src/security/developmentKeys.ts'
import { openPkcs11KeyStore } from '../../src/security/pkcs11Keys.ts'
import { softHsm } from './softHsm.ts'
import { connect, type Client, type ClientTls } from '../../src/transport/client.ts'
import {
  openCard,
  openHousehold,
  type CardOptions,
  type HouseholdOptions,
  type TestCard,
  type TestHousehold,
} from './openHousehold.ts'
import { createDatabase, createRedisServer } from './stack.ts'

export type { TestCard, TestHousehold } from './openHousehold.ts'

/** Runs with the system's time, shifted as a test asks. */
export class TestClock implements Clock {
  #shiftMs = 0

  now(): number {
    return Date.now() + this.#shiftMs
  }

  after(delayMs: number, run: () => void): () => void {
    const timer = setTimeout(run, delayMs)
    return () => {
      clearTimeout(timer)
    }
  }

  soon(run: () => void): void {
    setImmediate(run)
  }

  /** @param instant ISO 8601, or milliseconds since 1970 */
  moveTo(instant: string | number): void {
    this.#shiftMs = (typeof instant === 'number' ? instant : Date.parse(instant)) - Date.now()
  }
}

export type TestRedis = Awaited<ReturnType<typeof createRedisServer>>

export interface SwitchSettings {
  /** Time at the start; absent: now. */
  readonly at?: string
  /** Called with the configuration, to change it. */
  readonly configure?: (config: Config) => Config | Promise<Config>
  /** Absent: nothing is written. */
  readonly log?: Logger
  /** Seals what is kept of the cards and persons that a test opens; absent: nothing is kept. */
  readonly vault?: DataVault
  /** Of an empty database; absent: a fresh one of the run's own server. */
  readonly databaseUrl?: string
  /** Of the demo programme; absent: as many as have a card with a name of its own, for making more takes longer than most tests. */
  readonly demoHouseholds?: number
}

/** What goes out; `fields` by data element number. */
export interface Sent {
  readonly mti: string
  readonly fields: Readonly<Record<number, string>>
}

/** Overrides by data element number; undefined leaves a field out. */
export type Fields = Readonly<Record<number, string | undefined>>

export interface TestSwitch {
  readonly config: Config
  readonly clock: TestClock
  readonly redis: TestRedis
  readonly databaseUrl: string
  /** Where a link listens now. */
  portOf(link: string): number
  /** Connects to a link by its name; with TLS where the link has it. */
  connect(link: string, tls?: ClientTls): Promise<TestLink>
  /** A card with a purse, its opening balance posted as the seed does it. */
  openCard(options?: CardOptions): Promise<TestCard>
  /** A household with a head's and a member's card and all its purses, opened and posted as the seed does it. */
  openHousehold(options?: HouseholdOptions): Promise<TestHousehold>
  sql<Row extends object>(text: string, values?: readonly unknown[]): Promise<Row[]>
  /** Drains it and starts another one on the same database and Redis. */
  restart(): Promise<void>
}

const DEMO_HOUSEHOLDS = 20

/** Links wait for no port of their own; terminals are looked up anew for each message, so that a test may change them. */
export async function startTestSwitch(settings: SwitchSettings = {}): Promise<TestSwitch> {
  const [databaseUrl, redis] = await Promise.all([settings.databaseUrl ?? createDatabase(), createRedisServer()])
  const loaded = loadConfig({ DATABASE_URL: databaseUrl, REDIS_URL: redis.url, SARF_PORT_HTTP: '0' })
  const defaults: Config = {
    ...loaded,
    links: loaded.links.map((link) => ({ ...link, port: 0 })),
    registry: { ...loaded.registry, freshMs: 0 },
    // A test's clock is not that of the jobs' library; tests of jobs start them themselves.
    jobs: { ...loaded.jobs, enabled: false },
    hsm: testKeys() ?? loaded.hsm,
    // Notices stay where they are until a test sends them.
    notices: { ...loaded.notices, enabled: false },
    // Nor is it the database server's.
    settlement: {
      ...loaded.settlement,
      days: { ...loaded.settlement.days, clockAheadMaxMs: Number.MAX_SAFE_INTEGER },
    },
  }
  const config = (await settings.configure?.(defaults)) ?? defaults
  const clock = new TestClock()
  const { log = silentLogger, vault, demoHouseholds = DEMO_HOUSEHOLDS } = settings
  if (settings.at !== undefined) clock.moveTo(settings.at)
  const sql = new Pool({ connectionString: databaseUrl, max: 2 })
  // A test may end the connections of this database; its own is not spared.
  sql.on('error', () => undefined)
  const options = { log, clock, demoHouseholds, schemas: 'at first use' } as const
  let running: RunningSwitch = await startSwitch(config, options)
  const links: TestLink[] = []
  ends.push(async () => {
    for (const link of links) link.client.destroy()
    await running.drain()
    await sql.end()
  })
  const portOf = (name: string): number => {
    const address = running.addresses.find((candidate) => candidate.name === name)
    if (address === undefined) throw new RangeError(`no link ${name}`)
    return address.port
  }
  return {
    config,
    clock,
    redis,
    databaseUrl,
    portOf,
    async connect(name, tls) {
      const link = await TestLink.open(config, clock, name, portOf(name), tls)
      links.push(link)
      return link
    },
    openCard: (options) => openCard({ sql, config, clock, vault }, options),
    openHousehold: (options) => openHousehold({ sql, config, clock, vault }, options),
    sql: async <Row extends object>(text: string, values: readonly unknown[] = []) =>
      (await sql.query<Row & Record<string, unknown>>(text, [...values])).rows,
    async restart() {
      for (const link of links.splice(0)) link.client.destroy()
      await running.drain()
      running = await startSwitch(config, options)
    },
  }
}

/** A token with the development keys, where the tests are run on one (vitest.config.ts). */
function testKeys(): HsmConfig | undefined {
  const token = process.env['SARF_TEST_KEYS'] === 'pkcs11' ? softHsm() : undefined
  if (token === undefined) return undefined
  const store = openPkcs11KeyStore(token)
  const there = new Set(store.list().map(({ name }) => name))
  for (const key of developmentKeys()) if (!there.has(key.name)) store.put(key)
  store.close()
  return { kind: 'pkcs11', module: token.module, tokenLabel: token.tokenLabel, pin: token.pin }
}

const ends: (() => Promise<void>)[] = []
afterAll(async () => {
  for (const end of ends.splice(0)) await end()
})

/** A connection that pairs answers with what was asked, by MTI and trace number, oldest first. */
export class TestLink {
  readonly name: string
  readonly client: Client
  /** Settles when the connection is gone. */
  readonly closed: Promise<void>
  readonly #spec: ReturnType<typeof messageSpec>
  readonly #clock: Clock
  readonly #frames = new WeakMap<Message, Buffer>()
  readonly #waiting = new Map<string, ((answer: Message | undefined) => void)[]>()

  static async open(config: Config, clock: Clock, name: string, port: number, tls?: ClientTls): Promise<TestLink> {
    const link = config.links.find((candidate) => candidate.name === name)
    if (link === undefined) throw new RangeError(`no link ${name}`)
    const received: { link?: TestLink } = {}
    const { promise: closed, resolve } = Promise.withResolvers<undefined>()
    const client = await connect({
      host: config.host,
      port,
      framing: link.framing,
      ...(tls === undefined ? {} : { tls }),
      onPayload: (payload) => received.link?.take(payload),
      onClose: () => {
        received.link?.drop()
        resolve(undefined)
      },
    })
    return (received.link = new TestLink(name, client, closed, messageSpec(link.spec), clock))
  }

  private constructor(
    name: string,
    client: Client,
    closed: Promise<undefined>,
    spec: ReturnType<typeof messageSpec>,
    clock: Clock,
  ) {
    this.name = name
    this.client = client
    this.closed = closed.then(() => undefined)
    this.#spec = spec
    this.#clock = clock
  }

  /** Composes, sends and waits. @throws Error where the connection closes instead */
  async ask(mti: string, overrides: Fields): Promise<Message> {
    return (await this.exchange(mti, overrides)).answer
  }

  /** The same, with what was sent: for tests that refer to it later. */
  async exchange(mti: string, overrides: Fields): Promise<{ sent: Sent; answer: Message }> {
    const sent = compose(this.#clock, mti, overrides)
    return { sent, answer: await this.send(sent) }
  }

  /** Sends what was composed before; the same again is a repeat. @throws Error where the connection closes instead */
  async send(sent: Sent): Promise<Message> {
    const encoded = encode(this.#spec, sent.mti, fieldValues(sent.fields))
    if (!encoded.ok) throw new Error(`cannot be encoded: ${encoded.error.path} ${encoded.error.expected}`)
    const answer = await this.sendBytes(encoded.bytes, answerName(sent.mti, sent.fields[11]))
    if (answer === undefined) throw new Error('the connection was closed')
    return answer
  }

  /** @returns the answer with that name (see `answerName`), undefined where the connection closes instead */
  sendBytes(bytes: Uint8Array, name: string): Promise<Message | undefined> {
    const { promise, resolve } = Promise.withResolvers<Message | undefined>()
    this.#waiting.set(name, [...(this.#waiting.get(name) ?? []), resolve])
    this.client.send(bytes)
    return promise
  }

  /** The bytes that an answer came in. */
  frameOf(answer: Message): Buffer {
    return this.#frames.get(answer) ?? Buffer.alloc(0)
  }

  encode(sent: Sent): Buffer {
    const encoded = encode(this.#spec, sent.mti, fieldValues(sent.fields))
    if (!encoded.ok) throw new Error(`cannot be encoded: ${encoded.error.path}`)
    return encoded.bytes
  }

  take(payload: Buffer): void {
    const frame = Buffer.from(payload)
    const decoded = decode(this.#spec, frame)
    if (!decoded.ok) throw new Error(`the switch sent what cannot be decoded: ${decoded.error.path} ${decoded.error.expected}`)
    const { message } = decoded
    this.#frames.set(message, frame)
    this.#waiting.get(`${message.mti}|${message.text(11) ?? ''}`)?.shift()?.(message)
  }

  drop(): void {
    for (const queue of this.#waiting.values()) for (const resolve of queue.splice(0)) resolve(undefined)
  }
}

/** The name an answer is found by: MTI of the answer and trace number. */
export function answerName(mti: string, stan: string | undefined): string {
  return `${mti.slice(0, 2)}${String(Number(mti.charAt(2)) + 1)}${String(Number(mti.charAt(3)) & ~1)}|${stan ?? ''}`
}

export const ACQUIRER = '818001'
let stan = randomInt(900_000)

/** Fills in what every transaction carries: DE 3, 4, 7, 11, 32, 41 and 42 of the first shop, 49. */
export function compose(clock: Clock, mti: string, overrides: Fields): Sent {
  stan = (stan % 999_999) + 1
  const pos = demoTerminal('pos')
  const network = mti.charAt(1) === '8'
  const usual: Fields = {
    7: new Date(clock.now()).toISOString().replace(/\D/g, '').slice(4, 14),
    11: String(stan).padStart(6, '0'),
    ...(network ? {} : { 3: '000000', 4: '000000001000', 32: ACQUIRER, 41: pos.terminalId, 49: '818' }),
  }
  const all: Fields = { ...usual, ...enteredPin(mti, overrides), ...overrides }
  return {
    mti,
    fields: Object.fromEntries(Object.entries(all).filter((entry): entry is [string, string] => entry[1] !== undefined)),
  }
}

/** At ATMs and where bread, goods and points are handed out the holder enters the PIN; a test that says what DE 52 is has its way. */
function enteredPin(mti: string, { 2: number, 3: code = '', 35: track, 41: terminal = '' }: Fields): Fields {
  const pan = number ?? track?.split('=')[0] ?? ''
  const isAsked = /^0[12]0[01]$/.test(mti) && (/^009[578]|^01/.test(code) || terminal.startsWith('ATM'))
  return isAsked && /^\d{13,19}$/.test(pan) ? { 52: demoPinBlock(pan).toString('hex').toUpperCase() } : {}
}

/** DE 41 and 42 of a terminal, by its id (`BAK00002`), or of the first one of a class (`bakery`). */
export function at(place: string): Fields {
  const { terminalId, acceptorId } = demoTerminals().find((terminal) => terminal.terminalId === place) ?? demoTerminal(place)
  return { 41: terminalId, 42: acceptorId }
}

/** DE 4. */
export function amount(minorUnits: number): string {
  return String(minorUnits).padStart(12, '0')
}

/** DE 90 that names `sent`. */
export function originalOf(sent: Sent): string {
  return formatOriginalData({
    mti: sent.mti,
    stan: sent.fields[11] ?? '',
    transmissionTime: sent.fields[7] ?? '',
    acquirerId: sent.fields[32] ?? '',
    forwarderId: '',
  })
}

/** Waits for what the switch has yet to bring about. */
export async function until(reached: () => boolean | Promise<boolean>): Promise<void> {
  await vi.waitUntil(reached, { timeout: 20_000, interval: 5 })
}

function fieldValues(fields: Readonly<Record<number, string>>): FieldValues {
  const values: FieldValues = []
  for (const [de, text] of Object.entries(fields)) values[Number(de)] = text
  return values
}
