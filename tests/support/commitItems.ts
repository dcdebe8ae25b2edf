/** A ledger with purses of known balances, and decisions to commit to it, without the switch around them. */
import { Pool, type QueryResultRow } from 'pg'
import { afterAll } from 'vitest'
import { systemClock, utcDay } from '../../src/clock.ts'
import { movementOf, NOTHING_TO_POST, type DayCounter, type PurseMovement } from '../../src/decision/posting.ts'
import { egp } from '../../src/decision/transfers.ts'
import {
  commitParameterCount,
  commitParameters,
  type CommitItem,
  type CommitOutcome,
  type VerificationRecord,
} from '../../src/ledger/commitItem.ts'
import { LedgerConnection } from '../../src/ledger/connection.ts'
import type { GroupCommit } from '../../src/ledger/groupCommit.ts'
import { silentLogger } from '../../src/log.ts'
import { bank, cashAvailable, cashHeld, merchantAccount, suspense } from '../../src/purse/chart.ts'
import { KIND } from '../../src/transaction/transaction.ts'
import { createDatabase } from './stack.ts'

export const TODAY = utcDay(Date.now())
/** The one merchant of a test ledger, and the card of all its purses. */
export const MERCHANT = 1
const TOKEN = 'token'

const ends: (() => Promise<unknown>)[] = []

// After these the databases are dropped: hooks of a file run last registered first.
afterAll(async () => {
  for (const end of ends) await end()
})

export interface TestLedger {
  readonly url: string
  sql<Row extends QueryResultRow = Record<string, unknown>>(text: string, values?: unknown[]): Promise<Row[]>
  /** A purse with an opening balance, posted like any other. @returns its id */
  openPurse(balance: number): Promise<number>
  /** A connection as the switch has it; `url` where it should go another way. */
  connect(url?: string, options?: { statementMs?: number; onChange?: () => void }): Promise<LedgerConnection>
  /** What `commit_batch` says to each item. */
  commit(items: readonly CommitItem[], connection?: LedgerConnection): Promise<number[]>
}

export async function createLedger(): Promise<TestLedger> {
  const url = await createDatabase()
  const client = new Pool({ connectionString: url, max: 4 })
  // The database is dropped under it where a test leaves a connection behind.
  client.on('error', () => undefined)
  ends.push(() => client.end())
  await client.query(`SELECT ensure_partitions($1::date - 400, 15)`, [TODAY])
  await client.query(
    `INSERT INTO merchant (id, acceptor_id, name, category) VALUES (${MERCHANT}, '000000000000001', 'Shop', '5399')`,
  )
  await client.query(`INSERT INTO terminal (id, terminal_id, merchant_id, class) VALUES (1, 'POS00001', ${MERCHANT}, 'pos')`)

  const connect: TestLedger['connect'] = async (to = url, { statementMs = 10_000, onChange } = {}) => {
    const connection = new LedgerConnection({
      url: to,
      statementMs,
      reconnectMs: 20,
      clock: systemClock,
      log: silentLogger,
      name: 'test',
      ...(onChange === undefined ? {} : { onChange }),
    })
    await connection.open()
    ends.push(() => connection.close())
    return connection
  }
  let own: Promise<LedgerConnection> | undefined
  const ledger: TestLedger = {
    url,
    connect,
    sql: async <Row extends QueryResultRow>(text: string, values?: unknown[]) => (await client.query<Row>(text, values)).rows,
    async openPurse(balance) {
      const id = ++purses
      await client.query('INSERT INTO purse (shard, id, kind, unit, household_id) VALUES (0, $1, 1, 1, $1)', [id])
      if (balance > 0) await ledger.commit([credit(id, balance)])
      return id
    },
    async commit(items, connection) {
      own ??= connect()
      const { rows } = await (connection ?? (await own)).run<{ outcome: string }>(
        COMMIT_BATCH,
        commitParameters(0, Date.now(), items),
      )
      return rows[0]!.outcome.split(',').map(Number)
    },
  }
  return ledger
}

const COMMIT_BATCH = {
  name: 'test_commit_batch',
  text: `SELECT * FROM commit_batch(${Array.from({ length: commitParameterCount() }, (_, i) => `$${i + 1}`).join(',')})`,
}

let purses = 0
let keys = 0

export type Overrides = Partial<Omit<CommitItem, 'movement'>> & { readonly movement?: Partial<PurseMovement> | null }

/** The outcomes of `commit_batch` (migrations/0023_values_by_position.sql). */
export const WON = 0
export const DUPLICATE = 1

export function purchase(purseId: number, amount: number, overrides: Overrides = {}): CommitItem {
  return item(
    purseId,
    amount,
    KIND.purchase,
    { delta: -amount },
    {
      transfers: egp(cashAvailable(purseId), merchantAccount(MERCHANT), amount),
      ...overrides,
    },
  )
}

