import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { systemClock } from '../../../src/clock.ts'
import { Mobile } from '../../../src/personalData.ts'
import { httpProvider } from '../../../src/programme/notices/httpProvider.ts'
import type { OutgoingNotice, SendOutcome } from '../../../src/programme/notices/provider.ts'
import { isSigned } from '../../../src/programme/notices/signature.ts'

const SECRET = 'a secret of the provider and of us'

let server: Server
let answer: (response: ServerResponse) => void
const asked: { body: Buffer; headers: IncomingHttpHeaders }[] = []

beforeAll(async () => {
  server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      asked.push({ body: Buffer.concat(chunks), headers: request.headers })
      answer(response)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
})
afterAll(() => {
  server.closeAllConnections()
  server.close()
})
beforeEach(() => {
  asked.length = 0
})

const notice: OutgoingNotice = {
  id: 'n17-1',
  to: Mobile.parse('01012345678')!,
  language: 'ar',
  template: 'destroyed',
  text: 'أُعدمت',
}

function send(deadlineMs = 5000): Promise<SendOutcome> {
  const url = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}/messages`
  return httpProvider({ url, secret: SECRET, deadlineMs, clock: systemClock }).send(notice)
}

describe('a notice over HTTP', () => {
  it('is JSON with an id that repeats share, signed over its bytes and the time', async () => {
    answer = (response) => response.writeHead(202).end('{"reference":"SM-1"}')
    expect(await send()).toEqual({ kind: 'accepted', reference: 'SM-1' })
    const [{ body, headers }] = asked as [(typeof asked)[0]]
    expect(JSON.parse(body.toString())).toEqual({
      id: 'n17-1',
      to: '+201012345678',
      language: 'ar',
      template: 'destroyed',
      text: 'أُعدمت',
    })
    expect(headers['idempotency-key']).toBe('n17-1')
    const signed = { body, timestamp: String(headers['x-sarf-timestamp']), signature: String(headers['x-sarf-signature']) }
    expect(isSigned(signed, SECRET, Date.now(), 60_000)).toBe(true)
    expect(isSigned({ ...signed, body: Buffer.from('{}') }, SECRET, Date.now(), 60_000)).toBe(false)
    expect(isSigned(signed, SECRET, Date.now() + 120_000, 60_000)).toBe(false)
  })

  it.each([
    ['no JSON', 'ok'],
    ['no reference', '{}'],
    ['one that is none', '{"reference":7}'],
    ['far too much', 'x'.repeat(100_000)],
  ])('that is accepted with %s has its own id for a reference', async (_, text) => {
    answer = (response) => response.end(text)
    expect(await send()).toEqual({ kind: 'accepted', reference: 'n17-1' })
  })

  it.each<[number, SendOutcome]>([
    [400, { kind: 'refused', reason: 'http-400' }],
    [401, { kind: 'refused', reason: 'http-401' }],
    [404, { kind: 'refused', reason: 'http-404' }],
    [302, { kind: 'refused', reason: 'http-302' }],
    [408, { kind: 'failed', reason: 'http-408' }],
    [429, { kind: 'failed', reason: 'http-429' }],
    [500, { kind: 'failed', reason: 'http-500' }],
    [503, { kind: 'failed', reason: 'http-503' }],
  ])('that is answered %d', async (status, outcome) => {
    answer = (response) => response.writeHead(status, { location: 'http://127.0.0.1:9/' }).end()
    expect(await send()).toEqual(outcome)
    expect(asked).toHaveLength(1)
  })

  it('waits as long as Retry-After says, in seconds or until a date', async () => {
    answer = (response) => response.writeHead(503, { 'retry-after': '120' }).end()
    expect(await send()).toEqual({ kind: 'failed', reason: 'http-503', afterMs: 120_000 })
    const date = new Date(Date.now() + 3_600_000).toUTCString()
    answer = (response) => response.writeHead(429, { 'retry-after': date }).end()
    expect((await send()) as { afterMs: number }).toMatchObject({ afterMs: expect.closeTo(3_600_000, -5) as number })
    answer = (response) => response.writeHead(429, { 'retry-after': 'soon' }).end()
    expect(await send()).toEqual({ kind: 'failed', reason: 'http-429' })
  })

  it('that is not answered in time, or broken off, fails without a word of its number', async () => {
    answer = () => undefined
    expect(await send(100)).toEqual({ kind: 'failed', reason: 'no-answer' })
    answer = (response) => {
      response.writeHead(200)
      response.write('{"refer')
    }
    expect(await send(100)).toEqual({ kind: 'failed', reason: 'no-answer' })
    answer = (response) => response.destroy()
    expect(await send()).toEqual({ kind: 'failed', reason: 'not-reached' })
  })
})
