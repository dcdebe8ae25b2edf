import type { Certificates } from '../../src/config.ts'
import { certificatesOf, makeAuthority } from '../support/certificates.ts'
import { temporaryDirectory } from '../support/stack.ts'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { SEND_KINDS } from '../../src/cli/transactionMessage.ts'
import { decode } from '../../src/iso8583/decode.ts'
import { encode } from '../../src/iso8583/encode.ts'
import type { Message } from '../../src/iso8583/message.ts'
import { messageSpec, type SpecName } from '../../src/iso8583/messageSpec.ts'
import { responseMti } from '../../src/iso8583/mti.ts'
import { demoMemberPan, demoOldPan, demoPan } from '../../src/programme/demo.ts'
import { demoPinBlock } from '../../src/programme/demoVerification.ts'
import { readChipData, type ChipField } from '../../src/security/chipData.ts'
import { listen, type Listener } from '../../src/transport/listener.ts'
import type { Framing } from '../../src/transport/framing.ts'
import { send } from './callSend.ts'

const CARD = '5078031234567890'

let folder: string
const listeners: Listener[] = []

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sarf-send-'))
  vi.stubEnv('SARF_STATE', folder)
})

afterEach(async () => {
  vi.unstubAllEnvs()
  await Promise.all(listeners.splice(0).map((listener) => listener.close(0)))
  rmSync(folder, { recursive: true })
})

it.each<[SpecName, Framing]>([
  ['ascii', 'length2'],
  ['bcd', 'length2-tpdu'],
  ['hex', 'length4'],
])('a purchase in %s goes out in %s framing, and an approval is exit code 0', async (spec, framing) => {
  const { port, seen } = await startSwitch({ spec, framing })
  const { code, output } = await send('purchase', '--amount', '12.50', '--card', CARD, '--spec', spec, '--port', port)
  expect(code).toBe(0)
  expect(seen[0]?.mti).toBe('0200')
  expect([2, 3, 4, 22, 49].map((de) => seen[0]?.text(de))).toEqual([CARD, '000000', '000000001250', '011', '818'])
  expect(output).toContain('507803******7890')
  expect(output).not.toContain(CARD)
  expect(output).toMatch(/00 {2}Approved, \d+\.\d ms/)
})

it('a decline is exit code 1 and says what its code means', async () => {
  const { port } = await startSwitch({ responseCode: '51' })
  const { code, output } = await send('purchase', '--amount', '1', '--card', CARD, '--port', port)
  expect(code).toBe(1)
  expect(output).toContain('51  Not sufficient funds')
})

it.each(['withdrawal', 'deposit', 'credit', 'payment', 'authorize'])('%s has the processing code of its kind', async (kind) => {
  const { port, seen } = await startSwitch()
  const { code } = await send(kind, '--amount', '100', '--card', CARD, '--port', port)
  expect(code).toBe(0)
  const expected: Record<string, string[]> = {
    withdrawal: ['0200', '010000', '6011'],
    deposit: ['0200', '210000', '6010'],
    credit: ['0200', '260000', '6012'],
    payment: ['0200', '500000', '9399'],
    authorize: ['0100', '000000', '5399'],
  }
  expect([seen[0]?.mti, seen[0]?.text(3), seen[0]?.text(18)]).toEqual(expected[kind])
})

it.each([
  ['bread', ['--loaves', '20', '--days', '2'], '0200', '009700', '5462', '000000000400', 'LV00220DY0012'],
  ['bread', ['--loaves', '5', '--amount', '9.99'], '0200', '009700', '5462', '000000000999', 'LV0015DY0011'],
  ['bread', ['--loaves', '5', '--advice'], '0220', '009700', '5462', '000000000100', 'LV0015DY0011'],
  [
    'ration',
    ['--basket', 'OIL*1*3000;SUGAR*2*2400', '--partial'],
    '0200',
    '009800',
    '5411',
    '000000005400',
    'BK024OIL*1*3000;SUGAR*2*2400;PC0011',
  ],
  ['ration', ['--basket', 'OIL*1*3000;', '--advice'], '0220', '009800', '5411', '000000003000', 'BK011OIL*1*3000;'],
  ['points', ['--amount', '3'], '0200', '009500', '5411', '000000000300', undefined],
  ['eligibility', [], '0100', '319400', '8011', '000000000000', 'BR001M'],
  ['eligibility', ['--fingerprint', 'mismatch'], '0100', '319400', '8011', '000000000000', 'BR001X'],
  ['eligibility', ['--fingerprint', 'absent'], '0100', '319400', '8011', '000000000000', undefined],
  ['copay', ['--amount', '80', '--class', 'LAB'], '0200', '009400', '8011', '000000008000', 'BR001MSC003LAB'],
  [
    'copay',
    ['--amount', '80', '--class', 'LAB', '--fingerprint', 'none'],
    '0200',
    '009400',
    '8011',
    '000000008000',
    'BR001NSC003LAB',
  ],
])(
  '%s %j is the message of its row in the table of transactions',
  async (kind, options, mti, code, category, sum, privateData) => {
    const { port, seen } = await startSwitch()
    const { code: exitCode, error } = await send(kind, ...options, '--card', CARD, '--port', port)
    expect({ exitCode, error }).toEqual({ exitCode: 0, error: '' })
    expect([seen[0]?.mti, seen[0]?.text(3), seen[0]?.text(18), seen[0]?.text(4), seen[0]?.text(48)]).toEqual([
      mti,
      code,
      category,
      sum,
      privateData,
    ])
  },
)

