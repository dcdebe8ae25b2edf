import { readFileSync } from 'node:fs'
import { Pool } from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { CardState } from '../../src/card.ts'
import { systemClock } from '../../src/clock.ts'
import { Desk } from '../../src/ledger/programme/desk.ts'
import { silentLogger } from '../../src/log.ts'
import { CARD_EVENTS, FINAL, lifeDiagram, stateAfter, type CardEvent } from '../../src/programme/cardLife.ts'
import { changeCard } from '../../src/programme/changeCard.ts'
import { createDatabase } from '../support/stack.ts'

/** The rules once more, in words of their own: for each state what may happen, and where it leads. */
const ON_THE_WAY = {
  order_withdrawn: 'CANCELLED',
  reported_lost: 'LOST',
  reported_stolen: 'STOLEN',
  holder_died: 'CANCELLED',
} as const
const IN_HAND = {
  reported_lost: 'LOST',
  reported_stolen: 'STOLEN',
  reported_damaged: 'DAMAGED',
  expired: 'EXPIRED',
  holder_died: 'CLOSED',
  retired: 'RETIRED',
} as const
const RULES: Readonly<Record<CardState, Partial<Record<CardEvent, CardState>>>> = {
  ORDERED: { ...ON_THE_WAY, notice_received: 'AWAITING_COLLECTION' },
  AWAITING_COLLECTION: { ...ON_THE_WAY, collection_month_passed: 'AWAITING_COLLECTION_DIWAN', handed_over: 'ACTIVE' },
  AWAITING_COLLECTION_DIWAN: { ...ON_THE_WAY, diwan_month_passed: 'DESTROYED', handed_over: 'ACTIVE' },
  ACTIVE: {
    ...IN_HAND,
    fingerprints_exceeded: 'SUSPENDED_BIOMETRIC',
    pin_tries_exceeded: 'PIN_BLOCKED',
    pin_reported_lost: 'PIN_LOST',
    renewed: 'REPLACED',
  },
  SUSPENDED_BIOMETRIC: { ...IN_HAND, fingerprint_reverified: 'ACTIVE' },
  PIN_BLOCKED: {
    ...IN_HAND,
    fingerprints_exceeded: 'SUSPENDED_BIOMETRIC',
    pin_reported_lost: 'PIN_LOST',
    pin_set: 'ACTIVE',
    renewed: 'REPLACED',
  },
  PIN_LOST: { ...IN_HAND, pin_set: 'ACTIVE', renewed: 'REPLACED' },
  LOST: { replaced: 'REPLACED', holder_died: 'CLOSED' },
  STOLEN: { replaced: 'REPLACED', holder_died: 'CLOSED' },
  DAMAGED: { replaced: 'REPLACED', holder_died: 'CLOSED' },
  EXPIRED: { renewed: 'REPLACED', holder_died: 'CLOSED' },
  REPLACED: {},
  DESTROYED: {},
  CANCELLED: {},
  CLOSED: {},
  RETIRED: {},
}
const STATES = Object.keys(RULES) as CardState[]
const CASES = STATES.flatMap((state) => CARD_EVENTS.map((event) => ({ state, event, to: RULES[state][event] })))

let desk: Desk
let sql: Pool
let cards = 0

beforeAll(async () => {
  const url = await createDatabase()
  sql = new Pool({ connectionString: url, max: 1 })
  sql.on('error', () => undefined)
  desk = new Desk({ url, shard: 0, connections: 2, statementMs: 10_000, clock: systemClock, log: silentLogger })
  // One household of two, its own purse, and one purse that no card here draws on.
  await sql.query(`
    INSERT INTO household (shard, id, governorate) VALUES (0, 1, 3);
    INSERT INTO person (shard, id, household_id, birth_date, head) VALUES (0, 101, 1, '1980-05-17', true), (0, 102, 1, '1984-11-02', false);
    INSERT INTO purse (shard, id, kind, unit, household_id, person_id)
    VALUES (0, 101, 1, 1, 1, 101), (0, 102, 1, 1, 1, 102), (0, 192, 2, 2, 1, NULL)`)
})

afterAll(async () => {
  await desk.close()
  await sql.end()
})

interface Seen {
  readonly state: string
  readonly version: string
  readonly gates: string
  readonly events: string
  readonly ended: boolean
}

