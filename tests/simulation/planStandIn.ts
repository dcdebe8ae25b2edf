/** What is added to a history in which bread and ration stand in: outages of Postgres, holders who show a PIN, disks that fail, power that goes. */
import type { PlannedFault, PlannedMessage } from './planned.ts'
import { simulatedTerminals } from './programme.ts'
import { Random, seedOf } from './random.ts'
import type { Storm } from './weather.ts'

/** By the last digit of the seed: seeds that were kept before there was stand-in stay what they were. */
const DIGITS: readonly number[] = [0, 4, 5, 7]
/** Trace numbers of what is added, and ids of its faults. */
const FIRST_ID = 10_000
const FIRST_FAULT = 2_000_000

export function standsIn(seed: number): boolean {
  return DIGITS.includes(seed % 10)
}

export interface StandInAdded {
  /** Each process has a machine, and a disk, of its own. */
  readonly apart: boolean
  readonly healMs: number
  readonly messages: readonly PlannedMessage[]
  readonly faults: readonly PlannedFault[]
}

export function standInAdded(seed: number, processes: number, cards: number, healMs: number): StandInAdded {
  const random = new Random(seedOf('stand-in', seed))
  const outages = Array.from({ length: random.pick([1, 1, 2]) }, () => {
    const atMs = random.between(300, healMs)
    return { atMs, forMs: random.pick([random.between(500, 3_000), random.between(2_000, 14_000)]) }
  })
  const untilMs = Math.max(healMs, ...outages.map(({ atMs, forMs }) => atMs + random.between(0, forMs + 2_000)))
  const faults = faultsOf(random, processes, outages)
  const count = random.between(15, 60)
  const messages = Array.from({ length: count }, (_, index) =>
    messageOf(random, FIRST_ID + index, processes, cards, outages, untilMs),
  )
  return { apart: random.chance(0.3), healMs: untilMs, messages: [...messages, ...reversalsOf(random, messages)], faults }
}

interface Outage {
  readonly atMs: number
  readonly forMs: number
}

function messageOf(
  random: Random,
  id: number,
  processes: number,
  cards: number,
  outages: readonly Outage[],
  untilMs: number,
): PlannedMessage {
  const kind = random.chance(0.6) ? 'bread' : 'ration'
  const outage = random.pick(outages)
  const atMs = random.chance(0.75)
    ? Math.max(0, outage.atMs + random.between(-400, outage.forMs + 500))
    : random.between(0, untilMs)
  const terminals = simulatedTerminals.filter((one) => one.class === (kind === 'bread' ? 'bakery' : 'grocer'))
  const loaves = random.pick([5, 10])
  return {
    ...{ what: 'message', id, atMs: Math.min(atMs, untilMs), kind, terminalId: random.pick(terminals).terminalId, loaves },
    card: random.between(0, cards / 2 - 1) * 2,
    amount: kind === 'bread' ? loaves * 20 : random.pick([500, 1500, 2500, 4000, 5000, 6000]),
    days: random.chance(0.1) ? 2 : 1,
    partialAccepted: false,
    pin: random.weighted([
      [8, 'right'],
      [1, 'wrong'],
      [1, 'none'],
    ]),
    original: undefined,
    process: random.between(0, processes - 1),
    repeatsTo: Array.from({ length: 4 }, () => random.between(0, processes - 1)),
    patienceMs: random.chance(0.3) ? random.between(5, 200) : random.between(500, 6_000),
    repeatsMax: random.between(0, 3),
    copyAfterMs: random.chance(0.05) ? random.between(0, 500) : undefined,
    abandoned: random.chance(0.1),
  }
}

/** While the original is in a journal, when it is drained, and after. */
function reversalsOf(random: Random, messages: readonly PlannedMessage[]): PlannedMessage[] {
  const reversed = messages.filter(() => random.chance(0.12))
  return reversed.map((original, index) => ({
    ...original,
    id: FIRST_ID + messages.length + index,
    kind: 'reversal',
    atMs: original.atMs + random.between(10, 6_000),
    original: original.id,
    pin: 'none',
    copyAfterMs: undefined,
    abandoned: false,
  }))
}

function faultsOf(random: Random, processes: number, outages: readonly Outage[]): PlannedFault[] {
  const faults: PlannedFault[] = []
  let id = FIRST_FAULT
  const add = (atMs: number, fault: object): void => {
    faults.push({ what: 'fault', id: id++, atMs: Math.max(0, Math.floor(atMs)), ...fault } as PlannedFault)
  }
  const process = (): number => random.between(0, processes - 1)
  const appetite = random.pick([0, 0.5, 1, 2])
  for (const { atMs, forMs } of outages) {
    const within = (): number => atMs + random.between(-200, forMs + 1_500)
    // All of them, or one that cannot reach it while the others can.
    if (random.chance(0.75)) add(atMs, { kind: 'postgresDown', forMs })
    else add(atMs, { kind: 'cutOff', process: process(), forMs })
    for (let left = 2 * appetite; left > 0; left--) {
      if (random.chance(Math.min(1, left) * 0.8))
        add(within(), {
          kind: 'crashAt',
          process: process(),
          point: random.pick(['remembered', 'written', 'durable', 'left', 'committed', 'sent'] as const),
          lateMs: random.between(0, 20),
          forMs: random.between(20, 4_000),
          power: random.chance(0.3),
        })
      if (random.chance(Math.min(1, left) * 0.3))
        add(within(), { kind: 'crash', process: process(), forMs: random.between(20, 4_000), byMs: 0 })
      if (random.chance(Math.min(1, left) * 0.3))
        add(within(), { kind: 'powerLoss', process: process(), forMs: random.between(20, 3_000) })
      if (random.chance(Math.min(1, left) * 0.5))
        add(within(), {
          kind: 'diskStorm',
          process: random.chance(0.5) ? process() : undefined,
          forMs: random.between(200, 5_000),
          storm: diskStorm(random),
        })
      if (random.chance(Math.min(1, left) * 0.15))
        add(within(), { kind: 'redisRestart', ageMs: random.chance(0.5) ? undefined : random.between(300, 5_000) })
      if (random.chance(Math.min(1, left) * 0.15)) add(within(), { kind: 'redisDown', forMs: random.between(100, 4_000) })
    }
  }
  return faults
}

function diskStorm(random: Random): Storm {
  const much = random.pick([0.1, 0.4, 1])
  return random.weighted<Storm>([
    [3, { slow: much }],
    [2, { cannotWrite: much }],
    [2, { ioError: much / 2 }],
    [1, { slow: much / 3, cannotWrite: much / 5, ioError: much / 5 }],
  ])
}
