/** Who tries to use a link that speaks TLS without the right, or to keep others from it. */
import { generateKeyPairSync } from 'node:crypto'
import type { ConnectionOptions, SecureVersion } from 'node:tls'
import { beforeAll, describe, expect, it } from 'vitest'
import type { Exchange } from '../../src/transport/exchange.ts'
import { certificatesOf, makeAuthority, type TestAuthority, type TestCertificate } from '../support/certificates.ts'
import { temporaryDirectory } from '../support/stack.ts'
import { framed, openPeer, openTlsPeer, startListener, until, type TestListener } from './peer.ts'

let authority: TestAuthority
let stranger: TestAuthority
let server: TestCertificate
let client: TestCertificate

beforeAll(() => {
  authority = makeAuthority(temporaryDirectory())
  stranger = makeAuthority(temporaryDirectory())
  server = authority.issue('switch', 'serverAuth')
  client = authority.issue('acquirer')
})

const echo = (payload: Buffer, exchange: Exchange): void => {
  exchange.answer(payload)
}
const start = (options: Parameters<typeof startListener>[0] = {}): Promise<TestListener> =>
  startListener({ certificates: certificatesOf(server, authority), onFrame: echo, ...options })

/** Tries to get an answer. @returns what came back */
async function tryToAsk(port: number, options: ConnectionOptions): Promise<string> {
  try {
    const peer = await openTlsPeer(port, { ca: authority.cert, ...options })
    peer.socket.write(framed('let me in'))
    await peer.ended
    return peer.received()
  } catch {
    return ''
  }
}

async function expectServed(port: number): Promise<void> {
  const peer = await openTlsPeer(port, { ca: authority.cert, cert: client.cert, key: client.key })
  peer.socket.write(framed('good'))
  await until(() => peer.received() === framed('good'))
  peer.socket.end()
  await peer.ended
}

describe.each<SecureVersion>(['TLSv1.2', 'TLSv1.3'])('with %s', (version) => {
  it.each<[string, () => { cert?: Buffer; key?: Buffer }, string]>([
    ['no certificate', () => ({}), 'showed no certificate'],
    ['the certificate of a CA of the same name', () => stranger.issue('acquirer'), 'not signed by a CA in'],
    ['the certificate of a CA of its own', () => stranger, 'not for clients'],
    ['a certificate that has expired', () => authority.issue('acquirer', 'clientAuth', 0), 'has expired'],
    ['the certificate of a server', () => authority.issue('other switch', 'serverAuth'), 'not for clients'],
  ])('a client with %s is refused, and nothing of what it sent is read', async (_, own, advice) => {
    const { port, listener, counted, warnings } = await start()
    const { cert, key } = own()
    const shown = cert === undefined || key === undefined ? {} : { cert, key }
    expect(await tryToAsk(port, { ...shown, maxVersion: version })).toBe('')
    await until(() => counted.failed === 1)
    expect(counted).toMatchObject({ opened: 0, received: 0 })
    expect(listener.connections).toBe(0)
    expect(warnings).toHaveLength(1)
    expect(warnings[0]).toContain(advice)
    expect(warnings[0]).toContain('"remote":"127.0.0.1"')
    await expectServed(port)
  })

  it('a certificate without its key proves nothing', async () => {
    const { port, counted } = await start()
    const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' })
    await expect(openTlsPeer(port, { ca: authority.cert, cert: client.cert, key, maxVersion: version })).rejects.toThrow()
    expect(counted.opened).toBe(0)
  })
})

