/** A purse never pays for another: whatever is asked, at whatever place, with whatever card. */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { decide } from '../../src/decision/decide.ts'
import type { Approval } from '../../src/decision/decision.ts'
import type { BasketLine, Transaction } from '../../src/transaction/transaction.ts'
import { BREAD_ID, contextOf, originalSnapshot, POINTS_ID, PURSE_ID, RATION_ID, transactionOf } from './situation.ts'

/** Account of the chart, unit, and where a purse's units may go; from where they may come back. */
const PURSES = [
  { kind: 1, name: 'cash', id: PURSE_ID, unit: 1, accounts: [2000, 2001], others: [1000, 1010, 2210, 2215, 2220, 2225, 2900] },
  { kind: 2, name: 'ration', id: RATION_ID, unit: 2, accounts: [2100], others: [9001, 9002] },
  { kind: 3, name: 'bread', id: BREAD_ID, unit: 4, accounts: [2110], others: [9001] },
  { kind: 4, name: 'points', id: POINTS_ID, unit: 3, accounts: [2120], others: [9001] },
] as const

/** Class and category under which a purse other than cash is drawn on. */
const PLACES: Readonly<Record<string, string>> = { ration: 'grocer 5411', bread: 'bakery 5462', points: 'grocer 5411' }

const place = fc.constantFrom(
  ['pos', '5399'],
  ['grocer', '5411'],
  ['bakery', '5462'],
  ['clinic', '8011'],
  ['atm', '6011'],
  ['post-office', '6010'],
  ['government', '9399'],
  ['transfer', '6012'],
  ['grocer', '5462'],
  ['bakery', '5411'],
)
const kinds: Transaction['kind'][] = [
  'purchase',
  'authorization',
  'completion',
  'withdrawal',
  'deposit',
  'credit',
  'payment',
  'balance',
  'refund',
  'reversal',
  'dispense',
  'eligibility',
  'copay',
]
const purseSnapshot = fc.record({ available: fc.integer({ min: 0, max: 3000 }), marks: fc.constantFrom(0, 1 << 21, 1 << 22) })

const asked = fc.record({
  kind: fc.oneof({ weight: 2, arbitrary: fc.constantFrom(...kinds) }, { weight: 1, arbitrary: fc.constant('dispense' as const) }),
  purse: fc.constantFrom('cash', 'ration', 'bread', 'points', 'health'),
  mti: fc.constantFrom(200, 220),
  amount: fc.constantFrom(0, 20, 100, 400, 1000, 5000),
  /** Often what fits the amount, so that enough is approved. */
  units: fc.constantFrom<(number | 'fitting' | undefined)[]>(undefined, 5, 'fitting', 'fitting', 'fitting'),
  days: fc.constantFrom(0, 1, 1, 1, 2, 9),
  basket: fc.constantFrom('none', 'fitting', 'fitting', 'other'),
  fingerprint: fc.constantFrom(undefined, 'M', 'X'),
  serviceClass: fc.constantFrom(undefined, 'MED', 'CHR'),
  place,
  wallet: fc.boolean(),
  role: fc.constantFrom('head', 'member', 'old'),
  original: fc.option(
    fc.record({
      /** Of a cash purse; of another it is a dispense or its refund. */
      kind: fc.constantFrom(1, 2, 4, 5, 6, 7, 8, 15, 17),
      purse: fc.constantFrom(...PURSES),
      approved: fc.constantFrom(100, 400, 1000),
      second: fc.boolean(),
    }),
    { nil: undefined },
  ),
  known: fc.option(fc.record({ cash: purseSnapshot, ration: purseSnapshot, bread: purseSnapshot, points: purseSnapshot }), {
    nil: undefined,
  }),
  forced: fc.boolean(),
})
type Asked = typeof asked extends fc.Arbitrary<infer T> ? T : never

function basketOf(drawn: Asked['basket'], amount: number): BasketLine[] {
  if (drawn === 'none') return []
  return [drawn === 'fitting' ? { item: 'TEA', count: 1, amount } : { item: 'OIL', count: 9, amount: 400 }]
}

/** Eligibility and co-pay are of health whatever else was drawn (classification sees to that). */
function purseNamed(drawn: Asked): string {
  return drawn.kind === 'eligibility' || drawn.kind === 'copay' || drawn.purse === 'health' ? 'cash' : drawn.purse
}

