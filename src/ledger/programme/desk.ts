/**
 * The way of every change that no message makes: one SQL transaction that holds the change, its events, its audit record and what the caller was
 * answered. Either all of it is there or nothing.
 *
 * Locks, in this order: the caller's idempotency key, proposals, households, purses and cards (`lock_card`), the end of the audit chain.
 */
import { Pool, type PoolClient, type QueryResultRow } from 'pg'
import { assert } from '../../assert.ts'
import type { Breaker } from '../../breaker.ts'
import type { Clock } from '../../clock.ts'
import { errorText, type Logger } from '../../log.ts'
import { NotConnected, OutcomeUnknown, sqlState, type Statement } from '../connection.ts'

export interface DeskOptions {
  readonly url: string
  readonly shard: number
  readonly connections: number
  readonly statementMs: number
  /** How long connecting may take; absent: as long as a statement. */
  readonly connectMs?: number
  /** Commands that may wait for a connection; absent: as many as come. */
  readonly waitingMax?: number
  /** Where it is open, commands fail at once. */
  readonly breaker?: Breaker
  readonly clock: Clock
  readonly log: Logger
  /** Called after a commit with the cards that it changed. A command is answered when that has ended, or after so long. */
  readonly onCardsChanged?: { readonly tell: (tokens: readonly string[]) => Promise<void>; readonly withinMs: number }
}

/** Who asks. */
export interface Actor {
  /** The subject of the token. */
  readonly name: string
  readonly roles: readonly string[]
  /** Where the actor works, where that is one place. */
  readonly place?: string
  /** When the token is over, milliseconds since 1970. */
  readonly untilMs?: number
}

/** Why something is not done. A value: nothing was changed. */
export interface Refusal {
  /** Decides the status of an answer: no such thing; it is not as the caller thinks; what was given is wrong; not this caller; too many tries. */
  readonly kind: 'not-found' | 'conflict' | 'stale' | 'invalid' | 'forbidden' | 'locked'
  /** Words joined by hyphens, which do not change. */
  readonly name: string
  /** What happened and what to do. Never holds what the caller gave. */
  readonly detail: string
  /** JSON pointer of what is wrong. */
  readonly field?: string
  /** When it may be tried again. */
  readonly retryAfterS?: number
}

export type Outcome<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly refusal: Refusal }

export function done<T>(value: T): Outcome<T> {
  return { ok: true, value }
}

export function refused(kind: Refusal['kind'], name: string, detail: string, field?: string): { ok: false; refusal: Refusal } {
  return { ok: false, refusal: { kind, name, detail, ...(field === undefined ? {} : { field }) } }
}

export interface Command<T> {
  readonly actor: Actor
  /** `card.report`: as the audit trail names it. */
  readonly action: string
  /** What it is about: `card <token>`, `household 12`. */
  readonly subject: string
  /** What the audit trail keeps of it. No card number, national ID, mobile or PIN. */
  readonly detail?: Readonly<Record<string, unknown>>
  /** The caller's key and what came with it; absent: it may be done again and again. */
  readonly idempotency?: { readonly key: string; readonly fingerprint: string }
  /** Before the change; what it locks stays locked, and what it refuses is not done. */
  readonly before?: (tx: SqlTransaction) => Promise<Outcome<unknown>>
  /** The change itself. What it throws, and what it refuses, leaves nothing behind. */
  readonly work: (tx: SqlTransaction) => Promise<Outcome<T>>
  /** After a change that was refused: what it writes stays. */
  readonly afterRefusal?: (tx: SqlTransaction, refusal: Refusal) => Promise<void>
  /** More for the audit trail, known when it is done: the subject of what was made. `nothing`: there was nothing to do, and none of it is on record. */
  readonly audit?: (value: T) => { readonly subject?: string; readonly detail?: Readonly<Record<string, unknown>> } | 'nothing'
}

/** An event of the outbox. */
export interface ProgrammeEvent {
  /** `card.handed_over`, `household.changed`. */
  readonly kind: string
  readonly cardToken?: string | null
  readonly personId?: number | null
  readonly householdId?: number | null
  /** No card number, national ID or mobile. */
  readonly data?: Readonly<Record<string, unknown>>
}

/** The inside of one SQL transaction. */
export class SqlTransaction {
  readonly shard: number
  /** One instant for all of it. */
  readonly nowMs: number
  readonly changedCards = new Set<string>()
  readonly #client: PoolClient