export function credit(purseId: number, amount: number, overrides: Overrides = {}): CommitItem {
  return item(
    purseId,
    amount,
    KIND.credit,
    { delta: amount },
    { transfers: egp(bank, cashAvailable(purseId), amount), ...overrides },
  )
}

/** With a hold that ends after `holdMs`, which may be negative. */
export function authorization(purseId: number, amount: number, holdMs = 3_600_000, overrides: Overrides = {}): CommitItem {
  return item(
    purseId,
    amount,
    KIND.authorization,
    { delta: -amount, heldDelta: amount },
    {
      transfers: egp(cashAvailable(purseId), cashHeld(purseId), amount),
      holdExpiresAt: new Date(Date.now() + holdMs).toISOString(),
      ...overrides,
    },
  )
}

/** Takes all of the authorization's hold: `amount` of it to the merchant, the rest back. */
export function completion(original: CommitItem, amount: number, overrides: Overrides = {}): CommitItem {
  const purseId = original.movement!.purseId
  const released = original.approved - amount
  return item(
    purseId,
    amount,
    KIND.completion,
    { delta: released, heldDelta: -original.approved },
    {
      transfers: [
        ...egp(cashHeld(purseId), merchantAccount(MERCHANT), amount),
        ...egp(cashHeld(purseId), cashAvailable(purseId), released),
      ],
      original: { key: original.key, keyDate: original.keyDate, linked: 0 },
      holdUsed: original.approved,
      ...overrides,
    },
  )
}

export function refund(original: CommitItem, amount: number, linked = 0, overrides: Overrides = {}): CommitItem {
  const purseId = original.movement!.purseId
  return item(
    purseId,
    amount,
    KIND.refund,
    { delta: amount },
    {
      transfers: egp(merchantAccount(MERCHANT), cashAvailable(purseId), amount),
      original: { key: original.key, keyDate: original.keyDate, linked },
      ...overrides,
    },
  )
}

/** A completion for which the purse had only `covered`. */
export function lentBySuspense(purseId: number, amount: number, covered: number): CommitItem {
  return item(
    purseId,
    amount,
    KIND.completion,
    { delta: -covered },
    {
      transfers: [
        ...egp(cashAvailable(purseId), merchantAccount(MERCHANT), covered),
        ...egp(suspense, merchantAccount(MERCHANT), amount - covered),
      ],
      fromSuspense: amount - covered,
    },
  )
}

/** What was verified of a holder: nothing but what is given. */
export function verified(known: Partial<VerificationRecord>): VerificationRecord {
  return {
    atc: null,
    pin: null,
    pinTriesMax: 3,
    raise: [],
    pinReference: null,
    checkedReference: null,
    scriptSent: false,
    ...known,
  }
}

export function decline(overrides: Overrides = {}): CommitItem {
  return item(
    null,
    100,
    KIND.purchase,
    {},
    { approved: 0, responseCode: '51', reason: 'insufficient_funds', approvalCode: null, ...overrides },
  )
}

export function tombstone(key: string): CommitItem {
  return item(null, 0, KIND.tombstone, {}, { key, mti: 0, body: null, responseCode: '91', reason: 'void', approvalCode: null })
}

export function counted(group: DayCounter['group'], day: string, amount: number, limits: Partial<DayCounter> = {}): DayCounter {
  return { group, day, amount, count: 1, amountMax: null, countMax: null, ...limits }
}

function item(
  purseId: number | null,
  amount: number,
  kind: number,
  moves: Partial<PurseMovement>,
  { movement, ...overrides }: Overrides,
): CommitItem {
  return {
    ...NOTHING_TO_POST,
    cardUpdate: null,
    verification: null,
    key: `test|${++keys}`,
    keyDate: TODAY,
    mti: 200,
    kind,
    body: '1',
    cardToken: TOKEN,
    terminalId: 'POS00001',
    merchantId: MERCHANT,
    rrn: '632600000001',
    requested: amount,
    approved: amount,
    responseCode: '00',
    reason: null,
    approvalCode: 'ABCDEF',
    movement: purseId === null || movement === null ? null : { ...movementOf(purseId, 1, 0), ...moves, ...movement },
    ...overrides,
  }
}

/** Submits an item and resolves with its outcome. */
export function outcomeOf(group: GroupCommit, submitted: CommitItem, deadlineMs = Date.now() + 20_000): Promise<CommitOutcome> {
  const { promise, resolve } = Promise.withResolvers<CommitOutcome>()
  group.submit({ committed: (_, outcome) => resolve(outcome) }, submitted, deadlineMs)
  return promise
}