function decisionOn(drawn: Asked): ReturnType<typeof decide> {
  const { kind, purse, mti, amount, units, days, basket, fingerprint, serviceClass, role, original, known } = drawn
  const transaction = transactionOf(kind, {
    purse,
    ...(kind === 'dispense' ? { mti } : {}),
    amount,
    ...(fingerprint === undefined ? {} : { fingerprint }),
    ...(serviceClass === undefined ? {} : { serviceClass }),
    dispense: { units: units === 'fitting' ? amount / 20 : units, days, basket: basketOf(basket, amount) },
  })
  const whole = contextOf(kind, { terminalClass: drawn.place[0], category: drawn.place[1], wallet: drawn.wallet })
  const carries = { head: [1, 2, 3, 4], member: [1], old: [2, 3, 4] }[role]
  return decide(transaction, {
    ...whole,
    card: { ...whole.card, role, purses: whole.card.purses.filter((one) => carries.includes(one.kind)) },
    forced: drawn.forced,
    original:
      original === undefined
        ? undefined
        : originalSnapshot({
            kind: original.purse.name === 'cash' ? original.kind : original.kind === 8 ? 8 : 13,
            purseId: original.purse.id,
            purseKind: original.purse.kind,
            approved: original.approved,
            quantity: original.purse.name === 'bread' ? original.approved / 20 : [15, 17].includes(original.kind) ? 10 : null,
            secondPurseId: original.second && original.purse.name === 'bread' ? PURSE_ID : null,
            cycle: original.purse.name === 'ration' || original.purse.name === 'bread' ? '2026-11-01' : null,
          }),
    purses:
      known === undefined
        ? undefined
        : new Map(
            PURSES.map(({ name, id }) => [
              id,
              {
                ...known[name],
                day: '2026-11-22',
                spentAmount: 0,
                spentCount: 0,
                withdrawnAmount: 0,
                withdrawnCount: 0,
                items: [],
              },
            ]),
          ),
  })
}

function approvalOn(drawn: Asked): Approval | undefined {
  const decision = decisionOn(drawn)
  return decision.kind === 'approve' ? decision : undefined
}

const purseOfAccount = (code: number) => PURSES.find(({ accounts }) => accounts.some((account) => account === code))

it('each transfer stays within the unit and the counterparts of one purse', () => {
  fc.assert(
    fc.property(asked, (drawn) => {
      for (const { debitCode, debitOwner, creditCode, creditOwner, unit } of approvalOn(drawn)?.posting.transfers ?? []) {
        const [from, to] = [purseOfAccount(debitCode), purseOfAccount(creditCode)]
        if (from !== undefined && to !== undefined) expect(from.name).toBe(to.name)
        for (const [purse, owner, other] of [
          [from, debitOwner, creditCode],
          [to, creditOwner, debitCode],
        ] as const) {
          if (purse === undefined) continue
          expect([purse.id, purse.unit]).toEqual([owner, unit])
          expect([...purse.accounts, ...purse.others]).toContain(other)
        }
        if (from === undefined && to === undefined) expect(unit).toBe(1)
      }
    }),
    { numRuns: 20_000 },
  )
})

it('what is taken is taken from the purse that was named; cash pays beside it only a price or a co-pay', () => {
  fc.assert(
    fc.property(asked, (drawn) => {
      const approval = approvalOn(drawn)
      if (approval === undefined || drawn.kind === 'reversal') return
      const named = purseNamed(drawn)
      for (const { debitCode, second } of approval.posting.transfers) {
        const from = purseOfAccount(debitCode)
        if (from === undefined) continue
        if (second === true) expect([from.name, drawn.purse]).toEqual(['cash', 'bread'])
        else expect(from.name).toBe(named)
      }
      const { movement } = approval.posting
      if (movement !== null) expect(movement.purseId).toBe(PURSES.find(({ name }) => name === named)?.id)
    }),
    { numRuns: 20_000 },
  )
})

it('an entitlement is drawn on at its own places only, and never with a member’s card', () => {
  let drawnOn = 0
  fc.assert(
    fc.property(asked, (drawn) => {
      const approval = approvalOn(drawn)
      const place = PLACES[drawn.purse]
      if (approval === undefined || drawn.kind !== 'dispense' || place === undefined) return
      drawnOn++
      expect(drawn.place.join(' ')).toBe(place)
      expect(drawn.role).not.toBe('member')
    }),
    { numRuns: 80_000 },
  )
  expect(drawnOn).toBeGreaterThan(100)
})

it('the movements are what the transfers say, and a purse that is known is not overdrawn', () => {
  fc.assert(
    fc.property(asked, (drawn) => {
      const approval = approvalOn(drawn)
      if (approval === undefined) return
      const { movement, second, transfers } = approval.posting
      for (const moved of [movement, second]) {
        if (moved === null) continue
        const purse = PURSES.find(({ id }) => id === moved.purseId)!
        const available = purse.accounts[0]
        const sum = transfers.reduce(
          (total, { debitCode, creditCode, amount }) =>
            total + (creditCode === available ? amount : 0) - (debitCode === available ? amount : 0),
          0,
        )
        expect(moved.delta + 0).toBe(sum)
        if (drawn.known !== undefined && moved.delta < 0)
          expect(drawn.known[purse.name].available + moved.delta).toBeGreaterThanOrEqual(0)
      }
      for (const { amount } of transfers) expect(Number.isInteger(amount) && amount > 0).toBe(true)
    }),
    { numRuns: 20_000 },
  )
})
