import { beforeAll, describe, expect, it } from 'vitest'
import { awaitCollection, complaintsOf, DIWAN, NAMED, openFamily, padBlock, type Family } from '../../support/counter.ts'
import { startProgrammeApi, type ApiAnswer, type ApiCaller, type ProgrammeApi } from '../../support/programmeApi.ts'
import { at, type TestLink } from '../../support/switch.ts'
import { demoPinBlock } from '../../../src/programme/demoVerification.ts'

let api: ProgrammeApi
let atm: TestLink
let clerks = 0

beforeAll(async () => {
  api = await startProgrammeApi({ at: '2026-12-10T09:00:00Z' })
  atm = await api.running.connect('atm')
})

/** One who has not been wrong yet. */
function newClerk(place?: string): ApiCaller {
  return api.as('post-clerk', { name: `clerk-${String(++clerks)}`, ...(place === undefined ? {} : { place }) })
}

async function waiting(options: Parameters<typeof openFamily>[1] = {}, told = '2026-12-01'): Promise<Family> {
  const family = await openFamily(api, options)
  for (const card of [family.head, family.member]) await awaitCollection(api, card.token, told)
  return family
}

function bodyFor(family: Family, who: 'head' | 'member' = 'head'): Record<string, unknown> {
  const person = who === 'head' ? family.headPerson : family.memberPerson
  return { ...person, placeId: NAMED, pinBlock: padBlock(family[who].pan), fingerprintReference: 'enr-1' }
}

function handover(family: Family, body: object, who: 'head' | 'member' = 'head', clerk = newClerk()): Promise<ApiAnswer> {
  return clerk.post(`/v1/cards/${family[who].token}/handover`, body)
}

async function stateOf(token: string): Promise<unknown> {
  return (await api.running.sql<{ state: string }>('SELECT state FROM card WHERE token = $1', [token]))[0]?.state
}

/** A withdrawal at an ATM of the post. */
async function withdraw(pan: string, pin: string): Promise<string | undefined> {
  const block = demoPinBlockAt(pan, pin)
  return (await atm.ask('0200', { 2: pan, 3: '010000', 4: '000000005000', ...at('atm'), 52: block })).text(39)
}

function demoPinBlockAt(pan: string, pin: string): string {
  return demoPinBlock(pan, pin).toString('hex').toUpperCase()
}

