/** Reads everything that Redis holds of a shard, for the auditor: on a connection of its own, changing nothing. */
import { Redis } from 'ioredis'
import { errorText } from '../log.ts'
import { hotPurse, HotStateUnavailable, openReservations, type OpenReservation } from './hotRecords.ts'

/** A purse as Redis holds it. */
export interface HotPurse {
  readonly purseId: number
  readonly version: number
  readonly balance: number
  /** What reservations have set aside: piasters, and the day's counters. */
  readonly reserved: readonly number[]
}

export interface HotStateAuditOptions {
  readonly url: string
  readonly shard: number
  /** How long a call may take. */
  readonly callMs: number
}

/** Purses read in one round trip. */
const PAGE = 1000

export class HotStateAudit {
  readonly #redis: Redis
  readonly #shard: number

  private constructor(redis: Redis, shard: number) {
    this.#redis = redis
    this.#shard = shard
  }

  /** @throws HotStateUnavailable */
  static async connect({ url, shard, callMs }: HotStateAuditOptions): Promise<HotStateAudit> {
    const redis = new Redis(url, {
      lazyConnect: true,
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0,
      connectTimeout: callMs,
      commandTimeout: callMs,
      retryStrategy: () => null,
    })
    let reason = ''
    redis.on('error', (error: Error) => {
      reason = errorText(error)
    })
    try {
      await redis.connect()
    } catch (error) {
      redis.disconnect()
      throw new HotStateUnavailable(reason === '' ? errorText(error) : reason, { cause: error })
    }
    return new HotStateAudit(redis, shard)
  }

  close(): void {
    this.#redis.disconnect()
  }

  /** Undefined where this Redis has never been told one. */
  async epoch(): Promise<number | undefined> {
    const epoch = await guarded(this.#redis.get(this.#key('epoch')))
    return epoch === null ? undefined : Number(epoch)
  }

  /** What is set aside and not yet settled. */
  async reservations(): Promise<OpenReservation[]> {
    const found: OpenReservation[] = []
    let cursor = '0'
    do {
      const [next, entries] = await guarded(this.#redis.hscanBuffer(this.#key('reservations'), cursor, 'COUNT', PAGE))
      cursor = next.toString()
      found.push(...openReservations(entries))
    } while (cursor !== '0')
    return found
  }

  /** All purses of an epoch, page by page. A purse that moves while this reads may be missed or come twice (Redis manual, SCAN). */
  async *purses(epoch: number): AsyncGenerator<HotPurse[]> {
    const prefix = this.#key('purse:')
    let cursor = '0'
    do {
      const [next, keys] = await guarded(this.#redis.scan(cursor, 'MATCH', `${prefix}*`, 'COUNT', PAGE))
      cursor = next
      if (keys.length > 0)
        yield await this.pursesById(
          epoch,
          keys.map((key) => Number(key.slice(prefix.length))),
        )
    } while (cursor !== '0')
  }

  /** Those of the purses that Redis holds in this epoch. */
  async pursesById(epoch: number, ids: readonly number[]): Promise<HotPurse[]> {
    if (ids.length === 0) return []
    const records = await guarded(this.#redis.mgetBuffer(ids.map((id) => this.#key(`purse:${String(id)}`))))
    return records.flatMap((record, index) => {
      const purse = record === null ? undefined : hotPurse(record)
      return purse?.epoch === epoch ? [{ purseId: ids[index] ?? 0, ...purse }] : []
    })
  }

  #key(name: string): string {
    return `{${String(this.#shard)}}:${name}`
  }
}

async function guarded<T>(call: Promise<T>): Promise<T> {
  try {
    return await call
  } catch (error) {
    throw new HotStateUnavailable(errorText(error), { cause: error })
  }
}
