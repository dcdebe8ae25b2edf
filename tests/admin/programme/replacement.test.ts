import { beforeAll, describe, expect, it } from 'vitest'
import { awaitCollection, complaintsOf, NAMED, numberOf, openFamily, padBlock, type Family } from '../../support/counter.ts'
import { startProgrammeApi, type ApiAnswer, type ProgrammeApi } from '../../support/programmeApi.ts'
import { at, until, type TestLink } from '../../support/switch.ts'
import { demoPinBlock } from '../../../src/programme/demoVerification.ts'

let api: ProgrammeApi
let atm: TestLink

beforeAll(async () => {
  // A Thursday; the next three days with business are Sunday to Tuesday.
  api = await startProgrammeApi({ at: '2026-12-10T09:00:00Z' })
  atm = await api.running.connect('atm')
})

const clerk = () => api.as('post-clerk')

async function lost(options: Parameters<typeof openFamily>[1] = {}, what = 'lost'): Promise<Family> {
  const family = await openFamily(api, options)
  await report(family.head.token, what)
  return family
}

async function report(token: string, what = 'lost'): Promise<void> {
  expect((await api.as('hotline-agent').post(`/v1/cards/${token}/reports`, { what })).status).toBe(200)
}

function replace(token: string, payment: unknown = 'cash', caller = clerk()): Promise<ApiAnswer> {
  return caller.post(`/v1/cards/${token}/replacement`, { placeId: NAMED, payment })
}

async function ordered(answer: Promise<ApiAnswer>): Promise<string> {
  const { status, json, text } = await answer
  expect([status, text]).toEqual([201, text])
  return String(json['cardId'])
}

/** Told today, collected at once. */
async function collect(family: Family, token: string): Promise<string> {
  await awaitCollection(api, token, new Date(api.running.clock.now()).toISOString().slice(0, 10))
  const pan = await numberOf(api, token)
  const body = { ...family.headPerson, placeId: NAMED, pinBlock: padBlock(pan), fingerprintReference: 'enr-2' }
  const answer = await clerk().post(`/v1/cards/${token}/handover`, body)
  expect([answer.text, answer.status]).toEqual([answer.text, 200])
  return pan
}

async function stateOf(token: string): Promise<unknown> {
  return (await api.running.sql<{ state: string }>('SELECT state FROM card WHERE token = $1', [token]))[0]?.state
}

async function balanceOf(family: Family): Promise<number> {
  const [row] = await api.running.sql<{ balance: string }>('SELECT balance FROM purse WHERE id = $1', [family.purses.cash])
  return Number(row?.balance)
}

/** Debit and credit of what was posted for the fee of a card. */
async function postedFor(token: string): Promise<string[]> {
  const rows = await api.running.sql<{ posted: string }>(
    `SELECT a.kind || ': ' || t.debit_code || ' ' || t.credit_code || ' ' || t.amount AS posted
    FROM "authorization" a JOIN transfer t ON t.key_date = a.key_date AND t.purse_id = a.purse_id AND t.purse_version = a.purse_version
    WHERE a.card_token = $1 AND a.kind BETWEEN 19 AND 21 ORDER BY a.purse_version`,
    [token],
  )
  return rows.map(({ posted }) => posted)
}

async function withdraw(pan: string): Promise<string | undefined> {
  const block = demoPinBlock(pan, '2468').toString('hex').toUpperCase()
  return (await atm.ask('0200', { 2: pan, 3: '010000', 4: '000000005000', ...at('atm'), 52: block })).text(39)
}

async function balanceTold(pan: string): Promise<string | undefined> {
  const block = demoPinBlock(pan, '2468').toString('hex').toUpperCase()
  return (await atm.ask('0200', { 2: pan, 3: '310000', 4: undefined, ...at('atm'), 52: block })).text(54)
}

