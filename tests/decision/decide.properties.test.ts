import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { CardState } from '../../src/card.ts'
import { decide } from '../../src/decision/decide.ts'
import type { Approval } from '../../src/decision/decision.ts'
import type { OriginalSnapshot } from '../../src/decision/original.ts'
import type { PurseSnapshot } from '../../src/purse/purse.ts'
import { KIND, type Transaction } from '../../src/transaction/transaction.ts'
import { contextOf, DAY, effectOn, originalSnapshot, PURSE_ID, purseSnapshot, transactionOf } from './situation.ts'

const SPENDING = ['purchase', 'authorization', 'withdrawal', 'payment'] as const
const KINDS = [...SPENDING, 'deposit', 'credit', 'balance', 'completion', 'refund', 'reversal'] as const
const STATES: readonly CardState[] = ['ACTIVE', 'LOST', 'CLOSED', 'PIN_BLOCKED', 'AWAITING_COLLECTION']

const money = fc.oneof(
  fc.integer({ min: 0, max: 3000 }),
  fc.integer({ min: 0, max: 40 }).map((notes) => notes * 5000),
  fc.integer({ min: 0, max: 12_000_000 }),
)

const purse: fc.Arbitrary<PurseSnapshot | undefined> = fc.option(
  fc
    .record({
      available: money,
      day: fc.constantFrom('2026-11-21', DAY),
      spentAmount: money,
      spentCount: fc.integer({ min: 0, max: 210 }),
      withdrawnAmount: money,
      withdrawnCount: fc.integer({ min: 0, max: 12 }),
    })
    .map(purseSnapshot),
  { nil: undefined },
)

/** Only what can have come about: nothing was given back, held or lent above what was approved. */
const original: fc.Arbitrary<OriginalSnapshot | undefined> = fc.option(
  fc
    .record({
      kind: fc.constantFrom(...Object.values(KIND)),
      approved: money,
      responseCode: fc.constantFrom('00', '10', '51'),
      held: fc.double({ min: 0, max: 1, noNaN: true }),
      back: fc.double({ min: 0, max: 1, noNaN: true }),
      lent: fc.double({ min: 0, max: 1, noNaN: true }),
      completed: fc.boolean(),
    })
    .map(({ kind, approved, responseCode, held, back, lent, completed }) => {
      const givenBack = Math.floor(approved * back)
      const fromSuspense = Math.floor(approved * lent)
      return originalSnapshot({
        kind,
        approved,
        responseCode,
        givenBack,
        fromSuspense,
        givenBackToSuspense: Math.min(givenBack, fromSuspense),
        completed,
        holdRemaining: kind === KIND.authorization && !completed ? Math.floor((approved - givenBack) * held) : 0,
      })
    }),
  { nil: undefined },
)

const situation = fc.record({
  kind: fc.constantFrom<Transaction['kind']>(...KINDS),
  amount: money,
  finalAmount: fc.option(money, { nil: undefined }),
  partialAccepted: fc.boolean(),
  state: fc.constantFrom(...STATES),
  purse,
  original,
  forced: fc.boolean(),
})

type Drawn = typeof situation extends fc.Arbitrary<infer T> ? T : never

function approvalOf(drawn: Drawn): Approval | undefined {
  const { kind, amount, finalAmount, partialAccepted, state, ...known } = drawn
  const transaction = transactionOf(kind, { amount, partialAccepted, ...(finalAmount === undefined ? {} : { finalAmount }) })
  const decision = decide(transaction, {
    ...contextOf(kind, { card: { state }, forced: known.forced }),
    purses: known.purse === undefined ? undefined : new Map([[PURSE_ID, known.purse]]),
    original: known.original,
  })
  return decision.kind === 'approve' ? decision : undefined
}

it('the transfers of an approval are what its movement says, whole and above zero', () => {
  fc.assert(
    fc.property(situation, (drawn) => {
      const approval = approvalOf(drawn)
      if (approval === undefined) return
      const effect = effectOn(approval, PURSE_ID)
      expect(effect.available).toBe((approval.posting.movement?.delta ?? 0) + 0)
      expect(effect.held).toBe((approval.posting.movement?.heldDelta ?? 0) + 0)
      for (const { amount } of approval.posting.transfers) expect(Number.isInteger(amount) && amount > 0).toBe(true)
    }),
    { numRuns: 3000 },
  )
})

