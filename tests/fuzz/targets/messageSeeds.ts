/** Valid messages to start from: every transaction that a terminal sends, and fields of every kind. */
import { encode, type FieldValues } from '../../../src/iso8583/encode.ts'
import { messageSpec, type MessageSpec, type SpecName } from '../../../src/iso8583/messageSpec.ts'

const PAN = '9818010000000010'
const ORIGINAL = '020000012311220929590000081800100000000000'
const CHIP = '5A08981801000000001F9F2608112233445566778882021C009F360200019F10070601120301A000'

const usual = {
  2: PAN,
  3: '000000',
  4: '000000001250',
  7: '1122093000',
  11: '000124',
  12: '113000',
  13: '1122',
  32: '818001',
  37: '632609000124',
  41: 'POS00001',
  42: '000000000000001',
  49: '818',
}

const MESSAGES: readonly (readonly [mti: string, fields: Readonly<Record<number, string>>])[] = [
  ['0200', { ...usual, 14: '2812', 22: '051', 35: `${PAN}=28122010000000000`, 48: 'PC0011', 52: '0123456789ABCDEF' }],
  ['0200', { ...usual, 55: CHIP, 22: '051' }],
  ['0100', { ...usual, 3: '310000', 54: '0001818C000000001250' }],
  ['0220', { ...usual, 90: ORIGINAL }],
  ['0420', { ...usual, 90: ORIGINAL, 95: '000000001000000000000000D00000000C00000000' }],
  ['0200', { ...usual, 3: '009700', 48: 'LV00210DY0012BR001M' }],
  ['0200', { ...usual, 3: '009800', 48: 'BK023OIL*1*3000;TEA*1*500;BR001N'.replace('023', '021') }],
  ['0200', { ...usual, 3: '009400', 48: 'SC003MEDBR001F' }],
  // Numbers beyond what is exact, and a card number where none belongs.
  ['0200', { ...usual, 3: '009800', 48: 'BK023OIL*1*9007199254740993;' }],
  ['0200', { ...usual, 48: `X1016${PAN}` }],
  ['0800', { 7: '1122093000', 11: '000001', 70: '301' }],
  ['0302', { 2: PAN, 7: '1122093000', 11: '000007', 41: 'POS00001', 48: 'HR001LRF008CALL-118', 91: '1', 101: 'HOTCARD' }],
  ['0210', { ...usual, 38: 'ABC123', 39: '00', 44: 'text', 102: 'ACCOUNT', 128: '0123456789ABCDEF' }],
  ['0200', { ...usual, 28: 'D00000100', 36: '1234', 45: `B${PAN}^NAME^2812`, 53: '2600000000000000', 60: 'free text', 61: '1' }],
]

/** Those that the dialect can write, in both of its bitmap forms. */
export function messageSeeds(name: SpecName): Buffer[] {
  const spec = messageSpec(name)
  return [spec, ...(spec.alternative === undefined ? [] : [spec.alternative])].flatMap((form) =>
    MESSAGES.flatMap(([mti, fields]) => encoded(form, mti, fields)),
  )
}

function encoded(spec: MessageSpec, mti: string, fields: Readonly<Record<number, string>>): Buffer[] {
  const values: FieldValues = []
  for (const [de, text] of Object.entries(fields)) values[Number(de)] = text
  const result = encode(spec, mti, values)
  return result.ok ? [result.bytes] : []
}

/** What messages are made of, in the codings of all dialects. */
export const MESSAGE_TOKENS: readonly (string | Uint8Array)[] = [
  ...['0200', '0420', '0800', '981801', '818', 'PC0011', 'LV0011', 'BR001M', 'C', 'D', '=', '^', '001', '999'],
  ...[
    [0x02, 0x00],
    [0x08, 0x00],
    [0x81, 0x80],
    [0x9f, 0x26, 0x08],
    [0x5a, 0x08],
    [0x72, 0x38],
    [0x80, 0, 0, 0, 0, 0, 0, 0],
  ].map((bytes) => Uint8Array.from(bytes)),
]
