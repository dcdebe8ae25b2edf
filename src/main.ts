/** Starts the switch and drains it; wires everything by hand. Run as a program it is the container's command. */
import { fileURLToPath } from 'node:url'
import { startHttpServer, type HttpServer, type SchemaCompilation } from './admin/httpServer.ts'
import { answerMessage, type MessageParts } from './answerMessage.ts'
import { Authorizer } from './authorize.ts'
import { Breaker } from './breaker.ts'
import { cairoDay, elapsed, systemClock, type Clock } from './clock.ts'
import { ConfigError, readCertificates, type Certificates, type Config } from './config.ts'
import type { LinkConfig } from './settings.ts'
import { HotState } from './decision/hotState.ts'
import { keyProblems } from './security/configuredKeys.ts'
import { dataVault, type DataVault } from './security/dataVault.ts'
import { guardedHsm } from './security/guardedHsm.ts'
import { developmentKeys } from './security/developmentKeys.ts'
import type { Hsm } from './security/hsm.ts'
import { openKeyStore } from './security/openKeyStore.ts'
import { paymentHsm } from './security/paymentHsm.ts'
import { softwareKeyStore } from './security/softwareKeys.ts'
import { CardFollower, tellCards } from './cardFollower.ts'
import { HotCards } from './hotCards.ts'
import { LedgerSeen } from './ledgerSeen.ts'
import { LinkKeys } from './linkKeys.ts'
import { MacGate } from './macGate.ts'
import { NetworkManagement } from './networkManagement.ts'
import { parametersOn } from './programmeParameters.ts'
import { Reconciler } from './reconciler.ts'
import { messageSpec } from './iso8583/messageSpec.ts'
import { Ledger } from './ledger/ledger.ts'
import { Desk } from './ledger/programme/desk.ts'
import { registerChart } from './ledger/chart.ts'
import { migrate } from './ledger/migrate.ts'
import { preload } from './ledger/preload.ts'
import { ProgrammeRegistry } from './ledger/programmeRegistry.ts'
import { RegionRegistry } from './ledger/regions.ts'
import { Books } from './ledger/settlement/books.ts'
import { Sweeper } from './ledger/sweeper.ts'
import type { Disk } from './standin/disk.ts'
import { systemDisk } from './standin/systemDisk.ts'
import { createLogger, errorText, type Logger } from './log.ts'
import { Metrics } from './metrics.ts'
import { tombstoneOf } from './passageItem.ts'
import { EventHub } from './programme/eventHub.ts'
import { businessDaysBetween } from './programme/calendar.ts'
import { cardClockJob } from './programme/cardClockJob.ts'
import { startJobs, type Jobs } from './programme/jobs.ts'
import { NoticeDispatcher } from './programme/notices/dispatcher.ts'
import { EventNotices } from './programme/notices/eventNotices.ts'
import { openNoticeProvider } from './programme/notices/openProvider.ts'
import { openingJob } from './programme/openingJob.ts'
import { disputeJob } from './settlement/disputeJob.ts'
import { unfinishedJob } from './settlement/unfinishedJob.ts'
import { seedProgramme } from './programme/seed.ts'
import { WebhookDelivery } from './programme/webhookDelivery.ts'
import { BusinessDays } from './settlement/businessDays.ts'
import { drainOf, openJournals } from './startStandIn.ts'
import { InFlight } from './transport/inFlight.ts'
import { listen, type Listener, type ListenOptions } from './transport/listener.ts'
import { PaceKeepers } from './transport/pace.ts'
import { watchBreakers, watchEvents, watchQueues, watchRoom } from './watchParts.ts'
import { watchResources } from './watchResources.ts'
import { runProgram } from './workers/program.ts'
import type { Seat } from './workers/seat.ts'

export interface RunningSwitch {
  readonly addresses: readonly { readonly name: string; readonly port: number }[]
  /** No new work; resolves when everything in flight is committed and answered, or `drainMs` have passed. */
  drain(): Promise<void>
  /** Reads the certificates of all links again, for handshakes from now on. @throws ConfigError; the old ones stay in use then */
  renewCertificates(): void
  /** Whether new connections are for this process or, among workers, for the others only; those that are open go on. */
  takeConnections(taking: boolean): void
}

