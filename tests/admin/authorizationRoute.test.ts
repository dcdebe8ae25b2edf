import { beforeAll, describe, expect, it } from 'vitest'
import { CODE_OF_REASON } from '../../src/response/responseCodes.ts'
import { NOTHING_TOLD } from '../../src/response/result.ts'
import type { DeclineReason } from '../../src/decision/decision.ts'
import { luhnCheckDigit } from '../../src/card.ts'
import { demoPinBlock } from '../../src/programme/demoVerification.ts'
import { chipData, chipOf, hex, prepareIcvv } from '../support/cardholder.ts'
import type { TestSwitch } from '../support/switch.ts'
import { authorize, call, newKey, startHttpSwitch, startServerOver } from './callSwitch.ts'

let running: TestSwitch
let url: string

beforeAll(async () => {
  ;({ running, url } = await startHttpSwitch())
})

async function openPurse(balance: number): Promise<{ pan: string; request: (more: object) => object }> {
  const { pan } = await running.openCard({ balance })
  return { pan, request: (more) => ({ card: { number: pan }, terminalId: 'POS00001', ...more }) }
}

describe('a purchase', () => {
  it('is approved, posted once, and answered again from the ledger', async () => {
    const { pan, request } = await openPurse(100_000)
    const key = newKey()
    const body = request({ kind: 'purchase', amount: '12.50' })
    const first = await authorize(url, body, key)
    expect(first.status).toBe(200)
    expect(first.json).toMatchObject({
      approved: true,
      responseCode: '00',
      meaning: 'Approved',
      amount: '12.50',
      approvedAmount: '12.50',
      balances: { available: '987.50', ledger: '987.50' },
      idempotencyKey: key,
      card: `${pan.slice(0, 6)}******${pan.slice(-4)}`,
      replayed: false,
    })
    expect(first.json['approvalCode']).toMatch(/^[0-9A-Z]{6}$/)

    const again = await authorize(url, body, key)
    expect(again.json).toEqual({ ...first.json, replayed: true })
    const balance = await authorize(url, request({ kind: 'balance' }))
    expect(balance.json).toMatchObject({ approved: true, balances: { available: '987.50', ledger: '987.50' } })
  })

  it('with another body under its key is refused, and posts nothing', async () => {
    const { request } = await openPurse(100_000)
    const key = newKey()
    await authorize(url, request({ kind: 'purchase', amount: '12.50' }), key)
    const other = await authorize(url, request({ kind: 'purchase', amount: '99.00' }), key)
    expect(other.status).toBe(409)
    expect(other.type).toBe('application/problem+json')
    expect(other.json).toMatchObject({ type: 'urn:sarf:problem:key-reused', status: 409 })
    expect((await authorize(url, request({ kind: 'balance' }))).json).toMatchObject({ balances: { available: '987.50' } })
  })

  it('above the purse is declined, and stays declined under its key', async () => {
    const { request } = await openPurse(1000)
    const key = newKey()
    const declined = await authorize(url, request({ kind: 'purchase', amount: '10.01' }), key)
    expect(declined.status).toBe(200)
    expect(declined.json).toMatchObject({
      approved: false,
      responseCode: '51',
      meaning: 'Not sufficient funds',
      reason: 'insufficient_funds',
      amount: '10.01',
      approvedAmount: '0.00',
    })
    expect(declined.json).not.toHaveProperty('approvalCode')
    expect((await authorize(url, request({ kind: 'purchase', amount: '10.01' }), key)).json).toMatchObject({ replayed: true })
  })

  it('is approved in part where the terminal accepts that', async () => {
    const { request } = await openPurse(1000)
    const part = await authorize(url, request({ kind: 'purchase', amount: '25.00', partialAccepted: true }))
    expect(part.json).toMatchObject({ approved: true, responseCode: '10', amount: '25.00', approvedAmount: '10.00' })
  })

  it('of many at once under one key is posted once', async () => {
    const { request } = await openPurse(100_000)
    const key = newKey()
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => authorize(url, request({ kind: 'purchase', amount: '10.00' }), key)),
    )
    expect(answers.filter((answer) => answer.json['replayed'] === false)).toHaveLength(1)
    expect(new Set(answers.map((answer) => answer.json['approvalCode'])).size).toBe(1)
    expect((await authorize(url, request({ kind: 'balance' }))).json).toMatchObject({ balances: { available: '990.00' } })
  })
})

