/** `node src/main.ts --workers 2` as an operator runs it: real processes on a real Postgres and Redis. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Pool } from 'pg'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { systemClock } from '../../src/clock.ts'
import { loadConfig, type Config } from '../../src/config.ts'
import { audit } from '../../src/ledger/audit.ts'
import { freePort } from '../../src/local/ports.ts'
import { silentLogger } from '../../src/log.ts'
import { startSwitch } from '../../src/main.ts'
import { demoPinBlock } from '../../src/programme/demoVerification.ts'
import { openCard, type TestCard } from '../support/openHousehold.ts'
import { createDatabase, createRedis, temporaryDirectory } from '../support/stack.ts'
import { StubbornTerminals, type JournalEntry } from '../support/stubbornTerminals.ts'
import { amount, at, compose, TestLink, type Fields } from '../support/switch.ts'

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url))
const PATIENCE = { timeout: 100_000, interval: 20 }
const HOUSEHOLDS = 300
const folder = temporaryDirectory()
const settingsFile = join(folder, 'sarf.json')

let environment: Record<string, string>
let config: Config
let group: Group
let pool: Pool

/** The primary process, and what it and its workers have said. */
interface Group {
  readonly child: ChildProcess
  readonly ended: Promise<number | null>
  said(): string
  /** Living workers by slot. */
  workers(): ReadonlyMap<number, number>
}

beforeAll(async () => {
  const [databaseUrl, redisUrl, atm, http] = await Promise.all([createDatabase(), createRedis(), freePort(), freePort()])
  environment = {
    PATH: process.env['PATH'] ?? '',
    DATABASE_URL: databaseUrl,
    REDIS_URL: redisUrl,
    SARF_CONFIG: settingsFile,
    SARF_PORT_ATM: String(atm),
    SARF_PORT_POS: '0',
    SARF_PORT_GATEWAY: '0',
    SARF_PORT_SECURE: '0',
    SARF_PORT_HTTP: String(http),
  }
  writeFileSync(settingsFile, JSON.stringify(settings()))
  config = loadConfig(environment)
  pool = new Pool({ connectionString: databaseUrl, max: 2 })
  // On one database that holds nothing yet, at once: one of them makes the programme, and the other does not stumble over it.
  const alone: Config = {
    ...config,
    http: { ...config.http, port: 0 },
    links: config.links.map((link) => ({ ...link, port: 0 })),
    // Both are in this process, which is busy with the programme.
    ledger: { ...config.ledger, statementMs: 60_000 },
  }
  const both = await Promise.all([1, 2].map(() => startSwitch(alone, { log: silentLogger })))
  await Promise.all(both.map((running) => running.drain()))
  group = run(['--workers', '2'])
  await vi.waitUntil(() => group.workers().size === 2, PATIENCE)
  await bothListen()
}, 120_000)

afterAll(async () => {
  if (group.child.exitCode === null && group.child.signalCode === null) group.child.kill('SIGTERM')
  await group.ended
  await pool.end()
})

function settings(): Record<string, unknown> {
  const shipped = JSON.parse(readFileSync(new URL('../../config/sarf.json', import.meta.url), 'utf8')) as Record<string, unknown>
  return {
    ...shipped,
    jobs: { ...(shipped['jobs'] as object), enabled: false },
  }
}

