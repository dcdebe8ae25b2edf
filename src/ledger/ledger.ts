/** The ledger as the rest of the switch sees it: group commit, and the look-ups that a decision may need. */
import type { Clock } from '../clock.ts'
import type { EpochStore } from '../decision/agreedEpoch.ts'
import type { CommittedPurse } from '../decision/hotState.ts'
import type { OriginalSnapshot } from '../decision/original.ts'
import type { Logger } from '../log.ts'
import type { Terminal } from '../transaction/terminal.ts'
import { readAnswers } from './answers.ts'
import { readCardPage, readCards, readPurses, type CardAndPurses, type CardPage } from './cards.ts'
import type { CommitItem, StoredAnswer } from './commitItem.ts'
import { LedgerConnection } from './connection.ts'
import { epochStore } from './epochs.ts'
import { GroupCommit, type CommitOwner, type GroupCommitOptions } from './groupCommit.ts'
import type { Programme } from '../programmeParameters.ts'
import { openPurses } from './cycles.ts'
import { expiredHolds } from './holds.ts'
import { originalsByKey, originalsByReference, type KeyQuestion, type ReferenceQuestion } from './originals.ts'
import { ensurePartitions } from './partitions.ts'
import { readProgrammeVersions, type StoredVersion } from './programme/versions.ts'
import { readRegions } from './regions.ts'
import { readTerminals } from './registry.ts'
import { openPostgresSession, type OpenSession } from './sqlClient.ts'
import { addSessionKey, readSessionKeys, type SessionKey } from './sessionKeys.ts'

export interface LedgerOptions extends Pick<GroupCommitOptions, 'shard' | 'batchMax' | 'clock' | 'log' | 'onBatch'> {
  readonly url: string
  readonly connections: number
  readonly statementMs: number
  readonly reconnectMs: number
  /** Called when look-ups are answered again, and at first: the server may be another one than before. */
  readonly onConnected?: () => void
  /** Absent: sessions with Postgres. */
  readonly openSession?: OpenSession
}

export class Ledger {
  readonly #commits: readonly LedgerConnection[]
  /** Look-ups never wait behind a commit. */
  readonly #lookups: LedgerConnection
  /** Opening waits for purses' locks: nothing else waits behind it. */
  readonly #openings: LedgerConnection
  readonly #groupCommit: GroupCommit
  readonly #shard: number
  readonly epochs: EpochStore

  constructor(options: LedgerOptions) {
    const { url, statementMs, reconnectMs, shard, openSession = openPostgresSession } = options
    const clock: Clock = options.clock
    const log: Logger = options.log
    const connect = (name: string, onUp?: () => void): LedgerConnection => {
      const connection = new LedgerConnection({
        url,
        statementMs,
        reconnectMs,
        clock,
        log,
        name,
        openSession,
        onChange: () => {
          this.#groupCommit.flush()
          if (connection.up) onUp?.()
        },
      })
      return connection
    }
    this.#shard = shard
    this.#commits = Array.from({ length: options.connections }, (_, index) => connect(`commit ${String(index + 1)}`))
    this.#lookups = connect('look-up', options.onConnected)
    this.#openings = connect('first use')
    this.#groupCommit = new GroupCommit({ ...options, connections: this.#commits })
    this.epochs = epochStore(this.#lookups)
  }

  /** Some connection can commit, and look-ups are answered. */
  get available(): boolean {
    return this.#groupCommit.available && this.#lookups.up
  }

  /** Items submitted and not yet told their outcome. */
  get queued(): number {
    return this.#groupCommit.size
  }

  /** How long the next item to be sent has waited for it, milliseconds; 0 where none waits. */
  get waitMs(): number {
    return this.#groupCommit.waitMs
  }

  async open(): Promise<void> {
    await Promise.all([...this.#commits, this.#lookups, this.#openings].map((connection) => connection.open()))
  }

  async close(): Promise<void> {
    await Promise.all([...this.#commits, this.#lookups, this.#openings].map((connection) => connection.close()))
  }

  submit(owner: CommitOwner, item: CommitItem, deadlineMs: number): void {
    this.#groupCommit.submit(owner, item, deadlineMs)
  }

  /** The ledger holds this key, or may come to hold it, although nobody has been told so. */
  mayHold(key: string): boolean {
    return this.#groupCommit.mayHold(key)
  }

  idle(): Promise<void> {
    return this.#groupCommit.idle()
  }

  cards(tokens: readonly string[]): Promise<Map<string, CardAndPurses>> {
    return readCards(this.#lookups, this.#shard, tokens)
  }

  cardPage(after: number, households: number): Promise<CardPage> {
    return readCardPage(this.#lookups, this.#shard, after, households)
  }

  purses(ids: readonly number[]): Promise<Map<number, CommittedPurse>> {
    return readPurses(this.#lookups, this.#shard, ids)
  }

  originalsByKey(questions: readonly KeyQuestion[]): Promise<(OriginalSnapshot | undefined)[]> {
    return originalsByKey(this.#lookups, this.#shard, questions)
  }

  originalsByReference(questions: readonly ReferenceQuestion[]): Promise<(OriginalSnapshot | undefined)[]> {
    return originalsByReference(this.#lookups, this.#shard, questions)
  }

  answers(keys: readonly KeyQuestion[]): Promise<Map<string, StoredAnswer>> {
    return readAnswers(this.#lookups, this.#shard, keys)
  }

  /** Opens purses for the month of a Cairo day, those that are behind month by month. */
  openPurses(day: string, nowMs: number, programme: Programme, purseIds: readonly number[]): Promise<unknown> {
    return openPurses(this.#openings, this.#shard, { day, nowMs, programme, purseIds })
  }

  regions(): Promise<Map<string, string>> {
    return readRegions(this.#lookups)
  }

  /** Rules that were stored beside those of the file. */
  programmeVersions(): Promise<StoredVersion[]> {
    return readProgrammeVersions(this.#lookups)
  }

  /** Of each configured key that a peer has sent another for, the last two. */
  sessionKeys(): Promise<SessionKey[]> {
    return readSessionKeys(this.#lookups)
  }

  addSessionKey(key: Omit<SessionKey, 'generation'>): Promise<boolean> {
    return addSessionKey(this.#lookups, key)
  }

  terminals(terminalIds: readonly string[]): Promise<Map<string, Terminal>> {
    return readTerminals(this.#lookups, terminalIds)
  }

  expiredHolds(nowMs: number, countMax: number): Promise<KeyQuestion[]> {
    return expiredHolds(this.#lookups, this.#shard, nowMs, countMax)
  }

  ensurePartitions(nowMs: number, retentionDays: number, aheadMonths: number): Promise<number> {
    return ensurePartitions(this.#lookups, nowMs, retentionDays, aheadMonths)
  }
}
