/** What a client with the right certificate gets from a link that speaks TLS, and how the link lives. Attacks are in tlsAttacks.test.ts. */
import type { SecureVersion } from 'node:tls'
import { beforeAll, describe, expect, it } from 'vitest'
import { connect } from '../../src/transport/client.ts'
import type { Exchange, Peer } from '../../src/transport/exchange.ts'
import { certificatesOf, makeAuthority, type TestAuthority, type TestCertificate } from '../support/certificates.ts'
import { temporaryDirectory } from '../support/stack.ts'
import { framed, openPeer, openTlsPeer, startListener, until, type TestListener } from './peer.ts'

let authority: TestAuthority
let server: TestCertificate
let client: TestCertificate

beforeAll(() => {
  authority = makeAuthority(temporaryDirectory())
  server = authority.issue('switch', 'serverAuth')
  client = authority.issue('acquirer')
})

const echo = (payload: Buffer, exchange: Exchange): void => {
  exchange.answer(payload)
}
const start = (options: Parameters<typeof startListener>[0] = {}): Promise<TestListener> =>
  startListener({ certificates: certificatesOf(server, authority), ...options })
const shown = (certificate: TestCertificate, version: SecureVersion = 'TLSv1.3') => ({
  ca: authority.cert,
  cert: certificate.cert,
  key: certificate.key,
  maxVersion: version,
})

describe.each<SecureVersion>(['TLSv1.2', 'TLSv1.3'])('%s', (version) => {
  it('a client with a certificate of the link’s CA gets its answers, and the switch knows whose it is', async () => {
    const peers: Peer[] = []
    const { port, counted, warnings } = await start({
      onFrame: (payload, exchange) => {
        peers.push(exchange.peer)
        exchange.answer(payload)
      },
    })
    const peer = await openTlsPeer(port, shown(client, version))
    expect(peer.socket.getProtocol()).toBe(version)
    peer.socket.write(framed('one') + framed('two'))
    await until(() => peer.received() === framed('one') + framed('two'))
    expect(peers).toEqual(Array(2).fill({ certificate: { fingerprint: client.fingerprint, commonName: 'acquirer' } }))
    expect(warnings).toEqual([])
    peer.socket.end()
    await until(() => counted.closed === 1)
    expect(counted).toEqual({ opened: 1, closed: 1, failed: 0, received: 2, answered: 2 })
  })

  it('a client that ends its side after its last request still gets its answers, then the end', async () => {
    const { port, pending, listener, rejected } = await start()
    const peer = await openTlsPeer(port, shown(client, version))
    peer.socket.end(framed('last'))
    await until(() => pending.length === 1)
    pending[0]?.exchange.answer(Buffer.from('answer'))
    await peer.ended
    expect(peer.received()).toBe(framed('answer'))
    expect(peer.failure()).toBeUndefined()
    await until(() => listener.connections === 0)
    expect(rejected).toEqual([])
  })

  it('close waits for pending answers, and the client has them although it sent more than was read', async () => {
    const { port, pending, listener } = await start()
    const peer = await openTlsPeer(port, shown(client, version))
    peer.socket.write(framed('pending'))
    await until(() => pending.length === 1)
    listener.stopReading()
    peer.socket.write(framed('x'.repeat(1000)).repeat(100))
    const closed = listener.close(10_000)
    pending[0]?.exchange.answer(Buffer.from('answer'))
    await peer.ended
    expect(peer.received()).toBe(framed('answer'))
    peer.socket.end()
    await closed
    expect(peer.failure()).toBeUndefined()
  })

  it('no session is resumed: every connection shows its certificate', async () => {
    const { port } = await start({ onFrame: echo })
    const first = await openTlsPeer(port, shown(client, version))
    const sessions: Buffer[] = []
    first.socket.on('session', (session) => sessions.push(session))
    first.socket.write(framed('a'))
    await until(() => first.received() === framed('a'))
    const session = sessions.at(-1) ?? first.socket.getSession()
    expect(session).toBeDefined()
    const second = await openTlsPeer(port, { ...shown(client, version), session })
    expect(second.socket.isSessionReused()).toBe(false)
  })
})

it('a client that does not read its answers is not read from, and gets all of them once it reads', async () => {
  const big = Buffer.alloc(4000, 0x30)
  const total = 5000
  const { port, counted } = await start({
    limits: { unsentBytesMax: 65_536 },
    onFrame: (_payload, exchange) => {
      exchange.answer(big)
    },
  })
  const peer = await openTlsPeer(port, shown(client))
  peer.socket.pause()
  peer.socket.write(framed('a').repeat(total))
  await until(() => counted.received > 10)
  expect(counted.received).toBeLessThan(total)
  // Looked at once more is put together once more: 20 MB a time would take longer than what is tested.
  let bytes = 0
  peer.socket.on('data', (chunk: Buffer) => (bytes += chunk.length))
  peer.socket.resume()
  await until(() => bytes === total * 4004)
})

it('new certificates hold from the next handshake on; connections that are open stay', async () => {
  const next = makeAuthority(temporaryDirectory())
  const { port, listener } = await start({ onFrame: echo })
  const before = await openTlsPeer(port, shown(client))
  listener.renew(certificatesOf(next.issue('switch', 'serverAuth'), next))
  const newcomer = next.issue('newcomer')
  const after = await openTlsPeer(port, { ca: next.cert, cert: newcomer.cert, key: newcomer.key })
  for (const peer of [before, after]) {
    peer.socket.write(framed('here'))
    await until(() => peer.received() === framed('here'))
  }
  const late = await openTlsPeer(port, { ...shown(client), ca: next.cert })
  late.socket.write(framed('let me in'))
  await late.ended
  expect(late.received()).toBe('')
  expect(listener.connections).toBe(2)
})

it('close does not wait for a handshake that is not over', async () => {
  const { port, listener } = await start()
  const silent = await openPeer(port)
  await listener.close(60_000)
  await silent.ended
  expect(listener.connections).toBe(0)
})

describe('the client of sarf send and of the load generators', () => {
  const options = { host: '127.0.0.1', framing: 'length4', onPayload: () => undefined } as const

  it('speaks TLS', async () => {
    const { port } = await start({ onFrame: echo })
    const received: string[] = []
    const link = await connect({
      ...options,
      port,
      tls: { ca: authority.cert, cert: client.cert, key: client.key, servername: 'localhost' },
      onPayload: (payload) => received.push(payload.toString()),
    })
    link.send(Buffer.from('hello'))
    await until(() => received.length === 1)
    expect(received).toEqual(['hello'])
    await link.close()
  })

  it('speaks to nobody whose certificate another CA signed, or who has another name', async () => {
    const { port } = await start({ onFrame: echo })
    const own = { cert: client.cert, key: client.key }
    const other = makeAuthority(temporaryDirectory())
    await expect(connect({ ...options, port, tls: { ...own, ca: other.cert } })).rejects.toThrow('certificate')
    await expect(connect({ ...options, port, tls: { ...own, ca: authority.cert, servername: 'bank.example' } })).rejects.toThrow(
      'bank.example',
    )
  })
})
