import { describe, expect, it } from 'vitest'
import { decode } from '../../src/iso8583/decode.ts'
import { encode, type Encoded, type FieldValues } from '../../src/iso8583/encode.ts'
import type { Message } from '../../src/iso8583/message.ts'
import { messageSpec } from '../../src/iso8583/messageSpec.ts'
import { answerTo, networkAnswerTo } from '../../src/response/answer.ts'
import { NOTHING_TOLD, type AuthorizationResult } from '../../src/response/result.ts'

const spec = messageSpec('ascii')
const balances = { available: 900, ledger: 1500, currency: '818' }
const approved: AuthorizationResult = {
  responseCode: '00',
  reason: undefined,
  approvalCode: 'ABC123',
  approved: 1000,
  balances,
  ...NOTHING_TOLD,
  rrn: '632609000124',
  replayed: false,
}

function request(mti: string, fields: Readonly<Record<number, string>>): Message {
  const values: FieldValues = []
  for (const [de, text] of Object.entries({ 4: '000000001000', 11: '000124', 41: 'POS00001', 49: '818', ...fields }))
    values[Number(de)] = text
  return read(encode(spec, mti, values))
}

function read(encoded: Encoded): Message {
  if (!encoded.ok) throw new Error(encoded.error.path)
  const decoded = decode(spec, encoded.bytes)
  if (!decoded.ok) throw new Error(decoded.error.path)
  return decoded.message
}

describe('an answer', () => {
  it('carries the request’s fields, but no track, PIN block or private data', () => {
    const sent = {
      2: '9818010000000018',
      3: '000000',
      7: '1122093000',
      12: '113000',
      13: '1122',
      14: '2912',
      18: '5399',
      22: '051',
      25: '00',
      32: '818001',
    }
    const secret = { 35: '9818010000000018=29121011234', 48: 'PC0011', 52: '0011223344556677' }
    const answer = read(answerTo(request('0200', { ...sent, ...secret, 42: '000000000000001' }), approved))
    expect(answer.mti).toBe('0210')
    expect(answer.fields()).toEqual([2, 3, 4, 7, 11, 12, 13, 18, 25, 32, 37, 38, 39, 41, 42, 49])
    for (const de of [2, 3, 7, 12, 13, 18, 25, 32] as const) expect(answer.text(de)).toBe(sent[de])
  })

  it('has an approval code for an approval only', () => {
    expect(read(answerTo(request('0200', { 3: '000000' }), approved)).text(38)).toBe('ABC123')
    expect(read(answerTo(request('0200', { 3: '000000' }), { ...approved, responseCode: '51' })).has(38)).toBe(false)
  })

  it('to a repeat is the answer to the original', () => {
    expect(read(answerTo(request('0401', { 3: '000000' }), approved)).mti).toBe('0410')
    expect(read(answerTo(request('0421', { 3: '000000' }), approved)).mti).toBe('0430')
  })

  it('to a partial approval carries what was approved as the amount', () => {
    const answer = read(answerTo(request('0200', { 3: '000000' }), { ...approved, responseCode: '10', approved: 640 }))
    expect([answer.text(4), answer.text(38)]).toEqual(['000000000640', 'ABC123'])
  })
})

describe('the balance (DE 54) is told', () => {
  const balanceIn = (mti: string, processingCode: string, responseCode = '00') =>
    read(answerTo(request(mti, { 3: processingCode }), { ...approved, responseCode })).text(54)

  it.each([
    ['an inquiry', '0100', '310000', '00'],
    ['an inquiry in a financial message', '0200', '311000', '10'],
    ['a withdrawal', '0200', '012000', '20'],
    ['a deposit', '0200', '210010', '10'],
  ])('after %s, for the account it speaks of', (_, mti, processingCode, account) => {
    expect(balanceIn(mti, processingCode)).toBe(`${account}01818C000000001500${account}02818C000000000900`)
  })

  it('after a partial approval', () => {
    expect(balanceIn('0200', '000000', '10')).toBeDefined()
  })

  it.each([
    ['a purchase', '0200', '000000'],
    ['an authorization', '0100', '000000'],
    ['a credit', '0200', '260000'],
    ['a payment', '0200', '500000'],
    ['a refund', '0200', '200000'],
    ['the reversal of a withdrawal', '0400', '010000'],
  ])('but not after %s: the slip is the shop’s', (_, mti, processingCode) => {
    expect(balanceIn(mti, processingCode)).toBeUndefined()
  })
})

it('a network management answer repeats the code it was asked with', () => {
  const answer = read(networkAnswerTo(request('0800', { 7: '1122093000', 70: '301' }), { responseCode: '00' }))
  expect([answer.mti, answer.text(11), answer.text(70), answer.text(39)]).toEqual(['0810', '000124', '301', '00'])
  expect(answer.has(4)).toBe(false)
})
