import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, expect, it } from 'vitest'
import { runningStack } from '../../src/local/running.ts'
import { temporaryDirectory } from '../support/stack.ts'

const START = fileURLToPath(new URL('../../src/local/start.ts', import.meta.url))
/** The last thing that a start prints. */
const READY = 'Ctrl-C'

const children: ChildProcess[] = []

afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue
    child.kill('SIGTERM')
    await once(child, 'close')
  }
})

it('starts everything, refuses a second start in the same folder, and stops everything when told to', async () => {
  const folder = temporaryDirectory()
  const first = start(folder)
  await first.ready
  const stack = runningStack(folder)
  expect(stack?.pid).toBe(first.child.pid)
  expect(Object.keys(stack?.ports ?? {}).toSorted()).toEqual(['atm', 'gateway', 'http', 'pos', 'secure'])

  const second = await start(folder).ended
  expect(second).toMatchObject({ code: 1, stdout: '' })
  expect(second.stderr).toMatch(/^sarf: already running here [^\n]*\n$/)

  first.child.kill('SIGTERM')
  // Ctrl-C comes twice through npm: it must not cut the drain short.
  first.child.kill('SIGINT')
  expect((await first.ended).code).toBe(0)
  expect(runningStack(folder)).toBeUndefined()
  expect(existsSync(join(folder, 'postgres/data/postmaster.pid'))).toBe(false)
})

it('starts again after a kill -9 that left Postgres and Redis running', async () => {
  const folder = temporaryDirectory()
  const first = start(folder)
  await first.ready
  first.child.kill('SIGKILL')
  await first.ended
  expect(runningStack(folder)).toBeUndefined()
  const second = start(folder)
  await second.ready
  second.child.kill('SIGINT')
  expect((await second.ended).code).toBe(0)
})

it('says in one line which port is in use, before it starts anything', async () => {
  const folder = temporaryDirectory()
  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  const port = String((taken.address() as AddressInfo).port)
  const result = await start(folder, { SARF_PORT_POS: port }).ended
  taken.close()
  expect(result).toMatchObject({
    code: 1,
    stdout: '',
    stderr: `sarf: port ${port} is in use; stop what listens there, or set SARF_PORT_POS\n`,
  })
  expect(existsSync(join(folder, 'postgres'))).toBe(false)
})

it.each([
  ['a port that is none', { SARF_PORT_HTTP: 'eighty' }, /^sarf: SARF_PORT_HTTP must be a port [^\n]*\n$/],
  ['a URL that is none', { DATABASE_URL: 'localhost' }, /^sarf: DATABASE_URL must be set to a URL [^\n]*\n$/],
  ['an option that is none', {}, /^sarf: Unknown option '--frsh'[^\n]*\n$/],
])('says in one line that it was given %s', async (_what, environment, message) => {
  const options = message.source.includes('frsh') ? ['--frsh'] : []
  const result = await start(temporaryDirectory(), environment, options).ended
  expect(result.code).toBe(1)
  expect(result.stderr).toMatch(message)
})

interface Result {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

function start(
  folder: string,
  environment: NodeJS.ProcessEnv = {},
  options: readonly string[] = [],
): { child: ChildProcess; ready: Promise<undefined>; ended: Promise<Result> } {
  const anyPort = {
    SARF_PORT_ATM: '0',
    SARF_PORT_POS: '0',
    SARF_PORT_GATEWAY: '0',
    SARF_PORT_SECURE: '0',
    SARF_PORT_HTTP: '0',
  }
  const child = spawn(process.execPath, [START, ...options], {
    env: { ...process.env, SARF_STATE: folder, ...anyPort, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  children.push(child)
  let [stdout, stderr] = ['', '']
  const ready = Promise.withResolvers<undefined>()
  // A test that awaits only the end has no use for it.
  ready.promise.catch(() => undefined)
  child.stdout.on('data', (bytes: Buffer) => {
    stdout += bytes.toString('utf8')
    if (stdout.includes(READY)) ready.resolve(undefined)
  })
  child.stderr.on('data', (bytes: Buffer) => {
    stderr += bytes.toString('utf8')
  })
  const ended = once(child, 'close').then(([code]) => {
    ready.reject(new Error(`ended before it was ready: ${stderr}`))
    return { code: code as number | null, stdout, stderr }
  })
  return { child, ready: ready.promise, ended }
}
