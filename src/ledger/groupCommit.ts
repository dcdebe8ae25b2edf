/**
 * Group commit: all items that wait for the ledger go into one statement while the last one is being flushed. No timer: the
 * disk sets the pace, so a quiet switch commits at once and a busy one in large batches.
 *
 * An item's life:
 *
 *   submit --> waiting (another item of its purse or key is under way) --> ready --> sent --+--> won | duplicate | refused | fault
 *                                                                           ^               |
 *                                                                           +-- unresolved <+ (no answer came: the outcome is not known)
 *
 * An unresolved item is sent again, unchanged, as soon as there is a connection: the unique key decides, so that this is harmless, and
 * what it finds is the truth. It is given up as `unknown` at its deadline. An item that was never sent is given up as `unavailable` at its
 * deadline, and as soon as no connection is up or all have stalled: what has been sent may yet be answered, what has not need not wait for that.
 */
import { assert } from '../assert.ts'
import type { Clock } from '../clock.ts'
import { errorText, type Logger } from '../log.ts'
import { answerName, readAnswers } from './answers.ts'
import {
  COMMIT_GUARDS,
  commitParameterCount,
  commitParameters,
  type CommitItem,
  type CommitOutcome,
  type PurseState,
} from './commitItem.ts'
import { NotConnected, OutcomeUnknown, sqlState, type LedgerConnection, type Statement } from './connection.ts'

/** Who submitted an item: told its outcome once. */
export interface CommitOwner {
  committed(item: CommitItem, outcome: CommitOutcome): void
}

export interface GroupCommitOptions {
  readonly connections: readonly LedgerConnection[]
  readonly shard: number
  readonly batchMax: number
  readonly clock: Clock
  readonly log: Logger
  readonly onBatch?: (size: number, elapsedMs: number) => void
}

interface Entry {
  readonly owner: CommitOwner
  readonly item: CommitItem
  /** Of its key: see `answerName`. */
  readonly name: string
  /** Names of what no other item under way may be about: see `locksOf`. */
  readonly locks: readonly string[]
  readonly deadlineMs: number
  readonly submittedMs: number
  /** Its locks are its own: it is ready or sent. One that waits for them has none to give back. */
  holdsLocks: boolean
  unresolved: boolean
  settled: boolean
}

/** A key may have a row; if not, the outcome is `otherwise`. */
interface Unsettled {
  readonly entry: Entry
  readonly otherwise: CommitOutcome | undefined
}

interface BatchRow {
  readonly outcome: string
  readonly balance: string
  readonly held: string
  readonly version: string
  readonly day: string
  readonly spent_amount: string
  readonly spent_count: string
  readonly withdrawn_amount: string
  readonly withdrawn_count: string
  readonly marks: string
  readonly tries: string | null
  readonly second_version: string | null
}

const COMMIT_BATCH: Statement = {
  name: 'commit_batch',
  text: `SELECT * FROM commit_batch(${Array.from({ length: commitParameterCount() }, (_, i) => `$${String(i + 1)}`).join(',')})`,
}

/** How often items are looked at for their deadline. */
const DEADLINE_CHECK_MS = 100
/** Keys of unknown outcome that are remembered; the oldest is forgotten first. */
const UNKNOWN_MAX = 100_000

export class GroupCommit {
  readonly #options: GroupCommitOptions
  #ready: Entry[] = []
  /** Purses and keys of which an item is ready or sent, each with the items that wait for it, where there are any. */
  readonly #taken = new Map<string, Entry[] | undefined>()
  readonly #busyConnections = new Set<LedgerConnection>()
  /** Keys that were given up as unknown: until one is found out, nobody may be told that it was not posted. */
  readonly #unknown = new Set<string>()
  #count = 0
  #cancelDeadlineCheck: (() => void) | undefined
  #wakeIdle: (() => void)[] = []

  constructor(options: GroupCommitOptions) {
    this.#options = options
  }

  /** Items submitted and not yet told their outcome. */
  get size(): number {
    return this.#count
  }

  /** How long the next item to be sent has waited for it, milliseconds; 0 where none waits. */
  get waitMs(): number {
    const [next] = this.#ready
    return next === undefined ? 0 : this.#options.clock.now() - next.submittedMs
  }

