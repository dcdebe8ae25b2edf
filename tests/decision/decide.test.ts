import { describe, expect, it } from 'vitest'
import type { CardState } from '../../src/card.ts'
import { decide } from '../../src/decision/decide.ts'
import { NOTHING_VERIFIED } from '../../src/decision/verified.ts'
import type { Transaction } from '../../src/transaction/transaction.ts'
import { contextOf, parameters, saying, transactionOf, transfersOf, type Overrides, type Situation } from './situation.ts'

function decided(
  kind: Transaction['kind'],
  overrides: Overrides & { partialAccepted?: boolean } = {},
  situation: Situation = {},
) {
  return decide(transactionOf(kind, overrides), contextOf(kind, situation))
}

describe('what is approved is posted', () => {
  it.each<[Transaction['kind'], string[]]>([
    ['purchase', ['2000/71 -> 2220/5: 5000']],
    ['authorization', ['2000/71 -> 2001/71: 5000']],
    ['withdrawal', ['2000/71 -> 1010/9: 5000']],
    ['deposit', ['1000/0 -> 2000/71: 5000']],
    ['credit', ['1000/0 -> 2000/71: 5000']],
    ['payment', ['2000/71 -> 2215/5: 5000']],
    ['balance', []],
  ])('%s', (kind, transfers) => {
    const decision = decided(kind, { amount: 5000 })
    expect(saying(decision)).toBe('approved')
    expect(transfersOf(decision)).toEqual(transfers)
  })

  it('relies on the gate of the card it was decided for', () => {
    for (const kind of ['purchase', 'withdrawal', 'deposit', 'credit', 'payment', 'balance', 'authorization'] as const) {
      const decision = decided(kind, { amount: 5000 })
      expect(decision.kind === 'approve' && decision.posting.movement?.gate, kind).toBe(3)
    }
  })

  it('holds an authorization as long as the merchant category may', () => {
    const end = (category: string) => {
      const decision = decided('authorization', {}, { category })
      return decision.kind === 'approve' ? decision.posting.holdExpiresAt : undefined
    }
    expect(end('5399')).toBe('2026-11-29T09:30:00.000Z')
    expect(end('5541')).toBe('2026-11-23T09:30:00.000Z')
    expect(end('7011')).toBe('2026-12-22T09:30:00.000Z')
  })
})

describe('the first check that fails gives the reason, though all that follow would fail too', () => {
  const wrong = { amount: 0, currency: '840', expiry: '3001' }
  const lost = { state: 'LOST', expiry: '2401' } as const

  it.each<[string, Transaction['kind'], Overrides, Situation]>([
    ['card_lost', 'purchase', wrong, { card: lost, terminalClass: 'atm', purse: {} }],
    ['card_stolen', 'purchase', wrong, { card: { ...lost, state: 'STOLEN' }, terminalClass: 'atm' }],
    ['card_blocked', 'purchase', wrong, { card: { ...lost, state: 'DAMAGED' }, terminalClass: 'atm' }],
    ['card_expired', 'purchase', wrong, { card: { ...lost, state: 'CLOSED' }, terminalClass: 'atm' }],
    ['card_expired', 'purchase', wrong, { card: { state: 'ORDERED' }, terminalClass: 'atm' }],
    ['card_closed', 'purchase', { ...wrong, expiry: '2912' }, { card: { state: 'CLOSED' }, terminalClass: 'atm' }],
    ['card_not_active', 'purchase', { ...wrong, expiry: '2912' }, { card: { state: 'ORDERED' }, terminalClass: 'atm' }],
    ['pin_tries_exceeded', 'purchase', { amount: 0, hasPin: true }, { card: { state: 'PIN_BLOCKED' }, terminalClass: 'atm' }],
    ['terminal_class', 'withdrawal', { amount: 0 }, { terminalClass: 'pos', category: '5399' }],
    ['merchant_category', 'withdrawal', { amount: 0 }, { category: '5399' }],
    ['payee_unknown', 'payment', { amount: 0 }, { category: '5399' }],
    ['amount_invalid', 'purchase', { amount: 0, currency: '840' }, {}],
    ['currency', 'withdrawal', { amount: 10_000_001, currency: '840' }, {}],
    ['note_size', 'withdrawal', { amount: 10_000_001 }, { purse: {} }],
    ['transaction_amount', 'purchase', { amount: 10_000_001 }, { purse: { spentAmount: 5_000_000, spentCount: 200 } }],
    ['transaction_amount', 'refund', { amount: 10_000_001 }, {}],
    ['original_not_found', 'refund', { amount: 10_000_000 }, {}],
    ['day_amount', 'purchase', { amount: 2 }, { purse: { spentAmount: 4_999_999, spentCount: 200 } }],
    ['day_count', 'purchase', { amount: 1 }, { purse: { spentAmount: 4_999_999, spentCount: 200 } }],
    ['insufficient_funds', 'purchase', { amount: 1 }, { purse: { spentAmount: 4_999_999, spentCount: 199 } }],
  ])('%s of a %s', (reason, kind, overrides, situation) => {
    expect(saying(decided(kind, overrides, situation))).toBe(reason)
  })
})

