import { inspect } from 'node:util'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { formatTlv, parseTlv, type TlvInput } from '../../src/iso8583/berTlv.ts'
import { readChipData, writeChipAnswer, type ChipField } from '../../src/security/chipData.ts'

/** Tag and value as a terminal might send them, in no order of ours. */
const REQUEST: readonly (readonly [tag: string, value: string])[] = [
  ['9F26', '7A788EA6B8A3E733'],
  ['9F27', '80'],
  ['9F10', '06011203A0B800'],
  ['9F37', '52BF4585'],
  ['9F36', '001C'],
  ['95', '8000048000'],
  ['9A', '191105'],
  ['9C', '01'],
  ['9F02', '000000004000'],
  ['5F2A', '0818'],
  ['82', '1800'],
  ['9F1A', '0818'],
  ['9F03', '000000000250'],
  ['9F34', '420300'],
  ['84', 'A0000000031010'],
  ['5F34', '07'],
  ['57', '9818000000000000D30122010000012399'],
]
const OPTIONAL = ['9F34', '84', '5F34', '57']
const TRANSACTION_DATA =
  '000000004000' + '000000000250' + '0818' + '8000048000' + '0818' + '191105' + '01' + '52BF4585' + '1800' + '001C'

function bytesOf(tags: readonly (readonly [string, string])[]): Buffer {
  return formatTlv(tags.map(([tag, value]) => ({ tag, value: Buffer.from(value, 'hex') })))
}

function withValue(tag: string, value: string): Buffer {
  return bytesOf(REQUEST.map(([name, before]) => [name, name === tag ? value : before]))
}

function without(...tags: string[]): Buffer {
  return bytesOf(REQUEST.filter(([tag]) => !tags.includes(tag)))
}

function read(bytes: Buffer): ChipField {
  const result = readChipData(bytes)
  if (!result.ok) expect.fail(JSON.stringify(result.error))
  return result.value
}

function refusal(bytes: Buffer) {
  const result = readChipData(bytes)
  if (result.ok) expect.fail('accepted')
  return result.error
}

function hex(bytes: Buffer | undefined): string | undefined {
  return bytes?.toString('hex').toUpperCase()
}

