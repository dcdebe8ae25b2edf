/** Where the local stack keeps its state, and what of it runs: so that other commands find it without any setting. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { crc32 } from 'node:zlib'
import { commandLine } from './process.ts'

export interface RunningStack {
  readonly pid: number
  readonly databaseUrl: string
  readonly redisUrl: string
  /** Ports by listener: `atm`, `pos`, `gateway`, `secure`, `http`. */
  readonly ports: Readonly<Record<string, number>>
}

/** The stack that `npm start` runs in this folder; undefined where none does. */
export function runningStack(folder: string = stateFolder()): RunningStack | undefined {
  try {
    const stack = JSON.parse(readFileSync(runFile(folder), 'utf8')) as RunningStack
    return isStart(stack.pid) ? stack : undefined
  } catch {
    return undefined
  }
}

/** `.sarf/` in the project's folder, or what SARF_STATE names: a second stack in one folder needs a place of its own. */
export function stateFolder(): string {
  return process.env['SARF_STATE'] ?? fileURLToPath(new URL('../../.sarf', import.meta.url))
}

export function runFile(folder: string): string {
  return join(folder, 'run.json')
}

/** What `sarf send` sent, and the counters of its cards: they belong to this stack's ledger. */
export function sentFile(folder: string): string {
  return join(folder, 'last.json')
}

/** The SMS of the local stack, a line of JSON each. */
export function noticesFile(folder: string): string {
  return join(folder, 'notices.jsonl')
}

/** Journals of stand-in, a folder a ledger: what was told for one must not be drained into another. */
export function standInFolder(folder: string, databaseUrl = 'private'): string {
  return join(folder, 'standin', crc32(databaseUrl).toString(16))
}

/** Whether the process is `npm start`, and not one that got its number afterwards. */
export function isStart(pid: number): boolean {
  return commandLine(pid)?.includes('src/local/start.ts') ?? false
}
