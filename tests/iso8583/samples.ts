/** Messages and generators that several tests of the codec share. */
import fc from 'fast-check'
import { expect } from 'vitest'
import { formatAdditionalAmounts } from '../../src/iso8583/additionalAmounts.ts'
import { formatTlv } from '../../src/iso8583/berTlv.ts'
import { encode, type FieldValues } from '../../src/iso8583/encode.ts'
import { messageSpec, type FieldSpec, type MessageSpec, type SpecName } from '../../src/iso8583/messageSpec.ts'
import { formatOriginalData } from '../../src/iso8583/originalData.ts'
import { formatPrivateData } from '../../src/iso8583/privateData.ts'
import { formatReplacementAmounts } from '../../src/iso8583/replacementAmounts.ts'

export const SPECS: readonly SpecName[] = ['ascii', 'bcd', 'hex']
export const PAN = '9999990000000014'

export function fieldValues(values: Readonly<Record<number, string | Uint8Array>>): FieldValues {
  const fields: FieldValues = []
  for (const [de, value] of Object.entries(values)) fields[Number(de)] = value
  return fields
}

/** A chip purchase with fields of every kind. */
export const PURCHASE = {
  2: PAN,
  3: '000000',
  4: '000000001250',
  7: '1122150322',
  11: '000001',
  14: '2812',
  22: '051',
  32: '123456',
  35: `${PAN}=28122010000000000`,
  37: '123456789012',
  41: 'TERM0001',
  42: 'MERCHANT0000001',
  48: 'PC0011',
  49: '818',
  52: '0123456789ABCDEF',
  55: '5A0899999900000000149F26081122334455667788',
} as const

export function encoded(
  spec: SpecName | MessageSpec,
  mti: string,
  values: Readonly<Record<number, string | Uint8Array>>,
): Buffer {
  const result = encode(typeof spec === 'string' ? messageSpec(spec) : spec, mti, fieldValues(values))
  if (!result.ok) expect.fail(JSON.stringify(result.error))
  return result.bytes
}

/** Any value that a field may hold, in the form that decode gives back. */
export function arbitraryText(field: FieldSpec): fc.Arbitrary<string> {
  const structured = STRUCTURED[field.de]
  if (structured !== undefined) return structured
  const size = { minLength: field.lengthDigits === 0 ? field.max : 1, maxLength: Math.min(field.max, LONGEST) }
  if (field.type === 'b') return fc.uint8Array(size).map((bytes) => Buffer.from(bytes).toString('hex').toUpperCase())
  if (field.type === 'x+n') {
    const digits = fc.string({ unit: fc.constantFrom(...Array.from(DIGITS)), minLength: field.max - 1, maxLength: field.max - 1 })
    return fc.tuple(fc.constantFrom('C', 'D'), digits).map(([sign, amount]) => sign + amount)
  }
  return fc.string({ unit: fc.constantFrom(...Array.from(CHARACTERS[field.type])), ...size })
}

/** Some fields of a spec with values. */
export function arbitraryMessage(spec: MessageSpec): fc.Arbitrary<{ mti: string; values: Record<number, string> }> {
  const fields = spec.fields.filter((field) => field !== undefined).filter(({ de }) => de !== 1 && de !== 65)
  const entries = fc.subarray(fields, { maxLength: 24 }).chain((chosen) => {
    const texts = chosen.map((field) => arbitraryText(field).map((text) => [field.de, text] as const))
    return fc.tuple(...texts).map((pairs) => Object.fromEntries(pairs) as Record<number, string>)
  })
  const mti = fc.string({ unit: fc.constantFrom(...Array.from(DIGITS)), minLength: 4, maxLength: 4 })
  return fc.record({ mti, values: entries })
}

const LONGEST = 60
const DIGITS = '0123456789'
const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const SPECIALS = ' !"#$%&\'()*+,-./:;<=>?@[\\]^_`{|}~'
const CHARACTERS = { n: DIGITS, an: DIGITS + LETTERS, ans: DIGITS + LETTERS + SPECIALS, ns: DIGITS + SPECIALS, z: DIGITS + '=' }

const digits = (length: number) =>
  fc.string({ unit: fc.constantFrom(...Array.from(DIGITS)), minLength: length, maxLength: length })
const sign = fc.constantFrom<'C' | 'D'>('C', 'D')
const amount = (max: number) => fc.nat({ max })
const fee = fc.record({ sign, amount: amount(99_999_999) })

const STRUCTURED: Readonly<Record<number, fc.Arbitrary<string>>> = {
  48: fc
    .array(
      fc.record({
        tag: fc.constantFrom('X1', 'X2', 'zz'),
        value: fc.string({ unit: fc.constantFrom(...Array.from(CHARACTERS.ans)), maxLength: 20 }),
      }),
      {
        minLength: 1,
        maxLength: 4,
      },
    )
    .map(formatPrivateData),
  54: fc
    .array(fc.record({ accountType: digits(2), amountType: digits(2), currency: digits(3), sign, amount: amount(2 ** 31 - 1) }), {
      minLength: 1,
      maxLength: 6,
    })
    .map(formatAdditionalAmounts),
  55: fc
    .array(fc.record({ tag: fc.constantFrom('50', 'DF01', '9F5B'), value: fc.uint8Array({ maxLength: 40 }) }), {
      minLength: 1,
      maxLength: 4,
    })
    .map((objects) => formatTlv(objects).toString('hex').toUpperCase()),
  90: fc
    .record({ mti: digits(4), stan: digits(6), transmissionTime: digits(10), acquirerId: digits(11), forwarderId: digits(11) })
    .map(formatOriginalData),
  95: fc
    .record({
      transactionAmount: amount(2 ** 31 - 1),
      settlementAmount: amount(2 ** 31 - 1),
      transactionFee: fee,
      settlementFee: fee,
    })
    .map(formatReplacementAmounts),
}
