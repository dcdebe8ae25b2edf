/** A key is loaded by two people. */
import { beforeAll, describe, expect, it } from 'vitest'
import { demoKeys } from '../../../src/programme/demoVerification.ts'
import { exportKey } from '../../../src/security/keyBlockOperations.ts'
import { startProgrammeApi, type ApiCaller, type ProgrammeApi } from '../../support/programmeApi.ts'

let api: ProgrammeApi
let maker: ApiCaller
let checker: ApiCaller

beforeAll(async () => {
  api = await startProgrammeApi()
  maker = api.as('operator', { name: 'operator-1' })
  checker = api.as('administrator', { name: 'administrator-1' })
})

const UNDER = 'transport.secure'
const blockOf = (name: string): string => exportKey(demoKeys(), name, UNDER)

async function names(): Promise<string[]> {
  return ((await api.as('auditor').get('/v1/keys')).json['items'] as { name: string }[]).map(({ name }) => name)
}

describe('a key', () => {
  it('is loaded when somebody else than its maker approves, with its check value for both to see', async () => {
    const proposal = (await maker.post('/v1/keys', { name: 'zpk.bank-2', under: UNDER, block: blockOf('zpk.pos') })).json
    expect(proposal).toMatchObject({ kind: 'key-load', state: 'open', subject: 'key zpk.bank-2' })
    const decide = (who: ApiCaller) =>
      who.post(`/v1/proposals/${String(proposal['proposalId'])}/decision`, { decision: 'approve' })
    expect((await decide(maker)).json).toMatchObject({ status: 403, type: 'urn:sarf:problem:own-proposal' })
    expect(await names()).not.toContain('zpk.bank-2')
    const { kcv } = demoKeys().find('zpk.pos', 'P0').info
    expect((await decide(checker)).json).toMatchObject({ state: 'approved', result: { name: 'zpk.bank-2', usage: 'P0', kcv } })
    expect(await names()).toContain('zpk.bank-2')
    expect(
      await api.running.sql(
        "SELECT actor, action, outcome FROM audit_record WHERE action IN ('key.load', 'proposal.decision') ORDER BY number",
      ),
    ).toEqual([
      { actor: 'operator-1', action: 'key.load', outcome: 'done' },
      { actor: 'operator-1', action: 'proposal.decision', outcome: 'refused' },
      { actor: 'administrator-1', action: 'proposal.decision', outcome: 'done' },
    ])
  })

  it('whose block was changed is not loaded, and its proposal stays open', async () => {
    const block = blockOf('zpk.pos')
    const changed = block.slice(0, -1) + (block.endsWith('0') ? '1' : '0')
    const { json } = await maker.post('/v1/keys', { name: 'zpk.bank-3', under: UNDER, block: changed })
    const path = `/v1/proposals/${String(json['proposalId'])}`
    expect((await checker.post(`${path}/decision`, { decision: 'approve' })).json).toMatchObject({
      status: 422,
      type: 'urn:sarf:problem:key-refused',
    })
    expect((await checker.get(path)).json).toMatchObject({ state: 'open' })
    expect(await names()).not.toContain('zpk.bank-3')
  })

  it.each([
    ['of a name that there is', { name: 'zpk.pos' }, 409, 'key-exists'],
    ['under a key that there is not', { under: 'transport.nobody' }, 422, 'no-such-key'],
    ['in no block', { block: '0123456789ABCDEF0123456789ABCDEF' }, 400, 'invalid-request'],
  ])('%s is not even proposed', async (_what, wrong, status, name) => {
    const body = { name: 'zpk.bank-4', under: UNDER, block: blockOf('zpk.pos'), ...wrong }
    expect((await maker.post('/v1/keys', body)).json).toMatchObject({ status, type: `urn:sarf:problem:${name}` })
  })

  it('is proposed and decided by those who may', async () => {
    const body = { name: 'zpk.bank-5', under: UNDER, block: blockOf('zpk.pos') }
    expect((await api.as('post-clerk').post('/v1/keys', body)).status).toBe(403)
    const { json } = await maker.post('/v1/keys', body)
    const decided = await api
      .as('supply-officer')
      .post(`/v1/proposals/${String(json['proposalId'])}/decision`, { decision: 'approve' })
    expect(decided.json).toMatchObject({ status: 403, type: 'urn:sarf:problem:not-yours-to-decide' })
  })
})