it.each([
  ['cash', '310000', 'POS00001'],
  ['ration', '319800', 'GRO00001'],
  ['bread', '319700', 'BAK00001'],
  ['points', '319500', 'GRO00001'],
])('the balance of %s is asked for under its account type, where that may be', async (purse, code, terminal) => {
  const { port, seen } = await startSwitch()
  await send('balance', '--purse', purse, '--port', port)
  expect([seen[0]?.text(3), seen[0]?.text(41)]).toEqual([code, terminal])
})

it.each([
  ['bread', ['--loaves', '20'], '009700', '200097'],
  ['ration', ['--basket', 'OIL*1*3000'], '009800', '200098'],
  ['points', ['--amount', '3'], '009500', '200095'],
  ['copay', ['--amount', '80', '--class', 'LAB'], '009400', '200094'],
])('refund and reversal of %s name its account and its outlet', async (kind, options, original, refund) => {
  const { port, seen } = await startSwitch()
  await send(kind, ...options, '--port', port)
  await send('refund', '--port', port)
  await send('reversal', '--original', `${seen[0]?.text(11) ?? ''},${seen[0]?.text(7) ?? ''}`, '--port', port)
  expect(seen.map((message) => [message.mti, message.text(3)])).toEqual([
    ['0200', original],
    ['0200', refund],
    ['0400', original],
  ])
  for (const de of [2, 4, 18, 41, 42]) expect(seen[2]?.text(de)).toBe(seen[0]?.text(de))
  expect(seen[1]?.text(48)).toBeUndefined()
})

it('an original of a purse that was not sent from here is named with the purse', async () => {
  const { port, seen } = await startSwitch()
  const named = ['--original', '77,1122101500', '--amount', '5', '--purse', 'ration', '--card', CARD, '--port', port]
  await send('refund', ...named)
  await send('reversal', ...named)
  expect(seen.map((message) => [message.text(3), message.text(41)])).toEqual([
    ['200098', 'GRO00001'],
    ['009800', 'POS00001'],
  ])
})

it('an advice says when it was approved, and its reversal names it as an advice', async () => {
  const { port, seen } = await startSwitch()
  await send('bread', '--loaves', '5', '--advice', '--local-time', '1121235900', '--port', port)
  await send('bread', '--repeat', '--port', port)
  await send('reversal', '--port', port)
  expect([seen[0]?.text(13), seen[0]?.text(12)]).toEqual(['1121', '235900'])
  expect(seen[1]?.mti).toBe('0221')
  expect(seen[2]?.text(90)?.slice(0, 4)).toBe('0220')
})

it("a follow-up knows a member's card and an old card again", async () => {
  const { port, seen } = await startSwitch()
  for (const card of [demoMemberPan(1234, 3), demoOldPan(1230)]) {
    await send('purchase', '--amount', '1', '--card', card, '--port', port)
    await send('reversal', '--port', port)
    expect(seen.splice(0).map((message) => message.text(2))).toEqual([card, card])
  }
})

it('account types are those of the link that is spoken to', async () => {
  const config = join(folder, 'sarf.json')
  const settings = JSON.parse(readFileSync(new URL('../../config/sarf.json', import.meta.url), 'utf8')) as {
    links: { name: string; accountTypes?: Record<string, string> }[]
  }
  settings.links[0]!.accountTypes = { '40': 'bread' }
  writeFileSync(config, JSON.stringify(settings))
  vi.stubEnv('SARF_CONFIG', config)
  const { port, seen } = await startSwitch()
  await send('bread', '--loaves', '5', '--port', port)
  expect(seen[0]?.text(3)).toBe('004000')
})

