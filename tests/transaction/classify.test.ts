import { describe, expect, it } from 'vitest'
import { decode } from '../../src/iso8583/decode.ts'
import { encode, type FieldValues } from '../../src/iso8583/encode.ts'
import { messageSpec } from '../../src/iso8583/messageSpec.ts'
import { classify, type Classified } from '../../src/transaction/classify.ts'
import { cardToken } from '../../src/card.ts'
import { loadConfig } from '../../src/config.ts'
import type { Transaction } from '../../src/transaction/transaction.ts'

const PAN = '9818010000000018'
const lookupKey = Buffer.alloc(32, 1)
const nowMs = Date.parse('2026-11-22T09:30:05Z')
const ORIGINAL = '020000012311220929590000081800100000000000'

type Fields = Readonly<Record<number, string | undefined>>

const usual: Fields = {
  2: PAN,
  3: '000000',
  4: '000000001250',
  7: '1122093000',
  11: '000124',
  32: '818001',
  41: 'POS00001',
  42: '000000000000001',
  49: '818',
}

const { programme, security } = loadConfig({ DATABASE_URL: 'postgres://localhost/none', REDIS_URL: 'redis://localhost' })
const { accountTypes } = programme
const { profiles } = security
const { services } = programme.versions[0]!

/** Through bytes and back, so that what is classified is what a link would deliver. */
function classified(mti: string, overrides: Fields = {}, keyTime: 'transmission' | 'local' = 'transmission'): Classified {
  const spec = messageSpec('ascii')
  const values: FieldValues = []
  for (const [de, text] of Object.entries({ ...usual, ...overrides })) values[Number(de)] = text
  const encoded = encode(spec, mti, values)
  if (!encoded.ok) throw new Error(encoded.error.path)
  const decoded = decode(spec, encoded.bytes)
  if (!decoded.ok) throw new Error(decoded.error.path)
  return classify(decoded.message, {
    link: { name: 'pos', keyTime, pin: { management: 'zone', format: 0, tdesKey: 'zpk.pos' } },
    nowMs,
    lookupKey,
    accountTypes,
    services,
    profiles,
  })
}

function transactionIn(result: Classified): Transaction {
  if (result.kind !== 'transaction') throw new Error(JSON.stringify(result))
  return result.transaction
}

/** What it is: the transaction's kind, `unsupported`, `network`, or `reject DE n`. */
function saying(result: Classified): string {
  if (result.kind === 'transaction') return result.transaction.kind
  return result.kind === 'reject' ? `reject ${result.path}` : result.kind
}

describe('MTI and processing code say what is asked', () => {
  it.each<[string, string, string, Fields?]>([
    ['0200', '000000', 'purchase'],
    ['0201', '001000', 'purchase'],
    ['0200', '002000', 'purchase'],
    ['0100', '000000', 'authorization'],
    ['0101', '000000', 'authorization'],
    ['0220', '000000', 'completion', { 90: ORIGINAL }],
    ['0221', '000000', 'completion', { 37: '632609000123', 38: 'ABC123' }],
    ['0200', '010000', 'withdrawal'],
    ['0200', '210000', 'deposit'],
    ['0200', '210010', 'deposit'],
    ['0200', '260000', 'credit'],
    ['0200', '500000', 'payment'],
    ['0200', '310000', 'balance'],
    ['0100', '311000', 'balance'],
    ['0200', '200000', 'refund', { 90: ORIGINAL }],
    ['0400', '000000', 'reversal', { 90: ORIGINAL }],
    ['0401', '010000', 'reversal', { 90: ORIGINAL }],
    ['0420', '210000', 'reversal', { 90: ORIGINAL }],
    ['0421', '000000', 'reversal', { 90: ORIGINAL }],
    ['0800', '000000', 'network', { 70: '301' }],
    // Purses that are not cash, and what comes with later issues.
    ['0200', '009800', 'dispense'],
    ['0200', '009700', 'dispense'],
    ['0200', '009500', 'dispense'],
    ['0200', '009400', 'copay'],
    ['0100', '319400', 'eligibility'],
    ['0200', '210098', 'deposit'],
    ['0220', '009800', 'dispense'],
    ['0200', '090000', 'unsupported'],
    ['0100', '010000', 'unsupported'],
    ['0120', '000000', 'unsupported'],
    ['0302', '000000', 'file-update'],
    ['0500', '000000', 'reconciliation'],
    ['0520', '000000', 'reconciliation'],
    ['0900', '000000', 'unsupported'],
    ['1200', '000000', 'unsupported'],
  ])('%s %s is %s', (mti, processingCode, kind, more = {}) => {
    expect(saying(classified(mti, { 3: processingCode, ...more }))).toBe(kind)
  })

  it('without a processing code nothing is asked', () => {
    expect(saying(classified('0200', { 3: undefined }))).toBe('unsupported')
  })
})

describe('what is missing is named', () => {
  it.each<[string, string, Fields]>([
    ['reject DE 41', '0200', { 41: undefined }],
    ['reject DE 41', '0200', { 41: '        ' }],
    ['reject DE 2', '0200', { 2: undefined }],
    ['reject DE 2', '0200', { 35: '9818010000000026=2912' }],
    ['reject DE 11', '0200', { 11: undefined }],
    ['reject DE 7', '0200', { 7: undefined }],
    ['reject DE 7', '0200', { 7: '0000000000' }],
    ['reject DE 7', '0200', { 7: '0230093000' }],
    ['reject DE 4', '0200', { 4: undefined }],
    ['reject DE 49', '0200', { 49: undefined }],
    ['reject DE 90', '0400', {}],
    ['reject DE 90', '0400', { 37: '632609000123', 38: 'ABC123' }],
    ['reject DE 90', '0400', { 90: `0200000123${'0'.repeat(32)}` }],
    ['reject DE 90', '0220', { 37: '632609000123' }],
    ['reject DE 90', '0200', { 3: '200000' }],
  ])('%s', (path, mti, fields) => {
    expect(saying(classified(mti, fields))).toBe(path)
  })

  it('a balance inquiry needs no amount', () => {
    expect(transactionIn(classified('0100', { 3: '310000', 4: undefined })).amount).toBe(0)
  })
})

