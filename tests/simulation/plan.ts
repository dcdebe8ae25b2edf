/**
 * What a history is made of, drawn from its seed: messages with the time at which they are sent, and faults with theirs. Everything in it can be
 * left out without changing what the rest is, so that a history that fails can be made small.
 */
import { Random, seedOf } from './random.ts'
import type { MessageKind, PlannedFault, PlannedMessage } from './planned.ts'
import { standInAdded, standsIn } from './planStandIn.ts'
import { simulatedTerminals, type HouseholdPlan } from './programme.ts'
import type { Storm } from './weather.ts'

export type PlannedEvent = PlannedMessage | PlannedFault

export interface Plan {
  readonly seed: number
  readonly startMs: number
  readonly processes: number
  /** Processes have journals, and stand in: on one machine, or apart. Undefined: there is no stand-in. */
  readonly standIn: 'together' | 'apart' | undefined
  readonly households: readonly HouseholdPlan[]
  /** Until then things go wrong; after that everything is mended, and the history ends when all is quiet. */
  readonly healMs: number
  readonly events: readonly PlannedEvent[]
}

/** A process's clock is set forward or back by up to an hour, once a fault. */
export const CLOCK_JUMP_MAX_MS = 3_600_000

const DAY_MS = 86_400_000
const NOON = Date.parse('2026-11-22T10:00:00Z')
/** Just before a Cairo midnight, and just before a month begins there. */
const LATE = [Date.parse('2026-11-22T21:59:40Z'), Date.parse('2026-11-30T21:59:40Z')]
const FIRST_HOUSEHOLD = 500_001

export function planOf(seed: number): Plan {
  const random = new Random(seedOf('plan', seed))
  const processes = random.between(2, 3)
  const late = random.chance(0.12)
  const startMs = late ? random.pick(LATE) : NOON + random.between(0, 5) * DAY_MS
  const households = Array.from({ length: random.pick([1, 1, 2, 4]) }, (_, index): HouseholdPlan => {
    return {
      household: FIRST_HOUSEHOLD + index,
      members: random.between(2, 5),
      cash: random.between(2, 40) * 1000,
      loaves: random.pick([20, 60, 150]),
      ration: random.between(2, 20) * 1000,
      points: random.between(0, 10) * 500,
    }
  })
  const ordinaryMs = random.between(6_000, 25_000)
  const messages = messagesOf(random, processes, 2 * households.length, ordinaryMs, random.between(30, 110))
  const faults = faultsOf(random, processes, 2 * households.length, ordinaryMs, late)
  const added = standsIn(seed) ? standInAdded(seed, processes, 2 * households.length, ordinaryMs) : undefined
  const standIn = added === undefined ? undefined : added.apart ? 'apart' : 'together'
  const { healMs } = added ?? { healMs: ordinaryMs }
  const events = [...messages, ...(added?.messages ?? []), ...faults, ...(added?.faults ?? [])]
  events.sort((a, b) => (a.atMs === b.atMs ? a.id - b.id : a.atMs - b.atMs))
  return { seed, startMs, processes, standIn, households, healMs, events }
}

const AT: Readonly<Record<MessageKind, readonly string[]>> = {
  purchase: ['pos'],
  authorization: ['pos'],
  completion: ['pos'],
  refund: ['pos'],
  withdrawal: ['atm'],
  bread: ['bakery'],
  breadAdvice: ['bakery'],
  ration: ['grocer'],
  points: ['grocer'],
  deposit: ['post-office'],
  credit: ['transfer'],
  balance: ['pos'],
  reversal: [],
}

const REFUNDED: readonly MessageKind[] = ['purchase', 'bread', 'ration', 'points']
/** What a terminal can take back. */
export const REVERSIBLE: readonly MessageKind[] = [
  'purchase',
  'authorization',
  'completion',
  'withdrawal',
  'refund',
  'bread',
  'ration',
  'points',
  'deposit',
  'credit',
]

