/**
 * The simulated Redis: the commands that the hot state uses, and its scripts in plain TypeScript. tests/simulation/contract.test.ts runs the same
 * cases against it and against a real one.
 */
import { redisScript } from '../../src/decision/redisLink.ts'
import { decideStandIn, noteCountedPins, readStandIn, stopStandIn, tellJournals, type DroppedStandIn } from './fakeStandIn.ts'

const SCRIPT_NAMES = [
  ...(['reserve', 'put', 'epoch', 'raise'] as const),
  ...(['standIn', 'standInRead', 'standInStop', 'standInJournals', 'countedPins'] as const),
] as const
const SCRIPTS = new Map(SCRIPT_NAMES.map((name) => [redisScript(`${name}.lua`).sha, name]))

/** A purse as reserve.lua packs it, in the order of its doubles. */
const PURSE_DOUBLES = 16
const [EPOCH, VERSION, GATE, BALANCE, DAY, MARKS, DEBIT, MARKS_RESERVED] = [0, 1, 2, 3, 4, 9, 10, 15] as const
const COMMITTED = [0, 5, 7] as const
const PENDING = [0, 11, 13] as const

interface Held {
  /** Debit, group, amount, count, marks, ms, keyDate, purseId. */
  readonly numbers: readonly number[]
  readonly body: string
}

type Value = { readonly text: string; readonly untilMs: number } | { readonly purse: number[] }

/** What a planted bug leaves out. */
export interface DroppedChecks extends DroppedStandIn {
  /** A confirm is applied whether it is newer or not. */
  readonly confirmOrder?: boolean
}

interface Contents {
  readonly values: Map<string, Value>
  readonly reservations: Map<string, Map<string, Held>>
  readonly hashes: Map<string, Map<string, string>>
}

const NO_FIELDS: ReadonlyMap<string, string> = new Map()

function nothingHeld(): Contents {
  return { values: new Map(), reservations: new Map(), hashes: new Map() }
}

export class FakeRedis {
  dropped: DroppedChecks = {}
  /** Of counters that live for a time. */
  readonly #now: () => number
  #contents: Contents = nothingHeld()
  readonly #loaded = new Set<string>()
  /** Keys that something was set aside under since it was another Redis or had another epoch, for whoever looks at what is left. */
  readonly everReserved = new Set<string>()
  /** Called when it loses what it held. */
  onLost: () => void = () => undefined

  constructor(now: () => number) {
    this.#now = now
  }

  /** A copy, to come back to. */
  snapshot(): Contents {
    const { values, reservations, hashes } = this.#contents
    return {
      values: new Map([...values].map(([key, value]) => [key, 'purse' in value ? { purse: [...value.purse] } : value])),
      reservations: new Map([...reservations].map(([key, held]) => [key, new Map(held)])),
      hashes: new Map([...hashes].map(([key, fields]) => [key, new Map(fields)])),
    }
  }

  restore(contents: Contents): void {
    this.#contents = contents
    this.everReserved.clear()
  }

  flush(): void {
    this.onLost()
    this.everReserved.clear()
    this.#contents = nothingHeld()
  }

  /** A restart forgets scripts. */
  forgetScripts(): void {
    this.#loaded.clear()
  }

  mget(keys: readonly string[]): (string | null)[] {
    return keys.map((key) => this.text(key) ?? null)
  }

  getBuffer(key: string): Buffer | null {
    const value = this.#contents.values.get(key)
    if (value !== undefined && 'purse' in value) return packed(value.purse)
    const text = this.text(key)
    return text === undefined ? null : Buffer.from(text)
  }

  /** A purse as reserve.lua has it, for whoever looks at what is left. */
  purse(key: string): { epoch: number; version: number; balance: number; reserved: readonly number[] } | undefined {
    const [epoch = 0, version = 0, , balance = 0, ...rest] = this.#purse(key) ?? []
    return epoch === 0 ? undefined : { epoch, version, balance, reserved: rest.slice(6) }
  }

