import { Client } from 'pg'
import { describe, expect, it } from 'vitest'
import { systemClock } from '../../src/clock.ts'
import { audit } from '../../src/ledger/audit.ts'
import type { CommitItem, CommitOutcome } from '../../src/ledger/commitItem.ts'
import type { LedgerConnection } from '../../src/ledger/connection.ts'
import { GroupCommit } from '../../src/ledger/groupCommit.ts'
import { silentLogger } from '../../src/log.ts'
import { createLedger, credit, decline, outcomeOf, purchase, type TestLedger } from '../support/commitItems.ts'
import { startCuttingProxy, type CuttingProxy } from '../support/cuttingProxy.ts'

interface Group {
  readonly group: GroupCommit
  readonly connections: readonly LedgerConnection[]
  /** Size of each batch that was committed, in order. */
  readonly batches: number[]
}

async function groupOn(
  ledger: TestLedger,
  { url = ledger.url, connections: count = 1, batchMax = 100, statementMs = 10_000 } = {},
): Promise<Group> {
  const batches: number[] = []
  const onChange = (): void => group.flush()
  const connections: LedgerConnection[] = []
  const group = new GroupCommit({
    connections,
    shard: 0,
    batchMax,
    clock: systemClock,
    log: silentLogger,
    onBatch: (size) => batches.push(size),
  })
  for (let i = 0; i < count; i++) connections.push(await ledger.connect(url, { statementMs, onChange }))
  return { group, connections, batches }
}

async function behindProxy(options: { statementMs?: number } = {}): Promise<{ ledger: TestLedger; proxy: CuttingProxy } & Group> {
  const ledger = await createLedger()
  const proxy = await startCuttingProxy(ledger.url)
  return { ledger, proxy, ...(await groupOn(ledger, { url: proxy.url, ...options })) }
}

const kinds = (outcomes: readonly CommitOutcome[]): string[] => outcomes.map((outcome) => outcome.kind)

async function balance(ledger: TestLedger, id: number): Promise<number> {
  const [row] = await ledger.sql<{ balance: string }>('SELECT balance FROM purse WHERE id = $1', [id])
  return Number(row!.balance)
}

async function expectClean(ledger: TestLedger): Promise<void> {
  const report = await audit({ databaseUrl: ledger.url, holdGraceMs: 0, reservationAgeMs: 0, clock: systemClock })
  expect(report.checks.filter((check) => !check.ok)).toEqual([])
}

