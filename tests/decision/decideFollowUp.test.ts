import { describe, expect, it } from 'vitest'
import { decide } from '../../src/decision/decide.ts'
import { KIND } from '../../src/transaction/transaction.ts'
import { contextOf, saying, transactionOf, transfersOf, type Situation } from './situation.ts'

const authorized = { kind: KIND.authorization, approved: 1000, holdRemaining: 1000 }

describe('a completion', () => {
  const completed = (amount: number, situation: Situation) =>
    decide(transactionOf('completion', { amount }), contextOf('completion', situation))

  it('takes from the hold and releases what is left of it', () => {
    expect(transfersOf(completed(700, { original: authorized }))).toEqual(['2001/71 -> 2220/5: 700', '2001/71 -> 2000/71: 300'])
    expect(transfersOf(completed(1000, { original: authorized }))).toEqual(['2001/71 -> 2220/5: 1000'])
    expect(transfersOf(completed(0, { original: authorized }))).toEqual(['2001/71 -> 2000/71: 1000'])
  })

  it('above the hold takes the rest from what is available, and from suspense what is not there', () => {
    expect(transfersOf(completed(1500, { original: authorized }))).toEqual(['2001/71 -> 2220/5: 1000', '2000/71 -> 2220/5: 500'])
    expect(transfersOf(completed(1500, { original: authorized, purse: { available: 200 } }))).toEqual([
      '2001/71 -> 2220/5: 1000',
      '2000/71 -> 2220/5: 200',
      '2900/0 -> 2220/5: 300',
    ])
  })

  it('after the hold was released takes all of it from what is available', () => {
    expect(transfersOf(completed(800, { original: { ...authorized, holdRemaining: 0 }, purse: { available: 500 } }))).toEqual([
      '2000/71 -> 2220/5: 500',
      '2900/0 -> 2220/5: 300',
    ])
  })

  it('closes its authorization once, whatever became of the card', () => {
    expect(saying(completed(1000, { original: { ...authorized, completed: true } }))).toBe('original_completed')
    expect(saying(completed(1000, { original: authorized, card: { state: 'STOLEN', expiry: '2401' } }))).toBe('approved')
  })

  it.each<[string, Situation]>([
    ['nothing', {}],
    ['a purchase', { original: { kind: KIND.purchase } }],
    ['a declined authorization', { original: { ...authorized, responseCode: '51', purseId: null } }],
    ['an authorization of another card', { original: { ...authorized, cardToken: 'other' } }],
    ['an authorization at another shop', { original: { ...authorized, merchantId: 6 } }],
  ])('of %s is 25; by force it takes what is available, and then suspense', (_, situation) => {
    expect(saying(completed(900, situation))).toBe('original_not_found')
    expect(transfersOf(completed(900, { ...situation, forced: true, purse: { available: 400 } }))).toEqual([
      '2000/71 -> 2220/5: 400',
      '2900/0 -> 2220/5: 500',
    ])
  })
})

describe('a refund', () => {
  const refunded = (amount: number, situation: Situation) =>
    decide(transactionOf('refund', { amount }), contextOf('refund', situation))

  it('gives back up to what is left of the original, and counts nothing', () => {
    const decision = refunded(600, { original: { givenBack: 400, linked: 1 } })
    expect(transfersOf(decision)).toEqual(['2220/5 -> 2000/71: 600'])
    expect(decision.kind === 'approve' && decision.posting.movement?.counter).toBeNull()
    expect(saying(refunded(601, { original: { givenBack: 400 } }))).toBe('refund_exceeds_original')
  })

  it('of a government payment is the payee’s to give', () => {
    const situation = { original: { kind: KIND.payment }, terminalClass: 'government', category: '9399' }
    expect(transfersOf(refunded(600, situation))).toEqual(['2215/5 -> 2000/71: 600'])
  })

  it('gives suspense back first what it had lent', () => {
    expect(transfersOf(refunded(600, { original: { kind: KIND.completion, fromSuspense: 250 } }))).toEqual([
      '2220/5 -> 2900/0: 250',
      '2220/5 -> 2000/71: 350',
    ])
    expect(
      transfersOf(
        refunded(500, { original: { kind: KIND.completion, fromSuspense: 250, givenBack: 300, givenBackToSuspense: 250 } }),
      ),
    ).toEqual(['2220/5 -> 2000/71: 500'])
  })

  it('relies on the card’s gate, which a reversal does not', () => {
    const gate = (kind: 'refund' | 'reversal') => {
      const decision = decide(transactionOf(kind), contextOf(kind, { original: {} }))
      return decision.kind === 'approve' ? decision.posting.movement?.gate : undefined
    }
    expect(gate('refund')).toBe(3)
    expect(gate('reversal')).toBeNull()
  })

  it('needs an approved purchase, payment or completion on this card at this shop', () => {
    expect(saying(refunded(100, {}))).toBe('original_not_found')
    expect(saying(refunded(100, { original: { kind: KIND.withdrawal } }))).toBe('original_not_found')
    expect(saying(refunded(100, { original: { cardToken: 'other' } }))).toBe('original_not_found')
    expect(saying(refunded(100, { original: { merchantId: 6 } }))).toBe('original_not_found')
    expect(saying(refunded(100, { original: { responseCode: '51', purseId: null } }))).toBe('original_not_found')
  })
})