  get available(): boolean {
    return this.#options.connections.some((connection) => connection.ready)
  }

  submit(owner: CommitOwner, item: CommitItem, deadlineMs: number): void {
    this.#count++
    this.#watchDeadlines()
    this.#take({
      owner,
      item,
      name: answerName(item),
      locks: locksOf(item),
      deadlineMs,
      submittedMs: this.#options.clock.now(),
      holdsLocks: false,
      unresolved: false,
      settled: false,
    })
    this.flush()
  }

  /** The ledger holds this key, or may come to hold it, although nobody has been told so. */
  mayHold(key: string): boolean {
    return this.#taken.has(key) || this.#unknown.has(key)
  }

  /** Sends what is ready on every connection that is free. Called by itself; also when a connection has come up or gone. */
  flush(): void {
    for (const connection of this.#options.connections) {
      if (this.#ready.length === 0) return
      if (connection.ready && !this.#busyConnections.has(connection)) void this.#send(connection, this.#nextBatch())
    }
    if (!this.available) this.#giveUpUnsent()
  }

  /** Resolves when every item has been told its outcome. */
  async idle(): Promise<void> {
    if (this.#count === 0) return
    const { promise, resolve } = Promise.withResolvers<undefined>()
    this.#wakeIdle.push(() => {
      resolve(undefined)
    })
    await promise
  }

  #take(entry: Entry): void {
    const taken = entry.locks.find((lock) => this.#taken.has(lock))
    if (taken !== undefined) {
      const waiting = this.#taken.get(taken)
      if (waiting === undefined) this.#taken.set(taken, [entry])
      else waiting.push(entry)
      return
    }
    for (const lock of entry.locks) this.#taken.set(lock, undefined)
    entry.holdsLocks = true
    this.#ready.push(entry)
  }

  #nextBatch(): Entry[] {
    const { batchMax } = this.#options
    if (this.#ready.length <= batchMax) {
      const all = this.#ready
      this.#ready = []
      return all
    }
    return this.#ready.splice(0, batchMax)
  }

  async #send(connection: LedgerConnection, batch: Entry[]): Promise<void> {
    this.#busyConnections.add(connection)
    // Every batch inserts its keys in one order, so that two of them cannot wait for each other in a circle.
    batch.sort((a, b) => compare(a.name, b.name))
    let row: BatchRow | undefined
    try {
      row = await this.#run(connection, batch)
    } catch (error) {
      await this.#recover(connection, batch, error)
    } finally {
      this.#busyConnections.delete(connection)
      // The next batch is on its way before this one's owners are told: the server works while they are.
      this.flush()
    }
    if (row === undefined) return
    await this.#tell(connection, batch, row)
    // What waited behind this batch is ready now.
    this.flush()
  }

  async #run(connection: LedgerConnection, batch: readonly Entry[]): Promise<BatchRow> {
    const { clock, shard, onBatch } = this.#options
    const startedMs = clock.now()
    const items = batch.map((entry) => entry.item)
    const { rows } = await connection.run<BatchRow>(COMMIT_BATCH, commitParameters(shard, startedMs, items))
    assert(rows[0] !== undefined, 'commit_batch answers one row')
    onBatch?.(batch.length, clock.now() - startedMs)
    return rows[0]
  }

  async #tell(connection: LedgerConnection, batch: Entry[], row: BatchRow): Promise<void> {
    try {
      await this.#deliver(connection, batch, row)
    } catch (error) {
      await this.#recover(connection, batch, error)
    }
  }

  async #commit(connection: LedgerConnection, batch: Entry[]): Promise<void> {
    try {
      await this.#deliver(connection, batch, await this.#run(connection, batch))
    } catch (error) {
      await this.#recover(connection, batch, error)
    }
  }

  async #deliver(connection: LedgerConnection, batch: Entry[], row: BatchRow): Promise<void> {
    const outcomes = row.outcome.split(',')
    assert(outcomes.length === batch.length, 'commit_batch answers each item')
    const states = new PurseStates(row)
    const known: Unsettled[] = []
    for (const [index, entry] of batch.entries()) {
      const outcome = Number(outcomes[index])
      if (outcome === 0) {
        this.#settle(entry, { kind: 'won', purse: entry.item.movement === null ? undefined : states.at(index) })
      } else if (outcome === 1) {
        known.push({ entry, otherwise: undefined })
      } else {
        const guard = COMMIT_GUARDS[outcome]
        assert(guard !== undefined, `commit_batch knows outcome ${String(outcome)}`)
        const refused: CommitOutcome = { kind: 'refused', guard }
        // Its first attempt may have been posted, and the guard have failed for that very reason.
        if (entry.unresolved) known.push({ entry, otherwise: refused })
        else this.#settle(entry, refused)
      }
    }
    if (known.length > 0) await this.#answerKnown(connection, known)
  }

  /** The winner of a key became visible when our insert gave way to it: it is read in a statement of its own. */
  async #answerKnown(connection: LedgerConnection, known: Unsettled[]): Promise<void> {
    const asked = known.map(({ entry }) => entry.item)
    try {
      const stored = await readAnswers(connection, this.#options.shard, asked)
      for (const { entry, otherwise } of known) {
        const answer = stored.get(entry.name)
        const outcome: CommitOutcome | undefined = answer === undefined ? otherwise : { kind: 'duplicate', stored: answer }
        assert(outcome !== undefined, 'a key that was taken has a row')
        this.#settle(entry, outcome)
      }
    } catch (error) {
      this.#options.log.warn({ count: known.length, error: errorText(error) }, 'stored answers cannot be read; asked again')
      this.#resendLater(
        known.map(({ entry }) => entry),
        true,
      )
    }
  }

  async #recover(connection: LedgerConnection, batch: Entry[], error: unknown): Promise<void> {
    const { log } = this.#options
    if (error instanceof OutcomeUnknown || error instanceof NotConnected) {
      log.warn({ count: batch.length, error: errorText(error) }, 'outcome of a batch is not known; it is sent again')
      this.#resendLater(batch, error instanceof OutcomeUnknown)
      return
    }
    const state = sqlState(error)
    if (state === '40P01' || state === '40001') {
      await this.#commit(connection, batch)
    } else if (state !== undefined && CANNOT_WRITE.test(state)) {
      log.error({ count: batch.length, error: errorText(error) }, 'the ledger takes no writes')
      // An earlier attempt of an unresolved item may have been written all the same.
      for (const entry of batch) this.#settle(entry, { kind: entry.unresolved ? 'unknown' : 'unavailable' })
    } else if (batch.length > 1) {
      log.error({ count: batch.length, error: errorText(error) }, 'a batch was refused; it is halved to find the item at fault')
      const middle = batch.length >> 1
      await this.#commit(connection, batch.slice(0, middle))
      await this.#commit(connection, batch.slice(middle))
    } else {
      log.error({ error: errorText(error) }, 'an item was refused by the ledger')
      for (const entry of batch)
        this.#settle(entry, entry.unresolved ? { kind: 'unknown' } : { kind: 'fault', error: errorText(error) })
    }
  }

  #resendLater(batch: Entry[], mayBeWritten: boolean): void {
    const open = batch.filter((entry) => !entry.settled)
    for (const entry of open) {
      if (mayBeWritten) entry.unresolved = true
    }
    this.#ready = [...open, ...this.#ready]
  }

  #giveUpUnsent(): void {
    this.#giveUp(() => true)
  }

  /** Of what is not under way: an unresolved item at its deadline only, one that was never sent where `isHopeless`. */
  #giveUp(isHopeless: (entry: Entry) => boolean): void {
    const given: Entry[] = []
    const isKept = (entry: Entry): boolean => {
      const isOver = entry.unresolved ? this.#isLate(entry) : isHopeless(entry)
      if (isOver) given.push(entry)
      return !isOver
    }
    this.#ready = this.#ready.filter(isKept)
    for (const [name, waiting] of this.#taken) if (waiting !== undefined) this.#taken.set(name, waiting.filter(isKept))
    for (const entry of given) this.#settle(entry, { kind: entry.unresolved ? 'unknown' : 'unavailable' })
    // What waited behind them is ready now, and no better off.
    if (given.length > 0) this.#giveUp(isHopeless)
  }

  #isLate({ deadlineMs }: Entry): boolean {
    return deadlineMs <= this.#options.clock.now()
  }

  #remember(key: string, outcome: CommitOutcome): void {
    if (outcome.kind === 'unknown') {
      if (this.#unknown.size >= UNKNOWN_MAX) this.#unknown.delete(this.#unknown.values().next().value ?? key)
      this.#unknown.add(key)
    } else if (this.#unknown.size > 0 && (outcome.kind === 'won' || outcome.kind === 'duplicate')) {
      this.#unknown.delete(key)
    }
  }

  #watchDeadlines(): void {
    if (this.#cancelDeadlineCheck !== undefined) return
    this.#cancelDeadlineCheck = this.#options.clock.after(DEADLINE_CHECK_MS, () => {
      this.#cancelDeadlineCheck = undefined
      this.#giveUp((entry) => this.#isLate(entry))
      this.flush()
      if (this.#count > 0) this.#watchDeadlines()
    })
  }

  #settle(entry: Entry, outcome: CommitOutcome): void {
    if (entry.settled) return
    entry.settled = true
    this.#count--
    this.#remember(entry.item.key, outcome)
    let next: readonly Entry[] = NOBODY
    for (const lock of entry.holdsLocks ? entry.locks : []) {
      const waiting = this.#taken.get(lock)
      if (waiting !== undefined) next = [...next, ...waiting]
      this.#taken.delete(lock)
    }
    for (const waiting of next) this.#take(waiting)
    try {
      entry.owner.committed(entry.item, outcome)
    } catch (error) {
      // Told once, whatever it makes of it: the batch goes on.
      this.#options.log.error({ error: errorText(error) }, 'fault')
    }
    if (this.#count === 0) {
      const wake = this.#wakeIdle
      this.#wakeIdle = []
      for (const resolve of wake) resolve()
    }
  }
}