  constructor(client: PoolClient, shard: number, nowMs: number) {
    this.#client = client
    this.shard = shard
    this.nowMs = nowMs
  }

  async rows<Row extends QueryResultRow>(statement: Statement, values: readonly unknown[]): Promise<Row[]> {
    return (await this.#client.query<Row>({ ...statement, values: [...values] })).rows
  }

  /** The first row. */
  async row<Row extends QueryResultRow>(statement: Statement, values: readonly unknown[]): Promise<Row | undefined> {
    return (await this.rows<Row>(statement, values))[0]
  }

  /** Puts an event into the outbox. To be called when what it concerns is locked. @returns its number */
  async emit({ kind, cardToken, personId, householdId, data }: ProgrammeEvent): Promise<number> {
    const values = [
      new Date(this.nowMs).toISOString(),
      kind,
      this.shard,
      cardToken,
      personId,
      householdId,
      JSON.stringify(data ?? {}),
    ]
    const row = await this.row<{ number: string }>(
      ADD_EVENT,
      values.map((value) => value ?? null),
    )
    assert(row !== undefined, 'an event has a number')
    return Number(row.number)
  }

  /** The same for many at once, in their order. */
  async emitAll(events: readonly ProgrammeEvent[]): Promise<void> {
    if (events.length === 0) return
    await this.row(ADD_EVENTS, [
      new Date(this.nowMs).toISOString(),
      this.shard,
      events.map(({ kind }) => kind),
      events.map(({ cardToken }) => cardToken ?? null),
      events.map(({ personId }) => personId ?? null),
      events.map(({ householdId }) => householdId ?? null),
      events.map(({ data }) => JSON.stringify(data ?? {})),
    ])
  }
}

// The SQL transaction has an id before the number is taken: see event_number.
const ADD_EVENT: Statement = {
  name: 'add_programme_event',
  text: `
    INSERT INTO programme_event (number, at, kind, shard, card_token, person_id, household_id, data)
    SELECT nextval('event_number'), $1, $2, $3, $4, $5, $6, $7 FROM (SELECT pg_current_xact_id()) AS id
    RETURNING number`,
}

const ADD_EVENTS: Statement = {
  name: 'add_programme_events',
  text: `
    INSERT INTO programme_event (number, at, kind, shard, card_token, person_id, household_id, data)
    SELECT nextval('event_number'), $1, e.kind, $2, e.card_token, e.person_id, e.household_id, e.data::jsonb
    FROM (SELECT pg_current_xact_id()) AS id, unnest($3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::text[])
      WITH ORDINALITY AS e(kind, card_token, person_id, household_id, data, ord)
    ORDER BY e.ord`,
}

const APPEND_AUDIT: Statement = { name: 'append_audit', text: 'SELECT append_audit($1, $2, $3, $4, $5, $6, $7)' }

const CLAIM_REQUEST: Statement = {
  name: 'claim_api_request',
  text: `
    INSERT INTO api_request (actor, key, fingerprint, at) VALUES ($1, $2, $3, $4)
    ON CONFLICT (actor, key) DO NOTHING RETURNING key`,
}
const READ_REQUEST: Statement = {
  name: 'read_api_request',
  text: 'SELECT fingerprint, answer FROM api_request WHERE actor = $1 AND key = $2',
}
interface EarlierRequest {
  readonly fingerprint: string
  readonly answer: string | null
}
const ANSWER_REQUEST: Statement = {
  name: 'answer_api_request',
  text: 'UPDATE api_request SET answer = $3 WHERE actor = $1 AND key = $2',
}

/** Postgres gives up one of two that wait for each other, or that changed the same rows: it is done again. */
const AGAIN = new Set(['40001', '40P01'])
const ATTEMPTS_MAX = 5

export class Desk {
  readonly shard: number
  readonly #options: DeskOptions
  readonly #pool: Pool

