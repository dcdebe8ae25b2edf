import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

const BENCH = fileURLToPath(new URL('../../benchmarks/crypto.ts', import.meta.url))

it('every operation comes out right on every store, one by one and in batches, and has a figure', async () => {
  const child = spawn(process.execPath, [BENCH, '--rounds', '1', '--round-ms', '1', '--json'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const output = { stdout: '', stderr: '' }
  for (const stream of ['stdout', 'stderr'] as const)
    child[stream].on('data', (chunk: Buffer) => (output[stream] += chunk.toString()))
  const code = await new Promise((resolve) => child.once('close', resolve))
  expect([code, output.stderr]).toEqual([0, expect.stringContaining('round 1 of 1')])
  const results = JSON.parse(output.stdout) as { operation: string; store: string; batch: number; median: number }[]
  const stores = output.stderr.includes('PKCS#11 is left out') ? 1 : 2
  expect(results).toHaveLength(new Set(results.map(({ operation }) => operation)).size * stores * 2)
  expect(results.every(({ median }) => median > 0)).toBe(true)
})