it('a purse that is known is never taken below zero, nor what is held', () => {
  fc.assert(
    fc.property(situation, (drawn) => {
      const approval = approvalOf(drawn)
      if (approval === undefined) return
      const { movement } = approval.posting
      if (drawn.purse !== undefined) expect(drawn.purse.available + (movement?.delta ?? 0)).toBeGreaterThanOrEqual(0)
      expect((drawn.original?.holdRemaining ?? 0) + Math.min(0, movement?.heldDelta ?? 0)).toBeGreaterThanOrEqual(0)
    }),
    { numRuns: 3000 },
  )
})

it('no original is given back above what was approved of it', () => {
  fc.assert(
    fc.property(situation, (drawn) => {
      const approval = approvalOf(drawn)
      if (approval === undefined || drawn.original === undefined) return
      if (drawn.kind !== 'refund' && drawn.kind !== 'reversal') return
      const { approved, givenBack } = drawn.original
      expect(approval.approved + givenBack).toBeLessThanOrEqual(Math.max(approved, givenBack))
    }),
    { numRuns: 3000 },
  )
})

it('less than was asked for is approved only where the terminal said that it can take less', () => {
  fc.assert(
    fc.property(situation, (drawn) => {
      const approval = approvalOf(drawn)
      if (approval === undefined || !SPENDING.some((kind) => kind === drawn.kind)) return
      expect(approval.partial).toBe(approval.approved < drawn.amount)
      if (approval.partial) expect(drawn.partialAccepted).toBe(true)
      expect(approval.approved).toBeLessThanOrEqual(drawn.amount)
    }),
    { numRuns: 3000 },
  )
})

const NUMBER_OF: Readonly<Record<(typeof SPENDING)[number] | 'deposit' | 'credit', number>> = KIND

it('the reversal of any approval brings the purse and the day’s counters back exactly', () => {
  const kinds = fc.constantFrom(...SPENDING, 'deposit' as const, 'credit' as const)
  fc.assert(
    fc.property(kinds, money, fc.boolean(), purse, (kind, amount, partialAccepted, before) => {
      const approval = approvalOf({
        kind,
        amount,
        partialAccepted,
        purse: before,
        finalAmount: undefined,
        state: 'ACTIVE',
        original: undefined,
        forced: false,
      })
      const movement = approval?.posting.movement
      if (approval === undefined || movement === null || movement === undefined) return
      const reversal = approvalOf({
        kind: 'reversal',
        amount,
        partialAccepted: false,
        finalAmount: undefined,
        state: 'ACTIVE',
        forced: false,
        purse: before === undefined ? undefined : { ...before, available: before.available + movement.delta },
        original: originalSnapshot({
          kind: NUMBER_OF[kind],
          approved: approval.approved,
          holdRemaining: kind === 'authorization' ? approval.approved : 0,
        }),
      })
      expect(reversal?.posting.movement?.delta).toBe(-movement.delta)
      expect((reversal?.posting.movement?.heldDelta ?? 0) + movement.heldDelta).toBe(0)
      expect((reversal?.posting.movement?.counter?.amount ?? 0) + (movement.counter?.amount ?? 0)).toBe(0)
      expect((reversal?.posting.movement?.counter?.count ?? 0) + (movement.counter?.count ?? 0)).toBe(0)
    }),
    { numRuns: 2000 },
  )
})

it('deciding twice says the same', () => {
  fc.assert(
    fc.property(situation, (drawn) => {
      expect(approvalOf(drawn)).toEqual(approvalOf(drawn))
    }),
  )
})

it('the reversal of a refund takes from the purse exactly what the refund gave it', () => {
  fc.assert(
    fc.property(money, original, (amount, bought) => {
      const drawn = {
        amount,
        finalAmount: undefined,
        partialAccepted: false,
        state: 'ACTIVE',
        purse: undefined,
        forced: false,
      } as const
      const refund = approvalOf({ ...drawn, kind: 'refund', original: bought })
      if (refund === undefined || bought === undefined) return
      const { approved, posting } = refund
      const reversal = approvalOf({
        ...drawn,
        kind: 'reversal',
        original: originalSnapshot({ kind: KIND.refund, approved, fromSuspense: posting.fromSuspense ?? 0 }),
      })
      expect((reversal?.posting.movement?.delta ?? 0) + (posting.movement?.delta ?? 0)).toBe(0)
      expect(reversal?.posting.fromSuspense).toBe(posting.fromSuspense)
    }),
    { numRuns: 3000 },
  )
})
