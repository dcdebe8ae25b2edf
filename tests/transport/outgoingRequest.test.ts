import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { createServer as createSocketServer, type AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { isPrivateHost, post } from '../../src/transport/outgoingRequest.ts'
import { webhookUrlProblem } from '../../src/programme/webhookUrl.ts'

let server: Server
let port: number
const asked: string[] = []

beforeAll(async () => {
  server = createServer((request, response) => {
    asked.push(request.url ?? '')
    if (request.url === '/redirect') response.writeHead(302, { location: '/elsewhere' }).end()
    else if (request.url !== '/silent') response.writeHead(200).end('x'.repeat(100_000))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  port = typeof address === 'object' ? (address?.port ?? 0) : 0
})
afterAll(() => {
  server.closeAllConnections()
  server.close()
})

const send = (host: string, path: string, privateAddresses: boolean) =>
  post({ url: `http://${host}:${String(port)}${path}`, headers: {}, body: '{}', deadlineMs: 500, privateAddresses })

describe('a request to an address that somebody has named', () => {
  it('brings the status, and does not follow to elsewhere', async () => {
    expect(await send('localhost', '/', true)).toEqual({ kind: 'status', status: 200 })
    expect(await send('127.0.0.1', '/redirect', true)).toEqual({ kind: 'status', status: 302 })
    expect(asked).toEqual(['/', '/redirect'])
  })

  it('ends with its deadline', async () => {
    expect(await send('127.0.0.1', '/silent', true)).toEqual({ kind: 'failed', reason: 'no answer within the deadline' })
  })

  it('ends where the other side changes to a protocol that nobody asked for', async () => {
    const other = createSocketServer((socket) => {
      socket.on('error', () => undefined)
      socket.once('data', () => socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n'))
    })
    other.listen(0, '127.0.0.1')
    await once(other, 'listening')
    const url = `http://127.0.0.1:${String((other.address() as AddressInfo).port)}/`
    const result = await post({ url, headers: {}, body: '{}', deadlineMs: 500, privateAddresses: true })
    expect(result).toEqual({ kind: 'failed', reason: 'the connection was closed' })
    other.close()
  })

  it('reaches no private address: neither named, nor written in any of its forms', async () => {
    const before = asked.length
    for (const host of [
      '127.0.0.1',
      'localhost',
      '127.1',
      '2130706433',
      '0x7f000001',
      '0',
      '[::1]',
      '[::ffff:127.0.0.1]',
      'localhost.',
    ])
      expect([host, await send(host, '/', false)]).toEqual([host, { kind: 'failed', reason: 'the address is not a public one' }])
    expect(asked.length).toBe(before)
  })

  it('says why it failed without the address', async () => {
    expect(await post({ url: 'http://name.invalid/', headers: {}, body: '', deadlineMs: 5000, privateAddresses: false })).toEqual(
      {
        kind: 'failed',
        reason: expect.not.stringContaining('name.invalid') as string,
      },
    )
    expect(
      await post({ url: 'file:///etc/passwd', headers: {}, body: '', deadlineMs: 500, privateAddresses: true }),
    ).toMatchObject({
      kind: 'failed',
    })
  })
})

describe('private', () => {
  it.each([
    '10.1.2.3',
    '172.16.0.1',
    '172.31.255.255',
    '192.168.0.1',
    '169.254.169.254',
    '100.64.0.1',
    '0.0.0.0',
    '224.0.0.1',
    '255.255.255.255',
  ])('is %s', (host) => expect(isPrivateHost(host)).toBe(true))
  it.each([
    '[fe80::1]',
    '[fc00::1]',
    '[fd12::1]',
    '[::]',
    '[::ffff:10.0.0.1]',
    '[64:ff9b::a00:1]',
    '[2002:a00:1::]',
    '[2001:db8::1]',
    '[ff02::1]',
  ])('is %s', (host) => expect(isPrivateHost(host)).toBe(true))
  it.each(['8.8.8.8', '172.32.0.1', '192.167.1.1', '[2606:4700::1111]', 'example.eg'])('is not %s', (host) =>
    expect(isPrivateHost(host)).toBe(false),
  )
})

it('in production a webhook is https and public', () => {
  const rules = { production: true, privateAddresses: false }
  expect(webhookUrlProblem('https://events.example.eg/sarf', rules)).toBeUndefined()
  expect(webhookUrlProblem('http://events.example.eg/sarf', rules)).toMatch(/https/)
  expect(webhookUrlProblem('https://10.0.0.1/', rules)).toBe('a public address')
  expect(webhookUrlProblem('https://[::ffff:a9fe:a9fe]/', rules)).toBe('a public address')
  expect(webhookUrlProblem('https://10.0.0.1/', { production: true, privateAddresses: true })).toBeUndefined()
})
