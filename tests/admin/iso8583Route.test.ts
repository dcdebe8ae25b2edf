import { beforeAll, describe, expect, it } from 'vitest'
import { decode } from '../../src/iso8583/decode.ts'
import { encode, type FieldValues } from '../../src/iso8583/encode.ts'
import type { Message } from '../../src/iso8583/message.ts'
import { messageSpec, SPEC_NAMES, type SpecName } from '../../src/iso8583/messageSpec.ts'
import { compose, originalOf, type Fields, type Sent, type TestSwitch } from '../support/switch.ts'
import { authorize, call, newKey, sendBytes, startHttpSwitch, startServerOver } from './callSwitch.ts'

let running: TestSwitch
let url: string

beforeAll(async () => {
  ;({ running, url } = await startHttpSwitch())
})

function bytesOf(spec: SpecName, sent: Sent): Buffer {
  const values: FieldValues = []
  for (const [de, text] of Object.entries(sent.fields)) values[Number(de)] = text
  const encoded = encode(messageSpec(spec), sent.mti, values)
  if (!encoded.ok) throw new Error(encoded.error.path)
  return encoded.bytes
}

/** As a caller without DE 32: its messages are told apart by the link's name. */
function message(mti: string, overrides: Fields): Sent {
  return compose(running.clock, mti, { 32: undefined, ...overrides })
}

async function ask(sent: Sent, spec: SpecName = 'ascii'): Promise<Message> {
  const answer = await sendBytes(url, bytesOf(spec, sent), spec)
  expect(answer).toMatchObject({ status: 200, type: 'application/octet-stream' })
  const decoded = decode(messageSpec(spec), answer.bytes)
  if (!decoded.ok) throw new Error(decoded.error.path)
  return decoded.message
}

describe.each(SPEC_NAMES)('a message in the dialect %s', (spec) => {
  it('is answered in it', async () => {
    const { pan } = await running.openCard({ balance: 10_000 })
    const sent = message('0200', { 2: pan })
    const answer = await ask(sent, spec)
    expect(answer.mti).toBe('0210')
    expect([2, 11, 39, 41].map((de) => answer.text(de))).toEqual([pan, sent.fields[11], '00', sent.fields[41]])
    expect(answer.text(38)).toMatch(/^[0-9A-Z]{6}$/)
  })
})

it('without a dialect is taken for ascii', async () => {
  const answer = await sendBytes(url, bytesOf('ascii', compose(running.clock, '0800', { 70: '301' })))
  expect(answer.bytes.toString('latin1', 0, 4)).toBe('0810')
})

it('a repeat gets the stored answer, and a reversal takes it back', async () => {
  const { pan } = await running.openCard({ balance: 10_000 })
  const sent = message('0200', { 2: pan })
  const first = await ask(sent)
  expect((await ask({ ...sent, mti: '0201' })).text(38)).toBe(first.text(38))
  const reversal = message('0400', { 2: pan, 90: originalOf({ ...sent, fields: { ...sent.fields, 32: '' } }) })
  expect((await ask(reversal)).text(39)).toBe('00')
  const balance = await authorize(url, { kind: 'balance', card: { number: pan }, terminalId: sent.fields[41] })
  expect(balance.json).toMatchObject({ balances: { available: '100.00' } })
})

it('a format error that can be answered is answered: 30', async () => {
  const answer = await ask(message('0200', { 2: '9818010000000010', 49: undefined }))
  expect(answer.text(39)).toBe('30')
})

describe('a message that cannot be answered', () => {
  async function refused(bytes: Uint8Array, spec: SpecName = 'hex'): Promise<Record<string, unknown>> {
    const answer = await sendBytes(url, bytes, spec)
    expect(answer.type).toMatch(/^application\/problem\+json/)
    const problem = JSON.parse(answer.bytes.toString()) as Record<string, unknown>
    expect(answer.status).toBe(problem['status'])
    return problem
  }

  it.each([
    ['nothing', '', { path: 'MTI', offset: 0 }],
    ['an MTI that is none', '02X0', { path: 'MTI', offset: 0 }],
    ['half a bitmap', '02007020', { path: 'bitmap', offset: 4 }],
    ['a field that is cut short', '02004000000000000000' + '16981801', { path: 'DE 2', offset: 22 }],
    ['another character in a card number', '02004000000000000000' + '1698180100000X0010', { path: 'DE 2' }],
    ['trailing bytes', '080082200000000000000400000000000000112215120000000130199', { path: 'message', offset: 55 }],
  ])('such as %s is refused by its data element and byte', async (_what, text, fault) => {
    const problem = await refused(Buffer.from(text, 'latin1'))
    expect(problem).toMatchObject({ type: 'urn:sarf:problem:message-unreadable', status: 400, errors: [fault] })
    expect(JSON.stringify(problem)).not.toContain('981801')
  })

  it('because it is an answer itself', async () => {
    const echo = compose(running.clock, '0810', { 70: '301' })
    expect(await refused(bytesOf('hex', echo))).toMatchObject({
      type: 'urn:sarf:problem:message-not-a-request',
      errors: [{ path: 'MTI', offset: 0, found: '0810' }],
    })
  })

  it('because the dialect has another name', async () => {
    const answer = await call(`${url}/iso8583?spec=ebcdic`, {
      method: 'POST',
      headers: { 'content-type': 'application/octet-stream' },
      body: 'x',
    })
    expect(answer).toMatchObject({ status: 400, json: { errors: [{ path: 'spec' }] } })
  })

  it('because a parameter has another name', async () => {
    const answer = await call(`${url}/iso8583?dialect=bcd`, {
      method: 'POST',
      headers: { 'content-type': 'application/octet-stream' },
      body: 'x',
    })
    expect(answer).toMatchObject({ status: 400, json: { errors: [{ path: 'dialect' }] } })
  })

  it.each(['application/json', 'text/plain', 'application/x-www-form-urlencoded'])('because it comes as %s', async (type) => {
    const answer = await call(`${url}/iso8583`, { method: 'POST', headers: { 'content-type': type }, body: '{}' })
    expect(answer).toMatchObject({ status: 415, type: 'application/problem+json', json: { status: 415 } })
  })

  it('because it has neither type nor body', async () => {
    expect(await call(`${url}/iso8583`, { method: 'POST' })).toMatchObject({ status: 415 })
  })

  it('because it is too large', async () => {
    expect(await refused(Buffer.alloc(running.config.http.bodyBytesMax + 1))).toMatchObject({ status: 413 })
  })
})

it('an outcome that is not known is 504, and says to reverse', async () => {
  const server = await startServerOver((_transaction, respond) => respond(undefined))
  const answer = await sendBytes(server.url, bytesOf('ascii', message('0200', { 2: '9818010000000010' })))
  expect(answer.status).toBe(504)
  expect(JSON.parse(answer.bytes.toString())).toMatchObject({
    type: 'urn:sarf:problem:outcome-unknown',
    detail: expect.stringMatching(/reverse/) as string,
  })
  await server.close(0)
})

it('a key of a JSON transaction is none of a message', async () => {
  const { pan } = await running.openCard({ balance: 10_000 })
  const sent = message('0200', { 2: pan })
  await ask(sent)
  const json = { kind: 'purchase', card: { number: pan }, terminalId: sent.fields[41], amount: '10.00' }
  const answer = await authorize(url, json, newKey())
  expect(answer.json).toMatchObject({ approved: true, replayed: false, balances: { available: '80.00' } })
})
