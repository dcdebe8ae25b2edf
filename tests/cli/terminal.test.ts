import { beforeAll, describe, expect, it } from 'vitest'
import { makeAuthority, type TestAuthority, type TestCertificate } from '../support/certificates.ts'
import { createLedger, type TestLedger } from '../support/commitItems.ts'
import { temporaryDirectory } from '../support/stack.ts'
import { runSarf } from './runSarf.ts'

const TERMINAL = 'POS00001'
const ACCEPTOR = '000000000000001'
let ledger: TestLedger
let authority: TestAuthority
let client: TestCertificate

beforeAll(async () => {
  ledger = await createLedger()
  authority = makeAuthority(temporaryDirectory())
  client = authority.issue('acquirer')
})

const sarf = (...args: string[]) => runSarf([...args, '--database', ledger.url])

async function bound(): Promise<unknown> {
  const rows = await ledger.sql(
    `SELECT t.certificate, t.link, t.mac_key AS "macKey", t.state, m.certificate AS "merchantCertificate", m.state AS "merchantState"
     FROM terminal t JOIN merchant m ON m.id = t.merchant_id WHERE t.terminal_id = $1`,
    [TERMINAL],
  )
  return rows[0]
}

describe('sarf terminal', () => {
  it('binds to a certificate, a link and a MAC key, each by itself, and takes each back', async () => {
    const { code, stdout } = await sarf('terminal', 'bind', TERMINAL, '--certificate', client.certFile)
    expect(code).toBe(0)
    expect(stdout).toContain(`certificate  SHA-256 ${client.fingerprint}\n`)
    const { stdout: json } = await sarf('terminal', 'bind', TERMINAL, '--link', 'pos', '--mac-key', 'pos-mac-1', '--json')
    expect(JSON.parse(json)).toMatchObject({
      terminalId: TERMINAL,
      certificate: client.fingerprint,
      link: 'pos',
      macKey: 'pos-mac-1',
    })
    expect(await bound()).toMatchObject({ certificate: client.fingerprint, link: 'pos', macKey: 'pos-mac-1' })
    await sarf('terminal', 'bind', TERMINAL, '--no-certificate', '--no-mac-key')
    expect(await bound()).toMatchObject({ certificate: null, link: 'pos', macKey: null })
    await sarf('terminal', 'bind', TERMINAL, '--no-link')
    expect(await bound()).toMatchObject({ certificate: null, link: null, macKey: null, state: 'ACTIVE' })
  })

  it('suspends and activates again; a retired one stays retired', async () => {
    await ledger.sql(`INSERT INTO terminal (id, terminal_id, merchant_id, class) VALUES (2, 'POS00002', 1, 'pos')`)
    for (const [action, state] of Object.entries({ suspend: 'SUSPENDED', activate: 'ACTIVE', retire: 'RETIRED' })) {
      const { code, stdout } = await sarf('terminal', action, 'POS00002')
      expect([code, stdout.split('\n')[0]]).toEqual([0, `terminal     POS00002, pos, ${state}`])
    }
    expect(await sarf('terminal', 'activate', 'POS00002')).toEqual({
      code: 1,
      stdout: '',
      stderr: 'error: terminal POS00002 is retired for good\n',
    })
  })

  it('exits 1 where there is no such terminal', async () => {
    for (const action of ['show', 'suspend'])
      expect(await sarf('terminal', action, 'NOWHERE1')).toMatchObject({
        code: 1,
        stderr: 'error: there is no terminal NOWHERE1\n',
      })
  })

  it.each<[() => string[], string]>([
    [() => [], 'say what to bind it to'],
    [() => ['--link', 'nowhere'], 'there is no link nowhere; there are: atm, pos, gateway, secure'],
    [() => ['--certificate', '/nowhere.pem'], 'Not a certificate in PEM'],
    [() => ['--certificate', client.keyFile], 'Not a certificate in PEM'],
    [() => ['--certificate', authority.certFile], "This is a CA's certificate"],
    [() => ['--mac-key', ''], 'A name of 1 to 64 characters'],
    [() => ['--certificat', 'x'], 'unknown option'],
  ])('exits 2 for a binding that makes no sense (%#)', async (options, text) => {
    const { code, stderr } = await sarf('terminal', 'bind', TERMINAL, ...options())
    expect(stderr).toContain(text)
    expect(code).toBe(2)
  })

  it('exits 3 with one line where there is no database', async () => {
    expect(await runSarf(['terminal', 'show', TERMINAL, '--database', 'postgres://127.0.0.1:1/nowhere'])).toEqual({
      code: 3,
      stdout: '',
      stderr: 'error: cannot connect to the database\n',
    })
  })
})

describe('sarf merchant', () => {
  it('binds all its terminals that have no certificate of their own', async () => {
    expect((await sarf('merchant', 'bind', ACCEPTOR, '--certificate', client.certFile)).code).toBe(0)
    expect((await sarf('terminal', 'show', TERMINAL)).stdout).toContain(`SHA-256 ${client.fingerprint} (its merchant's)`)
    expect((await sarf('merchant', 'bind', ACCEPTOR, '--no-certificate')).code).toBe(0)
    expect(await bound()).toMatchObject({ merchantCertificate: null })
    expect((await sarf('merchant', 'bind', ACCEPTOR)).code).toBe(2)
  })

  it('suspends and activates again; a closed one stays closed', async () => {
    for (const [action, state] of Object.entries({ suspend: 'SUSPENDED', activate: 'ACTIVE', close: 'CLOSED' })) {
      expect((await sarf('merchant', action, ACCEPTOR)).code).toBe(0)
      expect(await bound()).toMatchObject({ merchantState: state })
    }
    const { code, stderr } = await sarf('merchant', 'activate', ACCEPTOR)
    expect([code, stderr]).toEqual([1, `error: there is no merchant ${ACCEPTOR}, or it is closed for good\n`])
  })
})