  /** All at once: a page of any size is a page. */
  scanHash(key: string): { readonly next: string; readonly entries: Buffer[] } {
    const held = [...(this.#contents.reservations.get(key) ?? [])]
    return {
      next: '0',
      entries: held.flatMap(([field, { numbers, body }]) => [
        Buffer.from(field),
        Buffer.concat([packed(numbers), Buffer.from(`${body}\0`)]),
      ]),
    }
  }

  load(sha: string): void {
    this.#loaded.add(sha)
  }

  evaluate(sha: string, keys: readonly string[], args: readonly string[]): unknown {
    const script = SCRIPTS.get(sha)
    if (script === undefined || !this.#loaded.has(sha)) throw new Error('NOSCRIPT No matching script. Please use EVAL.')
    switch (script) {
      case 'epoch':
        return this.#epoch(keys, args)
      case 'put':
        return this.#put(keys, args)
      case 'raise':
        return this.#raise(keys, args)
      case 'reserve':
        return this.#reserve(keys, args)
      default:
        return this.text(keys[0] ?? '') === args[0] ? this.#standIn(script, keys, args) : -1
    }
  }

  /** Of a hash of texts. */
  hash(key: string): ReadonlyMap<string, string> {
    return this.#contents.hashes.get(key) ?? NO_FIELDS
  }

  hset(key: string, field: string, value: string): void {
    const fields = this.#contents.hashes.get(key)
    if (fields === undefined) this.#contents.hashes.set(key, new Map([[field, value]]))
    else fields.set(field, value)
  }

  hdel(key: string, field: string): void {
    this.#contents.hashes.get(key)?.delete(field)
  }

  del(key: string): void {
    const { values, reservations, hashes } = this.#contents
    for (const held of [values, reservations, hashes]) held.delete(key)
  }

  isReserved(name: string, key: string): boolean {
    return this.#contents.reservations.get(name)?.has(key) === true
  }

  setAside(name: string, key: string, held: Held): void {
    const all = this.#contents.reservations.get(name) ?? new Map<string, Held>()
    this.#contents.reservations.set(name, all.set(key, held))
    this.everReserved.add(key)
  }

  /** The doubles of a purse, to be changed where they are. */
  doubles(key: string): number[] | undefined {
    return this.#purse(key)
  }

  get nowMs(): number {
    return this.#now()
  }

  #standIn(
    script: 'standIn' | 'standInRead' | 'standInStop' | 'standInJournals' | 'countedPins',
    keys: readonly string[],
    args: readonly string[],
  ): unknown {
    switch (script) {
      case 'standIn':
        return decideStandIn(this, keys, args, this.dropped)
      case 'standInRead':
        return readStandIn(this, keys, args)
      case 'standInStop':
        return stopStandIn(this, keys, args)
      case 'countedPins':
        return noteCountedPins(this, keys, args, this.dropped)
      case 'standInJournals':
        return tellJournals(this, keys, args, this.dropped)
    }
  }

  text(key: string): string | undefined {
    const value = this.#contents.values.get(key)
    if (value === undefined || 'purse' in value) return undefined
    if (value.untilMs > this.#now()) return value.text
    this.#contents.values.delete(key)
    return undefined
  }

  set(key: string, text: string, untilMs = Infinity): void {
    this.#contents.values.set(key, { text, untilMs })
  }

  #purse(key: string | undefined): number[] | undefined {
    const value = this.#contents.values.get(key ?? '')
    return value !== undefined && 'purse' in value ? value.purse : undefined
  }

  #epoch([epochKey = '', ...others]: readonly string[], [epoch = '']: readonly string[]): number {
    const known = this.text(epochKey)
    if (known !== undefined && Number(known) >= Number(epoch)) return Number(known)
    for (const key of others) this.del(key)
    this.everReserved.clear()
    this.set(epochKey, epoch)
    return Number(epoch)
  }

  #put(keys: readonly string[], [epoch = '', states = '[]', ...cards]: readonly string[]): number | number[] {
    if (this.text(keys[0] ?? '') !== epoch) return -1
    const rest = keys.slice(1)
    for (const [index, record] of cards.entries()) {
      const key = rest[index] ?? ''
      const [knownEpoch, knownVersion] = (this.text(key) ?? '').split(':')
      if (knownEpoch !== epoch || Number(knownVersion) <= Number(record.split(':')[1])) this.set(key, record)
    }
    return (JSON.parse(states) as number[][]).map((state, index) => {
      const key = rest[cards.length + index] ?? ''
      const purse = this.#purse(key)
      if (purse?.[EPOCH] !== Number(epoch)) {
        this.#contents.values.set(key, { purse: [Number(epoch), ...state, 0, 0, 0, 0, 0, 0] })
        return 0
      }
      const found = foundPurse(purse, state)
      if (found !== 3) take(purse, state)
      return found
    })
  }

