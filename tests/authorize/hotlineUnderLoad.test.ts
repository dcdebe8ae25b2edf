import { afterAll, beforeAll, expect, it } from 'vitest'
import { silentLogger } from '../../src/log.ts'
import { startSwitch, type RunningSwitch } from '../../src/main.ts'
import { startProgrammeApi, type ProgrammeApi } from '../support/programmeApi.ts'
import { amount, TestLink } from '../support/switch.ts'
import { expectCleanBooks } from './books.ts'

const UNDER_WAY_MOST = 16
const BEFORE = 150
const AFTER = 150

let api: ProgrammeApi
let second: RunningSwitch
let links: TestLink[]

beforeAll(async () => {
  api = await startProgrammeApi()
  const { running } = api
  second = await startSwitch(
    { ...running.config, http: { ...running.config.http, port: 0 } },
    { log: silentLogger, clock: running.clock, schemas: 'at first use' },
  )
  const { port } = second.addresses.find(({ name }) => name === 'pos')!
  links = [await running.connect('pos'), await TestLink.open(running.config, running.clock, 'pos', port)]
})

afterAll(async () => {
  await expectCleanBooks(api.running)
  links[1]?.client.destroy()
  await second.drain()
})

it('a card that the hotline stops while it buys as fast as it can, over two processes: each message sent after the answer gets 41', async () => {
  const card = await api.running.openCard({ balance: 100_000_00 })
  let answered = 0
  const stop: { at?: number } = {}
  let sentAfter = 0
  const codesBefore = new Set<string | undefined>()
  const codesAfter = links.map(() => [] as (string | undefined)[])
  const ready = Promise.withResolvers<undefined>()

  const buy = async (process: number): Promise<void> => {
    while (stop.at === undefined || sentAfter < AFTER) {
      const isAfter = stop.at !== undefined
      if (isAfter) sentAfter++
      const code = (await links[process]!.ask('0200', { 2: card.pan, 4: amount(1) })).text(39)
      answered++
      if (answered === BEFORE) ready.resolve(undefined)
      if (isAfter) codesAfter[process]!.push(code)
      else codesBefore.add(code)
    }
  }
  const buyers = Array.from({ length: UNDER_WAY_MOST }, (_, index) => buy(index % links.length))
  await ready.promise
  const report = await api.as('hotline-agent').post(`/v1/cards/${card.token}/reports`, { what: 'lost' })
  stop.at = answered
  expect(report.status).toBe(200)
  await Promise.all(buyers)

  // What was under way at that moment may have been decided either way, but never otherwise.
  expect([...codesBefore].filter((code) => code !== '00' && code !== '41')).toEqual([])
  expect(codesBefore).toContain('00')
  for (const codes of codesAfter) {
    expect(codes.length).toBeGreaterThan(10)
    expect(new Set(codes)).toEqual(new Set(['41']))
  }
  // The ledger has the same: no approval after the stop.
  const [event] = await api.running.sql<{ number: string }>('SELECT number FROM programme_event WHERE card_token = $1', [
    card.token,
  ])
  expect(
    await api.running.sql(
      `SELECT key FROM "authorization" WHERE card_token = $1 AND response_code = '00' AND event_number > $2`,
      [card.token, event?.number],
    ),
  ).toEqual([])
})