describe('the replacement of a card that was lost', () => {
  it('is paid from the purse, printed within ten business days, earned at the handover, and ends the old card', async () => {
    const family = await lost()
    const answer = await replace(family.head.token)
    // From Friday 11 December: Sunday the 13th is the first day, Thursday the 24th the tenth.
    expect(answer.json).toMatchObject({
      ...{
        state: 'ORDERED',
        role: 'head',
        replaces: family.head.token,
        reason: 'lost',
        placeId: NAMED,
        dueDay: '2026-12-24',
        fee: '300.00',
        feePaid: 'cash',
      },
    })
    const token = String(answer.json['cardId'])
    expect(await balanceOf(family)).toBe(70_000)
    expect(await postedFor(token)).toEqual(['19: 2000 2300 30000'])
    expect(await stateOf(family.head.token)).toBe('LOST')

    const pan = await collect(family, token)
    expect(await stateOf(family.head.token)).toBe('REPLACED')
    expect(await postedFor(token)).toEqual(['19: 2000 2300 30000', '21: 2300 4000 30000'])
    await until(async () => (await balanceTold(pan))?.includes('000000070000') === true)
    expect(await withdraw(pan)).toBe('00')
    expect((await replace(family.head.token)).json).toMatchObject({ type: 'urn:sarf:problem:not-in-this-state' })
  })

  it('is paid at the counter to a post clerk, and moves nothing of the purse', async () => {
    const family = await lost({ cash: 0 }, 'stolen')
    expect((await replace(family.head.token, 'counter', api.as('portal'))).json).toMatchObject({
      ...{ status: 403, type: 'urn:sarf:problem:counter-needs-clerk', errors: [{ path: '/payment' }] },
    })
    const token = await ordered(replace(family.head.token, 'counter'))
    expect(await postedFor(token)).toEqual(['19: 1000 2300 30000'])
    expect(await balanceOf(family)).toBe(0)
    await collect(family, token)
    expect(await postedFor(token)).toEqual(['19: 1000 2300 30000', '21: 2300 4000 30000'])
  })

  it('is refused, with nothing done, where the purse does not cover the fee', async () => {
    const family = await lost({ cash: 29_999 })
    expect((await replace(family.head.token, 'cash', api.as('portal'))).json).toMatchObject({
      ...{ status: 409, type: 'urn:sarf:problem:insufficient-funds' },
    })
    expect(await balanceOf(family)).toBe(29_999)
    expect(await api.running.sql('SELECT token FROM card WHERE person_id = $1', [family.purses.cash])).toHaveLength(1)
  })

  it('is asked for once at a time, also by two at once', async () => {
    const family = await lost()
    const answers = await Promise.all([replace(family.head.token), replace(family.head.token)])
    expect(answers.map(({ status }) => status).toSorted()).toEqual([201, 409])
    expect((await replace(family.head.token)).json).toMatchObject({ type: 'urn:sarf:problem:replacement-under-way' })
    expect(await balanceOf(family)).toBe(70_000)
  })

  it('is done once for a key', async () => {
    const family = await lost()
    const send = (): Promise<ApiAnswer> =>
      clerk().post(
        `/v1/cards/${family.head.token}/replacement`,
        { placeId: NAMED, payment: 'cash' },
        { 'idempotency-key': `r-${family.head.token}` },
      )
    const [first, again] = [await send(), await send()]
    expect([again.text, again.status]).toEqual([first.text, 201])
    expect(await balanceOf(family)).toBe(70_000)
  })

  it.each<[string, (family: Family) => Promise<ApiAnswer>, number, string]>([
    ['of a card that is not stopped', ({ member }) => replace(member.token), 409, 'not-in-this-state'],
    [
      'to a place that there is not',
      ({ head }) => clerk().post(`/v1/cards/${head.token}/replacement`, { placeId: 'nowhere', payment: 'cash' }),
      422,
      'no-such-place',
    ],
    ['with a payment that there is not', ({ head }) => replace(head.token, 'credit'), 400, 'invalid-request'],
    [
      'without payment',
      ({ head }) => clerk().post(`/v1/cards/${head.token}/replacement`, { placeId: NAMED }),
      400,
      'invalid-request',
    ],
    ['of a card that there is not', () => replace('pW3bq0kJx7T1u5mYc2Zr8A'), 404, 'no-such-card'],
    ['by an auditor', ({ head }) => replace(head.token, 'cash', api.as('auditor')), 403, 'about:blank'],
  ])('is refused %s', async (_what, ask, status, name) => {
    const answer = await ask(await lost())
    expect(answer.json).toMatchObject({ status, type: name === 'about:blank' ? name : `urn:sarf:problem:${name}` })
  })

  it('of an old ration card, which may be reported, is refused with the way on', async () => {
    const family = await openFamily(api, { oldCard: true })
    await report(family.old!.token)
    const answer = await replace(family.old!.token)
    expect(answer.json).toMatchObject({ status: 409, type: 'urn:sarf:problem:old-card-not-replaced' })
    expect(answer.json['detail']).toMatch(/head's new card/)
  })
})

describe('an order that is withdrawn', () => {
  it.each([
    ['cash', ['19: 2000 2300 30000', '20: 2300 2000 30000']],
    ['counter', ['19: 1000 2300 30000', '20: 2300 1000 30000']],
  ])('gives a fee back that was paid by %s, once', async (payment, posted) => {
    const family = await lost()
    const token = await ordered(replace(family.head.token, payment))
    const withdraw = () => api.as('administrator').post(`/v1/cards/${token}/withdrawal`, {})
    expect((await withdraw()).json).toMatchObject({ state: 'CANCELLED' })
    expect((await withdraw()).json).toMatchObject({ type: 'urn:sarf:problem:not-in-this-state' })
    expect(await postedFor(token)).toEqual(posted)
    expect(await balanceOf(family)).toBe(100_000)
    // Asked for again it costs again.
    await ordered(replace(family.head.token))
    expect(await balanceOf(family)).toBe(70_000)
  })
})

describe('a card that is lost on the way', () => {
  it('is made again for the fee that was paid for it, and both that were lost end with the new one', async () => {
    const family = await lost()
    const second = await ordered(replace(family.head.token))
    await awaitCollection(api, second, '2026-12-10')
    await report(second, 'stolen')
    const third = await ordered(replace(second))
    expect(await balanceOf(family)).toBe(70_000)
    await collect(family, third)
    expect([await stateOf(family.head.token), await stateOf(second), await stateOf(third)]).toEqual([
      'REPLACED',
      'REPLACED',
      'ACTIVE',
    ])
    expect(await postedFor(third)).toEqual(['21: 2300 4000 30000'])
    expect(await balanceOf(family)).toBe(70_000)
  })

  it('and was the first one costs nothing', async () => {
    const family = await openFamily(api)
    // As an order makes it.
    await api.running.sql(`INSERT INTO card_life (shard, token, ordered_at, reason) VALUES (0, $1, now(), 'new')`, [
      family.head.token,
    ])
    await awaitCollection(api, family.head.token, '2026-12-10')
    await report(family.head.token)
    const second = await ordered(replace(family.head.token))
    expect(await balanceOf(family)).toBe(100_000)
    await collect(family, second)
    expect(await postedFor(second)).toEqual([])
  })
})

describe('a renewal', () => {
  const renew = (token: string, payment?: string): Promise<ApiAnswer> =>
    clerk().post(`/v1/cards/${token}/renewal`, { placeId: NAMED, ...(payment === undefined ? {} : { payment }) })
  const expiring = async (expiry: string): Promise<Family> => {
    const family = await openFamily(api)
    await api.running.sql('UPDATE card SET expiry = $2 WHERE token = $1', [family.head.token, expiry])
    return family
  }

  it('may be asked for from one month before the last day of the month on, for a fee, and the card works until the new one is there', async () => {
    const family = await expiring('2701')
    api.running.clock.moveTo('2026-12-30T21:59:00Z')
    expect((await renew(family.head.token, 'cash')).json).toMatchObject({ type: 'urn:sarf:problem:too-early' })
    api.running.clock.moveTo('2026-12-30T22:01:00Z')
    expect((await renew(family.head.token)).json).toMatchObject({ status: 422, type: 'urn:sarf:problem:payment-missing' })
    const token = await ordered(renew(family.head.token, 'cash'))
    expect(await stateOf(family.head.token)).toBe('ACTIVE')
    await collect(family, token)
    expect([await stateOf(family.head.token), await stateOf(token)]).toEqual(['REPLACED', 'ACTIVE'])
    api.running.clock.moveTo('2026-12-10T09:00:00Z')
  })

  it('of a card that has expired or whose PIN is lost is done, of a stopped or suspended one not', async () => {
    for (const [state, status] of [
      ['EXPIRED', 201],
      ['PIN_LOST', 201],
      ['LOST', 409],
      ['SUSPENDED_BIOMETRIC', 409],
    ] as const) {
      const family = await expiring('2612')
      await api.running.sql('UPDATE card SET state = $2 WHERE token = $1', [family.head.token, state])
      expect([state, (await renew(family.head.token, 'counter')).status]).toEqual([state, status])
    }
  })

  it('is no way around a suspension that came meanwhile', async () => {
    const family = await expiring('2612')
    const token = await ordered(renew(family.head.token, 'cash'))
    await api.running.sql(`UPDATE card SET state = 'SUSPENDED_BIOMETRIC' WHERE token = $1`, [family.head.token])
    await awaitCollection(api, token, '2026-12-10')
    const body = {
      ...family.headPerson,
      placeId: NAMED,
      pinBlock: padBlock(await numberOf(api, token)),
      fingerprintReference: 'enr-2',
    }
    const answer = await clerk().post(`/v1/cards/${token}/handover`, body)
    expect(answer.json).toMatchObject({ status: 409, type: 'urn:sarf:problem:replaced-card-suspended' })
  })

  it('ends a card too that was lost meanwhile', async () => {
    const family = await expiring('2612')
    const token = await ordered(renew(family.head.token, 'cash'))
    await report(family.head.token)
    await collect(family, token)
    expect(await stateOf(family.head.token)).toBe('REPLACED')
  })
})

it('the books are right after all of it', async () => {
  expect(await complaintsOf(api)).toEqual([])
})