it('what an answer says of purses, cover, tries and reasons is shown in words', async () => {
  const { port } = await startSwitch({
    fields: {
      6: '000000000400',
      48: 'TR0015CV016STANDARD20301231RM009day_drawn',
      54: '9720999C000000000130' + '9802818C000000012550',
    },
  })
  const { output } = await send('bread', '--loaves', '20', '--plain', '--port', port)
  const lines = output
    .slice(output.indexOf('00  Approved'))
    .split('\n')
    .slice(1)
    .map((line) => line.trim().replace(/ {2,}/g, ': '))
  expect(lines.filter((line) => line !== '')).toEqual([
    'taken from the cash purse: 4.00 EGP',
    'bread, remaining this cycle: 130 LOAF',
    'ration, available balance: 125.50 RATION',
    'tries left: 5',
    'cover: STANDARD until 2030-12-31',
    'reason: day_drawn',
  ])
  const { output: json } = await send('bread', '--loaves', '20', '--json', '--port', port)
  expect(JSON.parse(json)).toMatchObject({
    outcome: {
      billed: 400,
      balances: [
        { purse: 'bread', unit: 'LOAF', currency: '999', amount: 130 },
        { purse: 'ration', unit: 'RATION', currency: '818', amount: 12_550 },
      ],
      triesLeft: 5,
      cover: { class: 'STANDARD', until: '2030-12-31' },
      reason: 'day_drawn',
    },
  })
})

it('an echo carries no card and no amount', async () => {
  const { port, seen } = await startSwitch()
  const { code } = await send('echo', '--port', port)
  expect(code).toBe(0)
  expect(seen[0]?.fields().filter((de) => de > 1)).toEqual([7, 11, 70])
  expect(seen[0]?.text(70)).toBe('301')
})

it('a reversal takes up the last message, with its terminal, amount and reference', async () => {
  const { port, seen } = await startSwitch()
  await send('withdrawal', '--amount', '200', '--card', CARD, '--port', port)
  await send('reversal', '--card', CARD, '--port', port)
  const [withdrawal, reversal] = seen
  expect(reversal?.mti).toBe('0400')
  for (const de of [2, 3, 4, 18, 32, 37, 41, 42, 49]) expect(reversal?.text(de)).toBe(withdrawal?.text(de))
  expect(reversal?.text(11)).not.toBe(withdrawal?.text(11))
  expect(reversal?.text(90)).toBe(`0200${withdrawal?.text(11) ?? ''}${withdrawal?.text(7) ?? ''}0000081800100000000000`)
})

it('a reversal passes over what was declined, a completion over what is no authorization', async () => {
  const codes = ['00', '00', '51', '00', '00']
  const { port, seen } = await startSwitch({ responseCode: () => codes.shift() ?? '96' })
  await send('authorize', '--amount', '50', '--card', CARD, '--port', port)
  await send('purchase', '--amount', '10', '--card', CARD, '--port', port)
  await send('purchase', '--amount', '9999', '--card', CARD, '--port', port)
  await send('reversal', '--card', CARD, '--port', port)
  await send('complete', '--amount', '40', '--card', CARD, '--port', port)
  expect(seen[3]?.text(90)?.slice(4, 10)).toBe(seen[1]?.text(11))
  expect(seen[4]?.mti).toBe('0220')
  expect(seen[4]?.text(90)?.slice(0, 10)).toBe(`0100${seen[0]?.text(11) ?? ''}`)
  expect([4, 37, 38].map((de) => seen[4]?.text(de))).toEqual(['000000004000', seen[0]?.text(37), 'ABC123'])
})

it('a message that nobody answered can be reversed', async () => {
  const { port, seen } = await startSwitch({ responseCode: (request) => (request.mti === '0200' ? undefined : '00') })
  const lost = await send('purchase', '--amount', '10', '--card', CARD, '--port', port, '--timeout', '0.2')
  expect(lost.code).toBe(3)
  expect(lost.error).toContain('no answer')
  await send('reversal', '--card', CARD, '--port', port)
  expect(seen[1]?.text(90)?.slice(4, 10)).toBe(seen[0]?.text(11))
})

