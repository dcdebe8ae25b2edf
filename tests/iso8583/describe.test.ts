import fc from 'fast-check'
import { describe as group, expect, test } from 'vitest'
import { describe, inspect } from '../../src/iso8583/describe.ts'
import { messageSpec } from '../../src/iso8583/messageSpec.ts'
import { encoded, PAN, PURCHASE, SPECS } from './samples.ts'

const CHIP = `5A08${PAN}` + `570D${PAN}D28122010F` + '5F2403281231' + '7107' + '9F180412345678'

group.each(SPECS)('the description of a %s message', (name) => {
  const spec = messageSpec(name)
  const bytes = encoded(name, '0200', { ...PURCHASE, 55: CHIP, 54: '0002818C000000100000', 90: `0200000042${'0'.repeat(32)}` })

  test('shows every field with name, offset and meaning, and what is inside', () => {
    const text = describe(spec, bytes, { mask: true })
    expect(text).toContain('financial request, acquirer, ISO 8583:1987')
    expect(text).toContain('Systems trace audit number (STAN)')
    expect(text).toContain('000000001250  (12.50 EGP)')
    expect(text).toContain('11110010  secondary bitmap, 2, 3, 4, 7')
    expect(text).toMatch(/9F18 Issuer script identifier +12345678/)
    expect(text).toMatch(/PC partial approval accepted +1/)
    expect(text).toMatch(/available balance, default account +C 100000 818 {2}\(1000\.00 EGP\)/)
    expect(text).toMatch(/original's STAN +000042/)
    expect(text.trimEnd().endsWith('valid')).toBe(true)
  })

  test('has offsets that follow each other without a gap', () => {
    const { bitmap, fields } = inspect(spec, bytes, { mask: true })
    const last = bitmap.at(-1)
    let next = (last?.offset ?? 0) + (spec.bitmap === 'hex' ? 2 : 1)
    for (const field of fields) {
      expect(field.offset).toBe(next)
      next += field.length
    }
    expect(next).toBe(bytes.length)
  })

  test('holds card data back, unless asked not to', () => {
    const hidden = describe(spec, bytes, { mask: true })
    for (const secret of [PAN, PAN.slice(6), '2812', PURCHASE[52], '281231']) expect(hidden).not.toContain(secret)
    const shown = describe(spec, bytes, { mask: false })
    for (const secret of [PAN, PURCHASE[35], PURCHASE[52]]) expect(shown).toContain(secret)
  })

  test('of a broken one tells how far it got and why it stopped', () => {
    const whole = inspect(spec, bytes, { mask: true })
    const cut = whole.fields.find(({ de }) => de === 42)
    const text = describe(spec, bytes.subarray(0, (cut?.offset ?? 0) + 4), { mask: true })
    expect(text).toContain('TERM0001')
    expect(text).not.toContain('MERCHANT')
    expect(text).toContain(`broken at byte ${String(cut?.offset)}, DE 42: truncated; expected 15 bytes, found 4 bytes`)
  })

  test('never fails and never shows a card number, whatever was broken', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat({ max: bytes.length * 8 - 1 }), { maxLength: 3 }),
        fc.nat({ max: bytes.length }),
        (flips, length) => {
          const broken = Buffer.from(bytes)
          for (const bit of flips) broken[bit >> 3] = (broken[bit >> 3] ?? 0) ^ (1 << (bit & 7))
          expect(describe(spec, broken.subarray(0, length), { mask: true })).not.toContain(PAN)
        },
      ),
      { numRuns: 300 },
    )
  })
})

test('bytes without even an MTI are described as such', () => {
  expect(inspect(messageSpec('ascii'), Buffer.from('x'), { mask: true })).toMatchObject({
    ok: false,
    bitmap: [],
    fields: [],
    error: { path: 'MTI', code: 'truncated' },
  })
})