export interface SwitchOptions {
  readonly log?: Logger
  readonly clock?: Clock
  /** Where the journal of stand-in is kept; absent: the machine's own. */
  readonly disk?: Disk
  /** Households of the demo programme that is made where there is none, outside production. Absent: 1000. */
  readonly demoHouseholds?: number
  /** Of the HTTP API. Absent: at start. */
  readonly schemas?: SchemaCompilation
  /** Absent: this process is alone. */
  readonly workers?: Seat
}

const DEMO_HOUSEHOLDS = 1000
const PARTITION_CHECK_MS = 3_600_000
/** There is one shard so far: see spec/adr/0003. */
const SHARD = 0

/** @throws ConfigError, or the error of the port or server that could not be had; nothing is left running then */
export async function startSwitch(given: Config, options: SwitchOptions = {}): Promise<RunningSwitch> {
  const { clock = systemClock, log = createLogger(given.logLevel), demoHouseholds = DEMO_HOUSEHOLDS, schemas, workers } = options
  // Whoever is given it sees the versions that are stored while it runs.
  const programme = new ProgrammeRegistry({
    ...given.registry,
    file: given.programme,
    clock,
    log,
    read: () => ledger.programmeVersions(),
  })
  const config: Config = { ...given, programme }
  const certificates = config.links.map(readCertificates)
  const breaker = (): Breaker => new Breaker({ ...config.breakers, clock })
  const breakers = { hsm: breaker(), desk: breaker() }
  const { hsm: unguarded, vault } = await openKeys(config)
  const hsm = guardedHsm(unguarded, { breaker: breakers.hsm, clock, callMs: config.hsmCallMs })
  await migrate(config.databaseUrl)
  await registerChart(config.databaseUrl, config.programme)
  if (!config.production) {
    const { lookupKey, security } = config
    await seedProgramme(config.databaseUrl, {
      households: demoHouseholds,
      lookupKey,
      programme,
      security,
      vault: developmentVault(config),
      nowMs: clock.now(),
    })
  }
  const metrics = new Metrics()
  const ledger = new Ledger({
    ...config.ledger,
    url: config.databaseUrl,
    shard: SHARD,
    clock,
    log,
    onBatch: metrics.batch('commit'),
    onConnected: () => void hotState.recheck(),
  })
  let preloaded: Promise<void> | undefined
  const hurryUntilMs = clock.now() + config.redis.preloadMs
  let listening = false
  const hotState = new HotState({
    ...config.redis,
    breaker: config.breakers,
    url: config.redisUrl,
    shard: SHARD,
    epochs: ledger.epochs,
    clock,
    log,
    onNewEpoch: () => {
      preloaded = fill()
    },
  })
  const hurry = (): boolean => !listening && clock.now() < hurryUntilMs
  let fills = 0
  const fill = (): Promise<void> => {
    const own = ++fills
    return preload({ ledger, hotState, log, clock, cardsMax: config.redis.preloadMax, hurry, isSuperseded: () => own !== fills })
  }
  await ledger.open()
  try {
    await programme.start()
  } catch (error) {
    await Promise.all([ledger.close(), hsm.close()])
    throw error
  }
  await hotState.open()
  // Also a Redis that holds this epoch's state already: a switch that was killed may not have told it of its last commits.
  const filled = preloaded ?? fill()
  if (hotState.up) await Promise.race([filled, elapsed(clock, config.redis.preloadMs)])
  listening = true
  const regions = new RegionRegistry({ ...config.registry, clock, log, read: () => ledger.regions() })
  await regions.start()
  const linkKeys = new LinkKeys({ ...config.sessionKeys, ledger, hsm, clock, log })
  await linkKeys.start()
  const macGate = new MacGate({ hsm, linkKeys, clock, log, batchMax: config.redis.batchMax })
  const journals = await openJournals(config, options.disk ?? systemDisk, clock, log)
  const authorizer = new Authorizer({ config, ledger, hotState, hsm, linkKeys, clock, log, metrics, regions, journals })
  const { standIn } = authorizer
  const sweeper = new Sweeper({
    config,
    ledger,
    hotState,
    clock,
    log,
    voidOf: (key, keyDate) => tombstoneOf(key, keyDate, null, 'void'),
  })
  const desk = new Desk({
    ...config.desk,
    url: config.databaseUrl,
    shard: SHARD,
    breaker: breakers.desk,
    clock,
    log,
    onCardsChanged: { tell: (tokens) => tellCards(ledger, hotState, tokens), withinMs: config.desk.tellMs },
  })
  const dayDesk = new Desk({
    url: config.databaseUrl,
    shard: SHARD,
    connections: 3,
    statementMs: config.settlement.days.statementMs,
    connectMs: config.desk.statementMs,
    clock,
    log,
  })
  const businessDays = new BusinessDays({ config, desk: dayDesk, clock, log })
  const books = new Books({ ...config.books, url: config.databaseUrl, shard: SHARD, clock, log })
  const stops = journals === undefined ? undefined : { ledger, hotState, journals, line: standIn }
  const hotCards = new HotCards({ config, desk, standIn: stops, clock, log })
  const drain = journals === undefined ? undefined : drainOf(config, { journals, standIn, hotCards, ledger, clock, log, metrics })
  const { production } = config
  const events = new EventHub({ desk, settings: config.events, clock, log })
  const follower = new CardFollower({
    desk,
    ledger,
    hotState,
    settings: { ...config.events, batchMax: config.redis.batchMax },
    final: () => events.final,
    others: [{ kinds: 'service.', refresh: () => regions.refresh() }],
    clock,
    log,
  })
  const webhookSettings = { ...config.events.webhooks, pollMs: config.events.pollMs }
  const webhooks = new WebhookDelivery({ desk, hub: events, vault, settings: webhookSettings, production, metrics, clock, log })
  const provider = config.notices.enabled ? openNoticeProvider(config, clock, log) : undefined
  const dispatcher = provider === undefined ? undefined : new NoticeDispatcher({ config, desk, vault, provider, clock, log })
  const eventNotices = new EventNotices({ config, desk, final: () => events.final, clock, log })
  const stopPartitions = keepPartitions(ledger, config, clock, log)
  watchQueues(metrics, authorizer, ledger, hotState)
  watchBreakers(metrics, () => ({
    redis: hotState.breakerState,
    hsm: breakers.hsm.state,
    desk: breakers.desk.state,
    ...Object.fromEntries([...ledger.connectionStates].map(([name, state]) => [`ledger ${name}`, state])),
  }))
  watchRoom(metrics, authorizer, ledger, config)
  watchEvents(metrics, events, follower)
  const lag = 'Time since business days were added up and those that are over closed'
  metrics.watch('sarf_business_days_lag_seconds', lag, () => businessDays.lagSeconds, 'min')
  const { directory: journalDirectory } = config.standIn
  const directories = { ...config.watch.directories, ...(journalDirectory === undefined ? {} : { journal: journalDirectory }) }
  const stopWatching = watchResources(metrics, {
    ...config.ledger,
    everyMs: config.watch.everyMs,
    directories,
    bankDaysSince: (day) => {
      const today = cairoDay(clock.now())
      return businessDaysBetween(day, today, parametersOn(config.programme, today).cards.holidays)
    },
    url: config.databaseUrl,
    clock,
    log,
  })

  const reconciler = new Reconciler({ config, ledger, desk, clock, log })
  const listeners: Listener[] = []
  const [inFlight, paceKeepers] = [new InFlight(config.transport), new PaceKeepers()]
  const ledgerSeen = new LedgerSeen({ ledger, hotState, clock })
  let http: HttpServer | undefined
  let jobs: Jobs | undefined
  const stop = async (): Promise<void> => {
    for (const listener of listeners) listener.stopReading()
    const httpClosed = http?.close(config.drainMs)
    const jobsStopped = jobs?.stop()
    // A request to a webhook may take longer, and so may the end of a business day: the next process goes on with it.
    const eventsStopped = Promise.race([
      Promise.all([events.stop(), follower.stop(), webhooks.stop(), businessDays.stop().then(() => dayDesk.close())]),
      elapsed(clock, config.drainMs),
    ])
    await Promise.race([authorizer.idle(), elapsed(clock, config.drainMs)])
    await Promise.all([httpClosed, ...listeners.map((listener) => listener.close())])
    await ledgerSeen.stop()
    stopPartitions()
    await stopWatching()
    regions.stop()
    programme.stop()
    linkKeys.stop()
    reconciler.stop()
    await Promise.all([sweeper.stop(), drain?.stop()])
    await journals?.close()
    await Promise.all([jobsStopped, eventsStopped, dispatcher?.stop(), eventNotices.stop()])
    for (const one of Object.values(breakers)) one.stop()
    await Promise.all([hotState.close(), ledger.close(), desk.close(), books.close(), hsm.close()])
  }
  try {
    const network = new NetworkManagement({ linkKeys, log })
    reconciler.start()
    const parts = { config, authorizer, macGate, network, hotCards, reconciler, clock, log }
    for (const [index, link] of config.links.entries()) {
      listeners.push(await listenOn(link, certificates[index], { ...parts, metrics, inFlight, paceKeepers }))
    }
    await events.start()
    ledgerSeen.start()
    http = await startHttpServer({
      ...parts,
      ledger,
      hotState,
      standIn,
      ledgerSeen,
      metrics,
      workers,
      desk,
      books,
      businessDays,
      vault,
      hsm,
      events,
      schemas,
    })
  } catch (error) {
    await stop()
    throw error
  }
  sweeper.start()
  businessDays.start()
  drain?.start()
  follower.start()
  webhooks.start()
  dispatcher?.start()
  if (config.notices.enabled) eventNotices.start()
  try {
    const due = [
      openingJob({ config, shard: SHARD, clock, log }),
      cardClockJob({ config, desk, clock, log }),
      disputeJob({ config, desk, clock, log }),
      unfinishedJob({ config, desk, log }),
    ]
    if (config.jobs.enabled) jobs = await startJobs({ config, log, jobs: due })
  } catch (error) {
    // Purses are opened at their first use all the same.
    log.error({ error: errorText(error) }, 'jobs cannot be started')
  }
  return {
    addresses: [
      ...config.links.map((link, index) => ({ name: link.name, port: listeners[index]?.port ?? link.port })),
      { name: 'http', port: http.port },
    ],
    drain: stop,
    takeConnections: (taking) => {
      for (const listener of [...listeners, http]) listener.takeConnections(taking)
    },
    renewCertificates: () => {
      // All are read before any is used.
      const renewed = config.links.map(readCertificates)
      for (const [index, listener] of listeners.entries()) {
        const own = renewed[index]
        if (own !== undefined) listener.renew(own)
      }
    },
  }
}