const NOBODY: readonly Entry[] = []

/** 25006 read only, 53 out of disk, memory or connections, 55 not now, 58 input or output error (PostgreSQL manual, appendix A). */
const CANNOT_WRITE = /^(25006|53|55|58)/

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** At most one item a purse, a key and an updated or verified card may be in a batch, or in two batches at once. */
function locksOf(item: CommitItem): string[] {
  const { key, movement, second, cardUpdate, verification, cardToken } = item
  const names = movement === null ? [key] : [String(movement.purseId), key]
  if (verification !== null && cardToken !== null) names.push(cardToken)
  const raise = verification?.raise ?? []
  if (second === null && cardUpdate === null && raise.length === 0) return names
  names.push(...raise.map(String))
  if (second !== null) names.push(String(second.purseId))
  if (cardUpdate !== null) names.push(cardUpdate.token, ...cardUpdate.raise.map(String))
  return [...new Set(names)]
}

/** The purse columns of a batch's answer, cut into values only where they are read. */
class PurseStates {
  readonly #columns: readonly string[][]

  constructor(row: BatchRow) {
    this.#columns = [
      row.balance,
      row.held,
      row.version,
      row.day,
      row.spent_amount,
      row.spent_count,
      row.withdrawn_amount,
      row.withdrawn_count,
      row.marks,
      row.tries ?? '',
      row.second_version ?? '',
    ].map((column) => column.split(','))
  }

  #optional(column: number, index: number): number | undefined {
    const text = this.#columns[column]?.[index] ?? ''
    return text === '' ? undefined : Number(text)
  }

  at(index: number): PurseState {
    const number = (column: number): number => Number(this.#columns[column]?.[index])
    return {
      balance: number(0),
      held: number(1),
      version: number(2),
      day: this.#columns[3]?.[index] ?? '',
      spentAmount: number(4),
      spentCount: number(5),
      withdrawnAmount: number(6),
      withdrawnCount: number(7),
      marks: number(8),
      tries: this.#optional(9, index),
      secondVersion: this.#optional(10, index),
    }
  }
}