it.each<[string, ConnectionOptions, ConnectionOptions['minVersion'] & ('TLSv1.2' | 'TLSv1.3')]>([
  ['TLS 1.0', { minVersion: 'TLSv1', maxVersion: 'TLSv1', ciphers: 'DEFAULT@SECLEVEL=0' }, 'TLSv1.2'],
  ['TLS 1.1', { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' }, 'TLSv1.2'],
  ['TLS 1.2 where 1.3 is asked for', { maxVersion: 'TLSv1.2' }, 'TLSv1.3'],
  ['a cipher suite without forward secrecy', { maxVersion: 'TLSv1.2', ciphers: 'AES128-GCM-SHA256' }, 'TLSv1.2'],
  ['a cipher suite in CBC mode', { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-SHA' }, 'TLSv1.2'],
])('a client is not let down to %s', async (_, offered, minVersion) => {
  const files = { certFile: '', keyFile: '', clientCaFile: '' }
  const { port, counted } = await start({ tls: { ...files, minVersion } })
  const shown = { ca: authority.cert, cert: client.cert, key: client.key }
  await expect(openTlsPeer(port, { ...shown, ...offered })).rejects.toThrow()
  await until(() => counted.failed === 1)
  await expectServed(port)
})

it('a client that asks for another handshake within TLS 1.2 does not get one', async () => {
  const { port } = await start()
  const shown = { ca: authority.cert, cert: client.cert, key: client.key }
  const peer = await openTlsPeer(port, { ...shown, maxVersion: 'TLSv1.2' })
  const outcome = await new Promise<Error | null>((resolve) => {
    peer.socket.once('error', resolve)
    peer.socket.renegotiate({}, resolve)
  })
  expect(outcome?.message).toMatch(/renegotiation/)
  await expectServed(port)
})

it.each([
  ['an ISO 8583 message in plain TCP', framed('0800')],
  ['an HTTP request', 'GET / HTTP/1.1\r\n\r\n'],
  ['zeros', '\0'.repeat(1000)],
])('%s on the port is not taken for a message', async (_, text) => {
  const { port, counted, warnings } = await start()
  const peer = await openPeer(port)
  peer.socket.write(text)
  await peer.ended
  await until(() => counted.failed === 1)
  expect(counted).toMatchObject({ opened: 0, received: 0 })
  expect(warnings).toHaveLength(1)
  await expectServed(port)
})

it('a TLS handshake on a plain link is bad input like any other', async () => {
  const { port, rejected } = await startListener({ onFrame: echo })
  await expect(openTlsPeer(port, { ca: authority.cert })).rejects.toThrow()
  expect(rejected).toEqual(['frame-length-not-digits'])
})

it('handshakes that never finish are closed while others are served, however steadily their bytes come', async () => {
  const { port, counted, listener } = await start({ limits: { handshakeMs: 150 } })
  const silent = await Promise.all(Array.from({ length: 10 }, () => openPeer(port)))
  const slow = await Promise.all(Array.from({ length: 10 }, () => openPeer(port)))
  // The beginning of a ClientHello of 512 bytes (RFC 8446 section 5.1), of which a byte comes now and then.
  for (const { socket } of slow) socket.write(Buffer.from('1603010200010001fc0303', 'hex'))
  const drip = setInterval(() => {
    for (const { socket } of slow) if (socket.writable) socket.write('a')
  }, 20)
  await expectServed(port)
  await Promise.all([...silent, ...slow].map(({ ended }) => ended))
  clearInterval(drip)
  await until(() => counted.failed === 20)
  await until(() => listener.connections === 0)
  await expectServed(port)
})

it('an address that opens connections without a handshake takes its own places only, and has them back afterwards', async () => {
  const { port, warnings, counted } = await start({ limits: { connectionsPerAddressMax: 2 } })
  const silent = [await openPeer(port), await openPeer(port)]
  const third = await openPeer(port)
  await third.ended
  expect(warnings).toHaveLength(1)
  expect(warnings[0]).toContain('too many from one address')
  expect(counted).toMatchObject({ opened: 0, failed: 0 })
  for (const { socket } of silent) socket.destroy()
  await until(() => counted.failed === 2)
  await expectServed(port)
})

it('a client that fails again and again is counted each time and logged once', async () => {
  const { port, counted, warnings } = await start()
  for (let i = 1; i <= 5; i++) {
    expect(await tryToAsk(port, {})).toBe('')
    await until(() => counted.failed === i)
  }
  expect(warnings).toHaveLength(1)
})
