/**
 * The processes of a chaos run and the links between them: switch processes, each with a directory of its own, on one private Postgres and one private
 * Redis, with a proxy on every link.
 *
 *   terminals --proxy--> switch 0 --proxy--> Postgres
 *             --proxy--> switch 1 --proxy--> Redis
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Pool } from 'pg'
import { programmeOf, type ProgrammeFile } from '../../../benchmarks/support/security.ts'
import { cleanEnvironment } from '../../../benchmarks/support/privateServers.ts'
import { systemClock } from '../../../src/clock.ts'
import { loadConfig, type Config } from '../../../src/config.ts'
import { migrate } from '../../../src/ledger/migrate.ts'
import { freePort } from '../../../src/local/ports.ts'
import { seedProgramme } from '../../../src/programme/seed.ts'
import { openHousehold } from '../../support/openHousehold.ts'
import { FaultyProxy } from './faultyProxy.ts'
import type { Holder } from './journal.ts'
import { PostgresServer, RedisServer, SmallDisk } from './servers.ts'
import { SwitchProcess } from './switchProcess.ts'

export interface StackOptions {
  readonly switches: number
  readonly households: number
  readonly poor: number
  /** Of the disk that Postgres' data is on. */
  readonly diskMegabytes: number
}

/** A switch process with its links. */
export interface SwitchNode {
  readonly process: SwitchProcess
  readonly links: Readonly<Record<'terminals' | 'Redis' | 'Postgres', FaultyProxy>>
}

export interface Stack {
  readonly directory: string
  readonly config: Config
  /** Without a proxy. */
  readonly databaseUrl: string
  readonly postgres: PostgresServer
  readonly redis: RedisServer
  /** Undefined where none may be mounted. */
  readonly disk: SmallDisk | undefined
  readonly nodes: readonly SwitchNode[]
  readonly poor: readonly Holder[]
  stop(options: { readonly keep: boolean }): Promise<void>
}

/** Of a poor card's cash purse: some purchases' worth. */
const POOR_BALANCE = 20_000
const SPENDING_COUNT_MAX = 1_000_000
const SPENDING_AMOUNT_MAX = 1_000_000_000

/** Shorter than the defaults, so that a deadline is passed often. */
const DEADLINES = {
  authorizationMs: 2000,
  statementMs: 1500,
  redisCallMs: 500,
  sweepEveryMs: 400,
  reservationAgeMs: 3000,
}

/** @throws StartError; nothing is left running then */
export async function startStack(options: StackOptions): Promise<Stack> {
  const directory = mkdtempSync(join(tmpdir(), 'sarf-chaos-'))
  const undo: (() => unknown)[] = []
  const stop = async ({ keep }: { readonly keep: boolean }): Promise<void> => {
    for (const end of undo.toReversed()) await end()
    undo.length = 0
    if (!keep) rmSync(directory, { recursive: true, force: true })
  }
  try {
    const disk = SmallDisk.mount(join(directory, 'disk'), options.diskMegabytes)
    if (disk !== undefined) undo.push(() => disk.unmount())
    const [postgres, redis] = await Promise.all([
      PostgresServer.start(join(directory, 'disk', 'postgres')),
      RedisServer.start(join(directory, 'redis')),
    ])
    undo.push(() => Promise.all([postgres.stop(), redis.stop()]))
    const environment = writeConfiguration(directory)
    const config = loadConfig(cleanEnvironment({ ...environment, DATABASE_URL: postgres.url, REDIS_URL: redis.url }))
    const poor = await makeProgramme(postgres.url, config, options)
    const nodes: SwitchNode[] = []
    for (let number = 0; number < options.switches; number++) {
      const node = await switchNode(directory, number, environment, postgres, redis)
      undo.push(async () => {
        await node.process.kill()
        await Promise.all(Object.values(node.links).map((link) => link.stop()))
      })
      nodes.push(node)
    }
    await Promise.all(nodes.map((node) => node.process.start()))
    return { directory, config, databaseUrl: postgres.url, postgres, redis, disk, nodes, poor, stop }
  } catch (error) {
    await stop({ keep: false })
    throw error
  }
}

async function switchNode(
  directory: string,
  number: number,
  environment: Readonly<Record<string, string>>,
  postgres: PostgresServer,
  redis: RedisServer,
): Promise<SwitchNode> {
  const own = join(directory, `switch-${number}`)
  mkdirSync(own)
  const port = await freePort()
  const links = {
    terminals: await FaultyProxy.start(port),
    Redis: await FaultyProxy.start(redis.port),
    Postgres: await FaultyProxy.start(postgres.port),
  }
  const through = (url: string, proxy: FaultyProxy): string => {
    const changed = new URL(url)
    changed.port = String(proxy.port)
    return changed.href
  }
  const process = new SwitchProcess({
    directory: own,
    port,
    environment: {
      ...environment,
      DATABASE_URL: through(postgres.url, links.Postgres),
      REDIS_URL: through(redis.url, links.Redis),
    },
  })
  return { process, links }
}

/** The settings and programme of config/, but for deadlines, and without a PIN or a day's limit on what is spent. */
function writeConfiguration(directory: string): Readonly<Record<string, string>> {
  const settings = readConfig('sarf.json') as Record<string, Record<string, unknown>>
  const changed = {
    ...settings,
    authorization: { ...settings['authorization'], deadlineMs: DEADLINES.authorizationMs },
    ledger: { ...settings['ledger'], statementMs: DEADLINES.statementMs },
    redis: { ...settings['redis'], callMs: DEADLINES.redisCallMs },
    sweeper: { ...settings['sweeper'], everyMs: DEADLINES.sweepEveryMs, reservationAgeMs: DEADLINES.reservationAgeMs },
    jobs: { ...settings['jobs'], enabled: false },
    notices: { ...settings['notices'], enabled: false },
  }
  const programme = programmeOf('none', readConfig('programme.json') as LimitedProgramme)
  const spending = { amount: SPENDING_AMOUNT_MAX, count: SPENDING_COUNT_MAX }
  const versions = programme.versions.map((version) => ({ ...version, dailyLimits: { ...version.dailyLimits, spending } }))
  const write = (name: string, content: object): string => {
    const file = join(directory, name)
    writeFileSync(file, JSON.stringify(content))
    return file
  }
  return {
    SARF_CONFIG: write('sarf.json', changed),
    SARF_PROGRAMME: write('programme.json', { ...programme, versions }),
    SARF_LOG_LEVEL: 'warn',
  }
}

interface LimitedProgramme extends ProgrammeFile {
  readonly versions: readonly (ProgrammeFile['versions'][number] & { readonly dailyLimits: object })[]
}

function readConfig(name: string): unknown {
  return JSON.parse(readFileSync(new URL(`../../../config/${name}`, import.meta.url), 'utf8'))
}

async function makeProgramme(databaseUrl: string, config: Config, { households, poor }: StackOptions): Promise<Holder[]> {
  const { lookupKey, programme, security } = config
  await migrate(databaseUrl)
  await seedProgramme(databaseUrl, { households, lookupKey, nowMs: Date.now(), programme, security })
  const sql = new Pool({ connectionString: databaseUrl, max: 1 })
  try {
    const holders: Holder[] = []
    for (let number = 0; number < poor; number++) {
      const { head, purses } = await openHousehold({ sql, config, clock: systemClock }, { cash: POOR_BALANCE })
      holders.push({ pan: head.pan, purses })
    }
    return holders
  } finally {
    await sql.end()
  }
}
