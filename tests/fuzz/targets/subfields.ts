/** The text of DE 48, 54, 90 and 95. Each is read from the characters that a message could carry, and has one way of writing. */
import { formatAdditionalAmounts, parseAdditionalAmounts } from '../../../src/iso8583/additionalAmounts.ts'
import type { Parsed } from '../../../src/iso8583/fault.ts'
import { formatOriginalData, parseOriginalData } from '../../../src/iso8583/originalData.ts'
import { formatPrivateData, parsePrivateData } from '../../../src/iso8583/privateData.ts'
import { formatReplacementAmounts, parseReplacementAmounts } from '../../../src/iso8583/replacementAmounts.ts'
import { check, checkNoCardNumber, same, type Target } from '../target.ts'

export const privateData = subfield({
  parse: parsePrivateData,
  format: formatPrivateData,
  seeds: [
    'PC0011',
    'LV00210DY0012',
    'BK023OIL*1*3000;TEA*1*50000;',
    'BR001MBM002FPSC003MED',
    'X1016981801000000001',
    'LV0011LV0011',
  ],
  dictionary: ['LV', 'DY', 'BK', 'BR', 'BM', 'SC', 'PC', 'TR', 'CV', 'RM', '001', '*1*1;'],
})

export const additionalAmounts = subfield({
  parse: parseAdditionalAmounts,
  format: formatAdditionalAmounts,
  seeds: ['0001818C000000001250', '0002818D0000000012500001818C999999999999', '9720818C00000000000'],
  dictionary: ['C000000000001', 'D000000000001', '818'],
})

export const originalData = subfield({
  parse: parseOriginalData,
  format: formatOriginalData,
  seeds: ['020000012311220929590000081800100000000000', '02000001231122092959000008180010000000000'],
  dictionary: ['0200', '00000000000'],
})

export const replacementAmounts = subfield({
  parse: parseReplacementAmounts,
  format: formatReplacementAmounts,
  // Nine zeros instead of a sign and eight are read, and written as C and eight.
  normal: (text) =>
    text.slice(0, 24) +
    text
      .slice(24)
      .replace(/^0/, 'C')
      .replace(/^(.{9})0/, '$1C'),
  seeds: ['000000001000000000000000D00000000C00000000', '000000001000000000000000000000000000000000', '00000000100000000000000'],
  dictionary: ['C00000000', 'D00000000', '000000000'],
})

interface Subfield<T> {
  readonly parse: (text: string) => Parsed<T>
  readonly format: (value: T) => string
  readonly normal?: (text: string) => string
  readonly seeds: readonly string[]
  readonly dictionary: readonly string[]
}

function subfield<T>({ parse, format, normal = (text) => text, seeds, dictionary }: Subfield<T>): Target {
  return {
    seeds: seeds.map((seed) => Buffer.from(seed, 'latin1')),
    dictionary,
    bytesMax: 999,
    run(input) {
      const text = input.toString('latin1')
      const parsed = parse(text)
      if (!parsed.ok) {
        const { path, offset, expected, found } = parsed.error
        check(Number.isInteger(offset) && offset >= 0 && offset <= text.length, 'an offset is inside', offset)
        checkNoCardNumber(`${path} ${expected} ${found}`, 'a fault')
        return 'rejected'
      }
      const written = format(parsed.value)
      same(written, normal(text), 'what is read is written back as it was')
      same(parse(written), parsed, 'what is written is read as it was')
      return 'accepted'
    },
  }
}
