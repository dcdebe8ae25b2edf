import { beforeAll, describe, expect, it } from 'vitest'
import { startProgrammeApi, type ProgrammeApi } from '../../support/programmeApi.ts'
import type { TestLink } from '../../support/switch.ts'

let api: ProgrammeApi
let pos: TestLink

beforeAll(async () => {
  api = await startProgrammeApi()
  pos = await api.running.connect('pos')
})

const purchase = { 3: '000000', 4: '000000000100' }

describe('a report at the hotline', () => {
  it.each([
    ['lost', 'LOST', '41'],
    ['stolen', 'STOLEN', '43'],
    ['damaged', 'DAMAGED', '62'],
    ['pin-lost', 'PIN_LOST', '62'],
  ])('of a card that is %s makes it %s: the next message is answered %s', async (what, state, code) => {
    const card = await api.running.openCard()
    expect((await pos.ask('0200', { 2: card.pan, ...purchase })).text(39)).toBe('00')
    const answer = await api.as('hotline-agent').post(`/v1/cards/${card.token}/reports`, { what })
    expect(answer.json).toMatchObject({ cardId: card.token, state })
    expect((await pos.ask('0200', { 2: card.pan, ...purchase })).text(39)).toBe(code)
  })

  it('takes a UUID for its key whose digits look like a mobile by chance, and no mobile', async () => {
    const path = `/v1/cards/${(await api.running.openCard()).token}/reports`
    const chance = { 'idempotency-key': '3f2b8a54-9c1d-4e7a-8b2f-a01012345678' }
    expect((await api.as('hotline-agent').post(path, { what: 'lost' }, chance)).status).toBe(200)
    expect((await api.as('hotline-agent').post(path, { what: 'lost' }, { 'idempotency-key': 'call-01012345678' })).status).toBe(
      400,
    )
  })

  it('is done once, however often it is sent with its key, and has one audit record and one event', async () => {
    const card = await api.running.openCard()
    const key = { 'idempotency-key': 'call-118' }
    const path = `/v1/cards/${card.token}/reports`
    const answers = [
      await api.as('hotline-agent').post(path, { what: 'lost' }, key),
      await api.as('hotline-agent').post(path, { what: 'lost' }, key),
    ]
    expect(answers[1]?.text).toBe(answers[0]?.text)
    expect(answers[1]?.headers.get('idempotency-replayed')).toBe('true')
    expect(await api.running.sql('SELECT kind FROM programme_event WHERE card_token = $1', [card.token])).toEqual([
      { kind: 'card.reported_lost' },
    ])
    expect(
      await api.running.sql('SELECT actor, roles, action, outcome, detail FROM audit_record WHERE subject = $1', [
        `card ${card.token}`,
      ]),
    ).toEqual([
      { actor: 'hotline-agent', roles: 'hotline-agent', action: 'card.report', outcome: 'done', detail: '{"what":"lost"}' },
    ])
    expect((await api.as('hotline-agent').post(path, { what: 'stolen' }, key)).json).toMatchObject({
      status: 409,
      type: 'urn:sarf:problem:idempotency-key-reused',
    })
  })

  it('with a card number or a national ID for its reference is refused: that would stay on record', async () => {
    const card = await api.running.openCard()
    for (const reference of [card.pan, '28005170300015', '', 'CALL 118']) {
      const answer = await api.as('hotline-agent').post(`/v1/cards/${card.token}/reports`, { what: 'lost', reference })
      expect(answer.json).toMatchObject({ status: 400, errors: [{ path: '/reference' }] })
    }
  })

  it('of a card that has been stopped already is refused, and the refusal is on record', async () => {
    const card = await api.running.openCard({ state: 'STOLEN' })
    const answer = await api.as('hotline-agent').post(`/v1/cards/${card.token}/reports`, { what: 'lost' })
    expect(answer.json).toMatchObject({ status: 409, type: 'urn:sarf:problem:not-in-this-state' })
    expect(await api.running.sql('SELECT outcome, detail FROM audit_record WHERE subject = $1', [`card ${card.token}`])).toEqual([
      { outcome: 'refused', detail: '{"what":"lost","refused":"not-in-this-state"}' },
    ])
  })

  it('with a version that is not the present one is refused (412)', async () => {
    const card = await api.running.openCard()
    const answer = await api.as('hotline-agent').post(`/v1/cards/${card.token}/reports`, { what: 'lost' }, { 'if-match': '"7"' })
    expect(answer.json).toMatchObject({ status: 412, type: 'urn:sarf:problem:card-changed' })
  })

  it('needs a token, and a role that may report', async () => {
    const path = '/v1/cards/pW3bq0kJx7T1u5mYc2Zr8A/reports'
    expect((await api.with(undefined).post(path, { what: 'lost' })).status).toBe(401)
    expect((await api.with('Bearer eyJhbGciOiJub25lIn0.e30.').post(path, { what: 'lost' })).status).toBe(401)
    expect((await api.as('auditor').post(path, { what: 'lost' })).status).toBe(403)
    expect((await api.as('hotline-agent').post(path, { what: 'lost' })).status).toBe(404)
    expect((await api.as('hotline-agent').post(path, { what: 'eaten' })).json).toMatchObject({
      status: 400,
      errors: [{ path: '/what', expected: 'lost, stolen, damaged or pin-lost' }],
    })
  })
})
