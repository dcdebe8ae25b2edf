import { describe, expect, test } from 'vitest'
import { encode, type FieldValue } from '../../src/iso8583/encode.ts'
import { messageSpec } from '../../src/iso8583/messageSpec.ts'
import { encoded, fieldValues, PURCHASE, SPECS } from './samples.ts'

function refusal(spec: 'ascii' | 'bcd' | 'hex', values: Record<number, FieldValue>, mti = '0200') {
  const result = encode(messageSpec(spec), mti, fieldValues(values))
  if (result.ok) expect.fail('the message was encoded')
  return result.error
}

describe('the bytes of a message', () => {
  // Written by hand from the tables of jPOS PostPackager, ISO87BPackager and ISO87APackager.
  const values = {
    2: '9999990000000014',
    3: '000000',
    4: '000000001250',
    22: '051',
    28: 'D00000100',
    41: 'TERM0001',
    52: '0123456789ABCDEF',
  }

  test('ascii: characters, binary bitmap, binary PIN block', () => {
    const expected = Buffer.concat([
      Buffer.from('0200'),
      Buffer.from('7000041000801000', 'hex'),
      Buffer.from('16' + '9999990000000014' + '000000' + '000000001250' + '051' + 'D00000100' + 'TERM0001'),
      Buffer.from('0123456789ABCDEF', 'hex'),
    ])
    expect(encoded('ascii', '0200', values)).toEqual(expected)
  })

  test('bcd: two digits a byte, BCD length, sign as a character', () => {
    const expected = Buffer.concat([
      Buffer.from(
        '0200' + '7000041000801000' + '16' + '9999990000000014' + '000000' + '000000001250' + '0051' + '44' + '00000100',
        'hex',
      ),
      Buffer.from('TERM0001'),
      Buffer.from('0123456789ABCDEF', 'hex'),
    ])
    expect(encoded('bcd', '0200', values)).toEqual(expected)
  })

  test('hex: everything is characters', () => {
    const expected =
      '0200' +
      '7000041000801000' +
      '169999990000000014' +
      '000000' +
      '000000001250' +
      '051' +
      'D00000100' +
      'TERM0001' +
      '0123456789ABCDEF'
    expect(encoded('hex', '0200', values).toString('latin1')).toBe(expected)
  })

  test('a field beyond 64 brings the secondary bitmap', () => {
    expect(encoded('hex', '0800', { 70: '301' }).toString('latin1')).toBe('0800' + '80000000000000000400000000000000' + '301')
  })

  test('DE 55 is bytes, or hexadecimal text whose length counts characters', () => {
    expect(encoded('bcd', '0200', { 55: '9F270180' }).subarray(10).toString('hex')).toBe('0004' + '9f270180')
    expect(encoded('ascii', '0200', { 55: '9F270180' }).subarray(12).toString('hex')).toBe('303034' + '9f270180')
    expect(encoded('hex', '0200', { 55: '9F270180' }).subarray(20).toString('latin1')).toBe('008' + '9F270180')
  })

  test('a MAC is 16 characters in the ascii dialect, with a length in DE 128, as PostPackager has it', () => {
    expect(encoded('ascii', '0800', { 64: '0123456789ABCDEF' }).subarray(12).toString('latin1')).toBe('0123456789ABCDEF')
    expect(encoded('ascii', '0800', { 128: '0123456789ABCDEF' }).subarray(20).toString('latin1')).toBe('0160123456789ABCDEF')
  })
})

describe.each(SPECS)('values for the %s spec', (spec) => {
  test('shorter numbers get zeros on the left, shorter texts spaces on the right', () => {
    expect(encoded(spec, '0200', { 4: '1250', 28: 'C5', 41: 'T1' })).toEqual(
      encoded(spec, '0200', { 4: '000000001250', 28: 'C00000005', 41: 'T1      ' }),
    )
  })

  test('binary fields take bytes or hexadecimal text', () => {
    const asText = encoded(spec, '0200', PURCHASE)
    const asBytes = encoded(spec, '0200', {
      ...PURCHASE,
      52: Buffer.from(PURCHASE[52], 'hex'),
      55: Buffer.from(PURCHASE[55], 'hex'),
    })
    expect(asBytes).toEqual(asText)
  })

  test('the result is not overwritten by the next message', () => {
    const first = encoded(spec, '0200', PURCHASE)
    const copy = Buffer.from(first)
    encoded(spec, '0800', { 11: '999999' })
    expect(first).toEqual(copy)
  })

  test.each<[string, Record<number, FieldValue>, string, string]>([
    ['a number that is too long', { 4: '1234567890123' }, 'DE 4', 'bad-length'],
    ['a letter in a number', { 4: '12X' }, 'DE 4', 'bad-character'],
    ['a character beyond ASCII', { 43: 'Caf\u00e9' }, 'DE 43', 'bad-character'],
    ['a character beyond a byte', { 43: '\u0645' }, 'DE 43', 'bad-character'],
    ['an empty value', { 41: '' }, 'DE 41', 'bad-length'],
    ['a PIN block of seven bytes', { 52: Buffer.alloc(7) }, 'DE 52', 'bad-length'],
    ['hexadecimal text of an odd length', { 55: '9F2' }, 'DE 55', 'bad-length'],
    ['text that is not hexadecimal', { 52: '0123456789ABCDEG' }, 'DE 52', 'bad-character'],
    ['a fee without its sign', { 28: '000000005' }, 'DE 28', 'bad-character'],
    ['private data that is cut off', { 48: 'LV003' }, 'DE 48.LV', 'truncated'],
    ['chip data with an indefinite length', { 55: '7080' }, 'DE 55.70', 'indefinite-length'],
    ['balances that are no multiple of 20', { 54: '0001' }, 'DE 54', 'bad-length'],
    ['a bitmap as a field', { 1: '00' }, 'DE 1', 'not-a-field'],
    ['a third bitmap', { 65: '00' }, 'DE 65', 'not-a-field'],
    ['a field beyond 128', { 129: '00' }, 'DE 129', 'not-a-field'],
  ])('refuses %s', (_, values, path, code) => {
    expect(refusal(spec, values)).toMatchObject({ path, code })
  })

  test('refuses an MTI that is not four digits', () => {
    expect(refusal(spec, {}, '02x0')).toMatchObject({ path: 'MTI', code: 'bad-mti' })
  })
})