describe('a reversal', () => {
  const reversed = (situation: Situation, finalAmount?: number) =>
    decide(transactionOf('reversal', finalAmount === undefined ? {} : { finalAmount }), contextOf('reversal', situation))

  it.each<[string, number, string[]]>([
    ['purchase', KIND.purchase, ['2220/5 -> 2000/71: 1000']],
    ['completion', KIND.completion, ['2220/5 -> 2000/71: 1000']],
    ['withdrawal', KIND.withdrawal, ['1010/9 -> 2000/71: 1000']],
    ['payment', KIND.payment, ['2215/5 -> 2000/71: 1000']],
    ['deposit', KIND.deposit, ['2000/71 -> 1000/0: 1000']],
    ['credit', KIND.credit, ['2000/71 -> 1000/0: 1000']],
    ['refund', KIND.refund, ['2000/71 -> 2220/5: 1000']],
    ['refund of a payment', KIND.paymentRefund, ['2000/71 -> 2215/5: 1000']],
  ])('of a %s moves the money the other way', (_, kind, transfers) => {
    expect(transfersOf(reversed({ original: { kind } }))).toEqual(transfers)
  })

  it('of an authorization releases its hold', () => {
    expect(transfersOf(reversed({ original: authorized }))).toEqual(['2001/71 -> 2000/71: 1000'])
    expect(transfersOf(reversed({ original: authorized }, 400))).toEqual(['2001/71 -> 2000/71: 600'])
    expect(transfersOf(reversed({ original: { ...authorized, holdRemaining: 0, completed: true } }))).toEqual([])
  })

  it('with DE 95 gives back what is above the final amount', () => {
    expect(transfersOf(reversed({ original: {} }, 400))).toEqual(['2220/5 -> 2000/71: 600'])
    expect(transfersOf(reversed({ original: {} }, 1000))).toEqual([])
    expect(transfersOf(reversed({ original: {} }, 5000))).toEqual([])
  })

  it('gives nothing back twice', () => {
    expect(transfersOf(reversed({ original: { givenBack: 1000 } }))).toEqual([])
    expect(transfersOf(reversed({ original: { givenBack: 600 } }))).toEqual(['2220/5 -> 2000/71: 400'])
    expect(transfersOf(reversed({ original: { givenBack: 600 } }, 700))).toEqual([])
  })

  it('takes a spent deposit back from suspense', () => {
    expect(transfersOf(reversed({ original: { kind: KIND.deposit }, purse: { available: 300 } }))).toEqual([
      '2000/71 -> 1000/0: 300',
      '2900/0 -> 1000/0: 700',
    ])
  })

  it('of a refund that suspense had a part in takes from the purse what the purse got', () => {
    const refund = { kind: KIND.refund, approved: 600, fromSuspense: 250 }
    expect(transfersOf(decide(transactionOf('reversal'), contextOf('reversal', { original: refund })))).toEqual([
      '2000/71 -> 2220/5: 350',
      '2900/0 -> 2220/5: 250',
    ])
    const rest = { ...refund, givenBack: 400, givenBackToSuspense: 50 }
    expect(transfersOf(decide(transactionOf('reversal'), contextOf('reversal', { original: rest })))).toEqual([
      '2900/0 -> 2220/5: 200',
    ])
  })

  it('lowers the day it was counted on, its number only where nothing is left of it', () => {
    const counter = (situation: Situation, finalAmount?: number) => {
      const decision = reversed(situation, finalAmount)
      return decision.kind === 'approve' ? decision.posting.movement?.counter : undefined
    }
    const day = '2026-11-20'
    expect(counter({ original: { day } })).toMatchObject({ group: 'spending', day, amount: -1000, count: -1 })
    expect(counter({ original: { day } }, 400)).toMatchObject({ amount: -600, count: 0 })
    expect(counter({ original: { kind: KIND.withdrawal } })).toMatchObject({ group: 'withdrawal' })
    expect(counter({ original: { kind: KIND.deposit } })).toBeNull()
  })

  it('remembers an original that was never seen, and has nothing to do for one that was declined', () => {
    expect(saying(reversed({}))).toBe('remember')
    expect(transfersOf(reversed({ original: { responseCode: '51', purseId: null } }))).toEqual([])
    expect(saying(reversed({ original: { responseCode: '51', purseId: null } }))).toBe('approved')
    expect(saying(reversed({ original: { kind: KIND.tombstone, cardToken: null, responseCode: '12' } }))).toBe('approved')
  })

  it('is refused for another card, and for a reversal', () => {
    expect(saying(reversed({ original: { cardToken: 'other' } }))).toBe('original_not_found')
    expect(saying(reversed({ original: { kind: KIND.reversal } }))).toBe('original_not_found')
  })

  it('is done whatever became of the card', () => {
    expect(saying(reversed({ original: {}, card: { state: 'CLOSED', expiry: '2401' } }))).toBe('approved')
  })
})
