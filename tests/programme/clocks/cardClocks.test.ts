import { Client } from 'pg'
import { beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { planAnnouncement } from '../../../src/ledger/programme/announcements.ts'
import { done, type Desk, type Outcome, type SqlTransaction } from '../../../src/ledger/programme/desk.ts'
import { startOfDay } from '../../../src/programme/calendar.ts'
import { personIdOf } from '../../../src/programme/householdRows.ts'
import { receiveReceipt } from '../../../src/programme/notices/receipts.ts'
import {
  addPlaces,
  change,
  dispatcher,
  openDesk,
  order,
  personalData,
  POST_OFFICE,
  runClocks,
  testProvider,
  vault,
} from '../../support/programmeDesk.ts'
import { startTestSwitch, type TestSwitch } from '../../support/switch.ts'
import { addCollectionNotice } from '../../../src/programme/notices/cardNotices.ts'
import { readCardLife, writeCardLife } from '../../../src/ledger/programme/cards.ts'
import { parametersOn } from '../../../src/programmeParameters.ts'

/** A test's clock goes on. */
const TEN_MINUTES_MS = 600_000
const START = '2027-01-10T10:00:00Z'

let running: TestSwitch
let desk: Desk

beforeAll(async () => {
  running = await startTestSwitch({ at: START, vault })
  desk = openDesk(running)
  await addPlaces(running)
  // The demo's cards have ends of their own.
  await running.sql('DELETE FROM card')
})

beforeEach(async () => {
  running.clock.moveTo(START)
  await running.sql('TRUNCATE notice, card_life, clock_mark, service_announcement CASCADE')
  await running.sql('DELETE FROM card')
})

let persons = 0
async function household(): Promise<{ household: number; head: number }> {
  const { household } = await running.openHousehold({ personalData: personalData(++persons, '01012345678') })
  await running.sql('DELETE FROM card WHERE household_id = $1', [household])
  return { household, head: personIdOf(household, 1) }
}

/** A card that was printed and told of at an instant. */
async function waiting(told: string): Promise<string> {
  running.clock.moveTo(START)
  const { head } = await household()
  const token = await order(desk, running, { personId: head, placeId: POST_OFFICE, reason: 'new' })
  const rules = parametersOn(running.config.programme, told.slice(0, 10)).cards
  await change(desk, async (tx) => {
    await writeCardLife(tx, token, { printed_at: new Date(tx.nowMs).toISOString() })
    await addCollectionNotice(tx, (await readCardLife(tx, token))!, POST_OFFICE, rules)
    return done({})
  })
  running.clock.moveTo(told)
  const provider = testProvider()
  await dispatcher(desk, running, provider).round()
  const reference = provider.taken.at(-1)!.id
  expect(
    (await receiveReceipt({ desk, config: running.config }, { reference, state: 'delivered', atMs: Date.parse(told) })).ok,
  ).toBe(true)
  return token
}

const clockOn = async (instant: string | number): Promise<number> => {
  running.clock.moveTo(instant)
  return (await runClocks(desk, running)).cards
}
const noon = (day: string): string => `${day}T10:00:00Z`
const stateOf = async (token: string) =>
  (await running.sql<{ state: string }>('SELECT state FROM card WHERE token = $1', [token]))[0]?.state
const told = async (token: string) =>
  (await running.sql<{ template: string }>('SELECT template FROM notice WHERE card_token = $1 ORDER BY id', [token])).map(
    ({ template }) => template,
  )
const events = async (token: string) =>
  (await running.sql<{ kind: string }>('SELECT kind FROM programme_event WHERE card_token = $1 ORDER BY number', [token])).map(
    ({ kind }) => kind.replace('card.', ''),
  )
const records = async (token: string) =>
  (
    await running.sql<{ detail: string }>(
      `SELECT detail FROM audit_record WHERE subject = $1 AND action = 'card.clock' ORDER BY number`,
      [`card ${token}`],
    )
  ).map(({ detail }) => (JSON.parse(detail) as { done: string[] }).done.join())

describe('collection', () => {
  it('ends at the named place after a month, at the Diwan after two, and each end is told before; the last day is a whole one', async () => {
    const token = await waiting('2027-01-31T10:00:00Z')
    expect(await clockOn(noon('2027-02-20'))).toBe(0)
    expect(await clockOn(noon('2027-02-21'))).toBe(1)
    expect(await clockOn(noon('2027-02-22'))).toBe(0)
    expect(await clockOn(startOfDay('2027-03-01') - TEN_MINUTES_MS)).toBe(0)
    expect(await stateOf(token)).toBe('AWAITING_COLLECTION')
    expect(await clockOn(startOfDay('2027-03-01'))).toBe(1)
    expect(await stateOf(token)).toBe('AWAITING_COLLECTION_DIWAN')
    expect(await clockOn(noon('2027-03-24'))).toBe(1)
    expect(await clockOn(startOfDay('2027-04-01') - TEN_MINUTES_MS)).toBe(0)
    expect(await clockOn(startOfDay('2027-04-01'))).toBe(1)
    expect(await stateOf(token)).toBe('DESTROYED')
    expect(await clockOn(noon('2027-06-01'))).toBe(0)
    expect(await told(token)).toEqual(['collection', 'collection-reminder', 'moved-to-diwan', 'last-reminder', 'destroyed'])
    expect(await events(token)).toEqual(['ordered', 'notice_received', 'collection_month_passed', 'diwan_month_passed'])
    expect(await records(token)).toEqual(['reminder', 'collection_month_passed', 'reminder', 'diwan_month_passed'])
  })

  it('moves on at the first instant of a day that has no 00:00', async () => {
    const token = await waiting('2027-03-29T10:00:00Z')
    expect(new Date(startOfDay('2027-04-30')).toISOString()).toBe('2027-04-29T22:00:00.000Z')
    await clockOn('2027-04-29T21:50:00Z')
    expect(await stateOf(token)).toBe('AWAITING_COLLECTION')
    await clockOn('2027-04-29T22:00:00Z')
    expect(await stateOf(token)).toBe('AWAITING_COLLECTION_DIWAN')
  })

  it('catches up where the clock is a week late, and reminds of no day that is over', async () => {
    const token = await waiting('2027-01-31T10:00:00Z')
    await clockOn(noon('2027-03-08'))
    expect(await stateOf(token)).toBe('AWAITING_COLLECTION_DIWAN')
    await clockOn(noon('2027-04-08'))
    expect(await stateOf(token)).toBe('DESTROYED')
    expect(await told(token)).toEqual(['collection', 'moved-to-diwan', 'destroyed'])
  })

  it('where both months are over goes through both, and tells the end only', async () => {
    const token = await waiting('2027-01-31T10:00:00Z')
    expect(await clockOn(noon('2027-09-01'))).toBe(1)
    expect(await events(token)).toEqual(['ordered', 'notice_received', 'collection_month_passed', 'diwan_month_passed'])
    expect(await told(token)).toEqual(['collection', 'destroyed'])
  })

  it('is done once where two processes run at once', async () => {
    const tokens = [await waiting(noon('2027-01-31')), await waiting(noon('2027-01-31')), await waiting(noon('2027-01-31'))]
    running.clock.moveTo(noon('2027-03-01'))
    const other = openDesk(running)
    const runs = await Promise.all([runClocks(desk, running), runClocks(other, running)])
    expect(runs.map(({ failed }) => failed)).toEqual([0, 0])
    for (const token of tokens) {
      expect(await told(token)).toEqual(['collection', 'moved-to-diwan'])
      expect(await records(token)).toEqual(['collection_month_passed'])
    }
  })

  it('that is interrupted half-way is finished by the next run; a card that cannot be had keeps nobody', async () => {
    const [first, second, third] = [
      await waiting(noon('2027-01-31')),
      await waiting(noon('2027-01-31')),
      await waiting(noon('2027-01-31')),
    ]
    running.clock.moveTo(noon('2027-03-01'))
    let looked = 0
    await runClocks(desk, running, { shouldStop: () => looked++ >= 1 })
    const states = async () => (await Promise.all([first, second, third].map(stateOf))).toSorted()
    expect(await states()).toEqual(['AWAITING_COLLECTION', 'AWAITING_COLLECTION', 'AWAITING_COLLECTION_DIWAN'])
    await running.sql(`UPDATE card SET state = 'AWAITING_COLLECTION' WHERE token = $1`, [first])
    await running.sql(`UPDATE card_life SET next_day = '2027-03-01' WHERE token = $1`, [first])
    // Somebody holds it for longer than anybody waits.
    const holder = new Client({ connectionString: running.databaseUrl })
    await holder.connect()
    await holder.query('BEGIN')
    await holder.query('SELECT FROM card WHERE token = $1 FOR UPDATE', [first])
    await running.sql(`ALTER DATABASE ${new URL(running.databaseUrl).pathname.slice(1)} SET lock_timeout = '200ms'`)
    const impatient = openDesk(running)
    expect((await runClocks(impatient, running)).failed).toBe(1)
    await running.sql(`ALTER DATABASE ${new URL(running.databaseUrl).pathname.slice(1)} RESET lock_timeout`)
    await holder.query('ROLLBACK')
    await holder.end()
    await runClocks(desk, running)
    expect(new Set(await states())).toEqual(new Set(['AWAITING_COLLECTION_DIWAN']))
  })

  it('leaves alone what was handed over or reported meanwhile', async () => {
    const token = await waiting(noon('2027-01-31'))
    await running.sql(`UPDATE card SET state = 'ACTIVE' WHERE token = $1`, [token])
    expect(await clockOn(noon('2027-06-01'))).toBe(0)
    expect(await stateOf(token)).toBe('ACTIVE')
    expect(await running.sql('SELECT next_day FROM card_life WHERE token = $1', [token])).toEqual([{ next_day: null }])
  })
})

describe('a promise to print', () => {
  it('that is broken is told once, on the day after, and is an event', async () => {
    const { head } = await household()
    const old = await order(desk, running, { personId: head, placeId: POST_OFFICE, reason: 'new' })
    await running.sql(`UPDATE card SET state = 'LOST' WHERE token = $1`, [old])
    const dueDay = '2027-01-24'
    const token = await order(desk, running, { personId: head, placeId: POST_OFFICE, reason: 'lost', replaces: old, dueDay })
    expect(await clockOn(noon(dueDay))).toBe(0)
    expect(await clockOn(noon('2027-01-25'))).toBe(1)
    expect(await clockOn(noon('2027-01-26'))).toBe(0)
    expect(await told(token)).toEqual(['replacement-ordered', 'replacement-overdue'])
    expect(await events(token)).toEqual(['ordered', 'replacement_overdue'])
  })
})

describe('the end of a card', () => {
  it('is reminded of a month before and comes after the last day of its month, also to cards of which no life is known', async () => {
    const { head, member, old } = await running.openHousehold({ oldCard: true })
    const tokens = [head.token, member.token, old!.token]
    await running.sql(`UPDATE card SET expiry = '2712' WHERE token = ANY($1)`, [tokens])
    await running.sql(`UPDATE card SET state = 'SUSPENDED_BIOMETRIC' WHERE token = $1`, [member.token])
    expect(await clockOn(noon('2027-11-29'))).toBe(0)
    expect(await clockOn(noon('2027-11-30'))).toBe(1)
    expect(await clockOn(noon('2027-12-15'))).toBe(0)
    expect(await clockOn(startOfDay('2028-01-01') - TEN_MINUTES_MS)).toBe(0)
    expect(await clockOn(startOfDay('2028-01-01'))).toBe(3)
    expect(await Promise.all(tokens.map(stateOf))).toEqual(['EXPIRED', 'EXPIRED', 'EXPIRED'])
    expect(await clockOn(noon('2028-01-02'))).toBe(0)
    expect(await told(head.token)).toEqual(['renewal-reminder', 'expired'])
    expect(await told(member.token)).toEqual(['expired'])
    expect(await events(head.token)).toEqual(['expired'])
  })

  it('is not reminded of where a new one is on its way, and spares cards that are stopped', async () => {
    const { head, member } = await running.openHousehold({ personalData: personalData(++persons, '01012345678') })
    await running.sql(`UPDATE card SET expiry = '2712'`)
    await running.sql(`UPDATE card SET state = 'STOLEN' WHERE token = $1`, [member.token])
    const [person] = await running.sql<{ id: string }>('SELECT person_id AS id FROM card WHERE token = $1', [head.token])
    const replaces = head.token as Awaited<ReturnType<typeof order>>
    running.clock.moveTo(noon('2027-11-30'))
    await order(desk, running, { personId: Number(person!.id), placeId: POST_OFFICE, reason: 'renewal', replaces })
    await clockOn(noon('2027-12-01'))
    await clockOn(noon('2028-01-01'))
    expect(await told(head.token)).toEqual(['expired'])
    expect(await stateOf(member.token)).toBe('STOLEN')
  })

  it('that is interrupted, late and run by two at once comes to each card once', async () => {
    for (let number = 0; number < 6; number++) await running.openHousehold()
    await running.sql(`UPDATE card SET expiry = '2712'`)
    running.clock.moveTo(noon('2028-01-08'))
    let looked = 0
    await runClocks(desk, running, { shouldStop: () => looked++ >= 4 })
    expect(await running.sql('SELECT month FROM clock_mark')).toEqual([])
    const { jobs } = running.config
    const small = { config: { ...running.config, jobs: { ...jobs, cardClocks: { ...jobs.cardClocks, chunk: 5 } } } }
    await Promise.all([runClocks(desk, running, small), runClocks(openDesk(running), running, small)])
    expect(await running.sql('SELECT state, count(*)::int AS n FROM card GROUP BY state')).toEqual([{ state: 'EXPIRED', n: 12 }])
    expect(await running.sql(`SELECT count(*)::int AS n FROM notice WHERE template = 'expired'`)).toEqual([{ n: 12 }])
    expect(await running.sql(`SELECT month FROM clock_mark WHERE name = 'expiry'`)).toEqual([{ month: '2712' }])
  })
})

describe('besides', () => {
  const planned = async (tx: SqlTransaction): Promise<Outcome<object>> => {
    await planAnnouncement(tx, { service: 'bread', governorate: 77, activeFrom: '2027-02-01' })
    return done({})
  }

  it('a service is announced once to the heads of its region, from its day on, in their languages', async () => {
    const [one, two, elsewhere] = [
      await running.openHousehold(),
      await running.openHousehold(),
      await running.openHousehold({ governorate: 5 }),
    ]
    await running.sql(`UPDATE person SET language = 'en' WHERE household_id = $1`, [two.household])
    await running.sql('UPDATE household SET governorate = 77 WHERE id = ANY($1)', [[one.household, two.household]])
    await change(desk, planned)
    const announced = () =>
      running.sql(`SELECT person_id::int8::text AS id, language FROM notice WHERE template = 'service-active' ORDER BY id`)
    await clockOn(noon('2027-01-31'))
    expect(await announced()).toEqual([])
    const { jobs } = running.config
    const small = { config: { ...running.config, jobs: { ...jobs, cardClocks: { ...jobs.cardClocks, chunk: 1 } } } }
    running.clock.moveTo(noon('2027-02-01'))
    await Promise.all([runClocks(desk, running, small), runClocks(openDesk(running), running, small)])
    expect(await announced()).toEqual([
      { id: String(personIdOf(one.household, 1)), language: 'ar' },
      { id: String(personIdOf(two.household, 1)), language: 'en' },
    ])
    expect(elsewhere.household).toBeGreaterThan(0)
    await change(desk, planned)
    await clockOn(noon('2027-02-02'))
    expect(await announced()).toHaveLength(2)
  })

  it('a notice that names a place and is never reported on is sent again, and is dead in the end; its card stays ORDERED', async () => {
    const { head } = await household()
    const token = await order(desk, running, { personId: head, placeId: POST_OFFICE, reason: 'new' })
    await change(desk, async (tx) => {
      await addCollectionNotice(
        tx,
        (await readCardLife(tx, token))!,
        POST_OFFICE,
        parametersOn(running.config.programme, '2027-01-10').cards,
      )
      return done({})
    })
    const provider = testProvider()
    const sender = dispatcher(desk, running, provider)
    const { roundsMax } = running.config.notices
    for (let round = 1; round <= roundsMax; round++) {
      await sender.round()
      await clockOn(running.clock.now() + 73 * 3_600_000)
    }
    expect(provider.taken.map(({ id }) => id.split('-')[1])).toEqual(['1', '2', '3'])
    expect(await running.sql('SELECT state, reason FROM notice')).toEqual([{ state: 'dead', reason: 'no-receipt' }])
    expect(await stateOf(token)).toBe('ORDERED')
  })

  it('old answers to keys are forgotten, new ones are kept', async () => {
    const insert = `INSERT INTO api_request (actor, key, fingerprint, at) VALUES ('a', $1, 'f', $2)`
    await running.sql(insert, ['old', '2026-12-01T00:00:00Z'])
    await running.sql(insert, ['new', '2027-01-09T00:00:00Z'])
    await clockOn(START)
    expect(await running.sql('SELECT key FROM api_request')).toEqual([{ key: 'new' }])
  })
})
