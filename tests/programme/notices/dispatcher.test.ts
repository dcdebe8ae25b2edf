import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { systemClock } from '../../../src/clock.ts'
import { done, type Desk } from '../../../src/ledger/programme/desk.ts'
import { addNotice, readNotices } from '../../../src/ledger/programme/notices.ts'
import { silentLogger } from '../../../src/log.ts'
import { personIdOf } from '../../../src/programme/householdRows.ts'
import { fileProvider, logProvider } from '../../../src/programme/notices/fileProvider.ts'
import type { SendOutcome } from '../../../src/programme/notices/provider.ts'
import { change, dispatcher, openDesk, personalData, testProvider, vault } from '../../support/programmeDesk.ts'
import { temporaryDirectory } from '../../support/stack.ts'
import { startTestSwitch, type TestSwitch } from '../../support/switch.ts'

const NOON = '2027-01-25T10:00:00Z'

let running: TestSwitch
let desk: Desk
let household: number

beforeAll(async () => {
  running = await startTestSwitch({ at: NOON, vault })
  desk = openDesk(running)
  household = (await running.openHousehold({ personalData: personalData(1, '01012345678') })).household
})

beforeEach(async () => {
  running.clock.moveTo(NOON)
  await running.sql('TRUNCATE notice CASCADE')
})

async function add(count = 1): Promise<void> {
  const personId = personIdOf(household, 1)
  const parameters = { card: '0018' }
  for (let number = 0; number < count; number++)
    await change(desk, async (tx) =>
      done(
        await addNotice(tx, { template: 'destroyed', to: 'head', householdId: household, personId, cardToken: null, parameters }),
      ),
    )
}

const notices = () => desk.read((tx) => readNotices(tx, { limit: 200 }))
const later = (ms: number) => running.clock.moveTo(running.clock.now() + ms)

