/** One history: a plan is carried out in a simulated world, everything is mended, and when all is quiet the model looks at what is left. */
import { openReservations } from '../../src/decision/hotRecords.ts'
import type { PlantedBug } from './plantedBug.ts'
import { FakeDisk } from './fakeDisk.ts'
import { FakePostgres } from './fakePostgres.ts'
import { FakeRedis } from './fakeRedis.ts'
import type { FakeTables } from './fakeTables.ts'
import { Model } from './model.ts'
import { CLOCK_JUMP_MAX_MS, type Plan } from './plan.ts'
import type { PlannedFault } from './planned.ts'
import { cardsOf, LINKS, openHousehold, simulatedConfig, simulatedTerminals } from './programme.ts'
import { SimulatedDisk } from './simulatedDisk.ts'
import { SimulatedPostgres } from './simulatedPostgres.ts'
import { SimulatedRedis } from './simulatedRedis.ts'
import { SwitchProcess } from './switchProcess.ts'
import { Terminals } from './terminals.ts'
import { Traps, Weather } from './weather.ts'
import { World, type Life } from './world.ts'

export interface HistoryResult {
  /** What was found wrong; undefined: nothing. */
  readonly failure: string | undefined
  /** When, in milliseconds from the start. */
  readonly failedAtMs: number
  readonly steps: number
  /** The same for the same plan, whenever and wherever it is carried out. */
  readonly digest: number
}

const config = simulatedConfig()
/** Whatever is under way after all was mended has ended by then. */
const QUIET_MS = 40_000
/** And all that is swept has been swept. */
const SWEPT_MS = 18_000

/** @param recorded gets a line for each thing that happened */
export async function carryOut(plan: Plan, bug?: PlantedBug, recorded?: string[]): Promise<HistoryResult> {
  const { startMs, healMs } = plan
  const world = new World(plan.seed, startMs, recorded)
  const stage = setStage(plan, world, bug)
  const { terminals, model, processes, redis } = stage
  const broken = (error: unknown): void => {
    world.fail(`a promise was broken: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`)
  }
  process.on('unhandledRejection', broken)
  for (const one of processes) one.start()
  redis.keepCopies(startMs + healMs)
  for (const event of plan.events) {
    world.schedule(event.atMs, event.what === 'message' ? 'send' : event.kind, () => {
      if (event.what === 'message') terminals.send(event)
      else stage.strike(event)
    })
  }
  world.schedule(healMs, 'heal', () => stage.heal())
  await world.run(startMs + healMs)
  await world.run(startMs + healMs + QUIET_MS, () => terminals.open === 0)
  if (world.failure === undefined && terminals.open > 0)
    world.fail(`${terminals.open} messages have no answer long after everything was mended`)
  // What was reserved by a clock that was ahead is swept when that time has come for the others.
  const jumps = plan.events.filter((event) => event.what === 'fault' && event.kind === 'clock').length
  for (const one of processes) if (one.life !== undefined) one.life.skewMs = CLOCK_JUMP_MAX_MS * Math.max(1, jumps)
  await world.run(world.nowMs + SWEPT_MS)
  if (world.failure === undefined) {
    model.atTheEnd()
    stage.judgeRedis()
    stage.judgeProcesses()
    stage.judgeJournals()
  }
  for (const one of processes) one.crash()
  process.off('unhandledRejection', broken)
  return { failure: world.failure, failedAtMs: world.nowMs - startMs, steps: world.steps, digest: world.digest }
}

interface Stage {
  readonly terminals: Terminals
  readonly model: Model
  readonly processes: readonly SwitchProcess[]
  readonly redis: SimulatedRedis
  readonly strike: (fault: PlannedFault) => void
  readonly heal: () => void
  readonly judgeRedis: () => void
  readonly judgeProcesses: () => void
  readonly judgeJournals: () => void
}