describe('card states', () => {
  it.each<[CardState, string]>([
    ['ACTIVE', 'approved'],
    ['LOST', 'card_lost'],
    ['STOLEN', 'card_stolen'],
    ['DAMAGED', 'card_blocked'],
    ['SUSPENDED_BIOMETRIC', 'card_blocked'],
    ['PIN_LOST', 'card_blocked'],
    ['REPLACED', 'card_blocked'],
    ['RETIRED', 'card_blocked'],
    ['EXPIRED', 'card_expired'],
    ['DESTROYED', 'card_closed'],
    ['CANCELLED', 'card_closed'],
    ['CLOSED', 'card_closed'],
    ['ORDERED', 'card_not_active'],
    ['AWAITING_COLLECTION', 'card_not_active'],
    ['AWAITING_COLLECTION_DIWAN', 'card_not_active'],
    ['PIN_BLOCKED', 'approved'],
  ])('%s: a purchase without a PIN is %s', (state, reason) => {
    expect(saying(decided('purchase', {}, { card: { state }, verified: NOTHING_VERIFIED }))).toBe(reason)
  })

  it('a credit arrives before the first use of the card, but not on a closed one', () => {
    expect(saying(decided('credit', {}, { card: { state: 'AWAITING_COLLECTION' } }))).toBe('approved')
    expect(saying(decided('deposit', {}, { card: { state: 'AWAITING_COLLECTION' } }))).toBe('card_not_active')
    expect(saying(decided('credit', {}, { card: { state: 'CLOSED' } }))).toBe('card_closed')
  })

  it('a card is good to the last day of its month', () => {
    expect(saying(decided('purchase', {}, { card: { expiry: '2611' }, day: '2026-11-30' }))).toBe('approved')
    expect(saying(decided('purchase', {}, { card: { expiry: '2611' }, day: '2026-12-01' }))).toBe('card_expired')
  })

  it('a DE 14 that is not the card’s is refused like an expired one', () => {
    expect(saying(decided('purchase', { expiry: '2912' }))).toBe('approved')
    expect(saying(decided('purchase', { expiry: '2911' }))).toBe('card_expired')
  })
})

describe('limits', () => {
  const { spending, withdrawal } = parameters.dailyLimits

  it('up to the day’s amount and number is approved, above it is not', () => {
    const purse = { available: 9_000_000, spentAmount: spending.amount - 1000, spentCount: spending.count - 1 }
    expect(saying(decided('purchase', { amount: 1000 }, { purse }))).toBe('approved')
    expect(saying(decided('purchase', { amount: 1001 }, { purse }))).toBe('day_amount')
    expect(saying(decided('purchase', { amount: 1000 }, { purse: { ...purse, spentCount: spending.count } }))).toBe('day_count')
  })

  it('withdrawals are counted by themselves', () => {
    const purse = { available: 9_000_000, spentAmount: spending.amount, spentCount: spending.count }
    expect(saying(decided('withdrawal', { amount: 5000 }, { purse }))).toBe('approved')
    expect(saying(decided('withdrawal', { amount: 5000 }, { purse: { ...purse, withdrawnCount: withdrawal.count } }))).toBe(
      'day_count',
    )
  })

  it('yesterday’s counters do not count', () => {
    const purse = { available: 9_000_000, day: '2026-11-21', spentAmount: spending.amount, spentCount: spending.count }
    expect(saying(decided('purchase', {}, { purse }))).toBe('approved')
  })

  it('a single amount above the day’s limit needs no look at the purse', () => {
    expect(saying(decided('purchase', { amount: spending.amount + 1 }))).toBe('day_amount')
  })

  it('a purse takes nothing above its ceiling', () => {
    const { balanceCeiling } = parameters
    const all: Situation = { parameters: { transactionAmountMax: balanceCeiling + 1 } }
    expect(saying(decided('deposit', { amount: balanceCeiling }, all))).toBe('approved')
    expect(saying(decided('deposit', { amount: balanceCeiling + 1 }, all))).toBe('balance_ceiling')
    expect(saying(decided('credit', { amount: 1 }, { ...all, purse: { available: balanceCeiling } }))).toBe('balance_ceiling')
  })
})

describe('partial approval', () => {
  it('gives what the purse covers where the terminal can take less', () => {
    const decision = decided('purchase', { amount: 5000, partialAccepted: true }, { purse: { available: 1200 } })
    expect(saying(decision)).toBe('partial')
    expect(transfersOf(decision)).toEqual(['2000/71 -> 2220/5: 1200'])
  })

  it('is no way around an empty purse, a limit or a terminal that cannot', () => {
    expect(saying(decided('purchase', { partialAccepted: true }, { purse: { available: 0 } }))).toBe('insufficient_funds')
    expect(saying(decided('purchase', {}, { purse: { available: 500 } }))).toBe('insufficient_funds')
    const limited = { available: 500, spentAmount: parameters.dailyLimits.spending.amount }
    expect(saying(decided('purchase', { partialAccepted: true }, { purse: limited }))).toBe('day_amount')
  })
})
