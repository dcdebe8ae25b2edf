/** Where a message's MAC is, in each dialect. */
import { describe, expect, it } from 'vitest'
import { decode } from '../../src/iso8583/decode.ts'
import { encode, type FieldValues } from '../../src/iso8583/encode.ts'
import { messageSpec, SPEC_NAMES, type SpecName } from '../../src/iso8583/messageSpec.ts'
import { coveredBy, macOf, makeRoomForMac, writeMac } from '../../src/security/messageMac.ts'

const MAC = Buffer.from('0123456789ABCDEF0011', 'hex')

function fieldsOf(values: Readonly<Record<number, string>>): FieldValues {
  const fields: FieldValues = []
  for (const [de, text] of Object.entries(values)) fields[Number(de)] = text
  return fields
}

const primary = { 3: '000000', 11: '000124', 41: 'POS00001' }
const secondary = { ...primary, 90: '0200000123112209300000000818001'.padEnd(42, '0') }

function authenticated(name: SpecName, values: Readonly<Record<number, string>>): { frame: Buffer; de: number } {
  const spec = messageSpec(name)
  const fields = fieldsOf(values)
  makeRoomForMac(fields)
  const encoded = encode(spec, '0200', fields)
  if (!encoded.ok) throw new Error(encoded.error.path)
  writeMac(spec, encoded.bytes, MAC)
  return { frame: encoded.bytes, de: fields.length - 1 }
}

describe.each(SPEC_NAMES.map((name) => [name]))('in dialect %s', (name) => {
  it.each([
    ['DE 64', primary, 64],
    ['DE 128 where there is a field above 64', secondary, 128],
  ] as const)('it is %s, the first 8 bytes, and covers all before itself', (_, values, de) => {
    const { frame, de: used } = authenticated(name, values)
    expect(used).toBe(de)
    const decoded = decode(messageSpec(name), frame)
    if (!decoded.ok) throw new Error(decoded.error.path)
    expect(decoded.message.text(de)).toBe('0123456789ABCDEF')
    const found = macOf(decoded.message, frame)
    expect(found?.given.toString('hex')).toBe('0123456789abcdef')
    expect(found?.data).toEqual(coveredBy(messageSpec(name), frame))
    expect(frame.length - (found?.data.length ?? 0)).toBe(name === 'bcd' ? 8 : 16)
  })

  it('there is none where the last field is another, or DE 64 is not the last', () => {
    for (const values of [primary, { ...secondary, 64: '0123456789ABCDEF' }]) {
      const encoded = encode(messageSpec(name), '0200', fieldsOf(values))
      if (!encoded.ok) throw new Error(encoded.error.path)
      const decoded = decode(messageSpec(name), encoded.bytes)
      if (!decoded.ok) throw new Error(decoded.error.path)
      expect(macOf(decoded.message, encoded.bytes)).toBeUndefined()
    }
  })
})