function messagesOf(random: Random, processes: number, cards: number, untilMs: number, count: number): PlannedMessage[] {
  const messages: PlannedMessage[] = []
  const weights = KIND_WEIGHTS.map(([weight, kind]) => [random.chance(0.25) ? 0 : weight, kind] as const)
  // A few cards get most of it.
  const hot = random.between(0, cards - 1)
  // Somebody tries PINs.
  const guessing = random.chance(0.15)
  for (let id = 0; id < count; id++) {
    const twin = messages.at(-1)
    const drawn = guessing && random.chance(0.4) ? 'withdrawal' : random.weighted([...weights, [1, 'purchase'] as const])
    const named = ORIGINALS[drawn] === undefined ? undefined : originalFor(random, messages, ORIGINALS[drawn])
    // Two at once follow the same message.
    const together = twin?.original !== undefined && ORIGINALS[drawn] !== undefined && random.chance(0.4)
    const shared = together ? messages.find((message) => message.id === twin.original) : undefined
    const original = shared !== undefined && ORIGINALS[drawn]?.includes(shared.kind) === true ? shared : named
    const kind = ORIGINALS[drawn] !== undefined && original === undefined ? 'purchase' : drawn
    const before = kind === 'reversal' && original !== undefined && random.chance(0.15)
    const atMs =
      original !== undefined && original === shared && twin !== undefined
        ? twin.atMs + random.between(0, 4)
        : before
          ? Math.max(0, original.atMs - random.between(0, 300))
          : (original?.atMs ?? random.between(0, untilMs)) + (original === undefined ? 0 : followsAfter(random, kind))
    const card = original?.card ?? (random.chance(0.6) ? hot : random.between(0, cards - 1))
    const subsidised = kind === 'bread' || kind === 'breadAdvice' || kind === 'ration' || kind === 'points'
    const classes = AT[original === undefined || kind === 'completion' ? kind : original.kind]
    const terminals = simulatedTerminals
      .filter((terminal) => classes.includes(terminal.class))
      .map(({ terminalId }) => terminalId)
    const terminalId = original?.terminalId ?? random.pick(terminals)
    const loaves = random.pick([5, 10, 15, 20])
    messages.push({
      what: 'message',
      id,
      atMs,
      kind,
      // Members' cards carry no bread.
      card: subsidised && original === undefined ? card & ~1 : card,
      terminalId,
      amount: original === undefined ? amountOf(random, kind, loaves) : amountAfter(random, kind, original),
      loaves,
      days: random.pick([1, 1, 1, 2]),
      partialAccepted: kind === 'purchase' && random.chance(0.2),
      pin: kind === 'withdrawal' ? (random.chance(guessing ? 0.8 : 0.3) ? 'wrong' : 'right') : 'none',
      original: original?.id,
      process: random.between(0, processes - 1),
      repeatsTo: Array.from({ length: 4 }, () => random.between(0, processes - 1)),
      patienceMs: random.chance(0.3) ? random.between(5, 200) : random.between(500, 8_000),
      repeatsMax: random.between(0, 2),
      copyAfterMs: random.chance(0.06) ? random.between(0, 500) : undefined,
      abandoned: random.chance(0.08),
    })
  }
  return messages
}

const KIND_WEIGHTS: readonly (readonly [number, MessageKind])[] = [
  [30, 'purchase'],
  [8, 'authorization'],
  [8, 'completion'],
  [10, 'withdrawal'],
  [6, 'refund'],
  [14, 'reversal'],
  [8, 'bread'],
  [2, 'breadAdvice'],
  [6, 'ration'],
  [4, 'points'],
  [3, 'deposit'],
  [3, 'credit'],
  [3, 'balance'],
]

const ORIGINALS: Partial<Record<MessageKind, readonly MessageKind[]>> = {
  completion: ['authorization'],
  refund: REFUNDED,
  reversal: REVERSIBLE,
}

function originalFor(
  random: Random,
  messages: readonly PlannedMessage[],
  kinds: readonly MessageKind[],
): PlannedMessage | undefined {
  const candidates = messages.filter(({ kind }) => kinds.includes(kind))
  return candidates.length === 0 ? undefined : random.pick(candidates)
}

function followsAfter(random: Random, kind: MessageKind): number {
  return kind === 'reversal' && random.chance(0.5) ? random.between(0, 50) : random.between(50, 6_000)
}

function amountOf(random: Random, kind: MessageKind, loaves: number): number {
  if (kind === 'bread' || kind === 'breadAdvice') return loaves * 20
  if (kind === 'withdrawal') return random.between(1, 4) * 5000
  if (kind === 'points') return random.between(1, 8) * 100
  return kind === 'balance' ? 0 : random.between(1, 120) * 100
}

function amountAfter(random: Random, kind: MessageKind, original: PlannedMessage): number {
  if (kind === 'reversal' || random.chance(0.5)) return original.amount
  // Above the hold, too. Of bread only whole loaves come back.
  if (kind === 'completion') return Math.max(100, original.amount + random.between(-30, 30) * 100)
  return Math.max(20, Math.floor((original.amount * random.fraction()) / 20) * 20)
}