function setStage(plan: Plan, world: World, bug: PlantedBug | undefined): Stage {
  const database = new FakePostgres()
  const { tables } = database
  const now = new Date(plan.startMs).toISOString()
  const cards = plan.households.flatMap(({ household }) => [...cardsOf(config, household)])
  for (const terminal of simulatedTerminals) tables.terminals.set(terminal.terminalId, terminal)
  for (const household of plan.households) openHousehold(tables, config, household, `${now.slice(0, 8)}01`, now)
  database.dropped = bug?.droppedGuards?.(world) ?? {}
  const fake = new FakeRedis(() => world.nowMs)
  fake.dropped = bug?.droppedChecks ?? {}
  const [sqlWeather, redisWeather, netWeather, diskWeather] = [new Weather(), new Weather(), new Weather(), new Weather()]
  const traps = new Traps()
  const overMidnight = plan.startMs % DAY_MS > 21 * HOUR_MS
  const processes: SwitchProcess[] = []
  const isRedisAway = (): boolean => processes.some(({ serves, hotState }) => serves && hotState?.up !== true)
  const model = new Model({ world, tables, cards, overMidnight, isRedisAway })
  const orphans = new Orphans(tables, fake)
  const read = (sender: Life, isHeard: boolean): void => {
    orphans.read(sender.alive && isHeard)
    model.readJournal()
  }
  const postgres = new SimulatedPostgres({ world, database, weather: sqlWeather, traps, onStatement: read })
  const redis = new SimulatedRedis({
    world,
    redis: fake,
    weather: redisWeather,
    traps,
    onReserve: redisJudge(world, fake, tables),
    onRemember: (args, results) => model.standIn.remembered(args[3] ?? '[]', args.slice(4), results),
  })
  fake.onLost = () => model.standIn.redisLost()
  const machines = ['x', 'y', 'z'].map((name) => {
    const disk = new FakeDisk()
    disk.onWritten = (file, bytes) => model.standIn.written(`${name} ${file}`, bytes)
    disk.onDurable = (file, bytes) => model.standIn.durable(`${name} ${file}`, bytes)
    return { name, disk: new SimulatedDisk(disk, { world, weather: diskWeather, traps }) }
  })
  const machineOf = (index: number): SwitchProcess['machine'] =>
    plan.standIn === undefined ? undefined : machines[plan.standIn === 'apart' ? index : 0]
  for (let index = 0; index < plan.processes; index++)
    processes.push(new SwitchProcess('ABC'.charAt(index), { world, config, postgres, redis, machine: machineOf(index), bug }))
  const linkOf = bug?.linkOf ?? ((name: keyof typeof LINKS) => LINKS[name])
  const terminals = new Terminals({ world, plan, model, weather: netWeather, cards, processes, linkOf })
  let healed = false
  const restart = (process: SwitchProcess): void => {
    if (process.life?.alive === true) process.crash()
    process.start()
  }
  const losePower = (process: SwitchProcess | undefined, forMs: number): void => {
    const { machine } = process ?? {}
    if (machine === undefined) return
    for (const one of processes) {
      if (one.machine !== machine) continue
      one.crash()
      world.schedule(forMs, 'starts again', () => !healed && restart(one))
    }
    if (machine.disk.contents.losePower(world.stream('power', world.nowMs))) machine.disk.hasFailed = true
  }
  const setCard = (index: number, state: 'LOST' | 'ACTIVE'): void => {
    const card = tables.cards.get(cards[index]?.token ?? '')
    if (card === undefined || !postgres.up || (card.state !== 'ACTIVE' && card.state !== 'LOST') || card.state === state) return
    card.state = state
    card.version++
    for (const id of Object.values(cards[index]?.purses ?? {})) {
      const purse = tables.purses.get(id)
      if (purse !== undefined) purse.gate++
    }
    if (state === 'LOST') model.cardStopped(card.token)
    else model.cardGoodAgain(card.token)
  }
  const strike = (fault: PlannedFault): void => {
    if (healed) return
    world.note(() => `*** ${JSON.stringify({ ...fault, what: undefined, id: undefined, atMs: undefined })}`)
    const whom = 'process' in fault && fault.process !== undefined ? processes[fault.process] : undefined
    const until = world.nowMs + ('forMs' in fault ? fault.forMs : 0)
    switch (fault.kind) {
      case 'crash':
        whom?.crash()
        world.schedule(fault.forMs, 'starts again', () => whom !== undefined && !healed && restart(whom))
        return
      case 'crashAt':
        traps.arm({
          process: whom?.name ?? '',
          point: fault.point,
          lateMs: fault.lateMs,
          spring: () => {
            world.note(() => `*** ${whom?.name} crashes: ${fault.point}`)
            if (fault.power === true) return losePower(whom, fault.forMs)
            whom?.crash()
            world.schedule(fault.forMs, 'starts again', () => whom !== undefined && !healed && restart(whom))
          },
        })
        return
      case 'pause':
        if (whom?.life !== undefined) whom.life.pausedUntilMs = Math.max(whom.life.pausedUntilMs, until)
        return
      case 'clock':
        if (whom?.life !== undefined) whom.life.skewMs += fault.byMs
        return
      case 'sqlStorm':
        return sqlWeather.begin(fault.storm, until, whom?.life?.name)
      case 'redisStorm':
        return redisWeather.begin(fault.storm, until, whom?.life?.name)
      case 'netStorm':
        return netWeather.begin(fault.storm, until, whom?.name)
      case 'diskStorm':
        return diskWeather.begin(fault.storm, until, whom?.life?.name)
      case 'powerLoss':
        return losePower(whom, fault.forMs)
      case 'cutOff':
        return postgres.cutOff(whom?.name ?? '', until)
      case 'postgresDown':
        postgres.stop()
        world.schedule(fault.forMs, 'postgres starts', () => postgres.start())
        return
      case 'postgresStalls':
        return postgres.stall(until)
      case 'redisDown':
        redis.stop()
        model.standIn.redisLost()
        world.schedule(fault.forMs, 'redis starts', () => redis.up || redis.restart(undefined))
        return
      case 'redisFlush':
        return fake.flush()
      case 'redisRestart':
        return redis.restart(fault.ageMs)
      case 'blockCard':
        return setCard(fault.card, 'LOST')
      case 'unblockCard':
        return setCard(fault.card, 'ACTIVE')
    }
  }
  const heal = (): void => {
    healed = true
    world.note(() => '*** everything is mended')
    for (const weather of [sqlWeather, redisWeather, netWeather, diskWeather]) weather.calm()
    traps.disarm()
    postgres.start()
    postgres.mend()
    postgres.stall(0)
    if (!redis.up) redis.restart(undefined)
    for (const one of processes) {
      if (one.life?.alive === true) {
        one.life.skewMs = 0
      } else {
        one.start()
        if (one.life !== undefined) one.life.skewMs = 0
      }
    }
  }
  const judgeRedis = (): void => {
    const held = openReservations(fake.scanHash('{0}:reservations').entries)
    for (const { key } of held) world.fail(`Redis still has a reservation of ${key}`)
    for (const purse of tables.purses.values()) {
      const hot = fake.purse(`{0}:purse:${purse.id}`)
      if (hot === undefined || hot.epoch !== tables.epoch?.epoch || orphans.has(purse.id)) continue
      if (hot.version !== purse.version || hot.balance !== purse.balance || hot.reserved.some((one) => one !== 0))
        world.fail(
          `purse ${purse.id} has ${hot.balance} at version ${hot.version} in Redis, ${hot.reserved.join('/')} reserved; ` +
            `the ledger has ${purse.balance} at ${purse.version}`,
        )
    }
  }
  const judgeProcesses = (): void => {
    for (const one of processes) {
      if (!one.serves || one.hotState?.up !== true) world.fail(`${one.name} has not come back to Redis`)
      if (one.underWay > 0) world.fail(`${one.name} has ${one.underWay} messages under way for ever`)
    }
  }
  /** What was damaged stays beside, for whoever looks. */
  const judgeJournals = (): void => {
    for (const { disk } of machines)
      for (const path of disk.contents.files()) if (path.endsWith('.journal')) world.fail(`${path} is not drained`)
    if (fake.text('{0}:standin') !== undefined) world.fail('the shard is in stand-in for ever')
  }
  return { terminals, model, processes, redis, strike, heal, judgeRedis, judgeProcesses, judgeJournals }
}

