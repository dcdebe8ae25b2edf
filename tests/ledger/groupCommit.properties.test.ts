import fc from 'fast-check'
import { expect, it } from 'vitest'
import { systemClock } from '../../src/clock.ts'
import { audit } from '../../src/ledger/audit.ts'
import type { CommitItem, CommitOutcome } from '../../src/ledger/commitItem.ts'
import { GroupCommit } from '../../src/ledger/groupCommit.ts'
import { silentLogger } from '../../src/log.ts'
import { KIND } from '../../src/transaction/transaction.ts'
import {
  authorization,
  counted,
  completion,
  createLedger,
  credit,
  outcomeOf,
  purchase,
  refund,
  TODAY,
  type TestLedger,
} from '../support/commitItems.ts'

const PURSES = 4
const OPENING = 200

type Step = readonly [kind: 'debit' | 'credit' | 'hold', purse: number, amount: number]

const steps = fc.array(
  fc.tuple(
    fc.constantFrom('debit' as const, 'credit' as const, 'hold' as const),
    fc.nat(PURSES - 1),
    fc.integer({ min: 1, max: 150 }),
  ),
  { minLength: 10, maxLength: 80 },
)

/** Each process is a group commit with connections of its own. */
async function processes(ledger: TestLedger, count: number): Promise<GroupCommit[]> {
  return await Promise.all(
    Array.from({ length: count }, async () => {
      const connections = [await ledger.connect(), await ledger.connect()]
      return new GroupCommit({ connections, shard: 0, batchMax: 16, clock: systemClock, log: silentLogger })
    }),
  )
}

it('whatever debits, credits, holds, follow-ups and repeats race over a few purses, no purse is overdrawn and the books are right', async () => {
  const ledger = await createLedger()
  const groups = await processes(ledger, 3)
  await fc.assert(
    fc.asyncProperty(steps, async (plan) => {
      const ids = await Promise.all(Array.from({ length: PURSES }, () => ledger.openPurse(OPENING)))
      const first = await race(
        groups,
        plan.map((step) => itemOf(step, ids)),
      )
      // Refunds and completions are decided on what has been posted; several may be of one original.
      const originals = first.filter(({ outcome }) => outcome.kind === 'won').map(({ item }) => item)
      const second = await race(
        groups,
        plan.map((step, index) => followUpOf(step, ids, originals[index % 5])),
      )
      // Everything once more: a terminal that did not hear the answer.
      const third = await race(
        groups,
        [...first, ...second].map(({ item }) => item),
      )
      const outcomes = [...first, ...second, ...third].map(({ outcome }) => outcome)
      expect(outcomes.map((outcome) => outcome.kind).filter((kind) => !['won', 'duplicate', 'refused'].includes(kind))).toEqual(
        [],
      )
      for (const outcome of outcomes) {
        if (outcome.kind === 'won') expect(Math.min(outcome.purse!.balance, outcome.purse!.held)).toBeGreaterThanOrEqual(0)
      }
      const report = await audit({ databaseUrl: ledger.url, holdGraceMs: 0, reservationAgeMs: 0, clock: systemClock })
      expect(report.checks.filter((check) => !check.ok)).toEqual([])
    }),
    { numRuns: 15 },
  )
})

interface Raced {
  readonly item: CommitItem
  readonly outcome: CommitOutcome
}

/** All at once, each from the next process. */
async function race(groups: readonly GroupCommit[], items: readonly CommitItem[]): Promise<Raced[]> {
  return await Promise.all(
    items.map(async (item, index) => ({ item, outcome: await outcomeOf(groups[index % groups.length]!, item) })),
  )
}

function itemOf([kind, purse, amount]: Step, ids: readonly number[]): CommitItem {
  const id = ids[purse]!
  switch (kind) {
    case 'debit':
      return purchase(id, amount, { movement: { counter: counted('spending', TODAY, amount, { amountMax: 400, countMax: 10 }) } })
    case 'credit':
      return credit(id, amount, { movement: { balanceMax: 400 } })
    case 'hold':
      return authorization(id, amount)
  }
}

function followUpOf(step: Step, ids: readonly number[], original: CommitItem | undefined): CommitItem {
  const amount = Math.min(step[2], original?.approved ?? 0)
  switch (original?.kind) {
    case KIND.purchase:
      return refund(original, amount)
    case KIND.authorization:
      return completion(original, amount)
    default:
      return itemOf(step, ids)
  }
}
