/**
 * The scripts of stand-in (src/decision/standIn*.lua, countedPins.lua) in plain TypeScript, on the simulated Redis. Whoever calls them has compared the epoch.
 * tests/simulation/contract.test.ts holds them equal to the real ones.
 */

/** What a planted bug leaves out. */
export interface DroppedStandIn {
  /** Each process looks at what it has given itself only. */
  readonly capOfOthers?: boolean
  /** Other journals that hold something are not looked at when one is empty. */
  readonly otherJournals?: boolean
  /** What the ledger's count of wrong PINs came to is not noted. */
  readonly countedPins?: boolean
}

/** The simulated Redis, as far as these scripts use it. */
interface Store {
  readonly nowMs: number
  text(key: string): string | undefined
  set(key: string, text: string, untilMs?: number): void
  hash(key: string): ReadonlyMap<string, string>
  hset(key: string, field: string, value: string): void
  hdel(key: string, field: string): void
  del(key: string): void
  doubles(key: string): number[] | undefined
  isReserved(name: string, key: string): boolean
  setAside(name: string, key: string, held: { readonly numbers: readonly number[]; readonly body: string }): void
}

type Item = readonly (string | number)[]

/** Positions in a purse as reserve.lua packs it. */
const [EPOCH, GATE, BALANCE, MARKS, DEBIT, MARKS_RESERVED] = [0, 2, 3, 9, 10, 15] as const

export function decideStandIn(
  redis: Store,
  keys: readonly string[],
  [epoch = '', journal = '', lifetime = '0', items = '[]', ...records]: readonly string[],
  dropped: DroppedStandIn,
): (string | number)[] {
  const [, reservations = '', flag = '', journals = '', answers = '', stopped = '', counters = '', pins = ''] = keys
  const enter = (): void => {
    redis.set(flag, epoch)
    redis.hset(journals, journal, '1')
  }
  const decide = (item: Item, record: string, purseKey: string, capKey: string, pinsKey: string): string | number => {
    const [key, body, token] = item as readonly string[]
    const [, , , counter = -1, pin = 0, before = 0, triesMax = 0, cardVersion = 0] = item as readonly number[]
    const [approves = 0, part = 0, ceiling = 0] = item.slice(8) as number[]
    const [debit = 0, gate = 0, marks = 0, ms = 0, keyDate = 0, purseId = 0] = item.slice(11) as number[]
    const known = redis.hash(answers).get(key ?? '')
    if (known !== undefined) {
      enter()
      return known
    }
    if (redis.isReserved(reservations, key ?? '')) return 10
    if (approves === 1 && redis.hash(stopped).has(token ?? '')) return 1
    const used = `${token ?? ''}|${counter}`
    if (counter >= 0 && redis.hash(counters).has(used)) return 2
    const [knownEpoch, version, count] = (redis.text(pinsKey) ?? '').split(':')
    const tries = knownEpoch === epoch && Number(version) > cardVersion ? Number(count) : before
    const wrong = Number(redis.hash(pins).get(token ?? '') ?? 0)
    if (pin !== 0 && tries + wrong >= triesMax) return 3
    const given = Number(redis.text(capKey) ?? 0)
    const purse = redis.doubles(purseKey)
    if (approves === 1) {
      if (given + part > ceiling) return 4
      if (purse?.[EPOCH] !== Number(epoch)) return 5
      const at = (index: number): number => purse[index] ?? 0
      if (gate !== 0 && at(GATE) !== gate) return 6
      if (at(BALANCE) < debit) return 7
      if ((at(MARKS) & marks) !== 0) return 9
      if (at(BALANCE) - at(DEBIT) < debit || (at(MARKS_RESERVED) & marks) !== 0) return 8
      purse[DEBIT] = at(DEBIT) + debit
      purse[MARKS_RESERVED] = at(MARKS_RESERVED) | marks
    }
    enter()
    redis.hset(answers, key ?? '', record)
    if (counter >= 0) redis.hset(counters, used, '1')
    if (pin === 2) redis.hset(pins, token ?? '', String(wrong + 1))
    if (approves === 1) {
      redis.set(capKey, String(given + part), redis.nowMs + Number(lifetime) * 1000)
      redis.setAside(reservations, key ?? '', { numbers: [debit, 0, 0, 0, marks, ms, keyDate, purseId], body: body ?? '' })
    }
    return 0
  }
  return (JSON.parse(items) as Item[]).map((item, index) => {
    const [purseKey = '', capKey = '', pinsKey = ''] = keys.slice(8 + 3 * index)
    const ownCap = dropped.capOfOthers === true ? `${capKey}:${journal}` : capKey
    return decide(item, records[index] ?? '', purseKey, ownCap, pinsKey)
  })
}

/** @returns how many there were */
export function noteCountedPins(
  redis: Store,
  [, ...keys]: readonly string[],
  [epoch = '', lifetime = '0', notes = '[]']: readonly string[],
  dropped: DroppedStandIn,
): number {
  const list = JSON.parse(notes) as number[][]
  if (dropped.countedPins === true) return list.length
  for (const [index, [decidedOn = 0, version = 0, count = 0, onTop = 0]] of list.entries()) {
    const key = keys[index] ?? ''
    const [knownEpoch, ...known] = (redis.text(key) ?? '').split(':')
    const [knownVersion = 0, knownCount = 0] = known.map(Number)
    const since =
      knownEpoch !== epoch || knownVersion <= decidedOn
        ? [version, count]
        : onTop === 1
          ? [knownVersion + 1, knownCount + 1]
          : [Math.max(knownVersion, version), Math.max(knownCount, count)]
    redis.set(key, [epoch, ...since].join(':'), redis.nowMs + Number(lifetime))
  }
  return list.length
}

export function readStandIn(
  redis: Store,
  [, answers = '', stopped = '', pins = '']: readonly string[],
  [, count, ...asked]: readonly string[],
): string[] {
  const found = asked.map((name, index) => redis.hash(index < Number(count) ? answers : stopped).get(name) ?? '')
  return [...found, ...asked.slice(Number(count)).map((name) => redis.hash(pins).get(name) ?? '')]
}

export function stopStandIn(
  redis: Store,
  [, flag = '', journals = '', stopped = '']: readonly string[],
  [epoch = '', journal = '', token = '', report = '']: readonly string[],
): number {
  redis.set(flag, epoch)
  redis.hset(journals, journal, '1')
  redis.hset(stopped, token, report)
  return 0
}

/** @returns how many journals hold something */
export function tellJournals(
  redis: Store,
  [, flag = '', journals = '', ...others]: readonly string[],
  [epoch = '', holding = '[]', empty = '[]']: readonly string[],
  dropped: DroppedStandIn,
): number {
  const gone = JSON.parse(empty) as string[]
  for (const name of JSON.parse(holding) as string[]) {
    redis.set(flag, epoch)
    redis.hset(journals, name, '1')
  }
  for (const name of gone) redis.hdel(journals, name)
  const left = dropped.otherJournals === true ? 0 : redis.hash(journals).size
  if (left === 0 && gone.length > 0) for (const key of [flag, journals, ...others]) redis.del(key)
  return left
}
