/**
 * The disk of this machine. Files are the owner's alone: they hold what was decided for whom.
 *
 * A lock is a file that says which process has the directory: `lock.<number>`, where the highest number counts. It appears with its content in it and only
 * if there was none of that number (link(2)), so that of several that find the holder dead one wins. One that this process could neither have nor take back
 * counts as of nobody: else it would keep it for as long as it lives, and drain nothing.
 */
import { link, mkdir, open, readdir, readFile, rename, rm, stat, unlink, writeFile } from 'node:fs/promises'
import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import type { Disk, DiskFile, DiskLock } from './disk.ts'

export const systemDisk: Disk = {
  async makeDirectory(path) {
    const first = await mkdir(path, { recursive: true, mode: 0o700 })
    const madeFrom = first === undefined ? Infinity : resolve(first).length
    // Each in the one above it: else a power loss may take the lowest with a journal in it that was synchronised. Also of those that are there already: whoever
    // made them may have died just then. What belongs to another was not made here.
    for (let made = resolve(path); made !== dirname(made); made = dirname(made)) {
      if (made.length >= madeFrom) await syncDirectory(dirname(made))
      else if ((await stat(made)).uid !== process.getuid?.() || !(await syncIfReadable(dirname(made)))) return
    }
  },
  async list(path) {
    try {
      return (await readdir(path)).toSorted()
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return []
      throw error
    }
  },
  read: (path) => readFile(path),
  async create(path): Promise<DiskFile> {
    const file = await open(path, 'ax', 0o600)
    return {
      append: (bytes) => file.appendFile(bytes),
      sync: () => file.datasync(),
      close: () => file.close(),
    }
  },
  rename: (from, to) => rename(from, to),
  remove: (path) => rm(path),
  syncDirectory,
  lock,
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}

/** @returns whether it could be synchronised: in one that cannot be opened, or has no such thing (a read-only file system), nothing was made here */
async function syncIfReadable(path: string): Promise<boolean> {
  try {
    await syncDirectory(path)
    return true
  } catch (error) {
    if (['EACCES', 'EPERM', 'EINVAL', 'EROFS', 'ENOTSUP'].includes(codeOf(error) ?? '')) return false
    throw error
  }
}

/** Who has a directory: a process by its number and its start, since numbers are given again, and which of its attempts it was. */
interface Holder {
  readonly host: string
  readonly boot: string
  readonly pid: number
  readonly start: string
  readonly attempt: number
}

const LOCK = /^lock\.(\d+)$/
/** Makes the names of this process's attempts different. */
let attempts = 0
/** Those that are under way, and those that have a directory. */
const ours = new Set<number>()

async function lock(directory: string): Promise<DiskLock | undefined> {
  const highest = await highestLock(directory)
  if (highest > 0 && !isDead(await readHolder(lockFile(directory, highest)))) return undefined
  const attempt = ++attempts
  ours.add(attempt)
  const isTaken = await take(directory, highest + 1, attempt).catch((error: unknown) => {
    ours.delete(attempt)
    throw error
  })
  if (!isTaken) {
    ours.delete(attempt)
    return undefined
  }
  return {
    release: async () => {
      await rm(lockFile(directory, highest + 1), { force: true })
      ours.delete(attempt)
    },
  }
}

async function take(directory: string, number: number, attempt: number): Promise<boolean> {
  const own = lockFile(directory, number)
  const draft = join(directory, `draft.${String(process.pid)}.${String(attempt)}`)
  const holder: Holder = { host: hostname(), boot: bootId(), pid: process.pid, start: startOf(process.pid), attempt }
  await writeFile(draft, JSON.stringify(holder), { mode: 0o600, flush: true })
  try {
    await link(draft, own)
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false
    throw error
  } finally {
    await unlink(draft)
  }
  try {
    await syncDirectory(directory)
  } catch (error) {
    // Nobody else could have it while this process lives, where it cannot be removed either.
    await rm(own, { force: true })
    throw error
  }
  // Whoever was slow may have taken a number that another has passed meanwhile.
  if ((await highestLock(directory)) !== number) {
    await rm(own, { force: true })
    return false
  }
  for (const name of await readdir(directory)) {
    const earlier = numberOf(name)
    if (earlier > 0 && earlier < number) await rm(join(directory, name), { force: true })
  }
  return true
}

function lockFile(directory: string, number: number): string {
  return join(directory, `lock.${String(number)}`)
}

async function highestLock(directory: string): Promise<number> {
  return Math.max(0, ...(await readdir(directory)).map(numberOf))
}

function numberOf(name: string): number {
  return Number(LOCK.exec(name)?.[1] ?? 0)
}

/** @returns undefined where it was released meanwhile, or is none: a machine that lost its power may have lost what was in it */
async function readHolder(file: string): Promise<Holder | undefined> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as Holder
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || error instanceof SyntaxError) return undefined
    throw error
  }
}

function isDead(holder: Holder | undefined): boolean {
  if (holder === undefined) return true
  if (holder.host !== hostname()) return false
  if (holder.boot !== bootId()) return true
  if (holder.pid === process.pid && holder.start === startOf(process.pid)) return !ours.has(holder.attempt)
  if (holder.start !== '') return startOf(holder.pid) !== holder.start
  return !isAlive(holder.pid)
}

function bootId(): string {
  return procFile('sys/kernel/random/boot_id').trim()
}

/** When a process began, in ticks since the machine did; '' where there is none, where it is a zombie, or without /proc. */
function startOf(pid: number): string {
  // proc(5): behind the command's name, which may hold anything, come state (field 3) and, as field 22, the start.
  const [state, ...rest] =
    procFile(`${String(pid)}/stat`)
      .split(') ')
      .at(-1)
      ?.split(' ') ?? []
  return state === 'Z' || state === 'X' ? '' : (rest[18] ?? '')
}

function procFile(name: string): string {
  try {
    return readFileSync(`/proc/${name}`, 'utf8')
  } catch {
    return ''
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return codeOf(error) === 'EPERM'
  }
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}
