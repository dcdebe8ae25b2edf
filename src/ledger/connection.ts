/**
 * One connection to Postgres that mends itself.
 *
 *   connecting --(session prepared, not in recovery)--> up --(error, deadline, end)--> connecting, after `reconnectMs`
 *   any --close()--> closed
 *
 * A statement that ran into its deadline leaves an unknown outcome: the connection is thrown away, because whatever it
 * answers later could be taken for the answer to another statement.
 */
import type { QueryResultRow } from 'pg'
import type { Clock } from '../clock.ts'
import { errorText, type Logger } from '../log.ts'
import { openPostgresSession, type OpenSession, type SqlClient, type SqlResult, type Statement } from './sqlClient.ts'

export type { Statement } from './sqlClient.ts'

export interface ConnectionOptions {
  readonly url: string
  readonly statementMs: number
  readonly reconnectMs: number
  readonly clock: Clock
  readonly log: Logger
  readonly name: string
  /** How long an attempt to connect may take; absent: as long as a statement. */
  readonly connectMs?: number
  /** A statement that has run for so long is stalled: nothing waits behind it any more. Absent: only `statementMs` ends it. */
  readonly stallMs?: number
  /** Statements that may wait behind one that runs; absent: as many as come. */
  readonly waitingMax?: number
  /** Absent: a session with Postgres. */
  readonly openSession?: OpenSession
  /** Called whenever `up` or `ready` changes. */
  readonly onChange?: () => void
}

/** The server could not be asked, or its answer did not come: whether the statement took effect is not known. */
export class OutcomeUnknown extends Error {
  override readonly name = 'OutcomeUnknown'
}

/** There was no connection to ask on, or one that has stalled: the statement did not take effect. */
export class NotConnected extends Error {
  override readonly name = 'NotConnected'
}

/** A statement that waits for its turn. */
interface Waiting {
  readonly go: () => void
  readonly reject: (error: NotConnected) => void
}

const CLOSE_MS = 500

export class LedgerConnection {
  readonly #options: ConnectionOptions
  #client: SqlClient | undefined
  /** One statement at a time: the next is sent when the one before it has settled. */
  #isBusy = false
  #isStalled = false
  #waiting: Waiting[] = []
  #closed = false
  #cancelReconnect: (() => void) | undefined

  constructor(options: ConnectionOptions) {
    this.#options = options
  }

  get name(): string {
    return this.#options.name
  }

  get up(): boolean {
    return this.#client !== undefined
  }

  /** What is asked now has a chance of an answer. */
  get ready(): boolean {
    return this.up && !this.#isStalled
  }

