/** The primary over workers that only pretend: what becomes of those that die, do not start or do not answer. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it, onTestFinished, vi } from 'vitest'
import { loadConfig } from '../../src/config.ts'
import type { LogFields, Logger } from '../../src/log.ts'
import { Primary } from '../../src/workers/primary.ts'
import { temporaryDirectory } from '../support/stack.ts'

const NOWHERE = { DATABASE_URL: 'postgres://127.0.0.1:1/nowhere', REDIS_URL: 'redis://127.0.0.1:1' }
const PATIENCE = { timeout: 20_000, interval: 5 }

/** Does what the file `orders` says when it starts: `listen`, `end` or `hang`; goes when it is told to drain. */
const PROGRAM = `
const { readFileSync, appendFileSync } = require('node:fs')
const { FOLDER } = process.env
const slot = process.argv[process.argv.indexOf('--slot') + 1]
const note = (text) => appendFileSync(FOLDER + '/told', slot + ' ' + text + '\\n')
const measured = (value) => [{ name: 'n_total', help: 'n', type: 'counter', aggregator: 'sum', values: [{ value, labels: {} }] }]
process.on('message', (message) => {
  if (message.kind === 'connections') note('connections ' + message.taking)
  if (message.kind === 'measure') process.send({ kind: 'measured', id: message.id, measured: measured(1) })
  if (message.kind === 'metrics') note(message.text.match(/^n_total .*/m)?.[0])
  if (message.kind === 'drain') process.send({ kind: 'leaving', measured: measured(10) }, () => process.exit(0))
})
process.on('SIGUSR2', () => process.send({ kind: 'askMetrics', id: 1 }))
const order = readFileSync(FOLDER + '/orders', 'utf8')
if (order === 'end') process.exit(3)
if (order === 'listen') process.send({ kind: 'listening', addresses: [{ name: 'atm', port: 1 }] }, () => note('listens'))
`

interface Tried {
  readonly primary: Primary
  readonly said: (LogFields & { readonly message: string })[]
  order(what: 'listen' | 'end' | 'hang'): void
  told(): string[]
  /** Pids by slot, of the last started in each. */
  pids(): ReadonlyMap<number, number>
}

function prepare(settings: object = {}): Tried {
  const folder = temporaryDirectory()
  const program = join(folder, 'worker.cjs')
  writeFileSync(program, PROGRAM)
  writeFileSync(join(folder, 'told'), '')
  const said: (LogFields & { readonly message: string })[] = []
  const note = (fields: LogFields, message: string): void => void said.push({ ...fields, message })
  const log: Logger = { debug: note, info: note, warn: note, error: note }
  const shipped = { redis: { ...loadConfig(NOWHERE).redis, preloadMs: 0 } }
  const workers = { count: 2, restartMs: 10, restartMaxMs: 40, steadyMs: 60_000, startsMax: 3, startMs: 20_000, ...settings }
  const primary = new Primary({ program, config: { ...shipped, workers, drainMs: 5000 }, environment: { FOLDER: folder }, log })
  onTestFinished(() => primary.drain())
  const order = (what: string): void => {
    writeFileSync(join(folder, 'orders'), what)
  }
  order('listen')
  return {
    primary,
    said,
    order,
    told: () => readFileSync(join(folder, 'told'), 'utf8').split('\n').filter(Boolean),
    pids: () => new Map(said.filter(({ pid }) => pid !== undefined).map(({ worker, pid }) => [worker ?? 0, pid ?? 0])),
  }
}

const ofKind = ({ said }: Tried, text: string): Tried['said'] => said.filter(({ message }) => message.includes(text))

it('a worker that cannot be started at first ends the start, and nothing is left', async () => {
  const tried = prepare()
  tried.order('end')
  await expect(tried.primary.start()).rejects.toThrow('worker 1 ended with code 3')
  expect(tried.pids().size).toBe(1)
})

it('a worker that does not take messages in time is ended', async () => {
  const tried = prepare({ startMs: 300 })
  tried.order('hang')
  await expect(tried.primary.start()).rejects.toThrow('worker 1 did not listen within 300 ms')
})

