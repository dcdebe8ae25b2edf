/** The README's script of one family, as it stands there, against a switch that `npm start` has started. */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { runningStack } from '../../src/local/running.ts'
import { temporaryDirectory } from '../support/stack.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))

function script(): string {
  const readme = readFileSync(`${root}README.md`, 'utf8')
  return /## One family\n[^]*?```sh\n([^]*?)```/.exec(readme)?.[1] ?? ''
}

it('walks from the order of a card to its replacement', { timeout: 240_000 }, async () => {
  const folder = temporaryDirectory()
  const ports = Object.fromEntries(['ATM', 'POS', 'GATEWAY', 'SECURE', 'HTTP'].map((name) => [`SARF_PORT_${name}`, '0']))
  const env = { ...process.env, ...ports, SARF_STATE: folder }
  const child = spawn(process.execPath, [`${root}src/local/start.ts`], { cwd: root, env, stdio: ['ignore', 'pipe', 'inherit'] })
  try {
    let said = ''
    for await (const bytes of child.stdout) if ((said += String(bytes)).includes('Ctrl-C')) break
    const api = `http://127.0.0.1:${String(runningStack(folder)?.ports['http'])}`
    const walked = spawnSync('bash', ['-euo', 'pipefail', '-c', script()], {
      cwd: root,
      env: { ...env, SARF_API: api },
      encoding: 'utf8',
    })
    expect(walked.status, walked.stdout + walked.stderr).toBe(0)
    const { stdout } = walked
    expect(stdout).toMatch(/\b41\b[^]*declined, as it should be/)
    expect(stdout).toMatch(/REPLACED/)
    expect(stdout).toMatch(/The ledger is proved/)
  } finally {
    child.kill('SIGTERM')
    await once(child, 'close')
  }
})
