/** DE 55 as the switch reads it for a cryptogram (src/security/chipData.ts), and what it makes of issuer application data. */
import { tlvFault } from '../../../src/iso8583/berTlv.ts'
import { readChipData } from '../../../src/security/chipData.ts'
import { parseIssuerApplicationData } from '../../../src/security/issuerApplicationData.ts'
import { check, type Target } from '../target.ts'

/** A request of a Visa card (CVN 10), its tags in the order of EMV Book 3 annex A. */
const REQUEST =
  '82021800' +
  '95058000048000' +
  '9A03191105' +
  '9C0101' +
  '5F2A020818' +
  '9F02060000000040009F0306000000000000' +
  '9F100706010A03A06010' +
  '9F1A020818' +
  '9F260829CCA15AE665FA2E' +
  '9F270180' +
  '9F3602001C' +
  '9F370452BF4585'

const TRANSACTION_DATA_BYTES = 6 + 6 + 2 + 5 + 2 + 3 + 1 + 4 + 2 + 2

export const chipData: Target = {
  seeds: [
    REQUEST,
    REQUEST.slice(0, -2),
    `${REQUEST}57119818010000000018D29122011234567800`,
    `${REQUEST}5A0898180100000000185F340100`,
  ].map((hex) => Buffer.from(hex, 'hex')),
  dictionary: ['9F26', '9F27', '9F10', '9F37', '9F36', '57', '5A', '5F34', '84', '9F34'],
  bytesMax: 300,
  run(input) {
    const read = readChipData(input)
    if (!read.ok) {
      check(read.error.offset >= 0 && read.error.offset <= input.length, 'an error is inside the input', read.error.offset)
      return 'rejected'
    }
    const { value } = read
    check(tlvFault(input) === undefined, 'what is read is strict BER-TLV')
    check(value.chip.cryptogram.length === 8 && value.chip.atc.length === 2, 'parts have their lengths')
    check(value.chip.transactionData.length === TRANSACTION_DATA_BYTES, 'the transaction data are whole')
    check(Number.isSafeInteger(value.amount) && value.amount >= 0, 'the amount is whole', value.amount)
    check(/^\d{3}$/.test(value.currency), 'the currency is three digits', value.currency)
    for (const scheme of ['visa', 'mchip'] as const) parseIssuerApplicationData(scheme, value.chip.issuerApplicationData)
    return 'accepted'
  },
}
