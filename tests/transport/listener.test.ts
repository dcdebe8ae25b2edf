import { expect, it } from 'vitest'
import { framed, openPeer, type Pending, startListener, until } from './peer.ts'

it('messages in flight on one connection are answered in the order they are ready', async () => {
  const { port, pending } = await startListener()
  const peer = await openPeer(port)
  peer.socket.write(framed('first') + framed('second') + framed('third'))
  await until(() => pending.length === 3)
  answer(pending[2])
  await until(() => peer.received() === framed('third'))
  answer(pending[0])
  answer(pending[1])
  await until(() => peer.received() === framed('third') + framed('first') + framed('second'))
})

it('all answers of one turn leave in one write', async () => {
  const { port, pending } = await startListener()
  const peer = await openPeer(port)
  const sizes: number[] = []
  peer.socket.on('data', (chunk: Buffer) => sizes.push(chunk.length))
  peer.socket.write(framed('a').repeat(50))
  await until(() => pending.length === 50)
  for (const one of pending) answer(one)
  await until(() => peer.received().length === 250)
  expect(sizes).toEqual([250])
})

it('an answer goes back under the TPDU of its own request, addresses swapped', async () => {
  const { port } = await startListener({
    framing: 'length2-tpdu',
    onFrame: (payload, exchange) => {
      exchange.answer(Buffer.from(payload.toString('latin1').toUpperCase()))
    },
  })
  const peer = await openPeer(port)
  peer.socket.write(Buffer.from('0006600001a2b361' + '0006600003c4d562', 'hex'))
  await until(() => peer.received().length === 16)
  expect(Buffer.from(peer.received(), 'latin1').toString('hex')).toBe('000660a2b3000141' + '000660c4d5000342')
})

it('only the first of answer, silent and close counts', async () => {
  const { port, pending, counted } = await startListener()
  const peer = await openPeer(port)
  peer.socket.write(framed('one') + framed('two'))
  await until(() => pending.length === 2)
  pending[0]?.exchange.silent()
  answer(pending[0])
  pending[0]?.exchange.close('too late')
  answer(pending[1])
  answer(pending[1])
  await until(() => peer.received() === framed('two'))
  expect(counted).toMatchObject({ received: 2, answered: 1 })
})

it('a peer that ends its side after its last request still gets its answers, then the end', async () => {
  const { port, pending, listener, rejected } = await startListener()
  const peer = await openPeer(port)
  peer.socket.end(framed('last'))
  await until(() => pending.length === 1)
  answer(pending[0])
  await peer.ended
  expect(peer.received()).toBe(framed('last'))
  await until(() => listener.connections === 0)
  expect(rejected).toEqual([])
})

it('a peer that resets its connection harms nobody, and its late answers go nowhere', async () => {
  const { port, pending, listener } = await startListener()
  const broken = await openPeer(port)
  const other = await openPeer(port)
  broken.socket.write(framed('lost'))
  await until(() => pending.length === 1)
  broken.socket.resetAndDestroy()
  await until(() => listener.connections === 1)
  answer(pending[0])
  other.socket.write(framed('kept'))
  await until(() => pending.length === 2)
  answer(pending[1])
  await until(() => other.received() === framed('kept'))
})

it('a broken length closes the connection after what was in flight is answered, and says so', async () => {
  const { port, pending, rejected, warnings, listener } = await startListener()
  const peer = await openPeer(port)
  peer.socket.write(framed('good') + 'GET / HTTP/1.1\r\n\r\n')
  await until(() => rejected.length === 1)
  answer(pending[0])
  await peer.ended
  expect(peer.received()).toBe(framed('good'))
  expect(rejected).toEqual(['frame-length-not-digits'])
  expect(warnings).toHaveLength(1)
  peer.socket.end()
  await until(() => listener.connections === 0)
})

