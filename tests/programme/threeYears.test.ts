/** One household, from January 2027 to July 2030, through every state a card can be in. */
import { Redis } from 'ioredis'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { CARD_STATES } from '../../src/admin/programme/command.ts'
import type { CardState, CardToken } from '../../src/card.ts'
import { cairoDay } from '../../src/clock.ts'
import type { CardReason } from '../../src/ledger/programme/cards.ts'
import type { Desk } from '../../src/ledger/programme/desk.ts'
import { addBusinessDays, addMonths, startOfDay } from '../../src/programme/calendar.ts'
import { changeCard, type CardEventRequest } from '../../src/programme/changeCard.ts'
import { demoPin, demoPinBlock, demoPinReferences } from '../../src/programme/demoVerification.ts'
import { personIdOf } from '../../src/programme/householdRows.ts'
import { signatureHeaders } from '../../src/programme/notices/signature.ts'
import { parametersOn } from '../../src/programmeParameters.ts'
import { expectCleanBooks } from '../authorize/books.ts'
import { eligibility, ration } from '../authorize/subsidies.ts'
import { startProgrammeApi, type ProgrammeApi } from '../support/programmeApi.ts'
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
} from '../support/programmeDesk.ts'
import { amount, at, type Fields, type TestHousehold, type TestLink } from '../support/switch.ts'

/** A test's clock goes on. */
const TEN_MINUTES_MS = 600_000

let api: ProgrammeApi
let desk: Desk
let pos: TestLink
let home: TestHousehold
let redis: Redis
const provider = testProvider()

beforeAll(async () => {
  api = await startProgrammeApi({ at: '2027-01-10T10:00:00Z' })
  desk = openDesk(api.running)
  pos = await api.running.connect('pos')
  redis = new Redis(api.running.redis.url)
  await addPlaces(api.running)
  home = await api.running.openHousehold({ oldCard: true, personalData: personalData(1, '01012345678') })
  // The demo programme's cards would expire too, one by one.
  await api.running.sql('DELETE FROM card WHERE household_id < $1', [home.household])
  // Both wait for their first new card.
  await api.running.sql('DELETE FROM card WHERE token = ANY($1)', [[home.head.token, home.member.token]])
})

afterAll(async () => {
  redis.disconnect()
  await expectCleanBooks(api.running)
})

const seen = new Set<string>()
const pans = new Map<string, string>()

/** Moves on, and the clocks with it. @param when a day, at noon, or an instant */
async function go(when: string | number): Promise<void> {
  const { running } = api
  const { clock } = running
  clock.moveTo(typeof when === 'string' && when.length === 10 ? `${when}T10:00:00Z` : when)
  await running.sql('SELECT ensure_partitions($1::date - 40, 4)', [cairoDay(clock.now())])
  expect((await runClocks(desk, api.running)).failed).toBe(0)
  await dispatcher(desk, api.running, provider).round()
}

async function expectState(card: string, state: CardState): Promise<void> {
  expect((await api.as('auditor').get(`/v1/cards/${card}`)).json['state']).toBe(state)
  seen.add(state)
}

/** Ordered, its number read by the bureau, printed. */
async function made(member: number, reason: CardReason, replaces?: CardToken, dueDay?: string): Promise<CardToken> {
  const personId = personIdOf(home.household, member)
  const asked = { personId, placeId: POST_OFFICE, reason, ...(replaces && { replaces }), ...(dueDay !== undefined && { dueDay }) }
  const card = await order(desk, api.running, asked)
  pans.set(card, String((await api.as('card-bureau').get(`/v1/cards/${card}/embossing`)).json['number']))
  await expectState(card, 'ORDERED')
  return card
}

async function print(card: string): Promise<void> {
  expect((await api.as('card-bureau').post(`/v1/cards/${card}/printed`, undefined)).status).toBe(200)
}

/** The notice goes out, and its delivery report comes back. */
async function deliver(card: string): Promise<void> {
  await dispatcher(desk, api.running, provider).round()
  const [sent] = await api.running.sql<{ reference: string }>(
    `SELECT provider_reference AS reference FROM notice WHERE card_token = $1 AND template = 'collection'`,
    [card],
  )
  const { clock, config } = api.running
  const body = JSON.stringify({ reference: sent?.reference, state: 'delivered', at: new Date(clock.now()).toISOString() })
  const headers = { 'content-type': 'application/json', ...signatureHeaders(config.noticeDelivery.secret!, body, clock.now()) }
  expect((await api.with(undefined).post('/v1/notice-receipts', body, headers)).status).toBe(204)
  await expectState(card, 'AWAITING_COLLECTION')
}

