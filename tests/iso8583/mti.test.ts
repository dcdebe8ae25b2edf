import { describe, expect, test } from 'vitest'
import { parseMti, responseMti } from '../../src/iso8583/mti.ts'

describe('an MTI', () => {
  test('is taken apart by version, class, function and origin', () => {
    expect(parseMti('0200')).toEqual({
      version: 0,
      messageClass: 'financial',
      messageFunction: 'request',
      origin: 'acquirer',
      isRepeat: false,
    })
    expect(parseMti('0421')).toMatchObject({
      messageClass: 'reversal',
      messageFunction: 'advice',
      origin: 'acquirer-repeat',
      isRepeat: true,
    })
    expect(parseMti('0810')).toMatchObject({ messageClass: 'network-management', messageFunction: 'request-response' })
  })

  test.each(['', '020', '02000', '02x0', '0000', '0900', '0250', '0206'])('%j is none', (mti) => {
    expect(parseMti(mti)).toBeUndefined()
  })

  test.each([
    ['0100', '0110'],
    ['0200', '0210'],
    ['0201', '0210'],
    ['0220', '0230'],
    ['0221', '0230'],
    ['0400', '0410'],
    ['0401', '0410'],
    ['0420', '0430'],
    ['0421', '0430'],
    ['0800', '0810'],
    ['0203', '0212'],
  ])('%s is answered with %s', (request, response) => {
    expect(responseMti(request)).toBe(response)
  })
})
