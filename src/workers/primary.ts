/**
 * The primary process: it starts workers, hands new connections to them in turn (node:cluster), starts them again, and carries no traffic itself.
 *
 * A worker has a slot, a number that no other living process of this primary has: its log and its measurements are named by it. A worker that died comes
 * back in its own slot. A rolling restart needs one slot more than there are workers, since the fresh one listens before the old one leaves.
 */
import cluster from 'node:cluster'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Config } from '../config.ts'
import type { Logger } from '../log.ts'
import { GroupMetrics } from './groupMetrics.ts'
import { Member } from './member.ts'
import type { Address, GroupState, ToPrimary, ToWorker } from './messages.ts'

export interface WorkersOptions {
  /** What a worker runs; it is given `--slot` and a number. */
  readonly program: string
  readonly config: Pick<Config, 'workers' | 'redis' | 'drainMs'>
  /** Over this process's own. */
  readonly environment?: Readonly<Record<string, string | undefined>>
  readonly log: Logger
}

/** A worker drains within `drainMs`, and then still closes its connections. */
const LAST_STEPS_MS = 2000
const METRICS_MS = 1000

export class Primary {
  /** Settles, with what to tell an operator, when no worker can be started any more; nothing is left running then. */
  readonly failed: Promise<Error>
  addresses: readonly Address[] = []
  readonly #options: WorkersOptions
  readonly #members = new Set<Member>()
  /** Slots of workers that run or will be started again. */
  readonly #slots = new Set<number>()
  readonly #metrics = new GroupMetrics(() => this.#state)
  readonly #fail: (error: Error) => void
  readonly #stopping = Promise.withResolvers<undefined>()
  #isStopping = false
  #isRolling = false
  /** Starts in a row that failed while nobody listened. */
  #startsFailed = 0
  #measuring = 0
  readonly #measured = new Map<number, (member: Member) => void>()

  constructor(options: WorkersOptions) {
    this.#options = options
    const failed = Promise.withResolvers<Error>()
    this.failed = failed.promise
    this.#fail = failed.resolve
    // Whatever NODE_CLUSTER_SCHED_POLICY says: a worker that leaves hands on what it was given and has not taken.
    cluster.schedulingPolicy = cluster.SCHED_RR
  }