describe('a transaction', () => {
  it('carries what its fields say, the card as a token only', () => {
    const result = classified('0200', { 14: '2912', 37: '632609000999', 52: '00112233AABBCCDD' })
    expect(transactionIn(result)).toMatchObject({
      mti: 200,
      cardToken: cardToken(PAN, lookupKey),
      amount: 1250,
      currency: '818',
      expiry: '2912',
      terminalId: 'POS00001',
      acceptorId: '000000000000001',
      key: '00000818001|POS00001|1122093000|000124|2',
      keyDate: '2026-11-22',
      rrn: '632609000999',
      hasPin: true,
      partialAccepted: false,
    })
    expect(JSON.stringify(result)).not.toContain(PAN)
  })

  it('takes the card from track 2 where DE 2 is missing or says the same', () => {
    const track = `${PAN}=29122011234`
    for (const fields of [{ 2: undefined, 35: track }, { 35: track }])
      expect(transactionIn(classified('0200', fields)).cardToken).toBe(cardToken(PAN, lookupKey))
  })

  it('without a retrieval reference gets one', () => {
    expect(transactionIn(classified('0200')).rrn).toBe('632609000124')
  })

  it('accepts less than it asks for with DE 48 PC only', () => {
    const accepted = (text: string | undefined) => {
      const transaction = transactionIn(classified('0200', { 48: text }))
      return transaction.kind === 'purchase' && transaction.partialAccepted
    }
    expect(['PC0011', 'PC001Y', 'XX002ABPC0011'].map(accepted)).toEqual([true, true, true])
    expect([undefined, 'PC0010', 'PC001N', 'XX002PC'].map(accepted)).toEqual([false, false, false, false])
  })

  it('on a link without DE 32 is the link’s', () => {
    expect(transactionIn(classified('0200', { 32: undefined })).key).toBe('pos|POS00001|1122093000|000124|2')
  })
})

describe('the same message', () => {
  const bodyOf = (fields: Fields, mti = '0200') => transactionIn(classified(mti, fields)).body

  it('keeps its key and body when it is repeated, with another PIN block and MAC', () => {
    const first = transactionIn(classified('0200', { 52: '0011223344556677' }))
    const repeat = transactionIn(classified('0201', { 52: 'FFEEDDCCBBAA9988' }))
    expect([repeat.key, repeat.body]).toEqual([first.key, first.body])
  })

  it('is another one with another card, amount, currency, processing code, merchant or original', () => {
    const others: Fields[] = [
      { 2: '9818010000000026' },
      { 4: '000000001251' },
      { 49: '840' },
      { 3: '001000' },
      { 42: '000000000000002' },
    ]
    for (const other of others) expect(bodyOf(other), JSON.stringify(other)).not.toBe(bodyOf({}))
    const reversed = { 90: ORIGINAL }
    expect(bodyOf({ 90: ORIGINAL.replace('000123', '000122') }, '0400')).not.toBe(bodyOf(reversed, '0400'))
    expect(bodyOf({ ...reversed, 95: `000000000400${'0'.repeat(30)}` }, '0400')).not.toBe(bodyOf(reversed, '0400'))
  })

  it('has the key that DE 90 rebuilds', () => {
    const original = transactionIn(classified('0201', { 7: '1122092959', 11: '000123' }))
    const reversal = transactionIn(classified('0400', { 90: ORIGINAL }))
    expect(reversal).toMatchObject({ original: { by: 'key', key: original.key, keyDate: original.keyDate } })
  })

  it('on a link whose repeats refresh DE 7 is known by DE 13 and DE 12', () => {
    const local = { 12: '113000', 13: '1122' }
    const first = transactionIn(classified('0200', local, 'local'))
    const repeat = transactionIn(classified('0201', { ...local, 7: '1122093111' }, 'local'))
    expect(repeat.key).toBe(first.key)
    const unknownTime = { ...local, 90: `0200000124${'0'.repeat(10)}0000081800100000000000` }
    expect(transactionIn(classified('0400', unknownTime, 'local'))).toMatchObject({ original: { key: first.key } })
    expect(saying(classified('0200', {}, 'local'))).toBe('reject DE 13')
  })
})

it('a reversal’s final amount is in DE 95', () => {
  const reversal = transactionIn(classified('0400', { 90: ORIGINAL, 95: `000000000400${'0'.repeat(30)}` }))
  expect(reversal).toMatchObject({ kind: 'reversal', finalAmount: 400 })
})

it('a completion and a refund name their original by DE 90 before DE 37 and DE 38', () => {
  const numbers = { 37: '632609000123', 38: 'ABC123' }
  expect(transactionIn(classified('0220', numbers))).toMatchObject({
    original: { by: 'reference', rrn: '632609000123', approvalCode: 'ABC123' },
  })
  expect(transactionIn(classified('0220', { ...numbers, 90: ORIGINAL }))).toMatchObject({ original: { by: 'key' } })
})
