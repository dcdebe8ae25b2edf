/**
 * The simulated Postgres and Redis answer like real ones: hand-written cases, and random sequences from seeds, carried out on both. What the
 * simulation proves is worth as much as this.
 */
import { beforeAll, describe, expect, it, vi } from 'vitest'
import { openRedisLink, redisScript, type RedisLink } from '../../src/decision/redisLink.ts'
import { readAnswers } from '../../src/ledger/answers.ts'
import { readCardPage, readCards, readPurses } from '../../src/ledger/cards.ts'
import { movementOf, NOTHING_TO_POST } from '../../src/decision/posting.ts'
import type { CommitItem } from '../../src/ledger/commitItem.ts'
import type { LedgerConnection } from '../../src/ledger/connection.ts'
import { openPurses } from '../../src/ledger/cycles.ts'
import { epochStore } from '../../src/ledger/epochs.ts'
import { expiredHolds } from '../../src/ledger/holds.ts'
import { originalsByKey, originalsByReference } from '../../src/ledger/originals.ts'
import { readTerminals } from '../../src/ledger/registry.ts'
import { createRedis } from '../support/stack.ts'
import { commitBoth, config, contents, DAY, openPair, RandomBatches, type Pair } from './contractLedger.ts'
import { itKeepsTheContractOfDisks, simulatedContractDisk, systemContractDisk } from './contractDisk.ts'
import { FakeDisk } from './fakeDisk.ts'
import { FakeRedis } from './fakeRedis.ts'
import { cardsOf, type SimulatedCard } from './programme.ts'
import { Random } from './random.ts'

const NOON = Date.parse(`${DAY}T10:00:00Z`)