const happens = (request: CardEventRequest): Promise<unknown> => change(desk, (tx) => changeCard(tx, request))

async function handOver(card: string): Promise<void> {
  const pinReference = demoPinReferences(api.running.config.security)(pans.get(card)!)!
  const life = { handed_over_at: new Date(api.running.clock.now()).toISOString(), handed_over_place: POST_OFFICE }
  await happens({ token: card, event: 'handed_over', row: { pinReference }, life })
  await expectState(card, 'ACTIVE')
}

async function newPin(card: string): Promise<void> {
  await happens({ token: card, event: 'pin_set', row: { resetPinTries: true } })
  await expectState(card, 'ACTIVE')
}

async function report(card: string, what: string, state: CardState): Promise<void> {
  expect((await api.as('hotline-agent').post(`/v1/cards/${card}/reports`, { what })).status).toBe(200)
  await expectState(card, state)
}

/** The desk of the test is beside the switch, which tells Redis of what its own desk has changed: here the cards are forgotten instead. */
async function codeOf(mti: string, fields: Fields): Promise<string> {
  await redis.del([home.old!.token, ...pans.keys()].map((token) => `{0}:card:${token}`))
  return (await pos.ask(mti, fields)).text(39) ?? ''
}
const pays = (card: string): Promise<string> => codeOf('0200', { 2: pans.get(card)!, 3: '000000', 4: amount(100) })
const told = async (card: string) =>
  (await api.running.sql<{ template: string }>('SELECT template FROM notice WHERE card_token = $1 ORDER BY id', [card])).map(
    ({ template }) => template,
  )

let first: CardToken
let member: CardToken
let head: CardToken

it('the first card is not collected: it goes to the Diwan and is destroyed', async () => {
  first = await made(1, 'new')
  expect(await pays(first)).toBe('78')
  await print(first)
  await go('2027-01-31')
  await deliver(first)
  await go('2027-02-21')
  await go(startOfDay('2027-03-01') - TEN_MINUTES_MS)
  await expectState(first, 'AWAITING_COLLECTION')
  await go(startOfDay('2027-03-01'))
  await expectState(first, 'AWAITING_COLLECTION_DIWAN')
  await go('2027-03-24')
  member = await made(2, 'new')
  await print(member)
  await go('2027-03-29')
  await deliver(member)
  // A week late.
  await go('2027-04-08')
  await expectState(first, 'DESTROYED')
  expect(await told(first)).toEqual(['collection', 'collection-reminder', 'moved-to-diwan', 'last-reminder', 'destroyed'])
})

it('another order is withdrawn, the third card is collected; the member’s goes to the Diwan on the day that has no 00:00', async () => {
  const withdrawn = await made(1, 'new')
  await happens({ token: withdrawn, event: 'order_withdrawn' })
  await expectState(withdrawn, 'CANCELLED')
  head = await made(1, 'new')
  await print(head)
  await deliver(head)
  await go('2027-04-29T21:50:00Z')
  await expectState(member, 'AWAITING_COLLECTION')
  await go('2027-04-29T22:00:00Z')
  await expectState(member, 'AWAITING_COLLECTION_DIWAN')
  await go('2027-05-02')
  await handOver(head)
  await handOver(member)
  expect([await pays(head), await pays(member)]).toEqual(['00', '00'])
})

it('the old card ends with the first dispensing on the new one', async () => {
  expect(await codeOf('0200', ration(home.old!.pan, ['OIL*1*100']))).toBe('00')
  expect(await codeOf('0200', ration(pans.get(head)!, ['OIL*1*100']))).toBe('00')
  await expectState(home.old!.token, 'RETIRED')
  expect(await codeOf('0200', ration(home.old!.pan, ['OIL*1*100']))).toBe('62')
})

it('wrong fingerprints, wrong PINs and a PIN that is lost stop the card, and each is mended', async () => {
  const pan = pans.get(member)!
  const codes: string[] = []
  for (let wrong = 1; wrong <= 8; wrong++) codes.push(await codeOf('0100', eligibility(pan, 'X')))
  expect(codes).toEqual([...Array<string>(7).fill('63'), '62'])
  await expectState(member, 'SUSPENDED_BIOMETRIC')
  await happens({ token: member, event: 'fingerprint_reverified', row: { resetMismatches: true } })
  expect(await pays(member)).toBe('00')
  const wrongPin = demoPinBlock(pan, String((Number(demoPin(pan)) + 1) % 10_000).padStart(4, '0'))
    .toString('hex')
    .toUpperCase()
  for (let wrong = 1; wrong <= 3; wrong++)
    await codeOf('0200', { 2: pan, 3: '010000', 4: amount(5000), ...at('atm'), 52: wrongPin })
  await expectState(member, 'PIN_BLOCKED')
  await newPin(member)
  expect(await codeOf('0200', { 2: pan, 3: '010000', 4: amount(5000), ...at('atm') })).toBe('00')
  await report(member, 'pin-lost', 'PIN_LOST')
  expect(await pays(member)).toBe('62')
  await newPin(member)
  expect(await told(member)).toEqual([
    'collection',
    'collection-reminder',
    'moved-to-diwan',
    'handed-over',
    'card-restored',
    'pin-set',
    'pin-lost',
    'pin-set',
  ])
})

