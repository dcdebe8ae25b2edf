import fc from 'fast-check'
import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { systemClock } from '../../../src/clock.ts'
import { Desk } from '../../../src/ledger/programme/desk.ts'
import { advanceFrontier, lastEventNumber, NO_FRONTIER, type EventFrontier } from '../../../src/ledger/programme/eventFeed.ts'
import { silentLogger } from '../../../src/log.ts'
import { readEvents, type ToldEvent } from '../../../src/programme/toldEvents.ts'
import { createDatabase } from '../../support/stack.ts'

const WRITERS = 4
let desk: Desk
let writers: Client[]

beforeAll(async () => {
  const url = await createDatabase()
  desk = new Desk({ url, shard: 0, connections: 2, statementMs: 10_000, clock: systemClock, log: silentLogger })
  writers = await Promise.all(
    Array.from({ length: WRITERS }, async () => {
      const client = new Client({ connectionString: url })
      await client.connect()
      return client
    }),
  )
  await writers[0]!.query('SELECT ensure_partitions(current_date, 1)')
  await writers[0]!.query('CREATE TABLE lock (card text PRIMARY KEY, count integer NOT NULL DEFAULT 0)')
})

afterAll(async () => {
  await Promise.all([desk.close(), ...writers.map((client) => client.end())])
})

/** What a reader was told, poll by poll. */
class Reader {
  frontier: EventFrontier = NO_FRONTIER
  after = 0
  readonly told: ToldEvent[] = []
  readonly #limit: number

  constructor(limit = 3) {
    this.#limit = limit
  }

  /** Begins where events are now, when none is under way. */
  static async here(limit?: number): Promise<Reader> {
    const reader = new Reader(limit)
    reader.after = await desk.read(lastEventNumber)
    reader.frontier = { final: reader.after, awaited: undefined }
    return reader
  }

  async poll(): Promise<void> {
    this.frontier = await desk.read((tx) => advanceFrontier(tx, this.frontier))
    while (this.after < this.frontier.final) {
      const range = { after: this.after, until: this.frontier.final, limit: this.#limit }
      const page = await desk.read((tx) => readEvents(tx, range, {}))
      this.told.push(...page.events)
      this.after = page.until
    }
  }

  /** Other databases of the server may hold it up for a while. */
  async until(count: number): Promise<void> {
    for (const end = Date.now() + 10_000; this.told.length < count && Date.now() < end;) await this.poll()
  }
}

/** An event of a card, under its lock, as the desk (in programme_event) and messages (in authorization) write them. */
async function write(client: Client, card: string, table: 'programme' | 'authorization'): Promise<void> {
  await client.query('INSERT INTO lock (card) VALUES ($1) ON CONFLICT DO NOTHING', [card])
  const { rows } = await client.query<{ count: number }>('UPDATE lock SET count = count + 1 WHERE card = $1 RETURNING count', [
    card,
  ])
  const count = rows[0]!.count
  if (table === 'programme')
    await client.query(
      `INSERT INTO programme_event (number, at, kind, shard, card_token, data)
       SELECT nextval('event_number'), now(), 'card.counted', 0, $1, jsonb_build_object('rrn', $2::text) FROM (SELECT pg_current_xact_id()) AS id`,
      [card, String(count)],
    )
  else
    await client.query(
      `INSERT INTO "authorization" (requested, approved, decided_at, key_date, shard, mti, kind, key, response_code, card_token, rrn, event_number)
       VALUES (0, 0, now(), current_date, 0, 200, 9, gen_random_uuid()::text, '00', $1, $2, nextval('event_number'))`,
      [card, String(count)],
    )
}

const tellsOf = (events: readonly ToldEvent[]): string[] =>
  events.map(({ cardId, data }) => `${cardId ?? ''} ${String(data['rrn'])}`)

describe('the frontier', () => {
  it('is not passed while a SQL transaction with a lower number runs, however many commit meanwhile', async () => {
    const [slow, quick] = [writers[0]!, writers[1]!]
    const reader = await Reader.here()
    await slow.query('BEGIN')
    await write(slow, 'slow', 'programme')
    // Nothing has ended since: a snapshot alone does not tell of it.
    await reader.poll()
    expect(reader.frontier.awaited).toBeDefined()
    await write(quick, 'quick', 'authorization')
    await write(quick, 'quick', 'programme')
    for (let polls = 0; polls < 5; polls++) await reader.poll()
    expect(reader.told).toEqual([])
    await slow.query('COMMIT')
    await reader.until(3)
    expect(tellsOf(reader.told)).toEqual(['slow 1', 'quick 1', 'quick 2'])
    const ids = reader.told.map(({ id }) => id)
    expect(ids).toEqual(ids.toSorted((one, other) => one - other))
  })

  it('passes numbers that were rolled back', async () => {
    const reader = await Reader.here()
    await writers[0]!.query('BEGIN')
    await write(writers[0]!, 'gone', 'programme')
    await write(writers[1]!, 'there', 'programme')
    await writers[0]!.query('ROLLBACK')
    await reader.until(1)
    expect(tellsOf(reader.told)).toEqual(['there 1'])
  })

  it('takes no transaction id where nothing is new', async () => {
    const reader = await Reader.here()
    const { frontier } = reader
    await reader.poll()
    expect(reader.frontier).toBe(frontier)
  })

  it('whatever the order in which SQL transactions begin, write and end: all that was committed is told once, for each card in order', async () => {
    const step = fc.record({
      writer: fc.nat(WRITERS - 1),
      what: fc.constantFrom('write', 'write', 'commit', 'rollback', 'poll'),
      card: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
      table: fc.constantFrom('programme' as const, 'authorization' as const),
    })
    let run = 0
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), fc.integer({ min: 1, max: 4 }), async (steps, limit) => {
        run++
        const reader = await Reader.here(limit)
        const holders = new Map<string, number>()
        const open = new Set<number>()
        const end = async (writer: number, how: 'COMMIT' | 'ROLLBACK'): Promise<void> => {
          if (!open.delete(writer)) return
          await writers[writer]!.query(how)
          for (const [card, holder] of holders) if (holder === writer) holders.delete(card)
        }
        for (const { writer, what, card: letter, table } of steps) {
          const card = `${letter}${String(run)}`
          if (what === 'poll') await reader.poll()
          else if (what === 'commit') await end(writer, 'COMMIT')
          else if (what === 'rollback') await end(writer, 'ROLLBACK')
          else if ((holders.get(card) ?? writer) === writer) {
            // Another's card would be waited for.
            if (!open.has(writer)) await writers[writer]!.query('BEGIN')
            open.add(writer)
            holders.set(card, writer)
            await write(writers[writer]!, card, table)
          }
        }
        for (const writer of [...open]) await end(writer, writer % 2 === 0 ? 'COMMIT' : 'ROLLBACK')
        const { rows } = await writers[0]!.query<{ card: string; count: number }>(
          'SELECT card, count FROM lock WHERE card LIKE $1',
          [`_${String(run)}`],
        )
        const committed = rows.flatMap(({ card, count }) => Array.from({ length: count }, (_, i) => `${card} ${String(i + 1)}`))
        await reader.until(committed.length)
        expect(tellsOf(reader.told).toSorted()).toEqual(committed.toSorted())
        for (const { card } of rows) {
          const counts = reader.told.filter(({ cardId }) => cardId === card).map(({ data }) => Number(data['rrn']))
          expect(counts).toEqual(counts.map((_, i) => i + 1))
        }
      }),
      { numRuns: 25 },
    )
  })
})
