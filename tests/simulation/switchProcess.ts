/** One simulated process of the switch: the real code from a message's bytes to its answer's, on simulated servers. It can die at any event. */
import { answerMessage, type MessageOutcome, type MessageParts } from '../../src/answerMessage.ts'
import { Authorizer } from '../../src/authorize.ts'
import type { Clock } from '../../src/clock.ts'
import type { Config } from '../../src/config.ts'
import { HotState } from '../../src/decision/hotState.ts'
import { Ledger } from '../../src/ledger/ledger.ts'
import { preload } from '../../src/ledger/preload.ts'
import { Sweeper } from '../../src/ledger/sweeper.ts'
import { LinkKeys } from '../../src/linkKeys.ts'
import type { Logger } from '../../src/log.ts'
import type { AuthorizationMetrics, Metrics } from '../../src/metrics.ts'
import { tombstoneOf } from '../../src/passageItem.ts'
import { developmentKeys } from '../../src/security/developmentKeys.ts'
import { paymentHsm } from '../../src/security/paymentHsm.ts'
import { softwareKeyStore } from '../../src/security/softwareKeys.ts'
import type { MessageLink } from '../../src/settings.ts'
import { Journals } from '../../src/standin/journals.ts'
import { drainOf } from '../../src/startStandIn.ts'
import type { PlantedBug } from './plantedBug.ts'
import { SPEC } from './frames.ts'
import type { SimulatedDisk } from './simulatedDisk.ts'
import type { SimulatedPostgres } from './simulatedPostgres.ts'
import type { SimulatedRedis } from './simulatedRedis.ts'
import { clockOf, type Life, type World } from './world.ts'

export interface ProcessParts {
  readonly world: World
  readonly config: Config
  readonly postgres: SimulatedPostgres
  readonly redis: SimulatedRedis
  /** Of the machine that it runs on, by the machine's name. Undefined: it does not stand in. */
  readonly machine: { readonly name: string; readonly disk: SimulatedDisk } | undefined
  readonly bug: PlantedBug | undefined
}

const SHARD = 0
const hsm = paymentHsm(softwareKeyStore(developmentKeys()))
const NO_METRICS: AuthorizationMetrics = {
  batch: () => () => {},
  answered: () => {},
  guardRefused: () => {},
  foundInRedis: () => {},
}

const DIRECTORY = 'journals'
/** What the switch may report of a disk that fails. */
const OF_DISK = ['journal', 'a decision cannot be written down']
const NO_STOPS = { post: () => Promise.reject(new RangeError('no card is stopped in stand-in')) }
const NOTHING_WATCHED = { watch: () => undefined } as unknown as Metrics

/** Made once: what no history changes. */
const UNUSED = new Proxy({} as unknown as MessageParts['macGate'], {
  get: () => {
    throw new RangeError('no message of a history comes here')
  },
})

export class SwitchProcess {
  readonly name: string
  readonly #parts: ProcessParts
  #lives = 0
  #life: Life | undefined
  #running: { readonly parts: MessageParts; readonly hotState: HotState; readonly ledger: Ledger } | undefined

  constructor(name: string, parts: ProcessParts) {
    this.name = name
    this.#parts = parts
  }

  get life(): Life | undefined {
    return this.#life
  }

  get machine(): ProcessParts['machine'] {
    return this.#parts.machine
  }

  /** It takes messages. */
  get serves(): boolean {
    return this.#life?.alive === true && this.#running !== undefined
  }

  get underWay(): number {
    return this.#running?.parts.authorizer.underWay ?? 0
  }

  get hotState(): HotState | undefined {
    return this.#running?.hotState
  }

