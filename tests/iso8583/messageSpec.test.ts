import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { messageSpec, parseMessageSpec } from '../../src/iso8583/messageSpec.ts'
import { SPECS } from './samples.ts'

interface SpecFile {
  fields: Record<string, Record<string, unknown>>
  [key: string]: unknown
}

function specFile(name: string): SpecFile {
  return JSON.parse(readFileSync(new URL(`../../spec/iso8583-1987-${name}.json`, import.meta.url), 'utf8')) as SpecFile
}

/** The spec with one field changed. */
function changed(de: string, change: Record<string, unknown>): SpecFile {
  const file = specFile('hex')
  return { ...file, fields: { ...file.fields, [de]: { ...file.fields[de], ...change } } }
}

describe.each(SPECS)('the %s spec', (name) => {
  test('has all 128 data elements of the standard', () => {
    const { fields } = messageSpec(name)
    expect(fields.filter((field) => field !== undefined).map(({ de }) => de)).toEqual(
      Array.from({ length: 128 }, (_, i) => i + 1),
    )
  })

  test('is loaded once', () => {
    expect(messageSpec(name)).toBe(messageSpec(name))
  })

  test('keeps the lengths that terminals and merchants rely on', () => {
    const { fields } = messageSpec(name)
    expect([41, 42, 43, 37, 90, 95].map((de) => fields[de]?.max)).toEqual([8, 15, 40, 12, 42, 42])
  })
})

describe('a wrong spec names the field when it is loaded', () => {
  test.each([
    ['a format of its own', changed('4', { format: 'n12' }), /spec hex: DE 4: format "n12"/],
    ['a length that its prefix cannot tell', changed('2', { format: 'n ..100' }), /spec hex: DE 2: 100 does not fit/],
    ['hexadecimal text that its prefix cannot tell', changed('55', { format: 'b ...500' }), /spec hex: DE 55: 1000 does not fit/],
    ['an empty field', changed('3', { format: 'n 0' }), /spec hex: DE 3: a length of 0/],
    ['a coding that its type cannot have', changed('41', { coding: 'bcd' }), /spec hex: DE 41: coding/],
    ['an odd amount with a sign', changed('28', { format: 'x+n 7' }), /spec hex: DE 28: x\+n/],
    ['a misspelt property', changed('3', { lenght: 4 }), /spec hex: DE 3: unknown property lenght/],
    ['a field without a name', changed('3', { name: '' }), /spec hex: DE 3: name/],
    ['a bitmap of another length', changed('65', { format: 'b 1' }), /spec hex: DE 65: a bitmap/],
    ['a field that does not exist', changed('129', { name: 'x', format: 'n 1' }), /spec hex: there is no DE 129/],
  ])('%s', (_, file, message) => {
    expect(() => parseMessageSpec(file)).toThrow(message)
  })

  test('a field is missing', () => {
    const file = specFile('bcd')
    delete file.fields['70']
    expect(() => parseMessageSpec(file)).toThrow('spec bcd: DE 70 is missing')
  })

  test('no bitmap form', () => {
    expect(() => parseMessageSpec({ ...specFile('hex'), bitmapForms: [] })).toThrow('bitmapForms is empty')
  })

  test('not an object', () => {
    expect(() => parseMessageSpec('hex')).toThrow('spec must be an object')
  })
})
