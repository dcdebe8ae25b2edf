/** The ledger's server is destroyed and restored, as spec/operations.md has it, while Redis and the switch go on. */
import { rmSync } from 'node:fs'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { audit } from '../../src/ledger/audit.ts'
import type { Postgres } from '../../src/local/postgres.ts'
import { booked, purseOf } from '../authorize/books.ts'
import { archiveAll, createArchive, restoreBackup, takeBaseBackup } from '../support/baseBackup.ts'
import { createPostgresServer } from '../support/stack.ts'
import {
  amount,
  compose,
  startTestSwitch,
  until,
  type Sent,
  type TestCard,
  type TestLink,
  type TestSwitch,
} from '../support/switch.ts'

const BALANCE = 1_000_000
const PRICE = 100
const CARDS = 4

let running: TestSwitch
let pos: TestLink
let cards: TestCard[]
let restored: Postgres | undefined
const archive = createArchive()
const server = await createPostgresServer(archive.settings)

beforeAll(async () => {
  running = await startTestSwitch({
    databaseUrl: server.url,
    configure: (config) => ({ ...config, ledger: { ...config.ledger, reconnectMs: 50 } }),
  })
  pos = await running.connect('pos')
  cards = await Promise.all(Array.from({ length: CARDS }, () => running.openCard({ balance: BALANCE })))
})

afterAll(async () => {
  await restored?.stop()
})

async function buy(card: TestCard): Promise<Sent> {
  const sent = compose(running.clock, '0200', { 2: card.pan, 4: amount(PRICE) })
  expect((await pos.send(sent)).text(39)).toBe('00')
  return sent
}

/** Each card buys, one purchase after the other. */
function keepBuying(): { readonly approved: Sent[]; stop(): Promise<void> } {
  const approved: Sent[] = []
  let stopping = false
  const done = Promise.all(
    cards.map(async (card) => {
      while (!stopping) approved.push(await buy(card))
    }),
  )
  return {
    approved,
    async stop() {
      stopping = true
      await done
    },
  }
}

async function epoch(): Promise<number> {
  const [row] = await running.sql<{ epoch: string }>('SELECT epoch FROM shard_epoch')
  return Number(row?.epoch)
}

const ready = async (): Promise<boolean> => (await fetch(`http://127.0.0.1:${running.portOf('http')}/readyz`)).ok

it('what was archived is there again, what was not is told apart, and a Redis that knows more is not believed', async () => {
  const load = keepBuying()
  await until(() => load.approved.length >= 20)
  const backup = await takeBaseBackup(server.url, server.directory)
  const during = load.approved.length
  await until(() => load.approved.length >= during + 20)
  await load.stop()
  await archiveAll(running)
  const before = await epoch()
  const kept = load.approved
  const lost = await Promise.all(cards.map(buy))

  server.kill()
  await server.ended
  rmSync(server.directory, { recursive: true })
  restored = await restoreBackup(backup, archive.directory, server.port)
  await until(ready)
  await until(async () => (await epoch()) > before)

  for (const sent of kept) expect(await booked(running, sent)).toMatchObject({ code: '00' })
  for (const sent of lost) expect(await booked(running, sent)).toBeUndefined()
  const spent = (await Promise.all(cards.map((card) => purseOf(running, card)))).reduce(
    (sum, { balance }) => sum + BALANCE - balance,
    0,
  )
  expect(spent).toBe(kept.length * PRICE)
  // All of a purse can be spent, although Redis had seen less in it.
  const [first] = cards
  const rest = (await purseOf(running, first!)).balance
  expect((await pos.ask('0200', { 2: first!.pan, 4: amount(rest) })).text(39)).toBe('00')
  // A terminal that sends what it knows to be approved brings it back.
  const last = lost.at(-1)!
  expect((await pos.send(last)).text(39)).toBe('00')
  expect(await booked(running, last)).toMatchObject({ code: '00', approved: PRICE })

  // Redis is told of the last commits with the next ones, or as a switch starts.
  await running.restart()
  const { databaseUrl, clock } = running
  const report = await audit({ databaseUrl, redisUrl: running.redis.url, clock, holdGraceMs: 60_000, reservationAgeMs: 60_000 })
  expect(report.checks.filter((check) => !check.ok)).toEqual([])
})