describe('notices', () => {
  it('of a change that was taken back are not sent', async () => {
    const personId = personIdOf(household, 1)
    await expect(
      change(desk, async (tx) => {
        await addNotice(tx, {
          template: 'destroyed',
          to: 'head',
          householdId: household,
          personId,
          cardToken: null,
          parameters: { card: '1' },
        })
        throw new Error('no')
      }),
    ).rejects.toThrow('no')
    expect(await notices()).toEqual([])
  })

  it('are sent once each where several processes share the queue', async () => {
    await add(45)
    const provider = testProvider()
    const senders = [dispatcher(desk, running, provider), dispatcher(openDesk(running), running, provider)]
    while ((await Promise.all(senders.map((sender) => sender.round()))).some((count) => count > 0));
    expect(provider.taken).toHaveLength(45)
    expect(new Set(provider.taken.map(({ id }) => id)).size).toBe(45)
    expect((await notices()).every(({ state }) => state === 'sent')).toBe(true)
  })

  it('are sent again with the same id where the process died between sending and marking', async () => {
    await add()
    // What a dead process leaves: the notice was claimed, the provider has it.
    const dead = testProvider(() => new Promise(() => undefined))
    void dispatcher(desk, running, dead).round()
    await expect.poll(() => dead.taken.length).toBe(1)
    const provider = testProvider()
    const other = dispatcher(openDesk(running), running, provider)
    expect(await other.round()).toBe(0)
    later(running.config.notices.leaseMs)
    expect(await other.round()).toBe(1)
    expect(provider.taken.map(({ id }) => id)).toEqual(dead.taken.map(({ id }) => id))
    expect(await notices()).toMatchObject([{ state: 'sent', attempts: 2 }])
  })

  it('that fail are tried later and later, never before the provider allows it, and are dead after the last attempt', async () => {
    await add()
    const { attemptsMax, backoffMs, backoffMaxMs } = running.config.notices
    let outcome: SendOutcome = { kind: 'failed', reason: 'http-503' }
    let nowMs = Date.parse(NOON)
    // A time that stands still is one to reckon from.
    const clock = { ...systemClock, now: () => nowMs }
    const { config } = running
    const sender = dispatcher(
      desk,
      { config, clock },
      testProvider(() => outcome),
    )
    const waits: number[] = []
    for (let attempt = 1; attempt <= attemptsMax; attempt++) {
      if (attempt === 3) outcome = { kind: 'failed', reason: 'http-429', afterMs: 600_000 }
      else outcome = { kind: 'failed', reason: 'http-503' }
      expect(await sender.round()).toBe(1)
      const [notice] = await notices()
      if (notice === undefined || notice.nextAttemptAt === null) break
      waits.push(notice.nextAttemptAt.getTime() - nowMs)
      nowMs = notice.nextAttemptAt.getTime()
      running.clock.moveTo(nowMs)
    }
    expect(waits.slice(0, 4)).toEqual([0.75 * backoffMs, 1.5 * backoffMs, 600_000, 6 * backoffMs])
    expect(Math.max(...waits)).toBeLessThanOrEqual(backoffMaxMs)
    expect(await notices()).toMatchObject([{ state: 'dead', attempts: attemptsMax, reason: 'http-503', nextAttemptAt: null }])
    expect(await sender.round()).toBe(0)
  })

  it('that are refused are dead at once, and do not keep the others', async () => {
    await add(2)
    let first = true
    const provider = testProvider(() => {
      const answer: SendOutcome = first ? { kind: 'refused', reason: 'http-400' } : { kind: 'accepted', reference: 'r' }
      first = false
      return answer
    })
    await dispatcher(desk, running, provider).round()
    expect((await notices()).map(({ state }) => state).toSorted()).toEqual(['dead', 'sent'])
  })

  it('are not sent to the dead', async () => {
    await add()
    await running.sql('UPDATE person SET died_on = $2 WHERE id = $1', [personIdOf(household, 1), '2027-01-24'])
    const provider = testProvider()
    await dispatcher(desk, running, provider).round()
    expect(provider.taken).toEqual([])
    expect(await notices()).toMatchObject([{ state: 'dead', reason: 'recipient-died' }])
    await running.sql('UPDATE person SET died_on = NULL WHERE id = $1', [personIdOf(household, 1)])
  })

  it('with the same once are one', async () => {
    const asked = { template: 'destroyed', to: 'head', householdId: household, personId: null, cardToken: null } as const
    for (let time = 0; time < 2; time++)
      await change(desk, async (tx) => done((await addNotice(tx, { ...asked, parameters: { card: '1' }, once: 'x' })) ?? null))
    expect(await notices()).toHaveLength(1)
  })
})

describe('in development', () => {
  it('a file has them as lines of JSON with the number, only its owner may read it, and they count as delivered', async () => {
    await add(2)
    const file = join(temporaryDirectory(), 'notices.jsonl')
    await dispatcher(desk, running, fileProvider(file, true)).round()
    const lines = readFileSync(file, 'utf8').trim().split('\n')
    expect(lines.map((line) => JSON.parse(line) as unknown)).toMatchObject([
      { to: '+201012345678', template: 'destroyed', text: expect.stringContaining('0018') as string },
      { to: '+201012345678' },
    ])
    expect(statSync(file).mode & 0o777).toBe(0o600)
    expect((await notices()).map(({ state }) => state)).toEqual(['delivered', 'delivered'])
  })

  it('the log has no number', async () => {
    await add()
    const written: unknown[] = []
    const log = { ...silentLogger, info: (...line: unknown[]) => void written.push(line) }
    await dispatcher(desk, running, logProvider(log, true)).round()
    expect(JSON.stringify(written)).toContain('destroyed')
    expect(JSON.stringify(written)).not.toContain('1012345678')
  })

  it('a file that cannot be written is a failure, tried again', async () => {
    await add()
    await dispatcher(desk, running, fileProvider('/nowhere/at/all', true)).round()
    expect(await notices()).toMatchObject([{ state: 'failed', reason: 'ENOENT' }])
  })
})
