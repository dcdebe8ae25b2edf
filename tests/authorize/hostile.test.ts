import { randomBytes } from 'node:crypto'
import { createConnection, type Socket } from 'node:net'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { demoPan, FIRST_PLAIN_HOUSEHOLD } from '../../src/programme/demo.ts'
import { amount, compose, startTestSwitch, until, type Sent, type TestLink, type TestSwitch } from '../support/switch.ts'
import { expectCleanBooks, purseOf } from './books.ts'

let running: TestSwitch
let good: TestLink
const sockets: Socket[] = []

beforeAll(async () => {
  running = await startTestSwitch({
    demoHouseholds: 500,
    configure: (config) => ({
      ...config,
      transport: { ...config.transport, inFlightMax: 64 },
      authorization: { ...config.authorization, deadlineMs: 30_000 },
    }),
  })
  good = await running.connect('pos')
})

afterAll(async () => {
  for (const socket of sockets) socket.destroy()
  await expectCleanBooks(running)
})

/** A bare connection; `closed` once the switch has ended it. */
async function open(name: string): Promise<{ socket: Socket; closed: () => boolean }> {
  const socket = createConnection({ host: running.config.host, port: running.portOf(name), noDelay: true })
  sockets.push(socket)
  let closed = false
  socket.on('error', () => undefined)
  socket.on('close', () => (closed = true))
  socket.resume()
  await new Promise((resolve) => socket.once('connect', resolve))
  return { socket, closed: () => closed }
}

/** While something happens on other connections, this one buys. */
async function expectGoodService(): Promise<void> {
  const card = await running.openCard({ balance: 1000 })
  const answers = await Promise.all(Array.from({ length: 10 }, () => good.ask('0200', { 2: card.pan, 4: amount(100) })))
  expect(new Set(answers.map((answer) => answer.text(39)))).toEqual(new Set(['00']))
  expect(await purseOf(running, card)).toEqual({ balance: 0, held: 0 })
}

it.each(['atm', 'pos', 'gateway'])('bytes without sense on the %s link end their own connection only', async (name) => {
  const peers = await Promise.all(Array.from({ length: 20 }, () => open(name)))
  for (const { socket } of peers) socket.write(Buffer.concat([Buffer.from([0xff, 0xff]), randomBytes(3000)]))
  await Promise.all([expectGoodService(), until(() => peers.every(({ closed }) => closed()))])
})

it.each<[string, Buffer]>([
  ['atm', Buffer.concat([Buffer.from([0, 64]), randomBytes(64)])],
  ['pos', Buffer.concat([Buffer.from([0, 64]), Buffer.from('6000010002', 'hex'), randomBytes(59)])],
  ['gateway', Buffer.concat([Buffer.from('0064'), randomBytes(64)])],
])('a frame of noise on the %s link closes it', async (name, frame) => {
  const { socket, closed } = await open(name)
  socket.write(frame)
  await until(closed)
  await expectGoodService()
})

it('half a frame keeps nobody else waiting, and is nothing when its connection ends', async () => {
  const card = await running.openCard({ balance: 1000 })
  const link = await running.connect('atm')
  const payload = link.encode(compose(running.clock, '0200', { 2: card.pan, 4: amount(100) }))
  const frame = Buffer.concat([Buffer.from([0, payload.length]), payload])
  for (const end of [1, 2, 10, frame.length - 1]) {
    const { socket } = await open('atm')
    socket.write(frame.subarray(0, end))
    await expectGoodService()
    socket.destroy()
  }
  expect(await purseOf(running, card)).toEqual({ balance: 1000, held: 0 })
})

it('a frame that comes byte by byte is answered', async () => {
  const card = await running.openCard({ balance: 1000 })
  const link = await running.connect('atm')
  const payload = link.encode(compose(running.clock, '0200', { 2: card.pan, 4: amount(100) }))
  const { socket } = await open('atm')
  const received: Buffer[] = []
  socket.on('data', (chunk: Buffer) => received.push(chunk))
  for (const byte of Buffer.concat([Buffer.from([0, payload.length]), payload])) {
    socket.write(Buffer.of(byte))
    await new Promise((resolve) => setImmediate(resolve))
  }
  await until(() => Buffer.concat(received).includes('0210'))
  expect(await purseOf(running, card)).toEqual({ balance: 900, held: 0 })
})

it('a purchase whose sender is gone is decided all the same, and its repeat is answered', async () => {
  const card = await running.openCard({ balance: 1000 })
  const link = await running.connect('pos')
  const sent = compose(running.clock, '0200', { 2: card.pan, 4: amount(100) })
  link.client.send(link.encode(sent))
  await link.client.close()
  expect((await good.send({ ...sent, mti: '0201' })).text(39)).toBe('00')
  expect(await purseOf(running, card)).toEqual({ balance: 900, held: 0 })
})

it('answers come to whoever asked, however many links use the same trace numbers', async () => {
  const cards = await Promise.all(Array.from({ length: 3 }, () => running.openCard({ balance: 1000 })))
  const links = await Promise.all(cards.map(() => running.connect('pos')))
  const answers = await Promise.all(
    cards.map((card, i) => links[i]!.ask('0200', { 2: card.pan, 4: amount(100 + i), 11: '000007', 41: `POS0000${i + 1}` })),
  )
  expect(answers.map((answer) => [answer.text(2), answer.text(4), answer.text(39)])).toEqual(
    cards.map((card, i) => [card.pan, amount(100 + i), '00']),
  )
})

it('who floods waits for itself: terminals beside it, and beside a crowd that says nothing or breaks off, are answered before it is', async () => {
  const links = await Promise.all(Array.from({ length: 20 }, () => running.connect('atm')))
  const floods = await Promise.all(Array.from({ length: 4 }, () => open('atm')))
  const crowd = await Promise.all(Array.from({ length: 100 }, () => open('atm')))
  for (const [index, { socket }] of crowd.entries())
    if (index % 2 === 0) socket.write(index % 4 === 0 ? '0' : Buffer.of(0xff, 0xff))
  const posted = async (): Promise<number> =>
    (await running.sql<{ count: number }>(`SELECT count(*)::int AS count FROM "authorization" WHERE kind = 1`))[0]?.count ?? 0
  const before = await posted()
  let household = FIRST_PLAIN_HOUSEHOLD
  const purchase = (): Sent => compose(running.clock, '0200', { 2: demoPan(household++), 4: amount(10) })
  const frame = (): Buffer => {
    const payload = links[0]!.encode(purchase())
    return Buffer.concat([Buffer.of(payload.length >> 8, payload.length & 0xff), payload])
  }
  for (const { socket } of floods) socket.write(Buffer.concat(Array.from({ length: 100 }, frame)))
  const answers = await Promise.all(links.map((link) => link.send(purchase())))
  expect(await posted()).toBeLessThan(before + floods.length * 100)
  expect(new Set(answers.map((answer) => answer.text(39)))).toEqual(new Set(['00']))
  await until(() => crowd.filter(({ closed }) => closed()).length === 25)
  await until(async () => (await posted()) === before + floods.length * 100 + links.length)
})
