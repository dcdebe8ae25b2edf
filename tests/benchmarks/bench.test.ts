import { availableParallelism } from 'node:os'
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { startTestSwitch } from '../support/switch.ts'

const BENCH = fileURLToPath(new URL('../../benchmarks/bench.ts', import.meta.url))

interface Ran {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

function bench(...options: string[]): Promise<Ran> {
  const child = spawn(process.execPath, [BENCH, ...options], { stdio: ['ignore', 'pipe', 'pipe'] })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, stdout, stderr })))
}

const SHORT = ['--seconds', '1', '--warmup', '0', '--connections', '4', '--json']

it('on a stack of its own it prints one JSON object and nothing else, and finds the ledger right', async () => {
  const { code, stdout } = await bench(...SHORT, '--cards', '200', '--mix', 'authorize')
  expect(code).toBe(0)
  expect(stdout.trim().split('\n')).toHaveLength(1)
  const report = JSON.parse(stdout) as Record<string, unknown>
  expect(report).toMatchObject({
    mix: 'authorize',
    connections: 4,
    inFlight: 16,
    workers: availableParallelism(),
    rate: null,
    declined: 0,
    errors: 0,
    verified: { approvedNotInLedger: 0, inLedgerNotApproved: 0 },
  })
})

it('mixes that take turns are several reports and their ratio', async () => {
  const { code, stdout } = await bench(...SHORT, '--cards', '2000', '--mix', 'purchase,balance', '--rounds', '2')
  expect(code).toBe(0)
  const { runs, ratios } = JSON.parse(stdout) as { runs: { mix: string; verified: object }[]; ratios: Record<string, object> }
  expect(runs.map(({ mix }) => mix)).toEqual(['purchase', 'balance', 'balance', 'purchase'])
  for (const { verified } of runs) expect(verified).toEqual({ approvedNotInLedger: 0, inLedgerNotApproved: 0 })
  expect(Object.keys(ratios)).toEqual(['balance'])
})

it('securities that take turns are switches side by side, and nothing is lost on either', async () => {
  const { code, stdout, stderr } = await bench(...SHORT, '--cards', '300', '--security', 'none,full')
  expect(code).toBe(0)
  const { runs, ratios } = JSON.parse(stdout) as { runs: object[]; ratios: Record<string, object> }
  const right = { mix: 'purchase', declined: 0, errors: 0, verified: { approvedNotInLedger: 0, inLedgerNotApproved: 0 } }
  expect(runs).toMatchObject([
    { ...right, security: 'none' },
    { ...right, security: 'full' },
  ])
  expect(Object.keys(ratios)).toEqual(['purchase with security full'])
  expect(stderr).toMatch(/MAC and cryptogram of \d+ answers checked, 0 wrong/)
})

it('a target is not asked for counters that it may have seen', async () => {
  const { code, stderr } = await bench('--target', '127.0.0.1:1', '--security', 'full')
  expect(code).toBe(1)
  expect(stderr).toContain('--security full is for a stack of its own')
})

it('where it can read the database of a target, an approval that it never asked for makes it fail', async () => {
  // A target is taken to have all that `npm start` makes.
  const target = await startTestSwitch({ demoHouseholds: 1000 })
  // Dated after the start of the run, on a terminal that the generator uses.
  await target.sql(
    `INSERT INTO "authorization" (requested, approved, decided_at, key_date, shard, mti, kind, key, response_code, terminal_id, purse_id, purse_version)
     VALUES (100, 100, now(), current_date + 1, 0, 200, 1, '00000818001|POS00001|1231235959|999999|2', '00', 'POS00001', 211, 9)`,
  )
  const options = [...SHORT, '--target', `127.0.0.1:${String(target.portOf('atm'))}`]
  const [blind, seeing] = [await bench(...options), await bench(...options, '--database', target.databaseUrl)]
  expect(blind.code).toBe(0)
  expect(blind.stderr).toContain('not verified')
  expect(JSON.parse(blind.stdout)).toMatchObject({ verified: { approvedNotInLedger: null, inLedgerNotApproved: null } })
  expect(seeing.code).toBe(1)
  expect(JSON.parse(seeing.stdout)).toMatchObject({ errors: 0, verified: { approvedNotInLedger: 0, inLedgerNotApproved: 1 } })
})

it('a mix that there is not is one clear line', async () => {
  const { code, stderr } = await bench('--mix', 'purchase,regional')
  expect(code).toBe(1)
  expect(stderr).toContain('There are purchase, ')
})

it('a target that nobody listens on is one clear line', async () => {
  const { code, stdout, stderr } = await bench('--target', '127.0.0.1:1')
  expect(code).toBe(1)
  expect(stdout).toBe('')
  expect(stderr).toMatch(/^bench: .*127\.0\.0\.1:1.*$/m)
  expect(stderr).not.toContain('    at ')
})