  /**
   * The first alone, so that what cannot work is said once, and the database is made by one. Ends early, and is no failure, where the switch is to stop
   * meanwhile.
   *
   * @throws StartFailed where it cannot be started; it has said why, and nothing is left running
   */
  async start(): Promise<void> {
    const { count } = this.#options.config.workers
    const first = this.#begin(1, 'first')
    try {
      this.addresses = await first.listening
    } catch (error) {
      if (this.#hasToStop()) return
      throw error
    }
    if (this.#hasToStop()) return
    this.#keep(first)
    const others = Array.from({ length: count - 1 }, (_, index) => this.#begin(index + 2, 'first'))
    for (const member of others) this.#keep(member)
    await Promise.allSettled(others.map(({ listening }) => listening))
  }

  /** All at once. Resolves when the last one has ended. */
  async drain(): Promise<void> {
    this.#isStopping = true
    this.#stopping.resolve(undefined)
    await Promise.all([...this.#members].map((member) => this.#leave(member)))
  }

  /** Every worker reads the certificates of all links again, and says what came of it. */
  renewCertificates(): void {
    this.#tell([...this.#members], { kind: 'renewCertificates' })
  }

  /**
   * One after the other makes room for a fresh one that listens already.
   *
   * @returns whether all did; the old ones serve on where one could not be started
   */
  async restart(): Promise<boolean> {
    const { log } = this.#options
    if (this.#isRolling || this.#hasToStop()) {
      log.warn({}, 'a rolling restart is under way or the switch is stopping: nothing more was begun')
      return false
    }
    this.#isRolling = true
    const old = [...this.#members].filter(({ isListening }) => isListening)
    log.info({ count: old.length }, 'rolling restart begins')
    try {
      for (const member of old) {
        if (this.#hasToStop()) return false
        // One that died meanwhile is a fresh one already.
        if (member.hasEnded) continue
        const fresh = this.#begin(this.#freeSlot(), 'rolling')
        await fresh.listening
        this.#keep(fresh)
        // Else a terminal that was let go could come to a worker that is the next to leave, and be let go with its repeat unanswered.
        this.#tell(old, { kind: 'connections', taking: false })
        await this.#leave(member)
      }
      log.info({ count: old.length }, 'rolling restart is done')
      this.#metrics.rolled('done')
      return true
    } catch (error) {
      // A worker that was still starting ended with the rest.
      if (this.#hasToStop()) return false
      this.#tell(old, { kind: 'connections', taking: true })
      const reason = error instanceof Error ? error.message : String(error)
      log.error({ reason }, 'rolling restart given up: a fresh worker could not be started; the old ones serve on')
      this.#metrics.rolled('given_up')
      return false
    } finally {
      this.#isRolling = false
    }
  }

  /** A method, since it may be another answer after each wait. */
  #hasToStop(): boolean {
    return this.#isStopping
  }

  get #state(): GroupState {
    return {
      wanted: this.#options.config.workers.count,
      listening: [...this.#members].filter(({ isListening }) => isListening).length,
    }
  }

  #freeSlot(): number {
    let slot = 1
    while (this.#slots.has(slot)) slot++
    return slot
  }

  #begin(slot: number, why: 'first' | 'died' | 'rolling'): Member {
    const { program, config, log, environment = {} } = this.#options
    // For this fork; visible in the list of processes.
    cluster.setupPrimary({ exec: program, args: ['--slot', String(slot)] })
    const member = new Member({
      slot,
      worker: cluster.fork({ ...environment, SARF_WORKERS: '1' }),
      startMs: config.workers.startMs + config.redis.preloadMs,
      onMessage: (from, message) => {
        this.#received(from, message)
      },
    })
    this.#slots.add(slot)
    this.#members.add(member)
    this.#metrics.started(why)
    const { pid } = member.worker.process
    log.info({ worker: slot, reason: why, ...(pid === undefined ? {} : { pid }) }, 'worker started')
    void member.ended.then(() => {
      this.#members.delete(member)
      // Who keeps it takes the slot again in the same turn, where it is to come back.
      this.#slots.delete(slot)
      if (!member.hasListened) this.#metrics.startFailed()
      this.#metrics.ended(member.worker.id)
      for (const resolve of this.#measured.values()) resolve(member)
      this.#tellState()
    })
    return member
  }

  /** Starts it again whenever it dies, later and later where it does not live for long. */
  #keep(first: Member): void {
    const { log, config } = this.#options
    const { restartMs, restartMaxMs, steadyMs, startsMax } = config.workers
    const { slot } = first
    const keep = async (): Promise<void> => {
      let waitMs = restartMs
      for (let member = first; ; member = this.#begin(slot, 'died')) {
        const how = await member.ended
        if (this.#hasToStop() || member.wasAsked) return
        this.#slots.add(slot)
        if (!member.hasListened && this.#state.listening === 0 && ++this.#startsFailed >= startsMax) {
          await this.drain()
          this.#fail(new Error(`no worker can be started: ${String(startsMax)} in a row ended before they took messages`))
          return
        }
        waitMs = performance.now() - member.startedMs >= steadyMs ? restartMs : waitMs
        log.error({ worker: slot, reason: how, delayMs: waitMs }, 'a worker died; it is started again')
        // In a rolling restart it may have been the only one that took new connections.
        this.#tell([...this.#members], { kind: 'connections', taking: true })
        // The timer keeps the process, which may have no worker left.
        await Promise.race([sleep(waitMs), this.#stopping.promise])
        waitMs = Math.min(waitMs * 2, restartMaxMs)
        if (this.#hasToStop()) return
      }
    }
    void keep()
  }

  #leave(member: Member): Promise<void> {
    return member.leave(this.#options.config.drainMs + LAST_STEPS_MS)
  }

  #tell(members: readonly Member[], message: ToWorker): void {
    for (const member of members) member.send(message)
  }

  #tellState(): void {
    this.#tell([...this.#members], { kind: 'group', state: this.#state })
  }

  #received(member: Member, message: ToPrimary): void {
    switch (message.kind) {
      case 'listening':
        this.#startsFailed = 0
        this.#tellState()
        break
      case 'measured':
        this.#metrics.measured(member.worker.id, member.slot, message.measured)
        this.#measured.get(message.id)?.(member)
        break
      case 'leaving':
        this.#metrics.measured(member.worker.id, member.slot, message.measured)
        break
      case 'askMetrics':
        void this.#answerMetrics(member, message.id)
        break
    }
  }

  /** Whoever does not answer in time is there with what it said last. */
  async #answerMetrics(asker: Member, askerId: number): Promise<void> {
    const id = ++this.#measuring
    const waiting = new Set([...this.#members].filter(({ hasListened, hasEnded }) => hasListened && !hasEnded))
    const { promise, resolve } = Promise.withResolvers<undefined>()
    this.#measured.set(id, (member) => {
      waiting.delete(member)
      if (waiting.size === 0) resolve(undefined)
    })
    this.#tell([...waiting], { kind: 'measure', id })
    await Promise.race([promise, sleep(METRICS_MS, undefined, { ref: false })])
    this.#measured.delete(id)
    asker.send({ kind: 'metrics', id: askerId, text: await this.#metrics.text() })
  }
}