  /** With fresh objects, as a process that was started. */
  start(): void {
    const { world, config, postgres, redis, bug } = this.#parts
    const life: Life = { name: `${this.name}.${++this.#lives}`, alive: true, pausedUntilMs: 0, skewMs: this.#life?.skewMs ?? 0 }
    this.#life = life
    this.#running = undefined
    const clock = clockOf(world, life)
    const log = this.#log(life)
    const ledger = (bug?.ledger ?? plainLedger)(
      {
        ...config.ledger,
        url: 'simulated',
        shard: SHARD,
        clock,
        log,
        openSession: postgres.sessionsOf(life),
        onConnected: () => void started.hotState?.recheck(),
      },
      () => started.hotState,
    )
    const started: { hotState?: HotState } = {}
    const hotState = (started.hotState = new HotState({
      ...config.redis,
      url: 'simulated',
      shard: SHARD,
      epochs: bug?.epochs?.(ledger.epochs) ?? ledger.epochs,
      clock,
      log,
      openLink: redis.linksOf(life),
      onNewEpoch: () => void fill(),
    }))
    let fillings = 0
    const fill = (): Promise<void> => {
      const filling = ++fillings
      const isSuperseded = (): boolean => filling !== fillings
      return preload({ ledger, hotState, log, clock, cardsMax: config.redis.preloadMax, hurry: () => false, isSuperseded })
    }
    void this.#serve(life, clock, log, ledger, hotState, fill)
  }

  /** Nothing of it goes on, and nothing it has said goes out any more. */
  crash(): void {
    if (this.#life !== undefined) this.#life.alive = false
    this.#running = undefined
  }

  /** Whoever sends to a process that is not there hears nothing. */
  take(link: MessageLink, frame: Buffer, done: (outcome: MessageOutcome) => void): void {
    const life = this.#life
    if (this.#running === undefined || life?.alive !== true) return
    const origin = { link: link.name, certificate: undefined, bindTerminals: false, macKey: undefined }
    answerMessage(this.#running.parts, link, SPEC, frame, origin, (outcome) => {
      if (life.alive) done(outcome)
    })
  }

  async #serve(
    life: Life,
    clock: Clock,
    log: Logger,
    ledger: Ledger,
    hotState: HotState,
    fill: () => Promise<void>,
  ): Promise<void> {
    const { config, world, bug } = this.#parts
    await ledger.open()
    await hotState.open()
    void fill()
    const sessionKeys = { sessionKeys: async () => [], addSessionKey: async () => false }
    const linkKeys = new LinkKeys({ ...config.sessionKeys, ledger: sessionKeys, hsm, clock, log })
    const regions = { isActive: () => true }
    const journals = await this.#openJournals(life, clock, log)
    const authorizer = new Authorizer({
      ...{ config, ledger, hotState, hsm, linkKeys, clock, log, metrics: NO_METRICS, regions, journals },
    })
    const sweeper = new Sweeper({
      config,
      ledger: bug?.sweeperLedger?.(ledger) ?? ledger,
      hotState,
      clock,
      log,
      voidOf: (key, keyDate) => tombstoneOf(key, keyDate, null, 'void'),
    })
    sweeper.start()
    if (journals !== undefined) {
      const { standIn } = authorizer
      drainOf(config, { journals, standIn, hotCards: NO_STOPS, ledger, clock, log, metrics: NOTHING_WATCHED }).start()
    }
    const unused = { network: UNUSED, hotCards: UNUSED, reconciler: UNUSED } as unknown as MessageParts
    this.#running = { parts: { ...unused, config, authorizer, macGate: UNUSED, clock, log }, hotState, ledger }
    world.note(() => `${life.name} serves`)
  }

  async #openJournals(life: Life, clock: Clock, log: Logger): Promise<Journals | undefined> {
    const { config, machine, bug } = this.#parts
    if (machine === undefined) return undefined
    const disk = bug?.disk?.(machine.disk.of(life)) ?? machine.disk.of(life)
    const options = { ...config.standIn, disk, directory: DIRECTORY, node: machine.name, clock, log }
    const journals = bug?.journals?.(options) ?? new Journals(options)
    await journals.open()
    return journals
  }

  /** What the switch itself calls a fault is one, whatever the model says; but a journal on a disk that has failed. */
  #log(life: Life): Logger {
    const { world } = this.#parts
    const text = (fields: unknown, message: string | undefined): string =>
      `${life.name}: ${message ?? ''} ${JSON.stringify(fields)}`
    return {
      debug: () => {},
      info: () => {},
      warn: (fields: object, message?: string) => world.note(() => text(fields, message)),
      error: (fields: object, message?: string) => {
        const isFull = JSON.stringify(fields).includes('JournalClosed')
        const isOfDisk =
          (isFull || this.#parts.machine?.disk.hasFailed === true) && OF_DISK.some((part) => (message ?? '').includes(part))
        if (message === 'the ledger takes no writes' || isOfDisk) world.note(() => text(fields, message))
        else world.fail(`the switch reports a fault: ${text(fields, message)}`)
      },
    }
  }
}

function plainLedger(options: ConstructorParameters<typeof Ledger>[0]): Ledger {
  return new Ledger(options)
}
