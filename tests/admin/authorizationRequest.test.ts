import { describe, expect, it } from 'vitest'
import { transactionOf, type AuthorizationRequest } from '../../src/admin/authorizationRequest.ts'
import { parseIdempotencyKey } from '../../src/admin/idempotencyKey.ts'
import type { Transaction } from '../../src/transaction/transaction.ts'

const CONTEXT = { lookupKey: Buffer.alloc(32, 7), profiles: [], pin: undefined }
const key = parseIdempotencyKey('20261122-a')!
const place = { card: { number: '9818010000000010', expiry: '2912' }, terminalId: 'POS00001' }
const purchase: AuthorizationRequest = { kind: 'purchase', ...place, amount: '12.50' }

function build(request: AuthorizationRequest, idempotencyKey = key): Transaction {
  const built = transactionOf(request, idempotencyKey, CONTEXT)
  if (!built.ok) throw new Error(built.fault.path)
  return built.transaction
}

describe('a purchase', () => {
  it('becomes the transaction that a message would become', () => {
    expect(build({ ...purchase, acceptorId: '000000000000001', partialAccepted: true })).toMatchObject({
      kind: 'purchase',
      mti: 200,
      key: 'http|POS00001|20261122-a|2',
      keyDate: '2026-11-22',
      expiry: '2912',
      terminalId: 'POS00001',
      acceptorId: '000000000000001',
      amount: 1250,
      currency: '818',
      partialAccepted: true,
      hasPin: false,
    })
  })

  it('has a retrieval reference number that follows from its key and fits DE 37', () => {
    const { rrn } = build(purchase)
    expect(rrn).toMatch(/^6326[0-9A-Z]{8}$/)
    expect(build({ ...purchase, amount: '1.00' }).rrn).toBe(rrn)
    expect(build(purchase, parseIdempotencyKey('20261122-b')).rrn).not.toBe(rrn)
    expect(build({ ...purchase, terminalId: 'POS00002' }).rrn).not.toBe(rrn)
  })

  it.each<[string, Partial<AuthorizationRequest>]>([
    ['card', { card: { number: '9818010000000028' } }],
    ['amount', { amount: '12.51' }],
    ['currency', { currency: '840' }],
    ['merchant', { acceptorId: '000000000000001' }],
  ])('has another body with another %s', (_what, change) => {
    expect(build({ ...purchase, ...change } as AuthorizationRequest).body).not.toBe(build(purchase).body)
  })

  it('has the same body however its amount is written', () => {
    expect(build({ ...purchase, amount: '12.5' }).body).toBe(build(purchase).body)
  })
})

it.each([
  ['purchase', 200, '2'],
  ['authorization', 100, '1'],
  ['withdrawal', 200, '2'],
  ['deposit', 200, '2'],
  ['credit', 200, '2'],
  ['payment', 200, '2'],
] as const)('a %s has MTI %i and keys of class %s', (kind, mti, messageClass) => {
  expect(build({ kind, ...place, amount: '10' })).toMatchObject({ kind, mti, key: `http|POS00001|20261122-a|${messageClass}` })
})

it('kinds of one class under one key differ in their body', () => {
  const kinds = ['purchase', 'withdrawal', 'deposit', 'credit', 'payment'] as const
  expect(new Set(kinds.map((kind) => build({ kind, ...place, amount: '10' }).body)).size).toBe(kinds.length)
})

it('a balance inquiry has no amount', () => {
  expect(build({ kind: 'balance', ...place })).toMatchObject({ kind: 'balance', mti: 100, amount: 0 })
})

describe('a follow-up', () => {
  it('names its original by its key, in the class of the original', () => {
    const original = { idempotencyKey: '20261121-first' }
    expect(build({ kind: 'completion', ...place, amount: '10', original })).toMatchObject({
      mti: 220,
      original: { by: 'key', key: 'http|POS00001|20261121-first|1', keyDate: '2026-11-21' },
    })
    expect(build({ kind: 'refund', ...place, amount: '10', original })).toMatchObject({
      mti: 200,
      original: { by: 'key', key: 'http|POS00001|20261121-first|2', keyDate: '2026-11-21' },
    })
  })

  it('names its original by the numbers of the answer', () => {
    const original = { rrn: '6326ABCDEFGH', approvalCode: 'A1B2C3' }
    expect(build({ kind: 'refund', ...place, amount: '10', original })).toMatchObject({
      original: { by: 'reference', ...original },
    })
  })

  it.each([
    ['neither', {}],
    ['half of the numbers', { rrn: '6326ABCDEFGH' }],
    ['both', { idempotencyKey: '20261121-first', rrn: '6326ABCDEFGH', approvalCode: 'A1B2C3' }],
    ['a key that is none', { idempotencyKey: 'first' }],
  ])('with %s is refused', (_what, original) => {
    const built = transactionOf({ kind: 'refund', ...place, amount: '10', original }, key, CONTEXT)
    expect(built).toMatchObject({ ok: false, fault: { path: expect.stringMatching(/^\/original/) as string } })
  })
})

describe('a reversal', () => {
  it.each([
    ['authorization', '1'],
    ['purchase', '2'],
    ['completion', '2'],
    ['refund', '2'],
  ] as const)('of a %s finds it in class %s', (kind, messageClass) => {
    const original = { kind, idempotencyKey: '20261121-first' }
    expect(build({ kind: 'reversal', ...place, original, finalAmount: '2.50' })).toMatchObject({
      mti: 400,
      key: 'http|POS00001|20261122-a|4',
      original: { by: 'key', key: `http|POS00001|20261121-first|${messageClass}`, keyDate: '2026-11-21' },
      finalAmount: 250,
    })
  })

  it('has another body with another final amount', () => {
    const reversal: AuthorizationRequest = {
      kind: 'reversal',
      ...place,
      original: { kind: 'purchase', idempotencyKey: '20261121-first' },
    }
    expect(build({ ...reversal, finalAmount: '0.00' }).body).not.toBe(build(reversal).body)
  })
})
