/** DE 55 (src/iso8583/berTlv.ts). BER-TLV in its strict form has one way of writing: what is read is written back byte by byte. */
import { findTlv, formatTlv, parseTlv, tlvFault, type Tlv, type TlvInput } from '../../../src/iso8583/berTlv.ts'
import { check, checkNoCardNumber, same, type Target } from '../target.ts'

export const berTlv: Target = {
  seeds: [
    '5A0899999900000000149F26081122334455667788',
    '77129F2701809F360200019F260811223344556677889F1000',
    '710A8609841E00000422334455',
    '',
    '9F02',
    // Lengths in the shortest form that they have, and in one byte more.
    `507F${'20'.repeat(127)}`,
    `50817F${'20'.repeat(127)}`,
    `508180${'20'.repeat(128)}`,
    `508200FF${'20'.repeat(255)}`,
    `50820100${'20'.repeat(256)}`,
  ].map((hex) => Buffer.from(hex, 'hex')),
  dictionary: [[0x5a], [0x57], [0x9f, 0x26], [0x9f, 0x10], [0x71], [0x77], [0xbf, 0x0c], [0x81, 0x80], [0x82, 0x01, 0x00]].map(
    (bytes) => Uint8Array.from(bytes),
  ),
  bytesMax: 400,
  run(input) {
    const parsed = parseTlv(input)
    const fault = tlvFault(input)
    check(parsed.ok === (fault === undefined), 'tlvFault says what parseTlv says')
    if (!parsed.ok) {
      const { error } = parsed
      same(error, fault, 'both give the same fault')
      check(Number.isInteger(error.offset) && error.offset >= 0 && error.offset <= input.length, 'an offset is inside', error)
      checkNoCardNumber(`${error.path} ${error.expected} ${error.found}`.replaceAll(/[0-9A-F]{2,8}\b/g, ' '), 'a fault')
      return 'rejected'
    }
    check(formatTlv(parsed.value.map(asInput)).equals(input), 'what is read is written back as it was')
    const all = parsed.value.flatMap(withChildren)
    for (const object of all) {
      check(findTlv(parsed.value, object.tag)?.tag === object.tag, 'every object is found by its tag', object.tag)
      check(
        input.subarray(object.offset).toString('hex').toUpperCase().startsWith(object.tag),
        'an offset is that of the tag',
        object.offset,
      )
    }
    return 'accepted'
  },
}

function asInput({ tag, value, children }: Tlv): TlvInput {
  return children === undefined ? { tag, value } : { tag, children: children.map(asInput) }
}

function withChildren(object: Tlv): Tlv[] {
  return [object, ...(object.children ?? []).flatMap(withChildren)]
}