  /** Connects; keeps trying in the background where the first attempt fails. */
  async open(): Promise<void> {
    const { url, name, log, openSession = openPostgresSession } = this.#options
    try {
      const opened: { client?: SqlClient } = {}
      const client = (opened.client = await this.#inTime(
        openSession({
          url,
          name: `sarf ${name}`,
          connectMs: this.#connectMs,
          onLost: (error) => {
            if (opened.client !== undefined) this.#lost(opened.client, error)
          },
        }),
      ))
      if (this.#closed) {
        await client.end()
        return
      }
      this.#client = client
      log.debug({ reason: name }, 'ledger connection is up')
      this.#options.onChange?.()
    } catch (error) {
      log.warn({ reason: name, error: errorText(error) }, 'cannot connect to the ledger')
      this.#reconnectLater()
    }
  }

  /**
   * @throws NotConnected, OutcomeUnknown, or pg's DatabaseError: the server refused the statement and rolled it back
   */
  run<Row extends QueryResultRow>(statement: Statement, values: readonly unknown[]): Promise<SqlResult<Row>> {
    const { name, waitingMax = Number.POSITIVE_INFINITY } = this.#options
    if (!this.#isBusy) return this.#runNow<Row>(statement, values)
    if (this.#isStalled || this.#waiting.length >= waitingMax)
      return Promise.reject(
        new NotConnected(`ledger connection ${name} ${this.#isStalled ? 'has stalled' : 'has too much to do'}`),
      )
    const { promise, resolve, reject } = Promise.withResolvers<undefined>()
    this.#waiting.push({
      go: () => {
        resolve(undefined)
      },
      reject,
    })
    return promise.then(() => this.#runNow<Row>(statement, values))
  }

  async #runNow<Row extends QueryResultRow>(statement: Statement, values: readonly unknown[]): Promise<SqlResult<Row>> {
    this.#isBusy = true
    const cancels: (() => void)[] = []
    try {
      return await this.#ask<Row>(statement, values, cancels)
    } finally {
      for (const cancel of cancels) cancel()
      this.#isBusy = false
      this.#setStalled(false)
      const next = this.#waiting.shift()
      if (next !== undefined) {
        // Nobody comes in between.
        this.#isBusy = true
        next.go()
      }
    }
  }

  async #ask<Row extends QueryResultRow>(
    statement: Statement,
    values: readonly unknown[],
    cancels: (() => void)[],
  ): Promise<SqlResult<Row>> {
    const { clock, name, statementMs, stallMs } = this.#options
    const client = this.#client
    if (client === undefined) throw new NotConnected(`ledger connection ${name} is down`)
    const { promise: overdue, reject } = Promise.withResolvers<never>()
    cancels.push(
      clock.after(statementMs, () => {
        reject(new OutcomeUnknown(`no answer to ${statement.name} within ${String(statementMs)} ms`))
      }),
    )
    if (stallMs !== undefined) cancels.push(clock.after(stallMs, () => this.#setStalled(true)))
    try {
      return await Promise.race([client.query<Row>(statement, values), overdue])
    } catch (error) {
      if (isStatementError(error)) throw error
      this.#lost(client, error)
      throw error instanceof OutcomeUnknown ? error : new OutcomeUnknown(errorText(error), { cause: error })
    }
  }

  #setStalled(isStalled: boolean): void {
    if (this.#isStalled === isStalled) return
    this.#isStalled = isStalled
    const { name, log, onChange } = this.#options
    log.warn({ reason: name }, isStalled ? 'a ledger connection has stalled' : 'a ledger connection has stalled no longer')
    if (isStalled)
      for (const { reject } of this.#waiting.splice(0)) reject(new NotConnected(`ledger connection ${name} has stalled`))
    onChange?.()
  }

  get #connectMs(): number {
    return this.#options.connectMs ?? this.#options.statementMs
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#cancelReconnect?.()
    const client = this.#client
    this.#client = undefined
    if (client === undefined) return
    // A server that stands still does not say goodbye.
    const { promise: patience, resolve } = Promise.withResolvers<undefined>()
    const cancel = this.#options.clock.after(CLOSE_MS, () => {
      resolve(undefined)
    })
    await Promise.race([client.end().catch(() => undefined), patience])
    cancel()
    client.cut()
  }

  /** A server that stands still while the session is prepared must not hold up the next attempt; what it opens too late is closed. */
  async #inTime(opening: Promise<SqlClient>): Promise<SqlClient> {
    const { promise: overdue, reject } = Promise.withResolvers<never>()
    const patienceMs = 2 * this.#connectMs
    let late = false
    const cancel = this.#options.clock.after(patienceMs, () => {
      late = true
      reject(new NotConnected(`no session within ${String(patienceMs)} ms`))
    })
    opening
      .then((client) => {
        if (late) client.cut()
      })
      .catch(() => undefined)
    try {
      return await Promise.race([opening, overdue])
    } finally {
      cancel()
    }
  }

  #lost(client: SqlClient, error: unknown): void {
    if (this.#client !== client) return
    this.#client = undefined
    client.cut()
    if (this.#closed) return
    this.#options.log.warn(
      { reason: this.#options.name, error: errorText(error ?? 'ended by the server') },
      'ledger connection lost',
    )
    this.#options.onChange?.()
    this.#reconnectLater()
  }

  #reconnectLater(): void {
    if (this.#closed) return
    this.#cancelReconnect = this.#options.clock.after(this.#options.reconnectMs, () => {
      void this.open()
    })
  }
}

/**
 * The server answered ERROR: the statement was rolled back and the session lives on. Class 57P ends the session, 08 is a
 * connection failure, and so are FATAL and PANIC of any class (a flush at COMMIT that failed): there the outcome is not known.
 */
function isStatementError(error: unknown): boolean {
  const code = sqlState(error)
  if (code === undefined || !(error instanceof Error) || !('severity' in error) || error.severity !== 'ERROR') return false
  return !code.startsWith('57P') && !code.startsWith('08')
}

/** SQLSTATE (PostgreSQL manual, appendix A) of an error that the server reported. */
export function sqlState(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('severity' in error) || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}