  #raise(keys: readonly string[], [epoch = '', lifetimes = '[]', returned = '[]', attempts = '[]']: readonly string[]): unknown {
    if (this.text(keys[0] ?? '') !== epoch) return -1
    if (keys.length === 1) return []
    const counters = keys.slice(1)
    const before = counters.map((key) => this.text(key))
    const change = counters.map(() => 0)
    const count = (at: number): number => Number(before[at] ?? 0) + (change[at] ?? 0)
    const add = (at: number, by: number): void => {
      change[at] = (change[at] ?? 0) + by
    }
    for (const [at = 0, by = 0] of JSON.parse(returned) as number[][])
      if (before[at - 1] !== undefined) add(at - 1, -Math.min(by, count(at - 1)))
    const results = (JSON.parse(attempts) as number[][][]).map((attempt) => {
      const full = attempt.findIndex(([at = 0, by = 0, ceiling = 0]) => count(at - 1) + by > ceiling)
      if (full === -1) for (const [at = 0, by = 0] of attempt) add(at - 1, by)
      return full + 1
    })
    const times = JSON.parse(lifetimes) as number[]
    for (const [at, key] of counters.entries()) {
      if (change[at] === 0) continue
      const value = this.#contents.values.get(key)
      if (before[at] === undefined || value === undefined || 'purse' in value)
        this.set(key, String(change[at]), this.#now() + (times[at] ?? 0))
      else if (count(at) <= 0) this.#contents.values.delete(key)
      else this.set(key, String(count(at)), value.untilMs)
    }
    return results
  }

  #reserve(keys: readonly string[], [epoch = '', settled = '[]', asked = '[]']: readonly string[]): unknown {
    if (this.text(keys[0] ?? '') !== epoch) return -1
    const settlements = JSON.parse(settled) as (string | number)[][]
    const reservations = JSON.parse(asked) as (string | number)[][]
    const name = keys[1] ?? ''
    const held = this.#contents.reservations.get(name) ?? new Map<string, Held>()
    this.#contents.reservations.set(name, held)
    const purseOf = (at: number): number[] | undefined => {
      const purse = this.#purse(keys[at + 3])
      return purse?.[EPOCH] === Number(epoch) ? purse : undefined
    }
    const standsIn = this.text(keys[2] ?? '') === epoch
    for (const [index, item] of settlements.entries()) this.#settle(held, purseOf(index), item)
    return reservations.map((item, index) => {
      const outcome = reserve(held, purseOf(settlements.length + index), item, standsIn)
      if (outcome === 0) this.everReserved.add(String(item[0]))
      return outcome
    })
  }

  #settle(held: Map<string, Held>, purse: number[] | undefined, item: readonly (string | number)[]): void {
    const [key, purseId, ...numbers] = item as [string, number, ...number[]]
    const reservation = held.get(key)
    const own = reservation?.numbers[7] === purseId ? reservation : undefined
    if (own !== undefined) held.delete(key)
    if (purse === undefined) return
    if (own !== undefined) {
      const [debit = 0, group = 0, amount = 0, count = 0, marks = 0] = own.numbers
      lower(purse, DEBIT, debit)
      purse[MARKS_RESERVED] = (purse[MARKS_RESERVED] ?? 0) & ~marks
      const at = group === 1 ? PENDING[1] : group === 2 ? PENDING[2] : 0
      if (at !== 0) {
        lower(purse, at, amount)
        lower(purse, at + 1, count)
      }
    }
    const [version = 0, delta = 0] = numbers
    if (numbers.length === 2) {
      if (version !== (purse[VERSION] ?? 0) + 1) return
      purse[VERSION] = version
      purse[BALANCE] = (purse[BALANCE] ?? 0) + delta
    } else if (numbers.length > 0 && (version > (purse[VERSION] ?? 0) || this.dropped.confirmOrder === true)) {
      take(purse, numbers)
    }
  }
}

