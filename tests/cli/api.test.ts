/** Commands that call the API of a running switch. Calls that a switch of this test could not answer well are made to a stand-in that says what it was asked. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { CommanderError, type Command } from 'commander'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { atmCommand } from '../../src/cli/atm.ts'
import { bankCommand } from '../../src/cli/bank.ts'
import { booksCommand } from '../../src/cli/books.ts'
import { cardCommand } from '../../src/cli/card.ts'
import { claimsCommand } from '../../src/cli/claims.ts'
import { dayCommand } from '../../src/cli/day.ts'
import { disputeCommand } from '../../src/cli/dispute.ts'
import { householdCommand } from '../../src/cli/household.ts'
import { suspenseCommand } from '../../src/cli/suspense.ts'
import { tokenCommand } from '../../src/cli/token.ts'
import { demoKeys } from '../../src/programme/demoVerification.ts'
import { enterPin } from '../../src/security/virtualPinPad.ts'
import { csv } from '../settlement/bank/statementFiles.ts'
import { startProgrammeApi, type ProgrammeApi } from '../support/programmeApi.ts'
import { temporaryDirectory } from '../support/stack.ts'
import { runSarf } from './runSarf.ts'

let api: ProgrammeApi
let standIn: Server
let standInUrl: string
let asked: { path: string; key: string | undefined; subject: string; body: Record<string, unknown> }[] = []
let answers: Record<string, object> = {}

beforeAll(async () => {
  api = await startProgrammeApi()
  standIn = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const text = Buffer.concat(chunks).toString('utf8')
      const payload = Buffer.from(request.headers.authorization?.split('.')[1] ?? '', 'base64url').toString('utf8')
      asked.push({
        path: `${request.method ?? ''} ${request.url ?? ''}`,
        key: request.headers['idempotency-key']?.toString(),
        subject: payload,
        body: text === '' ? {} : (JSON.parse(text) as Record<string, unknown>),
      })
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify(answers[`${request.method ?? ''} ${request.url ?? ''}`] ?? {}))
    })
  }).listen(0, '127.0.0.1')
  await new Promise((resolve) => standIn.once('listening', resolve))
  standInUrl = `http://127.0.0.1:${String((standIn.address() as AddressInfo).port)}`
})

afterAll(() => {
  standIn.close()
  vi.unstubAllEnvs()
})

interface Ran {
  readonly code: number
  readonly output: string
  readonly error: string
}

async function run(command: Command, ...given: string[]): Promise<Ran> {
  let output = ''
  let error = ''
  const quiet = {
    writeOut: (text: string) => {
      output += text
    },
    writeErr: (text: string) => {
      error += text
    },
  }
  command.exitOverride()
  for (const one of [command, ...command.commands]) one.configureOutput(quiet)
  try {
    await command.parseAsync(given, { from: 'user' })
    return { code: Number(process.exitCode ?? 0), output, error }
  } catch (thrown) {
    if (!(thrown instanceof CommanderError)) throw thrown
    return { code: thrown.exitCode === 1 ? 2 : thrown.exitCode, output, error }
  } finally {
    process.exitCode = 0
  }
}

const card = (...given: string[]): Promise<Ran> => run(cardCommand(), ...given, '--url', api.url)

async function toStandIn(command: Command, ...given: string[]): Promise<Ran> {
  asked = []
  return run(command, ...given, '--url', standInUrl)
}

describe('sarf card', () => {
  it('shows a card of the running switch, and stops it', async () => {
    const { token } = await api.running.openCard()
    const shown = await card('show', token)
    expect([shown.code, shown.error]).toEqual([0, ''])
    expect(shown.output).toMatch(new RegExp(`^card +${token}\nnumber +981802\\*{6}\\d{4}\nstate +ACTIVE\n`))
    const blocked = await card('block', token, '--what', 'stolen', '--reference', 'CALL-7', '--json')
    expect(JSON.parse(blocked.output)).toMatchObject({ cardId: token, state: 'STOLEN' })
    expect(await api.running.sql('SELECT actor, detail FROM audit_record WHERE subject = $1', [`card ${token}`])).toEqual([
      { actor: 'sarf-cli', detail: '{"what":"stolen","reference":"CALL-7"}' },
    ])
  })

  it('says in one line why the switch refuses, and exits 1', async () => {
    const { token } = await api.running.openCard({ state: 'CLOSED' })
    expect(await card('block', token, '--what', 'lost')).toEqual({
      code: 1,
      output: '',
      error: expect.stringMatching(/^error: A card that is CLOSED cannot be reported lost; [^\n]+\n$/) as string,
    })
    expect(await card('show', 'pW3bq0kJx7T1u5mYc2Zr8A')).toMatchObject({
      code: 1,
      error: 'error: The programme has no such card\n',
    })
  })

  it('repeats with --key what it did before', async () => {
    const { token } = await api.running.openCard()
    const first = await card('block', token, '--what', 'lost', '--key', 'call-9')
    expect(await card('block', token, '--what', 'lost', '--key', 'call-9')).toEqual(first)
    expect((await card('block', token, '--what', 'lost')).code).toBe(1)
  })

  it('takes a token that it is given, and the one of SARF_TOKEN', async () => {
    const { token } = await api.running.openCard()
    const auditor = (await run(tokenCommand(), '--role', 'auditor', '--name', 'nadia')).output.trim()
    expect((await card('show', token, '--token', auditor)).code).toBe(0)
    vi.stubEnv('SARF_TOKEN', auditor)
    expect(await card('block', token, '--what', 'lost')).toMatchObject({
      code: 1,
      error: 'error: None of your roles may do this: it needs card:report\n',
    })
    vi.stubEnv('SARF_TOKEN', 'nonsense')
    expect((await card('show', token)).error).toContain('bearer token')
    vi.unstubAllEnvs()
  })

  it.each([
    ['a card number where a card id belongs', ['show', '9818010000000010']],
    ['a report that there is not', ['block', 'pW3bq0kJx7T1u5mYc2Zr8A', '--what', 'eaten']],
    ['no report', ['block', 'pW3bq0kJx7T1u5mYc2Zr8A']],
    ['no place', ['order', '10000000101']],
    ['a person by name', ['order', 'nadia', '--place', 'post-03-1']],
    ['a national ID of 13 digits', ['find', '--national-id', '2800517030001']],
  ])('%s is wrong usage', async (_, given) => {
    expect((await card(...given)).code).toBe(2)
  })

  it('where nothing listens it exits 3, and tells how to ask again', async () => {
    const given = ['block', 'pW3bq0kJx7T1u5mYc2Zr8A', '--what', 'lost', '--key', 'call-1', '--url', 'http://127.0.0.1:1']
    expect(await run(cardCommand(), ...given)).toMatchObject({
      code: 3,
      error: expect.stringContaining('--key call-1') as string,
    })
  })

  it('hands over with the PIN block that the counter would make, and never sends the PIN', async () => {
    const pan = '9818020000000018'
    const ran = await toStandIn(
      cardCommand(),
      ...['handover', 'pW3bq0kJx7T1u5mYc2Zr8A', '--place', 'post-03-1', '--number', pan, '--mobile', '01012345678'],
      ...['--national-id', '28005170300015', '--pin', '2468'],
    )
    expect(ran.code).toBe(0)
    const pinBlock = enterPin(demoKeys().find('zpk.http', 'P0'), 0, pan, '2468').toString('hex').toUpperCase()
    expect(asked).toMatchObject([
      {
        path: 'POST /v1/cards/pW3bq0kJx7T1u5mYc2Zr8A/handover',
        key: expect.stringMatching(/^[0-9a-f-]{36}$/) as string,
        body: { nationalId: '28005170300015', mobile: '01012345678', placeId: 'post-03-1', pinBlock, pinFormat: 0 },
      },
    ])
    expect(JSON.parse(asked[0]!.subject)).toMatchObject({ sub: 'sarf-cli', roles: ['post-clerk'], place: 'post-03-1' })
    expect(JSON.stringify(asked[0]!.body)).not.toMatch(/2468|9818020000000018/)
  })

  it('orders, prints and replaces', async () => {
    answers = { 'GET /v1/cards/pW3bq0kJx7T1u5mYc2Zr8A/embossing': { number: '9818020000000018' } }
    await toStandIn(cardCommand(), 'order', '10000000101', '--place', 'post-03-1')
    expect(asked).toMatchObject([{ path: 'POST /v1/persons/10000000101/cards', body: { placeId: 'post-03-1' } }])
    expect((await toStandIn(cardCommand(), 'print', 'pW3bq0kJx7T1u5mYc2Zr8A')).output).toContain('9818020000000018')
    expect(asked.map(({ path }) => path)).toEqual([
      'GET /v1/cards/pW3bq0kJx7T1u5mYc2Zr8A/embossing',
      'POST /v1/cards/pW3bq0kJx7T1u5mYc2Zr8A/printed',
    ])
    await toStandIn(cardCommand(), 'replace', 'pW3bq0kJx7T1u5mYc2Zr8A', '--place', 'post-03-1', '--payment', 'cash')
    expect(asked).toMatchObject([
      { path: 'POST /v1/cards/pW3bq0kJx7T1u5mYc2Zr8A/replacement', body: { placeId: 'post-03-1', payment: 'cash' } },
    ])
  })

  it('finds by a national ID that it is told on standard input, not in its arguments', async () => {
    answers = {
      'POST /v1/persons/find': { personId: 10000000101, householdId: 100000001 },
      'GET /v1/persons/10000000101/cards': { items: [{ cardId: 'pW3bq0kJx7T1u5mYc2Zr8A', state: 'ACTIVE' }], next: null },
    }
    asked = []
    const ran = await runSarf(['card', 'find', '--url', standInUrl], {}, '28005170300015\n')
    expect([ran.code, ran.stderr]).toEqual([0, ''])
    expect(asked[0]).toMatchObject({ path: 'POST /v1/persons/find', body: { nationalId: '28005170300015' } })
    expect(ran.stdout).toContain('pW3bq0kJx7T1u5mYc2Zr8A')
  })
})

it('a card id that begins with a hyphen is no option', async () => {
  const { code, stderr } = await runSarf(['card', 'show', '-2p0iV6WnljyjSGIK021eq', '--url', 'http://127.0.0.1:9'])
  expect([code, stderr]).toEqual([3, expect.stringContaining('no answer from http://127.0.0.1:9')])
})

describe('sarf day', () => {
  it('shows the days, one and its books, and closes one that is over', async () => {
    const own = (...given: string[]): Promise<Ran> => run(dayCommand(), ...given, '--url', api.url)
    expect((await own('close', '2030-01-01')).error).toMatch(/cut-off of this business day has not passed/)
    expect((await own('show', '2030-01-01')).error).toMatch(/no such business day/)
    expect((await own('show', 'today')).code).toBe(2)
    answers = {
      'GET /v1/business-days/2026-11-10': {
        ...{ day: '2026-11-10', state: 'closed', after: 0, until: 12, outlets: 1, earned: '5.25', claimed: '5.25' },
        totals: [{ code: 2210, unit: 'EGP', debits: '0.00', credits: '5.25', balance: '-5.25' }],
      },
    }
    const { code, output } = await toStandIn(dayCommand(), 'show', '2026-11-10')
    expect(code).toBe(0)
    expect(output).toMatch(/earned by outlets \(EGP\) +5\.25\n/)
    expect(output).toMatch(/2210 +EGP +0\.00 +5\.25 +-5\.25/)
  })
})

describe('sarf dispute', () => {
  it('opens a case, lists those that are open, and proposes how one ends', async () => {
    const card = 'pW3bq0kJx7T1u5mYc2Zr8A'
    answers = {
      'POST /v1/disputes': { disputeId: 17, state: 'open', claimed: '12.50' },
      'GET /v1/disputes?state=open&dueBy=2026-12-20': { items: [{ disputeId: 17, decideBy: '2026-12-20' }], next: null },
      'GET /v1/disputes/17': { disputeId: 17, trace: [{ role: 'original', kind: 'purchase' }] },
      'POST /v1/disputes/17/decision': { proposalId: 'p-1', subject: 'dispute 17', state: 'open' },
    }
    const given = [card, '--posting', '7', '--reason', 'charged-twice', '--amount', '12.50']
    expect((await toStandIn(disputeCommand(), 'open', ...given)).output).toMatch(/dispute +17\n/)
    expect(asked[0]?.body).toEqual({ cardId: card, purse: 'cash', version: 7, reason: 'charged-twice', amount: '12.50' })
    expect((await toStandIn(disputeCommand(), 'list', '--due-by', '2026-12-20')).output).toMatch(/17 +2026-12-20/)
    expect((await toStandIn(disputeCommand(), 'show', '17')).output).toMatch(/original +- +purchase/)
    await toStandIn(disputeCommand(), 'decide', '17', '--outcome', 'grant', '--reason', 'On the tape')
    expect(asked).toMatchObject([{ path: 'POST /v1/disputes/17/decision', body: { outcome: 'grant', reason: 'On the tape' } }])
    expect((await toStandIn(disputeCommand(), 'show', 'latest')).code).toBe(2)
  })
})

describe('sarf books', () => {
  it('shows a trial balance, and saves ledgers and statements as they come', async () => {
    const own = (...given: string[]): Promise<Ran> => run(booksCommand(), ...given, '--url', api.url)
    const directory = temporaryDirectory()
    const file = join(directory, 'ledger.csv')
    expect(await own('ledger', '2030-01-01', '--out', file)).toMatchObject({ code: 1, error: /no such business day/ })
    expect(readdirSync(directory)).toEqual([])
    expect((await own('balance')).code).toBe(2)
    expect((await own('statement', '22', '--from', '2026-11-10', '--out', file)).code).toBe(2)
    answers = {
      'GET /v1/books/trial-balance?day=2026-11-10': {
        ...{ asOf: '2026-11-10', until: 12 },
        accounts: [{ code: 2210, unit: 'EGP', debit: '0.00', credit: '5.25' }],
        totals: [{ unit: 'EGP', debit: '5.25', credit: '5.25' }],
      },
      'GET /v1/books/accounts/2210/42/statement?from=2026-11-10&to=2026-11-10&unit=EGP': { some: 'lines' },
    }
    expect((await toStandIn(booksCommand(), 'balance', '--day', '2026-11-10')).output).toMatch(/2210 +EGP +0\.00 +5\.25/)
    const saved = await toStandIn(booksCommand(), 'statement', '2210:42', '--from', '2026-11-10', '--out', file)
    expect(saved).toMatchObject({ code: 0, output: `${file}: 16 bytes\n` })
    expect(readFileSync(file, 'utf8')).toBe('{"some":"lines"}')
  })
})

describe('sarf bank, claims and suspense', () => {
  it('import a file once, show what is open, and propose what becomes of it', async () => {
    const own = (command: Command, ...given: string[]): Promise<Ran> => run(command, ...given, '--url', api.url)
    const file = join(temporaryDirectory(), 'statement.csv')
    writeFileSync(file, csv({ id: 'CLI-1', opening: '0.00', entries: [{ amount: '12.50', text: 'who knows' }] }))
    const imported = await own(bankCommand(), 'import', file)
    expect([imported.code, imported.error]).toEqual([0, ''])
    expect(imported.output).toMatch(/CLI-1 +1 +0\.00 +12\.50 +1 +0 +1 +false\n/)
    expect((await own(bankCommand(), 'import', file)).output).toMatch(/true\n/)
    writeFileSync(file, 'record\r\n')
    expect(await own(bankCommand(), 'import', file)).toMatchObject({
      code: 1,
      error: expect.stringMatching(/^error: The first line has to be/) as string,
    })
    expect((await own(bankCommand(), 'import', 'statement.mt940')).code).toBe(2)
    const [, entryId = ''] = /^(\d+) .*12\.50.*who knows +unknown/m.exec((await own(bankCommand(), 'entries')).output) ?? []
    const proposed = await own(bankCommand(), 'match', entryId, '--to', 'suspense', '--note', 'nobody knows')
    expect(proposed.output).toMatch(/about +entry \d+\nstate +open\nmade by +sarf-cli\n/)
    expect((await own(claimsCommand(), '--from', '2026-12-01', '--until', '2026-12-02')).output).toMatch(
      /^payer +amount +paid +open/,
    )
    expect((await own(claimsCommand(), '--from', '2026-12-01', '--until', '2026-12-02', '--csv')).output).toMatch(/^day,payer,/)
    expect((await own(suspenseCommand(), 'list', '--older-than-days', '3')).output).toMatch(/^item +began as/)
    await toStandIn(suspenseCommand(), 'resolve', '7', '--way', 'match', '--opposite', '8', '--note', 'both of one count')
    await toStandIn(suspenseCommand(), 'assign', '7', '--to', 'officer-1')
    expect(asked).toMatchObject([{ path: 'PUT /v1/suspense/7/owner', body: { owner: 'officer-1' } }])
    expect((await own(suspenseCommand(), 'resolve', '7', '--way', 'recover', '--note', 'x')).error).toMatch(/no such item/)
  })
})

describe('sarf atm', () => {
  const own = (...given: string[]): Promise<Ran> => run(atmCommand(), ...given, '--url', api.url)

  it('loads a machine, takes out of it, counts it, and shows what is in it', async () => {
    const given = ['ATM00001', '--amount', '1000', '--reference', 'CLI-1', '--key', '20261127-atm-load']
    const loaded = await own('load', ...given)
    expect([loaded.code, loaded.error]).toEqual([0, ''])
    expect(loaded.output).toMatch(/machine +ATM00001\n.*in it +1000\.00\n/s)
    expect((await own('load', ...given)).output).toBe(loaded.output)
    const taken = await own('load', 'ATM00001', '--amount', '250.50', '--reference', 'CLI-2', '--out', '--note', 'a cassette')
    expect(taken.output).toMatch(/in it +749\.50\n/)
    const counted = await own('count', 'ATM00001', '--counted', '740', '--reference', 'CLI-3')
    expect(counted.output).toMatch(/in it +740\.00\ncounted +740\.00\ndiffered +-9\.50\n.*item +\d+\n/s)
    expect((await own('show', 'ATM00001')).output).toMatch(/in it +740\.00\n/)
    expect((await own('list')).output).toMatch(/^machine .*\nATM00001 .* 740\.00 +740\.00 +-9\.50/)
  })

  it('says what is refused, and what is no machine', async () => {
    expect(await own('show', 'NOWHERE')).toMatchObject({ code: 1, error: expect.stringMatching(/^error: /) as string })
    expect((await own('count', 'ATM00001', '--counted', '740', '--reference', 'CLI-3')).code).toBe(1)
    expect((await own('load', 'ATM00001', '--reference', 'CLI-4')).code).toBe(2)
    expect((await own('show', 'a machine')).code).toBe(2)
  })
})

describe('sarf household', () => {
  it('shows members and cards', async () => {
    answers = {
      'GET /v1/households/100000001': {
        householdId: 100000001,
        governorate: 3,
        members: [{ personId: 10000000101, head: true, age: 46, nationalId: '**********0015' }],
      },
      'GET /v1/households/100000001/cards': {
        items: [{ cardId: 'pW3bq0kJx7T1u5mYc2Zr8A', personId: 10000000101, state: 'ACTIVE' }],
      },
    }
    const { code, output } = await toStandIn(householdCommand(), 'show', '100000001')
    expect(code).toBe(0)
    expect(output).toMatch(/household +100000001\n/)
    expect(output).toMatch(/10000000101 +true +46 +\*{10}0015/)
    expect(output).toMatch(/pW3bq0kJx7T1u5mYc2Zr8A +10000000101 +- +ACTIVE/)
    expect((await toStandIn(householdCommand(), 'show', 'ours')).code).toBe(2)
  })
})

describe('sarf token', () => {
  it('prints one that the switch takes, with the roles, name and place that were asked for', async () => {
    const { code, output } = await run(
      tokenCommand(),
      '--role',
      'post-clerk',
      '--role',
      'auditor',
      '--name',
      'nadia',
      '--place',
      'post-03-1',
      '--hours',
      '2',
    )
    expect(code).toBe(0)
    const claims = JSON.parse(Buffer.from(output.split('.')[1] ?? '', 'base64url').toString()) as { exp: number; iat: number }
    expect(claims).toMatchObject({ sub: 'nadia', roles: ['post-clerk', 'auditor'], place: 'post-03-1' })
    expect(claims.exp - claims.iat).toBe(7200)
    expect((await api.with(`Bearer ${output.trim()}`).get('/v1/programme')).status).toBe(200)
  })

  it('makes none for a role that there is not, nor in production', async () => {
    expect((await run(tokenCommand(), '--role', 'emperor')).code).toBe(2)
    expect((await run(tokenCommand())).code).toBe(2)
    vi.stubEnv('NODE_ENV', 'production')
    expect((await run(tokenCommand(), '--role', 'auditor')).code).toBe(2)
    vi.unstubAllEnvs()
  })
})
