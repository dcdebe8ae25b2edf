/** The published vectors as requests of the HSM port, and the keys that they need. */
import { createCipheriv } from 'node:crypto'
import type { CardValue, CryptogramCheck, EncipheredPin, PinFormat, PinKey } from '../../src/security/hsm.ts'
import type { KeyAlgorithm, KeyStore, KeyUsage } from '../../src/security/keys.ts'
import { buildPinBlock, encipherPinBlocks } from '../../src/security/pinBlock.ts'
import { digits, handleOf, hex, newKey } from './clearKeys.ts'
import cardValues from './vectors/cardValue.json' with { type: 'json' }
import chip from './vectors/chip.json' with { type: 'json' }
import aes from './vectors/dukptAes.json' with { type: 'json' }
import tdes from './vectors/dukptTdes.json' with { type: 'json' }
import keyBlocks from './vectors/keyBlocks.json' with { type: 'json' }
import macs from './vectors/mac.json' with { type: 'json' }
import pins from './vectors/pin.json' with { type: 'json' }

const ZPK = '0123456789ABCDEF1032547698BADCFE'
export const ZPK_2 = '1032547698BADCFE0123456789ABCDEF'
export const IMK = '0123456789ABCDEFFEDCBA9876543210'
const IMK_SMI = 'FEDCBA98765432100123456789ABCDEF'
const TRANSACTION_DATA_BYTES = 33

export const zone = (key: string): PinKey => ({ by: 'zone', key })

/** Enciphered by OpenSSL itself. */
export function underZpk(clearBlock: string, pan: string, format: PinFormat = 0, key = ZPK): EncipheredPin {
  const block = createCipheriv('des-ede', hex(key), null).setAutoPadding(false).update(hex(clearBlock))
  return { block, format, under: zone('zpk'), pan }
}

export function pinUnder(
  algorithm: KeyAlgorithm,
  value: string,
  name: string,
  format: PinFormat,
  pin: string,
  pan: string,
): EncipheredPin {
  const block = encipherPinBlocks(format, handleOf('P0', algorithm, value), buildPinBlock(format, digits(pin), pan), [pan])
  return { block, format, under: zone(name), pan }
}

export const FORMAT_4 = pins.format4[0] as { key: string; pin: string; pan: string; enciphered: string }

/** PIN and PAN in each format. */
export const everyFormat = (pin: string, pan: string): EncipheredPin[] => [
  pinUnder('T', ZPK, 'zpk', 0, pin, pan),
  pinUnder('T', ZPK, 'zpk', 3, pin, pan),
  pinUnder('A', FORMAT_4.key, 'zpk.aes', 4, pin, pan),
]

/** The vectors' table begins with 1, the switch's with 0: each digit of the natural PIN is one less, and of the offset one more. */
export const offsetByFixedTable = (offset: string): string =>
  Array.from(offset, (digit) => String((Number(digit) + 1) % 10)).join('')

/** The vector as a message would bring it: the IAD, or part of it, ends what the cryptogram is made of. */
export function checkOf(scheme: 'visa' | 'mchip', macInput: string, cryptogram: Buffer, iad: string): CryptogramCheck {
  const data = hex(macInput).subarray(0, TRANSACTION_DATA_BYTES)
  return {
    scheme,
    key: 'imk-ac',
    pan: '1234567890123456',
    psn: '00',
    chip: {
      cryptogram,
      cryptogramInformation: 0x80,
      issuerApplicationData: hex(iad),
      atc: data.subarray(31, 33),
      unpredictableNumber: data.subarray(25, 29),
      transactionData: data,
    },
  }
}

export const [visa10, visa18, mchip17] = chip.cryptograms
export const CHECK_10 = checkOf('visa', visa10!.macInput, hex(visa10!.arqc), '06010A03A06010')
export const CHECK_18 = checkOf('visa', visa18!.macInput, hex(visa18!.arqc), '06011203A0B800')
export const CHECK_17 = checkOf('mchip', mchip17!.macInput, hex(mchip17!.arqc), '0111A000032200001234' + '00000000000322FF')

