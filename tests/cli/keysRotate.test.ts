import { Command, CommanderError } from 'commander'
import { Client } from 'pg'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { rotateCommand } from '../../src/cli/keysRotate.ts'
import { loadConfig } from '../../src/config.ts'
import { seedProgramme, seedRows } from '../../src/programme/seed.ts'
import { dataVault } from '../../src/security/dataVault.ts'
import type { KeyStore } from '../../src/security/keys.ts'
import { softwareKeyStore } from '../../src/security/softwareKeys.ts'
import { createDatabase } from '../support/stack.ts'

const NOWHERE = 'postgres://127.0.0.1:1/nowhere'
const { programme, lookupKey, security } = loadConfig({ DATABASE_URL: 'postgres://127.0.0.1', REDIS_URL: 'redis://127.0.0.1' })

function store(): KeyStore {
  return softwareKeyStore(
    [1, 2].map((number) => ({
      name: `data.${String(number)}`,
      usage: 'D0',
      algorithm: 'A',
      exportable: false,
      value: Buffer.alloc(32, number),
    })),
  )
}

async function sealedDatabase(): Promise<{ url: string; rows: number }> {
  const url = await createDatabase()
  const options = { households: 5, lookupKey, nowMs: Date.now(), programme, security }
  await seedProgramme(url, { ...options, vault: dataVault(store(), 'data.1') })
  return { url, rows: seedRows({ ...options, vault: dataVault(store(), 'data.1') }) - seedRows(options) }
}

/** As `sarf keys` mounts it. */
async function rotate(...args: string[]): Promise<{ code: number | undefined; stdout: string; stderr: string; closed: number }> {
  const output = { stdout: '', stderr: '' }
  const rotateOnly = rotateCommand(opened)
  let closed = 0
  function opened(): KeyStore {
    const keys = store()
    return {
      ...keys,
      close: () => {
        closed++
        keys.close()
      },
    }
  }
  rotateOnly.configureOutput({
    writeOut: (text) => {
      output.stdout += text
    },
    writeErr: (text) => {
      output.stderr += text
    },
  })
  const program = new Command('keys').exitOverride().addCommand(rotateOnly)
  process.exitCode = undefined
  try {
    await program.parseAsync(['rotate', ...args], { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    process.exitCode = error.exitCode
  }
  const code = process.exitCode
  process.exitCode = undefined
  return { code, ...output, closed }
}

afterEach(() => {
  vi.unstubAllEnvs()
})

describe('sarf keys rotate', () => {
  it('seals everything again, and says which keys are in use then', async () => {
    const { url, rows } = await sealedDatabase()
    const { code, stdout, stderr, closed } = await rotate('--to', 'data.2', '--database', url, '--batch', '3')
    expect([code, stderr, closed]).toEqual([0, '', 1])
    expect(stdout).toMatch(
      new RegExp(`^${String(rows)} rows sealed again with data\\.2 in \\d+\\.\\d s\\ndata\\.2: ${String(rows)} rows\\n$`),
    )
    vi.stubEnv('DATABASE_URL', url)
    const again = await rotate('--to', 'data.2', '--json')
    expect(again.code).toBe(0)
    expect(JSON.parse(again.stdout)).toEqual({
      to: 'data.2',
      rotated: 0,
      unreadable: 0,
      behind: 0,
      use: [{ keyId: 'data.2', rows }],
      elapsedMs: expect.any(Number) as number,
    })
  })

  it('exits 1 where a row does not open', async () => {
    const { url, rows } = await sealedDatabase()
    const client = new Client({ connectionString: url })
    await client.connect()
    await client.query(
      'UPDATE person_secret SET national_id = set_bit(national_id, 3, 1 - get_bit(national_id, 3)) WHERE person_id = 101',
    )
    await client.end()
    const { code, stdout } = await rotate('--to', 'data.2', '--database', url)
    expect(code).toBe(1)
    expect(stdout).toContain('\n1 rows do not open with the key that they name: they were changed\ndata.1: 1 rows\n')
    expect(stdout).toContain(`data.2: ${String(rows - 1)} rows\n`)
  })

  it.each([
    [['--database', NOWHERE], "required option '--to <key>' not specified"],
    [['--to', 'data.2', '--batch', '0', '--database', NOWHERE], 'A whole number from 1 to 10,000.'],
    [['--to', 'data.2', '--database', 'mysql://127.0.0.1'], '--database must be a URL that begins with postgres://'],
    [['--to', 'data.9', '--database', NOWHERE], 'there is no key data.9'],
    [['--to', 'zpk.atm', '--database', NOWHERE], 'a data key is named data.1, data.2 and so on'],
  ])('refuses %j', async (args, text) => {
    const { code, stdout, stderr } = await rotate(...args)
    expect(stderr).toContain(text)
    expect([code === 0 || code === undefined, stdout]).toEqual([false, ''])
  })

  it('exits 3 with one line where there is no database', async () => {
    expect(await rotate('--to', 'data.2', '--database', NOWHERE)).toEqual({
      code: 3,
      stdout: '',
      stderr: 'error: cannot connect to the database: connect ECONNREFUSED 127.0.0.1:1\n',
      closed: 1,
    })
  })
})
