import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test, vi } from 'vitest'
import { decodeCommand } from '../../src/cli/decode.ts'
import { encoded, PAN, PURCHASE } from '../iso8583/samples.ts'

const ascii = encoded('ascii', '0200', PURCHASE)
const bcd = encoded('bcd', '0200', PURCHASE)
const hex = encoded('hex', '0200', PURCHASE)
const folder = mkdtempSync(join(tmpdir(), 'sarf-decode-'))

class Exit extends Error {
  readonly code: number
  constructor(code: number) {
    super(`exit ${String(code)}`)
    this.code = code
  }
}

async function run(...args: string[]): Promise<{ output: string; errors: string; code: number }> {
  let output = ''
  let errors = ''
  const before = process.exitCode
  const exit = vi.spyOn(process, 'exit').mockImplementation((code) => {
    throw new Exit(Number(code))
  })
  const command = decodeCommand().configureOutput({ writeOut: (text) => (output += text), writeErr: (text) => (errors += text) })
  try {
    await command.parseAsync(args, { from: 'user' })
    return { output, errors, code: Number(process.exitCode) }
  } catch (error) {
    if (error instanceof Exit) return { output, errors, code: error.code }
    throw error
  } finally {
    process.exitCode = before
    exit.mockRestore()
  }
}

afterAll(() => {
  rmSync(folder, { recursive: true, force: true })
})

function fileWith(content: string | Buffer): string {
  const path = join(mkdtempSync(join(folder, 'file-')), 'message')
  writeFileSync(path, content)
  return path
}

describe('sarf decode', () => {
  test.each([
    ['hex', [bcd.toString('hex'), '--spec', 'bcd']],
    ['hex with spaces and colons', [bcd.toString('hex').replace(/../g, '$&: '), '--spec', 'bcd']],
    ['base64', [ascii.toString('base64'), '--spec', 'ascii']],
    ['the text of a hex message itself', [hex.toString('latin1'), '--spec', 'hex']],
    ['a file of bytes', ['--file', fileWith(bcd), '--spec', 'bcd']],
    ['a file of hex text', ['--file', fileWith(hex.toString('hex') + '\n'), '--spec', 'hex']],
    ['a file of base64 text', ['--file', fileWith(bcd.toString('base64') + '\n'), '--spec', 'bcd']],
  ])('explains %s', async (_, args) => {
    const { output, code } = await run(...args)
    expect(code).toBe(0)
    expect(output).toContain('TERM0001')
    expect(output).toContain('999999******0014')
    expect(output).not.toContain(PAN)
  })

  test.each([
    ['length2', Buffer.concat([Buffer.from([0, ascii.length]), ascii]), 'ascii'],
    ['length2-tpdu', Buffer.concat([Buffer.from([0, bcd.length + 5]), Buffer.from('6000010002', 'hex'), bcd]), 'bcd'],
    ['length4', Buffer.concat([Buffer.from(String(hex.length).padStart(4, '0')), hex]), 'hex'],
  ])('takes a %s header off', async (framing, frame, spec) => {
    const { output, code } = await run(frame.toString('hex'), '--framing', framing, '--spec', spec)
    expect(output).toContain('valid')
    expect(code).toBe(0)
  })

  test('a header that tells another length is a broken message', async () => {
    const { output, code } = await run(Buffer.concat([Buffer.from([1, 1]), ascii]).toString('hex'), '--framing', 'length2')
    expect(output).toContain(`the header says 257 bytes, ${String(ascii.length)} follow`)
    expect(code).toBe(1)
  })

  test('a broken message exits with 1 and tells why', async () => {
    const { output, code } = await run(ascii.subarray(0, 40).toString('hex'))
    expect(output).toMatch(/broken at byte \d+, DE \d+: truncated/)
    expect(code).toBe(1)
  })

  test('prints JSON on demand', async () => {
    const { output } = await run(bcd.toString('hex'), '--spec', 'bcd', '--json')
    const description = JSON.parse(output) as { ok: boolean; fields: { de: number; value: string }[] }
    expect(description.ok).toBe(true)
    expect(description.fields.find(({ de }) => de === 2)?.value).toBe('999999******0014')
  })

  test.each([
    ['an unknown spec', ['00', '--spec', 'xml']],
    ['an unknown option', ['00', '--colour']],
    ['a file that is not there', ['--file', join(folder, 'missing')]],
    ['a message and a file', ['00', '--file', 'x']],
    ['input that is not what --encoding says', ['zz', '--encoding', 'hex']],
  ])('%s exits with 2', async (_, args) => {
    const { errors, code } = await run(...args)
    expect(errors).toMatch(/^error: /)
    expect(code).toBe(2)
  })
})