describe('a card is handed over', () => {
  it('with everything right: active at once, with the PIN that the holder chose', async () => {
    const family = await waiting()
    expect(await withdraw(family.head.pan, '2468')).toBe('78')
    const answer = await handover(family, bodyFor(family))
    expect(answer.json).toMatchObject({ state: 'ACTIVE', pinSet: true, handedOverAt: expect.any(String) as unknown })
    expect(await withdraw(family.head.pan, '1111')).toBe('55')
    expect(await withdraw(family.head.pan, '2468')).toBe('00')
    const [life] = await api.running.sql('SELECT handed_over_place, fingerprint_reference FROM card_life WHERE token = $1', [
      family.head.token,
    ])
    expect(life).toEqual({ handed_over_place: NAMED, fingerprint_reference: 'enr-1' })
    const records = await api.running.sql<{ detail: string }>('SELECT detail FROM audit_record WHERE subject = $1', [
      `card ${family.head.token}`,
    ])
    for (const { detail } of records) expect(detail).not.toMatch(/\d{8}/)
  })

  it.each<[string, (family: Family) => object, number, string, string | undefined]>([
    ['another place', () => ({ placeId: 'uhi-03-1' }), 422, 'wrong-place', '/placeId'],
    ['the Diwan within the first month', () => ({ placeId: DIWAN }), 422, 'wrong-place', '/placeId'],
    ['a place that there is not', () => ({ placeId: 'nowhere' }), 422, 'wrong-place', '/placeId'],
    ["somebody else's ID", () => ({ nationalId: '28005170112345' }), 422, 'wrong-identity', '/nationalId'],
    ['an ID that is none', () => ({ nationalId: '29913310112345' }), 422, 'wrong-identity', '/nationalId'],
    ["the wife's ID", ({ memberPerson }) => ({ nationalId: memberPerson.nationalId }), 422, 'wrong-identity', '/nationalId'],
    ["the wife's mobile", ({ memberPerson }) => ({ mobile: memberPerson.mobile }), 422, 'wrong-identity', '/mobile'],
    ['no mobile', () => ({ mobile: undefined }), 422, 'mobile-missing', '/mobile'],
    [
      'the wife, who comes for the head',
      ({ memberPerson }) => ({ collectedBy: memberPerson }),
      422,
      'comes-in-person',
      '/collectedBy',
    ],
    ['the PIN block of another card', ({ member }) => ({ pinBlock: padBlock(member.pan) }), 422, 'pin-block', '/pinBlock'],
    [
      'a PIN block of 16 bytes in format 0',
      ({ head }) => ({ pinBlock: padBlock(head.pan).repeat(2) }),
      422,
      'pin-block',
      '/pinBlock',
    ],
    ['digits of Arabic', () => ({ nationalId: '٢٨٠٠٥١٧٠١١٢٣٤٥' }), 400, 'invalid-request', '/nationalId'],
    ['a number as an ID', () => ({ nationalId: 28005170112345 }), 400, 'invalid-request', '/nationalId'],
    ['no PIN block', () => ({ pinBlock: undefined }), 400, 'invalid-request', '/pinBlock'],
    ['a member that it does not know', () => ({ pin: '2468' }), 400, 'invalid-request', '/pin'],
    [
      'an ID in the place of the enrolment',
      () => ({ fingerprintReference: '28005170112345' }),
      400,
      'invalid-request',
      '/fingerprintReference',
    ],
  ])('not with %s', async (_what, change, status, name, path) => {
    const family = await waiting()
    const answer = await handover(family, { ...bodyFor(family), ...change(family) })
    expect(answer.json).toMatchObject({ status, type: `urn:sarf:problem:${name}`, errors: [{ path }] })
    expect(answer.text).not.toMatch(/28005170112345|010\d{8}/)
    expect(await stateOf(family.head.token)).toBe('AWAITING_COLLECTION')
  })

  it('by a clerk of that place only, where the token says which', async () => {
    const family = await waiting()
    expect((await handover(family, bodyFor(family), 'head', newClerk(DIWAN))).json).toMatchObject({
      status: 403,
      type: 'urn:sarf:problem:not-your-place',
    })
    expect((await handover(family, bodyFor(family), 'head', newClerk(NAMED))).status).toBe(200)
  })

  it('until the last day of each period, by the date, whether the clocks have run or not', async () => {
    // Cairo is two hours ahead: 21:59 UTC is the last minute of a day there.
    const day = async (told: string, instant: string, placeId: string): Promise<unknown> => {
      const family = await waiting({}, told)
      api.running.clock.moveTo(instant)
      const answer = await handover(family, { ...bodyFor(family), placeId })
      return answer.status === 200 ? 'ACTIVE' : String(answer.json['type']).replace('urn:sarf:problem:', '')
    }
    expect(await day('2026-12-01', '2027-01-01T21:59:00Z', NAMED)).toBe('ACTIVE')
    expect(await day('2026-12-01', '2027-01-01T22:01:00Z', NAMED)).toBe('wrong-place')
    expect(await day('2026-12-01', '2027-01-01T22:01:00Z', 'diwan-01')).toBe('wrong-place')
    expect(await day('2026-12-01', '2027-01-01T22:01:00Z', DIWAN)).toBe('ACTIVE')
    expect(await day('2026-12-01', '2027-02-01T21:59:00Z', DIWAN)).toBe('ACTIVE')
    expect(await day('2026-12-01', '2027-02-01T22:01:00Z', DIWAN)).toBe('collection-period-over')
    api.running.clock.moveTo('2026-12-10T09:00:00Z')
  })

  it('at the Diwan only, once the card has been brought there', async () => {
    const family = await waiting()
    await api.running.sql(`UPDATE card SET state = 'AWAITING_COLLECTION_DIWAN' WHERE token = $1`, [family.head.token])
    expect((await handover(family, bodyFor(family))).json).toMatchObject({ type: 'urn:sarf:problem:wrong-place' })
    expect((await handover(family, { ...bodyFor(family), placeId: DIWAN })).json).toMatchObject({ state: 'ACTIVE' })
  })

  it('not before anybody was told, not twice, and to one of two clerks at once', async () => {
    const family = await openFamily(api)
    await api.running.sql(`UPDATE card SET state = 'AWAITING_COLLECTION' WHERE token = $1`, [family.head.token])
    expect((await handover(family, bodyFor(family))).json).toMatchObject({ type: 'urn:sarf:problem:collection-not-begun' })
    await awaitCollection(api, family.head.token, '2026-12-01')
    const answers = await Promise.all([handover(family, bodyFor(family)), handover(family, bodyFor(family))])
    expect(answers.map(({ status }) => status).toSorted()).toEqual([200, 409])
    expect((await handover(family, bodyFor(family))).json).toMatchObject({ type: 'urn:sarf:problem:not-in-this-state' })
  })

  it('of somebody over 16 to the holder in person; of a child, also one of exactly 16, to the head', async () => {
    const grown = await waiting({ memberBirthDate: '2009-12-10' })
    expect((await handover(grown, bodyFor(grown, 'member'), 'member')).json).toMatchObject({ state: 'ACTIVE' })
    const child = await waiting({ memberBirthDate: '2010-12-10' })
    const own = bodyFor(child, 'member')
    const refusals: [object, string, string][] = [
      [own, 'head-comes', '/collectedBy'],
      [{ ...own, collectedBy: child.memberPerson }, 'wrong-identity', '/collectedBy/nationalId'],
      [
        { ...own, collectedBy: { ...child.headPerson, mobile: child.memberPerson.mobile } },
        'wrong-identity',
        '/collectedBy/mobile',
      ],
      [{ ...own, mobile: grown.headPerson.mobile, collectedBy: child.headPerson }, 'wrong-identity', '/mobile'],
      [{ ...own, nationalId: child.headPerson.nationalId, collectedBy: child.headPerson }, 'wrong-identity', '/nationalId'],
    ]
    for (const [body, name, path] of refusals)
      expect((await handover(child, body, 'member')).json).toMatchObject({ type: `urn:sarf:problem:${name}`, errors: [{ path }] })
    expect((await handover(child, { ...own, mobile: undefined, collectedBy: child.headPerson }, 'member')).json).toMatchObject({
      state: 'ACTIVE',
    })
  })

  it('not before its fee was paid', async () => {
    const family = await waiting()
    await api.running.sql('UPDATE card_life SET fee = 30000 WHERE token = $1', [family.head.token])
    expect((await handover(family, bodyFor(family))).json).toMatchObject({ status: 409, type: 'urn:sarf:problem:fee-not-paid' })
  })

  it('once for a key, however often it is sent', async () => {
    const family = await waiting()
    const clerk = newClerk()
    const send = (): Promise<ApiAnswer> =>
      clerk.post(`/v1/cards/${family.head.token}/handover`, bodyFor(family), {
        'idempotency-key': `handover-${family.head.token}`,
      })
    const [first, again] = [await send(), await send()]
    expect(again.text).toBe(first.text)
    expect(first.json).toMatchObject({ state: 'ACTIVE', version: 2 })
  })
})

