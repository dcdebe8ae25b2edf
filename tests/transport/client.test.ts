import { expect, it } from 'vitest'
import { connect } from '../../src/transport/client.ts'
import type { Framing } from '../../src/transport/framing.ts'
import { startListener, until } from './peer.ts'

it.each<Framing>(['length2', 'length2-tpdu', 'length4'])(
  'a client and a listener understand each other in %s',
  async (framing) => {
    const { port } = await startListener({
      framing,
      onFrame: (payload, exchange) => {
        exchange.answer(payload)
      },
    })
    const received: number[] = []
    const client = await connect({ host: '127.0.0.1', port, framing, onPayload: (payload) => received.push(payload.length) })
    const sizes = Array.from({ length: 90 }, (_, i) => 1 + i * 45)
    for (const size of sizes) client.send(Buffer.alloc(size, 0x30))
    await until(() => received.length === sizes.length)
    expect(received).toEqual(sizes)
    await client.close()
  },
)

it('messages sent before the end are delivered, and answers after it come in', async () => {
  const { port, pending } = await startListener()
  const received: string[] = []
  let closed = false
  const client = await connect({
    host: '127.0.0.1',
    port,
    framing: 'length4',
    onPayload: (payload) => received.push(payload.toString()),
    onClose: () => {
      closed = true
    },
  })
  client.send(Buffer.from('one'))
  client.end()
  await until(() => pending.length === 1)
  pending[0]?.exchange.answer(Buffer.from('answer'))
  await until(() => closed)
  expect(received).toEqual(['answer'])
})

it('a client learns that the switch has gone, and sending then does nothing', async () => {
  const { port, listener } = await startListener()
  const ends: (Error | undefined)[] = []
  const options = { host: '127.0.0.1', port, framing: 'length4', onPayload: () => undefined } as const
  const client = await connect({ ...options, onClose: (error) => ends.push(error) })
  await listener.close()
  await until(() => ends.length === 1)
  client.send(Buffer.from('nobody hears'))
  await client.close()
  expect(client.unsentBytes).toBe(0)
  await expect(connect(options)).rejects.toThrow('ECONNREFUSED')
})

it('a peer that breaks the framing ends the client with an error', async () => {
  const { port } = await startListener({
    framing: 'length2',
    onFrame: (_payload, exchange) => {
      exchange.answer(Buffer.alloc(200))
    },
  })
  const ends: (Error | undefined)[] = []
  const client = await connect({
    host: '127.0.0.1',
    port,
    framing: 'length2',
    frameBytesMax: 100,
    onPayload: () => undefined,
    onClose: (error) => ends.push(error),
  })
  client.send(Buffer.from('0800'))
  await until(() => ends.length === 1)
  expect(ends[0]?.message).toContain('at most 100')
})