it('a partial reversal says what the transaction came to', async () => {
  const { port, seen } = await startSwitch()
  await send('purchase', '--amount', '10', '--card', CARD, '--port', port)
  await send('reversal', '--final-amount', '4', '--card', CARD, '--port', port)
  expect(seen[1]?.text(95)).toBe('000000000400' + '000000000000' + 'C00000000' + 'C00000000')
})

it('an original of somebody else is named by trace number and time', async () => {
  const { port, seen } = await startSwitch()
  const { code } = await send('refund', '--original', '77,1122101500', '--amount', '5', '--card', CARD, '--port', port)
  expect(code).toBe(0)
  expect(seen[0]?.text(90)?.slice(0, 20)).toBe('02000000771122101500')
})

it('a repeat is the same message with the repeat digit', async () => {
  const { port, seen } = await startSwitch()
  await send('purchase', '--amount', '10', '--card', CARD, '--partial', '--port', port)
  await send('purchase', '--repeat', '--card', CARD, '--port', port)
  expect(seen.map(({ mti }) => mti)).toEqual(['0200', '0201'])
  expect(textOf(seen[1])).toEqual(textOf(seen[0]))
  expect(seen[1]?.text(48)).toBe('PC0011')
  await send('reversal', '--card', CARD, '--port', port)
  expect(seen[2]?.text(90)?.slice(0, 4)).toBe('0200')
})

it('a demo card shows its chip and its PIN, a repeat the same chip data, and nothing of them is kept', async () => {
  const { port, seen } = await startSwitch()
  await send('withdrawal', '--amount', '200', '--port', port)
  await send('withdrawal', '--amount', '200', '--port', port)
  await send('withdrawal', '--repeat', '--port', port)
  const [first, second, repeat] = seen
  expect([22, 23, 35].map((de) => first?.text(de))).toEqual(['051', '000', undefined])
  expect(first?.text(52)).toBe(demoPinBlock(demoPan(1)).toString('hex').toUpperCase())
  const atcs = seen.map((message) => read(message).chip.atc.readUInt16BE())
  expect(atcs).toEqual([1, 2, 2])
  expect(repeat?.mti).toBe('0201')
  expect(textOf(repeat)).toEqual(textOf(second))
  const kept = readFileSync(join(folder, 'last.json'), 'utf8')
  const track = read(first).card?.reveal().track2 ?? 'none'
  for (const secret of [demoPan(1), track, first?.text(55), first?.text(52)]) expect(kept).not.toContain(secret)
})

it('stripe, printed value and long PIN blocks are shown where they belong, and not kept', async () => {
  const { port, seen } = await startSwitch()
  const balance = ['balance', '--terminal', 'ATM00001', '--port', port]
  await send(...balance, '--entry', 'stripe', '--no-pin')
  await send(...balance, '--entry', 'contactless-stripe', '--pin', '123456', '--pin-format', '3')
  await send(...balance, '--entry', 'manual', '--pin-format', '4')
  await send(...balance, '--plain')
  expect(seen.map((message) => [14, 22, 23, 52].map((de) => message.has(de) && (message.text(de) ?? '')))).toEqual([
    [false, '901', false, false],
    [false, '911', '000', expect.stringMatching(/^[0-9A-F]{16}$/)],
    ['2912', '011', false, false],
    [false, '011', false, false],
  ])
  const tracks = seen.map((message) => message.text(35))
  expect(tracks).toEqual([
    expect.stringMatching(new RegExp(`^${demoPan(1)}=291220100000\\d{3}$`)),
    expect.stringMatching(new RegExp(`^${demoPan(1)}=291220100000\\d{3}0001$`)),
    undefined,
    undefined,
  ])
  const data = seen.map((message) => message.text(48))
  expect(data).toEqual([undefined, 'PF0013', expect.stringMatching(/^C2003\d{3}PF0014PB032[0-9A-F]{32}$/), undefined])
  const kept = readFileSync(join(folder, 'last.json'), 'utf8')
  for (const secret of ['=2912', 'PB032', 'C2003', '123456', '"14"', '"52"']) expect(kept).not.toContain(secret)
})

it('no two messages have the same trace number, and no card number is kept', async () => {
  const { port, seen } = await startSwitch()
  for (let i = 0; i < 3; i++) await send('balance', '--card', CARD, '--port', port)
  expect(new Set(seen.map((message) => message.text(11))).size).toBe(3)
  const kept = readFileSync(join(folder, 'last.json'), 'utf8')
  expect(kept).toContain('507803******7890')
  expect(kept).not.toContain(CARD)
})