describe('transactions that follow one another', () => {
  it('authorization, completion and refund, each named by the key of the one before', async () => {
    const { request } = await openPurse(100_000)
    const [held, completed] = [newKey(), newKey()]
    const hold = await authorize(url, request({ kind: 'authorization', amount: '100.00' }), held)
    expect(hold.json).toMatchObject({ approved: true, balances: { available: '900.00', ledger: '1000.00' } })
    const completion = request({ kind: 'completion', amount: '80.00', original: { idempotencyKey: held } })
    expect((await authorize(url, completion, completed)).json).toMatchObject({
      approved: true,
      approvalCode: hold.json['approvalCode'],
      balances: { available: '920.00', ledger: '920.00' },
    })
    const refund = request({ kind: 'refund', amount: '30.00', original: { idempotencyKey: completed } })
    expect((await authorize(url, refund)).json).toMatchObject({ approved: true, balances: { available: '950.00' } })
    const tooMuch = request({ kind: 'refund', amount: '50.01', original: { idempotencyKey: completed } })
    expect((await authorize(url, tooMuch)).json).toMatchObject({ approved: false, responseCode: '64' })
  })

  it('a refund names its purchase by the numbers of the answer', async () => {
    const { request } = await openPurse(100_000)
    const { rrn, approvalCode } = (await authorize(url, request({ kind: 'purchase', amount: '40.00' }))).json
    const refund = request({ kind: 'refund', amount: '40.00', original: { rrn, approvalCode } })
    expect((await authorize(url, refund)).json).toMatchObject({ approved: true, balances: { available: '1000.00' } })
  })

  it('a reversal gives back what was taken, all of it or down to the final amount', async () => {
    const { request } = await openPurse(100_000)
    const [whole, part] = [newKey(), newKey()]
    await authorize(url, request({ kind: 'purchase', amount: '40.00' }), whole)
    await authorize(url, request({ kind: 'purchase', amount: '40.00' }), part)
    const original = (idempotencyKey: string): object => ({ kind: 'purchase', idempotencyKey })
    const all = await authorize(url, request({ kind: 'reversal', original: original(whole) }))
    expect(all.json).toMatchObject({ approved: true, approvedAmount: '40.00', balances: { available: '960.00' } })
    const some = await authorize(url, request({ kind: 'reversal', original: original(part), finalAmount: '15.00' }))
    expect(some.json).toMatchObject({ approved: true, approvedAmount: '25.00', balances: { available: '985.00' } })
  })

  it('a late original after its reversal is refused', async () => {
    const { request } = await openPurse(100_000)
    const key = newKey()
    const reversal = request({ kind: 'reversal', original: { kind: 'purchase', idempotencyKey: key } })
    expect((await authorize(url, reversal)).json).toMatchObject({ approved: true, approvedAmount: '0.00' })
    const late = await authorize(url, request({ kind: 'purchase', amount: '40.00' }), key)
    expect(late.json).toMatchObject({ approved: false, responseCode: '12', reason: 'reversed_before' })
  })
})

it.each([
  ['withdrawal', 'ATM00001', '-200.00'],
  ['deposit', 'PST00001', '+200.00'],
  ['credit', 'TRF00001', '+200.00'],
  ['payment', 'GOV00001', '-200.00'],
])('a %s moves the purse', async (kind, terminalId, change) => {
  const { pan, request } = await openPurse(100_000)
  const card = { number: pan, ...(kind === 'withdrawal' ? { pinBlock: hex(demoPinBlock(pan)) } : {}) }
  const answer = await authorize(url, request({ kind, card, terminalId, amount: '200.00' }))
  const available = (1000 + Number(change)).toFixed(2)
  expect(answer.json).toMatchObject({ approved: true, balances: { available } })
})

