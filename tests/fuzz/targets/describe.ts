/** What people are shown of a message (src/iso8583/describe.ts). The first byte says in which dialect it is read. */
import { describe as describeMessage, inspect } from '../../../src/iso8583/describe.ts'
import { messageSpec, SPEC_NAMES } from '../../../src/iso8583/messageSpec.ts'
import { check, type Target } from '../target.ts'
import { MESSAGE_TOKENS, messageSeeds } from './messageSeeds.ts'

/** Of a card number six and four (PCI DSS 4.0 req. 3.4.1). */
const CARD_DIGITS_SHOWN_MAX = 10
const CARD_FIELDS = new Set([2, 14, 34, 35, 36, 45, 52])
const FREE_TEXT = new Set(['an', 'ans', 'ns'])

export const describe: Target = {
  seeds: SPEC_NAMES.flatMap((name, index) => messageSeeds(name).map((seed) => Buffer.concat([Buffer.of(index), seed]))),
  dictionary: [...MESSAGE_TOKENS, '9818010000000010'],
  bytesMax: 500,
  run(input) {
    const spec = messageSpec(SPEC_NAMES[(input[0] ?? 0) % SPEC_NAMES.length]!)
    const bytes = input.subarray(1)
    const shown = inspect(spec, bytes, { mask: true })
    const text = describeMessage(spec, bytes, { mask: true })
    check(text.endsWith('\n'), 'a description is lines')
    describeMessage(spec, bytes, { mask: false })
    for (const row of shown.bitmap) check(row.offset < bytes.length && /^[01]{8}$/.test(row.bits), 'a bitmap row is inside', row)
    for (const field of shown.fields) {
      check(field.offset >= 0 && field.offset + field.length <= bytes.length, 'a field is inside', field.de)
      const { type } = spec.fields[field.de]!
      const values = [field.value, ...field.parts.map((part) => part.value)]
      if (CARD_FIELDS.has(field.de)) {
        check(field.value.replaceAll(/\D/g, '').length <= CARD_DIGITS_SHOWN_MAX, 'a card field is masked', field)
      } else if (FREE_TEXT.has(type) && field.de !== 42 && field.de !== 54 && field.de !== 95) {
        check(!values.some((value) => /\d{13,}/.test(value)), 'a long number in free text is masked', field)
      }
    }
    return shown.ok ? 'accepted' : 'rejected'
  },
}
