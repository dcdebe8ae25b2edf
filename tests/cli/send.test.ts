import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { CommanderError } from 'commander'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { sendCommand } from '../../src/cli/send.ts'
import { SEND_KINDS } from '../../src/cli/transactionMessage.ts'
import { decode } from '../../src/iso8583/decode.ts'
import { encode } from '../../src/iso8583/encode.ts'
import type { Message } from '../../src/iso8583/message.ts'
import { messageSpec, type SpecName } from '../../src/iso8583/messageSpec.ts'
import { responseMti } from '../../src/iso8583/mti.ts'
import { demoPan } from '../../src/programme/demo.ts'
import { listen, type Listener } from '../../src/transport/listener.ts'
import type { Framing } from '../../src/transport/framing.ts'

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
  ['a card number that is none', ['purchase', '--amount', '1', '--card', 'x']],
  ['a port that is none', ['echo', '--port', '70000']],
])('%s is exit code 2', async (_what, given) => {
  const { code, error } = await send(...given)
  expect(code).toBe(2)
  expect(error).toMatch(/^error: /)
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

interface SwitchOptions {
  spec?: SpecName
  framing?: Framing
  /** Undefined: no answer. */
  responseCode?: string | ((request: Message) => string | undefined)
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
      idleMs: 10_000,
      connectionsPerAddressMax: 100,
      inFlightPerConnectionMax: 100,
      unsentBytesMax: 65_536,
    },
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
      const answer = encode(spec, responseMti(message.mti), fields)
      if (!answer.ok) throw new Error(answer.error.path)
      exchange.answer(answer.bytes)
    },
  })
  listeners.push(listener)
  return { port: String(listener.port), seen }
}

async function send(...given: string[]): Promise<{ code: number; output: string; error: string }> {
  let output = ''
  let error = ''
  const command = sendCommand()
    .exitOverride()
    .configureOutput({
      writeOut: (text) => {
        output += text
      },
      writeErr: (text) => {
        error += text
      },
    })
  try {
    await command.parseAsync(given, { from: 'user' })
    return { code: Number(process.exitCode), output, error }
  } catch (thrown) {
    if (!(thrown instanceof CommanderError)) throw thrown
    return { code: thrown.exitCode === 1 ? 2 : thrown.exitCode, output, error }
  } finally {
    process.exitCode = 0
  }
}

function textOf(message: Message | undefined): Record<number, string | undefined> {
  return Object.fromEntries(message?.fields().map((de) => [de, message.text(de)]) ?? [])
}