/** @returns 1 the same, 2 behind, 3 ahead, 4 the gate was lower, 5 of the same version and yet not the same */
function foundPurse(purse: readonly number[], state: readonly number[]): number {
  const [version = 0, gate = 0, ...rest] = state
  if (version !== purse[VERSION]) return version > (purse[VERSION] ?? 0) ? 2 : 3
  if (rest.some((value, index) => purse[BALANCE + index] !== value)) return 5
  return (purse[GATE] ?? 0) < gate ? 4 : 1
}

/** The committed state; a gate never goes back. */
function take(purse: number[], state: readonly number[]): void {
  const gate = Math.max(purse[GATE] ?? 0, state[1] ?? 0)
  for (const [index, value] of state.entries()) purse[index + 1] = value
  purse[GATE] = gate
}

function lower(purse: number[], at: number, by: number): void {
  purse[at] = Math.max(0, (purse[at] ?? 0) - by)
}

/** @returns 0 reserved, 1 kept, 2 another body, 3 purse not here, 4 gate, 5 balance, 6 the day's amount, 7 the day's count, 8 a mark, 9 the shard is in stand-in */
function reserve(
  held: Map<string, Held>,
  purse: number[] | undefined,
  item: readonly (string | number)[],
  standsIn: boolean,
): number {
  const [key, ...rest] = item as [string, ...number[]]
  const [debit = 0, gate = 0, group = 0, amount = 0, count = 0, amountMax = 0, countMax = 0, day = 0, marks = 0, ms = 0] = rest
  const [keyDate = 0, purseId = 0] = rest.slice(10)
  const body = String(item[13])
  const before = held.get(key)
  if (before !== undefined) return before.body === body ? 1 : 2
  if (standsIn && item[14] === 1) return 9
  if (purse === undefined) return 3
  const at = (index: number): number => purse[index] ?? 0
  if (gate !== 0 && at(GATE) !== gate) return 4
  if (at(BALANCE) - at(DEBIT) < debit) return 5
  if (((at(MARKS) | at(MARKS_RESERVED)) & marks) !== 0) return 8
  const pending = group === 1 ? PENDING[1] : group === 2 ? PENDING[2] : 0
  if (pending !== 0) {
    const committed = group === 1 ? COMMITTED[1] : COMMITTED[2]
    const today = at(DAY) >= day
    const [newAmount, newCount] = [at(pending) + amount, at(pending + 1) + count]
    if ((today ? at(committed) : 0) + newAmount > amountMax) return 6
    if ((today ? at(committed + 1) : 0) + newCount > countMax) return 7
    purse[pending] = newAmount
    purse[pending + 1] = newCount
  }
  purse[DEBIT] = at(DEBIT) + debit
  purse[MARKS_RESERVED] = at(MARKS_RESERVED) | marks
  held.set(key, { numbers: [debit, group, amount, count, marks, ms, keyDate, purseId], body })
  return 0
}

function packed(numbers: readonly number[]): Buffer {
  const bytes = Buffer.alloc(Math.min(numbers.length, PURSE_DOUBLES) * 8)
  for (const [index, value] of numbers.entries()) bytes.writeDoubleLE(value, index * 8)
  return bytes
}
