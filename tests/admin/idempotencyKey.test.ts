import { describe, expect, it } from 'vitest'
import { parseIdempotencyKey } from '../../src/admin/idempotencyKey.ts'

describe('an idempotency key', () => {
  it('may be a UUIDv7, whose first 48 bits are its time', () => {
    // RFC 9562 appendix A.6: 2022-02-22T19:22:22Z.
    const expected = { text: '017f22e2-79b0-7cc3-98c4-dc0c0c07398f', date: '2022-02-22' }
    expect(parseIdempotencyKey('017F22E2-79B0-7CC3-98C4-DC0C0C07398F')).toEqual(expected)
    expect(parseIdempotencyKey('017f22e2-79b0-7cc3-98c4-dc0c0c07398f')).toEqual(expected)
  })

  it('may be a date and a text', () => {
    expect(parseIdempotencyKey('20261122-order_1.A-7')).toEqual({ text: '20261122-order_1.A-7', date: '2026-11-22' })
    expect(parseIdempotencyKey(`20280229-${'x'.repeat(48)}`)?.date).toBe('2028-02-29')
  })

  it('may stand in quotes, as the draft writes it', () => {
    expect(parseIdempotencyKey('"20261122-a"')).toEqual(parseIdempotencyKey('20261122-a'))
  })

  it.each([
    ['nothing', ''],
    ['a UUIDv4, which has no date', '9b2fc6a4-9f0e-4c1b-8f3a-2d1e0c9b8a7f'],
    ['a UUIDv7 beyond the year 9999', 'ffffffff-ffff-7fff-bfff-ffffffffffff'],
    ['a UUIDv7 of another variant', '017f22e2-79b0-7cc3-18c4-dc0c0c07398f'],
    ['a date that does not exist', '20260231-a'],
    ['a month that does not exist', '20261301-a'],
    ['the year 0', '00000101-a'],
    ['a date alone', '20261122-'],
    ['too long a text', `20261122-${'x'.repeat(49)}`],
    ['a separator of the ledger', '20261122-a|b'],
    ['a blank', '20261122-a b'],
    ['one quote', '"20261122-a'],
    ['a line break at the end', '20261122-a\n'],
  ])('is not %s', (_what, header) => {
    expect(parseIdempotencyKey(header)).toBeUndefined()
  })
})
