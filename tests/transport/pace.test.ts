/** How fast a connection is read from, byte for byte, on a clock that the test moves. */
import { expect, it } from 'vitest'
import type { Clock } from '../../src/clock.ts'
import type { Exchange } from '../../src/transport/exchange.ts'
import { LinkPace, Pace, PaceKeepers, type PaceConfig } from '../../src/transport/pace.ts'
import { ManualClock } from '../support/manualClock.ts'
import { framed, openPeer, startListener, until } from './peer.ts'

const echo = (payload: Buffer, exchange: Exchange): void => {
  exchange.answer(payload)
}
/** A token each 50 ms, and 40 at first. */
const connection = { messagesPerSecondMax: 20, messagesBurstMax: 40, held: 'always' as const }
const numbered = (from: number, to: number): string =>
  Array.from({ length: to - from }, (_, n) => framed(String(from + n).padStart(3, '0'))).join('')

it('who sends too fast has its burst at once and the rest at its pace, in order, none lost; nobody else waits', async () => {
  const clock = new ManualClock()
  const { port, paced, counted } = await startListener({ clock, pace: { connection }, onFrame: echo })
  const [fast, other] = [await openPeer(port), await openPeer(port)]
  fast.socket.write(numbered(0, 200))
  await until(() => fast.received() === numbered(0, 40))
  expect([paced.now, counted.received]).toEqual([1, 40])
  other.socket.write(numbered(0, 40))
  await until(() => other.received() === numbered(0, 40))
  clock.pass(49)
  expect(counted.received).toBe(80)
  clock.pass(1)
  expect(counted.received).toBe(81)
  clock.pass(500)
  await until(() => fast.received() === numbered(0, 51))
  expect(counted.received).toBe(91)
  clock.pass(148 * 50)
  await until(() => fast.received() === numbered(0, 199))
  clock.pass(50)
  await until(() => fast.received() === numbered(0, 200))
  expect(paced.now).toBe(0)
  clock.pass(2000)
  fast.socket.write(numbered(0, 60))
  await until(() => fast.received() === numbered(0, 200) + numbered(0, 40))
})

it('a frame that comes in pieces while its connection waits is whole when its turn comes, also where the peer has ended its side', async () => {
  const clock = new ManualClock()
  const limits = { partialFrameMs: 40, idleMs: 40 }
  const { port, paced, rejected, dropped, listener } = await startListener({ clock, pace: { connection }, limits, onFrame: echo })
  const [fast, witness] = [await openPeer(port), await openPeer(port)]
  const sent = numbered(0, 43)
  fast.socket.write(sent.slice(0, -3))
  await until(() => paced.now === 1)
  fast.socket.end(sent.slice(-3))
  // By then whoever could be read from would have been cut off.
  await witness.ended
  await until(() => listener.connections === 1)
  expect(dropped).toEqual(['idle'])
  clock.pass(150)
  await fast.ended
  expect(fast.received()).toBe(sent)
  expect(rejected).toEqual([])
})

it('a connection that has gone, and a listener that closes, leave no timer; what was handed out is answered first', async () => {
  const clock = new ManualClock()
  const pace = { connection, link: { messagesPerSecondMax: 1000, messagesBurstMax: 60 } }
  const { port, paced, pending, listener } = await startListener({ clock, pace })
  const [gone, slow, ofLink] = [await openPeer(port), await openPeer(port), await openPeer(port)]
  gone.socket.write(numbered(0, 41))
  await until(() => paced.now === 1)
  gone.socket.resetAndDestroy()
  await until(() => paced.now === 0)
  expect(clock.timers).toBe(0)
  ofLink.socket.write(numbered(0, 30))
  await until(() => paced.now === 1 && pending.length === 60)
  slow.socket.write(numbered(0, 10))
  await until(() => paced.now === 2)
  for (const peer of [slow, ofLink]) void peer.ended.then(() => peer.socket.end())
  const closed = listener.close()
  expect([paced.now, clock.timers]).toEqual([0, 0])
  expect(pending).toHaveLength(60)
  for (const { exchange } of pending) exchange.answer(Buffer.from('ok'))
  await closed
  expect(ofLink.received()).toBe(framed('ok').repeat(20))
  expect(slow.received()).toBe('')
})