/**
 * Purses that a statement moved after its process had died or its connection was lost, and of which Redis had nothing set aside that a sweeper could find: credits, or debits that
 * were decided without it. Nobody is left to tell Redis, which is behind until the purse moves again. the design allows that: what Redis does not
 * know costs a second look, and no decline rests on it.
 */
class Orphans {
  readonly #purses = new Set<number>()
  readonly #tables: FakeTables
  readonly #redis: FakeRedis
  #read: number

  constructor(tables: FakeTables, redis: FakeRedis) {
    this.#tables = tables
    this.#redis = redis
    this.#read = tables.journal.length
  }

  read(isHeard: boolean): void {
    const { journal } = this.#tables
    for (; this.#read < journal.length; this.#read++) {
      const row = journal[this.#read]
      if (row === undefined) continue
      const moved = [row.purseVersion === null ? null : row.purseId, row.secondVersion === null ? null : row.secondPurseId]
      for (const id of moved) {
        if (id === null) continue
        if (isHeard) this.#purses.delete(id)
        else if (id !== row.purseId || !this.#redis.everReserved.has(row.key)) this.#purses.add(id)
      }
    }
  }

  has(purseId: number): boolean {
    return this.#purses.has(purseId)
  }
}

/**
 * What the design says of Redis at work: nothing is set aside in one that the ledger has not been told of, and a confirm is applied only if it is
 * newer than what is known.
 */
function redisJudge(world: World, redis: FakeRedis, tables: FakeTables): (runId: string, purseKeys: readonly string[]) => void {
  const versions = new Map<string, number>()
  return (runId, purseKeys) => {
    const [epoch] = redis.mget(['{0}:epoch'])
    // Who comes late with an earlier Redis moves the ledger on, and then itself: what was agreed before stays true of the other meanwhile.
    if (!tables.hasAgreed(epoch, runId)) world.fail(`${runId} sets aside in epoch ${epoch}, which was never agreed on for it`)
    for (const key of purseKeys) {
      const purse = redis.purse(key)
      if (purse === undefined) continue
      const name = `${runId} ${purse.epoch} ${key}`
      const before = versions.get(name) ?? 0
      if (purse.version < before) world.fail(`${key} went back from version ${before} to ${purse.version} in Redis`)
      versions.set(name, purse.version)
    }
  }
}

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