describe('a card that is verified', () => {
  it.each<[string, 0 | 3 | 4]>([
    ['0', 0],
    ['3', 3],
    ['4', 4],
  ])('by a PIN block of format %s: right, wrong, and blocked after three', async (_, pinFormat) => {
    const { pan, request } = await openPurse(100_000)
    const withdraw = async (pin?: string) => {
      const card = { number: pan, pinBlock: hex(demoPinBlock(pan, pin, pinFormat)), pinFormat }
      return (await authorize(url, request({ kind: 'withdrawal', terminalId: 'ATM00001', amount: '50.00', card }))).json
    }
    expect(await withdraw()).toMatchObject({ approved: true })
    for (const triesLeft of [2, 1, 0])
      expect(await withdraw('9999')).toMatchObject({ responseCode: '55', reason: 'pin_wrong', triesLeft })
    expect(await withdraw()).toMatchObject({ responseCode: '75', reason: 'pin_tries_exceeded' })
  })

  it('by its chip: it accepts the answer, and the same cryptogram is good once', async () => {
    const { pan, request } = await openPurse(100_000)
    await prepareIcvv(pan)
    const chip = chipOf(pan, { cvn: 18 })
    const card = { number: pan, sequenceNumber: '00', chipData: chipData(chip, 1250) }
    const body = request({ kind: 'purchase', amount: '12.50', card })
    const { json } = await authorize(url, body)
    expect(json).toMatchObject({ approved: true })
    expect(chip.acceptResponse(Buffer.from(String(json['chipData']), 'hex'))).toBe(true)
    expect((await authorize(url, body)).json).toMatchObject({ responseCode: '82', reason: 'atc' })
    expect(
      (await authorize(url, request({ kind: 'purchase', amount: '12.50', card: { ...card, sequenceNumber: '01' } }))).json,
    ).toMatchObject({ responseCode: '82', reason: 'chip_mismatch' })
  })

  it.each<[string, object, string]>([
    ['a PIN block of another length', { pinBlock: '00112233' }, '/card/pinBlock'],
    ['a PIN block that is no hexadecimal', { pinBlock: 'Z'.repeat(16) }, '/card/pinBlock'],
    ['a PIN block of 8 bytes in a format of 16', { pinBlock: '00'.repeat(8), pinFormat: 4 }, '/card/pinBlock'],
    ['a format that there is not', { pinBlock: '00'.repeat(8), pinFormat: 1 }, '/card/pinFormat'],
    ['chip data that are no data objects', { chipData: '9F26' }, '/card/chipData'],
    ['chip data that lack what a cryptogram needs', { chipData: '9F36020001' }, '/card/chipData'],
    ['a sequence number of one digit', { sequenceNumber: '0' }, '/card/sequenceNumber'],
  ])('%s is a problem that names it', async (_, more, path) => {
    const { pan, request } = await openPurse(100_000)
    const answer = await authorize(url, request({ kind: 'purchase', amount: '1.00', card: { number: pan, ...more } }))
    expect(answer.status).toBe(400)
    expect(answer.json['errors']).toEqual([expect.objectContaining({ path })])
  })
})

describe('a key with a card number in it', () => {
  it.each<[string, (pan: string) => string]>([
    ['alone', (pan) => `20261122-${pan}`],
    ['among other digits', (pan) => `20261122-12${pan}34`],
    ['between words', (pan) => `20261122-order.${pan}_1`],
  ])('%s is refused, and not said again', async (_, key) => {
    const { pan, request } = await openPurse(100_000)
    const purchase = request({ kind: 'purchase', amount: '1.00' })
    const reversal = request({ kind: 'reversal', original: { kind: 'purchase', idempotencyKey: key(pan) } })
    for (const answer of [await authorize(url, purchase, key(pan)), await authorize(url, reversal)]) {
      expect(answer.status).toBe(400)
      expect(answer.text).toContain('without a card number')
      expect(answer.text).not.toContain(pan)
    }
  })

  it('digits that are no card number of the programme are taken', async () => {
    const { request } = await openPurse(100_000)
    for (const digits of [
      '4111111111111111',
      '98180200000',
      `98180200000${String((Number(luhnCheckDigit('98180200000')) + 1) % 10)}`,
    ])
      expect(
        (
          await authorize(
            url,
            request({ kind: 'purchase', amount: '1.00' }),
            `${newKey().slice(0, 8)}-${digits}.${Math.random().toString(36)}`,
          )
        ).status,
      ).toBe(200)
  })
})

it.each([
  ['an unknown card', { card: { number: '9818029999999994' } }, '14', 'card_unknown'],
  ['an unknown terminal', { terminalId: 'NOWHERE' }, '03', 'terminal_unknown'],
  ['a wrong merchant', { acceptorId: '999' }, '03', 'merchant_unknown'],
  ['another currency', { currency: '840' }, '13', 'currency'],
  ['amount 0', { amount: '0.00' }, '13', 'amount_invalid'],
  ['an expiry date that is not the card’s', { expiry: '3001' }, '54', 'card_expired'],
])('%s is a decision: status 200', async (_what, change, responseCode, reason) => {
  const { pan } = await openPurse(100_000)
  const { expiry, ...other } = change as { expiry?: string }
  const card = { number: pan, ...(expiry === undefined ? {} : { expiry }) }
  const answer = await authorize(url, { kind: 'purchase', card, terminalId: 'POS00001', amount: '1.00', ...other })
  expect(answer.status).toBe(200)
  expect(answer.json).toMatchObject({ approved: false, responseCode, reason })
})