/** A key that the configuration names and that is not there would be found out by the first message that needs it. */
async function openKeys(config: Config): Promise<{ readonly hsm: Hsm; readonly vault: DataVault }> {
  const store = await openKeyStore(config.hsm)
  const hsm = paymentHsm(store)
  const [problem] = keyProblems(config, hsm.keys())
  if (problem === undefined) return { hsm, vault: dataVault(store, config.security.dataKey) }
  await hsm.close()
  throw new ConfigError(`key ${problem.name} (${problem.namedBy}) ${problem.problem}; see sarf keys list and spec/security.md`)
}

/** The demo programme is sealed with the development keys, whatever holds the keys of the switch. */
function developmentVault({ security }: Config): DataVault {
  return dataVault(softwareKeyStore(developmentKeys()), security.dataKey)
}

function listenOn(
  link: LinkConfig,
  certificates: Certificates | undefined,
  parts: MessageParts &
    Required<Pick<ListenOptions, 'inFlight' | 'paceKeepers'>> & { readonly config: Config; readonly metrics: Metrics },
): Promise<Listener> {
  const { config, log, metrics, inFlight, paceKeepers, clock } = parts
  const spec = messageSpec(link.spec)
  const bindTerminals = link.bindTerminals === true
  return listen({
    host: config.host,
    link,
    limits: config.transport,
    certificates,
    log,
    metrics: metrics.ofLink(link.name),
    inFlight,
    paceKeepers,
    clock,
    onFrame: (payload, exchange) => {
      const origin = { link: link.name, certificate: exchange.peer.certificate?.fingerprint, bindTerminals, macKey: undefined }
      answerMessage(parts, link, spec, payload, origin, (outcome) => {
        if (outcome.kind === 'answer') exchange.answer(outcome.bytes)
        else if (outcome.kind === 'silent') exchange.silent()
        else exchange.close(outcome.reason)
      })
    },
  })
}

/** A new month's partitions are there well before its first key. */
function keepPartitions(ledger: Ledger, config: Config, clock: Clock, log: Logger): () => void {
  let cancel: (() => void) | undefined
  const check = (): void => {
    ledger
      .ensurePartitions(clock.now(), config.authorization.retentionDays, config.ledger.partitionsAheadMonths)
      .catch((error: unknown) => {
        log.error({ error: errorText(error) }, 'partitions could not be made; tried again')
      })
    cancel = clock.after(PARTITION_CHECK_MS, check)
  }
  check()
  return () => cancel?.()
}

if (import.meta.main) await runProgram(fileURLToPath(import.meta.url), startSwitch)