/** A replacement is ordered, collected, and the card before it ends. */
async function replaced(number: number, before: CardToken, reason: CardReason, late: boolean): Promise<CardToken> {
  const day = cairoDay(api.running.clock.now())
  const { holidays, replacement } = parametersOn(api.running.config.programme, day).cards
  const dueDay = addBusinessDays(day, replacement.businessDays, holidays)
  const card = await made(number, reason, before, dueDay)
  expect(await pays(before)).not.toBe('00')
  await go(dueDay)
  if (late) await go(startOfDay(dueDay) + 86_400_000 + 43_200_000)
  await print(card)
  await deliver(card)
  await happens({ token: before, event: 'replaced' })
  await handOver(card)
  await expectState(before, 'REPLACED')
  expect(await told(card)).toEqual(['replacement-ordered', ...(late ? ['replacement-overdue'] : []), 'collection', 'handed-over'])
  expect(await pays(card)).toBe('00')
  return card
}

it('a damaged card, a stolen one and a lost one are replaced, one of them later than was promised', async () => {
  await report(member, 'damaged', 'DAMAGED')
  member = await replaced(2, member, 'damaged', true)
  await report(member, 'stolen', 'STOLEN')
  member = await replaced(2, member, 'stolen', false)
  await report(head, 'lost', 'LOST')
  head = await replaced(1, head, 'lost', false)
})

it('three years pass, the cards expire; one is renewed, the holder of the other has died', async () => {
  const [life] = await api.running.sql<{ expiry: string }>('SELECT expiry FROM card WHERE token = $1', [head])
  const lastMonth = `20${life!.expiry.slice(0, 2)}-${life!.expiry.slice(2)}`
  for (let day = addMonths(cairoDay(api.running.clock.now()), 1); day.slice(0, 7) < lastMonth; day = addMonths(day, 1)) {
    if (day.slice(0, 7) === addMonths(`${lastMonth}-01`, -1).slice(0, 7)) break
    await go(day)
    if (day.slice(5, 7) === '05') expect(await pays(head)).toBe('00')
  }
  const end = startOfDay(addMonths(`${lastMonth}-01`, 1))
  await go(startOfDay(`${lastMonth}-01`))
  expect((await told(head)).at(-1)).toBe('renewal-reminder')
  await go(end - TEN_MINUTES_MS)
  await expectState(head, 'ACTIVE')
  expect(await pays(head)).toBe('00')
  await go(end)
  await expectState(head, 'EXPIRED')
  expect(await pays(head)).toBe('54')
  // What it was told three years ago is forgotten.
  expect(await told(head)).toEqual(['renewal-reminder', 'expired'])

  const renewal = await made(1, 'renewal', head)
  await print(renewal)
  await deliver(renewal)
  await happens({ token: head, event: 'renewed' })
  await handOver(renewal)
  await expectState(head, 'REPLACED')
  expect(await pays(renewal)).toBe('00')
  await happens({ token: member, event: 'holder_died' })
  await expectState(member, 'CLOSED')
})

it('every state has been seen, and nobody was told twice', async () => {
  expect(CARD_STATES.filter((state) => !seen.has(state))).toEqual([])
  const twice = `SELECT card_token, template FROM notice WHERE template <> 'pin-set' GROUP BY 1, 2 HAVING count(*) > 1`
  expect(await api.running.sql(twice)).toEqual([])
  // Every state that a clock brought about is on record.
  const clocked = `SELECT count(*)::int AS n FROM programme_event WHERE kind IN ('card.expired', 'card.collection_month_passed', 'card.diwan_month_passed')`
  const [{ n }] = (await api.running.sql<{ n: number }>(clocked)) as [{ n: number }]
  const recorded = `SELECT count(*)::int AS n FROM audit_record WHERE actor = 'clock' AND detail ~ 'passed|expired'`
  expect(await api.running.sql(recorded)).toEqual([{ n }])
})
