/**
 * The switch, Redis and Postgres are killed with kill -9 under load and started again. What the terminals were told must be what the ledger
 * holds: nothing approved is missing, nothing is double, nothing refused was posted, no reservation stays.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Client } from 'pg'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { systemClock } from '../../src/clock.ts'
import { loadConfig } from '../../src/config.ts'
import { HotState } from '../../src/decision/hotState.ts'
import { LedgerConnection } from '../../src/ledger/connection.ts'
import { epochStore } from '../../src/ledger/epochs.ts'
import { migrate } from '../../src/ledger/migrate.ts'
import { freePort } from '../../src/local/ports.ts'
import { startPostgres } from '../../src/local/postgres.ts'
import { startRedis } from '../../src/local/redis.ts'
import { silentLogger } from '../../src/log.ts'
import { demoCard } from '../../src/programme/demo.ts'
import { purseIdOfHousehold, seedProgramme } from '../../src/programme/seed.ts'
import { createPostgresServer, createRedisServer, temporaryDirectory } from '../support/stack.ts'
import { StubbornTerminals, type JournalEntry } from '../support/stubbornTerminals.ts'

const HOUSEHOLDS = 300
/** Of the heads' cash purses, which are those that the terminals buy with. */
const OPENING = new Map(
  Array.from({ length: HOUSEHOLDS }, (_, index) => [purseIdOfHousehold(index + 1), demoCard(index + 1).balance]),
)
const PATIENCE = { timeout: 60_000, interval: 10 }
const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url))

interface Stack {
  readonly port: number
  readonly databaseUrl: string
  readonly redisUrl: string
  startSwitch(): Promise<void>
  killSwitch(): Promise<void>
  killRedis(): Promise<void>
  killPostgres(): Promise<void>
  /** Stops the servers as they are now: those that were started again too. */
  stop(): Promise<void>
}

interface Server {
  readonly ended: Promise<void>
  kill(): void
  stop(): Promise<void>
}

let stack: Stack
let child: ChildProcess | undefined
let terminals: StubbornTerminals

beforeEach(async () => {
  stack = await startStack()
  await stack.startSwitch()
  terminals = new StubbornTerminals({ port: stack.port, terminals: 12, households: HOUSEHOLDS, inFlight: 8 })
})

afterEach(async () => {
  if (child?.exitCode === null) {
    child.kill('SIGTERM')
    await once(child, 'exit')
  }
  await stack.stop()
})

describe('killed under load', { timeout: 120_000 }, () => {
  test('the switch: nothing approved is missing or double, nothing stays reserved', async () => {
    await serve(300)
    for (let kill = 0; kill < 3; kill++) {
      await stack.killSwitch()
      if (kill === 1) terminals.abandon(4)
      await stack.startSwitch()
      await serve(300)
    }
    await terminals.finish()
    await expectJournalInLedger(terminals.journal)
  })

  test('Redis: the ledger decides alone, and Redis is right again when it is back', async () => {
    await serve(300)
    for (let kill = 0; kill < 3; kill++) {
      await stack.killRedis()
      await serve(300)
    }
    await terminals.finish()
    await expectJournalInLedger(terminals.journal)
  })

  test('Postgres: what was under way is found out, what was refused was not posted', async () => {
    await serve(300)
    for (let kill = 0; kill < 3; kill++) {
      await stack.killPostgres()
      await serve(300)
    }
    await terminals.finish()
    await expectJournalInLedger(terminals.journal)
  })
})

/** Load until so many more purchases have been approved. */
async function serve(more: number): Promise<void> {
  const target = terminals.approved + more
  if (terminals.journal.length === 0) terminals.start()
  await vi.waitUntil(() => terminals.approved >= target, PATIENCE)
}

async function expectJournalInLedger(journal: readonly JournalEntry[]): Promise<void> {
  const client = new Client({ connectionString: stack.databaseUrl })
  await client.connect()
  try {
    const { rows } = await client.query<{ key: string; response_code: string; approved: string; purse_id: string | null }>(
      `SELECT key, response_code, approved, purse_id FROM "authorization" WHERE key NOT LIKE 'opening|%'`,
    )
    const approvals = new Map(rows.filter((row) => row.response_code === '00').map((row) => [row.key, row]))
    expect(approvals.size).toBe(rows.filter((row) => row.response_code === '00').length)
    for (const entry of journal) {
      const posted = approvals.get(entry.key)
      if (entry.responseCode === '00')
        expect(posted).toMatchObject({ approved: String(entry.amount), purse_id: String(entry.purseId) })
      else if (entry.responseCode !== undefined)
        expect([entry.key, entry.responseCode, posted]).toEqual([entry.key, entry.responseCode, undefined])
    }
    // Each purse has lost exactly what the ledger approved, by its own rows and by its balance.
    const spent = new Map<string, number>()
    for (const row of approvals.values())
      spent.set(row.purse_id ?? '', (spent.get(row.purse_id ?? '') ?? 0) + Number(row.approved))
    const purses = await client.query<{ id: string; balance: string }>('SELECT id, balance FROM purse WHERE id = ANY ($1)', [
      [...OPENING.keys()],
    ])
    for (const { id, balance } of purses.rows)
      expect([id, Number(balance)]).toEqual([id, (OPENING.get(Number(id)) ?? 0) - (spent.get(id) ?? 0)])
    await expectRedisToAgree(purses.rows)
  } finally {
    await client.end()
  }
  const audit = await sarf('audit', '--json', '--database', stack.databaseUrl)
  expect(JSON.parse(audit.stdout)).toMatchObject({ ok: true })
  expect(audit.code).toBe(0)
}

