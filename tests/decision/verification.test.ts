/** What a decision makes of what was verified: needed here? in which order? */
import { describe, expect, it } from 'vitest'
import { decide } from '../../src/decision/decide.ts'
import { NOTHING_VERIFIED, type Verified } from '../../src/decision/verified.ts'
import type { Credentials } from '../../src/transaction/credentials.ts'
import type { Transaction } from '../../src/transaction/transaction.ts'
import { contextOf, parameters, PIN_REFERENCE, saying, transactionOf, type Situation } from './situation.ts'

const credentials = { profile: { prefix: '9818', chip: { atcAheadMax: 100 } } } as unknown as Credentials

function decided(kind: Transaction['kind'], verified: Partial<Verified>, situation: Situation = {}): string {
  const transaction = { ...transactionOf(kind, { amount: 5000 }), credentials }
  return saying(
    decide(
      transaction,
      contextOf(kind, { ...situation, verified: { ...NOTHING_VERIFIED, reference: PIN_REFERENCE, ...verified } }),
    ),
  )
}

it('a message that shows something is verified before it is decided, once card and place are right', () => {
  const shown = { ...transactionOf('purchase'), credentials }
  expect(decide(shown, { ...contextOf('purchase'), verified: undefined })).toEqual({ kind: 'verify' })
  expect(saying(decide(shown, { ...contextOf('purchase', { card: { state: 'LOST' } }), verified: undefined }))).toBe('card_lost')
  const plain = transactionOf('purchase')
  expect(saying(decide(plain, { ...contextOf('purchase'), verified: undefined }))).toBe('approved')
})

it('reversals, completions and refunds are not verified: they tell of what has happened', () => {
  for (const kind of ['reversal', 'completion', 'refund'] as const) {
    const shown = { ...transactionOf(kind), credentials }
    expect(decide(shown, { ...contextOf(kind), verified: undefined }).kind).not.toBe('verify')
  }
})

describe('the order', () => {
  it.each<[string, Partial<Verified>]>([
    ['fault', { fault: true, chip: 'invalid', pin: 'wrong' }],
    ['velocity_card', { full: 'card' }],
    ['velocity_terminal', { full: 'terminal' }],
    ['velocity_bin', { full: 'bin' }],
    ['pin_tries_exceeded', { full: 'pin' }],
    ['cryptogram', { chip: 'invalid', cardValue: 'invalid', pin: 'wrong' }],
    ['chip_mismatch', { chip: 'mismatch', atc: 0, cardValue: 'invalid', pin: 'wrong' }],
    ['atc', { chip: 'valid', atc: 101, cardValue: 'invalid', pin: 'wrong' }],
    ['card_value', { chip: 'valid', atc: 1, cardValue: 'invalid', pin: 'wrong' }],
    ['pin_wrong', { chip: 'valid', atc: 1, pin: 'wrong' }],
    ['pin_block', { pin: 'broken' }],
    ['approved', { chip: 'valid', atc: 100, cardValue: 'valid', pin: 'valid' }],
  ])('%s', (reason, verified) => {
    expect(decided('purchase', verified)).toBe(reason)
  })

  it('amount and funds come after the PIN', () => {
    const verified = { ...NOTHING_VERIFIED, pin: 'wrong', reference: PIN_REFERENCE } as const
    const transaction = { ...transactionOf('purchase', { amount: 0 }), credentials }
    expect(saying(decide(transaction, contextOf('purchase', { verified })))).toBe('pin_wrong')
  })
})

describe('a PIN is needed', () => {
  it.each<[string, Transaction['kind'], Partial<Verified>]>([
    ['pin_required', 'withdrawal', {}],
    ['pin_block', 'withdrawal', { pin: 'unverifiable' }],
    ['approved', 'withdrawal', { pin: 'valid' }],
    ['approved', 'purchase', {}],
    ['approved', 'purchase', { pin: 'unverifiable' }],
    ['approved', 'deposit', {}],
    ['approved', 'credit', {}],
    ['pin_required', 'pinChange', {}],
  ])('%s: %s', (reason, kind, verified) => {
    expect(decided(kind, verified, kind === 'withdrawal' ? {} : kind === 'pinChange' ? { terminalClass: 'atm' } : {})).toBe(
      reason,
    )
  })

  it('but not for the first PIN change that has no new one', () => {
    expect(decided('pinChange', { pin: 'valid' }, { terminalClass: 'atm' })).toBe('pin_block')
    expect(decided('pinChange', { pin: 'valid', newPin: { reference: '1234' } }, { terminalClass: 'atm' })).toBe('approved')
  })
})

it('a chip is needed where the programme says so', () => {
  const chip = { terminalClasses: ['pos'] }
  const demanding = { parameters: { ...parameters, chip } }
  expect(decided('purchase', {}, demanding)).toBe('chip_required')
  expect(decided('purchase', { chip: 'valid', atc: 1 }, demanding)).toBe('approved')
})