describe('the simulated ledger', () => {
  let pair: Pair
  beforeAll(async () => {
    pair = await openPair()
  })

  /** The same question to both. */
  async function both<T>(ask: (connection: LedgerConnection) => Promise<T>): Promise<T> {
    const [real, fake] = await Promise.all([ask(pair.real), ask(pair.fake)])
    expect(fake).toEqual(real)
    return real
  }

  it('judges and writes random batches as the real one does, with every outcome that there is', async () => {
    const outcomes = new Map<string, number>()
    for (let seed = 1; seed <= 4; seed++) {
      const batches = new RandomBatches(new Random(seed), pair.tables)
      for (let turn = 0; turn < 80; turn++) {
        const items = batches.next()
        const { real, fake } = await commitBoth(pair, NOON + seed * 1000 + turn, items.map(renamed(seed)))
        expect(fake, `seed ${seed}, turn ${turn}: ${JSON.stringify(items)}`).toEqual(real)
        for (const outcome of String(real['outcome']).split(',')) outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
      }
      const { real, fake } = await contents(pair)
      expect(fake).toEqual(real)
    }
    expect([...outcomes.keys()].sort((a, b) => Number(a) - Number(b))).toEqual([
      '0',
      '1',
      '2',
      '3',
      '4',
      '5',
      '6',
      '7',
      '8',
      '9',
      '10',
      '11',
      '12',
    ])
  })

  it('lets a card whose PIN is blocked pay without one, whoever else shows a PIN in the batch', async () => {
    const [blocked, other] = [cardsOf(config, 500_004)[1]!, cardsOf(config, 500_003)[1]!]
    const item = (card: SimulatedCard, key: string, verification: CommitItem['verification']): CommitItem => ({
      ...NOTHING_TO_POST,
      ...{ key, keyDate: DAY, mti: 200, kind: 1, body: '1', cardToken: card.token, terminalId: 'POS00001', merchantId: 1 },
      ...{ rrn: null, requested: 1, approved: 0, responseCode: '00', reason: null, approvalCode: null, cardUpdate: null },
      movement: movementOf(card.purses.cash, null, 0),
      verification,
    })
    const reference = (card: SimulatedCard): string | null => pair.tables.cards.get(card.token)?.pinReference ?? null
    const pin = (card: SimulatedCard, found: 'wrong' | 'checked'): CommitItem['verification'] => ({
      ...{
        atc: null,
        pin: found,
        pinTriesMax: 1,
        raise: [],
        pinReference: null,
        checkedReference: reference(card),
        scriptSent: false,
      },
    })
    for (const card of [blocked, other]) {
      await pair.sql(`UPDATE card SET state = 'ACTIVE', pin_tries = 0 WHERE token = $1`, [card.token])
      Object.assign(pair.tables.cards.get(card.token)!, { state: 'ACTIVE', pinTries: 0 })
    }
    await commitBoth(pair, NOON, [item(blocked, 'pin|1', pin(blocked, 'wrong'))])
    const batch = [item(blocked, 'pin|2', null), item(other, 'pin|3', pin(other, 'checked'))]
    const { real, fake } = await commitBoth(pair, NOON, batch)
    expect(real['outcome']).toBe('0,0')
    expect(fake).toEqual(real)
  })

  it('finds what was written as the real one does', async () => {
    const { tables } = pair
    const keys = [...tables.journal.map(({ key, keyDate }) => ({ key, keyDate })), { key: 'none', keyDate: DAY }]
    expect((await both((connection) => readAnswers(connection, 0, keys))).size).toBe(tables.journal.length)
    await both((connection) => originalsByKey(connection, 0, keys))
    const references = [...tables.purses.keys()].flatMap((purseId) =>
      ['rrn1', 'rrn2', 'rrn3'].map((rrn) => ({ purseId, rrn, approvalCode: 'AAAAAA', kinds: [1, 2, 3, 8, 13] })),
    )
    await both((connection) => originalsByReference(connection, 0, references))
    await both((connection) => readCards(connection, 0, [...tables.cards.keys(), 'nobody']))
    await both((connection) => readCardPage(connection, 0, 500_001, 2))
    await both((connection) => readCardPage(connection, 0, 999_999, 2))
    await both((connection) => readPurses(connection, 0, [...tables.purses.keys(), 1]))
    await both((connection) => readTerminals(connection, [...tables.terminals.keys(), 'NONE0001']))
    const due = (connection: LedgerConnection): Promise<unknown> =>
      expiredHolds(connection, 0, Date.parse('2026-11-25T00:00:00Z'), 100).then((holds) => holds.map(({ key }) => key).sort())
    await both(due)
  })

  it('opens months, once, as the real one does', async () => {
    const purseIds = [...pair.tables.purses.keys()]
    const open = (day: string) => (connection: LedgerConnection) =>
      openPurses(connection, 0, { day, nowMs: Date.parse(`${day}T09:00:00Z`), programme: config.programme, purseIds })
    expect(await both(open(DAY))).toBe(0)
    expect(await both(open('2026-12-03'))).toBe(8)
    expect(await both(open('2026-12-03'))).toBe(0)
    const { real, fake } = await contents(pair)
    expect(fake).toEqual(real)
  })

  it('moves the epoch on as the real one does', async () => {
    const agree = (runId: string, known: number | undefined) => (connection: LedgerConnection) =>
      epochStore(connection).agree(0, { runId, replicationId: 'r', known })
    expect(await both(agree('a', undefined))).toBe(1)
    expect(await both(agree('a', 1))).toBe(1)
    expect(await both(agree('b', 1))).toBe(2)
    expect(await both(agree('b', undefined))).toBe(3)
    expect(await both(agree('b', 9))).toBe(10)
  })
})

/** Keys of one seed are not those of another, but for those that exist already. */
function renamed(seed: number): (item: CommitItem) => CommitItem {
  const name = (key: string): string => (/^contract\|\d+$/.test(key) ? `${key}|${seed}` : key)
  return (item) => ({ ...item, key: name(item.key) })
}

