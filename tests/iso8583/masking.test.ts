import { describe, expect, test } from 'vitest'
import { maskField, maskTlv } from '../../src/iso8583/masking.ts'
import { messageSpec } from '../../src/iso8583/messageSpec.ts'
import { PAN } from './samples.ts'

function masked(de: number, text: string, spec: 'ascii' | 'hex' = 'hex'): string {
  const field = messageSpec(spec).fields[de]
  if (field === undefined) expect.fail()
  return maskField(field, text)
}

describe('what is shown of a field', () => {
  test.each([
    [2, PAN, '999999******0014'],
    [14, '2812', '****'],
    [34, PAN, '999999******0014'],
    [35, `${PAN}=2812201`, '999999******0014********'],
    [35, `${PAN}D2812201`, '999999******0014********'],
    [35, 'no track', '********'],
    [36, `59${PAN}=1`, '*'.repeat(20)],
    [45, `B${PAN}^DOE/JOHN^2812201`, `B999999******0014${'*'.repeat(17)}`],
    [52, '0123456789ABCDEF', '*'.repeat(16)],
    [55, '9F270180', '4 bytes'],
    [4, '000000001250', '000000001250'],
    [42, 'MERCHANT0000001', 'MERCHANT0000001'],
    [60, `card ${PAN}!`, 'card 999999******0014!'],
    [60, `16${PAN}`, '169999********0014'],
    [90, '020000000100000000000000000000000000000000', '020000000100000000000000000000000000000000'],
  ])('DE %i of %s is %s', (de, text, shown) => {
    expect(masked(de, text)).toBe(shown)
  })

  test('key data in DE 53 is hidden where the dialect makes it bytes', () => {
    expect(masked(53, 'AB', 'ascii')).toBe('**')
    expect(masked(53, '9600000000000000')).toBe('9600000000000000')
  })

  test.each([
    ['5A', PAN, '999999******0014'],
    ['5A', '9999990000000000018F', '999999*********0018'],
    ['57', `${PAN}D28122010`, '999999******0014*********'],
    ['57', `${PAN}D2812201F`, '999999******0014********'],
    ['5F20', '444F45', '******'],
    ['5F24', '281231', '******'],
    ['9F1F', '3031', '****'],
    ['56', '42', '**'],
    ['9F26', '1122334455667788', '1122334455667788'],
    ['50', PAN, '999999******0014'],
    ['DA', PAN, '****************'],
  ])('tag %s of %s is %s', (tag, hex, shown) => {
    expect(maskTlv(tag, hex)).toBe(shown)
  })
})