  constructor(options: DeskOptions) {
    const { url, connections, statementMs, connectMs = statementMs, log } = options
    this.#options = options
    this.shard = options.shard
    this.#pool = new Pool({
      connectionString: url,
      max: connections,
      application_name: 'sarf desk',
      connectionTimeoutMillis: connectMs,
      query_timeout: statementMs,
      // Whom nobody waits for any more must not go on holding locks.
      statement_timeout: statementMs + 1000,
      // What a machine that was lost has left open would hold its locks and all events after it (eventFeed.ts) for hours.
      options: `-c TimeZone=UTC -c DateStyle=ISO -c synchronous_commit=on -c jit=off -c idle_in_transaction_session_timeout=${String(statementMs)}`,
    })
    this.#pool.on('error', (error) => {
      log.warn({ error: errorText(error) }, 'a connection of the desk was lost')
    })
    // The pool hears only those that nobody uses; what is lost between two statements of a SQL transaction is found by the next one.
    this.#pool.on('connect', (client) => {
      client.on('error', () => undefined)
    })
  }

  get nowMs(): number {
    return this.#options.clock.now()
  }

  /** Looks something up. @throws NotConnected, OutcomeUnknown or pg's DatabaseError */
  async read<T>(look: (tx: SqlTransaction) => Promise<T>): Promise<T> {
    const client = await this.#connect()
    try {
      const value = await look(new SqlTransaction(client, this.shard, this.nowMs))
      client.release()
      this.#answered()
      return value
    } catch (error) {
      client.release(true)
      throw this.#failure(error, false)
    }
  }

  /**
   * Does a command once. A repeat with the same key and fingerprint gets what was answered the first time, so its value has to be JSON.
   *
   * @throws NotConnected: nothing was done; OutcomeUnknown: nobody knows, ask again with the same key; pg's DatabaseError
   */
  async run<T>(command: Command<T>): Promise<Outcome<T> & { readonly replayed?: true }> {
    for (let attempt = 1; ; attempt++) {
      const client = await this.#connect()
      const tx = new SqlTransaction(client, this.shard, this.nowMs)
      let committing = false
      try {
        await client.query('BEGIN')
        const earlier = await claim<T>(tx, command)
        if (earlier !== undefined) {
          await client.query('ROLLBACK')
          client.release()
          this.#answered()
          return earlier
        }
        const outcome = await workOf(client, tx, command)
        await finish(tx, command, outcome)
        committing = true
        await client.query('COMMIT')
        client.release()
        this.#answered()
        if (outcome.ok && tx.changedCards.size > 0) await this.#tell([...tx.changedCards])
        return outcome
      } catch (error) {
        client.release(true)
        const again = AGAIN.has(sqlState(error) ?? '') && attempt < ATTEMPTS_MAX
        if (again) continue
        throw this.#failure(error, committing)
      }
    }
  }

  /**
   * What was answered under a key; undefined: nothing yet. For what takes several SQL transactions, of which the last has the key.
   *
   * @throws like read
   */
  earlier<T>({
    actor,
    idempotency: { key, fingerprint },
  }: {
    readonly actor: Actor
    readonly idempotency: NonNullable<Command<T>['idempotency']>
  }): Promise<(Outcome<T> & { readonly replayed?: true }) | undefined> {
    return this.read(async (tx) => {
      const found = await tx.row<EarlierRequest>(READ_REQUEST, [actor.name, key])
      return found === undefined ? undefined : earlierAnswer<T>(found, fingerprint)
    })
  }

  /**
   * One SQL transaction for what changes nothing of the programme and so is not on record: a notice is claimed, an old answer forgotten.
   *
   * @throws like run
   */
  async upkeep<T>(work: (tx: SqlTransaction) => Promise<T>): Promise<T> {
    const client = await this.#connect()
    let committing = false
    try {
      await client.query('BEGIN')
      const value = await work(new SqlTransaction(client, this.shard, this.nowMs))
      committing = true
      await client.query('COMMIT')
      client.release()
      this.#answered()
      return value
    } catch (error) {
      client.release(true)
      throw this.#failure(error, committing)
    }
  }

  /** The next message of a card is to find it as it is now; where that takes too long it is told a little later. Does not reject. */
  async #tell(tokens: readonly string[]): Promise<void> {
    const { onCardsChanged, clock, log } = this.#options
    if (onCardsChanged === undefined) return
    const { promise: patience, resolve } = Promise.withResolvers<undefined>()
    const cancel = clock.after(onCardsChanged.withinMs, () => {
      resolve(undefined)
    })
    const told = onCardsChanged.tell(tokens).catch((error: unknown) => {
      log.warn({ error: errorText(error), count: tokens.length }, 'Redis is told of changed cards a little later')
    })
    await Promise.race([told, patience])
    cancel()
  }

  async close(): Promise<void> {
    await this.#pool.end()
  }

  async #connect(): Promise<PoolClient> {
    const { breaker, waitingMax = Number.POSITIVE_INFINITY } = this.#options
    if (this.#pool.waitingCount >= waitingMax) throw new NotConnected('the desk has too much to do')
    if (breaker?.admits() === false) throw new NotConnected('the desk cannot reach the ledger: it has not answered')
    try {
      return await this.#pool.connect()
    } catch (error) {
      breaker?.failed()
      throw new NotConnected(`the desk cannot reach the ledger: ${errorText(error)}`, { cause: error })
    }
  }

  #answered(): void {
    this.#options.breaker?.succeeded()
  }

  /** What failed, as the caller is to see it. */
  #failure(error: unknown, committing: boolean): unknown {
    const failure = lost(error)
    if (failure instanceof NotConnected) this.#options.breaker?.failed()
    else this.#answered()
    return committing ? new OutcomeUnknown(errorText(error), { cause: error }) : failure
  }
}