describe('the simulated Redis', () => {
  let real: RedisLink
  let fake: FakeRedis
  let clockMs = NOON
  const scripts = {
    reserve: redisScript('reserve.lua'),
    put: redisScript('put.lua'),
    epoch: redisScript('epoch.lua'),
    raise: redisScript('raise.lua'),
    standIn: redisScript('standIn.lua'),
    standInRead: redisScript('standInRead.lua'),
    standInStop: redisScript('standInStop.lua'),
    standInJournals: redisScript('standInJournals.lua'),
    countedPins: redisScript('countedPins.lua'),
  }
  beforeAll(async () => {
    const ready = Promise.withResolvers<undefined>()
    const nothing = (): void => {}
    real = openRedisLink({
      ...{ url: await createRedis(), callMs: 5000, reconnectMs: 50, onClose: nothing, onError: nothing },
      onReady: () => ready.resolve(undefined),
    })
    await real.connect()
    await ready.promise
    fake = new FakeRedis(() => clockMs)
    return () => real.close()
  })

  /** The same script to both. */
  async function both(name: keyof typeof scripts, keys: readonly string[], args: readonly string[]): Promise<unknown> {
    const ofReal = await real.evaluate(scripts[name], keys, args)
    const ofFake = fake.evaluate(scripts[name].sha, keys, args)
    expect(ofFake, `${name} ${keys.join(' ')} ${args.join(' ')}`).toEqual(ofReal)
    return ofReal
  }

  async function sameContents(): Promise<void> {
    const keys = [...PURSES.map(purseKey), ...CARDS, ...COUNTERS, ...CAPS, ...TOKENS.map(pinsKey), EPOCH, STAND_IN]
    for (const key of keys) expect(fake.getBuffer(key), key).toEqual(await real.getBuffer(key))
    const entries = (page: { entries: Buffer[] }): string[] =>
      page.entries.flatMap((entry, index) =>
        index % 2 === 0 ? [`${entry.toString()} ${page.entries[index + 1]?.toString('hex') ?? ''}`] : [],
      )
    expect(entries(fake.scanHash(RESERVATIONS)).sort()).toEqual(entries(await real.scanHash(RESERVATIONS, '0', 1000)).sort())
  }

  it('knows no script before it was loaded', async () => {
    await expect(real.evaluate(scripts.epoch, [EPOCH, RESERVATIONS], ['1'])).rejects.toThrow('NOSCRIPT')
    expect(() => fake.evaluate(scripts.epoch.sha, [EPOCH, RESERVATIONS], ['1'])).toThrow('NOSCRIPT')
    for (const script of Object.values(scripts)) {
      await real.load(script)
      fake.load(script.sha)
    }
  })

  it('refuses whoever knows another epoch, and never goes back to one', async () => {
    expect(await both('reserve', [EPOCH, RESERVATIONS], ['1', '[]', '[]'])).toBe(-1)
    expect(await both('epoch', [EPOCH, RESERVATIONS], ['3'])).toBe(3)
    expect(await both('epoch', [EPOCH, RESERVATIONS], ['2'])).toBe(3)
    expect(await both('put', [EPOCH], ['2', '[]'])).toBe(-1)
    expect(await both('raise', [EPOCH, 'c0'], ['2', '[1000]', '[]', '[[[1,1,1]]]'])).toBe(-1)
  })

  it('does what random sequences of scripts ask as the real one does, with every outcome that there is', async () => {
    const outcomes = new Set<unknown>()
    const decided = new Set<unknown>()
    let epoch = 3
    for (let seed = 1; seed <= 3; seed++) {
      const random = new Random(seed)
      for (let turn = 0; turn < 300; turn++) {
        const known = String(random.chance(0.97) ? epoch : epoch - 1)
        const name = random.weighted([
          [6, 'reserve'] as const,
          [2, 'put'] as const,
          [2, 'raise'] as const,
          [0.1, 'epoch'] as const,
          [5, 'standIn'] as const,
          [1, 'standInRead'] as const,
          [0.5, 'standInStop'] as const,
          [1, 'standInJournals'] as const,
          [1.5, 'countedPins'] as const,
        ])
        if (name === 'epoch') await both('epoch', [EPOCH, RESERVATIONS, STAND_IN, ...STAND_IN_HASHES], [String(++epoch)])
        else if (name === 'standIn') {
          const found = await both('standIn', ...standInOf(random, known))
          for (const outcome of [found].flat()) decided.add(typeof outcome === 'string' ? 'known' : outcome)
        } else if (name === 'standInRead') await both('standInRead', ...standInReadOf(random, known))
        else if (name === 'standInStop')
          await both('standInStop', [EPOCH, STAND_IN, JOURNALS, STOPPED], [known, journalOf(random), random.pick(TOKENS), 'LOST'])
        else if (name === 'countedPins') await both('countedPins', ...countedPinsOf(random, known))
        else if (name === 'standInJournals') await both('standInJournals', ...journalsOf(random, known))
        else if (name === 'put') await both('put', ...putOf(random, known))
        else if (name === 'raise') await both('raise', ...raiseOf(random, known))
        else for (const outcome of [await both('reserve', ...reserveOf(random, known))].flat()) outcomes.add(outcome)
      }
      await sameContents()
    }
    expect([...outcomes].sort((a, b) => Number(a) - Number(b))).toEqual([-1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    expect([...decided].map(String).sort()).toEqual(['-1', '0', '1', '10', '2', '3', '4', '5', '6', '7', '8', '9', 'known'])
  })

  it('forgets a counter when it has lived its time', async () => {
    const epoch = (await real.mget([EPOCH]))[0] ?? ''
    const count = ['raise', [EPOCH, 'short'], [epoch, '[300]', '[]', '[[[1,1,1]]]']] as const
    expect(await both(...count)).toEqual([0])
    expect(await both(...count)).toEqual([1])
    clockMs += 305
    await vi.waitUntil(async () => (await real.mget(['short']))[0] === null, { timeout: 5000, interval: 5 })
    expect(await both(...count)).toEqual([0])
  })
})

describe('the disk of this machine', () => itKeepsTheContractOfDisks(systemContractDisk))

describe('the simulated disk', () => {
  itKeepsTheContractOfDisks(simulatedContractDisk)

  it('keeps what was synchronised when power goes, and any part of the rest', () => {
    const lengths = new Set<number>()
    let named = 0
    for (let seed = 1; seed <= 300; seed++) {
      const disk = new FakeDisk()
      disk.makeDirectory('d')
      disk.create('d/kept')
      const kept = disk.handle('d/kept')
      kept.append(Buffer.from('durable'))
      kept.sync()
      disk.syncDirectory('d')
      kept.append(Buffer.from('lost'))
      disk.create('d/unnamed')
      disk.handle('d/unnamed').sync()
      disk.losePower(new Random(seed))
      const bytes = disk.read('d/kept')
      expect(bytes.subarray(0, 7).toString()).toBe('durable')
      lengths.add(bytes.length)
      named += disk.list('d').length - 1
    }
    expect([...lengths].sort((a, b) => a - b)).toEqual([7, 8, 9, 10, 11])
    expect(named).toBeGreaterThan(100)
    expect(named).toBeLessThan(200)
  })

  it('never has what a failed synchronisation was to keep, whatever a later one says', () => {
    const disk = new FakeDisk()
    disk.makeDirectory('d')
    disk.create('d/file')
    disk.syncDirectory('d')
    const file = disk.handle('d/file')
    file.append(Buffer.from('lost'))
    file.spoil()
    file.sync()
    disk.losePower(new Random(1))
    expect(disk.read('d/file').length).toBeLessThan(4)
  })
})

const EPOCH = '{0}:epoch'
const RESERVATIONS = '{0}:reservations'
const STAND_IN = '{0}:standin'
const JOURNALS = '{0}:standin:journals'
const ANSWERS = '{0}:standin:answers'
const STOPPED = '{0}:standin:stopped'
/** What goes when the last journal is empty. */
const PINS = '{0}:standin:pins'
const STAND_IN_HASHES = [JOURNALS, ANSWERS, STOPPED, '{0}:standin:counters', PINS]
const CAPS = ['{0}:standin:cap:1:2026-11-22', '{0}:standin:cap:2:2026-11-22']
const TOKENS = ['t1', 't2', 't3']
const PURSES = [1, 2, 3, 4, 5]
const CARDS = ['{0}:card:a', '{0}:card:b']
const COUNTERS = ['c0', 'c1', 'c2']
const purseKey = (id: number): string => `{0}:purse:${id}`
const pinsKey = (token: string): string => `{0}:pins:${token}`

type Call = [keys: string[], args: string[]]

function stateOf(random: Random): number[] {
  return [
    ...[random.between(1, 30), random.between(1, 3), random.between(0, 3000), random.pick([20261121, 20261122])],
    ...[random.between(0, 500), random.between(0, 5), random.between(0, 500), random.between(0, 5), random.between(0, 15)],
  ]
}

function putOf(random: Random, epoch: string): Call {
  const cards = CARDS.filter(() => random.chance(0.5))
  const purses = PURSES.slice(0, 4).filter(() => random.chance(0.4))
  const records = cards.map(() => `${epoch}:${random.between(1, 5)}:{"n":${random.between(1, 99)}}`)
  return [
    [EPOCH, ...cards, ...purses.map(purseKey)],
    [epoch, JSON.stringify(purses.map(() => stateOf(random))), ...records],
  ]
}

function raiseOf(random: Random, epoch: string): Call {
  const attempt = (): number[][] => [1, 2, 3].filter(() => random.chance(0.6)).map((at) => [at, 1, random.between(1, 6)])
  const returned = [1, 2, 3].filter(() => random.chance(0.4)).map((at) => [at, random.between(1, 3)])
  const attempts = Array.from({ length: random.between(0, 4) }, attempt)
  return [
    [EPOCH, ...COUNTERS],
    [epoch, '[60000,60000,60000]', JSON.stringify(returned), JSON.stringify(attempts)],
  ]
}

function journalOf(random: Random): string {
  return random.pick(['a/slot-001', 'a/slot-002', 'b/slot-001'])
}

function standInOf(random: Random, epoch: string): Call {
  const items = Array.from({ length: random.between(1, 4) }, () => {
    const pin = random.pick([0, 0, 1, 2])
    const holder = [
      random.pick([-1, -1, random.between(1, 9)]),
      pin,
      random.between(0, 2),
      pin === 0 ? 0 : random.between(3, 6),
      random.between(1, 9),
    ]
    const item = [`k${random.between(1, 200)}`, String(random.between(1, 2)), random.pick(TOKENS), ...holder]
    if (random.chance(0.3)) return [...item, 0]
    const cap = [random.between(1, 2), random.pick([3, 50])]
    const marks = random.chance(0.5) ? 1 << random.between(0, 8) : 0
    const purse = random.pick(PURSES)
    return [...item, 1, ...cap, random.between(0, 600), random.pick([0, 0, 0, 1, 2]), marks, 1_795_000_000_000, 20261122, purse]
  })
  const purses = items.flatMap((item) => [purseKey(Number(item[16] ?? 0)), random.pick(CAPS), pinsKey(String(item[2]))])
  return [
    [EPOCH, RESERVATIONS, STAND_IN, ...STAND_IN_HASHES, ...purses],
    [epoch, journalOf(random), '259200', JSON.stringify(items), ...items.map(([key]) => `{"of":"${key ?? ''}"}`)],
  ]
}

function countedPinsOf(random: Random, epoch: string): Call {
  const notes = Array.from({ length: random.between(0, 3) }, () => {
    const decidedOn = random.between(1, 9)
    return [decidedOn, decidedOn + random.between(1, 2), random.between(0, 3), random.between(0, 1)]
  })
  return [
    [EPOCH, ...notes.map(() => pinsKey(random.pick(TOKENS)))],
    [epoch, '600000', JSON.stringify(notes)],
  ]
}

function standInReadOf(random: Random, epoch: string): Call {
  const keys = Array.from({ length: random.between(0, 5) }, () => `k${random.between(1, 200)}`)
  return [
    [EPOCH, ANSWERS, STOPPED, PINS],
    [epoch, String(keys.length), ...keys, ...TOKENS],
  ]
}

function journalsOf(random: Random, epoch: string): Call {
  const names = (chance: number): string[] => ['a/slot-001', 'a/slot-002', 'b/slot-001'].filter(() => random.chance(chance))
  return [
    [EPOCH, STAND_IN, ...STAND_IN_HASHES],
    [epoch, JSON.stringify(names(0.2)), JSON.stringify(names(0.7))],
  ]
}

function reserveOf(random: Random, epoch: string): Call {
  const key = (): string => `k${random.between(1, 40)}`
  const settlements = Array.from({ length: random.between(0, 3) }, () => {
    const purse = random.pick(PURSES)
    const what = random.pick([[], [random.between(1, 30), random.between(-50, 50)], stateOf(random)])
    return [key(), purse, ...what]
  })
  const reservations = Array.from({ length: random.between(0, 4) }, () => {
    const group = random.pick([0, 1, 2])
    const limits =
      group === 0
        ? [0, 0, 0, 0, 0, 0]
        : [group, random.between(1, 200), 1, random.between(50, 2000), random.between(2, 9), 20261122]
    const marks = random.chance(0.4) ? 1 << random.between(0, 4) : 0
    const debit = random.between(0, 900)
    return [
      key(),
      debit,
      random.pick([0, 0, 1, 2]),
      ...limits,
      marks,
      1_795_000_000_000,
      20261122,
      random.pick(PURSES),
      String(random.between(1, 2)),
      random.between(0, 1),
    ]
  })
  const purseIds = [...settlements.map(([, id]) => Number(id)), ...reservations.map((one) => Number(one[12]))]
  return [
    [EPOCH, RESERVATIONS, STAND_IN, ...purseIds.map(purseKey)],
    [epoch, JSON.stringify(settlements), JSON.stringify(reservations)],
  ]
}