function faultsOf(random: Random, processes: number, cards: number, untilMs: number, late: boolean): PlannedFault[] {
  const faults: PlannedFault[] = []
  // Some histories are calm but for one kind of trouble, some have all of it.
  const appetite = random.pick([0, 0.3, 1, 1, 2])
  let id = 1_000_000
  const add = (chance: number, make: (atMs: number) => Omit<PlannedFault, 'what' | 'id' | 'atMs'>): void => {
    for (let left = chance * appetite; left > 0; left--) {
      if (!random.chance(Math.min(1, left))) continue
      // The last of it is not put right by what comes after it.
      const atMs = random.chance(0.25) ? random.between(Math.floor(untilMs * 0.85), untilMs) : random.between(0, untilMs)
      faults.push({ what: 'fault', id: id++, atMs, ...make(atMs) } as PlannedFault)
    }
  }
  const process = (): number => random.between(0, processes - 1)
  const anyProcess = (): number | undefined => (random.chance(0.5) ? process() : undefined)
  add(2, () => ({ kind: 'crash', process: process(), forMs: random.between(20, 4_000), byMs: 0 }))
  add(1, () => ({ kind: 'pause', process: process(), forMs: random.between(200, 9_000), byMs: 0 }))
  add(3, () => ({
    kind: 'crashAt',
    process: process(),
    point: random.pick(['reserved', 'sent', 'committed'] as const),
    lateMs: random.chance(0.5) ? random.between(0, 20) : random.between(8_000, 16_000),
    forMs: random.between(20, 4_000),
  }))
  if (!late)
    add(0.7, () => ({ kind: 'clock', process: process(), forMs: 0, byMs: random.between(-CLOCK_JUMP_MAX_MS, CLOCK_JUMP_MAX_MS) }))
  add(2, () => ({ kind: 'sqlStorm', process: anyProcess(), forMs: random.between(200, 6_000), storm: sqlStorm(random) }))
  add(1.5, () => ({ kind: 'redisStorm', process: anyProcess(), forMs: random.between(200, 6_000), storm: redisStorm(random) }))
  add(1.5, () => ({ kind: 'netStorm', process: anyProcess(), forMs: random.between(200, 6_000), storm: netStorm(random) }))
  add(0.7, () => ({ kind: 'postgresDown', forMs: random.pick([random.between(100, 3_000), random.between(4_000, 8_000)]) }))
  add(0.5, () => ({ kind: 'postgresStalls', forMs: random.between(500, 7_000) }))
  add(0.6, () => ({ kind: 'redisDown', forMs: random.between(100, 4_000) }))
  add(0.6, () => ({ kind: 'redisFlush' }))
  add(0.9, () => ({ kind: 'redisRestart', ageMs: random.chance(0.3) ? undefined : random.between(300, 5_000) }))
  add(0.6, () => ({ kind: 'blockCard', card: random.between(0, cards - 1) }))
  add(0.4, () => ({ kind: 'unblockCard', card: random.between(0, cards - 1) }))
  return faults
}

function sqlStorm(random: Random): Storm {
  const much = random.pick([0.02, 0.1, 0.3])
  return random.weighted<Storm>([
    [3, { lostReply: much }],
    [2, { lostCall: much }],
    [2, { slow: much }],
    [1, { doubled: much }],
    [1, { deadlock: much }],
    [1, { cannotWrite: much }],
    [1, { killed: much }],
    [3, { lostReply: much / 4, lostCall: much / 4, slow: much / 4, doubled: much / 4, killed: much / 8, deadlock: much / 8 }],
  ])
}

function redisStorm(random: Random): Storm {
  const much = random.pick([0.02, 0.1, 0.3])
  return random.weighted<Storm>([
    [2, { lostReply: much }],
    [1, { lostCall: much }],
    [2, { slow: much }],
    [1, { doubled: much }],
    [2, { lostReply: much / 3, lostCall: much / 3, slow: much / 3 }],
  ])
}

/** Of a message: lost on the way there, its answer lost, or late. */
function netStorm(random: Random): Storm {
  const much = random.pick([0.05, 0.2, 0.5])
  return random.weighted<Storm>([
    [1, { lostCall: much }],
    [2, { lostReply: much }],
    [1, { slow: much }],
    [1, { lostCall: much / 3, lostReply: much / 3, slow: much / 3 }],
  ])
}