describe('a clerk who gives wrong identities', () => {
  it('is locked after as many as the programme allows, also for right ones, until the time is over; others are not', async () => {
    const family = await waiting()
    const clerk = newClerk()
    const wrong = { ...bodyFor(family), mobile: '01099999999' }
    for (let tried = 0; tried < 5; tried++) expect((await handover(family, wrong, 'head', clerk)).status).toBe(422)
    const locked = await handover(family, bodyFor(family), 'head', clerk)
    expect(locked.json).toMatchObject({ status: 429, type: 'urn:sarf:problem:locked' })
    expect(Number(locked.headers.get('retry-after'))).toBeGreaterThan(3500)
    expect(Number(locked.headers.get('retry-after'))).toBeLessThanOrEqual(3600)
    // PINs are set after the same look at the holder.
    expect(
      (
        await clerk.post(`/v1/cards/${family.head.token}/pin`, {
          ...family.headPerson,
          placeId: NAMED,
          pinBlock: padBlock(family.head.pan),
        })
      ).status,
    ).toBe(429)
    expect((await handover(family, bodyFor(family))).status).toBe(200)
    api.running.clock.moveTo('2026-12-10T10:05:00Z')
    expect((await handover(family, bodyFor(family), 'head', clerk)).json).toMatchObject({ status: 409 })
    api.running.clock.moveTo('2026-12-10T09:00:00Z')
  })

  it('gets no more of them by sending many at once', async () => {
    const family = await waiting()
    const clerk = newClerk()
    const wrong = { ...bodyFor(family), nationalId: '28005170112345' }
    const answers = await Promise.all(Array.from({ length: 12 }, () => handover(family, wrong, 'head', clerk)))
    expect(answers.map(({ status }) => status).toSorted()).toEqual([...Array<number>(5).fill(422), ...Array<number>(7).fill(429)])
  })

  it('is not locked for what is no identity', async () => {
    const family = await waiting()
    const clerk = newClerk()
    for (let tried = 0; tried < 6; tried++)
      expect((await handover(family, { ...bodyFor(family), placeId: DIWAN }, 'head', clerk)).status).toBe(422)
    expect((await handover(family, bodyFor(family), 'head', clerk)).status).toBe(200)
  })
})