it('nothing is handed out after an exchange asked to close, and other answers are still sent', async () => {
  const seen: string[] = []
  const { port, warnings, rejected } = await startListener({
    onFrame: (payload, exchange) => {
      seen.push(payload.toString())
      if (seen.length === 2) exchange.close('DE 3: 6 digits expected')
      else exchange.answer(payload)
    },
  })
  const peer = await openPeer(port)
  peer.socket.write(framed('one') + framed('two') + framed('three'))
  await peer.ended
  expect(peer.received()).toBe(framed('one'))
  expect(seen).toEqual(['one', 'two'])
  expect(rejected).toEqual(['message'])
  expect(warnings[0]).toContain('DE 3: 6 digits expected')
})

it('a fault while a frame is handled costs that connection, not the switch', async () => {
  const { port, pending, warnings } = await startListener({
    onFrame: (payload, exchange) => {
      if (payload.toString() === 'bad') throw new Error('broken')
      pending.push({ text: payload.toString(), exchange })
    },
  })
  const bad = await openPeer(port)
  const good = await openPeer(port)
  bad.socket.write(framed('bad'))
  await bad.ended
  good.socket.write(framed('good'))
  await until(() => pending.length === 1)
  expect(warnings).toHaveLength(2)
})

it('a port in use is one clear line that says what to do', async () => {
  const { port } = await startListener()
  await expect(startListener({ port })).rejects.toThrow(
    `port ${String(port)} is in use; stop what listens there or set SARF_PORT_ATM`,
  )
})

it('after stopReading nobody connects, nothing more is handed out, and answers are still sent', async () => {
  const { port, pending, listener } = await startListener()
  const peer = await openPeer(port)
  peer.socket.write(framed('before'))
  await until(() => pending.length === 1)
  listener.stopReading()
  await written(peer.socket, framed('after'))
  await expect(openPeer(port)).rejects.toThrow('ECONNREFUSED')
  answer(pending[0])
  await until(() => peer.received() === framed('before'))
  expect(pending).toHaveLength(1)
})

it('stopReading within a chunk leaves the rest of the chunk alone', async () => {
  const seen: string[] = []
  const started = await startListener({
    onFrame: (payload, exchange) => {
      seen.push(payload.toString())
      started.listener.stopReading()
      exchange.answer(payload)
    },
  })
  const peer = await openPeer(started.port)
  peer.socket.write(framed('one') + framed('two'))
  await until(() => peer.received() === framed('one'))
  peer.socket.end()
  await started.listener.close()
  expect(seen).toEqual(['one'])
})

it('close waits for pending answers, and the peer has them although it sent more than was read', async () => {
  const { port, pending, listener } = await startListener()
  const peer = await openPeer(port)
  peer.socket.write(framed('pending'))
  await until(() => pending.length === 1)
  listener.stopReading()
  await written(peer.socket, framed('x'.repeat(1000)).repeat(100))
  const closed = listener.close(10_000)
  answer(pending[0])
  await peer.ended
  expect(peer.received()).toBe(framed('pending'))
  peer.socket.end()
  await closed
  expect(listener.connections).toBe(0)
  expect(peer.failure()).toBeUndefined()
})

it('close destroys what does not end within its time', async () => {
  const { port, pending, listener } = await startListener()
  const peer = await openPeer(port)
  peer.socket.write(framed('never answered'))
  await until(() => pending.length === 1)
  await listener.close(20)
  await peer.ended
  expect(listener.connections).toBe(0)
  answer(pending[0])
})

it('connections, frames and answers are counted', async () => {
  const { port, counted, listener } = await startListener({
    onFrame: (payload, exchange) => {
      exchange.answer(payload)
    },
  })
  const peer = await openPeer(port)
  peer.socket.end(framed('a') + framed('b'))
  await until(() => listener.connections === 0)
  expect(counted).toEqual({ opened: 1, closed: 1, failed: 0, received: 2, answered: 2 })
})

function answer(pending: Pending | undefined): void {
  pending?.exchange.answer(Buffer.from(pending.text))
}

async function written(socket: { write(text: string, done: () => void): unknown }, text: string): Promise<void> {
  await new Promise<void>((resolve) => socket.write(text, resolve))
}
