/** Lengths that lie, for each framing, with a neighbour that must not notice. */
import { describe, expect, it } from 'vitest'
import type { Exchange } from '../../src/transport/exchange.ts'
import type { Framing } from '../../src/transport/framing.ts'
import { openPeer, startListener, until } from './peer.ts'

const echo = (payload: Buffer, exchange: Exchange): void => {
  exchange.answer(payload)
}

/** A frame of the framing around five bytes. */
const GOOD: Readonly<Record<Framing, string>> = {
  length2: '\0\x05hello',
  'length2-tpdu': '\0\x0a\x60\0\x01\0\x02hello',
  length4: '0005hello',
}
const ANSWER: Readonly<Record<Framing, string>> = { ...GOOD, 'length2-tpdu': '\0\x0a\x60\0\x02\0\x01hello' }

describe.each<Framing>(['length2', 'length2-tpdu', 'length4'])('%s', (framing) => {
  const two = framing !== 'length4'

  it.each([
    ['a length bomb', two ? '\xff\xff' : '9999', 'frame-too-long'],
    ['a length one above the limit', two ? '\x10\x01' : '4097', 'frame-too-long'],
    ['a zero length', two ? '\0\0' : '0000', 'frame-empty'],
    ['zero lengths without end', (two ? '\0\0' : '0000').repeat(10_000), 'frame-empty'],
  ])('%s closes its connection at once, after what came before it was answered, and no other one', async (_, bomb, reason) => {
    const { port, rejected, counted, listener } = await startListener({ framing, onFrame: echo })
    const neighbour = await openPeer(port)
    const attacker = await openPeer(port)
    attacker.socket.write(Buffer.from(GOOD[framing] + bomb, 'latin1'))
    await attacker.ended
    expect(attacker.received()).toBe(ANSWER[framing])
    expect(rejected).toEqual([reason])
    attacker.socket.destroy()
    await until(() => listener.connections === 1)
    neighbour.socket.write(Buffer.from(GOOD[framing], 'latin1'))
    await until(() => neighbour.received() === ANSWER[framing])
    expect(counted.received).toBe(2)
  })

  it('one byte at a time of a long frame, on many connections, keeps no other from its answers', async () => {
    const { port, rejected, listener } = await startListener({ framing, limits: { partialFrameMs: 100 }, onFrame: echo })
    const slow = await Promise.all(Array.from({ length: 50 }, () => openPeer(port)))
    for (const { socket } of slow) socket.write(two ? '\x0f\xff' : '4000')
    const drip = setInterval(() => {
      for (const { socket } of slow) if (socket.writable) socket.write('0')
    }, 10)
    const good = await openPeer(port)
    let asked = 0
    while (listener.connections > 1) {
      good.socket.write(Buffer.from(GOOD[framing], 'latin1'))
      asked++
      await until(() => good.received() === ANSWER[framing].repeat(asked))
      if (rejected.length === slow.length) for (const { socket } of slow) socket.end()
    }
    clearInterval(drip)
    expect(rejected).toEqual(Array(50).fill('partial-frame-deadline'))
  })
})

it('a TPDU without a message behind it is an empty frame', async () => {
  const { port, rejected } = await startListener({ framing: 'length2-tpdu', onFrame: echo })
  const peer = await openPeer(port)
  peer.socket.write(Buffer.from('00056000010002', 'hex'))
  await peer.ended
  expect(rejected).toEqual(['frame-empty'])
})
