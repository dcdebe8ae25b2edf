/** The programme's published rules that concern a transaction, one test a rule, by their numbers. What each means in detail is tested beside this file. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { cardToken, luhnCheckDigit, maskPan } from '../../src/card.ts'
import { demoPinReferences } from '../../src/programme/demoVerification.ts'
import { amount, at, startTestSwitch, type Fields, type TestLink, type TestSwitch } from '../support/switch.ts'
import { expectCleanBooks, stateOf, unitsIn } from './books.ts'
import { bread, copay, eligibility, points, ration } from './subsidies.ts'

let running: TestSwitch
let pos: TestLink

beforeAll(async () => {
  running = await startTestSwitch({ at: '2026-11-22T10:00:00Z' })
  pos = await running.connect('pos')
})

afterAll(async () => {
  await expectCleanBooks(running)
})

const codeOf = async (fields: Fields, mti = '0200'): Promise<string> => (await pos.ask(mti, fields)).text(39) ?? ''
const withdrawal = (pan: string, place: Fields): Fields => ({ 2: pan, 3: '010000', 4: amount(5000), ...place })

it('2: old ration cards stay valid, and both cards draw on the one household purse', async () => {
  const { head, old, purses } = await running.openHousehold({ members: 4, oldCard: true })
  expect(await codeOf(bread(old!.pan, 20))).toBe('00')
  expect(await codeOf(ration(old!.pan, ['OIL*1*5000']))).toBe('00')
  expect(await codeOf(ration(head.pan, ['SUGAR*1*5000']))).toBe('00')
  expect([await unitsIn(running, purses.bread), await unitsIn(running, purses.ration)]).toEqual([580, 10_000])
})

it('4: deposits and incoming transfers, purchases at any merchant, withdrawals at the post’s own ATMs only', async () => {
  const { pan } = await running.openCard({ balance: 100_000 })
  expect(await codeOf({ 2: pan, 3: '210000', ...at('post-office') })).toBe('00')
  expect(await codeOf({ 2: pan, 3: '260000', ...at('transfer') })).toBe('00')
  for (const merchant of ['pos', 'grocer', 'bakery', 'clinic']) expect(await codeOf({ 2: pan, ...at(merchant) })).toBe('00')
  expect(await codeOf(withdrawal(pan, at('atm')))).toBe('00')
  await running.sql(
    `INSERT INTO merchant (id, acceptor_id, name, category) VALUES (9101, 'ANOTHERBANK0001', 'Another bank', '6012')`,
  )
  await running.sql(`INSERT INTO terminal (id, terminal_id, merchant_id, class) VALUES (9101, 'OTHERATM', 9101, 'atm')`)
  expect(await codeOf(withdrawal(pan, { 41: 'OTHERATM', 42: undefined }))).toBe('58')
})

it('5: bread at bakeries, goods at grocers, health at clinics, government services at theirs', async () => {
  const { head } = await running.openHousehold({ points: 100 })
  const places: Readonly<Record<string, readonly [mti: string, message: (place: Fields) => Fields]>> = {
    bakery: ['0200', (place) => bread(head.pan, 5, 1, place)],
    grocer: ['0200', (place) => points(head.pan, 10, place)],
    clinic: ['0100', (place) => eligibility(head.pan, 'M', place)],
  }
  for (const [own, [mti, message]] of Object.entries(places)) {
    for (const other of ['bakery', 'grocer', 'clinic', 'pos', 'atm', 'post-office', 'government', 'transfer'])
      if (other !== own) expect(await codeOf(message(at(other)), mti)).toBe('58')
    expect(await codeOf(message(at(own)), mti)).toBe('00')
  }
  expect(await codeOf({ 2: head.pan, 3: '500000', ...at('government') })).toBe('00')
  expect(await codeOf({ 2: head.pan, 3: '500000', ...at('pos') })).toBe('58')
})

it('7: other members’ cards carry health and payments only', async () => {
  const { member } = await running.openHousehold({ points: 100 })
  expect(await codeOf({ 2: member.pan })).toBe('00')
  expect(await codeOf(eligibility(member.pan), '0100')).toBe('00')
  for (const message of [bread(member.pan, 5), ration(member.pan, ['TEA*1*100']), points(member.pan, 10)])
    expect(await codeOf(message)).toBe('57')
})

it('10: payments are active at once, ration and health when they are announced; a replacement card has them all', async () => {
  const early = await running.openHousehold({ governorate: 27 })
  expect(await codeOf({ 2: early.head.pan })).toBe('00')
  for (const [mti, message] of [
    ['0200', bread(early.head.pan, 5)],
    ['0200', ration(early.head.pan, ['TEA*1*100'])],
    ['0100', eligibility(early.head.pan)],
  ] as const)
    expect(await codeOf(message, mti)).toBe('57')

  const { head, household } = await running.openHousehold()
  const payload = `981804${String(household).padStart(9, '0')}`
  const pan = payload + luhnCheckDigit(payload)
  await running.sql(`UPDATE card SET state = 'REPLACED', version = version + 1 WHERE token = $1`, [head.token])
  await running.sql('UPDATE purse SET gate = gate + 1 WHERE household_id = $1', [household])
  await running.sql(
    `INSERT INTO card (shard, token, masked, household_id, role, person_id, state, expiry, pin_reference)
     SELECT shard, $2, $3, household_id, role, person_id, 'ACTIVE', '2912', $4 FROM card WHERE token = $1`,
    [head.token, cardToken(pan, running.config.lookupKey), maskPan(pan), demoPinReferences(running.config.security)(pan)],
  )
  expect(await codeOf(bread(head.pan, 5))).toBe('62')
  expect(await codeOf(bread(pan, 5))).toBe('00')
  expect(await codeOf(ration(pan, ['TEA*1*100']))).toBe('00')
  expect(await codeOf(eligibility(pan), '0100')).toBe('00')
})

it('11: at the first ration or bread dispensing with the new card the old card stops', async () => {
  for (const first of [(pan: string) => bread(pan, 5), (pan: string) => ration(pan, ['TEA*1*100'])]) {
    const { head, old } = await running.openHousehold({ oldCard: true })
    expect(await codeOf({ 2: head.pan })).toBe('00')
    expect(await stateOf(running, old!.token)).toBe('ACTIVE')
    expect(await codeOf(first(head.pan))).toBe('00')
    expect(await codeOf(ration(old!.pan, ['OIL*1*100']))).toBe('62')
  }
})

it.each([
  ['LOST', '41'],
  ['STOLEN', '43'],
  ['DAMAGED', '62'],
  ['PIN_LOST', '62'],
])('12: from the report on no transaction: %s is %s', async (state, code) => {
  const { head, household } = await running.openHousehold({ points: 100 })
  expect(await codeOf({ 2: head.pan })).toBe('00')
  await running.sql('UPDATE card SET state = $2, version = version + 1 WHERE token = $1', [head.token, state])
  await running.sql('UPDATE purse SET gate = gate + 1 WHERE household_id = $1', [household])
  const messages = [
    { 2: head.pan },
    bread(head.pan, 5),
    ration(head.pan, ['TEA*1*100']),
    points(head.pan, 10),
    copay(head.pan, 1000, 'MED'),
  ]
  for (const message of messages) expect(await codeOf(message)).toBe(code)
  expect(await codeOf(eligibility(head.pan), '0100')).toBe(code)
})

it('14: after the month’s end of its date a card is 54', async () => {
  const { pan } = await running.openCard({ expiry: '2611' })
  expect(await codeOf({ 2: pan })).toBe('00')
  running.clock.moveTo('2026-11-30T22:00:00Z')
  expect(await codeOf({ 2: pan })).toBe('54')
  running.clock.moveTo('2026-11-22T10:00:00Z')
})

it('15: health needs the fingerprint: no match is 63, no reader 58', async () => {
  const { head } = await running.openHousehold()
  expect(await codeOf(eligibility(head.pan, 'X'), '0100')).toBe('63')
  expect(await codeOf({ ...eligibility(head.pan), 48: undefined }, '0100')).toBe('58')
})

it('16: more than 7 wrong fingerprints suspend the card: the 8th is 62', async () => {
  const { head } = await running.openHousehold()
  const codes: string[] = []
  for (let count = 0; count < 8; count++) codes.push(await codeOf(eligibility(head.pan, 'X'), '0100'))
  expect(codes).toEqual(['63', '63', '63', '63', '63', '63', '63', '62'])
  expect(await codeOf({ 2: head.pan })).toBe('62')
})
