/** What the switch counts and times, in Prometheus's terms. Labels hold names from fixed lists only, never anything from a message. */
import { Counter, Gauge, Registry } from 'prom-client'
import { TalliedCounter, TalliedHistogram, type Series, type Tally } from './tallies.ts'

export interface AuthorizationMetrics {
  /** @returns what a stage calls after each batch */
  batch(stage: string): (size: number, elapsedMs: number) => void
  answered(kind: string, responseCode: string, elapsedMs: number): void
  /** A guard of the ledger refused what was decided on this. */
  guardRefused(guard: string, basis: 'redis' | 'copy' | 'ledger'): void
  /** How Redis held purses that the ledger was asked for again. */
  foundInRedis(found: string): void
}

/** What is counted of events that others are told. */
export interface EventMetrics {
  told(way: 'stream' | 'webhook', count: number): void
  delivered(result: 'taken' | 'failed' | 'given_up'): void
}

const SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
const SIZES = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]

/** What the transport counts of a link (src/transport/metrics.ts). */
interface LinkMetrics {
  connectionOpened(): void
  connectionClosed(): void
  handshakeFailed(): void
  frameReceived(bytes: number): void
  frameRejected(reason: string): void
  answered(): void
  connectionDropped(why: string): void
  heldBack(): void
  paced(): void
  pacedOver(waitedMs: number): void
}