describe('a new PIN', () => {
  it('of a card whose PIN was tried too often or lost makes it active again, with that PIN', async () => {
    const family = await openFamily(api)
    const { pan, token } = family.head
    for (let tried = 0; tried < 3; tried++) expect(await withdraw(pan, '9999')).toMatch(/55|75/)
    expect(await stateOf(token)).toBe('PIN_BLOCKED')
    const body = { ...family.headPerson, placeId: NAMED, pinBlock: padBlock(pan, '7531') }
    const path = `/v1/cards/${token}/pin`
    expect((await newClerk().post(path, { ...body, placeId: DIWAN })).json).toMatchObject({
      type: 'urn:sarf:problem:not-a-post-office',
    })
    expect((await newClerk().post(path, { ...body, mobile: '01099999999' })).json).toMatchObject({
      type: 'urn:sarf:problem:wrong-identity',
    })
    expect((await newClerk().post(path, body)).json).toMatchObject({ state: 'ACTIVE' })
    expect(await withdraw(pan, '7531')).toBe('00')
    const [card] = await api.running.sql('SELECT pin_tries, issuer_script FROM card WHERE token = $1', [token])
    expect(card).toEqual({ pin_tries: 0, issuer_script: 'PIN_UNBLOCK' })

    await api.as('hotline-agent').post(`/v1/cards/${token}/reports`, { what: 'pin-lost' })
    expect(await withdraw(pan, '7531')).toBe('62')
    expect((await newClerk().post(path, { ...body, pinBlock: padBlock(pan, '8642') })).json).toMatchObject({ state: 'ACTIVE' })
    expect(await withdraw(pan, '8642')).toBe('00')
    expect((await newClerk().post(path, body)).json).toMatchObject({ type: 'urn:sarf:problem:not-in-this-state' })
  })
})

it('the books are right after all of it', async () => {
  expect(await complaintsOf(api)).toEqual([])
})
