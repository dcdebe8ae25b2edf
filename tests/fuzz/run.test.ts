/** The fuzzer finds bugs that were planted for it: it can fail. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'

const command = fileURLToPath(new URL('run.ts', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'sarf-fuzz-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function fuzz(name: string, ...options: string[]): { status: number | null; stdout: string; findings: string[] } {
  const findings = mkdtempSync(join(folder, `${name}-`))
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [command, '--target', name, '--findings', findings, ...options],
    {
      encoding: 'utf8',
    },
  )
  expect(stderr).toBe('')
  return { status, stdout, findings: readdirSync(findings).map((file) => readFileSync(join(findings, file), 'utf8')) }
}

describe('a bug behind four bytes, which blind guessing meets once in billions of inputs', () => {
  it('is found branch by branch, and said in as few bytes as it takes', () => {
    const { status, stdout, findings } = fuzz('planted', '--runs', '40000', '--seed', '1')
    expect(status).toBe(1)
    expect(findings).toEqual(['# TypeError: planted\nd517e36b\n'])
    expect(stdout).toContain('tests/fuzz/planted.ts:')
  })

  it('is not said to be there where too few inputs were tried', () => {
    const { status, stdout, findings } = fuzz('planted', '--runs', '10', '--seed', '1')
    expect(status).toBe(0)
    expect(findings).toEqual([])
    expect(stdout).toContain('nothing found, seed 1')
  })
})

it('an input that does not end is ended and kept', () => {
  const { status, stdout, findings } = fuzz('plantedHang', '--runs', '40000', '--seed', '1')
  expect(status).toBe(1)
  expect(stdout).toContain('does not end within 2000 ms')
  expect(findings).toHaveLength(1)
})

it('the same seed tries the same inputs, beside other targets too', () => {
  const alone = fuzz('privateData', '--runs', '3000', '--seed', '7').stdout.split('\n')[1]
  const beside = fuzz('originalData', '--target', 'privateData', '--runs', '3000', '--seed', '7').stdout.split('\n')
  expect(alone).toMatch(/privateData +3,000 inputs, \d+ branches/)
  expect(beside).toContain(alone)
})