export class Metrics implements AuthorizationMetrics, EventMetrics {
  readonly registry = new Registry()
  readonly #answered = new Map<string, { readonly duration: Series; readonly answers: Map<string, Tally> }>()
  readonly #answers = this.#tallied(
    'sarf_messages_total',
    'Transactions answered, by kind and response code (none: left unanswered)',
    ['kind', 'code'],
  )
  readonly #refusals = this.#counter(
    'sarf_ledger_guard_refusals_total',
    'Commits that a guard of the ledger refused, by guard and by what they were decided on; each was decided again',
    ['guard', 'basis'],
  )
  readonly #found = this.#counter(
    'sarf_redis_purses_checked_total',
    'Purses looked at again after a refusal, by how Redis held them; Redis has the state of the ledger since',
    ['found'],
  )
  readonly #duration = this.#histogram('sarf_authorization_seconds', 'From decoded message to answer', SECONDS, ['kind'])
  readonly #stage = this.#histogram('sarf_stage_seconds', 'A batch in a stage', SECONDS, ['stage'])
  readonly #size = this.#histogram('sarf_batch_size', 'Items in a batch', SIZES, ['stage'])
  readonly #frames = this.#tallied('sarf_frames_total', 'Frames by link and what became of them', ['link', 'result'])
  readonly #handshakes = this.#counter('sarf_handshakes_failed_total', 'Connections that ended in their TLS handshake, by link', [
    'link',
  ])
  readonly #dropped = this.#counter(
    'sarf_connections_dropped_total',
    'Connections that sent nothing wrong and were ended or not let in, by link and why: refused, made_room, idle, stalled',
    ['link', 'why'],
  )
  readonly #heldBack = this.#counter(
    'sarf_connections_held_back_total',
    'How often a connection was not read from because it had more than its share of what is in flight, by link',
    ['link'],
  )
  readonly #paced = this.#counter(
    'sarf_connections_paced_total',
    'How often a connection was not read from because it sent faster than its pace or its link had no token for it, by link',
    ['link'],
  )
  readonly #pacedSeconds = this.#counter(
    'sarf_paced_seconds_total',
    'For how long connections were not read from for that, by link',
    ['link'],
  )
  readonly #pacedNow = new Gauge({
    name: 'sarf_connections_paced',
    help: 'Connections that are not read from for that now, by link; each has a message that waits',
    labelNames: ['link'],
    registers: [this.registry],
  })
  readonly #told = this.#counter('sarf_events_told_total', 'Events that were told, by the way they went', ['way'])
  readonly #deliveries = this.#counter('sarf_webhook_deliveries_total', 'Requests to webhooks, by what became of them', [
    'result',
  ])
  readonly #connections = new Gauge({
    name: 'sarf_connections',
    help: 'Open connections by link',
    labelNames: ['link'],
    registers: [this.registry],
  })

  batch(stage: string): (size: number, elapsedMs: number) => void {
    const seconds = this.#stage.series(stage)
    const items = this.#size.series(stage)
    return (size, elapsedMs) => {
      seconds.observe(elapsedMs / 1000)
      items.observe(size)
    }
  }

  answered(kind: string, responseCode: string, elapsedMs: number): void {
    let ofKind = this.#answered.get(kind)
    if (ofKind === undefined) this.#answered.set(kind, (ofKind = { duration: this.#duration.series(kind), answers: new Map() }))
    let answers = ofKind.answers.get(responseCode)
    if (answers === undefined) ofKind.answers.set(responseCode, (answers = this.#answers.labels(kind, responseCode)))
    answers.count++
    ofKind.duration.observe(elapsedMs / 1000)
  }

  guardRefused(guard: string, basis: string): void {
    this.#refusals.inc({ guard, basis })
  }

  foundInRedis(found: string): void {
    this.#found.inc({ found })
  }

  told(way: 'stream' | 'webhook', count: number): void {
    this.#told.inc({ way }, count)
  }

  delivered(result: 'taken' | 'failed' | 'given_up'): void {
    this.#deliveries.inc({ result })
  }

  /** What the transport of a link counts. */
  ofLink(link: string): LinkMetrics {
    const frames = (result: string): (() => void) => {
      const tally = this.#frames.labels(link, result)
      return () => {
        tally.count++
      }
    }
    const connections = this.#connections.labels(link)
    const handshakes = this.#handshakes.labels(link)
    const received = frames('received')
    const heldBack = this.#heldBack.labels(link)
    const [paced, pacedSeconds, pacedNow] = [
      this.#paced.labels(link),
      this.#pacedSeconds.labels(link),
      this.#pacedNow.labels(link),
    ]
    return {
      connectionOpened: () => {
        connections.inc()
      },
      connectionClosed: () => {
        connections.dec()
      },
      handshakeFailed: () => {
        handshakes.inc()
      },
      frameReceived: received,
      frameRejected: (reason) => {
        this.#frames.labels(link, reason).count++
      },
      answered: frames('answered'),
      connectionDropped: (why) => {
        this.#dropped.inc({ link, why })
      },
      heldBack: () => {
        heldBack.inc()
      },
      paced: () => {
        paced.inc()
        pacedNow.inc()
      },
      pacedOver: (waitedMs) => {
        pacedSeconds.inc(waitedMs / 1000)
        pacedNow.dec()
      },
    }
  }

  /**
   * A value that is read when somebody asks.
   *
   * @param ofWorkers what several worker processes come to: the worst of a state, the sum of what each has some of
   */
  watch(name: string, help: string, read: () => number, ofWorkers: 'sum' | 'min' | 'max' = 'sum'): void {
    new Gauge({
      name,
      help,
      aggregator: ofWorkers,
      registers: [this.registry],
      collect() {
        this.set(read())
      },
    })
  }

  /** The same for several of a kind, each by its name. */
  watchEach(name: string, help: string, label: string, read: () => Readonly<Record<string, number>>): void {
    new Gauge({
      name,
      help,
      labelNames: [label],
      aggregator: 'max',
      registers: [this.registry],
      collect() {
        for (const [one, value] of Object.entries(read())) this.set({ [label]: one }, value)
      },
    })
  }

  #counter(name: string, help: string, labelNames: string[]): Counter {
    return new Counter({ name, help, labelNames, registers: [this.registry] })
  }

  #tallied(name: string, help: string, labelNames: string[]): TalliedCounter {
    return new TalliedCounter({ name, help, labelNames, registers: [this.registry] })
  }

  #histogram(name: string, help: string, bounds: number[], labelNames: string[]): TalliedHistogram {
    return new TalliedHistogram({ name, help, labelNames, registers: [this.registry] }, bounds)
  }
}