it('connections of a link share its pace equally, and who has sent nothing for a round goes first', async () => {
  const clock = new ManualClock()
  const link = { messagesPerSecondMax: 100, messagesBurstMax: 4 }
  const { port, paced, pending } = await startListener({ clock, pace: { link } })
  const floods = await Promise.all(Array.from({ length: 4 }, () => openPeer(port)))
  for (const [n, { socket }] of floods.entries()) {
    socket.write(framed(String(n)).repeat(50))
    await until(() => paced.ever === n + 1)
  }
  expect(pending.map(({ text }) => text).join('')).toBe('0000')
  const terminal = await openPeer(port)
  clock.pass(60)
  terminal.socket.write(framed('t').repeat(2))
  await until(() => paced.ever === 4 + 6 + 1)
  clock.pass(60)
  // A round first for those that had none; then the terminal, and its second message is in the round as everybody's.
  expect(pending.map(({ text }) => text).join('')).toBe('0000123012t3012t')
})

it('however many come that have sent nothing for a round, who waits has its turn', () => {
  const clock = new ManualClock()
  const linkConfig = { messagesPerSecondMax: 100, messagesBurstMax: 2 }
  const link = new LinkPace(linkConfig, clock)
  const context = { config: { link: linkConfig }, link, keepers: new PaceKeepers(), clock }
  const handed = { waiter: 0, others: 0 }
  const open = (who: keyof typeof handed, messages: number): void => {
    let left = messages
    const pace = new Pace(context, () => {
      while (left > 0 && pace.take()) {
        left--
        handed[who]++
      }
    })
    pace.goOn()
  }
  open('waiter', 10)
  for (let n = 0; n < 40; n++) {
    for (let m = 0; m < 3; m++) open('others', 1)
    clock.pass(10)
  }
  expect(handed.waiter).toBe(10)
  expect(handed.others).toBeGreaterThanOrEqual(30)
})

it('a link keeps its pace also where handing messages out takes time', () => {
  let nowMs = 0
  const due: { readonly atMs: number; readonly run: () => void }[] = []
  const clock: Clock = {
    now: () => (nowMs += 0.25),
    after: (ms, run) => {
      due.push({ atMs: nowMs + ms, run })
      return () => undefined
    },
    soon: () => undefined,
  }
  const linkConfig = { messagesPerSecondMax: 1000, messagesBurstMax: 10 }
  const link = new LinkPace(linkConfig, clock)
  let handed = 0
  for (let n = 0; n < 20; n++) {
    const pace = new Pace({ config: { link: linkConfig }, link, keepers: new PaceKeepers(), clock }, () => {
      while (pace.take()) handed++
    })
    pace.goOn()
  }
  for (let next = due.shift(); next !== undefined && nowMs < 1000; next = due.shift()) {
    nowMs = Math.max(nowMs, next.atMs)
    next.run()
  }
  expect(handed).toBeGreaterThan(900)
  expect(handed).toBeLessThanOrEqual(10 + nowMs)
})

it('who sends too fast waits only while there is somebody who does not', async () => {
  const clock = new ManualClock()
  const pace = { connection: { ...connection, held: 'while-others-send' as const } }
  const { port, counted, paced } = await startListener({ clock, pace, onFrame: echo })
  const [fast, terminal] = [await openPeer(port), await openPeer(port)]
  fast.socket.write(numbered(0, 500))
  await until(() => fast.received() === numbered(0, 500))
  terminal.socket.write(numbered(0, 1))
  await until(() => counted.received === 501)
  fast.socket.write(numbered(0, 200))
  await until(() => paced.now === 1)
  clock.pass(500)
  expect(counted.received).toBe(501 + 10)
  clock.pass(1500)
  expect(counted.received).toBe(501 + 40)
  clock.pass(50)
  await until(() => counted.received === 501 + 200)
  expect(paced.now).toBe(0)
})

it('connections that all send too fast hold one another back no longer than their first tokens last', async () => {
  const clock = new ManualClock()
  const pace = { connection: { ...connection, held: 'while-others-send' as const } }
  const { port, counted } = await startListener({ clock, pace, onFrame: echo })
  const fast = await Promise.all(Array.from({ length: 8 }, () => openPeer(port)))
  for (const { socket } of fast) socket.write(numbered(0, 100))
  await until(() => counted.received >= 8 * 40)
  clock.pass(50)
  for (const peer of fast) await until(() => peer.received() === numbered(0, 100))
})

it('a clock that is put back costs nobody more than the time of a token', () => {
  let nowMs = 3_600_000
  const clock: Clock = { now: () => nowMs, after: () => () => undefined, soon: () => undefined }
  const config: PaceConfig = { connection: { ...connection, messagesBurstMax: 2 } }
  const pace = new Pace({ config, link: undefined, keepers: new PaceKeepers(), clock }, () => undefined)
  expect([pace.take(), pace.take()]).toEqual([true, true])
  nowMs = 0
  expect(pace.take()).toBe(false)
  pace.goOn()
  nowMs = 50
  expect(pace.take()).toBe(true)
})