const MAC_KEYS = [...macs.retail_iso9797_alg3, ...macs.aes128_cmac, ...macs.tdes_cmac].map(({ key }) => key)
const macKeyName = (key: string, usage: 'M3' | 'M6'): string => `mac-${usage.toLowerCase()}.${String(MAC_KEYS.indexOf(key))}`
export const KBPKS = [...new Set(keyBlocks.blocks.map(({ kbpk }) => kbpk))]

export function putVectorKeys(store: KeyStore): void {
  const put = (name: string, usage: KeyUsage, algorithm: KeyAlgorithm, value: string, exportable = false): void => {
    store.put({ ...newKey(name, usage, algorithm, value), exportable })
  }
  put('zpk', 'P0', 'T', ZPK, true)
  put('zpk.2', 'P0', 'T', ZPK_2)
  put('zpk.aes', 'P0', 'A', FORMAT_4.key)
  put('bdk.tdes', 'B0', 'T', tdes.bdk)
  put('bdk.aes128', 'B0', 'A', aes.dukpt_aes128.bdk)
  put('bdk.aes256', 'B0', 'A', aes.dukpt_aes256.bdk)
  for (const pvk of new Set(pins.pvv.map((vector) => vector.pvk))) put(`pvk.${pvk.toLowerCase()}`, 'V2', 'T', pvk)
  put('pvk.ibm', 'V1', 'T', pins.ibm3624[0]!.pvk)
  put('imk-ac', 'E0', 'T', IMK)
  put('imk-smi', 'E2', 'T', IMK_SMI)
  for (const [index, { cvk, imk_ac: imk }] of cardValues.card_verification.entries()) {
    put(`card.${String(index)}`, cvk === undefined ? 'E0' : 'C0', 'T', cvk ?? imk)
  }
  for (const { key } of macs.retail_iso9797_alg3) put(macKeyName(key, 'M3'), 'M3', 'T', key)
  for (const { key } of macs.aes128_cmac) put(macKeyName(key, 'M6'), 'M6', 'A', key)
  for (const { key } of macs.tdes_cmac) put(macKeyName(key, 'M6'), 'M6', 'T', key)
  for (const [index, kbpk] of KBPKS.entries()) put(`kbpk.${String(index)}`, 'K1', kbpk.length === 64 ? 'A' : 'T', kbpk)
  put('data', 'D0', 'A', '00'.repeat(32))
}

/** Each with the digits that it makes. */
export function cardValueCases(): { pan: string; value: CardValue; digits: string }[] {
  return cardValues.card_verification.map((vector, index) => {
    const common = { key: `card.${String(index)}`, expiry: vector.expiry, serviceCode: vector.service_code }
    const value: CardValue =
      vector.dcvv === undefined ? { kind: 'cvv', ...common } : { kind: 'dcvv', ...common, psn: vector.psn, atc: vector.atc }
    return { pan: vector.pan, value, digits: vector.cvv ?? vector.dcvv }
  })
}

export function macCases(): { key: string; data: Buffer; mac: Buffer }[] {
  return [
    ...macs.retail_iso9797_alg3.map((vector) => ({
      key: macKeyName(vector.key, 'M3'),
      data: paddedBy(vector.pad, Buffer.from(vector.data_ascii)),
      mac: hex(vector.mac8 ?? vector.computed_mac8),
    })),
    ...[...macs.aes128_cmac, ...macs.tdes_cmac].map((vector) => ({
      key: macKeyName(vector.key, 'M6'),
      data: hex(vector.data),
      mac: hex(vector.cmac),
    })),
  ]
}

/** Padding methods 2 and 3 are method 1 over data that were padded, or begin with their length in bits (ISO 9797-1:2011 6.3). */
function paddedBy(method: number, data: Buffer): Buffer {
  if (method === 2) return Buffer.concat([data, hex('80')])
  if (method !== 3) return data
  const length = Buffer.alloc(8)
  length.writeUInt32BE(data.length * 8, 4)
  return Buffer.concat([length, data])
}
