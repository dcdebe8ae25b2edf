/** One `npm start` a folder: two would end each other's Postgres. */
import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isStart } from './running.ts'
import { StartError } from './startError.ts'

const POLL_MS = 100
/** A start whose runner was killed notices it within this time. */
const NOTICE_MS = 1500
/** A start that is stopping has 10 s for it. */
const STOPPING_MS = 12_000

export interface StartLock {
  /** Says that this start is on its way out, so that the next one waits for it. */
  stopping(): void
  release(): void
}

/** @throws StartError where another start runs in `folder` */
export async function takeStartLock(folder: string): Promise<StartLock> {
  mkdirSync(folder, { recursive: true })
  const file = join(folder, 'start.lock')
  for (let waited = 0; ; waited += POLL_MS) {
    const holder = takeOrHolder(file)
    if (holder === undefined) break
    if (waited >= (holder.stopping ? STOPPING_MS : NOTICE_MS)) {
      throw new StartError(
        `already running here (process ${String(holder.pid)}); stop it first, with Ctrl-C or "kill ${String(holder.pid)}"`,
      )
    }
    await sleep(POLL_MS)
  }
  return {
    stopping() {
      writeFileSync(file, `${String(process.pid)} stopping`)
    },
    release() {
      rmSync(file, { force: true })
    },
  }
}

interface Holder {
  readonly pid: number
  readonly stopping: boolean
}

/** Takes the lock, or says who has it. A link appears with its content in it, so nobody reads a half-written lock. */
function takeOrHolder(file: string): Holder | undefined {
  const own = `${file}.${String(process.pid)}`
  writeFileSync(own, String(process.pid))
  try {
    linkSync(own, file)
    return undefined
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    const [pid = '0', state] = readHolder(file).split(' ')
    if (Number(pid) > 0 && isStart(Number(pid))) return { pid: Number(pid), stopping: state === 'stopping' }
    rmSync(file, { force: true })
    return { pid: Number(pid), stopping: true }
  } finally {
    rmSync(own, { force: true })
  }
}

function readHolder(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}