describe('batches', () => {
  it('take what has gathered while the last one was under way', async () => {
    const ledger = await createLedger()
    const { group, batches } = await groupOn(ledger, { batchMax: 8 })
    const ids = await Promise.all(Array.from({ length: 20 }, () => ledger.openPurse(100)))
    const outcomes = await Promise.all(ids.map((id) => outcomeOf(group, purchase(id, 10))))
    expect(kinds(outcomes)).toEqual(ids.map(() => 'won'))
    // The first goes alone and at once.
    expect(batches).toEqual([1, 8, 8, 3])
    expect(group.size).toBe(0)
  })

  it('hold one item of a purse at most: the others come after it, in order, and see what it left', async () => {
    const ledger = await createLedger()
    const { group, batches } = await groupOn(ledger, { connections: 2 })
    const id = await ledger.openPurse(100)
    const outcomes = await Promise.all([60, 30, 20, 10].map((amount) => outcomeOf(group, purchase(id, amount))))
    expect(outcomes).toMatchObject([
      { kind: 'won', purse: { balance: 40, version: 2 } },
      { kind: 'won', purse: { balance: 10, version: 3 } },
      { kind: 'refused', guard: 'balance' },
      { kind: 'won', purse: { balance: 0, version: 4 } },
    ])
    expect(batches).toEqual([1, 1, 1, 1])
  })

  it('hold one item of a key at most: the second learns what was answered to the first', async () => {
    const ledger = await createLedger()
    const { group } = await groupOn(ledger, { connections: 2 })
    const [id, other] = [await ledger.openPurse(100), await ledger.openPurse(100)]
    const first = purchase(id, 60)
    const outcomes = await Promise.all([
      outcomeOf(group, first),
      outcomeOf(group, purchase(other, 5, { key: first.key, body: '2' })),
    ])
    expect(outcomes).toMatchObject([
      { kind: 'won' },
      { kind: 'duplicate', stored: { key: first.key, body: '1', responseCode: '00', approved: 60, available: 40, held: 0 } },
    ])
  })

  it('an item that the ledger cannot take fails alone: the others of its batch are committed', async () => {
    const ledger = await createLedger()
    const { group } = await groupOn(ledger)
    const ids = await Promise.all(Array.from({ length: 9 }, () => ledger.openPurse(100)))
    const items: CommitItem[] = ids.map((id) => purchase(id, 10))
    // Too large for the column: the whole statement fails.
    items[4] = { ...items[4]!, body: '99999999999999999999' }
    items[7] = { ...items[7]!, keyDate: '2040-01-01' }
    const outcomes = await Promise.all(items.map((item) => outcomeOf(group, item)))
    expect(kinds(outcomes)).toEqual(['won', 'won', 'won', 'won', 'fault', 'won', 'won', 'fault', 'won'])
    expect(await Promise.all(ids.map((id) => balance(ledger, id)))).toEqual([90, 90, 90, 90, 100, 90, 90, 100, 90])
    await expectClean(ledger)
  })

  it('idle waits for all that was submitted', async () => {
    const ledger = await createLedger()
    const { group } = await groupOn(ledger)
    await group.idle()
    const id = await ledger.openPurse(100)
    const outcomes = Array.from({ length: 5 }, () => outcomeOf(group, purchase(id, 1)))
    expect(group.size).toBe(5)
    await group.idle()
    expect(group.size).toBe(0)
    expect(await balance(ledger, id)).toBe(95)
    await Promise.all(outcomes)
  })
})

describe('without a connection', () => {
  it('what was not sent is unavailable at once, and what comes after the return is committed', async () => {
    const { ledger, proxy, group, connections } = await behindProxy()
    const id = await ledger.openPurse(100)
    const down = until(async () => !connections[0]!.up)
    proxy.sever()
    await down
    expect(group.available).toBe(false)
    expect(
      kinds(
        await Promise.all([outcomeOf(group, purchase(id, 1)), outcomeOf(group, purchase(id, 2)), outcomeOf(group, decline())]),
      ),
    ).toEqual(['unavailable', 'unavailable', 'unavailable'])
    proxy.mend()
    await until(async () => group.available)
    expect(await outcomeOf(group, purchase(id, 3))).toMatchObject({ kind: 'won', purse: { balance: 97 } })
    await expectClean(ledger)
  })

  it('an item whose answer was lost is unknown at its deadline, and what waited for its purse is unavailable', async () => {
    const { ledger, proxy, group } = await behindProxy()
    const id = await ledger.openPurse(100)
    const cut = proxy.cutNextAnswer()
    const first = outcomeOf(group, purchase(id, 60), Date.now() + 500)
    const second = outcomeOf(group, purchase(id, 10), Date.now() + 500)
    await cut
    proxy.sever()
    expect(kinds(await Promise.all([first, second]))).toEqual(['unknown', 'unavailable'])
    // It was committed all the same, which is why it must not be declined.
    expect(await balance(ledger, id)).toBe(40)
    await expectClean(ledger)
  })

  it('what waited and is given up frees nothing of the item that it waited for', async () => {
    const ledger = await createLedger()
    const { group } = await groupOn(ledger, { connections: 2 })
    const id = await ledger.openPurse(100)
    const unlock = await lock(ledger, id)
    const sent = outcomeOf(group, purchase(id, 60))
    expect(kinds([await outcomeOf(group, purchase(id, 10), Date.now() + 200)])).toEqual(['unavailable'])
    const next = outcomeOf(group, purchase(id, 5))
    // It waits for the first, and leaves the other connection to what has nothing to do with that purse.
    expect(kinds([await outcomeOf(group, decline(), Date.now() + 3000)])).toEqual(['won'])
    await unlock()
    expect(kinds(await Promise.all([sent, next]))).toEqual(['won', 'won'])
    expect(await balance(ledger, id)).toBe(35)
    await expectClean(ledger)
  })

  it('a statement that gets no answer in time leaves an unknown outcome', async () => {
    const { ledger, group } = await behindProxy({ statementMs: 200 })
    const id = await ledger.openPurse(100)
    const unlock = await lock(ledger, id)
    expect(await outcomeOf(group, purchase(id, 60), Date.now() + 700)).toEqual({ kind: 'unknown' })
    // What still waits there may commit now, once.
    await unlock()
    await expectClean(ledger)
  })
})