/** The sweeper clears what nobody finished; then Redis holds what the ledger holds, and nothing is reserved. */
async function expectRedisToAgree(purses: readonly { id: string; balance: string }[]): Promise<void> {
  const connection = new LedgerConnection({
    url: stack.databaseUrl,
    statementMs: 5000,
    reconnectMs: 100,
    clock: systemClock,
    log: silentLogger,
    name: 'test',
  })
  await connection.open()
  const hotState = new HotState({
    url: stack.redisUrl,
    shard: 0,
    callMs: 5000,
    reconnectMs: 100,
    clock: systemClock,
    epochs: epochStore(connection),
    log: silentLogger,
  })
  await hotState.open()
  try {
    await vi.waitUntil(async () => (await hotState.unsettled(Number.MAX_SAFE_INTEGER, 10)).length === 0, PATIENCE)
    for (const { id, balance } of purses) {
      const hot = await hotState.purse(Number(id))
      if (hot !== undefined) expect([id, hot.balance, hot.reserved]).toEqual([id, Number(balance), 0])
    }
  } finally {
    await hotState.close()
    await connection.close()
  }
}

async function startStack(): Promise<Stack> {
  const [postgres, redis] = await Promise.all([createPostgresServer(), createRedisServer()])
  const databaseUrl = postgres.url
  await migrate(databaseUrl)
  const { lookupKey, programme, security } = loadConfig({ DATABASE_URL: databaseUrl, REDIS_URL: redis.url })
  await seedProgramme(databaseUrl, { households: HOUSEHOLDS, lookupKey, nowMs: Date.now(), programme, security })
  const port = await freePort()
  let currentRedis: Server = redis
  let currentPostgres: Server = postgres
  return {
    port,
    databaseUrl,
    redisUrl: redis.url,
    startSwitch: () => startSwitch(databaseUrl, redis.url, port),
    async killSwitch() {
      child?.kill('SIGKILL')
      if (child !== undefined) await once(child, 'exit')
    },
    async killRedis() {
      currentRedis.kill()
      await currentRedis.ended
      currentRedis = await startRedis({ directory: redis.directory, port: redis.port, password: redis.password })
    },
    async killPostgres() {
      currentPostgres.kill()
      await currentPostgres.ended
      currentPostgres = await startPostgres({ directory: postgres.directory, port: postgres.port })
    },
    async stop() {
      await Promise.all([currentRedis.stop(), currentPostgres.stop()])
    },
  }
}

async function startSwitch(databaseUrl: string, redisUrl: string, port: number): Promise<void> {
  const started = spawn(process.execPath, [main], {
    env: {
      PATH: process.env['PATH'],
      DATABASE_URL: databaseUrl,
      REDIS_URL: redisUrl,
      SARF_PORT_ATM: String(port),
      SARF_PORT_POS: '0',
      SARF_PORT_GATEWAY: '0',
      SARF_PORT_SECURE: '0',
      SARF_PORT_HTTP: '0',
      SARF_CONFIG: quickSweeper(),
      SARF_LOG_LEVEL: 'silent',
    },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  child = started
  await once(started, 'spawn')
}

/** The settings of config/sarf.json, with reservations given up after seconds instead of half a minute. */
function quickSweeper(): string {
  const settings = JSON.parse(readFileSync(new URL('../../config/sarf.json', import.meta.url), 'utf8')) as Record<string, unknown>
  const file = join(temporaryFolder, 'sarf.json')
  const authorization = { ...(settings['authorization'] as object), deadlineMs: 2000 }
  const sweeper = { everyMs: 200, reservationAgeMs: 3000, batchMax: 256 }
  writeFileSync(file, JSON.stringify({ ...settings, authorization, sweeper }))
  return file
}

const temporaryFolder = temporaryDirectory()

async function sarf(...args: string[]): Promise<{ stdout: string; code: number | null }> {
  const command = spawn(process.execPath, [fileURLToPath(new URL('../../src/cli/sarf.ts', import.meta.url)), ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let stdout = ''
  command.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  const [code] = (await once(command, 'close')) as [number | null]
  return { stdout, code }
}