function run(args: readonly string[], changes: Record<string, string> = {}): Group {
  const child = spawn(process.execPath, [MAIN, ...args], {
    env: { ...environment, ...changes },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let said = ''
  child.stderr.on('data', (bytes: Buffer) => (said += bytes.toString()))
  const ended = once(child, 'close').then(([code]) => code as number | null)
  const workers = (): ReadonlyMap<number, number> => {
    const started = [...said.matchAll(/"worker":(\d+),[^\n]*"pid":(\d+)/g)].map(
      ([, slot, pid]) => [Number(slot), Number(pid)] as const,
    )
    return new Map(started.filter(([, pid]) => isAlive(pid)))
  }
  return { child, ended, said: () => said, workers }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

/** A connection that was handed to a worker as it died stays open and silent: as terminals do, it is given up and made anew. */
async function get(path: string): Promise<string> {
  const url = `http://127.0.0.1:${environment['SARF_PORT_HTTP'] ?? ''}${path}`
  for (;;) {
    try {
      return await (await fetch(url, { signal: AbortSignal.timeout(5000) })).text()
    } catch (error) {
      if (!(error instanceof DOMException && error.name === 'TimeoutError')) throw error
    }
  }
}

async function metric(name: string): Promise<number[]> {
  const lines = (await get('/metrics')).split('\n').filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`))
  return lines.map((line) => Number(line.split(' ').at(-1)))
}

async function bothListen(): Promise<void> {
  const listening = async (): Promise<boolean> => {
    const answer = await get('/readyz').catch(() => '{}')
    return (JSON.parse(answer) as { parts?: { workers?: { up: boolean } } }).parts?.workers?.up === true
  }
  await vi.waitUntil(listening, PATIENCE)
}

/** As many connections to one worker as to the other: the primary hands them out in turn. */
async function openLinks(count: number): Promise<TestLink[]> {
  const links: TestLink[] = []
  for (let opened = 0; opened < count; opened++)
    links.push(await TestLink.open(config, systemClock, 'atm', Number(environment['SARF_PORT_ATM'])))
  return links
}

const sql = async <Row extends object>(text: string, values: readonly unknown[] = []): Promise<Row[]> =>
  (await pool.query<Row & Record<string, unknown>>(text, [...values])).rows

async function balanceOf({ purseId }: TestCard): Promise<number> {
  const [row] = await sql<{ balance: string }>('SELECT balance FROM purse WHERE id = $1', [purseId])
  return Number(row?.balance)
}

const newCard = (balance: number): Promise<TestCard> =>
  openCard({ sql: pool, config, clock: systemClock, vault: undefined }, { balance })

function countsOf(codes: readonly (string | undefined)[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const code of codes) counts[code ?? 'none'] = (counts[code ?? 'none'] ?? 0) + 1
  return counts
}

const purchase = (card: TestCard, fields: Fields): ReturnType<typeof compose> =>
  compose(systemClock, '0200', { 2: card.pan, ...at('POS00001'), ...fields })

it('two that started at once on an empty database made one programme', async () => {
  expect(await sql('SELECT count(*)::int AS count FROM household WHERE id <= 1000')).toEqual([{ count: 1000 }])
})

it('workers share the load, and what they measure is told as one', async () => {
  const before = (await metric('sarf_frames_total{link="atm",result="answered"}'))[0] ?? 0
  const links = await openLinks(10)
  await Promise.all(links.map((link) => link.ask('0800', { 70: '301' })))
  // In turn, but for one that was busy at that moment.
  const [one = 0, other = 0] = await metric('sarf_worker_connections')
  expect([one + other, Math.min(one, other) >= 3]).toEqual([10, true])
  expect(await metric('sarf_connections{link="atm"}')).toEqual([10])
  expect(await metric('sarf_frames_total{link="atm",result="answered"}')).toEqual([before + 10])
  expect(await metric('sarf_ledger_up')).toEqual([1])
  expect(await metric('sarf_workers_listening')).toEqual([2])
  for (const link of links) link.client.destroy()
})

it('the same messages to both at once are posted once and answered alike', async () => {
  const [links, card] = [await openLinks(4), await newCard(100_000)]
  for (let round = 0; round < 10; round++) {
    const sent = purchase(card, { 4: amount(100) })
    const answers = await Promise.all(links.map((link) => link.send(sent)))
    expect(new Set(answers.map((answer) => `${answer.text(39) ?? ''} ${answer.text(38) ?? ''}`)).size).toBe(1)
    expect(answers[0]?.text(39)).toBe('00')
  }
  expect(await balanceOf(card)).toBe(100_000 - 10 * 100)
  for (const link of links) link.client.destroy()
})

it('one purse, many connections to both: approved as far as the balance goes, and no further', async () => {
  const [links, card] = [await openLinks(12), await newCard(60_500)]
  const answers = await Promise.all(
    Array.from({ length: 120 }, (_, n) => links[n % links.length]!.send(purchase(card, { 4: amount(1000) }))),
  )
  expect(countsOf(answers.map((answer) => answer.text(39)))).toEqual({ '00': 60, '51': 60 })
  expect(await balanceOf(card)).toBe(500)
  for (const link of links) link.client.destroy()
})

it('wrong PINs at both at once: no more are told apart than the card has tries', async () => {
  const [links, card] = [await openLinks(8), await newCard(60_000)]
  const wrong = demoPinBlock(card.pan, '0000').toString('hex').toUpperCase()
  const answers = await Promise.all(
    links.map((link) => link.send(purchase(card, { 3: '010000', 4: amount(1000), ...at('atm'), 52: wrong }))),
  )
  expect(countsOf(answers.map((answer) => answer.text(39)))).toEqual({ '55': 3, '75': 5 })
  for (const link of links) link.client.destroy()
})

it('workers that are killed, all at once, come back in their slots, and what was counted still counts', async () => {
  const links = await openLinks(4)
  await Promise.all(links.map((link) => link.ask('0800', { 70: '301' })))
  const answered = (await metric('sarf_frames_total{link="atm",result="answered"}'))[0] ?? 0
  const before = group.workers()
  for (const pid of before.values()) process.kill(pid, 'SIGKILL')
  await vi.waitUntil(() => ![...before.values()].some(isAlive) && group.workers().size === 2, PATIENCE)
  await bothListen()
  for (const slot of [1, 2]) expect(group.workers().get(slot)).not.toBe(before.get(slot))
  expect(await metric('sarf_frames_total{link="atm",result="answered"}')).toEqual([answered])
  expect(await metric('sarf_worker_starts_total{why="died"}')).toEqual([2])
  for (const link of links) link.client.destroy()
})

it(
  'restarted one after the other under load: every message is answered at the first or the second try',
  { timeout: 120_000 },
  async () => {
    const before = group.workers()
    const opening = await sql<{ id: string; balance: string }>('SELECT id, balance FROM purse WHERE kind = 1')
    const port = Number(environment['SARF_PORT_ATM'])
    // As terminals are: what is not answered within the switch's own deadline is repeated, and what its connection did not live to answer.
    const terminals = new StubbornTerminals({
      port,
      terminals: 8,
      households: HOUSEHOLDS,
      inFlight: 2,
      repeatAfterMs: 12_000,
      pauseMs: 40,
    })
    terminals.start()
    await vi.waitUntil(() => terminals.approved >= 300, PATIENCE)
    group.child.kill('SIGUSR2')
    await vi.waitUntil(() => group.said().includes('rolling restart is done'), PATIENCE)
    const during = terminals.approved
    await vi.waitUntil(() => terminals.approved >= during + 300, PATIENCE)
    await terminals.finish()

    const after = group.workers()
    expect(after.size).toBe(2)
    for (const pid of after.values()) expect([...before.values()]).not.toContain(pid)
    expect(terminals.journal.filter(({ responseCode, sent }) => responseCode === undefined || sent > 2)).toEqual([])
    await expectInLedger(terminals.journal, new Map(opening.map(({ id, balance }) => [Number(id), Number(balance)])))
  },
)

/** Each answer is the decision in the ledger, and each purse has lost what its terminals were told. */
async function expectInLedger(journal: readonly JournalEntry[], opening: ReadonlyMap<number, number>): Promise<void> {
  const posted = new Map(
    (
      await sql<{ key: string; code: string }>('SELECT key, response_code AS code FROM "authorization" WHERE key = ANY ($1)', [
        journal.map(({ key }) => key),
      ])
    ).map(({ key, code }) => [key, code]),
  )
  const spent = new Map<number, number>()
  for (const { key, purseId, amount: asked, responseCode } of journal) {
    expect([key, posted.get(key)]).toEqual([key, responseCode])
    if (responseCode === '00') spent.set(purseId, (spent.get(purseId) ?? 0) + asked)
  }
  const purses = await sql<{ id: string; balance: string }>('SELECT id, balance FROM purse WHERE id = ANY ($1)', [
    [...spent.keys()],
  ])
  for (const { id, balance } of purses)
    expect([id, Number(balance)]).toEqual([id, (opening.get(Number(id)) ?? 0) - (spent.get(Number(id)) ?? 0)])
}

it('SIGHUP is followed by all workers', async () => {
  group.child.kill('SIGHUP')
  const count = (): number => group.said().split('certificates were read again').length - 1
  await vi.waitUntil(() => count() === 2, PATIENCE)
})

it('SIGTERM drains all workers, and the books are clean', async () => {
  const [links, card] = [await openLinks(4), await newCard(60_000)]
  const answers = links.map(async (link) =>
    (await link.send(purchase(card, { 4: amount(100) })).catch(() => undefined))?.text(39),
  )
  await Promise.race(answers)
  group.child.kill('SIGTERM')
  // Ctrl-C comes more than once.
  group.child.kill('SIGINT')
  // What had come in was answered, what had not was never begun.
  const { '00': approved = 0, none = 0 } = countsOf(await Promise.all(answers))
  expect(approved + none).toBe(4)
  expect(await group.ended).toBe(0)
  expect(group.workers().size).toBe(0)
  expect(await balanceOf(card)).toBe(60_000 - 100 * approved)
  const report = await audit({
    databaseUrl: environment['DATABASE_URL'] ?? '',
    clock: systemClock,
    holdGraceMs: 60_000,
    reservationAgeMs: 60_000,
  })
  expect(report.checks.filter(({ ok }) => !ok)).toEqual([])
})

it('SIGTERM while the first worker is being started ends all with 0', async () => {
  const starting = run(['--workers', '2'])
  await vi.waitUntil(() => starting.workers().size === 1, PATIENCE)
  starting.child.kill('SIGTERM')
  expect(await starting.ended).toBe(0)
  expect(starting.workers().size).toBe(0)
  expect(starting.said()).not.toMatch(/^sarf:/m)
})

it.each([
  [
    'a number of workers that is none',
    'many',
    {},
    /^sarf: SARF_WORKERS \(--workers\) must be a number from 1 to 64, not "many"\n$/,
  ],
  ['a database that is not there', '3', { DATABASE_URL: 'postgres://127.0.0.1:1/nowhere' }, /^sarf: [^\n]*ECONNREFUSED[^\n]*\n$/],
])('says once, and ends, that it was given %s', async (_what, workers, changes, message) => {
  const failing = run(['--workers', workers], { SARF_LOG_LEVEL: 'silent', ...changes })
  expect(await failing.ended).toBe(1)
  expect(failing.said()).toMatch(message)
})
