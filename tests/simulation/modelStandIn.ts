/**
 * What the model knows of stand-in: what Redis has decided, in its order, and what the journals hold, read by the format of spec/standin.md. It judges caps over
 * all processes, PINs, and that nothing is told or posted that no journal holds.
 */
import { crc32 } from 'node:zlib'
import { isApproval, type Known, type Stood } from './known.ts'
import { RULES } from './programme.ts'
import type { World } from './world.ts'

export interface StandInParts {
  readonly world: World
  readonly known: (key: string) => Known | undefined
  /** A wrong PIN was counted in Redis; nobody may ever be told. */
  readonly wrongPinCounted: (token: string) => void
  /** It is durable, and may be told. */
  readonly wrongPin: (known: Known) => void
  /** Redis has forgotten wrong PINs that it counted, and what was answered. */
  readonly forget: () => void
  /** How many wrong PINs of a card were told. */
  readonly pinTries: (token: string) => number
  readonly fail: (known: Known, what: string) => void
}

interface Read {
  written: number
  durable: number
}

interface RecordText {
  readonly type: 'head' | 'decision' | 'stop'
  readonly transaction: { readonly key: string; readonly localDay: string; readonly cardToken: string }
  readonly responseCode: string
  readonly approved: number
  readonly purseId: number
}

const START = 'SARFJNL1'
const MARK = 'e54a5231'

export class StandInModel {
  readonly #parts: StandInParts
  readonly #read = new Map<string, Read>()
  /** What Redis has let go, by purse and day, since it last lost something. */
  #given = new Map<string, number>()
  readonly #anew = new Set<string>()

  constructor(parts: StandInParts) {
    this.#parts = parts
  }

  /** Caps begin anew, and wrong PINs that are not drained: that is what spec/standin.md says of a Redis that is lost within the day. */
  redisLost(): void {
    this.#given = new Map()
    this.#anew.clear()
    this.#parts.forget()
  }

  /** The step that decides, in the order in which Redis took it. */
  remembered(items: string, records: readonly string[], results: readonly (number | string)[]): void {
    for (const index of (JSON.parse(items) as unknown[]).keys()) {
      if (results[index] !== 0) continue
      const record = JSON.parse(records[index] ?? '{}') as RecordText
      const { key, localDay, cardToken } = record.transaction
      const known = this.#parts.known(key)
      if (known === undefined) continue
      const { planned } = known
      if (known.row !== undefined) this.#anew.add(key)
      this.#parts.world.note(() => `  stand-in: #${Number(known.composed.fields[11])} ${record.responseCode}`)
      if (record.responseCode === '55') this.#parts.wrongPinCounted(cardToken)
      if (!isApproval(record.responseCode)) continue
      if (planned.pin !== 'right') this.#parts.fail(known, 'was approved in stand-in, and nobody has shown that he is the holder')
      if (this.#parts.pinTries(cardToken) >= RULES.pinTries)
        this.#parts.fail(known, 'was approved in stand-in with a PIN that is blocked')
      const isBread = known.kind === 'bread'
      const given = (this.#given.get(`${record.purseId} ${localDay}`) ?? 0) + (isBread ? planned.days : planned.amount)
      this.#given.set(`${record.purseId} ${localDay}`, given)
      if (given > (isBread ? RULES.standIn.days : RULES.standIn.amount))
        this.#parts.fail(known, `took what stand-in has given the household on ${localDay} to ${given}`)
    }
  }

  /** A journal has grown: it may be posted. */
  written(file: string, bytes: Buffer): void {
    const read = this.#of(file)
    read.written = this.#records(bytes, read.written, (known, record) => {
      const { code } = this.#take(known, record)
      if (code !== record.responseCode)
        this.#parts.fail(known, `is ${code} in one journal, and ${record.responseCode} in another`)
    })
  }

  /** So much of it survives anything: it may be told. */
  durable(file: string, bytes: Buffer): void {
    const read = this.#of(file)
    read.durable = this.#records(bytes, read.durable, (known, record) => {
      const stood = this.#take(known, record)
      if (stood.durable) return
      stood.durable = true
      if (record.responseCode !== '55') return
      this.#parts.wrongPin(known)
      const tries = this.#parts.pinTries(record.transaction.cardToken)
      if (tries > RULES.pinTries) this.#parts.fail(known, `was wrong PIN number ${tries} that is told, in stand-in`)
    })
  }

  #take(known: Known, record: RecordText): Stood {
    const isAnew = this.#anew.has(known.key) && known.stood?.code !== record.responseCode
    if (known.stood === undefined || isAnew) known.stood = this.#stoodOf(record)
    return known.stood
  }

  #of(file: string): Read {
    const read = this.#read.get(file) ?? { written: 0, durable: 0 }
    this.#read.set(file, read)
    return read
  }

  /** @returns where the first record begins that is not whole */
  #records(bytes: Buffer, from: number, seen: (known: Known, record: RecordText) => void): number {
    let at = from === 0 && bytes.subarray(0, START.length).toString('latin1') === START ? START.length : from
    while (at + 12 <= bytes.length && bytes.subarray(at, at + 4).toString('hex') === MARK) {
      const end = at + 12 + bytes.readUInt32BE(at + 4)
      const payload = bytes.subarray(at + 12, end)
      if (end > bytes.length || crc32(payload) !== bytes.readUInt32BE(at + 8)) break
      const record = JSON.parse(payload.toString('utf8')) as RecordText
      const known = record.type === 'decision' ? this.#parts.known(record.transaction.key) : undefined
      if (known !== undefined) seen(known, record)
      at = end
    }
    return at
  }

  #stoodOf({ responseCode, approved, purseId, transaction: { key, localDay } }: RecordText): Stood {
    return {
      code: responseCode,
      approved,
      purseId,
      day: localDay,
      durable: false,
      anew: this.#anew.has(key),
      told: false,
      forgotten: false,
    }
  }
}