/** Before the commit was asked for a connection that broke has done nothing. */
function lost(error: unknown): unknown {
  return sqlState(error) === undefined && error instanceof Error && isConnectionError(error)
    ? new NotConnected(errorText(error), { cause: error })
    : error
}

function isConnectionError(error: Error): boolean {
  return 'code' in error || /timeout|terminated|closed|not queryable/i.test(error.message)
}

async function workOf<T>(client: PoolClient, tx: SqlTransaction, command: Command<T>): Promise<Outcome<T>> {
  const allowed = await command.before?.(tx)
  if (allowed?.ok === false) return allowed
  await client.query('SAVEPOINT work')
  const outcome = await command.work(tx)
  if (outcome.ok) return outcome
  await client.query('ROLLBACK TO SAVEPOINT work')
  await command.afterRefusal?.(tx, outcome.refusal)
  return outcome
}

/** @returns what an earlier request with this key was answered; undefined where this is the first */
async function claim<T>(
  tx: SqlTransaction,
  { actor, idempotency }: Command<T>,
): Promise<(Outcome<T> & { replayed?: true }) | undefined> {
  if (idempotency === undefined) return undefined
  const { key, fingerprint } = idempotency
  // One that is under way is waited for.
  const claimed = await tx.row(CLAIM_REQUEST, [actor.name, key, fingerprint, new Date(tx.nowMs).toISOString()])
  if (claimed !== undefined) return undefined
  const earlier = await tx.row<EarlierRequest>(READ_REQUEST, [actor.name, key])
  assert(earlier !== undefined, 'a key that was claimed is there')
  return earlierAnswer(earlier, fingerprint)
}

function earlierAnswer<T>({ fingerprint: first, answer }: EarlierRequest, fingerprint: string): Outcome<T> & { replayed?: true } {
  assert(answer !== null, 'a key that was claimed has its answer')
  if (first !== fingerprint)
    return refused('conflict', 'idempotency-key-reused', 'This Idempotency-Key came before with another request; take a new one.')
  return { ok: true, value: JSON.parse(answer) as T, replayed: true }
}

async function finish<T>(tx: SqlTransaction, command: Command<T>, outcome: Outcome<T>): Promise<void> {
  const { actor, action, idempotency } = command
  const more = outcome.ok ? command.audit?.(outcome.value) : { detail: { refused: outcome.refusal.name } }
  if (idempotency !== undefined) {
    // What was refused may be asked again, when it is as it should be.
    if (outcome.ok) await tx.row(ANSWER_REQUEST, [actor.name, idempotency.key, JSON.stringify(outcome.value)])
    else await tx.row(FORGET_REQUEST, [actor.name, idempotency.key])
  }
  if (more === 'nothing') return
  await tx.row(APPEND_AUDIT, [
    new Date(tx.nowMs).toISOString(),
    actor.name,
    actor.roles.join(' '),
    action,
    more?.subject ?? command.subject,
    outcome.ok ? 'done' : 'refused',
    JSON.stringify({ ...command.detail, ...more?.detail }),
  ])
}

const FORGET_REQUEST: Statement = {
  name: 'forget_api_request',
  text: 'DELETE FROM api_request WHERE actor = $1 AND key = $2',
}