async function cardIn(state: CardState, role = 'member'): Promise<string> {
  const token = `card-${String(++cards).padStart(17, '0')}`
  const person = role === 'member' ? 102 : role === 'head' ? 101 : null
  await sql.query(
    `INSERT INTO card (shard, token, masked, household_id, person_id, role, state, expiry) VALUES (0, $1, '****', 1, $2, $3, $4, '2912')`,
    [token, person, role, state],
  )
  return token
}

async function seen(token: string): Promise<Seen> {
  const { rows } = await sql.query<Seen>(
    `SELECT c.state, c.version, (SELECT string_agg(gate::text, ' ' ORDER BY id) FROM purse) AS gates,
      (SELECT string_agg(kind || ' ' || (data->>'from') || ' ' || (data->>'to'), ', ') FROM programme_event WHERE card_token = c.token) AS events,
      l.ended_at IS NOT NULL AS ended
    FROM card c LEFT JOIN card_life l ON l.shard = c.shard AND l.token = c.token WHERE c.token = $1`,
    [token],
  )
  return rows[0]!
}

function happen(token: string, event: CardEvent, version?: number): ReturnType<typeof changeCard> {
  return desk.run({
    actor: { name: 'tester', roles: [] },
    action: 'test',
    subject: `card ${token}`,
    work: (tx) => changeCard(tx, { token, event, version }),
  })
}

describe.each(STATES)('a card that is %s', (state) => {
  const allowed = CASES.filter((one) => one.state === state && one.to !== undefined)
  const forbidden = CASES.filter((one) => one.state === state && one.to === undefined)

  it('goes where its events lead, with a version, an event and a raised gate each', async () => {
    for (const { event, to } of allowed) {
      const token = await cardIn(state)
      const before = await seen(token)
      expect([event, await happen(token, event)]).toMatchObject([event, { ok: true, value: { state: to, version: 2 } }])
      const after = await seen(token)
      expect([event, after]).toMatchObject([
        event,
        { state: to, version: '2', events: `card.${event} ${state} ${to!}`, ended: FINAL.includes(to!) },
      ])
      // The purses are in the order of head, member, ration: a member's card concerns the member's only.
      const [head, member, ration] = before.gates.split(' ').map(Number)
      expect(after.gates).toBe([head, member! + 1, ration].join(' '))
    }
  })

  it('stays as it is whatever else is tried', async () => {
    const token = await cardIn(state)
    const before = await seen(token)
    for (const { event } of forbidden)
      expect([event, await happen(token, event)]).toMatchObject([
        event,
        { ok: false, refusal: { kind: 'conflict', name: 'not-in-this-state' } },
      ])
    expect(await seen(token)).toEqual(before)
  })
})

it('every case of the table was tried', () => {
  expect(CASES).toHaveLength(16 * 18)
  for (const { state, event, to } of CASES) expect([state, event, stateAfter(state, event)]).toEqual([state, event, to])
})

it('the gates that a change raises are those of the purses which the card draws on', async () => {
  const gatesOf = async (role: string): Promise<number[]> => {
    const token = await cardIn('ACTIVE', role)
    const before = (await seen(token)).gates.split(' ').map(Number)
    await happen(token, 'reported_lost')
    return (await seen(token)).gates.split(' ').map((gate, index) => Number(gate) - before[index]!)
  }
  expect(await gatesOf('head')).toEqual([1, 0, 1])
  expect(await gatesOf('member')).toEqual([0, 1, 0])
  expect(await gatesOf('old')).toEqual([0, 0, 1])
})

it('of two reports at once one is done, and a version that was seen before is stale', async () => {
  const token = await cardIn('ACTIVE')
  const outcomes = await Promise.all([happen(token, 'reported_lost'), happen(token, 'reported_stolen')])
  expect(outcomes.map(({ ok }) => ok).toSorted()).toEqual([false, true])
  expect(await happen(token, 'holder_died', 1)).toMatchObject({ ok: false, refusal: { kind: 'stale', name: 'card-changed' } })
  expect(await happen('nobody', 'expired')).toMatchObject({ ok: false, refusal: { kind: 'not-found', name: 'no-such-card' } })
})

it('the diagram in spec/programme.md is that of the table', () => {
  const spec = readFileSync(new URL('../../spec/programme.md', import.meta.url), 'utf8')
  const drawn = /<!-- life diagram -->\n```mermaid\n([^]*?)\n```\n<!-- end of life diagram -->/.exec(spec)?.[1]
  expect(drawn).toBe(lifeDiagram())
})
