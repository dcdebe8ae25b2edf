import { expect, test } from 'vitest'
import { withClearPins, type OpenedPin } from '../../src/security/clearPins.ts'
import { dukptPinKeys } from '../../src/security/dukptPinKeys.ts'
import { buildPinBlock, encipherPinBlocks } from '../../src/security/pinBlock.ts'
import { softwareKeyStore } from '../../src/security/softwareKeys.ts'
import { digits, newKey } from './clearKeys.ts'

const keys = softwareKeyStore([newKey('zpk', 'P0', 'T', '0123456789ABCDEF1032547698BADCFE')])
const pan = '1122334455667788'
const block = encipherPinBlocks(0, keys.find('zpk', 'P0'), buildPinBlock(0, digits('4524'), pan), [pan])
const batch = [{ block, format: 0, under: { by: 'zone', key: 'zpk' }, pan }] as const

test('PINs are there while something is done with them, and zero afterwards', () => {
  let kept: readonly OpenedPin[] = []
  const seen = withClearPins(keys, dukptPinKeys(1), batch, (pins) => {
    kept = pins
    return pins.map((pin) => (typeof pin === 'string' ? pin : pin.join('')))
  })
  expect(seen).toEqual(['4524'])
  expect(kept).toEqual([Buffer.alloc(4)])
})

test('PINs are zero where that throws', () => {
  let kept: readonly OpenedPin[] = []
  expect(() =>
    withClearPins(keys, dukptPinKeys(1), batch, (pins) => {
      kept = pins
      throw new Error('no')
    }),
  ).toThrow('no')
  expect(kept).toEqual([Buffer.alloc(4)])
})
