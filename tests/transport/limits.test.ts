import { expect, it } from 'vitest'
import type { Exchange } from '../../src/transport/exchange.ts'
import { framed, openPeer, startListener, until } from './peer.ts'

const echo = (payload: Buffer, exchange: Exchange): void => {
  exchange.answer(payload)
}

it('no more messages are in flight on a connection than allowed, and all are answered in the end', async () => {
  const waiting: Exchange[] = []
  let most = 0
  let handed = 0
  const { port } = await startListener({
    limits: { inFlightPerConnectionMax: 4 },
    onFrame: (_payload, exchange) => {
      handed++
      waiting.push(exchange)
      most = Math.max(most, waiting.length)
    },
  })
  const peer = await openPeer(port)
  peer.socket.write(framed('a').repeat(1000))
  for (let answered = 0; answered < 1000; answered++) {
    await until(() => waiting.length > 0)
    waiting.shift()?.answer(Buffer.from('b'))
  }
  await until(() => peer.received() === framed('b').repeat(1000))
  expect(most).toBe(4)
  expect(handed).toBe(1000)
})

it('a connection that is full goes on when half of it was answered, not before', async () => {
  const waiting: Exchange[] = []
  const { port, counted } = await startListener({
    limits: { inFlightPerConnectionMax: 4 },
    onFrame: (_payload, exchange) => waiting.push(exchange),
  })
  const peer = await openPeer(port)
  peer.socket.write(framed('a').repeat(6))
  await until(() => waiting.length === 4)
  waiting[0]?.answer(Buffer.from('1'))
  await until(() => peer.received() === framed('1'))
  expect(counted.received).toBe(4)
  waiting[1]?.silent()
  await until(() => counted.received === 6)
})

it('a peer that ends its side while its connection is full still gets every answer', async () => {
  const waiting: Exchange[] = []
  const { port, listener } = await startListener({
    limits: { inFlightPerConnectionMax: 2 },
    onFrame: (_payload, exchange) => waiting.push(exchange),
  })
  const peer = await openPeer(port)
  peer.socket.end(framed('a').repeat(5))
  for (let answered = 0; answered < 5; answered++) {
    await until(() => waiting.length > 0)
    waiting.shift()?.answer(Buffer.from('b'))
  }
  await peer.ended
  expect(peer.received()).toBe(framed('b').repeat(5))
  await until(() => listener.connections === 0)
})

it('a peer that does not read its answers is not read from, and gets all of them once it reads', async () => {
  const big = Buffer.alloc(4000, 0x30)
  const { port, counted } = await startListener({
    limits: { unsentBytesMax: 65_536 },
    onFrame: (_payload, exchange) => {
      exchange.answer(big)
    },
  })
  const peer = await openPeer(port)
  const other = await openPeer(port)
  const total = 10_000
  peer.socket.pause()
  peer.socket.write(framed('a').repeat(total))
  // What the kernel buffers of two sockets take is far less than 40 MB: it must come to a stand before the end.
  await settles(() => counted.received)
  expect(counted.received).toBeLessThan(total)
  other.socket.write(framed('b'))
  await until(() => other.received().length === 4004)
  peer.socket.resume()
  await until(() => counted.received === total + 1)
  await until(() => peer.received().length === total * 4004)
})

it('a peer that ends its side before it reads its answers gets all of them too', async () => {
  const { port, counted, listener } = await startListener({
    limits: { unsentBytesMax: 4096 },
    onFrame: (_payload, exchange) => {
      exchange.answer(Buffer.alloc(4000, 0x30))
    },
  })
  const peer = await openPeer(port)
  const total = 10_000
  peer.socket.pause()
  peer.socket.end(framed('a').repeat(total))
  await settles(() => counted.received)
  peer.socket.resume()
  await peer.ended
  expect(peer.received()).toHaveLength(total * 4004)
  await until(() => listener.connections === 0)
})

it('a frame that is not complete in time closes its connection, however steadily its bytes come', async () => {
  const { port, rejected, listener } = await startListener({ limits: { partialFrameMs: 60 }, onFrame: echo })
  const slow = await Promise.all(Array.from({ length: 20 }, () => openPeer(port)))
  const drip = setInterval(() => {
    for (const { socket } of slow) if (socket.writable) socket.write('0')
  }, 20)
  for (const { socket } of slow) socket.write('1')
  const good = await openPeer(port)
  good.socket.write(framed('quick'))
  await until(() => good.received() === framed('quick'))
  await Promise.all(slow.map(({ ended }) => ended))
  clearInterval(drip)
  await until(() => listener.connections === 1)
  expect(rejected).toEqual(new Array(20).fill('partial-frame-deadline'))
  good.socket.write(framed('still here'))
  await until(() => good.received() === framed('quick') + framed('still here'))
})

it('a connection that is only slow between frames is not closed by the partial-frame deadline', async () => {
  const { port, rejected } = await startListener({ limits: { partialFrameMs: 20 }, onFrame: echo })
  const peer = await openPeer(port)
  const witness = await openPeer(port)
  peer.socket.write(framed('one'))
  await until(() => peer.received() === framed('one'))
  witness.socket.write('0')
  await witness.ended
  peer.socket.write(framed('two'))
  await until(() => peer.received() === framed('one') + framed('two'))
  expect(rejected).toEqual(['partial-frame-deadline'])
})

it('an idle connection is closed, one that waits for its answer is not', async () => {
  const waiting: Exchange[] = []
  const { port, rejected } = await startListener({
    limits: { idleMs: 40 },
    onFrame: (_payload, exchange) => waiting.push(exchange),
  })
  const busy = await openPeer(port)
  busy.socket.write(framed('long'))
  await until(() => waiting.length === 1)
  const idle = await openPeer(port)
  await idle.ended
  waiting[0]?.answer(Buffer.from('done'))
  await until(() => busy.received() === framed('done'))
  expect(rejected).toEqual([])
})