it('--json prints one object, masked', async () => {
  const { port } = await startSwitch()
  const { output } = await send('purchase', '--amount', '12.50', '--card', CARD, '--json', '--port', port)
  const report = JSON.parse(output) as { responseCode: string; request: { fields: { de: number; value: string }[] } }
  expect(report.responseCode).toBe('00')
  expect(report.request.fields.find(({ de }) => de === 2)?.value).toBe('507803******7890')
  expect(output).not.toContain(CARD)
})

it.each([
  ['an unknown transaction', ['teleport']],
  ['a purchase without an amount', ['purchase']],
  ['an amount with three decimals', ['purchase', '--amount', '1.234']],
  ['an amount for an echo', ['echo', '--amount', '1']],
  ['an original for a purchase', ['purchase', '--amount', '1', '--last']],
  ['a refund when nothing was sent', ['refund']],
  ['a repeat when nothing was sent', ['purchase', '--repeat']],
  ['bread without loaves', ['bread', '--amount', '4']],
  ['ration without a basket', ['ration', '--amount', '54.00']],
  ['a basket that is none', ['ration', '--basket', 'OIL*1']],
  ['a co-pay without a class', ['copay', '--amount', '80']],
  ['an amount for eligibility', ['eligibility', '--amount', '1']],
  ['loaves for a purchase', ['purchase', '--amount', '1', '--loaves', '5']],
  ['an advice of a purchase', ['purchase', '--amount', '1', '--advice']],
  ['a purse that there is not', ['balance', '--purse', 'gold']],
  ['a card number that is none', ['purchase', '--amount', '1', '--card', 'x']],
  ['a port that is none', ['echo', '--port', '70000']],
  ['a link that there is not', ['echo', '--link', 'nowhere']],
  ['a PIN that is none', ['balance', '--pin', '12']],
  ['a PIN block of a format that no terminal sends', ['balance', '--pin-format', '1']],
  ['a chip counter for a refund', ['refund', '--atc', '1']],
  ['a bare message with a chip', ['balance', '--plain', '--entry', 'chip']],
  ['the chip of a card that nothing is known of', ['balance', '--card', CARD, '--entry', 'chip']],
  ['a change of PIN without the new one', ['pin-change']],
  ['a change of keys where none is taken', ['key-change', '--link', 'atm']],
])('%s is exit code 2', async (_what, given) => {
  const { code, error } = await send(...given)
  expect(code).toBe(2)
  expect(error).toMatch(/^error: /)
})

it('ration without a basket says how a basket is written', async () => {
  const { error } = await send('ration', '--amount', '54.00')
  expect(error).toContain('ration needs --basket, for example --basket "OIL*1*3000;SUGAR*2*2400" (item, how many, piasters)')
})

it('a follow-up for a card that is not a demo card asks for the card again', async () => {
  const { port } = await startSwitch()
  await send('purchase', '--amount', '1', '--card', CARD, '--port', port)
  const { code, error } = await send('reversal', '--port', port)
  expect(code).toBe(2)
  expect(error).toContain('--card is needed: the original was for 507803******7890')
})

it('card and terminal default to the demo programme, and a follow-up knows the card again', async () => {
  const { port, seen } = await startSwitch()
  await send('purchase', '--amount', '1', '--port', port)
  await send('purchase', '--amount', '1', '--card', demoPan(1234), '--terminal', 'POS00007', '--port', port)
  await send('refund', '--port', port)
  expect(seen.map((message) => message.text(2))).toEqual([demoPan(1), demoPan(1234), demoPan(1234)])
  expect(seen.map((message) => message.text(41))).toEqual(['POS00001', 'POS00007', 'POS00007'])
  expect(seen.map((message) => message.text(42))).toEqual(['000000000000001', '000000000000002', '000000000000002'])
})

it('a switch that closes the connection is exit code 3', async () => {
  const { port } = await startSwitch({ framing: 'length4' })
  const { code, error } = await send('echo', '--port', port, '--timeout', '5')
  expect(code).toBe(3)
  expect(error).toContain('closed the connection without an answer')
})

it('where nothing listens the command is exit code 3 and says in one line how to start the switch', async () => {
  const { port } = await startSwitch()
  await Promise.all(listeners.splice(0).map((listener) => listener.close(0)))
  const { status, stderr, stdout } = spawnSync(process.execPath, [program, 'send', 'echo', '--port', port], { encoding: 'utf8' })
  expect(status).toBe(3)
  expect(stdout).toBe('')
  expect(stderr).toMatch(/^error: no connection to 127\.0\.0\.1:\d+ .*npm start\n$/)
})

