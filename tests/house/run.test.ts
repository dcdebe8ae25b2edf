/** src/run.mjs in a project of its own that depends on nothing from outside, so that `npm ci` needs no network. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeEach, describe, expect, it } from 'vitest'
import { temporaryDirectory } from '../support/stack.ts'

let project: string

beforeEach(() => {
  project = temporaryDirectory()
  mkdirSync(join(project, 'src'))
  mkdirSync(join(project, 'part'))
  copyFileSync(fileURLToPath(new URL('../../src/run.mjs', import.meta.url)), join(project, 'src/run.mjs'))
  writeJson('part/package.json', { name: 'part', version: '1.0.0' })
  writeJson('package.json', { name: 'project', version: '1.0.0', dependencies: { part: 'file:part' } })
  writeLock('1.0.0')
})

describe('the runner', () => {
  it('installs what is missing, says so on stderr only, and leaves stdout and the exit code to the script', async () => {
    script('hello.ts', `const greeting: string = 'hello'; console.log(greeting, ...process.argv.slice(2)); process.exit(7)`)
    const first = await run('hello.ts', '--json', 'x')
    expect(first).toMatchObject({ code: 7, stdout: 'hello --json x\n' })
    expect(first.stderr).toContain('sarf: installing dependencies')
    const second = await run('hello.ts')
    expect(second).toEqual({ code: 7, stdout: 'hello\n', stderr: '' })
  })

  it('installs again when package-lock.json asks for something else', async () => {
    script('quiet.ts', '')
    await run('quiet.ts')
    writeJson('part/package.json', { name: 'part', version: '2.0.0' })
    writeLock('2.0.0')
    expect((await run('quiet.ts')).stderr).toContain('sarf: installing dependencies')
    expect((await run('quiet.ts')).stderr).toBe('')
  })

  it('installs once when two first runs come at once', async () => {
    script('quiet.ts', '')
    const runs = await Promise.all([run('quiet.ts'), run('quiet.ts'), run('quiet.ts')])
    expect(runs.map(({ code }) => code)).toEqual([0, 0, 0])
    expect(runs.filter(({ stderr }) => stderr.includes('installing'))).toHaveLength(1)
  })

  it('takes over the lock of an installation that was killed', async () => {
    script('quiet.ts', '')
    mkdirSync(join(project, '.sarf'))
    writeFileSync(join(project, '.sarf/install.lock'), String(await endedPid()))
    expect((await run('quiet.ts')).code).toBe(0)
  })

  it('says in one line that package-lock.json is broken, and that npm is missing', async () => {
    script('quiet.ts', '')
    const noNpm = await finished(start(['quiet.ts'], { PATH: '/nowhere' }))
    expect(noNpm).toMatchObject({ code: 1 })
    expect(noNpm.stderr).toMatch(/^sarf: installing [^\n]*\nsarf: npm is not installed [^\n]*\n$/)
    writeFileSync(join(project, 'package-lock.json'), '{')
    const broken = await run('quiet.ts')
    expect(broken.code).toBe(1)
    expect(broken.stderr).toMatch(/^sarf: package-lock\.json is missing or broken[^\n]*\n$/)
  })

  it.each(['SIGINT', 'SIGHUP'] as const)('passes %s on once however often it comes, and SIGTERM', async (signal) => {
    // Counts for as long as stdin is open, so that the test decides when the script has seen enough.
    script(
      'count.ts',
      `let n = 0
      process.on('${signal}', () => console.log('signal', ++n))
      process.on('SIGTERM', () => console.log('enough'))
      process.stdin.resume().on('end', () => process.exit(40 + n))
      console.log('up')`,
    )
    const child = start(['count.ts'])
    const result = finished(child)
    await line(child, 'up')
    child.kill(signal)
    await line(child, 'signal 1')
    child.kill(signal)
    child.stdin?.end()
    expect((await result).code).toBe(41)
  })

  it('reports a script that died of a signal as a shell does', async () => {
    script('die.ts', `process.kill(process.pid, 'SIGKILL')`)
    expect((await run('die.ts')).code).toBe(128 + 9)
  })
})

interface Result {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

function run(...args: string[]): Promise<Result> {
  const child = start(args)
  child.stdin?.end()
  return finished(child)
}

function start(args: readonly string[], environment: NodeJS.ProcessEnv = {}): ChildProcess {
  // As outside of npm: what the calling npm told its scripts is not for this one.
  const kept = Object.entries(process.env).filter(([name]) => !name.startsWith('npm_'))
  return spawn(process.execPath, [join(project, 'src/run.mjs'), ...args], {
    env: { ...Object.fromEntries(kept), npm_config_loglevel: 'error', ...environment },
    stdio: 'pipe',
  })
}

async function finished(child: ChildProcess): Promise<Result> {
  let [stdout, stderr] = ['', '']
  child.stdout?.on('data', (bytes: Buffer) => (stdout += bytes.toString('utf8')))
  child.stderr?.on('data', (bytes: Buffer) => (stderr += bytes.toString('utf8')))
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, stdout, stderr }
}

/** Waits until the child has printed `wanted`. */
function line(child: ChildProcess, wanted: string): Promise<void> {
  return new Promise((resolve, reject) => {
    let seen = ''
    child.stdout?.on('data', (bytes: Buffer) => {
      seen += bytes.toString('utf8')
      if (seen.includes(wanted)) resolve()
    })
    child.once('close', () => {
      reject(new Error(`ended before it printed "${wanted}"`))
    })
  })
}

/** The pid of a process that has ended. */
async function endedPid(): Promise<number | undefined> {
  const child = spawn(process.execPath, ['--version'], { stdio: 'ignore' })
  await once(child, 'exit')
  return child.pid
}

function script(name: string, text: string): void {
  writeFileSync(join(project, name), text)
}

function writeJson(path: string, value: unknown): void {
  writeFileSync(join(project, path), JSON.stringify(value))
}

function writeLock(version: string): void {
  writeJson('package-lock.json', {
    name: 'project',
    version: '1.0.0',
    lockfileVersion: 3,
    requires: true,
    packages: {
      '': { name: 'project', version: '1.0.0', dependencies: { part: 'file:part' } },
      'node_modules/part': { resolved: 'part', link: true },
      part: { version },
    },
  })
}