it('a peer that ignores the end of its connection is dropped', async () => {
  const { port, listener, rejected } = await startListener({ limits: { partialFrameMs: 40 }, onFrame: echo })
  const peer = await openPeer(port)
  peer.socket.write('junk')
  await peer.ended
  expect(rejected).toEqual(['frame-length-not-digits'])
  await until(() => listener.connections === 0)
})

it('a peer that ends within a frame is logged and closed', async () => {
  const { port, listener, rejected } = await startListener({ onFrame: echo })
  const peer = await openPeer(port)
  peer.socket.end('0010abc')
  await peer.ended
  await until(() => listener.connections === 0)
  expect(rejected).toEqual(['frame-truncated'])
})

it('an address has only so many connections, and a place is free again when one closes', async () => {
  const { port, listener, warnings, dropped } = await startListener({ limits: { connectionsPerAddressMax: 2 }, onFrame: echo })
  const first = await openPeer(port)
  const second = await openPeer(port)
  for (const peer of [first, second]) {
    peer.socket.write(framed('in'))
    await until(() => peer.received() === framed('in'))
  }
  const third = await openPeer(port)
  await third.ended
  await (
    await openPeer(port)
  ).ended
  expect(listener.connections).toBe(2)
  expect(dropped).toEqual(['refused', 'refused'])
  expect(warnings).toHaveLength(1)
  first.socket.end()
  await until(() => listener.connections === 1)
  const fourth = await openPeer(port)
  fourth.socket.write(framed('in'))
  await until(() => fourth.received() === framed('in'))
  second.socket.write(framed('too'))
  await until(() => second.received() === framed('in') + framed('too'))
})

it('connections that have said nothing make room for others of their address, the oldest first; those that have keep their place', async () => {
  const { port, listener, dropped, warnings } = await startListener({ limits: { connectionsPerAddressMax: 4 }, onFrame: echo })
  const good = await openPeer(port)
  good.socket.write(framed('in'))
  await until(() => good.received() === framed('in'))
  const silent = await Promise.all(Array.from({ length: 3 }, () => openPeer(port)))
  silent[2]!.socket.write('00')
  for (let come = 1; come <= 3; come++) {
    const terminal = await openPeer(port)
    terminal.socket.write(framed('me too'))
    await until(() => terminal.received() === framed('me too'))
    await until(() => dropped.length === come)
  }
  await Promise.all(silent.map(({ ended }) => ended))
  expect(dropped).toEqual(['made_room', 'made_room', 'made_room'])
  expect(warnings).toHaveLength(1)
  expect(listener.connections).toBe(4)
  good.socket.write(framed('still'))
  await until(() => good.received() === framed('in') + framed('still'))
})

it('who floods has no more in flight than its share, and nobody else waits for it', async () => {
  const { port, pending, heldBack } = await startListener({ limits: { inFlightMax: 12, inFlightShareMin: 2 } })
  const floods = await Promise.all(Array.from({ length: 3 }, () => openPeer(port)))
  for (const { socket } of floods) socket.write(framed('f').repeat(300))
  await until(() => heldBack.count === 3)
  // The first was alone when it came.
  const first = 12 + 2 + 2
  expect(pending).toHaveLength(first)
  const others = await Promise.all(Array.from({ length: 10 }, () => openPeer(port)))
  for (const { socket } of others) socket.write(framed('1') + framed('2'))
  await until(() => pending.length === first + 20)
  for (const { exchange } of pending.splice(first)) exchange.answer(Buffer.from('ok'))
  for (const other of others) await until(() => other.received() === framed('ok').repeat(2))
  let most = 0
  let answered = 0
  while (answered < 900) {
    await until(() => pending.length > 0)
    most = Math.max(most, pending.length)
    pending.shift()?.exchange.answer(Buffer.from('f'))
    answered++
  }
  for (const one of floods) await until(() => one.received() === framed('f').repeat(300))
  expect(most).toBe(first)
})

it('a peer that takes nothing of its answers for too long is dropped, one that takes them is not', async () => {
  const { port, dropped, listener } = await startListener({
    limits: { stalledMs: 100, unsentBytesMax: 65_536 },
    onFrame: (_payload, exchange) => {
      exchange.answer(Buffer.alloc(4000, 0x30))
    },
  })
  const [stalled, good] = [await openPeer(port), await openPeer(port)]
  stalled.socket.pause()
  stalled.socket.write(framed('a').repeat(4000))
  for (let asked = 1; dropped.length === 0; asked++) {
    good.socket.write(framed('b'))
    await until(() => good.received().length === asked * 4004)
  }
  expect(dropped).toEqual(['stalled'])
  await until(() => listener.connections === 1)
})

it('what an address does wrong over and over is counted each time and logged once', async () => {
  const { port, rejected, warnings } = await startListener({ onFrame: echo })
  for (let n = 0; n < 20; n++) {
    const peer = await openPeer(port)
    peer.socket.end(n % 2 === 0 ? 'junk' : '9999')
    await peer.ended
  }
  await until(() => rejected.length === 20)
  expect(warnings).toHaveLength(2)
})

/** Waits until a count no longer changes over many turns of the event loop. */
async function settles(count: () => number): Promise<void> {
  let last = -1
  let still = 0
  await until(() => {
    still = count() === last && last > 0 ? still + 1 : 0
    last = count()
    return still > 50
  })
}
