/**
 * Two switch processes lose Postgres (kill -9), go on with bread from their journals, and are killed themselves: one while it tells, the other while it drains. What was
 * told must be in the ledger once, whoever drains it, and repeats get the same answer all through.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Client } from 'pg'
import { afterAll, expect, test, vi } from 'vitest'
import { systemClock } from '../../src/clock.ts'
import { loadConfig, type Config } from '../../src/config.ts'
import { migrate } from '../../src/ledger/migrate.ts'
import { freePort } from '../../src/local/ports.ts'
import { startPostgres, type Postgres } from '../../src/local/postgres.ts'
import { demoCard } from '../../src/programme/demo.ts'
import { seedProgramme } from '../../src/programme/seed.ts'
import { keyOf } from '../authorize/books.ts'
import { bread } from '../authorize/subsidies.ts'
import { createPostgresServer, createRedisServer, temporaryDirectory } from '../support/stack.ts'
import { compose, TestLink, type Sent } from '../support/switch.ts'

const HOUSEHOLDS = 80
/** From here on the demo programme's cards are plain ones. */
const FIRST = 21
const PATIENCE = { timeout: 60_000, interval: 20 }
const directory = temporaryDirectory()
const journals = join(directory, 'standin')
const children: ChildProcess[] = []
let postgres: Postgres | undefined

afterAll(async () => {
  for (const child of children.filter(({ exitCode, signalCode }) => exitCode === null && signalCode === null)) {
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
  await postgres?.stop()
})

test('killed while it tells and while it drains: what was told is posted once', { timeout: 120_000 }, async () => {
  const [first, redis] = await Promise.all([createPostgresServer(), createRedisServer()])
  const servers = { DATABASE_URL: first.url, REDIS_URL: redis.url }
  const config = loadConfig(servers)
  await migrate(first.url)
  await seedProgramme(first.url, { ...config, households: FIRST + HOUSEHOLDS, nowMs: Date.now() })
  const one = await startSwitch(servers, config)
  const other = await startSwitch(servers, config)
  // Terminals are known from now on.
  for (const { link } of [one, other]) await link.ask('0200', bread(demoCard(FIRST).pan, 999))

  first.kill()
  await first.ended
  await vi.waitUntil(async () => !(await one.ready()) && !(await other.ready()), PATIENCE)
  const sent = Array.from({ length: HOUSEHOLDS }, (_, index) =>
    compose(systemClock, '0200', bread(demoCard(FIRST + index).pan, 5)),
  )
  const told = new Map<Sent, string>()
  const asked = sent.map((message, index) => tell(index % 2 === 0 ? one.link : other.link, message, told))
  await vi.waitUntil(() => told.size > HOUSEHOLDS / 4, { ...PATIENCE, interval: 1 })
  one.child.kill('SIGKILL')
  await Promise.all(asked)
  const before = new Map(told)
  // The repeats of what it told, and of what it died with, are told by the other: no 0201 of a key that nobody has seen is answered.
  await Promise.race([
    Promise.all(sent.map((message) => tell(other.link, { ...message, mti: '0201' }, told, message))),
    settled(told),
  ])
  for (const [message, code] of before) expect(told.get(message)).toBe(code)
  expect([...told.values()].filter((code) => code === '00').length).toBeGreaterThan(HOUSEHOLDS / 4)

  postgres = await startPostgres({ directory: first.directory, port: first.port })
  const client = new Client({ connectionString: first.url })
  await client.connect()
  await vi.waitUntil(
    async () => (await client.query('SELECT FROM "authorization" WHERE stood_in_at IS NOT NULL')).rows.length > 5,
    PATIENCE,
  )
  other.child.kill('SIGKILL')
  await once(other.child, 'exit')
  const third = await startSwitch(servers, config)
  await vi.waitUntil(() => files() === 0, PATIENCE)
  for (const [message, code] of told) expect((await third.link.send({ ...message, mti: '0201' })).text(39)).toBe(code)

  const { rows } = await client.query<{ key: string; count: string }>(
    `SELECT rtrim(key, '|F') AS key, count(*) FROM "authorization" WHERE kind = 13 AND response_code = '00' GROUP BY 1`,
  )
  await client.end()
  const posted = new Map(rows.map(({ key, count }) => [key, count]))
  for (const [message, code] of told) expect([code, posted.get(keyOf(message))]).toEqual([code, code === '00' ? '1' : undefined])
  await vi.waitUntil(async () => (await audit(servers)) === 0, { timeout: 30_000, interval: 500 })
})

async function tell(link: TestLink, message: Sent, told: Map<Sent, string>, as = message): Promise<void> {
  const code = await link.send(message).then(
    (answer) => answer.text(39),
    () => undefined,
  )
  if (code !== undefined && code !== '91') told.set(as, code)
}

/** No more answers come. */
async function settled(told: Map<Sent, string>): Promise<void> {
  for (let size = -1; size !== told.size;) {
    size = told.size
    await new Promise((resolve) => setTimeout(resolve, 300))
  }
}

interface Process {
  readonly child: ChildProcess
  readonly link: TestLink
  ready(): Promise<boolean>
}

async function startSwitch(servers: Readonly<Record<string, string>>, config: Config): Promise<Process> {
  const [pos, http] = [await freePort(), await freePort()]
  const child = spawn(process.execPath, [fileURLToPath(new URL('../../src/main.ts', import.meta.url))], {
    env: {
      ...servers,
      PATH: process.env['PATH'],
      ...{
        SARF_PORT_ATM: '0',
        SARF_PORT_POS: String(pos),
        SARF_PORT_GATEWAY: '0',
        SARF_PORT_SECURE: '0',
        SARF_PORT_HTTP: String(http),
      },
      ...{ SARF_CONFIG: quickSettings(), SARF_STANDIN_DIRECTORY: journals, SARF_LOG_LEVEL: 'silent' },
    },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  children.push(child)
  const ready = async (): Promise<boolean> =>
    await fetch(`http://127.0.0.1:${String(http)}/readyz`).then(
      async (answer) => ((await answer.json()) as { parts: { ledger: { up: boolean } } }).parts.ledger.up,
      () => false,
    )
  await vi.waitUntil(ready, PATIENCE)
  return { child, ready, link: await TestLink.open(config, systemClock, 'pos', pos) }
}

function quickSettings(): string {
  const settings = JSON.parse(readFileSync(new URL('../../config/sarf.json', import.meta.url), 'utf8')) as Record<string, object>
  const file = join(directory, 'sarf.json')
  const sweeper = { everyMs: 200, reservationAgeMs: 2000, batchMax: 256 }
  // One at a time, so that it can be killed in the middle.
  const standIn = { ...settings['standIn'], drainEveryMs: 20, drainBatchMax: 1 }
  const authorization = { ...settings['authorization'], deadlineMs: 1500 }
  writeFileSync(
    file,
    JSON.stringify({ ...settings, sweeper, standIn, authorization, jobs: { ...settings['jobs'], enabled: false } }),
  )
  return file
}

async function audit(servers: Readonly<Record<string, string>>): Promise<number | null> {
  const script = fileURLToPath(new URL('../../src/cli/sarf.ts', import.meta.url))
  const command = spawn(process.execPath, [script, 'audit', '--json'], { env: { ...process.env, ...servers }, stdio: 'ignore' })
  const [code] = (await once(command, 'close')) as [number | null]
  return code
}

function files(): number {
  return readdirSync(journals, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.journal')).length
}