describe('a request that is none', () => {
  const pan = '9818010000000010'
  const good = { kind: 'purchase', card: { number: pan }, terminalId: 'POS00001', amount: '12.50' }

  it.each<[string, unknown, string]>([
    ['no kind', { ...good, kind: undefined }, '/kind'],
    ['an unknown kind', { ...good, kind: pan }, '/kind'],
    ['no card', { ...good, card: undefined }, '/card'],
    ['a card number as a number', { ...good, card: { number: Number(pan) } }, '/card/number'],
    ['a card number that is none', { ...good, card: { number: `${pan}X` } }, '/card/number'],
    ['a month that does not exist', { ...good, card: { number: pan, expiry: '2913' } }, '/card/expiry'],
    ['an amount as a number', { ...good, amount: 12.5 }, '/amount'],
    ['three decimals', { ...good, amount: '12.505' }, '/amount'],
    ['a negative amount', { ...good, amount: '-1.00' }, '/amount'],
    ['no terminal', { ...good, terminalId: undefined }, '/terminalId'],
    ['a terminal with a separator of the ledger', { ...good, terminalId: 'POS|1' }, '/terminalId'],
    ['a misspelt member', { ...good, partialAcepted: true }, '/partialAcepted'],
    ['a card number for a name', { ...good, [pan]: true }, '/*'],
    ['a refund without its original', { ...good, kind: 'refund' }, '/original'],
    [
      'a reversal with an amount',
      { ...good, kind: 'reversal', original: { kind: 'purchase', idempotencyKey: newKey() } },
      '/amount',
    ],
    [
      'a reversal of a balance inquiry',
      { kind: 'reversal', card: good.card, terminalId: 'POS00001', original: { kind: 'balance', idempotencyKey: newKey() } },
      '/original/kind',
    ],
    [
      'an original whose key has no date',
      { ...good, kind: 'refund', original: { idempotencyKey: 'order-1' } },
      '/original/idempotencyKey',
    ],
    ['a list', [good], ''],
    ['text that is not JSON', `{"card":"${pan}",`, ''],
    ['no body', '', ''],
    ['a poisoned prototype', `{"__proto__":{"card":"${pan}"}}`, ''],
  ])('with %s is refused by its path, and is not quoted', async (_what, body, path) => {
    const refused = await authorize(url, body)
    expect(refused.status).toBe(400)
    expect(refused.type).toBe('application/problem+json')
    expect(refused.json).toMatchObject({ type: 'urn:sarf:problem:invalid-request', errors: [{ path }] })
    expect(refused.text).not.toContain(pan.slice(6, 12))
  })

  it.each([
    ['is missing', undefined],
    ['has no date', 'order-1001'],
    ['is a card number', pan],
  ])('is told what a key is where the key %s', async (_what, key) => {
    const headers = { 'content-type': 'application/json', ...(key === undefined ? {} : { 'idempotency-key': key }) }
    const refused = await call(`${url}/v1/authorizations`, { method: 'POST', headers, body: JSON.stringify(good) })
    expect(refused.status).toBe(400)
    expect(refused.json['errors']).toEqual([
      { path: 'Idempotency-Key', expected: expect.stringContaining('20261122-order-1001') as string },
    ])
    expect(refused.text).not.toContain(pan)
  })

  it.each(['20200101-old', '29991231-ahead'])('with a key of another time, %s, is refused', async (key) => {
    const refused = await authorize(url, good, key)
    expect(refused.status).toBe(422)
    expect(refused.json).toMatchObject({ type: 'urn:sarf:problem:key-date' })
  })

  it('is refused as text, and where it is too large', async () => {
    const headers = { 'idempotency-key': newKey() }
    const text = await call(`${url}/v1/authorizations`, { method: 'POST', headers, body: JSON.stringify(good) })
    expect(text).toMatchObject({ status: 415, json: { type: 'about:blank', status: 415 } })
    const large = await authorize(url, { ...good, note: 'x'.repeat(running.config.http.bodyBytesMax) })
    expect(large).toMatchObject({ status: 413, json: { status: 413 } })
  })
})

describe('where there is no decision', () => {
  const good = { kind: 'purchase', card: { number: '9818010000000010' }, terminalId: 'POS00001', amount: '12.50' }

  const undecided = (reason: DeclineReason) => ({
    responseCode: CODE_OF_REASON[reason],
    reason,
    approvalCode: undefined,
    approved: 0,
    balances: undefined,
    ...NOTHING_TOLD,
    rrn: undefined,
    replayed: false,
  })

  it.each([
    ['cannot_decide', 503, '1'],
    ['void', 503, null],
    ['fault', 500, null],
  ] as const)('%s is status %i', async (reason, status, retryAfter) => {
    const server = await startServerOver((_transaction, respond) => respond(undecided(reason)))
    const answer = await authorize(server.url, good)
    expect(answer).toMatchObject({ status, json: { status } })
    expect(answer.headers.get('retry-after')).toBe(retryAfter)
    await server.close(0)
  })

  it('an outcome that is not known is 504, and says to repeat or reverse', async () => {
    const server = await startServerOver((_transaction, respond) => respond(undefined))
    const answer = await authorize(server.url, good)
    expect(answer.status).toBe(504)
    expect(answer.json).toMatchObject({
      type: 'urn:sarf:problem:outcome-unknown',
      detail: expect.stringMatching(/reverse/) as string,
    })
    await server.close(0)
  })
})