it('a stop while the first worker is being started is no failure: it ends at once, and no other is begun', async () => {
  const tried = prepare()
  tried.order('hang')
  const started = tried.primary.start()
  await vi.waitUntil(() => tried.pids().size === 1, PATIENCE)
  const askedMs = performance.now()
  await tried.primary.drain()
  await started
  expect(tried.pids().size).toBe(1)
  // Not cut off when its time to drain was over.
  expect(performance.now() - askedMs).toBeLessThan(4000)
})

it('a worker that dies comes back in its slot, later and later', async () => {
  const tried = prepare()
  await tried.primary.start()
  for (let deaths = 1; deaths <= 4; deaths++) {
    const before = tried.pids().get(2) ?? 0
    process.kill(before, 'SIGKILL')
    await vi.waitUntil(() => tried.pids().get(2) !== before, PATIENCE)
  }
  expect(ofKind(tried, 'died').map(({ worker, delayMs }) => [worker, delayMs])).toEqual([
    [2, 10],
    [2, 20],
    [2, 40],
    [2, 40],
  ])
})

it('ends when none takes messages and none can be started, not while one serves', async () => {
  const tried = prepare()
  await tried.primary.start()
  tried.order('end')
  process.kill(tried.pids().get(2) ?? 0, 'SIGKILL')
  await vi.waitUntil(() => ofKind(tried, 'died').length >= 6, PATIENCE)
  process.kill(tried.pids().get(1) ?? 0, 'SIGKILL')
  expect((await tried.primary.failed).message).toBe('no worker can be started: 3 in a row ended before they took messages')
})

it('a rolling restart gives no two living workers the same slot, and leads new connections past those that are to leave', async () => {
  const tried = prepare()
  await tried.primary.start()
  expect(await tried.primary.restart()).toBe(true)
  expect(ofKind(tried, 'worker started').map(({ worker, reason }) => [worker, reason])).toEqual([
    [1, 'first'],
    [2, 'first'],
    [3, 'rolling'],
    [1, 'rolling'],
  ])
  expect(tried.told()).toEqual(expect.arrayContaining(['1 connections false', '2 connections false']))
  expect(tried.told()).not.toContain('3 connections false')
})

it('a rolling restart is given up where the fresh worker does not start: the old ones go on and take connections again', async () => {
  const tried = prepare()
  await tried.primary.start()
  const before = tried.pids()
  tried.order('end')
  expect(await tried.primary.restart()).toBe(false)
  await vi.waitUntil(() => tried.told().filter((text) => text.endsWith('connections true')).length === 2, PATIENCE)
  for (const slot of [1, 2]) expect(tried.pids().get(slot)).toBe(before.get(slot))
  expect(ofKind(tried, 'died')).toEqual([])
  tried.order('listen')
  expect(await tried.primary.restart()).toBe(true)
})

it('what workers that left have counted stays in the sums', async () => {
  const tried = prepare()
  await tried.primary.start()
  const ask = async (slot: number): Promise<string> => {
    const sums = (): string[] => tried.told().filter((text) => text.includes('n_total'))
    const before = sums().length
    process.kill(tried.pids().get(slot) ?? 0, 'SIGUSR2')
    await vi.waitUntil(() => sums().length > before, PATIENCE)
    return sums().at(-1) ?? ''
  }
  expect(await ask(1)).toBe('1 n_total 2')
  await tried.primary.restart()
  // Ten each of the two that left, one each of the two that serve.
  expect(await ask(3)).toBe('3 n_total 22')
  process.kill(tried.pids().get(1) ?? 0, 'SIGKILL')
  await vi.waitUntil(() => ofKind(tried, 'died').length === 1, PATIENCE)
  process.kill(tried.pids().get(3) ?? 0, 'SIGSTOP')
  const stopped = tried.pids().get(3) ?? 0
  onTestFinished(() => void process.kill(stopped, 'SIGCONT'))
  await vi.waitUntil(() => tried.told().filter((text) => text === '1 listens').length === 3, PATIENCE)
  // One that was killed and one that hangs count as they last said.
  expect(await ask(1)).toBe('1 n_total 23')
  process.kill(stopped, 'SIGCONT')
})
