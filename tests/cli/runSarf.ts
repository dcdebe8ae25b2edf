/** Runs the `sarf` command in a process of its own, as a person would. */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

export interface Ran {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/**
 * @param environment added to this process's, without what points to a stack of somebody else
 * @param input of standard input, which otherwise is empty
 */
export async function runSarf(
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
  input?: string,
): Promise<Ran> {
  const inherited = Object.entries(process.env).filter(([name]) => !/^(DATABASE_URL|REDIS_URL|SARF_.*)$/.test(name))
  const child = spawn(process.execPath, [fileURLToPath(new URL('../../src/cli/sarf.ts', import.meta.url)), ...args], {
    env: { ...Object.fromEntries(inherited), SARF_STATE: '/nowhere', ...environment },
    stdio: 'pipe',
  })
  // Who does not read it may be gone before it is written.
  child.stdin.on('error', () => {}).end(input)
  const output = { stdout: '', stderr: '' }
  for (const stream of ['stdout', 'stderr'] as const) {
    child[stream].on('data', (bytes: Buffer) => {
      output[stream] += bytes.toString('utf8')
    })
  }
  return await new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => {
      resolve({ code, ...output })
    })
  })
}