describe('DE 55 of a request', () => {
  test('has what the cryptogram is made of, in the order of the cryptogram', () => {
    const { chip } = read(bytesOf(REQUEST))
    expect(hex(chip.transactionData)).toBe(TRANSACTION_DATA)
    expect(hex(chip.cryptogram)).toBe('7A788EA6B8A3E733')
    expect(chip.cryptogramInformation).toBe(0x80)
    expect(hex(chip.issuerApplicationData)).toBe('06011203A0B800')
    expect(hex(chip.atc)).toBe('001C')
    expect(hex(chip.unpredictableNumber)).toBe('52BF4585')
  })

  test('has what other data elements are compared with', () => {
    const field = read(bytesOf(REQUEST))
    expect(field).toMatchObject({
      amount: 4000,
      currency: '818',
      psn: '07',
    })
    expect(field.card?.reveal()).toEqual({ pan: '9818000000000000', track2: '9818000000000000D30122010000012399' })
  })

  test('the order of its tags does not matter', () => {
    fc.assert(
      fc.property(fc.shuffledSubarray([...REQUEST], { minLength: REQUEST.length }), (tags) => {
        expect(hex(read(bytesOf(tags)).chip.transactionData)).toBe(TRANSACTION_DATA)
      }),
    )
  })

  test('tags may be in a template, and others may be there', () => {
    const all: TlvInput[] = REQUEST.map(([tag, value]) => ({ tag, value: Buffer.from(value, 'hex') }))
    const nested = formatTlv([{ tag: '77', children: all.slice(0, 5) }, { tag: '9F33', value: Buffer.alloc(3) }, ...all.slice(5)])
    expect(hex(read(nested).chip.transactionData)).toBe(TRANSACTION_DATA)
  })

  test('the PAN comes from 5A where there is no 57', () => {
    const tags = REQUEST.filter(([tag]) => tag !== '57')
    expect(read(bytesOf([...tags, ['5A', '9818000000000000']])).card?.reveal()).toEqual({
      pan: '9818000000000000',
      track2: undefined,
    })
    expect(read(bytesOf([...tags, ['5A', '9818000000000000000F']])).card?.reveal().pan).toBe('9818000000000000000')
    expect(read(bytesOf([...REQUEST, ['5A', '9818000000000001']])).card?.reveal().pan).toBe('9818000000000000')
  })

  test('a track of an odd number of digits is filled up', () => {
    expect(read(withValue('57', '9818000000000000D3012201123F')).card?.reveal().track2).toBe('9818000000000000D3012201123')
  })

  test.each(REQUEST.filter(([tag]) => !OPTIONAL.includes(tag)).map(([tag]) => tag))('without %s it is refused', (tag) => {
    expect(refusal(without(tag))).toMatchObject({ code: 'bad-structure', path: tag, found: 'none' })
  })

  test('without the optional tags it is not, and nothing of the message before is left', () => {
    read(bytesOf(REQUEST))
    const field = read(without(...OPTIONAL))
    expect([field.card, field.psn]).toEqual([undefined, undefined])
  })

  test.each(REQUEST.map(([tag]) => tag))('%s with a length that it does not have is refused', (tag) => {
    expect(refusal(withValue(tag, ''))).toMatchObject({ code: 'bad-length', path: tag })
    expect(refusal(withValue(tag, '00'.repeat(33)))).toMatchObject({ code: 'bad-length', path: tag })
  })

  test.each([
    ['9F02', '00000000400A'],
    ['9F03', 'A00000000000'],
    ['9A', '19110F'],
    ['9C', '0A'],
    ['5F2A', '1818'],
    ['5F2A', '081A'],
    ['9F1A', '9818'],
    ['5F34', '0F'],
    ['57', '9818000000000000'],
    ['57', '98180000000D3012201'],
    ['57', '9818000000000000D301220'],
    ['57', '9818000000000000A3012201123F'],
  ])('%s of %s is no value', (tag, value) => {
    expect(refusal(withValue(tag, value.length % 2 === 0 ? value : value + 'F'))).toMatchObject({ code: 'bad-value', path: tag })
  })

  test('a tag that comes twice is refused', () => {
    for (const again of REQUEST) expect(refusal(bytesOf([...REQUEST, again])).code).toBe('duplicate-tag')
  })

  test('cut off at any byte it is refused', () => {
    const whole = bytesOf(REQUEST)
    const required = without(...OPTIONAL).length
    for (let length = 0; length < whole.length; length++) {
      const result = readChipData(whole.subarray(0, length))
      // Between two objects behind the required ones the rest may be missing: it is optional.
      const betweenObjects = length >= required && parseTlv(whole.subarray(0, length)).ok
      expect(result.ok, `at ${String(length)}`).toBe(betweenObjects)
    }
  })

  test('whatever bytes come, there is a result or a fault, and never card data in a fault', () => {
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 0, max: 255 }), (at, byte) => {
        const bytes = bytesOf(REQUEST)
        bytes[at % bytes.length] = byte
        const result = readChipData(bytes)
        if (!result.ok) expect(JSON.stringify(result.error)).not.toContain('98180000')
      }),
      { numRuns: 2000 },
    )
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => !readChipData(Buffer.from(bytes)).ok))
  })

  test('the card data print as nothing', () => {
    const field = read(bytesOf(REQUEST))
    for (const text of [JSON.stringify(field.card), inspect(field, { depth: 9 }), String(field.card)]) {
      expect(text).toContain('ChipCard')
      expect(text).not.toContain('9818')
    }
  })
})

describe('DE 55 of an answer', () => {
  test('tells the card what there is to tell', () => {
    const answer = writeChipAnswer({
      issuerAuthenticationData: Buffer.from('28993816AFAE4AEB3030', 'hex'),
      responseCode: '00',
      scripts: [
        {
          when: 'after',
          identifier: Buffer.from('00000001', 'hex'),
          commands: [Buffer.from('8424000008DB56BA60087CEFD3', 'hex')],
        },
        { when: 'before', identifier: Buffer.from('00000002', 'hex'), commands: [] },
      ],
    })
    expect(hex(answer)).toBe(
      '910A28993816AFAE4AEB3030' +
        '8A023030' +
        '7216' +
        '9F180400000001' +
        '860D8424000008DB56BA60087CEFD3' +
        '7107' +
        '9F180400000002',
    )
  })

  test('is empty where there is nothing', () => {
    expect(writeChipAnswer({})).toHaveLength(0)
  })
})