describe('where the answer was lost', () => {
  it('the item is sent again, and posted exactly once', async () => {
    const { ledger, proxy, group } = await behindProxy()
    const id = await ledger.openPurse(100)
    const item = purchase(id, 30)
    const cut = proxy.cutNextAnswer()
    const outcome = outcomeOf(group, item)
    await cut
    expect(await outcome).toMatchObject({
      kind: 'duplicate',
      stored: { key: item.key, responseCode: '00', approved: 30, available: 70 },
    })
    expect(await balance(ledger, id)).toBe(70)
    await expectClean(ledger)
  })

  it('the same goes for every item of a batch, over and over', async () => {
    const { ledger, proxy, group } = await behindProxy()
    const ids = await Promise.all(Array.from({ length: 10 }, () => ledger.openPurse(1000)))
    const expected = ids.map(() => 1000)
    for (let round = 0; round < 5; round++) {
      const cut = proxy.cutNextAnswer()
      const outcomes = ids.map((id, index) => outcomeOf(group, index % 2 === 0 ? purchase(id, 10) : credit(id, 10)))
      await cut
      for (const [index, { kind }] of (await Promise.all(outcomes)).entries()) {
        // What was not sent yet when the connection went has not been tried.
        expect(['won', 'duplicate', 'unavailable']).toContain(kind)
        if (kind !== 'unavailable') expected[index]! += index % 2 === 0 ? -10 : 10
      }
      await until(async () => group.available)
    }
    expect(await Promise.all(ids.map((id) => balance(ledger, id)))).toEqual(expected)
    await expectClean(ledger)
  })

  it('a backend that was ended before its commit has written nothing: the item wins the second time', async () => {
    const { ledger, group } = await behindProxy()
    const id = await ledger.openPurse(100)
    const unlock = await lock(ledger, id)
    const outcome = outcomeOf(group, purchase(id, 30))
    const waiting = `FROM pg_stat_activity WHERE datname = current_database() AND query ~ 'FROM commit_batch' AND wait_event_type = 'Lock'`
    await until(async () => (await ledger.sql(`SELECT 1 ${waiting}`)).length > 0)
    await ledger.sql(`SELECT pg_terminate_backend(pid) ${waiting}`)
    await unlock()
    expect(await outcome).toMatchObject({ kind: 'won', purse: { balance: 70, version: 2 } })
    await expectClean(ledger)
  })
})

/** Polls what no event tells. */
async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setImmediate(resolve))
}

/** Takes a purse's lock, as another process's commit would. @returns gives it back */
async function lock(ledger: TestLedger, id: number): Promise<() => Promise<void>> {
  const client = new Client({ connectionString: ledger.url })
  await client.connect()
  await client.query('BEGIN')
  await client.query('SELECT 1 FROM purse WHERE id = $1 FOR UPDATE', [id])
  return () => client.end()
}