it('the program exits 2 where a command is used wrongly, and 0 for help', () => {
  expect(spawnSync(process.execPath, [program, 'send', 'purchase', '--nonsense']).status).toBe(2)
  const help = spawnSync(process.execPath, [program, 'send', '--help'], { encoding: 'utf8' })
  expect(help.status).toBe(0)
  for (const kind of SEND_KINDS) expect(help.stdout).toContain(kind)
})

const program = fileURLToPath(new URL('../../src/cli/sarf.ts', import.meta.url))

it('speaks TLS, and shows nothing of its key', async () => {
  const authority = makeAuthority(temporaryDirectory())
  const client = authority.issue('terminal')
  const { port, seen } = await startSwitch({ certificates: certificatesOf(authority.issue('switch', 'serverAuth'), authority) })
  const own = ['--cert', client.certFile, '--key', client.keyFile]
  const good = await send('echo', '--port', port, '--ca', authority.certFile, ...own, '--json')
  expect([good.code, good.error, seen.length]).toEqual([0, '', 1])
  expect(JSON.parse(good.output)).not.toHaveProperty('target.tls')
  const stranger = makeAuthority(temporaryDirectory())
  expect((await send('echo', '--port', port, '--ca', stranger.certFile, ...own)).code).toBe(3)
  const refused = await send('echo', '--port', port, '--ca', authority.certFile)
  expect([refused.code, seen.length]).toEqual([3, 1])
  expect(refused.error).toContain('does it let this certificate in?')
})

it.each([
  [['--cert', 'config/sarf.json'], '--cert and --key go together'],
  [['--servername', 'switch'], 'TLS needs --ca'],
  [['--ca', '/nowhere.pem'], 'It cannot be read'],
])('exits 2 for TLS that is half there: %j', async (options, text) => {
  expect(await send('echo', ...options)).toMatchObject({ code: 2, error: expect.stringContaining(text) as string })
})

interface SwitchOptions {
  spec?: SpecName
  framing?: Framing
  /** Undefined: no answer. */
  responseCode?: string | ((request: Message) => string | undefined)
  /** What else the answers carry. */
  fields?: Readonly<Record<number, string>>
  certificates?: Certificates
}

async function startSwitch(options: SwitchOptions = {}): Promise<{ port: string; seen: Message[] }> {
  const { spec: name = 'ascii', framing = 'length2', responseCode = '00' } = options
  const spec = messageSpec(name)
  const seen: Message[] = []
  const quiet = (): void => undefined
  const listener = await listen({
    host: '127.0.0.1',
    link: { name: 'atm', port: 0, spec: name, framing, keyTime: 'transmission' },
    limits: {
      frameBytesMax: 4096,
      partialFrameMs: 10_000,
      handshakeMs: 10_000,
      idleMs: 10_000,
      connectionsPerAddressMax: 100,
      inFlightPerConnectionMax: 100,
      inFlightMax: 10_000,
      inFlightShareMin: 4,
      unsentBytesMax: 65_536,
      stalledMs: 30_000,
    },
    certificates: options.certificates,
    log: { debug: quiet, info: quiet, warn: quiet, error: quiet },
    onFrame: (payload, exchange) => {
      const decoded = decode(spec, payload)
      if (!decoded.ok) throw new Error(decoded.error.path)
      const { message } = decoded
      seen.push(message)
      const code = typeof responseCode === 'string' ? responseCode : responseCode(message)
      if (code === undefined) {
        exchange.silent()
        return
      }
      const fields: (string | undefined)[] = []
      for (const de of [3, 4, 7, 11, 37, 41, 70]) fields[de] = message.text(de)
      fields[38] = code === '00' && message.has(41) ? 'ABC123' : undefined
      fields[39] = code
      for (const [de, value] of Object.entries(options.fields ?? {})) fields[Number(de)] = value
      const answer = encode(spec, responseMti(message.mti), fields)
      if (!answer.ok) throw new Error(answer.error.path)
      exchange.answer(answer.bytes)
    },
  })
  listeners.push(listener)
  return { port: String(listener.port), seen }
}

function textOf(message: Message | undefined): Record<number, string | undefined> {
  return Object.fromEntries(message?.fields().map((de) => [de, message.text(de)]) ?? [])
}

function read(message: Message | undefined): ChipField {
  const chip = readChipData(message?.bytes(55) ?? Buffer.alloc(0))
  if (!chip.ok) throw new Error(chip.error.path)
  return chip.value
}
